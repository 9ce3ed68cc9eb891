//! All figures that are printed, in their order: what they are called, where they are found, what
//! they must reach and what they shall reach.

use lipsync_tools::judge::Judgement;

use crate::{
    extra::{Dubbed, Extra, Portrait, Turned},
    figures::Figures,
    languages::Lips,
};

pub struct Line {
    pub name: &'static str,
    pub digits: usize,
    /// Of one clip; `None` where it was not measured.
    pub figure: fn(&Figures) -> Option<f64>,
    pub all: All,
    pub bar: Bar,
    pub goal: Bar,
}

/// What many clips are summed up to.
#[derive(Clone, Copy, PartialEq)]
pub enum All {
    /// Every person counts the same.
    Mean,
    /// The least and the most of any clip.
    Extremes,
    Sum,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Bar {
    None,
    AtLeast(f64),
    AtMost(f64),
    Between(f64, f64),
}

use All::{Extremes, Mean, Sum};
use Bar::{AtLeast, AtMost, Between};

const fn line(name: &'static str, digits: usize, figure: fn(&Figures) -> Option<f64>) -> Line {
    Line {
        name,
        digits,
        figure,
        all: Mean,
        bar: Bar::None,
        goal: Bar::None,
    }
}

impl Line {
    const fn wanted(self, bar: Bar, goal: Bar) -> Self {
        Self { bar, goal, ..self }
    }

    const fn all(self, all: All) -> Self {
        Self { all, ..self }
    }
}

/// What the contract wants, in its order; then what it does not name.
pub const LINES: [Line; 59] = [
    line("aperture correlation, first frame frozen", 2, |f| {
        Some(f.frozen.correlation)
    })
    .wanted(AtLeast(0.70), AtLeast(0.90)),
    line("aperture correlation, source says other words", 2, |f| {
        Some(f.shifted.correlation)
    })
    .wanted(AtLeast(0.65), AtLeast(0.85)),
    line("amplitude, output / real", 2, |f| Some(f.frozen.amplitude))
        .wanted(Between(0.4, 1.6), Between(0.8, 1.2)),
    line("lag in frames, all clips", 0, worst_lag)
        .wanted(Between(-1.0, 1.0), Between(0.0, 0.0))
        .all(Extremes),
    line("landmark distance, output / frozen mouth", 2, |f| {
        Some(f.landmarks)
    })
    .wanted(AtMost(0.75), AtMost(0.40)),
    line("silence motion, % of frames with an open mouth", 1, |f| {
        Some(f.silence * 100.0)
    })
    .wanted(AtMost(1.0), AtMost(0.0)),
    line("outside the mask, pixels changed", 0, |f| {
        Some(f.outside as f64)
    })
    .wanted(AtMost(0.0), AtMost(0.0))
    .all(Sum),
    line("sharpness, output / input", 2, |f| Some(f.sharpness))
        .wanted(AtLeast(0.85), AtLeast(0.97)),
    line("jitter in a steady tone / the tracker's", 2, |f| {
        Some(f.jitter / f.tracker_jitter.max(f64::EPSILON))
    })
    .wanted(AtMost(1.0), AtMost(0.0)),
    line("seam, output / input", 3, |f| Some(f.seam)).wanted(AtMost(1.1), AtMost(1.02)),
    line("cost, both networks, one core, ms a frame", 1, |f| {
        f.networks
    })
    .wanted(AtMost(12.0), AtMost(4.0)),
    line("judge's distance, real", 2, |f| {
        Some(f.judged.real.distance)
    }),
    line("judge's distance, frozen", 2, |f| {
        Some(f.judged.frozen.distance)
    }),
    line("judge's distance, other words", 2, |f| {
        Some(f.judged.shifted.distance)
    }),
    line("judge's distance, dubbed", 2, |f| {
        Some(dubbed(f)?.judged.distance)
    }),
    line("judge's distance, mismatched", 2, |f| {
        Some(dubbed(f)?.mismatched.distance)
    }),
    line("judge's confidence, real", 2, |f| {
        Some(f.judged.real.confidence)
    }),
    line("judge's confidence, frozen", 2, |f| {
        Some(f.judged.frozen.confidence)
    }),
    line("judge's confidence, other words", 2, |f| {
        Some(f.judged.shifted.confidence)
    }),
    line("judge's confidence, dubbed", 2, |f| {
        Some(dubbed(f)?.judged.confidence)
    }),
    line("judge's confidence, mismatched", 2, |f| {
        Some(dubbed(f)?.mismatched.confidence)
    }),
    line("judge's offset right, % of clips, real", 0, |f| {
        Some(in_sync(&f.judged.real))
    }),
    line("judge's offset right, % of clips, frozen", 0, |f| {
        Some(in_sync(&f.judged.frozen))
    }),
    line("judge's offset right, % of clips, other words", 0, |f| {
        Some(in_sync(&f.judged.shifted))
    }),
    line("judge's offset right, % of clips, dubbed", 0, |f| {
        Some(in_sync(&dubbed(f)?.judged))
    }),
    line("judge's offset right, % of clips, mismatched", 0, |f| {
        Some(in_sync(&dubbed(f)?.mismatched))
    }),
    line("amplitude, other words", 2, |f| Some(f.shifted.amplitude)),
    line("lag, frozen, frames", 2, |f| Some(f.frozen.fine_lag)),
    line("lag, other words, frames", 2, |f| Some(f.shifted.fine_lag)),
    line("fast motion, frozen, output / real", 2, |f| {
        Some(f.frozen.fast)
    }),
    line("fast motion, other words, output / real", 2, |f| {
        Some(f.shifted.fast)
    }),
    line("jitter, px of 96", 3, |f| Some(f.jitter)),
    line("the tracker's jitter, px of 96", 3, |f| {
        Some(f.tracker_jitter)
    }),
    line("room tone, % of frames open", 1, |f| Some(f.room * 100.0)),
    line("music alone, % of frames open", 1, |f| {
        Some(extra(f)?.music_alone * 100.0)
    }),
    line("correlation, talkers 10 dB below", 2, |f| {
        Some(f.talkers.correlation)
    }),
    line("correlation, pink noise 20 dB below", 2, |f| {
        Some(extra(f)?.noise[0])
    }),
    line("correlation, pink noise 10 dB below", 2, |f| {
        Some(extra(f)?.noise[1])
    }),
    line("correlation, pink noise as loud", 2, |f| {
        Some(extra(f)?.noise[2])
    }),
    line("correlation, music 20 dB below", 2, |f| {
        Some(extra(f)?.music[0])
    }),
    line("correlation, music 10 dB below", 2, |f| {
        Some(extra(f)?.music[1])
    }),
    line("correlation, music as loud", 2, |f| {
        Some(extra(f)?.music[2])
    }),
    line("dubbed, correlation with the other", 2, |f| {
        Some(dubbed(f)?.speech.correlation)
    }),
    line("dubbed, amplitude", 2, |f| {
        Some(dubbed(f)?.speech.amplitude)
    }),
    line("dubbed, lag, frames", 2, |f| {
        Some(dubbed(f)?.speech.fine_lag)
    }),
    line("painting, correlation", 2, |f| {
        Some(painting(f)?.speech.correlation)
    }),
    line("painting, amplitude", 2, |f| {
        Some(painting(f)?.speech.amplitude)
    }),
    line("painting, jitter, px of 96", 3, |f| {
        Some(painting(f)?.jitter)
    }),
    line("leaning to 45 degrees, correlation", 2, |f| {
        Some(leaning(f)?.correlation)
    }),
    line("leaning, seam", 3, |f| Some(leaning(f)?.seam)),
    line("leaning, jitter, output / input", 2, |f| {
        Some(leaning(f)?.jitter)
    }),
    line("leaning, % of frames without a face", 1, |f| {
        Some(leaning(f)?.lost * 100.0)
    }),
    line("looking to 25 degrees, correlation", 2, |f| {
        Some(looking(f)?.correlation)
    }),
    line("looking, seam", 3, |f| Some(looking(f)?.seam)),
    line("looking, jitter, output / input", 2, |f| {
        Some(looking(f)?.jitter)
    }),
    line("looking, % of frames without a face", 1, |f| {
        Some(looking(f)?.lost * 100.0)
    }),
    line("other languages, p b m shut, %", 0, |f| {
        languages(f, |lips| lips.shut * 100.0)
    }),
    line("other languages, f v near the teeth, %", 0, |f| {
        languages(f, |lips| lips.teeth * 100.0)
    }),
    line("other languages, open vowels, px of 96", 1, |f| {
        languages(f, |lips| lips.wide)
    }),
];

/// The one of both drives that is further off.
fn worst_lag(figures: &Figures) -> Option<f64> {
    let lags = [figures.frozen.lag, figures.shifted.lag];
    lags.into_iter().max_by_key(|lag| lag.abs()).map(f64::from)
}

/// Whether the judge sees the offset at which they were made, in percent.
fn in_sync(judgement: &Judgement) -> f64 {
    if judgement.offset.abs() <= 1 {
        100.0
    } else {
        0.0
    }
}

fn extra(figures: &Figures) -> Option<&Extra> {
    figures.extra.as_ref()
}

fn dubbed(figures: &Figures) -> Option<&Dubbed> {
    Some(&extra(figures)?.dubbed.as_ref()?.figures)
}

fn painting(figures: &Figures) -> Option<&Portrait> {
    Some(&extra(figures)?.portrait.as_ref()?.figures)
}

fn leaning(figures: &Figures) -> Option<&Turned> {
    Some(&extra(figures)?.leaning.figures)
}

fn looking(figures: &Figures) -> Option<&Turned> {
    Some(&extra(figures)?.looking.figures)
}

/// Mean over the languages.
fn languages(figures: &Figures, figure: fn(&Lips) -> f64) -> Option<f64> {
    let spoken = &extra(figures)?.languages;
    let values: Vec<f64> = spoken.iter().map(|(_, lips)| figure(lips)).collect();
    (!values.is_empty()).then(|| lipsync_tools::numbers::mean(&values))
}
