//! What is known of a figure person by person, and how far the means of so few people can be
//! trusted.

use fastrand::Rng;
use lipsync_tools::numbers::{self, Limit};

use crate::{
    figures::{All, Line},
    measure::Measured,
};

/// Draws of the bootstrap.
const DRAWS: usize = 2_000;
/// Share of the draws that lie outside the interval.
const OUTSIDE: f64 = 0.05;

pub struct Person {
    pub name: String,
    pub clips: Vec<(String, Measured)>,
}

/// One figure of all people.
pub struct Found<'a> {
    pub line: &'a Line,
    /// Of each person each clip on which it was measured.
    people: Vec<Vec<f64>>,
}

/// How a figure compares with what is wanted of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Nothing is.
    Open,
    Below,
    Bar,
    Goal,
}

impl<'a> Found<'a> {
    /// `None` where nobody was measured.
    pub fn of(line: &'a Line, people: &[Person]) -> Option<Self> {
        let values = |person: &Person| {
            let clips = person.clips.iter();
            clips
                .filter_map(|(_, clip)| clip.figures.get(line.name))
                .collect()
        };
        let people: Vec<Vec<f64>> = people.iter().map(values).collect();
        let measured = people.iter().any(|clips| !clips.is_empty());
        measured.then_some(Self { line, people })
    }

    /// The same of each person, `None` where it was not measured.
    pub fn persons(&self) -> impl Iterator<Item = Option<Self>> {
        let of = |clips: &Vec<f64>| Self {
            line: self.line,
            people: vec![clips.clone()],
        };
        let people = self.people.iter();
        people.map(move |clips| (!clips.is_empty()).then(|| of(clips)))
    }

    fn estimate(&self) -> Estimate {
        let measured = self.people.iter().filter(|clips| !clips.is_empty());
        estimate(&measured.cloned().collect::<Vec<_>>())
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        self.people.iter().flatten().copied()
    }

    /// What stands in the table.
    pub fn value(&self) -> String {
        let digits = self.line.digits;
        match self.line.all {
            All::Mean => format!("{:.digits$}", self.estimate().0),
            All::Extremes => {
                let (least, most) = numbers::extremes(self.values());
                format!("{least:+.digits$} to {most:+.digits$}")
            }
            All::Sum => format!("{:.digits$}", self.values().sum::<f64>()),
        }
    }

    /// The interval of the mean; empty where there is none, and where the table shows no mean.
    pub fn interval(&self) -> String {
        let digits = self.line.digits;
        let bounds = self.bounds();
        let text = bounds.map(|(low, high)| format!("{low:.digits$} to {high:.digits$}"));
        text.unwrap_or_default()
    }

    /// The value, and half the interval where there is one.
    pub fn short(&self) -> String {
        let (value, digits) = (self.value(), self.line.digits);
        match self.bounds() {
            Some((low, high)) => format!("{value} +-{:.digits$}", (high - low) / 2.0),
            None => value,
        }
    }

    fn bounds(&self) -> Option<(f64, f64)> {
        self.estimate().1.filter(|_| self.line.all == All::Mean)
    }

    pub fn verdict(&self) -> Verdict {
        let meets = |limit: Limit| match self.line.all {
            All::Mean => limit.is_met(self.estimate().0),
            All::Extremes => self.values().all(|value| limit.is_met(value)),
            All::Sum => limit.is_met(self.values().sum()),
        };
        match (self.line.bar, self.line.goal) {
            (Limit::None, Limit::None) => Verdict::Open,
            (_, goal) if meets(goal) => Verdict::Goal,
            (bar, _) if meets(bar) => Verdict::Bar,
            _ => Verdict::Below,
        }
    }
}

/// A mean, and where 95 % of such recordings would show it: `None` where one clip is all there is.
type Estimate = (f64, Option<(f64, f64)>);

fn mean_of_means(people: &[Vec<f64>]) -> f64 {
    let means: Vec<f64> = people.iter().map(|clips| numbers::mean(clips)).collect();
    numbers::mean(&means)
}

/// The mean over people with the percentile bootstrap: people are drawn with replacement, and of
/// each of them clips.
fn estimate(people: &[Vec<f64>]) -> Estimate {
    let mean = mean_of_means(people);
    if people.iter().map(Vec::len).sum::<usize>() < 2 {
        return (mean, None);
    }
    let mut random = Rng::with_seed(1);
    let mut draw = |_| {
        let clips = &people[random.usize(..people.len())];
        let drawn = clips.iter().map(|_| clips[random.usize(..clips.len())]);
        drawn.collect::<Vec<f64>>()
    };
    let means = (0..DRAWS).map(|_| {
        let drawn: Vec<_> = (0..people.len()).map(&mut draw).collect();
        mean_of_means(&drawn)
    });
    let means: Vec<f64> = means.collect();
    let at = |share: f64| numbers::quantile(&means, share).unwrap_or(mean);
    (mean, Some((at(OUTSIDE / 2.0), at(1.0 - OUTSIDE / 2.0))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::LINES;

    #[test]
    fn people_who_agree_leave_no_doubt() {
        let agreed = estimate(&[vec![0.5; 3], vec![0.5]]);
        assert_eq!(agreed, (0.5, Some((0.5, 0.5))));
        // One clip says nothing of its like.
        assert_eq!(estimate(&[vec![0.5]]).1, None);
    }

    #[test]
    fn the_interval_holds_the_mean_and_narrows_with_more_people() {
        let person = |i: usize| vec![i as f64 % 4.0, 1.0 + i as f64 % 4.0];
        let width = |count: usize| {
            let people: Vec<_> = (0..count).map(person).collect();
            let (mean, interval) = estimate(&people);
            let (low, high) = interval.unwrap();
            assert!(low < mean && mean < high);
            high - low
        };
        assert!(width(64) < 0.5 * width(4));
    }

    #[test]
    fn a_figure_is_judged_by_its_bar_and_its_goal() {
        let verdict = |name: &str, people: &[&[f64]]| {
            let line = LINES.iter().find(|line| line.name == name).unwrap();
            let people = people.iter().map(|clips| clips.to_vec()).collect();
            Found { line, people }.verdict()
        };
        let correlation = "aperture correlation, first frame frozen";
        assert_eq!(verdict(correlation, &[&[0.6], &[0.7]]), Verdict::Below);
        assert_eq!(verdict(correlation, &[&[0.6, 0.8], &[0.7]]), Verdict::Bar);
        assert_eq!(verdict(correlation, &[&[0.9], &[1.0]]), Verdict::Goal);
        // One late clip is enough, and one pixel.
        let lag = "lag in frames, all clips";
        assert_eq!(verdict(lag, &[&[0.0, 0.0], &[-2.0]]), Verdict::Below);
        assert_eq!(verdict(lag, &[&[0.0, 0.0], &[0.0]]), Verdict::Goal);
        let outside = "outside the mask, pixels changed";
        assert_eq!(verdict(outside, &[&[0.0, 1.0], &[0.0]]), Verdict::Below);
        assert_eq!(verdict("jitter, px of 96", &[&[9.0]]), Verdict::Open);
    }
}
