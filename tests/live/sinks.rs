//! Live pipelines whose sinks wait for the clock: no buffer comes late there, and none is shown
//! before its time. The clock stands still until the test moves it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use crate::common::*;
use gst::prelude::*;
use gstlipsync::lipsync::Lipsync;

/// What a camera and a microphone may take to deliver, and say that they do.
const UPSTREAM_MS: u64 = 30;
const FRAME_MS: u64 = 40;
const CHUNK_MS: u64 = 10;
/// 3 s of picture. The sound goes on until the last frame has heard enough.
const FRAMES: u64 = 75;
const SOUND_MS: u64 = FRAMES * FRAME_MS + 500;
/// `processing-deadline` as it is by default.
const WORK_MS: u64 = 40;

/// Sinks of both streams; `between` links `camera` and `microphone` to `screen` and `loudspeaker`.
fn pipeline(between: &str) -> Running {
    init();
    let latency = UPSTREAM_MS * MS;
    let source = format!(
        "appsrc is-live=true format=time min-latency={latency} max-latency={latency} name="
    );
    // Those that wait to be prerolled tell their latency with the first buffer only.
    let sink = "fakesink async=false sync=true max-lateness=0 processing-deadline=0 \
        signal-handoffs=true name=";
    let pipeline = gst::parse::launch(&format!(
        "{source}camera {source}microphone {sink}screen {sink}loudspeaker {between}"
    ));
    Running(pipeline.unwrap().downcast::<gst::Pipeline>().unwrap())
}

/// Frames go from `lipsync` to the sink themselves.
const BARE: &str = "camera. ! lipsync name=lipsync ! screen. microphone. ! tee name=sound \
    sound. ! queue max-size-buffers=0 max-size-bytes=0 max-size-time=0 ! loudspeaker. \
    sound. ! queue ! lipsync.audio";
const WITH_QUEUES: &str = "camera. ! queue ! lipsync name=lipsync ! queue ! screen. \
    microphone. ! tee name=sound \
    sound. ! queue max-size-buffers=0 max-size-bytes=0 max-size-time=0 ! loudspeaker. \
    sound. ! queue ! lipsync.audio";
const BIN: &str = "camera. ! bin.video_sink microphone. ! bin.audio_sink lipsyncbin name=bin \
    bin.video_src ! screen. bin.audio_src ! loudspeaker.";

/// What each source delivers at which time, in nanoseconds.
type Deliveries = BTreeMap<u64, Vec<(&'static str, gst::Buffer)>>;

/// Some time up to `most` that looks like chance.
fn jitter_ms(index: u64, most: u64) -> u64 {
    index.wrapping_mul(2_654_435_761) % 1_000_003 % (most + 1)
}

/// A camera and a microphone, as late as they may be. Sound is there when its last sample is.
fn deliveries(pictures: &Pictures, sound: &Tones) -> Deliveries {
    let mut deliveries = Deliveries::new();
    let mut deliver = |source, at_ms, buffer| {
        let at = deliveries.entry(at_ms * MS).or_default();
        at.push((source, buffer));
    };
    for index in 0..FRAMES {
        // Before the next one is taken.
        let jitter_ms = jitter_ms(index, UPSTREAM_MS);
        deliver(
            "camera",
            index * FRAME_MS + jitter_ms,
            pictures.frame(index),
        );
    }
    let mut last_ms = 0;
    for (index, buffer) in (0..).zip(sound.buffers()) {
        let jitter_ms = jitter_ms(index, UPSTREAM_MS - CHUNK_MS);
        // What was said first comes first.
        last_ms = last_ms.max((index + 1) * CHUNK_MS + jitter_ms);
        deliver("microphone", last_ms, buffer);
    }
    deliveries
}

/// What has come to a sink.
struct Sink {
    element: gst::Element,
    log: Arc<Mutex<Log>>,
    /// Between two buffers.
    step_ms: u64,
}

#[derive(Default)]
struct Log {
    /// When, by the clock.
    arrived: Vec<u64>,
    /// PTS, and when it was shown.
    shown: Vec<(u64, u64)>,
}

impl Sink {
    fn of(
        pipeline: &gst::Pipeline,
        name: &str,
        clock: &gst_check::TestClock,
        step_ms: u64,
    ) -> Self {
        let element = pipeline.by_name(name).unwrap();
        let log = Arc::<Mutex<Log>>::default();
        let pad = element.static_pad("sink").unwrap();
        {
            let (log, clock) = (log.clone(), clock.clone());
            pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
                log.lock().unwrap().arrived.push(clock.time().nseconds());
                gst::PadProbeReturn::Ok
            });
        }
        {
            let (log, clock) = (log.clone(), clock.clone());
            element.connect("handoff", false, move |values| {
                let buffer = values[1].get::<gst::Buffer>().unwrap();
                let shown = (buffer.pts().unwrap().nseconds(), clock.time().nseconds());
                log.lock().unwrap().shown.push(shown);
                None
            });
        }
        Self {
            element,
            log,
            step_ms,
        }
    }

    /// How many buffers are shown by `now`, of `all`.
    fn due(&self, now: u64, latency: u64, all: u64) -> u64 {
        let step = self.step_ms * MS;
        let begun = now.checked_sub(latency).map_or(0, |since| since / step + 1);
        begun.min(all)
    }

    fn has(&self, arrived: u64, shown: u64) -> bool {
        let log = self.log.lock().unwrap();
        log.arrived.len() as u64 >= arrived && log.shown.len() as u64 >= shown
    }

    /// No buffer came late, and each was shown at its very time.
    fn check(&self, latency: u64, all: u64) {
        let log = self.log.lock().unwrap();
        let name = self.element.name();
        assert_eq!(log.shown.len() as u64, all, "{name}");
        for (index, (&arrived, &(pts, shown))) in (0..).zip(log.arrived.iter().zip(&log.shown)) {
            assert_eq!(pts, index * self.step_ms * MS, "{name}");
            assert!(arrived <= pts + latency, "{name}: {pts} comes at {arrived}");
            // The first may wait already when the caps of the sound add the resampler's part, and
            // sinks do not look at the latency again while they wait.
            let slack = if index == 0 { MS } else { 0 };
            let due = pts + latency;
            assert!(
                (due - slack..=due).contains(&shown),
                "{name}: {pts} shown at {shown}, not {due}"
            );
        }
        let stats = self.element.property::<gst::Structure>("stats");
        assert_eq!(stats.get::<u64>("dropped"), Ok(0), "{name}");
        assert_eq!(stats.get::<u64>("rendered"), Ok(all), "{name}");
    }
}

/// Ends the waits whose time has come, which this clock does not do by itself.
fn wake_due(clock: &gst_check::TestClock) {
    while let Some(id) = clock.peek_next_pending_id() {
        if id.time() > clock.time() {
            break;
        }
        clock.process_next_clock_id();
    }
}

/// Plays 3 s in as much time as the machine takes.
fn play(pipeline: &gst::Pipeline, lipsync: &gst::Element) -> u64 {
    let clock = gst_check::TestClock::new();
    pipeline.use_clock(Some(&clock));
    let bus = pipeline.bus().unwrap();
    let screen = Sink::of(pipeline, "screen", &clock, FRAME_MS);
    let loudspeaker = Sink::of(pipeline, "loudspeaker", &clock, CHUNK_MS);
    let pictures = Pictures::at(25, 1);
    let sound = Tones {
        samples_per_buffer: 480,
        ..Tones::of(SOUND_MS * MS, 0..SOUND_MS * MS)
    };
    let chunks = SOUND_MS / CHUNK_MS;
    let source = |name: &str| -> gst_app::AppSrc { pipeline.by_name(name).and_downcast().unwrap() };
    let (camera, microphone) = (source("camera"), source("microphone"));
    camera.set_caps(Some(&pictures.caps()));
    microphone.set_caps(Some(&sound.caps()));
    pipeline.set_state(gst::State::Playing).unwrap();

    let mut deliveries = deliveries(&pictures, &sound);
    let mut latency = latency_of(pipeline);
    let mut now = 0;
    loop {
        clock.set_time(gst::ClockTime::from_nseconds(now));
        for (source, buffer) in deliveries.remove(&now).unwrap_or_default() {
            let source = if source == "camera" {
                &camera
            } else {
                &microphone
            };
            source.push_buffer(buffer).unwrap();
        }
        let begun = Instant::now();
        loop {
            wake_due(&clock);
            while let Some(message) = bus.pop() {
                match message.view() {
                    gst::MessageView::Latency(_) => {
                        pipeline.recalculate_latency().unwrap();
                        latency = latency_of(pipeline);
                    }
                    gst::MessageView::Error(error) => panic!("{error:?}"),
                    _ => (),
                }
            }
            let frames_here = screen.due(now, latency - WORK_MS * MS, FRAMES);
            let frames_due = screen.due(now, latency, FRAMES);
            let sound_due = loudspeaker.due(now, latency, chunks);
            if (now < UPSTREAM_MS * MS || latency < UNKNOWN)
                && screen.has(frames_here, frames_due)
                && loudspeaker.has(sound_due, sound_due)
            {
                break;
            }
            let stats = lipsync.property::<gst::Structure>("stats");
            assert!(
                begun.elapsed() < PATIENCE,
                "stuck at {now} ns of {latency}: {stats}"
            );
            std::thread::sleep(Duration::from_micros(200));
        }
        // To where the next thing happens: something comes, or is due, or has to leave `lipsync`.
        let after = |step_ms: u64, delay: u64, all: u64| {
            (0..all)
                .map(|index| index * step_ms * MS + delay)
                .find(|&time| time > now)
        };
        let next = [
            deliveries.keys().next().copied(),
            after(FRAME_MS, latency, FRAMES),
            after(FRAME_MS, latency - WORK_MS * MS, FRAMES),
            after(CHUNK_MS, latency, chunks),
        ];
        let Some(next) = next.into_iter().flatten().min() else {
            break;
        };
        now = next;
    }
    screen.check(latency, FRAMES);
    loudspeaker.check(latency, chunks);
    latency
}

/// Until the caps of the sound have been seen: later than anything in the test.
const UNKNOWN: u64 = 1 << 60;

/// What the sinks wait for.
fn latency_of(pipeline: &gst::Pipeline) -> u64 {
    let mut query = gst::query::Latency::new();
    let least = UPSTREAM_MS * MS + WORK_MS * MS;
    match pipeline.query(&mut query) {
        true if query.result().1.nseconds() > least => query.result().1.nseconds(),
        _ => UNKNOWN,
    }
}

fn stat(lipsync: &gst::Element, field: &str) -> u64 {
    let stats = lipsync.property::<gst::Structure>("stats");
    stats.get(field).unwrap()
}

#[test]
fn no_buffer_is_late_at_the_sinks_and_none_is_early() {
    for between in [BARE, WITH_QUEUES, BIN] {
        let pipeline = pipeline(between);
        let lipsync = pipeline.by_name("lipsync").unwrap();
        let element = lipsync.downcast_ref::<Lipsync>().unwrap();
        element.set_generator(ShowsSound::source());
        let latency = play(&pipeline, &lipsync);
        // And what the resampler holds back.
        let told = UPSTREAM_MS * MS + LOOK_AHEAD_NS as u64 + WORK_MS * MS;
        assert!((told..told + 10 * MS).contains(&latency), "{latency}");
        assert_eq!(stat(&lipsync, "frames-synced"), FRAMES);
        assert_eq!(stat(&lipsync, "frames-late"), 0);
    }
}

#[test]
fn the_built_in_model_comes_in_time_too() {
    let Some(library) = onnxruntime() else {
        return;
    };
    let pipeline = pipeline(BIN);
    let lipsync = pipeline.by_name("lipsync").unwrap();
    lipsync.set_property("onnxruntime-library", library);
    pipeline.set_state(gst::State::Ready).unwrap();
    loaded(&pipeline.bus().unwrap()).unwrap();
    let latency = play(&pipeline, &lipsync);
    assert!(latency <= 300 * MS, "{latency}");
    assert_eq!(stat(&lipsync, "frames-no-face"), FRAMES);
}
