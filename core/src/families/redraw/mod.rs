//! Draws with a third-party network: a picture of the face and the sound in, the picture
//! with another mouth out. What the families have in common; what they differ in is their
//! [`Contract`].
//!
//! Must not know where a model's files lie.

mod audio_features;
mod cutout;
mod drawing;
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
            drawing::{Drawing, Networks},
            open_sizes::Expected,
            recipe::{Planes, Recipe, Sound, Tensors},
        },
    },
    generator::{Brushes, Generator, Heard, Hearing, OpenGenerator, Sketch, finite},
    inference::{
        Element, Model, Network, OpenNetwork, Opener, Shape, Snapshot, TensorInfo, Views,
        add_fallbacks,
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
    /// Whether the network draws in latents, which two others make of faces and faces of.
    pub in_latents: bool,
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
        let network = Named::find(path, &recipe.files.generator)?.read()?;
        Ok(Box::new(Files {
            contract: *self,
            network: network.views(self.views(&recipe.image)),
            companions: Companions::read(self, &recipe, path)?,
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
        let companions = Companions::read(self, &recipe, path)?;
        let files = companions.files();
        let hears = companions.open_audio(&recipe, opener)?;
        let sees = companions.open_image(opener)?;
        Ok(OpenGenerator {
            files,
            ..Painter::open(self, recipe, network, sees, hears)?
        })
    }
}

struct Files {
    contract: Contract,
    recipe: Recipe,
    network: Model<'static>,
    companions: Companions,
}

/// The other networks of a model.
struct Companions {
    audio_encoder: Option<Model<'static>>,
    /// From a face to latents, and back.
    image: Option<[Model<'static>; 2]>,
}

impl Companions {
    /// Those that the recipe of `path` names.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`]; [`Error::ModelUnreadable`], also where one is missing.
    fn read(contract: &Contract, recipe: &Recipe, path: &Path) -> Result<Self, Error> {
        let read = |file: &File| Named::find(path, file)?.read();
        let files = &recipe.files;
        let unreadable = |reason: String| Error::ModelUnreadable {
            path: path.to_owned(),
            reason,
        };
        if contract.in_latents && recipe.image.planes.len() != 2 {
            return Err(unreadable(
                "[image] planes has 1 entry, 2 are expected of a network that draws in latents"
                    .into(),
            ));
        }
        let image = match (&files.image_encoder, &files.image_decoder) {
            (Some(encoder), Some(decoder)) if contract.in_latents => {
                Some([read(encoder)?, read(decoder)?])
            }
            (encoder, _) if contract.in_latents => {
                let missing = match encoder {
                    None => ["image-encoder", "vae_encoder"],
                    Some(_) => ["image-decoder", "vae_decoder"],
                };
                return Err(unreadable(missing_image(missing)));
            }
            (None, None) => None,
            _ => {
                return Err(unreadable(format!(
                    "[files] image-encoder or image-decoder is named; networks of the family `{}` \
                     draw faces themselves",
                    contract.name
                )));
            }
        };
        Ok(Self {
            audio_encoder: files.audio_encoder.as_ref().map(read).transpose()?,
            image,
        })
    }

    fn files(&self) -> Snapshot {
        let mut files = Snapshot::default();
        let models = self.audio_encoder.iter().chain(self.image.iter().flatten());
        for model in models {
            files.extend(model.files().clone());
        }
        files
    }

    fn open_audio(&self, recipe: &Recipe, opener: &Opener) -> Result<Option<OpenNetwork>, Error> {
        let open = |model| opener.single(model, &open_sizes::of_encoder(model, recipe));
        self.audio_encoder.as_ref().map(open).transpose()
    }

    fn open_image(&self, opener: &Opener) -> Result<Option<[OpenNetwork; 2]>, Error> {
        let Some([encoder, decoder]) = &self.image else {
            return Ok(None);
        };
        Ok(Some([
            opener.batched(encoder, &[])?,
            opener.batched(decoder, &[])?,
        ]))
    }
}

fn missing_image([key, name]: [&str; 2]) -> String {
    format!(
        "this network draws in latents and needs [files] {key} or, for a bare network, `{name}.onnx` \
         or `NAME-{name}.onnx` beside `NAME.onnx`; training/export_musetalk.py writes it"
    )
}

impl ModelFiles for Files {
    fn look_ahead_ns(&self) -> i64 {
        self.recipe.sound.look_ahead_ns()
    }

    fn snapshot(&self) -> Snapshot {
        let mut files = self.network.files().clone();
        files.extend(self.companions.files());
        files
    }

    fn open(self: Box<Self>, opener: &Opener) -> Result<OpenGenerator, Error> {
        let (recipe, companions) = (&self.recipe, &self.companions);
        let (hears, draws) = opener.both(
            || companions.open_audio(recipe, opener),
            || {
                let shapes = open_sizes::of_generator(&self.contract, recipe, &self.network);
                let network = opener.batched(&self.network, &shapes)?;
                Ok((network, companions.open_image(opener)?))
            },
        );
        let (network, sees) = draws?;
        Painter::open(&self.contract, self.recipe, network, sees, hears?)
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
    drawing: Box<dyn Drawing>,
    plan: Arc<Plan>,
    /// Makes what the network hears; without, it hears the mel window itself.
    features: Option<Box<dyn Features>>,
    /// What is heard in silence.
    silence: Vec<f32>,
    weight: f32,
}

impl Painter {
    /// `sees` are the networks between faces and latents, `hears` makes features.
    ///
    /// # Errors
    /// [`Error::ModelMismatch`].
    fn open(
        contract: &Contract,
        mut recipe: Recipe,
        network: OpenNetwork,
        sees: Option<[OpenNetwork; 2]>,
        hears: Option<OpenNetwork>,
    ) -> Result<OpenGenerator, Error> {
        let mut fallbacks = network.fallbacks;
        let image = sees.map(|networks| {
            networks.map(|opened| {
                add_fallbacks(&mut fallbacks, opened.fallbacks);
                opened.network
            })
        });
        let networks = Networks {
            generator: network.network,
            image,
        };
        let drawing = networks.drawing(contract, &recipe.tensors)?;
        let mismatch = |found: String| Error::ModelMismatch {
            name: drawing.name().to_owned(),
            found,
            expected: contract.shapes.to_owned(),
        };
        let size = drawing.size();
        recipe
            .image
            .mask
            .get_or_insert_with(|| (contract.mask)(size));
        let plan = Plan::new(&recipe.image, &recipe.crop, recipe.blend, size).map_err(mismatch)?;

        let features = match hears {
            None => None,
            Some(encoder) => {
                add_fallbacks(&mut fallbacks, encoder.fallbacks);
                let (names, sound) = (&recipe.tensors, &recipe.sound);
                Some(audio_features::open(encoder.network, names, sound)?)
            }
        };
        let hearing = recipe.sound.hearing();
        let silence = match &features {
            None => vec![hearing.spectrum.silence(); BANDS * hearing.columns],
            Some(features) => features.silence().to_vec(),
        };
        let heard = drawing.sound();
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
            active: Some(network.active),
            fallbacks,
            files: Snapshot::default(),
            generator: Box::new(Self {
                name: recipe.name,
                hearing,
                drawing,
                plan: Arc::new(plan),
                features,
                silence,
                weight: recipe.sound.weight,
            }),
        })
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
        self.drawing.batch()
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
        self.drawing.run(sketches.len())?;
        for (index, sketch) in sketches.iter_mut().enumerate() {
            let drawn = self.drawing.drawn(index);
            finite(drawn, self.drawing.name())?;
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
        self.drawing.see(index, &sketch.seen);
        // The network knows no mouth at rest; in silence it hears silence.
        let sound = self.drawing.heard(index).iter_mut();
        for ((out, heard), silence) in sound.zip(&sketch.heard).zip(&self.silence) {
            *out = match look.activity < 1.0 {
                true => silence + look.activity * (heard - silence),
                false => *heard,
            };
        }
        self.drawing.weigh(index, self.weight, look.strength);
    }
}
