//! Sound as a network hears it that was trained on features: rows of numbers that a second network
//! makes of it, at the rate of the videos of the training.
//!
//! Must not know pictures.
//!
//! The rows lie on an absolute grid of running time, whatever the frame rate and however the
//! sound came, and a row that is made is kept until the sound that it is made of changes. A frame
//! between two rows counts from the earlier one, so that nothing later than the look-ahead is heard.

mod deepspeech;
mod encoder;
mod hubert;
mod level;
mod mfcc;
mod pieces;
mod table;
mod whisper;
mod windows;

use crate::{
    Error,
    families::redraw::recipe::{Sound, Tensors},
    generator::Heard,
    inference::{Network, describe},
};
use pieces::Pieces;
use windows::Windows;

/// Makes the rows that frames hear.
pub trait Features: Send {
    /// What is heard in a silence without end: as long as what a frame hears.
    fn silence(&self) -> &[f32];

    /// Writes the rows of a frame into `out`; where the original's table has none, what the original has.
    ///
    /// # Errors
    /// [`Error::Inference`].
    fn listen(&mut self, heard: &Heard, out: &mut [f32]) -> Result<(), Error>;

    fn reset(&mut self);
}

/// # Errors
/// [`Error::ModelMismatch`], or [`Error::Inference`] when the encoder fails on silence.
pub fn open(
    encoder: Box<dyn Network>,
    names: &Tensors,
    sound: &Sound,
) -> Result<Box<dyn Features>, Error> {
    Ok(match sound.pieces() {
        None => Box::new(Windows::open(encoder, names, sound)?),
        Some(pieces) => Box::new(Pieces::open(encoder, names, sound, pieces)?),
    })
}

/// The last step of the training's videos that does not lie after `time_ns`.
fn step(time_ns: i64, rate: f64) -> i64 {
    // In thousandths of a frame, so that 25 frames a second stay exact for ever.
    let thousandths = (rate * 1_000.0).round() as i128;
    (i128::from(time_ns) * thousandths).div_euclid(1_000_000_000_000) as i64
}

fn mismatch(network: &dyn Network, expected: String) -> Error {
    Error::ModelMismatch {
        name: network.name().to_owned(),
        found: format!(
            "{} -> {}",
            describe(network.inputs()),
            describe(network.outputs())
        ),
        expected,
    }
}
