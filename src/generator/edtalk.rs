//! EDTalk as it is exported for FaceFusion: an aligned face in R G B, a mel window and a weight
//! in, the face out.
//!
//! Tan et al., "EDTalk: Efficient Disentanglement for Emotional Talking Head Synthesis", 2024.
//! `docs/models.md`.

use super::{
    painter::{Contract, Ports, find},
    recipe::{COLUMNS, Tensors},
};
use crate::{runtime::Network, sound::BANDS};

pub const EDTALK: Contract = Contract {
    name: "edtalk",
    shapes: "mel [N, 1, 80, 16], face [N, 3, S, S], weight [1] -> [N, 3, S, S]",
    // FaceFusion's `lip_syncer`.
    defaults: r#"
        [image]
        order = "rgb"
        planes = ["reference"]
        [crop]
        box = "ffhq"
        pads = [0, 0, 0, 0]
    "#,
    mask: |_| [0; 4],
    ports,
};

fn ports(network: &dyn Network, names: &Tensors) -> Option<Ports> {
    let (inputs, outputs) = (network.inputs(), network.outputs());
    let face = |shape: &[usize]| matches!(*shape, [_, 3, height, width] if height == width);
    let sound = find(inputs, &names.sound, |shape| {
        matches!(*shape, [_, 1, BANDS, COLUMNS])
    })?;
    let image = find(inputs, &names.image, face)?;
    let weight = find(inputs, &names.weight, |shape| {
        shape.iter().product::<usize>() == 1
    })?;
    let size = inputs[image].shape[2];
    let output = find(outputs, &names.output, |shape| {
        face(shape) && shape[2] == size
    })?;
    (inputs.len() == 3).then_some(Ports {
        sound,
        image,
        weight: Some(weight),
        output,
        size,
    })
}
