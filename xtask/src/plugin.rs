//! Building the plugin and the environment in which GStreamer finds it, and only it, fresh.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{process, setup};

#[derive(Clone, Copy)]
pub enum Profile {
    Dev,
    Release,
}

impl Profile {
    fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

/// The cargo that runs xtask, in the repository.
pub fn cargo(command: &[&str]) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(setup::root())
        .args(command)
        .arg("--locked");
    cargo
}

/// Where cargo puts what it builds. xtask itself lies there too: `TARGET/PROFILE/xtask`.
pub fn output_folder(profile: Profile) -> Result<PathBuf> {
    let program = std::env::current_exe().context("cannot tell where xtask lies")?;
    let target = program
        .ancestors()
        .nth(2)
        .context("xtask does not lie in a target folder")?;
    Ok(target.join(profile.folder()))
}

/// Lets a command see the plugin of that build, with a registry of its own, so that neither an
/// installed copy of the plugin nor a stale cache is used and the user's own cache stays as it is.
pub fn environment(command: &mut Command, profile: Profile) -> Result<&mut Command> {
    let folder = output_folder(profile)?;
    let registry = folder.join("gstreamer-registry.bin");
    Ok(command
        .env("GST_PLUGIN_PATH", folder)
        .env("GST_REGISTRY", registry))
}

/// Fails unless GStreamer loads the plugin. Also fills the registry, outside any stricter
/// environment that a later command runs in: other plugins' warnings are not ours to judge.
pub fn check(profile: Profile) -> Result<()> {
    let mut inspect = Command::new("gst-inspect-1.0");
    inspect
        .arg("lipsync")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if process::run(environment(&mut inspect, profile)?).is_err() {
        let folder = output_folder(profile)?;
        bail!(
            "GStreamer does not load the plugin {0}/libgstlipsync.so. See why:\n  \
             GST_PLUGIN_PATH={0} GST_DEBUG=GST_PLUGIN_LOADING:4 gst-inspect-1.0 lipsync",
            folder.display()
        );
    }
    Ok(())
}

/// Builds the plugin and the measuring programs for speed; returns where they lie.
pub fn build_release() -> Result<PathBuf> {
    let mut build = cargo(&["build"]);
    build.args([
        "--release",
        "-p",
        "gst-plugin-lipsync",
        "-p",
        "lipsync-tools",
    ]);
    process::run(&mut build)?;
    check(Profile::Release)?;
    output_folder(Profile::Release)
}
