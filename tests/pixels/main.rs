//! The engine without GStreamer: pixels, faces, audio, whole frames.

#[path = "../support/frames.rs"]
mod frames;
#[path = "../support/picture.rs"]
mod picture;

mod engine;
mod face;
mod formats;
mod occlusion;
mod sound;
