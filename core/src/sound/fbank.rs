//! Log filter-bank energies as Kaldi computes them, which speech recognisers such as WeNet hear.
//!
//! Must not know resampling or running time. Reference: `torchaudio.compliance.kaldi.fbank` with
//! 80 bins, 25 ms every 10 ms, no dither and an energy floor of 0, as Ultralight-Digital-Human's
//! `data_utils/FeaturePipeline.py` calls it; everything else as Kaldi's defaults have it.

use crate::sound::{
    RATE,
    ring::Ring,
    spectrum_cache::{Analysis, BANDS, Column, Triangle},
};
use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex};
use std::{f64::consts::PI, ops::Range, sync::Arc};

/// Samples from a column to the next: 10 ms (`frame_shift`).
pub const HOP: i64 = 160;
/// Samples in a column: 25 ms (`frame_length`).
pub const WINDOW: usize = 400;
/// The next power of two (`round_to_power_of_two`).
const FFT: usize = 512;
/// Bins below Nyquist's; that one has no weight in Kaldi.
const BINS: usize = FFT / 2;
/// `preemphasis_coefficient`
const PRE_EMPHASIS: f64 = 0.97;
/// Povey's window is Hann's to this power.
const POVEY: f64 = 0.85;
/// `low_freq`, and `high_freq` 0: half the sample rate.
const LOWEST_HZ: f64 = 20.0;
const HIGHEST_HZ: f64 = RATE as f64 / 2.0;
/// Floor of the energies: the smallest step from 1 in 32-bit floats.
const FLOOR: f64 = f32::EPSILON as f64;
/// Its logarithm: what silence is.
pub const SILENCE: f32 = -15.942_385;
/// Full scale of the samples, which are cut to whole numbers as Ultralight's `wenet_infer.py` cuts
/// them: `(stream * 32767).astype(int16)`.
const FULL_SCALE: f32 = 32_767.0;

/// One column's arithmetic and its scratch.
pub struct Fbank {
    fft: Arc<dyn RealToComplex<f64>>,
    window: Vec<f64>,
    bands: Vec<Triangle>,
    samples: [f32; WINDOW],
    signal: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    energies: [f64; BINS],
    scratch: Vec<Complex<f64>>,
}

impl Fbank {
    pub fn new() -> Self {
        let fft = RealFftPlanner::<f64>::new().plan_fft_forward(FFT);
        Self {
            window: (0..WINDOW)
                .map(|n| {
                    let hann = 0.5 - 0.5 * (2.0 * PI * n as f64 / (WINDOW - 1) as f64).cos();
                    hann.powf(POVEY)
                })
                .collect(),
            bands: filter_bank(),
            samples: [0.0; WINDOW],
            signal: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            energies: [0.0; BINS],
            scratch: fft.make_scratch_vec(),
            fft,
        }
    }
}

impl Analysis for Fbank {
    const SILENCE: f32 = SILENCE;

    /// A column begins with a multiple of [`HOP`] (`snip_edges`).
    fn span(column: i64) -> Range<i64> {
        let first = column.saturating_mul(HOP);
        first..first.saturating_add(WINDOW as i64)
    }

    fn analyse(&mut self, first: i64, ring: &Ring, _end: Option<i64>, out: &mut Column) {
        ring.read(first, &mut self.samples);
        for sample in &mut self.samples {
            *sample = (*sample * FULL_SCALE)
                .trunc()
                .clamp(-FULL_SCALE, FULL_SCALE);
        }
        let sum: f64 = self.samples.iter().map(|&sample| f64::from(sample)).sum();
        let mean = sum / WINDOW as f64;
        // Each column is emphasised alone; its first sample stands for the one before, too.
        let mut before = f64::from(self.samples[0]) - mean;
        for ((signal, &sample), weight) in
            self.signal.iter_mut().zip(&self.samples).zip(&self.window)
        {
            let sample = f64::from(sample) - mean;
            *signal = (sample - PRE_EMPHASIS * before) * weight;
            before = sample;
        }
        self.signal[WINDOW..].fill(0.0);
        let transformed =
            self.fft
                .process_with_scratch(&mut self.signal, &mut self.spectrum, &mut self.scratch);
        debug_assert!(transformed.is_ok(), "the lengths are the plan's own");
        for (energy, bin) in self.energies.iter_mut().zip(&self.spectrum) {
            *energy = bin.norm_sqr();
        }
        for (out, band) in out.iter_mut().zip(&self.bands) {
            *out = band.sum(&self.energies).max(FLOOR).ln() as f32;
        }
    }
}

/// Triangles equally wide and equally high on Kaldi's mel scale.
fn filter_bank() -> Vec<Triangle> {
    let mel = |hz: f64| 1127.0 * (hz / 700.0).ln_1p();
    let (lowest, highest) = (mel(LOWEST_HZ), mel(HIGHEST_HZ));
    let edge = |n: usize| lowest + (highest - lowest) * n as f64 / (BANDS + 1) as f64;
    (0..BANDS)
        .map(|band| {
            let edges = [edge(band), edge(band + 1), edge(band + 2)];
            Triangle::new(BINS, edges, 1.0, |bin| {
                mel(bin as f64 * f64::from(RATE) / FFT as f64)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_the_floor() {
        assert_eq!(SILENCE, FLOOR.ln() as f32);
        let mut ring = Ring::new();
        // One step of 16 bits is cut off, as the reference cuts it.
        ring.append(&[1.0 / 32_768.0; 1_000]);
        let mut column = [0.0; BANDS];
        Fbank::new().analyse(0, &ring, None, &mut column);
        assert_eq!(column, [SILENCE; BANDS]);
    }
}
