//! The figures person by person, and how far the means of so few people can be trusted.

use std::fmt::Write as _;

use lipsync_tools::numbers;

use crate::{clip::Random, figures::Figures};

/// Draws of the bootstrap.
const DRAWS: usize = 2_000;
/// Share of the draws that lie outside the interval.
const OUTSIDE: f64 = 0.05;

struct Row {
    name: &'static str,
    digits: usize,
    figure: fn(&Figures) -> f64,
}

const ROWS: [Row; 10] = [
    row("correlation, frozen", 2, |f| f.frozen.correlation),
    row("correlation, other words", 2, |f| f.shifted.correlation),
    row("correlation, talkers 10 dB below", 2, |f| {
        f.talkers.correlation
    }),
    row("amplitude, frozen", 2, |f| f.frozen.amplitude),
    row("amplitude, other words", 2, |f| f.shifted.amplitude),
    row("landmark distance", 2, |f| f.landmarks),
    row("silence, frames open, %", 1, |f| f.silence * 100.0),
    row("room tone, frames open, %", 1, |f| f.room * 100.0),
    row("sharpness", 2, |f| f.sharpness),
    row("seam", 3, |f| f.seam),
];

const fn row(name: &'static str, digits: usize, figure: fn(&Figures) -> f64) -> Row {
    Row {
        name,
        digits,
        figure,
    }
}

/// One column a person, then the mean with its interval.
pub fn print(people: &[(String, Vec<Figures>)]) -> String {
    let mut text = format!("{:<34}", "person (clips)");
    // Writing to a string cannot fail.
    for (name, clips) in people {
        let _ = write!(text, "{:>10}", format!("{name} ({})", clips.len()));
    }
    let _ = writeln!(text, "{:>10}   95 % interval", "mean");
    for Row {
        name,
        digits,
        figure,
    } in &ROWS
    {
        let values: Vec<Vec<f64>> = people
            .iter()
            .map(|(_, clips)| clips.iter().map(figure).collect())
            .collect();
        let _ = write!(text, "{name:<34}");
        for clips in &values {
            let _ = write!(text, "{:>10.*}", digits, numbers::mean(clips));
        }
        let (low, high) = interval(&values);
        let _ = writeln!(
            text,
            "{:>10.*}   {low:.*} to {high:.*}",
            digits,
            mean_of_means(&values),
            digits,
            digits
        );
    }
    text
}

fn mean_of_means(people: &[Vec<f64>]) -> f64 {
    let means: Vec<f64> = people.iter().map(|clips| numbers::mean(clips)).collect();
    numbers::mean(&means)
}

/// Percentile bootstrap of the mean over people: people are drawn with replacement, and of each of
/// them clips.
fn interval(people: &[Vec<f64>]) -> (f64, f64) {
    let mut random = Random(1);
    let mut means: Vec<f64> = (0..DRAWS)
        .map(|_| {
            let drawn: Vec<Vec<f64>> = (0..people.len())
                .map(|_| {
                    let clips = &people[random.below(people.len())];
                    (0..clips.len())
                        .map(|_| clips[random.below(clips.len())])
                        .collect()
                })
                .collect();
            mean_of_means(&drawn)
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let at = |share: f64| means[((DRAWS - 1) as f64 * share).round() as usize];
    (at(OUTSIDE / 2.0), at(1.0 - OUTSIDE / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_who_agree_leave_no_doubt() {
        assert_eq!(interval(&[vec![0.5; 3], vec![0.5]]), (0.5, 0.5));
    }

    #[test]
    fn the_interval_holds_the_mean_and_narrows_with_more_people() {
        let person = |i: usize| vec![i as f64 % 4.0, 1.0 + i as f64 % 4.0];
        let width = |count: usize| {
            let people: Vec<_> = (0..count).map(person).collect();
            let (low, high) = interval(&people);
            assert!(low < mean_of_means(&people) && mean_of_means(&people) < high);
            high - low
        };
        assert!(width(64) < 0.5 * width(4));
    }
}
