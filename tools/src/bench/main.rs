//! `lipsync-bench`: how long a frame takes, in the original Python pipelines, in ONNX Runtime
//! alone, in the engine and in the element. Started by `cargo xtask bench`.
//!
//! Each of them is a process; ours are this program once more.

mod child;
mod element;
mod input;
mod machine;
mod measure;
mod process;
mod report;
mod results;
mod stack;

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::Parser;

use input::{Input, Pixels};
use measure::{Bench, Effort};
use results::Results;
use stack::Variant;

/// What is written about it all.
const PAGE: &str = "benchmarks.md";

/// First argument of this program where it is measured itself; the second says how.
const CHILD: &str = "child";

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
    /// Where benchmarks.md and benchmarks.json go
    #[arg(long)]
    out: PathBuf,
    /// What Python runs on
    #[arg(long, default_value = "cpu")]
    on: Variant,
    /// Fewer frames
    #[arg(long)]
    quick: bool,
    /// A commit to compare this one with, and the folder of its plugin; nothing else is measured
    #[arg(long, num_args = 2, value_names = ["COMMIT", "PLUGIN"])]
    against: Option<Vec<String>>,
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
    let picture = &arguments.picture;
    let (size, format) = match arguments.against {
        Some(_) => ([1920, 1080], Pixels::I420),
        None => (input::SIZE, Pixels::Bgr),
    };
    let input = Input::prepare(&arguments.work, picture, &arguments.speech, size, format)
        .with_context(|| format!("cannot use {}", picture.display()))?;
    let effort = match arguments.quick {
        true => Effort::QUICK,
        false => Effort::FULL,
    };
    let results = Results {
        command: command(&arguments),
        date: machine::now()?,
        commit: machine::commit()?,
        machine: machine::Machine::describe(),
        load: [machine::load(), None],
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        home: arguments.on,
        frame: input.size(),
        quick: arguments.quick,
        ..Results::default()
    };
    let mut bench = Bench {
        input,
        python: arguments.python,
        effort,
        results,
    };
    let out = &arguments.out;
    fs::create_dir_all(out)?;
    let file = |name: &str, text: String| fs::write(out.join(name), text);
    let before = fs::read_to_string(out.join(PAGE)).unwrap_or_default();
    if let Some([commit, plugin]) = arguments.against.as_deref() {
        let series = bench.against(plugin.as_ref())?;
        bench.results.load[1] = machine::load();
        let part = report::versions(&bench.results, commit, &series);
        let part = part.context("nothing was measured")?;
        println!("{part}");
        return Ok(file(PAGE, report::with_versions(&before, &part))?);
    }
    bench.run(&arguments.models)?;
    let mut results = bench.results;
    results.load[1] = machine::load();
    let kept = report::versions_of(&before).unwrap_or_default();
    let page = report::with_versions(&report::markdown(&results), kept);
    file(PAGE, page)?;
    file("benchmarks.json", serde_json::to_string(&results)? + "\n")?;
    println!(
        "\nwrote {0}/benchmarks.md and {0}/benchmarks.json",
        out.display()
    );
    Ok(())
}

/// As it is typed, without what lies elsewhere on every machine.
fn command(arguments: &Arguments) -> String {
    let mut command = "cargo xtask bench".to_owned();
    if let Some([commit, _]) = arguments.against.as_deref() {
        command += &format!(" --against {commit}");
    }
    if arguments.quick {
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
