//! Which execution providers are tried, and whether their options are allowed.
//!
//! The provider that was asked for is the one that runs; only `auto` may choose.

use ort::ep::{self, ExecutionProvider as _};

use super::library::Runtime;
use crate::{
    Error,
    inference::{Options, Provider, ProviderOptions, options::PREFERENCE},
};

/// Whether the loaded library was compiled with the provider; says nothing about this machine.
pub(super) fn is_compiled_in(provider: Provider) -> bool {
    match provider {
        Provider::Auto | Provider::Cpu => true,
        Provider::OpenVino => ep::OpenVINO::is_available().unwrap_or(false),
        Provider::Cuda => ep::CUDA::is_available().unwrap_or(false),
        Provider::TensorRt => ep::TensorRT::is_available().unwrap_or(false),
        Provider::Remote => false,
    }
}

/// The providers to try, the best first. `auto` has the CPU as its last; a provider that is named
/// is the only one.
///
/// # Errors
/// [`Error::ProviderUnavailable`] when the library was built without the named provider, or
/// `provider-options` are for another one or bring code that is not allowed.
pub(super) fn candidates(options: &Options, runtime: &Runtime) -> Result<Vec<Provider>, Error> {
    if let Some(given) = &options.provider_options {
        check_owner(given, options.provider)?;
        if !options.allow_custom_ops {
            check_code(given)?;
        }
    }
    match options.provider {
        Provider::Auto => {
            let accelerators = PREFERENCE.into_iter().filter(|&p| is_compiled_in(p));
            Ok(accelerators.chain([Provider::Cpu]).collect())
        }
        Provider::Remote => Err(Provider::Remote
            .unavailable("this build is without it: cargo's feature `remote` is expected")),
        named if is_compiled_in(named) => Ok(vec![named]),
        named => Err(named.unavailable(format!(
            "the ONNX Runtime {} at {} was built without it. `cargo xtask setup --provider {}` \
             fetches one with it, `onnxruntime-library` names one",
            runtime.version(),
            runtime.path().display(),
            named.name()
        ))),
    }
}

/// Options that nobody would read are a mistake.
fn check_owner(given: &ProviderOptions, expected: Provider) -> Result<(), Error> {
    let owner = PREFERENCE.into_iter().find(|p| p.name() == given.provider);
    let reason = match (owner, expected) {
        (Some(_), Provider::Auto) => return Ok(()),
        (Some(owner), expected) if owner == expected => return Ok(()),
        (Some(owner), _) => format!("`provider-options` are for `{}`", owner.name()),
        (None, _) => format!(
            "`provider-options` are for `{}`; openvino, cuda or tensorrt is expected",
            given.provider
        ),
    };
    Err(expected.unavailable(reason))
}

/// Options that name libraries to be loaded, or addresses to be called, as ONNX Runtime 1.31 has
/// them (`tensorrt_execution_provider_info.cc`, `cuda_execution_provider_info.cc`).
const BRINGS_CODE: [&str; 6] = [
    "trt_extra_plugin_lib_paths",
    "trt_engine_decryption_lib_path",
    "gpu_external_alloc",
    "gpu_external_free",
    "gpu_external_empty_cache",
    "user_compute_stream",
];
/// OpenVINO's configuration, which may also be the path of a file with it, and the field of it that
/// names operators of one's own, as source code for a GPU.
const CONFIGURATION: &str = "load_config";
const OPERATORS: &str = "CONFIG_FILE";

/// Code that comes with options is run only where the user says so.
fn check_code(given: &ProviderOptions) -> Result<(), Error> {
    let brings_code = |(key, value): &&(String, String)| match key.as_str() {
        CONFIGURATION => !value.trim_start().starts_with('{') || value.contains(OPERATORS),
        key => BRINGS_CODE.contains(&key),
    };
    match given.values.iter().find(brings_code) {
        None => Ok(()),
        Some((key, value)) => Err(Error::ProviderUnavailable {
            provider: given.provider.clone(),
            reason: format!(
                "its option `{key}={value}` has code of its own run in this process; set \
                 `allow-custom-ops` if you trust that code"
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_others_is_not_run() {
        for (key, value, brings_code) in [
            ("trt_extra_plugin_lib_paths", "/tmp/evil.so", true),
            ("trt_engine_decryption_lib_path", "/tmp/evil.so", true),
            ("gpu_external_alloc", "4198400", true),
            ("load_config", "/tmp/evil.json", true),
            ("load_config", r#"{"GPU":{"CONFIG_FILE":"evil.xml"}}"#, true),
            ("load_config", r#" {"CPU":{"NUM_STREAMS":"1"}}"#, false),
            ("trt_fp16_enable", "1", false),
        ] {
            let given = ProviderOptions {
                provider: "tensorrt".into(),
                values: vec![("device_id".into(), "0".into()), (key.into(), value.into())],
            };
            match check_code(&given) {
                Ok(()) => assert!(!brings_code, "{key}={value}"),
                Err(error) => {
                    let message = error.to_string();
                    assert!(brings_code, "{message}");
                    assert!(
                        message.contains(key) && message.contains(value),
                        "{message}"
                    );
                    assert!(message.contains("allow-custom-ops"), "{message}");
                }
            }
        }
    }

    #[test]
    fn options_for_another_provider_are_refused() {
        let check = |owner: &str, expected| {
            let given = ProviderOptions {
                provider: owner.into(),
                values: Vec::new(),
            };
            check_owner(&given, expected).map_err(|error| error.to_string())
        };
        assert!(check("openvino", Provider::OpenVino).is_ok());
        assert!(check("openvino", Provider::Auto).is_ok());
        let message = check("openvino", Provider::Cuda).unwrap_err();
        assert!(message.contains("are for `openvino`"), "{message}");
        assert!(check("openvino", Provider::Cpu).is_err());
        let message = check("opnvino", Provider::Auto).unwrap_err();
        assert!(
            message.contains("`opnvino`; openvino, cuda or tensorrt"),
            "{message}"
        );
    }
}
