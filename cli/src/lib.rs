//! What `gst-lipsync-1.0` does: [`input`] looks into files, [`plan`] decides what becomes of their streams, [`job`]
//! runs the [`pipeline`] and puts the finished file in place, [`report`] says how it went. [`list`] does that for
//! many files; [`serve`] plays live.
//!
//! Knows the plugin only as GStreamer shows it, by name.

pub mod arguments;
mod check;
mod codec;
mod container;
pub mod exit;
mod frame;
mod gate;
mod generate;
pub mod input;
mod interrupt;
mod job;
mod list;
pub mod media;
pub mod offset;
pub mod output;
pub mod pipeline;
mod plan;
mod playing;
mod progress;
mod property;
mod relabel;
mod report;
pub mod series;
mod serve;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use arguments::{Arguments, Command};
use exit::{Exit, Failure, Reason};

/// The program's name in what it says, and of its files.
pub const PROGRAM: &str = "gst-lipsync-1.0";

/// Runs the program with the process' arguments.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(exit) => exit.code(),
        Err(failure) => {
            eprintln!("{PROGRAM}: {:#}", failure.error);
            failure.code()
        }
    }
}

fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    if let Some(what) = arguments.generate {
        generate::print(what).exit(Exit::Output)?;
        return Ok(Exit::Success);
    }
    interrupt::watch().context("signals cannot be watched")?;
    if arguments.die_with_parent {
        interrupt::die_with_parent()?;
    }
    if let Some(Command::Serve(options)) = &arguments.command {
        serve::run(options)?;
        return Ok(Exit::Success);
    }
    match &arguments.list {
        Some(list) => list::run(arguments, list),
        None => {
            job::run(arguments)?;
            Ok(Exit::Success)
        }
    }
}

/// Says what the user should know of a job that goes on all the same.
fn note(text: &str) {
    eprintln!("{PROGRAM}: note: {text}");
}
