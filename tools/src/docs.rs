//! `lipsync-docs DIR`: writes what the documentation takes from the elements into the folder `docs/`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::Parser;

/// Writes the pages of the elements and the cache of plugins
#[derive(Parser)]
#[command(name = "lipsync-docs")]
struct Arguments {
    /// Folder with the documentation
    folder: PathBuf,
}

fn main() -> ExitCode {
    lipsync_tools::finish("lipsync-docs", write(&Arguments::parse().folder))
}

fn write(folder: &Path) -> Result<()> {
    for (name, text) in lipsync_tools::reference::files()? {
        let path = folder.join(name);
        let parent = path.parent().context("a file lies in a folder")?;
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot create {}", parent.display()))?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
