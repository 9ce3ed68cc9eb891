//! Opening the networks of one model.

use std::{panic, thread};

use super::{Backend, Model, OpenNetwork, Options};
use crate::Error;

/// The shape of an input by its name, with 0 for a dimension that is as the model has it.
pub type Shape = (String, Vec<usize>);

/// Backends and what their networks are opened with.
#[derive(Clone, Copy)]
pub struct Opener<'a> {
    /// Runs networks that hear and those that find faces: in this process.
    pub local: &'a dyn Backend,
    /// Runs networks that draw.
    pub drawing: &'a dyn Backend,
    pub options: &'a Options,
}

impl Opener<'_> {
    /// Opens a network that does not draw; it takes one thing at a time. Fails as [`Backend::open`]
    /// does.
    pub fn single(&self, model: &Model, shapes: &[Shape]) -> Result<OpenNetwork, Error> {
        let options = one_by_one(self.options.local());
        open(self.local, model, &options, shapes)
    }

    /// Opens a network that draws, for as many faces at once as the options say; for one where it
    /// accepts any number and fails on more. Fails as [`Backend::open`] does.
    pub fn batched(&self, model: &Model, shapes: &[Shape]) -> Result<OpenNetwork, Error> {
        match open(self.drawing, model, self.options, shapes) {
            Err(Error::Inference { .. }) if self.options.batch > 1 => {
                let options = one_by_one(self.options.clone());
                open(self.drawing, model, &options, shapes)
            }
            opened => opened,
        }
    }

    /// Does both, which open networks, on two threads where that is sooner done.
    pub fn both<A: Send, B>(
        &self,
        first: impl FnOnce() -> A + Send,
        second: impl FnOnce() -> B,
    ) -> (A, B) {
        if !self.drawing.opens_in_parallel(self.options) {
            return (first(), second());
        }
        thread::scope(|scope| {
            let first = scope.spawn(first);
            let second = second();
            let first = first.join();
            (
                first.unwrap_or_else(|panic| panic::resume_unwind(panic)),
                second,
            )
        })
    }
}

fn one_by_one(options: Options) -> Options {
    Options {
        batch: 1,
        ..options
    }
}

fn open(
    backend: &dyn Backend,
    model: &Model,
    options: &Options,
    shapes: &[Shape],
) -> Result<OpenNetwork, Error> {
    let shapes = shapes
        .iter()
        .map(|(name, shape)| (name.as_str(), shape.as_slice()));
    let shapes: Vec<_> = shapes.collect();
    backend.open(model, options, &shapes)
}
