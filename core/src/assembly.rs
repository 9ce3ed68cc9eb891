//! From settings to a running engine: what can be told at once, and what takes time. The only place
//! that picks a backend.
//!
//! Must not know who waits, or on which thread.

use crate::{
    Error, catalogue,
    face::{self, Tracker},
    generator::OpenGenerator,
    inference::{
        self, Backend, Fallback, OpenNetwork, Opener, Provider, add_fallbacks, onnx::OnnxRuntime,
    },
    render::Engine,
};

/// What has to be known before the first frame.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub generator: catalogue::Source,
    pub runtime: inference::Options,
    pub tracking: face::Settings,
}

/// What runs networks that draw and are opened with these options.
fn backend(options: &inference::Options) -> &'static dyn Backend {
    match options.provider {
        Provider::Auto
        | Provider::Cpu
        | Provider::OpenVino
        | Provider::Cuda
        | Provider::TensorRt => &OnnxRuntime,
        #[cfg(feature = "remote")]
        Provider::Remote => &inference::remote::Remote,
        // Refuses it.
        #[cfg(not(feature = "remote"))]
        Provider::Remote => &OnnxRuntime,
    }
}

/// Opens networks with these options.
pub fn opener(options: &inference::Options) -> Opener<'_> {
    Opener {
        local: &OnnxRuntime,
        drawing: backend(options),
        options,
    }
}

/// Loads a generator alone, without an engine around it. Fails with the errors of
/// [`catalogue::find`] and [`catalogue::Found::open`].
pub fn open_generator(
    source: &catalogue::Source,
    options: &inference::Options,
) -> Result<OpenGenerator, Error> {
    catalogue::find(source)?.open(&opener(options))
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
    /// Those of [`catalogue::find`] and [`Backend::check`].
    pub fn new(config: &Config) -> Result<Self, Error> {
        let generator = catalogue::find(&config.generator)?;
        if generator.has_networks() {
            backend(&config.runtime).check(&config.runtime)?;
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
        self.generator.has_networks()
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
        let opener = opener(&self.runtime);
        let (faces, opened) = match self.generator.has_networks() {
            // Those that find faces are small: they are ready before it is known whether they are
            // wanted, which they nearly always are.
            true => opener.both(
                || Some(open_faces(&self.runtime)),
                || self.generator.open(&opener),
            ),
            false => (None, self.generator.open(&opener)),
        };
        let opened = opened?;
        let mut fallbacks = opened.fallbacks.clone();
        let tracker = match faces.filter(|_| opened.generator.needs_face()) {
            None => None,
            Some(_) if !goes_on(Step::Faces) => return Ok(None),
            Some(faces) => {
                let [detector, mesh, cover] = faces?.map(|opened| {
                    add_fallbacks(&mut fallbacks, opened.fallbacks);
                    opened.network
                });
                Some(Tracker::new(detector, mesh, cover, self.tracking)?)
            }
        };
        let provider = opened.active.unwrap_or(Provider::Cpu);
        let overlaps = opener.drawing.leaves_a_cpu(provider);
        let engine = Engine::assemble(opened, tracker, overlaps, self.runtime);
        Ok(Some((engine, fallbacks)))
    }
}

/// The detector, the mesh, and what tells what lies over a face.
fn open_faces(options: &inference::Options) -> Result<[OpenNetwork; 3], Error> {
    let options = for_faces(options);
    let opener = opener(&options);
    Ok([
        face::open_detector(&opener)?,
        face::open_mesh(&opener)?,
        face::open_cover(&opener)?,
    ])
}

/// For finding faces. Half a pixel of rounding is a mouth that trembles. And one thread is faster
/// than two: the networks' many small operators are done before a sleeping thread is awake
/// (measured on two busy cores: the mesh 0.4 of the time and 0.3 of the CPU's work).
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
