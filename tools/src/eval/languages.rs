//! Lips to synthetic voices of other languages, which say when lips must be shut (p b m), on the
//! teeth (f v), wide (open vowels), narrow (rounded vowels) or not (spread ones).

use anyhow::Result;
use lipsync_tools::{
    faces::{Mouth, Watcher},
    numbers,
    picture::Picture,
};

use crate::{
    clip::Clip,
    follow::{self, OPEN},
    setting::Setting,
    spoken::{Shape, Spoken},
};

/// Gap of the inner lips in canonical pixels below which the lower lip counts as on the teeth:
/// three of four real f, v of the GRID corpus are below it (`training/measure_real_lips.py`: 3.7,
/// 3.8 px for two people whose lips shut in p, b, m).
const TEETH: f64 = 4.0;
/// Either side of a phoneme, as that script allows: half a frame.
const TOLERANCE: f64 = 0.02;

/// What the lips did in one sentence.
#[derive(Clone, Copy)]
pub struct Lips {
    /// Share of p b m in which they shut.
    pub shut: f64,
    /// Share of f v in which the lower one was near the teeth.
    pub teeth: f64,
    /// Mean of the greatest openings in wide vowels, canonical pixels.
    pub wide: f64,
    /// Canonical pixels by which the mouth is narrower in the middle of rounded vowels than in that of
    /// spread ones, between their medians; 0 where one of them is missing.
    pub rounded: f64,
}

impl Lips {
    pub fn mean<'a>(all: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let mean =
            |figure: fn(&Self) -> f64| numbers::mean(&all.clone().map(figure).collect::<Vec<_>>());
        Self {
            shut: mean(|lips| lips.shut),
            teeth: mean(|lips| lips.teeth),
            wide: mean(|lips| lips.wide),
            rounded: mean(|lips| lips.rounded),
        }
    }
}

/// The clip's first frame to each voice.
pub fn measure(clip: &Clip, setting: &Setting) -> Result<Vec<(String, Lips)>> {
    let spoken = setting.spoken.iter();
    spoken
        .map(|spoken| {
            let frames = clip.frozen_for(spoken.sound.len());
            let (output, _) = setting.drive(&frames, &spoken.sound)?;
            let mouths = Watcher::watch_all(&output)?;
            Ok((spoken.language.clone(), lips(spoken, &frames, &mouths)))
        })
        .collect()
}

fn lips(spoken: &Spoken, frames: &[Picture], mouths: &[Mouth]) -> Lips {
    let (openings, spreads) = (&follow::openings(mouths), follow::spreads(mouths));
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
    let middle = |shape: Shape| -> Option<f64> {
        let of_shape = spoken
            .phonemes
            .iter()
            .filter(|phoneme| phoneme.shape == shape);
        let nearest = of_shape.filter_map(|phoneme| {
            let middle = (phoneme.begin + phoneme.end) / 2.0;
            let after = frames
                .iter()
                .position(|frame| frame.seconds() >= middle - TOLERANCE)?;
            Some(spreads[after])
        });
        numbers::median(&nearest.collect::<Vec<_>>())
    };
    let rounded = middle(Shape::Spread).zip(middle(Shape::Round));
    Lips {
        shut: below(&during(Shape::Shut, f64::min), OPEN),
        teeth: below(&during(Shape::Teeth, f64::min), TEETH),
        wide: numbers::mean(&during(Shape::Wide, f64::max)),
        rounded: rounded.map_or(0.0, |(spread, round)| spread - round),
    }
}
