//! Keeps a process that ends from pulling ONNX Runtime away under a thread that is at work in it.
//!
//! A session that is being built cannot be stopped. When a process ends, the library's own
//! destructors run beside such a thread, and it crashes.

use ort::{environment::Environment, session::Session};
use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::Provider;

/// A process does not stay longer than this for threads at work. TensorRT may take minutes.
const PATIENCE: Duration = Duration::from_secs(10);

static AT_WORK: Mutex<usize> = Mutex::new(0);
static DONE: Condvar = Condvar::new();

/// While it is there, a process that ends waits.
struct AtWork;

impl AtWork {
    fn begin() -> Self {
        *count() += 1;
        Self
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

/// A process that ends waits for the end of this thread. To be called before the thread's first
/// call of ONNX Runtime: what a thread keeps is dropped in reverse order, and what the library
/// keeps there must go first.
pub fn wait_for_this_thread() {
    HERE.with(|_| ());
}

fn count() -> MutexGuard<'static, usize> {
    AT_WORK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `y = x + x` of one float, in ONNX' format.
const LEAST: &[u8] = b"\x08\x08:9\x0a\x0e\x0a\x01x\x0a\x01x\x12\x01y\x22\x03Add\x12\x05firstZ\x0f\x0a\x01x\x12\x0a\x0a\x08\x08\x01\x12\x04\x0a\x02\x08\x01b\x0f\x0a\x01y\x12\x0a\x0a\x08\x08\x01\x12\x04\x0a\x02\x08\x01B\x02\x10\x11";

/// To be called once, after ONNX Runtime is loaded: what was registered last comes first when a
/// process ends.
pub(super) fn wait_at_exit(environment: &Environment) {
    // The library sets up parts of itself with the first session: they are to be torn down last.
    let first = Session::builder(environment);
    drop(first.and_then(|mut builder| builder.commit_from_memory(LEAST)));
    // And with the first question for its providers, whichever is asked for.
    Provider::OpenVino.is_compiled_in();

    // SAFETY: the function neither unwinds nor ends the process, and lives as long as the process:
    // GStreamer never unloads a plugin. Where there is no room for it, processes end as before.
    unsafe { libc::atexit(wait) };
}

extern "C" fn wait() {
    let done = DONE.wait_timeout_while(count(), PATIENCE, |at_work| *at_work > 0);
    drop(done);
}
