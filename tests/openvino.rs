//! The OpenVINO provider for real. Runs where `cargo xtask setup --provider openvino` has been.

use std::fs;
use std::path::{Path, PathBuf};

use gst::prelude::*;
use lipsync_core::{
    Error,
    inference::{
        self, ModelSource, Network, OpenNetwork, Options, Precision, Provider, ProviderOptions,
    },
};

#[path = "support/onnx.rs"]
mod onnx;

const MESH: &[u8] = include_bytes!("../models/face_mesh.onnx");

fn library() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".setup/openvino/libonnxruntime.so");
    if !path.exists() {
        println!("skipped: OpenVINO is not there, run `cargo xtask setup --provider openvino`");
        return None;
    }
    Some(path)
}

fn options(library: &Path, provider: Provider) -> Options {
    Options {
        provider,
        intra_threads: 1,
        library: Some(library.to_owned()),
        ..Options::default()
    }
}

fn open(data: &[u8], options: &Options) -> Result<OpenNetwork, Error> {
    inference::onnx::open(ModelSource::Bytes { name: "test", data }, options, &[])
}

/// The mesh network's points for a pattern.
fn points(mut network: Box<dyn Network>) -> Vec<f32> {
    for (at, value) in network.input(0).iter_mut().enumerate() {
        *value = ((at * 31) % 255) as f32 / 255.0;
    }
    network.run().unwrap();
    network.output(0).to_vec()
}

/// Largest difference, and the largest value.
fn difference(a: &[f32], b: &[f32]) -> (f32, f32) {
    assert_eq!(a.len(), b.len());
    let largest = |values: &mut dyn Iterator<Item = f32>| values.fold(0.0, f32::max);
    (
        largest(&mut a.iter().zip(b).map(|(a, b)| (a - b).abs())),
        largest(&mut b.iter().map(|b| b.abs())),
    )
}

#[test]
fn it_is_what_auto_prefers_and_as_exact_as_the_cpu() {
    let Some(library) = library() else { return };
    let cpu = open(MESH, &options(&library, Provider::Cpu)).unwrap();
    assert_eq!(cpu.active, Provider::Cpu);
    let cpu = points(cpu.network);
    for provider in [Provider::Auto, Provider::OpenVino] {
        let opened = open(MESH, &options(&library, provider)).unwrap();
        assert_eq!(opened.active, Provider::OpenVino);
        assert_eq!(opened.fallbacks, []);
        let (error, scale) = difference(&points(opened.network), &cpu);
        println!("{}: {error} of {scale}", provider.name());
        assert!(error < scale * 1e-4, "{error} of {scale}");
    }
}

#[test]
fn bf16_is_what_it_computes_with_when_that_is_wanted() {
    let Some(library) = library() else { return };
    let exact = options(&library, Provider::OpenVino);
    let rounded = Options {
        precision: Precision::Bf16,
        ..exact.clone()
    };
    let exact = points(open(MESH, &exact).unwrap().network);
    let rounded = points(open(MESH, &rounded).unwrap().network);
    let (error, scale) = difference(&rounded, &exact);
    println!("bf16: {error} of {scale}");
    // A CPU without bf16 computes as exactly as ever: the precision is a hint to OpenVINO.
    let knows_bf16 = fs::read_to_string("/proc/cpuinfo")
        .is_ok_and(|text| text.contains("avx512_bf16") || text.contains("amx_bf16"));
    assert_eq!(error > 0.0, knows_bf16, "{error}");
    assert!(error < scale * 0.1, "{error} of {scale}");
}

#[test]
fn auto_goes_on_to_the_next_and_says_why() {
    let Some(library) = library() else { return };
    let wrong = Options {
        provider_options: Some(ProviderOptions {
            provider: "openvino".into(),
            values: vec![("device_typ".into(), "CPU".into())],
        }),
        ..options(&library, Provider::Auto)
    };
    let opened = open(MESH, &wrong).unwrap();
    assert_eq!(opened.active, Provider::Cpu);
    assert_eq!(opened.fallbacks.len(), 1);
    assert_eq!(opened.fallbacks[0].requested, "openvino");
    let reason = &opened.fallbacks[0].reason;
    assert!(reason.contains("device_typ"), "{reason}");
}

#[test]
fn options_that_it_does_not_have_are_refused_in_its_own_words() {
    let Some(library) = library() else { return };
    for (key, value, expected) in [
        ("device_typ", "CPU", "device_typ"),
        ("device_type", "GPU.7", "GPU.7"),
        // It takes that one, and then no part of the network.
        ("device_type", "FPGA", "all of this network"),
        ("num_of_threads", "many", "threads"),
        ("load_config", "{", "JSON"),
        ("load_config", r#"{"CPU":{"NO_SUCH":"1"}}"#, "NO_SUCH"),
    ] {
        let wrong = Options {
            provider_options: Some(ProviderOptions {
                provider: "openvino".into(),
                values: vec![(key.into(), value.into())],
            }),
            ..options(&library, Provider::OpenVino)
        };
        match open(MESH, &wrong) {
            Err(Error::ProviderUnavailable { provider, reason }) => {
                assert_eq!(provider, "openvino");
                println!("{key}={value}: {reason}");
                assert!(reason.contains(expected), "{key}={value}: {reason}");
            }
            Err(other) => panic!("{key}={value}: another error: {other}"),
            Ok(_) => panic!("{key}={value}: it runs"),
        }
    }
}

#[test]
fn a_bad_model_is_the_models_fault() {
    let Some(library) = library() else { return };
    for provider in [Provider::Auto, Provider::OpenVino] {
        let options = options(&library, provider);
        let broken = open(&MESH[..MESH.len() / 2], &options);
        assert!(matches!(broken, Err(Error::ModelUnreadable { .. })));
        let integers = onnx::doubling(onnx::INT64, &[onnx::Dim::Fixed(2)]);
        assert!(matches!(
            open(&integers, &options),
            Err(Error::ModelMismatch { .. })
        ));
    }
}

#[test]
fn open_dimensions_are_fixed_before_it_compiles() {
    let Some(library) = library() else { return };
    let model = onnx::doubling(
        onnx::FLOAT,
        &[onnx::Dim::Open("batch"), onnx::Dim::Fixed(3)],
    );
    let options = options(&library, Provider::OpenVino);
    let source = ModelSource::Bytes {
        name: "test",
        data: &model,
    };
    let opened = inference::onnx::open(source, &options, &[("x", &[4, 3])]).unwrap();
    let mut network = opened.network;
    assert_eq!(network.outputs()[0].shape, [4, 3]);
    network.input(0).copy_from_slice(&[1.5; 12]);
    network.run().unwrap();
    assert_eq!(network.output(0), [3.0; 12]);
}

#[test]
fn networks_of_one_session_run_at_the_same_time() {
    let Some(library) = library() else { return };
    let options = options(&library, Provider::OpenVino);
    let expected = points(open(MESH, &options).unwrap().network);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..10 {
                    assert_eq!(points(open(MESH, &options).unwrap().network), expected);
                }
            });
        }
    });
}

/// Waits until the networks are loaded: the warnings until then, or the error.
fn loaded(bus: &gst::Bus) -> Result<Vec<String>, gst::glib::Error> {
    let mut warnings = Vec::new();
    loop {
        let message = bus.timed_pop(gst::ClockTime::from_seconds(60));
        match message.expect("they are loaded in time").view() {
            gst::MessageView::Error(error) => return Err(error.error()),
            gst::MessageView::Warning(warning) => {
                warnings.push(warning.error().message().to_owned());
            }
            gst::MessageView::Progress(progress)
                if progress.get().0 == gst::ProgressType::Complete =>
            {
                return Ok(warnings);
            }
            _ => (),
        }
    }
}

#[test]
fn the_element_runs_the_built_in_model_on_it() {
    let Some(library) = library() else { return };
    gst::init().unwrap();
    gstlipsync::plugin_register_static().unwrap();
    for (provider, precision) in [("auto", "auto"), ("openvino", "fp32"), ("openvino", "bf16")] {
        let element = gst::ElementFactory::make("lipsync").build().unwrap();
        element.set_property_from_str("execution-provider", provider);
        element.set_property_from_str("precision", precision);
        element.set_property("onnxruntime-library", library.to_str().unwrap());
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        element.set_state(gst::State::Ready).unwrap();
        let warnings = loaded(&bus).unwrap();
        assert!(warnings.is_empty(), "{provider} {precision}: {warnings:?}");
        let active = element.property::<Option<String>>("active-execution-provider");
        assert_eq!(active.as_deref(), Some("openvino"));
        element.set_state(gst::State::Null).unwrap();
    }
}

#[test]
fn the_element_passes_on_what_it_says_of_an_option() {
    let Some(library) = library() else { return };
    gst::init().unwrap();
    gstlipsync::plugin_register_static().unwrap();
    let element = gst::ElementFactory::make("lipsync").build().unwrap();
    element.set_property_from_str("execution-provider", "openvino");
    // As `gst-launch-1.0` takes it.
    element.set_property_from_str("provider-options", "openvino,device_typ=GPU");
    element.set_property("onnxruntime-library", library.to_str().unwrap());
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    element.set_state(gst::State::Ready).unwrap();
    let error = loaded(&bus).unwrap_err();
    assert!(error.matches(gst::LibraryError::Init));
    let text = error.message();
    assert!(
        text.contains("`openvino`") && text.contains("device_typ"),
        "{text}"
    );
    element.set_state(gst::State::Null).unwrap();
}
