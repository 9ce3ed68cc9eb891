//! `gst-lipsync-1.0` as a user starts it, with real files, pipelines and networks.

mod batch;
mod files;
mod list;
mod support;
