//! A process that is measured, driven over its standard input and output.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::child::Times;

/// Lines of a failed process's messages that are shown.
const LAST_LINES: usize = 3;

pub struct Process {
    process: Child,
    /// Taken away at the end.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    messages: PathBuf,
    started: Instant,
}

/// What a process says once it is warm.
#[derive(Deserialize)]
struct Ready {
    ready: Value,
}

impl Process {
    /// Its messages go to a file.
    pub fn start(mut command: Command, messages: PathBuf) -> Result<Self> {
        let file = File::create(&messages);
        let file = file.with_context(|| format!("cannot write {}", messages.display()))?;
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file);
        let started = Instant::now();
        let process = command.spawn();
        let program = command.get_program().display();
        let mut process = process.with_context(|| format!("cannot start {program}"))?;
        let output = process.stdout.take().context("a piped process has this")?;
        Ok(Self {
            input: process.stdin.take(),
            output: BufReader::new(output),
            process,
            messages,
            started,
        })
    }

    /// Waits for its first finished frame; seconds since it was started.
    pub fn first_frame(&mut self) -> Result<f64> {
        self.answer::<Value>()?;
        Ok(self.started.elapsed().as_secs_f64())
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

    /// The next line that it says.
    pub fn answer<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            bail!("{}", last_lines(&self.messages));
        }
        serde_json::from_str(&line).with_context(|| format!("it says {line}"))
    }
}

fn last_lines(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let last = lines[lines.len().saturating_sub(LAST_LINES)..].join(" ");
    last.trim_start_matches("bench: ").to_owned()
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

    #[test]
    fn a_process_is_asked_and_answers_until_it_fails() {
        let log = std::env::temp_dir().join(format!("lipsync-bench-{}", std::process::id()));
        let script = r#"echo '{"first-frame":true}'; echo '{"ready":{"a":1}}'
            read n; echo "{\"frame-ms\":[$n,2.5]}"; echo there is no GPU >&2; exit 1"#;
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let mut process = Process::start(command, log.clone()).unwrap();
        assert!(process.first_frame().unwrap() > 0.0);
        assert_eq!(process.ready().unwrap()["a"], 1);
        assert_eq!(process.draw(7).unwrap()["frame-ms"], [7.0, 2.5]);
        let error = process.answer::<Value>().unwrap_err();
        assert_eq!(error.to_string(), "there is no GPU");
        drop(process);
        std::fs::remove_file(log).unwrap();
    }
}
