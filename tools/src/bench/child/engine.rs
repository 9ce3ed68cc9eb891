//! The engine: a frame and its audio in, the frame redrawn; finding the face is in it.

use std::time::Instant;

use anyhow::{Result, bail};
use lipsync_core::{
    assembly::Config,
    catalogue::Source,
    render::{Controls, Engine, Outcome, Silence},
    sound::{MONO, SampleFormat, Sound},
};
use lipsync_tools::media::SOUND_RATE;

use super::{Draw, Order, Times, WHOLE};
use crate::input::{FRAME_NS, Input, Material};

/// Bytes of one sample.
const SAMPLE: usize = 2;
/// Bytes of a second of audio.
pub const SECOND: usize = SOUND_RATE as usize * SAMPLE;

pub struct EngineAlone {
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
pub fn open(order: &Order) -> Result<Engine> {
    let manifest = order.model.manifest();
    let config = Config {
        generator: manifest.map_or(Source::BuiltIn, |path| Source::Path(path.into())),
        runtime: order.variant.options(order.threads),
        ..Config::default()
    };
    Ok(Engine::new(&config)?.0)
}

impl EngineAlone {
    pub fn open(order: &Order) -> Result<Self> {
        let material = Material::read(&order.input, order.amount)?;
        let mut audio = Sound::new();
        audio.configure(SampleFormat::S16, SOUND_RATE, MONO)?;
        Ok(Self {
            engine: open(order)?,
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

    /// Audio until a second after what the frame hears.
    fn hear(&mut self, time_ns: i64) {
        let until_ns = time_ns + self.engine.hearing().look_ahead_ns + 1_000_000_000;
        while bytes_to_ns(self.pushed) < until_ns {
            let block = self.material.audio(self.pushed, SECOND);
            self.audio.push(&block, bytes_to_ns(self.pushed), false);
            self.pushed += SECOND;
        }
    }
}

impl Draw for EngineAlone {
    fn draw(&mut self, count: usize) -> Result<Times> {
        let mut times = Times::new();
        for _ in 0..count {
            let time_ns = self.next as i64 * FRAME_NS;
            self.hear(time_ns);
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
            let parts = [
                (WHOLE, whole),
                ("track-ms", parts.track),
                ("features-ms", parts.features),
                ("infer-ms", parts.infer),
                ("blend-ms", parts.blend),
            ];
            for (name, time) in parts {
                let times = times.entry(name.into()).or_default();
                times.push(time.as_secs_f64() * 1e3);
            }
        }
        Ok(times)
    }
}

/// Of audio.
pub fn bytes_to_ns(bytes: usize) -> i64 {
    (bytes / SAMPLE) as i64 * 1_000_000_000 / i64::from(SOUND_RATE)
}
