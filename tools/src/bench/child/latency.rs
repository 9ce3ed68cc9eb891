//! A live pipeline: how long after its moment a frame comes out, beyond the audio that it waits
//! for.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use gst::prelude::*;

use super::{
    Order,
    element::Pipeline,
    engine::{self, SECOND},
};
use crate::{
    input::{FRAME_NS, Material},
    results::Latency,
};

/// Audio comes in blocks of 10 ms.
const BLOCK: usize = SECOND / 100;
const BLOCK_NS: i64 = 10_000_000;
/// Before, everything is new.
const SETTLE: usize = 25;

pub fn measure(order: &Order, count: usize) -> Result<Latency> {
    let look_ahead_ns = engine::open(order)?.hearing().look_ahead_ns;
    let material = Arc::new(Material::read(&order.input, order.amount)?);
    let mut pipeline = Pipeline::start(order, &material, 0, true)?;

    let total = SETTLE + count;
    let mut frames = pipeline.frames(total)?.into_iter();
    pipeline.begin_now()?;
    let started = Instant::now();
    let (mut heard_ns, mut shown) = (0, 0);
    // Every source hands over what has just happened: audio once it is whole, a frame at its time.
    let end_ns = total as i64 * FRAME_NS + look_ahead_ns + 1_000_000_000;
    while heard_ns < end_ns {
        if shown * FRAME_NS <= heard_ns
            && let Some(frame) = frames.next()
        {
            pipeline.video.push_buffer(frame)?;
            shown += 1;
        }
        heard_ns += BLOCK_NS;
        let due = Duration::from_nanos(heard_ns.try_into()?);
        thread::sleep(due.saturating_sub(started.elapsed()));
        pipeline.push_audio(BLOCK)?;
    }
    let reported = pipeline.latency()?;
    let mut late = Vec::with_capacity(total);
    for index in 0..total {
        let arrival = pipeline
            .arrival()
            .with_context(|| format!("frame {index}"))?;
        let after = (arrival.at - started).as_secs_f64() * 1e3;
        late.push(after - (index as i64 * FRAME_NS + look_ahead_ns) as f64 / 1e6);
    }
    let deadline: gst::ClockTime = pipeline.lipsync.property("processing-deadline");
    Ok(Latency {
        look_ahead_ms: look_ahead_ns as f64 / 1e6,
        processing_deadline_ms: deadline.nseconds() as f64 / 1e6,
        reported_ms: reported.nseconds() as f64 / 1e6,
        after_look_ahead_ms: late.split_off(SETTLE),
    })
}
