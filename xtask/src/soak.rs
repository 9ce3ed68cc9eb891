//! `cargo xtask soak`: live pipelines for minutes or hours while everything around them goes wrong.
//! The work is done by `lipsync-soak` of `tools/`; here it is built and given its files.

use std::{ffi::OsString, process::Command};

use anyhow::Result;

use crate::{
    nothing_left,
    plugin::{self, Profile},
    process, setup, take_option,
};

pub fn run(mut arguments: Vec<OsString>) -> Result<()> {
    let minutes = take_option(&mut arguments, "--minutes")?;
    let seed = take_option(&mut arguments, "--seed")?;
    nothing_left(&arguments)?;

    setup::run_without_media()??;
    let folder = plugin::build_release()?;

    let mut soak = Command::new(folder.join("lipsync-soak"));
    soak.arg("--picture")
        .arg(setup::media(setup::DEFAULT_PICTURE))
        .arg("--speech")
        .arg(setup::media(setup::DEFAULT_SPEECH));
    // With several arenas the allocator's free lists come and go by tens of megabytes, in which
    // what leaks would not be seen.
    soak.env("MALLOC_ARENA_MAX", "1");
    for (name, value) in [("--minutes", minutes), ("--seed", seed)] {
        if let Some(value) = value {
            soak.arg(name).arg(value);
        }
    }
    process::run(plugin::environment(&mut soak, Profile::Release)?)
}
