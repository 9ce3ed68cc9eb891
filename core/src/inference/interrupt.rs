//! Has networks give up a run before its time.
//!
//! Must not know what they run for.

use std::{
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Instant,
};

use ort::AsPointer as _;
use ort::session::RunOptions;

/// Shared by the networks that were opened with it and by who may not want to wait for them.
#[derive(Clone, Default)]
pub struct Interrupt(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Of runs in this process.
    options: OnceLock<Option<RunOptions>>,
    is_set: Mutex<bool>,
    /// Something has come that a network waits for, or nobody wants to wait any more.
    changed: Condvar,
}

/// Why a network waits no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitEnd {
    TimedOut,
    Interrupted,
}

impl fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupt").finish_non_exhaustive()
    }
}

impl Interrupt {
    /// Runs that are under way fail as soon as the operator that is computed is done, and those
    /// that begin fail at once, until [`clear`](Self::clear). A GPU goes on with what it was given.
    pub fn set(&self) {
        *self.is_set() = true;
        self.0.changed.notify_all();
        if let Some(Some(options)) = self.0.options.get() {
            // Fails for no reason that ONNX Runtime knows; the run then takes its time.
            let _ = options.terminate();
        }
    }

    pub fn clear(&self) {
        *self.is_set() = false;
        if let Some(Some(options)) = self.0.options.get() {
            let _ = options.unterminate();
        }
    }

    /// Waits until `found` finds something, asked anew at every [`wake`](Self::wake).
    #[cfg_attr(not(feature = "remote"), allow(dead_code))]
    pub(super) fn wait_for<T>(
        &self,
        deadline: Instant,
        mut found: impl FnMut() -> Option<T>,
    ) -> Result<T, WaitEnd> {
        let mut is_set = self.is_set();
        loop {
            if let Some(found) = found() {
                return Ok(found);
            }
            if *is_set {
                return Err(WaitEnd::Interrupted);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(WaitEnd::TimedOut);
            }
            let waited = self.0.changed.wait_timeout(is_set, left);
            is_set = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Has networks that wait look again.
    #[cfg_attr(not(feature = "remote"), allow(dead_code))]
    pub(super) fn wake(&self) {
        // Not between the look and the wait.
        drop(self.is_set());
        self.0.changed.notify_all();
    }

    /// Nothing that could panic is done under the lock.
    fn is_set(&self) -> MutexGuard<'_, bool> {
        self.0.is_set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a run is to be given, valid as long as `self` is; null where there is no memory for it,
    /// which means the default options. ONNX Runtime has to be loaded.
    pub(super) fn run_options(&self) -> *const ort::sys::OrtRunOptions {
        let options = self.0.options.get_or_init(|| RunOptions::new().ok());
        options
            .as_ref()
            .map_or(std::ptr::null(), |options| options.ptr())
    }
}
