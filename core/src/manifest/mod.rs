//! What a model says about itself, a TOML file beside its networks: the head that all families
//! share, and the files that it names.
//!
//! Must not know what any family makes of the rest.

mod head;
mod read;

pub use head::{Data, File, VERSION, about, family, parse};
pub use read::{Named, read_manifest};
