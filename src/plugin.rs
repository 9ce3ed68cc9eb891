//! The plugin: what GStreamer reads of it, and its elements.

use lipsync_core::inference;

use crate::{lipsync, lipsyncbin};

fn plugin_init(plugin: &gst::Plugin) -> Result<(), gst::glib::BoolError> {
    inference::onnx::wait_in_main_thread();
    lipsync::register(plugin)?;
    lipsyncbin::register(plugin)
}

gst::plugin_define!(
    lipsync,
    env!("CARGO_PKG_DESCRIPTION"),
    plugin_init,
    concat!(env!("CARGO_PKG_VERSION"), "-", env!("COMMIT_ID")),
    "MPL-2.0",
    env!("CARGO_PKG_NAME"),
    env!("CARGO_PKG_NAME"),
    env!("CARGO_PKG_NAME"),
    env!("BUILD_REL_DATE")
);
