//! A contender's process, driven over its standard input and output.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{self, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Lines of a failed contender's messages that are shown.
const LAST_WORDS: usize = 3;

pub struct Child {
    process: process::Child,
    /// Taken away at the end.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// What it says on standard error.
    log: PathBuf,
    /// From being started to its first finished frame.
    pub to_first_frame: Duration,
}

impl Child {
    /// Starts a contender and waits for its first frame.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let started = Instant::now();
        let mut child = Self::spawn(command, log)?;
        child.answer("first-frame")?;
        child.to_first_frame = started.elapsed();
        Ok(child)
    }

    fn spawn(command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let (input, output) = (process.stdin.take(), process.stdout.take());
        Ok(Self {
            process,
            input,
            output: BufReader::new(output.context("a piped process has this")?),
            log: log.to_owned(),
            to_first_frame: Duration::ZERO,
        })
    }

    /// Waits until it is warm; what it says about itself.
    pub fn ready(&mut self) -> Result<Value> {
        self.answer("ready")
    }

    /// Milliseconds of the next frames, by the names of their parts.
    pub fn draw(&mut self, frames: usize) -> Result<Value> {
        let input = self.input.as_mut().context("the contender listens")?;
        writeln!(input, "{frames}")?;
        self.line()
    }

    /// Runs a contender that says one thing and ends.
    pub fn once(command: &mut Command, log: &Path) -> Result<Value> {
        let mut child = Self::spawn(command, log)?;
        child.input = None;
        child.line()
    }

    fn answer(&mut self, name: &str) -> Result<Value> {
        let mut line = self.line()?;
        match line.get_mut(name) {
            Some(value) => Ok(value.take()),
            None => bail!("`{name}` expected, not {line}"),
        }
    }

    fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            bail!("{}", self.last_words());
        }
        serde_json::from_str(&line).with_context(|| format!("it says {line}"))
    }

    fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let last = &lines[lines.len().saturating_sub(LAST_WORDS)..];
        match last {
            [] => "it ended without a word".into(),
            last => last.join(" ").trim_start_matches("bench: ").into(),
        }
    }
}

impl Drop for Child {
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

/// Numbers out of an answer.
pub fn numbers(value: &Value, name: &str) -> Vec<f64> {
    let list = value.get(name).and_then(Value::as_array);
    list.map_or(Vec::new(), |list| {
        list.iter().filter_map(Value::as_f64).collect()
    })
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
        std::env::temp_dir().join(format!("lipsync-bench-{name}-{}", process::id()))
    }

    #[test]
    fn a_contender_is_asked_and_answers() {
        let script = r#"echo '{"first-frame":true}'; echo '{"ready":{"a":1}}'
            while read n; do echo "{\"frame-ms\":[$n,2.5]}"; done"#;
        let log = log("answers");
        let mut child = Child::start(&mut shell(script), &log).unwrap();
        assert!(child.to_first_frame > Duration::ZERO);
        assert_eq!(child.ready().unwrap()["a"], 1);
        assert_eq!(numbers(&child.draw(7).unwrap(), "frame-ms"), [7.0, 2.5]);
        assert!(numbers(&child.draw(7).unwrap(), "nothing").is_empty());
        drop(child);
        std::fs::remove_file(log).unwrap();
    }

    #[test]
    fn a_contender_that_fails_leaves_its_last_words() {
        let log = log("fails");
        let error = Child::start(&mut shell("echo there is no card >&2; exit 1"), &log);
        assert_eq!(error.err().unwrap().to_string(), "there is no card");
        std::fs::remove_file(log).unwrap();
    }
}
