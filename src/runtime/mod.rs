//! Networks: named tensors in, named tensors out, run by ONNX Runtime.
//!
//! The only room that knows `ort`. Must not know what a network is for.

use crate::Error;

mod accelerator;
mod cache;
mod card;
mod contents;
mod cores;
mod exit;
mod host;
mod interrupt;
pub mod library;
pub mod log;
mod model;
mod nvidia;
mod pool;
pub mod provider;
pub mod session;
mod shapes;
mod together;
mod turns;

pub use cores::leaves_a_processor;
pub use exit::{AtWork, wait_in_main_thread};
pub use interrupt::Interrupt;
pub use library::load;
pub use log::{Level, set_log_level, set_log_sink};
pub use model::{Model, ModelSource};
pub use provider::{Fallback, Options, Precision, Provider, ProviderOptions};
pub use session::{Opened, check, open, open_model};
pub use together::together;

/// What a tensor is made of. Outputs are always of 32-bit floats.
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
    /// Input `index`, row-major, to be filled before [`run`](Self::run). Panics when out of range
    /// or not of floats.
    fn input(&mut self, index: usize) -> &mut [f32];
    /// Fills input `index` with an integer, cut to what it can hold. Panics when out of range or
    /// not of integers.
    fn set_integer(&mut self, index: usize, value: i64);
    /// Fails with [`Error::Inference`]; the tensors then hold unspecified values.
    fn run(&mut self) -> Result<(), Error>;
    /// Output `index` of the last run, row-major. Panics when out of range.
    fn output(&self, index: usize) -> &[f32];
}
