//! NVIDIA's own libraries beside ONNX Runtime's, as `cargo xtask setup` lays them.
//!
//! Must not know ONNX Runtime.

use std::fs;
use std::path::{Path, PathBuf};

/// What the CUDA and TensorRT providers are linked to, each after what it needs itself.
const LIBRARIES: [&str; 11] = [
    "libcudart.so.",
    "libnvrtc.so.",
    "libnvJitLink.so.",
    "libcublasLt.so.",
    "libcublas.so.",
    "libcufft.so.",
    "libcurand.so.",
    "libcudnn.so.",
    "libnvinfer.so.",
    "libnvinfer_plugin.so.",
    "libnvonnxparser.so.",
];

/// Loads those that lie in the folder of `library`, so that the providers find them there and need
/// no LD_LIBRARY_PATH. One that does not load is named by the provider's own error.
pub(super) fn preload(library: &Path) {
    let Some(folder) = library.parent() else {
        return;
    };
    for file in beside(folder) {
        let _ = ort::util::preload_dylib(&file);
    }
}

/// NVIDIA's libraries in `folder`, in the order in which they can be loaded.
fn beside(folder: &Path) -> Vec<PathBuf> {
    let files: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    let named = |prefix: &&str| {
        let is_named = |file: &&PathBuf| {
            let name = file.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with(prefix))
        };
        files.iter().find(is_named).cloned()
    };
    LIBRARIES.iter().filter_map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_loaded_after_what_they_need() {
        let folder = std::env::temp_dir().join(format!("lipsync-nvidia-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for name in [
            "libcudnn.so.9",
            "libcudnn_ops.so.9",
            "libcublas.so.13",
            "libcublasLt.so.13",
            "libonnxruntime.so",
        ] {
            fs::write(folder.join(name), "").unwrap();
        }
        let names: Vec<_> = beside(&folder)
            .iter()
            .map(|file| file.file_name().unwrap().to_owned())
            .collect();
        assert_eq!(
            names,
            ["libcublasLt.so.13", "libcublas.so.13", "libcudnn.so.9"]
        );
        // None of them is a library: nothing happens.
        preload(&folder.join("libonnxruntime.so"));
        fs::remove_dir_all(&folder).unwrap();
        assert!(beside(&folder).is_empty());
    }
}
