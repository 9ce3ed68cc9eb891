//! The plugin as other processes find it.

use std::{
    path::{Path, PathBuf},
    sync::LazyLock,
};

/// A folder with nothing but the plugin that was built with this test.
pub fn folder() -> &'static Path {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(copy_plugin);
    &FOLDER
}

fn copy_plugin() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let built = test.parent().unwrap().join("libgstlipsync.so");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("plugin");
    std::fs::create_dir_all(&folder).unwrap();
    let plugin = folder.join("libgstlipsync.so");
    let time = |path: &Path| path.metadata().and_then(|data| data.modified()).ok();
    if time(&plugin) < time(&built) {
        // In one step, as test processes run beside each other.
        let copy = folder.join(format!("copy-{}", std::process::id()));
        std::fs::copy(&built, &copy).unwrap();
        std::fs::rename(&copy, &plugin).unwrap();
    }
    folder
}

/// A registry of GStreamer's own for these processes.
pub fn registry(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}
