//! All figures that are printed, in their order: what they are called, what they must reach and what
//! they shall reach.

use std::collections::BTreeMap;

use lipsync_tools::{
    judge::Judgement,
    numbers::Limit::{self, AtLeast, AtMost, Between},
};

/// Figures of one clip, by the names of [`LINES`]. What was not measured is not there.
#[derive(Default)]
pub struct Figures(BTreeMap<String, f64>);

pub struct Line {
    pub name: &'static str,
    /// Behind the point.
    pub digits: usize,
    pub all: All,
    pub bar: Limit,
    pub goal: Limit,
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

const fn line(name: &'static str, digits: usize) -> Line {
    Line {
        name,
        digits,
        all: All::Mean,
        bar: Limit::None,
        goal: Limit::None,
    }
}

impl Line {
    const fn limits(self, bar: Limit, goal: Limit) -> Self {
        Self { bar, goal, ..self }
    }

    const fn all(self, all: All) -> Self {
        Self { all, ..self }
    }
}

/// What a model must reach; then what else there is to know.
pub const LINES: [Line; 73] = [
    line("aperture correlation, first frame frozen", 2).limits(AtLeast(0.70), AtLeast(0.90)),
    line("aperture correlation, source says other words", 2).limits(AtLeast(0.65), AtLeast(0.85)),
    line("amplitude, output / real", 2).limits(Between(0.4, 1.6), Between(0.8, 1.2)),
    line("lag in frames, all clips", 0)
        .limits(Between(-1.0, 1.0), Between(0.0, 0.0))
        .all(All::Extremes),
    line("landmark distance, output / frozen mouth", 2).limits(AtMost(0.75), AtMost(0.40)),
    line("silence motion, % of frames with an open mouth", 1).limits(AtMost(1.0), AtMost(0.0)),
    line("outside the mask, pixels changed", 0)
        .limits(AtMost(0.0), AtMost(0.0))
        .all(All::Sum),
    line("sharpness, output / input", 2).limits(AtLeast(0.85), AtLeast(0.97)),
    line("jitter in a steady tone / the tracker's", 2).limits(AtMost(1.0), AtMost(0.0)),
    line("seam, output / input", 3).limits(AtMost(1.1), AtMost(1.02)),
    line("cost, both networks, one core, ms a frame", 1).limits(AtMost(12.0), AtMost(4.0)),
    line("width correlation, first frame frozen", 2),
    line("width correlation, source says other words", 2),
    line("amplitude off, log of the ratio", 2),
    line("share of the source's own opening, other words", 2),
    line("aperture correlation, once the mouth is known", 2),
    line("amplitude, once the mouth is known", 2).limits(Between(0.7, 1.4), Between(0.85, 1.2)),
    line("amplitude off, once the mouth is known", 2),
    line("width correlation, once the mouth is known", 2).limits(AtLeast(0.40), AtLeast(0.60)),
    line("judge's distance, real", 2),
    line("judge's distance, frozen", 2),
    line("judge's distance, other words", 2),
    line("judge's distance, dubbed", 2),
    line("judge's distance, mismatched", 2),
    line("judge's confidence, real", 2),
    line("judge's confidence, frozen", 2),
    line("judge's confidence, other words", 2),
    line("judge's confidence, dubbed", 2),
    line("judge's confidence, mismatched", 2),
    line("judge's offset right, % of clips, real", 0),
    line("judge's offset right, % of clips, frozen", 0),
    line("judge's offset right, % of clips, other words", 0),
    line("judge's offset right, % of clips, dubbed", 0),
    line("judge's offset right, % of clips, mismatched", 0),
    line("amplitude, other words", 2),
    line("lag, frozen, frames", 2),
    line("lag, other words, frames", 2),
    line("fast motion, frozen, output / real", 2),
    line("fast motion, other words, output / real", 2),
    line("jitter, px of 96", 3),
    line("the tracker's jitter, px of 96", 3),
    line("room tone, % of frames open", 1),
    line("music alone, % of frames open", 1),
    line("correlation, talkers 10 dB below", 2),
    line("correlation, pink noise 20 dB below", 2),
    line("correlation, pink noise 10 dB below", 2),
    line("correlation, pink noise as loud", 2),
    line("correlation, music 20 dB below", 2),
    line("correlation, music 10 dB below", 2),
    line("correlation, music as loud", 2),
    line("dubbed, correlation with the other", 2),
    line("dubbed, amplitude", 2),
    line("dubbed, lag, frames", 2),
    line("painting, correlation", 2),
    line("painting, amplitude", 2),
    line("painting, jitter, px of 96", 3),
    line("leaning to 45 degrees, correlation", 2),
    line("leaning, seam", 3),
    line("leaning, jitter, output / input", 2),
    line("leaning, % of frames without a face", 1),
    line("looking to 25 degrees, correlation", 2),
    line("looking, seam", 3),
    line("looking, jitter, output / input", 2),
    line("looking, % of frames without a face", 1),
    line("inside, error, of 255", 1),
    line("inside, structural similarity", 2),
    line("inside, edges, output / real", 2),
    line("inside, sorted brightness off, of 255", 1),
    line("inside, flicker, output / real", 2),
    line("other languages, p b m shut, %", 0),
    line("other languages, f v near the teeth, %", 0),
    line("other languages, open vowels, px of 96", 1),
    line("other languages, rounded narrower than spread, px of 96", 1),
];

impl Figures {
    pub fn put(&mut self, name: &str, value: f64) {
        debug_assert!(LINES.iter().any(|line| line.name == name), "{name}");
        self.0.insert(name.to_owned(), value);
    }

    pub fn put_percent(&mut self, name: &str, share: f64) {
        self.put(name, share * 100.0);
    }

    /// What the judge of sync says of one drive; its offset is right within a frame.
    pub fn put_judgement(&mut self, drive: &str, judgement: &Judgement) {
        self.put(&format!("judge's distance, {drive}"), judgement.distance);
        self.put(
            &format!("judge's confidence, {drive}"),
            judgement.confidence,
        );
        let is_right = judgement.offset.abs() <= 1;
        let name = format!("judge's offset right, % of clips, {drive}");
        self.put_percent(&name, f64::from(u8::from(is_right)));
    }

    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }
}
