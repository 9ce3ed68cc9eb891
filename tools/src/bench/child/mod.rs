//! What runs in a process of ours, as the Python pipelines run in theirs.
//!
//! It says `{"first-frame": ...}` as soon as its first frame has come out and `{"ready": ...}`
//! once it is warm. Then it draws N frames for each line "N" that it reads, and answers with a
//! line of their milliseconds.

mod bare_call;
mod element;
mod engine;
mod latency;
mod streams;

use std::{
    collections::BTreeMap,
    io::{BufRead as _, Write as _},
};

use anyhow::{Context, Result};
use lipsync_tools::usage::Usage;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    input::{Amount, Input},
    stack::{Model, Variant},
};

/// Frames before it counts as warm.
const WARM_UP: usize = 3;

/// What a process is to do.
#[derive(Serialize, Deserialize)]
pub struct Order {
    pub task: Task,
    pub model: Model,
    pub variant: Variant,
    pub threads: usize,
    pub input: Input,
    pub amount: Amount,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub enum Task {
    BareCall,
    Engine,
    Element,
    /// Several elements at once, frames of each.
    Streams {
        streams: usize,
        frames: usize,
    },
    /// A live pipeline.
    Latency {
        frames: usize,
    },
}

/// Milliseconds of each frame, by the name of the part; [`WHOLE`] is all of it.
pub type Times = BTreeMap<String, Vec<f64>>;

pub const WHOLE: &str = "frame-ms";

#[derive(Deserialize)]
pub struct FirstFrame {
    #[serde(rename = "first-frame")]
    _came: bool,
}

#[derive(Deserialize)]
pub struct Ready {
    /// What a process says about itself.
    pub ready: Value,
}

/// Draws frames and says how long each took.
trait Draw {
    fn draw(&mut self, count: usize) -> Result<Times>;
}

pub fn run(order: &str) -> Result<()> {
    let order: Order = serde_json::from_str(order).context("an order as JSON")?;
    let stack: Box<dyn Draw> = match order.task {
        Task::BareCall => Box::new(bare_call::BareCall::open(&order)?),
        Task::Engine => Box::new(engine::EngineAlone::open(&order)?),
        Task::Element => Box::new(element::Pipeline::open(&order)?),
        Task::Streams { streams, frames } => {
            return say(&streams::measure(&order, streams, frames)?);
        }
        Task::Latency { frames } => return say(&latency::measure(&order, frames)?),
    };
    serve(stack)
}

fn serve(mut stack: Box<dyn Draw>) -> Result<()> {
    stack.draw(1)?;
    say(&json!({"first-frame": true}))?;
    stack.draw(WARM_UP)?;
    say(&json!({"ready": Usage::now()?}))?;
    for line in std::io::stdin().lock().lines() {
        let count = line?.trim().parse().context("a number of frames")?;
        say(&stack.draw(count)?)?;
    }
    Ok(())
}

fn say(answer: &impl Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(answer)?)?;
    Ok(out.flush()?)
}
