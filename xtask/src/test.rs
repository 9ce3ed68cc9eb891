//! `cargo xtask test`: the tests of the whole workspace, with real pipelines.

use std::{ffi::OsString, process::Command};

use anyhow::Result;

use crate::{
    elsewhere, memcheck, nothing_left,
    plugin::{self, Profile},
    process, setup, take_flag, take_option,
};

/// Without nextest nothing ends a single test that hangs; this ends them all.
const HANG_GUARD_SECONDS: &str = "1200";

/// Names the ONNX Runtime to load, see `core/src/inference/onnx/library.rs`.
const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

pub fn run(mut arguments: Vec<OsString>) -> Result<()> {
    let filter = take_option(&mut arguments, "--filter")?;
    let is_gpu = take_flag(&mut arguments, "--gpu");
    let checker = memcheck::Checker::take(&mut arguments);
    let on = take_option(&mut arguments, "--on")?;
    let folder = take_option(&mut arguments, "--folder")?;
    nothing_left(&arguments)?;
    if let Err(missing) = setup::run_without_media()? {
        println!("setup: demo media: missing, the tests that need them are skipped: {missing:#}");
    }

    if is_gpu {
        return run_gpu(filter);
    }
    if let Some(checker) = checker {
        return memcheck::run(checker, filter);
    }
    if let Some(release) = on {
        return elsewhere::run(&release, folder, filter);
    }

    // Also puts the plugin itself where pipelines in the tests find it.
    process::run(plugin::cargo(&["build"]).args(["--workspace", "--all-targets"]))?;
    plugin::check(Profile::Dev)?;

    let mut tests = runner();
    tests.arg("--workspace").env("G_DEBUG", "fatal_warnings");
    if std::env::var_os(LIBRARY_VARIABLE).is_none() && setup::library().exists() {
        // Whatever else was set up: those that want another provider name its library.
        tests.env(LIBRARY_VARIABLE, setup::library());
    }
    if let Some(filter) = filter {
        tests.arg(filter);
    }
    process::run(plugin::environment(&mut tests, Profile::Dev)?)
}

/// What needs an NVIDIA card, or shows what happens without one; with the reasons of what is
/// skipped.
fn run_gpu(filter: Option<OsString>) -> Result<()> {
    let has_nextest = process::is_installed("cargo-nextest");
    let mut tests = runner();
    tests.args(["-p", "gst-plugin-lipsync", "--test", "gpu"]);
    tests.args(filter);
    match has_nextest {
        true => tests.arg("--no-capture"),
        false => tests.args(["--", "--nocapture"]),
    };
    process::run(plugin::environment(&mut tests, Profile::Dev)?)
}

/// nextest where it is installed: it ends a test that hangs and runs the others on.
fn runner() -> Command {
    if process::is_installed("cargo-nextest") {
        return plugin::cargo(&["nextest", "run"]);
    }
    println!("test: cargo-nextest is not installed, using cargo test");
    let mut cargo = plugin::cargo(&["test"]);
    cargo.arg("--no-fail-fast");
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
