//! `cargo xtask setup`: installs what is missing, and nothing else.
//!
//! Every file that is fetched is pinned by its sha256 and lies in one ignored folder, `.setup/`.
//! What is there and whole is left alone, so that a second run needs no network and no time.

mod media;
mod onnxruntime;
mod pinned;
mod provider;
mod system;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::Result;

use crate::{nothing_left, take_option};

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the repository")
}

/// What setup fetches lies here.
fn folder() -> PathBuf {
    root().join(".setup")
}

/// Where the demo media lie, by name.
pub fn media(name: &str) -> PathBuf {
    folder().join("media").join(name)
}

pub use media::{DEFAULT_PICTURE, DEFAULT_SPEECH};

/// The ONNX Runtime for the CPU.
pub fn library() -> PathBuf {
    folder().join("onnxruntime/libonnxruntime.so")
}

/// Everything, and with `--provider` also the ONNX Runtime for that one; fails when anything
/// stays missing.
pub fn run(mut arguments: Vec<OsString>) -> Result<()> {
    let provider = take_option(&mut arguments, "--provider")?;
    nothing_left(&arguments)?;
    let media = run_without_media()?;
    if let Some(provider) = provider {
        provider::ensure(&folder(), &provider)?;
    }
    media?;
    println!("setup: complete");
    Ok(())
}

/// What building and running need. The inner result tells about the demo media, which the tests
/// and a demo of one's own files can do without.
pub fn run_without_media() -> Result<Result<()>> {
    system::ensure()?;
    onnxruntime::ensure(&folder())?;
    Ok(media::ensure(&folder()))
}

/// One line a thing, so that a person sees what setup is doing.
fn report(what: &str, state: &str) {
    println!("setup: {what}: {state}");
}
