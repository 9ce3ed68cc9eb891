//! From what the user named to a generator: built in, a file, a folder, or the program's own. The family is
//! the one that a manifest names, or that recognises a network without one.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    Error,
    families::{FAMILIES, Family, ModelFiles, warp},
    generator::{Generator, OpenGenerator},
    inference::{Model, ModelSource, Network, Opener, Snapshot, describe},
    manifest,
};

/// Name of the manifest in a model's folder.
const MANIFEST_NAME: &str = "manifest.toml";

/// Which generator draws.
#[derive(Clone, Default)]
pub enum Source {
    /// The model inside the plugin.
    #[default]
    BuiltIn,
    /// A manifest, a folder that holds one, or a network of a family known by its shapes.
    Path(PathBuf),
    /// A generator of the program's own, made anew for each stream.
    Custom(Arc<dyn Fn() -> Box<dyn Generator> + Send + Sync>),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("BuiltIn"),
            Self::Path(path) => f.debug_tuple("Path").field(path).finish(),
            Self::Custom(_) => f.write_str("Custom"),
        }
    }
}

/// A generator whose files are there and are what its manifest says.
pub struct Found {
    kind: Kind,
    files: Snapshot,
}

enum Kind {
    Files(Box<dyn ModelFiles>),
    /// Its family shows when it is open.
    Bare {
        path: PathBuf,
        network: Box<Model<'static>>,
    },
    Custom(Box<dyn Generator>),
}

/// Finds the generator's files, reads them and checks their hashes.
///
/// # Errors
/// [`Error::ModelNotFound`], [`Error::ModelUnreadable`].
pub fn find(source: &Source) -> Result<Found, Error> {
    let mut files = Snapshot::default();
    let kind = match source {
        Source::BuiltIn => Kind::Files(warp::embedded()?),
        Source::Path(path) => find_path(path, &mut files)?,
        Source::Custom(make) => Kind::Custom(make()),
    };
    files.extend(kind.snapshot());
    Ok(Found { kind, files })
}

impl Kind {
    /// The files of its networks.
    fn snapshot(&self) -> Snapshot {
        match self {
            Self::Files(files) => files.snapshot(),
            Self::Bare { network, .. } => network.files().clone(),
            Self::Custom(_) => Snapshot::default(),
        }
    }
}

impl Found {
    /// How much later than its frame the generator hears; `None` where only the networks say.
    pub fn look_ahead_ns(&self) -> Option<i64> {
        match &self.kind {
            Kind::Files(files) => Some(files.look_ahead_ns()),
            Kind::Bare { .. } => None,
            Kind::Custom(generator) => Some(generator.hearing().look_ahead_ns),
        }
    }

    /// Whether there are networks to load, the generator's own or those that find faces for it.
    pub fn has_networks(&self) -> bool {
        match &self.kind {
            Kind::Custom(generator) => generator.needs_face(),
            Kind::Files(_) | Kind::Bare { .. } => true,
        }
    }

    /// Loads the networks.
    ///
    /// # Errors
    /// [`Error::ModelUnreadable`], [`Error::ModelMismatch`], [`Error::RuntimeMissing`],
    /// [`Error::ProviderUnavailable`] or [`Error::Inference`].
    pub fn open(self, opener: &Opener) -> Result<OpenGenerator, Error> {
        let mut opened = match self.kind {
            Kind::Files(files) => files.open(opener)?,
            Kind::Bare { path, network } => open_bare(&path, &network, opener)?,
            Kind::Custom(generator) => OpenGenerator {
                about: generator.name().to_owned(),
                generator,
                active: None,
                fallbacks: Vec::new(),
                files: Snapshot::default(),
            },
        };
        opened.files.extend(self.files);
        Ok(opened)
    }
}

fn find_path(path: &Path, files: &mut Snapshot) -> Result<Kind, Error> {
    let not_found = |reason: String| Error::ModelNotFound {
        path: path.to_owned(),
        reason,
    };
    let metadata = fs::metadata(path).map_err(|err| not_found(err.to_string()))?;
    if metadata.is_dir() {
        let manifest = path.join(MANIFEST_NAME);
        if !manifest.is_file() {
            return Err(not_found(format!(
                "the folder holds no `{MANIFEST_NAME}`. Name a folder with a manifest, or the \
                 manifest itself"
            )));
        }
        return find_manifest(&manifest, files);
    }
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => find_manifest(path, files),
        Some("onnx") => Ok(Kind::Bare {
            path: path.to_owned(),
            network: Box::new(Model::read(ModelSource::File(path))?.into_owned()),
        }),
        _ => Err(Error::ModelUnreadable {
            path: path.to_owned(),
            reason: "expected a `.toml` manifest, a folder that holds one, or an `.onnx` file"
                .into(),
        }),
    }
}

fn find_manifest(path: &Path, files: &mut Snapshot) -> Result<Kind, Error> {
    let text = manifest::read_manifest(path, files)?;
    let name = manifest::family(&text, path)?;
    let Some(family) = FAMILIES.into_iter().find(|family| family.name() == name) else {
        let known = FAMILIES.map(|family| format!("`{}`", family.name()));
        return Err(Error::ModelUnreadable {
            path: path.to_owned(),
            reason: format!("unknown family `{name}`, expected {}", known.join(", ")),
        });
    };
    family.read(&text, path).map(Kind::Files)
}

/// Opens a network without a manifest, of the family that recognises its tensors.
fn open_bare(path: &Path, model: &Model, opener: &Opener) -> Result<OpenGenerator, Error> {
    let shapes = FAMILIES.iter().find_map(|family| family.open_sizes(model));
    let opened = opener.batched(model, &shapes.unwrap_or_default())?;
    let recognised = |family: &&dyn Family| family.recognises(&*opened.network, path);
    match FAMILIES.iter().find(|family| recognised(family)) {
        Some(family) => family.open_bare(opened, path, opener),
        None => Err(unknown(&*opened.network, path)),
    }
}

fn unknown(network: &dyn Network, path: &Path) -> Error {
    let signatures = FAMILIES.iter().filter_map(|family| {
        let signature = family.signature()?;
        Some(format!("`{}`: {signature}", family.name()))
    });
    Error::ModelMismatch {
        name: path.display().to_string(),
        found: format!(
            "{} -> {}",
            describe(network.inputs()),
            describe(network.outputs())
        ),
        expected: format!(
            "the tensors of a family: {}; or a model folder with a manifest",
            signatures.collect::<Vec<_>>().join("; ")
        ),
    }
}
