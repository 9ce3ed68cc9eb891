//! What is checked at the end: limits, what was measured, and whether it holds.

use lipsync_tools::{numbers::mean, table::Table, usage::Usage};

use crate::{live_pipeline::LivePipeline, sync_pulses::Offset};

pub struct Check {
    what: String,
    limit: String,
    measured: String,
    pub holds: bool,
}

/// Of a hundred pulses so many must have been measured, or nothing is said about the offset.
const MEASURED_PERCENT: u64 = 5;
/// GLib keeps this many idle threads for ever.
const IDLE_THREADS: u64 = 2;
/// What resident memory may grow by after warming up, in MiB: what the allocator's free lists and
/// larger frames make of it. One frame of 640x480 that leaks every minute exceeds it within the
/// hour.
const GROWTH_MIB: f64 = 24.0;

fn check(what: String, limit: &str, measured: String, holds: bool) -> Check {
    let limit = limit.into();
    Check {
        what,
        limit,
        measured,
        holds,
    }
}

/// Of one pipeline.
pub fn pipeline(pipeline: &LivePipeline) -> Vec<Check> {
    let what = |text: &str| format!("{}: {text}", pipeline.kind.name());
    let (offsets, skipped) = pipeline.pulses();
    let (seen, disturbed) = (
        offsets.len() as u64,
        skipped.audio + skipped.frames + skipped.drawing,
    );
    let share = |offset: &Offset| offset.ns.abs() / offset.half_a_frame_ns;
    let worst = offsets.iter().max_by(|a, b| share(a).total_cmp(&share(b)));
    let mean = mean(&offsets.iter().map(|it| it.ns / 1e6).collect::<Vec<_>>());
    let offset = worst.map_or("no pulse was seen".to_owned(), |worst| {
        let (ms, most) = (worst.ns / 1e6, worst.half_a_frame_ns / 1e6);
        format!("{ms:+.1} of {most:.1} ms (mean {mean:+.1})")
    });
    let offset_holds = worst.is_some_and(|worst| share(worst) <= 1.0);
    let pulses = format!("{seen} of {}", seen + disturbed);
    let pulses_hold = seen > 0 && seen * 100 >= (seen + disturbed) * MEASURED_PERCENT;
    let [taken, sent, dropped] =
        ["frames-in", "frames-out", "frames-dropped"].map(|name| pipeline.count(name));
    let lost = pipeline.lost;
    let accounted = format!("{lost} of {taken} in: {sent} out, {dropped} dropped");
    let errors = pipeline.errors.len();
    let percent = format!("{MEASURED_PERCENT} %");
    vec![
        check(
            what("A/V offset of the worst pulse"),
            "half a frame",
            offset,
            offset_holds,
        ),
        check(
            what("pulses that nothing disturbed"),
            &percent,
            pulses,
            pulses_hold,
        ),
        check(
            what("frames unaccounted for"),
            "0",
            accounted,
            lost == 0 && taken > 0,
        ),
        check(
            what("errors, and faults after which no frame came"),
            "0",
            errors.to_string(),
            errors == 0,
        ),
    ]
}

/// Of the process: `growth_mib` of memory after warming up, and what was left at the end.
pub fn process(growth_mib: f64, before: Usage, after: Usage) -> Vec<Check> {
    let count = |what: &str, limit: String, before: u64, after: u64, slack: u64| {
        let measured = format!("{before} -> {after}");
        check(what.into(), &limit, measured, after <= before + slack)
    };
    let more = format!("{IDLE_THREADS} more than before");
    vec![
        check(
            "growth of memory after warming up".into(),
            &format!("{GROWTH_MIB} MiB"),
            format!("{growth_mib:+.1} MiB, now {:.0}", after.rss_mib),
            growth_mib <= GROWTH_MIB,
        ),
        count(
            "threads at rest",
            more,
            before.threads,
            after.threads,
            IDLE_THREADS,
        ),
        count(
            "files at rest",
            "no more than before".into(),
            before.files,
            after.files,
            0,
        ),
    ]
}

pub fn table(checks: &[Check]) -> String {
    let mut table = Table::new("l", ["what", "limit", "measured", ""]);
    for it in checks {
        let mark = if it.holds { "ok" } else { "MISSED" };
        table.row([it.what.as_str(), &it.limit, &it.measured, mark]);
    }
    table.text()
}
