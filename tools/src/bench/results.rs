//! All that is measured, as `docs/benchmarks.json` has it.

use std::collections::BTreeMap;

use lipsync_tools::{
    numbers::{median, quantile},
    usage::Usage,
};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::{
    child::{Times, WHOLE},
    machine::Machine,
    requirements::Requirement,
    stack::{Stack, Variant},
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
    /// Notes what is not measured, once.
    pub fn leave_out(&mut self, what: &str, error: &anyhow::Error) {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("");
        let line = format!("{what}: {error:#}").replace(&*root.to_string_lossy(), "");
        if !self.left_out.contains(&line) {
            println!("  left out: {line}");
            self.left_out.push(line);
        }
    }

    pub fn started(&self, stack: Stack) -> Option<&Rounds> {
        let start = self.starts.iter().find(|start| start.stack == stack)?;
        Some(&start.seconds)
    }
}

/// Times of one stack: milliseconds of each frame, round by round.
///
/// Stacks draw in turns, in short rounds, so that whatever else the machine does hits all alike.
/// What is compared is therefore one round's times with those of the same round, never sums over
/// the whole run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Rounds(pub Vec<Vec<f64>>);

impl Rounds {
    /// Of all frames.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        quantile(&self.0.concat(), q)
    }

    pub fn median(&self) -> Option<f64> {
        self.quantile(0.5)
    }

    pub fn frames(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// How many times longer this takes than the other, round by round.
    pub fn over(&self, other: &Self) -> Option<Ratio> {
        let rounds = self.0.iter().zip(&other.0);
        let ratios = rounds.filter_map(|(mine, other)| Some(median(mine)? / median(other)?));
        let ratios: Vec<f64> = ratios.collect();
        let at = |q| quantile(&ratios, q);
        Some(Ratio {
            median: at(0.5)?,
            lowest: at(0.0)?,
            highest: at(1.0)?,
        })
    }
}

/// What the rounds say about a ratio.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    pub median: f64,
    lowest: f64,
    highest: f64,
}

impl Ratio {
    /// `1.08 (1.02 to 1.15)`
    pub fn text(&self) -> String {
        let digits = if self.median < 10.0 { 2 } else { 1 };
        let [median, lowest, highest] =
            [self.median, self.lowest, self.highest].map(|ratio| format!("{ratio:.digits$}"));
        format!("{median} ({lowest} to {highest})")
    }
}

/// How long a frame of one model takes.
#[derive(Serialize)]
pub struct FrameTimes {
    pub model: String,
    pub stacks: Vec<Measured>,
}

/// One stack's times.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Measured {
    pub stack: Stack,
    pub variant: Variant,
    /// What it says about itself.
    pub about: Value,
    pub rounds_ms: Rounds,
    /// Milliseconds of the parts of all frames.
    #[serde(serialize_with = "medians")]
    pub parts_ms: BTreeMap<String, Vec<f64>>,
}

fn medians<S: Serializer>(
    parts: &BTreeMap<String, Vec<f64>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(parts.iter().map(|(name, ms)| (name, median(ms))))
}

impl FrameTimes {
    pub fn find(&self, stack: Stack, variant: Variant) -> Option<&Measured> {
        let mut stacks = self.stacks.iter();
        stacks.find(|it| it.stack == stack && it.variant == variant)
    }

    /// How many times longer one stack takes than another.
    pub fn ratio(&self, of: (Stack, Variant), to: (Stack, Variant)) -> Option<Ratio> {
        let (of, to) = (self.find(of.0, of.1)?, self.find(to.0, to.1)?);
        of.rounds_ms.over(&to.rounds_ms)
    }

    /// What the element is fastest on.
    pub fn fastest_element(&self) -> Option<&Measured> {
        let elements = self.stacks.iter().filter(|it| it.stack == Stack::Element);
        let time = |it: &Measured| it.rounds_ms.median().unwrap_or(f64::INFINITY);
        elements.min_by(|a, b| time(a).total_cmp(&time(b)))
    }
}

impl Measured {
    pub fn take(&mut self, times: Times) {
        for (name, ms) in times {
            let rounded = ms.iter().map(|ms| (ms * 1e3).round() / 1e3).collect();
            match name.trim_end_matches("-ms") {
                _ if name == WHOLE => self.rounds_ms.0.push(rounded),
                part => self.parts_ms.entry(part.into()).or_default().extend(ms),
            }
        }
    }

    pub fn part(&self, name: &str) -> Option<f64> {
        median(self.parts_ms.get(name)?)
    }
}

/// From starting a process to its first frame.
#[derive(Serialize)]
pub struct Start {
    pub stack: Stack,
    pub seconds: Rounds,
}

/// Several streams at once: ours in one process, Python's in as many processes.
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

impl Count {
    /// Those that were measured, by the names in tables.
    pub fn measured(&self) -> impl Iterator<Item = (&'static str, &AtOnce)> {
        let python = ("Python + ONNX Runtime", &self.python);
        let both = [("ours", &self.ours), python].into_iter();
        both.filter_map(|(name, run)| Some((name, run.as_ref()?)))
    }
}

/// What one run of several streams says.
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

impl AtOnce {
    pub fn ms(&self, q: f64) -> f64 {
        quantile(&self.frame_ms, q).unwrap_or_default()
    }
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

/// Bytes of what must be on a machine for a stack to run: files beyond the operating system,
/// GStreamer and the Python interpreter.
#[derive(Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sizes {
    pub plugin: u64,
    /// `None` where no `strip` is installed.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_gets_busy_changes_times_and_not_ratios() {
        let quick = Rounds(vec![vec![1.0, 1.0], vec![5.0, 5.0], vec![2.0, 2.0]]);
        let slow = Rounds(vec![vec![3.0, 3.0], vec![15.0, 15.0], vec![6.0, 6.0]]);
        assert_eq!(slow.over(&quick).unwrap().text(), "3.00 (3.00 to 3.00)");
        assert_eq!((slow.median(), slow.frames()), (Some(6.0), 6));
        // One outlier within a round does not count, a slow round does.
        let base = Rounds(vec![vec![1.0]; 3]);
        let other = Rounds(vec![vec![1.1, 1.1, 90.0], vec![1.0], vec![1.4]]);
        assert_eq!(other.over(&base).unwrap().text(), "1.10 (1.00 to 1.40)");
        assert_eq!(other.over(&Rounds::default()), None);
    }
}
