//! The level of a recording, as far as it was heard: networks that were trained on recordings of one
//! level, of their samples or of what was made of these, are given that.
//!
//! Must not know networks.

/// What stands in for a recording's level, and for how long.
#[derive(Clone, Copy)]
pub struct Usual {
    /// So many numbers count; earlier ones fade.
    pub memory: f64,
    /// Until so many were heard, a usual voice stands in for those that are missing.
    pub enough: f64,
    pub mean: f64,
    pub deviation: f64,
    /// What is less than this is the noise of a room and stays softer than a voice.
    pub least: f64,
}

/// Mean and deviation of numbers that follow each other, each counted once.
pub struct Level {
    usual: Usual,
    /// The sample after the last one that was counted.
    until: Option<i64>,
    count: f64,
    sum: f64,
    squares: f64,
}

impl Level {
    pub fn new(usual: Usual) -> Self {
        Self {
            usual,
            until: None,
            count: 0.0,
            sum: 0.0,
            squares: 0.0,
        }
    }

    /// Counts those of `samples`, the first of which has the place `first`, that lie after all that
    /// were counted.
    pub fn hear(&mut self, first: i64, samples: &[f32]) {
        let counted = match self.until {
            Some(until) => until.saturating_sub(first).clamp(0, samples.len() as i64),
            None => 0,
        };
        let new = &samples[counted as usize..];
        if new.is_empty() {
            return;
        }
        self.until = Some(first.saturating_add(samples.len() as i64));
        let kept = (self.usual.memory / (self.count + new.len() as f64)).min(1.0);
        for sum in [&mut self.count, &mut self.sum, &mut self.squares] {
            *sum *= kept;
        }
        self.count += new.len() as f64;
        self.sum += new.iter().map(|&sample| f64::from(sample)).sum::<f64>();
        let squares = new.iter().map(|&sample| f64::from(sample).powi(2));
        self.squares += squares.sum::<f64>();
    }

    /// Writes `samples` to `out` with a mean of 0 and a deviation of 1, if they are as those that
    /// were counted.
    pub fn apply(&self, samples: &[f32], out: &mut [f32]) {
        let usual = &self.usual;
        let missing = (usual.enough - self.count).max(0.0);
        let count = self.count + missing;
        let mean = (self.sum + missing * usual.mean) / count;
        let power = usual.deviation.powi(2) + usual.mean.powi(2);
        let squares = self.squares + missing * power;
        let variance = (squares / count - mean * mean).max(usual.least.powi(2));
        // As the original's feature extractor has it.
        let gain = 1.0 / (variance + 1e-7).sqrt();
        for (out, &sample) in out.iter_mut().zip(samples) {
            *out = ((f64::from(sample) - mean) * gain) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of samples.
    const USUAL: Usual = Usual {
        memory: 60.0 * 16_000.0,
        enough: 2.0 * 16_000.0,
        mean: 0.0,
        deviation: 0.05,
        least: 0.001,
    };

    fn applied(level: &Level, sample: f32) -> f32 {
        let mut out = [0.0];
        level.apply(&[sample], &mut out);
        out[0]
    }

    /// Seconds of a wave about `offset`.
    fn wave(seconds: usize, level: f32, offset: f32) -> Vec<f32> {
        let sign = |at: usize| if at.is_multiple_of(2) { 1.0 } else { -1.0 };
        (0..seconds * 16_000)
            .map(|at| offset + sign(at) * level)
            .collect()
    }

    #[test]
    fn every_sample_counts_once() {
        let mut level = Level::new(USUAL);
        level.hear(0, &wave(3, 0.5, 0.0));
        assert!((applied(&level, 0.25) - 0.5).abs() < 1e-5);
        level.hear(16_000, &wave(2, 0.1, 0.0));
        assert!((applied(&level, 0.25) - 0.5).abs() < 1e-5);
        // With a constant offset; of four seconds only the last one is news.
        level.hear(0, &wave(4, 0.5, 1.0));
        let variance = (4.0 * 0.25 + 1.0) / 4.0 - 1.0 / 16.0;
        let expected = (1.5 - 0.25) / f32::sqrt(variance);
        assert!((applied(&level, 1.5) - expected).abs() < 1e-4);
    }

    #[test]
    fn until_enough_was_heard_a_usual_voice_has_its_mean_too() {
        let level = Level::new(Usual {
            mean: 3.0,
            deviation: 2.0,
            ..USUAL
        });
        assert!((applied(&level, 5.0) - 1.0).abs() < 1e-4);
    }

    #[test]
    fn what_was_heard_long_ago_fades() {
        let mut level = Level::new(USUAL);
        for at in 0..60 {
            level.hear(at * 16_000, &wave(1, 0.1, 0.0));
        }
        assert!((applied(&level, 0.1) - 1.0).abs() < 1e-4);
        for at in 60..600 {
            level.hear(at * 16_000, &wave(1, 0.4, 0.0));
        }
        assert!((applied(&level, 0.4) - 1.0).abs() < 1e-3);
    }

    #[test]
    fn a_stream_that_begins_with_silence_or_the_noise_of_a_room_is_not_raised() {
        let mut level = Level::new(USUAL);
        assert!((applied(&level, 0.05) - 1.0).abs() < 1e-3);
        level.hear(0, &wave(1, 0.0001, 0.0));
        assert!(applied(&level, 0.0001) < 0.01);
        level.hear(16_000, &wave(9, 0.0001, 0.0));
        assert!(applied(&level, 0.0001) < 0.11);
    }
}
