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

/// Level of a room's noise, in dBFS: above the element's threshold of silence, so that only the
/// network can know that nobody speaks.
const ROOM_DB: f32 = -40.0;
/// By how much talkers are softer than the voice, in dB.
const TALKERS_DB: f32 = 10.0;

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

    /// A room in which nobody speaks: noise whose power falls with frequency, as that of rooms does.
    pub fn room_tone(&self) -> Vec<f32> {
        /// One-pole low-pass: 3 dB down at about 300 Hz.
        const SHARE: f32 = 0.11;
        let (mut random, mut low) = (Random(1), 0.0);
        let white = |random: &mut Random| random.below(1 << 16) as f32 / 32_768.0 - 1.0;
        let tone: Vec<f32> = (0..self.sound.len())
            .map(|_| {
                let noise = white(&mut random);
                low += SHARE * (noise - low);
                low + 0.1 * noise
            })
            .collect();
        scaled(&tone, 10_f32.powf(ROOM_DB / 20.0))
    }

    /// The true sound over a crowd, [`TALKERS_DB`] softer than it: the same voice backward, at six
    /// places, so that it has a voice's spectrum and rhythm and no words.
    pub fn among_talkers(&self) -> Vec<f32> {
        const TALKERS: usize = 6;
        let count = self.sound.len();
        let crowd: Vec<f32> = (0..count)
            .map(|n| {
                (0..TALKERS)
                    .map(|i| self.sound[(2 * count - 1 - n + i * count / TALKERS) % count])
                    .sum()
            })
            .collect();
        let level = rms(&self.sound) * 10_f32.powf(-TALKERS_DB / 20.0);
        let crowd = scaled(&crowd, level);
        self.sound.iter().zip(crowd).map(|(a, b)| a + b).collect()
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

fn rms(samples: &[f32]) -> f32 {
    let squares: f32 = samples.iter().map(|sample| sample * sample).sum();
    (squares / samples.len().max(1) as f32).sqrt()
}

/// The same sound at another level (RMS).
fn scaled(samples: &[f32], level: f32) -> Vec<f32> {
    let gain = level / rms(samples).max(f32::MIN_POSITIVE);
    samples.iter().map(|sample| sample * gain).collect()
}

/// Numbers that look random and are the same in every run (Knuth's MMIX generator).
pub struct Random(pub u64);

impl Random {
    /// A number below `count`, which is not 0.
    pub fn below(&mut self, count: usize) -> usize {
        self.next() as usize % count
    }

    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
}
