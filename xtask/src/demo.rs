//! `cargo xtask demo`: makes a face speak and measures it. The work is done by `lipsync-demo` of
//! `tools/`; here it is built and given its files.

use std::{ffi::OsString, path::PathBuf, process::Command};

use anyhow::{Result, bail};

use crate::{
    absolute, nothing_left,
    plugin::{self, Profile},
    process, setup, take_option,
};

pub fn run(mut arguments: Vec<OsString>) -> Result<()> {
    let video = take_option(&mut arguments, "--video")?;
    let audio = take_option(&mut arguments, "--audio")?;
    let out = take_option(&mut arguments, "--out")?;
    nothing_left(&arguments)?;

    let media = setup::run_without_media()?;
    if video.is_none() {
        media?;
    }
    let video = video.map_or_else(|| setup::media(setup::DEFAULT_PICTURE), PathBuf::from);
    let audio = audio.map(PathBuf::from);
    // Before the plugin is built, which may take minutes.
    for file in std::iter::once(&video).chain(&audio) {
        if !file.is_file() {
            bail!("{} is not a file", file.display());
        }
    }
    let out = out.map_or_else(|| setup::root().join("demo/demo.mp4"), PathBuf::from);
    let folder = plugin::build_release()?;

    let mut demo = Command::new(folder.join("lipsync-demo"));
    demo.arg("--video").arg(absolute(video)?);
    if let Some(audio) = audio {
        demo.arg("--audio").arg(absolute(audio)?);
    }
    demo.arg("--speech")
        .arg(setup::media(setup::DEFAULT_SPEECH))
        .arg("--out")
        .arg(absolute(out)?);
    process::run(plugin::environment(&mut demo, Profile::Release)?)
}
