//! The call of ONNX Runtime alone: the network that draws, on tensors that were filled once.

use std::time::Instant;

use anyhow::Result;
use lipsync_core::inference::{self, ModelSource, Network};

use super::{Draw, Order, Times, WHOLE};

pub struct BareCall(Box<dyn Network>);

impl BareCall {
    pub fn open(order: &Order) -> Result<Self> {
        let path = order.model.network();
        let options = order.variant.options(order.threads);
        let mut network = inference::onnx::open(ModelSource::File(&path), &options, &[])?.network;
        let mut random = fastrand::Rng::with_seed(1);
        for input in 0..network.inputs().len() {
            network.input(input).fill_with(|| random.f32());
        }
        Ok(Self(network))
    }
}

impl Draw for BareCall {
    fn draw(&mut self, count: usize) -> Result<Times> {
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let started = Instant::now();
            self.0.run()?;
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        Ok([(WHOLE.into(), times)].into())
    }
}
