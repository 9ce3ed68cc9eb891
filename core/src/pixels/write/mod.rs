//! Writing redrawn regions back into a frame.

pub mod blend;
pub mod draw;
mod field;
pub mod stamp;
mod warp;

pub use blend::{Blender, Drawn, Patch};
pub use stamp::{Stamp, stamp};
