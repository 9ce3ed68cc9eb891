//! `cargo xtask bench`: how fast, beside the original Python pipelines and ONNX Runtime alone.
//! The work is done by `lipsync-bench` of `tools/`; here it is built and given its files.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    absolute,
    plugin::{self, Profile},
    process, program, setup,
};

/// What is made for measuring lies here, in cargo's target folder.
const WORK: &str = "bench";

#[derive(clap::Args)]
pub struct Arguments {
    /// A Python that has what bench/python/requirements.txt names
    #[arg(long)]
    python: Option<PathBuf>,
    /// Folder of the models [default: target/bench/models]
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// Picture or video of a face [default: the demo's painting]
    #[arg(long, value_name = "FILE")]
    clips: Option<PathBuf>,
    /// What the networks run on, such as cuda
    #[arg(long, value_name = "VARIANT")]
    on: Option<String>,
    /// Fewer frames
    #[arg(long)]
    quick: bool,
    /// Only what an inference server costs, which is started here: the built-in network, or those in --models
    #[arg(long)]
    remote: bool,
    /// Measure nothing but what a frame of this version takes of what it takes in another, which is built
    /// in a folder of its own
    #[arg(long, value_name = "COMMIT")]
    against: Option<String>,
    /// Folder for benchmarks.md and benchmarks.json [default: docs]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub fn run(arguments: Arguments) -> Result<()> {
    let python = arguments.python.as_deref().map(program).transpose()?;
    if let Some(python) = &python
        && python.is_absolute()
        && !python.is_file()
    {
        bail!("--python: {} is not a file", python.display());
    }
    setup::ensure()?;
    if arguments.remote {
        return run_remote(arguments.models.as_deref());
    }
    let folder = plugin::build_release()?;
    let work = plugin::output_folder(Profile::Release)?.with_file_name(WORK);
    let given = |path: Option<PathBuf>, default: PathBuf| match path {
        Some(path) => absolute(&path),
        None => Ok(default),
    };

    let mut bench = Command::new(folder.join("lipsync-bench"));
    bench
        .arg("--picture")
        .arg(given(
            arguments.clips,
            setup::media(setup::DEFAULT_PICTURE),
        )?)
        .arg("--speech")
        .arg(setup::media(setup::DEFAULT_SPEECH))
        .arg("--models")
        .arg(given(arguments.models, work.join("models"))?)
        .arg("--work")
        .arg(work)
        .arg("--out")
        .arg(given(arguments.out, setup::root().join("docs"))?);
    if arguments.quick {
        bench.arg("--quick");
    }
    if let Some(variant) = arguments.on {
        bench.arg("--on").arg(variant);
    }
    if let Some(python) = python {
        bench.arg("--python").arg(python);
    }
    if let Some(commit) = arguments.against {
        let (commit, plugin) = build(&commit)?;
        bench.arg("--against").arg(commit).arg(plugin);
    }
    process::run(plugin::environment(&mut bench, Profile::Release)?)
}

/// What a call of an inference server costs, beside the same network here.
fn run_remote(models: Option<&Path>) -> Result<()> {
    setup::ensure_server()?;
    let mut networks = Vec::new();
    if let Some(folder) = models {
        let files = fs::read_dir(folder)
            .with_context(|| format!("cannot read {}", folder.display()))?
            .filter_map(|entry| Some(entry.ok()?.path()));
        networks.extend(files.filter(|path| path.extension().is_some_and(|end| end == "onnx")));
        networks.sort();
    }
    let networks = networks.iter().map(|path| absolute(path));
    let mut bench = plugin::cargo(&["bench", "-p", "gst-plugin-lipsync", "--bench", "remote"]);
    bench
        .arg("--")
        .args(networks.collect::<Result<Vec<_>>>()?)
        .env("ORT_DYLIB_PATH", setup::library());
    process::run(&mut bench)
}

/// Builds the plugin of a commit. Its short name, and where the plugin lies.
fn build(commit: &str) -> Result<(String, PathBuf)> {
    let git = || {
        let mut git = Command::new("git");
        git.current_dir(setup::root());
        git
    };
    let name = process::output_of(git().args(["rev-parse", "--short=12", commit]));
    let name = name.with_context(|| format!("--against: git knows no commit {commit}"))?;
    let name = name.trim().to_owned();
    let folder = plugin::output_folder(Profile::Release)?.with_file_name(WORK);
    let folder = folder.join("versions").join(&name);
    let target = folder.join("target");
    if !folder.is_dir() {
        fs::create_dir_all(&folder)?;
        let archive = folder.with_extension("tar");
        process::run(git().arg("archive").arg(&name).arg("-o").arg(&archive))?;
        let mut unpack = Command::new("tar");
        process::run(unpack.arg("-xf").arg(&archive).arg("-C").arg(&folder))?;
        fs::remove_file(archive)?;
    }
    let mut build = plugin::cargo(&["build", "--release", "-p", "gst-plugin-lipsync"]);
    let build = build.current_dir(&folder).arg("--target-dir").arg(&target);
    process::run(build)?;
    Ok((name, target.join("release")))
}
