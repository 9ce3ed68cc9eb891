//! A folder that `training/personalize.py` writes is a model that the element runs. Wants a Python with what
//! `training/requirements.txt` names: `LIPSYNC_PYTHON`, or the one in `.setup/python`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{common::*, picture::Picture};
use gst::prelude::*;

const WIDTH: u32 = 360;
const HEIGHT: u32 = 446;
const FRAMES: usize = 80;
const SPEECH: &str = "speech.wav";
/// Buffers of `wavparse`, 4096 bytes each: as long as the frames.
const SPEECH_BUFFERS: usize = 25;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A Python that can train, or `None`, with the reason printed.
fn python() -> Option<PathBuf> {
    let python = std::env::var_os("LIPSYNC_PYTHON")
        .map_or_else(|| root().join(".setup/python/bin/python"), PathBuf::from);
    let modules = "import cv2, numpy, onnx, onnxruntime, torch";
    let found = Command::new(&python).args(["-c", modules]).output();
    if !found.is_ok_and(|found| found.status.success()) {
        println!("skipped: {} has no PyTorch", python.display());
        return None;
    }
    Some(python)
}

fn launch(description: &str) {
    let pipeline = gst::parse::launch(description);
    let pipeline = pipeline.unwrap_or_else(|err| panic!("{err}: {description}"));
    pipeline.set_state(gst::State::Playing).unwrap();
    let bus = pipeline.bus().unwrap();
    let wait = 5 * gst::ClockTime::try_from(PATIENCE).unwrap();
    let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
    let end = bus
        .timed_pop_filtered(wait, &kinds)
        .expect("the pipeline ends");
    assert_eq!(end.type_(), gst::MessageType::Eos, "{end:?}: {description}");
    pipeline.set_state(gst::State::Null).unwrap();
}

/// A painting that says a few words, as a clip.
fn clip(folder: &Path, library: &str) -> Option<PathBuf> {
    Picture::load("young-woman-in-mauve.jpg")?;
    let media = root().join("media");
    let clip = folder.join("clip.mkv");
    launch(&format!(
        "filesrc location={picture} ! jpegdec ! imagefreeze num-buffers={FRAMES} ! videoscale ! videoconvert
            ! video/x-raw,format=I420,width={WIDTH},height={HEIGHT},framerate=25/1 ! l.video
         filesrc location={speech} ! wavparse ! identity eos-after={SPEECH_BUFFERS} ! audioconvert ! audioresample
            ! audio/x-raw,format=S16LE,rate=16000,channels=1 ! tee name=t
         t. ! queue max-size-time=0 max-size-bytes=0 max-size-buffers=0 ! l.audio
         lipsync name=l onnxruntime-library={library} ! jpegenc quality=95 ! queue ! mux.
         t. ! queue max-size-time=0 max-size-bytes=0 max-size-buffers=0 ! mux.
         matroskamux name=mux ! filesink location={clip}",
        picture = media.join("young-woman-in-mauve.jpg").display(),
        speech = media.join(SPEECH).display(),
        clip = clip.display(),
    ));
    Some(clip)
}

#[test]
fn the_folder_that_is_written_is_a_model_that_runs() {
    let Some(python) = python() else { return };
    let Some(library) = onnxruntime() else { return };
    init();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("personalize");
    let out = folder.join("model");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let Some(clip) = clip(&folder, &library) else {
        return;
    };
    let done = Command::new(python)
        .arg(root().join("training/personalize.py"))
        .args(["--steps", "2", "--minutes", "1", "--models"])
        .arg(root().join("models"))
        .arg("--clip")
        .arg(&clip)
        .arg("--out")
        .arg(&out)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(
        done.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(said.contains("correlation, first frame frozen"), "{said}");
    assert!(said.contains("inside of the mouth: "), "{said}");
    assert!(
        said.contains("Personal: ") || said.contains("No gain"),
        "{said}"
    );
    let about = std::fs::read_to_string(out.join("README.md")).unwrap();
    assert!(about.contains("clip.mkv"), "{about}");
    assert!(out.join("NOTICE").is_file());

    // The hashes in the manifest are checked here, and the tensors.
    let element = gst::ElementFactory::make("lipsync")
        .property("onnxruntime-library", &library)
        .property("model", out.to_str().unwrap())
        .build()
        .unwrap();
    let rig = Rig::stopped(element, FILE, true);
    rig.play();
    let said = loaded(&rig.bus).unwrap();
    assert!(said.contains("Mouth of one person"), "{said}");
}
