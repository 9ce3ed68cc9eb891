//! A live pipeline: how long after its moment a frame comes out, beyond the sound that it waits
//! for.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use gst::prelude::*;
use lipsync_core::{catalogue::Source, render::Engine};
use serde_json::{Value, json};

use super::{
    Order,
    element::{self, Pace, Pipe},
    engine::SECOND,
};
use crate::job::FRAME_NS;

/// Sound comes in blocks of 10 ms.
const BLOCK: usize = SECOND / 100;
const BLOCK_NS: i64 = 10_000_000;
/// Before, everything is new.
const SETTLE: usize = 25;

pub fn measure(order: &Order) -> Result<Value> {
    let config = lipsync_core::assembly::Config {
        generator: match order.model.manifest() {
            Some(manifest) => Source::Path(manifest),
            None => Source::BuiltIn,
        },
        runtime: order.options(),
        ..Default::default()
    };
    let look_ahead_ns = Engine::new(&config)?.0.hearing().look_ahead_ns;
    let mut pipe = Pipe::start(order, element::material(order)?, 0, Pace::Live)?;
    let deadline: u64 = pipe
        .lipsync
        .property::<gst::ClockTime>("processing-deadline")
        .nseconds();

    let total = SETTLE + order.count;
    let mut frames = pipe.frames(total)?.into_iter();
    pipe.begin_now()?;
    let started = Instant::now();
    let mut heard_ns = 0;
    let mut shown = 0;
    // Every source hands over what has just happened: sound once it is whole, a frame at its time.
    let end_ns = total as i64 * FRAME_NS + look_ahead_ns + 1_000_000_000;
    while heard_ns < end_ns {
        if shown as i64 * FRAME_NS <= heard_ns
            && let Some(frame) = frames.next()
        {
            pipe.video.push_buffer(frame)?;
            shown += 1;
        }
        heard_ns += BLOCK_NS;
        let due = Duration::from_nanos(heard_ns.try_into()?);
        thread::sleep(due.saturating_sub(started.elapsed()));
        pipe.push_sound(BLOCK)?;
    }
    let reported = pipe.latency()?;
    let mut late = Vec::with_capacity(order.count);
    for index in 0..total {
        let arrival = pipe.arrival().with_context(|| format!("frame {index}"))?;
        let after = (arrival.at - started).as_secs_f64() * 1e3;
        let moment = (index as i64 * FRAME_NS + look_ahead_ns) as f64 / 1e6;
        if index >= SETTLE {
            late.push(after - moment);
        }
    }
    Ok(json!({
        "look-ahead-ms": look_ahead_ns as f64 / 1e6,
        "processing-deadline-ms": deadline as f64 / 1e6,
        "reported-ms": reported.nseconds() as f64 / 1e6,
        "after-look-ahead-ms": late,
    }))
}
