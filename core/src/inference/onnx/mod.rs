//! Networks that ONNX Runtime runs in this process.
//!
//! The only room that knows `ort`. Must not know what a network is for.

pub mod bound_network;
mod compile_cache;
pub(super) mod cpu_cores;
mod cuda_copy;
pub(super) mod exit_guard;
mod fair_queue;
mod host_tensors;
pub mod library;
mod nvidia_libraries;
pub(super) mod parallel_open;
mod provider_options;
mod providers;
pub mod runtime_log;
mod session_pool;
mod tensor_shapes;
