//! Models of a test's own making: where they lie, and what opening them gives.
//!
//! Not every test file uses everything here.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

use lipsync_core::{
    Error, assembly,
    catalogue::Source,
    generator::{Generator, Look},
    inference,
};

/// What the networks draw shows as it is.
pub const LOOK: Look = Look {
    strength: 1.0,
    activity: 1.0,
    feather: 0.5,
    remembers: true,
    articulation: None,
};

/// A folder of its own for each model of a test file.
pub fn folder(file: &str, name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file).join(name);
    std::fs::create_dir_all(&folder).expect("a folder to write to");
    folder
}

/// Writes the manifest of a family whose generator is `net.onnx`, with these lines besides.
pub fn write_manifest(folder: &Path, family: &str, name: &str, lines: &str) {
    let manifest = format!(
        "version = 1\nfamily = \"{family}\"\nname = \"{name}\"\nlicence = \"MPL-2.0\"\n\
         source = \"a test\"\nfiles.generator = {{ path = \"net.onnx\", sha256 = \"\" }}\n{lines}\n"
    );
    std::fs::write(folder.join("manifest.toml"), manifest).expect("a file");
}

/// Opens a model, or says why that is not possible here.
pub fn opened(path: &Path) -> Option<Box<dyn Generator>> {
    attempt(path)?.map_or_else(|message| panic!("{message}"), Some)
}

/// Why a model is refused, or why that cannot be told here.
pub fn refused(path: &Path) -> Option<String> {
    match attempt(path)? {
        Ok(_) => panic!("opened {}", path.display()),
        Err(message) => Some(message),
    }
}

fn attempt(path: &Path) -> Option<Result<Box<dyn Generator>, String>> {
    match assembly::open_generator(&Source::Path(path.into()), &inference::Options::default()) {
        Ok(opened) => Some(Ok(opened.generator)),
        Err(err @ Error::RuntimeMissing { .. }) => {
            println!("skipped: {err}");
            None
        }
        Err(err) => Some(Err(err.to_string())),
    }
}
