//! Several elements at once in one process: how many frames a second all together, how long each
//! takes, how much memory, and whether each draws what it draws alone.

use std::{sync::Arc, thread, time::Instant};

use anyhow::{Result, anyhow};
use serde_json::{Value, json};

use super::{
    Contender as _, Order, WARM_UP,
    element::{self, Pace, Pipe},
    memory,
};
use crate::job::Material;

/// Frames that wait for the element: as few as keep it busy, since all of them are in memory.
const AHEAD: usize = 2;
/// Frames of each stream whose bytes are compared.
const COMPARED: usize = 4;

pub fn measure(order: &Order) -> Result<Value> {
    let material = element::material(order)?;
    let pipes = open(order, &material)?;
    let drawn = at_once(pipes, |mut pipe| {
        pipe.draw(WARM_UP)?;
        Ok(pipe)
    })?;
    let timed = at_once(drawn, |mut pipe| {
        let from = Instant::now();
        let mut times = Vec::with_capacity(order.count);
        while times.len() < order.count {
            let (_, drawn) = pipe
                .draw(AHEAD.min(order.count - times.len()))?
                .swap_remove(0);
            times.extend(drawn);
        }
        Ok((from, Instant::now(), times, pipe))
    })?;
    // While all of them are still there.
    let memory = memory()?;
    let first = timed.iter().map(|(from, ..)| *from).min();
    let last = timed.iter().map(|(_, until, ..)| *until).max();
    let wall = first
        .zip(last)
        .map_or(0.0, |(from, until)| (until - from).as_secs_f64());
    let times: Vec<f64> = timed
        .into_iter()
        .flat_map(|(_, _, times, _)| times)
        .collect();

    let together = at_once(open(order, &material)?, hashes)?;
    let mut differ = 0;
    for (stream, together) in together.iter().enumerate() {
        let alone = hashes(Pipe::start(
            order,
            Arc::clone(&material),
            stream,
            Pace::File,
        )?)?;
        differ += usize::from(alone != *together);
    }
    Ok(json!({
        "streams": order.streams,
        "frames-per-second": times.len() as f64 / wall,
        "frame-ms": times,
        "memory": memory,
        "streams-that-differ": differ,
    }))
}

fn open(order: &Order, material: &Arc<Material>) -> Result<Vec<Pipe>> {
    (0..order.streams)
        .map(|stream| Pipe::start(order, Arc::clone(material), stream, Pace::File))
        .collect()
}

/// Does the same to all at the same time.
fn at_once<T: Send, R: Send>(all: Vec<T>, work: impl Fn(T) -> Result<R> + Sync) -> Result<Vec<R>> {
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = all
            .into_iter()
            .map(|one| scope.spawn(move || work(one)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("a stream panicked"))?)
            .collect()
    })
}

fn hashes(mut pipe: Pipe) -> Result<Vec<u64>> {
    pipe.hash();
    for frame in pipe.prepare(COMPARED)? {
        pipe.video.push_buffer(frame)?;
    }
    let hashes = (0..COMPARED).map(|_| pipe.arrival()?.hash.ok_or_else(|| anyhow!("no bytes")));
    let hashes = hashes.collect::<Result<Vec<_>>>()?;
    pipe.check()?;
    Ok(hashes)
}
