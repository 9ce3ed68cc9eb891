//! What a network is to run on, and how precisely it is to compute.
//!
//! Must not know models or ONNX Runtime.

use std::{path::PathBuf, time::Duration};

use super::{Calls, Interrupt};
use crate::Error;

/// What to run a network on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Provider {
    /// The fastest that works here.
    #[default]
    Auto,
    Cpu,
    OpenVino,
    Cuda,
    TensorRt,
    /// A server that speaks the Open Inference Protocol runs what draws. [`Auto`](Self::Auto) never
    /// takes it.
    Remote,
}

impl Provider {
    /// The name that users write.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::OpenVino => "openvino",
            Self::Cuda => "cuda",
            Self::TensorRt => "tensorrt",
            Self::Remote => "remote",
        }
    }

    /// Whether it drives NVIDIA's GPUs.
    pub(super) fn is_nvidia(self) -> bool {
        matches!(self, Self::Cuda | Self::TensorRt)
    }

    pub(super) fn unavailable(self, reason: impl Into<String>) -> Error {
        Error::ProviderUnavailable {
            provider: self.name().into(),
            reason: reason.into(),
        }
    }
}

/// The numbers that a network computes with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// As the model was made, whatever that costs: never less than 32-bit floats.
    #[default]
    Auto,
    Fp32,
    Fp16,
    Bf16,
}

impl Precision {
    /// The name that users write.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Fp32 => "fp32",
            Self::Fp16 => "fp16",
            Self::Bf16 => "bf16",
        }
    }
}

/// Options that go to one provider as they are, over those that the plugin sets itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProviderOptions {
    /// Name of the provider that they are meant for; others do not see them.
    pub provider: String,
    pub values: Vec<(String, String)>,
}

/// What becomes of frames while no server can draw them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnUnreachable {
    /// The network that was read draws here, until a server is back.
    #[default]
    Local,
    /// Runs fail with [`Error::Unreachable`], and frames pass through unchanged.
    Passthrough,
    /// The same, and the stream ends.
    Error,
}

/// Where networks run with [`Provider::Remote`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `grpc://HOST:PORT` or, with TLS, `grpcs://HOST:PORT`; several with commas between them.
    pub addresses: String,
    /// A call that takes longer has failed.
    pub timeout: Duration,
    pub on_unreachable: OnUnreachable,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            addresses: String::new(),
            timeout: Duration::from_secs(1),
            on_unreachable: OnUnreachable::default(),
        }
    }
}

/// How to open a network.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub provider: Provider,
    /// Which of several NVIDIA GPUs. OpenVINO's devices are named in `provider_options`.
    pub device_id: u32,
    /// Threads that work on one network at once; 0 = all physical cores.
    pub intra_threads: usize,
    /// What the first dimension of an input becomes where the model leaves it open; 0 = 1.
    pub batch: usize,
    /// The ONNX Runtime library to load; see [`load`](super::load).
    pub library: Option<PathBuf>,
    pub precision: Precision,
    /// Where providers keep what they have compiled; `None`: nowhere.
    pub cache_dir: Option<PathBuf>,
    pub provider_options: Option<ProviderOptions>,
    /// Whether `provider_options` may bring code of their own into the process.
    pub allow_custom_ops: bool,
    /// Ends runs of the networks that are opened with these options.
    pub interrupt: Interrupt,
    pub server: Server,
    /// Counts what the networks that are opened with these options ask of servers.
    pub calls: Calls,
}

impl Options {
    /// For networks that run in this process, whatever runs those that draw.
    pub fn local(&self) -> Self {
        match self.provider {
            Provider::Remote => Self {
                provider: Provider::Cpu,
                provider_options: None,
                ..self.clone()
            },
            _ => self.clone(),
        }
    }
}

/// A provider that [`Provider::Auto`] would have preferred for a network, what runs it instead, and
/// why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    pub requested: String,
    pub taken: Provider,
    pub reason: String,
}

/// Adds what is not there yet: the networks of one model mostly fall back for the same reason.
pub fn add_fallbacks(all: &mut Vec<Fallback>, more: Vec<Fallback>) {
    for fallback in more {
        if !all.contains(&fallback) {
            all.push(fallback);
        }
    }
}

/// Accelerators in the order in which `auto` prefers them.
pub(super) const PREFERENCE: [Provider; 3] =
    [Provider::TensorRt, Provider::Cuda, Provider::OpenVino];
