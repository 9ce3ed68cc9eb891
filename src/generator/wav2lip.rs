//! Networks of Wav2Lip's shape: a mel window and two views of a face in, the face out.
//!
//! Prajwal et al., "A Lip Sync Expert Is All You Need for Speech to Lip Generation In the Wild",
//! 2020: any size, Nota's compressed one, exports of any tensor names. `docs/models.md`.

use super::{
    painter::{Contract, Ports, find},
    recipe::{COLUMNS, Tensors},
};
use crate::{runtime::Network, sound::BANDS};

pub const WAV2LIP: Contract = Contract {
    name: "wav2lip",
    shapes: "mel [N, 1, 80, 16], face [N, 6, S, S] -> [N, 3, S, S]",
    // A manifest's own defaults are Wav2Lip's.
    defaults: "",
    mask: |size| [0, size / 2, size, size - size / 2],
    ports,
};

fn ports(network: &dyn Network, names: &Tensors) -> Option<Ports> {
    let (inputs, outputs) = (network.inputs(), network.outputs());
    let sound = find(inputs, &names.sound, |shape| {
        matches!(*shape, [_, 1, BANDS, COLUMNS])
    })?;
    let image = find(
        inputs,
        &names.image,
        |shape| matches!(*shape, [_, 6, height, width] if height == width),
    )?;
    let size = inputs[image].shape[2];
    let output = find(
        outputs,
        &names.output,
        |shape| matches!(*shape, [_, 3, height, width] if [height, width] == [size; 2]),
    )?;
    (inputs.len() == 2).then_some(Ports {
        sound,
        image,
        weight: None,
        output,
        size,
    })
}
