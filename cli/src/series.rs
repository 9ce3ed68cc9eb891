//! How alike two series are, and which of them comes later.

pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

pub fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares: Vec<f64> = values.iter().map(|value| (value - mean).powi(2)).collect();
    self::mean(&squares).sqrt()
}

/// Pearson's correlation; 0 when either series does not vary.
pub fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let (mean_a, mean_b) = (mean(a), mean(b));
    let products = a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b));
    let covariance = mean(&products.collect::<Vec<_>>());
    let scale = deviation(a) * deviation(b);
    if scale > f64::EPSILON {
        covariance / scale
    } else {
        0.0
    }
}

/// The correlation of what two series share when `late` is taken to come `lag` steps after
/// `reference`; 0 where they share nothing.
pub fn correlation_at(reference: &[f64], late: &[f64], lag: i32) -> f64 {
    let length = reference.len().min(late.len());
    let apart = lag.unsigned_abs() as usize;
    let Some(count) = length.checked_sub(apart) else {
        return 0.0;
    };
    let (first, shifted) = if lag < 0 { (apart, 0) } else { (0, apart) };
    correlation(&reference[first..][..count], &late[shifted..][..count])
}

/// Where two series match best.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// Steps that `late` comes after `reference`.
    pub lag: i32,
    /// The same between the steps: the top of a parabola through the best three.
    pub fine_lag: f64,
    pub correlation: f64,
}

/// Searches the lag from `-reach` to `reach` at which `late` looks most like `reference`.
/// `None` when the series are shorter than three times the reach.
pub fn best_lag(reference: &[f64], late: &[f64], reach: i32) -> Option<Match> {
    let length = reference.len().min(late.len()) as i32;
    if length < 3 * reach.max(1) {
        return None;
    }
    let at = |lag: i32| correlation_at(reference, late, lag);
    let lag = (-reach..=reach).max_by(|a, b| at(*a).total_cmp(&at(*b)))?;
    let (before, top, after) = (at(lag - 1), at(lag), at(lag + 1));
    let bend = before - 2.0 * top + after;
    let shift = if lag.abs() < reach && bend < 0.0 {
        (before - after) / (2.0 * bend)
    } else {
        0.0
    };
    Some(Match {
        lag,
        fine_lag: f64::from(lag) + shift,
        correlation: top,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(at: impl Fn(f64) -> f64) -> Vec<f64> {
        (0..200)
            .map(|i| {
                let t = at(f64::from(i));
                (t * 0.31).sin() + (t * 0.13).cos() + (t * 0.05).sin()
            })
            .collect()
    }

    #[test]
    fn a_series_matches_itself_without_lag() {
        let wave = wave(|t| t);
        let found = best_lag(&wave, &wave, 10).unwrap();
        assert_eq!(found.lag, 0);
        assert!(found.fine_lag.abs() < 1e-9 && (found.correlation - 1.0).abs() < 1e-9);
    }

    #[test]
    fn lag_is_found_in_both_directions_and_between_steps() {
        for lag in [-7.0, -3.0, 0.4, 2.3, 9.0] {
            let found = best_lag(&wave(|t| t), &wave(|t| t - lag), 10).unwrap();
            assert!((found.fine_lag - lag).abs() < 0.05, "{lag}: {found:?}");
            assert_eq!(f64::from(found.lag), lag.round());
        }
    }

    #[test]
    fn nothing_is_claimed_about_short_or_constant_series() {
        assert_eq!(best_lag(&[0.0; 29], &[0.0; 29], 10), None);
        assert_eq!(correlation(&[1.0; 8], &wave(|t| t)[..8]), 0.0);
    }

    #[test]
    fn deviation_is_that_of_the_population() {
        assert!((deviation(&[1.0, 3.0]) - 1.0).abs() < 1e-12);
        assert_eq!(deviation(&[]), 0.0);
    }
}
