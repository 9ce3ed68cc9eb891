//! One frame and the sound around it in, the same frame redrawn.
//!
//! Must not know GStreamer or ONNX Runtime's types.

mod debug;
mod loading;

use std::time::{Duration, Instant};

use crate::{
    Error,
    face::{self, Face, Tracker},
    generator::{self, Cost, Generator, Heard, Hearing, Look},
    pixels::View,
    runtime,
    sound::{Sound, VoiceGate},
};

pub use loading::{Prepared, Step};

/// What has to be known before the first frame.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub generator: generator::Source,
    pub runtime: runtime::Options,
    pub tracking: face::Settings,
}

/// What the mouth does when nobody speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Silence {
    /// It closes.
    #[default]
    Close,
    /// The frame's own mouth shows.
    Original,
    /// The generator goes on, whatever it makes of the noise.
    Animate,
}

/// What may change from frame to frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Controls {
    /// 0 = the original mouth .. 2.
    pub strength: f32,
    /// Width of the soft edge, 0..1.
    pub feather: f32,
    pub bypass: bool,
    /// Positive: the mouth moves later.
    pub sync_offset_ns: i64,
    pub silence: Silence,
    /// Louder than this is speech, in dBFS.
    pub silence_threshold_db: f32,
    /// Pauses shorter than this are not silence.
    pub silence_hold_ns: i64,
    /// Draws what the engine knows into the picture.
    pub draw_debug: bool,
}

impl Default for Controls {
    fn default() -> Self {
        Self {
            strength: 1.0,
            feather: 0.5,
            bypass: false,
            sync_offset_ns: 0,
            silence: Silence::Close,
            silence_threshold_db: -50.0,
            silence_hold_ns: 120_000_000,
            draw_debug: false,
        }
    }
}

impl Controls {
    /// Whether anything is to be drawn at all.
    pub fn draws(&self) -> bool {
        !self.bypass && self.strength > 0.0
    }
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// At least one mouth was drawn to the sound.
    Synced,
    /// Nobody speaks: mouths closed, or left alone, as [`Silence`] says.
    Silent,
    /// No face: untouched.
    NoFace,
    /// `bypass` or strength 0: untouched.
    Bypassed,
}

/// Where the time of the last frame went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Finding faces.
    pub track: Duration,
    /// Hearing: mel window and the networks that take only sound.
    pub features: Duration,
    /// Networks that draw.
    pub infer: Duration,
    /// Reading, warping and writing pixels.
    pub blend: Duration,
    pub total: Duration,
}

/// Redraws the mouths of one stream.
pub struct Engine {
    /// `None` when the generator needs no faces.
    tracker: Option<Tracker>,
    generator: Box<dyn Generator>,
    gate: VoiceGate,
    /// Level around the last frame, in dBFS.
    level_db: f32,
    mel: Vec<f32>,
    timings: Timings,
    active: Option<runtime::Provider>,
    about: String,
}

/// Sound this close around a frame decides whether somebody speaks.
const GATE_BEFORE_NS: i64 = 40_000_000;
const GATE_AFTER_NS: i64 = 60_000_000;

impl Engine {
    pub fn model_name(&self) -> &str {
        self.generator.name()
    }

    /// Name, licence and source of the model, for logs.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// What runs the networks; `None` when there are none.
    pub fn active_provider(&self) -> Option<runtime::Provider> {
        self.active
    }

    pub fn hearing(&self) -> Hearing {
        self.generator.hearing()
    }

    pub fn timings(&self) -> Timings {
        self.timings
    }

    /// Faces of the last frame.
    pub fn faces(&self) -> &[Face] {
        self.tracker.as_ref().map_or(&[], Tracker::faces)
    }

    /// How often the face detector has run.
    pub fn detector_runs(&self) -> u64 {
        self.tracker.as_ref().map_or(0, Tracker::detector_runs)
    }

    pub fn set_tracking(&mut self, settings: face::Settings) {
        if let Some(tracker) = &mut self.tracker {
            tracker.set_settings(settings);
        }
    }

    /// Forgets everything about earlier frames: after a flush, a seek or a new stream.
    pub fn reset(&mut self) {
        if let Some(tracker) = &mut self.tracker {
            tracker.reset();
        }
        self.generator.reset();
        self.gate.reset();
        self.timings = Timings::default();
    }

    /// Redraws the mouths of the frame at running time `time_ns`, in place.
    ///
    /// `sound` should be covered until `time_ns - sync_offset_ns + hearing().look_ahead_ns`; what
    /// is missing counts as silence. `regions` are faces that upstream found, as x0, y0, x1, y1
    /// in pixels, and replace detection when there are any. After an error the frame may be
    /// partly redrawn only if several faces were drawn; each face is drawn whole or not at all.
    pub fn process(
        &mut self,
        view: &mut View,
        time_ns: i64,
        sound: &mut Sound,
        regions: &[[f32; 4]],
        controls: &Controls,
    ) -> Result<Outcome, Error> {
        let started = Instant::now();
        self.timings = Timings::default();
        let result = self.redraw(view, time_ns, sound, regions, controls);
        self.timings.total = started.elapsed();
        if controls.draw_debug {
            debug::draw(view, self.faces(), &self.timings, self.level_db);
        }
        result
    }

    fn redraw(
        &mut self,
        view: &mut View,
        time_ns: i64,
        sound: &mut Sound,
        regions: &[[f32; 4]],
        controls: &Controls,
    ) -> Result<Outcome, Error> {
        if !controls.draws() {
            return Ok(Outcome::Bypassed);
        }

        let track_started = Instant::now();
        let found = match &mut self.tracker {
            Some(tracker) => !tracker.track(view, time_ns, regions)?.is_empty(),
            None => true,
        };
        self.timings.track = track_started.elapsed();

        let heard_ns = time_ns.saturating_sub(controls.sync_offset_ns);
        let activity = self.listen_for_voice(time_ns, heard_ns, sound, controls);
        if !found {
            return Ok(Outcome::NoFace);
        }
        let silent = activity <= 0.0;
        let strength = match controls.silence {
            // The original mouth fades in as the voice fades out.
            Silence::Original => controls.strength * activity,
            Silence::Close | Silence::Animate => controls.strength,
        };
        if strength <= 0.0 {
            return Ok(Outcome::Silent);
        }

        let features_started = Instant::now();
        let hearing = self.generator.hearing();
        let last_column = hearing
            .spectrum
            .column_for(heard_ns.saturating_add(hearing.look_ahead_ns));
        sound.window(
            hearing.spectrum,
            last_column,
            &mut self.mel,
            hearing.columns,
        );
        self.generator.listen(&Heard {
            mel: &self.mel,
            last_column,
            time_ns: heard_ns,
            bounds: sound.bounds(),
        })?;
        self.timings.features = features_started.elapsed();

        let look = Look {
            strength,
            activity: match controls.silence {
                Silence::Close => activity,
                Silence::Original | Silence::Animate => 1.0,
            },
            feather: controls.feather,
        };
        let mut add = |cost: Cost| {
            self.timings.infer += cost.infer;
            self.timings.blend += cost.blend;
        };
        match &self.tracker {
            None => add(self.generator.draw(view, None, time_ns, &look)?),
            Some(tracker) => {
                for face in tracker.faces() {
                    add(self.generator.draw(view, Some(face), time_ns, &look)?);
                }
            }
        }
        Ok(match silent {
            true => Outcome::Silent,
            false => Outcome::Synced,
        })
    }

    /// 0 = silence .. 1 = speech around the moment that is heard.
    fn listen_for_voice(
        &mut self,
        time_ns: i64,
        heard_ns: i64,
        sound: &Sound,
        controls: &Controls,
    ) -> f32 {
        self.level_db = sound.loudness(
            heard_ns.saturating_sub(GATE_BEFORE_NS),
            heard_ns.saturating_add(GATE_AFTER_NS),
        );
        self.gate.threshold_db = controls.silence_threshold_db;
        self.gate.hold_ns = controls.silence_hold_ns;
        let activity = self.gate.update(time_ns, self.level_db);
        match controls.silence {
            Silence::Animate => 1.0,
            Silence::Close | Silence::Original => activity,
        }
    }
}
