//! State changes, seeks and pads that come and go, with elements of GStreamer around ours.

use std::time::{Duration, Instant};

use crate::common::*;
use gst::prelude::*;

fn wait_for(pipeline: &gst::Pipeline, kind: gst::MessageType) -> gst::Message {
    let patience = gst::ClockTime::from_nseconds(PATIENCE.as_nanos() as u64);
    let message = pipeline
        .bus()
        .unwrap()
        .timed_pop_filtered(patience, &[kind, gst::MessageType::Error])
        .unwrap_or_else(|| panic!("no {kind:?}"));
    assert!(
        message.type_() == kind,
        "an error instead of {kind:?}: {:?}",
        message
    );
    message
}

/// Waits until the pipeline has a frame at its sink again.
fn settle(pipeline: &gst::Pipeline) {
    let patience = gst::ClockTime::from_nseconds(PATIENCE.as_nanos() as u64);
    let (result, state, pending) = pipeline.state(patience);
    assert!(
        result == Ok(gst::StateChangeSuccess::Success),
        "{result:?}, {state:?}, {pending:?}"
    );
}

const FILE_TO_FILE: &str = "videotestsrc num-buffers=50 ! video/x-raw,format=I420,width=64,height=48,framerate=25/1 \
     ! queue ! lipsync name=l ! queue ! fakesink sync=false \
     audiotestsrc num-buffers=100 ! queue ! l.audio";

#[test]
fn a_pipeline_plays_to_its_end_again_and_again() {
    let pipeline = Running::launch(FILE_TO_FILE);
    for _ in 0..3 {
        pipeline.set_state(gst::State::Playing).unwrap();
        wait_for(&pipeline, gst::MessageType::Eos);
        let stats: gst::Structure = pipeline.by_name("l").unwrap().property("stats");
        assert_eq!(stats.get::<u64>("frames-synced"), Ok(50), "{stats}");
        assert_eq!(stats.get::<&str>("model-name"), Ok("shows sound"));
        pipeline.set_state(gst::State::Ready).unwrap();
    }
}

#[test]
fn a_thousand_state_cycles_leave_nothing_behind() {
    let element = element();
    for _ in 0..1000 {
        element.set_state(gst::State::Paused).unwrap();
        element.set_state(gst::State::Ready).unwrap();
    }
    element.set_state(gst::State::Null).unwrap();
    let pipeline = Running::launch(FILE_TO_FILE);
    for _ in 0..20 {
        pipeline.set_state(gst::State::Playing).unwrap();
        pipeline.set_state(gst::State::Ready).unwrap();
    }
    for _ in 0..20 {
        pipeline.set_state(gst::State::Playing).unwrap();
        pipeline.set_state(gst::State::Null).unwrap();
    }
}

#[test]
fn every_frame_is_accounted_for_wherever_a_live_stream_stops() {
    let pipeline = Running::launch(
        "videotestsrc is-live=true ! video/x-raw,format=GRAY8,width=64,height=48,framerate=50/1 \
         ! queue ! lipsync name=l ! queue ! fakesink sync=true \
         audiotestsrc is-live=true samplesperbuffer=480 ! queue ! l.audio",
    );
    let lipsync = pipeline.by_name("l").unwrap();
    let count = |field: &str| {
        let stats: gst::Structure = lipsync.property("stats");
        stats.get::<u64>(field).unwrap()
    };
    for round in 0..6 {
        pipeline.set_state(gst::State::Playing).unwrap();
        let enough = Instant::now() + PATIENCE;
        while count("frames-out") < 5 {
            assert!(Instant::now() < enough, "no frames");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(count("frames-held") < 50, "{}", count("frames-held"));
        if round % 2 == 0 {
            let video = lipsync.static_pad("video").unwrap();
            let segment = video.sticky_event::<gst::event::Segment>(0).unwrap();
            video.send_event(gst::event::FlushStart::new());
            // The flush takes the segment with it; no frame may come before the next one.
            let _lock = video.stream_lock();
            video.send_event(gst::event::FlushStop::new(false));
            video.send_event(segment);
        }
        pipeline.set_state(gst::State::Ready).unwrap();
        assert_eq!(count("frames-held"), 0);
        assert_eq!(
            count("frames-in"),
            count("frames-out") + count("frames-dropped")
        );
    }
}

#[test]
fn the_states_may_be_walked_up_and_down() {
    use gst::State::*;
    let element = element();
    for state in [
        Ready, Null, Paused, Null, Playing, Null, Paused, Playing, Paused, Ready, Playing, Ready,
        Paused, Null,
    ] {
        element.set_state(state).unwrap();
        assert_eq!(element.current_state(), state);
    }
}

#[test]
fn pause_and_play_lose_nothing() {
    let pipeline = Running::launch(
        "videotestsrc num-buffers=50 ! video/x-raw,format=NV12,width=64,height=48,framerate=50/1 \
         ! queue ! lipsync name=l ! queue ! fakesink name=sink sync=true \
         audiotestsrc num-buffers=60 ! queue ! l.audio",
    );
    for _ in 0..10 {
        pipeline.set_state(gst::State::Playing).unwrap();
        settle(&pipeline);
        std::thread::sleep(Duration::from_millis(30));
        pipeline.set_state(gst::State::Paused).unwrap();
        settle(&pipeline);
    }
    pipeline.set_state(gst::State::Playing).unwrap();
    wait_for(&pipeline, gst::MessageType::Eos);
    let stats: gst::Structure = pipeline.by_name("l").unwrap().property("stats");
    assert_eq!(stats.get::<u64>("frames-out"), Ok(50), "{stats}");
}

#[test]
fn flushing_seeks_land_where_they_should() {
    let pipeline = Running::launch(
        "videotestsrc ! video/x-raw,format=GRAY8,width=64,height=48,framerate=25/1 \
         ! queue ! lipsync name=l ! queue ! fakesink name=sink sync=false \
         audiotestsrc ! queue ! l.audio",
    );
    pipeline.set_state(gst::State::Paused).unwrap();
    settle(&pipeline);
    let sink = pipeline.by_name("sink").unwrap();
    for round in 0..30u64 {
        let target = gst::ClockTime::from_mseconds(round * 7 % 10 * 1000);
        pipeline
            .seek_simple(gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE, target)
            .unwrap();
        if round % 3 == 0 {
            continue;
        }
        settle(&pipeline);
        let shown = || {
            let sample = sink.property::<Option<gst::Sample>>("last-sample")?;
            sample.buffer()?.pts()
        };
        let deadline = Instant::now() + PATIENCE;
        while shown() != Some(target) {
            assert!(Instant::now() < deadline, "round {round}: {:?}", shown());
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    // With an end the stream ends there.
    pipeline
        .seek(
            1.0,
            gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE,
            gst::SeekType::Set,
            5 * gst::ClockTime::SECOND,
            gst::SeekType::Set,
            6 * gst::ClockTime::SECOND,
        )
        .unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    wait_for(&pipeline, gst::MessageType::Eos);
}

#[test]
fn seeks_while_playing_never_stall() {
    let pipeline = Running::launch(
        "videotestsrc ! video/x-raw,format=GRAY8,width=64,height=48,framerate=25/1 \
         ! queue ! lipsync name=l ! queue ! fakesink sync=true audiotestsrc ! queue ! l.audio",
    );
    pipeline.set_state(gst::State::Playing).unwrap();
    settle(&pipeline);
    for round in 0..40u64 {
        pipeline
            .seek_simple(
                gst::SeekFlags::FLUSH,
                gst::ClockTime::from_mseconds(round * 311 % 5000),
            )
            .unwrap();
        if round % 4 == 0 {
            settle(&pipeline);
        }
    }
}

#[test]
fn a_live_pipeline_runs_without_late_frames() {
    let pipeline = Running::launch(
        "videotestsrc is-live=true num-buffers=40 ! video/x-raw,format=I420,width=64,height=48,framerate=25/1 \
         ! queue ! lipsync name=l ! queue ! fakesink name=sink sync=true \
         audiotestsrc is-live=true samplesperbuffer=480 ! queue ! l.audio",
    );
    pipeline.set_state(gst::State::Playing).unwrap();
    wait_for(&pipeline, gst::MessageType::Eos);
    let stats: gst::Structure = pipeline.by_name("l").unwrap().property("stats");
    assert_eq!(stats.get::<u64>("frames-out"), Ok(40), "{stats}");
    assert!(stats.get::<u64>("frames-late").unwrap() < 4, "{stats}");
}

#[test]
fn properties_may_be_set_in_any_state() {
    let pipeline = Running::launch(FILE_TO_FILE.replace("num-buffers=50", "").as_str());
    let element = pipeline.by_name("l").unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    for round in 0..200i64 {
        element.set_property("strength", (round % 3) as f64 / 2.0);
        element.set_property("bypass", round % 5 == 0);
        element.set_property("sync-offset", (round % 7 - 3) * 100_000_000);
        element.set_property("processing-deadline", (round % 4) as u64 * 10_000_000);
        element.set_property_from_str(
            "silence",
            ["close", "original", "animate"][round as usize % 3],
        );
        element.set_property("draw-debug", round % 2 == 0);
        let _: gst::Structure = element.property("stats");
    }
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(
        element.property::<Option<String>>("active-execution-provider"),
        None
    );
}
