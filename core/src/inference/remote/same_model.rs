//! Two fixed inputs, and what the network that was read makes of them: a server that makes
//! something else of either serves another model.
//!
//! Must not know servers.

use super::{served::Misfit, tensors::Values};
use crate::{
    Error,
    inference::{Element, Network, Views},
};

/// The mean error that is allowed, as a share of the largest value that is expected: 16-bit floats
/// and bytes pass, another model does not.
const ERROR: f32 = 0.02;
/// Outputs that stay below count as if they reached this.
const LEAST: f32 = 0.05;

/// See the module.
pub(super) struct Probe {
    pub cases: Vec<Case>,
}

pub(super) struct Case {
    name: &'static str,
    pub inputs: Vec<Values>,
    expected: Vec<Vec<f32>>,
}

impl Probe {
    /// Inputs with two `views` of one picture have them. Fails as [`Network::run`] does.
    pub fn new(network: &mut dyn Network, views: Option<&Views>) -> Result<Self, Error> {
        let mut noise = Noise(1);
        let cases = ["zeros", "noise"].map(|name| {
            let inputs = network.inputs().iter().map(|tensor| {
                let values = Values::zeros(tensor);
                match (name, tensor.element, values) {
                    ("noise", Element::F32, Values::Floats(mut values)) => {
                        values.fill_with(|| noise.next());
                        if let Some(views) = views
                            && let [_, 6, height, width] = *tensor.shape
                            && height == width
                        {
                            mask(&mut values, height, views);
                        }
                        Values::Floats(values)
                    }
                    ("noise", _, Values::Integer(_, length)) => Values::Integer(1, length),
                    (_, _, zeros) => zeros,
                }
            });
            Case {
                name,
                inputs: inputs.collect(),
                expected: Vec::new(),
            }
        });
        let mut cases = Vec::from(cases);
        for case in &mut cases {
            fill(network, &case.inputs);
            network.run()?;
            let outputs = 0..network.outputs().len();
            case.expected = outputs
                .map(|index| network.output(index).to_vec())
                .collect();
        }
        Ok(Self { cases })
    }
}

impl Case {
    /// As many values as each output has.
    pub fn outputs(&self) -> Vec<Vec<f32>> {
        let lengths = self.expected.iter().map(Vec::len);
        lengths.map(|length| vec![0.0; length]).collect()
    }

    /// Whether a server makes the same of it. `name` gives the outputs' names.
    pub fn compare(
        &self,
        outputs: &[Vec<f32>],
        name: impl Fn(usize) -> String,
    ) -> Result<(), Misfit> {
        for (index, (found, expected)) in outputs.iter().zip(&self.expected).enumerate() {
            let largest = |values: &[f32]| values.iter().fold(0.0f32, |most, v| most.max(v.abs()));
            if !expected.iter().all(|value| value.is_finite()) {
                // Nothing can be told by it.
                continue;
            }
            let error = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
            let error = error.sum::<f32>() / expected.len().max(1) as f32;
            let allowed = ERROR * largest(expected).max(LEAST);
            // NaN is not.
            if error <= allowed {
                continue;
            }
            return Err(Misfit {
                found: format!(
                    "output {} is {error} off in the mean, run on {}",
                    name(index),
                    self.name
                ),
                expected: format!(
                    "at most {allowed}, of values up to {}: the network of the model that was \
                     read",
                    largest(expected)
                ),
            });
        }
        Ok(())
    }
}

/// Makes the second view of the first in `[N, 6, side, side]`.
fn mask(values: &mut [f32], side: usize, views: &Views) {
    let zeros = views.zeros(side);
    for both in values.chunks_exact_mut(6 * side * side) {
        let (first, second) = both.split_at_mut(3 * side * side);
        let (whole, masked) = match views.whole {
            0 => (first, second),
            _ => (second, first),
        };
        masked.copy_from_slice(whole);
        for (index, row) in masked.chunks_exact_mut(side).enumerate() {
            if (zeros.y..zeros.y + zeros.height).contains(&(index % side)) {
                row[zeros.x..zeros.x + zeros.width].fill(0.0);
            }
        }
    }
}

/// Gives a network its inputs.
pub(super) fn fill(network: &mut dyn Network, inputs: &[Values]) {
    for (index, values) in inputs.iter().enumerate() {
        match values {
            Values::Floats(values) => network.input(index).copy_from_slice(values),
            Values::Integer(value, _) => network.set_integer(index, *value),
        }
    }
}

/// The same numbers everywhere and always: whole 255ths of 0..1, which bytes carry exactly.
struct Noise(u32);

impl Noise {
    /// Marsaglia's xorshift.
    fn next(&mut self) -> f32 {
        for shift in [13, -17, 5i32] {
            let moved = match shift {
                ..0 => self.0 >> -shift,
                _ => self.0 << shift,
            };
            self.0 ^= moved;
        }
        (self.0 >> 24) as f32 / 255.0
    }
}
