//! Several elements at once in one process: how many frames a second all together, how long each
//! takes, how much memory, and whether each draws what it draws alone.

use std::{sync::Arc, thread, time::Instant};

use anyhow::{Context, Result, anyhow};
use lipsync_tools::usage::Usage;

use super::{Draw as _, Order, WARM_UP, WHOLE, element::Pipeline};
use crate::{input::Material, results::AtOnce};

/// Frames that wait for the element: as few as keep it busy, since all of them are in memory.
const AHEAD: usize = 2;
/// Frames of each stream whose bytes are compared.
const COMPARED: usize = 4;

pub fn measure(order: &Order, streams: usize, frames: usize) -> Result<AtOnce> {
    let material = Arc::new(Material::read(&order.input, order.amount)?);
    let open = |stream| Pipeline::start(order, &material, stream, false);
    let open_all = || (0..streams).map(open).collect::<Result<Vec<_>>>();
    let warm = at_once(open_all()?, |mut pipeline| {
        pipeline.draw(WARM_UP)?;
        Ok(pipeline)
    })?;
    let timed = at_once(warm, |mut pipeline| {
        let from = Instant::now();
        let mut times = Vec::with_capacity(frames);
        while times.len() < frames {
            let mut drawn = pipeline.draw(AHEAD.min(frames - times.len()))?;
            times.extend(drawn.remove(WHOLE).unwrap_or_default());
        }
        Ok((from, Instant::now(), times, pipeline))
    })?;
    // While all of them are still there.
    let memory = Usage::now()?;
    let first = timed.iter().map(|(from, ..)| *from).min();
    let last = timed.iter().map(|(_, until, ..)| *until).max();
    let (first, last) = first.zip(last).context("no streams")?;
    let frame_ms: Vec<f64> = timed
        .into_iter()
        .flat_map(|(_, _, times, _)| times)
        .collect();

    let together = at_once(open_all()?, hashes)?;
    let mut differ = 0;
    for (stream, together) in together.iter().enumerate() {
        differ += u64::from(hashes(open(stream)?)? != *together);
    }
    Ok(AtOnce {
        frames_per_second: frame_ms.len() as f64 / (last - first).as_secs_f64(),
        frame_ms,
        memory,
        streams_that_differ: differ,
    })
}

/// Does the same to all at the same time.
fn at_once<T: Send, R: Send>(all: Vec<T>, work: impl Fn(T) -> Result<R> + Sync) -> Result<Vec<R>> {
    let work = &work;
    thread::scope(|scope| {
        let start = |one| scope.spawn(move || work(one));
        let threads: Vec<_> = all.into_iter().map(start).collect();
        let results = threads.into_iter().map(|thread| {
            let joined = thread.join();
            joined.map_err(|_| anyhow!("a stream panicked"))?
        });
        results.collect()
    })
}

fn hashes(mut pipeline: Pipeline) -> Result<Vec<u64>> {
    pipeline.hash();
    for frame in pipeline.prepare(COMPARED)? {
        pipeline.video.push_buffer(frame)?;
    }
    let hashes = (0..COMPARED).map(|_| pipeline.arrival()?.hash.context("no bytes"));
    let hashes = hashes.collect::<Result<Vec<_>>>()?;
    pipeline.check()?;
    Ok(hashes)
}
