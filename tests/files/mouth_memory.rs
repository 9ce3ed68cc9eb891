//! A clip that is read twice: first what it shows of mouths is learned, then they are drawn from that.

use std::path::{Path, PathBuf};

use gst::prelude::*;

use crate::common::*;

/// A clip whose mouth is some 90 pixels wide, and a folder for what it shows.
fn clip(name: &str) -> Option<(PathBuf, PathBuf)> {
    let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/media/grid/s4_bbaf2a.mkv");
    if !clip.exists() {
        println!("skipped: no clips of the GRID corpus in ../shared/media/grid");
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("mouth-memory")
        .join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    Some((clip.canonicalize().ok()?, folder))
}

/// Reads the clip to its end with these properties. What `stats` says then, or the first error.
fn read(clip: &Path, properties: &str) -> Option<Result<gst::Structure, String>> {
    let library = onnxruntime()?;
    init();
    let pipeline = gst::parse::launch(&format!(
        "filesrc location={} ! decodebin name=d ! l.video_sink d. ! l.audio_sink
         lipsyncbin name=l onnxruntime-library={library} {properties} ! fakesink l.audio_src ! fakesink",
        clip.display()
    ));
    let pipeline = pipeline.unwrap().downcast::<gst::Pipeline>().unwrap();
    let bus = pipeline.bus().unwrap();
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let patience = gst::ClockTime::try_from(3 * PATIENCE).unwrap();
    // Where this fails there is an error on the bus.
    let _ = pipeline.set_state(gst::State::Playing);
    let end = bus
        .timed_pop_filtered(patience, &ends)
        .expect("the pipeline ends");
    let result = match end.view() {
        gst::MessageView::Error(error) => Err(error.error().to_string()),
        _ => Ok(pipeline.by_name("l").unwrap().property("stats")),
    };
    pipeline.set_state(gst::State::Null).unwrap();
    Some(result)
}

fn counts(stats: &gst::Structure) -> (u64, u64, u64, f64) {
    let count = |field| stats.get::<u64>(field).unwrap();
    (
        count("frames-bypassed"),
        count("frames-synced"),
        count("mouth-glimpses"),
        stats.get("mouth-memory-share").unwrap(),
    )
}

#[test]
fn what_a_first_reading_learns_a_second_one_draws_from() {
    let Some((clip, folder)) = clip("twice") else {
        return;
    };
    let file = folder.join("clip.mouths");
    let with = |memory: &str| format!("mouth-memory={memory} mouth-memory-file={}", file.display());
    let Some(learned) = read(&clip, &with("learn")) else {
        return;
    };
    let learned = learned.unwrap();
    let (bypassed, synced, ..) = counts(&learned);
    assert!(bypassed > 50);
    assert_eq!((Ok(bypassed), synced), (learned.get("frames-out"), 0));
    let left: Vec<_> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(left, [file.as_path()]);
    let [live, twice] = ["mouth-memory=live", &with("clip")].map(|properties| {
        let stats = read(&clip, properties)
            .expect("there is ONNX Runtime")
            .unwrap();
        counts(&stats)
    });
    assert!(twice.2 >= 2 && twice.2 >= live.2, "{twice:?} {live:?}");
    assert!(twice.3 > live.3 + 0.05, "{twice:?} {live:?}");
    // What is remembered is drawn from as before.
    let off = read(&clip, "mouth-memory=off")
        .expect("there is ONNX Runtime")
        .unwrap();
    assert_eq!((counts(&off).2, counts(&off).3), (0, 0.0));
}

#[test]
fn a_file_that_is_not_there_or_holds_something_else_is_refused() {
    let Some((clip, folder)) = clip("refused") else {
        return;
    };
    let nowhere = folder.join("nowhere");
    let other = folder.join("other");
    std::fs::write(&other, "some text that is long enough").unwrap();
    for (memory, file, expected) in [
        ("clip", nowhere.to_str().unwrap(), "nowhere"),
        ("clip", other.to_str().unwrap(), "mouth-memory=learn"),
        ("learn", "\"\"", "mouth-memory-file"),
        ("learn", "/nowhere/at/all", "/nowhere/at/all"),
    ] {
        let properties = format!("mouth-memory={memory} mouth-memory-file={file}");
        let Some(result) = read(&clip, &properties) else {
            return;
        };
        let error = result.unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
