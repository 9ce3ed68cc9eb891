//! Models: the families to the byte, broken files, loading while frames flow.

#[path = "../support/common.rs"]
mod common;
#[path = "../support/onnx.rs"]
mod onnx;
#[path = "../support/opening.rs"]
mod opening;
#[path = "../support/picture.rs"]
mod picture;

mod broken;
mod dinet;
mod families;
mod files;
mod hearing;
mod hubert;
mod loading;
mod manifests;
mod musetalk;
mod parity;
mod unet;
mod wenet;
