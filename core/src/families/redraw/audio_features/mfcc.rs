//! Cepstra of speech, as DeepSpeech 0.1.0 hears them.
//!
//! Must not know where in a recording a window lies. Reference: `mfcc` of `python_speech_features` with 26
//! numbers and everything else as it has it, of 16-bit samples at 16 kHz.

use std::{f64::consts::PI, sync::Arc};

use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex};

use crate::sound::RATE;

/// Numbers of a row; the first is the logarithm of its energy.
pub const CEPSTRA: usize = 26;
/// Samples of a row: 25 ms.
pub const WINDOW: usize = 400;
const FFT: usize = 512;
const BINS: usize = FFT / 2 + 1;
const PRE_EMPHASIS: f64 = 0.97;
/// `ceplifter`
const LIFTER: f64 = 22.0;
/// Full scale of the samples, which are cut to whole numbers.
const FULL_SCALE: f32 = 32_768.0;

/// One row's arithmetic and its scratch.
pub struct Mfcc {
    fft: Arc<dyn RealToComplex<f64>>,
    signal: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
    powers: [f64; BINS],
    /// Bins at which the triangles begin, peak and end.
    edges: [usize; CEPSTRA + 2],
    /// `[CEPSTRA, CEPSTRA]`: the cosine transform of the logarithms, lifted.
    cosines: Vec<f64>,
}

impl Mfcc {
    pub fn new() -> Self {
        let fft = RealFftPlanner::<f64>::new().plan_fft_forward(FFT);
        Self {
            signal: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            powers: [0.0; BINS],
            edges: edges(),
            cosines: cosines(),
            fft,
        }
    }

    /// `samples` are the one before the window, -1..1, and its own; of these the recording has the first
    /// `recorded`.
    pub fn row(&mut self, samples: &[f32], recorded: usize, out: &mut [f32]) {
        let whole = |sample: f32| {
            let level = (sample * FULL_SCALE).trunc();
            f64::from(level.clamp(-FULL_SCALE, FULL_SCALE - 1.0))
        };
        self.signal.fill(0.0);
        let pairs = samples.windows(2).take(recorded);
        for (signal, pair) in self.signal.iter_mut().zip(pairs) {
            *signal = whole(pair[1]) - PRE_EMPHASIS * whole(pair[0]);
        }
        let transformed =
            self.fft
                .process_with_scratch(&mut self.signal, &mut self.spectrum, &mut self.scratch);
        debug_assert!(transformed.is_ok(), "the lengths are the plan's own");
        for (power, bin) in self.powers.iter_mut().zip(&self.spectrum) {
            *power = bin.norm_sqr() / FFT as f64;
        }
        let logarithm = |energy: f64| match energy {
            0.0 => f64::EPSILON.ln(),
            energy => energy.ln(),
        };
        let mut logarithms = [0.0; CEPSTRA];
        for (out, edges) in logarithms.iter_mut().zip(self.edges.windows(3)) {
            *out = logarithm(triangle(&self.powers, edges));
        }
        for (out, cosines) in out.iter_mut().zip(self.cosines.chunks_exact(CEPSTRA)) {
            let terms = cosines.iter().zip(&logarithms);
            *out = terms.map(|(cosine, value)| cosine * value).sum::<f64>() as f32;
        }
        if let Some(first) = out.first_mut() {
            *first = logarithm(self.powers.iter().sum()) as f32;
        }
    }
}

/// What lies under a triangle: rising from its first bin, falling to its last.
fn triangle(powers: &[f64], edges: &[usize]) -> f64 {
    let &[first, peak, last] = edges else {
        return 0.0;
    };
    let side = |bins: std::ops::Range<usize>, weight: &dyn Fn(usize) -> f64| -> f64 {
        bins.map(|bin| weight(bin) * powers[bin]).sum()
    };
    let rising = side(first..peak, &|bin| {
        (bin - first) as f64 / (peak - first) as f64
    });
    let falling = side(peak..last, &|bin| {
        (last - bin) as f64 / (last - peak) as f64
    });
    rising + falling
}

/// Equally far apart on the mel scale from 0 to half of the rate.
fn edges() -> [usize; CEPSTRA + 2] {
    let highest = 2595.0 * (1.0 + f64::from(RATE) / 2.0 / 700.0).log10();
    std::array::from_fn(|at| {
        let mel = highest * at as f64 / (CEPSTRA + 1) as f64;
        let hz = 700.0 * (10f64.powf(mel / 2595.0) - 1.0);
        ((FFT + 1) as f64 * hz / f64::from(RATE)) as usize
    })
}

fn cosines() -> Vec<f64> {
    let count = CEPSTRA as f64;
    let number = |at: usize| {
        let (row, column) = ((at / CEPSTRA) as f64, (at % CEPSTRA) as f64);
        let scale = if row == 0.0 { 1.0 } else { 2.0 };
        let lift = 1.0 + LIFTER / 2.0 * (PI * row / LIFTER).sin();
        let angle = PI * row * (2.0 * column + 1.0) / (2.0 * count);
        lift * (scale / count).sqrt() * angle.cos()
    };
    (0..CEPSTRA * CEPSTRA).map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_the_smallest_energy() {
        let mut out = [0.0; CEPSTRA];
        Mfcc::new().row(&[0.0; WINDOW + 1], WINDOW, &mut out);
        let least = f64::EPSILON.ln() as f32;
        assert_eq!(out[0], least);
        assert!(out[1..].iter().all(|value| value.abs() < 1e-4), "{out:?}");
    }

    #[test]
    fn what_is_not_recorded_is_no_click() {
        let (mut cut, mut short) = ([0.0; CEPSTRA], [0.0; CEPSTRA]);
        let mut samples = [0.25; WINDOW + 1];
        let mut mfcc = Mfcc::new();
        mfcc.row(&samples, 100, &mut cut);
        samples[101..].fill(0.0);
        mfcc.row(&samples, 100, &mut short);
        assert_eq!(cut, short);
        mfcc.row(&samples, WINDOW, &mut short);
        assert_ne!(cut, short);
    }
}
