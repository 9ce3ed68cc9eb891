//! Camera and microphone: threads that feed a pipeline by its clock, as the weather lets them.
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

use gst::prelude::*;

use crate::{
    pulses::{Programme, PulseWatch},
    weather::{Dice, Sky},
};

/// A block of sound.
const BLOCK_NS: i64 = 10_000_000;
/// The microphone's clock runs this much faster than the pipeline's, as sound cards do.
const SKEW: f64 = 100e-6;
/// A source that is further behind than this begins anew.
const BEHIND_NS: i64 = 500_000_000;
/// Sound and frames that lie between a source and the network at most.
const HELD_NS: i64 = 1_000_000_000;
const IDLE: Duration = Duration::from_millis(5);

/// Frames of one kind.
pub struct Picture {
    pub caps: gst::Caps,
    pub frame: gst::Buffer,
    pub lasts_ns: i64,
}

/// What the sources of a station share with the rest of it.
#[derive(Clone)]
pub struct Studio {
    pub pipeline: gst::Pipeline,
    pub sky: Sky,
    pub watch: Arc<Mutex<PulseWatch>>,
    pub programme: Arc<Programme>,
    /// The pipeline plays.
    pub on_air: Arc<AtomicBool>,
    /// How often it has begun to.
    pub takes: Arc<AtomicU64>,
    pub is_over: Arc<AtomicBool>,
}

impl Studio {
    pub fn watch(&self) -> MutexGuard<'_, PulseWatch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The element misses sound of this moment and of what it still holds.
    pub fn break_sound_now(&self) {
        if let Some((_, now)) = self.now() {
            self.watch().break_sound(now - HELD_NS, now + BLOCK_NS);
        }
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Which take this is, and its running time.
    fn now(&self) -> Option<(u64, i64)> {
        let take = self.takes.load(Ordering::Acquire);
        let is_on_air = self.on_air.load(Ordering::Acquire);
        let now = self.pipeline.current_running_time().filter(|_| is_on_air)?;
        Some((take, i64::try_from(now.nseconds()).ok()?))
    }

    /// Waits until `time_ns` of this take; whether it has come.
    fn wait(&self, take: u64, time_ns: i64) -> bool {
        while !self.is_over() {
            match self.now() {
                Some((now_take, now)) if now_take == take => {
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

/// Frames until the studio closes.
pub fn camera(
    studio: Studio,
    source: gst_app::AppSrc,
    pictures: Arc<Vec<Picture>>,
    mut dice: Dice,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut last = (0, 0);
        let mut shown = None;
        while !studio.is_over() {
            let Some((take, now)) = studio.now() else {
                std::thread::sleep(IDLE);
                continue;
            };
            let weather = studio.sky.now();
            let index = weather.picture % pictures.len();
            let picture = &pictures[index];
            let due = match last {
                (of, at) if of == take && at + BEHIND_NS > now => at + picture.lasts_ns,
                _ => now,
            };
            if !studio.wait(take, due) {
                continue;
            }
            last = (take, due);
            if weather.no_picture || dice.below(100) < weather.lost_frames {
                continue;
            }
            if weather.gaps {
                send_gap(&source, due, picture.lasts_ns);
                continue;
            }
            if shown != Some(index) {
                source.set_caps(Some(&picture.caps));
                shown = Some(index);
            }
            let mut buffer = picture.frame.copy();
            if let Some(buffer) = buffer.get_mut() {
                buffer.set_pts(clock_time(due + dice.jitter(weather.jitter)));
                buffer.set_duration(clock_time(picture.lasts_ns));
            }
            // Refused between two takes.
            let _ = source.push_buffer(buffer);
        }
    })
}

/// Sound until the studio closes.
pub fn microphone(
    studio: Studio,
    source: gst_app::AppSrc,
    formats: Vec<gst_audio::AudioInfo>,
    mut dice: Dice,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut next = (0, 0);
        let mut heard = None;
        let mut lead = 0;
        let mut is_discont = false;
        while !studio.is_over() {
            let Some((take, now)) = studio.now() else {
                std::thread::sleep(IDLE);
                continue;
            };
            let weather = studio.sky.now();
            let index = weather.sound % formats.len();
            let info = &formats[index];
            if next.0 != take || next.1 + BEHIND_NS < now {
                if next.0 == take {
                    studio.watch().break_sound(next.1, now);
                }
                next = (take, now);
            }
            let wanted = weather.lead.as_nanos() as i64;
            if wanted != lead {
                // A jump forwards leaves sound out, one back brings it twice.
                let (from, to) = (next.1, next.1 + wanted - lead);
                studio.watch().break_sound(from.min(to), from.max(to));
                (next.1, lead, is_discont) = (to, wanted, true);
            }
            let samples = (i128::from(info.rate()) * i128::from(BLOCK_NS) / 1_000_000_000) as usize;
            let step_ns = 1e9 * (1.0 - SKEW) / f64::from(info.rate());
            let from = next.1;
            let to = from + (samples as f64 * step_ns).round() as i64;
            if !studio.wait(take, to - lead + dice.jitter(weather.jitter).max(0)) {
                continue;
            }
            next.1 = to;
            let is_lost = dice.below(100) < weather.lost_sound;
            if weather.no_sound || weather.gaps || is_lost {
                // As a source must: what comes next does not go on where the last block ended.
                is_discont = true;
                studio.watch().break_sound(from, to);
                if weather.gaps {
                    send_gap(&source, from, to - from);
                }
                continue;
            }
            if heard != Some(index) {
                source.set_caps(info.to_caps().ok().as_ref());
                heard = Some(index);
            }
            let at = |sample: usize| from + (sample as f64 * step_ns).round() as i64;
            let sound = (0..samples).map(|sample| studio.programme.at(at(sample)));
            let mut buffer = gst::Buffer::from_mut_slice(bytes(info, sound));
            if let Some(buffer) = buffer.get_mut() {
                buffer.set_pts(clock_time(from + dice.jitter(weather.jitter)));
                buffer.set_duration(clock_time(to - from));
                if std::mem::take(&mut is_discont) {
                    buffer.set_flags(gst::BufferFlags::DISCONT);
                }
            }
            // Refused between two takes.
            let _ = source.push_buffer(buffer);
        }
    })
}

/// The same on all channels.
fn bytes(info: &gst_audio::AudioInfo, sound: impl Iterator<Item = f32>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in sound {
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
