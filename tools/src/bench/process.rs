//! The processes that are measured: this program once more, or a Python pipeline. Each is driven
//! over its standard input and output.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    child::{FirstFrame, Order, Ready, Task, Times},
    input::{Amount, Input},
    results::PythonSize,
    stack::{Model, Stack, Variant},
};

/// Lines of a failed process's messages that are shown.
const LAST_LINES: usize = 3;

/// Starts processes.
pub struct Launcher {
    pub input: Input,
    /// Of every network, whoever runs it.
    pub threads: usize,
    /// What Python runs on, and everything that is not measured on several.
    pub home: Variant,
    /// A Python with what `bench/python/requirements.txt` names.
    pub python: Option<PathBuf>,
    /// What was left out, and why.
    pub left_out: Vec<String>,
}

impl Launcher {
    /// A process whose first frame has come out.
    pub fn start(
        &self,
        model: &Model,
        stack: Stack,
        variant: Variant,
        amount: Amount,
    ) -> Result<Process> {
        let mut command = match stack {
            Stack::BareCall => self.ours(Task::BareCall, model, variant, amount)?,
            Stack::Engine => self.ours(Task::Engine, model, variant, amount)?,
            Stack::Element => self.ours(Task::Element, model, variant, amount)?,
            python => self.python(python, model, amount)?,
        };
        if stack.is_python() {
            command.arg("--interactive");
        }
        Process::start(
            &mut command,
            &self.log(&format!("{stack:?}-{}", variant.name())),
        )
    }

    /// Several streams at once, of ours in one process, of Python in as many.
    pub fn streams<T: DeserializeOwned>(
        &self,
        model: &Model,
        stack: Stack,
        streams: usize,
        frames: usize,
    ) -> Result<T> {
        let mut command = match stack.is_python() {
            true => {
                let mut command = self.python(stack, model, Amount::Few)?;
                command.args(["--streams", &streams.to_string()]);
                command.args(["--count", &frames.to_string()]);
                command
            }
            false => self.ours(
                Task::Streams { streams, frames },
                model,
                self.home,
                Amount::Few,
            )?,
        };
        Process::ask_once(&mut command, &self.log("streams"))
    }

    /// A live pipeline of ours.
    pub fn latency<T: DeserializeOwned>(&self, model: &Model, frames: usize) -> Result<T> {
        let mut command = self.ours(Task::Latency { frames }, model, self.home, Amount::Few)?;
        Process::ask_once(&mut command, &self.log("latency"))
    }

    pub fn python_size(&self, stack: Stack) -> Result<PythonSize> {
        let mut command = self.script("size.py")?;
        Process::ask_once(command.arg(stack.backend()), &self.log("size"))
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
        command
            .arg(crate::CHILD)
            .arg(serde_json::to_string(&order)?);
        Ok(command)
    }

    fn python(&self, stack: Stack, model: &Model, amount: Amount) -> Result<Command> {
        let manifest = model.manifest();
        let manifest = manifest.context("no Python pipeline draws the built-in model")?;
        let mut command = self.script("baseline.py")?;
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
        Ok(command)
    }

    /// A program in `bench/python`.
    fn script(&self, name: &str) -> Result<Command> {
        let python = self.python.as_ref().context(
            "no Python was given. `python3 -m venv VENV && VENV/bin/pip install -r \
             bench/python/requirements.txt`, then --python VENV/bin/python",
        )?;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/python");
        let mut command = Command::new(python);
        command.arg(folder.join(name));
        Ok(command)
    }

    /// Where a process's messages go.
    fn log(&self, name: &str) -> PathBuf {
        self.input.folder.join(format!("{name}.log"))
    }

    /// Says what is not measured, once.
    pub fn leave_out(&mut self, what: &str, error: &anyhow::Error) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("");
        let line = format!("{what}: {error:#}").replace(&*root.to_string_lossy(), "");
        if !self.left_out.contains(&line) {
            println!("  left out: {line}");
            self.left_out.push(line);
        }
    }
}

/// One that runs.
pub struct Process {
    process: Child,
    /// Taken away at the end.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    messages: PathBuf,
    /// From being started to its first finished frame.
    pub to_first_frame: Duration,
}

impl Process {
    fn start(command: &mut Command, messages: &Path) -> Result<Self> {
        let started = Instant::now();
        let mut process = Self::spawn(command, messages)?;
        process.answer::<FirstFrame>()?;
        process.to_first_frame = started.elapsed();
        Ok(process)
    }

    /// Runs one that says one thing and ends.
    fn ask_once<T: DeserializeOwned>(command: &mut Command, messages: &Path) -> Result<T> {
        let mut process = Self::spawn(command, messages)?;
        process.input = None;
        process.answer()
    }

    fn spawn(command: &mut Command, messages: &Path) -> Result<Self> {
        let file = File::create(messages)
            .with_context(|| format!("cannot write {}", messages.display()))?;
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file);
        let mut process = command
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let (input, output) = (process.stdin.take(), process.stdout.take());
        Ok(Self {
            process,
            input,
            output: BufReader::new(output.context("a piped process has this")?),
            messages: messages.to_owned(),
            to_first_frame: Duration::ZERO,
        })
    }

    /// Waits until it is warm; what it says about itself.
    pub fn ready(&mut self) -> Result<Value> {
        Ok(self.answer::<Ready>()?.ready)
    }

    /// Draws the next frames.
    pub fn draw(&mut self, frames: usize) -> Result<Times> {
        let input = self.input.as_mut().context("the process listens")?;
        writeln!(input, "{frames}")?;
        self.answer()
    }

    fn answer<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            let text = std::fs::read_to_string(&self.messages).unwrap_or_default();
            let lines: Vec<&str> = text
                .lines()
                .filter(|line| !line.trim().is_empty())
                .collect();
            let last = lines[lines.len().saturating_sub(LAST_LINES)..].join(" ");
            anyhow::bail!("{}", last.trim_start_matches("bench: "));
        }
        serde_json::from_str(&line).with_context(|| format!("it says {line}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Without input it ends by itself; one that hangs is ended. Neither can be helped.
        self.input = None;
        for _ in 0..50 {
            if matches!(self.process.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn log(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("lipsync-bench-{name}-{}", std::process::id()))
    }

    #[test]
    fn a_process_is_asked_and_answers() {
        let script = r#"echo '{"first-frame":true}'; echo '{"ready":{"a":1}}'
            while read n; do echo "{\"frame-ms\":[$n,2.5]}"; done"#;
        let log = log("answers");
        let mut process = Process::start(&mut shell(script), &log).unwrap();
        assert!(process.to_first_frame > Duration::ZERO);
        assert_eq!(process.ready().unwrap()["a"], 1);
        assert_eq!(process.draw(7).unwrap()["frame-ms"], [7.0, 2.5]);
        drop(process);
        std::fs::remove_file(log).unwrap();
    }

    #[test]
    fn a_process_that_fails_leaves_its_last_lines() {
        let log = log("fails");
        let error = Process::start(&mut shell("echo there is no GPU >&2; exit 1"), &log);
        assert_eq!(error.err().unwrap().to_string(), "there is no GPU");
        std::fs::remove_file(log).unwrap();
    }
}
