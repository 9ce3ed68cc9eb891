//! The tables that are printed, and the page that has them with plots and pictures. It shows people
//! whose mouths were redrawn, so it stays on the machine that made it.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use lipsync_tools::{
    chart::{self, Colour, Curve},
    numbers, sheet,
    table::Table,
};

use crate::{
    figures::LINES,
    follow::REACH,
    languages::Lips,
    measure::Trace,
    people::{Found, Person, Verdict},
    spectrum::Spectrum,
};

/// What is plotted against each other: name, colour, openings.
type Part = fn(&Trace) -> &Vec<f64>;
const PARTS: [(&str, Colour, Part); 3] = [
    ("real", Colour(102, 102, 102), |trace| &trace.real),
    ("frozen", Colour(32, 96, 176), |trace| &trace.frozen),
    ("other words", Colour(192, 80, 16), |trace| &trace.shifted),
];

/// The page, with `{name}` where a part comes.
const PAGE: &str = include_str!("report.html.in");

pub struct Tables {
    /// All figures beside what they must reach.
    figures: Table,
    /// The same person by person.
    persons: Table,
    languages: Table,
}

impl Tables {
    pub fn of(people: &[Person]) -> Self {
        let lines = LINES.iter();
        let found: Vec<Found> = lines.filter_map(|line| Found::of(line, people)).collect();
        Self {
            figures: figures(&found),
            persons: persons(&found, people),
            languages: languages(people),
        }
    }

    pub fn text(&self) -> String {
        let mut text = format!("{}\n{}", self.figures.text(), self.persons.text());
        if !self.languages.is_empty() {
            let _ = write!(text, "\n{}", self.languages.text());
        }
        text
    }
}

fn figures(found: &[Found]) -> Table {
    let head = ["figure", "value", "95 % interval", "bar now", "goal", ""];
    let mut table = Table::new("lrllll", head);
    for figure in found {
        let (class, mark) = match figure.verdict() {
            Verdict::Open => ("", ""),
            Verdict::Below => ("below", "BELOW THE BAR"),
            Verdict::Bar => ("bar", ""),
            Verdict::Goal => ("goal", ""),
        };
        let (bar, goal) = (figure.line.bar.text(), figure.line.goal.text());
        let (name, mark) = (figure.line.name.to_owned(), mark.to_owned());
        let cells = [name, figure.value(), figure.interval(), bar, goal, mark];
        table.marked_row(class, cells);
    }
    table
}

fn persons(found: &[Found], people: &[Person]) -> Table {
    let names = people
        .iter()
        .map(|it| format!("{} ({})", it.name, it.clips.len()));
    let first = "person (clips); half of the 95 % interval".to_owned();
    let mut table = Table::new("lr", std::iter::once(first).chain(names));
    for figure in found {
        let cells = figure
            .persons()
            .map(|it| it.map_or("-".into(), |found| found.short()));
        table.row(std::iter::once(figure.line.name.to_owned()).chain(cells));
    }
    table
}

/// What each language does, over all people.
fn languages(people: &[Person]) -> Table {
    let head = [
        "voice of espeak-ng",
        "p b m shut",
        "f v near the teeth",
        "open vowels",
        "rounded narrower than spread",
    ];
    let mut table = Table::new("lr", head);
    let clips = people.iter().flat_map(|person| &person.clips);
    let measured = clips
        .map(|(_, clip)| &clip.languages)
        .filter(|lips| !lips.is_empty());
    let measured: Vec<_> = measured.collect();
    for (index, (name, _)) in measured.first().into_iter().copied().flatten().enumerate() {
        let lips = Lips::mean(measured.iter().map(|all| &all[index].1));
        let [shut, teeth] = [lips.shut, lips.teeth].map(|share| format!("{:.0} %", share * 100.0));
        let [wide, rounded] = [lips.wide, lips.rounded].map(|pixels| format!("{pixels:.1} px"));
        table.row([name.clone(), shut, teeth, wide, rounded]);
    }
    table
}

/// Returns the page, which lies in `folder`.
pub fn write(people: &[Person], tables: &Tables, folder: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let mut clips = String::new();
    for person in people {
        let _ = writeln!(clips, "<h2>{}</h2>", person.name);
        clips += &pictures(person, folder)?;
        for (clip, measured) in &person.clips {
            clips += &openings(clip, &measured.trace)?;
        }
    }
    let page = PAGE
        .replace("{figures}", &tables.figures.html())
        .replace("{persons}", &tables.persons.html())
        .replace("{languages}", &tables.languages.html())
        .replace("{spectrum}", &spectrum(people)?)
        .replace("{lags}", &lags(people)?)
        .replace("{clips}", &clips);
    let path = folder.join("index.html");
    std::fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Moments of a person's first clip, written beside the page.
fn pictures(person: &Person, folder: &Path) -> Result<String> {
    let Some((clip, measured)) = person.clips.first() else {
        return Ok(String::new());
    };
    let caption = "from above: what went in, what came out, what the person really did";
    let mut text = format!("<p>{clip}, {caption}.</p>\n");
    let sheets = [(&measured.moments, ""), (&measured.hard_moments, "-hard")];
    for (moments, end) in sheets {
        let name = format!("{clip}{end}.png");
        let _ = writeln!(text, "<img src=\"{name}\" alt=\"\">");
        sheet::write(moments, &folder.join(name))?;
    }
    Ok(text)
}

/// One curve for each of [`PARTS`].
fn curves(points: impl Fn(Part) -> Vec<(f64, f64)>) -> Vec<Curve> {
    let parts = PARTS.into_iter();
    parts
        .map(|(name, colour, part)| (name, colour, points(part)))
        .collect()
}

fn openings(clip: &str, trace: &Trace) -> Result<String> {
    let curves = curves(|part| {
        let frames = part(trace).iter().enumerate();
        let points = frames.map(|(frame, opening)| (frame as f64 / trace.rate, *opening));
        points.collect()
    });
    let title = format!("{clip}: opening of the mouth");
    chart::curves(&title, "seconds", "px of 96", curves)
}

/// How fast mouths move.
fn spectrum(people: &[Person]) -> Result<String> {
    let curves = curves(|part| {
        let traces = traces(people).map(|trace| Spectrum::of(part(trace), trace.rate));
        let mean = Spectrum::mean(&traces.collect::<Vec<_>>()).into_iter();
        mean.map(|(hertz, power)| (hertz, 10.0 * power.log10()))
            .collect()
    });
    chart::curves("Spectrum of the opening, mean of clips", "Hz", "dB", curves)
}

/// How alike the drawn and the real opening are when one is moved against the other.
fn lags(people: &[Person]) -> Result<String> {
    let curves = curves(|part| {
        let at = |lag| {
            let clip = |trace: &Trace| numbers::correlation_at(&trace.real, part(trace), lag);
            let clips: Vec<f64> = traces(people).map(clip).collect();
            (f64::from(lag), numbers::mean(&clips))
        };
        (-REACH..=REACH).map(at).collect()
    });
    let title = "Correlation with the real opening";
    chart::curves(title, "frames later", "mean of clips", curves)
}

fn traces(people: &[Person]) -> impl Iterator<Item = &Trace> {
    let clips = people.iter().flat_map(|person| &person.clips);
    clips.map(|(_, measured)| &measured.trace)
}
