//! Draws with a third-party network: a picture of the face and the sound in, the picture
//! with another mouth out. What the families have in common; what they differ in is their
//! [`Contract`].
//!
//! Must not know where a model's files lie.

mod audio_features;
mod cutout;
mod face_box;
mod jaw_mask;
mod open_sizes;
pub mod recipe;
mod tone_match;

use std::{path::Path, sync::Arc};

use toml::Table;

use crate::{
    Error,
    families::{
        Family, ModelFiles,
        redraw::{
            audio_features::Features,
            cutout::{Cutout, Plan},
            open_sizes::Expected,
            recipe::{Planes, Recipe, Sound, Tensors},
        },
    },
    generator::{Brushes, Generator, Heard, Hearing, OpenGenerator, Sketch, finite},
    inference::{
        Element, Model, Network, OpenNetwork, Opener, Shape, Snapshot, TensorInfo, Views,
        add_fallbacks, describe,
    },
    manifest::{File, Named},
    rect::Area,
    sound::BANDS,
};

/// What a family is.
#[derive(Clone, Copy)]
pub struct Contract {
    pub name: &'static str,
    /// What its networks look like, for messages.
    pub shapes: &'static str,
    /// Tables of a manifest: what it has where a manifest says nothing.
    pub defaults: &'static str,
    /// Channels of the face that it is given.
    pub channels: usize,
    /// What its networks are given where their files leave sizes open, the best known first.
    pub usual: &'static [Usual],
    /// The black rectangle in a picture of that side.
    pub mask: fn(usize) -> Area,
    /// Finds the tensors, by these names where there are any.
    pub ports: fn(&dyn Network, &Tensors) -> Option<Ports>,
    /// What a manifest would say of the network at this path that has none, by what it hears;
    /// `None` when no network of the family is known to hear that.
    pub bare: fn(&TensorInfo, &Path) -> Option<Table>,
}

/// A network of a family, as there are some.
#[derive(Clone, Copy)]
pub struct Usual {
    /// Side of the face.
    pub size: usize,
    pub features: recipe::Features,
    /// Rows of features that it hears.
    pub rows: usize,
}

impl Contract {
    /// Of a network that sees one picture twice, with black as 0.
    fn views(&self, image: &recipe::Image) -> Option<Views> {
        let whole = match *image.planes {
            [Planes::Reference, Planes::Masked] => 0,
            [Planes::Masked, Planes::Reference] => 1,
            _ => return None,
        };
        (image.range[0] == 0.0).then_some(Views {
            whole,
            rectangle: self.mask,
            fixed: image.mask,
        })
    }

    fn bare(&self, network: &dyn Network, path: &Path) -> Option<Table> {
        let ports = (self.ports)(network, &Tensors::default())?;
        (self.bare)(&network.inputs()[ports.sound], path)
    }
}

impl Family for Contract {
    fn name(&self) -> &'static str {
        self.name
    }

    fn signature(&self) -> Option<&'static str> {
        Some(self.shapes)
    }

    fn read(&self, text: &str, path: &Path) -> Result<Box<dyn ModelFiles>, Error> {
        let recipe = Recipe::parse(text, self.defaults, path)?;
        let read = |file: &File| Named::find(path, file)?.read();
        let network = read(&recipe.files.generator)?;
        Ok(Box::new(Files {
            contract: *self,
            network: network.views(self.views(&recipe.image)),
            encoder: recipe.files.audio_encoder.as_ref().map(read).transpose()?,
            recipe,
        }))
    }

    fn open_sizes(&self, model: &Model) -> Option<Vec<Shape>> {
        let names = Tensors::default();
        self.usual.iter().find_map(|usual| {
            let sound = Sound::of(usual.features, usual.rows);
            Expected::new(self, &names, None, &sound).shapes(model)
        })
    }

    fn recognises(&self, network: &dyn Network, path: &Path) -> bool {
        self.bare(network, path).is_some()
    }

    fn open_bare(
        &self,
        network: OpenNetwork,
        path: &Path,
        opener: &Opener,
    ) -> Result<OpenGenerator, Error> {
        let known = self.bare(&*network.network, path).unwrap_or_default();
        let recipe = Recipe::bare(self.name, known, self.defaults, path)?;
        let Some(file) = &recipe.files.audio_encoder else {
            return Painter::open(self, recipe, network, None);
        };
        let encoder = Named::find(path, file)?.read()?;
        let shapes = open_sizes::of_encoder(&encoder, &recipe);
        let opened = opener.single(&encoder, &shapes)?;
        Ok(OpenGenerator {
            files: encoder.files().clone(),
            ..Painter::open(self, recipe, network, Some(opened))?
        })
    }
}

struct Files {
    contract: Contract,
    recipe: Recipe,
    network: Model<'static>,
    encoder: Option<Model<'static>>,
}

impl ModelFiles for Files {
    fn look_ahead_ns(&self) -> i64 {
        self.recipe.sound.look_ahead_ns()
    }

    fn snapshot(&self) -> Snapshot {
        let mut files = self.network.files().clone();
        if let Some(encoder) = &self.encoder {
            files.extend(encoder.files().clone());
        }
        files
    }

    fn open(self: Box<Self>, opener: &Opener) -> Result<OpenGenerator, Error> {
        let recipe = &self.recipe;
        let (encoder, network) = opener.both(
            || {
                let encoder = self.encoder.as_ref();
                let shapes = |encoder| open_sizes::of_encoder(encoder, recipe);
                let open = |encoder| opener.single(encoder, &shapes(encoder));
                encoder.map(open).transpose()
            },
            || {
                opener.batched(
                    &self.network,
                    &open_sizes::of_generator(&self.contract, recipe, &self.network),
                )
            },
        );
        Painter::open(&self.contract, self.recipe, network?, encoder?)
    }
}

/// Which tensor is which, and the side of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    pub sound: usize,
    pub image: usize,
    /// How strongly to move the lips, where the network has an input for it.
    pub weight: Option<usize>,
    pub output: usize,
    pub size: usize,
    /// Faces that it draws at once.
    pub batch: usize,
}

/// The sound, which `hears` tells by its shape, a face of so many channels, and the drawn face of
/// its size.
pub fn ports(
    network: &dyn Network,
    names: &Tensors,
    channels: usize,
    hears: impl Fn(&[usize]) -> bool,
) -> Option<Ports> {
    let (inputs, outputs) = (network.inputs(), network.outputs());
    let is_face = |shape: &[usize], channels| matches!(*shape, [_, depth, height, width] if depth == channels && height == width);
    let image = find(inputs, &names.image, |shape| is_face(shape, channels))?;
    let size = inputs[image].shape[2];
    let sound = find(inputs, &names.sound, |shape| {
        shape != inputs[image].shape && hears(shape)
    })?;
    let output = find(outputs, &names.output, |shape| {
        is_face(shape, 3) && shape[2] == size
    })?;
    Some(Ports {
        sound,
        image,
        weight: None,
        output,
        size,
        batch: (inputs[image].shape[0].min(inputs[sound].shape[0])).min(outputs[output].shape[0]),
    })
}

/// The only tensor of that name, if one is given, and of a shape that fits.
pub fn find(
    tensors: &[TensorInfo],
    name: &Option<String>,
    fits: impl Fn(&[usize]) -> bool,
) -> Option<usize> {
    let mut fitting = tensors.iter().enumerate().filter(|(_, tensor)| {
        tensor.element == Element::F32
            && fits(&tensor.shape)
            && name.as_ref().is_none_or(|name| *name == tensor.name)
    });
    let (index, _) = fitting.next()?;
    // Two that fit are told apart by name, or not at all.
    fitting.next().is_none().then_some(index)
}

pub struct Painter {
    name: String,
    hearing: Hearing,
    network: Box<dyn Network>,
    ports: Ports,
    plan: Arc<Plan>,
    /// Makes what the network hears; without, it hears the mel window itself.
    features: Option<Features>,
    /// What is heard in silence.
    silence: Vec<f32>,
    weight: f32,
}

impl Painter {
    /// Fails with [`Error::ModelMismatch`].
    fn open(
        contract: &Contract,
        mut recipe: Recipe,
        opened: OpenNetwork,
        encoder: Option<OpenNetwork>,
    ) -> Result<OpenGenerator, Error> {
        let network = opened.network;
        let ports = (contract.ports)(&*network, &recipe.tensors)
            .ok_or_else(|| misfit(contract, &*network, &recipe.tensors))?;
        let mismatch = |found: String| Error::ModelMismatch {
            name: network.name().to_owned(),
            found,
            expected: contract.shapes.to_owned(),
        };
        recipe
            .image
            .mask
            .get_or_insert_with(|| (contract.mask)(ports.size));
        let plan =
            Plan::new(&recipe.image, &recipe.crop, recipe.blend, ports.size).map_err(mismatch)?;

        let mut fallbacks = opened.fallbacks;
        let features = match encoder {
            None => None,
            Some(encoder) => {
                add_fallbacks(&mut fallbacks, encoder.fallbacks);
                let features = Features::open(encoder.network, &recipe.tensors, &recipe.sound)?;
                Some(features)
            }
        };
        let hearing = recipe.sound.hearing();
        let silence = match &features {
            None => vec![hearing.spectrum.silence(); BANDS * hearing.columns],
            Some(features) => features.silence().to_vec(),
        };
        let heard = &network.inputs()[ports.sound];
        let expected: usize = heard.shape[1..].iter().product();
        if expected != silence.len() {
            return Err(mismatch(format!(
                "{} {:?}, but what it hears has {} numbers{}",
                heard.name,
                heard.shape,
                silence.len(),
                match features {
                    None => String::new(),
                    Some(_) => format!(", {} rows of the audio encoder", recipe.sound.rows),
                }
            )));
        }
        Ok(OpenGenerator {
            about: recipe.about(),
            active: Some(opened.active),
            fallbacks,
            files: Snapshot::default(),
            generator: Box::new(Self {
                name: recipe.name,
                hearing,
                network,
                ports,
                plan: Arc::new(plan),
                features,
                silence,
                weight: recipe.sound.weight,
            }),
        })
    }
}

fn misfit(contract: &Contract, network: &dyn Network, names: &Tensors) -> Error {
    let recipe::Tensors {
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

impl Generator for Painter {
    fn name(&self) -> &str {
        &self.name
    }

    fn hearing(&self) -> Hearing {
        self.hearing
    }

    fn needs_face(&self) -> bool {
        self.plan.needs_face()
    }

    fn brushes(&self) -> Brushes {
        let plan = self.plan.clone();
        Box::new(move || Box::new(Cutout::new(plan.clone())))
    }

    fn batch(&self) -> usize {
        self.ports.batch
    }

    /// `out` is what the network hears, row-major.
    fn listen(&mut self, heard: &Heard, out: &mut Vec<f32>) -> Result<(), Error> {
        out.resize(self.silence.len(), 0.0);
        match &mut self.features {
            None => out.copy_from_slice(heard.mel),
            Some(features) => features.listen(heard, out)?,
        }
        Ok(())
    }

    fn draw(&mut self, sketches: &mut [Sketch]) -> Result<(), Error> {
        // Where there are fewer faces than the network takes, the others are anybody's.
        for (index, sketch) in sketches.iter().enumerate() {
            self.put(index, sketch);
        }
        self.network.run()?;
        for (index, sketch) in sketches.iter_mut().enumerate() {
            let drawn = self.network.output_entry(self.ports.output, index);
            finite(drawn, self.network.name())?;
            sketch.drawn.clear();
            sketch.drawn.extend_from_slice(drawn);
        }
        Ok(())
    }

    fn reset(&mut self) {
        if let Some(features) = &mut self.features {
            features.reset();
        }
    }
}

impl Painter {
    /// Gives the network a face, at its place in the batch.
    fn put(&mut self, index: usize, sketch: &Sketch) {
        let look = &sketch.look;
        let image = self.network.input_entry(self.ports.image, index);
        image[..sketch.seen.len()].copy_from_slice(&sketch.seen);
        // The network knows no mouth at rest; in silence it hears silence.
        let sound = self.network.input_entry(self.ports.sound, index).iter_mut();
        for ((out, heard), silence) in sound.zip(&sketch.heard).zip(&self.silence) {
            *out = match look.activity < 1.0 {
                true => silence + look.activity * (heard - silence),
                false => *heard,
            };
        }
        if let Some(weight) = self.ports.weight {
            let value = (self.weight * look.strength.max(1.0)).min(1.0);
            self.network.input_entry(weight, index).fill(value);
        }
    }
}
