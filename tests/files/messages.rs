//! What the bus is told of a stream whose mouths stay as they are, and of any stream at its end.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use gst::prelude::*;

use crate::common::*;

/// A clip of somebody who speaks to the camera.
fn clip() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/media/grid/s1_bbaf2n.mkv");
    if !path.exists() {
        println!("skipped: no clips of the GRID corpus in ../shared/media/grid");
    }
    path.canonicalize().ok()
}

/// The messages of this kind until the pipeline has ended.
fn told_until_end(pipeline: &gst::Element, kind: gst::MessageType) -> Vec<String> {
    pipeline.set_state(gst::State::Playing).unwrap();
    let bus = pipeline.bus().unwrap();
    let mut texts = Vec::new();
    loop {
        let kinds = [gst::MessageType::Eos, gst::MessageType::Error, kind];
        let patience = gst::ClockTime::try_from(3 * PATIENCE).unwrap();
        let message = bus.timed_pop_filtered(patience, &kinds);
        match message.expect("the pipeline ends").view() {
            gst::MessageView::Eos(_) => break,
            gst::MessageView::Error(error) => panic!("{error:?}"),
            gst::MessageView::Info(info) => texts.push(info.error().to_string()),
            gst::MessageView::Warning(warning) => texts.push(warning.error().to_string()),
            _ => (),
        }
    }
    pipeline.set_state(gst::State::Null).unwrap();
    texts
}

#[test]
fn the_end_of_a_stream_says_how_many_frames_had_a_face() {
    let (Some(library), Some(clip)) = (onnxruntime(), clip()) else {
        return;
    };
    init();
    let pipeline = gst::parse::launch(&format!(
        "filesrc location={} ! decodebin name=d ! l.video_sink d. ! l.audio_sink
         lipsyncbin name=l onnxruntime-library={library} ! fakesink l.audio_src ! fakesink",
        clip.display()
    ))
    .unwrap();
    let texts = told_until_end(&pipeline, gst::MessageType::Info);
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(texts[0].contains("of 75 frames had a face"), "{texts:?}");
    assert!(texts[0].contains("were synced"), "{texts:?}");
    assert!(!texts[0].starts_with("0 "), "{texts:?}");
}

#[test]
fn a_stream_without_any_face_is_warned_of_at_its_end() {
    let Some(library) = onnxruntime() else {
        return;
    };
    init();
    let pipeline = gst::parse::launch(&format!(
        "videotestsrc num-buffers=20 ! video/x-raw,width=320,height=240 ! l.video_sink
         audiotestsrc num-buffers=100 ! l.audio_sink
         lipsyncbin name=l onnxruntime-library={library} ! fakesink l.audio_src ! fakesink"
    ))
    .unwrap();
    let texts = told_until_end(&pipeline, gst::MessageType::Warning);
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(texts[0].contains("no face"), "{texts:?}");
    assert!(texts[0].contains("20 frames"), "{texts:?}");
}

#[test]
fn frames_without_an_audio_pad_are_warned_of_once() {
    for (frames, warnings) in [(40, 0), (400, 1)] {
        let rig = Rig::without_audio();
        let feeding = rig.feed(Pictures::at(25, 1).stream(frames), Vec::new());
        assert_eq!(rig.frames_until_eos().len() as u64, frames);
        feeding.join();
        let texts = rig.warnings();
        assert_eq!(texts.len(), warnings, "{texts:?}");
        assert!(
            texts.iter().all(|text| text.contains("`audio`")),
            "{texts:?}"
        );
    }
}

/// Who asks for nothing to be drawn misses nothing.
#[test]
fn frames_without_an_audio_pad_are_not_warned_of_where_nothing_is_drawn() {
    let rig = Rig::stopped(element(), FILE, false);
    rig.element.set_property("bypass", true);
    rig.play();
    let feeding = rig.feed(Pictures::at(25, 1).stream(400), Vec::new());
    assert_eq!(rig.frames_until_eos().len(), 400);
    feeding.join();
    assert!(rig.warnings().is_empty());
}

#[test]
fn a_player_that_has_room_for_a_video_filter_only_is_told() {
    let (Some(library), Some(clip)) = (onnxruntime(), clip()) else {
        return;
    };
    if !have(&["playbin", "avdec_h264"]) {
        return;
    }
    init();
    let make = |factory: &str| gst::ElementFactory::make(factory).build().unwrap();
    for (factory, words) in [
        ("lipsync", "video-filter"),
        ("lipsyncbin", "nothing is linked to `audio_sink`"),
    ] {
        let filter = make(factory);
        filter.set_property("onnxruntime-library", &library);
        let sinks = ["video", "audio"].map(|_| {
            let sink = make("fakesink");
            sink.set_property("sync", false);
            sink
        });
        let shown = Arc::<Mutex<usize>>::default();
        let count = shown.clone();
        let pad = sinks[0].static_pad("sink").unwrap();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            *count.lock().unwrap() += 1;
            gst::PadProbeReturn::Ok
        });
        let player = make("playbin");
        player.set_property("uri", format!("file://{}", clip.display()));
        player.set_property("video-filter", &filter);
        player.set_property("video-sink", &sinks[0]);
        player.set_property("audio-sink", &sinks[1]);
        let texts = told_until_end(&player, gst::MessageType::Warning);
        let told = texts.iter().filter(|text| text.contains(words));
        assert_eq!(told.count(), 1, "{factory}: {texts:?}");
        assert_eq!(*shown.lock().unwrap(), 75, "{factory}");
        let stats: gst::Structure = filter.property("stats");
        assert_eq!(stats.get("frames-synced"), Ok(0_u64), "{factory}: {stats}");
    }
}

/// Lines of the log that the element of a test writes at level 5.
fn log_of(element: &gst::Element) -> Arc<Mutex<Vec<String>>> {
    let lines = Arc::<Mutex<Vec<String>>>::default();
    let (seen, name) = (lines.clone(), element.name());
    gst::log::remove_default_log_function();
    gst::log::add_log_function(move |category, level, _, _, _, object, message| {
        let is_ours = category.name() == "lipsync" && level <= gst::DebugLevel::Debug;
        let of_object = object.is_some_and(|object| object.to_string().contains(name.as_str()));
        if is_ours && of_object {
            let line = message.get().unwrap_or_default().to_string();
            seen.lock().unwrap().push(line);
        }
    });
    let category = gst::DebugCategory::get("lipsync").unwrap();
    category.set_threshold(gst::DebugLevel::Debug);
    lines
}

/// Somebody speaks, then a test pattern comes.
#[test]
fn the_log_tells_the_story_of_a_stream() {
    let (Some(library), Some(clip)) = (onnxruntime(), clip()) else {
        return;
    };
    init();
    let same = "videoconvert ! videoscale ! videorate
        ! video/x-raw,format=I420,width=360,height=288,pixel-aspect-ratio=1/1,framerate=25/1";
    let pipeline = gst::parse::launch(&format!(
        "filesrc location={} ! decodebin ! {same} ! both. videotestsrc num-buffers=25 ! {same} ! both.
         concat name=both ! queue ! story.video audiotestsrc num-buffers=200 ! queue ! story.audio
         lipsync name=story onnxruntime-library={library} ! fakesink",
        clip.display()
    ))
    .unwrap();
    let element = pipeline.downcast_ref::<gst::Bin>().unwrap();
    let lines = log_of(&element.by_name("story").unwrap());
    told_until_end(&pipeline, gst::MessageType::Info);
    let lines = lines.lock().unwrap();
    let mut rest = lines.iter();
    for start in [
        "Latency 0:00:00.",
        "Loaded",
        "Face 1 found in the frame at 0:00:00.0",
        "Another shot, by the frame at 0:00:0",
        "Face 1 lost in the frame at 0:00:0",
        "The video has ended",
    ] {
        assert!(
            rest.any(|line| line.starts_with(start)),
            "no `{start}`, or too early: {lines:#?}"
        );
    }
    for start in [
        "Frames are video/x-raw",
        "Audio is audio/x-raw",
        "Frames follow",
        "Audio follows",
    ] {
        let has = lines.iter().any(|line| line.starts_with(start));
        assert!(has, "no `{start}`: {lines:#?}");
    }
}
