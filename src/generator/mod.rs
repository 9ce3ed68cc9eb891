//! The networks that draw mouths.
//!
//! Must not know GStreamer. A model family is one file here and one manifest in `models/`.

mod builtin;
mod crop;
mod cutout;
mod edtalk;
mod features;
mod files;
mod jaw;
mod manifest;
mod painter;
mod recipe;
mod registry;
mod rest;
mod tone;
mod unet;
mod wav2lip;

use std::time::Duration;

use crate::{
    Error,
    face::Face,
    pixels::View,
    sound::{Bounds, Spectrum},
};

pub use registry::{Found, Opened, Source, find, open};

/// How a mouth shall look in one frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// 0 = the original mouth, 1 = as the generator draws it, up to 2 = exaggerated.
    pub strength: f32,
    /// 0 = silence, the mouth at rest; 1 = speech.
    pub activity: f32,
    /// Width of the soft edge, 0..1 of the widest that fits the patch.
    pub feather: f32,
}

/// The sound that a generator needs around a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hearing {
    pub spectrum: Spectrum,
    /// Columns of the spectrum in the window.
    pub columns: usize,
    /// Nothing later than this after the frame's time is heard, in nanoseconds.
    pub look_ahead_ns: i64,
}

impl Hearing {
    /// The length of the window, in nanoseconds.
    pub fn window_ns(&self) -> i64 {
        self.columns as i64 * 1_000_000_000 / self.spectrum.columns_per_second()
    }
}

/// The sound around a frame.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// `[80, hearing().columns]`, row-major. What is not known (yet) counts as silence.
    pub mel: &'a [f32],
    /// Place of the last column.
    pub last_column: i64,
    /// The moment that the frame shows, in nanoseconds of running time.
    pub time_ns: i64,
    pub bounds: Bounds,
}

/// Where the time of one drawn face went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// In networks.
    pub infer: Duration,
    /// In reading, warping and writing pixels.
    pub blend: Duration,
}

/// Draws mouths that match the sound.
pub trait Generator: Send {
    /// For logs and `stats`.
    fn name(&self) -> &str;

    fn hearing(&self) -> Hearing;

    /// Whether [`draw`](Self::draw) wants tracked faces. Without, it is called once a frame, with
    /// none.
    fn needs_face(&self) -> bool {
        true
    }

    /// Hears the sound around the next frame, once a frame.
    fn listen(&mut self, heard: &Heard) -> Result<(), Error>;

    /// What the network that draws was last given to hear, row-major, for comparison with other
    /// implementations; empty where that is no window of features.
    fn features(&self) -> &[f32] {
        &[]
    }

    /// Redraws one mouth in `view` for the sound last heard, once a face. `time_ns` is the
    /// frame's running time.
    fn draw(
        &mut self,
        view: &mut View,
        face: Option<&Face>,
        time_ns: i64,
        look: &Look,
    ) -> Result<Cost, Error>;

    /// Forgets everything about earlier frames and faces.
    fn reset(&mut self);
}

/// Refuses NaN and infinities before they reach a picture.
fn finite(values: &[f32], name: &str) -> Result<(), Error> {
    // Without an early exit the loop is vectorised.
    if values
        .iter()
        .fold(true, |fine, value| fine & value.is_finite())
    {
        return Ok(());
    }
    Err(Error::Inference {
        name: name.to_owned(),
        reason: "the network returned values that are not numbers".into(),
    })
}
