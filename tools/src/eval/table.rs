//! The tables as text.

use std::fmt::Write as _;

use crate::{
    languages::Lips,
    lines::LINES,
    people::{Found, Person, Verdict},
};

/// All figures beside what is wanted of them, then person by person.
pub fn print(people: &[Person]) -> String {
    let found: Vec<Found> = LINES
        .iter()
        .filter_map(|line| Found::of(line, people))
        .collect();
    format!("{}\n{}", figures(&found), persons(&found, people))
}

// Writing to a string cannot fail.
fn figures(found: &[Found]) -> String {
    let mut text = format!(
        "{:<46} {:>9}  {:<16} {:<11} {:<11}\n",
        "figure", "value", "95 % interval", "bar now", "goal"
    );
    for figure in found {
        let mark = match figure.verdict() {
            Verdict::Below => "BELOW THE BAR",
            _ => "",
        };
        let row = format!(
            "{:<46} {:>9}  {:<16} {:<11} {:<11}{mark}",
            figure.line.name,
            figure.value(),
            figure.interval(),
            figure.line.bar.text(),
            figure.line.goal.text(),
        );
        let _ = writeln!(text, "{}", row.trim_end());
    }
    text
}

fn persons(found: &[Found], people: &[Person]) -> String {
    let mut text = format!("{:<46}", "person (clips); half of the 95 % interval");
    for Person { name, clips } in people {
        let _ = write!(text, "{:>15}", format!("{name} ({})", clips.len()));
    }
    text.push('\n');
    for figure in found {
        let _ = write!(text, "{:<46}", figure.line.name);
        for person in figure.persons() {
            let value = person.map_or_else(|| "-".into(), |found| found.short());
            let _ = write!(text, "{value:>15}");
        }
        text.push('\n');
    }
    text
}

/// What one language does, over all people.
pub struct Language {
    pub name: String,
    pub lips: Lips,
}

pub fn languages(people: &[Person]) -> Vec<Language> {
    let clips = people.iter().flat_map(|person| &person.clips);
    let measured: Vec<_> = clips
        .filter_map(|(_, clip)| Some(&clip.extra.as_ref()?.languages))
        .collect();
    let Some(first) = measured.first() else {
        return Vec::new();
    };
    (0..first.len())
        .map(|index| {
            let all: Vec<Lips> = measured.iter().map(|clip| clip[index].1).collect();
            Language {
                name: first[index].0.clone(),
                lips: Lips::mean(&all),
            }
        })
        .collect()
}

pub fn print_languages(languages: &[Language]) -> String {
    let mut text = format!(
        "{:<20} {:>10} {:>20} {:>16}\n",
        "voice of espeak-ng", "p b m shut", "f v near the teeth", "open vowels"
    );
    for Language { name, lips } in languages {
        let _ = writeln!(
            text,
            "{name:<20} {:>8.0} % {:>18.0} % {:>13.1} px",
            lips.shut * 100.0,
            lips.teeth * 100.0,
            lips.wide
        );
    }
    text
}
