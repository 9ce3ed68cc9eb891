//! The latency that is told and the queues that it needs.

use crate::common::*;
use gst::prelude::*;

const UPSTREAM: gst::ClockTime = gst::ClockTime::from_mseconds(30);

#[test]
fn the_built_in_model_adds_300_ms_at_most() {
    init();
    let Some(library) = onnxruntime() else {
        return;
    };
    let element = gst::ElementFactory::make("lipsync")
        .property("onnxruntime-library", library)
        .build()
        .unwrap();
    let upstream = Upstream {
        live: true,
        latency: UPSTREAM,
    };
    let rig = Rig::stopped(element, upstream, true);
    rig.play();
    let pictures = Pictures::at(25, 1);
    let video = begin("video", &pictures.caps(), &segment_from(0));
    let feeding = rig.feed(video, Tones::silent(40 * MS).stream());
    // The caps of the sound are seen with its end.
    feeding.join();
    let asked = std::time::Instant::now();
    loop {
        let mut query = gst::query::Latency::new();
        assert!(rig.sink.peer_query(&mut query));
        let (is_live, min, max) = query.result();
        let own = min - UPSTREAM;
        // 160 ms of look-ahead, 40 ms for work, and what the resampler holds back.
        if own > 200 * gst::ClockTime::MSECOND {
            println!("{own}");
            assert!(is_live && max.is_none());
            assert!(own <= 220 * gst::ClockTime::MSECOND, "{own}");
            assert!(min <= 300 * gst::ClockTime::MSECOND, "{min}");
            break;
        }
        assert!(asked.elapsed() < PATIENCE, "{own}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    // A process must not end while ONNX Runtime loads in another thread.
    let provider = || {
        let name = "active-execution-provider";
        rig.element.property::<Option<String>>(name)
    };
    while provider().is_none() {
        assert!(asked.elapsed() < PATIENCE, "the model is not loaded");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// The warning of a file's pipeline whose sound is heard and, behind a queue of such limits, played;
/// `None` where it comes to its end.
fn warning(limits: &str, samples: u32, between: &str) -> Option<String> {
    let pipeline = gst::parse::launch(&format!(
        "videotestsrc num-buffers=50 ! video/x-raw,format=GRAY8,width=32,height=32,framerate=25/1 \
         ! queue name=pictures \
         audiotestsrc num-buffers=100 samplesperbuffer={samples} \
         ! audio/x-raw,format=F32LE,rate=48000,channels=2 ! tee name=sound \
         sound. ! {between} queue name=played {limits} ! fakesink \
         sound. ! queue name=heard max-size-time=3000000000 ! audioconvert name=last",
    ))
    .unwrap()
    .downcast::<gst::Pipeline>()
    .unwrap();
    let lipsync = element();
    let sink = gst::ElementFactory::make("fakesink").build().unwrap();
    pipeline.add_many([&lipsync, &sink]).unwrap();
    let pictures = pipeline.by_name("pictures").unwrap();
    pictures
        .link_pads(Some("src"), &lipsync, Some("video"))
        .unwrap();
    let last = pipeline.by_name("last").unwrap();
    last.link_pads(Some("src"), &lipsync, Some("audio"))
        .unwrap();
    lipsync.link(&sink).unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let bus = pipeline.bus().unwrap();
    let expected = [
        gst::MessageType::Warning,
        gst::MessageType::Error,
        gst::MessageType::Eos,
    ];
    let patience = gst::ClockTime::from_seconds(PATIENCE.as_secs());
    let message = bus.timed_pop_filtered(patience, &expected);
    pipeline.set_state(gst::State::Null).unwrap();
    match message.expect("a warning or the end").view() {
        gst::MessageView::Warning(warning) => Some(warning.error().to_string()),
        gst::MessageView::Eos(_) => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_queue_that_is_too_small_is_named_with_the_size_it_needs() {
    init();
    for (limits, samples, between, named) in [
        ("max-size-time=100000000", 1024, "", "max-size-time"),
        ("max-size-bytes=20000", 1024, "", "max-size-bytes"),
        (
            "max-size-buffers=8",
            1024,
            "audioconvert ! volume !",
            "max-size-buffers",
        ),
    ] {
        let text = warning(limits, samples, between).unwrap();
        assert!(text.contains("`played`") && text.contains(named), "{text}");
    }
    // The sizes that a queue has by itself, and none at all.
    for limits in ["", "max-size-time=0 max-size-bytes=0 max-size-buffers=0"] {
        assert_eq!(warning(limits, 1024, ""), None, "{limits}");
    }
    // But its 200 buffers are not enough where each lasts 1 ms.
    let text = warning("", 48, "").unwrap();
    assert!(text.contains("max-size-buffers"), "{text}");
}
