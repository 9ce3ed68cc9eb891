//! Times taken in rounds.
//!
//! Stacks draw in turns, in short rounds, so that whatever else the machine does hits all alike.
//! What is compared is therefore one round's times with those of the same round, never sums over
//! the whole run.

use lipsync_tools::numbers::{median, quantile};
use serde::Serialize;

/// Times of one stack: milliseconds of each frame, round by round.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Rounds(pub Vec<Vec<f64>>);

impl Rounds {
    /// Of all frames.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        quantile(&self.0.concat(), q)
    }

    pub fn median(&self) -> Option<f64> {
        self.quantile(0.5)
    }

    pub fn frames(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// How many times longer this takes than the other, round by round.
    pub fn over(&self, other: &Self) -> Option<Ratio> {
        let rounds = self.0.iter().zip(&other.0);
        let ratios: Vec<f64> = rounds
            .filter_map(|(mine, other)| Some(median(mine)? / median(other)?))
            .collect();
        Some(Ratio {
            median: median(&ratios)?,
            lowest: quantile(&ratios, 0.0)?,
            highest: quantile(&ratios, 1.0)?,
        })
    }
}

/// What the rounds say about a ratio.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    pub median: f64,
    lowest: f64,
    highest: f64,
}

impl Ratio {
    /// `1.08 (1.02 to 1.15)`
    pub fn text(&self) -> String {
        let digits = if self.median < 10.0 { 2 } else { 1 };
        let [median, lowest, highest] =
            [self.median, self.lowest, self.highest].map(|ratio| format!("{ratio:.digits$}"));
        format!("{median} ({lowest} to {highest})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_gets_busy_changes_times_and_not_ratios() {
        let quick = Rounds(vec![vec![1.0, 1.0], vec![5.0, 5.0], vec![2.0, 2.0]]);
        let slow = Rounds(vec![vec![3.0, 3.0], vec![15.0, 15.0], vec![6.0, 6.0]]);
        let ratio = slow.over(&quick).unwrap();
        assert_eq!((ratio.lowest, ratio.median, ratio.highest), (3.0, 3.0, 3.0));
        assert_eq!(slow.median(), Some(6.0));
        assert_eq!(slow.frames(), 6);
    }

    #[test]
    fn the_spread_is_that_of_the_rounds() {
        let base = Rounds(vec![vec![1.0]; 3]);
        // One outlier within a round does not count, a slow round does.
        let other = Rounds(vec![vec![1.1, 1.1, 90.0], vec![1.0], vec![1.4]]);
        let ratio = other.over(&base).unwrap();
        assert_eq!(ratio.text(), "1.10 (1.00 to 1.40)");
        assert_eq!(other.over(&Rounds::default()), None);
    }
}
