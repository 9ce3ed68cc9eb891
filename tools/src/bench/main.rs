//! `lipsync-bench`: how long a frame takes, in the original Python pipelines, in ONNX Runtime
//! alone, in the engine and in the element. Started by `cargo xtask bench`.
//!
//! Contenders are processes that take turns; ours are this program once more, with `--worker`.

mod arena;
mod bars;
mod chart;
mod child;
mod contest;
mod crowd;
mod deploy;
mod figures;
mod job;
mod machine;
mod models;
mod report;
mod roster;
mod worker;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};
use lipsync_tools::{arguments::Arguments, sheet};

use arena::Arena;
use contest::Effort;
use job::Job;
use models::{Model, REFERENCES};
use report::{Figures, Latency};
use roster::{CPU, Stack, Variant};

const ARGUMENTS: [&str; 8] = [
    "--on",
    "--picture",
    "--speech",
    "--python",
    "--models",
    "--work",
    "--out",
    "--pace",
];
/// The model of which several streams are run at once: the original system's.
const CROWDED: &str = "unet-328";
/// Frames of the live pipeline.
const LIVE_FRAMES: usize = 75;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let known = [&ARGUMENTS[..], &worker::Order::ARGUMENTS[..]].concat();
    let arguments = Arguments::read(&known)?;
    if let Some(kind) = arguments.text("--worker") {
        return worker::run(&kind, &arguments);
    }
    gst::init()?;
    let quick = arguments.text("--pace").as_deref() == Some("quick");
    let figures = measure(&arguments, quick)?;
    let out = arguments.required_path("--out")?;
    write(&figures, &out)?;
    println!(
        "\nwrote {0}/benchmarks.md, {0}/benchmarks.json and the charts",
        out.display()
    );
    Ok(())
}

fn measure(arguments: &Arguments, quick: bool) -> Result<Figures> {
    let effort = match quick {
        true => Effort::QUICK,
        false => Effort::FULL,
    };
    let work = arguments.required_path("--work")?;
    let picture = arguments.required_path("--picture")?;
    let job = Job::prepare(&work, &picture, &arguments.required_path("--speech")?)
        .with_context(|| format!("cannot use {}", picture.display()))?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (frame, load) = (job.size(), machine::load());
    let home = match arguments.text("--on") {
        Some(name) => Variant::named(&name)?,
        None => CPU,
    };
    let mut arena = Arena::new(job, threads, home, arguments.path("--python"))?;
    let folder = arguments.required_path("--models")?;
    let models = models(&mut arena, &folder)?;

    let mut contests = Vec::new();
    for model in &models {
        contests.push(contest::hold(&mut arena, model, &effort)?);
    }
    let mut crowds = Vec::new();
    for model in models.iter().filter(|model| model.name() == CROWDED) {
        println!("\n{CROWDED}, several streams at once");
        crowds.push(crowd::measure(&mut arena, model, &effort));
    }
    println!("\nstart");
    // The first one with Python pipelines to compare with.
    let started = models.first().unwrap_or(&Model::BuiltIn);
    let stacks = [
        Stack::Element,
        Stack::PythonOnnx,
        Stack::Engine,
        Stack::PyTorch,
    ];
    let starts = contest::starts(&mut arena, started, &stacks, &effort);
    let latency = match arena.latency(&Model::BuiltIn, LIVE_FRAMES) {
        Ok(latency) => Some(Latency(latency)),
        Err(error) => {
            arena.note(format!("latency: {error:#}"));
            None
        }
    };
    let deploy = deploy::measure(&mut arena, &models)?;
    Ok(Figures {
        command: command(quick, home, arena.python.is_some()),
        date: machine::now()?,
        commit: machine::commit()?,
        machine: machine::describe(),
        load: [load, machine::load()],
        threads,
        home: home.name,
        frame,
        quick,
        contests,
        crowds,
        start_model: started.name(),
        starts,
        deploy,
        latency,
        skipped: arena.skipped,
    })
}

/// Those that are there, or can be made; the built-in one last.
fn models(arena: &mut Arena, folder: &Path) -> Result<Vec<Model>> {
    let mut models = Vec::new();
    for name in REFERENCES {
        let manifest = folder.join(format!("{name}.toml"));
        if !manifest.is_file()
            && let Err(error) = make(arena.python.as_deref(), folder, name)
        {
            arena.note(format!("{name}: {error:#}"));
            continue;
        }
        models.push(Model::Reference(manifest));
    }
    models.push(Model::BuiltIn);
    Ok(models)
}

/// Lets `training/reference_models.py` make a model.
fn make(python: Option<&Path>, folder: &Path, name: &str) -> Result<()> {
    let python = python.context(
        "making it wants a Python with PyTorch: `python3 -m venv VENV && VENV/bin/pip install -r \
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
    anyhow::ensure!(
        output.status.success(),
        "reference_models.py failed: {}",
        String::from_utf8_lossy(&output.stderr)
            .lines()
            .last()
            .unwrap_or_default()
    );
    Ok(())
}

/// As it is typed, without what lies elsewhere on every machine.
fn command(quick: bool, home: Variant, python: bool) -> String {
    let on = match home == CPU {
        true => String::new(),
        false => format!(" --on {}", home.name),
    };
    let quick = if quick { " --quick" } else { "" };
    let python = if python {
        " --python VENV/bin/python"
    } else {
        ""
    };
    format!("cargo xtask bench{quick}{on}{python}")
}

fn write(figures: &Figures, out: &Path) -> Result<()> {
    fs::create_dir_all(out)?;
    let file = |name: &str| -> PathBuf { out.join(name) };
    fs::write(file("benchmarks.md"), report::markdown(figures))?;
    let json = serde_json::to_string(&report::json(figures))?;
    fs::write(file("benchmarks.json"), json + "\n")?;
    sheet::write(&chart::frames(&figures.contests)?, &file("benchmarks.png"))?;
    if !figures.crowds.is_empty() {
        sheet::write(
            &chart::streams(&figures.crowds)?,
            &file("benchmarks-streams.png"),
        )?;
    }
    Ok(())
}
