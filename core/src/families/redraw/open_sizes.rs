//! Sizes that a network's file leaves open, as the manifest or the family has them: exports for any
//! height and width still draw best at the size that they were trained with.
//!
//! Must not know how a network is run.

use crate::{
    families::redraw::{
        Contract, Usual, is_square,
        recipe::{COLUMNS, Features, Recipe, Sound, Tensors},
    },
    inference::{DeclaredInput, Dimension, Model, Shape},
    rect::Size,
    sound::BANDS,
};

/// As `training/export_hubert.py` names what an encoder hears.
const SAMPLES: &str = "samples";

/// What a network of a family is given.
pub struct Expected<'a> {
    names: &'a Tensors,
    /// Channels of the face, and of the same in other frames.
    channels: usize,
    other_channels: usize,
    /// Its size where the manifest says it, and the family's, for files that do not say it either.
    size: Option<Size>,
    usual_size: Size,
    /// The shape of the sound, without its first dimension.
    sound: Vec<usize>,
}

impl<'a> Expected<'a> {
    /// Of a network that hears `sound`; `size` is that of the face, where it is said.
    pub fn new(contract: &Contract, names: &'a Tensors, size: Option<Size>, sound: &Sound) -> Self {
        let hears = |usual: &&Usual| (usual.features, usual.rows) == (sound.features, sound.rows);
        let mut usual = contract.usual.iter();
        let usual = usual.find(hears).or(contract.usual.first());
        Self {
            names,
            channels: contract.channels,
            other_channels: 3 * contract.others,
            size,
            usual_size: usual.map_or(Size::default(), |usual| usual.size),
            sound: sound.shape(),
        }
    }

    /// Shapes for the inputs that leave sizes open; `None` where the face and the sound cannot be
    /// told from what the file says.
    pub fn shapes(&self, model: &Model) -> Option<Vec<Shape>> {
        let inputs = model.inputs();
        let sound = [&[0], self.sound.as_slice()].concat();
        let hears = |input| fits(input, &self.names.sound, &sound);
        let sees = |input| fits(input, &self.names.image, &self.face(input, self.channels));
        let mut pairs = inputs
            .iter()
            .filter(|input| sees(input))
            .flat_map(|face| inputs.iter().map(move |sound| (face, sound)))
            .filter(|(face, sound)| face.name != sound.name && hears(sound));
        let (face, heard) = pairs.next()?;
        if pairs.next().is_some() {
            return None;
        }
        let sees_others = |input: &&DeclaredInput| {
            let shape = self.face(input, self.other_channels);
            self.other_channels > 0 && fits(input, &None, &shape)
        };
        let others = inputs.iter().filter(sees_others);
        let others = others.map(|input| (input, self.face(input, self.other_channels)));
        let shapes = [(face, self.face(face, self.channels)), (heard, sound)].into_iter();
        Some(
            shapes
                .chain(others)
                .filter(|(input, _)| is_open(input))
                .map(|(input, shape)| (input.name.clone(), shape))
                .collect(),
        )
    }

    /// For the face alone, where what is heard is of a shape of its own.
    fn face_alone(&self, model: &Model) -> Option<Shape> {
        let inputs = model.inputs();
        let shape = |input: &DeclaredInput| self.face(input, self.channels);
        let sees = |input: &&DeclaredInput| fits(input, &self.names.image, &shape(input));
        let mut faces = inputs.iter().filter(sees);
        let face = faces.next().filter(|input| is_open(input))?;
        let shape = (face.name.clone(), shape(face));
        faces.next().is_none().then_some(shape)
    }

    /// The shape of faces, if this input takes them. One side of a square may be fixed.
    fn face(&self, input: &DeclaredInput, channels: usize) -> Vec<usize> {
        let fixed = input.shape.iter().skip(2).find_map(|side| match side {
            Dimension::Fixed(side) => Some(*side),
            Dimension::Named(_) | Dimension::Open => None,
        });
        let fixed = fixed.filter(|_| is_square(self.usual_size));
        let size = self.size.or(fixed.map(Size::square));
        let Size { width, height } = size.unwrap_or(self.usual_size);
        vec![0, channels, height, width]
    }
}

/// Shapes for the inputs of a network with a manifest that leave sizes open.
pub fn of_generator(contract: &Contract, recipe: &Recipe, model: &Model) -> Vec<Shape> {
    let (names, size) = (&recipe.tensors, recipe.image.size);
    let expected = Expected::new(contract, names, size, &recipe.sound);
    let shapes = expected.shapes(model);
    shapes.unwrap_or_else(|| expected.face_alone(model).into_iter().collect())
}

/// The same of an audio encoder.
pub fn of_encoder(model: &Model, recipe: &Recipe) -> Vec<Shape> {
    let (names, sound) = (&recipe.tensors, &recipe.sound);
    let window = sound.window();
    let inputs = model.inputs();
    if let Some(pieces) = sound.pieces() {
        if let Some(numbers) = pieces.listener.row_numbers() {
            let shape = vec![1, pieces.rows(), numbers];
            let takes = |input: &&DeclaredInput| is_open(input) && fits(input, &names.mel, &shape);
            let input = inputs.iter().find(takes);
            let shape = input.map(|input| (input.name.clone(), shape.clone()));
            return shape.into_iter().collect();
        }
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
