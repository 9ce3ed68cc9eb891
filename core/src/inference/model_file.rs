//! Reads models, and says what is wrong with one.
//!
//! Must not know ONNX Runtime.

use std::borrow::Cow;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::{Error, inference::onnx_contents};

/// Protocol buffers, and so ONNX files, cannot be larger.
const MAX_MODEL_BYTES: u64 = 2 << 30;
const TOO_LARGE: &str = "it is larger than 2 GiB, the most an ONNX file can be";

/// Where a model comes from.
#[derive(Clone, Copy, Debug)]
pub enum ModelSource<'a> {
    /// An `.onnx` file; weights it keeps in other files are looked for in the same folder.
    File(&'a Path),
    /// The same, which must have this SHA-256 (64 hexadecimal digits).
    Pinned { path: &'a Path, sha256: &'a str },
    /// A whole model in memory; `name` is for messages.
    Bytes { name: &'a str, data: &'a [u8] },
}

/// SHA-256 of a whole model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// 64 lower-case digits.
    pub fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The bytes of a model and how to speak of it.
pub struct Model<'a> {
    pub(super) name: String,
    path: PathBuf,
    /// Of the file, for weights that the model keeps in other files.
    pub(super) folder: Option<PathBuf>,
    pub(super) bytes: Cow<'a, [u8]>,
    pub(super) digest: Digest,
}

impl<'a> Model<'a> {
    /// Reads all of it and checks its hash, where there is one, and what it asks for beyond its
    /// own bytes. Whether it is a network at all only shows when it is opened.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`], [`Error::ModelUnreadable`].
    pub fn read(source: ModelSource<'a>) -> Result<Self, Error> {
        let (path, bytes): (&Path, Cow<[u8]>) = match source {
            ModelSource::File(path) | ModelSource::Pinned { path, .. } => {
                (path, read_file(path)?.into())
            }
            ModelSource::Bytes { name, data } => (Path::new(name), data.into()),
        };
        let model = Self {
            name: path.display().to_string(),
            path: path.to_path_buf(),
            folder: match source {
                ModelSource::Bytes { .. } => None,
                _ => folder_of(path),
            },
            digest: Digest::of(&bytes),
            bytes,
        };
        match model.bytes.len() as u64 {
            0 => return Err(model.unreadable("the file is empty".into())),
            1..=MAX_MODEL_BYTES => {}
            _ => return Err(model.unreadable(TOO_LARGE.into())),
        }
        match source {
            ModelSource::Pinned { sha256, .. } => model.check(sha256)?,
            ModelSource::File(_) | ModelSource::Bytes { .. } => {}
        }
        onnx_contents::check(&model.bytes, model.folder.as_deref())
            .map_err(|reason| model.unreadable(reason))?;
        Ok(model)
    }

    /// For longer than the source is there: copies bytes that were in memory already.
    pub fn into_owned(self) -> Model<'static> {
        Model {
            bytes: self.bytes.into_owned().into(),
            ..self
        }
    }

    fn check(&self, wanted: &str) -> Result<(), Error> {
        let found = self.digest.to_hex();
        if found.eq_ignore_ascii_case(wanted) {
            return Ok(());
        }
        Err(self.unreadable(format!(
            "its sha256 is {found}, {wanted} is wanted: it is not the file that the manifest was \
             written for. Fetch it anew or, if you changed it, renew the manifest"
        )))
    }

    pub(super) fn unreadable(&self, reason: String) -> Error {
        Error::ModelUnreadable {
            path: self.path.clone(),
            reason,
        }
    }

    pub(super) fn mismatch(&self, found: String, wanted: String) -> Error {
        Error::ModelMismatch {
            name: self.name.clone(),
            found,
            wanted,
        }
    }
}

/// The real folder that a file lies in.
fn folder_of(path: &Path) -> Option<PathBuf> {
    let path = path.canonicalize().ok()?;
    path.parent().map(Path::to_path_buf)
}

/// The whole file; at most one byte more than is allowed, should it grow meanwhile.
fn read_file(path: &Path) -> Result<Vec<u8>, Error> {
    let unreadable = |reason| Error::ModelUnreadable {
        path: path.to_path_buf(),
        reason,
    };
    let metadata = std::fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Error::ModelNotFound {
            path: path.to_path_buf(),
            reason: error.to_string(),
        },
        _ => unreadable(error.to_string()),
    })?;
    if metadata.is_dir() {
        return Err(unreadable("it is a folder, an ONNX file is wanted".into()));
    }
    if !metadata.is_file() {
        return Err(unreadable("it is not a regular file".into()));
    }
    if metadata.len() > MAX_MODEL_BYTES {
        return Err(unreadable(TOO_LARGE.into()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len() + 1).unwrap_or(0));
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_MODEL_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| unreadable(error.to_string()))?;
    Ok(bytes)
}
