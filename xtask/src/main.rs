//! The project's own commands: `cargo xtask setup | test | demo | eval | bench | soak |
//! personalize`.
//!
//! Must build and run on a machine that has nothing but Rust: what needs GStreamer lives in
//! `tools/` and is built by the commands here once `setup` has found or installed it.

mod bench;
mod demo;
mod elsewhere;
mod eval;
mod memcheck;
mod personalize;
mod plugin;
mod process;
mod setup;
mod soak;
mod test;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  setup [--provider P]       install what is missing: GStreamer, ONNX Runtime, demo media; for
                             openvino (84 MB), cuda (1.6 GB) or tensorrt another ONNX Runtime too
  test [--filter TEXT] [--gpu | --valgrind | --asan | --on trixie|forky [--folder DIR]]
                             run the tests of the whole workspace; only those for a GPU; a choice
                             of them under valgrind or AddressSanitizer; or, as root, all of them
                             in another Debian's folder with its GStreamer and ONNX Runtime
  demo [--video F] [--audio F] [--out F.mp4]
                             make a face speak: by default a painting reads Jane Austen.
                             F is a still picture or a video, with or without its own sound
  eval [--clips DIR] [--model M] [--spoken DIR] [--report DIR]
                             measure the mouths on people that the model has never seen, and
                             write a page with plots and pictures, by default target/eval/index.html
  bench [--python P] [--models DIR] [--clips F] [--on VARIANT] [--quick] [--out DIR]
                             measure the time of a frame beside the original Python pipelines,
                             and renew docs/benchmarks.*. P is a Python that has what
                             bench/python/requirements.txt names; F is a picture or a video
  soak [--minutes N] [--seed S]
                             run live pipelines in which everything goes wrong, by default for 3
                             minutes, and check offset, memory, threads, files and frames
  personalize --clip F [--out DIR] [--minutes N] [--python P]
                             fit the built-in mouth to the person in the clip, in 8 minutes by
                             default, and write a folder for lipsync's model. P is a Python that
                             has what training/requirements.txt names

test, demo, eval, bench and soak run setup first.";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let command = arguments.next();
    match dispatch(command, arguments.collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Option<OsString>, arguments: Vec<OsString>) -> Result<()> {
    match command.as_deref().and_then(|command| command.to_str()) {
        Some("setup") => setup::run(arguments),
        Some("test") => test::run(arguments),
        Some("demo") => demo::run(arguments),
        Some("eval") => eval::run(arguments),
        Some("bench") => bench::run(arguments),
        Some("soak") => soak::run(arguments),
        Some("personalize") => personalize::run(arguments),
        Some("help" | "--help" | "-h") => {
            println!("{USAGE}");
            Ok(())
        }
        _ => bail!("no such command or wrong arguments\n{USAGE}"),
    }
}

/// Takes `NAME VALUE` out of a command's arguments.
fn take_option(arguments: &mut Vec<OsString>, name: &str) -> Result<Option<OsString>> {
    let Some(at) = arguments.iter().position(|argument| argument == name) else {
        return Ok(None);
    };
    if at + 1 >= arguments.len() {
        bail!("{name} needs a value\n{USAGE}");
    }
    arguments.remove(at);
    Ok(Some(arguments.remove(at)))
}

/// Takes `NAME` out of a command's arguments; whether it was there.
fn take_flag(arguments: &mut Vec<OsString>, name: &str) -> bool {
    let before = arguments.len();
    arguments.retain(|argument| argument != name);
    arguments.len() < before
}

/// A file as a program finds it that runs in another folder.
fn absolute(path: PathBuf) -> Result<PathBuf> {
    std::path::absolute(&path).with_context(|| format!("cannot use {}", path.display()))
}

/// Refuses what no option has taken.
fn nothing_left(arguments: &[OsString]) -> Result<()> {
    match arguments.first() {
        None => Ok(()),
        Some(argument) => bail!("unknown argument {}\n{USAGE}", argument.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn options_are_taken_out_whatever_their_order() {
        let mut arguments = words("--out a.mp4 --video b.jpg");
        assert_eq!(
            take_option(&mut arguments, "--video").unwrap(),
            Some(OsString::from("b.jpg"))
        );
        assert_eq!(take_option(&mut arguments, "--audio").unwrap(), None);
        assert_eq!(arguments, words("--out a.mp4"));
        assert!(nothing_left(&arguments).is_err());
    }

    #[test]
    fn a_flag_is_there_or_not() {
        let mut arguments = words("--gpu x");
        assert!(take_flag(&mut arguments, "--gpu"));
        assert!(!take_flag(&mut arguments, "--gpu"));
        assert_eq!(arguments, words("x"));
    }

    #[test]
    fn an_option_without_its_value_is_refused() {
        assert!(take_option(&mut words("--filter"), "--filter").is_err());
    }

    #[test]
    fn unknown_commands_are_refused_with_the_usage() {
        let error = dispatch(Some(OsString::from("dance")), Vec::new()).unwrap_err();
        assert!(error.to_string().contains("Usage: cargo xtask"));
        assert!(dispatch(None, Vec::new()).is_err());
    }
}
