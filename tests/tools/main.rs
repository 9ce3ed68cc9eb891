//! What a checkout has beside the plugin: examples, training.

#[path = "../support/common.rs"]
mod common;
#[path = "../support/picture.rs"]
mod picture;
#[path = "../support/plugin.rs"]
mod plugin;

mod bindings;
mod examples;
mod personalize;
