//! What each execution provider is told: device, precision, cache and the user's own options.
//!
//! Must not know models.

use std::path::Path;

use ort::ep::{self, ArbitrarilyConfigurableExecutionProvider, ExecutionProviderDispatch};

use crate::{
    Error,
    inference::options::{Options, Precision, Provider},
};

/// OpenVINO's device where the user names none.
const OPENVINO_DEVICE: &str = "CPU";
/// Has CUDA record the run of a network once and replay it.
const CUDA_GRAPH: &str = "enable_cuda_graph";
/// The same of TensorRT.
const TENSORRT_GRAPH: &str = "trt_cuda_graph_enable";

/// Whether runs are recorded and replayed, for which tensors have to stay on the GPU.
pub(super) fn replays(provider: Provider, options: &Options) -> bool {
    let value = last(provider, options, CUDA_GRAPH);
    provider == Provider::Cuda && value.is_some_and(|value| !is_off(value))
}

/// What the user tells this provider; the last one counts.
fn last<'a>(provider: Provider, options: &'a Options, key: &str) -> Option<&'a str> {
    let given = options.provider_options.as_ref();
    let given = given.filter(|given| given.provider == provider.name())?;
    let mut values = given.values.iter().rev();
    let value = values.find(|(name, _)| name == key);
    value.map(|(_, value)| value.as_str())
}

/// As ONNX Runtime reads what is yes or no.
fn is_off(value: &str) -> bool {
    ["0", "false", "False"].contains(&value)
}

/// Whether what the provider compiles is worth keeping. For the CPU it is not, as measured: reading
/// an optimised graph of 138 MB saves ONNX Runtime 0.1 s, as much as checking its hash takes, and
/// OpenVINO 2025.4 writes its cache at every start and reads it at none.
pub(super) fn is_worth_caching(provider: Provider, options: &Options) -> bool {
    match provider {
        Provider::Auto | Provider::Cpu | Provider::Cuda | Provider::Remote => false,
        Provider::OpenVino => openvino_device(options) != OPENVINO_DEVICE,
        Provider::TensorRt => true,
    }
}

/// A provider with everything it is told.
pub(super) struct Accelerator {
    provider: Provider,
    values: Vec<(String, String)>,
}

impl Accelerator {
    /// `None` for the CPU, which is always there. `cache` is the folder for this one network.
    ///
    /// # Errors
    /// [`Error::ProviderUnavailable`] when the provider cannot do what `options` ask for.
    pub fn new(
        provider: Provider,
        options: &Options,
        threads: usize,
        cache: Option<&Path>,
    ) -> Result<Option<Self>, Error> {
        let given = given(provider, options)?;
        let cache = cache.map(|path| path.display().to_string());
        let mut values = match provider {
            Provider::Auto | Provider::Cpu | Provider::Remote => {
                only_fp32(provider, options.precision, "")?;
                return Ok(None);
            }
            Provider::OpenVino => openvino(options, threads, cache),
            Provider::Cuda => {
                only_fp32(
                    provider,
                    options.precision,
                    "; convert the model, or use tensorrt",
                )?;
                cuda(options.device_id)
            }
            Provider::TensorRt => tensorrt(options, cache),
        };
        values.extend(given);
        Ok(Some(Self { provider, values }))
    }

    /// As `ort` takes it. The provider itself refuses options that it does not know.
    pub fn dispatch(&self) -> ExecutionProviderDispatch {
        let dispatch = match self.provider {
            Provider::Auto | Provider::Cpu | Provider::Remote => ep::CPU::default().build(),
            Provider::OpenVino => self.configure(ep::OpenVINO::default()).build(),
            Provider::Cuda => self.configure(ep::CUDA::default()).build(),
            Provider::TensorRt => self.configure(ep::TensorRT::default()).build(),
        };
        dispatch.error_on_failure()
    }

    fn configure<E: ArbitrarilyConfigurableExecutionProvider>(&self, provider: E) -> E {
        self.values.iter().fold(provider, |provider, (key, value)| {
            provider.with_arbitrary_config(key, value)
        })
    }
}

/// The user's options for this provider.
fn given(provider: Provider, options: &Options) -> Result<Vec<(String, String)>, Error> {
    let given = match &options.provider_options {
        Some(given) if given.provider == provider.name() => given.values.clone(),
        _ => return Ok(Vec::new()),
    };
    for (key, value) in &given {
        if key.contains('\0') || value.contains('\0') {
            return Err(provider.unavailable("a provider option holds a NUL character"));
        }
        if key == TENSORRT_GRAPH && !is_off(value) {
            return Err(provider.unavailable(format!(
                "CUDA graphs (`{key}`) need tensors that stay on the GPU, which this plugin has only \
                 for the provider cuda (`{CUDA_GRAPH}`)"
            )));
        }
    }
    Ok(given)
}

fn only_fp32(provider: Provider, precision: Precision, instead: &str) -> Result<(), Error> {
    match precision {
        Precision::Auto | Precision::Fp32 => Ok(()),
        Precision::Fp16 | Precision::Bf16 => Err(provider.unavailable(format!(
            "it computes in the model's own 32-bit floats, `precision` asks for {}{instead}",
            precision.name()
        ))),
    }
}

fn pair(key: &str, value: impl ToString) -> (String, String) {
    (key.into(), value.to_string())
}

/// The user's device or the CPU.
fn openvino_device(options: &Options) -> &str {
    last(Provider::OpenVino, options, "device_type").unwrap_or(OPENVINO_DEVICE)
}

fn openvino(options: &Options, threads: usize, cache: Option<String>) -> Vec<(String, String)> {
    let device = openvino_device(options);
    // `GPU.1` is set up under the name `GPU`.
    let family = device.split('.').next().unwrap_or(device);
    // Where the CPU knows bf16, OpenVINO would use it unasked.
    let hint = match options.precision {
        Precision::Auto | Precision::Fp32 => "f32",
        Precision::Fp16 => "f16",
        Precision::Bf16 => "bf16",
    };
    let mut values = vec![
        pair("device_type", device),
        pair(
            "load_config",
            format!(r#"{{"{family}":{{"INFERENCE_PRECISION_HINT":"{hint}"}}}}"#),
        ),
    ];
    if family == OPENVINO_DEVICE {
        values.push(pair("num_of_threads", threads));
    }
    values.extend(cache.map(|cache| pair("cache_dir", cache)));
    values
}

fn cuda(device_id: u32) -> Vec<(String, String)> {
    vec![
        pair("device_id", device_id),
        // TF32 has a mantissa of 10 bits: nobody asked for that.
        pair("use_tf32", 0),
        // An exhaustive search at the first run of each network takes seconds.
        pair("cudnn_conv_algo_search", "HEURISTIC"),
    ]
}

fn tensorrt(options: &Options, cache: Option<String>) -> Vec<(String, String)> {
    let mut values = vec![pair("device_id", options.device_id)];
    match options.precision {
        Precision::Auto | Precision::Fp32 => {}
        Precision::Fp16 => values.push(pair("trt_fp16_enable", 1)),
        Precision::Bf16 => values.push(pair("trt_bf16_enable", 1)),
    }
    if let Some(cache) = cache {
        // Building an engine takes minutes.
        values.extend([
            pair("trt_engine_cache_enable", 1),
            pair("trt_engine_cache_path", &cache),
            pair("trt_timing_cache_enable", 1),
            pair("trt_timing_cache_path", &cache),
        ]);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::options::ProviderOptions;

    fn values(provider: Provider, options: &Options) -> Vec<(String, String)> {
        let cache = Some(Path::new("/cache"));
        let accelerator = Accelerator::new(provider, options, 3, cache).unwrap();
        accelerator.expect("an accelerator").values
    }

    fn refusal(provider: Provider, options: &Options) -> String {
        match Accelerator::new(provider, options, 3, None) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("it was accepted"),
        }
    }

    fn set<'a>(values: &'a [(String, String)], key: &str) -> Option<&'a str> {
        let mut found = values.iter().rev().filter(|(name, _)| name == key);
        found.next().map(|(_, value)| value.as_str())
    }

    fn with(provider: &str, values: &[(&str, &str)]) -> Options {
        let values = values.iter().map(|&(k, v)| (k.into(), v.into()));
        Options {
            provider_options: Some(ProviderOptions {
                provider: provider.into(),
                values: values.collect(),
            }),
            ..Options::default()
        }
    }

    #[test]
    fn nothing_becomes_less_precise_unasked() {
        let auto = Options::default();
        let openvino = values(Provider::OpenVino, &auto);
        assert_eq!(
            set(&openvino, "load_config"),
            Some(r#"{"CPU":{"INFERENCE_PRECISION_HINT":"f32"}}"#)
        );
        assert_eq!(set(&openvino, "num_of_threads"), Some("3"));
        assert!(!is_worth_caching(Provider::OpenVino, &auto));
        assert!(is_worth_caching(Provider::TensorRt, &auto));
        let cuda = values(Provider::Cuda, &auto);
        assert_eq!(set(&cuda, "use_tf32"), Some("0"));
        let tensorrt = values(Provider::TensorRt, &auto);
        assert_eq!(set(&tensorrt, "trt_fp16_enable"), None);
        assert_eq!(set(&tensorrt, "trt_bf16_enable"), None);
    }

    #[test]
    fn a_precision_is_asked_of_the_device_that_runs() {
        let bf16 = Options {
            precision: Precision::Bf16,
            ..with("openvino", &[("device_type", "GPU.1")])
        };
        let openvino = values(Provider::OpenVino, &bf16);
        assert_eq!(
            set(&openvino, "load_config"),
            Some(r#"{"GPU":{"INFERENCE_PRECISION_HINT":"bf16"}}"#)
        );
        assert!(is_worth_caching(Provider::OpenVino, &bf16));
        assert_eq!(set(&openvino, "cache_dir"), Some("/cache"));
        assert_eq!(set(&openvino, "num_of_threads"), None);
        let tensorrt = values(Provider::TensorRt, &bf16);
        assert_eq!(set(&tensorrt, "trt_bf16_enable"), Some("1"));
    }

    #[test]
    fn a_precision_that_a_provider_does_not_have_is_refused() {
        for (provider, precision) in [
            (Provider::Cpu, Precision::Bf16),
            (Provider::Cpu, Precision::Fp16),
            (Provider::Cuda, Precision::Fp16),
        ] {
            let options = Options {
                precision,
                ..Options::default()
            };
            let message = refusal(provider, &options);
            assert!(message.contains(precision.name()), "{message}");
            assert!(message.contains(provider.name()), "{message}");
        }
    }

    #[test]
    fn card_and_caches_reach_nvidias_providers() {
        let options = Options {
            device_id: 2,
            precision: Precision::Fp16,
            ..Options::default()
        };
        let tensorrt = values(Provider::TensorRt, &options);
        for (key, value) in [
            ("device_id", "2"),
            ("trt_fp16_enable", "1"),
            ("trt_engine_cache_enable", "1"),
            ("trt_engine_cache_path", "/cache"),
            ("trt_timing_cache_enable", "1"),
            ("trt_timing_cache_path", "/cache"),
        ] {
            assert_eq!(set(&tensorrt, key), Some(value), "{key}");
        }
        let options = Options {
            device_id: 2,
            ..Options::default()
        };
        let cuda = values(Provider::Cuda, &options);
        assert_eq!(set(&cuda, "device_id"), Some("2"));
    }

    #[test]
    fn the_users_options_come_last_and_only_to_their_provider() {
        let options = with("cuda", &[("use_tf32", "1"), ("gpu_mem_limit", "1000")]);
        let cuda = values(Provider::Cuda, &options);
        assert_eq!(set(&cuda, "use_tf32"), Some("1"));
        assert_eq!(set(&cuda, "gpu_mem_limit"), Some("1000"));
        let openvino = values(Provider::OpenVino, &options);
        assert_eq!(set(&openvino, "gpu_mem_limit"), None);
    }

    #[test]
    fn runs_are_replayed_where_cuda_is_told_so() {
        let replays = |provider, name: &str, values: &[(&str, &str)]| {
            super::replays(provider, &with(name, values))
        };
        assert!(replays(Provider::Cuda, "cuda", &[(CUDA_GRAPH, "1")]));
        assert!(!replays(Provider::Cuda, "cuda", &[(CUDA_GRAPH, "0")]));
        assert!(!replays(
            Provider::Cuda,
            "cuda",
            &[(CUDA_GRAPH, "1"), (CUDA_GRAPH, "False")]
        ));
        assert!(!replays(Provider::Cuda, "cuda", &[("use_tf32", "1")]));
        assert!(!replays(Provider::Cpu, "cuda", &[(CUDA_GRAPH, "1")]));
        assert!(!super::replays(Provider::Cuda, &Options::default()));
    }

    #[test]
    fn graphs_of_tensorrt_and_broken_strings_are_refused() {
        let message = refusal(
            Provider::TensorRt,
            &with("tensorrt", &[(TENSORRT_GRAPH, "1")]),
        );
        assert!(message.contains(TENSORRT_GRAPH), "{message}");
        assert!(refusal(Provider::Cuda, &with("cuda", &[("a\0", "1")])).contains("NUL"));
    }
}
