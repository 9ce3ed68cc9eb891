//! Lips to synthetic voices of other languages, which say when lips must be shut (p b m), on the
//! teeth (f v), and wide (open vowels). `training/languages.py` makes them.

use std::path::Path;

use anyhow::{Context, Result, bail};
use lipsync_tools::{faces::Watcher, media, numbers, picture::Picture};

use crate::{
    Setting,
    clip::Clip,
    figures::drive,
    follow::{self, OPEN},
};

/// Gap of the inner lips in canonical pixels below which the lower lip counts as on the teeth:
/// three of four real f, v of the GRID corpus are below it (`training/measure_real_lips.py`: 3.7,
/// 3.8 px for two people whose lips shut in p, b, m).
const TEETH: f64 = 4.0;
/// Either side of a phoneme, as that script allows: half a frame.
const TOLERANCE: f64 = 0.02;

/// One sentence of a voice.
pub struct Spoken {
    pub language: String,
    sound: Vec<f32>,
    phonemes: Vec<Phoneme>,
}

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Shut,
    Teeth,
    Wide,
}

struct Phoneme {
    shape: Shape,
    /// Seconds.
    begin: f64,
    end: f64,
}

/// What the lips did in one sentence.
#[derive(Clone, Copy)]
pub struct Lips {
    /// Share of p b m in which they shut.
    pub shut: f64,
    /// Share of f v in which the lower one was near the teeth.
    pub teeth: f64,
    /// Mean of the greatest openings in wide vowels, canonical pixels.
    pub wide: f64,
}

impl Lips {
    pub fn mean(all: &[Self]) -> Self {
        let mean =
            |figure: fn(&Self) -> f64| numbers::mean(&all.iter().map(figure).collect::<Vec<_>>());
        Self {
            shut: mean(|lips| lips.shut),
            teeth: mean(|lips| lips.teeth),
            wide: mean(|lips| lips.wide),
        }
    }
}

/// Every `NAME.wav` of a folder with its `NAME.tsv`: shape, begin and end a line.
pub fn load(folder: &Path) -> Result<Vec<Spoken>> {
    let mut tables: Vec<_> = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "tsv"))
        .collect();
    tables.sort();
    if tables.is_empty() {
        bail!("no voices in {}", folder.display());
    }
    tables
        .iter()
        .map(|table| {
            let text = std::fs::read_to_string(table)?;
            let phonemes = text.lines().map(phoneme).collect::<Result<_>>();
            Ok(Spoken {
                language: crate::stem(table),
                sound: media::sound(&table.with_extension("wav"))?,
                phonemes: phonemes.with_context(|| format!("in {}", table.display()))?,
            })
        })
        .collect()
}

fn phoneme(line: &str) -> Result<Phoneme> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [shape, begin, end] = fields[..] else {
        bail!("`{line}` is not a shape, a begin and an end");
    };
    let shape = match shape {
        "shut" => Shape::Shut,
        "teeth" => Shape::Teeth,
        "wide" => Shape::Wide,
        _ => bail!("no shape `{shape}`"),
    };
    Ok(Phoneme {
        shape,
        begin: begin.parse()?,
        end: end.parse()?,
    })
}

/// The clip's first frame to each voice.
pub fn measure(clip: &Clip, setting: &Setting) -> Result<Vec<(String, Lips)>> {
    let spoken = setting.spoken.iter();
    spoken
        .map(|spoken| {
            let frames = clip.frozen_for(spoken.sound.len());
            let (output, _) = drive(&frames, &spoken.sound, setting)?;
            let openings = follow::openings(&Watcher::watch_all(&output)?);
            Ok((spoken.language.clone(), lips(spoken, &frames, &openings)))
        })
        .collect()
}

fn lips(spoken: &Spoken, frames: &[Picture], openings: &[f64]) -> Lips {
    let during = |shape: Shape, most: fn(f64, f64) -> f64| -> Vec<f64> {
        spoken
            .phonemes
            .iter()
            .filter(|phoneme| phoneme.shape == shape)
            .filter_map(|phoneme| {
                let time = phoneme.begin - TOLERANCE..=phoneme.end + TOLERANCE;
                frames
                    .iter()
                    .zip(openings)
                    .filter(|(frame, _)| time.contains(&frame.seconds()))
                    .map(|(_, opening)| *opening)
                    .reduce(most)
            })
            .collect()
    };
    let below = |openings: &[f64], bound: f64| {
        let near = openings.iter().filter(|opening| **opening < bound).count();
        near as f64 / openings.len().max(1) as f64
    };
    Lips {
        shut: below(&during(Shape::Shut, f64::min), OPEN),
        teeth: below(&during(Shape::Teeth, f64::min), TEETH),
        wide: numbers::mean(&during(Shape::Wide, f64::max)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phonemes_are_read_and_others_refused() {
        let read = phoneme("teeth\t0.5\t0.625").unwrap();
        assert!(read.shape == Shape::Teeth && read.begin == 0.5 && read.end == 0.625);
        assert!(phoneme("teeth\t0.5").is_err());
        assert!(phoneme("tongue\t0.5\t0.6").is_err());
        assert!(phoneme("shut\t0.5\tsoon").is_err());
    }
}
