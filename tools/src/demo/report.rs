//! The table at the end of a demo.

use anyhow::Result;
use gst_lipsync::offset::Offset;
use lipsync_tools::pipeline::STAGES;

use crate::launch::Played;

pub fn table(played: &Played, offset: Result<Offset>) -> String {
    let stats = &played.stats;
    let mut rows = vec![
        ("model".to_owned(), stats.text("model-name")),
        (
            "runs on".to_owned(),
            stats.text("active-execution-provider"),
        ),
    ];
    for (name, counter) in [
        ("frames", "frames-out"),
        ("frames synced", "frames-synced"),
        ("  in silence", "frames-silent"),
        ("  without a face", "frames-no-face"),
        ("  before anyone spoke", "frames-no-speaker"),
        ("  with a hidden mouth", "frames-occluded"),
        ("  late", "frames-late"),
        ("  failed", "frames-error"),
    ] {
        rows.push((name.to_owned(), stats.count(counter).to_string()));
    }
    for stage in STAGES {
        let [mean, p95] = ["mean", "p95"].map(|figure| stats.milliseconds(stage, figure));
        let name = format!("ms a frame, {stage}");
        rows.push((name, format!("{mean:.2} (p95 {p95:.2})")));
    }
    let (media, wall) = (played.media.as_secs_f64(), played.wall.as_secs_f64());
    let factor = media / wall.max(f64::EPSILON);
    rows.push((
        "realtime factor".to_owned(),
        format!(
            "{factor:.2} ({media:.1} s of video in {wall:.1} s, decoding and encoding included)"
        ),
    ));
    let offset = offset.map(
        |Offset {
             milliseconds,
             correlation,
         }| {
            let side = if milliseconds < 0.0 {
                "before"
            } else {
                "after"
            };
            let apart = milliseconds.abs();
            format!("mouth {apart:.0} ms {side} the sound (correlation {correlation:.2})")
        },
    );
    let offset = offset.unwrap_or_else(|reason| format!("not measured: {reason:#}"));
    rows.push(("A/V offset".to_owned(), offset));
    let lines = rows
        .iter()
        .map(|(name, value)| format!("{name:<24}{value}\n"));
    lines.collect()
}
