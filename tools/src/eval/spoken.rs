//! Synthetic voices of other languages with the times of their phonemes, as
//! `training/languages.py` makes them.

use std::path::Path;

use anyhow::{Context, Result, bail};
use lipsync_tools::media;

use crate::clip;

/// One sentence of a voice.
pub struct Spoken {
    pub language: String,
    pub sound: Vec<f32>,
    pub phonemes: Vec<Phoneme>,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Shape {
    Shut,
    Teeth,
    Wide,
    Round,
    Spread,
}

pub struct Phoneme {
    pub shape: Shape,
    /// Seconds.
    pub begin: f64,
    pub end: f64,
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
                language: clip::stem(table),
                sound: media::speech(&table.with_extension("wav"))?,
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
        "round" => Shape::Round,
        "spread" => Shape::Spread,
        _ => bail!("no shape `{shape}`"),
    };
    Ok(Phoneme {
        shape,
        begin: begin.parse()?,
        end: end.parse()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phonemes_are_read_and_others_refused() {
        let read = phoneme("teeth\t0.5\t0.625").unwrap();
        assert!(read.shape == Shape::Teeth && read.begin == 0.5 && read.end == 0.625);
        assert!(phoneme("round\t0.5\t0.6").unwrap().shape == Shape::Round);
        assert!(phoneme("teeth\t0.5").is_err());
        assert!(phoneme("tongue\t0.5\t0.6").is_err());
        assert!(phoneme("shut\t0.5\tsoon").is_err());
    }
}
