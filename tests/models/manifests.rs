//! The manifests of `examples/manifests/`: each describes a network that loads.

use std::path::{Path, PathBuf};

use crate::{
    onnx::{self, Dim, Linear},
    opening::opened,
};

/// Bands and columns of WeNet's and numbers that a stand-in makes of them.
const WENET: (u64, u64) = (67, 4);

/// The networks of a model.
struct StandIn {
    manifest: &'static str,
    /// By their keys in the manifest.
    files: Vec<(&'static str, Vec<u8>)>,
    look_ahead_ms: f64,
}

fn stand_ins() -> Vec<StandIn> {
    let linear = |size: u64, hears: [u64; 3]| {
        let network = Linear {
            size,
            batch: Dim::Open("N"),
            names: ["audio", "input", "output"],
            channels: [onnx::only(0), onnx::only(1), onnx::only(2)],
            hears,
            window: vec![0.0; 3 * hears.iter().product::<u64>() as usize],
            bias: [0.0; 3],
        };
        network.bytes()
    };
    let hubert = include_bytes!("../data/hubert_tiny.onnx").to_vec();
    let wenet = onnx::streaming(WENET.0, [[0, 0], [1, 1]]);
    let stand_in = |manifest, network, encoder: Option<Vec<u8>>, look_ahead_ms| {
        let encoder = encoder.map(|encoder| ("audio-encoder", encoder));
        StandIn {
            manifest,
            files: [("generator", network)]
                .into_iter()
                .chain(encoder)
                .collect(),
            look_ahead_ms,
        }
    };
    let musetalk = StandIn {
        manifest: "musetalk",
        files: vec![
            (
                "generator",
                include_bytes!("../data/musetalk/unet.onnx").to_vec(),
            ),
            (
                "image-encoder",
                include_bytes!("../data/musetalk/vae_encoder.onnx").to_vec(),
            ),
            (
                "image-decoder",
                include_bytes!("../data/musetalk/vae_decoder.onnx").to_vec(),
            ),
            (
                "audio-encoder",
                include_bytes!("../data/musetalk/whisper.onnx").to_vec(),
            ),
        ],
        look_ahead_ms: 152.5,
    };
    let dinet = StandIn {
        manifest: "dinet",
        files: vec![
            (
                "generator",
                include_bytes!("../data/dinet/dinet.onnx").to_vec(),
            ),
            (
                "audio-encoder",
                include_bytes!("../data/dinet/deepspeech.onnx").to_vec(),
            ),
        ],
        look_ahead_ms: 965.0,
    };
    vec![
        musetalk,
        dinet,
        stand_in("wav2lip", linear(96, [1, 80, 16]), None, 212.5),
        stand_in("edtalk", onnx::edtalk(256, 0, 0), None, 212.5),
        stand_in(
            "synctalk-2d-ave",
            linear(320, [32, 16, 16]),
            Some(onnx::encoder(["m", "f"], 512)),
            452.5,
        ),
        stand_in(
            "synctalk-2d-hubert",
            linear(320, [32, 4, 4]),
            Some(hubert.clone()),
            985.0,
        ),
        stand_in(
            "ultralight-wenet",
            linear(160, [8, 1, WENET.1]),
            Some(wenet),
            515.0,
        ),
        stand_in(
            "ultralight-hubert",
            linear(160, [16, 4, 4]),
            Some(hubert),
            825.0,
        ),
    ]
}

fn templates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/manifests")
}

/// The file that a manifest names with this key.
fn named(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    line.split('"').nth(1).map(str::to_owned)
}

#[test]
fn every_manifest_loads_with_networks_of_its_shapes() {
    let stand_ins = stand_ins();
    let mut files: Vec<_> = std::fs::read_dir(templates())
        .expect("the folder")
        .map(|entry| {
            entry
                .expect("a file")
                .file_name()
                .into_string()
                .expect("a name")
        })
        .collect();
    files.sort();
    let mut known: Vec<_> = stand_ins
        .iter()
        .map(|one| format!("{}.toml", one.manifest))
        .collect();
    known.sort();
    assert_eq!(files, known, "each has a stand-in here");
    for stand_in in stand_ins {
        let file = templates().join(format!("{}.toml", stand_in.manifest));
        let text = std::fs::read_to_string(file).expect("a manifest");
        let folder = crate::opening::folder("manifests", stand_in.manifest);
        std::fs::write(folder.join("manifest.toml"), &text).expect("a file");
        for (key, bytes) in stand_in.files {
            let name = named(&text, key).unwrap_or_else(|| panic!("it names no {key}"));
            std::fs::write(folder.join(name), bytes).expect("a file");
        }
        let Some(generator) = opened(&folder) else {
            return;
        };
        let look_ahead_ns = generator.hearing().look_ahead_ns;
        assert_eq!(
            look_ahead_ns as f64 / 1e6,
            stand_in.look_ahead_ms,
            "{}",
            stand_in.manifest
        );
    }
}
