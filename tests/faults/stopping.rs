//! An element that is stopped while its networks are at work does not wait until they are done.

use std::time::{Duration, Instant};

use crate::{
    common::*,
    onnx::{Dim, Linear},
    opening::{folder, write_manifest},
};
use gst::prelude::*;

/// Side of the frames; all of it is redrawn.
const SIDE: u32 = 32;
/// Products of large matrices, which take about a second altogether on the machines of today.
const PRODUCTS: usize = 24;

/// An element whose network takes its time for each frame.
fn slow_element() -> Option<gst::Element> {
    let library = onnxruntime()?;
    let network = Linear {
        size: u64::from(SIDE),
        batch: Dim::Fixed(1),
        names: ["mel", "face", "drawn"],
        channels: [[0.0; 6]; 3],
        hears: [1, 80, 16],
        window: vec![0.0; 3 * 80 * 16],
        bias: [0.5; 3],
    };
    let folder = folder("stopping", "slow");
    // In one step, as tests run beside each other.
    let (process, thread) = (std::process::id(), std::thread::current().id());
    let copy = folder.join(format!("copy-{process}-{thread:?}"));
    std::fs::write(&copy, network.slow_to_run(PRODUCTS)).unwrap();
    std::fs::rename(&copy, folder.join("net.onnx")).unwrap();
    let lines = format!(
        "crop.box = [0, 0, {SIDE}, {SIDE}]\ncrop.pads = [0, 0, 0, 0]\nblend.kind = \"reference\""
    );
    write_manifest(&folder, "wav2lip", "slow", &lines);
    init();
    let element = gst::ElementFactory::make("lipsync")
        .property("onnxruntime-library", library)
        .property_from_str("execution-provider", "cpu")
        .property("model", folder.to_str().unwrap())
        .property("intra-threads", 1u32)
        .build();
    Some(element.unwrap())
}

/// The beginning of a stream of so many frames, and sound for all of them.
fn stream(frames: u64) -> [Vec<Item>; 2] {
    let mut video = Pictures::rgb(SIDE, SIDE).stream(frames);
    video.pop();
    let mut audio = Tones::of(1_500 * MS, 0..1_500 * MS).stream();
    audio.pop();
    [video, audio]
}

/// Time that a frame takes, and time to the lower state once the next frame is begun.
fn one_frame_and_the_way_to(state: gst::State) -> Option<(Duration, Duration)> {
    let rig = Rig::stopped(slow_element()?, FILE, true);
    rig.play();
    loaded(&rig.bus).unwrap();
    let begun = Instant::now();
    let [video, audio] = stream(2);
    let feeding = rig.feed(video, audio);
    rig.next_buffer();
    let frame = begun.elapsed();
    // Well within the second frame.
    std::thread::sleep(frame / 8);
    let begun = Instant::now();
    rig.element.set_state(state).unwrap();
    let stopping = begun.elapsed();
    feeding.join();
    assert_eq!(rig.stat("frames-error"), 0, "nobody is told of it");
    assert!(rig.warnings().is_empty() && rig.errors().is_empty());
    if state == gst::State::Ready {
        // The networks are as they were.
        rig.play();
        let [video, audio] = stream(1);
        let feeding = rig.feed(video, audio);
        let shown = rig.next_buffer();
        assert!(
            shown
                .map_readable()
                .unwrap()
                .iter()
                .all(|&byte| byte == 127)
        );
        rig.element.set_state(gst::State::Ready).unwrap();
        feeding.join();
    }
    Some((frame, stopping))
}

#[test]
fn a_run_ends_when_the_element_stops() {
    for state in [gst::State::Ready, gst::State::Null] {
        let Some((frame, stopping)) = one_frame_and_the_way_to(state) else {
            return;
        };
        println!("{state:?}: a frame {frame:?}, stopped in {stopping:?}");
        // Seven eighths of it were to come.
        assert!(stopping < frame / 2, "{state:?}: {stopping:?} of {frame:?}");
    }
}

/// Live, a frame does not wait: the networks work on for themselves.
#[test]
fn a_run_that_no_frame_waits_for_ends_with_the_element() {
    let Some(element) = slow_element() else {
        return;
    };
    let clock = gst::SystemClock::obtain();
    let rig = Rig::stopped(
        element,
        Upstream {
            live: true,
            latency: gst::ClockTime::ZERO,
        },
        true,
    );
    rig.element.set_clock(Some(&clock)).unwrap();
    rig.element.set_state(gst::State::Ready).unwrap();
    loaded(&rig.bus).unwrap();
    // A first run, alone, says how long one takes.
    rig.element.set_property("qos", false);
    rig.element.set_base_time(clock.time());
    rig.play();
    let begun = Instant::now();
    let [video, audio] = stream(1);
    let feeding = rig.feed(video, audio);
    rig.next_buffer();
    let run = begun.elapsed();
    rig.element.set_state(gst::State::Ready).unwrap();
    feeding.join();

    rig.element.set_property("qos", true);
    rig.element.set_base_time(clock.time());
    rig.play();
    let [video, audio] = stream(1);
    let feeding = rig.feed(video, audio);
    rig.next_buffer();
    let begun = Instant::now();
    rig.element.set_state(gst::State::Null).unwrap();
    let stopping = begun.elapsed();
    feeding.join();
    println!("a run {run:?}, stopped in {stopping:?}");
    assert!(stopping < run / 2, "{stopping:?} of {run:?}");
}
