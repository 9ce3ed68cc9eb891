//! GStreamer plugin with the elements `lipsync` and `lipsyncbin`: synchronized audio and video in,
//! video with mouths that match the speech out.
//!
//! Pads, caps, time, properties and messages live here; frames are redrawn by [`lipsync_core`],
//! which knows no GStreamer.

pub mod lipsync;
pub mod lipsyncbin;
mod plugin;

pub use plugin::plugin_register_static;
