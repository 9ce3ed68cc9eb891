//! Messages of the Open Inference Protocol, version 2 (`inference.GRPCInferenceService`), as far as
//! they are used: field numbers as in its `grpc_service.proto`, Triton's `ModelConfig` included.
//!
//! Both directions encode and decode, so that tests can stand in for a server.

use std::collections::HashMap;

use prost::{Message, Oneof, bytes::Bytes};

/// The path of a method.
macro_rules! method {
    ($name:literal) => {
        concat!("/inference.GRPCInferenceService/", $name)
    };
}

pub const MODEL_READY: &str = method!("ModelReady");
pub const MODEL_METADATA: &str = method!("ModelMetadata");
pub const MODEL_CONFIG: &str = method!("ModelConfig");
pub const MODEL_INFER: &str = method!("ModelInfer");
/// Triton's own.
pub const SHARED_MEMORY_REGISTER: &str = method!("SystemSharedMemoryRegister");
pub const SHARED_MEMORY_UNREGISTER: &str = method!("SystemSharedMemoryUnregister");

/// Asks for one model: of `ModelReady`, `ModelMetadata` and `ModelConfig`. No version means the
/// highest.
#[derive(Clone, PartialEq, Message)]
pub struct ModelRequest {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub version: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ModelReadyResponse {
    #[prost(bool, tag = "1")]
    pub ready: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct ModelMetadataResponse {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, repeated, tag = "2")]
    pub versions: Vec<String>,
    #[prost(string, tag = "3")]
    pub platform: String,
    #[prost(message, repeated, tag = "4")]
    pub inputs: Vec<TensorMetadata>,
    #[prost(message, repeated, tag = "5")]
    pub outputs: Vec<TensorMetadata>,
}

#[derive(Clone, PartialEq, Message)]
pub struct TensorMetadata {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub datatype: String,
    /// -1 where any size will do.
    #[prost(int64, repeated, tag = "3")]
    pub shape: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ModelConfigResponse {
    #[prost(message, optional, tag = "1")]
    pub config: Option<ModelConfig>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ModelConfig {
    #[prost(string, tag = "1")]
    pub name: String,
    /// 0 where the first dimension is the model's own.
    #[prost(int32, tag = "4")]
    pub max_batch_size: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct ModelInferRequest {
    #[prost(string, tag = "1")]
    pub model_name: String,
    #[prost(string, tag = "2")]
    pub model_version: String,
    #[prost(message, repeated, tag = "5")]
    pub inputs: Vec<InferTensor>,
    #[prost(message, repeated, tag = "6")]
    pub outputs: Vec<RequestedOutput>,
    /// Of the inputs, in their order: little-endian, row-major.
    #[prost(bytes = "bytes", repeated, tag = "7")]
    pub raw_input_contents: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
pub struct RequestedOutput {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(map = "string, message", tag = "2")]
    pub parameters: HashMap<String, Parameter>,
}

/// What a tensor has besides: where it lies in shared memory.
#[derive(Clone, PartialEq, Message)]
pub struct Parameter {
    #[prost(oneof = "Choice", tags = "2, 3")]
    pub choice: Option<Choice>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum Choice {
    #[prost(int64, tag = "2")]
    Integer(i64),
    #[prost(string, tag = "3")]
    Text(String),
}

#[derive(Clone, PartialEq, Message)]
pub struct ModelInferResponse {
    #[prost(string, tag = "1")]
    pub model_name: String,
    #[prost(string, tag = "2")]
    pub model_version: String,
    #[prost(message, repeated, tag = "5")]
    pub outputs: Vec<InferTensor>,
    /// Of the outputs, in their order; empty where their contents are typed.
    #[prost(bytes = "bytes", repeated, tag = "6")]
    pub raw_output_contents: Vec<Bytes>,
}

/// A tensor of a request or an answer.
#[derive(Clone, PartialEq, Message)]
pub struct InferTensor {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub datatype: String,
    #[prost(int64, repeated, tag = "3")]
    pub shape: Vec<i64>,
    #[prost(map = "string, message", tag = "4")]
    pub parameters: HashMap<String, Parameter>,
    #[prost(message, optional, tag = "5")]
    pub contents: Option<TypedContents>,
}

/// Values where they are not raw; fp16 has no such form.
#[derive(Clone, PartialEq, Message)]
pub struct TypedContents {
    #[prost(uint32, repeated, tag = "4")]
    pub uint_contents: Vec<u32>,
    #[prost(float, repeated, tag = "6")]
    pub fp32_contents: Vec<f32>,
    #[prost(double, repeated, tag = "7")]
    pub fp64_contents: Vec<f64>,
}

/// Has a server open a region of its machine's memory.
#[derive(Clone, PartialEq, Message)]
pub struct SharedMemoryRegisterRequest {
    /// What requests call it.
    #[prost(string, tag = "1")]
    pub name: String,
    /// What the machine calls it.
    #[prost(string, tag = "2")]
    pub key: String,
    #[prost(uint64, tag = "3")]
    pub offset: u64,
    #[prost(uint64, tag = "4")]
    pub byte_size: u64,
}

#[derive(Clone, PartialEq, Message)]
pub struct SharedMemoryUnregisterRequest {
    #[prost(string, tag = "1")]
    pub name: String,
}

/// Of methods that only succeed or fail.
#[derive(Clone, PartialEq, Message)]
pub struct Empty {}
