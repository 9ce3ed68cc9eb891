//! Sizes that a network's file leaves open, as the manifest or the family has them: exports for any
//! height and width still draw best at the size that they were trained with.
//!
//! Must not know how a network is run.

use crate::{
    families::redraw::{
        Contract, Usual,
        recipe::{COLUMNS, Features, Recipe, Sound, Tensors},
    },
    inference::{DeclaredInput, Dimension, Model, Shape},
    sound::BANDS,
};

/// As `training/export_hubert.py` names what an encoder hears.
const SAMPLES: &str = "samples";

/// What a network of a family is given.
pub struct Expected<'a> {
    names: &'a Tensors,
    /// Channels of the face.
    channels: usize,
    /// Its side where the manifest says it, and the family's, for files that do not say it either.
    side: Option<usize>,
    usual_side: usize,
    /// The shape of the sound, without its first dimension.
    sound: Vec<usize>,
}

impl<'a> Expected<'a> {
    /// Of a network that hears `sound`; `side` is that of the face, where it is said.
    pub fn new(
        contract: &Contract,
        names: &'a Tensors,
        side: Option<usize>,
        sound: &Sound,
    ) -> Self {
        let hears = |usual: &&Usual| (usual.features, usual.rows) == (sound.features, sound.rows);
        let mut usual = contract.usual.iter();
        let usual = usual.find(hears).or(contract.usual.first());
        Self {
            names,
            channels: contract.channels,
            side,
            usual_side: usual.map_or(0, |usual| usual.size),
            sound: sound.shape(),
        }
    }

    /// Shapes for the inputs that leave sizes open; `None` where the face and the sound cannot be
    /// told from what the file says.
    pub fn shapes(&self, model: &Model) -> Option<Vec<Shape>> {
        let inputs = model.inputs();
        let sound = [&[0], self.sound.as_slice()].concat();
        let hears = |input| fits(input, &self.names.sound, &sound);
        let sees = |input| fits(input, &self.names.image, &self.face(input));
        let mut pairs = inputs
            .iter()
            .filter(|input| sees(input))
            .flat_map(|face| inputs.iter().map(move |sound| (face, sound)))
            .filter(|(face, sound)| face.name != sound.name && hears(sound));
        let (face, heard) = pairs.next()?;
        if pairs.next().is_some() {
            return None;
        }
        let shapes = [(face, self.face(face)), (heard, sound)].into_iter();
        Some(
            shapes
                .filter(|(input, _)| is_open(input))
                .map(|(input, shape)| (input.name.clone(), shape))
                .collect(),
        )
    }

    /// For the face alone, where what is heard is of a shape of its own.
    fn face_alone(&self, model: &Model) -> Option<Shape> {
        let inputs = model.inputs();
        let sees = |input: &&DeclaredInput| fits(input, &self.names.image, &self.face(input));
        let mut faces = inputs.iter().filter(sees);
        let face = faces.next().filter(|input| is_open(input))?;
        let shape = (face.name.clone(), self.face(face));
        faces.next().is_none().then_some(shape)
    }

    /// The shape of the face, if this input takes it. One side may be fixed.
    fn face(&self, input: &DeclaredInput) -> Vec<usize> {
        let fixed = input.shape.iter().skip(2).find_map(|side| match side {
            Dimension::Fixed(side) => Some(*side),
            Dimension::Named(_) | Dimension::Open => None,
        });
        let side = self.side.or(fixed).unwrap_or(self.usual_side);
        vec![0, self.channels, side, side]
    }
}

/// Shapes for the inputs of a network with a manifest that leave sizes open.
pub fn of_generator(contract: &Contract, recipe: &Recipe, model: &Model) -> Vec<Shape> {
    let (names, side) = (&recipe.tensors, recipe.image.size);
    let expected = Expected::new(contract, names, side, &recipe.sound);
    let shapes = expected.shapes(model);
    shapes.unwrap_or_else(|| expected.face_alone(model).into_iter().collect())
}

/// The same of an audio encoder.
pub fn of_encoder(model: &Model, recipe: &Recipe) -> Vec<Shape> {
    let (names, sound) = (&recipe.tensors, &recipe.sound);
    let window = sound.window();
    let inputs = model.inputs();
    if let Some(pieces) = sound.pieces() {
        // Two lists of numbers, which nothing but their names tells apart while their lengths are
        // open.
        return inputs
            .iter()
            .filter(|input| is_open(input) && input.shape.len() == 2)
            .map(|input| {
                let length = match input.name == names.mel.as_deref().unwrap_or(SAMPLES) {
                    true => pieces.samples(),
                    false => pieces.rows(),
                };
                (input.name.clone(), vec![1, length])
            })
            .collect();
    }
    let shapes = match sound.features {
        Features::Wenet => vec![vec![0, 1, window, BANDS], vec![0, window, BANDS]],
        _ => vec![vec![0, 1, BANDS, COLUMNS]],
    };
    let mut open = inputs.iter().filter_map(|input| {
        let shape = shapes.iter().find(|shape| fits(input, &names.mel, shape))?;
        is_open(input).then(|| (input.name.clone(), shape.clone()))
    });
    match (open.next(), open.next()) {
        (Some(only), None) => vec![only],
        _ => Vec::new(),
    }
}

/// Whether an input has that name, if one is given, and can have that shape.
fn fits(input: &DeclaredInput, name: &Option<String>, shape: &[usize]) -> bool {
    let agree = |(found, expected): (&Dimension, &usize)| match found {
        Dimension::Fixed(found) => *expected == 0 || found == expected,
        Dimension::Named(_) | Dimension::Open => true,
    };
    name.as_ref().is_none_or(|name| *name == input.name)
        && input.shape.len() == shape.len()
        && input.shape.iter().zip(shape).all(agree)
}

/// Whether it leaves more open than how many faces there are.
fn is_open(input: &DeclaredInput) -> bool {
    input.shape.iter().skip(1).any(Dimension::is_open)
}
