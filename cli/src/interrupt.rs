//! Signals that end the program: noted here, looked at by whoever waits.

use std::{
    fmt, io,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use anyhow::{Context, Result};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};

static RECEIVED: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

/// The error of whatever was under way.
#[derive(Debug)]
pub struct Interrupted(pub u8);

impl fmt::Display for Interrupted {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("interrupted; nothing was written")
    }
}

impl std::error::Error for Interrupted {}

/// From now on signals are noted; a second Ctrl-C ends the process at once.
pub fn watch() -> io::Result<()> {
    let again = Arc::new(AtomicBool::new(false));
    flag::register_conditional_shutdown(SIGINT, 128 + SIGINT, again.clone())?;
    flag::register(SIGINT, again)?;
    // nohup has it ignored.
    let hang_up = (!is_ignored(SIGHUP)).then_some(SIGHUP);
    for signal in [SIGINT, SIGTERM].into_iter().chain(hang_up) {
        flag::register_usize(signal, RECEIVED.clone(), signal as usize)?;
    }
    Ok(())
}

fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| (mask >> (signal - 1)) & 1 == 1)
}

/// The signal that has come.
pub fn received() -> Option<u8> {
    u8::try_from(RECEIVED.load(Ordering::Relaxed))
        .ok()
        .filter(|signal| *signal != 0)
}

/// # Errors
/// [`Interrupted`] once a signal has come.
pub fn check() -> Result<()> {
    match received() {
        Some(signal) => Err(Interrupted(signal).into()),
        None => Ok(()),
    }
}

/// Has SIGTERM come when the parent ends, however it does.
///
/// # Errors
/// Where the parent has ended already.
pub fn die_with_parent() -> Result<()> {
    let parent = getppid();
    set_parent_process_death_signal(Some(Signal::TERM))
        .context("cannot watch the parent process")?;
    if getppid() != parent {
        RECEIVED.store(SIGTERM as usize, Ordering::Relaxed);
    }
    check()
}
