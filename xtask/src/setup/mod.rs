//! `cargo xtask setup`: installs what is missing, and nothing else.
//!
//! Every file that is fetched is pinned by its sha256 and lies in one ignored folder, `.setup/`.
//! What is there and whole is left alone, so that a second run needs no network and no time.

mod media;
mod onnxruntime;
mod pinned;
mod provider;
mod server;
mod system;

use std::path::{Path, PathBuf};

use anyhow::Result;

pub use media::{DEFAULT_PICTURE, DEFAULT_SPEECH, media};
pub use provider::Provider;

#[derive(clap::Args)]
pub struct Arguments {
    /// Also install the ONNX Runtime of this execution provider
    #[arg(long)]
    provider: Option<Provider>,
    /// Also install an inference server, Triton, for tests and measurements: 97 MB
    #[arg(long)]
    server: bool,
}

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the repository")
}

/// What setup fetches lies here.
pub fn folder() -> PathBuf {
    root().join(".setup")
}

/// The ONNX Runtime for the CPU.
pub fn library() -> PathBuf {
    folder().join("onnxruntime/libonnxruntime.so")
}

/// All that building and running need, and the ONNX Runtime of a provider where one is named.
pub fn run(arguments: &Arguments) -> Result<()> {
    ensure()?;
    if let Some(provider) = arguments.provider {
        provider::ensure(&folder(), provider)?;
    }
    if arguments.server {
        ensure_server()?;
    }
    println!("setup: complete");
    Ok(())
}

/// What building and running need.
pub fn ensure() -> Result<()> {
    system::ensure(&folder())?;
    onnxruntime::ensure(&folder())
}

/// The same with the terms under which ONNX Runtime may be passed on.
pub fn ensure_for_packages() -> Result<()> {
    system::ensure(&folder())?;
    onnxruntime::ensure_with_licences(&folder())
}

/// An inference server for tests and measurements.
pub fn ensure_server() -> Result<()> {
    server::ensure(&folder())
}

/// One line a thing, so that a person sees what setup is doing.
fn report(what: &str, state: &str) {
    println!("setup: {what}: {state}");
}
