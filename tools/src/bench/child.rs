//! What runs in a process of ours, as the Python pipelines run in theirs.
//!
//! It says `{"first-frame": ...}` as soon as its first frame has come out and `{"ready": ...}`
//! once it is warm. Then it draws N frames for each line "N" that it reads, and answers with a
//! line of their milliseconds, and those of CPU time.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, Write as _},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use lipsync_core::{
    assembly::Config,
    catalogue::Source,
    inference::{self, ModelSource, Network},
    render::{Controls, Engine, Outcome, Silence},
    sound::{MONO, SampleFormat, Sound},
};
use lipsync_tools::{
    media::SPEECH_RATE,
    usage::{self, Usage},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    element::{self, TimedElement},
    input::{self, Amount, FRAME_NS, Input, Material, bytes_to_ns},
    stack::{Model, Variant},
};

/// Frames before it counts as warm.
pub const WARM_UP: usize = 3;

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
    Streams(usize, usize),
    /// Frames through a live pipeline.
    Latency(usize),
}

/// Milliseconds of each frame, by the name of the part; [`WHOLE`] is all of it.
pub type Times = BTreeMap<String, Vec<f64>>;

pub const WHOLE: &str = "frame-ms";
/// CPU time of a frame, in the mean of those that were drawn at once.
pub const CPU: &str = "cpu-ms";
/// Face, audio, network, pixels.
pub const PARTS: [&str; 4] = ["track-ms", "features-ms", "infer-ms", "blend-ms"];

/// Draws frames and says how long each took.
pub trait Draw {
    fn draw(&mut self, count: usize) -> Result<Times>;
}

pub fn run(order: &str) -> Result<()> {
    let order: Order = serde_json::from_str(order).context("an order as JSON")?;
    let mut stack: Box<dyn Draw> = match order.task {
        Task::BareCall => Box::new(BareCall::open(&order)?),
        Task::Engine => Box::new(EngineAlone::open(&order)?),
        Task::Element => Box::new(TimedElement::open(&order)?),
        Task::Streams(streams, frames) => {
            return say(&element::streams(&order, streams, frames)?);
        }
        Task::Latency(frames) => return say(&element::latency(&order, frames)?),
    };
    stack.draw(1)?;
    say(&json!({"first-frame": true}))?;
    stack.draw(WARM_UP)?;
    say(&json!({"ready": Usage::now()?}))?;
    for line in std::io::stdin().lock().lines() {
        let frames = line?.trim().parse().context("a number of frames")?;
        let before = usage::cpu_ms()?;
        let mut times = stack.draw(frames)?;
        let cpu_ms = (usage::cpu_ms()? - before) / frames as f64;
        times.insert(CPU.into(), vec![cpu_ms]);
        say(&times)?;
    }
    Ok(())
}

fn say(answer: &impl Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(answer)?)?;
    Ok(out.flush()?)
}

/// The call of ONNX Runtime alone: the network that draws, on tensors that were filled once.
struct BareCall(Box<dyn Network>);

impl BareCall {
    fn open(order: &Order) -> Result<Self> {
        let path = order.model.network();
        let options = order.variant.options(order.threads);
        let mut network = inference::onnx::open(ModelSource::File(&path), &options, &[])?.network;
        let mut random = fastrand::Rng::with_seed(1);
        for input in 0..network.inputs().len() {
            network.input(input).fill_with(|| random.f32());
        }
        Ok(Self(network))
    }
}

impl Draw for BareCall {
    fn draw(&mut self, count: usize) -> Result<Times> {
        let call = |_| {
            let started = Instant::now();
            self.0.run()?;
            Ok(started.elapsed().as_secs_f64() * 1e3)
        };
        let times: Result<_> = (0..count).map(call).collect();
        Ok([(WHOLE.into(), times?)].into())
    }
}

/// The engine: a frame and its audio in, the frame redrawn; finding the face is in it.
struct EngineAlone {
    engine: Engine,
    controls: Controls,
    audio: Sound,
    input: Input,
    material: Material,
    /// Bytes of audio pushed.
    pushed: usize,
    next: usize,
    frame: Vec<u8>,
}

/// The engine that an order asks for.
pub fn engine(order: &Order) -> Result<Engine> {
    let manifest = order.model.manifest();
    let config = Config {
        generator: manifest.map_or(Source::BuiltIn, |path| Source::Path(path.into())),
        runtime: order.variant.options(order.threads),
        ..Config::default()
    };
    Ok(Engine::new(&config)?.0)
}

impl EngineAlone {
    fn open(order: &Order) -> Result<Self> {
        let material = Material::read(&order.input, order.amount)?;
        let mut audio = Sound::new();
        audio.configure(SampleFormat::S16, SPEECH_RATE, MONO)?;
        Ok(Self {
            engine: engine(order)?,
            controls: Controls {
                // The Python pipelines draw every frame, whether somebody speaks or not.
                silence: Silence::Animate,
                ..Controls::default()
            },
            audio,
            input: order.input.clone(),
            frame: material.frame(0).to_vec(),
            material,
            pushed: 0,
            next: 0,
        })
    }
}

impl Draw for EngineAlone {
    fn draw(&mut self, count: usize) -> Result<Times> {
        let mut times = Times::new();
        for _ in 0..count {
            let time_ns = self.next as i64 * FRAME_NS;
            // Audio until a second after what the frame hears.
            let until_ns = time_ns + self.engine.hearing().look_ahead_ns + 1_000_000_000;
            while bytes_to_ns(self.pushed) < until_ns {
                let block = self.material.audio(self.pushed, input::SECOND);
                self.audio.push(&block, bytes_to_ns(self.pushed), false);
                self.pushed += input::SECOND;
            }
            // As a decoder hands over frames of its own.
            self.frame.copy_from_slice(self.material.frame(self.next));
            let mut view = self.input.view(&mut self.frame);
            let started = Instant::now();
            let (audio, controls) = (&mut self.audio, &self.controls);
            let outcome = self
                .engine
                .process(&mut view, time_ns, audio, &[], controls)?;
            let whole = started.elapsed();
            if outcome != Outcome::Synced {
                bail!("frame {} came out {outcome:?}", self.next);
            }
            self.next += 1;
            let parts = self.engine.timings();
            let parts = [parts.track, parts.features, parts.infer, parts.blend];
            for (name, time) in PARTS.into_iter().zip(parts).chain([(WHOLE, whole)]) {
                let times = times.entry(name.into()).or_default();
                times.push(time.as_secs_f64() * 1e3);
            }
        }
        Ok(times)
    }
}
