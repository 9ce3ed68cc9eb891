//! `cargo xtask bench`: how fast, beside the original Python pipelines and ONNX Runtime alone.
//! The work is done by `lipsync-bench` of `tools/`; here it is built and given its files.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use crate::{
    absolute, nothing_left,
    plugin::{self, Profile},
    process, setup, take_flag, take_option,
};

/// What is made for measuring lies here, in cargo's target folder.
const WORK: &str = "bench";

pub fn run(mut arguments: Vec<OsString>) -> Result<()> {
    let python = take_option(&mut arguments, "--python")?;
    let models = take_option(&mut arguments, "--models")?;
    let clips = take_option(&mut arguments, "--clips")?;
    let on = take_option(&mut arguments, "--on")?;
    let out = take_option(&mut arguments, "--out")?;
    let quick = take_flag(&mut arguments, "--quick");
    nothing_left(&arguments)?;

    setup::run_without_media()??;
    let folder = plugin::build_release()?;
    let work = plugin::output_folder(Profile::Release)?.with_file_name(WORK);

    let mut bench = Command::new(folder.join("lipsync-bench"));
    bench
        .arg("--picture")
        .arg(match clips {
            Some(file) => absolute(file.into())?,
            None => setup::media(setup::DEFAULT_PICTURE),
        })
        .arg("--speech")
        .arg(setup::media(setup::DEFAULT_SPEECH))
        .arg("--models")
        .arg(match models {
            Some(folder) => absolute(folder.into())?,
            None => work.join("models"),
        })
        .arg("--work")
        .arg(work)
        .arg("--out")
        .arg(match out {
            Some(folder) => absolute(folder.into())?,
            None => setup::root().join("docs"),
        })
        .args(["--pace", if quick { "quick" } else { "full" }]);
    if let Some(variant) = on {
        bench.arg("--on").arg(variant);
    }
    if let Some(python) = python {
        bench.arg("--python").arg(interpreter(python.into())?);
    }
    process::run(plugin::environment(&mut bench, Profile::Release)?)
}

/// A program by its path, which may be a link that must stay one, or by its name.
fn interpreter(python: PathBuf) -> Result<PathBuf> {
    if python.components().count() < 2 {
        return Ok(python);
    }
    let path = absolute(python)?;
    if !Path::new(&path).is_file() {
        bail!("--python: {} is not a file", path.display());
    }
    Ok(path)
}
