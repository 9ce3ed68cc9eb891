//! The table at the end of a demo.

use std::fmt::Write as _;

use lipsync_tools::stats::STAGES;

use crate::{launch::Played, measure::Offset};

pub fn table(played: &Played, offset: Result<Offset, &str>) -> String {
    let stats = &played.stats;
    let mut table = String::new();
    let mut row = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(table, "{name:<24}{value}");
    };
    row("model", stats.text("model-name"));
    row("runs on", stats.text("active-execution-provider"));
    row("frames", stats.count("frames-out").to_string());
    row("frames synced", stats.count("frames-synced").to_string());
    for (name, count) in [
        ("  in silence", "frames-silent"),
        ("  without a face", "frames-no-face"),
        ("  with a hidden mouth", "frames-occluded"),
        ("  late", "frames-late"),
        ("  failed", "frames-error"),
    ] {
        row(name, stats.count(count).to_string());
    }
    for stage in STAGES {
        row(
            &format!("ms a frame, {stage}"),
            format!(
                "{:.2} (p95 {:.2})",
                stats.milliseconds(stage, "mean"),
                stats.milliseconds(stage, "p95")
            ),
        );
    }
    let (media, wall) = (played.media.as_secs_f64(), played.wall.as_secs_f64());
    row(
        "realtime factor",
        format!(
            "{:.2} ({media:.1} s of video in {wall:.1} s, decoding and encoding included)",
            media / wall.max(f64::EPSILON)
        ),
    );
    row(
        "A/V offset",
        match offset {
            Ok(offset) => format!(
                "mouth {:.0} ms {} the sound (correlation {:.2})",
                offset.milliseconds.abs(),
                if offset.milliseconds < 0.0 {
                    "before"
                } else {
                    "after"
                },
                offset.correlation
            ),
            Err(reason) => format!("not measured: {reason}"),
        },
    );
    table
}
