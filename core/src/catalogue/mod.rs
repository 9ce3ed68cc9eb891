//! From what the user named to a generator: built in, a file, a folder, or the program's own.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use toml::Table;

use crate::{
    Error,
    families::{
        edtalk::EDTALK,
        redraw::{
            Contract, Painter,
            recipe::{Recipe, Tensors},
        },
        unet::{self, UNET},
        warp::{BuiltIn, Networks, manifest::Manifest},
        wav2lip::WAV2LIP,
    },
    generator::{Generator, Opened},
    inference::{self, Model, ModelSource, describe, open_alone, open_batch},
    manifest::{self, Family, File, Named},
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
pub struct Found(Kind);

enum Kind {
    BuiltIn {
        manifest: Box<Manifest>,
        networks: Networks,
    },
    Painter {
        contract: &'static Contract,
        recipe: Box<Recipe>,
        network: Model<'static>,
        encoder: Option<Model<'static>>,
    },
    /// Its family shows when it is open.
    Bare {
        path: PathBuf,
        network: Model<'static>,
    },
    Custom(Box<dyn Generator>),
}

/// Loads the generator's networks: [`find`] and [`Found::open`], with the errors of both.
pub fn open(source: &Source, options: &inference::Options) -> Result<Opened, Error> {
    find(source)?.open(options)
}

/// Finds the generator's files, reads them and checks their hashes.
///
/// Fails with [`Error::ModelNotFound`] or [`Error::ModelUnreadable`].
pub fn find(source: &Source) -> Result<Found, Error> {
    let kind = match source {
        Source::BuiltIn => find_builtin()?,
        Source::Path(path) => find_path(path)?,
        Source::Custom(make) => Kind::Custom(make()),
    };
    Ok(Found(kind))
}

impl Found {
    /// How much later than its frame the generator hears; `None` where only the networks say.
    pub fn look_ahead_ns(&self) -> Option<i64> {
        match &self.0 {
            Kind::BuiltIn { manifest, .. } => Some(manifest.sound.look_ahead_ns()),
            Kind::Painter { recipe, .. } => Some(recipe.sound.look_ahead_ns()),
            Kind::Bare { .. } => None,
            Kind::Custom(generator) => Some(generator.hearing().look_ahead_ns),
        }
    }

    /// Whether there are networks to load, the generator's own or those that find faces for it.
    pub fn needs_runtime(&self) -> bool {
        match &self.0 {
            Kind::Custom(generator) => generator.needs_face(),
            _ => true,
        }
    }

    /// Loads the networks.
    ///
    /// Fails with [`Error::ModelUnreadable`], [`Error::ModelMismatch`],
    /// [`Error::RuntimeMissing`], [`Error::ProviderUnavailable`] or [`Error::Inference`].
    pub fn open(self, options: &inference::Options) -> Result<Opened, Error> {
        match self.0 {
            Kind::BuiltIn { manifest, networks } => BuiltIn::open(*manifest, &networks, options),
            Kind::Painter {
                contract,
                recipe,
                network,
                encoder,
            } => {
                let (encoder, network) = inference::together(
                    options,
                    || {
                        let open = |encoder| open_alone(encoder, options);
                        encoder.as_ref().map(open).transpose()
                    },
                    || open_batch(&network, options),
                );
                Painter::open(contract, *recipe, network?, encoder?)
            }
            Kind::Bare { path, network } => open_bare(&path, &network, options),
            Kind::Custom(generator) => Ok(Opened {
                about: generator.name().to_owned(),
                generator,
                active: None,
                fallbacks: Vec::new(),
            }),
        }
    }
}

fn find_builtin() -> Result<Kind, Error> {
    let manifest = Manifest::parse(
        include_str!("../../../models/builtin/manifest.toml"),
        Path::new("models/builtin/manifest.toml"),
    )?;
    let networks = Networks {
        audio2mouth: Model::read(ModelSource::Bytes {
            name: "builtin/audio2mouth",
            data: include_bytes!("../../../models/builtin/audio2mouth.onnx"),
        })?,
        renderer: Model::read(ModelSource::Bytes {
            name: "builtin/renderer",
            data: include_bytes!("../../../models/builtin/renderer.onnx"),
        })?,
    };
    Ok(Kind::BuiltIn {
        manifest: Box::new(manifest),
        networks,
    })
}

fn find_path(path: &Path) -> Result<Kind, Error> {
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
        return find_manifest(&manifest);
    }
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => find_manifest(path),
        Some("onnx") => Ok(Kind::Bare {
            path: path.to_owned(),
            network: Model::read(ModelSource::File(path))?.into_owned(),
        }),
        _ => Err(Error::ModelUnreadable {
            path: path.to_owned(),
            reason: "a `.toml` manifest, a folder that holds one, or an `.onnx` file is wanted"
                .into(),
        }),
    }
}

fn find_manifest(path: &Path) -> Result<Kind, Error> {
    let text = manifest::read_manifest(path)?;
    let recipe = |contract| find_recipe(contract, &text, path);
    match manifest::family(&text, path)? {
        Family::Builtin => {
            let manifest = Manifest::parse(&text, path)?;
            let networks = Networks {
                audio2mouth: Named::find(path, &manifest.files.audio2mouth)?.read()?,
                renderer: Named::find(path, &manifest.files.renderer)?.read()?,
            };
            Ok(Kind::BuiltIn {
                manifest: Box::new(manifest),
                networks,
            })
        }
        Family::Wav2lip => recipe(&WAV2LIP),
        Family::Unet => recipe(&UNET),
        Family::Edtalk => recipe(&EDTALK),
    }
}

/// Finds the networks of somebody else that the manifest `text` in the file `path` names.
fn find_recipe(contract: &'static Contract, text: &str, path: &Path) -> Result<Kind, Error> {
    let recipe = Recipe::parse(text, contract.defaults, path)?;
    let read = |file: &File| Named::find(path, file)?.read();
    let network = read(&recipe.files.generator)?;
    let encoder = recipe.files.audio_encoder.as_ref().map(read).transpose()?;
    Ok(Kind::Painter {
        contract,
        recipe: Box::new(recipe),
        network,
        encoder,
    })
}

/// Opens a bare network of a family that is known by the shapes of its tensors.
fn open_bare(path: &Path, network: &Model, options: &inference::Options) -> Result<Opened, Error> {
    let opened = open_batch(network, options)?;
    let ports = |contract: &Contract| (contract.ports)(&*opened.network, &Tensors::default());
    if let Some(contract) = [&WAV2LIP, &EDTALK]
        .into_iter()
        .find(|contract| ports(contract).is_some())
    {
        let recipe = Recipe::bare(contract.name, Table::new(), contract.defaults, path)?;
        return Painter::open(contract, recipe, opened, None);
    }
    let heard = ports(&UNET).map(|ports| &opened.network.inputs()[ports.sound]);
    if let Some(said) = heard.and_then(|heard| unet::said(heard, path)) {
        let recipe = Recipe::bare(UNET.name, said, UNET.defaults, path)?;
        let encoder = recipe.files.audio_encoder.as_ref();
        let encoder = encoder
            .map(|encoder| open_alone(&Named::find(path, encoder)?.read()?, options))
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
