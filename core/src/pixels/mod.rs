//! Reading regions of a video frame into tensors and writing redrawn regions back, in place, in
//! the frame's own format.
//!
//! Must not know faces, sound, GStreamer or networks.
//!
//! Convention for all coordinates: an integer is the centre of a pixel, x to the right, y down;
//! a frame covers `-0.5 ..= width - 0.5`.
//!
//! A format is a table (`layout.rs`): where each component lies, and which components are sampled
//! at the same positions. How wide numbers are and how they share words says `element.rs`.
//! Everything else is written once, for any such table. A new format is one arm there.

pub mod frame;
pub mod geometry;
pub mod read;
pub mod write;

pub use frame::{Colour, Format, Plane, Rows, View};
pub use geometry::Affine;
pub use read::sample;
pub use write::{Blender, Drawn, Patch, Stamp, stamp};
