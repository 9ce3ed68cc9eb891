//! Networks made for one person: the U-Nets of SyncTalk_2D, Ultralight-Digital-Human and Duix,
//! which see the face as it is and with a black rectangle, and hear rows of features.
//!
//! `docs/models.md`.

use std::path::Path;

use toml::{Table, Value};

use crate::{
    families::redraw::{
        self, Contract, Ports, Usual,
        recipe::{Features, Tensors, file, table},
    },
    inference::{Network, TensorInfo},
    rect::{Area, Size},
    sound::BANDS,
};

/// Rows in a window of Ultralight, which SyncTalk_2D doubled.
const ULTRALIGHT_ROWS: usize = 8;

pub const UNET: Contract = Contract {
    name: "unet",
    shapes: "face [N, 6, S, S], features [N, ...] -> [N, 3, S, S]",
    // SyncTalk_2D's `inference_328.py`.
    defaults: r#"
        [image]
        planes = ["reference", "masked"]
        [crop]
        box = "landmarks-110"
        pads = [0, 0, 0, 0]
        border = 4
        scale = "cubic"
        [sound]
        features = "ave"
        [blend]
        scale = "cubic"
    "#,
    channels: 6,
    others: 0,
    usual: &[
        // SyncTalk_2D with any encoder; Ultralight.
        Usual {
            size: Size::square(320),
            features: Features::Ave,
            rows: 16,
        },
        Usual {
            size: Size::square(320),
            features: Features::Wenet,
            rows: 16,
        },
        Usual {
            size: Size::square(320),
            features: Features::Hubert,
            rows: 16,
        },
        Usual {
            size: Size::square(160),
            features: Features::Wenet,
            rows: ULTRALIGHT_ROWS,
        },
        Usual {
            size: Size::square(160),
            features: Features::Hubert,
            rows: ULTRALIGHT_ROWS,
        },
    ],
    // In all of them 5 pixels remain on the left, the right and the top, and 10 below.
    in_latents: false,
    mask: |size| Area {
        x: 5,
        y: 5,
        width: size.width.saturating_sub(10),
        height: size.height.saturating_sub(15),
    },
    ports,
    bare,
};

fn ports(network: &dyn Network, names: &Tensors) -> Option<Ports> {
    // What is not the picture is the sound; that of Wav2Lip is another family.
    let is_features =
        |shape: &[usize]| matches!(*shape, [_, _, ..]) && !matches!(*shape, [_, 1, BANDS, _]);
    redraw::ports(
        network,
        names,
        UNET.channels,
        redraw::is_square,
        is_features,
    )
    .filter(|_| network.inputs().len() == 2)
}

/// What a manifest would say of the network `path` that has none, by the shape of what it hears:
/// with the audio encoder that lies beside it. `None` when no network of these families is known
/// to hear that.
fn bare(sound: &TensorInfo, path: &Path) -> Option<Table> {
    let (features, rows) = match *sound.shape {
        [_, 32, 16, 16] => ("ave", 16),
        [_, 32, 32, 32] => ("hubert", 16),
        [_, 16, 32, 32] => ("hubert", ULTRALIGHT_ROWS),
        [_, 256, 16, 32] => ("wenet", 16),
        [_, 128, 16, 32] => ("wenet", ULTRALIGHT_ROWS),
        _ => return None,
    };
    let sound = table([
        ("features", features.into()),
        ("rows", Value::from(rows as i64)),
        ("rows-before", Value::from(rows as i64 / 2)),
    ]);
    let mut said = table([("sound", sound.into())]);
    if let Some(encoder) = encoder_beside(path, features) {
        let files = table([("audio-encoder", file(Path::new(&encoder)).into())]);
        said.insert("files".into(), files.into());
    }
    if rows == ULTRALIGHT_ROWS {
        said.insert("crop".into(), table([("scale", "area".into())]).into());
        said.insert("blend".into(), table([("scale", "linear".into())]).into());
    }
    Some(said)
}

/// The audio encoder that belongs to the bare network `NAME.onnx`: `NAME-FEATURES.onnx`, or the
/// name that its export has. Where it may lie is for who reads it to check.
fn encoder_beside(path: &Path, features: &str) -> Option<String> {
    let stem = path.file_stem()?.to_string_lossy();
    let original = match features {
        "ave" => "audio_encoder.onnx",
        "hubert" => "hubert.onnx",
        _ => "encoder.onnx",
    };
    [format!("{stem}-{features}.onnx"), original.to_owned()]
        .into_iter()
        .find(|name| path.with_file_name(name).is_file())
}
