//! Models that are broken or mean harm: each is refused with what was found, what was wanted and
//! what to do, or costs single frames.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    common::*,
    onnx::{Dim, Linear},
};
use gst::prelude::*;
use lipsync_core::{
    Error, assembly,
    catalogue::Source,
    generator::OpenGenerator,
    inference::{self, ModelSource},
};

/// The folder above the models' own, with a network that none of them may read.
fn outside() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("models");
    fs::create_dir_all(&folder).unwrap();
    // In one step, as tests run beside each other.
    let (process, thread) = (std::process::id(), std::thread::current().id());
    let copy = folder.join(format!("copy-{process}-{thread:?}"));
    fs::write(&copy, network([0.0; 3])).unwrap();
    fs::rename(&copy, folder.join("secret.onnx")).unwrap();
    folder
}

/// A model folder of its own for each test, with a network in it.
fn folder(name: &str) -> PathBuf {
    let folder = outside().join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("net.onnx"), network([0.0; 3])).unwrap();
    folder
}

fn network(bias: [f32; 3]) -> Vec<u8> {
    let network = Linear {
        size: 32,
        batch: Dim::Fixed(1),
        names: ["mel", "face", "drawn"],
        channels: [[0.0; 6]; 3],
        hears: [1, 80, 16],
        window: vec![0.0; 3 * 80 * 16],
        bias,
    };
    network.bytes()
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Opens the folder with a manifest that names this file.
fn open(folder: &Path, file: &str, sha256: &str) -> Result<OpenGenerator, Error> {
    let manifest = format!(
        "version = 1\nfamily = \"wav2lip\"\nname = \"a test\"\nlicence = \"MPL-2.0\"\n\
         source = \"here\"\nfiles.generator = {{ path = \"{file}\", sha256 = \"{sha256}\" }}\n"
    );
    fs::write(folder.join("manifest.toml"), manifest).unwrap();
    open_path(folder)
}

fn open_path(path: &Path) -> Result<OpenGenerator, Error> {
    assembly::open_generator(&Source::Path(path.into()), &inference::Options::default())
}

/// The reason for which a manifest or a network is not read.
fn reason<T>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::ModelUnreadable { reason, .. }) => reason,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it was opened"),
    }
}

fn has_runtime() -> bool {
    let loaded = inference::onnx::load(None, inference::Provider::Cpu);
    if let Err(err) = &loaded {
        println!("skipped: {err}");
    }
    loaded.is_ok()
}

#[test]
fn a_file_must_have_the_hash_that_the_manifest_gives() {
    if !has_runtime() {
        return;
    }
    let folder = folder("hash");
    let hash = sha256(&network([0.0; 3]));
    let opened = open(&folder, "net.onnx", &hash).unwrap();
    assert_eq!(opened.about, "a test, licence: MPL-2.0, source: here");
    open(&folder, "net.onnx", &hash.to_uppercase()).unwrap();
    open(&folder, "net.onnx", "").unwrap();

    fs::write(folder.join("net.onnx"), network([0.5; 3])).unwrap();
    let reason_of_change = reason(open(&folder, "net.onnx", &hash));
    assert!(reason_of_change.contains(&hash), "{reason_of_change}");
    let found = sha256(&network([0.5; 3]));
    assert!(reason_of_change.contains(&found), "{reason_of_change}");
    for wrong in ["abc", &"g".repeat(64), &hash[1..]] {
        let reason = reason(open(&folder, "net.onnx", wrong));
        assert!(reason.contains("64 hexadecimal digits"), "{reason}");
    }
}

#[test]
fn the_built_in_model_has_the_hashes_of_its_manifest() {
    if !has_runtime() {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/builtin");
    let opened = open_path(&folder).unwrap();
    assert!(opened.about.contains("MPL-2.0"), "{}", opened.about);
}

#[test]
fn nothing_outside_the_models_folder_is_read() {
    let folder = folder("outside");
    let absolute = outside().join("secret.onnx").display().to_string();
    fs::create_dir(folder.join("below")).unwrap();
    std::os::unix::fs::symlink("../secret.onnx", folder.join("link.onnx")).unwrap();
    std::os::unix::fs::symlink("..", folder.join("up")).unwrap();
    for file in [
        "../secret.onnx",
        "below/../../secret.onnx",
        "./../secret.onnx",
        &absolute,
        "link.onnx",
        "up/secret.onnx",
    ] {
        let reason = reason(open(&folder, file, ""));
        assert!(reason.contains(file), "{reason}");
        assert!(reason.contains("outside its own folder"), "{reason}");
    }
    // A link within the folder is as good as the file.
    if has_runtime() {
        std::os::unix::fs::symlink("net.onnx", folder.join("inner.onnx")).unwrap();
        open(&folder, "inner.onnx", "").unwrap();
        open(&folder, "./net.onnx", "").unwrap();
    }
}

#[test]
fn a_file_that_is_missing_is_named_with_its_manifest() {
    let folder = folder("missing");
    match open(&folder, "none.onnx", "") {
        Err(Error::ModelNotFound { path, reason }) => {
            assert_eq!(path, folder.join("none.onnx"));
            assert!(reason.contains("manifest.toml"), "{reason}");
        }
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it was opened"),
    }
}

#[test]
fn a_manifest_without_end_is_not_read_to_its_end() {
    let folder = folder("endless");
    let manifest = folder.join("manifest.toml");
    // Sparse: takes no room on the disk.
    let file = fs::File::create(&manifest).unwrap();
    file.set_len(100_000_000).unwrap();
    let too_large = reason(open_path(&folder));
    assert!(too_large.contains("100000000 bytes"), "{too_large}");
    fs::write(&manifest, "#".repeat((1 << 20) + 1)).unwrap();
    let too_large = reason(open_path(&folder));
    assert!(too_large.contains("at most 1048576"), "{too_large}");
    fs::remove_file(&manifest).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &manifest).unwrap();
    let device = reason(open_path(&manifest));
    assert!(device.contains("not a regular file"), "{device}");
}

#[test]
fn impossible_shapes_are_told_with_those_that_are_wanted() {
    if !has_runtime() {
        return;
    }
    let folder = folder("shapes");
    let huge = [Dim::Fixed(1), Dim::Fixed(6), Dim::Fixed(1 << 30)];
    for model in [
        crate::onnx::doubling(crate::onnx::FLOAT, &[Dim::Fixed(4)]),
        crate::onnx::doubling(crate::onnx::INT64, &[Dim::Fixed(4)]),
        crate::onnx::doubling(crate::onnx::FLOAT, &huge),
        crate::onnx::doubling(crate::onnx::FLOAT, &[Dim::Fixed(0)]),
    ] {
        fs::write(folder.join("net.onnx"), model).unwrap();
        match open(&folder, "net.onnx", "") {
            Err(Error::ModelMismatch {
                found, expected, ..
            }) => {
                assert!(found.contains('x'), "{found}");
                assert!(!expected.is_empty());
            }
            Err(other) => panic!("another error: {other}"),
            Ok(_) => panic!("it was opened"),
        }
    }
}

#[test]
fn weights_are_read_beside_the_model_and_nowhere_else() {
    if !has_runtime() {
        return;
    }
    let folder = folder("weights");
    let weights: Vec<u8> = [1.0f32, 2.0, 3.0, 4.0]
        .iter()
        .flat_map(|weight| weight.to_le_bytes())
        .collect();
    fs::write(folder.join("weights.bin"), &weights).unwrap();
    fs::write(outside().join("secret.bin"), &weights).unwrap();
    std::os::unix::fs::symlink("../secret.bin", folder.join("link.bin")).unwrap();
    let open = |location: &str| {
        let path = folder.join("net.onnx");
        fs::write(&path, crate::onnx::with_weights_in(location)).unwrap();
        inference::onnx::open(
            ModelSource::File(&path),
            &inference::Options::default(),
            &[],
        )
    };
    let mut network = open("weights.bin").unwrap().network;
    network.run().unwrap();
    assert_eq!(network.output(0), [1.0, 2.0, 3.0, 4.0]);
    let absolute = outside().join("secret.bin").display().to_string();
    for location in ["../secret.bin", "link.bin", &absolute, "none.bin"] {
        let reason = reason(open(location));
        assert!(reason.contains(location), "{reason}");
    }
}

#[test]
fn weights_that_claim_more_than_their_file_has_are_refused() {
    if !has_runtime() {
        return;
    }
    let folder = folder("claims");
    fs::write(folder.join("weights.bin"), [0; 16]).unwrap();
    for (count, offset, length) in [
        (4, "8", "16"),
        (4, "-16", "16"),
        (4, "9223372036854775800", "16"),
        (1 << 20, "0", "4194304"),
        (1 << 36, "0", "274877906944"),
        (u64::MAX >> 2, "0", "18446744073709551612"),
    ] {
        let path = folder.join("net.onnx");
        fs::write(
            &path,
            crate::onnx::with_weights("weights.bin", count, offset, length),
        )
        .unwrap();
        let opened = inference::onnx::open(
            ModelSource::File(&path),
            &inference::Options::default(),
            &[],
        );
        match opened {
            Err(Error::ModelUnreadable { reason, .. } | Error::Inference { reason, .. }) => {
                assert!(!reason.is_empty());
            }
            Err(Error::ModelMismatch { .. }) => (),
            Err(other) => panic!("{count} at {offset}: another error: {other}"),
            Ok(_) => panic!("{count} at {offset}, {length} bytes: it was opened"),
        }
    }
}

#[test]
fn operators_of_somebody_elses_library_are_unknown() {
    if !has_runtime() {
        return;
    }
    let folder = folder("operators");
    fs::write(folder.join("net.onnx"), crate::onnx::with_custom_operator()).unwrap();
    let reason = reason(open(&folder, "net.onnx", ""));
    assert!(
        reason.contains("evil") || reason.contains("Steal"),
        "{reason}"
    );
}

#[test]
fn an_output_that_changes_its_shape_is_a_fault_of_that_run() {
    if !has_runtime() {
        return;
    }
    let data = crate::onnx::with_shape_of_its_data();
    let source = ModelSource::Bytes {
        name: "test",
        data: &data,
    };
    let opened = inference::onnx::open(source, &inference::Options::default(), &[]).unwrap();
    let mut network = opened.network;
    for filled in [4, 2, 0] {
        network.input(0).fill(0.0);
        network.input(0)[..filled].fill(1.0);
        match network.run() {
            Err(Error::Inference { name, reason }) => {
                assert_eq!(name, "test");
                assert!(filled > 0 && !reason.is_empty(), "{reason}");
            }
            Err(other) => panic!("another error: {other}"),
            Ok(()) => assert_eq!(filled, 0),
        }
    }
}

/// Frames of 25 a second; the GPU is lost at the tenth.
const LOST_NS: i64 = 10 * 40 * MS as i64;
const FRAMES: u64 = 25;

/// A generator whose provider can be lost: from then on every frame fails. Turns the first pixel
/// round.
fn on_card(is_lost: Arc<AtomicBool>) -> StandIn<Arc<AtomicBool>> {
    StandIn {
        name: "on card",
        batch: 1,
        state: is_lost,
        listen: |is_lost, heard| {
            if heard.time_ns >= LOST_NS {
                is_lost.store(true, Ordering::Relaxed);
            }
            Ok(0.0)
        },
        draw: |is_lost, _| match is_lost.load(Ordering::Relaxed) {
            true => Err(Error::Inference {
                name: "on card".into(),
                reason: "the device was lost".into(),
            }),
            false => Ok(()),
        },
        sample: |_| (),
        paint: |_, view, _, _| view.planes[0].data[0] ^= 0xff,
    }
}

#[test]
fn a_provider_that_fails_in_mid_stream_costs_frames_until_the_next_ready() {
    let is_lost = Arc::new(AtomicBool::new(false));
    let source = {
        let is_lost = is_lost.clone();
        // Who starts anew finds a GPU that works.
        Source::Custom(Arc::new(move || {
            is_lost.store(false, Ordering::Relaxed);
            Box::new(on_card(is_lost.clone()))
        }))
    };
    let rig = Rig::stopped(element_with(source), FILE, true);
    for _ in 0..2 {
        rig.play();
        let feeding = rig.feed(
            Pictures::at(25, 1).stream(FRAMES),
            Tones::of(1_500 * MS, 0..1_500 * MS).stream(),
        );
        let frames = rig.frames_until_eos();
        feeding.join();
        assert_eq!(frames.len(), FRAMES as usize);
        for (index, buffer) in (0..).zip(&frames) {
            assert_eq!(is_untouched(buffer, index), index >= 10, "frame {index}");
        }
        assert_eq!(rig.stat("frames-synced"), 10);
        assert_eq!(rig.stat("frames-error"), FRAMES - 10);
        assert!(is_lost.load(Ordering::Relaxed));
        let warnings = rig.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("the device was lost"), "{warnings:?}");
        assert!(rig.errors().is_empty());
        rig.element.set_state(gst::State::Null).unwrap();
    }
}

/// Kinds of the PROGRESS messages so far, and the text of the last one.
fn progress(bus: &gst::Bus) -> (Vec<gst::ProgressType>, String) {
    let mut kinds = Vec::new();
    let mut last = String::new();
    while let Some(message) = bus.pop_filtered(&[gst::MessageType::Progress]) {
        let gst::MessageView::Progress(progress) = message.view() else {
            unreachable!()
        };
        let (kind, code, text) = progress.get();
        assert_eq!(code, "open-model");
        kinds.push(kind);
        last = text.to_string();
    }
    (kinds, last)
}

#[test]
fn after_a_model_that_is_refused_another_one_runs() {
    use gst::ProgressType::{Complete, Continue, Error, Start};
    if !has_runtime() {
        return;
    }
    init();
    let patience = gst::ClockTime::try_from(PATIENCE).unwrap();
    let folder = folder("again");
    let _ = open(&folder, "../secret.onnx", "");
    let element = gst::ElementFactory::make("lipsync").build().unwrap();
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    element.set_property("model", folder.to_str().unwrap());
    assert!(element.set_state(gst::State::Ready).is_err());
    assert_eq!(progress(&bus).0, [Start, Error]);
    element.set_state(gst::State::Null).unwrap();
    element.set_bus(Some(&bus));
    open(&folder, "net.onnx", "").unwrap();
    element.set_state(gst::State::Ready).unwrap();
    let (mut kinds, mut about) = progress(&bus);
    while kinds.last() != Some(&Complete) {
        let message = bus.timed_pop_filtered(patience, &[gst::MessageType::Progress]);
        let message = message.expect("the model is loaded in time");
        let gst::MessageView::Progress(progress) = message.view() else {
            unreachable!()
        };
        kinds.push(progress.get().0);
        about = progress.get().2.to_string();
    }
    assert_eq!(kinds, [Start, Continue, Continue, Complete]);
    assert_eq!(about, "a test, licence: MPL-2.0, source: here");
    assert!(
        element
            .property::<Option<String>>("active-execution-provider")
            .is_some()
    );
    element.set_state(gst::State::Null).unwrap();
}
