//! One model's contest: all contenders alive and warm, drawing in turns.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Result;
use serde_json::Value;

use crate::{
    arena::Arena,
    child::{Child, numbers},
    figures::{Ratio, Series, median},
    job::Amount,
    models::Model,
    roster::{OURS, PYTHON, Stack, Variant},
};

/// How long it takes in all.
#[derive(Clone, Copy)]
pub struct Effort {
    /// Of every model; no more are begun once they have taken so many seconds,
    pub rounds: usize,
    pub seconds: f64,
    /// but so many are.
    pub least_rounds: usize,
    /// A contender's turn lasts about so long,
    pub turn_ms: f64,
    /// but is so many frames.
    pub least: usize,
    pub most: usize,
    /// Frames of each of several streams at once, and new processes for the start.
    pub stream_frames: usize,
    pub starts: usize,
}

impl Effort {
    pub const FULL: Self = Self {
        rounds: 9,
        seconds: 18.0,
        least_rounds: 3,
        turn_ms: 500.0,
        least: 2,
        most: 10,
        stream_frames: 8,
        starts: 3,
    };
    pub const QUICK: Self = Self {
        rounds: 3,
        seconds: 5.0,
        least_rounds: 1,
        turn_ms: 100.0,
        least: 1,
        most: 3,
        stream_frames: 3,
        starts: 2,
    };
}

/// A contender's times.
pub struct Lane {
    pub stack: Stack,
    pub variant: Variant,
    pub whole: Series,
    /// Milliseconds of the parts of all frames.
    pub parts: BTreeMap<String, Vec<f64>>,
    /// What it says about itself.
    pub about: Value,
}

pub struct Contest {
    pub model: String,
    /// Name of the variant that Python runs on.
    pub home: &'static str,
    pub lanes: Vec<Lane>,
}

impl Contest {
    pub fn find(&self, stack: Stack, variant: &str) -> Option<&Lane> {
        let mut lanes = self.lanes.iter();
        lanes.find(|lane| lane.stack == stack && lane.variant.name == variant)
    }

    /// How many times longer one contender takes than another.
    pub fn ratio(&self, of: (Stack, &str), to: (Stack, &str)) -> Option<Ratio> {
        let (of, to) = (self.find(of.0, of.1)?, self.find(to.0, to.1)?);
        of.whole.over(&to.whole)
    }

    /// The same of two that run on what Python runs on.
    pub fn at_home(&self, of: Stack, to: Stack) -> Option<Ratio> {
        self.ratio((of, self.home), (to, self.home))
    }

    /// What the element is fastest on.
    pub fn best(&self) -> Option<&Lane> {
        let elements = self
            .lanes
            .iter()
            .filter(|lane| lane.stack == Stack::Element);
        let time = |lane: &Lane| lane.whole.median().unwrap_or(f64::INFINITY);
        elements.min_by(|a, b| time(a).total_cmp(&time(b)))
    }
}

/// Starts who can be started, lets them take turns, ends them.
pub fn hold(arena: &mut Arena, model: &Model, effort: &Effort) -> Result<Contest> {
    println!("\n{}", model.name());
    let mut lanes = Vec::new();
    for stack in PYTHON {
        let home = arena.home;
        if model.manifest().is_some() && home.is_for_python() {
            enter(arena, &mut lanes, model, stack, home);
        }
    }
    for variant in arena.home.rivals() {
        // What does not start for a bare call does not start at all.
        for stack in OURS {
            if !arena.starts(variant) || !enter(arena, &mut lanes, model, stack, variant) {
                break;
            }
        }
    }
    for (_, child, frames) in &mut lanes {
        let times = numbers(&child.draw(1)?, "frame-ms");
        *frames = frames_in_a_turn(effort, median(&times).unwrap_or_default());
    }
    let started = Instant::now();
    for round in 0..effort.rounds {
        if round >= effort.least_rounds && started.elapsed().as_secs_f64() > effort.seconds {
            break;
        }
        // To and fro, so that nobody always comes after the same one.
        let mut order: Vec<usize> = (0..lanes.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            let (lane, child, frames) = &mut lanes[index];
            lane.take(&child.draw(*frames)?);
        }
    }
    let lanes: Vec<Lane> = lanes.into_iter().map(|(lane, ..)| lane).collect();
    for lane in &lanes {
        println!(
            "  {:<32} {:<14} {:8.2} ms, p95 {:8.2} ({} frames)",
            lane.stack.title(),
            lane.variant.name,
            lane.whole.median().unwrap_or_default(),
            lane.whole.quantile(0.95).unwrap_or_default(),
            lane.whole.frames()
        );
    }
    Ok(Contest {
        model: model.name(),
        home: arena.home.name,
        lanes,
    })
}

fn enter(
    arena: &mut Arena,
    lanes: &mut Vec<(Lane, Child, usize)>,
    model: &Model,
    stack: Stack,
    variant: Variant,
) -> bool {
    let entered = arena.contender(model, stack, variant, Amount::All);
    match entered.and_then(|mut child| Ok((child.ready()?, child))) {
        Ok((about, child)) => {
            let lane = Lane {
                stack,
                variant,
                whole: Series::default(),
                parts: BTreeMap::new(),
                about,
            };
            lanes.push((lane, child, 1));
            true
        }
        Err(error) => {
            arena.left_out(model, stack, variant, &error);
            false
        }
    }
}

impl Lane {
    fn take(&mut self, answer: &Value) {
        self.whole.0.push(numbers(answer, "frame-ms"));
        let parts = answer.as_object().into_iter().flatten();
        for (name, _) in parts.filter(|(name, _)| *name != "frame-ms") {
            let part = name.trim_end_matches("-ms").to_owned();
            self.parts
                .entry(part)
                .or_default()
                .extend(numbers(answer, name));
        }
    }

    pub fn part(&self, name: &str) -> Option<f64> {
        median(self.parts.get(name)?)
    }
}

fn frames_in_a_turn(effort: &Effort, frame_ms: f64) -> usize {
    let fitting = (effort.turn_ms / frame_ms.max(0.1)) as usize;
    fitting.clamp(effort.least, effort.most)
}

/// Seconds from being started to the first frame, one new process after another in turns.
pub fn starts(
    arena: &mut Arena,
    model: &Model,
    stacks: &[Stack],
    effort: &Effort,
) -> Vec<(Stack, Series)> {
    let mut series: Vec<_> = stacks.iter().map(|s| (*s, Series::default())).collect();
    for _ in 0..effort.starts {
        for (stack, times) in &mut series {
            match arena.contender(model, *stack, arena.home, Amount::Few) {
                Ok(child) => times.0.push(vec![seconds(child.to_first_frame)]),
                Err(error) => arena.left_out(model, *stack, arena.home, &error),
            }
        }
    }
    series.retain(|(_, times)| times.frames() > 0);
    for (stack, times) in &series {
        let median = times.median().unwrap_or_default();
        println!("  first frame of {}: {median:.2} s", stack.title());
    }
    series
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::{CPU, VARIANTS};

    #[test]
    fn slow_contenders_have_short_turns() {
        let frames = |ms| frames_in_a_turn(&Effort::FULL, ms);
        assert_eq!(
            (frames(1000.0), frames(100.0), frames(1.0), frames(0.0)),
            (2, 5, 10, 10)
        );
    }

    #[test]
    fn the_best_is_the_fastest_element() {
        let lane = |stack, variant, ms| Lane {
            stack,
            variant,
            whole: Series(vec![vec![ms]]),
            parts: BTreeMap::new(),
            about: Value::Null,
        };
        let contest = Contest {
            model: "m".into(),
            home: "cpu",
            lanes: vec![
                lane(Stack::Bare, CPU, 1.0),
                lane(Stack::Element, CPU, 9.0),
                lane(Stack::Element, VARIANTS[2], 4.0),
            ],
        };
        assert_eq!(contest.best().unwrap().variant.name, "openvino-bf16");
        let ratio = contest.ratio((Stack::Element, "cpu"), (Stack::Bare, "cpu"));
        assert_eq!(ratio.unwrap().median, 9.0);
        assert_eq!(
            contest.ratio((Stack::Engine, "cpu"), (Stack::Bare, "cpu")),
            None
        );
    }
}
