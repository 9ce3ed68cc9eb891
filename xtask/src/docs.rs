//! `cargo xtask docs`: takes from the elements what the documentation says of them, and builds the site.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{plugin, process, setup};

/// Where `docs/book.toml` has the site put.
const SITE: &str = "target/book/index.html";

pub fn run() -> Result<()> {
    setup::ensure()?;
    let docs = setup::root().join("docs");
    let mut write = plugin::cargo(&[
        "run",
        "--quiet",
        "-p",
        "lipsync-tools",
        "--bin",
        "lipsync-docs",
    ]);
    process::run(write.arg("--").arg(&docs))?;
    println!("docs: wrote docs/elements and docs/gst_plugins_cache.json");
    if !process::is_installed("mdbook") {
        println!(
            "docs: the site is built with mdbook, which is not installed: cargo install mdbook"
        );
        return Ok(());
    }
    let mut mdbook = Command::new("mdbook");
    let output = mdbook
        .arg("build")
        .arg(&docs)
        .output()
        .context("cannot start mdbook")?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || text.contains("WARN") {
        bail!("`{}` is not content:\n{text}", process::shown(&mdbook));
    }
    println!("docs: {}", setup::root().join(SITE).display());
    Ok(())
}
