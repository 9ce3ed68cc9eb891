//! Whether there is time to draw a frame: less and less is done for one that is late.
//!
//! Must not know pads, clocks or networks. All times are running time in nanoseconds, or spans of
//! it.

use std::time::Duration;

/// What is done with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All that belongs to it.
    Draw,
    /// Its networks would be late: it goes on with the last mouth or its own.
    Repeat,
    /// It is late: it goes on at once, as it is.
    Pass,
    /// Downstream would throw it away.
    Drop,
}

/// A frame that is later than this where it is shown is dropped before. Video sinks throw away what
/// is later than 5 or 20 ms (`max-lateness`, by version).
const TOLERANCE_NS: i64 = 40_000_000;
/// Without a live source, a sink that is behind is given twice the delay to catch up with, but no
/// more than this at once: as GstVideoAggregator does.
const CATCH_UP_MAX_NS: i64 = 1_000_000_000;
/// For sending a frame on.
const PUSH_NS: i64 = 2_000_000;
/// The share of the longest time that is forgotten with each frame.
const FORGET: i64 = 32;

/// How fast frames are wanted, and how fast they can be painted.
#[derive(Clone, Debug, Default)]
pub struct Lateness {
    downstream: Option<Downstream>,
    /// How long frames last.
    lasts_ns: i64,
    /// Time that beginning a frame takes, and painting, of the slower ones.
    begin_ns: i64,
    paint_ns: i64,
}

/// What a QOS event said.
#[derive(Clone, Copy, Debug)]
struct Downstream {
    /// Frames before this are late there already.
    reached_ns: i64,
    /// Frames before this will be late if much is done for them.
    earliest_ns: i64,
    proportion: f64,
}

impl Lateness {
    /// A frame of running time `frame_ns` was `late_ns` too late downstream, or too early where
    /// that is negative.
    pub fn downstream_said(&mut self, frame_ns: i64, late_ns: i64, proportion: f64, is_live: bool) {
        let more_ns = match is_live || late_ns <= 0 {
            true => late_ns,
            // What is drawn next takes its time, too.
            false => late_ns
                .saturating_mul(2)
                .min(CATCH_UP_MAX_NS.max(late_ns))
                .saturating_add(self.lasts_ns),
        };
        self.downstream = Some(Downstream {
            reached_ns: frame_ns.saturating_add(late_ns),
            earliest_ns: frame_ns.saturating_add(more_ns),
            proportion,
        });
    }

    /// Forgets what downstream said: it was of another stream.
    pub fn reset(&mut self) {
        self.downstream = None;
    }

    /// Whether frames are shown at their time: downstream has said whether they were late.
    pub fn is_watched(&self) -> bool {
        self.downstream.is_some()
    }

    /// How much slower than it should downstream would like frames; 1 where it does not say.
    pub fn proportion(&self) -> f64 {
        self.downstream.map_or(1.0, |said| said.proportion)
    }

    /// Frames last so long.
    pub fn frames_last(&mut self, lasts_ns: i64) {
        self.lasts_ns = lasts_ns;
    }

    /// Beginning a frame took so long.
    pub fn begun(&mut self, took: Duration) {
        self.begin_ns = slower(self.begin_ns, took);
    }

    /// Whether `count` more frames can be begun in that time.
    pub fn begins_within(&self, left_ns: i64, count: usize) -> bool {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.begin_ns.saturating_mul(count) < left_ns
    }

    /// Painting a frame took so long.
    pub fn painted(&mut self, took: Duration) {
        self.paint_ns = slower(self.paint_ns, took);
    }

    /// What of the time for work, `work_ns`, is needed when the networks are done.
    pub fn reserve_ns(&self, work_ns: i64) -> i64 {
        self.paint_ns.saturating_add(PUSH_NS).min(work_ns / 2)
    }

    /// What is to be done with the frame at `frame_ns`, and how late it is for more. In a live
    /// pipeline there are `left_ns` until it has to be out, of `work_ns` when all was in time.
    pub fn judge(&self, frame_ns: i64, left_ns: Option<i64>, work_ns: i64) -> (Verdict, i64) {
        if let Some(said) = &self.downstream {
            let behind_ns = said.reached_ns.saturating_sub(frame_ns);
            let late_ns = said.earliest_ns.saturating_sub(frame_ns);
            if behind_ns > TOLERANCE_NS {
                return (Verdict::Drop, behind_ns);
            }
            if behind_ns > 0 {
                return (Verdict::Pass, behind_ns);
            }
            if late_ns > 0 {
                return (Verdict::Repeat, late_ns);
            }
        }
        match left_ns {
            Some(left_ns) if left_ns <= 0 => (Verdict::Pass, left_ns.saturating_neg()),
            Some(left_ns) if left_ns < self.reserve_ns(work_ns) => {
                (Verdict::Repeat, self.reserve_ns(work_ns) - left_ns)
            }
            _ => (Verdict::Draw, 0),
        }
    }
}

/// The longest time that is not forgotten, in nanoseconds.
fn slower(longest_ns: i64, took: Duration) -> i64 {
    let took_ns = i64::try_from(took.as_nanos()).unwrap_or(i64::MAX);
    took_ns.max(longest_ns - longest_ns / FORGET)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;
    const FRAME: i64 = 40 * MS;
    const WORK: i64 = 40 * MS;

    fn verdict(lateness: &Lateness, frame_ns: i64, left_ns: Option<i64>) -> Verdict {
        lateness.judge(frame_ns, left_ns, WORK).0
    }

    #[test]
    fn nothing_is_lost_without_a_clock_and_without_complaints() {
        let mut lateness = Lateness::default();
        assert_eq!(lateness.judge(0, None, WORK), (Verdict::Draw, 0));
        lateness.downstream_said(0, -5 * MS, 0.5, false);
        assert_eq!(verdict(&lateness, 0, None), Verdict::Draw);
        assert_eq!(verdict(&lateness, FRAME, None), Verdict::Draw);
    }

    #[test]
    fn live_frames_lose_the_network_before_they_lose_the_rest() {
        let mut lateness = Lateness::default();
        lateness.painted(Duration::from_millis(6));
        assert_eq!(lateness.reserve_ns(WORK), 8 * MS);
        assert_eq!(verdict(&lateness, 0, Some(40 * MS)), Verdict::Draw);
        assert_eq!(verdict(&lateness, 0, Some(8 * MS)), Verdict::Draw);
        assert_eq!(
            lateness.judge(0, Some(5 * MS), WORK),
            (Verdict::Repeat, 3 * MS)
        );
        assert_eq!(verdict(&lateness, 0, Some(0)), Verdict::Pass);
        // However late: only downstream knows whether anybody minds.
        assert_eq!(
            lateness.judge(0, Some(-60_000 * MS), WORK),
            (Verdict::Pass, 60_000 * MS)
        );
    }

    #[test]
    fn painting_takes_at_most_half_of_the_time_for_work() {
        let mut lateness = Lateness::default();
        lateness.painted(Duration::from_millis(100));
        assert_eq!(lateness.reserve_ns(WORK), 20 * MS);
        // One slow frame is forgotten.
        (0..250).for_each(|_| lateness.painted(Duration::from_millis(3)));
        assert_eq!(lateness.reserve_ns(WORK), 5 * MS);
    }

    #[test]
    fn frames_are_begun_where_the_slower_ones_are_in_time() {
        let mut lateness = Lateness::default();
        assert!(lateness.begins_within(1, 10) && !lateness.begins_within(0, 1));
        lateness.begun(Duration::from_millis(10));
        lateness.begun(Duration::from_millis(4));
        assert!(lateness.begins_within(10 * MS, 1));
        assert!(!lateness.begins_within(10 * MS, 2));
        assert!(!lateness.begins_within(-MS, 1));
    }

    #[test]
    fn a_live_sink_drops_what_it_shows_too_late() {
        let mut lateness = Lateness::default();
        lateness.downstream_said(1_000 * MS, 100 * MS, 2.0, true);
        let left = Some(40 * MS);
        assert_eq!(
            lateness.judge(1_040 * MS, left, WORK),
            (Verdict::Drop, 60 * MS)
        );
        assert_eq!(verdict(&lateness, 1_080 * MS, left), Verdict::Pass);
        assert_eq!(verdict(&lateness, 1_120 * MS, left), Verdict::Draw);
        assert_eq!(lateness.proportion(), 2.0);
        lateness.reset();
        assert_eq!(verdict(&lateness, 1_040 * MS, left), Verdict::Draw);
        assert_eq!(lateness.proportion(), 1.0);
    }

    #[test]
    fn a_sink_of_a_file_is_given_time_to_catch_up() {
        let mut lateness = Lateness::default();
        lateness.frames_last(FRAME);
        lateness.downstream_said(1_000 * MS, 200 * MS, 2.0, false);
        assert_eq!(verdict(&lateness, 1_120 * MS, None), Verdict::Drop);
        assert_eq!(verdict(&lateness, 1_160 * MS, None), Verdict::Pass);
        for ahead in [1_200, 1_400] {
            assert_eq!(verdict(&lateness, ahead * MS, None), Verdict::Repeat);
        }
        assert_eq!(verdict(&lateness, 1_440 * MS, None), Verdict::Draw);
        // Much is caught up with little by little.
        lateness.downstream_said(0, 5_000 * MS, 2.0, false);
        assert_eq!(verdict(&lateness, 5_000 * MS, None), Verdict::Repeat);
        assert_eq!(verdict(&lateness, 5_040 * MS, None), Verdict::Draw);
    }

    #[test]
    fn no_time_is_too_large() {
        let mut lateness = Lateness::default();
        lateness.frames_last(i64::MAX);
        for (a, b) in [(i64::MAX, i64::MAX), (i64::MIN, i64::MIN)] {
            lateness.downstream_said(a, b, f64::NAN, false);
            for frame_ns in [i64::MIN, 0, i64::MAX] {
                for left_ns in [None, Some(i64::MIN), Some(i64::MAX)] {
                    lateness.judge(frame_ns, left_ns, i64::MAX);
                }
            }
        }
    }
}
