//! A live pipeline with sources that go wrong, and what its controller can do to it.
//!
//! Must not know when that happens.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use fastrand::Rng;
use gst::prelude::*;
use gstlipsync::lipsync::Lipsync;
use lipsync_tools::{drive, media, stats::Stats};

use crate::{
    conditions::{Conditions, SharedConditions},
    disturbed_network::{self, Watermark},
    formats::{self, Video},
    sources::{self, Shared},
    sync_pulses::{Offset, PulseMeter, Skipped, TestSignal},
};

/// A pipeline that has sent nothing for this long after all is well again has died.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// What is kept for work. Audio is waited for half as long.
const DEADLINE: Duration = Duration::from_millis(200);
/// How long a flush lasts.
const FLUSH: Duration = Duration::from_millis(20);

/// Which of the two elements a pipeline runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Lipsync,
    Bin,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Lipsync => "lipsync",
            Self::Bin => "lipsyncbin",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::Lipsync => {
                "appsrc name=camera format=time is-live=true max-bytes=0 ! queue name=seen \
                 ! lipsync name=lipsync ! queue ! fakesink name=screen sync=true async=false signal-handoffs=true \
                 appsrc name=microphone format=time is-live=true max-bytes=0 \
                 ! tee name=tee allow-not-linked=true \
                 tee. ! queue max-size-time=3000000000 max-size-bytes=0 max-size-buffers=0 \
                 ! fakesink name=speaker sync=true async=false \
                 queue name=heard max-size-time=3000000000 max-size-bytes=0 max-size-buffers=0"
            }
            Self::Bin => {
                "appsrc name=camera format=time is-live=true max-bytes=0 ! bin.video_sink \
                 lipsyncbin name=bin ! fakesink name=screen sync=true async=false signal-handoffs=true \
                 appsrc name=microphone format=time is-live=true max-bytes=0 \
                 ! tee name=tee allow-not-linked=true \
                 bin.audio_src ! fakesink name=speaker sync=true async=false"
            }
        }
    }
}

/// Frames that went through since the first run.
#[derive(Clone, Copy, Debug, Default)]
pub struct FrameCounts {
    pub taken: u64,
    pub sent: u64,
    pub dropped: u64,
    pub late: u64,
    pub failed: u64,
    pub synced: u64,
    /// Neither sent nor dropped when a run was over.
    pub lost: u64,
}

impl FrameCounts {
    fn add(&mut self, stats: &Stats) {
        self.taken += stats.count("frames-in");
        self.sent += stats.count("frames-out");
        self.dropped += stats.count("frames-dropped");
        self.late += stats.count("frames-late");
        self.failed += stats.count("frames-error");
        self.synced += stats.count("frames-synced");
    }
}

pub struct LivePipeline {
    pub kind: Kind,
    pub conditions: SharedConditions,
    shared: Shared,
    lipsync: gst::Element,
    tee: gst::Element,
    /// The tee's pad towards the element while audio goes to it.
    heard: Option<gst::Pad>,
    shown: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
    frames: FrameCounts,
    /// What the bus said, and what went wrong.
    pub errors: Vec<String>,
}

impl LivePipeline {
    pub fn open(
        kind: Kind,
        is_real: bool,
        video: Arc<Vec<Video>>,
        signal: Arc<TestSignal>,
        seed: u64,
    ) -> Result<Self> {
        let pipeline = media::parse_pipeline(kind.description())?;
        let lipsync = media::element(&pipeline, "lipsync")?;
        let conditions = SharedConditions::default();
        lipsync
            .downcast_ref::<Lipsync>()
            .context("`lipsync` is another element")?
            .set_generator(disturbed_network::source(&conditions, is_real));
        // As the network does.
        lipsync.set_property("intra-threads", 1u32);
        lipsync.set_property_from_str("execution-provider", "cpu");
        // Kinds and tests may keep the CPUs busy meanwhile.
        lipsync.set_property("processing-deadline", DEADLINE.as_nanos() as u64);

        let shared = Shared {
            pipeline: pipeline.clone(),
            conditions: conditions.clone(),
            meter: Arc::new(Mutex::new(PulseMeter::default())),
            signal,
            is_playing: Arc::new(AtomicBool::new(false)),
            runs: Arc::new(AtomicU64::new(0)),
            is_closed: Arc::new(AtomicBool::new(false)),
        };
        let shown = Arc::new(AtomicU64::new(0));
        watch(&pipeline, &lipsync, &shared, &shown)?;
        let source = |name: &str| drive::app_source(&pipeline, name, None);
        let threads = vec![
            sources::camera(
                shared.clone(),
                source("camera")?,
                video,
                Rng::with_seed(seed ^ 1),
            ),
            sources::microphone(
                shared.clone(),
                source("microphone")?,
                formats::audio()?,
                Rng::with_seed(seed ^ 2),
            ),
        ];
        let mut opened = Self {
            kind,
            conditions,
            shared,
            lipsync,
            tee: media::element(&pipeline, "tee")?,
            heard: None,
            shown,
            threads,
            frames: FrameCounts::default(),
            errors: Vec::new(),
        };
        opened.link_audio()?;
        Ok(opened)
    }

    fn pipeline(&self) -> &gst::Pipeline {
        &self.shared.pipeline
    }

    pub fn play(&mut self) -> Result<()> {
        let pipeline = self.pipeline();
        drive::play(pipeline)?;
        // Live pipelines do not wait for a first frame.
        let (result, ..) = pipeline.state(gst::ClockTime::from_seconds(PATIENCE.as_secs()));
        result.context("the pipeline does not play")?;
        self.shared.meter().restart();
        self.shared.runs.fetch_add(1, Ordering::AcqRel);
        self.shared.is_playing.store(true, Ordering::Release);
        Ok(())
    }

    /// To READY or NULL; every frame of the run must then be accounted for.
    pub fn stop(&mut self, state: gst::State) -> Result<()> {
        self.shared.is_playing.store(false, Ordering::Release);
        let pipeline = self.pipeline();
        pipeline.set_state(gst::State::Ready)?;
        let stats = Stats::of(&self.lipsync);
        self.frames.add(&stats);
        let accounted = stats.count("frames-out") + stats.count("frames-dropped");
        self.frames.lost += stats.count("frames-in").abs_diff(accounted);
        self.pipeline().set_state(state)?;
        Ok(())
    }

    /// Until now, the current run included.
    pub fn frames(&self) -> FrameCounts {
        let mut frames = self.frames;
        if self.shared.is_playing.load(Ordering::Acquire) {
            frames.add(&Stats::of(&self.lipsync));
        }
        frames
    }

    pub fn set(&self, name: &str, value: &str) {
        self.lipsync.set_property_from_str(name, value);
    }

    /// Gives `lipsync` its audio.
    pub fn link_audio(&mut self) -> Result<()> {
        let pad = self
            .tee
            .request_pad_simple("src_%u")
            .context("the tee has no pad to give")?;
        match self.kind {
            Kind::Bin => {
                let bin = media::element(self.pipeline(), "bin")?;
                let sink = bin.static_pad("audio_sink").context("no audio_sink")?;
                pad.link(&sink)?;
            }
            Kind::Lipsync => {
                let queue = media::element(self.pipeline(), "heard")?;
                let audio = self
                    .lipsync
                    .request_pad_simple("audio")
                    .context("the element has no audio pad to give")?;
                let src = queue.static_pad("src").context("a queue has this pad")?;
                src.link(&audio)?;
                queue.sync_state_with_parent()?;
                let sink = queue.static_pad("sink").context("a queue has this pad")?;
                pad.link(&sink)?;
            }
        }
        self.heard = Some(pad);
        self.shared.break_audio_now();
        Ok(())
    }

    /// Takes the audio away.
    pub fn unlink_audio(&mut self) -> Result<()> {
        let Some(pad) = self.heard.take() else {
            return Ok(());
        };
        self.shared.break_audio_now();
        self.tee.release_request_pad(&pad);
        if self.kind == Kind::Lipsync {
            let queue = media::element(self.pipeline(), "heard")?;
            let src = queue.static_pad("src").context("a queue has this pad")?;
            if let Some(audio) = src.peer() {
                self.lipsync.release_request_pad(&audio);
            }
            // It takes nothing more once its peer has gone, until it is started anew.
            queue.set_state(gst::State::Ready)?;
        }
        Ok(())
    }

    /// A flush from one source or both, as a seek makes it, with running time going on.
    pub fn flush(&self, sources: &[&str]) -> Result<()> {
        let seqnum = gst::Seqnum::next();
        let sources = sources
            .iter()
            .map(|name| media::element(self.pipeline(), name))
            .collect::<Result<Vec<_>>>()?;
        for source in &sources {
            let start = gst::event::FlushStart::builder().seqnum(seqnum);
            source.send_event(start.build());
        }
        std::thread::sleep(FLUSH);
        for source in &sources {
            // It goes on by itself, with a segment of its own.
            let stop = gst::event::FlushStop::builder(false).seqnum(seqnum);
            source.send_event(stop.build());
        }
        self.shared.break_audio_now();
        Ok(())
    }

    /// Reads the bus: latency that changes is distributed, errors are kept.
    pub fn attend(&mut self) {
        let Some(bus) = self.pipeline().bus() else {
            return;
        };
        while let Some(message) = bus.pop() {
            match message.view() {
                gst::MessageView::Latency(_) => {
                    // Tried again with the next message.
                    let _ = self.pipeline().recalculate_latency();
                }
                gst::MessageView::Error(error) => {
                    self.errors.push(format!("{:#}", media::describe(error)));
                }
                _ => (),
            }
        }
    }

    /// Attends to the bus for a while.
    pub fn wait(&mut self, time: Duration) {
        let end = Instant::now() + time;
        loop {
            self.attend();
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(Duration::from_millis(100)));
        }
    }

    /// Frames that have reached the screen.
    pub fn shown(&self) -> u64 {
        self.shown.load(Ordering::Relaxed)
    }

    /// Changes the conditions for a while.
    pub fn disturb(&mut self, time: Duration, change: impl FnOnce(&mut Conditions)) -> Result<()> {
        let before = self.conditions.now();
        self.conditions.change(change);
        self.wait(time);
        self.conditions.change(|now| *now = before);
        Ok(())
    }

    /// Down to READY or NULL for a while, and up again.
    pub fn restart(&mut self, state: gst::State, time: Duration) -> Result<()> {
        self.stop(state)?;
        self.wait(time);
        self.play()
    }

    /// Waits for a frame on the screen.
    pub fn expect_frames(&mut self) -> Result<()> {
        let before = self.shown();
        let end = Instant::now() + PATIENCE;
        while self.shown() < before + 2 {
            if Instant::now() > end {
                bail!("no frame within {PATIENCE:?}");
            }
            self.wait(Duration::from_millis(20));
        }
        Ok(())
    }

    /// All pulses seen so far: offsets, and how many were disturbed by what.
    pub fn pulses(&self) -> (Vec<Offset>, Skipped) {
        let watch = self.shared.meter();
        (watch.offsets.clone(), watch.skipped)
    }

    /// What went through and what was seen, for people.
    pub fn print(&self) {
        let (name, frames) = (self.kind.name(), self.frames());
        let (offsets, skipped) = self.pulses();
        println!(
            "{name}: {} frames in, {} drawn to audio, {} without all their audio, {} that failed\n  \
             {} pulses seen; disturbed: {} in audio, {} in frames, {} not drawn or too early",
            frames.taken,
            frames.synced,
            frames.late,
            frames.failed,
            offsets.len(),
            skipped.audio,
            skipped.frames,
            skipped.drawing
        );
        for error in &self.errors {
            println!("{name}: {error}");
        }
    }

    /// Ends the sources; the pipeline can be looked at but not play again.
    pub fn close(&mut self) {
        self.shared.is_closed.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // Sources do not panic.
            let _ = thread.join();
        }
    }
}

impl Drop for LivePipeline {
    fn drop(&mut self) {
        self.close();
        // Going to NULL cannot fail.
        let _ = self.pipeline().set_state(gst::State::Null);
    }
}

/// Tells the pulse meter of every frame on the screen, when it is shown.
fn watch(
    pipeline: &gst::Pipeline,
    lipsync: &gst::Element,
    shared: &Shared,
    shown: &Arc<AtomicU64>,
) -> Result<()> {
    let screen = media::element(pipeline, "screen")?;
    let (meter, shown) = (shared.meter.clone(), shown.clone());
    let lipsync = lipsync.downgrade();
    screen.connect("handoff", false, move |arguments| {
        let buffer = arguments[1].get::<gst::Buffer>().ok()?;
        let pad = arguments[2].get::<gst::Pad>().ok()?;
        shown.fetch_add(1, Ordering::Relaxed);
        let segment = pad.sticky_event::<gst::event::Segment>(0)?;
        let segment = segment.segment().downcast_ref::<gst::ClockTime>()?.clone();
        let time = segment.to_running_time(buffer.pts()?)?;
        let lasts_ns = buffer.duration()?.nseconds();
        let map = buffer.map_readable().ok();
        let watermark = map.and_then(|map| Watermark::read(&map));
        let lipsync = lipsync.upgrade()?;
        let late = || Stats::of(&lipsync).count("frames-late");
        let mut meter = meter.lock().unwrap_or_else(PoisonError::into_inner);
        meter.show(time.nseconds() as i64, lasts_ns as i64, watermark, late);
        None
    });
    Ok(())
}
