//! Where ONNX Runtime's messages, and this room's few own, go: to a function that another room installs.
//!
//! Must not know who listens. Without a listener messages are dropped, never printed.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use ort::logging::{LogLevel, LoggerFunction};

/// Severity of a message, from chatty to deadly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    Verbose,
    Info,
    Warning,
    Error,
    Fatal,
}

/// Receives ONNX Runtime's messages, from any thread. Must not panic.
pub type Sink = fn(Level, &str);

static SINK: RwLock<Option<Sink>> = RwLock::new(None);
static LEVEL: AtomicU8 = AtomicU8::new(Level::Warning as u8);

/// Sends all messages from now on to `sink`.
pub fn set_log_sink(sink: Sink) {
    *SINK.write().unwrap_or_else(PoisonError::into_inner) = Some(sink);
}

/// The least severity that ONNX Runtime reports at all; [`Level::Warning`] at first. Holds for
/// sessions opened afterwards.
pub fn set_log_level(level: Level) {
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// What the sessions opened next should report.
pub(super) fn threshold() -> LogLevel {
    [
        LogLevel::Verbose,
        LogLevel::Info,
        LogLevel::Warning,
        LogLevel::Error,
        LogLevel::Fatal,
    ][usize::from(LEVEL.load(Ordering::Relaxed)).min(4)]
}

thread_local! {
    /// What [`overhear`] collects on this thread.
    static OVERHEARD: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Runs `work` and gives the errors that ONNX Runtime logs meanwhile on this thread: where a
/// provider does not start, its reason is only there.
pub(super) fn overhear<T>(work: impl FnOnce() -> T) -> (T, Vec<String>) {
    OVERHEARD.set(Some(Vec::new()));
    let result = work();
    (result, OVERHEARD.take().unwrap_or_default())
}

/// Says something of our own to the listener.
pub(super) fn say(level: Level, text: &str) {
    let sink = *SINK.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(sink) = sink {
        sink(level, text);
    }
}

/// The function that ONNX Runtime calls.
pub(super) fn logger() -> LoggerFunction {
    Arc::new(|level, _category, _id, location, message| {
        let level = match level {
            LogLevel::Verbose => Level::Verbose,
            LogLevel::Info => Level::Info,
            LogLevel::Warning => Level::Warning,
            LogLevel::Error => Level::Error,
            LogLevel::Fatal => Level::Fatal,
        };
        if level >= Level::Error {
            OVERHEARD.with_borrow_mut(|heard| {
                if let Some(heard) = heard {
                    heard.push(message.to_string());
                }
            });
        }
        say(level, &format!("{location}: {message}"));
    })
}
