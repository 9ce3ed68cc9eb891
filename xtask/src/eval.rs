//! `cargo xtask eval`: how well the mouths match, on people that the model has never seen. The
//! work is done by `lipsync-eval` of `tools/`; here it is built and given its clips.

use std::{ffi::OsString, path::PathBuf, process::Command};

use anyhow::{Result, bail};

use crate::{
    nothing_left,
    plugin::{self, Profile},
    process, setup, take_option,
};

/// Where a checkout of the GRID clips is looked for, beside the repository.
const CLIPS: &str = "../shared/media/grid";

pub fn run(mut arguments: Vec<OsString>) -> Result<()> {
    let clips = take_option(&mut arguments, "--clips")?;
    let model = take_option(&mut arguments, "--model")?;
    nothing_left(&arguments)?;

    let clips = clips.map_or_else(|| setup::root().join(CLIPS), PathBuf::from);
    if !clips.is_dir() {
        bail!(
            "no clips to measure on: {} is not a folder. Give one with --clips: videos of the GRID corpus \
             (Cooke, Barker, Cunningham, Shao 2006) of speakers that the model was not trained on, \
             named s31_*, x12.*, x17.*, x19.*, with their sound",
            clips.display()
        );
    }
    // The demo media are not needed here.
    let _ = setup::run_without_media()?;
    let folder = plugin::build_release()?;

    let mut eval = Command::new(folder.join("lipsync-eval"));
    eval.arg("--clips").arg(clips);
    if let Some(model) = model {
        eval.arg("--model").arg(model);
    }
    process::run(plugin::environment(&mut eval, Profile::Release)?)
}
