//! Keeps a process that ends from pulling ONNX Runtime away under a thread that is at work in it.
//!
//! A session that is being built cannot be stopped. When a process ends, the library's own
//! destructors run beside such a thread, and it crashes.
//!
//! The main thread waits for them before it runs any destructor. Where another thread ends the
//! process, what the library has set up until then is there till the wait is over; what it sets up
//! later is not.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ort::{environment::Environment, session::Session};

use super::providers;
use crate::inference::Provider;

/// A process does not stay longer than this for threads at work. TensorRT may take minutes.
const PATIENCE: Duration = Duration::from_secs(10);

static AT_WORK: Mutex<usize> = Mutex::new(0);
static DONE: Condvar = Condvar::new();

/// While it is there, a process that ends waits.
pub struct AtWork;

impl AtWork {
    /// For a thread that is about to start.
    pub fn begin() -> Self {
        *count() += 1;
        Self
    }

    /// From here on till the end of this thread. To be called before the thread's first call of
    /// ONNX Runtime: what a thread keeps is dropped in reverse order, and what the library keeps
    /// there must go first.
    pub fn in_this_thread(self) {
        HERE.with(|_| ());
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        *count() -= 1;
        DONE.notify_all();
    }
}

thread_local! {
    static HERE: AtWork = AtWork::begin();
}

/// Waits when it is dropped.
struct Ending;

impl Drop for Ending {
    fn drop(&mut self) {
        wait();
    }
}

thread_local! {
    static ENDING: Ending = const { Ending };
}

/// Where this is the main thread, it waits for those at work before the process ends: what a
/// thread keeps is dropped before any destructor of a library runs.
pub fn wait_in_main_thread() {
    // SAFETY: neither asks for anything nor can fail.
    let (thread, process) = unsafe { (libc::gettid(), libc::getpid()) };
    if thread == process {
        ENDING.with(|_| ());
    }
}

fn count() -> MutexGuard<'static, usize> {
    AT_WORK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `y = x + x` of one float, in ONNX' format.
const LEAST: &[u8] = b"\x08\x08:9\x0a\x0e\x0a\x01x\x0a\x01x\x12\x01y\x22\x03Add\x12\x05firstZ\x0f\x0a\x01x\x12\x0a\x0a\x08\x08\x01\x12\x04\x0a\x02\x08\x01b\x0f\x0a\x01y\x12\x0a\x0a\x08\x08\x01\x12\x04\x0a\x02\x08\x01B\x02\x10\x11";

/// To be called once, after ONNX Runtime is loaded: what was registered last comes first when a
/// process ends.
pub(super) fn wait_at_exit(environment: &Environment) {
    // The library sets up parts of itself with the first session, and its list of providers when it
    // is first asked for: they are to be torn down last.
    let first = Session::builder(environment);
    drop(first.and_then(|mut builder| builder.commit_from_memory(LEAST)));
    providers::is_compiled_in(Provider::Cuda);

    // SAFETY: the function neither unwinds nor ends the process, and lives as long as the process:
    // GStreamer never unloads a plugin. Where there is no room for it, processes end as before.
    unsafe { libc::atexit(wait) };
}

extern "C" fn wait() {
    let done = DONE.wait_timeout_while(count(), PATIENCE, |at_work| *at_work > 0);
    drop(done);
}
