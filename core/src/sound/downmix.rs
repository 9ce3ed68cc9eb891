//! The one channel that is listened to, made of all that come in: by where their loudspeakers stand,
//! and by what they carry.
//!
//! Must not know the grid or the formats of samples. What a channel weighs depends on the audio
//! before it, counted in samples, and not on how that was cut into buffers. Weights never jump: each
//! moves to its next value within [`STEP_SECONDS`].

use std::{fmt, str::FromStr};

/// How often it is looked what the channels carry, and how long weights take to change.
const STEP_SECONDS: f32 = 0.01;
/// A channel that is softer than this carries nothing, in dBFS.
const NOTHING_DB: f32 = -75.0;
/// Nor does one that is softer than the loudest beside it by more: nobody hears a voice there.
const BELOW_LOUDEST_DB: f32 = 30.0;
/// Nor one that does not stand out from its own noise, which is the softest that was heard there,
/// forgotten by so many dB a second.
const STANDS_OUT_DB: f32 = 15.0;
const NOISE_RISES_DB: f32 = 12.0;
/// One that carries something is left only when it is softer by this, too.
const HYSTERESIS_DB: f32 = 6.0;
/// A channel is remembered as loud as it was, less so many dB a second: a speaker who pauses while
/// there is music in the others keeps the channel for ten seconds.
const FORGOTTEN_DB: f32 = 3.0;
/// Two channels are compared over about this time.
const COMPARED_SECONDS: f32 = 0.3;
/// Correlation below which a channel is in opposite phase, and above which it no longer is. Music
/// mixed wide stays above the first.
const OPPOSITE: f32 = -0.7;
const NOT_OPPOSITE: f32 = -0.3;

/// Where the loudspeaker of a channel stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Position {
    /// In the front centre, where dialogue is.
    Centre,
    Left,
    Right,
    /// Beside or behind, or nowhere in particular.
    Elsewhere,
    /// Low-frequency effects: no voice.
    LowFrequency,
}

/// Where a voice is looked for: first where something is carried.
const TIERS: [&[Position]; 3] = [
    &[Position::Centre],
    &[Position::Left, Position::Right],
    &[Position::Elsewhere],
];

/// Which of the channels is listened to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Channel {
    /// The front centre while it carries something, else left and right, else the others; channels
    /// that carry nothing do not count, and one in opposite phase is turned round.
    #[default]
    Auto,
    /// The mean of all channels but those of low-frequency effects.
    Mix,
    Left,
    Right,
    Centre,
    /// Counted from 0, as they come.
    Number(usize),
}

impl FromStr for Channel {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Ok(match text.trim().to_ascii_lowercase().as_str() {
            "auto" => Self::Auto,
            "mix" => Self::Mix,
            "left" => Self::Left,
            "right" => Self::Right,
            "centre" | "center" => Self::Centre,
            number => Self::Number(number.parse().map_err(|_| ())?),
        })
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Mix => f.write_str("mix"),
            Self::Left => f.write_str("left"),
            Self::Right => f.write_str("right"),
            Self::Centre => f.write_str("centre"),
            Self::Number(number) => number.fmt(f),
        }
    }
}

impl Channel {
    /// Which one of channels at these places this is. `None` for [`Auto`](Self::Auto) and
    /// [`Mix`](Self::Mix), and where there is no such channel.
    ///
    /// Mono is every side at once; the first two of channels without places are left and right.
    pub fn among(self, places: &[Position]) -> Option<usize> {
        let has_places = places.iter().any(|place| *place != Position::Elsewhere);
        let at = |wanted: Position, index: usize| match places.len() {
            1 => Some(0),
            _ if has_places => places.iter().position(|place| *place == wanted),
            count => Some(index).filter(|index| *index < count),
        };
        match self {
            Self::Auto | Self::Mix => None,
            Self::Left => at(Position::Left, 0),
            Self::Right => at(Position::Right, 1),
            Self::Centre => at(Position::Centre, usize::MAX),
            Self::Number(number) => Some(number).filter(|number| *number < places.len()),
        }
    }

    /// Whether channels at these places can be listened to like this, or only as
    /// [`Auto`](Self::Auto).
    pub fn is_among(self, places: &[Position]) -> bool {
        matches!(self, Self::Auto | Self::Mix) || self.among(places).is_some()
    }
}

/// What is known of one channel.
#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    /// In the step that is not over yet: sums of samples, of squares, and of products with those of
    /// the channel that this one is compared with.
    sum: f64,
    squares: f64,
    products: f64,
    /// Sums of squares and products, as they are forgotten.
    compared: [f64; 2],
    /// Its noise, and as loud as what stood out from that is remembered, in dBFS.
    noise_db: f32,
    level_db: f32,
    carries: bool,
    /// In opposite phase to the channel that it is compared with.
    is_opposite: bool,
    /// Whether [`Channel::Auto`] listens to it.
    is_chosen: bool,
    /// At the beginning of this step and at its end.
    weight: [f32; 2],
}

/// Makes one channel of many.
pub struct Downmix {
    places: Box<[Position]>,
    channel: Channel,
    lanes: Box<[Lane]>,
    /// Frames in a step, and how many of this one are over.
    step: usize,
    at: usize,
    /// The channel with which others are compared.
    reference: usize,
}

impl Downmix {
    /// `places` has at least one channel, `rate` is in frames a second.
    pub fn new(places: &[Position], rate: u32, channel: Channel) -> Self {
        // Before anything is heard a voice is expected where it belongs.
        let tier = (TIERS.into_iter())
            .find(|tier| places.iter().any(|place| tier.contains(place)))
            .unwrap_or(&[Position::LowFrequency]);
        let lanes = places.iter().map(|place| Lane {
            noise_db: NOTHING_DB - STANDS_OUT_DB,
            level_db: f32::NEG_INFINITY,
            is_chosen: tier.contains(place),
            ..Lane::default()
        });
        let mut downmix = Self {
            places: places.into(),
            channel,
            lanes: lanes.collect(),
            step: ((rate as f32 * STEP_SECONDS) as usize).max(1),
            at: 0,
            reference: places
                .iter()
                .position(|place| tier.contains(place))
                .unwrap_or(0),
        };
        downmix.weigh();
        for lane in &mut downmix.lanes {
            lane.weight[0] = lane.weight[1];
        }
        downmix
    }

    pub fn places(&self) -> &[Position] {
        &self.places
    }

    /// From the next step on.
    pub fn set_channel(&mut self, channel: Channel) {
        self.channel = channel;
    }

    /// Mixes whole interleaved frames, as many as `out` has room for.
    pub fn mix(&mut self, mut interleaved: &[f32], mut out: &mut [f32]) {
        let channels = self.lanes.len();
        if channels == 1 {
            out.copy_from_slice(&interleaved[..out.len()]);
            return;
        }
        while !out.is_empty() {
            let count = out.len().min(self.step - self.at);
            let (frames, later) = interleaved.split_at(count * channels);
            let (mixed, rest) = out.split_at_mut(count);
            self.mix_part(frames, mixed);
            self.measure(frames);
            self.at += count;
            if self.at == self.step {
                self.at = 0;
                self.finish_step();
            }
            (interleaved, out) = (later, rest);
        }
    }

    /// Frames of one step.
    fn mix_part(&mut self, frames: &[f32], out: &mut [f32]) {
        out.fill(0.0);
        let channels = self.lanes.len();
        for (index, lane) in self.lanes.iter().enumerate() {
            let [from, to] = lane.weight;
            let samples = frames.iter().skip(index).step_by(channels);
            if from == to {
                if to != 0.0 {
                    for (out, sample) in out.iter_mut().zip(samples) {
                        *out += to * sample;
                    }
                }
                continue;
            }
            let change = (to - from) / self.step as f32;
            for ((out, sample), at) in out.iter_mut().zip(samples).zip(self.at + 1..) {
                *out += (from + change * at as f32) * sample;
            }
        }
    }

    fn measure(&mut self, frames: &[f32]) {
        for frame in frames.chunks_exact(self.lanes.len()) {
            let reference = f64::from(frame[self.reference]);
            for (lane, sample) in self.lanes.iter_mut().zip(frame) {
                let sample = f64::from(*sample);
                lane.sum += sample;
                lane.squares += sample * sample;
                lane.products += sample * reference;
            }
        }
    }

    /// Decides with what was heard in this step what the channels weigh at the end of the next.
    fn finish_step(&mut self) {
        let reference = self.lanes[self.reference].sum;
        for lane in &mut self.lanes {
            lane.take_in(self.step as f64, reference);
        }
        let reference = self.lanes[self.reference].compared[0];
        for lane in &mut self.lanes {
            lane.compare(reference);
            lane.weight[0] = lane.weight[1];
        }
        for tier in TIERS {
            self.judge(tier);
        }
        self.choose();
        self.weigh();
    }

    /// Finds out which of the channels at these places carry something.
    fn judge(&mut self, tier: &[Position]) {
        let lanes = self.lanes.iter().zip(&self.places);
        let loudest_db = (lanes.filter(|(_, place)| tier.contains(place)))
            .map(|(lane, _)| lane.level_db)
            .fold(f32::NEG_INFINITY, f32::max);
        let least_db = NOTHING_DB.max(loudest_db - BELOW_LOUDEST_DB);
        for (lane, place) in self.lanes.iter_mut().zip(&self.places) {
            if tier.contains(place) {
                let kept_db = if lane.carries { HYSTERESIS_DB } else { 0.0 };
                lane.carries = lane.level_db >= least_db - kept_db;
            }
        }
    }

    /// Where nothing carries anything, all stays as it was.
    fn choose(&mut self) {
        let carries = |tier: &&[Position]| {
            let mut lanes = self.lanes.iter().zip(&self.places);
            lanes.any(|(lane, place)| lane.carries && tier.contains(place))
        };
        let Some(tier) = TIERS.into_iter().find(carries) else {
            return;
        };
        for (lane, place) in self.lanes.iter_mut().zip(&self.places) {
            lane.is_chosen = lane.carries && tier.contains(place);
        }
        let first = self.lanes.iter().position(|lane| lane.is_chosen);
        if let Some(first) = first.filter(|first| *first != self.reference) {
            self.reference = first;
            for lane in &mut self.lanes {
                (lane.compared, lane.is_opposite) = ([0.0; 2], false);
            }
        }
    }

    /// Sets what the channels weigh at the end of the step.
    fn weigh(&mut self) {
        let only = self.channel.among(&self.places);
        let mixes = self.channel == Channel::Mix;
        let mut count = 0;
        for (index, (lane, place)) in self.lanes.iter_mut().zip(&self.places).enumerate() {
            let counts = match only {
                Some(only) => index == only,
                None if mixes => *place != Position::LowFrequency,
                None => lane.is_chosen,
            };
            let turned = lane.is_opposite && only.is_none() && !mixes;
            lane.weight[1] = match (counts, turned) {
                (false, _) => 0.0,
                (true, false) => 1.0,
                (true, true) => -1.0,
            };
            count += usize::from(counts);
        }
        let share = 1.0 / count.max(1) as f32;
        for lane in &mut self.lanes {
            lane.weight[1] *= share;
        }
    }
}

impl Lane {
    /// Adds the step that is over to what is remembered. `reference` is the sum of the samples that
    /// this channel is compared with.
    fn take_in(&mut self, frames: f64, reference: f64) {
        // About their means: a constant offset is no sound.
        let squares = (self.squares - self.sum * self.sum / frames).max(0.0);
        let products = self.products - self.sum * reference / frames;
        let kept = f64::from((-STEP_SECONDS / COMPARED_SECONDS).exp());
        let [all_squares, all_products] = self.compared;
        self.compared = [kept * all_squares + squares, kept * all_products + products];
        let level_db = 10.0 * (squares / frames).log10() as f32;
        let risen_db = self.noise_db + NOISE_RISES_DB * STEP_SECONDS;
        self.noise_db = level_db.clamp(NOTHING_DB - STANDS_OUT_DB, risen_db);
        self.level_db -= FORGOTTEN_DB * STEP_SECONDS;
        if level_db >= self.noise_db + STANDS_OUT_DB {
            self.level_db = self.level_db.max(level_db);
        }
        (self.sum, self.squares, self.products) = (0.0, 0.0, 0.0);
    }

    /// `reference` is the sum of squares of the channel that this one is compared with.
    fn compare(&mut self, reference: f64) {
        let [squares, products] = self.compared;
        let correlation = products / (squares * reference).sqrt().max(f64::MIN_POSITIVE);
        let limit = match self.is_opposite {
            true => NOT_OPPOSITE,
            false => OPPOSITE,
        };
        self.is_opposite = correlation < f64::from(limit);
    }
}

#[cfg(test)]
mod tests;
