//! Frames of every family, whose network that draws runs on Triton: the same bytes as drawn here.
//!
//! The networks are small ones of the families' shapes with random weights; where `cargo xtask bench` has made networks of the
//! originals' sizes, these too.

use std::path::{Path, PathBuf};

use lipsync_core::{
    assembly::Config,
    catalogue::Source,
    inference::{OnUnreachable, Options},
};

use crate::{
    common::onnxruntime,
    networks::{options, with, with_timeout},
    onnx::{self, Dim, Linear},
    opening::{folder, write_manifest},
    real::{ONE, frames, renderer},
    triton::{STARTING, Served, Triton},
};

const FRAMES: i64 = 6;
/// Features in a window of AVE.
const LENGTH: usize = 512;

/// A model with its files.
struct Model {
    /// Its name on the server, and its folder's.
    name: String,
    source: Source,
    network: Vec<u8>,
}

fn random(size: u64, names: [&str; 3], hears: [u64; 3]) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(size);
    let heard: u64 = hears.iter().product();
    let mut weights = |scale: f32| scale * (random.f32() - 0.5);
    let network = Linear {
        size,
        batch: Dim::Open("batch"),
        names,
        channels: std::array::from_fn(|_| std::array::from_fn(|_| weights(0.6))),
        hears,
        window: (0..3 * heard).map(|_| weights(0.01)).collect(),
        bias: [0.4; 3],
    };
    network.bytes()
}

/// Written to a folder, with a manifest that has these lines.
fn model(family: &str, name: &str, network: Vec<u8>, lines: &str) -> Model {
    let folder = folder("served", name);
    std::fs::write(folder.join("net.onnx"), &network).unwrap();
    write_manifest(&folder, family, name, lines);
    let manifest = std::fs::read_to_string(folder.join("manifest.toml")).unwrap();
    let served_as = format!("path = \"net.onnx\", served-as = \"{name}\"");
    let manifest = manifest.replacen("path = \"net.onnx\"", &served_as, 1);
    std::fs::write(folder.join("manifest.toml"), manifest).unwrap();
    Model {
        name: name.into(),
        source: Source::Path(folder),
        network,
    }
}

fn models() -> Vec<Model> {
    const MEL: [u64; 3] = [1, 80, 16];
    let wav2lip = |name, size, names| model("wav2lip", name, random(size, names, MEL), "");
    let unet = model(
        "unet",
        "unet-328",
        random(320, ["audio", "input", "output"], [32, 16, 16]),
        "files.audio-encoder = { path = \"ave.onnx\", sha256 = \"\" }",
    );
    let encoder = onnx::encoder(["mel_spectrogram", "audio_features"], LENGTH);
    std::fs::write(folder("served", "unet-328").join("ave.onnx"), encoder).unwrap();
    vec![
        wav2lip(
            "wav2lip-96",
            96,
            ["mel_spectrogram", "video_frames", "predicted_frames"],
        ),
        wav2lip("wav2lip-256", 256, ["source", "target", "output"]),
        wav2lip(
            "nota-96",
            96,
            ["audio_sequences", "face_sequences", "output"],
        ),
        unet,
        model("edtalk", "edtalk-256", onnx::edtalk(256, 23, 11), ""),
    ]
}

/// Those of the benchmark, and what `training/edtalk.py` writes.
fn large_models() -> Vec<Model> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../bench/models");
    let names = [
        "wav2lip-96",
        "wav2lip-256",
        "nota-96",
        "unet-328",
        "edtalk-256",
    ];
    let model = |name: &str| {
        let manifest: PathBuf = folder.join(format!("{name}.toml"));
        let network = std::fs::read(folder.join(format!("{name}.onnx"))).ok()?;
        Some(Model {
            name: name.into(),
            source: Source::Path(manifest),
            network,
        })
    };
    names.into_iter().filter_map(model).collect()
}

/// Whether Triton draws the same frames. Nothing where it is not installed.
fn check(test: &str, models: &[Model]) {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if onnxruntime().is_none() {
        return;
    }
    let served = models.iter().map(|model| Served {
        network: &model.network,
        ..renderer(&model.name)
    });
    let Some(triton) = Triton::start(test, &served.collect::<Vec<_>>(), &[]) else {
        return;
    };
    for model in models {
        for shares in ["no", "yes"] {
            let remote = with(
                options(&triton.address(), OnUnreachable::Error),
                &[("shared-memory", shares), ("model", &model.name)],
            );
            let remote = with_timeout(remote, STARTING);
            let draw = |runtime: &Options| {
                let config = Config {
                    generator: model.source.clone(),
                    runtime: runtime.clone(),
                    ..Config::default()
                };
                frames(&config, FRAMES)
            };
            let (Some(drawn), Some(expected)) = (draw(&remote), draw(&remote.local())) else {
                return;
            };
            assert!(drawn == expected, "{}", model.name);
            assert!(expected.windows(2).any(|pair| pair[0] != pair[1]));
            let counts = remote.calls.counts();
            assert_eq!((counts.calls, counts.errors), (FRAMES as u64, 0));
            assert_eq!(counts.bytes_out == 0, shares == "yes", "{}", model.name);
        }
    }
}

#[test]
fn all_families_are_drawn_the_same_there() {
    check("families", &models());
}

#[test]
fn networks_of_the_originals_sizes_are_drawn_the_same_there() {
    let models = large_models();
    if models.is_empty() {
        println!("skipped: no networks in target/bench/models, run `cargo xtask bench --python`");
        return;
    }
    check("large", &models);
}
