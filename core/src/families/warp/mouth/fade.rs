//! From one glimpse to the next without a jump.

/// In which one glimpse becomes another, in seconds.
const LENGTH: f32 = 0.12;

/// The numbers of the glimpse that is drawn from and of the one before, while that fades away;
/// `None` stands for what is drawn by rule.
#[derive(Default)]
pub struct Fade {
    now: Option<u64>,
    before: Option<u64>,
    /// Of `now`, 0..1.
    share: f32,
}

impl Fade {
    pub fn glimpses(&self) -> [Option<u64>; 2] {
        [self.now, self.before]
    }

    pub fn shares(&self) -> [f32; 2] {
        [self.share, 1.0 - self.share]
    }

    /// Goes on by so many seconds; `choose` says what is to be drawn from, told what is, and is
    /// asked only between two changes.
    pub fn step(&mut self, passed: f32, choose: impl FnOnce(Option<u64>) -> Option<u64>) {
        self.share = (self.share + passed / LENGTH).min(1.0);
        if self.share < 1.0 {
            return;
        }
        let next = choose(self.now);
        self.before = self.now;
        if next != self.now {
            (self.now, self.share) = (next, 0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_takes_its_time_and_is_not_interrupted() {
        let mut fade = Fade::default();
        fade.step(1.0, |_| Some(7));
        assert_eq!(
            (fade.glimpses(), fade.shares()),
            ([Some(7), None], [0.0, 1.0])
        );
        fade.step(0.06, |_| unreachable!());
        assert!((fade.shares()[0] - 0.5).abs() < 1e-6);
        fade.step(0.06, |now| {
            assert_eq!(now, Some(7));
            now
        });
        assert_eq!(fade.shares(), [1.0, 0.0]);
        fade.step(0.04, |_| Some(8));
        assert_eq!(
            (fade.glimpses(), fade.shares()),
            ([Some(8), Some(7)], [0.0, 1.0])
        );
    }
}
