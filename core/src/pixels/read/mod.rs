//! Reading regions of a frame into tensors.

pub mod opencv_resize;
mod sample;
pub(super) mod window;

pub use sample::sample;
