//! `cargo xtask eval`: how well the mouths match, on people that the model has never seen. The
//! work is done by `lipsync-eval` of `tools/`; here it is built and given its clips.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use crate::{
    nothing_left,
    plugin::{self, Profile},
    process, setup, take_option,
};

/// Where a checkout of the GRID clips is looked for, beside the repository.
const CLIPS: &str = "../shared/media/grid";
/// Says sentences in other languages and tells when lips must be shut in them.
const SPEAKER: &str = "training/languages.py";

pub fn run(mut arguments: Vec<OsString>) -> Result<()> {
    let clips = take_option(&mut arguments, "--clips")?;
    let model = take_option(&mut arguments, "--model")?;
    let spoken = take_option(&mut arguments, "--spoken")?;
    let report = take_option(&mut arguments, "--report")?;
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
    let media = setup::run_without_media()?;
    let folder = plugin::build_release()?;
    let report = report.map_or_else(|| folder.with_file_name("eval"), PathBuf::from);

    let mut eval = Command::new(folder.join("lipsync-eval"));
    eval.arg("--clips").arg(clips);
    if let Some(model) = model {
        eval.arg("--model").arg(model);
    }
    match media {
        Ok(()) => {
            eval.arg("--portrait")
                .arg(setup::media(setup::DEFAULT_PICTURE));
        }
        Err(error) => println!("no painting: {error:#}"),
    }
    if let Some(spoken) = spoken.map(PathBuf::from).or_else(|| speak(&report)) {
        eval.arg("--spoken").arg(spoken);
    }
    eval.arg("--report").arg(report);
    process::run(plugin::environment(&mut eval, Profile::Release)?)
}

/// Has espeak-ng say sentences in other languages; returns their folder, or `None` where it cannot.
fn speak(report: &Path) -> Option<PathBuf> {
    let folder = report.join("spoken");
    let mut speaker = Command::new("python3");
    speaker.arg(setup::root().join(SPEAKER)).arg(&folder);
    match process::run(&mut speaker) {
        Ok(()) => Some(folder),
        Err(error) => {
            println!("no other languages, they need python3 and espeak-ng: {error:#}");
            None
        }
    }
}
