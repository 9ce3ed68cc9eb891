//! Camera and microphone: threads that feed a pipeline by its clock, as the conditions let them.
//!
//! Must not know what is behind the pads that they feed.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use fastrand::Rng;
use gst::prelude::*;
use gst_audio::{
    AudioFormat::{self, F32le, F64le, S16le, S32le},
    AudioInfo,
};
use gst_lipsync::media::Samples;

use crate::sync_pulses::{PulseMeter, TestSignal};

/// A block of audio.
const BLOCK_NS: i64 = 10_000_000;
/// The microphone's clock runs this much faster than the pipeline's, as audio interfaces do.
const SKEW: f64 = 100e-6;
/// A source that is further behind than this begins anew.
const BEHIND_NS: i64 = 500_000_000;
/// Audio and frames that lie between a source and the network at most.
const HELD_NS: i64 = 1_000_000_000;
const IDLE: Duration = Duration::from_millis(5);

/// Formats of video and of audio, each.
pub const FORMATS: usize = 6;
/// Format, width, height, frames a second.
type Format = (&'static str, u32, u32, (i32, i32));
/// The first is the ordinary one. For networks that are worth it, and for stand-ins.
const LARGE: [Format; FORMATS] = [
    ("I420", 640, 480, (25, 1)),
    ("NV12", 640, 480, (30, 1)),
    ("BGR", 480, 360, (25, 1)),
    ("RGBA", 640, 480, (24_000, 1001)),
    ("Y42B", 704, 576, (25, 1)),
    ("I420", 854, 480, (30_000, 1001)),
];
const SMALL: [Format; FORMATS] = [
    ("I420", 320, 240, (25, 1)),
    ("GRAY8", 64, 48, (50, 1)),
    ("NV12", 177, 133, (30, 1)),
    ("xRGB", 320, 180, (25, 1)),
    ("Y444", 200, 150, (60_000, 1001)),
    ("BGR", 161, 121, (24, 1)),
];
/// Format, rate and channels.
const AUDIO: [(AudioFormat, u32, u32); FORMATS] = [
    (F32le, 48_000, 2),
    (S16le, 44_100, 1),
    (S16le, 16_000, 2),
    (S32le, 96_000, 2),
    (F64le, 8_000, 1),
    (F32le, 22_050, 6),
];

/// A frame of one format, shown over and over.
pub struct Video {
    caps: gst::Caps,
    frame: gst::Buffer,
    lasts_ns: i64,
}

impl Video {
    /// A file's first frame in every format.
    pub fn all(file: &Path, is_large: bool) -> Result<Vec<Self>> {
        let formats = if is_large { LARGE } else { SMALL }.into_iter();
        formats.map(|format| Self::of(file, format)).collect()
    }

    fn of(file: &Path, (format, width, height, (numer, denom)): Format) -> Result<Self> {
        let convert = format!(
            "videoconvert ! videoscale add-borders=true \
             ! video/x-raw,format={format},width={width},height={height},pixel-aspect-ratio=1/1"
        );
        let sample = Samples::open(file, &convert, "")?.next();
        let sample = sample.with_context(|| format!("no frame in {}", file.display()))??;
        let mut caps = sample.caps_owned().context("a sample without caps")?;
        caps.make_mut()
            .set("framerate", gst::Fraction::new(numer, denom));
        // Memory that belongs to no decoder's pool.
        let buffer = sample.buffer().context("a sample without buffer")?;
        let frame = gst::Buffer::from_slice(buffer.map_readable()?.to_vec());
        Ok(Self {
            caps,
            frame,
            lasts_ns: 1_000_000_000 * i64::from(denom) / i64::from(numer),
        })
    }
}

/// What the sources and the network of a pipeline read at every frame and block of audio.
#[derive(Clone, Copy, Default)]
pub struct Conditions {
    /// Of a hundred frames, and of a hundred blocks of audio, that do not come.
    pub lost_frames: u64,
    pub lost_audio: u64,
    /// Timestamps and deliveries are off by up to this.
    pub jitter: Duration,
    /// GAP events stand for frames or audio.
    pub gaps: bool,
    pub no_video: bool,
    pub no_audio: bool,
    /// How far the audio's timestamps run ahead of the clock.
    pub lead: Duration,
    /// Which of the formats comes.
    pub video_format: usize,
    pub audio_format: usize,
    /// What the network takes longer for each frame.
    pub slow: Duration,
    /// It fails on every other frame.
    pub failing: bool,
    /// The pipeline plays, and how often it has begun to.
    pub is_playing: bool,
    pub run: u64,
    pub is_closed: bool,
}

/// The conditions of one pipeline, shared by its threads.
#[derive(Clone, Default)]
pub struct SharedConditions(Arc<Mutex<Conditions>>);

impl SharedConditions {
    pub fn now(&self) -> Conditions {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn change(&self, change: impl FnOnce(&mut Conditions)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// What the sources of a pipeline share with the rest of it.
#[derive(Clone)]
pub struct Shared {
    pub pipeline: gst::Pipeline,
    pub conditions: SharedConditions,
    pub meter: Arc<Mutex<PulseMeter>>,
    pub signal: Arc<TestSignal>,
}

impl Shared {
    pub fn meter(&self) -> MutexGuard<'_, PulseMeter> {
        self.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The element misses audio of this moment and of what it still holds.
    pub fn break_audio_now(&self) {
        if let Some(now) = self.time(&self.conditions.now()) {
            self.meter().break_audio(now - HELD_NS, now + BLOCK_NS);
        }
    }

    /// Running time, while the pipeline plays.
    fn time(&self, now: &Conditions) -> Option<i64> {
        let time = self.pipeline.current_running_time();
        i64::try_from(time.filter(|_| now.is_playing)?.nseconds()).ok()
    }

    /// Conditions and running time of this moment, or of the next in which the pipeline plays;
    /// `None` once it is closed.
    fn moment(&self) -> Option<(Conditions, i64)> {
        loop {
            let now = self.conditions.now();
            if now.is_closed {
                return None;
            }
            if let Some(time) = self.time(&now) {
                return Some((now, time));
            }
            std::thread::sleep(IDLE);
        }
    }

    /// Waits until `time_ns` of this run; whether it has come.
    fn wait(&self, run: u64, time_ns: i64) -> bool {
        loop {
            let now = self.conditions.now();
            match self.time(&now).filter(|_| now.run == run && !now.is_closed) {
                Some(time) if time >= time_ns => return true,
                Some(time) => {
                    let left = Duration::from_nanos((time_ns - time) as u64);
                    std::thread::sleep(left.min(10 * IDLE));
                }
                None => return false,
            }
        }
    }
}

/// What feeds one of a pipeline's sources.
pub struct Feed {
    pub shared: Shared,
    pub source: gst_app::AppSrc,
    pub random: Rng,
}

impl Feed {
    /// Frames until the pipeline is closed.
    pub fn frames(mut self, formats: &[Video]) {
        let mut last = (0, 0);
        while let Some((now, time)) = self.shared.moment() {
            let video = &formats[now.video_format % formats.len()];
            let due = match last {
                (run, at) if run == now.run && at + BEHIND_NS > time => at + video.lasts_ns,
                _ => time,
            };
            if !self.shared.wait(now.run, due) {
                continue;
            }
            last = (now.run, due);
            if now.no_video || self.random.u64(..100) < now.lost_frames {
                continue;
            }
            if now.gaps {
                self.gap(due, video.lasts_ns);
                continue;
            }
            let due = due + random_jitter(&mut self.random, now.jitter);
            self.push(video.frame.copy(), &video.caps, due, video.lasts_ns);
        }
    }

    /// Audio until the pipeline is closed.
    pub fn audio(mut self) -> Result<()> {
        let mut next = (0, 0);
        let (mut lead, mut is_discont) = (0, false);
        while let Some((now, time)) = self.shared.moment() {
            let (format, rate, channels) = AUDIO[now.audio_format % FORMATS];
            let caps = AudioInfo::builder(format, rate, channels)
                .build()?
                .to_caps()?;
            if next.0 != now.run || next.1 + BEHIND_NS < time {
                if next.0 == now.run {
                    self.shared.meter().break_audio(next.1, time);
                }
                next = (now.run, time);
            }
            let expected = now.lead.as_nanos() as i64;
            if expected != lead {
                // A jump forwards leaves audio out, one back brings it twice.
                let (from, to) = (next.1, next.1 + expected - lead);
                self.shared.meter().break_audio(from.min(to), from.max(to));
                (next.1, lead, is_discont) = (to, expected, true);
            }
            let samples = i64::from(rate) * BLOCK_NS / 1_000_000_000;
            let step_ns = 1e9 * (1.0 - SKEW) / f64::from(rate);
            let from = next.1;
            let at = |sample: i64| from + (sample as f64 * step_ns).round() as i64;
            let (to, late) = (at(samples), random_jitter(&mut self.random, now.jitter));
            if !self.shared.wait(now.run, to - lead + late.max(0)) {
                continue;
            }
            next.1 = to;
            let is_lost = self.random.u64(..100) < now.lost_audio;
            if now.no_audio || now.gaps || is_lost {
                // As a source must: what comes next does not go on where the last block ended.
                is_discont = true;
                self.shared.meter().break_audio(from, to);
                if now.gaps {
                    self.gap(from, to - from);
                }
                continue;
            }
            let values = (0..samples).map(|sample| self.shared.signal.at(at(sample)));
            let audio = values.flat_map(|value| bytes(format, value).repeat(channels as usize));
            let mut buffer = gst::Buffer::from_mut_slice(audio.collect::<Vec<u8>>());
            if std::mem::take(&mut is_discont) {
                let buffer = buffer.get_mut().context("a new buffer can be written")?;
                buffer.set_flags(gst::BufferFlags::DISCONT);
            }
            let jitter = random_jitter(&mut self.random, now.jitter);
            self.push(buffer, &caps, from + jitter, to - from);
        }
        Ok(())
    }

    fn push(&self, mut buffer: gst::Buffer, caps: &gst::Caps, at_ns: i64, lasts_ns: i64) {
        if self.source.caps().as_ref() != Some(caps) {
            self.source.set_caps(Some(caps));
        }
        let writable = buffer.make_mut();
        writable.set_pts(clock_time(at_ns));
        writable.set_duration(clock_time(lasts_ns));
        // Refused between two runs.
        let _ = self.source.push_buffer(buffer);
    }

    /// In the stream, in its place; a pad that does not flow refuses it.
    fn gap(&self, at_ns: i64, lasts_ns: i64) {
        if let Some(peer) = self.source.static_pad("src").and_then(|pad| pad.peer()) {
            let gap = gst::event::Gap::builder(clock_time(at_ns)).duration(clock_time(lasts_ns));
            peer.send_event(gap.build());
        }
    }
}

fn clock_time(ns: i64) -> gst::ClockTime {
    gst::ClockTime::from_nseconds(u64::try_from(ns).unwrap_or(0))
}

/// From minus to plus `most`, in nanoseconds.
fn random_jitter(random: &mut Rng, most: Duration) -> i64 {
    let most = most.as_nanos() as i64;
    random.i64(-most..=most)
}

fn bytes(format: AudioFormat, value: f32) -> Vec<u8> {
    match format {
        S16le => ((value * 32767.0) as i16).to_le_bytes().into(),
        S32le => ((f64::from(value) * 2_147_483_647.0) as i32)
            .to_le_bytes()
            .into(),
        F64le => f64::from(value).to_le_bytes().into(),
        _ => value.to_le_bytes().into(),
    }
}
