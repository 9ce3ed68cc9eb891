//! Statistics of short series, and what a figure has to reach.

pub use gst_lipsync::series::{Match, best_lag, correlation, correlation_at, deviation, mean};

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

/// The least and the most; infinite of nothing.
pub fn extremes(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let none = (f64::INFINITY, f64::NEG_INFINITY);
    let wider = |(least, most): (f64, f64), value| (least.min(value), most.max(value));
    values.into_iter().fold(none, wider)
}

/// By how much samples (time, value) grow from the first to the last: the median of the slopes of all
/// pairs (Theil 1950, Sen 1968), which single peaks do not move, times the time that they span.
pub fn growth(samples: &[(f64, f64)]) -> f64 {
    /// Pairs grow by the square.
    const MOST: usize = 600;
    let step = samples.len().div_ceil(MOST).max(1);
    let thinned: Vec<_> = samples.iter().step_by(step).collect();
    let slopes = thinned.iter().enumerate().flat_map(|(at, (t0, v0))| {
        let later = &thinned[at + 1..];
        later.iter().map(move |(t1, v1)| (v1 - v0) / (t1 - t0))
    });
    let slopes: Vec<f64> = slopes.filter(|slope| slope.is_finite()).collect();
    let ends = thinned.first().zip(thinned.last());
    let span = ends.map_or(0.0, |(first, last)| last.0 - first.0);
    median(&slopes).unwrap_or_default() * span
}

/// The range in which a figure is good enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    None,
    AtLeast(f64),
    AtMost(f64),
    Between(f64, f64),
}

impl Limit {
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Self::None => true,
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
            Self::Between(least, most) => (least..=most).contains(&value),
        }
    }

    /// For tables; empty where there is none.
    pub fn text(self) -> String {
        match self {
            Self::None => String::new(),
            Self::AtLeast(least) => format!(">= {least}"),
            Self::AtMost(most) => format!("<= {most}"),
            Self::Between(least, most) if least == most => format!("{least}"),
            Self::Between(least, most) => format!("{least} to {most}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_met_on_its_good_side() {
        use Limit::{AtLeast, AtMost, Between};
        assert!(AtMost(1.1).is_met(1.07) && !AtMost(1.05).is_met(1.07));
        assert!(AtLeast(1.0).is_met(1.07) && !AtLeast(1.7).is_met(1.07));
        assert!(Between(-1.0, 1.0).is_met(-1.0) && !Between(0.0, 0.0).is_met(0.1));
        assert_eq!(Between(0.0, 0.0).text(), "0");
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        let values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!(median(&values), Some(2.5));
        assert_eq!(quantile(&values, 0.0), Some(1.0));
        assert_eq!(quantile(&values, 1.0), Some(4.0));
        assert!((quantile(&values, 0.95).unwrap() - 3.85).abs() < 1e-12);
        assert_eq!(median(&[7.0]), Some(7.0));
        assert_eq!(median(&[]), None);
        assert_eq!(extremes(values), (1.0, 4.0));
    }

    #[test]
    fn growth_is_seen_among_peaks() {
        let grown = |slope: f64| {
            let sample = |second: i32| {
                let peak = if second % 7 == 0 { 5_000.0 } else { 0.0 };
                (f64::from(second), slope * f64::from(second) + peak)
            };
            growth(&(0..=1000).map(sample).collect::<Vec<_>>())
        };
        assert!(grown(0.0).abs() < 1.0 && (grown(2.0) - 2000.0).abs() < 10.0);
        assert_eq!(growth(&[]), 0.0);
    }
}
