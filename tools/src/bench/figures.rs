//! Statistics of times taken in turns.
//!
//! Contenders take turns in short rounds, so that whatever else the machine does hits all alike.
//! What is compared is therefore one round's times with those of the same round, never sums over
//! the whole run.

/// The value below which the share `q` of the values lies, between neighbours where it falls
/// between two. `None` of nothing.
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let at = q.clamp(0.0, 1.0) * last as f64;
    let (below, above) = (at.floor() as usize, at.ceil() as usize);
    Some(sorted[below] + (sorted[above] - sorted[below]) * at.fract())
}

pub fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// Times of one contender: milliseconds of each frame, round by round.
#[derive(Clone, Debug, Default)]
pub struct Series(pub Vec<Vec<f64>>);

impl Series {
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
        let ratios: Vec<f64> = self
            .0
            .iter()
            .zip(&other.0)
            .filter_map(|(mine, theirs)| Some(median(mine)? / median(theirs)?))
            .collect();
        Ratio::of(&ratios)
    }
}

/// What the rounds say about a ratio.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    pub median: f64,
    pub lowest: f64,
    pub highest: f64,
}

impl Ratio {
    pub fn of(ratios: &[f64]) -> Option<Self> {
        Some(Self {
            median: median(ratios)?,
            lowest: quantile(ratios, 0.0)?,
            highest: quantile(ratios, 1.0)?,
        })
    }

    /// `1.08 (1.02 to 1.15)`
    pub fn text(&self) -> String {
        let digits = if self.median < 10.0 { 2 } else { 1 };
        format!(
            "{:.digits$} ({:.digits$} to {:.digits$})",
            self.median, self.lowest, self.highest
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_neighbours() {
        let values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!(median(&values), Some(2.5));
        assert_eq!(quantile(&values, 0.0), Some(1.0));
        assert_eq!(quantile(&values, 1.0), Some(4.0));
        assert!((quantile(&values, 0.95).unwrap() - 3.85).abs() < 1e-12);
        assert_eq!(median(&[7.0]), Some(7.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn a_machine_that_gets_busy_changes_times_and_not_ratios() {
        let quick = Series(vec![vec![1.0, 1.0], vec![5.0, 5.0], vec![2.0, 2.0]]);
        let slow = Series(vec![vec![3.0, 3.0], vec![15.0, 15.0], vec![6.0, 6.0]]);
        let ratio = slow.over(&quick).unwrap();
        assert_eq!((ratio.lowest, ratio.median, ratio.highest), (3.0, 3.0, 3.0));
        assert_eq!(slow.median(), Some(6.0));
        assert_eq!(slow.frames(), 6);
    }

    #[test]
    fn the_spread_is_that_of_the_rounds() {
        let base = Series(vec![vec![1.0]; 3]);
        // One outlier within a round does not count, a slow round does.
        let other = Series(vec![vec![1.1, 1.1, 90.0], vec![1.0], vec![1.4]]);
        let ratio = other.over(&base).unwrap();
        assert_eq!(ratio.text(), "1.10 (1.00 to 1.40)");
        assert_eq!(other.over(&Series::default()), None);
    }
}
