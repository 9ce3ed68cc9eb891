//! NVIDIA's providers with the real GPU build of ONNX Runtime, where
//! `cargo xtask setup --provider cuda` has fetched it: on a GPU, and refused without one.
//! `cargo xtask test --gpu` runs nothing else.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use gst::prelude::*;
use lipsync_core::{
    Error,
    inference::{
        self, ModelSource, Network, OpenNetwork, Options, Precision, Provider, ProviderOptions,
    },
};

const MESH: &[u8] = include_bytes!("../models/face_mesh.onnx");

fn library() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".setup/cuda/libonnxruntime.so");
    if !path.exists() {
        println!(
            "skipped: the GPU build is not there, run `cargo xtask setup --provider cuda` (1.6 GB)"
        );
        return None;
    }
    Some(path)
}

/// What NVIDIA's driver shows where there is a GPU.
fn has_card() -> bool {
    Path::new("/dev/nvidia0").exists() || Path::new("/dev/dxg").exists()
}

/// The library, on a machine with a GPU.
fn on_card() -> Option<PathBuf> {
    let library = library()?;
    if !has_card() {
        println!("skipped: there is no NVIDIA card here");
        return None;
    }
    Some(library)
}

fn without_card() -> Option<PathBuf> {
    let library = library()?;
    if has_card() {
        println!("skipped: there is an NVIDIA card here");
        return None;
    }
    Some(library)
}

fn options(library: &Path, provider: Provider) -> Options {
    Options {
        provider,
        library: Some(library.to_owned()),
        ..Options::default()
    }
}

fn open(options: &Options) -> Result<OpenNetwork, Error> {
    let source = ModelSource::Bytes {
        name: "mesh",
        data: MESH,
    };
    inference::onnx::open(source, options, &[])
}

fn points(network: &mut dyn Network, seed: usize) -> Vec<f32> {
    for (at, value) in network.input(0).iter_mut().enumerate() {
        *value = ((at * 31 + seed * 17) % 255) as f32 / 255.0;
    }
    network.run().unwrap();
    network.output(0).to_vec()
}

/// Largest difference of points in a picture of 192 pixels.
fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

/// Why the provider does not run.
fn reason(options: &Options) -> String {
    match open(options) {
        Err(Error::ProviderUnavailable { provider, reason }) => {
            assert_eq!(provider, options.provider.name());
            println!("{provider}: {reason}");
            reason
        }
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("{} runs", options.provider.name()),
    }
}

#[test]
fn without_a_card_a_named_provider_says_what_is_missing() {
    let Some(library) = without_card() else {
        return;
    };
    let cuda = reason(&options(&library, Provider::Cuda));
    // All of NVIDIA's libraries were found beside ONNX Runtime: what is missing is the driver's.
    assert!(cuda.contains("libcuda.so.1"), "{cuda}");
    let tensorrt = reason(&options(&library, Provider::TensorRt));
    assert!(tensorrt.contains("libnvinfer"), "{tensorrt}");
}

#[test]
fn without_a_card_auto_falls_back_and_says_why() {
    let Some(library) = without_card() else {
        return;
    };
    let opened = open(&options(&library, Provider::Auto)).unwrap();
    assert_eq!(opened.active, Provider::Cpu);
    let expected: Vec<_> = opened.fallbacks.iter().map(|f| &f.requested[..]).collect();
    assert_eq!(expected, ["tensorrt", "cuda"]);
    assert!(opened.fallbacks.iter().all(|f| f.reason.contains("lib")));
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
fn without_a_card_the_element_fails_or_warns() {
    let Some(library) = without_card() else {
        return;
    };
    gst::init().unwrap();
    gstlipsync::plugin_register_static().unwrap();
    let element = |provider: &str| {
        let element = gst::ElementFactory::make("lipsync").build().unwrap();
        element.set_property_from_str("execution-provider", provider);
        element.set_property("onnxruntime-library", library.to_str().unwrap());
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        (element, bus)
    };
    let (strict, bus) = element("cuda");
    strict.set_state(gst::State::Ready).unwrap();
    let error = loaded(&bus).unwrap_err();
    assert!(error.matches(gst::LibraryError::Init));
    assert!(error.message().contains("`cuda`"), "{error}");
    strict.set_state(gst::State::Null).unwrap();

    let (auto, bus) = element("auto");
    auto.set_state(gst::State::Ready).unwrap();
    let warnings = loaded(&bus).unwrap();
    let active = auto.property::<Option<String>>("active-execution-provider");
    assert_eq!(active.as_deref(), Some("cpu"));
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    for (provider, text) in ["tensorrt", "cuda"].iter().zip(&warnings) {
        assert!(text.contains(provider), "{text}");
    }
    auto.set_state(gst::State::Null).unwrap();
}

/// A stand-in for the driver's library, enough for the provider to be loaded and to look for a
/// GPU in vain; `None` where that cannot be.
fn driver_without_card() -> Option<()> {
    if !std::env::var("NEXTEST_EXECUTION_MODE").is_ok_and(|mode| mode == "process-per-test") {
        println!("skipped: needs a process of its own, which cargo nextest gives");
        return None;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("driver");
    std::fs::create_dir_all(&folder).unwrap();
    let (code, library) = (folder.join("cuda.c"), folder.join("libcuda.so.1"));
    // CUDA_ERROR_NO_DEVICE.
    std::fs::write(&code, "int cuTensorMapEncodeTiled(void) { return 100; }\n").unwrap();
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o"])
        .args([&library, &code])
        .status();
    if !compiled.is_ok_and(|status| status.success()) {
        println!("skipped: no C compiler");
        return None;
    }
    ort::util::preload_dylib(&library).ok()
}

#[test]
fn options_reach_the_provider_before_any_card_is_asked() {
    let Some(library) = library() else { return };
    if !has_card() && driver_without_card().is_none() {
        return;
    }
    let wrong = |key: &str, value: &str| {
        reason(&Options {
            provider_options: Some(ProviderOptions {
                provider: "cuda".into(),
                values: vec![(key.into(), value.into())],
            }),
            ..options(&library, Provider::Cuda)
        })
    };
    for (key, value) in [
        ("no_such_option", "1"),
        ("use_tf32", "maybe"),
        ("cudnn_conv_algo_search", "LAZY"),
        ("gpu_mem_limit", "plenty"),
        ("device_id", "99"),
    ] {
        let reason = wrong(key, value);
        assert!(reason.contains(key), "{reason}");
    }
    if !has_card() {
        // What the plugin itself sets is understood, and the GPU is what is missing.
        let reason = reason(&options(&library, Provider::Cuda));
        assert!(reason.contains("cudaGetDeviceCount"), "{reason}");
    }
}

#[test]
fn cuda_draws_what_the_cpu_draws() {
    let Some(library) = on_card() else { return };
    let mut cpu = open(&options(&library, Provider::Cpu)).unwrap().network;
    let opened = open(&options(&library, Provider::Cuda)).unwrap();
    assert_eq!(opened.active, Provider::Cuda);
    let mut cuda = opened.network;
    for seed in 0..3 {
        let error = difference(&points(&mut *cuda, seed), &points(&mut *cpu, seed));
        println!("cuda: {error} px");
        assert!(error < 0.01, "{error}");
    }
}

/// Runs are recorded once in each thread and replayed.
fn replayed(library: &Path) -> Options {
    Options {
        provider_options: Some(ProviderOptions {
            provider: "cuda".into(),
            values: vec![("enable_cuda_graph".into(), "1".into())],
        }),
        ..options(library, Provider::Cuda)
    }
}

#[test]
fn a_replayed_run_draws_what_it_is_shown() {
    let Some(library) = on_card() else { return };
    let mut plain = open(&options(&library, Provider::Cuda)).unwrap().network;
    let mut first = open(&replayed(&library)).unwrap().network;
    // Another one's run is recorded and replayed in between.
    let mut second = open(&replayed(&library)).unwrap().network;
    let mut check = |seed: usize| {
        let expected = points(&mut *plain, seed);
        let error = difference(&points(&mut *first, seed), &expected);
        let other = difference(&points(&mut *second, seed + 100), &expected);
        println!("replayed: {error} px; other picture: {other} px");
        assert!(error < 1e-3, "{error}");
        assert!(other > 0.1, "{other}");
    };
    (0..4).for_each(&mut check);
    // In a thread that has not recorded it, and back.
    std::thread::scope(|scope| scope.spawn(|| (4..8).for_each(&mut check)).join().unwrap());
    (8..10).for_each(&mut check);
}

#[test]
fn networks_of_one_session_share_a_card() {
    let Some(library) = on_card() else { return };
    let options = options(&library, Provider::Cuda);
    let first = open(&options).unwrap();
    let expected: Arc<Vec<f32>> = points(&mut *{ first.network }, 1).into();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut network = open(&options).unwrap().network;
                for _ in 0..20 {
                    assert!(difference(&points(&mut *network, 1), &expected) < 1e-3);
                }
            });
        }
    });
}

#[test]
fn the_element_draws_on_a_card() {
    let Some(library) = on_card() else { return };
    gst::init().unwrap();
    gstlipsync::plugin_register_static().unwrap();
    let face = Path::new(env!("CARGO_MANIFEST_DIR")).join("media/young-woman-in-mauve.jpg");
    if !face.exists() {
        println!("skipped: no {}", face.display());
        return;
    }
    for options in ["cuda", "cuda,enable_cuda_graph=1", "cuda,use_tf32=1"] {
        let pipeline = gst::parse::launch(&format!(
            "filesrc location={} ! jpegdec ! imagefreeze num-buffers=20 ! videoconvert \
             ! video/x-raw,format=I420,framerate=25/1 \
             ! lipsync name=l silence=animate execution-provider=cuda provider-options=\"{options}\" \
             onnxruntime-library={} ! fakesink  audiotestsrc num-buffers=100 ! l.audio",
            face.display(),
            library.display()
        ));
        let pipeline = pipeline.unwrap().downcast::<gst::Pipeline>().unwrap();
        let element = pipeline.by_name("l").unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        let message = pipeline.bus().unwrap().timed_pop_filtered(
            gst::ClockTime::from_seconds(60),
            &[gst::MessageType::Eos, gst::MessageType::Error],
        );
        let message = message.expect("it ends");
        assert_eq!(message.type_(), gst::MessageType::Eos, "{message:?}");
        let active = element.property::<Option<String>>("active-execution-provider");
        assert_eq!(active.as_deref(), Some("cuda"));
        let stats = element.property::<gst::Structure>("stats");
        println!("{options}: {stats}");
        assert_eq!(stats.get::<u64>("frames-error").unwrap(), 0, "{stats}");
        assert_eq!(stats.get::<u64>("frames-synced").unwrap(), 20, "{stats}");
        pipeline.set_state(gst::State::Null).unwrap();
    }
}

#[test]
fn tensorrt_keeps_its_engine_and_survives_a_broken_one() {
    let Some(library) = on_card() else { return };
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tensorrt-cache");
    let _ = std::fs::remove_dir_all(&cache);
    let options = Options {
        cache_dir: Some(cache.clone()),
        precision: Precision::Fp16,
        ..options(&library, Provider::TensorRt)
    };
    match open(&options) {
        Ok(opened) => assert_eq!(opened.active, Provider::TensorRt),
        Err(Error::ProviderUnavailable { reason, .. }) if reason.contains("libnvinfer") => {
            println!("skipped: TensorRT is not installed: {reason}");
            return;
        }
        Err(other) => panic!("{other}"),
    }
    let entry = std::fs::read_dir(&cache).unwrap().next().unwrap().unwrap();
    let files = || std::fs::read_dir(entry.path()).unwrap().flatten();
    assert!(files().any(|file| file.path().extension().is_some_and(|e| e == "engine")));
    for file in files() {
        std::fs::write(file.path(), "garbage").unwrap();
    }
    open(&options).unwrap();
    assert!(files().any(|file| file.metadata().unwrap().len() > 1_000));
}
