//! `cargo xtask test --valgrind | --asan`: a choice of the tests, with pipelines of stand-in
//! networks, under a tool that sees every wrong access to memory.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{
    plugin::{self, Profile},
    process, setup, test,
};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Checker {
    Valgrind,
    Asan,
}

/// Test programs, and their modules in which frames, sound, events and states go through the element without ONNX
/// Runtime, which is not ours to check.
const PROGRAMS: [(&str, &[&str]); 2] = [
    ("files", &["pipeline::", "states::"]),
    ("pixels", &["formats::"]),
];
/// Measure time, or have a thousand rounds where ten tell as much about memory.
const TOO_SLOW: [&str; 6] = [
    "nothing_spins_while_a_pad_has_nothing",
    "a_thousand_state_cycles_leave_nothing_behind",
    "a_live_pipeline_runs_without_late_frames",
    "seeks_while_playing_never_stall",
    "blending_does_what_its_formula_says",
    "what_was_sampled_and_is_written_back_changes_nothing",
];
/// What GLib keeps for ever, by its own account, and the little that has to be excused else.
const GLIB_SUPPRESSIONS: &str = "/usr/share/glib-2.0/valgrind/glib.supp";
const SUPPRESSIONS: &str = "xtask/valgrind.supp";
/// What valgrind ends with when it has found something.
const FOUND: &str = "99";
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// `filter` are parts of the test programs' names.
pub fn run(checker: Checker, filter: &[String]) -> Result<()> {
    match checker {
        Checker::Valgrind if !process::is_installed("valgrind") => {
            println!("test: skipped: valgrind is not installed (apt-get install valgrind)");
            Ok(())
        }
        Checker::Asan if !has_nightly() => {
            println!(
                "test: skipped: AddressSanitizer needs nightly Rust (rustup toolchain install nightly)"
            );
            Ok(())
        }
        Checker::Valgrind => valgrind(filter),
        Checker::Asan => asan(filter),
    }
}

fn has_nightly() -> bool {
    let mut rustc = Command::new("rustc");
    process::output_of(rustc.args(["+nightly", "--version"])).is_some()
}

fn valgrind(filter: &[String]) -> Result<()> {
    let built = test::build()?;
    plugin::check(Profile::Dev)?;
    let mut failed = Vec::new();
    for (name, program) in built {
        let Some(choice) = choice(&name).filter(|_| test::is_chosen(&name, filter)) else {
            continue;
        };
        println!("test: {name} under valgrind");
        let mut valgrind = Command::new("valgrind");
        valgrind
            .current_dir(setup::root())
            .args(["--quiet", "--num-callers=30", "--leak-check=full"])
            .args([
                "--show-leak-kinds=definite",
                "--errors-for-leak-kinds=definite",
            ])
            .args([
                "--track-origins=no",
                "--keep-debuginfo=yes",
                "--fair-sched=try",
            ])
            .arg(format!("--error-exitcode={FOUND}"))
            .arg(format!("--suppressions={SUPPRESSIONS}"));
        if Path::new(GLIB_SUPPRESSIONS).exists() {
            valgrind.arg(format!("--suppressions={GLIB_SUPPRESSIONS}"));
        }
        valgrind.arg(program).args(choice);
        // Enough for memory, and each case takes thirty times as long.
        valgrind.env("PROPTEST_CASES", "16");
        if process::run(plugin::environment(&mut valgrind, Profile::Dev)?).is_err() {
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!(
            "valgrind found faults, or tests failed, in {}",
            failed.join(", ")
        );
    }
    Ok(())
}

fn asan(filter: &[String]) -> Result<()> {
    // Builds all anew, in a folder of its own.
    let target = plugin::output_folder(Profile::Dev)?.with_file_name("asan");
    let names = PROGRAMS.iter().map(|(name, _)| *name);
    for name in names.filter(|name| test::is_chosen(name, filter)) {
        let mut cargo = Command::new("cargo");
        cargo
            .current_dir(setup::root())
            .args(["+nightly", "test", "--locked", "-p", "gst-plugin-lipsync"])
            .args(["--target", TARGET, "--no-fail-fast", "--test", name, "--"])
            .args(choice(name).unwrap_or_default())
            .env("CARGO_TARGET_DIR", &target)
            .env("RUSTFLAGS", "-Zsanitizer=address")
            .env_remove("RUSTUP_TOOLCHAIN")
            // GLib keeps what belongs to types for ever; the leaks tracer looks at the rest.
            .env("ASAN_OPTIONS", "detect_leaks=0:detect_odr_violation=0")
            .stdin(Stdio::null());
        process::run(plugin::environment(&mut cargo, Profile::Dev)?).context("AddressSanitizer")?;
    }
    Ok(())
}

/// Arguments of a test program: which tests, and one at a time. `None` for a program that is not
/// checked.
fn choice(program: &str) -> Option<Vec<&'static str>> {
    let (_, modules) = PROGRAMS.iter().find(|(name, _)| *name == program)?;
    let skipped = TOO_SLOW.iter().flat_map(|test| ["--skip", test]);
    let threads = std::iter::once("--test-threads=1");
    Some(
        modules
            .iter()
            .copied()
            .chain(threads)
            .chain(skipped)
            .collect(),
    )
}
