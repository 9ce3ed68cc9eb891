//! Names, types and shapes of a network's tensors.

use super::{Element, TensorInfo};

/// Tensors as `name [1, 80, 32], …` for messages.
pub fn describe(tensors: &[TensorInfo]) -> String {
    tensors
        .iter()
        .map(|tensor| match tensor.element {
            Element::F32 => format!("{} {:?}", tensor.name, tensor.shape),
            Element::I32 | Element::I64 => {
                format!("{} {:?} of integers", tensor.name, tensor.shape)
            }
        })
        .collect::<Vec<_>>()
        .join(", ")
}
