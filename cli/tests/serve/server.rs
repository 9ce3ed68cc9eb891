//! The program as a server, and requests to it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support;

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Seconds that a server may run.
const LONGEST: u32 = 300;

/// A server that ends when it is dropped.
pub struct Server {
    process: Child,
    pub address: String,
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Server {
    /// Starts it with these words on a port that is free.
    pub fn start(folder: &Path, words: &[&str]) -> Self {
        let mut process = support::program_for(LONGEST, folder)
            .arg("serve")
            .args(["--listen", "127.0.0.1:0", "--size", "240x300"])
            .args(words)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(process.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        let address = line.trim().trim_start_matches("http://");
        assert!(!address.is_empty(), "it does not start");
        Self {
            address: address.trim_end_matches('/').to_owned(),
            process,
        }
    }

    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let more: String = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n{more}\r\n{body}",
            self.address,
            body.len()
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "")
    }

    pub fn change(&self, settings: &str) -> Answer {
        self.ask("PATCH", "/api/settings", &[], settings)
    }

    pub fn status(&self) -> Value {
        self.get("/api/status").json()
    }

    /// Waits for a status that is as it should be.
    #[track_caller]
    pub fn wait(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let status = self.status();
            if is_so(&status) {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "never {what}: {status:#}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until so many more frames have gone out.
    #[track_caller]
    pub fn wait_for_frames(&self, count: u64) -> Value {
        let frames = |status: &Value| status["stats"]["frames-out"].as_u64().unwrap_or(0);
        let from = frames(&self.status());
        self.wait("more frames", |status| frames(status) >= from + count)
    }

    /// Ends it as a service manager does; its exit code.
    pub fn end(mut self) -> Option<i32> {
        self.signal();
        self.process.wait().unwrap().code()
    }

    /// `timeout`, which runs it, hands the signal on.
    fn signal(&self) {
        let _ = Command::new("kill")
            .arg(self.process.id().to_string())
            .status();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            self.signal();
            let _ = self.process.wait();
        }
    }
}
