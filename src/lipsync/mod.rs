//! The element `lipsync` as programs see it: its type and the values of its enumerations.

use gst::{glib, prelude::*, subclass::prelude::*};

use lipsync_core::{catalogue, face, inference, render};

mod altered_tag;
mod audio_input;
mod background;
mod frame_pass;
mod frame_queue;
mod imp;
mod input_events;
mod latency;
mod lateness;
mod log;
pub(crate) mod mapped_frame;
mod memory_layout;
mod messages;
mod model_swap;
mod mouth_file;
mod orientation;
mod pad_level;
pub(crate) mod properties;
mod qos;
pub(crate) mod queue_check;
mod schedule;
mod settings;
mod stats;
mod stream_state;
mod turn;
mod video_input;

glib::wrapper! {
    pub struct Lipsync(ObjectSubclass<imp::Lipsync>)
        @extends gst_base::Aggregator, gst::Element, gst::Object;
}

impl Lipsync {
    /// Lets a generator of the program's own draw the mouths, in place of what the property
    /// `model` names. Holds from the next change from NULL to READY.
    pub fn set_generator(&self, source: catalogue::Source) {
        self.imp().models.set_source(source);
    }
}

/// What runs the networks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstLipsyncExecutionProvider")]
#[repr(i32)]
pub enum ExecutionProvider {
    #[default]
    #[enum_value(name = "The fastest that works here", nick = "auto")]
    Auto,
    #[enum_value(name = "CPU", nick = "cpu")]
    Cpu,
    #[enum_value(name = "Intel OpenVINO", nick = "openvino")]
    OpenVino,
    #[enum_value(name = "NVIDIA CUDA", nick = "cuda")]
    Cuda,
    #[enum_value(name = "NVIDIA TensorRT", nick = "tensorrt")]
    TensorRt,
    #[enum_value(
        name = "A server that speaks the Open Inference Protocol (KServe v2); see server",
        nick = "remote"
    )]
    Remote,
}

impl From<ExecutionProvider> for inference::Provider {
    fn from(provider: ExecutionProvider) -> Self {
        match provider {
            ExecutionProvider::Auto => Self::Auto,
            ExecutionProvider::Cpu => Self::Cpu,
            ExecutionProvider::OpenVino => Self::OpenVino,
            ExecutionProvider::Cuda => Self::Cuda,
            ExecutionProvider::TensorRt => Self::TensorRt,
            ExecutionProvider::Remote => Self::Remote,
        }
    }
}

/// What becomes of frames while no server can draw them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstLipsyncOnUnreachable")]
#[repr(i32)]
pub enum OnUnreachable {
    #[default]
    #[enum_value(name = "The model draws in this process", nick = "local")]
    Local,
    #[enum_value(name = "They pass through unchanged", nick = "passthrough")]
    Passthrough,
    #[enum_value(name = "The stream ends with an error", nick = "error")]
    Error,
}

impl From<OnUnreachable> for inference::OnUnreachable {
    fn from(on_unreachable: OnUnreachable) -> Self {
        match on_unreachable {
            OnUnreachable::Local => Self::Local,
            OnUnreachable::Passthrough => Self::Passthrough,
            OnUnreachable::Error => Self::Error,
        }
    }
}

/// What the networks that draw compute with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstLipsyncPrecision")]
#[repr(i32)]
pub enum Precision {
    #[default]
    #[enum_value(name = "As the model was made, at least 32-bit floats", nick = "auto")]
    Auto,
    #[enum_value(name = "32-bit floats", nick = "fp32")]
    Fp32,
    #[enum_value(name = "16-bit floats", nick = "fp16")]
    Fp16,
    #[enum_value(name = "16-bit floats with the range of 32-bit ones", nick = "bf16")]
    Bf16,
}

impl From<Precision> for inference::Precision {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::Auto => Self::Auto,
            Precision::Fp32 => Self::Fp32,
            Precision::Fp16 => Self::Fp16,
            Precision::Bf16 => Self::Bf16,
        }
    }
}

/// Whose mouth is redrawn where there are more faces than `max-faces`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstLipsyncFaceSelect")]
#[repr(i32)]
pub enum FaceSelect {
    #[default]
    #[enum_value(name = "The largest faces", nick = "largest")]
    Largest,
    #[enum_value(name = "The faces nearest to the centre of the frame", nick = "center")]
    Center,
    #[enum_value(name = "Every face, as many as max-faces allows", nick = "all")]
    All,
    #[enum_value(
        name = "Only faces that upstream marked as regions of interest",
        nick = "roi"
    )]
    Roi,
    #[enum_value(
        name = "Whose own mouth moves with the audio, or moved last",
        nick = "speaking"
    )]
    Speaking,
    #[enum_value(
        name = "Those who were nearest to face-x, face-y when these were set",
        nick = "point"
    )]
    Point,
}

impl From<FaceSelect> for face::Select {
    fn from(select: FaceSelect) -> Self {
        match select {
            FaceSelect::Largest => Self::Largest,
            FaceSelect::Center => Self::Center,
            FaceSelect::All => Self::All,
            FaceSelect::Roi => Self::Roi,
            FaceSelect::Speaking => Self::Speaking,
            FaceSelect::Point => Self::Point,
        }
    }
}

/// What the mouth does when nobody speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstLipsyncSilence")]
#[repr(i32)]
pub enum Silence {
    #[default]
    #[enum_value(name = "It closes", nick = "close")]
    Close,
    #[enum_value(name = "The frame's own mouth shows", nick = "original")]
    Original,
    #[enum_value(name = "It follows whatever is heard", nick = "animate")]
    Animate,
}

impl From<Silence> for render::Silence {
    fn from(silence: Silence) -> Self {
        match silence {
            Silence::Close => Self::Close,
            Silence::Original => Self::Original,
            Silence::Animate => Self::Animate,
        }
    }
}

/// What a frame shows that the networks were too late for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstLipsyncLatePolicy")]
#[repr(i32)]
pub enum LatePolicy {
    #[default]
    #[enum_value(name = "The mouth that was drawn last", nick = "last-mouth")]
    LastMouth,
    #[enum_value(name = "The frame's own mouth", nick = "original")]
    Original,
}

impl From<LatePolicy> for render::Late {
    fn from(policy: LatePolicy) -> Self {
        match policy {
            LatePolicy::LastMouth => Self::LastMouth,
            LatePolicy::Original => Self::Original,
        }
    }
}

/// Where the inside of an opened mouth comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstLipsyncMouthMemory")]
#[repr(i32)]
pub enum MouthMemory {
    #[default]
    #[enum_value(
        name = "As the stream has shown the person's own mouth; drawn by rule until it has",
        nick = "live"
    )]
    Live,
    #[enum_value(
        name = "The same, and from the first frame on as an earlier reading of the clip has shown it: mouth-memory-file",
        nick = "clip"
    )]
    Clip,
    #[enum_value(
        name = "Frames pass through unchanged; what they show of mouths is written to mouth-memory-file",
        nick = "learn"
    )]
    Learn,
    #[enum_value(name = "Drawn by rule", nick = "off")]
    Off,
}

/// What becomes of a frame on which a network fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstLipsyncOnError")]
#[repr(i32)]
pub enum OnError {
    #[enum_value(name = "The stream ends with an error", nick = "error")]
    Error,
    #[default]
    #[enum_value(
        name = "The original frame goes on, with a warning",
        nick = "passthrough"
    )]
    Passthrough,
}

pub fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "lipsync",
        gst::Rank::NONE,
        Lipsync::static_type(),
    )
}
