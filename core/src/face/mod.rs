//! Where faces are and how they are turned.
//!
//! Must not know sound or what is drawn on a face.

pub mod detector;
pub mod geometry;
pub mod mesh;
mod shot;
pub mod smoothing;
mod tiles;
pub mod tracker;

pub use detector::{Detection, Detector};
pub use mesh::{Mesh, POINTS};
pub use tracker::{Face, Select, Settings, Tracker};

use crate::{
    Error,
    inference::{self, ModelSource, Opened, Options},
};

/// Opens the face detector that comes with the plugin.
///
/// # Errors
/// Those of [`inference::open`].
pub fn open_detector(options: &Options) -> Result<Opened, Error> {
    embedded(
        "face_detector.onnx",
        include_bytes!("../../../models/face_detector.onnx"),
        options,
    )
}

/// Opens the face mesh that comes with the plugin.
///
/// # Errors
/// Those of [`inference::open`].
pub fn open_mesh(options: &Options) -> Result<Opened, Error> {
    embedded(
        "face_mesh.onnx",
        include_bytes!("../../../models/face_mesh.onnx"),
        options,
    )
}

/// The models are part of the plugin, so that it is one file to install.
fn embedded(name: &str, data: &[u8], options: &Options) -> Result<Opened, Error> {
    inference::open(ModelSource::Bytes { name, data }, options, &[])
}
