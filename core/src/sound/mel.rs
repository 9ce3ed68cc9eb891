//! Log-mel spectrum on the absolute grid, exactly as the Wav2Lip family was trained on.
//!
//! Must not know resampling or running time. Reference: Wav2Lip `hparams.py` and `audio.py`
//! (librosa).

use crate::sound::{
    HOP,
    ring::Ring,
    slaney,
    spectrum_cache::{Analysis, Column, Triangle},
};
use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex};
use std::{f64::consts::PI, ops::Range, sync::Arc};

/// Lowest and highest value of the spectrum; silence is the lowest, exactly.
pub const RANGE: [f32; 2] = [-4.0, 4.0];

/// STFT length and window length (`n_fft`, `win_size`).
pub const WINDOW: usize = 800;
const BINS: usize = WINDOW / 2 + 1;
/// `preemphasis`
const PRE_EMPHASIS: f64 = 0.97;
/// `fmin` and `fmax` in Hz.
const LOWEST_HZ: f64 = 55.0;
const HIGHEST_HZ: f64 = 7600.0;
/// `20 log10(m) - ref_level_db`, then `8 (dB + 100) / 100 - 4`, in closed form. The reference has a
/// floor of 1e-5 for `m`, which is below the range; with a lower one, what is too soft for the range
/// can be raised into it.
const FLOOR: f64 = 1e-10;
const LOG_SCALE: f64 = 1.6;
const LOG_OFFSET: f64 = 2.4;
/// Steps of the spectrum for a level 1 dB higher.
pub const STEPS_PER_DB: f32 = (LOG_SCALE / 20.0) as f32;

/// One column's arithmetic and its scratch.
pub struct LogMel {
    fft: Arc<dyn RealToComplex<f64>>,
    /// Periodic Hann.
    window: Vec<f64>,
    bands: Vec<Triangle>,
    samples: [f32; WINDOW],
    signal: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    magnitudes: Vec<f64>,
    scratch: Vec<Complex<f64>>,
}

impl LogMel {
    pub fn new() -> Self {
        let fft = RealFftPlanner::<f64>::new().plan_fft_forward(WINDOW);
        Self {
            window: (0..WINDOW)
                .map(|n| 0.5 - 0.5 * (2.0 * PI * n as f64 / WINDOW as f64).cos())
                .collect(),
            bands: slaney::filter_bank([LOWEST_HZ, HIGHEST_HZ], WINDOW),
            samples: [0.0; WINDOW],
            signal: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            magnitudes: vec![0.0; BINS],
            scratch: fft.make_scratch_vec(),
            fft,
        }
    }
}

impl Analysis for LogMel {
    const SILENCE: f32 = (LOG_SCALE * -10.0 + LOG_OFFSET) as f32;
    const RANGE: [f32; 2] = RANGE;

    /// A column is centred on a multiple of [`HOP`]. The first sample of the window has no weight,
    /// but the pre-emphasis reaches back to it.
    fn span(column: i64) -> Range<i64> {
        let centre = column.saturating_mul(HOP);
        let half = WINDOW as i64 / 2;
        centre.saturating_sub(half)..centre.saturating_add(half)
    }

    fn analyse(&mut self, first: i64, ring: &Ring, end: Option<i64>, out: &mut Column) {
        ring.read(first, &mut self.samples);
        // The window's first weight is zero, so the sample before it is not needed.
        self.signal[0] = 0.0;
        for ((signal, pair), weight) in self.signal[1..]
            .iter_mut()
            .zip(self.samples.windows(2))
            .zip(&self.window[1..])
        {
            *signal = (f64::from(pair[1]) - PRE_EMPHASIS * f64::from(pair[0])) * weight;
        }
        // The reference has the silence after the end emphasised already: no click there.
        if let Some(end) = end
            && let Ok(at) = usize::try_from(end.saturating_sub(first))
            && let Some(signal) = self.signal.get_mut(at)
        {
            *signal = 0.0;
        }
        let transformed =
            self.fft
                .process_with_scratch(&mut self.signal, &mut self.spectrum, &mut self.scratch);
        debug_assert!(transformed.is_ok(), "the lengths are the plan's own");
        for (magnitude, bin) in self.magnitudes.iter_mut().zip(&self.spectrum) {
            *magnitude = bin.norm_sqr().sqrt();
        }
        for (out, band) in out.iter_mut().zip(&self.bands) {
            let magnitude = band.sum(&self.magnitudes);
            *out = (LOG_SCALE * magnitude.max(FLOOR).log10() + LOG_OFFSET) as f32;
        }
    }
}
