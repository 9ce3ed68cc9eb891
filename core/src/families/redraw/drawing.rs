//! What draws a face: one network, or several of which each takes what the one before made.
//!
//! Must not know sound, frames or manifests.

use crate::{
    Error,
    families::redraw::{Contract, Ports, recipe::Tensors},
    inference::{Element, Network, TensorInfo, describe},
    rect::Size,
};

/// Draws faces, as many at once as its batch.
pub trait Drawing: Send {
    /// For messages.
    fn name(&self) -> &str;

    /// Of the face that it sees and draws.
    fn size(&self) -> Size;

    fn batch(&self) -> usize;

    /// What it hears of all faces.
    fn sound(&self) -> &TensorInfo;

    /// Gives it face `index`: its views, and those of other frames where it wants some.
    fn see(&mut self, index: usize, views: &[f32]);

    /// What it is to hear of face `index`, to be filled.
    fn heard(&mut self, index: usize) -> &mut [f32];

    /// How strongly to move the lips of face `index`, where it wants to know: `usual` of a manifest,
    /// and how strongly the user wants it.
    fn weigh(&mut self, index: usize, usual: f32, strength: f32) {
        let _ = (index, usual, strength);
    }

    /// Draws the first `faces`; the others are anybody's.
    ///
    /// # Errors
    /// [`Error::Inference`], [`Error::Unreachable`].
    fn run(&mut self, faces: usize) -> Result<(), Error>;

    /// The drawn face `index`, `[3, height, width]`.
    fn drawn(&self, index: usize) -> &[f32];
}

/// The networks of a model that draw.
pub struct Networks {
    pub generator: Box<dyn Network>,
    /// Those from a face to what the generator draws in, and back, where it does not draw faces itself.
    pub image: Option<[Box<dyn Network>; 2]>,
}

impl Networks {
    /// # Errors
    /// [`Error::ModelMismatch`].
    pub fn drawing(self, contract: &Contract, names: &Tensors) -> Result<Box<dyn Drawing>, Error> {
        let Self { generator, image } = self;
        let Some(ports) = (contract.ports)(&*generator, names) else {
            return Err(misfit(contract, &*generator, names));
        };
        Ok(match image {
            None => Box::new(Single {
                network: generator,
                ports,
            }),
            Some([encoder, decoder]) => {
                Box::new(InLatents::new(generator, ports, encoder, decoder)?)
            }
        })
    }
}

/// One network that draws faces.
struct Single {
    network: Box<dyn Network>,
    ports: Ports,
}

impl Drawing for Single {
    fn name(&self) -> &str {
        self.network.name()
    }

    fn size(&self) -> Size {
        self.ports.size
    }

    fn batch(&self) -> usize {
        self.ports.batch
    }

    fn sound(&self) -> &TensorInfo {
        &self.network.inputs()[self.ports.sound]
    }

    fn see(&mut self, index: usize, views: &[f32]) {
        let image = self.network.input_entry(self.ports.image, index);
        let (views, others) = views.split_at(image.len());
        image.copy_from_slice(views);
        if let Some(port) = self.ports.others {
            let input = self.network.input_entry(port, index);
            input.copy_from_slice(others);
        }
    }

    fn heard(&mut self, index: usize) -> &mut [f32] {
        self.network.input_entry(self.ports.sound, index)
    }

    fn weigh(&mut self, index: usize, usual: f32, strength: f32) {
        if let Some(weight) = self.ports.weight {
            let value = (usual * strength.max(1.0)).min(1.0);
            self.network.input_entry(weight, index).fill(value);
        }
    }

    fn run(&mut self, _faces: usize) -> Result<(), Error> {
        self.network.run()
    }

    fn drawn(&self, index: usize) -> &[f32] {
        self.network.output_entry(self.ports.output, index)
    }
}

/// A network that draws latents, which a second one makes of each view of a face and of which a third one
/// makes a face: what a variational autoencoder's two halves are to a U-Net.
struct InLatents {
    network: Box<dyn Network>,
    ports: Ports,
    encoder: Half,
    decoder: Half,
    /// Whether what the encoder makes is what the network draws of, and what that draws is what the decoder
    /// makes faces of, without a copy.
    feeds: [bool; 2],
    /// Numbers in the latents of one view.
    latents: usize,
    size: usize,
    batch: usize,
    /// The views of all faces.
    seen: Vec<f32>,
    /// Faces whose latents are there: those of a picture that stands still stay.
    encoded: usize,
}

/// A network and its one input and output.
struct Half {
    network: Box<dyn Network>,
    input: usize,
    output: usize,
}

impl Half {
    /// Of a network that makes one of the other.
    ///
    /// # Errors
    /// [`Error::ModelMismatch`].
    fn new(
        network: Box<dyn Network>,
        takes: impl Fn(&[usize]) -> bool,
        makes: impl Fn(&[usize]) -> bool,
        expected: String,
    ) -> Result<Self, Error> {
        let find = |tensors: &[TensorInfo], fits: &dyn Fn(&[usize]) -> bool| {
            let is_it = |info: &TensorInfo| info.element == Element::F32 && fits(&info.shape);
            tensors.iter().position(is_it)
        };
        let (inputs, outputs) = (network.inputs(), network.outputs());
        match (find(inputs, &takes), find(outputs, &makes), inputs.len()) {
            (Some(input), Some(output), 1) => Ok(Self {
                input,
                output,
                network,
            }),
            _ => Err(Error::ModelMismatch {
                name: network.name().to_owned(),
                found: format!("{} -> {}", describe(inputs), describe(outputs)),
                expected,
            }),
        }
    }

    /// What it takes at once.
    fn batch(&self) -> usize {
        let input = &self.network.inputs()[self.input];
        let output = &self.network.outputs()[self.output];
        input.shape[0].min(output.shape[0]).max(1)
    }
}

/// Views of a face.
pub const VIEWS: usize = 2;

impl InLatents {
    /// # Errors
    /// [`Error::ModelMismatch`].
    fn new(
        mut network: Box<dyn Network>,
        ports: Ports,
        encoder: Box<dyn Network>,
        decoder: Box<dyn Network>,
    ) -> Result<Self, Error> {
        let shape = network.outputs()[ports.output].shape[1..].to_vec();
        let is_face = |shape: &[usize]| matches!(*shape, [_, 3, height, width] if height == width);
        let is_latents = |found: &[usize]| found.get(1..) == Some(&shape[..]);
        let latents = format!("latents {:?}", network.outputs()[ports.output].shape);
        let mut encoder = Half::new(
            encoder,
            is_face,
            is_latents,
            format!("an image encoder: face [N, 3, S, S] -> {latents}"),
        )?;
        let size = encoder.network.inputs()[encoder.input].shape[2];
        let mut decoder = Half::new(
            decoder,
            is_latents,
            |shape| is_face(shape) && shape[2] == size,
            format!("an image decoder: {latents} -> face [N, 3, {size}, {size}]"),
        )?;
        // The step of a diffusion that it does not do.
        for index in 0..network.inputs().len() {
            if network.inputs()[index].element != Element::F32 {
                network.set_integer(index, 0);
            }
        }
        let feeds = [
            (encoder.network).feed(encoder.output, &mut *network, ports.image),
            network.feed(ports.output, &mut *decoder.network, decoder.input),
        ];
        let batch = ports.batch.min(decoder.batch());
        Ok(Self {
            feeds,
            latents: shape.iter().product(),
            seen: vec![0.0; batch * VIEWS * 3 * size * size],
            encoded: 0,
            network,
            ports,
            encoder,
            decoder,
            size,
            batch,
        })
    }

    /// Numbers in one view.
    fn view(&self) -> usize {
        3 * self.size * self.size
    }

    /// Makes latents of the views of so many faces, as many at once as the encoder takes: those of one face
    /// follow each other, as the network wants them.
    fn encode(&mut self, faces: usize) -> Result<(), Error> {
        let (view, latents) = (self.view(), self.latents);
        let at_once = self.encoder.batch();
        let Half {
            network: encoder,
            input,
            output,
        } = &mut self.encoder;
        let views = VIEWS * faces;
        for first in (0..views).step_by(at_once) {
            let part = first..views.min(first + at_once);
            for (index, seen) in part.clone().enumerate() {
                let seen = &self.seen[seen * view..][..view];
                encoder.input_entry(*input, index).copy_from_slice(seen);
            }
            encoder.run()?;
            if self.feeds[0] {
                continue;
            }
            for (index, seen) in part.enumerate() {
                let made = encoder.output_entry(*output, index);
                let image = self.network.input_entry(self.ports.image, seen / VIEWS);
                image[seen % VIEWS * latents..][..latents].copy_from_slice(made);
            }
        }
        Ok(())
    }
}

impl Drawing for InLatents {
    fn name(&self) -> &str {
        self.network.name()
    }

    fn size(&self) -> Size {
        Size::square(self.size)
    }

    fn batch(&self) -> usize {
        self.batch
    }

    fn sound(&self) -> &TensorInfo {
        &self.network.inputs()[self.ports.sound]
    }

    fn see(&mut self, index: usize, views: &[f32]) {
        let face = VIEWS * self.view();
        let seen = &mut self.seen[index * face..][..face];
        if seen != views {
            seen.copy_from_slice(views);
            self.encoded = 0;
        }
    }

    fn heard(&mut self, index: usize) -> &mut [f32] {
        self.network.input_entry(self.ports.sound, index)
    }

    fn run(&mut self, faces: usize) -> Result<(), Error> {
        if self.encoded < faces {
            // Whatever fails, no latents are there.
            self.encoded = 0;
            self.encode(faces)?;
            self.encoded = faces;
        }
        self.network.run()?;
        let Half {
            network: decoder,
            input,
            ..
        } = &mut self.decoder;
        if !self.feeds[1] {
            for index in 0..faces {
                let made = self.network.output_entry(self.ports.output, index);
                decoder.input_entry(*input, index).copy_from_slice(made);
            }
        }
        decoder.run()
    }

    fn drawn(&self, index: usize) -> &[f32] {
        let Half {
            network, output, ..
        } = &self.decoder;
        network.output_entry(*output, index)
    }
}

fn misfit(contract: &Contract, network: &dyn Network, names: &Tensors) -> Error {
    let Tensors {
        sound,
        image,
        weight,
        output,
        ..
    } = names;
    let named: Vec<_> = [sound, image, weight, output]
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    let names = match named.is_empty() {
        true => "any names".to_owned(),
        false => format!("named {}", named.join(", ")),
    };
    Error::ModelMismatch {
        name: network.name().to_owned(),
        found: format!(
            "{} -> {}",
            describe(network.inputs()),
            describe(network.outputs())
        ),
        expected: format!("{}, {names}", contract.shapes),
    }
}

#[cfg(test)]
mod tests;
