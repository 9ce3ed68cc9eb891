//! The project's own commands: `cargo xtask --help`.
//!
//! Must build and run on a machine that has nothing but Rust: what needs GStreamer lives in
//! `tools/` and is built by the commands here once `setup` has found or installed it.

mod bench;
mod demo;
mod docs;
mod elsewhere;
mod eval;
mod memcheck;
mod package;
mod personalize;
mod plugin;
mod process;
mod serve_model;
mod setup;
mod soak;
mod test;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

/// The commands of gst-plugin-lipsync. All but personalize and serve-model run setup first.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what is missing: GStreamer, ONNX Runtime
    Setup(setup::Arguments),
    /// Build the plugin and make a face speak: by default a painting reads Jane Austen
    Demo(demo::Arguments),
    /// Run the tests of the whole workspace, with real pipelines
    Test(test::Arguments),
    /// Measure the mouths on people that the renderer has never seen
    Eval(eval::Arguments),
    /// Measure the time of a frame beside the original Python pipelines
    Bench(bench::Arguments),
    /// Run live pipelines, inject faults and check invariants
    Soak(soak::Arguments),
    /// Write the pages of the elements, and build the documentation's site where mdbook is installed
    Docs,
    /// Write a model as an inference server wants it
    ServeModel(serve_model::Arguments),
    /// Make Debian packages of plugin, tool and ONNX Runtime
    Package(package::Arguments),
    /// Fit the built-in mouth to one person
    Personalize(personalize::Arguments),
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Setup(arguments) => setup::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Eval(arguments) => eval::run(arguments),
        Command::Bench(arguments) => bench::run(arguments),
        Command::Soak(arguments) => soak::run(&arguments),
        Command::Docs => docs::run(),
        Command::ServeModel(arguments) => serve_model::run(&arguments),
        Command::Package(arguments) => package::run(&arguments),
        Command::Personalize(arguments) => personalize::run(arguments),
    }
}

/// A file as a program finds it that runs in another folder.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("cannot use {}", path.display()))
}

/// A program given by its path, which may be a link that must stay one, or by its name.
fn program(name: &Path) -> Result<PathBuf> {
    match name.components().count() {
        0 | 1 => Ok(name.to_path_buf()),
        _ => absolute(name),
    }
}

/// The command that `words` after `cargo xtask` give, or what clap says of them.
#[cfg(test)]
fn parse(words: &str) -> Result<Command, clap::Error> {
    let words = ["cargo xtask"].into_iter().chain(words.split_whitespace());
    Arguments::try_parse_from(words).map(|arguments| arguments.command)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_has_help_and_refuses_what_it_does_not_know() {
        for command in Arguments::command().get_subcommands() {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name}");
            let help = parse(&format!("{name} --help")).err().unwrap();
            assert_eq!(help.kind(), clap::error::ErrorKind::DisplayHelp, "{name}");
            let refused = parse(&format!("{name} --dance")).err().unwrap().to_string();
            assert!(refused.contains("'--dance'"), "{refused}");
            assert!(refused.contains("Usage: cargo xtask"), "{refused}");
        }
        assert_eq!(
            parse("--help").err().unwrap().kind(),
            clap::error::ErrorKind::DisplayHelp
        );
        assert!(parse("").is_err());
        assert!(parse("dance").is_err());
    }

    #[test]
    fn names_that_are_known_are_listed_where_another_is_given() {
        for (words, known) in [
            ("test --on potato", "trixie, forky"),
            ("demo --on potato", "trixie, forky"),
            ("package --on potato", "bookworm, trixie"),
            ("setup --provider rocm", "openvino, cuda, tensorrt"),
            ("demo --longer-audio stretch", "shorten, hold, loop"),
        ] {
            let refused = parse(words).err().unwrap().to_string();
            assert!(refused.contains(known), "{refused}");
        }
        assert!(parse("test --filter").is_err());
        assert!(parse("test --gpu --valgrind").is_err());
        assert!(parse("test --folder x").is_err());
        assert!(parse("package --on trixie --check").is_err());
    }
}
