//! How long a frame takes with one model: all stacks alive and warm, drawing in turns.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Instant};

use anyhow::Result;
use lipsync_tools::numbers::median;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::{
    child::{Times, WHOLE},
    input::Amount,
    process::{Launcher, Process},
    results::Start,
    rounds::{Ratio, Rounds},
    stack::{Model, OURS, PYTHON, Stack, Variant},
};

/// How long it takes in all.
pub struct Effort {
    /// Of every model: the least, and the most that are begun within so many seconds.
    rounds: RangeInclusive<usize>,
    seconds: f64,
    /// Of a stack's turn, which lasts about so long.
    frames: RangeInclusive<usize>,
    turn_ms: f64,
    /// Frames of each of several streams at once, and new processes for the start.
    pub stream_frames: usize,
    starts: usize,
}

impl Effort {
    pub const FULL: Self = Self {
        rounds: 3..=9,
        seconds: 18.0,
        frames: 2..=10,
        turn_ms: 500.0,
        stream_frames: 8,
        starts: 3,
    };
    pub const QUICK: Self = Self {
        rounds: 1..=3,
        seconds: 5.0,
        frames: 1..=3,
        turn_ms: 100.0,
        stream_frames: 3,
        starts: 2,
    };

    fn frames_in_a_turn(&self, frame_ms: f64) -> usize {
        let fitting = (self.turn_ms / frame_ms.max(0.1)) as usize;
        fitting.clamp(*self.frames.start(), *self.frames.end())
    }
}

/// Of one model.
#[derive(Serialize)]
pub struct FrameTimes {
    pub model: String,
    /// What Python runs on.
    #[serde(skip)]
    pub home: Variant,
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

    /// The same of two that run on what Python runs on.
    pub fn at_home(&self, of: Stack, to: Stack) -> Option<Ratio> {
        self.ratio((of, self.home), (to, self.home))
    }

    /// What the element is fastest on.
    pub fn fastest_element(&self) -> Option<&Measured> {
        let elements = self.stacks.iter().filter(|it| it.stack == Stack::Element);
        let time = |it: &Measured| it.rounds_ms.median().unwrap_or(f64::INFINITY);
        elements.min_by(|a, b| time(a).total_cmp(&time(b)))
    }
}

impl Measured {
    fn take(&mut self, times: Times) {
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

/// Starts what can be started, lets all take turns, ends them.
pub fn measure(launcher: &mut Launcher, model: &Model, effort: &Effort) -> Result<FrameTimes> {
    println!("\n{}", model.name());
    let home = launcher.home;
    let mut running = Vec::new();
    for stack in PYTHON {
        if model.manifest().is_some() && home.is_for_python() {
            running.extend(start(launcher, model, stack, home));
        }
    }
    for variant in home.rivals() {
        // What does not start for a bare call does not start at all.
        for stack in OURS {
            match start(launcher, model, stack, variant) {
                Some(started) => running.push(started),
                None => break,
            }
        }
    }
    let mut turns = Vec::new();
    for (_, process) in &mut running {
        let frame_ms = process.draw(1)?.get(WHOLE).and_then(|ms| median(ms));
        turns.push(effort.frames_in_a_turn(frame_ms.unwrap_or_default()));
    }
    let started = Instant::now();
    for round in 0..*effort.rounds.end() {
        let is_late = started.elapsed().as_secs_f64() > effort.seconds;
        if is_late && round >= *effort.rounds.start() {
            break;
        }
        for ((measured, process), frames) in running.iter_mut().zip(&turns) {
            measured.take(process.draw(*frames)?);
        }
    }
    for (
        Measured {
            stack,
            variant,
            rounds_ms,
            ..
        },
        _,
    ) in &running
    {
        println!(
            "  {:<32} {:<14} {:8.2} ms, p95 {:8.2} ({} frames)",
            stack.title(),
            variant.name(),
            rounds_ms.median().unwrap_or_default(),
            rounds_ms.quantile(0.95).unwrap_or_default(),
            rounds_ms.frames()
        );
    }
    Ok(FrameTimes {
        model: model.name(),
        home,
        stacks: running.into_iter().map(|(measured, _)| measured).collect(),
    })
}

fn start(
    launcher: &mut Launcher,
    model: &Model,
    stack: Stack,
    variant: Variant,
) -> Option<(Measured, Process)> {
    let started = launcher.start(model, stack, variant, Amount::All);
    match started.and_then(|mut process| Ok((process.ready()?, process))) {
        Ok((about, process)) => {
            let measured = Measured {
                stack,
                variant,
                about,
                rounds_ms: Rounds::default(),
                parts_ms: BTreeMap::new(),
            };
            Some((measured, process))
        }
        Err(error) => {
            // A provider that does not start does so with no model.
            let what = match variant {
                _ if stack.is_python() => format!("{}, {}", model.name(), stack.title()),
                Variant::Cpu => format!("{}, {}", model.name(), stack.title()),
                provider => provider.name().to_owned(),
            };
            launcher.leave_out(&what, &error);
            None
        }
    }
}

/// Seconds from being started to the first frame, one new process after another in turns.
pub fn starts(launcher: &mut Launcher, model: &Model, effort: &Effort) -> Vec<Start> {
    let stacks = [
        Stack::Element,
        Stack::PythonOnnx,
        Stack::Engine,
        Stack::PyTorch,
    ];
    let mut starts = stacks.map(|stack| Start {
        stack,
        seconds: Rounds::default(),
    });
    for _ in 0..effort.starts {
        for Start { stack, seconds } in &mut starts {
            match launcher.start(model, *stack, launcher.home, Amount::Few) {
                Ok(process) => seconds.0.push(vec![process.to_first_frame.as_secs_f64()]),
                Err(error) => {
                    launcher.leave_out(&format!("{}, {}", model.name(), stack.title()), &error);
                }
            }
        }
    }
    let mut starts = Vec::from(starts);
    starts.retain(|start| start.seconds.frames() > 0);
    for Start { stack, seconds } in &starts {
        let median = seconds.median().unwrap_or_default();
        println!("  first frame of {}: {median:.2} s", stack.title());
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_stacks_have_short_turns() {
        let frames = |ms| Effort::FULL.frames_in_a_turn(ms);
        let turns = [1000.0, 100.0, 1.0, 0.0].map(frames);
        assert_eq!(turns, [2, 5, 10, 10]);
    }

    #[test]
    fn the_fastest_element_is_found() {
        let measured = |stack, variant, ms| Measured {
            stack,
            variant,
            about: Value::Null,
            rounds_ms: Rounds(vec![vec![ms]]),
            parts_ms: BTreeMap::new(),
        };
        let (cpu, bf16) = (Variant::Cpu, Variant::OpenvinoBf16);
        let times = FrameTimes {
            model: "m".into(),
            home: cpu,
            stacks: vec![
                measured(Stack::BareCall, cpu, 1.0),
                measured(Stack::Element, cpu, 9.0),
                measured(Stack::Element, bf16, 4.0),
            ],
        };
        assert_eq!(times.fastest_element().unwrap().variant, bf16);
        assert_eq!(
            times
                .at_home(Stack::Element, Stack::BareCall)
                .unwrap()
                .median,
            9.0
        );
        assert_eq!(times.at_home(Stack::Engine, Stack::BareCall), None);
    }
}
