//! Opening the networks of one model.

use std::{panic, thread};

use super::{Backend, Model, OpenNetwork, Options};
use crate::Error;

/// The shape of an input by its name, with 0 for a dimension that is as the model has it.
pub type Shape = (String, Vec<usize>);

/// A backend and what its networks are opened with.
#[derive(Clone, Copy)]
pub struct Opener<'a> {
    pub backend: &'a dyn Backend,
    pub options: &'a Options,
}

impl Opener<'_> {
    /// Opens a network that takes one thing at a time. Fails as [`Backend::open`] does.
    pub fn single(&self, model: &Model, shapes: &[Shape]) -> Result<OpenNetwork, Error> {
        let options = Options {
            batch: 1,
            ..self.options.clone()
        };
        self.open(model, &options, shapes)
    }

    /// Opens a network that draws, for as many faces at once as the options say; for one where it
    /// accepts any number and fails on more. Fails as [`Backend::open`] does.
    pub fn batched(&self, model: &Model, shapes: &[Shape]) -> Result<OpenNetwork, Error> {
        match self.open(model, self.options, shapes) {
            Err(Error::Inference { .. }) if self.options.batch > 1 => self.single(model, shapes),
            opened => opened,
        }
    }

    fn open(
        &self,
        model: &Model,
        options: &Options,
        shapes: &[Shape],
    ) -> Result<OpenNetwork, Error> {
        let shapes = shapes
            .iter()
            .map(|(name, shape)| (name.as_str(), shape.as_slice()));
        let shapes: Vec<_> = shapes.collect();
        self.backend.open(model, options, &shapes)
    }

    /// Does both, which open networks, on two threads where that is sooner done.
    pub fn both<A: Send, B>(
        &self,
        first: impl FnOnce() -> A + Send,
        second: impl FnOnce() -> B,
    ) -> (A, B) {
        if !self.backend.opens_in_parallel(self.options) {
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
