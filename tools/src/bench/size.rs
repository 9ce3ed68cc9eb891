//! Size of what must be on a machine for a stack to run: files beyond the operating system,
//! GStreamer and the Python interpreter.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use lipsync_core::inference::{self, Provider};

use crate::{
    process::Launcher,
    results::Sizes,
    stack::{Model, Stack},
};

const PLUGIN: &str = "libgstlipsync.so";

pub fn measure(launcher: &mut Launcher, models: &[Model]) -> Result<Sizes> {
    let mut python = Vec::new();
    for stack in [Stack::PythonOnnx, Stack::PyTorch] {
        match launcher.python_size(stack) {
            Ok(size) => python.push((stack, size)),
            Err(error) => launcher.leave_out(&format!("size of {}", stack.title()), &error),
        }
    }
    // The plugin with its own models in it lies beside this program.
    let plugin = std::env::current_exe()?.with_file_name(PLUGIN);
    let networks = models.iter().filter_map(|model| {
        let sizes = networks(model.manifest()?)
            .into_iter()
            .filter_map(|path| size(&path).ok());
        Some((model.name(), sizes.sum()))
    });
    Ok(Sizes {
        plugin: size(&plugin)?,
        plugin_stripped: stripped(&plugin, &launcher.input.folder.join(PLUGIN)),
        onnxruntime: size(inference::onnx::load(None, Provider::Cpu)?.path())?,
        networks: networks.collect(),
        python,
    })
}

/// Without what only debuggers read; `None` where no `strip` is installed.
fn stripped(plugin: &Path, copy: &Path) -> Option<u64> {
    let status = Command::new("strip")
        .arg("-o")
        .args([copy, plugin])
        .status();
    status.ok()?.success().then(|| size(copy).ok())?
}

fn size(path: &Path) -> Result<u64> {
    let data = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(data.len())
}

/// Where a manifest may have its networks: `NAME.onnx`, `NAME-ave.onnx`.
fn networks(manifest: &Path) -> [PathBuf; 2] {
    let stem = manifest.file_stem().unwrap_or_default().to_string_lossy();
    [".onnx", "-ave.onnx"].map(|end| manifest.with_file_name(format!("{stem}{end}")))
}
