//! Execution providers: what a network runs on.
//!
//! The provider that was asked for is the one that runs; only `auto` may choose. Must not know
//! models.

use std::path::PathBuf;

use ort::ep::{self, ExecutionProvider as _};

use super::library::Runtime;
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
        }
    }

    /// Whether the loaded library was compiled with it; says nothing about this machine.
    fn is_compiled_in(self) -> bool {
        match self {
            Self::Auto | Self::Cpu => true,
            Self::OpenVino => ep::OpenVINO::is_available().unwrap_or(false),
            Self::Cuda => ep::CUDA::is_available().unwrap_or(false),
            Self::TensorRt => ep::TensorRT::is_available().unwrap_or(false),
        }
    }
}

/// How to open a network.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub provider: Provider,
    /// Which of several devices of the provider.
    pub device_id: u32,
    /// Threads that work on one network at once; 0 = all physical cores.
    pub intra_threads: usize,
    /// The ONNX Runtime library to load; see [`load`](super::load).
    pub library: Option<PathBuf>,
}

/// A provider that [`Provider::Auto`] would have preferred, and why it does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    pub wanted: String,
    pub reason: String,
}

/// Accelerators in the order in which `auto` prefers them.
const PREFERENCE: [Provider; 3] = [Provider::TensorRt, Provider::Cuda, Provider::OpenVino];

/// Why a provider other than the CPU is not used, though the library knows it.
const NOT_DRIVEN: &str = "this version of the plugin runs networks on the CPU only";

/// The provider that will run, and those that `auto` passed over although the library has them.
///
/// # Errors
/// [`Error::ProviderUnavailable`] when a provider was named that cannot run.
pub(super) fn choose(
    wanted: Provider,
    runtime: &Runtime,
) -> Result<(Provider, Vec<Fallback>), Error> {
    match wanted {
        Provider::Cpu => Ok((Provider::Cpu, Vec::new())),
        Provider::Auto => {
            let passed_over = PREFERENCE
                .into_iter()
                .filter(|provider| provider.is_compiled_in())
                .map(|provider| Fallback {
                    wanted: provider.name().into(),
                    reason: NOT_DRIVEN.into(),
                });
            Ok((Provider::Cpu, passed_over.collect()))
        }
        Provider::OpenVino | Provider::Cuda | Provider::TensorRt => {
            let reason = if wanted.is_compiled_in() {
                NOT_DRIVEN.into()
            } else {
                format!(
                    "the ONNX Runtime {} at {} was built without it",
                    runtime.version(),
                    runtime.path().display()
                )
            };
            Err(Error::ProviderUnavailable {
                provider: wanted.name().into(),
                reason,
            })
        }
    }
}
