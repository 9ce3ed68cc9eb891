//! Where ONNX Runtime's own messages go: to a function that another room installs.
//!
//! Must not know who listens. Without a listener messages are dropped, never printed.

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

/// The function that ONNX Runtime calls.
pub(super) fn logger() -> LoggerFunction {
    Arc::new(|level, _category, _id, location, message| {
        let sink = *SINK.read().unwrap_or_else(PoisonError::into_inner);
        let Some(sink) = sink else { return };
        let level = match level {
            LogLevel::Verbose => Level::Verbose,
            LogLevel::Info => Level::Info,
            LogLevel::Warning => Level::Warning,
            LogLevel::Error => Level::Error,
            LogLevel::Fatal => Level::Fatal,
        };
        sink(level, &format!("{location}: {message}"));
    })
}
