//! `cargo xtask eval`: how well the mouths match, on people that the renderer has never seen. The
//! work is done by `lipsync-eval` of `tools/`; here it is built and given its clips.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use crate::{
    plugin::{self, Profile},
    process, setup,
};

/// Where a checkout of the GRID clips is looked for, beside the repository.
const CLIPS: &str = "../shared/media/grid";
/// Says sentences in other languages and tells when lips must be shut in them.
const SPEAKER: &str = "training/languages.py";

#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of short clips of one speaking face each, of the GRID corpus or like them
    #[arg(long, value_name = "DIR")]
    clips: Option<PathBuf>,
    /// The model to measure, as lipsync's property takes it [default: built-in]
    #[arg(long)]
    model: Option<PathBuf>,
    /// Folder of sentences in other languages [default: made with espeak-ng]
    #[arg(long, value_name = "DIR")]
    spoken: Option<PathBuf>,
    /// Folder of the page with plots and pictures [default: target/eval]
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

pub fn run(arguments: Arguments) -> Result<()> {
    let clips = arguments.clips.unwrap_or_else(|| setup::root().join(CLIPS));
    if !clips.is_dir() {
        bail!(
            "no clips to measure on: {} is not a folder. Give one with --clips: videos of the GRID corpus \
             (Cooke, Barker, Cunningham, Shao 2006) of speakers that the model was not trained on, \
             or those that its renderer was not: s2_*, s31_*, s32_*, x12.*, x17.*, x19.*, x21.*",
            clips.display()
        );
    }
    setup::ensure()?;
    let folder = plugin::build_release()?;
    let report = arguments
        .report
        .unwrap_or_else(|| folder.with_file_name("eval"));

    let mut eval = Command::new(folder.join("lipsync-eval"));
    eval.arg("--clips")
        .arg(clips)
        .arg("--portrait")
        .arg(setup::media(setup::DEFAULT_PICTURE));
    if let Some(model) = arguments.model {
        eval.arg("--model").arg(model);
    }
    if let Some(spoken) = arguments.spoken.or_else(|| speak(&report)) {
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
