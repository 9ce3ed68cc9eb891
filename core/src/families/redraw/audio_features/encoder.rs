//! A network that makes features of one window of a spectrum, with what a streaming one wants
//! besides: integers, and caches that go on from run to run.
//!
//! Must not know which window belongs to which row.

use crate::{
    Error,
    families::redraw::{
        audio_features::mismatch,
        recipe::{self, Sound, Tensors},
    },
    generator::finite,
    inference::{Element, Network, TensorInfo},
    sound::BANDS,
};

/// The integer that says where in the stream a network stands, and what it is where the manifest
/// says nothing: Ultralight's `wenet_infer.py` gives 100 to every run.
const OFFSET: &str = "offset";
const OFFSET_VALUE: i64 = 100;

pub struct Encoder {
    network: Box<dyn Network>,
    /// Tensors of the network.
    window: usize,
    features: usize,
    /// Columns in a window.
    columns: usize,
    /// Whether the network takes column after column, not band after band.
    by_column: bool,
    /// Numbers that one run makes.
    length: usize,
    caches: Vec<Cache>,
    offset: Option<Offset>,
    /// The window that ran last, where the caches go on from it.
    last: Option<i64>,
}

/// An output that becomes an input of the next run.
struct Cache {
    input: usize,
    output: usize,
    values: Vec<f32>,
}

struct Offset {
    input: usize,
    first: i64,
    /// What one run adds.
    step: i64,
    next: i64,
}

impl Encoder {
    /// Fails with [`Error::ModelMismatch`].
    pub fn open(
        mut network: Box<dyn Network>,
        names: &Tensors,
        sound: &Sound,
    ) -> Result<Self, Error> {
        let by_column = sound.features == recipe::Features::Wenet;
        let columns = sound.window();
        let window = find(network.inputs(), &names.mel, |shape| match by_column {
            false => matches!(*shape, [_, 1, BANDS, width] if width == columns),
            true => {
                matches!(*shape, [_, 1, height, BANDS] | [_, height, BANDS] if height == columns)
            }
        });
        let features = find(
            network.outputs(),
            &names.features,
            |shape| matches!(*shape, [batch, .., _] if batch > 0),
        );
        // Only a streaming network has more to be told than what it hears.
        let (Some(window), Some(features), true) =
            (window, features, by_column || network.inputs().len() == 1)
        else {
            let shapes = match by_column {
                false => format!("mel [N, 1, {BANDS}, {columns}] -> features [N, F]"),
                true => format!(
                    "fbank [N, 1, {columns}, {BANDS}] or [N, {columns}, {BANDS}] -> features \
                     [N, ...]"
                ),
            };
            return Err(mismatch(
                &*network,
                format!(
                    "an audio encoder: {shapes}, named {} -> {}",
                    names.mel.as_deref().unwrap_or("anything"),
                    names.features.as_deref().unwrap_or("anything")
                ),
            ));
        };
        let shape = &network.outputs()[features].shape;
        let (length, rows) = (
            shape[1..].iter().product(),
            shape[1..shape.len() - 1].iter().product::<usize>() as i64,
        );
        let caches = caches(&*network, names, window)?;
        let offset = set_integers(&mut *network, sound)?.map(|(input, first)| Offset {
            input,
            first,
            step: rows,
            next: first,
        });
        Ok(Self {
            network,
            window,
            features,
            columns,
            by_column,
            length,
            caches,
            offset,
            last: None,
        })
    }

    /// Numbers that one run makes.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Numbers in a window.
    pub fn heard(&self) -> usize {
        BANDS * self.columns
    }

    /// Copies the window that begins with column `at` of `columns` in `mel`, band after band, as
    /// the network takes it; zeros from column `end` on.
    pub fn look(&self, mel: &[f32], columns: usize, at: usize, end: usize, out: &mut [f32]) {
        let known = end.clamp(at, at + self.columns) - at;
        for (band, mel) in mel.chunks_exact(columns).enumerate() {
            let mel = &mel[at..at + self.columns];
            for (column, &value) in mel.iter().enumerate() {
                let place = match self.by_column {
                    true => column * BANDS + band,
                    false => band * self.columns + column,
                };
                out[place] = if column < known { value } else { 0.0 };
            }
        }
    }

    /// Runs on window `number`. Caches go on if the one before ran last, and begin anew otherwise.
    ///
    /// Fails with [`Error::Inference`].
    pub fn run(&mut self, number: i64, window: &[f32]) -> Result<&[f32], Error> {
        if self.last.is_none() || self.last != number.checked_sub(1) {
            self.restart();
        }
        self.last = None;
        self.network.input(self.window)[..window.len()].copy_from_slice(window);
        if let Some(offset) = &self.offset {
            self.network.set_integer(offset.input, offset.next);
        }
        self.network.run()?;
        for cache in &mut self.caches {
            let made = self.network.output(cache.output);
            finite(made, self.network.name())?;
            // The network's own tensors cannot be borrowed both at once.
            cache.values.copy_from_slice(made);
            self.network
                .input(cache.input)
                .copy_from_slice(&cache.values);
        }
        let made = &self.network.output(self.features)[..self.length];
        finite(made, self.network.name())?;
        if !self.caches.is_empty() {
            if let Some(offset) = &mut self.offset {
                offset.next = offset.next.saturating_add(offset.step);
            }
            self.last = Some(number);
        }
        Ok(made)
    }

    /// Empties the caches.
    pub fn restart(&mut self) {
        for cache in &self.caches {
            self.network.input(cache.input).fill(0.0);
        }
        if let Some(offset) = &mut self.offset {
            offset.next = offset.first;
        }
        self.last = None;
    }
}

/// The first tensor of floats of that name, if one is given, and of a shape that fits.
pub fn find(
    tensors: &[TensorInfo],
    name: &Option<String>,
    fits: impl Fn(&[usize]) -> bool,
) -> Option<usize> {
    tensors.iter().position(|tensor| {
        tensor.element == Element::F32
            && fits(&tensor.shape)
            && name.as_ref().is_none_or(|name| *name == tensor.name)
    })
}

/// The caches that the manifest names.
fn caches(network: &dyn Network, names: &Tensors, window: usize) -> Result<Vec<Cache>, Error> {
    let place = |tensors: &[TensorInfo], name: &str| {
        let is_named = |tensor: &TensorInfo| tensor.name == name && tensor.element == Element::F32;
        tensors.iter().position(is_named)
    };
    let (inputs, outputs) = (network.inputs(), network.outputs());
    let cache = |(from, to): (&String, &String)| {
        let (input, output) = (place(inputs, from)?, place(outputs, to)?);
        let shape = &inputs[input].shape;
        (input != window && *shape == outputs[output].shape).then(|| Cache {
            input,
            output,
            values: vec![0.0; shape.iter().product()],
        })
    };
    names
        .caches
        .iter()
        .map(|names| {
            cache(names).ok_or_else(|| {
                let (input, output) = names;
                mismatch(
                    network,
                    format!("a cache, an input {input} and an output {output} of one shape"),
                )
            })
        })
        .collect()
}

/// Gives the integers their values. Returns the offset's input and value, if there is one.
fn set_integers(network: &mut dyn Network, sound: &Sound) -> Result<Option<(usize, i64)>, Error> {
    let names: Vec<_> = network
        .inputs()
        .iter()
        .map(|input| (input.element != Element::F32).then(|| input.name.clone()))
        .collect();
    if let Some(unknown) = sound
        .integers
        .keys()
        .find(|key| !names.contains(&Some((*key).clone())))
    {
        let expected = format!("an input of integers {unknown}, as [sound] integers names it");
        return Err(mismatch(network, expected));
    }
    let mut offset = None;
    for (input, name) in names.iter().enumerate() {
        let Some(name) = name else {
            continue;
        };
        let default = (name == OFFSET).then_some(OFFSET_VALUE);
        let Some(value) = sound.integers.get(name).copied().or(default) else {
            let expected = format!("the value of the input {name} in [sound] integers");
            return Err(mismatch(network, expected));
        };
        network.set_integer(input, value);
        if name == OFFSET {
            offset = Some((input, value));
        }
    }
    Ok(offset)
}
