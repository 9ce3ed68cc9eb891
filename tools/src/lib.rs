//! What `cargo xtask demo`, `eval`, `bench` and `soak` share: running pipelines, decoding
//! files, watching mouths, statistics, tables, charts, contact sheets. [`reference`] is what `docs` writes.
//!
//! Not part of the plugin. What is measured passes through the element's public interface; the
//! plugin's own face mesh is used only to look at the frames that come out.

pub mod chart;
pub mod faces;
pub mod judge;
pub mod media;
pub mod numbers;
pub mod picture;
pub mod pipeline;
pub mod reference;
pub mod sheet;
pub mod table;
pub mod usage;

use std::process::ExitCode;

/// What `main` gives back; an error goes to standard error, in one line behind the program's name.
pub fn finish(program: &str, outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{program}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
