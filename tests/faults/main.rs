//! What users get wrong, networks that fail, elements that are stopped, leaks.

#[path = "../support/common.rs"]
mod common;
#[path = "../support/onnx.rs"]
mod onnx;
#[path = "../support/opening.rs"]
mod opening;
#[path = "../support/plugin.rs"]
mod plugin;

mod leaks;
mod mistakes;
mod stopping;
