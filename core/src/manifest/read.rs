//! Opens a model's manifest and the files that it names, and nothing else.
//!
//! Must not know what is in them.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use crate::{
    Error,
    inference::{Beside, Miss, Model, ModelSource, Pin, Pins, Snapshot, read_pinned},
    manifest::{Data, File},
};

/// A manifest is a page of text; anything larger is not one.
const MANIFEST_MAX_BYTES: u64 = 1 << 20;
/// Hexadecimal digits of a SHA-256.
const SHA256_DIGITS: usize = 64;

/// The text of a manifest, which is added to `files`. Fails with [`Error::ModelUnreadable`].
pub fn read_manifest(path: &Path, files: &mut Snapshot) -> Result<String, Error> {
    let unreadable = |reason: String| unreadable(path, reason);
    let metadata = fs::metadata(path).map_err(|err| unreadable(err.to_string()))?;
    if !metadata.is_file() {
        return Err(unreadable("it is not a regular file".into()));
    }
    files.add(path, &metadata);
    let mut text = String::new();
    fs::File::open(path)
        .and_then(|file| file.take(MANIFEST_MAX_BYTES + 1).read_to_string(&mut text))
        .map_err(|err| unreadable(err.to_string()))?;
    if text.len() as u64 > MANIFEST_MAX_BYTES {
        return Err(unreadable(format!(
            "{} bytes were found, a manifest has at most {MANIFEST_MAX_BYTES}",
            metadata.len()
        )));
    }
    Ok(text)
}

/// A network's file that a manifest names, and those in which it keeps weights.
#[derive(Debug)]
pub struct Named {
    path: PathBuf,
    pins: Pins,
    served_as: Option<String>,
}

impl Named {
    /// Finds `file` beside `manifest`, or beside the network that does without one.
    ///
    /// Fails with [`Error::ModelNotFound`] and, where the file lies or a link leads outside of
    /// that folder, or a hash is none, with [`Error::ModelUnreadable`].
    pub fn find(manifest: &Path, file: &File) -> Result<Self, Error> {
        let (path, _) = find(manifest, &file.path)?;
        let data = file.data.iter().map(|Data { path, sha256 }| {
            let (_, real) = find(manifest, path)?;
            let sha256 = hash(manifest, path, sha256)?;
            match sha256.is_empty() {
                true => Err(no_hash(manifest, path, "", "")),
                false => Ok(Pin { path: real, sha256 }),
            }
        });
        Ok(Self {
            path,
            pins: Pins {
                sha256: hash(manifest, &file.path, &file.sha256)?,
                data: data.collect::<Result<_, _>>()?,
            },
            served_as: file.served_as.clone(),
        })
    }

    /// Reads all of the network, whose files must have the hashes that the manifest gives. Fails as
    /// [`Model::read`] does.
    pub fn read(&self) -> Result<Model<'static>, Error> {
        let source = ModelSource::Pinned {
            path: &self.path,
            pins: &self.pins,
        };
        let model = Model::read(source)?.into_owned();
        Ok(model.served_as(self.served_as.clone()))
    }

    /// Reads a file that is no network, and adds it to `files`. Fails as [`read`](Self::read) does.
    pub fn bytes(&self, files: &mut Snapshot) -> Result<Vec<u8>, Error> {
        read_pinned(&self.path, &self.pins.sha256, files)
    }
}

/// The path of a file that `manifest` names, as it was given and the real one.
fn find(manifest: &Path, name: &Path) -> Result<(PathBuf, PathBuf), Error> {
    let not_found = |err: std::io::Error| Error::ModelNotFound {
        path: manifest.with_file_name(name),
        reason: format!("{err}; the manifest {} names it", manifest.display()),
    };
    let beside = Beside::new(manifest).map_err(not_found)?;
    match beside.find(name) {
        Ok(found) => Ok((found.path, found.real)),
        Err(Miss::Unreadable(err)) => Err(not_found(err)),
        Err(Miss::Outside(how)) => Err(unreadable(
            manifest,
            format!(
                "it names `{}`, {how} outside its own folder; only files beside or below it are \
                 read, or where links lead if it is one itself: beside or below that file",
                name.display()
            ),
        )),
    }
}

/// The SHA-256 that `manifest` gives for the file `name`; empty where it gives none.
fn hash(manifest: &Path, name: &Path, sha256: &str) -> Result<String, Error> {
    let sha256 = sha256.trim();
    let is_hash =
        sha256.len() == SHA256_DIGITS && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash || sha256.is_empty() {
        return Ok(sha256.to_owned());
    }
    Err(no_hash(manifest, name, sha256, ", or none: \"\""))
}

fn no_hash(manifest: &Path, name: &Path, found: &str, or: &str) -> Error {
    unreadable(
        manifest,
        format!(
            "the sha256 of `{}` is \"{found}\", {SHA256_DIGITS} hexadecimal digits are \
             expected{or}",
            name.display()
        ),
    )
}

fn unreadable(path: &Path, reason: String) -> Error {
    Error::ModelUnreadable {
        path: path.to_owned(),
        reason,
    }
}
