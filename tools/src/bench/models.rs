//! The models that are measured.

use std::path::{Path, PathBuf};

use crate::job::Box4;

/// Those of `training/reference_models.py`: the architectures that people have, random weights.
pub const REFERENCES: [&str; 4] = ["unet-328", "wav2lip-96", "wav2lip-256", "nota-96"];

const BUILT_IN: &str = "built-in";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Model {
    BuiltIn,
    /// Its manifest, beside which its networks lie.
    Reference(PathBuf),
}

impl Model {
    /// What [`at`](Self::at) reads back.
    pub fn path(&self) -> &Path {
        match self {
            Self::BuiltIn => Path::new(BUILT_IN),
            Self::Reference(manifest) => manifest,
        }
    }

    pub fn at(path: &Path) -> Self {
        match path == Path::new(BUILT_IN) {
            true => Self::BuiltIn,
            false => Self::Reference(path.to_owned()),
        }
    }

    pub fn name(&self) -> String {
        let stem = self.path().file_stem().unwrap_or_default();
        stem.to_string_lossy().into_owned()
    }

    pub fn manifest(&self) -> Option<PathBuf> {
        match self {
            Self::BuiltIn => None,
            Self::Reference(manifest) => Some(manifest.clone()),
        }
    }

    /// The network that draws.
    pub fn network(&self) -> PathBuf {
        match self {
            Self::BuiltIn => {
                Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/builtin/renderer.onnx")
            }
            Self::Reference(manifest) => manifest.with_extension("onnx"),
        }
    }

    pub fn box_kind(&self) -> Box4 {
        match self.name().starts_with("unet") {
            true => Box4::Square,
            false => Box4::Face,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_survive_a_command_line() {
        for model in [Model::BuiltIn, Model::Reference("a/wav2lip-96.toml".into())] {
            assert_eq!(Model::at(model.path()), model);
        }
        let model = Model::at(Path::new("a/wav2lip-96.toml"));
        assert_eq!(model.name(), "wav2lip-96");
        assert_eq!(model.network(), Path::new("a/wav2lip-96.onnx"));
        assert_eq!(Model::BuiltIn.name(), "built-in");
        assert!(Model::BuiltIn.network().is_file());
    }
}
