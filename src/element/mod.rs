//! GStreamer: pads, caps, time, properties, messages. No pixels are computed here, no model is
//! known here.

/// Registers the elements of the plugin.
pub fn register(_plugin: &gst::Plugin) -> Result<(), gst::glib::BoolError> {
    Ok(())
}
