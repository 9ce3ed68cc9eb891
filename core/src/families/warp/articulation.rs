//! What is a person's own in how a mouth moves in speech: how far it opens, and whether it spreads or
//! narrows as it opens. No audio tells either, so the network draws the mean of people; the stream
//! shows both.
//!
//! The person's own mouth is watched in the frames, the voice's in what the network heard: the drawn
//! mouth moves as the person's own does on average, whatever words it says and whoever says them. Must
//! not know networks or pixels.

use super::rest_mouth::Anatomy;
use crate::generator::Articulation;

/// Speech counts for so long.
const MEMORY_SECONDS: f32 = 12.0;
/// After so much speech what was seen counts as much as what is usual.
const HALF_SECONDS: f32 = 0.7;
/// Mean speed of the opening, in pixels a second, above which a mouth speaks. People who speak are
/// slower only around pauses; the mesh sees a still mouth move by less than half of this.
const MOVES: f32 = 5.0;
/// That mean goes over so long; one over less than the second says nothing.
const MOTION_SECONDS: f32 = 1.0;
const WATCHED_SECONDS: f32 = 0.2;
/// Frames that are closer say little but the mesh's jitter; those further apart, nothing of a speed.
const STEP_SECONDS: [f32; 2] = [0.03, 0.3];
/// No mouth is larger, in pixels.
const LARGEST: f32 = 200.0;
/// Usual standard deviation of an opening in speech, in pixels.
const USUAL: f32 = 2.7;
/// Least and most of what is added to the logarithm of a deviation, and of a habit.
const REACH: f32 = 1.0;
const SPREAD: f32 = 1.0;
/// Variance of the opening, in square pixels, that says half of what a habit can be.
const RIDGE: f32 = 0.5;
/// What is known changes by no more than this in a second, and in a step by no more than in such a
/// time, so that no mouth jumps.
const RATE: f32 = 0.4;
const ONE_STEP: f32 = 0.05;
/// The mesh, and an eye, sees a drawn mouth open by this share of what was aimed at: a drawn mouth moves in
/// fewer ways than a real one. Mean of eight people whom the network does not know, 0.53 to 0.68.
const SEEN: f32 = 0.62;
/// Of the same people: the share where the source's own lips are shut, by how much more of it shows for
/// each pixel that they are open, up to so many, and what shows of that itself.
const SEEN_SHUT: f32 = 0.57;
const SEEN_FURTHER: f32 = 0.035;
const SOURCE_SHOWS: f32 = 0.10;
const WIDEST_SOURCE: f32 = 6.0;
/// Lips that are shut are so many deviations below the mean opening.
const SHUT: f32 = 1.2;
/// Least and most of the logarithm of what an opening is multiplied by.
const FACTOR: f32 = 0.9;

/// The floats of a [`Manner`].
pub const NUMBERS: usize = 4;

/// An opening and a width of a mouth, in canonical pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Opening {
    pub gap: f32,
    pub width: f32,
}

impl Opening {
    /// Of landmarks or of their displacements.
    pub fn of(points: &[[f32; 2]], anatomy: &Anatomy) -> Self {
        Self {
            gap: anatomy.closing.gap(points),
            width: anatomy.width(points),
        }
    }
}

/// How a mouth moves in speech, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Manner {
    /// Logarithm of the opening's deviation over the usual one, times `known`.
    reach: f32,
    /// Pixels by which it spreads with each that it opens, times `known`.
    spread: f32,
    /// 0 = not at all .. 1.
    known: f32,
    /// The gap that the mesh sees between lips that are shut.
    shut: f32,
}

impl Manner {
    pub fn to_array(self) -> [f32; NUMBERS] {
        [self.reach, self.spread, self.known, self.shut]
    }

    /// Nothing is known where there are not [`NUMBERS`] numbers.
    pub fn from_slice(numbers: &[f32]) -> Self {
        match *numbers {
            [reach, spread, known, shut] => Self {
                reach,
                spread,
                known,
                shut,
            },
            _ => Self::default(),
        }
    }

    /// What is drawn over lips of such a gap.
    pub fn over(&self, gap: f32) -> SourceLips {
        SourceLips {
            gap: (gap - self.shut).clamp(0.0, WIDEST_SOURCE),
            known: self.known,
        }
    }

    /// Goes towards another one by no more than `most`.
    fn follow(&mut self, other: Self, most: f32) {
        let step = |from: f32, to: f32| from + (to - from).clamp(-most, most);
        self.reach = step(self.reach, other.reach);
        self.spread = step(self.spread, other.spread);
        self.known = step(self.known, other.known);
        self.shut = other.shut;
    }
}

/// The source's own lips in a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SourceLips {
    /// How far they are open, beyond what is seen of them when shut.
    gap: f32,
    /// How far the person's manner is known, 0..1.
    known: f32,
}

impl SourceLips {
    /// What an opening of `gap` is to be multiplied by instead of `opening`: of a mouth drawn over an
    /// open one more shows than of one drawn over a shut one.
    fn corrected(&self, opening: f32, gap: f32) -> f32 {
        let expected = opening * gap;
        if expected < f32::EPSILON {
            return opening;
        }
        let shows = SEEN_SHUT + SEEN_FURTHER * self.gap;
        let aim = (SEEN * expected - SOURCE_SHOWS * self.gap).max(0.0) / shows;
        opening * (1.0 + self.known * (aim / expected - 1.0))
    }
}

/// What makes a mouth that moves as `voice` move as this person's `own`.
pub fn between(own: Manner, voice: Manner) -> Articulation {
    let factor = own.reach - own.known * (voice.reach + SEEN.ln());
    Articulation {
        opening: factor.clamp(-FACTOR, FACTOR).exp(),
        spread: own.spread - own.known * voice.spread,
    }
}

/// Changes displacements from the mouth at rest in place. `gaps` is memory.
pub fn apply(
    articulation: &Articulation,
    source: &SourceLips,
    anatomy: &Anatomy,
    moved: &mut [[f32; 2]],
    gaps: &mut Vec<f32>,
) {
    if *articulation == Articulation::USUAL {
        return;
    }
    let Articulation { opening, spread } = *articulation;
    let gap = anatomy.closing.gap(moved).max(0.0);
    let wider = spread * opening * gap;
    let opening = source.corrected(opening, gap);
    anatomy.closing.scale(moved, gaps, opening);
    for (moved, direction) in moved.iter_mut().zip(&anatomy.spread) {
        for axis in 0..2 {
            moved[axis] += wider * direction[axis];
        }
    }
}

/// Watches a mouth and learns how it moves in speech.
#[derive(Clone, Debug, Default)]
pub struct Learner {
    /// The opening before, and when.
    last: Option<(i64, f32)>,
    watched: f32,
    /// Mean speed of the opening.
    motion: f32,
    /// Seconds of speech that count.
    spoken: f32,
    mean: Opening,
    /// Of the opening, and of opening and width.
    variance: f32,
    covariance: f32,
    manner: Manner,
}

impl Learner {
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    pub fn manner(&self) -> Manner {
        self.manner
    }

    /// Looks at the mouth at `time_ns`. What is no number, and time that runs back, count for nothing.
    pub fn watch(&mut self, mouth: Opening, time_ns: i64) {
        if !(mouth.gap.abs() < LARGEST && mouth.width.abs() < LARGEST) {
            return;
        }
        let Some((last_ns, last)) = self.last else {
            self.last = Some((time_ns, mouth.gap));
            return;
        };
        let seconds = time_ns.saturating_sub(last_ns) as f32 * 1e-9;
        let [shortest, longest] = STEP_SECONDS;
        if (0.0..shortest).contains(&seconds) {
            return;
        }
        self.last = Some((time_ns, mouth.gap));
        if !(shortest..longest).contains(&seconds) {
            (self.watched, self.motion) = (0.0, 0.0);
            return;
        }
        self.watched += seconds;
        let share = (seconds / self.watched.min(MOTION_SECONDS)).min(1.0);
        self.motion += share * ((mouth.gap - last).abs() / seconds - self.motion);
        if self.watched >= WATCHED_SECONDS && self.motion >= MOVES {
            self.learn(mouth, seconds);
        }
        self.manner
            .follow(self.known(), RATE * seconds.min(ONE_STEP));
    }

    fn learn(&mut self, mouth: Opening, seconds: f32) {
        self.spoken = (self.spoken + seconds).min(MEMORY_SECONDS);
        let share = seconds / self.spoken;
        let (gap, width) = (mouth.gap - self.mean.gap, mouth.width - self.mean.width);
        self.mean.gap += share * gap;
        self.mean.width += share * width;
        self.variance = (1.0 - share) * (self.variance + share * gap * gap);
        self.covariance = (1.0 - share) * (self.covariance + share * gap * width);
    }

    fn known(&self) -> Manner {
        let known = self.spoken / (self.spoken + HALF_SECONDS);
        let deviation = self.variance.max(f32::MIN_POSITIVE).sqrt();
        let spread = self.covariance / (self.variance + RIDGE);
        Manner {
            reach: known * (deviation / USUAL).ln().clamp(-REACH, REACH),
            spread: known * spread.clamp(-SPREAD, SPREAD),
            known,
            shut: (self.mean.gap - SHUT * deviation).max(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME_NS: i64 = 40_000_000;

    /// A mouth that speaks: opens by up to `2 * reach` and spreads by `spread` of that.
    fn spoken(frame: i64, reach: f32, spread: f32) -> Opening {
        let at = frame as f32;
        let gap = reach * (2.0 + (at * 0.9).sin() + (at * 0.37).cos());
        Opening {
            gap,
            width: 36.0 + spread * gap,
        }
    }

    fn watch(watcher: &mut Learner, frames: std::ops::Range<i64>, reach: f32, spread: f32) {
        for frame in frames {
            watcher.watch(spoken(frame, reach, spread), frame * FRAME_NS);
        }
    }

    #[test]
    fn a_mouth_moves_as_the_persons_own_whatever_voice_is_heard() {
        for [own_reach, voice_reach] in [[1.5, 3.0], [3.0, 2.5], [2.0, 2.0]] {
            let (mut own, mut voice) = (Learner::default(), Learner::default());
            watch(&mut own, 0..250, own_reach, -0.4);
            watch(&mut voice, 0..250, voice_reach, 0.1);
            let found = between(own.manner(), voice.manner());
            let expected = own_reach / voice_reach / SEEN;
            assert!((found.opening / expected - 1.0).abs() < 0.1, "{found:?}");
            assert!((found.spread + 0.5).abs() < 0.15, "{found:?}");
        }
    }

    #[test]
    fn a_mouth_is_opened_less_over_an_open_one_of_a_known_person() {
        let mut own = Learner::default();
        watch(&mut own, 0..250, 2.0, 0.1);
        let over = |gap: f32| own.manner().over(gap).corrected(1.5, 4.0);
        assert!(over(0.0) > 1.5 && over(5.0) < 1.5, "{}", over(0.0));
        assert!(over(3.0) < over(2.0) && over(1e9) > 0.5);
        let unknown = Manner::default().over(5.0);
        assert_eq!(unknown.corrected(1.5, 4.0), 1.5);
        assert_eq!(own.manner().over(5.0).corrected(1.5, 0.0), 1.5);
    }

    #[test]
    fn a_still_mouth_tells_nothing() {
        let (mut own, mut voice) = (Learner::default(), Learner::default());
        for frame in 0..250 {
            // The mesh sees a mouth that is still move a little.
            let gap = 0.4 + 0.06 * (frame as f32 * 2.3).sin();
            own.watch(Opening { gap, width: 36.0 }, frame * FRAME_NS);
        }
        watch(&mut voice, 0..250, 4.0, 0.3);
        let found = between(own.manner(), voice.manner());
        assert_eq!(found, Articulation::USUAL);
    }

    #[test]
    fn nothing_jumps_and_pauses_change_nothing() {
        let (mut own, voice) = (Learner::default(), Learner::default());
        let mut last = Articulation::USUAL;
        for frame in 0..500 {
            let mouth = match frame {
                // A laugh, then another way to speak.
                100..115 => Opening {
                    gap: 20.0,
                    width: 50.0,
                },
                0..250 => spoken(frame, 1.2, 0.5),
                _ => spoken(frame, 5.0, -0.5),
            };
            own.watch(mouth, frame * FRAME_NS);
            let now = between(own.manner(), voice.manner());
            assert!((now.opening / last.opening).ln().abs() < 0.025, "{frame}");
            assert!((now.spread - last.spread).abs() < 0.025, "{frame}");
            last = now;
        }
        for frame in 500..750 {
            own.watch(Opening::default(), frame * FRAME_NS);
        }
        let known = own.manner();
        for frame in 750..1000 {
            own.watch(Opening::default(), frame * FRAME_NS);
        }
        assert_eq!(own.manner(), known);
        own.forget();
        assert_eq!(own.manner(), Manner::default());
    }

    #[test]
    fn what_was_learned_before_a_pause_comes_no_faster_after_it() {
        let mut own = Learner::default();
        watch(&mut own, 0..15, 5.0, 0.5);
        let before = own.manner();
        own.watch(spoken(20, 5.0, 0.5), 20 * FRAME_NS);
        assert!((own.manner().reach - before.reach).abs() < 0.025);
    }

    #[test]
    fn the_frame_rate_hardly_matters() {
        let opening = |rate: i64| {
            let (mut own, voice) = (Learner::default(), Learner::default());
            for frame in 0..10 * rate {
                let time_ns = frame * 1_000_000_000 / rate;
                let at = time_ns as f32 / FRAME_NS as f32;
                let gap = 1.5 * (2.0 + (at * 0.9).sin() + (at * 0.37).cos());
                own.watch(Opening { gap, width: 36.0 }, time_ns);
            }
            between(own.manner(), voice.manner()).opening
        };
        for rate in [24, 30, 50, 60, 120] {
            assert!((opening(rate) / opening(25) - 1.0).abs() < 0.05, "{rate}");
        }
    }

    #[test]
    fn what_is_no_number_harms_nothing() {
        let mut own = Learner::default();
        for (frame, bad) in [f32::NAN, f32::INFINITY, f32::MAX, f32::MIN]
            .into_iter()
            .cycle()
            .take(100)
            .enumerate()
        {
            let mouth = [
                spoken(frame as i64, 2.0, 0.1),
                Opening {
                    gap: bad,
                    width: bad,
                },
            ];
            own.watch(mouth[frame % 2], frame as i64 * FRAME_NS);
        }
        for time_ns in [i64::MAX, i64::MIN, 0, -1] {
            own.watch(Opening::default(), time_ns);
        }
        let found = between(own.manner(), Manner::default());
        assert!(
            found.opening.is_finite() && found.spread.is_finite(),
            "{found:?}"
        );
    }
}
