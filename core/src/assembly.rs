//! An engine before its networks are loaded: what can be told at once, and what takes time.
//!
//! Must not know who waits, or on which thread.

use crate::{
    Error, catalogue,
    face::{self, Tracker},
    inference::{self, Fallback},
    render::Engine,
};

/// What has to be known before the first frame.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub generator: catalogue::Source,
    pub runtime: inference::Options,
    pub tracking: face::Settings,
}

/// What is loaded, in the order in which it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Those that hear and draw.
    Mouths,
    /// Those that find and follow faces.
    Faces,
}

/// An engine whose files were read and found good.
pub struct Prepared {
    generator: catalogue::Found,
    runtime: inference::Options,
    tracking: face::Settings,
}

impl Prepared {
    /// Does all that needs no session: finds and loads ONNX Runtime, reads the manifest and the
    /// files that it names, and checks their hashes.
    ///
    /// # Errors
    /// Those of [`catalogue::find`] and [`inference::check`].
    pub fn new(config: &Config) -> Result<Self, Error> {
        let generator = catalogue::find(&config.generator)?;
        if generator.needs_runtime() {
            inference::check(&config.runtime)?;
        }
        Ok(Self {
            generator,
            runtime: config.runtime.clone(),
            tracking: config.tracking,
        })
    }

    /// How much later than its frame the engine will hear; `None` where only the networks say.
    pub fn look_ahead_ns(&self) -> Option<i64> {
        self.generator.look_ahead_ns()
    }

    /// Whether there are networks, whose sessions take from milliseconds to minutes to build.
    pub fn has_networks(&self) -> bool {
        self.generator.needs_runtime()
    }

    /// Loads the networks and runs each once. Asks `goes_on` before each step; where it does not,
    /// there is no engine.
    ///
    /// # Errors
    /// Those of [`catalogue::Found::open`], and of the networks that find faces.
    pub fn load(
        self,
        mut goes_on: impl FnMut(Step) -> bool,
    ) -> Result<Option<(Engine, Vec<Fallback>)>, Error> {
        if !goes_on(Step::Mouths) {
            return Ok(None);
        }
        let options = &self.runtime;
        let (faces, opened) = match self.generator.needs_runtime() {
            // Those that find faces are small: they are ready before it is known whether they are
            // wanted, which they nearly always are.
            true => inference::together(
                options,
                || Some(open_faces(options)),
                || self.generator.open(options),
            ),
            false => (None, self.generator.open(options)),
        };
        let opened = opened?;
        let mut fallbacks = opened.fallbacks.clone();
        let tracker = match faces.filter(|_| opened.generator.needs_face()) {
            None => None,
            Some(_) if !goes_on(Step::Faces) => return Ok(None),
            Some(faces) => {
                let (detector, mesh) = faces?;
                for fallback in detector.fallbacks.into_iter().chain(mesh.fallbacks) {
                    if !fallbacks.contains(&fallback) {
                        fallbacks.push(fallback);
                    }
                }
                let tracker = Tracker::new(detector.network, mesh.network, self.tracking)?;
                Some(tracker)
            }
        };
        let engine = Engine::assemble(opened, tracker, self.runtime.interrupt);
        Ok(Some((engine, fallbacks)))
    }
}

/// The detector and the mesh.
fn open_faces(
    options: &inference::Options,
) -> Result<(inference::Opened, inference::Opened), Error> {
    let options = for_faces(options);
    Ok((face::open_detector(&options)?, face::open_mesh(&options)?))
}

/// For finding faces. Half a pixel of rounding is a mouth that trembles. And one thread is faster
/// than two: the networks' many small operators are done before a sleeping thread is awake
/// (measured on two busy cores: the mesh 0.4 of the time and 0.3 of the processor's work).
fn for_faces(options: &inference::Options) -> inference::Options {
    inference::Options {
        precision: inference::Precision::Auto,
        intra_threads: 1,
        ..options.clone()
    }
}

impl Engine {
    /// Loads all networks. Fails with the errors of [`Prepared::new`] and [`Prepared::load`].
    pub fn new(config: &Config) -> Result<(Self, Vec<Fallback>), Error> {
        let loaded = Prepared::new(config)?.load(|_| true)?;
        Ok(loaded.expect("nobody stopped it"))
    }
}
