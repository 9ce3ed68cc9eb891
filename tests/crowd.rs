//! Many elements in one process: all frames come out, and what they use is bounded and given back.

#[path = "support/common.rs"]
mod common;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use common::*;
use gst::prelude::*;
use gstlipsync::lipsync::Lipsync;

const ELEMENTS: usize = 200;
/// Source, source, the element's own and its networks'; what GLib keeps of idle ones comes on top.
const THREADS_EACH: usize = 4;
const IDLE_THREADS: usize = 16;
/// Longer than any run of all of them takes on a busy machine.
const PATIENCE_OF_ALL: Duration = Duration::from_secs(90);

/// Both tests count what the whole process uses: one at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One pipeline a stream, as a server has them.
fn pipelines(frames: usize, set_up: impl Fn(&gst::Element)) -> Vec<gst::Pipeline> {
    init();
    let description = format!(
        "videotestsrc num-buffers={frames} pattern=black \
         ! video/x-raw,format=GRAY8,width=64,height=48,framerate=25/1 \
         ! lipsync name=l ! fakesink sync=false \
         audiotestsrc num-buffers={} samplesperbuffer=4410 ! l.audio",
        frames + 20
    );
    (0..ELEMENTS)
        .map(|_| {
            let pipeline = gst::parse::launch(&description).unwrap();
            let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
            set_up(&pipeline.by_name("l").unwrap());
            pipeline
        })
        .collect()
}

/// Plays all at once to their end; the most threads that there were.
fn play_to_the_end(pipelines: &[gst::Pipeline]) -> usize {
    for pipeline in pipelines {
        pipeline.set_state(gst::State::Playing).unwrap();
    }
    let deadline = Instant::now() + PATIENCE_OF_ALL;
    let mut most = 0;
    for pipeline in pipelines {
        let bus = pipeline.bus().unwrap();
        loop {
            most = most.max(in_use("Threads:"));
            let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
            match bus.timed_pop_filtered(100 * gst::ClockTime::MSECOND, &kinds) {
                Some(message) => {
                    assert_eq!(message.type_(), gst::MessageType::Eos, "{message:?}");
                    break;
                }
                None => assert!(Instant::now() < deadline, "no end"),
            }
        }
    }
    most
}

fn frames_out(pipeline: &gst::Pipeline) -> u64 {
    let stats: gst::Structure = pipeline.by_name("l").unwrap().property("stats");
    stats.get("frames-out").unwrap()
}

/// A figure of this process: threads, or memory in KiB.
fn in_use(figure: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(figure));
    let value = line.unwrap().split_whitespace().next().unwrap();
    value.parse().unwrap()
}

fn stop(pipelines: Vec<gst::Pipeline>) {
    for pipeline in &pipelines {
        pipeline.set_state(gst::State::Null).unwrap();
    }
}

/// Threads of pools end a while after their work.
fn assert_threads_end(most: usize) {
    let deadline = Instant::now() + 2 * PATIENCE;
    while in_use("Threads:") > most {
        assert!(
            Instant::now() < deadline,
            "{} threads are left",
            in_use("Threads:")
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn two_hundred_elements_play_at_once() {
    let _alone = alone();
    init();
    let at_rest = in_use("Threads:");
    let pipelines = pipelines(25, |element| {
        let element = element.downcast_ref::<Lipsync>().unwrap();
        element.set_generator(ShowsSound::source());
    });
    let most = play_to_the_end(&pipelines);
    assert!(
        most <= at_rest + ELEMENTS * THREADS_EACH + IDLE_THREADS,
        "{most} threads"
    );
    for pipeline in &pipelines {
        assert_eq!(frames_out(pipeline), 25);
    }
    stop(pipelines);
    assert_threads_end(at_rest + IDLE_THREADS);
}

/// Networks are in memory once: what each element adds is its tensors and its sound.
#[test]
fn two_hundred_elements_share_the_built_in_model() {
    let _alone = alone();
    let Some(library) = onnxruntime() else { return };
    const EACH_KIB: usize = 8 * 1024;
    init();
    let before = in_use("VmRSS:");
    let pipelines = pipelines(3, |element| {
        element.set_property("onnxruntime-library", &library);
        element.set_property("intra-threads", 1u32);
        element.set_property_from_str("execution-provider", "cpu");
    });
    play_to_the_end(&pipelines);
    let each = in_use("VmRSS:").saturating_sub(before) / ELEMENTS;
    assert!(each < EACH_KIB, "{each} KiB an element");
    for pipeline in &pipelines {
        assert_eq!(frames_out(pipeline), 3);
    }
    stop(pipelines);
}
