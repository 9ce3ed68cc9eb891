//! `lipsync-bench`: how long a frame takes, in the original Python pipelines, in ONNX Runtime
//! alone, in the engine and in the element. Started by `cargo xtask bench`.
//!
//! Each of them is a process; ours are this program once more.

mod chart;
mod child;
mod frame_times;
mod input;
mod machine;
mod process;
mod report;
mod requirements;
mod results;
mod rounds;
mod size;
mod stack;
mod streams;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, ensure};
use clap::Parser;

use frame_times::Effort;
use input::Input;
use process::Launcher;
use results::Results;
use stack::{Model, REFERENCES, Variant};

/// First argument of this program where it is measured itself; the second says how.
const CHILD: &str = "child";
/// The model of which several streams are run at once: the original system's.
const STREAMED: &str = "unet-328";
/// Frames of the live pipeline.
const LIVE_FRAMES: usize = 75;

/// Measures the time of a frame beside the original Python pipelines and writes a page about it.
#[derive(Parser)]
#[command(name = "lipsync-bench")]
struct Arguments {
    /// A picture or a video of a face
    #[arg(long)]
    picture: PathBuf,
    /// A file with speech
    #[arg(long)]
    speech: PathBuf,
    /// A Python with what bench/python/requirements.txt names
    #[arg(long)]
    python: Option<PathBuf>,
    /// Where the original systems' models lie, or are made
    #[arg(long)]
    models: PathBuf,
    /// A folder for what the measuring needs
    #[arg(long)]
    work: PathBuf,
    /// Where benchmarks.md, benchmarks.json and the charts go
    #[arg(long)]
    out: PathBuf,
    /// What Python runs on
    #[arg(long, default_value = "cpu")]
    on: Variant,
    /// How thorough
    #[arg(long, default_value = "full")]
    pace: Pace,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Pace {
    Full,
    Quick,
}

fn main() -> ExitCode {
    lipsync_tools::finish("bench", run())
}

fn run() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(CHILD) {
        return child::run(&arguments.next().context("an order is missing")?);
    }
    let arguments = Arguments::parse();
    gst::init()?;
    let results = measure(&arguments)?;
    write(&results, &arguments.out)
}

fn measure(arguments: &Arguments) -> Result<Results> {
    let effort = match arguments.pace {
        Pace::Quick => Effort::QUICK,
        Pace::Full => Effort::FULL,
    };
    let picture = &arguments.picture;
    let input = Input::prepare(&arguments.work, picture, &arguments.speech)
        .with_context(|| format!("cannot use {}", picture.display()))?;
    let (frame, load) = (input.size(), machine::load());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut launcher = Launcher {
        input,
        threads,
        home: arguments.on,
        python: arguments.python.clone(),
        left_out: Vec::new(),
    };
    let models = models(&mut launcher, &arguments.models)?;

    let mut times = Vec::new();
    for model in &models {
        times.push(frame_times::measure(&mut launcher, model, &effort)?);
    }
    let mut streams = Vec::new();
    for model in models.iter().filter(|model| model.name() == STREAMED) {
        println!("\n{STREAMED}, several streams at once");
        streams.push(streams::measure(&mut launcher, model, &effort));
    }
    println!("\nstart");
    // The first one with Python pipelines to compare with.
    let started = models.first().unwrap_or(&Model::BuiltIn);
    let starts = frame_times::starts(&mut launcher, started, &effort);
    let latency = launcher.latency(&Model::BuiltIn, LIVE_FRAMES);
    let latency = latency
        .map_err(|error| launcher.leave_out("latency", &error))
        .ok();
    let deploy_bytes = size::measure(&mut launcher, &models)?;
    let mut results = Results {
        command: command(arguments),
        date: machine::now()?,
        commit: machine::commit()?,
        machine: machine::Machine::describe(),
        load: [load, machine::load()],
        threads,
        home: arguments.on,
        frame,
        quick: arguments.pace == Pace::Quick,
        bars: Vec::new(),
        models: times,
        streams,
        start_model: started.name(),
        starts,
        latency,
        deploy_bytes,
        left_out: launcher.left_out,
    };
    results.bars = requirements::all(&results);
    Ok(results)
}

/// Those that are there, or can be made; the built-in one last.
fn models(launcher: &mut Launcher, folder: &Path) -> Result<Vec<Model>> {
    let mut models = Vec::new();
    for name in REFERENCES {
        let manifest = folder.join(format!("{name}.toml"));
        match manifest.is_file() {
            true => models.push(Model::Reference(manifest)),
            false => match make(launcher.python.as_deref(), folder, name) {
                Ok(()) => models.push(Model::Reference(manifest)),
                Err(error) => launcher.leave_out(name, &error),
            },
        }
    }
    models.push(Model::BuiltIn);
    Ok(models)
}

/// Lets `training/reference_models.py` make a model.
fn make(python: Option<&Path>, folder: &Path, name: &str) -> Result<()> {
    let python = python.context(
        "making it needs a Python with PyTorch: `python3 -m venv VENV && VENV/bin/pip install -r \
         bench/python/requirements.txt`, then --python VENV/bin/python",
    )?;
    println!("making {name} with random weights");
    fs::create_dir_all(folder)?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../training/reference_models.py");
    let output = Command::new(python)
        .arg(script)
        .arg(folder)
        .arg(name)
        .output()?;
    let messages = String::from_utf8_lossy(&output.stderr);
    let last = messages.lines().last().unwrap_or_default();
    ensure!(
        output.status.success(),
        "reference_models.py failed: {last}"
    );
    Ok(())
}

/// As it is typed, without what lies elsewhere on every machine.
fn command(arguments: &Arguments) -> String {
    let mut command = "cargo xtask bench".to_owned();
    if arguments.pace == Pace::Quick {
        command += " --quick";
    }
    if arguments.on != Variant::Cpu {
        command += &format!(" --on {}", arguments.on.name());
    }
    if arguments.python.is_some() {
        command += " --python VENV/bin/python";
    }
    command
}

fn write(results: &Results, out: &Path) -> Result<()> {
    fs::create_dir_all(out)?;
    let file = |name: &str, text: String| fs::write(out.join(name), text);
    file("benchmarks.md", report::markdown(results))?;
    file("benchmarks.json", serde_json::to_string(results)? + "\n")?;
    file("benchmarks.svg", chart::frames(&results.models)?)?;
    if !results.streams.is_empty() {
        file("benchmarks-streams.svg", chart::streams(&results.streams)?)?;
    }
    println!(
        "\nwrote {0}/benchmarks.md, {0}/benchmarks.json and the charts",
        out.display()
    );
    Ok(())
}
