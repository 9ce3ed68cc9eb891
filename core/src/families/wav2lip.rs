//! Networks of Wav2Lip's shape: a mel window and two views of a face in, the face out.
//!
//! Prajwal et al., "A Lip Sync Expert Is All You Need for Speech to Lip Generation In the Wild",
//! 2020: any size, Nota's compressed one, exports of any tensor names. `docs/models.md`.

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

pub const WAV2LIP: Contract = Contract {
    name: "wav2lip",
    shapes: "mel [N, 1, 80, 16], face [N, 6, S, S] -> [N, 3, S, S]",
    // A manifest's own defaults are Wav2Lip's.
    defaults: "",
    channels: 6,
    others: 0,
    usual: &[Usual {
        size: Size::square(96),
        features: Features::Mel,
        rows: 16,
    }],
    in_latents: false,
    mask: |size| Area {
        x: 0,
        y: size.height / 2,
        width: size.width,
        height: size.height - size.height / 2,
    },
    ports,
    bare: |_, _| Some(Table::new()),
};

fn ports(network: &dyn Network, names: &Tensors) -> Option<Ports> {
    let is_mel = |shape: &[usize]| matches!(*shape, [_, 1, BANDS, COLUMNS]);
    redraw::ports(network, names, WAV2LIP.channels, redraw::is_square, is_mel)
        .filter(|_| network.inputs().len() == 2)
}
