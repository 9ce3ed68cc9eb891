//! Frames of one person, one after the other, through the engine with real speech.

use lipsync_core::{
    render::{Controls, Engine, Outcome},
    sound::Sound,
};

use crate::{
    FRAME_NS,
    picture::Picture,
    running::{engine, speech},
};

/// A running engine.
pub struct Stream {
    pub engine: Engine,
    pub sound: Sound,
    pub controls: Controls,
    frame: i64,
}

impl Stream {
    /// `None`, with the reason printed, where something is missing.
    pub fn with(controls: Controls) -> Option<Self> {
        Some(Self {
            engine: engine()?,
            sound: speech(0, 0.0)?,
            controls,
            frame: 0,
        })
    }

    /// The next frame, redrawn.
    pub fn redraw(&mut self, original: &Picture) -> Picture {
        let mut picture = original.clone();
        let time_ns = self.frame * FRAME_NS;
        self.frame += 1;
        let (view, sound) = (&mut picture.view(), &mut self.sound);
        let outcome = self
            .engine
            .process(view, time_ns, sound, &[], &self.controls);
        assert_ne!(outcome.expect("inference works"), Outcome::Late);
        picture
    }
}
