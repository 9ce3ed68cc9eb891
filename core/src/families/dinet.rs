//! DINet: a face with a black mouth, five pictures of it from other frames, and what DeepSpeech hears.
//!
//! Zhang et al., "DINet: Deformation Inpainting Network for Realistic Face Visually Dubbing on High Resolution
//! Video", 2023. `docs/models.md`.

use std::path::Path;

use toml::{Table, Value};

use crate::{
    families::redraw::{
        self, Contract, Ports, Usual,
        recipe::{Features, Tensors, file, table},
    },
    inference::{Network, TensorInfo},
    rect::{Area, Size},
};

/// Pictures of the face in other frames.
const OTHERS: usize = 5;
/// Rows that are heard, and numbers in each: the letters and signs of DeepSpeech.
const ROWS: usize = 5;
const LETTERS: usize = 29;
/// Names that DeepSpeech may have beside a bare network.
const ENCODER: &str = "deepspeech";

pub const DINET: Contract = Contract {
    name: "dinet",
    shapes: "face [N, 3, H, W] with H 1.3 W, five other frames of it [N, 15, H, W], features [N, 29, 5] -> \
             [N, 3, H, W]",
    // `inference.py`: the lowest quarter of the radius is not put back.
    defaults: r#"
        [image]
        order = "rgb"
        planes = ["masked"]
        [crop]
        box = "landmarks-68"
        pads = [0, 0, 0, 0]
        [sound]
        features = "deepspeech"
        rows = 5
        rows-before = 2
        [blend]
        cuts = "after-scaling"
        keeps = [0, 0.07692308, 0, 0]
    "#,
    channels: 3,
    others: OTHERS,
    usual: &[Usual {
        size: Size {
            width: 320,
            height: 416,
        },
        features: Features::Deepspeech,
        rows: ROWS,
    }],
    in_latents: false,
    // A square, as wide as four fifths of the picture.
    mask: |size| {
        let mouth = 4 * size.width / 5;
        Area {
            x: mouth / 8,
            y: mouth / 2,
            width: mouth,
            height: mouth,
        }
    },
    ports,
    bare,
};

fn ports(network: &dyn Network, names: &Tensors) -> Option<Ports> {
    let is_features = |shape: &[usize]| matches!(*shape, [_, LETTERS, ROWS]);
    let ports = redraw::ports(network, names, DINET.channels, is_tall, is_features)?;
    let inputs = network.inputs();
    let others = redraw::find(inputs, &None, |shape| {
        redraw::picture(shape, 3 * OTHERS) == Some(ports.size)
    })?;
    (inputs.len() == 3).then(|| Ports {
        others: Some(others),
        batch: ports.batch.min(inputs[others].shape[0]),
        ..ports
    })
}

/// 3.25 radii by 2.5.
fn is_tall(size: Size) -> bool {
    10 * size.height == 13 * size.width
}

/// With DeepSpeech, where it lies beside the network.
fn bare(_sound: &TensorInfo, path: &Path) -> Option<Table> {
    let stem = path.file_stem()?.to_string_lossy();
    let names = [format!("{stem}-{ENCODER}.onnx"), format!("{ENCODER}.onnx")];
    let mut beside = names.into_iter();
    let beside = beside.find(|name| path.with_file_name(name).is_file());
    let mut files = Table::new();
    if let Some(beside) = beside {
        files.insert(
            "audio-encoder".into(),
            Value::from(file(Path::new(&beside))),
        );
    }
    Some(table([("files", files.into())]))
}
