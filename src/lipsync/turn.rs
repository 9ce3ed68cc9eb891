//! One frame's turn: the frame, what is being done with it, and the settings that hold for it from
//! its beginning to its end.
//!
//! Must not know pads or the engine.

use std::time::Duration;

use lipsync_core::{
    Error,
    render::{Controls, Outcome},
};

use super::{OnError, OnUnreachable, frame_queue::Frame};

/// What is done with region-of-interest metas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metas {
    /// Upstream's faces replace detection.
    pub read: bool,
    /// Faces are marked for downstream.
    pub attach: bool,
}

/// The settings as they are when a frame is begun. They may change before it is finished, and must
/// not then judge what was begun with others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrameSettings {
    /// As they are set; what holds for the frame is faded: [`Turn::controls`].
    pub controls: Controls,
    /// In which strength moves by 1, in nanoseconds.
    pub fade_ns: i64,
    pub metas: Metas,
    pub qos: bool,
    pub on_error: OnError,
    pub on_unreachable: OnUnreachable,
    /// Whether outcomes that alter the mouth are tagged.
    pub tag_altered: bool,
    /// Whether [`Outcome::Silent`] alters the mouth.
    pub silence_alters: bool,
    /// The part of the reported latency that is kept for work, in nanoseconds.
    pub work_ns: i64,
    /// Time between two messages with statistics, where they are asked for.
    pub stats_interval: Option<Duration>,
}

impl FrameSettings {
    /// Whether a frame of this outcome shows another mouth than the one that it came with, and that
    /// is to be tagged.
    pub fn tags(&self, outcome: Outcome) -> bool {
        let alters = match outcome {
            Outcome::Synced | Outcome::Repeated => true,
            Outcome::Silent => self.silence_alters,
            Outcome::NoFace
            | Outcome::NoSpeaker
            | Outcome::Occluded
            | Outcome::Bypassed
            | Outcome::Late => false,
        };
        alters && self.tag_altered
    }
}

/// A frame whose turn it is as soon as there are enough to be drawn at once.
pub struct Turn {
    pub frame: Frame,
    /// Whether there is audio that belongs to it.
    pub listens: bool,
    pub settings: FrameSettings,
    /// The controls of `settings`, faded.
    pub controls: Controls,
    pub course: Course,
    /// How late it was for more than was begun.
    pub late_ns: i64,
}

/// What is being done with a frame.
#[derive(Default)]
pub enum Course {
    /// It passes through unchanged.
    #[default]
    Untouched,
    /// It goes nowhere.
    Dropped,
    /// What [`Stream::begin`](super::stream_state::Stream::begin) said.
    Begun(Option<Result<(), Error>>),
}

impl Turn {
    /// `settings` hold until the frame is begun, which takes them anew.
    pub fn new(frame: Frame, listens: bool, settings: FrameSettings) -> Self {
        Self {
            frame,
            listens,
            settings,
            controls: settings.controls,
            course: Course::default(),
            late_ns: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lipsync::{Silence, settings::Settings};

    fn tagged(silence: Silence, tag_altered: bool) -> Vec<Outcome> {
        use Outcome::*;
        let settings = Settings {
            silence,
            tag_altered,
            ..Settings::default()
        };
        let settings = settings.for_frame();
        let all = [
            Synced, Silent, NoFace, NoSpeaker, Occluded, Bypassed, Repeated, Late,
        ];
        all.into_iter()
            .filter(|outcome| settings.tags(*outcome))
            .collect()
    }

    #[test]
    fn what_is_altered_is_tagged() {
        use Outcome::*;
        assert_eq!(tagged(Silence::Close, true), [Synced, Silent, Repeated]);
        assert_eq!(tagged(Silence::Original, true), [Synced, Repeated]);
        assert_eq!(tagged(Silence::Close, false), []);
    }
}
