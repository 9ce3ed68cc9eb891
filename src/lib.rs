//! GStreamer plugin with the element `lipsync`: synchronized sound and video in, video with
//! mouths that match the sound out.
//!
//! Data flows one way. `element` hands a frame and the sound around it to `engine`; `engine`
//! asks `face` where the mouths are and `sound` what is heard, lets a `generator` run its
//! networks through `runtime`, and `pixels` writes the result back into the same frame.
//!
//! | room | question it answers | must not know |
//! | --- | --- | --- |
//! | [`element`] | pads, caps, time, properties, messages | pixels, models |
//! | [`engine`] | one frame and its sound in, the same frame redrawn | GStreamer, ONNX Runtime |
//! | [`sound`] | what is heard around a moment of running time | pictures |
//! | [`face`] | where faces are and how they are turned | sound, models of mouths |
//! | [`generator`] | what the mouth should look like | GStreamer |
//! | [`pixels`] | reading and writing regions of any video format | faces |
//! | [`runtime`] | loading ONNX Runtime, running networks | what the networks are for |

pub mod element;
pub mod engine;
pub mod error;
pub mod face;
pub mod generator;
pub mod pixels;
pub mod runtime;
pub mod sound;

pub use error::Error;

fn plugin_init(plugin: &gst::Plugin) -> Result<(), gst::glib::BoolError> {
    runtime::wait_in_main_thread();
    element::register(plugin)
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
