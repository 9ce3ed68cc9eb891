//! Differences between time stamps and the count of samples: jitter, drift, or sound that is
//! missing.

/// The mean error is taken over about this many seconds, which hides jitter.
const SMOOTHING_SECONDS: f64 = 4.0;

/// Mean errors below this are left alone: 5 ms, far below half a video frame.
const WORTH_NS: f64 = 5e6;

/// Errors above this, 8 ms or half a frame at 60 a second, that stay on one side for so many
/// seconds and buffers are no jitter: sound was lost, or came twice, without a word. To follow them
/// slowly would take twenty seconds.
const HOLE_NS: i64 = 8_000_000;
const HOLE_SECONDS: f64 = 0.4;
const HOLE_BUFFERS: u32 = 20;

/// What an error calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Fine,
    /// To slide by so many nanoseconds.
    Slide(i64),
    /// To place the sound anew, so many nanoseconds from where it is.
    Place(i64),
}

/// The smoothed difference between time stamps and sample count.
#[derive(Default)]
pub struct Drift {
    mean_ns: f64,
    /// The smallest of the errors that stay on one side, since when, and how many they are.
    nearest_ns: i64,
    seconds: f64,
    buffers: u32,
}

impl Drift {
    /// Takes the error of one buffer of `duration` seconds (above zero: its stamp says later than
    /// the count of samples).
    pub fn observe(&mut self, error_ns: i64, duration: f64) -> Verdict {
        if let Some(hole_ns) = self.hole(error_ns, duration) {
            *self = Self::default();
            return Verdict::Place(hole_ns);
        }
        let weight = 1.0 - (-duration / SMOOTHING_SECONDS).exp();
        self.mean_ns += weight * (error_ns as f64 - self.mean_ns);
        if self.mean_ns.abs() < WORTH_NS {
            return Verdict::Fine;
        }
        Verdict::Slide(std::mem::take(&mut self.mean_ns) as i64)
    }

    fn hole(&mut self, error_ns: i64, duration: f64) -> Option<i64> {
        if error_ns.saturating_abs() < HOLE_NS {
            (self.nearest_ns, self.seconds, self.buffers) = (0, 0.0, 0);
            return None;
        }
        if self.nearest_ns.signum() != error_ns.signum() {
            (self.nearest_ns, self.seconds, self.buffers) = (error_ns, 0.0, 0);
        }
        if error_ns.saturating_abs() < self.nearest_ns.saturating_abs() {
            self.nearest_ns = error_ns;
        }
        self.seconds += duration;
        self.buffers += 1;
        let is_hole = self.seconds >= HOLE_SECONDS && self.buffers >= HOLE_BUFFERS;
        is_hole.then_some(self.nearest_ns)
    }
}
