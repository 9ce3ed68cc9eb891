//! The engine without GStreamer: pixels, faces, audio, whole frames.

#[path = "../support/clips.rs"]
mod clips;
#[path = "../support/frames.rs"]
mod frames;
#[path = "../support/picture.rs"]
mod picture;
#[path = "../support/running.rs"]
mod running;

mod engine;
mod face;
mod formats;
mod hands;
mod occlusion;
mod sound;
