//! The engine: a frame and its sound in, the frame redrawn; finding the face is in it.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use lipsync_core::{
    assembly::Config,
    catalogue::Source,
    render::{Controls, Engine, Outcome, Silence},
    sound::{SampleFormat, Sound},
};
use lipsync_tools::media::SOUND_RATE;

use super::{Contender, Order, Times, WHOLE};
use crate::job::{self, FRAME_NS, Material};

/// Bytes of one sample.
const SAMPLE: usize = 2;
/// Bytes of a second of sound, and of what is heard before a frame is drawn beyond its
/// look-ahead.
pub const SECOND: usize = SOUND_RATE as usize * SAMPLE;

pub struct Drawing {
    engine: Engine,
    controls: Controls,
    sound: Sound,
    material: Material,
    /// Bytes of sound pushed.
    pushed: usize,
    next: usize,
    width: usize,
    height: usize,
    frame: Vec<u8>,
}

impl Drawing {
    pub fn open(order: &Order) -> Result<Self> {
        let config = Config {
            generator: match order.model.manifest() {
                Some(manifest) => Source::Path(manifest),
                None => Source::BuiltIn,
            },
            runtime: order.options(),
            ..Config::default()
        };
        let material = Material::read(&order.job, order.amount)?;
        let (engine, _) = Engine::new(&config)?;
        let mut sound = Sound::new();
        sound.configure(SampleFormat::S16, SOUND_RATE, 1)?;
        Ok(Self {
            engine,
            controls: Controls {
                silence: Silence::Animate,
                ..Controls::default()
            },
            sound,
            frame: material.frame(0).to_vec(),
            material,
            pushed: 0,
            next: 0,
            width: order.job.width,
            height: order.job.height,
        })
    }

    /// Sound until a second after what the frame hears.
    fn hear(&mut self, time_ns: i64) {
        let until_ns = time_ns + self.engine.hearing().look_ahead_ns + 1_000_000_000;
        while bytes_to_ns(self.pushed) < until_ns {
            let block = self.material.sound(self.pushed, SECOND);
            self.sound.push(&block, bytes_to_ns(self.pushed), false);
            self.pushed += SECOND;
        }
    }
}

impl Contender for Drawing {
    fn draw(&mut self, count: usize) -> Result<Times> {
        let names = [WHOLE, "track", "features", "infer", "blend"];
        let mut times = names.map(|name| (name, Vec::with_capacity(count)));
        for _ in 0..count {
            let time_ns = self.next as i64 * FRAME_NS;
            self.hear(time_ns);
            // As a decoder hands over frames of its own.
            self.frame.copy_from_slice(self.material.frame(self.next));
            let mut view = job::view(&mut self.frame, self.width, self.height);
            let started = Instant::now();
            let (sound, controls) = (&mut self.sound, &self.controls);
            let outcome = self
                .engine
                .process(&mut view, time_ns, sound, &[], controls)?;
            let whole = started.elapsed();
            if outcome != Outcome::Synced {
                bail!("frame {} came out {outcome:?}", self.next);
            }
            self.next += 1;
            let parts = self.engine.timings();
            let parts = [whole, parts.track, parts.features, parts.infer, parts.blend];
            for ((_, times), part) in times.iter_mut().zip(parts) {
                times.push(ms(part));
            }
        }
        Ok(times.into())
    }
}

/// Of sound.
pub fn bytes_to_ns(bytes: usize) -> i64 {
    (bytes / SAMPLE) as i64 * 1_000_000_000 / i64::from(SOUND_RATE)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
