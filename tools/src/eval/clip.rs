//! A real clip, and what is made of it: a frozen mouth, a mouth that says other words.

use std::path::Path;

use anyhow::{Context, Result, bail};
use lipsync_tools::{
    faces::{Mouth, Watcher},
    media::{self, Frames, SPEECH_RATE},
    picture::Picture,
};

/// Which names of clips show the same person (seen by eye, see `training/prepare.py`): each is
/// called as the corpus calls him, where that is known.
const SAME_PERSON: [(&str, &str); 13] = [
    ("x17", "s2"),
    ("x21", "s2"),
    ("x16", "s4"),
    ("x20", "s26"),
    ("x05", "s30"),
    ("x07", "s30"),
    ("x09", "s30"),
    ("x11", "s30"),
    ("x19", "s32"),
    ("x04", "s33"),
    ("x08", "s33"),
    ("x10", "s33"),
    ("id23", "x15"),
];
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
            sound: media::speech(path)?,
            mouths,
        };
        if clip.seconds() < SHORTEST {
            bail!("shorter than {SHORTEST} s");
        }
        Ok(clip)
    }

    fn seconds(&self) -> f64 {
        self.frames.last().map_or(0.0, Picture::seconds)
    }

    /// Frames a second.
    pub fn rate(&self) -> f64 {
        (self.frames.len() - 1) as f64 / self.seconds()
    }

    /// The real opening at a time between its frames.
    pub fn opening_at(&self, seconds: f64) -> f64 {
        let last = self.mouths.len() - 1;
        let at = (seconds * self.rate()).clamp(0.0, last as f64);
        let (before, after) = (at as usize, (at as usize + 1).min(last));
        let [before, after] = [before, after].map(|frame| self.mouths[frame].opening());
        before + (after - before) * at.fract()
    }

    /// The first frame for as long as so many samples sound.
    pub fn frozen_for(&self, samples: usize) -> Vec<Picture> {
        let step = 1.0 / self.rate();
        let count = samples as f64 / f64::from(SPEECH_RATE) / step;
        let frame = |index| Picture {
            time: gst::ClockTime::from_nseconds((index as f64 * step * 1e9) as u64),
            ..self.frames[0].clone()
        };
        (0..count as usize).map(frame).collect()
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

    /// Such frames so many times in turn, and as often the true audio.
    pub fn repeated(&self, frames: &[Picture], times: usize) -> (Vec<Picture>, Vec<f32>) {
        let seconds = frames.len() as f64 / self.rate();
        let samples = (seconds * f64::from(SPEECH_RATE)).round() as usize;
        let sound = (0..times).flat_map(|_| {
            let silence = std::iter::repeat(&0.0);
            self.sound.iter().chain(silence).take(samples).copied()
        });
        let later = |turn: usize, frame: &Picture| Picture {
            time: frame.time + gst::ClockTime::from_seconds_f64(turn as f64 * seconds),
            ..frame.clone()
        };
        let turns = (0..times).flat_map(|turn| frames.iter().map(move |frame| later(turn, frame)));
        (turns.collect(), sound.collect())
    }

    fn reordered(&self, source: impl Fn(usize) -> usize) -> Vec<Picture> {
        let frames = self.frames.iter().enumerate();
        let reordered = frames.map(|(index, frame)| Picture {
            time: frame.time,
            ..self.frames[source(index)].clone()
        });
        reordered.collect()
    }

    /// The first frame throughout, each time with other noise of a camera's strength.
    pub fn frozen_with_noise(&self) -> Result<Vec<Picture>> {
        /// Steps of 255 up or down: a quiet camera.
        const STRENGTH: i16 = 2;
        let mut random = fastrand::Rng::with_seed(1);
        let noisy = self.frozen().into_iter().map(|mut picture| {
            let mut buffer = picture.buffer.copy_deep()?;
            let writable = buffer.get_mut().context("a copy can be written")?;
            for byte in writable.map_writable()?.iter_mut() {
                let noise = random.i16(-STRENGTH..=STRENGTH);
                *byte = (i16::from(*byte) + noise).clamp(0, 255) as u8;
            }
            picture.buffer = buffer;
            Ok(picture)
        });
        noisy.collect()
    }
}

pub fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Clips are named after their speaker: `s31_bbaf2n.mkv`, `x12.mkv`.
pub fn person(path: &Path) -> String {
    let stem = stem(path);
    let name = stem.split('_').next().unwrap_or_default();
    let same = SAME_PERSON.iter().find(|(clip, _)| *clip == name);
    same.map_or(name, |(_, person)| person).to_owned()
}
