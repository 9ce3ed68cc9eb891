//! How one mouth follows another: both are series of mouths seen in the same frames.

use anyhow::{Context, Result};
use lipsync_tools::{
    faces::Mouth,
    numbers::{self, Match},
};

use crate::spectrum::Spectrum;

/// Frames by which an output may be late or early and still be recognised.
pub const REACH: i32 = 10;
/// Inner-lip gap in canonical pixels from which a mouth counts as open: 2.5 % of the face's width.
/// The mesh sees the closed lips of real people up to 2.9 px apart (the first frames, before a word,
/// of ten clips of one held-out speaker), and nine of ten real p, b, m below it
/// (`training/measure_real_lips.py`).
pub const OPEN: f64 = 3.0;
/// Frames after which a still picture with a steady tone has settled.
const SETTLED: usize = 25;
/// Movements faster than this, in hertz, are those of consonants.
const FAST: f64 = 4.0;

/// How a mouth follows the true sound.
#[derive(Clone, Copy)]
pub struct Speech {
    /// Of the opening with the real one.
    pub correlation: f64,
    /// Frames that the opening comes after the real one.
    pub lag: i32,
    /// The same between frames.
    pub fine_lag: f64,
    /// Standard deviation of the opening, output / real.
    pub amplitude: f64,
    /// The same of what moves faster than [`FAST`].
    pub fast: f64,
}

pub fn speech(real: &[f64], output: &[f64], rate: f64) -> Result<Speech> {
    let Match { lag, fine_lag, .. } =
        numbers::best_lag(real, output, REACH).context("too few frames for a lag")?;
    let ratio = |output: f64, real: f64| output / real.max(f64::EPSILON);
    let fast = |openings: &[f64]| Spectrum::of(openings, rate).power_above(FAST).sqrt();
    Ok(Speech {
        correlation: numbers::correlation(real, output),
        lag,
        fine_lag,
        amplitude: ratio(numbers::deviation(output), numbers::deviation(real)),
        fast: ratio(fast(output), fast(real)),
    })
}

pub fn openings(mouths: &[Mouth]) -> Vec<f64> {
    mouths.iter().map(Mouth::opening).collect()
}

pub fn spreads(mouths: &[Mouth]) -> Vec<f64> {
    mouths.iter().map(Mouth::spread).collect()
}

/// Share of the source's own opening in the output's, beside what the true one explains: the slope of
/// a least-squares fit on both. 0 where the source does not move.
pub fn shows_through(output: &[f64], real: &[f64], source: &[f64]) -> f64 {
    let covariance = |a: &[f64], b: &[f64]| {
        numbers::correlation(a, b) * numbers::deviation(a) * numbers::deviation(b)
    };
    let (of_real, of_source) = (covariance(real, real), covariance(source, source));
    let shared = covariance(real, source);
    let independent = of_real * of_source - shared * shared;
    if independent > f64::EPSILON {
        (covariance(output, source) * of_real - covariance(output, real) * shared) / independent
    } else {
        0.0
    }
}

/// How much closer the lips come to the real ones than those of a mouth that does not move.
pub fn landmark_distance(real: &[Mouth], output: &[Mouth]) -> f64 {
    let mean_to_real = |lips: &dyn Fn(usize) -> Vec<[f32; 2]>| {
        let distances: Vec<f64> = real
            .iter()
            .enumerate()
            .map(|(index, mouth)| distance(&mouth.lips(), &lips(index)) / mouth.width())
            .collect();
        numbers::mean(&distances)
    };
    let drawn = mean_to_real(&|index| output[index].lips());
    let frozen = mean_to_real(&|_| real[0].lips());
    drawn / frozen.max(f64::EPSILON)
}

fn distance(a: &[[f32; 2]], b: &[[f32; 2]]) -> f64 {
    let distances: Vec<f64> = a
        .iter()
        .zip(b)
        .map(|(a, b)| f64::from((a[0] - b[0]).hypot(a[1] - b[1])))
        .collect();
    numbers::mean(&distances)
}

/// Share of frames with an open mouth.
pub fn open_share(mouths: &[Mouth]) -> f64 {
    let open = openings(mouths).iter().filter(|gap| **gap > OPEN).count();
    open as f64 / mouths.len().max(1) as f64
}

/// Mean movement of the lips from one frame to the next, once all has settled.
pub fn jitter(mouths: &[Mouth]) -> f64 {
    let lips: Vec<_> = mouths.iter().skip(SETTLED).map(Mouth::lips).collect();
    let steps: Vec<f64> = lips
        .windows(2)
        .map(|pair| distance(&pair[0], &pair[1]))
        .collect();
    numbers::mean(&steps)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{clip::Clip, surface};

    const CLIP: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../shared/media/grid/x12.mkv"
    );

    #[test]
    fn a_video_measured_against_itself_is_perfect() {
        let path = Path::new(CLIP);
        if !path.exists() {
            println!("skipped: no {CLIP}");
            return;
        }
        gst::init().unwrap();
        let clip = Clip::load(path).unwrap();
        let real = openings(&clip.mouths);
        let same = speech(&real, &real, clip.rate()).unwrap();
        assert!((same.correlation - 1.0).abs() < 1e-9 && same.lag == 0);
        assert!((same.amplitude - 1.0).abs() < 1e-9 && (same.fast - 1.0).abs() < 1e-9);
        assert_eq!(landmark_distance(&clip.mouths, &clip.mouths), 0.0);

        let mut late = real.clone();
        late.rotate_right(3);
        assert_eq!(speech(&real, &late, clip.rate()).unwrap().lag, 3);

        let mixed: Vec<f64> = real
            .iter()
            .zip(&late)
            .map(|(a, b)| 0.8 * a + 0.3 * b)
            .collect();
        assert!((shows_through(&mixed, &real, &late) - 0.3).abs() < 1e-9);
        assert!(shows_through(&real, &real, &late).abs() < 1e-9);
        assert_eq!(shows_through(&late, &real, &vec![1.0; late.len()]), 0.0);

        let still = vec![clip.mouths[0].clone(); clip.mouths.len()];
        assert_eq!(jitter(&still), 0.0);
        assert!((landmark_distance(&clip.mouths, &still) - 1.0).abs() < 1e-9);

        let surface = surface::compare(&clip.frames, &clip.frames).unwrap();
        assert_eq!(surface.outside, 0);
        assert_eq!((surface.sharpness, surface.seam), (1.0, 1.0));
    }
}
