//! What a receiver plays, and how far its sound comes after the mouth that [`ShowsSound`] painted.
//!
//! [`ShowsSound`]: crate::common::ShowsSound

use std::{
    f64::consts::TAU,
    sync::{Arc, Mutex},
    time::Duration,
};

use gst::prelude::*;

use crate::common::{MS, SQUARE};

const RATE: usize = 48_000;
/// Loudness is measured as the mel spectrum does it, in windows of 50 ms around the moment.
const WINDOW: usize = RATE / 20;
/// Quieter than this, in dB, counts as silence.
const FLOOR_DB: f64 = -60.0;
/// Offsets that are looked at, in ms.
const REACH_MS: i64 = 400;

/// Everything that came to the sinks `video` and `audio` of a pipeline, in running time.
#[derive(Clone, Default)]
pub struct Arrival(Arc<Mutex<Log>>);

#[derive(Default)]
struct Log {
    /// When a frame is shown, and how bright its upper left corner is.
    frames: Vec<(u64, f64)>,
    /// When a buffer is heard, and its samples.
    sound: Vec<(u64, Vec<f32>)>,
}

#[derive(Debug)]
pub struct Offset {
    pub sound_after_ms: i64,
    pub correlation: f64,
    pub frames: usize,
}

impl Arrival {
    /// Watches a pipeline with an `appsink` `video` of GRAY8 and one `audio` of F32LE, 48 kHz, mono.
    pub fn at(pipeline: &gst::Pipeline) -> Self {
        let arrival = Self::default();
        let log = arrival.0.clone();
        on_sample(pipeline, "video", move |time, bytes, caps| {
            let info = gst_video::VideoInfo::from_caps(caps).unwrap();
            let stride = info.stride()[0] as usize;
            // Its edges are blurred by the codec.
            let inner = 2..SQUARE - 2;
            let sum: f64 = inner
                .clone()
                .flat_map(|row| inner.clone().map(move |column| row * stride + column))
                .map(|at| f64::from(bytes[at]))
                .sum();
            let brightness = sum / (inner.len() * inner.len()) as f64;
            log.lock().unwrap().frames.push((time, brightness));
        });
        let log = arrival.0.clone();
        on_sample(pipeline, "audio", move |time, bytes, _| {
            let samples = bytes
                .chunks_exact(4)
                .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
                .collect();
            log.lock().unwrap().sound.push((time, samples));
        });
        arrival
    }

    /// From the first frame to the last that the sound has reached.
    pub fn length(&self) -> Duration {
        let log = self.0.lock().unwrap();
        let first = log.frames.first().map(|&(time, _)| time);
        let last = log.frames.last().map(|&(time, _)| time);
        let heard = log.sound.last().map(|&(time, _)| time);
        let nanoseconds = first
            .zip(last.min(heard))
            .map_or(0, |(first, last)| last.saturating_sub(first));
        Duration::from_nanos(nanoseconds)
    }

    /// The offset at which brightness and loudness agree best, in the last `look` of what arrived.
    pub fn offset(&self, look: Duration) -> Offset {
        let log = self.0.lock().unwrap();
        let last = log
            .frames
            .last()
            .unwrap()
            .0
            .min(log.sound.last().unwrap().0);
        let end = last - REACH_MS as u64 * MS;
        let begin = last.saturating_sub(look.as_nanos() as u64);
        let frames: Vec<_> = log
            .frames
            .iter()
            .filter(|&&(time, _)| (begin..end).contains(&time))
            .collect();
        let brightness: Vec<f64> = frames.iter().map(|&&(_, brightness)| brightness).collect();
        let sound = timeline(&log.sound);
        let mut best = Offset {
            sound_after_ms: 0,
            correlation: f64::NEG_INFINITY,
            frames: frames.len(),
        };
        for offset_ms in (-REACH_MS..=REACH_MS).step_by(4) {
            let loudness: Vec<f64> = frames
                .iter()
                .map(|&&(time, _)| time.saturating_add_signed(offset_ms * MS as i64))
                .map(|time| loudness(&sound, sample_at(time)))
                .collect();
            let correlation = correlation(&brightness, &loudness);
            if correlation > best.correlation {
                best.sound_after_ms = offset_ms;
                best.correlation = correlation;
            }
        }
        best
    }
}

fn on_sample(
    pipeline: &gst::Pipeline,
    name: &str,
    work: impl Fn(u64, &[u8], &gst::CapsRef) + Send + 'static,
) {
    let sink: gst_app::AppSink = pipeline.by_name(name).and_downcast().unwrap();
    let take = move |sink: &gst_app::AppSink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let segment: &gst::FormattedSegment<gst::ClockTime> =
            sample.segment().unwrap().downcast_ref().unwrap();
        let buffer = sample.buffer().unwrap();
        if let Some(time) = segment.to_running_time(buffer.pts()) {
            let map = buffer.map_readable().unwrap();
            work(time.nseconds(), &map, sample.caps().unwrap());
        }
        Ok(gst::FlowSuccess::Ok)
    };
    let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(take);
    sink.set_callbacks(callbacks.build());
}

fn sample_at(nanoseconds: u64) -> usize {
    (u128::from(nanoseconds) * RATE as u128 / 1_000_000_000) as usize
}

/// All sound from running time 0 on; what did not arrive is silent.
fn timeline(buffers: &[(u64, Vec<f32>)]) -> Vec<f32> {
    let mut timeline = Vec::new();
    for (time, samples) in buffers {
        let first = sample_at(*time);
        let end = first + samples.len();
        if timeline.len() < end {
            timeline.resize(end, 0.0);
        }
        timeline[first..end].copy_from_slice(samples);
    }
    timeline
}

fn loudness(sound: &[f32], centre: usize) -> f64 {
    let first = centre.saturating_sub(WINDOW / 2);
    let window = &sound[first.min(sound.len())..(first + WINDOW).min(sound.len())];
    let energy: f64 = window
        .iter()
        .enumerate()
        .map(|(index, &sample)| {
            let hann = 0.5 - 0.5 * (TAU * index as f64 / WINDOW as f64).cos();
            (f64::from(sample) * hann).powi(2)
        })
        .sum();
    (10.0 * (energy / WINDOW as f64 + 1e-12).log10()).max(FLOOR_DB)
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let product = |x: &[f64], y: &[f64], mean_x: f64, mean_y: f64| -> f64 {
        x.iter()
            .zip(y)
            .map(|(x, y)| (x - mean_x) * (y - mean_y))
            .sum()
    };
    let both = product(a, b, mean_a, mean_b);
    let each = product(a, a, mean_a, mean_a) * product(b, b, mean_b, mean_b);
    match each > 0.0 {
        true => both / each.sqrt(),
        false => 0.0,
    }
}
