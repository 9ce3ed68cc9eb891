//! What a frame is: its planes, where its components lie in them, what its numbers mean.

pub mod colour;
pub(super) mod layout;
pub mod view;

pub use colour::Colour;
pub use view::{Format, Plane, View};
