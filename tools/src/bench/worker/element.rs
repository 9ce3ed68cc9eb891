//! The whole element in a pipeline: raw frames and sound in, a fakesink behind it.

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
    Contender, Order, Times, WHOLE,
    engine::{SECOND, bytes_to_ns},
};
use crate::job::{Amount, FRAME_NS, FRAME_RATE, Job, Material};

/// Longest wait for a frame: a slow network and ten streams.
const PATIENCE: Duration = Duration::from_secs(120);
/// Sound that is pushed ahead of the frames, more than any network hears ahead.
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
pub struct Pipe {
    pipeline: gst::Pipeline,
    pub lipsync: gst::Element,
    pub video: gst_app::AppSrc,
    pub audio: gst_app::AppSrc,
    arrivals: mpsc::Receiver<Arrival>,
    hashing: Arc<AtomicBool>,
    pub material: Arc<Material>,
    /// Bytes of sound pushed.
    pushed: usize,
    next: usize,
    /// Frames by which this stream is ahead in the material.
    offset: usize,
}

/// How frames and sound come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As fast as they are taken.
    File,
    /// By a clock.
    Live,
}

impl Pipe {
    pub fn open(order: &Order) -> Result<Self> {
        let material = Arc::new(Material::read(&order.job, order.amount)?);
        Self::start(order, material, 0, Pace::File)
    }

    pub fn start(
        order: &Order,
        material: Arc<Material>,
        offset: usize,
        pace: Pace,
    ) -> Result<Self> {
        gst::init()?;
        let pipeline = media::parse_pipeline(&format!(
            "lipsync name=lipsync ! fakesink name=sink sync=false \
             appsrc name=video format=time max-bytes=0 is-live={0} ! lipsync.video \
             appsrc name=audio format=time max-bytes=0 is-live={0} ! lipsync.audio",
            pace == Pace::Live
        ))?;
        let lipsync = media::element(&pipeline, "lipsync")?;
        for (name, value) in order.properties() {
            lipsync.set_property_from_str(name, &value);
        }
        let video = app_source(&pipeline, "video", &video_caps(&order.job)?)?;
        let caps = gst_audio::AudioInfo::builder(gst_audio::AudioFormat::S16le, SOUND_RATE, 1);
        let audio = app_source(&pipeline, "audio", &caps.build()?.to_caps()?)?;
        let hashing = Arc::new(AtomicBool::new(false));
        let arrivals = watch(&media::element(&pipeline, "sink")?, &hashing)?;
        if pipeline.set_state(gst::State::Playing).is_err() {
            let error = drive::start_error(&pipeline);
            // Going to NULL cannot fail.
            let _ = pipeline.set_state(gst::State::Null);
            return Err(error);
        }
        Ok(Self {
            pipeline,
            lipsync,
            video,
            audio,
            arrivals,
            hashing,
            material,
            pushed: 0,
            next: 0,
            offset,
        })
    }

    /// From now on arrivals carry the hash of their bytes.
    pub fn hash(&self) {
        self.hashing.store(true, Ordering::Relaxed);
    }

    /// `count` frames that nobody else holds, as a decoder hands them over.
    pub fn frames(&mut self, count: usize) -> Result<Vec<gst::Buffer>> {
        (0..count)
            .map(|_| {
                let time = self.next as i64 * FRAME_NS;
                let pixels = self.material.frame(self.next + self.offset).to_vec();
                self.next += 1;
                stamped(pixels, time, FRAME_NS)
            })
            .collect()
    }

    /// The same, and the sound that they wait for, already on its way.
    pub fn prepare(&mut self, count: usize) -> Result<Vec<gst::Buffer>> {
        let frames = self.frames(count)?;
        let until = self.next as i64 * FRAME_NS + AHEAD_NS;
        while bytes_to_ns(self.pushed) < until {
            self.push_sound(SECOND)?;
        }
        Ok(frames)
    }

    pub fn push_sound(&mut self, length: usize) -> Result<()> {
        let sound = self.material.sound(self.pushed, length);
        let buffer = stamped(sound, bytes_to_ns(self.pushed), bytes_to_ns(length))?;
        self.audio.push_buffer(buffer)?;
        self.pushed += length;
        Ok(())
    }

    /// The next frame that comes out.
    pub fn arrival(&self) -> Result<Arrival> {
        self.arrivals.recv_timeout(PATIENCE).map_err(|_| {
            let bus = self.pipeline.bus();
            let message = bus.and_then(|bus| bus.pop_filtered(&[gst::MessageType::Error]));
            match message.as_ref().map(|message| message.view()) {
                Some(gst::MessageView::Error(error)) => media::describe(error),
                _ => anyhow!("no frame came out within {PATIENCE:?}"),
            }
        })
    }

    /// Makes time zero of frames and sound this moment of the pipeline's clock.
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

    /// Fails unless every frame was drawn to the sound.
    pub fn check(&self) -> Result<()> {
        let stats = Stats::of(&self.lipsync);
        for name in UNDRAWN {
            let count = stats.count(name);
            if count > 0 {
                bail!("{name}: {count}");
            }
        }
        Ok(())
    }
}

impl Contender for Pipe {
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
        Ok(vec![(WHOLE, times)])
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // Going to NULL cannot fail.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

fn video_caps(job: &Job) -> Result<gst::Caps> {
    let (width, height) = (u32::try_from(job.width)?, u32::try_from(job.height)?);
    let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::Bgr, width, height)
        .fps(gst::Fraction::new(FRAME_RATE, 1));
    let info = info.build()?;
    if info.stride()[0] as usize != job.width * 3 {
        bail!("frames must be a multiple of 4 pixels wide, not {width}");
    }
    Ok(info.to_caps()?)
}

fn app_source(pipeline: &gst::Pipeline, name: &str, caps: &gst::Caps) -> Result<gst_app::AppSrc> {
    let source: gst_app::AppSrc = media::element(pipeline, name)?
        .downcast()
        .map_err(|_| anyhow!("`{name}` is not an appsrc"))?;
    source.set_caps(Some(caps));
    Ok(source)
}

fn stamped(bytes: Vec<u8>, time_ns: i64, duration_ns: i64) -> Result<gst::Buffer> {
    let mut buffer = gst::Buffer::from_mut_slice(bytes);
    let writable = buffer.get_mut().context("a new buffer can be written")?;
    writable.set_pts(gst::ClockTime::from_nseconds(time_ns.try_into()?));
    writable.set_duration(gst::ClockTime::from_nseconds(duration_ns.try_into()?));
    Ok(buffer)
}

fn watch(sink: &gst::Element, hashing: &Arc<AtomicBool>) -> Result<mpsc::Receiver<Arrival>> {
    let (sender, receiver) = mpsc::channel();
    let hashing = Arc::clone(hashing);
    let pad = sink.static_pad("sink").context("a sink has this pad")?;
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let at = Instant::now();
        let hash = info
            .buffer()
            .filter(|_| hashing.load(Ordering::Relaxed))
            .and_then(|buffer| Some(hash(&buffer.map_readable().ok()?)));
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

/// Few frames suffice where memory is measured.
pub fn material(order: &Order) -> Result<Arc<Material>> {
    Ok(Arc::new(Material::read(&order.job, Amount::Few)?))
}
