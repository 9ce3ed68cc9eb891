//! The measuring: what is started, in which turns, and what is left out where that fails.

use std::{
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
/// Frames of a version's turn.
const VERSION_FRAMES: usize = 75;
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
    /// Turns of each of two versions.
    pairs: usize,
}

impl Effort {
    pub const FULL: Self = Self {
        rounds: 3..=9,
        seconds: 18.0,
        frames: 2..=10,
        turn_ms: 500.0,
        stream_frames: 8,
        starts: 3,
        pairs: 12,
    };
    pub const QUICK: Self = Self {
        rounds: 1..=3,
        seconds: 5.0,
        frames: 1..=3,
        turn_ms: 100.0,
        stream_frames: 3,
        starts: 2,
        pairs: 3,
    };

    fn frames_in_a_turn(&self, frame_ms: f64) -> usize {
        let fitting = (self.turn_ms / frame_ms.max(0.1)) as usize;
        fitting.clamp(*self.frames.start(), *self.frames.end())
    }
}

/// A benchmark: what is given to the processes, and what they have said.
pub struct Bench {
    pub input: Input,
    /// A Python with what `bench/python/requirements.txt` names.
    pub python: Option<PathBuf>,
    pub effort: Effort,
    pub results: Results,
}

impl Bench {
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
            threads: self.results.threads,
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
        command.args(["--provider", self.results.home.provider().name()]);
        command.args(["--threads", &self.results.threads.to_string()]);
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
        command.arg(format!("{}/../{program}", env!("CARGO_MANIFEST_DIR")));
        Ok(command)
    }

    /// Everything, in turn. The models lie in a folder, or are made there.
    pub fn run(&mut self, folder: &Path) -> Result<()> {
        let models = self.models(folder);
        self.results.models = models.iter().map(Model::name).collect();
        for model in &models {
            self.frame_times(model)?;
        }
        for model in models.iter().filter(|model| model.name() == STREAMED) {
            self.streams(model);
        }
        // The first one with Python pipelines to compare with.
        self.starts(models.first().unwrap_or(&Model::BuiltIn));
        let task = Task::Latency(LIVE_FRAMES);
        let live = self.ours(task, &Model::BuiltIn, self.results.home, Amount::Few);
        let live = live.and_then(|command| self.ask(command));
        self.results.latency = self.results.noted("latency", live);
        self.sizes(&models)
    }

    /// Those that are there, or can be made; the built-in one last.
    fn models(&mut self, folder: &Path) -> Vec<Model> {
        let mut models = Vec::new();
        for name in REFERENCES {
            let manifest = folder.join(format!("{name}.toml"));
            let made = match manifest.is_file() {
                true => Ok(()),
                false => self.make(folder, name),
            };
            let made = self.results.noted(name, made);
            models.extend(made.map(|()| Model::Reference(manifest)));
        }
        models.push(Model::BuiltIn);
        models
    }

    /// A model with random weights.
    fn make(&self, folder: &Path, name: &str) -> Result<()> {
        let mut command = self.python("training/reference_models.py")?;
        println!("making {name} with random weights");
        fs::create_dir_all(folder)?;
        let output = command.arg(folder).arg(name).output()?;
        let messages = String::from_utf8_lossy(&output.stderr);
        let last = messages.lines().last().unwrap_or_default();
        ensure!(output.status.success(), "it failed: {last}");
        Ok(())
    }

    /// The element of this build and that of the plugin in a folder, with the built-in model, in turns.
    pub fn against(&self, plugin: &Path) -> Result<[Series; 2]> {
        let model = Model::BuiltIn;
        let start = |plugin: Option<&Path>| {
            let mut command = self.ours(Task::Element, &model, Variant::Cpu, Amount::All)?;
            if let Some(folder) = plugin {
                command.env("GST_PLUGIN_PATH", folder);
                command.env("GST_REGISTRY", folder.join("gstreamer-registry.bin"));
            }
            let runtime = inference::onnx::load(None, Provider::Cpu)?;
            command.env("ORT_DYLIB_PATH", runtime.path());
            let log = format!(
                "version-{}.log",
                if plugin.is_some() { "other" } else { "this" }
            );
            let mut process = Process::start(command, self.input.folder.join(log))?;
            process.first_frame()?;
            let about = process.ready()?;
            let series = Series::new(&model, Stack::Element, Variant::Cpu, about);
            anyhow::Ok((series, process))
        };
        let mut versions = [start(None)?, start(Some(plugin))?];
        for _ in 0..self.effort.pairs {
            for (series, process) in &mut versions {
                series.take(process.draw(VERSION_FRAMES)?);
            }
        }
        Ok(versions.map(|(series, _)| series))
    }

    /// Starts what can be started, lets all take turns, ends them.
    fn frame_times(&mut self, model: &Model) -> Result<()> {
        println!("\n{}", model.name());
        let home = self.results.home;
        let mut running = Vec::new();
        if model.manifest().is_some() && home.is_for_python() {
            let python = PYTHON.into_iter();
            running.extend(python.filter_map(|stack| self.warm(model, stack, home)));
        }
        for variant in home.rivals() {
            // What does not start for a bare call does not start at all.
            let ours = OURS.into_iter();
            running.extend(ours.map_while(|stack| self.warm(model, stack, variant)));
        }
        let effort = &self.effort;
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
            println!(
                "  {stack:<32} {variant:<14} {median:8.2} ms, p95 {p95:8.2} ({frames} frames)"
            );
            self.results.series.push(it);
        }
        Ok(())
    }

    /// A process that is warm.
    fn warm(&mut self, model: &Model, stack: Stack, variant: Variant) -> Option<(Series, Process)> {
        let warm = || {
            let mut process = self.start(model, stack, variant, Amount::All)?;
            process.first_frame()?;
            anyhow::Ok((process.ready()?, process))
        };
        // A provider that does not start does so with no model.
        let what = match !stack.is_python() && variant != Variant::Cpu {
            true => variant.name().into(),
            false => title(model, stack),
        };
        let (about, process) = self.results.noted(&what, warm())?;
        Some((Series::new(model, stack, variant, about), process))
    }

    /// Several streams at once: ours in one process, Python's in as many processes.
    fn streams(&mut self, model: &Model) {
        println!("\n{}, several streams at once", model.name());
        let frames = self.effort.stream_frames;
        for streams in STREAMS {
            let task = Task::Streams(streams, frames);
            let ours = self.ours(task, model, self.results.home, Amount::Few);
            let (count, each) = (streams.to_string(), frames.to_string());
            let more = ["--streams", &count, "--count", &each];
            let python = self.baseline(Stack::PythonOnnx, model, Amount::Few, &more);
            for (stack, command) in [(Stack::Element, ours), (Stack::PythonOnnx, python)] {
                let ran = command.and_then(|command| self.ask::<AtOnce>(command));
                let Some(it) = self.results.noted(&title(model, stack), ran) else {
                    continue;
                };
                let (name, rate, p99) = (stack.owner(), it.frames_per_second, it.ms(0.99));
                let memory = it.memory.pss_mib;
                println!(
                    "  {streams:>2} {name}: {rate:.1} frames/s, p99 {p99:.0} ms, {memory:.0} MiB"
                );
                self.results.streams.push((streams, stack, it));
            }
        }
    }

    /// Seconds from being started to the first frame, one new process after another in turns.
    fn starts(&mut self, model: &Model) {
        println!("\nstart");
        self.results.start_model = model.name();
        let home = self.results.home;
        let mut starts = STARTED.map(|stack| Series::new(model, stack, home, Value::Null));
        for _ in 0..self.effort.starts {
            for series in &mut starts {
                let process = self.start(model, series.stack, home, Amount::Few);
                let first = process.and_then(|mut process| process.first_frame());
                if let Some(first) = self.results.noted(&title(model, series.stack), first) {
                    series.take([(START.into(), vec![first])].into());
                }
            }
        }
        for series in starts {
            if let Some(median) = series.median(START) {
                println!("  first frame of {}: {median:.2} s", series.stack.title());
                self.results.series.push(series);
            }
        }
    }

    fn sizes(&mut self, models: &[Model]) -> Result<()> {
        let mut python = Vec::new();
        for stack in [Stack::PythonOnnx, Stack::PyTorch] {
            let asked = self.python("bench/python/size.py").and_then(|mut command| {
                command.arg(stack.backend());
                self.ask(command)
            });
            let asked = self
                .results
                .noted(&format!("size of {}", stack.title()), asked);
            python.extend(asked.map(|size| (stack, size)));
        }
        // The plugin with its own models in it lies beside this program.
        let plugin = std::env::current_exe()?.with_file_name(PLUGIN);
        let copy = self.input.folder.join(PLUGIN);
        let mut strip = Command::new("strip");
        let strip = strip.arg("-o").args([&copy, &plugin]).status();
        let stripped = strip.is_ok_and(|status| status.success());
        let networks = models.iter().filter_map(|model| {
            let paths = model.manifest().map(Model::networks)?;
            let sizes = paths.iter().filter_map(|path| size(path).ok());
            Some((model.name(), sizes.sum()))
        });
        self.results.deploy_bytes = Sizes {
            plugin: size(&plugin)?,
            plugin_stripped: stripped.then(|| size(&copy).ok()).flatten(),
            onnxruntime: size(inference::onnx::load(None, Provider::Cpu)?.path())?,
            networks: networks.collect(),
            python,
        };
        Ok(())
    }
}

fn title(model: &Model, stack: Stack) -> String {
    format!("{}, {}", model.name(), stack.title())
}

fn size(path: &Path) -> Result<u64> {
    let data = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(data.len())
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
