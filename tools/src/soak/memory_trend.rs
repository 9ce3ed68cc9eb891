//! How memory grows over time.

use std::time::Instant;

use lipsync_tools::numbers::median;

/// Samples over time.
#[derive(Default)]
pub struct Trend(Vec<(f64, f64)>);

impl Trend {
    pub fn add(&mut self, since: Instant, value: f64) {
        self.0.push((since.elapsed().as_secs_f64(), value));
    }

    /// From the median of the first `share` of the samples to that of the last, by the slope
    /// between: the median of the slopes of all pairs (Theil 1950, Sen 1968), which single peaks do
    /// not move, times the time that the samples span.
    pub fn growth(&self) -> f64 {
        let samples = self.thinned();
        let slopes: Vec<f64> = samples
            .iter()
            .enumerate()
            .flat_map(|(at, (t0, v0))| {
                let later = &samples[at + 1..];
                later.iter().map(move |(t1, v1)| (v1 - v0) / (t1 - t0))
            })
            .filter(|slope| slope.is_finite())
            .collect();
        let slope = median(&slopes).unwrap_or_default();
        let times = samples.first().zip(samples.last());
        let span = times.map_or(0.0, |(first, last)| last.0 - first.0);
        slope * span
    }

    /// At most this many, as pairs grow by the square.
    fn thinned(&self) -> Vec<(f64, f64)> {
        const MOST: usize = 600;
        let step = self.0.len().div_ceil(MOST).max(1);
        self.0.iter().copied().step_by(step).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_seen_among_peaks() {
        let trend = |growth: f64| {
            let sample = |second: i32| {
                let peak = if second % 7 == 0 { 5_000.0 } else { 0.0 };
                (f64::from(second), growth * f64::from(second) + peak)
            };
            Trend((0..=1000).map(sample).collect())
        };
        assert!(trend(0.0).growth().abs() < 1.0);
        assert!((trend(2.0).growth() - 2000.0).abs() < 10.0);
        assert_eq!(Trend::default().growth(), 0.0);
    }
}
