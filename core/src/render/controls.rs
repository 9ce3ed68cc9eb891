//! What the engine is told for a frame, and what it says became of it.

use crate::face;

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

/// What a frame shows that the networks were too late for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Late {
    /// The mouth that was drawn last, where the face is now.
    #[default]
    LastMouth,
    /// The frame's own mouth.
    Original,
}

/// What the networks are to do for a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Networks {
    /// Draw it, when they are through with frames that nobody waits for any more.
    Draw,
    /// Draw it, unless they are still busy with such frames: it is as when they are late then.
    DrawInTime,
    /// Nothing, as there is no time for them: the frame is as when they are late.
    Skip,
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
    /// Louder than this is speech, in dBFS; `None`: as loud as the voice that is heard.
    pub silence_threshold_db: Option<f32>,
    /// Pauses shorter than this are not silence.
    pub silence_hold_ns: i64,
    /// Whether the inside of a mouth may be drawn as the stream has shown it before.
    pub mouth_memory: bool,
    /// Whether what frames show of mouths is only kept, for [`Engine::learned_mouths`](super::Engine): they stay
    /// as they are.
    pub learns_mouths: bool,
    /// What a mouth's opening is multiplied by; `None`: as the person's own mouth moves.
    pub articulation: Option<f32>,
    pub late: Late,
    pub outlook: face::Outlook,
    /// Where somebody points, as shares of the frame's width and height: for [`Select::Point`](crate::face::Select).
    pub point: Option<[f32; 2]>,
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
            silence_threshold_db: None,
            silence_hold_ns: 120_000_000,
            mouth_memory: true,
            learns_mouths: false,
            articulation: None,
            late: Late::LastMouth,
            outlook: face::Outlook::default(),
            point: None,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// At least one mouth was drawn to the sound.
    Synced,
    /// Nobody speaks: mouths closed, or left alone, as [`Silence`] says.
    Silent,
    /// No face: untouched.
    NoFace,
    /// Of the faces none has spoken yet, with [`Select::Speaking`](crate::face::Select): untouched.
    NoSpeaker,
    /// Something lies over every mouth: untouched.
    Occluded,
    /// `bypass`, strength 0 or nothing but learning: untouched.
    #[default]
    Bypassed,
    /// The networks were late: the mouth that was drawn last.
    Repeated,
    /// The networks were late: untouched.
    Late,
}

impl Outcome {
    /// What a frame is whose first field is this and whose second is `second`: untouched only where
    /// both are.
    pub fn or(self, second: Self) -> Self {
        match self {
            Self::Synced | Self::Repeated => self,
            _ if matches!(second, Self::Synced | Self::Repeated) => second,
            _ => self,
        }
    }
}
