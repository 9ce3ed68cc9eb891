//! EDTalk as it is exported for FaceFusion: an aligned face in R G B, a mel window and a weight
//! in, the face out.
//!
//! Tan et al., "EDTalk: Efficient Disentanglement for Emotional Talking Head Synthesis", 2024.
//! `docs/models.md`.

use toml::Table;

use crate::{
    families::redraw::{
        self, Contract, Ports, Usual,
        recipe::{COLUMNS, Features, Tensors},
    },
    inference::Network,
    rect::{Area, Size},
    sound::BANDS,
};

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
    channels: 3,
    others: 0,
    usual: &[Usual {
        size: Size::square(256),
        features: Features::Mel,
        rows: 16,
    }],
    in_latents: false,
    mask: |_| Area::default(),
    ports,
    bare: |_, _| Some(Table::new()),
};

fn ports(network: &dyn Network, names: &Tensors) -> Option<Ports> {
    let is_mel = |shape: &[usize]| matches!(*shape, [_, 1, BANDS, COLUMNS]);
    let ports = redraw::ports(network, names, EDTALK.channels, redraw::is_square, is_mel)?;
    // One for all faces of a batch, or one for each.
    let is_number = |shape: &[usize]| shape.iter().skip(1).product::<usize>() == 1;
    let weight = redraw::find(network.inputs(), &names.weight, is_number)?;
    (network.inputs().len() == 3).then_some(Ports {
        weight: Some(weight),
        batch: ports
            .batch
            .min(network.inputs()[weight].shape.first().copied().unwrap_or(1)),
        ..ports
    })
}
