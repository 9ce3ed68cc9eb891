//! Who is measured: stacks, and what the networks run on.

use anyhow::{Context, Result};
use lipsync_core::inference::{Precision, Provider};

/// What a network runs on, and how precisely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant {
    pub name: &'static str,
    pub provider: Provider,
    pub precision: Precision,
    /// What the provider is told besides.
    pub settings: &'static [(&'static str, &'static str)],
}

pub const CPU: Variant = Variant {
    name: "cpu",
    provider: Provider::Cpu,
    precision: Precision::Auto,
    settings: &[],
};

/// All that may start on some machine.
pub const VARIANTS: [Variant; 7] = [
    CPU,
    Variant {
        name: "openvino",
        provider: Provider::OpenVino,
        precision: Precision::Fp32,
        settings: &[],
    },
    Variant {
        name: "openvino-bf16",
        provider: Provider::OpenVino,
        precision: Precision::Bf16,
        settings: &[],
    },
    Variant {
        name: "cuda",
        provider: Provider::Cuda,
        precision: Precision::Auto,
        settings: &[],
    },
    Variant {
        name: "cuda-graph",
        provider: Provider::Cuda,
        precision: Precision::Auto,
        settings: &[("enable_cuda_graph", "1")],
    },
    // As precisely as PyTorch and Python's ONNX Runtime compute unasked.
    Variant {
        name: "cuda-graph-tf32",
        provider: Provider::Cuda,
        precision: Precision::Auto,
        settings: &[("enable_cuda_graph", "1"), ("use_tf32", "1")],
    },
    Variant {
        name: "tensorrt",
        provider: Provider::TensorRt,
        precision: Precision::Fp16,
        settings: &[],
    },
];

impl Variant {
    /// What ours are measured on where Python runs on this: on the CPU everything that may start
    /// in its place, on a card all that run there.
    pub fn rivals(self) -> Vec<Self> {
        let mut rivals = VARIANTS.to_vec();
        rivals.retain(|rival| self == CPU || rival.provider == self.provider);
        rivals
    }

    /// Whether the Python pipelines can run on it.
    pub fn is_for_python(self) -> bool {
        matches!(self.provider, Provider::Cpu | Provider::Cuda)
    }

    pub fn named(name: &str) -> Result<Self> {
        let found = VARIANTS.iter().find(|variant| variant.name == name);
        found
            .copied()
            .with_context(|| format!("no provider is called {name}"))
    }
}

/// How much of the work is done, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    /// Crop, tensor, network in eager PyTorch, paste.
    PyTorch,
    /// The same with ONNX Runtime.
    PythonOnnx,
    /// The same again, and the face found and followed first, as ours do.
    PythonFaces,
    /// The network's call alone, from Rust.
    Bare,
    /// Face, sound, crop, tensor, networks, paste.
    Engine,
    /// The same in a GStreamer pipeline.
    Element,
}

pub const OURS: [Stack; 3] = [Stack::Bare, Stack::Engine, Stack::Element];
pub const PYTHON: [Stack; 3] = [Stack::PyTorch, Stack::PythonOnnx, Stack::PythonFaces];

impl Stack {
    /// For tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::PyTorch => "Python + PyTorch",
            Self::PythonOnnx => "Python + ONNX Runtime + OpenCV",
            Self::PythonFaces => "the same, following the face",
            Self::Bare => "ONNX Runtime's call alone",
            Self::Engine => "engine",
            Self::Element => "element in a pipeline",
        }
    }

    /// For programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::PyTorch => "torch",
            Self::PythonOnnx => "onnxruntime",
            Self::PythonFaces => "onnxruntime-faces",
            Self::Bare => "bare",
            Self::Engine => "engine",
            Self::Element => "element",
        }
    }

    /// What runs the networks of a Python stack.
    pub fn backend(self) -> &'static str {
        match self {
            Self::PyTorch => "torch",
            _ => "onnxruntime",
        }
    }

    pub fn is_python(self) -> bool {
        PYTHON.contains(&self)
    }
}
