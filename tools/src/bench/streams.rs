//! Several streams at once: ours in one process, Python's in as many processes.

use lipsync_tools::numbers::quantile;
use serde::Serialize;

use crate::{
    frame_times::Effort,
    process::Launcher,
    results::AtOnce,
    stack::{Model, Stack},
};

const COUNTS: [usize; 4] = [1, 2, 4, 10];

#[derive(Serialize)]
pub struct Streams {
    pub model: String,
    pub counts: Vec<Count>,
}

/// So many streams at once.
#[derive(Serialize)]
pub struct Count {
    pub streams: usize,
    pub ours: Option<AtOnce>,
    pub python: Option<AtOnce>,
}

impl AtOnce {
    pub fn ms(&self, q: f64) -> f64 {
        quantile(&self.frame_ms, q).unwrap_or_default()
    }
}

impl Count {
    /// Those that were measured, by the names in tables.
    pub fn measured(&self) -> impl Iterator<Item = (&'static str, &AtOnce)> {
        let both = [
            ("ours", &self.ours),
            ("Python + ONNX Runtime", &self.python),
        ];
        both.into_iter()
            .filter_map(|(name, run)| Some((name, run.as_ref()?)))
    }
}

pub fn measure(launcher: &mut Launcher, model: &Model, effort: &Effort) -> Streams {
    let mut run = |stack: Stack, streams| {
        let ran = launcher.streams(model, stack, streams, effort.stream_frames);
        let what = format!("{}, {}", model.name(), stack.title());
        ran.map_err(|error| launcher.leave_out(&what, &error)).ok()
    };
    let counts = COUNTS.map(|streams| {
        let count = Count {
            streams,
            ours: run(Stack::Element, streams),
            python: model
                .manifest()
                .and_then(|_| run(Stack::PythonOnnx, streams)),
        };
        for (name, at_once) in count.measured() {
            let (rate, p99) = (at_once.frames_per_second, at_once.ms(0.99));
            let memory = at_once.memory.pss_mib;
            println!("  {streams:>2} {name}: {rate:.1} frames/s, p99 {p99:.0} ms, {memory:.0} MiB");
        }
        count
    });
    Streams {
        model: model.name(),
        counts: counts.into(),
    }
}
