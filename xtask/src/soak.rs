//! `cargo xtask soak`: live pipelines for minutes or hours while everything around them goes wrong.
//! The work is done by `lipsync-soak` of `tools/`; here it is built and given its files.

use std::{ffi::OsString, path::PathBuf, process::Command};

use anyhow::Result;

use crate::{
    elsewhere::{self, Release},
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
    /// Set up, build and run in a bare Debian of this release, in a folder; as root
    #[arg(long, value_name = "RELEASE")]
    on: Option<Release>,
    /// Where that folder is or shall be made [default: target/elsewhere/RELEASE]
    #[arg(long, value_name = "DIR", requires = "on")]
    folder: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    if let Some(release) = arguments.on {
        let mut words = vec!["soak".into()];
        words.extend(arguments.words());
        return elsewhere::command(release.name(), arguments.folder.as_deref(), "", &words);
    }
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
    soak.args(arguments.words());
    process::run(plugin::environment(&mut soak, Profile::Release)?)
}

impl Arguments {
    /// What `lipsync-soak` is to know, as it takes it.
    fn words(&self) -> Vec<OsString> {
        let minutes = self.minutes.map(|minutes| minutes.to_string());
        let seed = self.seed.map(|seed| seed.to_string());
        [("--minutes", minutes), ("--seed", seed)]
            .into_iter()
            .filter_map(|(name, value)| Some([name.into(), value?.into()]))
            .flatten()
            .collect()
    }
}
