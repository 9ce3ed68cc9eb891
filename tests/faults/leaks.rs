//! Nothing leaks: GStreamer's own tracer counts, in a process of its own.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use crate::common::*;
use gst::{glib, prelude::*};
use gstlipsync::lipsync::Lipsync;

/// Set for the process in which the tracer runs.
const INNER: &str = "LIPSYNC_TEST_LEAKS_INNER";

#[test]
fn nothing_outlives_its_pipeline() {
    if std::env::var_os(INNER).is_some() {
        return count_leaks();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "leaks::nothing_outlives_its_pipeline",
            "--nocapture",
        ])
        .env(INNER, "1")
        .env("GST_TRACERS", "leaks")
        .env("G_DEBUG", "fatal-warnings")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn count_leaks() {
    init();
    let leaks = gst::active_tracers()
        .into_iter()
        .find(|tracer| tracer.type_().name() == "GstLeaksTracer")
        .unwrap_or_else(|| panic!("the leaks tracer does not run"));
    // Classes, pad templates, allocators and the pool of threads live as long as the process.
    let rig = Rig::new();
    let feeding = rig.feed(Pictures::at(25, 1).stream(1), vec![end()]);
    assert_eq!(rig.frames_until_eos().len(), 1);
    feeding.join();
    drop(rig);
    play_to_the_end(&through_bin(1));
    leaks.emit_by_name::<()>("activity-start-tracking", &[]);

    let pictures = Pictures {
        format: gst_video::VideoFormat::I420,
        ..Pictures::at(25, 1)
    };
    let tones = Tones::of(1_300 * MS, 0..1_000 * MS);
    // To its end.
    let rig = Rig::new();
    let feeding = rig.feed(pictures.stream(25), tones.stream());
    assert_eq!(rig.frames_until_eos().len(), 25);
    feeding.join();
    drop(rig);
    // Torn down with frames, sound and events in it.
    let rig = Rig::new();
    let mut sound = tones.stream();
    sound.truncate(20);
    let feeding = rig.feed(pictures.stream(25), sound);
    rig.next_buffer();
    drop(rig);
    feeding.join();
    // Never started, and with a pad that was given back.
    let mut rig = Rig::stopped(element(), FILE, true);
    rig.remove_audio();
    drop(rig);
    // A set-up that fails.
    let element = gst::ElementFactory::make("lipsync")
        .property("model", "/nowhere/model.toml")
        .build()
        .unwrap();
    assert!(element.set_state(gst::State::Ready).is_err());
    element.set_state(gst::State::Null).unwrap();
    drop(element);
    // The same with what is around it in `lipsyncbin`.
    play_to_the_end(&through_bin(25));
    let pipeline = through_bin(-1);
    pipeline.set_state(gst::State::Playing).unwrap();
    let frames = |pipeline: &gst::Pipeline| {
        let stats: gst::Structure = pipeline.by_name("bin").unwrap().property("stats");
        stats.get::<u64>("frames-out").unwrap()
    };
    let deadline = Instant::now() + PATIENCE;
    while frames(&pipeline) < 5 {
        assert!(Instant::now() < deadline, "no frames");
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(pipeline);
    drop(through_bin(25));

    // A task ends a little after its pad.
    let deadline = Instant::now() + PATIENCE;
    let mut left = Vec::new();
    loop {
        let checkpoint: gst::Structure = leaks.emit_by_name("activity-get-checkpoint", &[]);
        left.extend(described(&checkpoint, "objects-created-list"));
        for object in described(&checkpoint, "objects-removed-list") {
            if let Some(at) = left.iter().position(|other| *other == object) {
                left.swap_remove(at);
            }
        }
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "left behind: {left:#?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A pipeline with a `lipsyncbin` that hears and shows so many frames; -1 has no end.
fn through_bin(frames: i32) -> Running {
    let pipeline = gst::parse::launch(&format!(
        "videotestsrc num-buffers={frames} ! video/x-raw,format=I420,width=32,height=32 \
         ! bin.video_sink audiotestsrc num-buffers={} ! bin.audio_sink lipsyncbin name=bin \
         bin.video_src ! fakesink bin.audio_src ! fakesink",
        (frames * 3).max(-1)
    ));
    let pipeline = pipeline.unwrap().downcast::<gst::Pipeline>().unwrap();
    let lipsync = pipeline.by_name("lipsync").unwrap();
    let lipsync = lipsync.downcast_ref::<Lipsync>().unwrap();
    lipsync.set_generator(ShowsSound::source());
    Running(pipeline)
}

fn play_to_the_end(pipeline: &gst::Pipeline) {
    pipeline.set_state(gst::State::Playing).unwrap();
    let patience = gst::ClockTime::try_from(PATIENCE).unwrap();
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let end = pipeline.bus().unwrap().timed_pop_filtered(patience, &ends);
    assert_eq!(end.expect("the end").type_(), gst::MessageType::Eos);
}

/// Type and address of each object of the list.
fn described(checkpoint: &gst::Structure, field: &str) -> Vec<String> {
    let list = checkpoint.get::<gst::List>(field).unwrap();
    list.iter()
        .map(|entry: &glib::SendValue| {
            let entry: gst::Structure = entry.get().unwrap();
            let field = |name| entry.value(name).unwrap().transform::<String>().unwrap();
            let text = |name| {
                field(name)
                    .get::<Option<String>>()
                    .unwrap()
                    .unwrap_or_default()
            };
            format!("{} {}", text("type-name"), text("address"))
        })
        .collect()
}
