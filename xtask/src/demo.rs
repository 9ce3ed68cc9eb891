//! `cargo xtask demo`: makes a face speak and measures it. The work is done by `lipsync-demo` of
//! `tools/`; here it is built and given its files.

use std::{path::PathBuf, process::Command};

use anyhow::{Result, bail};

use crate::{
    absolute,
    elsewhere::{self, Release},
    plugin::{self, Profile},
    process, setup,
};

#[derive(clap::Args)]
pub struct Arguments {
    /// Still picture or video of a face [default: a painting by Berthe Morisot]
    #[arg(long, value_name = "FILE")]
    video: Option<PathBuf>,
    /// File with the speech [default: the video's own audio, else a reading of Jane Austen]
    #[arg(long, value_name = "FILE")]
    audio: Option<PathBuf>,
    /// Which of the file's audio tracks, counted from 1
    #[arg(long, value_name = "N")]
    audio_track: Option<usize>,
    /// What to do where the audio is longer than the video
    #[arg(long, value_name = "HOW", value_parser = ["shorten", "hold", "loop"])]
    longer_audio: Option<String>,
    /// File to write: .mp4, .mov, .mkv or .ts [default: demo/demo.mp4]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Set up, build and run in a bare Debian of this release, in a folder, with files of the
    /// repository; as root
    #[arg(long, value_name = "RELEASE")]
    on: Option<Release>,
    /// Where that folder is or shall be made [default: target/elsewhere/RELEASE]
    #[arg(long, value_name = "DIR", requires = "on")]
    folder: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    if let Some(release) = arguments.on {
        let mut words = vec!["demo".into()];
        words.extend(arguments.words()?);
        return elsewhere::command(release.name(), arguments.folder.as_deref(), "", &words);
    }
    // Before anything is installed or built, which may take minutes.
    for file in arguments.video.iter().chain(&arguments.audio) {
        if !file.is_file() {
            bail!("{} is not a file", file.display());
        }
    }
    setup::ensure()?;
    let folder = plugin::build_release()?;

    let mut demo = Command::new(folder.join("lipsync-demo"));
    demo.args(arguments.words()?);
    if arguments.video.is_none() {
        demo.arg("--video")
            .arg(setup::media(setup::DEFAULT_PICTURE));
    }
    if arguments.out.is_none() {
        demo.arg("--out").arg(setup::root().join("demo/demo.mp4"));
    }
    demo.arg("--speech")
        .arg(setup::media(setup::DEFAULT_SPEECH));
    process::run(plugin::environment(&mut demo, Profile::Release)?)
}

impl Arguments {
    /// What `lipsync-demo` is to know, as it takes it.
    fn words(&self) -> Result<Vec<std::ffi::OsString>> {
        let mut words = Vec::new();
        for (name, file) in [
            ("--video", &self.video),
            ("--audio", &self.audio),
            ("--out", &self.out),
        ] {
            if let Some(file) = file {
                words.extend([name.into(), absolute(file)?.into()]);
            }
        }
        if let Some(track) = self.audio_track {
            words.extend(["--audio-track".into(), track.to_string().into()]);
        }
        if let Some(how) = &self.longer_audio {
            words.extend(["--longer-audio".into(), how.into()]);
        }
        Ok(words)
    }
}
