//! Reading regions of a video frame into tensors and writing redrawn regions back, in place, in
//! the frame's own format.
//!
//! Must not know faces, sound, GStreamer or networks.
//!
//! Convention for all coordinates: an integer is the centre of a pixel, x to the right, y down;
//! a frame covers `-0.5 ..= width - 0.5`.

pub mod affine;
pub mod colour;
pub mod view;

pub use affine::Affine;
pub use colour::Colour;
pub use view::{Format, Plane, View};
