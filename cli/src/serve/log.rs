//! What has happened, for people: the last of it is kept, and told to whoever listens.

use std::{
    collections::VecDeque,
    io::{self, Write as _},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use serde::Serialize;
use tokio::sync::broadcast;

use crate::PROGRAM;

/// Entries that are kept.
const KEPT: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Info,
    Warning,
    Error,
}

#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Milliseconds since 1970.
    pub time: u64,
    pub level: Level,
    pub text: String,
}

#[derive(Clone)]
pub struct Log {
    kept: Arc<Mutex<VecDeque<Entry>>>,
    listeners: broadcast::Sender<Entry>,
}

impl Log {
    pub fn new() -> Self {
        Self {
            kept: Arc::default(),
            listeners: broadcast::Sender::new(KEPT),
        }
    }

    pub fn info(&self, text: String) {
        self.add(Level::Info, text);
    }

    pub fn warning(&self, text: String) {
        self.add(Level::Warning, text);
    }

    pub fn error(&self, text: String) {
        self.add(Level::Error, text);
    }

    /// What was said last is not said again.
    fn add(&self, level: Level, text: String) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.back().is_some_and(|last| last.text == text) {
            return;
        }
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let time = since.map_or(0, |since| since.as_millis() as u64);
        let entry = Entry { time, level, text };
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(entry.clone());
        drop(kept);
        // Whoever reads it may have gone, or be slow.
        let _ = writeln!(io::stderr(), "{PROGRAM}: {}", entry.text);
        // Fails where nobody listens.
        let _ = self.listeners.send(entry);
    }

    /// The oldest first.
    pub fn entries(&self) -> Vec<Entry> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().cloned().collect()
    }

    pub fn listen(&self) -> broadcast::Receiver<Entry> {
        self.listeners.subscribe()
    }
}
