//! The table at the end: limits, what was measured, and whether it holds.

use crate::{
    pulses::{Offset, Skipped},
    station::Frames,
};

pub struct Line {
    pub what: String,
    pub limit: String,
    pub measured: String,
    pub holds: bool,
}

impl Line {
    fn new(
        what: impl Into<String>,
        limit: impl Into<String>,
        measured: String,
        holds: bool,
    ) -> Self {
        Self {
            what: what.into(),
            limit: limit.into(),
            measured,
            holds,
        }
    }
}

/// Of a hundred pulses so many must have been measured, or nothing is said about the offset.
const MEASURED_PERCENT: usize = 5;

/// What is asked of one station.
pub fn of_station(name: &str, offsets: &[Offset], skipped: Skipped, frames: Frames) -> Vec<Line> {
    let pulses = offsets.len() + skipped.all() as usize;
    let share = |offset: &Offset| offset.ns.abs() / offset.half_a_frame_ns;
    let worst = offsets.iter().max_by(|a, b| share(a).total_cmp(&share(b)));
    let mean = offsets.iter().map(|offset| offset.ns).sum::<f64>() / offsets.len().max(1) as f64;
    vec![
        Line::new(
            format!("{name}: A/V offset of the worst pulse"),
            "half a frame",
            worst.map_or("no pulse was seen".to_owned(), |worst| {
                format!(
                    "{:+.1} of {:.1} ms (mean {:+.1})",
                    worst.ns / 1e6,
                    worst.half_a_frame_ns / 1e6,
                    mean / 1e6
                )
            }),
            worst.is_some_and(|worst| share(worst) <= 1.0),
        ),
        Line::new(
            format!("{name}: pulses that nothing disturbed"),
            format!("{MEASURED_PERCENT} %"),
            format!("{} of {pulses}", offsets.len()),
            offsets.len() * 100 >= pulses * MEASURED_PERCENT && pulses > 0,
        ),
        Line::new(
            format!("{name}: frames unaccounted for"),
            "0",
            format!(
                "{} of {} in: {} out, {} dropped",
                frames.lost, frames.taken, frames.sent, frames.dropped
            ),
            frames.lost == 0 && frames.taken > 0,
        ),
    ]
}

/// Nothing may have been left at the end: threads or files.
pub fn of_count(what: &str, before: u64, after: u64, slack: u64) -> Line {
    let limit = match slack {
        0 => "no more than before".to_owned(),
        slack => format!("{slack} more than before"),
    };
    Line::new(
        what,
        limit,
        format!("{before} -> {after}"),
        after <= before + slack,
    )
}

pub fn of_memory(growth_kib: f64, limit_kib: f64, now_kib: u64) -> Line {
    let mib = |kib: f64| kib / 1024.0;
    Line::new(
        "growth of memory after warming up",
        format!("{:.0} MiB", mib(limit_kib)),
        format!(
            "{:+.1} MiB, now {:.0}",
            mib(growth_kib),
            mib(now_kib as f64)
        ),
        growth_kib <= limit_kib,
    )
}

pub fn of_faults(what: &str, found: usize) -> Line {
    Line::new(what, "0", found.to_string(), found == 0)
}

pub fn table(lines: &[Line]) -> String {
    let width = |text: fn(&Line) -> &str| {
        let widths = lines.iter().map(|line| text(line).chars().count());
        widths.max().unwrap_or(0)
    };
    let (what, limit) = (width(|line| &line.what), width(|line| &line.limit));
    let measured = width(|line| &line.measured);
    lines
        .iter()
        .map(|line| {
            format!(
                "{:what$}  {:limit$}  {:measured$}  {}\n",
                line.what,
                line.limit,
                line.measured,
                if line.holds { "ok" } else { "MISSED" }
            )
        })
        .collect()
}
