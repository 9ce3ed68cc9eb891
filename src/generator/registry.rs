//! From what the user named to a generator: built in, a file, a folder, or the program's own.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use toml::Table;

use super::{
    Generator,
    builtin::{BuiltIn, Networks},
    edtalk::EDTALK,
    files::{self, Named},
    manifest::{self, Family, File, Manifest},
    painter::{Contract, Painter},
    recipe::{Recipe, Tensors},
    unet::{self, UNET},
    wav2lip::WAV2LIP,
};
use crate::{
    Error,
    runtime::{self, ModelSource},
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

/// A generator, ready to draw.
pub struct Opened {
    pub generator: Box<dyn Generator>,
    /// Name, licence and source of the model, for logs.
    pub about: String,
    /// What runs its networks; `None` when it has none.
    pub active: Option<runtime::Provider>,
    pub fallbacks: Vec<runtime::Fallback>,
}

/// Loads the generator's networks.
///
/// Fails with [`Error::ModelNotFound`], [`Error::ModelUnreadable`], [`Error::ModelMismatch`],
/// [`Error::RuntimeMissing`] or [`Error::ProviderUnavailable`].
pub fn open(source: &Source, options: &runtime::Options) -> Result<Opened, Error> {
    match source {
        Source::BuiltIn => open_builtin(options),
        Source::Path(path) => open_path(path, options),
        Source::Custom(make) => {
            let generator = make();
            Ok(Opened {
                about: generator.name().to_owned(),
                generator,
                active: None,
                fallbacks: Vec::new(),
            })
        }
    }
}

fn open_builtin(options: &runtime::Options) -> Result<Opened, Error> {
    let manifest = Manifest::parse(
        include_str!("../../models/builtin/manifest.toml"),
        Path::new("models/builtin/manifest.toml"),
    )?;
    let networks = Networks {
        audio2mouth: ModelSource::Bytes {
            name: "builtin/audio2mouth",
            data: include_bytes!("../../models/builtin/audio2mouth.onnx"),
        },
        renderer: ModelSource::Bytes {
            name: "builtin/renderer",
            data: include_bytes!("../../models/builtin/renderer.onnx"),
        },
    };
    BuiltIn::open(manifest, networks, options)
}

fn open_path(path: &Path, options: &runtime::Options) -> Result<Opened, Error> {
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
        return open_manifest(&manifest, options);
    }
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => open_manifest(path, options),
        Some("onnx") => open_bare(path, options),
        _ => Err(Error::ModelUnreadable {
            path: path.to_owned(),
            reason: "a `.toml` manifest, a folder that holds one, or an `.onnx` file is wanted"
                .into(),
        }),
    }
}

/// Opens a bare network of a family that is known by the shapes of its tensors.
fn open_bare(path: &Path, options: &runtime::Options) -> Result<Opened, Error> {
    let opened = runtime::open(ModelSource::File(path), options, &[])?;
    let ports = |contract: &Contract| (contract.ports)(&*opened.network, &Tensors::default());
    if let Some(contract) = [&WAV2LIP, &EDTALK]
        .into_iter()
        .find(|contract| ports(contract).is_some())
    {
        let recipe = Recipe::bare(contract.name, Table::new(), contract.defaults, path)?;
        return Painter::open(contract, recipe, opened, None);
    }
    let heard = ports(&UNET).map(|ports| &opened.network.inputs()[ports.sound]);
    let encoder = encoder_beside(path);
    if let Some(said) = heard.and_then(|heard| unet::said(heard, encoder.as_deref())) {
        let recipe = Recipe::bare(UNET.name, said, UNET.defaults, path)?;
        let encoder = encoder
            .map(|encoder| runtime::open(ModelSource::File(&encoder), options, &[]))
            .transpose()?;
        return Painter::open(&UNET, recipe, opened, encoder);
    }
    Err(Error::ModelMismatch {
        name: path.display().to_string(),
        found: format!(
            "{} -> {}",
            describe(opened.network.inputs()),
            describe(opened.network.outputs())
        ),
        wanted: format!(
            "the shapes of family `wav2lip`: {}; `unet`: {}, as SyncTalk_2D or Ultralight have \
             them; `edtalk`: {}; or a model folder with a manifest",
            WAV2LIP.shapes, UNET.shapes, EDTALK.shapes
        ),
    })
}

/// The audio encoder that belongs to the bare network `NAME.onnx`: `NAME-ave.onnx`, or the name
/// that the original system's export gives it.
fn encoder_beside(path: &Path) -> Option<PathBuf> {
    let stem = path.file_stem()?.to_string_lossy();
    [format!("{stem}-ave.onnx"), "audio_encoder.onnx".to_owned()]
        .map(|name| path.with_file_name(name))
        .into_iter()
        .find(|encoder| encoder.is_file())
}

fn open_manifest(path: &Path, options: &runtime::Options) -> Result<Opened, Error> {
    let text = files::read_manifest(path)?;
    match manifest::family(&text, path)? {
        Family::Builtin => {
            let manifest = Manifest::parse(&text, path)?;
            let audio2mouth = Named::find(path, &manifest.files.audio2mouth)?;
            let renderer = Named::find(path, &manifest.files.renderer)?;
            let networks = Networks {
                audio2mouth: audio2mouth.source(),
                renderer: renderer.source(),
            };
            BuiltIn::open(manifest, networks, options)
        }
        Family::Wav2lip => open_recipe(&WAV2LIP, &text, path, options),
        Family::Unet => open_recipe(&UNET, &text, path, options),
        Family::Edtalk => open_recipe(&EDTALK, &text, path, options),
    }
}

/// Opens the networks of somebody else that the manifest `text` in the file `path` names.
fn open_recipe(
    contract: &Contract,
    text: &str,
    path: &Path,
    options: &runtime::Options,
) -> Result<Opened, Error> {
    let recipe = Recipe::parse(text, contract.defaults, path)?;
    let open = |file: &File| {
        let network = Named::find(path, file)?;
        runtime::open(network.source(), options, &[])
    };
    let network = open(&recipe.files.generator)?;
    let encoder = recipe.files.audio_encoder.as_ref().map(open).transpose()?;
    Painter::open(contract, recipe, network, encoder)
}

/// Tensors as `name [1, 80, 32], …` for messages.
pub(super) fn describe(tensors: &[runtime::TensorInfo]) -> String {
    tensors
        .iter()
        .map(|tensor| format!("{} {:?}", tensor.name, tensor.shape))
        .collect::<Vec<_>>()
        .join(", ")
}
