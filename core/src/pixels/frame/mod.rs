//! What a frame is: its planes, where its components lie in them, what its numbers mean.

pub mod colour;
mod format;
pub(super) mod layout;
pub mod view;

pub use colour::Colour;
pub use format::Format;
pub use view::{Plane, View};
