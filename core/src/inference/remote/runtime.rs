//! The threads that talk to servers: two for the whole process, whatever runs how many streams.

use std::{mem::MaybeUninit, ptr, sync::LazyLock};

use tokio::runtime::{Builder, Handle, Runtime};

/// The kernel keeps 15 letters.
const THREAD_NAME: &str = "lipsync-remote";
const THREADS: usize = 2;

static RUNTIME: LazyLock<Result<Runtime, String>> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name(THREAD_NAME)
        .on_thread_start(block_broken_pipes)
        .enable_all()
        .build()
        .map_err(|error| format!("no threads for calls to servers: {error}"))
});

/// Where calls are spawned. Nobody blocks on them: an application may call from its own runtime,
/// where that would panic.
pub(super) fn handle() -> Result<&'static Handle, String> {
    RUNTIME.as_ref().map(Runtime::handle).map_err(Clone::clone)
}

/// What is written to a connection that its server has closed raises a signal, of which programs die
/// that do not expect it: `gst-launch-1.0` for one. In this thread it is an error like any other.
fn block_broken_pipes() {
    let mut signals = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` makes the set that the others are given.
    unsafe {
        libc::sigemptyset(signals.as_mut_ptr());
        libc::sigaddset(signals.as_mut_ptr(), libc::SIGPIPE);
        libc::pthread_sigmask(libc::SIG_BLOCK, signals.as_ptr(), ptr::null_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_hangs_up_raises_no_signal_here() {
        let (blocked, is_blocked) = std::sync::mpsc::channel();
        handle().unwrap().spawn(async move {
            let mut signals = MaybeUninit::uninit();
            // SAFETY: `pthread_sigmask` makes the set that is looked at.
            let is_member = unsafe {
                libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), signals.as_mut_ptr());
                libc::sigismember(signals.as_ptr(), libc::SIGPIPE)
            };
            blocked.send(is_member).unwrap();
        });
        assert_eq!(is_blocked.recv(), Ok(1));
    }
}
