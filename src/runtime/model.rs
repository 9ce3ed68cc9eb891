//! Reads models, and says what is wrong with one.
//!
//! Must not know ONNX Runtime.

use std::borrow::Cow;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::Error;

/// Protocol buffers, and so ONNX files, cannot be larger.
const MAX_MODEL_BYTES: u64 = 2 << 30;
const TOO_LARGE: &str = "it is larger than 2 GiB, the most an ONNX file can be";

/// Where a model comes from.
#[derive(Clone, Copy, Debug)]
pub enum ModelSource<'a> {
    /// An `.onnx` file; weights it keeps in other files are looked for in the same folder.
    File(&'a Path),
    /// A whole model in memory; `name` is for messages.
    Bytes { name: &'a str, data: &'a [u8] },
}

/// The bytes of a model and how to speak of it.
pub(super) struct Model<'a> {
    pub name: String,
    path: PathBuf,
    /// Of the file, for weights that the model keeps in other files.
    pub folder: Option<PathBuf>,
    pub bytes: Cow<'a, [u8]>,
}

impl<'a> Model<'a> {
    /// # Errors
    /// [`Error::ModelNotFound`], [`Error::ModelUnreadable`].
    pub fn read(source: ModelSource<'a>) -> Result<Self, Error> {
        let model = match source {
            ModelSource::File(path) => Self {
                name: path.display().to_string(),
                path: path.to_path_buf(),
                folder: path.canonicalize().ok().and_then(|path| {
                    let folder = path.parent()?;
                    Some(folder.to_path_buf())
                }),
                bytes: read_file(path)?.into(),
            },
            ModelSource::Bytes { name, data } => Self {
                name: name.into(),
                path: name.into(),
                folder: None,
                bytes: data.into(),
            },
        };
        match model.bytes.len() as u64 {
            0 => Err(model.unreadable("the file is empty".into())),
            1..=MAX_MODEL_BYTES => Ok(model),
            _ => {
                Err(model
                    .unreadable("it is larger than 2 GiB, the most an ONNX file can be".into()))
            }
        }
    }

    pub fn unreadable(&self, reason: String) -> Error {
        Error::ModelUnreadable {
            path: self.path.clone(),
            reason,
        }
    }

    pub fn mismatch(&self, found: String, wanted: String) -> Error {
        Error::ModelMismatch {
            name: self.name.clone(),
            found,
            wanted,
        }
    }
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
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_MODEL_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| unreadable(error.to_string()))?;
    Ok(bytes)
}
