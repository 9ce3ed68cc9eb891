//! A live pipeline with sources that go wrong, and what its controller can do to it.
//!
//! Must not know when that happens.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use fastrand::Rng;
use gst::prelude::*;
use gstlipsync::lipsync::Lipsync;
use lipsync_tools::pipeline::{Pipeline, Stats, describe, running_time_on};

use crate::{
    disturbed_network::{self, Watermark},
    sources::{Conditions, Feed, Shared, SharedConditions, Video},
    sync_pulses::{Offset, PulseMeter, Skipped, TestSignal},
};

/// A pipeline that has sent nothing for this long after all is well again has died.
const PATIENCE: Duration = Duration::from_secs(10);
/// What is kept for work. Audio is waited for half as long.
const DEADLINE: Duration = Duration::from_millis(200);
/// How long a flush lasts.
const FLUSH: Duration = Duration::from_millis(20);
/// The element's counters that are summed over all runs.
const COUNTERS: [&str; 6] = [
    "frames-in",
    "frames-out",
    "frames-dropped",
    "frames-late",
    "frames-error",
    "frames-synced",
];

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

pub struct LivePipeline {
    pub kind: Kind,
    pub conditions: SharedConditions,
    shared: Shared,
    lipsync: gst::Element,
    tee: gst::Element,
    /// The tee's pad towards the element while audio goes to it.
    heard: Option<gst::Pad>,
    /// Frames that have reached the screen.
    shown: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
    /// Of the runs that are over.
    counts: BTreeMap<&'static str, u64>,
    /// Frames neither sent nor dropped when a run was over.
    pub lost: u64,
    /// What the bus said, and what went wrong.
    pub errors: Vec<String>,
    pipeline: Pipeline,
}

impl LivePipeline {
    pub fn open(
        kind: Kind,
        is_real: bool,
        video: Vec<Video>,
        signal: Arc<TestSignal>,
        seed: u64,
    ) -> Result<Self> {
        let pipeline = Pipeline::parse(kind.description())?;
        let lipsync: Lipsync = pipeline.element("lipsync")?;
        let conditions = SharedConditions::default();
        lipsync.set_generator(disturbed_network::source(&conditions, is_real));
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
        };
        let feed = |name: &str, seed| -> Result<Feed> {
            Ok(Feed {
                shared: shared.clone(),
                source: pipeline.element(name)?,
                random: Rng::with_seed(seed),
            })
        };
        let (camera, microphone) = (feed("camera", seed ^ 1)?, feed("microphone", seed ^ 2)?);
        let mut opened = Self {
            kind,
            conditions,
            lipsync: lipsync.upcast(),
            tee: pipeline.element("tee")?,
            heard: None,
            shown: Arc::default(),
            threads: vec![
                std::thread::spawn(move || camera.frames(&video)),
                std::thread::spawn(move || {
                    if let Err(error) = microphone.audio() {
                        println!("soak: no more audio: {error:#}");
                    }
                }),
            ],
            counts: BTreeMap::new(),
            lost: 0,
            errors: Vec::new(),
            shared,
            pipeline,
        };
        opened.watch_screen()?;
        opened.link_audio()?;
        Ok(opened)
    }

    /// Tells the pulse meter of every frame when it is shown.
    fn watch_screen(&self) -> Result<()> {
        let screen: gst::Element = self.pipeline.element("screen")?;
        let (shared, shown) = (self.shared.meter.clone(), self.shown.clone());
        let lipsync = self.lipsync.downgrade();
        screen.connect("handoff", false, move |arguments| {
            let buffer = arguments[1].get::<gst::Buffer>().ok()?;
            let pad = arguments[2].get::<gst::Pad>().ok()?;
            shown.fetch_add(1, Ordering::Relaxed);
            let time = running_time_on(&pad, &buffer)?;
            let lasts_ns = buffer.duration()?.nseconds();
            let map = buffer.map_readable().ok();
            let watermark = map.and_then(|map| Watermark::read(&map));
            let lipsync = lipsync.upgrade()?;
            let late = || Stats::of(&lipsync).count("frames-late");
            let mut meter = shared.lock().ok()?;
            meter.show(time.nseconds() as i64, lasts_ns as i64, watermark, late);
            None
        });
        Ok(())
    }

    pub fn play(&mut self) -> Result<()> {
        self.pipeline.play()?;
        // Live pipelines do not wait for a first frame.
        let (result, ..) = self.pipeline.state(gst::ClockTime::try_from(PATIENCE)?);
        result.context("the pipeline does not play")?;
        self.shared.meter().restart();
        self.conditions
            .change(|now| (now.run, now.is_playing) = (now.run + 1, true));
        Ok(())
    }

    /// To READY or NULL; every frame of the run must then be accounted for.
    pub fn stop(&mut self, state: gst::State) -> Result<()> {
        self.conditions.change(|now| now.is_playing = false);
        self.pipeline.set_state(gst::State::Ready)?;
        let stats = Stats::of(&self.lipsync);
        for name in COUNTERS {
            *self.counts.entry(name).or_default() += stats.count(name);
        }
        let accounted = stats.count("frames-out") + stats.count("frames-dropped");
        self.lost += stats.count("frames-in").abs_diff(accounted);
        self.pipeline.set_state(state)?;
        Ok(())
    }

    /// One of [`COUNTERS`] over all runs that are over.
    pub fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or_default()
    }

    pub fn set(&self, name: &str, value: &str) {
        self.lipsync.set_property_from_str(name, value);
    }

    /// Gives `lipsync` its audio.
    pub fn link_audio(&mut self) -> Result<()> {
        let pad = self.tee.request_pad_simple("src_%u");
        let pad = pad.context("the tee has no pad to give")?;
        match self.kind {
            Kind::Bin => pad.link(&self.pipeline.pad("bin", "audio_sink")?)?,
            Kind::Lipsync => {
                let audio = self.lipsync.request_pad_simple("audio");
                let audio = audio.context("the element has no audio pad to give")?;
                self.pipeline.pad("heard", "src")?.link(&audio)?;
                let queue: gst::Element = self.pipeline.element("heard")?;
                queue.sync_state_with_parent()?;
                pad.link(&self.pipeline.pad("heard", "sink")?)?
            }
        };
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
            if let Some(audio) = self.pipeline.pad("heard", "src")?.peer() {
                self.lipsync.release_request_pad(&audio);
            }
            // It takes nothing more once its peer has gone, until it is started anew.
            let queue: gst::Element = self.pipeline.element("heard")?;
            queue.set_state(gst::State::Ready)?;
        }
        Ok(())
    }

    /// A flush from one source or both, as a seek makes it, with running time going on.
    pub fn flush(&self, sources: &[&str]) -> Result<()> {
        let seqnum = gst::Seqnum::next();
        let send = |event: gst::Event| -> Result<()> {
            for name in sources {
                let source: gst::Element = self.pipeline.element(name)?;
                source.send_event(event.clone());
            }
            Ok(())
        };
        send(gst::event::FlushStart::builder().seqnum(seqnum).build())?;
        std::thread::sleep(FLUSH);
        // It goes on by itself, with a segment of its own.
        send(gst::event::FlushStop::builder(false).seqnum(seqnum).build())?;
        self.shared.break_audio_now();
        Ok(())
    }

    /// Reads the bus for a while: latency that changes is distributed, errors are kept.
    pub fn wait(&mut self, time: Duration) {
        let end = Instant::now() + time;
        let next = |pipeline: &Pipeline| {
            let left = end.saturating_duration_since(Instant::now());
            pipeline
                .bus()?
                .timed_pop(gst::ClockTime::try_from(left).ok()?)
        };
        while let Some(message) = next(&self.pipeline) {
            if let gst::MessageView::Error(error) = message.view() {
                self.errors.push(format!("{:#}", describe(error)));
            } else if message.type_() == gst::MessageType::Latency {
                // Tried again with the next message.
                let _ = self.pipeline.recalculate_latency();
            }
        }
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

    /// Waits for frames on the screen.
    pub fn expect_frames(&mut self) -> Result<()> {
        let expected = self.shown.load(Ordering::Relaxed) + 2;
        let end = Instant::now() + PATIENCE;
        while self.shown.load(Ordering::Relaxed) < expected {
            if Instant::now() > end {
                bail!("no frame within {PATIENCE:?}");
            }
            self.wait(Duration::from_millis(20));
        }
        Ok(())
    }

    /// All pulses seen so far: offsets, and how many were disturbed by what.
    pub fn pulses(&self) -> (Vec<Offset>, Skipped) {
        let meter = self.shared.meter();
        (meter.offsets.clone(), meter.skipped)
    }

    /// What went through and what was seen, for people.
    pub fn print(&self) {
        let name = self.kind.name();
        let [taken, synced, late, failed] =
            ["frames-in", "frames-synced", "frames-late", "frames-error"].map(|it| self.count(it));
        let (offsets, skipped) = self.pulses();
        let (pulses, audio, frames) = (offsets.len(), skipped.audio, skipped.frames);
        let drawing = skipped.drawing;
        println!(
            "{name}: {taken} frames in, {synced} drawn to audio, {late} without all their audio, {failed} that failed\n  \
             {pulses} pulses seen; disturbed: {audio} in audio, {frames} in frames, {drawing} not drawn or too early",
        );
        for error in &self.errors {
            println!("{name}: {error}");
        }
    }
}

impl Drop for LivePipeline {
    fn drop(&mut self) {
        self.conditions.change(|now| now.is_closed = true);
        for thread in self.threads.drain(..) {
            // Sources do not panic.
            let _ = thread.join();
        }
    }
}
