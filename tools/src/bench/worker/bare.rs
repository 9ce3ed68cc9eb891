//! The call of ONNX Runtime alone: the network that draws, on tensors that were filled once.

use std::time::Instant;

use anyhow::Result;
use lipsync_core::inference::{self, ModelSource, Network};

use super::{Contender, Order, Times, WHOLE};

pub struct Bare(Box<dyn Network>);

impl Bare {
    pub fn open(order: &Order) -> Result<Self> {
        let path = order.model.network();
        let opened = inference::onnx::open(ModelSource::File(&path), &order.options(), &[])?;
        let mut network = opened.network;
        for input in 0..network.inputs().len() {
            // Numbers in 0..1 without a visible pattern.
            for (at, value) in (1_u32..).zip(network.input(input)) {
                *value = (at.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 24) as f32;
            }
        }
        Ok(Self(network))
    }
}

impl Contender for Bare {
    fn draw(&mut self, count: usize) -> Result<Times> {
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let started = Instant::now();
            self.0.run()?;
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        Ok(vec![(WHOLE, times)])
    }
}
