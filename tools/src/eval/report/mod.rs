//! The report: one page with tables and plots, pictures in files beside it. It shows people whose
//! mouths were redrawn, so it stays on the machine that made it.

mod plot;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use lipsync_tools::{numbers, sheet};

use crate::{
    figures::{Figures, Trace},
    follow::REACH,
    lines::LINES,
    people::{Found, Person, Verdict},
    spectrum::Spectrum,
    table::Language,
};
use plot::{Plot, Series};

/// What is plotted against each other: name, colour, openings.
type Part = fn(&Trace) -> &Vec<f64>;
const PARTS: [(&str, &str, Part); 3] = [
    ("real", "#666", |trace| &trace.real),
    ("frozen", "#2060b0", |trace| &trace.frozen),
    ("other words", "#c05010", |trace| &trace.shifted),
];

const STYLE: &str = "body{font:15px/1.45 sans-serif;max-width:1320px;margin:2em auto;padding:0 1em;color:#222}\
 table{border-collapse:collapse;margin:1em 0}td,th{padding:2px 10px;text-align:right;border-bottom:1px solid #ddd}\
 td:first-child,th:first-child{text-align:left}.goal{background:#cdeccd}.bar{background:#f7efc0}.below{background:#f5c6c0}\
 small{color:#777;white-space:nowrap}img{max-width:100%}svg{width:640px;max-width:100%}svg text{font:11px sans-serif;fill:#444}\
 svg .title{font-weight:bold}svg path{stroke:#e4e4e4}svg polyline{fill:none;stroke-width:1.6}";

/// Returns the page, which lies in `folder`.
pub fn write(people: &[Person], languages: &[Language], folder: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let found: Vec<Found> = LINES
        .iter()
        .filter_map(|line| Found::of(line, people))
        .collect();
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>lipsync eval</title><style>{STYLE}</style>\n\
         <h1>How well the mouths match</h1>\n\
         <p>These people's mouths were redrawn by a machine to measure it. The page is for who made it: do not publish it.\n\
         What each line means: <code>docs/measuring.md</code>.</p>\n"
    );
    page += &figures(&found);
    page += &persons(&found, people);
    page += &spoken(languages);
    page += "<h2>All clips</h2>\n";
    page += &spectrum(people);
    page += &lags(people);
    for person in people {
        let _ = writeln!(page, "<h2>{}</h2>", person.name);
        page += &strips(person, folder)?;
        for (clip, figures) in &person.clips {
            page += &openings(clip, &figures.trace);
        }
    }
    let path = folder.join("index.html");
    std::fs::write(&path, page + "</html>\n")
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Pictures of a person's first clip, written beside the page.
fn strips(person: &Person, folder: &Path) -> Result<String> {
    let Some((clip, figures)) = person.clips.first() else {
        return Ok(String::new());
    };
    let mut text = format!(
        "<p>{clip}, from above: what went in, what came out, what the person really did.</p>\n"
    );
    let mut show = |strip: &image::RgbImage, name: String| {
        let _ = writeln!(text, "<img src=\"{name}\" alt=\"\">");
        sheet::write(strip, &folder.join(name))
    };
    show(&figures.trace.strip, format!("{clip}.png"))?;
    if let Some(extra) = &figures.extra {
        let strip = sheet::contact_sheet(extra.moments())?;
        show(&strip, format!("{clip}-extra.png"))?;
    }
    Ok(text)
}

/// All figures beside what is wanted of them.
fn figures(found: &[Found]) -> String {
    let mut rows =
        String::from("<table><tr><th>figure<th>value<th>95 % interval<th>bar now<th>goal</tr>\n");
    for figure in found {
        let class = match figure.verdict() {
            Verdict::Open => "",
            Verdict::Below => "below",
            Verdict::Bar => "bar",
            Verdict::Goal => "goal",
        };
        let (bar, goal) = (figure.line.bar.text(), figure.line.goal.text());
        let _ = writeln!(
            rows,
            "<tr><td>{}<td class=\"{class}\">{}<td>{}<td>{}<td>{}</tr>",
            figure.line.name,
            figure.value(),
            figure.interval(),
            escaped(&bar),
            escaped(&goal)
        );
    }
    rows + "</table>\n<p><span class=\"goal\">goal reached</span> <span class=\"bar\">bar reached</span> <span class=\"below\">below the bar</span></p>\n"
}

fn persons(found: &[Found], people: &[Person]) -> String {
    let mut rows =
        String::from("<h2>Person by person</h2>\n<table><tr><th>figure <small>(clips)</small>");
    for Person { name, clips } in people {
        let _ = write!(rows, "<th>{name} <small>({})</small>", clips.len());
    }
    rows += "</tr>\n";
    for figure in found {
        let _ = write!(rows, "<tr><td>{}", figure.line.name);
        for person in figure.persons() {
            rows += "<td>";
            if let Some(person) = person {
                let _ = write!(
                    rows,
                    "{} <small>{}</small>",
                    person.value(),
                    person.interval()
                );
            }
        }
        rows += "</tr>\n";
    }
    rows + "</table>\n"
}

fn spoken(languages: &[Language]) -> String {
    if languages.is_empty() {
        return String::new();
    }
    let mut rows = String::from(
        "<h2>Other languages</h2>\n<table><tr><th>voice of espeak-ng<th>p b m shut<th>f v near the teeth<th>open vowels, px of 96</tr>\n",
    );
    for Language { name, lips } in languages {
        let _ = writeln!(
            rows,
            "<tr><td>{name}<td>{:.0} %<td>{:.0} %<td>{:.1}</tr>",
            lips.shut * 100.0,
            lips.teeth * 100.0,
            lips.wide
        );
    }
    rows + "</table>\n"
}

fn openings(clip: &str, trace: &Trace) -> String {
    let series = PARTS.map(|(name, colour, part)| Series {
        name,
        colour,
        points: part(trace)
            .iter()
            .enumerate()
            .map(|(frame, opening)| (frame as f64 / trace.rate, *opening))
            .collect(),
    });
    Plot {
        title: &format!("{clip}: opening of the mouth"),
        across: "seconds",
        up: "px of 96",
        series: &series,
    }
    .svg()
}

/// How fast mouths move.
fn spectrum(people: &[Person]) -> String {
    let series = PARTS.map(|(name, colour, part)| {
        let spectra: Vec<Spectrum> = traces(people)
            .map(|trace| Spectrum::of(part(trace), trace.rate))
            .collect();
        Series {
            name,
            colour,
            points: Spectrum::mean(&spectra)
                .into_iter()
                .map(|(hertz, power)| (hertz, 10.0 * power.log10()))
                .collect(),
        }
    });
    Plot {
        title: "Spectrum of the opening, mean of clips",
        across: "Hz",
        up: "dB",
        series: &series,
    }
    .svg()
}

/// How alike the drawn and the real opening are when one is moved against the other.
fn lags(people: &[Person]) -> String {
    let series = PARTS.map(|(name, colour, part)| Series {
        name,
        colour,
        points: (-REACH..=REACH)
            .map(|lag| {
                let clips: Vec<f64> = traces(people)
                    .map(|trace| numbers::correlation_at(&trace.real, part(trace), lag))
                    .collect();
                (f64::from(lag), numbers::mean(&clips))
            })
            .collect(),
    });
    Plot {
        title: "Correlation with the real opening",
        across: "frames later",
        up: "mean of clips",
        series: &series,
    }
    .svg()
}

fn traces(people: &[Person]) -> impl Iterator<Item = &Trace> {
    let clips = people.iter().flat_map(|person| &person.clips);
    clips.map(|(_, Figures { trace, .. })| trace)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
