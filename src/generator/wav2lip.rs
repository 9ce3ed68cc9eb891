//! Networks of Wav2Lip's shape: a mel window and two views of a face in, the face out.
//!
//! Prajwal et al., "A Lip Sync Expert Is All You Need for Speech to Lip Generation In the Wild",
//! 2020: any size, Nota's compressed one, exports of any tensor names. `docs/models.md`.

use std::time::Instant;

use super::{
    Cost, Generator, Heard, Hearing, Look,
    cutout::Cutout,
    finite,
    recipe::{COLUMNS, Recipe, Tensors},
    registry::{Opened, describe},
};
use crate::{
    Error,
    face::Face,
    pixels::View,
    runtime::{self, Network, TensorInfo},
    sound::{self, BANDS},
};

/// What such a network looks like.
pub const SHAPES: &str = "mel [N, 1, 80, 16], face [N, 6, S, S] -> [N, 3, S, S]";

/// Which tensor is which, and the side of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ports {
    sound: usize,
    image: usize,
    output: usize,
    size: usize,
}

pub struct Wav2Lip {
    name: String,
    hearing: Hearing,
    network: Box<dyn Network>,
    ports: Ports,
    cutout: Cutout,
    /// As last heard.
    mel: Vec<f32>,
}

/// Whether a network whose tensors have any names is one of this family.
pub fn recognise(network: &dyn Network) -> bool {
    ports(network, &Tensors::default()).is_some()
}

fn ports(network: &dyn Network, names: &Tensors) -> Option<Ports> {
    let find = |tensors: &[TensorInfo], name: &Option<String>, fits: fn(&[usize]) -> bool| {
        let mut fitting = tensors.iter().enumerate().filter(|(_, tensor)| {
            fits(&tensor.shape) && name.as_ref().is_none_or(|name| *name == tensor.name)
        });
        let (index, _) = fitting.next()?;
        // Two that fit are told apart by name, or not at all.
        fitting.next().is_none().then_some(index)
    };
    let (inputs, outputs) = (network.inputs(), network.outputs());
    let sound = find(inputs, &names.sound, |shape| {
        matches!(*shape, [_, 1, BANDS, COLUMNS])
    })?;
    let image = find(
        inputs,
        &names.image,
        |shape| matches!(*shape, [_, 6, height, width] if height == width),
    )?;
    let output = find(
        outputs,
        &names.output,
        |shape| matches!(*shape, [_, 3, height, width] if height == width),
    )?;
    let size = inputs[image].shape[2];
    (inputs.len() == 2 && outputs[output].shape[2] == size).then_some(Ports {
        sound,
        image,
        output,
        size,
    })
}

impl Wav2Lip {
    /// Fails with [`Error::ModelMismatch`].
    pub fn open(recipe: Recipe, opened: runtime::Opened) -> Result<Opened, Error> {
        let network = opened.network;
        let mismatch = |reason: String, wanted: String| Error::ModelMismatch {
            name: network.name().to_owned(),
            found: reason,
            wanted,
        };
        let ports = ports(&*network, &recipe.tensors).ok_or_else(|| {
            let found = format!(
                "{} -> {}",
                describe(network.inputs()),
                describe(network.outputs())
            );
            let Tensors {
                sound,
                image,
                output,
                ..
            } = &recipe.tensors;
            let named: Vec<_> = [sound, image, output]
                .into_iter()
                .flatten()
                .cloned()
                .collect();
            let names = match named.is_empty() {
                true => "any names".to_owned(),
                false => format!("named {}", named.join(", ")),
            };
            mismatch(found, format!("{SHAPES}, {names}"))
        })?;
        let cutout = Cutout::new(&recipe.image, &recipe.crop, recipe.blend, ports.size)
            .map_err(|reason| mismatch(reason, SHAPES.to_owned()))?;
        Ok(Opened {
            active: Some(opened.active),
            fallbacks: opened.fallbacks,
            generator: Box::new(Self {
                name: recipe.name,
                hearing: Hearing {
                    columns: COLUMNS,
                    look_ahead_ns: recipe.sound.look_ahead_ns(),
                },
                network,
                ports,
                cutout,
                mel: vec![sound::MEL_RANGE[0]; BANDS * COLUMNS],
            }),
        })
    }
}

impl Generator for Wav2Lip {
    fn name(&self) -> &str {
        &self.name
    }

    fn hearing(&self) -> Hearing {
        self.hearing
    }

    fn listen(&mut self, heard: &Heard) -> Result<(), Error> {
        self.mel.copy_from_slice(heard.mel);
        Ok(())
    }

    fn draw(
        &mut self,
        view: &mut View,
        face: Option<&Face>,
        _time_ns: i64,
        look: &Look,
    ) -> Result<Cost, Error> {
        let started = Instant::now();
        let Some(face) = face else {
            return Ok(Cost::default());
        };
        // A network that the file fixes to a larger batch draws the first picture of it.
        let image = self.network.input(self.ports.image);
        if !self.cutout.cut(view, &face.mesh, image) {
            return Ok(Cost::default());
        }
        // The network knows no mouth at rest; in silence it hears silence.
        let silence = sound::MEL_RANGE[0];
        for (out, heard) in self
            .network
            .input(self.ports.sound)
            .iter_mut()
            .zip(&self.mel)
        {
            *out = silence + look.activity * (heard - silence);
        }

        let sampled = Instant::now();
        self.network.run()?;
        let inferred = Instant::now();

        let drawn = self.network.output(self.ports.output);
        let drawn = &drawn[..3 * self.ports.size * self.ports.size];
        finite(drawn, self.network.name())?;
        self.cutout.paste(view, &face.mesh, drawn, look);
        let infer = inferred - sampled;
        Ok(Cost {
            infer,
            blend: started.elapsed().saturating_sub(infer),
        })
    }

    fn reset(&mut self) {
        self.mel.fill(sound::MEL_RANGE[0]);
    }
}
