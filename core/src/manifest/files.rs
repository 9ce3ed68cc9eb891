//! Opens a model's manifest and the files that it names, and nothing else.
//!
//! Must not know what is in them.

use std::{
    fs,
    io::Read as _,
    path::{Component, Path, PathBuf},
};

use crate::{
    Error,
    inference::{Model, ModelSource},
    manifest::File,
};

/// A manifest is a page of text; anything larger is not one.
const MANIFEST_MAX_BYTES: u64 = 1 << 20;
/// Hexadecimal digits of a SHA-256.
const SHA256_DIGITS: usize = 64;

/// The text of a manifest. Fails with [`Error::ModelUnreadable`].
pub fn read_manifest(path: &Path) -> Result<String, Error> {
    let unreadable = |reason: String| unreadable(path, reason);
    let metadata = fs::metadata(path).map_err(|err| unreadable(err.to_string()))?;
    if !metadata.is_file() {
        return Err(unreadable("it is not a regular file".into()));
    }
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

/// A network's file that a manifest names.
#[derive(Debug)]
pub struct Named {
    path: PathBuf,
    /// Empty where the manifest gives none.
    sha256: String,
}

impl Named {
    /// Finds `file` in the folder of `manifest`, or of the network that does without one.
    ///
    /// Fails with [`Error::ModelNotFound`] and, where the file lies or a link leads outside of
    /// that folder, or the hash is none, with [`Error::ModelUnreadable`].
    pub fn find(manifest: &Path, file: &File) -> Result<Self, Error> {
        let shown = file.path.display();
        let outside = |how: &str| {
            let reason = format!(
                "it names `{shown}`, {how} outside its own folder; only files beside or below it \
                 are read"
            );
            unreadable(manifest, reason)
        };
        let is_below = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        if !file.path.components().all(is_below) {
            return Err(outside("a path"));
        }
        let sha256 = file.sha256.trim();
        let is_hash =
            sha256.len() == SHA256_DIGITS && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !sha256.is_empty() && !is_hash {
            let reason = format!(
                "the sha256 of `{shown}` is \"{sha256}\", {SHA256_DIGITS} hexadecimal digits are \
                 wanted, or none: \"\""
            );
            return Err(unreadable(manifest, reason));
        }
        let folder = match manifest.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let path = folder.join(&file.path);
        let not_found = |err: std::io::Error| Error::ModelNotFound {
            path: path.clone(),
            reason: format!("{err}; the manifest {} names it", manifest.display()),
        };
        let real = path.canonicalize().map_err(not_found)?;
        let folder = folder.canonicalize().map_err(not_found)?;
        if !real.starts_with(folder) {
            return Err(outside("a link that leads"));
        }
        Ok(Self {
            path,
            sha256: sha256.to_owned(),
        })
    }

    /// Reads the whole file, which must have the hash that the manifest gives. Fails as
    /// [`Model::read`] does.
    pub fn read(&self) -> Result<Model<'static>, Error> {
        let source = match self.sha256.as_str() {
            "" => ModelSource::File(&self.path),
            sha256 => ModelSource::Pinned {
                path: &self.path,
                sha256,
            },
        };
        Model::read(source).map(Model::into_owned)
    }
}

fn unreadable(path: &Path, reason: String) -> Error {
    Error::ModelUnreadable {
        path: path.to_owned(),
        reason,
    }
}
