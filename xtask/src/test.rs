//! `cargo xtask test`: the tests of the whole workspace, with real pipelines.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    elsewhere::{self, Release},
    memcheck::{self, Checker},
    plugin::{self, Profile},
    process, setup,
};

/// Without nextest nothing ends a single test that hangs; this ends them all.
const HANG_GUARD_SECONDS: &str = "1200";

/// Names the ONNX Runtime to load, see `core/src/inference/onnx/library.rs`.
const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

#[derive(clap::Args)]
pub struct Arguments {
    /// Only tests whose name contains TEXT; with the choices below also programs; may be repeated
    #[arg(long, value_name = "TEXT")]
    filter: Vec<String>,
    /// Only those for an NVIDIA GPU
    #[arg(long, group = "choice")]
    gpu: bool,
    /// Some of them under valgrind
    #[arg(long, group = "choice")]
    valgrind: bool,
    /// Some of them under AddressSanitizer
    #[arg(long, group = "choice")]
    asan: bool,
    /// In a Debian of this release, in a folder, with its GStreamer and ONNX Runtime; as root
    #[arg(long, group = "choice", value_name = "RELEASE")]
    on: Option<Release>,
    /// Where that folder is or shall be made [default: target/elsewhere/RELEASE]
    #[arg(long, value_name = "DIR", requires = "on")]
    folder: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    setup::ensure()?;
    let filter = &arguments.filter;
    if arguments.gpu {
        return run_gpu(filter);
    }
    if arguments.valgrind {
        return memcheck::run(Checker::Valgrind, filter);
    }
    if arguments.asan {
        return memcheck::run(Checker::Asan, filter);
    }
    if let Some(release) = arguments.on {
        return elsewhere::tests(release, arguments.folder.as_deref(), filter);
    }

    // Also puts the plugin itself where pipelines in the tests find it.
    process::run(plugin::cargo(&["build"]).args(["--workspace", "--all-targets"]))?;
    plugin::check(Profile::Dev)?;

    let mut tests = runner(&["--workspace"], filter, &[]);
    tests.env("G_DEBUG", "fatal_warnings");
    if std::env::var_os(LIBRARY_VARIABLE).is_none() && setup::library().exists() {
        // Whatever else was set up: those that want another provider name its library.
        tests.env(LIBRARY_VARIABLE, setup::library());
    }
    process::run(plugin::environment(&mut tests, Profile::Dev)?)
}

/// What needs an NVIDIA GPU, or shows what happens without one; with the reasons of what is
/// skipped.
fn run_gpu(filter: &[String]) -> Result<()> {
    let captured = match process::is_installed("cargo-nextest") {
        true => "--no-capture",
        false => "--nocapture",
    };
    let mut tests = runner(
        &["-p", "gst-plugin-lipsync", "--test", "gpu"],
        filter,
        &[captured],
    );
    process::run(plugin::environment(&mut tests, Profile::Dev)?)
}

/// nextest where it is installed: it ends a test that hangs and runs the others on. `options` are
/// the runner's own.
fn runner(packages: &[&str], filter: &[String], options: &[&str]) -> Command {
    if process::is_installed("cargo-nextest") {
        let mut nextest = plugin::cargo(&["nextest", "run"]);
        nextest.args(packages).args(options).args(filter);
        return nextest;
    }
    println!("test: cargo-nextest is not installed, using cargo test");
    let mut cargo = plugin::cargo(&["test"]);
    cargo.args(packages).args(["--no-fail-fast", "--"]);
    cargo.args(options).args(filter);
    if !process::is_installed("timeout") {
        return cargo;
    }
    let mut guarded = Command::new("timeout");
    guarded
        .current_dir(setup::root())
        .args(["--kill-after=10", HANG_GUARD_SECONDS])
        .arg(cargo.get_program())
        .args(cargo.get_args());
    guarded
}

/// Builds the plugin and its tests; name and path of each program.
pub fn build() -> Result<Vec<(String, PathBuf)>> {
    process::run(&mut plugin::cargo(&["build", "-p", "gst-plugin-lipsync"]))?;
    let mut cargo = plugin::cargo(&["test", "--no-run", "-p", "gst-plugin-lipsync"]);
    cargo.args(["--lib", "--tests"]);
    let output = cargo.output().context("cannot start cargo")?;
    let listing = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("`{}` failed:\n{listing}", process::shown(&cargo));
    }
    Ok(programs(&listing)
        .map(|(name, path)| (name, setup::root().join(path)))
        .collect())
}

/// Whether the name contains one of the texts; without any, every one does.
pub fn is_chosen(name: &str, filter: &[String]) -> bool {
    filter.is_empty() || filter.iter().any(|text| name.contains(text.as_str()))
}

/// Name and path of each program, from what `cargo test --no-run` prints.
fn programs(listing: &str) -> impl Iterator<Item = (String, PathBuf)> {
    listing.lines().filter_map(|line| {
        let line = line.trim().strip_prefix("Executable ")?;
        let path = Path::new(line.strip_suffix(')')?.rsplit_once('(')?.1);
        let file = path.file_name()?.to_string_lossy();
        let name = file.rsplit_once('-')?.0.to_owned();
        Some((name, path.to_path_buf()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_read_from_cargos_words() {
        let listing = "   Compiling x v1\n  Executable unittests src/lib.rs (target/debug/deps/gstlipsync-0a1)\n  \
                       Executable tests/bin.rs (/t/debug/deps/bin-ff)\n";
        let found: Vec<_> = programs(listing).collect();
        assert_eq!(found[0].0, "gstlipsync");
        assert_eq!(
            found[1],
            ("bin".into(), PathBuf::from("/t/debug/deps/bin-ff"))
        );
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_program_is_chosen_by_any_part_of_its_name() {
        let filter = ["bin".to_owned(), "live".to_owned()];
        assert!(is_chosen("bin", &filter) && is_chosen("live_clock", &filter));
        assert!(!is_chosen("models", &filter));
        assert!(is_chosen("models", &[]));
    }
}
