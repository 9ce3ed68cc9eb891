//! What users get wrong, and networks that fail: each a clear message, never a panic or a hang.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::common::*;
use gst::prelude::*;
use lipsync_core::catalogue::Source;

/// Fails to draw every other frame, and to listen to every seventh.
fn failing() -> Source {
    Source::Custom(Arc::new(|| {
        Box::new(StandIn {
            name: "fails",
            batch: 1,
            state: 0u64,
            listen: |frames, _| {
                *frames += 1;
                fail_if(frames.is_multiple_of(7)).map(|()| 0.0)
            },
            draw: |frames, _| fail_if(frames.is_multiple_of(2)),
            sample: |_| (),
            paint: |_, _, _, _| {},
        })
    }))
}

#[test]
fn a_frame_that_fails_goes_on_as_it_was_with_one_warning() {
    let rig = Rig::stopped(element_with(failing()), FILE, true);
    rig.play();
    let feeding = rig.feed(
        Pictures::at(25, 1).stream(42),
        Tones::silent(2_300 * MS).stream(),
    );
    let frames = rig.frames_until_eos();
    feeding.join();
    assert_eq!(frames.len(), 42);
    for (index, buffer) in (0..).zip(&frames) {
        assert!(is_untouched(buffer, index));
    }
    assert_eq!(rig.stat("frames-error"), 21 + 3);
    let warnings = rig.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("the test wants it"), "{warnings:?}");
    assert!(rig.errors().is_empty());
}

#[test]
fn a_frame_that_fails_ends_the_stream_where_that_is_wanted() {
    let element = element_with(failing());
    element.set_property_from_str("on-error", "error");
    let rig = Rig::stopped(element, FILE, true);
    rig.play();
    let feeding = rig.feed(
        Pictures::at(25, 1).stream(42),
        Tones::silent(2_300 * MS).stream(),
    );
    assert_eq!(rig.frames_until_eos().len(), 1);
    let flows = feeding.join();
    assert_eq!(flows[0].last(), Some(&Err(gst::FlowError::Error)));
    let errors = rig.errors();
    assert!(errors[0].contains("the test wants it"), "{errors:?}");
}

/// The error with which a change to READY fails.
fn set_up_error(properties: &[(&str, &str)]) -> (gst::glib::Error, gst::Element) {
    error_from_ready(properties, true)
}

/// The error that comes after a change to READY, when the networks are loaded.
fn loading_error(properties: &[(&str, &str)]) -> (gst::glib::Error, gst::Element) {
    error_from_ready(properties, false)
}

fn error_from_ready(
    properties: &[(&str, &str)],
    is_at_once: bool,
) -> (gst::glib::Error, gst::Element) {
    init();
    let element = gst::ElementFactory::make("lipsync").build().unwrap();
    for (name, value) in properties {
        element.set_property_from_str(name, value);
    }
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    let result = element.set_state(gst::State::Ready);
    assert_eq!(result.is_err(), is_at_once, "{properties:?}");
    let error = loaded(&bus).expect_err("a model that does not load");
    assert!(bus.pop_filtered(&[gst::MessageType::Error]).is_none());
    element.set_state(gst::State::Null).unwrap();
    element.set_bus(None);
    (error, element)
}

fn temporary(name: &str, content: &[u8]) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("faults");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

#[test]
fn a_model_that_is_not_there_is_named() {
    let (error, _) = set_up_error(&[("model", "/nowhere/model.toml")]);
    assert!(error.matches(gst::ResourceError::NotFound), "{error}");
    assert!(error.message().contains("/nowhere/model.toml"), "{error}");
}

#[test]
fn a_folder_without_manifest_is_named() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("empty-model");
    std::fs::create_dir_all(&folder).unwrap();
    let (error, _) = set_up_error(&[("model", folder.to_str().unwrap())]);
    assert!(error.matches(gst::ResourceError::NotFound), "{error}");
    assert!(error.message().contains("manifest"), "{error}");
}

#[test]
fn a_model_that_cannot_be_read_says_why() {
    let Some(library) = onnxruntime() else { return };
    let real =
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/face_detector.onnx"))
            .unwrap();
    let noise: Vec<u8> = (0..4096u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    for (name, content, is_at_once) in [
        ("empty.onnx", &[][..], true),
        ("truncated.onnx", &real[..real.len() / 2], false),
        ("noise.onnx", &noise[..], false),
        ("empty.toml", &[][..], true),
        ("noise.toml", &noise[..], true),
        ("model.bin", &noise[..], true),
    ] {
        let path = temporary(name, content);
        let properties = [
            ("model", path.to_str().unwrap()),
            ("onnxruntime-library", &library),
        ];
        let (error, element) = error_from_ready(&properties, is_at_once);
        assert!(error.matches(gst::ResourceError::Read), "{name}: {error}");
        assert!(error.message().contains(name), "{name}: {error}");
        // The element is as good as new.
        element.set_property("model", "/nowhere/else.toml");
        assert!(element.set_state(gst::State::Ready).is_err());
        element.set_state(gst::State::Null).unwrap();
    }
}

/// Who stops at the first error sees this one, and not that of an element whose buffers are refused.
#[test]
fn the_first_error_is_that_of_the_model() {
    let Some(library) = onnxruntime() else {
        return;
    };
    init();
    let model = temporary("greeting.onnx", b"hello\n");
    for _ in 0..10 {
        let pipeline = gst::parse::launch(&format!(
            "videotestsrc ! l.video_sink audiotestsrc ! l.audio_sink
             lipsyncbin name=l onnxruntime-library={library} model={} ! fakesink l.audio_src ! fakesink",
            model.display()
        ))
        .unwrap();
        // May fail at once or later.
        let _ = pipeline.set_state(gst::State::Playing);
        let patience = gst::ClockTime::try_from(PATIENCE).unwrap();
        let bus = pipeline.bus().unwrap();
        let message = bus.timed_pop_filtered(patience, &[gst::MessageType::Error]);
        let message = message.expect("an error");
        let gst::MessageView::Error(error) = message.view() else {
            unreachable!("filtered")
        };
        let text = error.error().to_string();
        assert!(text.contains("it is no ONNX file"), "{text}");
        pipeline.set_state(gst::State::Null).unwrap();
    }
}

#[test]
fn a_model_of_another_kind_says_what_it_is() {
    let Some(library) = onnxruntime() else { return };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/face_detector.onnx");
    let (error, _) = loading_error(&[
        ("model", path.to_str().unwrap()),
        ("onnxruntime-library", &library),
    ]);
    assert!(error.matches(gst::LibraryError::Settings), "{error}");
    assert!(error.message().contains("Found"), "{error}");
    assert!(error.message().contains("Expected"), "{error}");
}

#[test]
fn a_provider_that_is_not_there_is_named() {
    let Some(library) = onnxruntime() else { return };
    let (error, _) = set_up_error(&[
        ("execution-provider", "cuda"),
        ("onnxruntime-library", &library),
    ]);
    assert!(error.matches(gst::LibraryError::Init), "{error}");
    assert!(error.message().contains("cuda"), "{error}");
}

#[test]
fn libraries_with_operators_are_loaded_only_where_that_is_allowed() {
    let Some(library) = onnxruntime() else { return };
    let options = "tensorrt,trt_extra_plugin_lib_paths=/tmp/operators.so";
    let properties = [
        ("provider-options", options),
        ("onnxruntime-library", &library),
    ];
    let (error, element) = set_up_error(&properties);
    assert!(error.matches(gst::LibraryError::Init), "{error}");
    for part in ["trt_extra_plugin_lib_paths", "allow-custom-ops"] {
        assert!(error.message().contains(part), "{part}: {error}");
    }
    // They are TensorRT's, which this library does without.
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    element.set_property("allow-custom-ops", true);
    element.set_state(gst::State::Ready).unwrap();
    loaded(&bus).unwrap();
    element.set_state(gst::State::Null).unwrap();
}

#[test]
fn a_library_that_is_not_there_is_named_with_the_ways_out() {
    let (error, _) = set_up_error(&[("onnxruntime-library", "/nowhere/libonnxruntime.so")]);
    assert!(error.matches(gst::LibraryError::Init), "{error}");
    for part in [
        "/nowhere/libonnxruntime.so",
        "ORT_DYLIB_PATH",
        "xtask setup",
    ] {
        assert!(error.message().contains(part), "{part}: {error}");
    }
}

#[test]
fn a_library_that_is_something_else_is_refused() {
    let path = temporary("libonnxruntime.so", b"not a library");
    let (error, _) = set_up_error(&[("onnxruntime-library", path.to_str().unwrap())]);
    assert!(error.matches(gst::LibraryError::Init), "{error}");
    assert!(error.message().contains(path.to_str().unwrap()), "{error}");
}

#[test]
fn the_built_in_model_runs() {
    let Some(library) = onnxruntime() else { return };
    init();
    let element = gst::ElementFactory::make("lipsync")
        .property("onnxruntime-library", &library)
        .build()
        .unwrap();
    let rig = Rig::stopped(element, FILE, true);
    rig.play();
    let about = loaded(&rig.bus).unwrap();
    assert!(about.contains("MPL-2.0"), "{about}");
    assert_eq!(
        rig.element
            .property::<Option<String>>("active-execution-provider")
            .as_deref(),
        Some("cpu")
    );
    // No face on plain grey: every byte stays.
    let pictures = Pictures {
        format: gst_video::VideoFormat::I420,
        width: 320,
        height: 240,
        ..Pictures::at(25, 1)
    };
    let tones = Tones::of(1_500 * MS, 0..1_500 * MS);
    let feeding = rig.feed(pictures.stream(25), tones.stream());
    let frames = rig.frames_until_eos();
    feeding.join();
    assert_eq!(frames.len(), 25);
    for (index, buffer) in (0..).zip(&frames) {
        assert!(is_untouched(buffer, index), "frame {index}");
    }
    assert_eq!(rig.stat("frames-no-face"), 25);
}

/// A GStreamer tool that finds the plugin, with a registry of its own.
fn tool(name: &str, registry: &str) -> Command {
    let mut command = Command::new(name);
    command
        .env("GST_PLUGIN_PATH", crate::plugin::folder())
        .env("GST_REGISTRY", crate::plugin::registry(registry))
        .env("G_DEBUG", "fatal-warnings")
        .env_remove("ORT_DYLIB_PATH");
    command
}

#[test]
fn gst_inspect_needs_no_onnx_runtime() {
    let output = tool("gst-inspect-1.0", "inspect.bin")
        .env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so")
        .arg("lipsync")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    for part in [
        "Filter/Effect/Video/Audio",
        "sync-offset",
        "'audio'",
        "stats",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

/// While ONNX Runtime is still setting itself up.
#[test]
fn gst_launch_ends_in_order_when_another_element_fails_as_loading_begins() {
    // An error that comes before gst-launch-1.0 has entered its main loop leaves it there for ever,
    // with any element (its handler of messages quits a loop that does not run yet): hence the sleep.
    const PIPELINE: &str = "-f videotestsrc ! lipsync ! identity sleep-time=20000 \
                            ! identity error-after=1 ! fakesink";
    let Some(library) = onnxruntime() else {
        return;
    };
    for _ in 0..5 {
        let output = tool("gst-launch-1.0", "ends.bin")
            .env("ORT_DYLIB_PATH", &library)
            .args(PIPELINE.split(' '))
            .output()
            .expect("gst-launch-1.0 starts");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{}: {text}", output.status);
        assert!(text.contains("identity"), "{text}");
    }
}

#[test]
fn gst_launch_without_onnx_runtime_ends_at_once_and_says_why() {
    // Fills the registry, which has nothing to do with the time that is measured.
    let inspected = tool("gst-inspect-1.0", "launch.bin")
        .arg("lipsync")
        .output()
        .unwrap();
    assert!(inspected.status.success());
    let started = Instant::now();
    let output = tool("gst-launch-1.0", "launch.bin")
        .args(
            "videotestsrc ! lipsync onnxruntime-library=/nowhere/libonnxruntime.so ! fakesink"
                .split(' '),
        )
        .output()
        .unwrap();
    let took = started.elapsed();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{text}");
    assert!(text.contains("/nowhere/libonnxruntime.so"), "{text}");
    assert!(took < Duration::from_secs(2), "{took:?}");
}

/// The dynamic loader keeps such a path as it was given.
#[test]
fn a_plugin_path_that_is_relative_leads_to_the_library_that_was_set_up() {
    if onnxruntime().is_none() {
        return;
    }
    let output = tool("gst-launch-1.0", "relative.bin")
        .current_dir(crate::plugin::folder())
        .env("GST_PLUGIN_PATH", ".")
        .env("GST_DEBUG", "onnxruntime:4")
        .env("GST_DEBUG_NO_COLOR", "1")
        .args("-q videotestsrc num-buffers=3 ! lipsync ! fakesink".split(' '))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let said = text.lines().find(|line| line.contains("ONNX Runtime 1."));
    assert!(said.is_some_and(|line| line.contains("/.setup/")), "{text}");
}

#[test]
fn frames_whose_fields_lie_behind_each_other_are_refused() {
    let rig = Rig::new();
    let pictures = Pictures::at(25, 1);
    let info = gst_video::VideoInfo::builder(pictures.format, pictures.width, pictures.height)
        .fps(pictures.fps)
        .interlace_mode(gst_video::VideoInterlaceMode::Fields)
        .build();
    let caps = info.unwrap().to_caps().unwrap();
    let mut items = begin("video", &caps, &segment_from(0));
    items.extend((0..5).map(|index| pictures.frame(index).into()));
    items.push(end());
    let feeding = rig.feed(items, Tones::silent(1_000 * MS).stream());
    feeding.join();
    let errors = rig.errors();
    assert!(
        errors
            .iter()
            .any(|error| error.contains("interlace-mode=fields")),
        "{errors:?}"
    );
}

#[test]
fn a_model_whose_opening_panics_is_an_error() {
    let source = Source::Custom(Arc::new(|| panic!("as it is meant to here")));
    let rig = Rig::stopped(element_with(source), FILE, true);
    // Fails where that is known by then.
    let _ = rig.element.set_state(gst::State::Playing);
    let error = loaded(&rig.bus).unwrap_err().to_string();
    assert!(error.to_lowercase().contains("panicked"), "{error}");
}
