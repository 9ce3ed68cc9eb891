//! How fast a mouth moves: the power of its opening by frequency.

use std::f64::consts::TAU;

use lipsync_tools::numbers;

/// Between two frequencies, in hertz: clips of a few seconds tell no finer.
const STEP: f64 = 0.25;
/// Videos below 25 frames a second show nothing above.
const HIGHEST: f64 = 12.5;

/// Power at 0, [`STEP`], 2 [`STEP`], ... hertz.
#[derive(Clone)]
pub struct Spectrum(Vec<f64>);

impl Spectrum {
    /// Of a series of `rate` values a second, its mean taken off, under a Hann window.
    pub fn of(values: &[f64], rate: f64) -> Self {
        let mean = numbers::mean(values);
        let count = values.len().max(1) as f64;
        let hann = |n: usize| 0.5 - 0.5 * (TAU * (n as f64 + 0.5) / count).cos();
        let windowed = values.iter().enumerate();
        let windowed = windowed.map(|(n, value)| (value - mean) * hann(n));
        let windowed: Vec<f64> = windowed.collect();
        let power = |hertz: f64| {
            let turn = |n: usize| TAU * hertz * n as f64 / rate;
            let sum = |wave: fn(f64) -> f64| -> f64 {
                let parts = windowed.iter().enumerate();
                parts.map(|(n, value)| value * wave(turn(n))).sum()
            };
            (sum(f64::cos).powi(2) + sum(f64::sin).powi(2)) / count
        };
        let steps = (HIGHEST.min(rate / 2.0) / STEP) as usize;
        Self((0..=steps).map(|k| power(k as f64 * STEP)).collect())
    }

    pub fn power_above(&self, hertz: f64) -> f64 {
        self.0.iter().skip((hertz / STEP) as usize).sum()
    }

    /// Means of many at each frequency in hertz, as far as all of them reach.
    pub fn mean(spectra: &[Self]) -> Vec<(f64, f64)> {
        let length = spectra.iter().map(|spectrum| spectrum.0.len()).min();
        let mean = |k: usize| {
            let powers: Vec<f64> = spectra.iter().map(|spectrum| spectrum.0[k]).collect();
            (k as f64 * STEP, numbers::mean(&powers))
        };
        (0..length.unwrap_or_default()).map(mean).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_has_its_power_at_its_frequency() {
        let wave = |hertz: f64| -> Vec<f64> {
            let turn = |n: i32| TAU * hertz * f64::from(n) / 25.0;
            (0..100).map(|n| 3.0 + turn(n).sin()).collect()
        };
        let (slow, fast) = (wave(2.0), wave(6.0));
        let spectra = [Spectrum::of(&slow, 25.0)];
        let top = Spectrum::mean(&spectra)
            .into_iter()
            .max_by(|a, b| a.1.total_cmp(&b.1));
        assert_eq!(top.unwrap().0, 2.0);
        let above = |wave: &[f64]| Spectrum::of(wave, 25.0).power_above(4.0);
        assert!(above(&fast) > 1e4 * above(&slow));
    }
}
