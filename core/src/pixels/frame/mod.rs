//! What a frame is: its planes, where its components lie in them, what its numbers mean.

pub mod colour;
pub(super) mod element;
mod format;
pub(super) mod layout;
mod transfer;
pub mod view;

pub use colour::Colour;
pub use format::Format;
pub use transfer::Transfer;
pub use view::{Plane, Rows, View};
