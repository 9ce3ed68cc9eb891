//! Any text as a manifest: it is read or refused in words, and no file outside its folder is read.
#![no_main]

use std::{path::PathBuf, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use lipsync_core::{
    Error,
    assembly::open_generator,
    catalogue::Source,
    inference,
};

/// A folder of this process.
static MANIFEST: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("lipsync-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder.join("manifest.toml")
});

fuzz_target!(|text: &[u8]| {
    std::fs::write(&*MANIFEST, text).unwrap();
    let options = inference::Options {
        // What a good manifest comes to.
        library: Some(PathBuf::from("/nowhere/libonnxruntime.so")),
        ..runtime::Options::default()
    };
    match open_generator(&Source::Path(MANIFEST.clone()), &options) {
        Ok(opened) => panic!("{} opens without a runtime", opened.about),
        Err(Error::ModelUnreadable { path, .. } | Error::ModelNotFound { path, .. }) => {
            assert!(path.starts_with(MANIFEST.parent().unwrap()), "{path:?}");
        }
        Err(err) => drop(err.to_string()),
    }
});
