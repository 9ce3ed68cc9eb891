//! Maps between coordinates, and arithmetic on several pixels at once.

pub mod affine;
pub mod cells;
pub(super) mod lanes;

pub use affine::Affine;
