//! What downstream offers, asks and says reaches those it is meant for, and frames arrive as downstream understands
//! them.

use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::{around::*, common::*};
use gst::prelude::*;

/// Every upstream event that comes to the pad.
fn collect_events(pad: &gst::Pad) -> Arc<Mutex<Vec<gst::EventType>>> {
    let events = Arc::<Mutex<Vec<gst::EventType>>>::default();
    let seen = events.clone();
    pad.add_probe(gst::PadProbeType::EVENT_UPSTREAM, move |_, info| {
        let event = info.event().unwrap();
        seen.lock().unwrap().push(event.type_());
        gst::PadProbeReturn::Ok
    });
    events
}

/// What is said of frames: that a pointer moves over them, that other caps or a key frame are wanted, that they are
/// late, which streams are wanted.
fn about_frames() -> Vec<gst::Event> {
    let structure = |name: &str| gst::Structure::new_empty(name);
    vec![
        gst::event::Navigation::new(structure("application/x-gst-navigation")),
        gst::event::Reconfigure::new(),
        gst_video::UpstreamForceKeyUnitEvent::builder().build(),
        gst::event::CustomUpstream::new(structure("of-somebody")),
        gst::event::Qos::builder(gst::QOSType::Underflow, 1.0, 0)
            .timestamp(gst::ClockTime::SECOND)
            .build(),
        gst::event::SelectStreams::new(["video"]),
    ]
}

#[test]
fn what_downstream_says_of_frames_goes_to_where_they_come_from() {
    let rig = Rig::new();
    let feeding = rig.feed(
        Pictures::at(25, 1).stream(5),
        Tones::silent(500 * MS).stream(),
    );
    rig.frames_until_eos();
    feeding.join();
    let video = collect_events(&rig.video);
    let audio = collect_events(rig.audio.as_ref().unwrap());
    let mut sent = Vec::new();
    for event in about_frames() {
        sent.push(event.type_());
        rig.sink.push_event(event);
    }
    assert_eq!(*video.lock().unwrap(), sent);
    assert_eq!(*audio.lock().unwrap(), []);
}

#[test]
fn the_bin_says_it_to_the_right_one() {
    let around = Around::new(FILE);
    around.play();
    let (pictures, tones) = (Pictures::at(25, 1), Tones::silent(500 * MS));
    let items = interleaved(pictures.stream(5), tones.stream(), 0);
    let feeding = feed_both(around.source("video"), around.source("audio"), items);
    until_eos(&around.video);
    until_eos(&around.audio);
    feeding.join().unwrap();
    let video = collect_events(around.source("video"));
    let audio = collect_events(around.source("audio"));
    for event in about_frames() {
        let kind = event.type_();
        around.sinks[0].push_event(event);
        assert_eq!(video.lock().unwrap().last(), Some(&kind));
    }
    assert_eq!(*audio.lock().unwrap(), []);
}

#[test]
fn another_sink_has_upstream_ask_anew() {
    let rig = Rig::new();
    let video = collect_events(&rig.video);
    let src = rig.element.static_pad("src").unwrap();
    src.unlink(&rig.sink).unwrap();
    let (sender, _out) = std::sync::mpsc::channel();
    let sink = sink_pad(sender);
    src.link(&sink).unwrap();
    assert_eq!(*video.lock().unwrap(), [gst::EventType::Reconfigure]);
    sink.set_active(false).unwrap();
}

/// Caps that change while frames flow, with what has to follow them before the pipeline.
fn follows_a_capsfilter(before: &str, element: &str, expected: [&str; 2]) {
    init();
    let [first, second] = expected;
    let pipeline = Running(
        gst::parse::launch(&format!(
            "videotestsrc ! video/x-raw,width=64,height=48 ! {before} ! {element} name=l
             ! capsfilter name=expected caps=video/x-raw,{first}
             ! appsink name=sink sync=false max-buffers=1"
        ))
        .unwrap()
        .downcast()
        .unwrap(),
    );
    pipeline.set_state(gst::State::Playing).unwrap();
    let sink: gst_app::AppSink = pipeline.by_name("sink").and_downcast().unwrap();
    let caps = |text: &str| format!("video/x-raw,{text}").parse::<gst::Caps>().unwrap();
    let is = |text: &str| {
        let sample = sink
            .try_pull_sample(gst::ClockTime::try_from(PATIENCE).unwrap())
            .unwrap_or_else(|| panic!("{element} behind {before}: no frames, {text}"));
        let sample_caps = sample.caps().unwrap();
        let info = gst_video::VideoInfo::from_caps(sample_caps).unwrap();
        assert_eq!(sample.buffer().unwrap().size(), info.size());
        sample_caps.can_intersect(&caps(text))
    };
    for _ in 0..10 {
        assert!(is(first));
    }
    let filter = pipeline.by_name("expected").unwrap();
    filter.set_property("caps", caps(second));
    assert!(
        (0..100).any(|_| is(second)),
        "{element} behind {before}: {second} is not followed"
    );
}

#[test]
fn caps_that_downstream_changes_while_frames_flow_are_followed() {
    let formats = ["format=I420", "format=BGRx"];
    let sizes = ["width=64,height=48", "width=128,height=96"];
    for element in ["lipsync", "lipsyncbin"] {
        follows_a_capsfilter("videoconvert", element, formats);
        follows_a_capsfilter("videoconvert ! queue", element, formats);
        follows_a_capsfilter("videoscale", element, sizes);
    }
    follows_a_capsfilter("identity", "lipsyncbin", formats);
}

/// Answers as downstream does that reads where rows lie.
fn offer_video_meta(sink: &gst::Pad) {
    sink.add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, |_, info| {
        match info.query_mut().unwrap().view_mut() {
            gst::QueryViewMut::Allocation(allocation) => {
                allocation.add_allocation_meta::<gst_video::VideoMeta>(None);
                gst::PadProbeReturn::Handled
            }
            _ => gst::PadProbeReturn::Ok,
        }
    });
}

fn start_video(rig: &Rig, pictures: &Pictures) {
    for item in begin("video", &pictures.caps(), &segment_from(0)) {
        if let Item::Event(event) = item {
            assert!(rig.video.push_event(event));
        }
    }
}

#[test]
fn only_what_downstream_offers_is_offered_upstream() {
    for offers in [false, true] {
        let rig = Rig::new();
        if offers {
            offer_video_meta(&rig.sink);
        }
        let pictures = Pictures::at(25, 1);
        start_video(&rig, &pictures);
        let mut allocation = gst::query::Allocation::new(Some(&pictures.caps()), true);
        assert!(rig.video.peer_query(&mut allocation));
        let offered = allocation.find_allocation_meta::<gst_video::VideoMeta>();
        assert_eq!(offered.is_some(), offers);
        assert_eq!(allocation.allocation_metas().count(), usize::from(offers));
    }
}

/// Every frame of a pipeline's end as raw bytes.
fn raw(pipeline: &str) -> Vec<Vec<u8>> {
    init();
    let pipeline = Running(gst::parse::launch(pipeline).unwrap().downcast().unwrap());
    let frames = Arc::<Mutex<Vec<Vec<u8>>>>::default();
    let sink = pipeline.by_name("end").unwrap();
    let seen = frames.clone();
    let pad = sink.static_pad("sink").unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let map = info.buffer().unwrap().map_readable().unwrap();
        seen.lock().unwrap().push(map.to_vec());
        gst::PadProbeReturn::Ok
    });
    pipeline.set_state(gst::State::Playing).unwrap();
    let end = pipeline.bus().unwrap().timed_pop_filtered(
        gst::ClockTime::try_from(PATIENCE).unwrap(),
        &[gst::MessageType::Eos, gst::MessageType::Error],
    );
    assert_eq!(end.unwrap().type_(), gst::MessageType::Eos);
    let frames = std::mem::take(&mut *frames.lock().unwrap());
    assert!(!frames.is_empty());
    frames
}

#[test]
fn a_decoder_with_padded_rows_leaves_the_bytes_that_the_caps_say() {
    if !have(&["vp9enc", "vp9dec", "webmmux"]) {
        return;
    }
    // Without bytes between rows, which hold anything. Once: what the encoder makes of a frame may depend on how busy the machine is.
    let file =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("padded-{}.webm", std::process::id()));
    raw(&format!(
        "videotestsrc pattern=smpte num-buffers=6 ! video/x-raw,format=I420,width=648,height=358
        ! vp9enc deadline=1 cpu-used=8 ! webmmux ! filesink name=end location={}",
        file.display()
    ));
    let source = format!(
        "filesrc location={} ! matroskademux ! vp9dec",
        file.display()
    );
    let plain = raw(&format!("{source} ! filesink name=end location=/dev/null"));
    let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::I420, 648, 358);
    let size = info.build().unwrap().size();
    assert!(plain.iter().all(|frame| frame.len() == size));
    for between in ["lipsync", "lipsyncbin", "lipsync ! queue"] {
        let behind = raw(&format!(
            "{source} ! {between} ! filesink name=end location=/dev/null"
        ));
        assert!(plain == behind, "{between}");
    }
}

/// 32 pixels in rows of 48 bytes, behind 16 bytes of something else.
fn padded(index: u64) -> gst::Buffer {
    const STRIDE: usize = 48;
    let mut bytes = vec![9u8; 16 + STRIDE * 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        if at >= 16 && (at - 16) % STRIDE < 32 {
            *byte = index as u8;
        }
    }
    let mut buffer = gst::Buffer::from_mut_slice(bytes);
    let writable = buffer.make_mut();
    writable.set_pts(gst::ClockTime::from_mseconds(40 * index));
    gst_video::VideoMeta::add_full(
        writable,
        gst_video::VideoFrameFlags::empty(),
        gst_video::VideoFormat::Gray8,
        32,
        32,
        &[16],
        &[STRIDE as i32],
    )
    .unwrap();
    buffer
}

/// Sources with memory of their own pad rows whoever follows.
#[test]
fn padded_frames_are_copied_for_those_who_cannot_read_them() {
    for (bypass, reads_meta) in [(false, false), (true, false), (true, true)] {
        let rig = Rig::stopped(element(), FILE, true);
        if reads_meta {
            offer_video_meta(&rig.sink);
        }
        rig.element.set_property("bypass", bypass);
        rig.play();
        let pictures = Pictures::at(25, 1);
        let mut video = begin("video", &pictures.caps(), &segment_from(0));
        video.extend((0..10).map(|index| padded(index).into()));
        video.push(end());
        let feeding = rig.feed(video, Tones::silent(1_000 * MS).stream());
        let frames = rig.frames_until_eos();
        feeding.join();
        assert_eq!(frames.len(), 10);
        for (index, frame) in (0..).zip(&frames) {
            assert_eq!(frame.pts(), padded(index).pts());
            if reads_meta {
                assert_eq!(frame.size(), padded(index).size(), "is not copied");
                continue;
            }
            assert_eq!(frame.size(), 32 * 32);
            let map = frame.map_readable().unwrap();
            for (at, &byte) in map.iter().enumerate() {
                let is_drawn = !bypass && at % 32 < SQUARE && at / 32 < SQUARE;
                let expected = if is_drawn { 0 } else { index as u8 };
                assert_eq!(byte, expected, "byte {at} of frame {index}");
            }
        }
    }
}
