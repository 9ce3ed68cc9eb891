//! The model families. A new one is a file or a folder here and a line in [`FAMILIES`].

pub mod dinet;
pub mod edtalk;
pub mod musetalk;
pub mod redraw;
pub mod unet;
pub mod warp;
pub mod wav2lip;

use std::path::Path;

use crate::{
    Error,
    generator::OpenGenerator,
    inference::{Model, Network, OpenNetwork, Opener, Shape, Snapshot},
};

/// All families. A network without a manifest belongs to the first one that recognises it;
/// [`catalogue`](crate::catalogue) asks them.
pub const FAMILIES: [&dyn Family; 6] = [
    &warp::FAMILY,
    &wav2lip::WAV2LIP,
    &edtalk::EDTALK,
    &unet::UNET,
    &musetalk::MUSETALK,
    &dinet::DINET,
];

/// What the models of a family have in common: how they are described, recognised and opened.
pub trait Family: Sync {
    /// As manifests name it.
    fn name(&self) -> &'static str;

    /// Reads the rest of the manifest `text` in the file `path`, and the files that it names.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`], [`Error::ModelUnreadable`].
    fn read(&self, text: &str, path: &Path) -> Result<Box<dyn ModelFiles>, Error>;

    /// The tensors by which a network without a manifest is recognised, for messages; `None` where
    /// the family's models need one.
    fn signature(&self) -> Option<&'static str> {
        None
    }

    /// What a network without a manifest is opened with where its file leaves sizes open; `None`
    /// where that does not look like one of this family.
    fn open_sizes(&self, model: &Model) -> Option<Vec<Shape>> {
        let _ = model;
        None
    }

    /// Whether the network `path`, which has no manifest, belongs to this family.
    fn recognises(&self, network: &dyn Network, path: &Path) -> bool {
        let _ = (network, path);
        false
    }

    /// Makes a generator of a network that it recognises.
    ///
    /// # Errors
    /// Those of [`read`](Self::read) and of [`ModelFiles::open`].
    fn open_bare(
        &self,
        network: OpenNetwork,
        path: &Path,
        opener: &Opener,
    ) -> Result<OpenGenerator, Error> {
        let _ = (path, opener);
        Err(Error::ModelMismatch {
            name: network.network.name().to_owned(),
            found: "a network without a manifest".into(),
            expected: format!("a manifest of the family `{}`", self.name()),
        })
    }
}

/// A model whose manifest and files were read.
pub trait ModelFiles: Send {
    /// How much later than its frame the generator hears.
    fn look_ahead_ns(&self) -> i64;

    /// The files of its networks.
    fn snapshot(&self) -> Snapshot;

    /// Opens the networks.
    ///
    /// # Errors
    /// Those of [`Backend::open`](crate::inference::Backend::open).
    fn open(self: Box<Self>, opener: &Opener) -> Result<OpenGenerator, Error>;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The schema is for models without our own geometry: those whose networks are recognised.
    #[test]
    fn the_schema_for_editors_knows_every_family() {
        let schema = include_str!("../../../docs/model.schema.json");
        let names = FAMILIES
            .into_iter()
            .filter(|family| family.signature().is_some());
        let names: Vec<_> = names
            .map(|family| format!("\"{}\"", family.name()))
            .collect();
        assert!(schema.contains(&format!("\"enum\": [{}]", names.join(", "))));
    }
}
