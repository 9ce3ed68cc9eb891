//! Reads models with all their files, and says what is wrong with one.
//!
//! Must not know ONNX Runtime.

use std::borrow::Cow;
use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::{
    Error,
    inference::{
        companions::{Beside, Miss},
        file_snapshot::Snapshot,
        onnx_contents::{self, DeclaredInput},
        onnx_weights::{self, DataFile},
    },
    rect::{Area, Size},
};

/// Protocol buffers, and so ONNX files, cannot be larger.
const MAX_MODEL_BYTES: u64 = 2 << 30;
const TOO_LARGE: &str = "it is larger than 2 GiB, the most an ONNX file can be";

/// Where a model comes from.
#[derive(Clone, Copy, Debug)]
pub enum ModelSource<'a> {
    /// An `.onnx` file; weights it keeps in other files are looked for beside it.
    File(&'a Path),
    /// The same, whose files must be these.
    Pinned { path: &'a Path, pins: &'a Pins },
    /// A whole model in memory; `name` is for messages.
    Bytes { name: &'a str, data: &'a [u8] },
}

/// What the files of a model must be.
#[derive(Clone, Debug, Default)]
pub struct Pins {
    /// SHA-256 of the `.onnx` file, 64 hexadecimal digits; empty: any file, and any data that is
    /// not among `data`.
    pub sha256: String,
    /// The files in which it keeps weights.
    pub data: Vec<Pin>,
}

/// What one file with weights must be.
#[derive(Clone, Debug)]
pub struct Pin {
    /// The real path.
    pub path: PathBuf,
    /// 64 hexadecimal digits.
    pub sha256: String,
}

/// SHA-256 of one file, or of all that a model consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Of a model by those of its files; a single file is the model.
    fn of_all(files: &[Self]) -> Self {
        match files {
            [one] => *one,
            several => Self::of(
                several
                    .iter()
                    .flat_map(|file| file.0)
                    .collect::<Vec<_>>()
                    .as_slice(),
            ),
        }
    }

    /// 64 lower-case digits.
    pub fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// An input `[N, 6, S, S]` that holds one picture twice: as it is, and with a rectangle of zeros. A
/// server that makes the second of the first is sent `[N, 3, S, S]`.
#[derive(Clone, Copy, Debug)]
pub struct Views {
    /// Which of the two is the picture as it is.
    pub whole: usize,
    /// x, y, width and height of the rectangle in a picture of that size.
    pub rectangle: fn(Size) -> Area,
    /// The same, where it is fixed.
    pub fixed: Option<Area>,
}

impl Views {
    /// The rectangle in a picture of that side.
    #[cfg(feature = "remote")]
    pub(super) fn zeros(&self, side: usize) -> Area {
        self.fixed
            .unwrap_or_else(|| (self.rectangle)(Size::square(side)))
    }
}

/// The bytes of a model and how to speak of it.
pub struct Model<'a> {
    pub(super) name: String,
    path: PathBuf,
    /// Its name on a server, where that is said.
    #[cfg_attr(not(feature = "remote"), allow(dead_code))]
    pub(super) served_as: Option<String>,
    #[cfg_attr(not(feature = "remote"), allow(dead_code))]
    pub(super) views: Option<Views>,
    /// All of it: the weights too that it keeps in other files.
    pub(super) bytes: Cow<'a, [u8]>,
    /// Of all its files.
    pub(super) digest: Digest,
    files: Snapshot,
}

impl<'a> Model<'a> {
    /// Reads all of it, with the files in which it keeps weights, and checks the hashes, where
    /// there are any. Whether it is a network at all only shows when it is opened.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`], [`Error::ModelUnreadable`].
    pub fn read(source: ModelSource<'a>) -> Result<Self, Error> {
        let mut files = Snapshot::default();
        let (path, bytes, pins): (&Path, Cow<[u8]>, _) = match source {
            ModelSource::File(path) => (path, read_file(path, &mut files)?.into(), None),
            ModelSource::Pinned { path, pins } => {
                (path, read_file(path, &mut files)?.into(), Some(pins))
            }
            ModelSource::Bytes { name, data } => (Path::new(name), data.into(), None),
        };
        let mut model = Self {
            name: path.display().to_string(),
            path: path.to_path_buf(),
            served_as: None,
            views: None,
            digest: Digest::of(&bytes),
            bytes,
            files,
        };
        match model.bytes.len() as u64 {
            0 => return Err(model.unreadable("the file is empty".into())),
            1..=MAX_MODEL_BYTES => {}
            _ => return Err(model.unreadable(TOO_LARGE.into())),
        }
        if let Some(pins) = pins.filter(|pins| !pins.sha256.is_empty()) {
            model.check("its sha256", model.digest, &pins.sha256)?;
        }
        let beside = match source {
            ModelSource::Bytes { .. } => None,
            ModelSource::File(_) | ModelSource::Pinned { .. } => Some(path),
        };
        model.take_in_weights(beside, pins)?;
        Ok(model)
    }

    /// Has all weights in `bytes`. `path` is where the model lies, unless it is in memory only.
    fn take_in_weights(&mut self, path: Option<&Path>, pins: Option<&Pins>) -> Result<(), Error> {
        let locations =
            onnx_contents::data_files(&self.bytes).map_err(|reason| self.unreadable(reason))?;
        let mut unused: Vec<_> = pins.map_or(Vec::new(), |pins| pins.data.iter().collect());
        let mut digests = vec![self.digest];
        let mut files = Vec::with_capacity(locations.len());
        for location in locations {
            let (file, real) = self.read_data(path, location)?;
            let digest = Digest::of(&file.bytes);
            let is_this = |pin: &&Pin| pin.path == real;
            let location = &file.location;
            match pins.and_then(|pins| pins.data.iter().find(is_this)) {
                Some(pin) => self.check(
                    &format!("the sha256 of its weights in `{location}`"),
                    digest,
                    &pin.sha256,
                )?,
                None if pins.is_some_and(|pins| !pins.sha256.is_empty()) => {
                    return Err(self.unreadable(format!(
                        "the manifest has a sha256 for it, and none for its weights in \
                         `{location}`. Found: {}. Expected: beside the other sha256, data = \
                         [{{ path = \"{location}\", sha256 = \"...\" }}], the path relative to \
                         the manifest",
                        digest.to_hex()
                    )));
                }
                None => (),
            }
            unused.retain(|pin| !is_this(pin));
            digests.push(digest);
            files.push(file);
        }
        if let Some(pin) = unused.first() {
            let names: Vec<_> = files.iter().map(|file| file.location.as_str()).collect();
            return Err(self.unreadable(format!(
                "the manifest names `{}` as a file with its weights. Found: {}",
                pin.path.display(),
                match names.is_empty() {
                    true => "all weights are in the network's own file".to_owned(),
                    false => format!("its weights are in {}", names.join(", ")),
                }
            )));
        }
        let bytes = files.iter().map(|file| file.bytes.len() as u64);
        if self.bytes.len() as u64 + bytes.sum::<u64>() > MAX_MODEL_BYTES {
            return Err(self.unreadable(format!("with its weights {TOO_LARGE}")));
        }
        if !files.is_empty() {
            let whole = onnx_weights::embed(&self.bytes, &files);
            self.bytes = whole.map_err(|reason| self.unreadable(reason))?.into();
            self.digest = Digest::of_all(&digests);
        }
        Ok(())
    }

    /// A file with weights, and its real path.
    fn read_data(
        &mut self,
        path: Option<&Path>,
        location: String,
    ) -> Result<(DataFile, PathBuf), Error> {
        let refused =
            |why: String| self.unreadable(format!("it keeps weights in `{location}`, {why}"));
        let Some(path) = path else {
            return Err(refused("and a model in memory has no other files".into()));
        };
        let missing = |error| refused(format!("which cannot be read: {error}"));
        let companion = Beside::new(path)
            .map_err(missing)?
            .find(Path::new(&location))
            .map_err(|miss| match miss {
                Miss::Outside(how) => refused(format!("{how} outside its own folder")),
                Miss::Unreadable(error) => missing(error),
            })?;
        let mut files = Snapshot::default();
        let bytes = read(&companion.real, &companion.path, &mut files)
            .map_err(|fault| refused(format!("which cannot be read: {fault}")))?;
        self.files.extend(files);
        Ok((DataFile { location, bytes }, companion.real))
    }

    /// What a manifest says of its name on a server.
    pub fn served_as(self, name: Option<String>) -> Self {
        Self {
            served_as: name,
            ..self
        }
    }

    /// What is known of the channels of one of its inputs.
    pub fn views(self, views: Option<Views>) -> Self {
        Self { views, ..self }
    }

    /// Its name on a server where nobody says another: that of its file.
    #[cfg(feature = "remote")]
    pub(super) fn served_name(&self) -> String {
        let of_file = || self.path.file_stem().unwrap_or_default().to_string_lossy();
        self.served_as
            .clone()
            .unwrap_or_else(|| of_file().into_owned())
    }

    /// The inputs that it declares, for who gives open ones a shape.
    pub fn inputs(&self) -> Vec<DeclaredInput> {
        onnx_contents::inputs(&self.bytes)
    }

    /// The files that were read.
    pub fn files(&self) -> &Snapshot {
        &self.files
    }

    /// For longer than the source is there: copies bytes that were in memory already.
    pub fn into_owned(self) -> Model<'static> {
        Model {
            bytes: self.bytes.into_owned().into(),
            ..self
        }
    }

    fn check(&self, what: &str, found: Digest, expected: &str) -> Result<(), Error> {
        check(what, found, expected).map_err(|reason| self.unreadable(reason))
    }

    pub(super) fn unreadable(&self, reason: String) -> Error {
        Error::ModelUnreadable {
            path: self.path.clone(),
            reason,
        }
    }

    pub(super) fn mismatch(&self, found: String, expected: String) -> Error {
        Error::ModelMismatch {
            name: self.name.clone(),
            found,
            expected,
        }
    }
}

/// All of a file that is no network; with this SHA-256, unless that is empty. It is added to `files`.
///
/// # Errors
/// [`Error::ModelNotFound`], [`Error::ModelUnreadable`].
pub fn read_pinned(path: &Path, sha256: &str, files: &mut Snapshot) -> Result<Vec<u8>, Error> {
    let bytes = read_file(path, files)?;
    if !sha256.is_empty() {
        let checked = check("its sha256", Digest::of(&bytes), sha256);
        checked.map_err(|reason| Error::ModelUnreadable {
            path: path.to_path_buf(),
            reason,
        })?;
    }
    Ok(bytes)
}

/// Fails with what is wrong.
fn check(what: &str, found: Digest, expected: &str) -> Result<(), String> {
    let found = found.to_hex();
    if found.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    Err(format!(
        "{what} is {found}, {expected} is expected: it is not the file that the manifest was \
         written for. Fetch it anew or, if you changed it, renew the manifest"
    ))
}

/// A whole model file.
fn read_file(path: &Path, files: &mut Snapshot) -> Result<Vec<u8>, Error> {
    read(path, path, files).map_err(|fault| match fault {
        Fault::Missing(reason) => Error::ModelNotFound {
            path: path.to_path_buf(),
            reason,
        },
        Fault::Unreadable(reason) => Error::ModelUnreadable {
            path: path.to_path_buf(),
            reason,
        },
    })
}

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{0}")]
    Missing(String),
    #[error("{0}")]
    Unreadable(String),
}

/// The whole file; at most one byte more than is allowed, should it grow meanwhile. `files` gets it
/// under the path `named`.
fn read(path: &Path, named: &Path, files: &mut Snapshot) -> Result<Vec<u8>, Fault> {
    let unreadable = |error: std::io::Error| Fault::Unreadable(error.to_string());
    let metadata = fs::metadata(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Fault::Missing(error.to_string()),
        _ => unreadable(error),
    })?;
    // Before it is opened, which a pipe would not let happen.
    check_kind(&metadata)?;
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    check_kind(&metadata)?;
    files.add(named, &metadata);
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len() + 1).unwrap_or(0));
    file.take(MAX_MODEL_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    Ok(bytes)
}

fn check_kind(metadata: &Metadata) -> Result<(), Fault> {
    let reason = if metadata.is_dir() {
        "it is a folder, an ONNX file is expected"
    } else if !metadata.is_file() {
        "it is not a regular file"
    } else if metadata.len() > MAX_MODEL_BYTES {
        TOO_LARGE
    } else {
        return Ok(());
    };
    Err(Fault::Unreadable(reason.into()))
}
