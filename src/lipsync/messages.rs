//! From the crate's faults to GStreamer's error domains, from values that properties cannot have to
//! warnings, and from ONNX Runtime's log to a debug category.

use std::sync::LazyLock;

use gst::{DebugLogger, glib, prelude::*, subclass::prelude::*};

use super::{
    OnUnreachable,
    imp::{CAT, Lipsync, lock},
    stream_state::Stream,
};
use lipsync_core::{
    Error,
    inference::{self, ServerEvent},
};

static ORT_CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "onnxruntime",
        gst::DebugColorFlags::empty(),
        Some("Messages of ONNX Runtime"),
    )
});

/// Where GStreamer files a fault.
enum Domain {
    Library(gst::LibraryError),
    Resource(gst::ResourceError),
    Stream(gst::StreamError),
}

fn domain(err: &Error) -> Domain {
    match err {
        Error::RuntimeMissing { .. } | Error::ProviderUnavailable { .. } => {
            Domain::Library(gst::LibraryError::Init)
        }
        Error::ModelNotFound { .. } => Domain::Resource(gst::ResourceError::NotFound),
        Error::ModelUnreadable { .. } | Error::MouthMemory(_) => {
            Domain::Resource(gst::ResourceError::Read)
        }
        Error::ModelMismatch { .. } => Domain::Library(gst::LibraryError::Settings),
        Error::Unreachable { .. } => Domain::Resource(gst::ResourceError::OpenReadWrite),
        Error::Inference { .. } => Domain::Stream(gst::StreamError::Failed),
        Error::SoundFormat(_) => Domain::Stream(gst::StreamError::Format),
    }
}

/// The message of an error that stops the element.
pub fn error_message(err: &Error) -> gst::ErrorMessage {
    match domain(err) {
        Domain::Library(code) => gst::error_msg!(code, ("{err}")),
        Domain::Resource(code) => gst::error_msg!(code, ("{err}")),
        Domain::Stream(code) => gst::error_msg!(code, ("{err}")),
    }
}

/// Warns of an error with which the element goes on as `instead` says.
pub fn post_warning(element: &gst::Element, err: &Error, instead: &str) {
    match domain(err) {
        Domain::Library(code) => gst::element_warning!(element, code, ("{err}. {instead}")),
        Domain::Resource(code) => gst::element_warning!(element, code, ("{err}. {instead}")),
        Domain::Stream(code) => gst::element_warning!(element, code, ("{err}. {instead}")),
    }
}

/// Sends what ONNX Runtime says to the debug category `onnxruntime`, as much of it as is wanted
/// there.
pub fn route_runtime_log() {
    inference::onnx::set_log_sink(|level, text| match level {
        inference::onnx::Level::Verbose => gst::log!(ORT_CAT, "{text}"),
        inference::onnx::Level::Info => gst::info!(ORT_CAT, "{text}"),
        inference::onnx::Level::Warning => gst::warning!(ORT_CAT, "{text}"),
        inference::onnx::Level::Error | inference::onnx::Level::Fatal => {
            gst::error!(ORT_CAT, "{text}")
        }
    });
    inference::onnx::set_log_level(if ORT_CAT.above_threshold(gst::DebugLevel::Log) {
        inference::onnx::Level::Verbose
    } else if ORT_CAT.above_threshold(gst::DebugLevel::Info) {
        inference::onnx::Level::Info
    } else {
        inference::onnx::Level::Warning
    });
}

/// Says, once in a stream, that frames come and no sound ever can.
pub fn warn_of_no_audio(imp: &Lipsync, stream: &mut Stream, running_ns: i64, draws: bool) {
    if draws && stream.is_long_unheard(running_ns) {
        gst::element_imp_warning!(
            imp,
            gst::CoreError::Pad,
            ("frames come, but there is no pad `audio` from which lipsync could hear: they pass through \
              unchanged. Link an audio stream to it. What has room for one video filter only, such as \
              playbin's `video-filter` or an effect in GES, cannot: use lipsyncbin in a pipeline of its own, not there")
        );
    }
}

/// Says at the end of a stream how many frames had a face; that none had any is worth a warning.
pub fn sum_up(imp: &Lipsync, stream: &mut Stream) {
    if std::mem::replace(&mut stream.is_summed_up, true) {
        return;
    }
    let (frames, found, synced) = lock(&imp.stats).looked_at_found_and_synced();
    if frames == 0 {
        return;
    }
    if found == 0 {
        gst::element_imp_warning!(
            imp,
            gst::StreamError::Failed,
            ("no face was found in any of {frames} frames: no mouth was redrawn")
        );
        return;
    }
    let text = format!(
        "{found} of {frames} frames had a face ({} %), {synced} were synced ({} %)",
        found * 100 / frames,
        synced * 100 / frames
    );
    // `gst-launch-1.0` prints only the second.
    gst::element_imp_info!(imp, gst::StreamError::Failed, ("{text}"), ["{text}"]);
}

/// Tells the bus of a server that was lost or found: an element message for programs, and a WARNING or
/// INFO message where that changes what draws.
pub fn tell_of_server(imp: &Lipsync, event: &ServerEvent, on_unreachable: OnUnreachable) {
    let obj = imp.obj();
    let structure = gst::Structure::builder("lipsync-server");
    let structure = match event {
        ServerEvent::Lost {
            server,
            reason,
            left,
        } => {
            gst::warning!(CAT, imp = imp, "Lost {server}: {reason}; {left} left");
            structure
                .field("server", server)
                .field("state", "lost")
                .field("reason", reason)
                .field("left", left)
        }
        ServerEvent::Found { server } => {
            gst::info!(CAT, imp = imp, "Found {server} again");
            structure.field("server", server).field("state", "found")
        }
        ServerEvent::NotShared { server, reason } => {
            let what = "Tensors go over the network, not in shared memory, to";
            gst::info!(CAT, imp = imp, "{what} {server}: {reason}");
            return;
        }
    };
    let message = gst::message::Element::builder(structure.build()).src(&*obj);
    // Fails where nobody listens.
    let _ = obj.post_message(message.build());
    match event {
        ServerEvent::Lost {
            server,
            reason,
            left: 0,
        } => {
            let instead = match on_unreachable {
                OnUnreachable::Local => "the model draws in this process",
                OnUnreachable::Passthrough => "frames pass through unchanged",
                OnUnreachable::Error => return,
            };
            gst::element_imp_warning!(
                imp,
                gst::ResourceError::OpenReadWrite,
                ("{server} cannot draw: {reason}. Until a server is back {instead}")
            );
        }
        ServerEvent::Lost { .. } | ServerEvent::NotShared { .. } => (),
        ServerEvent::Found { server } => {
            let text = format!("{server} draws again");
            // `gst-launch-1.0` prints only the second.
            gst::element_imp_info!(
                imp,
                gst::ResourceError::OpenReadWrite,
                ("{text}"),
                ["{text}"]
            );
        }
    }
}

/// Warns of a value that a property cannot have. The bus of a pipeline in NULL takes no messages, so
/// it is said again on the way to READY.
pub fn warn_of_value(imp: &Lipsync, name: &str, value: &glib::Value, expected: &str) {
    let found = value
        .get::<Option<&str>>()
        .ok()
        .flatten()
        .unwrap_or_default();
    let kept = imp.obj().property_value(name);
    let kept = kept.get::<&str>().unwrap_or_default();
    let warning = format!("{name} cannot be \"{found}\" and stays {kept}; expected: {expected}");
    match imp.obj().current_state() {
        gst::State::Null => {
            gst::warning!(CAT, imp = imp, "{warning}");
            *lock(&imp.refused) = Some(warning);
        }
        _ => gst::element_imp_warning!(imp, gst::LibraryError::Settings, ("{warning}")),
    }
}
