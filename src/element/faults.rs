//! From the crate's faults to GStreamer's error domains, and from ONNX Runtime's log to a debug
//! category.

use std::sync::LazyLock;

use gst::DebugLogger;

use crate::{Error, runtime};

static ORT_CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "onnxruntime",
        gst::DebugColorFlags::empty(),
        Some("Messages of ONNX Runtime"),
    )
});

/// The message of an error that stops the element.
pub fn error_message(err: &Error) -> gst::ErrorMessage {
    match err {
        Error::RuntimeMissing { .. } | Error::ProviderUnavailable { .. } => {
            gst::error_msg!(gst::LibraryError::Init, ("{err}"))
        }
        Error::ModelNotFound { .. } => gst::error_msg!(gst::ResourceError::NotFound, ("{err}")),
        Error::ModelUnreadable { .. } => gst::error_msg!(gst::ResourceError::Read, ("{err}")),
        Error::ModelMismatch { .. } => gst::error_msg!(gst::LibraryError::Settings, ("{err}")),
        Error::Inference { .. } => gst::error_msg!(gst::StreamError::Failed, ("{err}")),
        Error::SoundFormat(_) => gst::error_msg!(gst::StreamError::Format, ("{err}")),
    }
}

/// Sends what ONNX Runtime says to the debug category `onnxruntime`, as much of it as is wanted
/// there.
pub fn route_runtime_log() {
    runtime::set_log_sink(|level, text| match level {
        runtime::Level::Verbose => gst::log!(ORT_CAT, "{text}"),
        runtime::Level::Info => gst::info!(ORT_CAT, "{text}"),
        runtime::Level::Warning => gst::warning!(ORT_CAT, "{text}"),
        runtime::Level::Error | runtime::Level::Fatal => gst::error!(ORT_CAT, "{text}"),
    });
    runtime::set_log_level(if ORT_CAT.above_threshold(gst::DebugLevel::Log) {
        runtime::Level::Verbose
    } else if ORT_CAT.above_threshold(gst::DebugLevel::Info) {
        runtime::Level::Info
    } else {
        runtime::Level::Warning
    });
}
