//! Where contenders come from: our own program once more, or Python.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    child::Child,
    job::{Amount, Job},
    models::Model,
    roster::{CPU, Stack, Variant},
};

pub struct Arena {
    pub job: Job,
    /// Threads of every network, whoever runs it.
    pub threads: usize,
    /// What Python runs on, and everything that is not measured on several.
    pub home: Variant,
    /// A Python with what `bench/python/requirements.txt` names.
    pub python: Option<PathBuf>,
    program: PathBuf,
    /// Providers that do not start here.
    lame: Vec<Variant>,
    /// What was left out, and why.
    pub skipped: Vec<String>,
}

impl Arena {
    pub fn new(job: Job, threads: usize, home: Variant, python: Option<PathBuf>) -> Result<Self> {
        Ok(Self {
            job,
            threads,
            home,
            python,
            program: std::env::current_exe().context("cannot tell where this program lies")?,
            lame: Vec::new(),
            skipped: Vec::new(),
        })
    }

    /// A contender whose first frame has come out.
    pub fn contender(
        &self,
        model: &Model,
        stack: Stack,
        variant: Variant,
        amount: Amount,
    ) -> Result<Child> {
        let mut command = match stack.is_python() {
            true => {
                let mut command = self.python(model, stack, amount)?;
                command.arg("--interactive");
                command
            }
            false => self.worker(stack.name(), model, variant, amount),
        };
        Child::start(&mut command, &self.log(stack, variant))
    }

    /// Several streams at once in one process of ours, or in as many of Python.
    pub fn streams(
        &self,
        model: &Model,
        stack: Stack,
        streams: usize,
        count: usize,
    ) -> Result<Value> {
        let mut command = match stack.is_python() {
            true => self.python(model, stack, Amount::Few)?,
            false => self.worker("streams", model, self.home, Amount::Few),
        };
        let (streams, count) = (streams.to_string(), count.to_string());
        command.args(["--streams", &streams, "--count", &count]);
        Child::once(&mut command, &self.log(stack, self.home))
    }

    /// A live pipeline of ours.
    pub fn latency(&self, model: &Model, count: usize) -> Result<Value> {
        let mut command = self.worker("latency", model, self.home, Amount::Few);
        command.args(["--count", &count.to_string()]);
        Child::once(&mut command, &self.job.folder.join("latency.log"))
    }

    /// Size of what a Python stack needs, in bytes by name.
    pub fn python_size(&self, stack: Stack) -> Result<Value> {
        let mut command = Command::new(self.python.as_ref().context("no Python")?);
        command.arg(script("size.py")).arg(stack.name());
        Child::once(&mut command, &self.job.folder.join("size.log"))
    }

    fn worker(&self, kind: &str, model: &Model, variant: Variant, amount: Amount) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["--worker", kind])
            .arg("--model")
            .arg(model.path())
            .args(["--variant", variant.name])
            .args(["--threads", &self.threads.to_string()])
            .arg("--folder")
            .arg(&self.job.folder)
            .args(["--size", &self.job.size(), "--amount", amount.name()]);
        command
    }

    fn python(&self, model: &Model, stack: Stack, amount: Amount) -> Result<Command> {
        let Some(python) = &self.python else {
            bail!(
                "no Python was given. `python3 -m venv VENV && VENV/bin/pip install -r \
                 bench/python/requirements.txt`, then --python VENV/bin/python"
            );
        };
        let manifest = model
            .manifest()
            .context("no Python pipeline draws the built-in model")?;
        let mut command = Command::new(python);
        command
            .arg(script("baseline.py"))
            .arg(manifest)
            .args(["--backend", stack.backend()])
            .args(["--provider", self.home.provider.name()])
            .args(["--threads", &self.threads.to_string()])
            .arg("--frames")
            .arg(self.job.frames(amount))
            .args(["--frame-size", &self.job.size()])
            .arg("--boxes")
            .arg(self.job.boxes(model.box_kind()))
            .arg("--sound")
            .arg(self.job.sound());
        if stack == Stack::PythonFaces {
            command.arg("--follow-faces");
        }
        Ok(command)
    }

    fn log(&self, stack: Stack, variant: Variant) -> PathBuf {
        let name = format!("{}-{}.log", stack.name(), variant.name);
        self.job.folder.join(name)
    }

    /// Whether the provider has not failed yet.
    pub fn starts(&self, variant: Variant) -> bool {
        !self.lame.contains(&variant)
    }

    pub fn left_out(
        &mut self,
        model: &Model,
        stack: Stack,
        variant: Variant,
        error: &anyhow::Error,
    ) {
        let accelerator = !stack.is_python() && variant != CPU;
        let what = match accelerator {
            true => variant.name.to_owned(),
            false => format!("{}, {}", model.name(), stack.title()),
        };
        if accelerator && stack == Stack::Bare {
            self.lame.push(variant);
        }
        self.note(format!("{what}: {error:#}"));
    }

    /// Says what is not measured, once.
    pub fn note(&mut self, line: String) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("");
        let line = line.replace(&*root.to_string_lossy(), "");
        if !self.skipped.contains(&line) {
            println!("  left out: {line}");
            self.skipped.push(line);
        }
    }
}

/// A program in `bench/python`.
fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../bench/python")
        .join(name)
}
