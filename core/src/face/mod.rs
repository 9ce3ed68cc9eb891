//! Where faces are and how they are turned.
//!
//! Must not know sound or what is drawn on a face.

pub mod cover;
pub mod detector;
mod examine;
pub mod geometry;
pub mod mesh;
mod people;
mod search;
mod shot;
pub mod smoothing;
mod sweep;
mod tiles;
pub mod tracker;

pub use cover::Cover;
pub use detector::{Detection, Detector};
pub use mesh::{Mesh, POINTS};
pub use search::Effort;
pub use tracker::{Face, Outlook, Select, Settings, Tracker};

use crate::{
    Error,
    inference::{Model, ModelSource, OpenNetwork, Opener},
};

/// Opens the face detector that comes with the plugin.
///
/// # Errors
/// Those of [`Opener::single`].
pub fn open_detector(opener: &Opener) -> Result<OpenNetwork, Error> {
    embedded(
        "face_detector.onnx",
        include_bytes!("../../../models/face_detector.onnx"),
        opener,
    )
}

/// Opens the face mesh that comes with the plugin.
///
/// # Errors
/// Those of [`Opener::single`].
pub fn open_mesh(opener: &Opener) -> Result<OpenNetwork, Error> {
    embedded(
        "face_mesh.onnx",
        include_bytes!("../../../models/face_mesh.onnx"),
        opener,
    )
}

/// Opens the network that comes with the plugin and tells what lies over a face.
///
/// # Errors
/// Those of [`Opener::single`].
pub fn open_cover(opener: &Opener) -> Result<OpenNetwork, Error> {
    embedded(
        "face_cover.onnx",
        include_bytes!("../../../models/face_cover.onnx"),
        opener,
    )
}

/// The models are part of the plugin, so that it is one file to install.
fn embedded(name: &str, data: &[u8], opener: &Opener) -> Result<OpenNetwork, Error> {
    opener.single(&Model::read(ModelSource::Bytes { name, data })?, &[])
}
