//! Every fault a user can cause, each with what was found, what was wanted and what to do.
//!
//! Must not know GStreamer: `element` maps the kinds to its error domains.

use std::path::PathBuf;

/// Why the lip-sync engine could not be set up or could not draw a frame.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// No usable ONNX Runtime library. `tried` has one line a path, with the loader's own words.
    #[error(
        "ONNX Runtime could not be loaded. Tried:\n{tried}\nInstall ONNX Runtime {expected} or newer \
         (`cargo xtask setup`, or your distribution's libonnxruntime), or name the library in the \
         property `onnxruntime-library` or the environment variable ORT_DYLIB_PATH"
    )]
    RuntimeMissing { tried: String, expected: String },

    /// The execution provider that was asked for cannot run here.
    #[error(
        "the execution provider `{provider}` cannot run: {reason}. Choose another \
         `execution-provider`, `precision` or `provider-options`"
    )]
    ProviderUnavailable { provider: String, reason: String },

    #[error("no model at `{path}`: {reason}", path = path.display())]
    ModelNotFound { path: PathBuf, reason: String },

    #[error("the model `{path}` cannot be read: {reason}", path = path.display())]
    ModelUnreadable { path: PathBuf, reason: String },

    /// The network's tensors are not those of the family. Both lists are ready to print.
    #[error("the model `{name}` does not fit.\nFound: {found}\nExpected: {expected}")]
    ModelMismatch {
        name: String,
        found: String,
        expected: String,
    },

    /// A network failed while running on a frame. The next frame may succeed.
    #[error("inference with `{name}` failed: {reason}")]
    Inference { name: String, reason: String },

    /// No server can run the network; those that follow will not be drawn there either until one is
    /// back.
    #[error("no server can draw: {reason}. Expected: one of `server` that serves the model")]
    Unreachable { reason: String },

    /// What was kept of mouths another time cannot be used.
    #[error("unusable mouth memory: {0}")]
    MouthMemory(String),

    /// Sound in a form that cannot be used.
    #[error("unusable sound format: {0}")]
    SoundFormat(String),
}
