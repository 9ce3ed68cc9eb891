//! What draws mouths, as the renderer sees it: the traits that a model family fills, and their
//! vocabulary.
//!
//! Must not know any family.

mod open_generator;

use std::sync::Arc;

use crate::{
    Error,
    face::Face,
    pixels::{Affine, View},
    rect::Area,
    sound::{Bounds, Spectrum},
};

pub use open_generator::OpenGenerator;

/// How a mouth shall look in one frame.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Look {
    /// 0 = the original mouth, 1 = as the generator draws it, up to 2 = exaggerated.
    pub strength: f32,
    /// 0 = silence, the mouth at rest; 1 = speech.
    pub activity: f32,
    /// Width of the soft edge, 0..1 of the widest that fits the patch.
    pub feather: f32,
    /// Whether the inside of a mouth may be drawn as the stream has shown it before.
    pub remembers: bool,
    /// What a mouth's opening is multiplied by; `None` makes it open and spread as the person's own
    /// does in the stream.
    pub articulation: Option<f32>,
}

/// What the movement of a drawn mouth was changed by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Articulation {
    /// Multiplies the opening.
    pub opening: f32,
    /// How much further it spreads as it opens: the corners' distance over the opening.
    pub spread: f32,
}

impl Articulation {
    /// As the generator draws it.
    pub const USUAL: Self = Self {
        opening: 1.0,
        spread: 0.0,
    };
}

/// What a brush remembers of the inside of a mouth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// Glimpses of the open mouth that are kept.
    pub glimpses: usize,
    /// Whether the mouth that was painted last was drawn from one.
    pub is_drawn: bool,
}

/// What is known of people's mouths beyond the stream. One for all brushes of a generator.
pub trait MouthMemory: Send + Sync {
    /// Begins anew, with what [`to_bytes`](Self::to_bytes) gave another time, if anything is known.
    ///
    /// # Errors
    /// What is wrong with these bytes. Everything stays as it was then.
    fn begin(&self, known: Option<&[u8]>) -> Result<(), String>;

    /// From here on, what brushes see of mouths is kept when they forget whose it was.
    fn learn(&self);

    /// What was kept.
    fn to_bytes(&self) -> Vec<u8>;
}

/// The sound that a generator needs around a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hearing {
    pub spectrum: Spectrum,
    /// Columns of the spectrum in the window.
    pub columns: usize,
    /// Nothing later than this after the frame's time is heard, in nanoseconds.
    pub look_ahead_ns: i64,
    /// Whether a quiet voice is raised to the level of those that the network was trained with.
    /// Not where a network has to hear what its original program lets it hear.
    pub raises_voice: bool,
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

/// One face on its way through the networks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sketch {
    pub look: Look,
    /// What is heard in its frame: what [`Generator::listen`] made of it.
    pub heard: Vec<f32>,
    /// What was sampled of the face, as its generator wants it.
    pub seen: Vec<f32>,
    /// What the networks drew, for the brush to paint with.
    pub drawn: Vec<f32>,
}

/// Where a face was sampled, and what its brush keeps of the frame until it is painted.
#[derive(Clone, Debug, PartialEq)]
pub struct Spot {
    /// From the pixels of what was sampled to those of the frame.
    pub to_frame: Affine,
    /// The part of the frame, of brushes that work on whole pixels.
    pub area: Area,
    pub pixels: Vec<f32>,
}

impl Default for Spot {
    fn default() -> Self {
        Self {
            to_frame: Affine::IDENTITY,
            area: Area::default(),
            pixels: Vec::new(),
        }
    }
}

/// Makes brushes that know nothing of any face.
pub type Brushes = Box<dyn Fn() -> Box<dyn Brush> + Send>;

/// Hears the sound and draws mouths to it.
///
/// Whatever takes long belongs here: the engine lets a generator work in a thread of its own, and
/// no frame waits for one that is too slow. What needs the frame's pixels belongs to its
/// [`Brush`], which stays with the frames. From one to the other a face goes as a [`Sketch`].
pub trait Generator: Send {
    /// For logs and `stats`.
    fn name(&self) -> &str;

    fn hearing(&self) -> Hearing;

    /// Whether brushes want tracked faces. Without, there is one brush, and it gets none.
    fn needs_face(&self) -> bool {
        true
    }

    /// Makes what one face, or all of the frame, is sampled and painted with.
    fn brushes(&self) -> Brushes;

    /// Where its brushes remember mouths, what they share.
    fn mouth_memory(&self) -> Option<Arc<dyn MouthMemory>> {
        None
    }

    /// Faces that are drawn at once where so many are there, of one frame or of several.
    fn batch(&self) -> usize {
        1
    }

    /// Hears the sound around the next frame, and writes to `out` what drawing wants of it: the
    /// frame's faces have it as [`Sketch::heard`].
    fn listen(&mut self, heard: &Heard, out: &mut Vec<f32>) -> Result<(), Error>;

    /// Draws the faces that `sketches` hold, at most [`batch`](Self::batch) of them. After an
    /// error what is drawn there is not looked at.
    fn draw(&mut self, sketches: &mut [Sketch]) -> Result<(), Error>;

    /// Forgets everything about earlier frames.
    fn reset(&mut self) {}
}

/// Reads one face of each frame and writes its mouth. Works in the thread that has the frames and
/// must not run networks. Several frames may be sampled before the first of them is painted.
pub trait Brush: Send {
    /// Writes to `seen` what the generator wants of this face, and to `spot` what painting will.
    /// False where there is nothing to draw. `time_ns` is the frame's running time, `is_speech`
    /// whether a voice is heard.
    fn sample(
        &mut self,
        view: &View,
        face: Option<&Face>,
        time_ns: i64,
        is_speech: bool,
        seen: &mut Vec<f32>,
        spot: &mut Spot,
    ) -> bool {
        let _ = (view, face, time_ns, is_speech, seen, spot);
        true
    }

    /// Paints what the generator drew where the face was sampled in this frame: of the frame
    /// itself, or, when the networks are late, of an earlier one. What `spot` keeps is of no use
    /// afterwards.
    fn paint(
        &mut self,
        view: &mut View,
        face: Option<&Face>,
        look: &Look,
        spot: &mut Spot,
        drawn: &[f32],
    );

    /// What it remembers of this face's mouth.
    fn remembered(&self) -> Remembered {
        Remembered::default()
    }

    /// How the movement of the mouth that was painted last was changed, where that is done.
    fn articulation(&self) -> Option<Articulation> {
        None
    }

    /// Forgets everything about earlier frames: another face comes next.
    fn reset(&mut self) {}
}

/// Refuses NaN and infinities before they reach a picture.
pub(crate) fn finite(values: &[f32], name: &str) -> Result<(), Error> {
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

/// 0 below `from`, 1 above `to`, without a corner between.
pub(crate) fn smoothstep([from, to]: [f32; 2], x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}
