//! What `cargo xtask demo` and `cargo xtask eval` measure with: decoding files, driving the
//! `lipsync` element, watching mouths, statistics, contact sheets.
//!
//! Not part of the plugin. What is measured passes through the element's public interface; the
//! plugin's own face mesh is used only to look at the pictures that come out.

pub mod arguments;
pub mod drive;
pub mod faces;
pub mod judge;
pub mod media;
pub mod numbers;
pub mod picture;
pub mod sheet;
pub mod stats;
