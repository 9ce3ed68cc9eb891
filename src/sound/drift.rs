//! Drift between time stamps and the count of samples: which part of it is worth a correction.

/// The mean error is taken over about this many seconds, which hides jitter.
const SMOOTHING_SECONDS: f64 = 4.0;

/// Mean errors below this are left alone: 5 ms, far below half a video frame.
const WORTH_NS: f64 = 5e6;

/// The smoothed difference between time stamps and sample count.
#[derive(Default)]
pub struct Drift {
    mean_ns: f64,
}

impl Drift {
    /// Takes the error of one buffer of `duration` seconds (above zero: its stamp says later than
    /// the count of samples). Returns the correction to make, if it is time for one.
    pub fn observe(&mut self, error_ns: i64, duration: f64) -> Option<i64> {
        let weight = 1.0 - (-duration / SMOOTHING_SECONDS).exp();
        self.mean_ns += weight * (error_ns as f64 - self.mean_ns);
        if self.mean_ns.abs() < WORTH_NS {
            return None;
        }
        Some(std::mem::take(&mut self.mean_ns) as i64)
    }
}
