//! All that is measured, as `docs/benchmarks.json` has it.

use std::collections::BTreeMap;

use lipsync_tools::{numbers::quantile, usage::Usage};
use serde::{Deserialize, Serialize};

use crate::{
    frame_times::FrameTimes,
    machine::Machine,
    requirements::Requirement,
    rounds::Rounds,
    stack::{Stack, Variant},
    streams::Streams,
};

#[derive(Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Results {
    pub command: String,
    pub date: String,
    pub commit: String,
    pub machine: Machine,
    /// Processes that waited for a CPU before and after.
    pub load: [Option<f64>; 2],
    pub threads: usize,
    /// What Python runs on.
    pub home: Variant,
    /// Size of the frames.
    pub frame: String,
    pub quick: bool,
    pub bars: Vec<Requirement>,
    pub models: Vec<FrameTimes>,
    pub streams: Vec<Streams>,
    pub start_model: String,
    pub starts: Vec<Start>,
    pub latency: Option<Latency>,
    pub deploy_bytes: Sizes,
    pub left_out: Vec<String>,
}

impl Results {
    pub fn started(&self, stack: Stack) -> Option<&Rounds> {
        let start = self.starts.iter().find(|start| start.stack == stack)?;
        Some(&start.seconds)
    }
}

/// From starting a process to its first frame.
#[derive(Serialize)]
pub struct Start {
    pub stack: Stack,
    pub seconds: Rounds,
}

/// Several streams at once: what one run of them says.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AtOnce {
    pub frames_per_second: f64,
    pub frame_ms: Vec<f64>,
    /// Of all processes.
    pub memory: Usage,
    /// Streams whose bytes are not those that they have alone.
    #[serde(default)]
    pub streams_that_differ: u64,
}

/// Of a live pipeline.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Latency {
    pub look_ahead_ms: f64,
    pub processing_deadline_ms: f64,
    pub reported_ms: f64,
    /// Of each frame: how long after the audio that it waits for it came out.
    pub after_look_ahead_ms: Vec<f64>,
}

impl Latency {
    pub fn late(&self, q: f64) -> f64 {
        quantile(&self.after_look_ahead_ms, q).unwrap_or_default()
    }
}

/// Bytes of what must be deployed.
#[derive(Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sizes {
    pub plugin: u64,
    pub plugin_stripped: Option<u64>,
    pub onnxruntime: u64,
    /// By model.
    pub networks: BTreeMap<String, u64>,
    pub python: Vec<(Stack, PythonSize)>,
}

/// What a Python stack needs.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PythonSize {
    pub packages: u64,
    pub bytes: u64,
    pub nvidia_bytes: u64,
}
