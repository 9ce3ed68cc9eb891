//! Several streams at once: ours in one process, Python's in as many processes.

use serde_json::Value;

use crate::{
    arena::Arena,
    child::numbers,
    contest::Effort,
    figures::{median, quantile},
    models::Model,
    roster::Stack,
};

const SIZES: [usize; 4] = [1, 2, 4, 10];

pub struct Crowd {
    pub model: String,
    pub sizes: Vec<Size>,
}

/// So many streams at once.
pub struct Size {
    pub streams: usize,
    pub ours: Option<Together>,
    pub python: Option<Together>,
    /// Streams of ours whose bytes are not those that they have alone.
    pub differ: u64,
}

pub struct Together {
    pub frames_per_second: f64,
    pub median_ms: f64,
    pub p99_ms: f64,
    /// Of all processes: pages that several share counted once, and each process's peak.
    pub pss_mib: f64,
    pub peak_mib: f64,
}

impl Size {
    /// Ours and theirs.
    pub fn memory(&self) -> Option<(f64, f64)> {
        Some((self.ours.as_ref()?.pss_mib, self.python.as_ref()?.pss_mib))
    }
}

pub fn measure(arena: &mut Arena, model: &Model, effort: &Effort) -> Crowd {
    let mut sizes = Vec::new();
    for streams in SIZES {
        let mut run = |stack| {
            let ran = arena.streams(model, stack, streams, effort.stream_frames);
            ran.map_err(|error| arena.left_out(model, stack, arena.home, &error))
                .ok()
        };
        let ours = run(Stack::Element);
        let python = match model.manifest() {
            Some(_) => run(Stack::PythonOnnx),
            None => None,
        };
        let size = Size {
            streams,
            differ: ours.as_ref().map_or(0, differ),
            ours: ours.as_ref().map(Together::of),
            python: python.as_ref().map(Together::of),
        };
        for (name, together) in [("ours", &size.ours), ("Python", &size.python)] {
            if let Some(found) = together {
                println!(
                    "  {streams:>2} streams, {name:<6}: {:.1} frames/s, p99 {:.0} ms, {:.0} MiB",
                    found.frames_per_second, found.p99_ms, found.pss_mib
                );
            }
        }
        sizes.push(size);
    }
    Crowd {
        model: model.name(),
        sizes,
    }
}

fn differ(answer: &Value) -> u64 {
    answer["streams-that-differ"].as_u64().unwrap_or_default()
}

impl Together {
    fn of(answer: &Value) -> Self {
        let times = numbers(answer, "frame-ms");
        let number = |value: &Value| value.as_f64().unwrap_or_default();
        Self {
            frames_per_second: number(&answer["frames-per-second"]),
            median_ms: median(&times).unwrap_or_default(),
            p99_ms: quantile(&times, 0.99).unwrap_or_default(),
            pss_mib: number(&answer["memory"]["pss-mib"]),
            peak_mib: number(&answer["memory"]["peak-rss-mib"]),
        }
    }
}
