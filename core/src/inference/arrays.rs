//! Tensors of a network by their shape. None of this allocates or copies: the numbers stay where the
//! network has them.

use ndarray::{ArrayView, Dimension};

use super::{Network, TensorInfo};

const FITS: &str = "a tensor holds as many numbers as its shape says";

impl dyn Network + '_ {
    /// Output `index` of the last run in its shape. Panics when out of range or not of `D`
    /// dimensions.
    pub fn output_array<D: Dimension>(&self, index: usize) -> ArrayView<'_, f32, D> {
        let info = &self.outputs()[index];
        let mut shape = D::zeros(info.shape.len());
        shape.slice_mut().copy_from_slice(&info.shape);
        ArrayView::from_shape(shape, self.output(index)).expect(FITS)
    }

    /// The planes of input `index`, which is `[1, N, height, width]`. Panics when out of range, not
    /// of floats, or of fewer planes.
    pub fn input_planes<const N: usize>(&mut self, index: usize) -> [&mut [f32]; N] {
        let input = self.input(index);
        let mut planes = input.chunks_exact_mut(input.len() / N);
        std::array::from_fn(|_| planes.next().expect(FITS))
    }

    /// What input `index` has for `entry` of the batch, row-major. Panics when out of range or not
    /// of floats.
    pub fn input_entry(&mut self, index: usize, entry: usize) -> &mut [f32] {
        let length = entry_length(&self.inputs()[index]);
        &mut self.input(index)[entry * length..][..length]
    }

    /// What output `index` of the last run has for `entry` of the batch, row-major. Panics when out
    /// of range.
    pub fn output_entry(&self, index: usize, entry: usize) -> &[f32] {
        let length = entry_length(&self.outputs()[index]);
        &self.output(index)[entry * length..][..length]
    }
}

fn entry_length(info: &TensorInfo) -> usize {
    info.shape.iter().skip(1).product()
}
