//! MuseTalk, 1.0 and 1.5: a U-Net that draws in the latents of a variational autoencoder, of the lower
//! half of a face as black, of the whole face and of what Whisper hears.
//!
//! Zhang et al., "MuseTalk: Real-Time High-Fidelity Video Dubbing via Spatio-Temporal Sampling", 2024.
//! `docs/models.md`.

use std::path::Path;

use toml::{Table, Value};

use crate::{
    families::redraw::{
        self, Contract, Ports, Usual,
        recipe::{Features, Tensors, file, table},
    },
    inference::{Element, Network, TensorInfo},
    rect::{Area, Size},
};

/// Channels of one view's latents.
const LATENTS: usize = 4;
/// Its other networks, by their keys in a manifest and by their names beside a bare U-Net.
const COMPANIONS: [(&str, &str); 3] = [
    ("audio-encoder", "whisper"),
    ("image-encoder", "vae_encoder"),
    ("image-decoder", "vae_decoder"),
];

pub const MUSETALK: Contract = Contract {
    name: "musetalk",
    shapes: "latents [N, 8, H, W], features [N, 50, F] -> latents [N, 4, H, W]",
    // 1.5's `scripts/inference.py`; 1.0 has no margin below the chin.
    defaults: r#"
        [image]
        order = "rgb"
        range = [-1, 1]
        [crop]
        box = "nose-bridge"
        pads = [0, 10, 0, 0]
        scale = "lanczos"
        [sound]
        features = "whisper"
        frame-rate = 50
        rows = 10
        rows-before = 4
        [blend]
        rounds = true
    "#,
    channels: 2 * LATENTS,
    others: 0,
    usual: &[Usual {
        size: Size::square(32),
        features: Features::Whisper,
        rows: 10,
    }],
    in_latents: true,
    mask: |size| Area {
        x: 0,
        y: size.height / 2,
        width: size.width,
        height: size.height - size.height / 2,
    },
    ports,
    bare,
};

fn ports(network: &dyn Network, names: &Tensors) -> Option<Ports> {
    let (inputs, outputs) = (network.inputs(), network.outputs());
    let image = redraw::find(inputs, &names.image, |shape| {
        redraw::picture(shape, MUSETALK.channels).is_some_and(redraw::is_square)
    })?;
    let sound = redraw::find(inputs, &names.sound, |shape| matches!(*shape, [_, 50, _]))?;
    let size = redraw::picture(&inputs[image].shape, MUSETALK.channels)?;
    let output = redraw::find(outputs, &names.output, |shape| {
        redraw::picture(shape, LATENTS) == Some(size)
    })?;
    let others = inputs.iter().filter(|input| input.element == Element::F32);
    (others.count() == 2).then(|| Ports {
        sound,
        image,
        others: None,
        weight: None,
        output,
        size,
        batch: (inputs[image].shape[0].min(inputs[sound].shape[0])).min(outputs[output].shape[0]),
    })
}

/// With those of its companions that lie beside the network, as NAME-whisper.onnx or whisper.onnx.
fn bare(_sound: &TensorInfo, path: &Path) -> Option<Table> {
    let stem = path.file_stem()?.to_string_lossy();
    let mut files = Table::new();
    for (key, name) in COMPANIONS {
        let names = [format!("{stem}-{name}.onnx"), format!("{name}.onnx")];
        let beside = names
            .into_iter()
            .find(|name| path.with_file_name(name).is_file());
        if let Some(beside) = beside {
            files.insert(key.into(), Value::from(file(Path::new(&beside))));
        }
    }
    Some(table([("files", files.into())]))
}
