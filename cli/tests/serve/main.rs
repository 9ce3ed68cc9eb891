//! `gst-lipsync-1.0 serve` as a user starts it: real pipelines, real networks, and requests over HTTP.

#[path = "../tool/support.rs"]
#[allow(dead_code, reason = "files are the other tests' subject")]
mod support;

mod browser;
mod control;
mod outages;
mod server;
