//! How long things took: percentiles of any number of durations, in memory of fixed size.
//!
//! Must not know what took so long.

use std::time::Duration;

/// Buckets in each doubling of the duration; a percentile is at most 1/16 too large.
const STEPS: u64 = 16;
/// Doublings above [`STEPS`] microseconds that are told apart: up to 16 us * 2^24 = 4.6 minutes.
const DOUBLINGS: usize = 24;
const BUCKETS: usize = STEPS as usize * (DOUBLINGS + 1);

/// A histogram of durations in microseconds, of fixed size however many are recorded.
#[derive(Clone, Debug)]
pub struct Durations {
    last: u64,
    sum: u64,
    count: u64,
    buckets: Box<[u64; BUCKETS]>,
}

impl Default for Durations {
    fn default() -> Self {
        Self {
            last: 0,
            sum: 0,
            count: 0,
            buckets: Box::new([0; BUCKETS]),
        }
    }
}

impl Durations {
    /// The one that was recorded last, in microseconds.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// One more.
    pub fn record(&mut self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.last = us;
        self.sum = self.sum.saturating_add(us);
        self.count += 1;
        self.buckets[bucket(us)] += 1;
    }

    /// In microseconds; 0 when there are none.
    pub fn mean(&self) -> u64 {
        self.sum.checked_div(self.count).unwrap_or(0)
    }

    /// The microseconds that `percent` of 100 recorded durations do not exceed; 0 when there are none.
    pub fn percentile(&self, percent: u64) -> u64 {
        let wanted = (self.count * percent).div_ceil(100);
        let mut below = 0;
        for (index, &count) in self.buckets.iter().enumerate() {
            below += count;
            if count > 0 && below >= wanted {
                return upper_bound(index);
            }
        }
        0
    }
}

/// Up to [`STEPS`] microseconds each has a bucket; from there on each doubling has [`STEPS`].
fn bucket(us: u64) -> usize {
    if us < STEPS {
        return us as usize;
    }
    let doubling = us.ilog2() - STEPS.ilog2();
    let step = (us >> doubling) - STEPS;
    let index = (u64::from(doubling) + 1) * STEPS + step;
    (index as usize).min(BUCKETS - 1)
}

/// The longest duration that falls into the bucket.
fn upper_bound(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < STEPS {
        return bucket;
    }
    let doubling = bucket / STEPS - 1;
    ((STEPS + bucket % STEPS + 1) << doubling) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_own_upper_bound_and_not_the_next_duration() {
        for index in 0..BUCKETS - 1 {
            let bound = upper_bound(index);
            assert_eq!(bucket(bound), index);
            assert_eq!(bucket(bound + 1), index + 1);
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_close_from_above() {
        let mut durations = Durations::default();
        for us in 1..=1000 {
            durations.record(Duration::from_micros(us));
        }
        assert_eq!(durations.mean(), 500);
        assert_eq!(durations.last, 1000);
        for percent in [50, 95, 99] {
            let exact = percent * 10;
            let found = durations.percentile(percent);
            assert!(
                (exact..=exact + exact / STEPS).contains(&found),
                "p{percent}: {found}"
            );
        }
    }

    #[test]
    fn nothing_recorded_is_zero() {
        let durations = Durations::default();
        assert_eq!(durations.mean(), 0);
        assert_eq!(durations.percentile(99), 0);
    }
}
