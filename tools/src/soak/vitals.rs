//! What the process uses: memory, threads, file descriptors.

use std::time::Instant;

use anyhow::{Context, Result};

#[derive(Clone, Copy, Debug)]
pub struct Vitals {
    /// Resident memory in KiB.
    pub memory: u64,
    pub threads: u64,
    pub files: u64,
}

impl Vitals {
    pub fn now() -> Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status").context("cannot read /proc")?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let value = line.and_then(|line| line.split_whitespace().next());
            value
                .and_then(|value| value.parse().ok())
                .with_context(|| format!("no {name} in /proc/self/status"))
        };
        Ok(Self {
            memory: field("VmRSS:")?,
            threads: field("Threads:")?,
            files: std::fs::read_dir("/proc/self/fd")?.count() as u64,
        })
    }
}

/// Samples over time.
#[derive(Default)]
pub struct Course(Vec<(f64, f64)>);

impl Course {
    pub fn add(&mut self, since: Instant, value: u64) {
        self.0.push((since.elapsed().as_secs_f64(), value as f64));
    }

    /// From the median of the first `share` of the samples to that of the last, by the slope
    /// between: the median of the slopes of all pairs (Theil 1950, Sen 1968), which single peaks do
    /// not move, times the time that the samples span.
    pub fn growth(&self) -> f64 {
        let samples = self.thinned();
        let mut slopes: Vec<f64> = samples
            .iter()
            .enumerate()
            .flat_map(|(at, (t0, v0))| {
                let later = &samples[at + 1..];
                later.iter().map(move |(t1, v1)| (v1 - v0) / (t1 - t0))
            })
            .filter(|slope| slope.is_finite())
            .collect();
        if slopes.is_empty() {
            return 0.0;
        }
        let middle = slopes.len() / 2;
        let (_, slope, _) = slopes.select_nth_unstable_by(middle, f64::total_cmp);
        let span = samples.last().map_or(0.0, |last| last.0) - samples[0].0;
        *slope * span
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
        let course = |growth: f64| {
            let sample = |second: i32| {
                let peak = if second % 7 == 0 { 5_000.0 } else { 0.0 };
                (f64::from(second), growth * f64::from(second) + peak)
            };
            Course((0..=1000).map(sample).collect())
        };
        assert!(course(0.0).growth().abs() < 1.0);
        assert!((course(2.0).growth() - 2000.0).abs() < 10.0);
        assert_eq!(Course::default().growth(), 0.0);
    }

    #[test]
    fn the_process_is_alive() {
        let vitals = Vitals::now().unwrap();
        assert!(vitals.memory > 0 && vitals.threads > 0 && vitals.files > 2);
    }
}
