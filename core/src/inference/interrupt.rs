//! Has networks give up a run before its time.
//!
//! Must not know what they run for.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use ort::AsPointer as _;
use ort::session::RunOptions;

/// Shared by the networks that were opened with it and by who may not want to wait for them.
#[derive(Clone, Default)]
pub struct Interrupt(Arc<OnceLock<Option<RunOptions>>>);

impl fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupt").finish_non_exhaustive()
    }
}

impl Interrupt {
    /// Runs that are under way fail as soon as the operator that is computed is done, and those
    /// that begin fail at once, until [`clear`](Self::clear). A GPU goes on with what it was given.
    pub fn set(&self) {
        if let Some(Some(options)) = self.0.get() {
            // Fails for no reason that ONNX Runtime knows; the run then takes its time.
            let _ = options.terminate();
        }
    }

    pub fn clear(&self) {
        if let Some(Some(options)) = self.0.get() {
            let _ = options.unterminate();
        }
    }

    /// What a run is to be given, valid as long as `self` is; null where there is no memory for it,
    /// which means the default options. ONNX Runtime has to be loaded.
    pub(super) fn run_options(&self) -> *const ort::sys::OrtRunOptions {
        let options = self.0.get_or_init(|| RunOptions::new().ok());
        options
            .as_ref()
            .map_or(std::ptr::null(), |options| options.ptr())
    }
}
