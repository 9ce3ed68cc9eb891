//! From one glimpse to the next without a jump.

/// In which one glimpse becomes another, in seconds: they differ as two moments of a mouth do.
const LENGTH: f32 = 0.12;
/// The same between what is drawn by rule and what was seen, which differ as two mouths do. It happens
/// while the mouth is shut, if it shuts within so many seconds.
const LONG: f32 = 0.6;
const PATIENCE: f32 = 1.5;

/// The numbers of the glimpse that is drawn from and of the one before, while that fades away;
/// `None` stands for what is drawn by rule.
#[derive(Default)]
pub struct Fade {
    now: Option<u64>,
    before: Option<u64>,
    /// Of `now`, 0..1.
    share: f32,
    /// Seconds for which a change has waited for the mouth to shut.
    waited: f32,
    has_begun: bool,
}

impl Fade {
    pub fn glimpses(&self) -> [Option<u64>; 2] {
        [self.now, self.before]
    }

    pub fn shares(&self) -> [f32; 2] {
        [self.share, 1.0 - self.share]
    }

    /// Whether nothing was drawn yet, so that nobody sees a change.
    pub fn is_new(&self) -> bool {
        !self.has_begun
    }

    /// Goes on by so many seconds; `choose` says what is to be drawn from, told what is, and is
    /// asked only between two changes. While the mouth is shut nobody sees a change.
    pub fn step(
        &mut self,
        passed: f32,
        is_shut: bool,
        choose: impl FnOnce(Option<u64>) -> Option<u64>,
    ) {
        self.has_begun = true;
        let is_long = self.now.is_none() != self.before.is_none();
        let length = if is_long { LONG } else { LENGTH };
        self.share = match is_shut {
            true => 1.0,
            false => (self.share + passed / length).min(1.0),
        };
        if self.share < 1.0 {
            return;
        }
        let next = choose(self.now);
        self.before = self.now;
        if next == self.now {
            self.waited = 0.0;
            return;
        }
        let is_long = next.is_none() != self.now.is_none();
        if is_long && !is_shut && self.waited < PATIENCE {
            self.waited += passed;
            return;
        }
        self.now = next;
        (self.share, self.waited) = (if is_shut { 1.0 } else { 0.0 }, 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fade that draws from a glimpse of this number.
    fn settled(number: u64) -> Fade {
        let mut fade = Fade::default();
        fade.step(0.04, true, |_| Some(number));
        assert_eq!((fade.glimpses()[0], fade.shares()[0]), (Some(number), 1.0));
        fade
    }

    #[test]
    fn a_change_takes_its_time_and_is_not_interrupted() {
        let mut fade = settled(7);
        fade.step(0.04, false, |_| Some(8));
        assert_eq!(
            (fade.glimpses(), fade.shares()),
            ([Some(8), Some(7)], [0.0, 1.0])
        );
        fade.step(0.06, false, |_| unreachable!());
        assert!((fade.shares()[0] - 0.5).abs() < 1e-6);
        fade.step(0.06, false, |now| {
            assert_eq!(now, Some(8));
            now
        });
        assert_eq!(fade.shares(), [1.0, 0.0]);
    }

    #[test]
    fn what_was_seen_waits_for_a_shut_mouth_to_take_the_place_of_the_rule() {
        let mut fade = Fade::default();
        for _ in 0..30 {
            fade.step(0.04, false, |_| Some(7));
            assert_eq!(fade.glimpses()[0], None);
        }
        fade.step(0.04, true, |_| Some(7));
        assert_eq!((fade.glimpses()[0], fade.shares()[0]), (Some(7), 1.0));
    }

    #[test]
    fn where_the_mouth_stays_open_it_fades_in_slowly() {
        let mut fade = Fade::default();
        let steps = (0..).find(|_| {
            let before = fade.shares()[0];
            let was = fade.glimpses()[0];
            fade.step(0.04, false, |_| Some(7));
            let is_same = fade.glimpses()[0] == was;
            assert!(!is_same || was.is_none() || fade.shares()[0] - before < 0.07);
            was.is_some() && fade.shares()[0] == 1.0
        });
        let seconds = steps.map_or(f32::MAX, |steps| 0.04 * steps as f32);
        assert!((1.9..2.4).contains(&seconds), "{seconds}");
    }
}
