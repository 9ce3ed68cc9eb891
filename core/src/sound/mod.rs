//! What is heard around a moment of running time: resampling, the sample ring, the log-mel.
//!
//! Must not know pictures or GStreamer.
//!
//! All sound is kept as 16 kHz mono on one absolute grid: sample *n* sounds at running time
//! *n*/16000 s, negative times included. Where nothing was heard there is silence.
//!
//! Time stamps against sample counts:
//! - a stamp less than [`TOLERANCE_NS`] from where the sound before it ended is jitter: the sound
//!   goes on without a seam. Its mean is followed slowly (0.2 % faster or slower), so that drift
//!   between a sound card and the clock does not build up. Where stamps differ all the same way for
//!   half a second, sound was lost or doubled without a flag, and it is placed anew;
//! - a larger difference, or any with the discontinuity flag, places the sound anew: forward over
//!   silence, or back, where the newest sound replaces what was heard before.

mod downmix;
mod drift;
mod fbank;
mod levels;
mod mel;
mod pcm;
mod resample;
mod ring;
mod slaney;
mod spectrum_cache;
mod voice_gate;
mod whisper_mel;

pub use downmix::{Channel, Position};
pub use levels::{LOUD_DB, Levels};
pub use mel::RANGE as MEL_RANGE;
pub use spectrum_cache::BANDS;
pub use voice_gate::VoiceGate;

use crate::Error;
use downmix::Downmix;
use drift::{Drift, Verdict};
use fbank::Fbank;
use levels::LevelTracker;
use mel::LogMel;
use resample::Resampler;
use ring::Ring;
use spectrum_cache::{Columns, Known};
use std::ops::RangeInclusive;
use whisper_mel::WhisperMel;

/// Samples per second of the grid.
pub const RATE: u32 = 16_000;
/// Samples from a column of the [`Spectrum::Mel`] to the next.
pub const HOP: i64 = 200;
/// Columns of the [`Spectrum::Mel`] per second.
pub const COLUMNS_PER_SECOND: i64 = RATE as i64 / HOP;
/// Input rates in Hz that can be used: from what is left of speech to the fastest converters.
pub const RATES: RangeInclusive<u32> = 4_000..=1_536_000;
/// Sound that is held at most, about 262 s. When more is pushed than is forgotten, the oldest
/// is dropped.
pub const CAPACITY_NS: i64 = ring::MAX_SAMPLES as i64 * SAMPLE_NS;
/// Time stamps nearer than this to the sample count are jitter, as in GstAudioAggregator's
/// `alignment-threshold`.
pub const TOLERANCE_NS: i64 = 40_000_000;

/// Exactly one sample of the grid.
const SAMPLE_NS: i64 = 1_000_000_000 / RATE as i64;
/// Half a mel column's window: what it needs before and after its centre.
const HALF_WINDOW_NS: i64 = 25_000_000;
/// What the resampler holds back at most: 50 samples of 16 kHz and two input samples at the lowest rate.
const LATENCY_NS: i64 = 3_625_000;
/// Times are cut to this (146 years), so that no sum overflows.
const FURTHEST_NS: i64 = i64::MAX / 2;
/// Input frames that are converted at a time, and samples of all their channels.
const BLOCK: usize = 1024;
const BLOCK_SAMPLES: usize = 64 * BLOCK;

/// Where the one channel of mono stands.
pub const MONO: &[Position] = &[Position::Centre];

/// Interleaved little-endian samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SampleFormat {
    S16,
    S32,
    F32,
    F64,
}

impl SampleFormat {
    /// Bytes of one sample.
    pub const fn bytes(self) -> usize {
        match self {
            Self::S16 => 2,
            Self::S32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

/// What networks hear of the sound: [`BANDS`] numbers in every column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spectrum {
    /// Wav2Lip's, -4..4, 80 columns a second: column *k* is centred on *k*/80 s.
    #[default]
    Mel,
    /// Kaldi's, natural logarithms, 100 columns a second: column *k* begins at *k*/100 s and is 25
    /// ms long.
    Fbank,
    /// Whisper's, logarithms to the base of 10, 100 columns a second: column *k* is centred on *k*/100 s.
    /// What Whisper takes off a whole piece is not taken off.
    Whisper,
    /// No spectrum but the samples themselves, -1..1, 200 columns a second: column *k* is the 80
    /// from 80 *k* on. Unlike the others' a window of them goes column after column.
    Samples,
}

impl Spectrum {
    /// Samples of the grid from a column to the next.
    pub const fn hop(self) -> i64 {
        match self {
            Self::Mel => HOP,
            Self::Fbank => fbank::HOP,
            Self::Whisper => whisper_mel::HOP,
            Self::Samples => BANDS as i64,
        }
    }

    /// Samples of the grid that a column is made of.
    pub const fn window(self) -> i64 {
        match self {
            Self::Mel => mel::WINDOW as i64,
            Self::Fbank => fbank::WINDOW as i64,
            Self::Whisper => whisper_mel::WINDOW as i64,
            Self::Samples => BANDS as i64,
        }
    }

    pub const fn columns_per_second(self) -> i64 {
        RATE as i64 / self.hop()
    }

    /// What every value of a column without sound is.
    pub const fn silence(self) -> f32 {
        match self {
            Self::Mel => MEL_RANGE[0],
            Self::Fbank => fbank::SILENCE,
            Self::Whisper => whisper_mel::SILENCE,
            Self::Samples => 0.0,
        }
    }

    /// The last column that needs no sound after `time_ns`.
    pub fn column_for(self, time_ns: i64) -> i64 {
        let reach = match self {
            Self::Mel | Self::Whisper => self.window() * SAMPLE_NS / 2,
            Self::Fbank | Self::Samples => self.window() * SAMPLE_NS,
        };
        let column_ns = self.hop() * SAMPLE_NS;
        time_ns.saturating_sub(reach).div_euclid(column_ns)
    }
}

/// What arrives, and how it maps to the grid.
struct Input {
    format: SampleFormat,
    rate: u32,
    downmix: Downmix,
    resampler: Resampler,
    drift: Drift,
    /// Whether the next sample goes on where the last one ended.
    running: bool,
    /// A discontinuity on a buffer that held no sound.
    discont: bool,
}

impl Input {
    fn frame_bytes(&self) -> usize {
        self.format.bytes() * self.downmix.places().len()
    }

    /// Frames that are converted at a time.
    fn block_frames(&self) -> usize {
        (BLOCK_SAMPLES / self.downmix.places().len()).clamp(1, BLOCK)
    }
}

/// Where sound begins and ends, in samples of the grid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The first sample; `None` before any.
    pub begin: Option<i64>,
    /// One past the last sample; `None` while more may come.
    pub end: Option<i64>,
}

/// Sound in, columns of spectra and levels out.
pub struct Sound {
    input: Option<Input>,
    finished: bool,
    /// The earliest sample of the grid that was heard.
    begin: Option<i64>,
    ring: Ring,
    levels: LevelTracker,
    mel: Columns<LogMel>,
    fbank: Columns<Fbank>,
    whisper: Columns<WhisperMel>,
    channel: Channel,
    /// A block as it came.
    interleaved: Vec<f32>,
    mono: Box<[f32; BLOCK]>,
    resampled: Vec<f32>,
}

impl Default for Sound {
    fn default() -> Self {
        Self::new()
    }
}

impl Sound {
    pub fn new() -> Self {
        Self {
            input: None,
            finished: false,
            begin: None,
            ring: Ring::new(),
            levels: LevelTracker::new(),
            mel: Columns::new(LogMel::new()),
            fbank: Columns::new(Fbank::new()),
            whisper: Columns::new(WhisperMel::new()),
            channel: Channel::default(),
            interleaved: Vec::new(),
            mono: Box::new([0.0; BLOCK]),
            resampled: Vec::with_capacity(2 * BLOCK + 256),
        }
    }

    /// Forgets all sound, as after a flush. The format stays.
    pub fn reset(&mut self) {
        self.ring.clear();
        self.levels.clear();
        self.mel.clear();
        self.fbank.clear();
        self.whisper.clear();
        self.finished = false;
        self.begin = None;
        if let Some(input) = &mut self.input {
            (input.running, input.discont) = (false, false);
        }
    }

    /// Sets the format of what is pushed from now on, and where its channels stand; sound already
    /// pushed stays. The same format again changes nothing.
    ///
    /// # Errors
    /// [`Error::SoundFormat`] for a rate outside [`RATES`] or no channels; the old format stays.
    pub fn configure(
        &mut self,
        format: SampleFormat,
        rate: u32,
        places: &[Position],
    ) -> Result<(), Error> {
        if !RATES.contains(&rate) {
            return Err(Error::SoundFormat(format!(
                "{rate} Hz, expected {} to {} Hz",
                RATES.start(),
                RATES.end()
            )));
        }
        if places.is_empty() {
            return Err(Error::SoundFormat("no channels".into()));
        }
        if let Some(input) = &self.input
            && (input.format, input.rate, input.downmix.places()) == (format, rate, places)
        {
            return Ok(());
        }
        self.end_run();
        let input = Input {
            format,
            rate,
            downmix: Downmix::new(places, rate, self.channel),
            resampler: Resampler::new(rate),
            drift: Drift::default(),
            running: false,
            discont: false,
        };
        self.interleaved
            .resize(input.block_frames() * places.len(), 0.0);
        self.input = Some(input);
        Ok(())
    }

    /// Sets which channel is listened to in what is pushed from now on. One that is not there counts
    /// as [`Channel::Auto`].
    pub fn set_channel(&mut self, channel: Channel) {
        self.channel = channel;
        if let Some(input) = &mut self.input {
            input.downmix.set_channel(channel);
        }
    }

    /// Takes interleaved samples of which the first sounds at `running_time_ns`. Bytes after the
    /// last whole frame are ignored, and so is everything before [`configure`](Self::configure).
    pub fn push(&mut self, data: &[u8], running_time_ns: i64, discont: bool) {
        let Some(input) = &mut self.input else {
            return;
        };
        input.discont |= discont;
        let frame_bytes = input.frame_bytes();
        let frames = data.len() / frame_bytes;
        if frames == 0 {
            return;
        }
        let block_bytes = frame_bytes * input.block_frames();
        self.finished = false;
        self.align(running_time_ns.clamp(-FURTHEST_NS, FURTHEST_NS), frames);
        for block in data.chunks(block_bytes) {
            self.push_block(block);
        }
    }

    /// There is no sound in `from_ns..to_ns`. What was heard there stays.
    pub fn gap(&mut self, from_ns: i64, to_ns: i64) {
        if to_ns <= from_ns {
            return;
        }
        self.finished = false;
        self.end_run();
        let to = to_ns.clamp(-FURTHEST_NS, FURTHEST_NS).div_euclid(SAMPLE_NS);
        if self.ring.end().is_none_or(|end| to > end) {
            self.ring.move_end(to);
            self.levels.move_end(to);
        }
    }

    /// The sound has ended: everything after it is silence, until more is pushed.
    pub fn finish(&mut self) {
        self.end_run();
        self.finished = true;
    }

    /// Running time in nanoseconds up to which the sound is known: `i64::MAX` after
    /// [`finish`](Self::finish), `i64::MIN` before any sound.
    pub fn covered_until(&self) -> i64 {
        match self.ring.end() {
            _ if self.finished => i64::MAX,
            Some(end) => end * SAMPLE_NS,
            None => i64::MIN,
        }
    }

    /// Where the sound heard since the last [`reset`](Self::reset) begins and ends.
    pub fn bounds(&self) -> Bounds {
        Bounds {
            begin: self.begin,
            end: self.ring.end().filter(|_| self.finished),
        }
    }

    /// Gives up the sound that no column centred at `ns` or later needs. Columns that were
    /// computed are kept apart, for longer than a window.
    pub fn forget_before(&mut self, ns: i64) {
        let needed = ns.clamp(-FURTHEST_NS, FURTHEST_NS) - HALF_WINDOW_NS;
        self.ring.forget_before(needed.div_euclid(SAMPLE_NS));
        self.levels.forget_before(needed.div_euclid(SAMPLE_NS));
    }

    /// Writes `columns` columns of a spectrum that end with `last_column` into `out`:
    /// `[80, columns]`, row-major, of [`Spectrum::Samples`] `[columns, 80]`. What is not known (yet)
    /// counts as silence.
    ///
    /// Extra room in `out` is left alone; with too little nothing is written.
    pub fn window(
        &mut self,
        spectrum: Spectrum,
        last_column: i64,
        out: &mut [f32],
        columns: usize,
    ) {
        self.raised_window(spectrum, 0.0, last_column, out, columns);
    }

    /// The [`window`](Self::window) of the same sound, louder by `gain_db`, 0 to 40 dB.
    pub fn raised_window(
        &mut self,
        spectrum: Spectrum,
        gain_db: f32,
        last_column: i64,
        out: &mut [f32],
        columns: usize,
    ) {
        if columns == 0
            || columns
                .checked_mul(BANDS)
                .is_none_or(|size| out.len() < size)
        {
            return;
        }
        let known = Known {
            until: match self.ring.end() {
                _ if self.finished => i64::MAX,
                Some(end) => end,
                None => i64::MIN,
            },
            end: self.ring.end().filter(|_| self.finished),
        };
        let ring = &self.ring;
        match spectrum {
            Spectrum::Mel => {
                let raised = gain_db * mel::STEPS_PER_DB;
                (self.mel).window(last_column, ring, known, raised, out, columns);
            }
            Spectrum::Fbank => {
                let raised = gain_db * std::f32::consts::LN_10 / 10.0;
                (self.fbank).window(last_column, ring, known, raised, out, columns);
            }
            Spectrum::Whisper => {
                let raised = gain_db / 10.0;
                (self.whisper).window(last_column, ring, known, raised, out, columns);
            }
            Spectrum::Samples => {
                let first = last_column.saturating_sub(columns as i64 - 1);
                let out = &mut out[..BANDS * columns];
                ring.read(first.saturating_mul(spectrum.hop()), out);
                let gain = 10f32.powf(gain_db / 20.0);
                out.iter_mut().for_each(|sample| *sample *= gain);
            }
        }
    }

    /// What is known at `ns` of the levels of voice and noise, from the sound before.
    pub fn levels(&self, ns: i64) -> Levels {
        let at = ns.clamp(-FURTHEST_NS, FURTHEST_NS).div_euclid(SAMPLE_NS);
        self.levels.at(at)
    }

    /// Like [`loudness`](Self::loudness), in steps of 12.5 ms and without what lies below a voice:
    /// what [`Levels`] are compared with.
    pub fn voice_loudness(&self, from_ns: i64, to_ns: i64) -> f32 {
        let from = ceil_sample(from_ns.clamp(-FURTHEST_NS, FURTHEST_NS));
        let to = ceil_sample(to_ns.clamp(-FURTHEST_NS, FURTHEST_NS));
        match from < to {
            true => self.levels.loudness(from, to),
            false => f32::NEG_INFINITY,
        }
    }

    /// RMS level of `from_ns..to_ns` about its mean in dBFS (a full-scale square wave is 0, a sine
    /// -3); `-inf` for digital silence. A constant offset is not loud.
    pub fn loudness(&self, from_ns: i64, to_ns: i64) -> f32 {
        let from = ceil_sample(from_ns.clamp(-FURTHEST_NS, FURTHEST_NS));
        let to = ceil_sample(to_ns.clamp(-FURTHEST_NS, FURTHEST_NS));
        if from >= to {
            return f32::NEG_INFINITY;
        }
        let (first, second) = self.ring.held(from, to);
        let (mut sum, mut squares) = (0.0f64, 0.0f64);
        for &sample in first.iter().chain(second) {
            sum += f64::from(sample);
            squares += f64::from(sample) * f64::from(sample);
        }
        let count = (to - from) as f64;
        let mean = sum / count;
        let power = (squares / count - mean * mean).max(0.0);
        (10.0 * power.log10()) as f32
    }

    /// How far [`covered_until`](Self::covered_until) may stay behind the end of what was pushed,
    /// at any rate, in nanoseconds.
    pub fn latency_ns(&self) -> i64 {
        LATENCY_NS
    }

    /// Compares the time of the next buffer with where the sound before it ended.
    fn align(&mut self, time_ns: i64, frames: usize) {
        let Some(input) = &mut self.input else {
            return;
        };
        let discont = std::mem::take(&mut input.discont);
        if input.running
            && let Some(end) = self.ring.end()
        {
            let ahead = end
                .saturating_mul(SAMPLE_NS)
                .saturating_add(input.resampler.ahead_ns());
            // Timestamps may be anything.
            let error = time_ns.saturating_sub(ahead);
            let tolerance = if discont { SAMPLE_NS } else { TOLERANCE_NS };
            if -tolerance < error && error < tolerance {
                let duration = frames as f64 / f64::from(input.rate);
                let error = error - input.resampler.pending_delay_ns();
                match input.drift.observe(error, duration) {
                    Verdict::Fine => return,
                    Verdict::Slide(correction) => {
                        input.resampler.delay(correction);
                        return;
                    }
                    Verdict::Place(hole) => {
                        let time_ns = time_ns.saturating_sub(error).saturating_add(hole);
                        return self.start_run(time_ns);
                    }
                }
            }
        }
        self.start_run(time_ns);
    }

    /// Places the next input sample at `time_ns`.
    fn start_run(&mut self, time_ns: i64) {
        self.end_run();
        let Some(input) = &mut self.input else {
            return;
        };
        // At 16 kHz on the nearest sample of the grid, so that the samples stay as they are.
        let first = if input.resampler.is_passthrough_rate() {
            (time_ns + SAMPLE_NS / 2).div_euclid(SAMPLE_NS)
        } else {
            ceil_sample(time_ns)
        };
        input.resampler.start((first * SAMPLE_NS - time_ns).max(0));
        input.drift = Drift::default();
        input.running = true;
        self.begin = Some(self.begin.map_or(first, |begin| begin.min(first)));
        self.ring.move_end(first);
        self.levels.move_end(first);
        self.mel.forget_after(first);
        self.fbank.forget_after(first);
        self.whisper.forget_after(first);
    }

    /// Takes what the resampler still holds; the next sound needs a place of its own.
    fn end_run(&mut self) {
        if let Some(input) = &mut self.input
            && std::mem::take(&mut input.running)
        {
            self.resampled.clear();
            input.resampler.finish(&mut self.resampled);
            self.ring.append(&self.resampled);
            self.levels.append(&self.resampled);
        }
    }

    /// At most [`Input::block_frames`].
    fn push_block(&mut self, data: &[u8]) {
        let Some(input) = &mut self.input else {
            return;
        };
        let frames = data.len() / input.frame_bytes();
        let samples = frames * input.downmix.places().len();
        let interleaved = &mut self.interleaved[..samples];
        let mono = &mut self.mono[..frames];
        pcm::decode(input.format, data, interleaved);
        input.downmix.mix(interleaved, mono);
        self.resampled.clear();
        input.resampler.push(mono, &mut self.resampled);
        self.ring.append(&self.resampled);
        self.levels.append(&self.resampled);
    }
}

/// The first sample of the grid that does not sound before `ns`.
fn ceil_sample(ns: i64) -> i64 {
    -(-ns).div_euclid(SAMPLE_NS)
}

#[cfg(test)]
mod tests;
