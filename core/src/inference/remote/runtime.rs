//! The threads that talk to servers: two for the whole process, whatever runs how many streams.

use std::sync::LazyLock;

use tokio::runtime::{Builder, Handle, Runtime};

/// The kernel keeps 15 letters.
const THREAD_NAME: &str = "lipsync-remote";
const THREADS: usize = 2;

static RUNTIME: LazyLock<Result<Runtime, String>> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name(THREAD_NAME)
        .enable_all()
        .build()
        .map_err(|error| format!("no threads for calls to servers: {error}"))
});

/// Where calls are spawned. Nobody blocks on them: an application may call from its own runtime,
/// where that would panic.
pub(super) fn handle() -> Result<&'static Handle, String> {
    RUNTIME.as_ref().map(Runtime::handle).map_err(Clone::clone)
}
