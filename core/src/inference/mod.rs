//! Networks: named tensors in, named tensors out. [`onnx`] runs them in this process, [`remote`] on a
//! server.
//!
//! Must not know what a network is for.

use std::any::Any;

use crate::Error;

mod arrays;
mod backend;
mod calls;
mod companions;
mod file_snapshot;
mod interrupt;
mod model_file;
pub mod onnx;
mod onnx_contents;
mod onnx_weights;
mod open_network;
mod opener;
mod options;
mod protobuf;
#[cfg(feature = "remote")]
pub mod remote;
mod tensor_text;

pub use backend::Backend;
pub use calls::{CallCounts, Calls, ServerEvent};
pub use companions::{Beside, Miss};
pub use file_snapshot::Snapshot;
pub use interrupt::Interrupt;
pub use model_file::{Model, ModelSource, Pin, Pins, Views, read_pinned};
pub use onnx_contents::{DeclaredInput, Dimension};
pub use open_network::OpenNetwork;
pub use opener::{Opener, Shape};
pub use options::{
    Fallback, OnUnreachable, Options, Precision, Provider, ProviderOptions, Server, add_fallbacks,
};
pub use tensor_text::describe;

/// What a tensor is filled with or read as; outputs always as 32-bit floats. Floats that a model has
/// in another size are cast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    F32,
    I32,
    I64,
}

/// Name, type and shape of one tensor. A dimension that the model leaves open is 1 once bound, the
/// first one [`Options::batch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    pub name: String,
    pub element: Element,
    pub shape: Vec<usize>,
}

/// A network with its input and output tensors bound for life: fill the inputs, run, read the
/// outputs. Nothing is allocated between frames.
pub trait Network: Send {
    /// For messages: file name or role.
    fn name(&self) -> &str;
    fn inputs(&self) -> &[TensorInfo];
    fn outputs(&self) -> &[TensorInfo];
    /// Input `index`, row-major, to be filled before [`run`](Self::run), which leaves it as it is.
    /// Panics when out of range or not of floats.
    fn input(&mut self, index: usize) -> &mut [f32];
    /// Fills input `index` with an integer, cut to what it can hold. Panics when out of range or
    /// not of integers.
    fn set_integer(&mut self, index: usize, value: i64);
    /// Fails with [`Error::Inference`] or [`Error::Unreachable`]; the tensors then hold unspecified
    /// values.
    fn run(&mut self) -> Result<(), Error>;
    /// Output `index` of the last run, row-major. Panics when out of range.
    fn output(&self, index: usize) -> &[f32];
    /// Has what runs write to output `index` be input `input` of `next`, in the same memory, whatever their
    /// shapes; what [`output`](Self::output) gives for it and what that input is filled with count no longer.
    /// False where that is not possible: of other numbers or as many, or not on the same device. Nothing
    /// changes then.
    fn feed(&mut self, index: usize, next: &mut dyn Network, input: usize) -> bool {
        let _ = (index, next, input);
        false
    }
    /// For networks of one engine, which know each other.
    fn as_any(&mut self) -> Option<&mut dyn Any> {
        None
    }
}
