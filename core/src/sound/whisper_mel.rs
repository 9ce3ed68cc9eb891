//! Log-mel spectrum as Whisper hears it, without what depends on other columns.
//!
//! Must not know resampling or running time. Reference: transformers' `WhisperFeatureExtractor`, which
//! then raises all of a piece to its loudest value less 8 and has (x + 4) / 4 of that: whoever has
//! the piece does so.

use crate::sound::{
    RATE,
    ring::Ring,
    slaney,
    spectrum_cache::{Analysis, Column, Triangle},
};
use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex};
use std::{f64::consts::PI, ops::Range, sync::Arc};

/// Samples from a column to the next: 10 ms.
pub const HOP: i64 = 160;
/// Samples in a column: 25 ms.
pub const WINDOW: usize = 400;
const HIGHEST_HZ: f64 = RATE as f64 / 2.0;
/// Of the power in a band.
const FLOOR: f64 = 1e-10;
/// Its logarithm: what silence is.
pub const SILENCE: f32 = -10.0;

/// One column's arithmetic and its scratch.
pub struct WhisperMel {
    fft: Arc<dyn RealToComplex<f64>>,
    /// Periodic Hann.
    window: Vec<f64>,
    bands: Vec<Triangle>,
    samples: [f32; WINDOW],
    signal: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    powers: Vec<f64>,
    scratch: Vec<Complex<f64>>,
}

impl WhisperMel {
    pub fn new() -> Self {
        let fft = RealFftPlanner::<f64>::new().plan_fft_forward(WINDOW);
        Self {
            window: (0..WINDOW)
                .map(|n| 0.5 - 0.5 * (2.0 * PI * n as f64 / WINDOW as f64).cos())
                .collect(),
            bands: slaney::filter_bank([0.0, HIGHEST_HZ], WINDOW),
            samples: [0.0; WINDOW],
            signal: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            powers: vec![0.0; WINDOW / 2 + 1],
            scratch: fft.make_scratch_vec(),
            fft,
        }
    }
}

impl Analysis for WhisperMel {
    const SILENCE: f32 = SILENCE;
    const CACHED: usize = 4096;

    /// A column is centred on a multiple of [`HOP`].
    fn span(column: i64) -> Range<i64> {
        let centre = column.saturating_mul(HOP);
        let half = WINDOW as i64 / 2;
        centre.saturating_sub(half)..centre.saturating_add(half)
    }

    fn analyse(&mut self, first: i64, ring: &Ring, _end: Option<i64>, out: &mut Column) {
        ring.read(first, &mut self.samples);
        for ((signal, &sample), weight) in
            self.signal.iter_mut().zip(&self.samples).zip(&self.window)
        {
            *signal = f64::from(sample) * weight;
        }
        let transformed =
            self.fft
                .process_with_scratch(&mut self.signal, &mut self.spectrum, &mut self.scratch);
        debug_assert!(transformed.is_ok(), "the lengths are the plan's own");
        for (power, bin) in self.powers.iter_mut().zip(&self.spectrum) {
            *power = bin.norm_sqr();
        }
        for (out, band) in out.iter_mut().zip(&self.bands) {
            *out = band.sum(&self.powers).max(FLOOR).log10() as f32;
        }
    }
}
