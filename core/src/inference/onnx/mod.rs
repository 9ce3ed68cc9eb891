//! Networks that ONNX Runtime runs in this process.
//!
//! The only room that knows `ort`. Must not know what a network is for.

mod bound_network;
mod chain;
mod compile_cache;
mod cpu_cores;
mod cuda_copy;
mod exit_guard;
mod fair_queue;
mod host_tensors;
pub mod library;
mod loaded_files;
mod nvidia_libraries;
mod provider_fallback;
mod provider_options;
mod providers;
mod runtime_log;
mod session_pool;
mod stderr_filter;
mod tensor_shapes;

use super::{Backend, Model, ModelSource, OpenNetwork, Options, Provider};
use crate::Error;

pub use exit_guard::{AtWork, wait_in_main_thread};
pub use library::load;
pub use runtime_log::{Level, set_log_level, set_log_sink};

/// ONNX Runtime in this process, on whichever of its execution providers the options name.
#[derive(Clone, Copy, Debug)]
pub struct OnnxRuntime;

impl Backend for OnnxRuntime {
    fn check(&self, options: &Options) -> Result<(), Error> {
        provider_fallback::check(options)
    }

    fn open(
        &self,
        model: &Model,
        options: &Options,
        shapes: &[(&str, &[usize])],
    ) -> Result<OpenNetwork, Error> {
        provider_fallback::open(model, options, shapes)
    }

    /// Most of it is one thread's work. Not so where a GPU may be used: TensorRT chooses what is
    /// fastest by trying, undisturbed.
    fn opens_in_parallel(&self, options: &Options) -> bool {
        match options.provider {
            Provider::Cpu | Provider::OpenVino | Provider::Remote => true,
            Provider::Cuda | Provider::TensorRt => false,
            Provider::Auto => load(options.library.as_deref(), options.provider).is_ok_and(|_| {
                ![Provider::Cuda, Provider::TensorRt]
                    .map(providers::is_compiled_in)
                    .contains(&true)
            }),
        }
    }

    fn leaves_a_cpu(&self, provider: Provider) -> bool {
        cpu_cores::leaves_one(provider)
    }
}

/// Reads and opens a model: [`Backend::open`] on [`OnnxRuntime`], with its errors and
/// [`Error::ModelNotFound`].
pub fn open(
    source: ModelSource,
    options: &Options,
    shapes: &[(&str, &[usize])],
) -> Result<OpenNetwork, Error> {
    OnnxRuntime.check(options)?;
    OnnxRuntime.open(&Model::read(source)?, options, shapes)
}
