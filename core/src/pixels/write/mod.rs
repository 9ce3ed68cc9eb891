//! Writing redrawn regions back into a frame: patches with soft edges in [`blend`], whole pixels
//! in [`stamp`](mod@stamp).

pub mod blend;
pub mod debug_pen;
mod field;
pub mod stamp;
mod warp;

pub use blend::{Blender, Drawn, Patch};
pub use stamp::{Stamp, stamp};
