//! The element's `stats`, read through its public property.

use gst::prelude::*;

/// Names of the stages that `stats` times.
pub const STAGES: [&str; 5] = ["track", "features", "infer", "blend", "total"];

/// A snapshot of the counters and timings.
pub struct Stats(gst::Structure);

impl Stats {
    pub fn of(lipsync: &gst::Element) -> Self {
        Self(lipsync.property("stats"))
    }

    /// A counter; 0 when the element has none of that name.
    pub fn count(&self, name: &str) -> u64 {
        self.0.get(name).unwrap_or_default()
    }

    pub fn text(&self, name: &str) -> String {
        self.0.get(name).unwrap_or_default()
    }

    /// A stage's timing in milliseconds: `figure` is last, mean, p50, p95 or p99.
    pub fn milliseconds(&self, stage: &str, figure: &str) -> f64 {
        self.count(&format!("{stage}-{figure}")) as f64 / 1000.0
    }
}
