//! What goes in and comes out when nothing hurries: timestamps, events, caps, gaps, ends, flushes, tags.

#[path = "../support/around.rs"]
mod around;
#[path = "../support/clips.rs"]
mod clips;
#[path = "../support/common.rs"]
mod common;
#[path = "../support/frames.rs"]
#[allow(dead_code)]
mod frames;
#[path = "../support/live_source.rs"]
mod live_source;
#[path = "../support/onnx.rs"]
mod onnx;
#[path = "../support/picture.rs"]
mod picture;
#[path = "../support/redraw.rs"]
mod redraw;

mod batch;
mod bin;
mod chains;
mod formats;
mod interlaced;
mod marks;
mod messages;
mod meta;
mod mouth_memory;
mod pipeline;
mod sparse;
mod states;
mod upstream;
