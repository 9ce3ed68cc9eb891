//! What goes into the programme: frames and audio of an input while they come, the last frame and silence while they do
//! not, in one unbroken line of time.

use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use gst::prelude::*;

use super::{
    input::{AUDIO_FRAME, AUDIO_RATE},
    options::{Rate, Size},
};

/// How late something is before something else takes its place.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_mseconds(80);
/// What the programme's sources report as their latency: what takes the place comes that late, and a little more.
pub const LATENCY: gst::ClockTime = gst::ClockTime::from_mseconds(120);
/// Audio that is off by less goes on where that before it ends; frames by half of theirs.
const TOLERANCE: gst::ClockTime = gst::ClockTime::from_mseconds(20);
/// Samples of silence at once: 20 ms.
const SILENCE: u64 = AUDIO_RATE / 50;
/// Luma and chroma of black.
const BLACK: [u8; 2] = [16, 128];

/// Frames.
pub struct VideoFeed {
    source: gst_app::AppSrc,
    frame: gst::ClockTime,
    line: Mutex<VideoLine>,
}

struct VideoLine {
    /// Running time at which the next frame is due.
    next: gst::ClockTime,
    last: gst::Buffer,
    /// When the input gave one.
    fed: Option<gst::ClockTime>,
    count: u64,
}

impl VideoFeed {
    pub fn new(source: gst_app::AppSrc, size: Size, rate: Rate) -> Self {
        let (width, height) = (size.width as usize, size.height as usize);
        let mut black = vec![BLACK[0]; width * height];
        black.resize(width * height * 3 / 2, BLACK[1]);
        Self {
            source,
            frame: rate.frame(),
            line: Mutex::new(VideoLine {
                next: gst::ClockTime::ZERO,
                last: gst::Buffer::from_slice(black),
                fed: None,
                count: 0,
            }),
        }
    }

    /// A frame that the input shows at this running time of the programme.
    pub fn put(&self, time: gst::ClockTime, buffer: gst::Buffer) {
        let mut line = lock(&self.line);
        if time + self.frame / 2 < line.next {
            return;
        }
        // What is missing before it is as the last one.
        while line.next + self.frame + self.frame / 2 < time {
            self.repeat(&mut line);
        }
        let time = time.max(line.next);
        line.fed = Some(time);
        line.count += 1;
        line.last = buffer.clone();
        line.next = time;
        self.push(&mut line, buffer);
    }

    /// Shows the last frame again where the next one should have been there at `now`.
    pub fn stand_in(&self, now: gst::ClockTime) {
        let mut line = lock(&self.line);
        while line.next + PATIENCE <= now {
            self.repeat(&mut line);
        }
    }

    fn repeat(&self, line: &mut VideoLine) {
        let last = line.last.clone();
        self.push(line, last);
    }

    /// An `appsrc` only takes note of a buffer: nothing waits with the lock held.
    fn push(&self, line: &mut VideoLine, mut buffer: gst::Buffer) {
        let writable = buffer.make_mut();
        writable.set_pts(line.next);
        writable.set_dts(gst::ClockTime::NONE);
        writable.set_duration(self.frame);
        line.next += self.frame;
        // Fails when the programme stops.
        let _ = self.source.push_buffer(buffer);
    }

    /// Running time of the last frame that the input gave, and how many it has given.
    pub fn fed(&self) -> (Option<gst::ClockTime>, u64) {
        let line = lock(&self.line);
        (line.fed, line.count)
    }
}

/// Audio.
pub struct AudioFeed {
    source: gst_app::AppSrc,
    silence: gst::Buffer,
    /// Samples since running time 0.
    next: Mutex<u64>,
}

impl AudioFeed {
    pub fn new(source: gst_app::AppSrc) -> Self {
        let silence = vec![0; SILENCE as usize * AUDIO_FRAME];
        Self {
            source,
            silence: gst::Buffer::from_slice(silence),
            next: Mutex::new(0),
        }
    }

    /// Audio that the input plays at this running time of the programme.
    pub fn put(&self, time: gst::ClockTime, buffer: gst::Buffer) {
        let mut next = lock(&self.next);
        let (begin, samples) = (samples_in(time), (buffer.size() / AUDIO_FRAME) as u64);
        let tolerance = samples_in(TOLERANCE);
        if begin > *next + tolerance {
            while *next < begin {
                let left = begin - *next;
                self.silence(&mut next, SILENCE.min(left));
            }
        }
        let late = match next.saturating_sub(begin) {
            late if late <= tolerance => 0,
            late => late,
        };
        if late >= samples {
            return;
        }
        let bytes = late as usize * AUDIO_FRAME..;
        if let Ok(rest) = buffer.copy_region(gst::BufferCopyFlags::MEMORY, bytes) {
            self.push(&mut next, rest, samples - late);
        }
    }

    /// Silence where audio should have been there at `now`.
    pub fn stand_in(&self, now: gst::ClockTime) {
        let mut next = lock(&self.next);
        while time_of(*next) + PATIENCE <= now {
            self.silence(&mut next, SILENCE);
        }
    }

    fn silence(&self, next: &mut u64, samples: u64) {
        let bytes = ..samples as usize * AUDIO_FRAME;
        let piece = self
            .silence
            .copy_region(gst::BufferCopyFlags::MEMORY, bytes);
        if let Ok(piece) = piece {
            self.push(next, piece, samples);
        }
    }

    fn push(&self, next: &mut u64, mut buffer: gst::Buffer, samples: u64) {
        let (begin, end) = (time_of(*next), time_of(*next + samples));
        let writable = buffer.make_mut();
        writable.set_pts(begin);
        writable.set_duration(end.saturating_sub(begin));
        *next += samples;
        let _ = self.source.push_buffer(buffer);
    }
}

fn samples_in(time: gst::ClockTime) -> u64 {
    let samples = time
        .nseconds()
        .mul_div_round(AUDIO_RATE, gst::ClockTime::SECOND.nseconds());
    samples.unwrap_or(u64::MAX)
}

fn time_of(samples: u64) -> gst::ClockTime {
    gst::ClockTime::SECOND
        .mul_div_round(samples, AUDIO_RATE)
        .unwrap_or(gst::ClockTime::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Both.
pub struct Feed {
    pub video: VideoFeed,
    pub audio: AudioFeed,
}

impl Feed {
    /// Begins at a running time.
    pub fn begin(&self, now: gst::ClockTime) {
        lock(&self.video.line).next = now;
        *lock(&self.audio.next) = samples_in(now);
    }

    pub fn stand_in(&self, now: gst::ClockTime) {
        self.video.stand_in(now);
        self.audio.stand_in(now);
    }

    /// Ends what has come up to `now`: that is something, since `level` has nothing to say of an end without a beginning.
    ///
    /// # Errors
    /// Where the programme does not take the end.
    pub fn end(&self, now: gst::ClockTime) -> Result<()> {
        self.stand_in(now + PATIENCE);
        for source in [&self.video.source, &self.audio.source] {
            source.end_of_stream().context("the programme cannot end")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> (gst::Pipeline, gst_app::AppSrc, gst_app::AppSink) {
        gst::init().unwrap();
        let words = "appsrc name=in format=time max-bytes=0 ! appsink name=out sync=false";
        let pipeline = gst::parse::launch(words).unwrap();
        let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
        let source = pipeline.by_name("in").unwrap().downcast().unwrap();
        let sink = pipeline.by_name("out").unwrap().downcast().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        (pipeline, source, sink)
    }

    /// Times and sizes of what has come out.
    fn taken(source: &gst_app::AppSrc, sink: &gst_app::AppSink) -> Vec<(u64, u64, usize)> {
        source.end_of_stream().unwrap();
        std::iter::from_fn(|| sink.pull_sample().ok())
            .map(|sample| {
                let buffer = sample.buffer().unwrap();
                let [pts, duration] = [buffer.pts(), buffer.duration()].map(Option::unwrap);
                (pts.mseconds(), duration.mseconds(), buffer.size())
            })
            .collect()
    }

    const MS: fn(u64) -> gst::ClockTime = gst::ClockTime::from_mseconds;

    #[test]
    fn frames_come_without_a_gap_whatever_the_input_does() {
        let (pipeline, source, sink) = source();
        let (size, rate) = ("64x64".parse().unwrap(), "25".parse().unwrap());
        let feed = VideoFeed::new(source.clone(), size, rate);
        let frame = || gst::Buffer::from_slice([1]);
        lock(&feed.line).next = MS(1000);
        feed.stand_in(MS(1079));
        feed.stand_in(MS(1080));
        feed.put(MS(1010), frame());
        feed.put(MS(1045), frame());
        feed.put(MS(1200), frame());
        feed.stand_in(MS(1330));
        let times = taken(&source, &sink);
        let starts: Vec<_> = times.iter().map(|(start, ..)| *start).collect();
        assert_eq!(starts, [1000, 1045, 1085, 1125, 1200, 1240]);
        let sizes: Vec<_> = times.iter().map(|(.., size)| *size).collect();
        assert_eq!(sizes, [6144, 1, 1, 1, 1, 1]);
        assert_eq!(feed.fed().1, 2);
        pipeline.set_state(gst::State::Null).unwrap();
    }

    #[test]
    fn audio_comes_without_a_gap_whatever_the_input_does() {
        let (pipeline, source, sink) = source();
        let feed = AudioFeed::new(source.clone());
        let piece = || gst::Buffer::from_slice(vec![1; 960 * AUDIO_FRAME]);
        feed.put(MS(0), piece());
        // A little early, then late, then much too early, then a little early again.
        feed.put(MS(15), piece());
        feed.put(MS(70), piece());
        feed.put(MS(40), piece());
        feed.put(MS(80), piece());
        feed.stand_in(MS(190));
        let times = taken(&source, &sink);
        let mut at = 0;
        for (start, duration, size) in &times {
            assert_eq!(*start, at);
            assert_eq!(*duration as usize * 48 * AUDIO_FRAME, *size);
            at += duration;
        }
        let lengths: Vec<_> = times.iter().map(|(_, duration, _)| *duration).collect();
        assert_eq!(lengths, [20, 20, 20, 10, 20, 20, 20]);
        pipeline.set_state(gst::State::Null).unwrap();
    }
}
