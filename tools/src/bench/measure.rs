//! The measuring: what is started, in which turns, and what is left out where that fails.

use std::{
    collections::BTreeMap,
    fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use lipsync_core::inference::{self, Provider};
use lipsync_tools::numbers::median;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    child::{Order, Task, WHOLE},
    input::{Amount, Input},
    process::Process,
    results::{AtOnce, Results, START, Series, Sizes},
    stack::{Model, OURS, PYTHON, REFERENCES, Stack, Variant},
};

/// The model of which several streams are run at once: the original system's.
pub const STREAMED: &str = "unet-328";
const STREAMS: [usize; 4] = [1, 2, 4, 10];
/// Frames of the live pipeline.
const LIVE_FRAMES: usize = 75;
/// Seconds to the first frame are measured of these.
const STARTED: [Stack; 4] = [
    Stack::Element,
    Stack::PythonOnnx,
    Stack::Engine,
    Stack::PyTorch,
];
const PLUGIN: &str = "libgstlipsync.so";

/// How long it takes in all.
pub struct Effort {
    /// Of every model: the least, and the most that are begun within so many seconds.
    rounds: RangeInclusive<usize>,
    seconds: f64,
    /// Of a stack's turn, which lasts about so long.
    frames: RangeInclusive<usize>,
    turn_ms: f64,
    /// Frames of each of several streams at once, and new processes for the start.
    stream_frames: usize,
    starts: usize,
}

impl Effort {
    pub const FULL: Self = Self {
        rounds: 3..=9,
        seconds: 18.0,
        frames: 2..=10,
        turn_ms: 500.0,
        stream_frames: 8,
        starts: 3,
    };
    pub const QUICK: Self = Self {
        rounds: 1..=3,
        seconds: 5.0,
        frames: 1..=3,
        turn_ms: 100.0,
        stream_frames: 3,
        starts: 2,
    };

    fn frames_in_a_turn(&self, frame_ms: f64) -> usize {
        let fitting = (self.turn_ms / frame_ms.max(0.1)) as usize;
        fitting.clamp(*self.frames.start(), *self.frames.end())
    }
}

/// Starts processes.
pub struct Launcher {
    pub input: Input,
    /// Of every network, whoever runs it.
    pub threads: usize,
    /// What Python runs on, and everything that is not measured on several.
    pub home: Variant,
    /// A Python with what `bench/python/requirements.txt` names.
    pub python: Option<PathBuf>,
}

impl Launcher {
    fn start(
        &self,
        model: &Model,
        stack: Stack,
        variant: Variant,
        amount: Amount,
    ) -> Result<Process> {
        let command = match stack {
            Stack::BareCall => self.ours(Task::BareCall, model, variant, amount)?,
            Stack::Engine => self.ours(Task::Engine, model, variant, amount)?,
            Stack::Element => self.ours(Task::Element, model, variant, amount)?,
            python => self.baseline(python, model, amount, &["--interactive"])?,
        };
        let log = format!("{stack:?}-{}.log", variant.name());
        Process::start(command, self.input.folder.join(log))
    }

    /// What a process says that says one thing.
    fn ask<T: DeserializeOwned>(&self, command: Command) -> Result<T> {
        Process::start(command, self.input.folder.join("asked.log"))?.answer()
    }

    fn ours(&self, task: Task, model: &Model, variant: Variant, amount: Amount) -> Result<Command> {
        let order = Order {
            task,
            model: model.clone(),
            variant,
            threads: self.threads,
            input: self.input.clone(),
            amount,
        };
        let program = std::env::current_exe().context("cannot tell where this program lies")?;
        let mut command = Command::new(program);
        command.args([crate::CHILD, &serde_json::to_string(&order)?]);
        Ok(command)
    }

    fn baseline(
        &self,
        stack: Stack,
        model: &Model,
        amount: Amount,
        more: &[&str],
    ) -> Result<Command> {
        let manifest = model.manifest();
        let manifest = manifest.context("no Python pipeline draws the built-in model")?;
        let mut command = self.python("bench/python/baseline.py")?;
        command.arg(manifest);
        command.args(["--backend", stack.backend()]);
        command.args(["--provider", self.home.provider().name()]);
        command.args(["--threads", &self.threads.to_string()]);
        command.arg("--frames").arg(self.input.frames(amount));
        command.args(["--frame-size", &self.input.size()]);
        command.arg("--boxes").arg(self.input.boxes(&model.name()));
        command.arg("--sound").arg(self.input.audio());
        if stack == Stack::PythonFaces {
            command.arg("--follow-faces");
        }
        command.args(more);
        Ok(command)
    }

    /// A Python program of the repository.
    fn python(&self, program: &str) -> Result<Command> {
        let python = self.python.as_ref().context(
            "it needs a Python with PyTorch: `python3 -m venv VENV && VENV/bin/pip install -r \
             bench/python/requirements.txt`, then --python VENV/bin/python",
        )?;
        let mut command = Command::new(python);
        command.arg(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("..")
                .join(program),
        );
        Ok(command)
    }
}

/// Everything, in turn. The models lie in a folder, or are made there.
pub fn all(
    launcher: &Launcher,
    folder: &Path,
    effort: &Effort,
    results: &mut Results,
) -> Result<()> {
    let models = models(launcher, folder, results);
    results.models = models.iter().map(Model::name).collect();
    for model in &models {
        frame_times(launcher, model, effort, results)?;
    }
    for model in models.iter().filter(|model| model.name() == STREAMED) {
        streams(launcher, model, effort, results);
    }
    // The first one with Python pipelines to compare with.
    starts(
        launcher,
        models.first().unwrap_or(&Model::BuiltIn),
        effort,
        results,
    );
    let task = Task::Latency(LIVE_FRAMES);
    let live = launcher.ours(task, &Model::BuiltIn, launcher.home, Amount::Few);
    let latency = live.and_then(|command| launcher.ask(command));
    let latency = latency.map_err(|error| results.leave_out("latency", &error));
    results.latency = latency.ok();
    results.deploy_bytes = sizes(launcher, &models, results)?;
    Ok(())
}

/// Those that are there, or can be made; the built-in one last.
fn models(launcher: &Launcher, folder: &Path, results: &mut Results) -> Vec<Model> {
    let mut models = Vec::new();
    for name in REFERENCES {
        let manifest = folder.join(format!("{name}.toml"));
        match manifest.is_file() {
            true => models.push(Model::Reference(manifest)),
            false => match make(launcher, folder, name) {
                Ok(()) => models.push(Model::Reference(manifest)),
                Err(error) => results.leave_out(name, &error),
            },
        }
    }
    models.push(Model::BuiltIn);
    models
}

/// A model with random weights.
fn make(launcher: &Launcher, folder: &Path, name: &str) -> Result<()> {
    let mut command = launcher.python("training/reference_models.py")?;
    println!("making {name} with random weights");
    fs::create_dir_all(folder)?;
    let output = command.arg(folder).arg(name).output()?;
    let messages = String::from_utf8_lossy(&output.stderr);
    let last = messages.lines().last().unwrap_or_default();
    ensure!(
        output.status.success(),
        "reference_models.py failed: {last}"
    );
    Ok(())
}

/// Starts what can be started, lets all take turns, ends them.
fn frame_times(
    launcher: &Launcher,
    model: &Model,
    effort: &Effort,
    results: &mut Results,
) -> Result<()> {
    println!("\n{}", model.name());
    let home = launcher.home;
    let mut running = Vec::new();
    if model.manifest().is_some() && home.is_for_python() {
        for stack in PYTHON {
            running.extend(start(launcher, model, stack, home, results));
        }
    }
    for variant in home.rivals() {
        // What does not start for a bare call does not start at all.
        let ours = OURS.into_iter();
        running.extend(ours.map_while(|stack| start(launcher, model, stack, variant, results)));
    }
    let mut turns = Vec::new();
    for (_, process) in &mut running {
        let frame_ms = process.draw(1)?.get(WHOLE).and_then(|ms| median(ms));
        turns.push(effort.frames_in_a_turn(frame_ms.unwrap_or_default()));
    }
    let started = Instant::now();
    for round in 0..*effort.rounds.end() {
        let is_late = started.elapsed().as_secs_f64() > effort.seconds;
        if is_late && round >= *effort.rounds.start() {
            break;
        }
        for ((series, process), frames) in running.iter_mut().zip(&turns) {
            series.take(process.draw(*frames)?);
        }
    }
    for (it, _) in running {
        let [median, p95] = [0.5, 0.95].map(|q| it.quantile(WHOLE, q).unwrap_or_default());
        let (stack, variant, frames) = (it.stack.title(), it.variant.name(), it.count(WHOLE));
        println!("  {stack:<32} {variant:<14} {median:8.2} ms, p95 {p95:8.2} ({frames} frames)");
        results.series.push(it);
    }
    Ok(())
}

/// A process that is warm.
fn start(
    launcher: &Launcher,
    model: &Model,
    stack: Stack,
    variant: Variant,
    results: &mut Results,
) -> Option<(Series, Process)> {
    let warm = || {
        let mut process = launcher.start(model, stack, variant, Amount::All)?;
        process.first_frame()?;
        anyhow::Ok((process.ready()?, process))
    };
    let warm = warm().map_err(|error| {
        // A provider that does not start does so with no model.
        let what = match variant {
            provider if !stack.is_python() && provider != Variant::Cpu => provider.name().into(),
            _ => format!("{}, {}", model.name(), stack.title()),
        };
        results.leave_out(&what, &error);
    });
    let (about, process) = warm.ok()?;
    let series = Series {
        model: model.name(),
        stack,
        variant,
        about,
        rounds: BTreeMap::new(),
    };
    Some((series, process))
}

/// Several streams at once: ours in one process, Python's in as many processes.
fn streams(launcher: &Launcher, model: &Model, effort: &Effort, results: &mut Results) {
    println!("\n{}, several streams at once", model.name());
    let frames = effort.stream_frames;
    for streams in STREAMS {
        let task = Task::Streams(streams, frames);
        let ours = launcher.ours(task, model, launcher.home, Amount::Few);
        let (count, each) = (streams.to_string(), frames.to_string());
        let more = ["--streams", &count, "--count", &each];
        let python = launcher.baseline(Stack::PythonOnnx, model, Amount::Few, &more);
        for (stack, command) in [(Stack::Element, ours), (Stack::PythonOnnx, python)] {
            match command.and_then(|command| launcher.ask::<AtOnce>(command)) {
                Ok(it) => {
                    let (name, rate, p99) = (stack.owner(), it.frames_per_second, it.ms(0.99));
                    let memory = it.memory.pss_mib;
                    println!(
                        "  {streams:>2} {name}: {rate:.1} frames/s, p99 {p99:.0} ms, {memory:.0} MiB"
                    );
                    results.streams.push((streams, stack, it));
                }
                Err(error) => {
                    let what = format!("{}, {}", model.name(), stack.title());
                    results.leave_out(&what, &error);
                }
            }
        }
    }
}

/// Seconds from being started to the first frame, one new process after another in turns.
fn starts(launcher: &Launcher, model: &Model, effort: &Effort, results: &mut Results) {
    println!("\nstart");
    results.start_model = model.name();
    let mut starts = STARTED.map(|stack| Series {
        model: model.name(),
        stack,
        variant: launcher.home,
        about: Value::Null,
        rounds: BTreeMap::new(),
    });
    for _ in 0..effort.starts {
        for series in &mut starts {
            let process = launcher.start(model, series.stack, launcher.home, Amount::Few);
            match process.and_then(|mut process| process.first_frame()) {
                Ok(first) => series.take([(START.into(), vec![first])].into()),
                Err(error) => {
                    let what = format!("{}, {}", model.name(), series.stack.title());
                    results.leave_out(&what, &error);
                }
            }
        }
    }
    for series in starts {
        if let Some(median) = series.median(START) {
            println!("  first frame of {}: {median:.2} s", series.stack.title());
            results.series.push(series);
        }
    }
}

fn sizes(launcher: &Launcher, models: &[Model], results: &mut Results) -> Result<Sizes> {
    let size = |path: &Path| -> Result<u64> {
        let data = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(data.len())
    };
    let mut python = Vec::new();
    for stack in [Stack::PythonOnnx, Stack::PyTorch] {
        let asked = launcher
            .python("bench/python/size.py")
            .and_then(|mut command| {
                command.arg(stack.backend());
                launcher.ask(command)
            });
        match asked {
            Ok(size) => python.push((stack, size)),
            Err(error) => results.leave_out(&format!("size of {}", stack.title()), &error),
        }
    }
    // The plugin with its own models in it lies beside this program.
    let plugin = std::env::current_exe()?.with_file_name(PLUGIN);
    let copy = launcher.input.folder.join(PLUGIN);
    let strip = Command::new("strip")
        .arg("-o")
        .args([&copy, &plugin])
        .status();
    let stripped = strip.is_ok_and(|status| status.success());
    let networks = models.iter().filter_map(|model| {
        let paths = model.manifest().map(Model::networks)?;
        Some((
            model.name(),
            paths.iter().filter_map(|path| size(path).ok()).sum(),
        ))
    });
    Ok(Sizes {
        plugin: size(&plugin)?,
        plugin_stripped: stripped.then(|| size(&copy).ok()).flatten(),
        onnxruntime: size(inference::onnx::load(None, Provider::Cpu)?.path())?,
        networks: networks.collect(),
        python,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_stacks_have_short_turns() {
        let frames = |ms| Effort::FULL.frames_in_a_turn(ms);
        assert_eq!([1000.0, 100.0, 1.0, 0.0].map(frames), [2, 5, 10, 10]);
    }
}
