//! The engine behind the GStreamer element `lipsync`: a frame and the audio around it in, the same
//! frame with its mouths redrawn out.
//!
//! Data flows one way: [`render`] asks [`face`] where the mouths are and [`sound`] what is heard,
//! lets a [`generator`] run its networks through [`inference`], and [`pixels`] writes the result
//! back into the same frame. [`assembly`] puts the parts together.
//!
//! | room | question it answers | must not know |
//! | --- | --- | --- |
//! | [`assembly`] | settings in, a running engine out | frames |
//! | [`render`] | one frame and its audio in, the same frame redrawn | families, backends |
//! | [`sound`] | what is heard around a moment of running time | frames |
//! | [`face`] | where faces are and how they are turned | audio, models of mouths |
//! | [`generator`] | the traits that a model family fills | any family |
//! | [`families`] | what the mouth should look like | where files lie |
//! | [`catalogue`] | which family a path belongs to | how a family draws |
//! | [`manifest`] | what a model says about itself | what a family makes of it |
//! | [`inference`] | loading ONNX Runtime, running networks | what the networks are for |
//! | [`pixels`] | reading and writing regions of any video format | faces |
//! | [`rect`] | rectangles and margins | what lies in them |

pub mod assembly;
pub mod catalogue;
mod durations;
mod error;
pub mod face;
pub mod families;
pub mod generator;
pub mod inference;
pub mod manifest;
pub mod pixels;
pub mod rect;
pub mod render;
pub mod sound;

pub use durations::Durations;
pub use error::Error;
