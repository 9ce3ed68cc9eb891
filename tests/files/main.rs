//! What goes in and comes out when nothing hurries: timestamps, events, caps, gaps, ends, flushes, tags.

#[path = "../support/around.rs"]
mod around;
#[path = "../support/common.rs"]
mod common;
#[path = "../support/live_source.rs"]
mod live_source;
#[path = "../support/onnx.rs"]
mod onnx;
#[path = "../support/picture.rs"]
mod picture;

mod batch;
mod bin;
mod marks;
mod messages;
mod meta;
mod pipeline;
mod sparse;
mod states;
mod upstream;
