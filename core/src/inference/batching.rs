//! How many things a network takes at once.

use super::{Model, Opened, Options, open_model};
use crate::Error;

/// For a network that takes one thing at a time.
fn alone(options: &Options) -> Options {
    Options {
        batch: 1,
        ..options.clone()
    }
}

pub fn open_alone(model: &Model, options: &Options) -> Result<Opened, Error> {
    open_model(model, &alone(options), &[])
}

/// Opens a network that draws, for as many faces at once as wanted; for one where it says that it
/// takes any number, and fails on more.
pub fn open_batch(model: &Model, options: &Options) -> Result<Opened, Error> {
    match open_model(model, options, &[]) {
        Err(Error::Inference { .. }) if options.batch > 1 => open_alone(model, options),
        opened => opened,
    }
}
