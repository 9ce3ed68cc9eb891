//! The keys that the manifests of all families have, and how manifests are read.

use std::path::{Path, PathBuf};

use serde::{Deserialize, de::DeserializeOwned};

use crate::Error;

/// The newest manifest version this plugin reads.
pub const VERSION: u32 = 1;

/// The family that a manifest names, which says how to read the rest. `path` is for messages only.
pub fn family(text: &str, path: &Path) -> Result<String, Error> {
    #[derive(Deserialize)]
    struct Head {
        version: u32,
        family: String,
    }
    if text.trim().is_empty() {
        return Err(Error::ModelUnreadable {
            path: path.to_owned(),
            reason: "the file is empty, a manifest begins with its version and family".into(),
        });
    }
    let head: Head = parse(text, path)?;
    if head.version != VERSION {
        return Err(Error::ModelUnreadable {
            path: path.to_owned(),
            reason: format!(
                "manifest version {} was found, {VERSION} is expected: update the plugin or the model",
                head.version
            ),
        });
    }
    Ok(head.family)
}

/// What people should know of a model, in one line.
pub fn about(name: &str, licence: &str, source: &str) -> String {
    format!("{name}, licence: {licence}, source: {source}")
}

/// Reads a manifest of a known family; a key that does not exist is an error that names the
/// nearest one that does.
pub fn parse<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T, Error> {
    toml::from_str(text).map_err(|err| Error::ModelUnreadable {
        path: path.to_owned(),
        reason: match nearest_key(err.message()) {
            Some(key) => format!("{err}Did you mean `{key}`?"),
            None => err.to_string(),
        },
    })
}

/// From serde's words on an unknown field, the known field that differs in the fewest letters.
fn nearest_key(message: &str) -> Option<&str> {
    let mut names = message
        .strip_prefix("unknown field ")?
        .split('`')
        .skip(1)
        .step_by(2);
    let unknown = names.next()?;
    names.min_by_key(|known| distance(unknown, known))
}

/// Levenshtein's distance, in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Relative to the manifest.
    pub path: PathBuf,
    /// Hexadecimal, of the whole file; empty: any file.
    pub sha256: String,
    /// The files in which it keeps weights. All of them, where `sha256` is not empty.
    #[serde(default)]
    pub data: Vec<Data>,
    /// Its name on a server, of a network that draws; its file's without.
    #[serde(rename = "served-as")]
    pub served_as: Option<String>,
}

/// A file with a network's weights.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Relative to the manifest.
    pub path: PathBuf,
    /// Hexadecimal, of the whole file.
    pub sha256: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_manifest_is_called_empty() {
        for text in ["", " \n\n"] {
            let error = family(text, Path::new("model.toml")).unwrap_err();
            assert!(error.to_string().contains("the file is empty"), "{error}");
        }
    }
}
