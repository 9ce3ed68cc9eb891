//! Does this mouth say this sound: distance, confidence and offset by SyncNet's definitions, seen
//! by the project's own judge (`models/judge/`, trained by `training/sync_judge.py`).
//!
//! Must not know who made the frames. The judge's networks run as the plugin's own do,
//! on the plugin's own spectrum and sampling; neither they nor this are part of the plugin.

use anyhow::{Context, Result, bail};
use lipsync_core::{
    inference::{self, ModelSource, Network, Options},
    pixels::Affine,
    sound::{self, SampleFormat, Sound, Spectrum},
};

use crate::{
    faces::{CANONICAL_SIZE, Mouth},
    media::SPEECH_RATE,
    numbers,
    picture::Picture,
};

/// Frames a second that the judge was trained on. Of videos with another rate it sees the frames
/// that are nearest.
pub const FRAME_RATE: f64 = 25.0;
/// Offsets that are tried, in frames either way.
pub const REACH: usize = 15;
/// Frames at [`FRAME_RATE`] without which there is no judgement: one window and room for every
/// offset on both sides.
pub const SHORTEST: usize = WINDOW + 2 * REACH;

/// Frames of a window, and columns of the spectrum that go with them: 0.2 s.
const WINDOW: usize = 5;
const COLUMNS: usize = 16;
/// Values of an embedding.
const EMBEDDING: usize = 128;
/// Weights of red, green and blue in brightness (BT.601), as in training.
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];
/// Frames on either side over which the alignment of a face is averaged, as in training.
const STEADY: usize = 2;

type Embedding = [f32; EMBEDDING];

/// How well a mouth and a sound go together. Distances lie between 0 and 2.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// The least, over the offsets, of the mean distance between windows of the picture and of the
    /// sound (LSE-D on a scale of its own).
    pub distance: f64,
    /// Median over the offsets less the least (LSE-C): how far that offset stands out.
    pub confidence: f64,
    /// The offset of the least distance: frames that the sound comes late.
    pub offset: i32,
    /// Mean distance as the two are, without an offset.
    pub unshifted: f64,
}

/// The two networks of the judge.
pub struct Judge {
    mouth: Box<dyn Network>,
    sound: Box<dyn Network>,
}

impl Judge {
    /// # Errors
    /// When ONNX Runtime is missing.
    pub fn open() -> Result<Self> {
        let open = |name, data: &'static [u8]| {
            let source = ModelSource::Bytes { name, data };
            inference::onnx::open(source, &Options::default(), &[]).map(|opened| opened.network)
        };
        let mouth = include_bytes!("../../models/judge/mouth.onnx");
        let sound = include_bytes!("../../models/judge/sound.onnx");
        Ok(Self {
            mouth: open("mouth.onnx", mouth)?,
            sound: open("sound.onnx", sound)?,
        })
    }

    /// Judges a video by the face in each of its frames and a sound: mono, [`SPEECH_RATE`], from
    /// running time zero.
    ///
    /// # Errors
    /// With fewer than [`SHORTEST`] frames at [`FRAME_RATE`], or more sound than the plugin holds
    /// ([`sound::CAPACITY_NS`]).
    pub fn judge(
        &mut self,
        frames: &[Picture],
        mouths: &[Mouth],
        samples: &[f32],
    ) -> Result<Judgement> {
        if frames.len() != mouths.len() {
            bail!("{} frames, but {} mouths", frames.len(), mouths.len());
        }
        let times: Vec<f64> = frames.iter().map(Picture::seconds).collect();
        let chosen = at_frame_rate(&times);
        if chosen.len() < SHORTEST {
            let count = chosen.len();
            bail!(
                "a judgement of sync needs {SHORTEST} frames at {FRAME_RATE} a second, here are {count}"
            );
        }
        let face = |&index: &usize| lower_face(&frames[index], &steady(mouths, index));
        let pictures: Vec<_> = chosen.iter().map(face).collect::<Result<_>>()?;
        let windows = pictures.windows(WINDOW);
        let seen: Vec<_> = windows.map(|it| self.see(it)).collect::<Result<_>>()?;
        let heard = self.hear(samples, times[0], seen.len() + 2 * REACH)?;
        Ok(judgement(&seen, &heard))
    }

    fn see(&mut self, window: &[Vec<f32>]) -> Result<Embedding> {
        let places = self.mouth.input(0).chunks_exact_mut(CANONICAL_SIZE.pow(2));
        for (picture, place) in window.iter().zip(places) {
            place.copy_from_slice(picture);
        }
        embed(self.mouth.as_mut())
    }

    /// `count` windows of sound, one a frame; the first begins [`REACH`] frames before `start`.
    fn hear(&mut self, samples: &[f32], start: f64, count: usize) -> Result<Vec<Embedding>> {
        let mut sound = take(samples)?;
        (0..count)
            .map(|index| {
                let begin = start + (index as f64 - REACH as f64) / FRAME_RATE;
                let first = (begin * sound::COLUMNS_PER_SECOND as f64).round() as i64;
                let last = first + COLUMNS as i64 - 1;
                sound.window(Spectrum::Mel, last, self.sound.input(0), COLUMNS);
                embed(self.sound.as_mut())
            })
            .collect()
    }
}

fn embed(network: &mut dyn Network) -> Result<Embedding> {
    network.run()?;
    let output = network.output(0);
    let embedding = output.try_into();
    embedding.with_context(|| format!("{} gives {} values", network.name(), output.len()))
}

/// For every moment at [`FRAME_RATE`], from the first to the last of `times`, the nearest of them.
fn at_frame_rate(times: &[f64]) -> Vec<usize> {
    let (Some(first), Some(last)) = (times.first(), times.last()) else {
        return Vec::new();
    };
    let count = ((last - first) * FRAME_RATE).round() as usize + 1;
    let nearest = |index: usize| {
        let moment = first + index as f64 / FRAME_RATE;
        let away = |at: &usize| (times[*at] - moment).abs();
        // Of two that are as near the later.
        let all = (0..times.len()).rev();
        all.min_by(|a, b| away(a).total_cmp(&away(b)))
    };
    (0..count).filter_map(nearest).collect()
}

/// From frame pixels to the canonical face, the mean of the frames about `index`: the tracker's
/// noise is not motion of the mouth.
fn steady(mouths: &[Mouth], index: usize) -> Affine {
    let near = (index..=index + 2 * STEADY).map(|at| at.saturating_sub(STEADY));
    let near = near.map(|at| &mouths[at.min(mouths.len() - 1)].to_canonical);
    let mean =
        |part: fn(&Affine) -> f32| near.clone().map(part).sum::<f32>() / (2 * STEADY + 1) as f32;
    Affine {
        a: mean(|map| map.a),
        b: mean(|map| map.b),
        c: mean(|map| map.c),
        d: mean(|map| map.d),
        tx: mean(|map| map.tx),
        ty: mean(|map| map.ty),
    }
}

/// Brightness of the canonical lower face, 0..255, row by row.
fn lower_face(frame: &Picture, to_canonical: &Affine) -> Result<Vec<f32>> {
    let to_frame = to_canonical.inverse();
    let to_frame = to_frame.context("the mesh of the face has collapsed")?;
    let rgb = frame.planes()?.sampled(&to_frame, CANONICAL_SIZE);
    let bright = |at: usize| (0..3).map(|plane| LUMA[plane] * rgb[plane][at]).sum();
    Ok((0..CANONICAL_SIZE.pow(2)).map(bright).collect())
}

/// Sound as the plugin hears it.
fn take(samples: &[f32]) -> Result<Sound> {
    let length = samples.len() as f64 / f64::from(SPEECH_RATE);
    if length * 1e9 > sound::CAPACITY_NS as f64 {
        bail!("{length:.0} s of sound are too much for one judgement");
    }
    let mut sound = Sound::new();
    sound.configure(SampleFormat::F32, SPEECH_RATE, sound::MONO)?;
    let bytes: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    sound.push(&bytes, 0, true);
    sound.finish();
    Ok(sound)
}

/// `heard` begins [`REACH`] windows before `seen`. Every offset is measured on the same windows of
/// the picture, those whose sound lies beside the picture at all of them; nothing is padded.
fn judgement(seen: &[Embedding], heard: &[Embedding]) -> Judgement {
    let distances: Vec<f64> = (0..=2 * REACH)
        .map(|shift| {
            let windows = REACH..seen.len() - REACH;
            let each = windows.map(|at| distance(&seen[at], &heard[at + shift]));
            numbers::mean(&each.collect::<Vec<_>>())
        })
        .collect();
    let mut sorted = distances.clone();
    sorted.sort_by(f64::total_cmp);
    let least = sorted[0];
    let at = distances.iter().position(|distance| *distance == least);
    Judgement {
        distance: least,
        confidence: sorted[REACH] - least,
        offset: at.map_or(0, |at| at as i32 - REACH as i32),
        unshifted: distances[REACH],
    }
}

fn distance(a: &Embedding, b: &Embedding) -> f64 {
    let squares: f32 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
    f64::from(squares).sqrt()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::{
        faces::Watcher,
        media::{self, Frames},
    };

    /// A person whom neither the judge nor the built-in generator was trained on.
    fn clip() -> Option<PathBuf> {
        let tools = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let path = tools.join("../../shared/media/grid/x17.mkv");
        if !path.is_file() {
            println!("skipped: {} is not there", path.display());
            return None;
        }
        Some(path)
    }

    fn later(samples: &[f32], frames: i32) -> Vec<f32> {
        let shift = f64::from(frames) / FRAME_RATE * f64::from(SPEECH_RATE);
        let from = |at| usize::try_from(at - shift as isize).ok();
        let moved = (0..samples.len() as isize).map(|at| samples.get(from(at)?));
        moved
            .map(|sample| sample.copied().unwrap_or_default())
            .collect()
    }

    #[test]
    fn the_offset_of_a_real_clip_is_found() {
        gst::init().unwrap();
        let Some(path) = clip() else { return };
        let frames = Frames::all(&path).unwrap();
        let mouths = Watcher::watch_all(&frames).unwrap();
        let samples = media::speech(&path).unwrap();
        let mut judge = Judge::open().unwrap();
        let own = judge.judge(&frames, &mouths, &samples).unwrap();
        assert_eq!(own.offset, 0, "{own:?}");
        assert_eq!(own.distance, own.unshifted, "{own:?}");
        for frames_late in [3, -5] {
            let moved = later(&samples, frames_late);
            let found = judge.judge(&frames, &mouths, &moved).unwrap();
            assert_eq!(found.offset, frames_late, "{found:?}");
        }
        let still = frames.iter().map(|frame| Picture {
            time: frame.time,
            ..frames[0].clone()
        });
        let still: Vec<_> = still.collect();
        let shut = vec![mouths[0].clone(); frames.len()];
        let frozen = judge.judge(&still, &shut, &samples).unwrap();
        let contrast = own.confidence / frozen.confidence;
        assert!(contrast > 2.0, "{frozen:?} against {own:?}");
    }

    #[test]
    fn too_little_is_refused() {
        gst::init().unwrap();
        let mut judge = Judge::open().unwrap();
        assert!(judge.judge(&[], &[], &[]).is_err());
    }

    #[test]
    fn frames_are_taken_at_the_rate_of_training() {
        let times: Vec<f64> = (0..=50).map(|index| f64::from(index) / 50.0).collect();
        let chosen = at_frame_rate(&times);
        assert_eq!(chosen, (0..=25).map(|index| 2 * index).collect::<Vec<_>>());
        let slow: Vec<f64> = (0..=12).map(|index| f64::from(index) / 12.5).collect();
        assert_eq!(at_frame_rate(&slow).len(), 25);
        assert!(at_frame_rate(&[]).is_empty());
    }

    #[test]
    fn sound_that_comes_late_is_found_late() {
        // Windows that are all at right angles to each other.
        let window = |number: usize| {
            let mut embedding = [0.0; EMBEDDING];
            embedding[number % EMBEDDING] = 1.0;
            embedding
        };
        let seen: Vec<Embedding> = (0..60).map(|at| window(at + REACH)).collect();
        for late in [-15, -4, 0, 7, 15] {
            let heard: Vec<Embedding> = (0..90)
                .map(|at| window((at - late + EMBEDDING as i32) as usize))
                .collect();
            let found = judgement(&seen, &heard);
            assert_eq!((found.offset, found.distance), (late, 0.0));
            assert!((found.confidence - std::f64::consts::SQRT_2).abs() < 1e-6);
        }
    }
}
