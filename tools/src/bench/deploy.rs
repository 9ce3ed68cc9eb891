//! Size of what must be on a machine for a stack to run: files beyond the operating system,
//! GStreamer and the Python interpreter.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lipsync_core::inference::{self, Provider};
use serde_json::{Value, json};

use crate::{arena::Arena, models::Model, roster::Stack};

const PLUGIN: &str = "libgstlipsync.so";

/// Sizes in bytes by name.
pub fn measure(arena: &mut Arena, models: &[Model]) -> Result<Value> {
    let mut python = serde_json::Map::new();
    for stack in [Stack::PyTorch, Stack::PythonOnnx] {
        match arena.python_size(stack) {
            Ok(size) => {
                python.insert(stack.name().into(), size);
            }
            Err(error) => arena.note(format!("size of {}: {error:#}", stack.title())),
        }
    }
    let networks: serde_json::Map<_, _> = models
        .iter()
        .filter_map(|model| Some((model.name(), json!(networks(&model.manifest()?).ok()?))))
        .collect();
    Ok(json!({
        "plugin": size(&plugin()?)?,
        "plugin-stripped": stripped(&plugin()?, &arena.job.folder),
        "onnxruntime": size(inference::onnx::load(None, Provider::Cpu)?.path())?,
        "networks": networks,
        "python": python,
    }))
}

/// The plugin with its own models in it lies beside this program.
fn plugin() -> Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(PLUGIN))
}

/// Without what only debuggers read; `None` where no `strip` is installed.
fn stripped(plugin: &Path, folder: &Path) -> Option<u64> {
    let copy = folder.join(PLUGIN);
    let status = std::process::Command::new("strip")
        .arg("-o")
        .arg(&copy)
        .arg(plugin)
        .status();
    status.ok()?.success().then(|| size(&copy).ok())?
}

fn size(path: &Path) -> Result<u64> {
    let data =
        std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(data.len())
}

/// All networks of a manifest: `NAME.onnx`, `NAME-ave.onnx`.
fn networks(manifest: &Path) -> Result<u64> {
    let stem = manifest.file_stem().unwrap_or_default().to_string_lossy();
    let folder = manifest.parent().context("a file lies in a folder")?;
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let of_model = [format!("{stem}.onnx"), format!("{stem}-ave.onnx")];
        if of_model.iter().any(|wanted| *wanted == name) {
            sum += entry.metadata()?.len();
        }
    }
    Ok(sum)
}
