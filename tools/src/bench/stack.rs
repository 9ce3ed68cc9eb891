//! What is measured: which software draws, what its networks run on, which model it draws.

use std::path::{Path, PathBuf};

use lipsync_core::inference::{Options, Precision, Provider, ProviderOptions};
use serde::{Deserialize, Serialize};

/// How much of the work is done, and by which software.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Stack {
    /// Crop, tensor, network in eager PyTorch, paste.
    #[serde(rename = "torch")]
    PyTorch,
    /// The same with ONNX Runtime.
    #[serde(rename = "onnxruntime")]
    PythonOnnx,
    /// The same again, and the face found and followed first, as ours do.
    #[serde(rename = "onnxruntime-faces")]
    PythonFaces,
    /// The network's call alone, from Rust.
    #[serde(rename = "bare")]
    BareCall,
    /// Face, audio, crop, tensor, networks, paste.
    #[serde(rename = "engine")]
    Engine,
    /// The same in a GStreamer pipeline.
    #[serde(rename = "element")]
    Element,
}

pub const OURS: [Stack; 3] = [Stack::BareCall, Stack::Engine, Stack::Element];
pub const PYTHON: [Stack; 3] = [Stack::PyTorch, Stack::PythonOnnx, Stack::PythonFaces];

impl Stack {
    /// For tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::PyTorch => "Python + PyTorch",
            Self::PythonOnnx => "Python + ONNX Runtime + OpenCV",
            Self::PythonFaces => "the same, following the face",
            Self::BareCall => "ONNX Runtime's call alone",
            Self::Engine => "engine",
            Self::Element => "element in a pipeline",
        }
    }

    /// Whose streams are run at once.
    pub fn owner(self) -> &'static str {
        match self {
            Self::Element => "ours",
            _ => "Python + ONNX Runtime",
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

/// What networks run on, and how precisely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    #[default]
    Cpu,
    Openvino,
    OpenvinoBf16,
    Cuda,
    CudaGraph,
    /// As precisely as PyTorch and Python's ONNX Runtime compute unasked.
    CudaGraphTf32,
    Tensorrt,
}

type Setting = (&'static str, &'static str);
const GRAPH: Setting = ("enable_cuda_graph", "1");
const TF32: Setting = ("use_tf32", "1");

impl Variant {
    /// Name, provider, precision, options of the provider.
    fn parts(self) -> (&'static str, Provider, Precision, &'static [Setting]) {
        use Precision::{Auto, Bf16, Fp16, Fp32};
        match self {
            Self::Cpu => ("cpu", Provider::Cpu, Auto, &[]),
            Self::Openvino => ("openvino", Provider::OpenVino, Fp32, &[]),
            Self::OpenvinoBf16 => ("openvino-bf16", Provider::OpenVino, Bf16, &[]),
            Self::Cuda => ("cuda", Provider::Cuda, Auto, &[]),
            Self::CudaGraph => ("cuda-graph", Provider::Cuda, Auto, &[GRAPH]),
            Self::CudaGraphTf32 => ("cuda-graph-tf32", Provider::Cuda, Auto, &[GRAPH, TF32]),
            Self::Tensorrt => ("tensorrt", Provider::TensorRt, Fp16, &[]),
        }
    }

    pub fn name(self) -> &'static str {
        self.parts().0
    }

    pub fn provider(self) -> Provider {
        self.parts().1
    }

    /// What ours are measured on where Python runs on this: on the CPU everything that may start
    /// in its place, on a GPU all that run there.
    pub fn rivals(self) -> impl Iterator<Item = Self> {
        let all = <Self as clap::ValueEnum>::value_variants().iter().copied();
        all.filter(move |rival| self == Self::Cpu || rival.provider() == self.provider())
    }

    /// Whether the Python pipelines can run on it.
    pub fn is_for_python(self) -> bool {
        matches!(self.provider(), Provider::Cpu | Provider::Cuda)
    }

    /// For the engine.
    pub fn options(self, threads: usize) -> Options {
        let (_, provider, precision, settings) = self.parts();
        let values = settings.iter();
        let values = values.map(|&(key, value)| (key.into(), value.into()));
        // Not every provider takes some.
        let provider_options = (!settings.is_empty()).then(|| ProviderOptions {
            provider: provider.name().into(),
            values: values.collect(),
        });
        Options {
            provider,
            precision,
            intra_threads: threads,
            provider_options,
            ..Options::default()
        }
    }

    /// The same for the element.
    pub fn properties(self, threads: usize) -> Vec<(&'static str, String)> {
        let (_, provider, precision, settings) = self.parts();
        let mut properties = vec![
            ("execution-provider", provider.name().to_owned()),
            ("precision", precision.name().into()),
            ("intra-threads", threads.to_string()),
        ];
        if !settings.is_empty() {
            let settings = settings
                .iter()
                .map(|(key, value)| format!(",{key}={value}"));
            let text = provider.name().to_owned() + &settings.collect::<String>();
            properties.push(("provider-options", text));
        }
        properties
    }
}

/// Those of `training/reference_models.py`: the architectures that people have, random weights.
pub const REFERENCES: [&str; 4] = ["unet-328", "wav2lip-96", "wav2lip-256", "nota-96"];

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Model {
    BuiltIn,
    /// Its manifest, beside which its networks lie.
    Reference(PathBuf),
}

impl Model {
    pub fn name(&self) -> String {
        let stem = self.manifest().and_then(Path::file_stem);
        stem.unwrap_or("built-in".as_ref()).to_string_lossy().into()
    }

    pub fn manifest(&self) -> Option<&Path> {
        match self {
            Self::BuiltIn => None,
            Self::Reference(manifest) => Some(manifest),
        }
    }

    /// Where a manifest may have its networks: `NAME.onnx`, `NAME-ave.onnx`.
    pub fn networks(manifest: &Path) -> [PathBuf; 2] {
        let stem = manifest.file_stem().unwrap_or_default().to_string_lossy();
        [".onnx", "-ave.onnx"].map(|end| manifest.with_file_name(format!("{stem}{end}")))
    }

    /// The network that draws.
    pub fn network(&self) -> PathBuf {
        let tools = Path::new(env!("CARGO_MANIFEST_DIR"));
        let builtin = || tools.join("../models/builtin/renderer.onnx");
        self.manifest()
            .map_or_else(builtin, |path| path.with_extension("onnx"))
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn variants_and_models_have_one_name_everywhere() {
        for variant in Variant::value_variants() {
            let name = variant.name();
            assert_eq!(variant.to_possible_value().unwrap().get_name(), name);
            assert_eq!(serde_json::to_value(variant).unwrap(), name);
        }
        let rivals: Vec<_> = Variant::Cuda.rivals().map(Variant::name).collect();
        assert_eq!(rivals, ["cuda", "cuda-graph", "cuda-graph-tf32"]);
        assert_eq!(Variant::Cpu.rivals().count(), 7);
        let properties = Variant::CudaGraphTf32.properties(2);
        let options = "cuda,enable_cuda_graph=1,use_tf32=1".to_owned();
        assert_eq!(properties.last(), Some(&("provider-options", options)));

        let model = Model::Reference("a/wav2lip-96.toml".into());
        assert_eq!(model.name(), "wav2lip-96");
        assert_eq!(model.network(), Path::new("a/wav2lip-96.onnx"));
        assert!(Model::BuiltIn.name() == "built-in" && Model::BuiltIn.network().is_file());
    }
}
