//! All that is measured, as `docs/benchmarks.json` has it.

use std::{collections::BTreeMap, path::Path};

use anyhow::Result;
use lipsync_tools::{
    numbers::{median, quantile},
    usage::Usage,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    child::{Times, WHOLE},
    machine::Machine,
    stack::{Model, Stack, Variant},
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
    pub models: Vec<String>,
    pub series: Vec<Series>,
    /// Several streams at once, as many as the first number.
    pub streams: Vec<(usize, Stack, AtOnce)>,
    pub start_model: String,
    pub latency: Option<Latency>,
    pub deploy_bytes: Sizes,
    pub left_out: Vec<String>,
}

/// What was measured of one stack that runs a model on something.
#[derive(Serialize)]
pub struct Series {
    pub model: String,
    pub stack: Stack,
    pub variant: Variant,
    /// What it says about itself.
    pub about: Value,
    /// By the name of what was measured: [`WHOLE`], [`START`], a part of a frame.
    pub rounds: BTreeMap<String, Rounds>,
}

/// Seconds from starting a process to its first frame.
pub const START: &str = "start-s";

impl Series {
    pub fn new(model: &Model, stack: Stack, variant: Variant, about: Value) -> Self {
        Self {
            model: model.name(),
            stack,
            variant,
            about,
            rounds: BTreeMap::new(),
        }
    }

    pub fn take(&mut self, times: Times) {
        for (name, values) in times {
            let rounded = values.iter().map(|value| (value * 1e3).round() / 1e3);
            let rounds = self.rounds.entry(name).or_default();
            rounds.0.push(rounded.collect());
        }
    }

    /// Over all rounds; `None` where that was not measured.
    pub fn quantile(&self, what: &str, q: f64) -> Option<f64> {
        quantile(&self.rounds.get(what)?.0.concat(), q)
    }

    pub fn median(&self, what: &str) -> Option<f64> {
        self.quantile(what, 0.5)
    }

    /// How many frames, or starts.
    pub fn count(&self, what: &str) -> usize {
        let rounds = self.rounds.get(what);
        rounds.map_or(0, |rounds| rounds.0.iter().map(Vec::len).sum())
    }

    /// How many times longer something takes than with the other.
    pub fn over(&self, other: &Self, what: &str) -> Option<Ratio> {
        self.rounds.get(what)?.over(other.rounds.get(what)?)
    }
}

impl Results {
    /// What was measured, or a note that it was not, once.
    pub fn noted<T>(&mut self, what: &str, measured: Result<T>) -> Option<T> {
        let error = match measured {
            Ok(measured) => return Some(measured),
            Err(error) => error,
        };
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("");
        let line = format!("{what}: {error:#}").replace(&*root.to_string_lossy(), "");
        if !self.left_out.contains(&line) {
            println!("  left out: {line}");
            self.left_out.push(line);
        }
        None
    }

    /// Stacks whose frames were timed.
    pub fn stacks(&self, model: &str) -> impl Iterator<Item = &Series> {
        let series = self.series.iter();
        series.filter(move |it| it.model == model && it.rounds.contains_key(WHOLE))
    }

    pub fn find(&self, model: &str, (stack, variant): (Stack, Variant)) -> Option<&Series> {
        let mut stacks = self.stacks(model);
        stacks.find(|it| (it.stack, it.variant) == (stack, variant))
    }

    /// How many times longer a frame takes in one stack than in another.
    pub fn ratio(&self, model: &str, of: (Stack, Variant), to: (Stack, Variant)) -> Option<Ratio> {
        self.find(model, of)?.over(self.find(model, to)?, WHOLE)
    }

    /// How long processes took to start.
    pub fn starts(&self) -> impl Iterator<Item = &Series> {
        self.series
            .iter()
            .filter(|it| it.rounds.contains_key(START))
    }
}

/// Times of one stack, round by round.
///
/// Stacks draw in turns, in short rounds, so that whatever else the machine does hits all alike.
/// What is compared is therefore one round's times with those of the same round, never sums over
/// the whole run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Rounds(pub Vec<Vec<f64>>);

impl Rounds {
    /// How many times longer this takes than the other, round by round.
    fn over(&self, other: &Self) -> Option<Ratio> {
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
        // One outlier within a round does not count, a slow round does.
        let base = Rounds(vec![vec![1.0]; 3]);
        let other = Rounds(vec![vec![1.1, 1.1, 90.0], vec![1.0], vec![1.4]]);
        assert_eq!(other.over(&base).unwrap().text(), "1.10 (1.00 to 1.40)");
        assert_eq!(other.over(&Rounds::default()), None);
    }
}
