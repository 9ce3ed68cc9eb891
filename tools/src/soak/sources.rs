//! Camera and microphone: threads that feed a pipeline by its clock, as the conditions let them.
//!
//! Must not know what is behind the pads that they feed.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use fastrand::Rng;
use gst::prelude::*;

use crate::{
    conditions::{SharedConditions, random_jitter},
    formats::Video,
    sync_pulses::{PulseMeter, TestSignal},
};

/// A block of audio.
const BLOCK_NS: i64 = 10_000_000;
/// The microphone's clock runs this much faster than the pipeline's, as audio interfaces do.
const SKEW: f64 = 100e-6;
/// A source that is further behind than this begins anew.
const BEHIND_NS: i64 = 500_000_000;
/// Audio and frames that lie between a source and the network at most.
const HELD_NS: i64 = 1_000_000_000;
const IDLE: Duration = Duration::from_millis(5);

/// What the sources of a pipeline share with the rest of it.
#[derive(Clone)]
pub struct Shared {
    pub pipeline: gst::Pipeline,
    pub conditions: SharedConditions,
    pub meter: Arc<Mutex<PulseMeter>>,
    pub signal: Arc<TestSignal>,
    /// The pipeline plays.
    pub is_playing: Arc<AtomicBool>,
    /// How often it has begun to.
    pub runs: Arc<AtomicU64>,
    pub is_closed: Arc<AtomicBool>,
}

impl Shared {
    pub fn meter(&self) -> MutexGuard<'_, PulseMeter> {
        self.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The element misses audio of this moment and of what it still holds.
    pub fn break_audio_now(&self) {
        if let Some((_, now)) = self.now() {
            self.meter().break_audio(now - HELD_NS, now + BLOCK_NS);
        }
    }

    fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    /// Which run this is, and its running time.
    fn now(&self) -> Option<(u64, i64)> {
        let run = self.runs.load(Ordering::Acquire);
        let is_playing = self.is_playing.load(Ordering::Acquire);
        let now = self
            .pipeline
            .current_running_time()
            .filter(|_| is_playing)?;
        Some((run, i64::try_from(now.nseconds()).ok()?))
    }

    /// Waits until `time_ns` of this run; whether it has come.
    fn wait(&self, run: u64, time_ns: i64) -> bool {
        while !self.is_closed() {
            match self.now() {
                Some((now_run, now)) if now_run == run => {
                    if now >= time_ns {
                        return true;
                    }
                    let left = Duration::from_nanos((time_ns - now) as u64);
                    std::thread::sleep(left.min(10 * IDLE));
                }
                _ => return false,
            }
        }
        false
    }
}

fn clock_time(ns: i64) -> gst::ClockTime {
    gst::ClockTime::from_nseconds(u64::try_from(ns).unwrap_or(0))
}

/// In the stream, in its place; a pad that does not flow refuses it.
fn send_gap(source: &gst_app::AppSrc, at_ns: i64, lasts_ns: i64) {
    if let Some(peer) = source.static_pad("src").and_then(|pad| pad.peer()) {
        let gap = gst::event::Gap::builder(clock_time(at_ns)).duration(clock_time(lasts_ns));
        peer.send_event(gap.build());
    }
}

/// Frames until the pipeline is closed.
pub fn camera(
    shared: Shared,
    source: gst_app::AppSrc,
    formats: Arc<Vec<Video>>,
    mut random: Rng,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut last = (0, 0);
        let mut shown = None;
        while !shared.is_closed() {
            let Some((run, now)) = shared.now() else {
                std::thread::sleep(IDLE);
                continue;
            };
            let conditions = shared.conditions.now();
            let index = conditions.video_format % formats.len();
            let video = &formats[index];
            let due = match last {
                (of, at) if of == run && at + BEHIND_NS > now => at + video.lasts_ns,
                _ => now,
            };
            if !shared.wait(run, due) {
                continue;
            }
            last = (run, due);
            if conditions.no_video || random.u64(..100) < conditions.lost_frames {
                continue;
            }
            if conditions.gaps {
                send_gap(&source, due, video.lasts_ns);
                continue;
            }
            if shown != Some(index) {
                source.set_caps(Some(&video.caps));
                shown = Some(index);
            }
            let mut buffer = video.frame.copy();
            if let Some(buffer) = buffer.get_mut() {
                buffer.set_pts(clock_time(
                    due + random_jitter(&mut random, conditions.jitter),
                ));
                buffer.set_duration(clock_time(video.lasts_ns));
            }
            // Refused between two runs.
            let _ = source.push_buffer(buffer);
        }
    })
}

/// Audio until the pipeline is closed.
pub fn microphone(
    shared: Shared,
    source: gst_app::AppSrc,
    formats: Vec<gst_audio::AudioInfo>,
    mut random: Rng,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut next = (0, 0);
        let mut heard = None;
        let mut lead = 0;
        let mut is_discont = false;
        while !shared.is_closed() {
            let Some((run, now)) = shared.now() else {
                std::thread::sleep(IDLE);
                continue;
            };
            let conditions = shared.conditions.now();
            let index = conditions.audio_format % formats.len();
            let info = &formats[index];
            if next.0 != run || next.1 + BEHIND_NS < now {
                if next.0 == run {
                    shared.meter().break_audio(next.1, now);
                }
                next = (run, now);
            }
            let expected = conditions.lead.as_nanos() as i64;
            if expected != lead {
                // A jump forwards leaves audio out, one back brings it twice.
                let (from, to) = (next.1, next.1 + expected - lead);
                shared.meter().break_audio(from.min(to), from.max(to));
                (next.1, lead, is_discont) = (to, expected, true);
            }
            let samples = (i128::from(info.rate()) * i128::from(BLOCK_NS) / 1_000_000_000) as usize;
            let step_ns = 1e9 * (1.0 - SKEW) / f64::from(info.rate());
            let from = next.1;
            let to = from + (samples as f64 * step_ns).round() as i64;
            if !shared.wait(
                run,
                to - lead + random_jitter(&mut random, conditions.jitter).max(0),
            ) {
                continue;
            }
            next.1 = to;
            let is_lost = random.u64(..100) < conditions.lost_audio;
            if conditions.no_audio || conditions.gaps || is_lost {
                // As a source must: what comes next does not go on where the last block ended.
                is_discont = true;
                shared.meter().break_audio(from, to);
                if conditions.gaps {
                    send_gap(&source, from, to - from);
                }
                continue;
            }
            if heard != Some(index) {
                source.set_caps(info.to_caps().ok().as_ref());
                heard = Some(index);
            }
            let at = |sample: usize| from + (sample as f64 * step_ns).round() as i64;
            let audio = (0..samples).map(|sample| shared.signal.at(at(sample)));
            let mut buffer = gst::Buffer::from_mut_slice(bytes(info, audio));
            if let Some(buffer) = buffer.get_mut() {
                buffer.set_pts(clock_time(
                    from + random_jitter(&mut random, conditions.jitter),
                ));
                buffer.set_duration(clock_time(to - from));
                if std::mem::take(&mut is_discont) {
                    buffer.set_flags(gst::BufferFlags::DISCONT);
                }
            }
            // Refused between two runs.
            let _ = source.push_buffer(buffer);
        }
    })
}

/// The same on all channels.
fn bytes(info: &gst_audio::AudioInfo, audio: impl Iterator<Item = f32>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in audio {
        for _ in 0..info.channels() {
            match info.format() {
                gst_audio::AudioFormat::S16le => {
                    bytes.extend(((value * 32767.0) as i16).to_le_bytes());
                }
                gst_audio::AudioFormat::S32le => {
                    bytes.extend(((f64::from(value) * 2_147_483_647.0) as i32).to_le_bytes());
                }
                gst_audio::AudioFormat::F64le => bytes.extend(f64::from(value).to_le_bytes()),
                _ => bytes.extend(value.to_le_bytes()),
            }
        }
    }
    bytes
}
