//! GStreamer: pads, caps, time, properties, messages. No pixels are computed here, no model is
//! known here.

mod faults;
mod frame;
pub mod lipsync;
pub mod lipsyncbin;
mod loader;
mod mark;
mod pace;
mod pairing;
mod queues;
mod settings;
mod stats;
mod stream;

/// Registers the elements of the plugin.
pub fn register(plugin: &gst::Plugin) -> Result<(), gst::glib::BoolError> {
    lipsync::register(plugin)?;
    lipsyncbin::register(plugin)
}
