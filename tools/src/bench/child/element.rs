//! The whole element in a pipeline: raw frames and audio in, a fakesink behind it.

use std::{
    hash::{DefaultHasher, Hasher as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use gst::prelude::*;
use lipsync_tools::{drive, media, media::SOUND_RATE, stats::Stats};

use super::{
    Draw, Order, Times, WHOLE,
    engine::{SECOND, bytes_to_ns},
};
use crate::input::{FRAME_NS, FRAME_RATE, Input, Material};

/// Longest wait for a frame: a slow network and ten streams.
const PATIENCE: Duration = Duration::from_secs(120);
/// Audio that is pushed ahead of the frames, more than any network hears ahead.
const AHEAD_NS: i64 = 2_000_000_000;

/// Counters of the element that stay 0 while it does all its work.
const UNDRAWN: [&str; 5] = [
    "frames-silent",
    "frames-no-face",
    "frames-bypassed",
    "frames-late",
    "frames-error",
];

/// A frame that has come out.
pub struct Arrival {
    pub at: Instant,
    /// Of its bytes, where that was asked for.
    pub hash: Option<u64>,
}

/// A running pipeline.
pub struct Pipeline {
    pipeline: gst::Pipeline,
    pub lipsync: gst::Element,
    pub video: gst_app::AppSrc,
    pub audio: gst_app::AppSrc,
    arrivals: mpsc::Receiver<Arrival>,
    hashing: Arc<AtomicBool>,
    material: Arc<Material>,
    /// Bytes of audio pushed.
    pushed: usize,
    next: usize,
    /// Frames by which this stream is ahead in the material.
    offset: usize,
}

impl Pipeline {
    pub fn open(order: &Order) -> Result<Self> {
        let material = Material::read(&order.input, order.amount)?;
        Self::start(order, &Arc::new(material), 0, false)
    }

    /// Takes frames as fast as they come, or `is_live` by a clock.
    pub fn start(
        order: &Order,
        material: &Arc<Material>,
        offset: usize,
        is_live: bool,
    ) -> Result<Self> {
        gst::init()?;
        let pipeline = media::parse_pipeline(&format!(
            "lipsync name=lipsync silence=animate ! fakesink name=sink sync=false \
             appsrc name=video format=time max-bytes=0 is-live={is_live} ! lipsync.video \
             appsrc name=audio format=time max-bytes=0 is-live={is_live} ! lipsync.audio"
        ))?;
        let lipsync = media::element(&pipeline, "lipsync")?;
        for (name, value) in order.variant.properties(order.threads) {
            lipsync.set_property_from_str(name, &value);
        }
        if let Some(manifest) = order.model.manifest() {
            lipsync.set_property("model", manifest.display().to_string());
        }
        let caps = gst_audio::AudioInfo::builder(gst_audio::AudioFormat::S16le, SOUND_RATE, 1);
        let caps = caps.build()?.to_caps()?;
        let hashing = Arc::new(AtomicBool::new(false));
        let started = Self {
            video: drive::app_source(&pipeline, "video", Some(&video_caps(&order.input)?))?,
            audio: drive::app_source(&pipeline, "audio", Some(&caps))?,
            arrivals: watch(&media::element(&pipeline, "sink")?, &hashing)?,
            pipeline,
            lipsync,
            hashing,
            material: Arc::clone(material),
            pushed: 0,
            next: 0,
            offset,
        };
        drive::play(&started.pipeline)?;
        Ok(started)
    }

    /// From now on arrivals carry the hash of their bytes.
    pub fn hash(&self) {
        self.hashing.store(true, Ordering::Relaxed);
    }

    /// `count` frames that nobody else holds, as a decoder hands them over.
    pub fn frames(&mut self, count: usize) -> Result<Vec<gst::Buffer>> {
        let frame = |_| {
            let pixels = self.material.frame(self.next + self.offset).to_vec();
            let time_ns = self.next as i64 * FRAME_NS;
            self.next += 1;
            drive::buffer(pixels, time_ns, FRAME_NS)
        };
        (0..count).map(frame).collect()
    }

    /// The same, and the audio that they wait for, already on its way.
    pub fn prepare(&mut self, count: usize) -> Result<Vec<gst::Buffer>> {
        let frames = self.frames(count)?;
        let until = self.next as i64 * FRAME_NS + AHEAD_NS;
        while bytes_to_ns(self.pushed) < until {
            self.push_audio(SECOND)?;
        }
        Ok(frames)
    }

    pub fn push_audio(&mut self, length: usize) -> Result<()> {
        let audio = self.material.audio(self.pushed, length);
        let (time_ns, lasts_ns) = (bytes_to_ns(self.pushed), bytes_to_ns(length));
        self.audio
            .push_buffer(drive::buffer(audio, time_ns, lasts_ns)?)?;
        self.pushed += length;
        Ok(())
    }

    /// The next frame that comes out.
    pub fn arrival(&self) -> Result<Arrival> {
        let arrival = self.arrivals.recv_timeout(PATIENCE);
        arrival.map_err(|_| {
            let nothing = || anyhow!("no frame came out within {PATIENCE:?}");
            drive::error_of(&self.pipeline).unwrap_or_else(nothing)
        })
    }

    /// Makes time zero of frames and audio this moment of the pipeline's clock.
    pub fn begin_now(&self) -> Result<()> {
        let now = self.pipeline.current_running_time();
        let now = now.context("a playing pipeline has a time")?;
        for source in [&self.video, &self.audio] {
            let pad = source.static_pad("src").context("a source has this pad")?;
            pad.set_offset(now.nseconds().try_into()?);
        }
        Ok(())
    }

    /// What its sources and the element say to a latency query.
    pub fn latency(&self) -> Result<gst::ClockTime> {
        let mut query = gst::query::Latency::new();
        let pad = self.lipsync.static_pad("src");
        if !pad.context("the element has this pad")?.query(&mut query) {
            bail!("the element does not know its latency");
        }
        Ok(query.result().1)
    }

    /// Fails unless every frame was drawn to the audio.
    pub fn check(&self) -> Result<()> {
        let stats = Stats::of(&self.lipsync);
        match UNDRAWN.iter().find(|name| stats.count(name) > 0) {
            Some(name) => bail!("{name}: {}", stats.count(name)),
            None => Ok(()),
        }
    }
}

impl Draw for Pipeline {
    /// A frame's time is from the one before, and of the first from its being pushed.
    fn draw(&mut self, count: usize) -> Result<Times> {
        let frames = self.prepare(count)?;
        let mut times = Vec::with_capacity(count);
        let mut last = Instant::now();
        for frame in frames {
            self.video.push_buffer(frame)?;
        }
        for _ in 0..count {
            let arrival = self.arrival()?;
            times.push((arrival.at - last).as_secs_f64() * 1e3);
            last = arrival.at;
        }
        self.check()?;
        Ok([(WHOLE.into(), times)].into())
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // Going to NULL cannot fail.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

fn video_caps(input: &Input) -> Result<gst::Caps> {
    let (width, height) = (u32::try_from(input.width)?, u32::try_from(input.height)?);
    let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::Bgr, width, height)
        .fps(gst::Fraction::new(FRAME_RATE, 1))
        .build()?;
    if info.stride()[0] as usize != input.width * 3 {
        bail!("frames must be a multiple of 4 pixels wide, not {width}");
    }
    Ok(info.to_caps()?)
}

fn watch(sink: &gst::Element, hashing: &Arc<AtomicBool>) -> Result<mpsc::Receiver<Arrival>> {
    let (sender, receiver) = mpsc::channel();
    let hashing = Arc::clone(hashing);
    let pad = sink.static_pad("sink").context("a sink has this pad")?;
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let at = Instant::now();
        let buffer = info.buffer().filter(|_| hashing.load(Ordering::Relaxed));
        let hash = buffer.and_then(|buffer| Some(hash(&buffer.map_readable().ok()?)));
        // Nobody listens once the measuring is over.
        let _ = sender.send(Arrival { at, hash });
        gst::PadProbeReturn::Ok
    });
    Ok(receiver)
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}
