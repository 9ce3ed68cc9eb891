//! Draws with a third-party network: a picture of the face and the sound in, the picture
//! with another mouth out. What the families have in common; what they differ in is their
//! [`Contract`].
//!
//! Must not know where a model's files lie.

mod audio_features;
mod companions;
mod cutout;
mod drawing;
mod face_box;
mod jaw_mask;
mod open_sizes;
mod other_frames;
mod picture_file;
mod ports;
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
            companions::Companions,
            cutout::{Cutout, Plan, Rgb},
            drawing::{Drawing, Networks},
            open_sizes::Expected,
            recipe::{Planes, Recipe, Sound, Tensors},
        },
    },
    generator::{Brushes, Generator, Heard, Hearing, OpenGenerator, Sketch, finite},
    inference::{
        Model, Network, OpenNetwork, Opener, Shape, Snapshot, TensorInfo, Views, add_fallbacks,
    },
    manifest::Named,
    rect::{Area, Size},
    sound::BANDS,
};

pub use ports::{Ports, find, is_square, picture, ports};

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
    /// Pictures of the face in other frames that it is given as well.
    pub others: usize,
    /// What its networks are given where their files leave sizes open, the best known first.
    pub usual: &'static [Usual],
    /// Whether the network draws in latents, which two others make of faces and faces of.
    pub in_latents: bool,
    /// The black rectangle in a picture of that size.
    pub mask: fn(Size) -> Area,
    /// Finds the tensors, by these names where there are any.
    pub ports: fn(&dyn Network, &Tensors) -> Option<Ports>,
    /// What a manifest would say of the network at this path that has none, by what it hears;
    /// `None` when no network of the family is known to hear that.
    pub bare: fn(&TensorInfo, &Path) -> Option<Table>,
}

/// A network of a family, as there are some.
#[derive(Clone, Copy)]
pub struct Usual {
    /// Of the face.
    pub size: Size,
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
        let opened = Opened {
            network,
            hears: companions.open_audio(&recipe, opener)?,
            sees: companions.open_image(opener)?,
        };
        Ok(OpenGenerator {
            files,
            ..Painter::open(self, recipe, opened, companions.others())?
        })
    }
}

struct Files {
    contract: Contract,
    recipe: Recipe,
    network: Model<'static>,
    companions: Companions,
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
        let opened = Opened {
            network,
            hears: hears?,
            sees,
        };
        let others = companions.others();
        Painter::open(&self.contract, self.recipe, opened, others)
    }
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

/// The networks of a model.
struct Opened {
    /// The one that draws.
    network: OpenNetwork,
    /// Those between faces and latents.
    sees: Option<[OpenNetwork; 2]>,
    /// Makes features.
    hears: Option<OpenNetwork>,
}

impl Painter {
    /// `others` are the face in other frames, where files give it.
    ///
    /// # Errors
    /// [`Error::ModelMismatch`].
    fn open(
        contract: &Contract,
        mut recipe: Recipe,
        opened: Opened,
        others: &[Rgb],
    ) -> Result<OpenGenerator, Error> {
        let Opened {
            network,
            sees,
            hears,
        } = opened;
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
        let (image, crop) = (&recipe.image, &recipe.crop);
        let plan = Plan::new(image, crop, recipe.blend, size, contract.others);
        let mut plan = plan.map_err(mismatch)?;
        if !others.is_empty() {
            plan.give(others);
        }

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
