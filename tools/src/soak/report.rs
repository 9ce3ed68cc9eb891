//! What is checked at the end: limits, what was measured, and whether it holds.

use lipsync_tools::{limit::Limit, numbers::mean, table::Table, usage::Usage};

use crate::live_pipeline::LivePipeline;

pub struct Check {
    what: String,
    limit: String,
    measured: String,
    pub holds: bool,
}

/// Of a hundred pulses so many must have been measured, or nothing is said about the offset.
const MEASURED_PERCENT: usize = 5;
/// GLib keeps this many idle threads for ever.
const IDLE_THREADS: u64 = 2;
/// What resident memory may grow by after warming up, in MiB: what the allocator's free lists and
/// larger frames make of it. One frame of 640x480 that leaks every minute exceeds it within the
/// hour.
const GROWTH_MIB: f64 = 24.0;

fn check(what: impl Into<String>, limit: &str, measured: String, holds: bool) -> Check {
    Check {
        what: what.into(),
        limit: limit.into(),
        measured,
        holds,
    }
}

/// Of one pipeline.
pub fn pipeline(pipeline: &LivePipeline) -> Vec<Check> {
    let name = pipeline.kind.name();
    let (offsets, skipped) = pipeline.pulses();
    let frames = pipeline.frames();
    let pulses = offsets.len() + skipped.all() as usize;
    let share = |offset: &crate::sync_pulses::Offset| offset.ns.abs() / offset.half_a_frame_ns;
    let worst = offsets.iter().max_by(|a, b| share(a).total_cmp(&share(b)));
    let mean = mean(
        &offsets
            .iter()
            .map(|offset| offset.ns / 1e6)
            .collect::<Vec<_>>(),
    );
    let offset = worst.map_or("no pulse was seen".to_owned(), |worst| {
        let (ms, most) = (worst.ns / 1e6, worst.half_a_frame_ns / 1e6);
        format!("{ms:+.1} of {most:.1} ms (mean {mean:+.1})")
    });
    let seen = offsets.len() * 100 >= pulses * MEASURED_PERCENT && pulses > 0;
    let accounted = format!(
        "{} of {} in: {} out, {} dropped",
        frames.lost, frames.taken, frames.sent, frames.dropped
    );
    let errors = pipeline.errors.len();
    vec![
        check(
            format!("{name}: A/V offset of the worst pulse"),
            "half a frame",
            offset,
            worst.is_some_and(|worst| share(worst) <= 1.0),
        ),
        check(
            format!("{name}: pulses that nothing disturbed"),
            &format!("{MEASURED_PERCENT} %"),
            format!("{} of {pulses}", offsets.len()),
            seen,
        ),
        check(
            format!("{name}: frames unaccounted for"),
            "0",
            accounted,
            frames.lost == 0 && frames.taken > 0,
        ),
        check(
            format!("{name}: errors, and faults after which no frame came"),
            "0",
            errors.to_string(),
            errors == 0,
        ),
    ]
}

/// Of the process: `growth_mib` of memory after warming up, and what was left at the end.
pub fn process(growth_mib: f64, before: Usage, after: Usage) -> Vec<Check> {
    let count = |what, before: u64, after: u64, slack: u64| {
        let limit = match slack {
            0 => "no more than before".to_owned(),
            slack => format!("{slack} more than before"),
        };
        check(
            what,
            &limit,
            format!("{before} -> {after}"),
            after <= before + slack,
        )
    };
    vec![
        check(
            "growth of memory after warming up",
            &format!("{GROWTH_MIB} MiB"),
            format!("{growth_mib:+.1} MiB, now {:.0}", after.rss_mib),
            Limit::AtMost(GROWTH_MIB).is_met(growth_mib),
        ),
        count(
            "threads at rest",
            before.threads,
            after.threads,
            IDLE_THREADS,
        ),
        count("files at rest", before.files, after.files, 0),
    ]
}

pub fn table(checks: &[Check]) -> String {
    let mut table = Table::new("l", ["what", "limit", "measured", ""]);
    for Check {
        what,
        limit,
        measured,
        holds,
    } in checks
    {
        let mark = if *holds { "ok" } else { "MISSED" };
        table.row([what.as_str(), limit, measured, mark]);
    }
    table.text()
}
