//! `cargo xtask soak`: live pipelines for minutes or hours while everything around them goes wrong.
//! The work is done by `lipsync-soak` of `tools/`; here it is built and given its files.

use std::process::Command;

use anyhow::Result;

use crate::{
    plugin::{self, Profile},
    process, setup,
};

#[derive(clap::Args)]
pub struct Arguments {
    /// How long to run [default: 3]
    #[arg(long)]
    minutes: Option<f64>,
    /// Which faults come when
    #[arg(long)]
    seed: Option<u64>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    setup::ensure()?;
    let folder = plugin::build_release()?;

    let mut soak = Command::new(folder.join("lipsync-soak"));
    soak.arg("--picture")
        .arg(setup::media(setup::DEFAULT_PICTURE))
        .arg("--speech")
        .arg(setup::media(setup::DEFAULT_SPEECH));
    // With several arenas the allocator's free lists come and go by tens of megabytes, in which
    // what leaks would not be seen.
    soak.env("MALLOC_ARENA_MAX", "1");
    if let Some(minutes) = arguments.minutes {
        soak.arg("--minutes").arg(minutes.to_string());
    }
    if let Some(seed) = arguments.seed {
        soak.arg("--seed").arg(seed.to_string());
    }
    process::run(plugin::environment(&mut soak, Profile::Release)?)
}
