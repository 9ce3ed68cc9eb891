//! `cargo xtask personalize`: fits the built-in networks to one person. The work is done by
//! `training/personalize.py`; here a Python that can is found, and given its files.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{absolute, process, program, setup};

/// Where a virtual environment is looked for that has what training needs.
const ENVIRONMENT: &str = ".setup/python";
const REQUIREMENTS: &str = "training/requirements.txt";
/// What training/personalize.py imports beside Python's own.
const MODULES: &str = "import cv2, numpy, onnx, onnxruntime, torch";

#[derive(clap::Args)]
pub struct Arguments {
    /// A video of one person who speaks, with its audio, 15 s or more
    #[arg(long, value_name = "FILE")]
    clip: PathBuf,
    /// Folder to write, for lipsync's property model [default: personal/CLIP]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How long to train [default: 8]
    #[arg(long, value_parser = minutes)]
    minutes: Option<f64>,
    /// A Python that has what training/requirements.txt names
    #[arg(long)]
    python: Option<PathBuf>,
}

pub fn run(arguments: Arguments) -> Result<()> {
    let clip = arguments.clip;
    if !clip.is_file() {
        bail!("{} is not a file", clip.display());
    }
    let out = arguments.out.unwrap_or_else(|| default_folder(&clip));
    let python = python_for_training(arguments.python.as_deref())?;
    if !process::is_installed("ffmpeg") {
        bail!("ffmpeg is not installed; the clip's audio is read with it");
    }

    let mut personalize = Command::new(python);
    personalize
        .arg(setup::root().join("training/personalize.py"))
        .arg("--clip")
        .arg(absolute(&clip)?)
        .arg("--models")
        .arg(setup::root().join("models"))
        .arg("--out")
        .arg(absolute(&out)?);
    if let Some(minutes) = arguments.minutes {
        personalize.arg("--minutes").arg(minutes.to_string());
    }
    process::run(&mut personalize)
}

fn minutes(text: &str) -> Result<f64, &'static str> {
    text.parse()
        .ok()
        .filter(|minutes: &f64| minutes.is_finite() && *minutes > 0.0)
        .ok_or("not a number above 0")
}

/// Named after the clip, in a folder that git ignores.
fn default_folder(clip: &Path) -> PathBuf {
    let name = clip.file_stem().unwrap_or_else(|| OsStr::new("clip"));
    setup::root().join("personal").join(name)
}

/// The one that was asked for, else that of the virtual environment, else the system's: the first that there
/// is must have what training needs.
fn python_for_training(asked_for: Option<&Path>) -> Result<PathBuf> {
    let environment = setup::root().join(ENVIRONMENT).join("bin/python");
    let python = match asked_for {
        Some(python) => program(python)?,
        None if environment.is_file() => environment,
        None => "python3".into(),
    };
    let found = Command::new(&python)
        .args(["-c", MODULES])
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", python.display()))?;
    if !found.status.success() {
        let said = String::from_utf8_lossy(&found.stderr);
        bail!(
            "{} cannot train: {}\n\
             PyTorch and what else {REQUIREMENTS} names are needed, some hundred megabytes. In the repository:\n\n  \
             python3 -m venv {ENVIRONMENT}\n  \
             {ENVIRONMENT}/bin/pip install -r {REQUIREMENTS}\n\n\
             or name a Python that has them with --python",
            python.display(),
            said.lines().last().unwrap_or("it says nothing"),
        );
    }
    Ok(python)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(words: &str) -> String {
        match crate::parse(&format!("personalize {words}")) {
            Ok(command) => format!("{:#}", crate::run(command).unwrap_err()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn arguments_that_cannot_be_are_refused_before_anything_is_started() {
        let clip = file!();
        assert!(refusal("").contains("--clip <FILE>"));
        assert!(refusal("--clip").contains("a value is required for '--clip <FILE>'"));
        assert!(refusal("--clip /no/such/clip.mp4").contains("/no/such/clip.mp4 is not a file"));
        // Tests run in the package's folder, and the path is the repository's.
        let clip = format!("--clip ../{clip}");
        assert!(refusal(&format!("{clip} --dance")).contains("unexpected argument '--dance'"));
        for minutes in ["0", "-1", "NaN", "inf", "soon"] {
            let said = refusal(&format!("{clip} --minutes={minutes}"));
            assert!(said.contains(&format!("'{minutes}'")), "{said}");
        }
    }

    #[test]
    fn a_python_that_cannot_train_is_told_how_to_get_one_that_can() {
        let clip = format!("--clip ../{}", file!());
        let said = refusal(&format!("{clip} --python /no/such/python"));
        assert!(said.contains("cannot start /no/such/python"), "{said}");
        // Starts, and fails at once.
        let said = refusal(&format!("{clip} --python false"));
        assert!(said.contains("false cannot train"), "{said}");
        assert!(
            said.contains("pip install -r training/requirements.txt"),
            "{said}"
        );
    }

    #[test]
    fn the_folder_is_named_after_the_clip() {
        let folder = default_folder(Path::new("clips/her.interview.mkv"));
        assert!(folder.ends_with("personal/her.interview"));
    }
}
