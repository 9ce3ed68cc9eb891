//! The network under test: the real one where there is an ONNX Runtime, slowed down and failing as
//! the conditions have it, with a watermark on each frame that tells what was heard.
//!
//! Must not know pipelines.

use std::sync::Arc;

use lipsync_core::{
    Error, assembly,
    catalogue::Source,
    face::Face,
    generator::{Brush, Brushes, Generator, Heard, Hearing, Look, Sketch, Spot},
    inference,
    pixels::View,
    sound::{BANDS, COLUMNS_PER_SECOND, MEL_RANGE, Spectrum},
};

use crate::sources::SharedConditions;

/// What the stand-in hears, as the built-in model does.
const STAND_IN: Hearing = Hearing {
    columns: 32,
    look_ahead_ns: 160_000_000,
    raises_voice: false,
    spectrum: Spectrum::Mel,
};
/// Begins a watermark.
const MAGIC: [u8; 3] = [0xa5, 0x5a, 0xc3];
/// Magic, loudness, time in nanoseconds.
const WATERMARK: usize = MAGIC.len() + 1 + size_of::<i64>();

/// What a frame says it was drawn to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// Of the loudest band at the frame's time: 0 = silence .. 255.
    pub loudness: u8,
    /// The moment that was listened to, in running time.
    pub time_ns: i64,
}

impl Watermark {
    /// From the upper left corner of a frame.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<WATERMARK>()?;
        let (loudness, time) = bytes.strip_prefix(&MAGIC)?.split_first()?;
        Some(Self {
            loudness: *loudness,
            time_ns: i64::from_le_bytes(time.try_into().ok()?),
        })
    }

    fn bytes(self) -> [u8; WATERMARK] {
        let mut bytes = [0; WATERMARK];
        bytes[..MAGIC.len()].copy_from_slice(&MAGIC);
        bytes[MAGIC.len()] = self.loudness;
        bytes[MAGIC.len() + 1..].copy_from_slice(&self.time_ns.to_le_bytes());
        bytes
    }
}

/// Whether the built-in model can run here, or why not.
pub fn check_real() -> Result<(), Error> {
    open_real().map(|_| ())
}

/// Threads of its own would make the sessions of all pipelines different ones.
fn open_real() -> Result<Box<dyn Generator>, Error> {
    let options = inference::Options {
        provider: inference::Provider::Cpu,
        intra_threads: 1,
        ..inference::Options::default()
    };
    Ok(assembly::open_generator(&Source::BuiltIn, &options)?.generator)
}

/// The network of a pipeline.
pub fn source(conditions: &SharedConditions, is_real: bool) -> Source {
    let conditions = conditions.clone();
    Source::Custom(Arc::new(move || {
        Box::new(DisturbedNetwork {
            // It was opened before.
            real: is_real.then(open_real).and_then(Result::ok),
            conditions: conditions.clone(),
            heard: None,
            frames: 0,
        })
    }))
}

struct DisturbedNetwork {
    real: Option<Box<dyn Generator>>,
    conditions: SharedConditions,
    heard: Option<Watermark>,
    frames: u64,
}

impl Generator for DisturbedNetwork {
    fn name(&self) -> &str {
        self.real.as_ref().map_or("stand-in", |real| real.name())
    }

    fn hearing(&self) -> Hearing {
        self.real.as_ref().map_or(STAND_IN, |real| real.hearing())
    }

    fn needs_face(&self) -> bool {
        self.real.is_some()
    }

    fn listen(&mut self, heard: &Heard, out: &mut Vec<f32>) -> Result<(), Error> {
        self.heard = Some(Watermark {
            loudness: loudness(heard, self.hearing().columns),
            time_ns: heard.time_ns,
        });
        match &mut self.real {
            Some(real) => real.listen(heard, out),
            None => Ok(()),
        }
    }

    fn brushes(&self) -> Brushes {
        let real = self.real.as_ref().map(|real| real.brushes());
        Box::new(move || {
            let real = real.as_ref().map(|real| real());
            Box::new(MarkingBrush { real })
        })
    }

    fn draw(&mut self, sketches: &mut [Sketch]) -> Result<(), Error> {
        let now = self.conditions.now();
        std::thread::sleep(now.slow);
        self.frames += 1;
        if now.failing && self.frames.is_multiple_of(2) {
            return Err(Error::Inference {
                name: self.name().to_owned(),
                reason: "injected".into(),
            });
        }
        match &mut self.real {
            Some(real) => real.draw(sketches)?,
            None => sketches.iter_mut().for_each(|sketch| sketch.drawn.clear()),
        }
        let watermark = self.heard.map_or([0; WATERMARK], Watermark::bytes);
        for sketch in sketches {
            sketch.drawn.extend(watermark.map(f32::from));
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.heard = None;
        self.real.iter_mut().for_each(|real| real.reset());
    }
}

/// Paints what the real network drew, and the watermark that comes behind it.
struct MarkingBrush {
    real: Option<Box<dyn Brush>>,
}

impl Brush for MarkingBrush {
    fn sample(
        &mut self,
        view: &View,
        face: Option<&Face>,
        time_ns: i64,
        is_speech: bool,
        seen: &mut Vec<f32>,
        spot: &mut Spot,
    ) -> bool {
        match &mut self.real {
            Some(real) => real.sample(view, face, time_ns, is_speech, seen, spot),
            None => true,
        }
    }

    fn paint(
        &mut self,
        view: &mut View,
        face: Option<&Face>,
        look: &Look,
        spot: &mut Spot,
        drawn: &[f32],
    ) {
        let Some((drawn, watermark)) = drawn.split_last_chunk::<WATERMARK>() else {
            return;
        };
        if let Some(real) = &mut self.real {
            real.paint(view, face, look, spot, drawn);
        }
        let bytes = watermark.map(|value| value as u8);
        let corner = view.planes[0].data.first_chunk_mut();
        if let Some(corner) = corner.filter(|_| Watermark::read(&bytes).is_some()) {
            *corner = bytes;
        }
    }

    fn reset(&mut self) {
        self.real.iter_mut().for_each(|real| real.reset());
    }
}

/// How loud the loudest band is at the frame's time, between the two columns next to it.
fn loudness(heard: &Heard, columns: usize) -> u8 {
    let first = heard.last_column + 1 - columns as i64;
    let place = heard.time_ns as f64 * COLUMNS_PER_SECOND as f64 / 1e9 - first as f64;
    let loudest = |column: f64| {
        let column = column.clamp(0.0, (columns - 1) as f64) as usize;
        (0..BANDS)
            .map(|band| heard.mel[band * columns + column])
            .fold(MEL_RANGE[0], f32::max)
    };
    let part = place.rem_euclid(1.0) as f32;
    let level = loudest(place.floor()) * (1.0 - part) + loudest(place.floor() + 1.0) * part;
    let [least, most] = MEL_RANGE;
    ((level - least) / (most - least) * 255.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use lipsync_core::{pixels::Format, sound::Sound};
    use lipsync_tools::picture::packed_view;

    #[test]
    fn what_is_marked_can_be_read() {
        let watermark = Watermark {
            loudness: 77,
            time_ns: -123_456_789,
        };
        let mut bytes = vec![0; 64];
        assert_eq!(Watermark::read(&bytes), None);
        let (mut brush, look) = (MarkingBrush { real: None }, Look::default());
        let mut mark = |bytes: &mut [u8], drawn: [u8; WATERMARK]| {
            let mut view = packed_view(Format::Rgb, bytes, 5, 4);
            brush.paint(
                &mut view,
                None,
                &look,
                &mut Spot::default(),
                &drawn.map(f32::from),
            );
        };
        mark(&mut bytes, [0; WATERMARK]);
        assert_eq!(bytes, [0; 64]);
        mark(&mut bytes, watermark.bytes());
        assert_eq!(Watermark::read(&bytes), Some(watermark));
        assert_eq!(Watermark::read(&bytes[..8]), None);
    }

    #[test]
    fn loudness_is_that_of_the_frames_own_time() {
        let mut sound = Sound::new();
        // Nothing is known: silence.
        let columns = 32;
        let mut mel = vec![0.0; BANDS * columns];
        sound.window(Spectrum::Mel, 20, &mut mel, columns);
        // A tone in the two columns round 100 ms, which are 8 and 9.
        for column in [8i64, 9] {
            mel[(column - (20 - 31)) as usize] = 0.0;
        }
        let heard = |time_ns| Heard {
            mel: &mel,
            last_column: 20,
            time_ns,
            bounds: sound.bounds(),
        };
        assert_eq!(loudness(&heard(106_250_000), columns), 128);
        assert_eq!(loudness(&heard(93_750_000), columns), 64);
        assert_eq!(loudness(&heard(50_000_000), columns), 0);
    }
}
