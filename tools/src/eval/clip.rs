//! A real clip, and what is made of it: a frozen mouth, a mouth that says other words, silence.

use std::path::Path;

use anyhow::{Context, Result, bail};
use lipsync_tools::{
    faces::{Mouth, Watcher},
    media::{self, Frames, SOUND_RATE},
    picture::Picture,
};

/// How far the other words are away, in seconds.
const SHIFT: f64 = 1.2;
/// A shift means nothing in less.
const SHORTEST: f64 = 2.0 * SHIFT;

/// A person who speaks: frames, sound, and the face as it really moved.
pub struct Clip {
    pub frames: Vec<Picture>,
    pub sound: Vec<f32>,
    pub mouths: Vec<Mouth>,
}

impl Clip {
    pub fn load(path: &Path) -> Result<Self> {
        let frames = Frames::all(path)?;
        let mouths = Watcher::watch_all(&frames)?;
        let clip = Self {
            frames,
            sound: media::sound(path)?,
            mouths,
        };
        if clip.seconds() < SHORTEST {
            bail!("shorter than {SHORTEST} s");
        }
        Ok(clip)
    }

    fn seconds(&self) -> f64 {
        let last = self.frames.last().map_or(0, |frame| frame.time.nseconds());
        last as f64 / 1e9
    }

    /// The first frame throughout.
    pub fn frozen(&self) -> Vec<Picture> {
        self.reordered(|_| 0)
    }

    /// The same frames, beginning [`SHIFT`] later; the beginning comes last.
    pub fn shifted(&self) -> Vec<Picture> {
        let count = self.frames.len();
        let shift = (SHIFT / self.seconds() * (count - 1) as f64).round() as usize;
        self.reordered(|index| (index + shift) % count)
    }

    fn reordered(&self, source: impl Fn(usize) -> usize) -> Vec<Picture> {
        self.frames
            .iter()
            .enumerate()
            .map(|(index, frame)| Picture {
                time: frame.time,
                ..self.frames[source(index)].clone()
            })
            .collect()
    }

    /// The first frame throughout, each time with other noise of a camera's strength.
    pub fn frozen_with_noise(&self) -> Result<Vec<Picture>> {
        /// Steps of 255 up or down: a quiet camera.
        const STRENGTH: u64 = 2;
        let mut random = Random(1);
        self.frozen()
            .into_iter()
            .map(|mut picture| {
                let mut buffer = picture.buffer.copy_deep()?;
                let writable = buffer.get_mut().context("a copy can be written")?;
                for byte in writable.map_writable()?.iter_mut() {
                    let noise = (random.next() % (2 * STRENGTH + 1)) as i16 - STRENGTH as i16;
                    *byte = (i16::from(*byte) + noise).clamp(0, 255) as u8;
                }
                picture.buffer = buffer;
                Ok(picture)
            })
            .collect()
    }

    pub fn digital_silence(&self) -> Vec<f32> {
        vec![0.0; self.sound.len()]
    }

    /// A vowel-like tone that never changes.
    pub fn steady_tone(&self) -> Vec<f32> {
        const PITCH: f32 = 220.0;
        const LEVEL: f32 = 0.25;
        (0..self.sound.len())
            .map(|n| {
                let turns = n as f32 * PITCH / SOUND_RATE as f32;
                LEVEL * (turns.fract() * std::f32::consts::TAU).sin()
            })
            .collect()
    }
}

/// Numbers that look random and are the same in every run (Knuth's MMIX generator).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
}
