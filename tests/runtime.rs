//! The runtime room against a real ONNX Runtime: loading, every kind of bad model, sharing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use lipsync_core::{
    Error,
    inference::{self, ModelSource, Network, OpenNetwork, Options, Precision, Provider},
};

#[path = "support/onnx.rs"]
mod onnx;

const MESH: &[u8] = include_bytes!("../models/face_mesh.onnx");

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counting what each thread asks of it.
struct Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn bytes(data: &[u8]) -> ModelSource<'_> {
    ModelSource::Bytes { name: "test", data }
}

fn one_thread() -> Options {
    Options {
        intra_threads: 1,
        ..Options::default()
    }
}

fn open(data: &[u8]) -> Result<OpenNetwork, Error> {
    inference::onnx::open(bytes(data), &one_thread(), &[])
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A process has one ONNX Runtime for ever, so some tests need one of their own.
fn has_own_process() -> bool {
    let own = std::env::var("NEXTEST_EXECUTION_MODE").is_ok_and(|m| m == "process-per-test");
    if !own {
        println!("skipped: needs a process of its own, which cargo nextest gives");
    }
    own
}

fn failure(path: &Path) -> String {
    match inference::onnx::load(Some(path), Provider::Cpu) {
        Err(error @ Error::RuntimeMissing { .. }) => error.to_string(),
        Err(other) => panic!("another error: {other}"),
        Ok(runtime) => panic!("{} was loaded", runtime.path().display()),
    }
}

/// Compiles a stand-in for the library; `None` where there is no C compiler.
fn stand_in(name: &str, source: &str) -> Option<PathBuf> {
    let folder = folder("stand-in");
    let (code, library) = (
        folder.join(format!("{name}.c")),
        folder.join(format!("lib{name}.so")),
    );
    fs::write(&code, source).unwrap();
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &code])
        .status();
    if !compiled.is_ok_and(|status| status.success()) {
        println!("skipped: no C compiler");
        return None;
    }
    Some(library)
}

#[test]
fn finds_the_library_of_the_setup_folder() {
    let runtime = inference::onnx::load(None, Provider::Cpu)
        .expect("`cargo xtask setup` provides ONNX Runtime");
    assert!(runtime.path().is_file(), "{:?}", runtime.path());
    assert!(runtime.version().starts_with("1."), "{}", runtime.version());
    let again = inference::onnx::load(Some(runtime.path()), Provider::Cpu).unwrap();
    assert!(std::ptr::eq(runtime, again));
    println!("ONNX Runtime {} at {:?}", runtime.version(), runtime.path());
}

#[test]
fn a_second_library_in_a_process_is_refused() {
    inference::onnx::load(None, Provider::Cpu).unwrap();
    let text = failure(Path::new("/usr/lib/other/libonnxruntime.so"));
    assert!(text.contains("already runs"), "{text}");
}

#[test]
fn a_path_that_does_not_exist_is_named() {
    let text = failure(Path::new("/nowhere/libonnxruntime.so"));
    assert!(text.contains("/nowhere/libonnxruntime.so"), "{text}");
    assert!(text.contains("onnxruntime-library"), "{text}");
    assert!(text.contains("1.17 or newer"), "{text}");
}

#[test]
fn the_loaders_own_reason_is_told() {
    if !has_own_process() {
        return;
    }
    let file = folder("not-a-library").join("libonnxruntime.so");
    fs::write(&file, "This is not a library. ".repeat(1000)).unwrap();
    let text = failure(&file);
    assert!(text.contains("invalid ELF header"), "{text}");
    let text = failure(file.parent().unwrap());
    assert!(text.contains("directory"), "{text}");
    // Another attempt may succeed.
    inference::onnx::load(None, Provider::Cpu).expect("`cargo xtask setup` provides ONNX Runtime");
}

#[test]
fn a_library_that_is_something_else_is_told_apart() {
    if !has_own_process() {
        return;
    }
    let Some(library) = stand_in("other", "int nothing;") else {
        return;
    };
    let text = failure(&library);
    assert!(text.contains("no OrtGetApiBase"), "{text}");
}

#[test]
fn a_library_that_is_too_old_is_refused_with_both_versions() {
    if !has_own_process() {
        return;
    }
    let source = r#"
        static const void *api(unsigned v) { (void)v; return 0; }
        static const char *version(void) { return "1.10.0"; }
        static struct { const void *(*api)(unsigned); const char *(*version)(void); } base = { api, version };
        void *OrtGetApiBase(void) { return &base; }
    "#;
    let Some(library) = stand_in("old", source) else {
        return;
    };
    let text = failure(&library);
    assert!(text.contains("ONNX Runtime 1.10.0"), "{text}");
    assert!(text.contains("1.17 or newer"), "{text}");
}

#[test]
fn a_library_that_breaks_its_promise_does_not_panic() {
    if !has_own_process() {
        return;
    }
    let source = r#"
        static const void *api(unsigned v) { (void)v; return 0; }
        static const char *version(void) { return "1.99.0"; }
        static struct { const void *(*api)(unsigned); const char *(*version)(void); } base = { api, version };
        void *OrtGetApiBase(void) { return &base; }
    "#;
    let Some(library) = stand_in("liar", source) else {
        return;
    };
    assert!(failure(&library).contains("not a working ONNX Runtime"));
    assert!(failure(&library).contains("not a working ONNX Runtime"));
}

#[test]
fn the_cpu_is_what_auto_and_cpu_run_on() {
    inference::onnx::load(None, Provider::Cpu).unwrap();
    for provider in [Provider::Auto, Provider::Cpu] {
        let options = Options {
            provider,
            ..one_thread()
        };
        let opened = inference::onnx::open(bytes(MESH), &options, &[]).unwrap();
        assert_eq!(opened.active, Provider::Cpu);
        println!("{}: {:?}", provider.name(), opened.fallbacks);
    }
}

#[test]
fn a_provider_that_cannot_run_is_an_error() {
    inference::onnx::load(None, Provider::Cpu).unwrap();
    for provider in [Provider::Cuda, Provider::TensorRt, Provider::OpenVino] {
        let options = Options {
            provider,
            ..one_thread()
        };
        match inference::onnx::open(bytes(MESH), &options, &[]) {
            Err(Error::ProviderUnavailable {
                provider: name,
                reason,
            }) => {
                assert_eq!(name, provider.name());
                assert!(!reason.is_empty());
                println!("{name}: {reason}");
            }
            Err(other) => panic!("another error: {other}"),
            Ok(_) => panic!("{} ran", provider.name()),
        }
    }
}

#[test]
fn less_precision_than_the_cpu_has_is_refused() {
    inference::onnx::load(None, Provider::Cpu).unwrap();
    for provider in [Provider::Auto, Provider::Cpu] {
        let options = Options {
            provider,
            precision: Precision::Bf16,
            ..one_thread()
        };
        match inference::onnx::open(bytes(MESH), &options, &[]) {
            Err(Error::ProviderUnavailable {
                provider: name,
                reason,
            }) => {
                assert_eq!(name, provider.name());
                assert!(reason.contains("bf16"), "{reason}");
            }
            Err(other) => panic!("another error: {other}"),
            Ok(_) => panic!("it ran"),
        }
    }
}

#[test]
fn shapes_are_those_of_the_model() {
    let network = open(MESH).unwrap().network;
    let shapes = |infos: &[inference::TensorInfo]| {
        let pairs = infos.iter().map(|i| (i.name.clone(), i.shape.clone()));
        pairs.collect::<Vec<_>>()
    };
    assert_eq!(
        shapes(network.inputs()),
        [("image".to_string(), vec![1, 3, 192, 192])]
    );
    assert_eq!(
        shapes(network.outputs()),
        [
            ("points".to_string(), vec![1, 468, 3]),
            ("score".to_string(), vec![1])
        ]
    );
    assert_eq!(network.name(), "test");
}

#[test]
fn open_dimensions_become_one_or_what_is_asked() {
    let model = onnx::doubling(
        onnx::FLOAT,
        &[onnx::Dim::Open("batch"), onnx::Dim::Fixed(3)],
    );
    let network = open(&model).unwrap().network;
    assert_eq!(network.inputs()[0].shape, [1, 3]);
    assert_eq!(network.outputs()[0].shape, [1, 3]);
    let shapes: &[(&str, &[usize])] = &[("x", &[4, 3])];
    let mut network = inference::onnx::open(bytes(&model), &one_thread(), shapes)
        .unwrap()
        .network;
    assert_eq!(network.outputs()[0].shape, [4, 3]);
    network.input(0).copy_from_slice(&[1.5; 12]);
    network.run().unwrap();
    assert_eq!(network.output(0), [3.0; 12]);
}

#[test]
fn shapes_that_contradict_the_model_are_refused() {
    let model = onnx::doubling(
        onnx::FLOAT,
        &[onnx::Dim::Open("batch"), onnx::Dim::Fixed(3)],
    );
    let wrong: [(&str, &[usize]); 4] = [
        ("x", &[1, 4]),
        ("x", &[1, 3, 1]),
        ("nothing", &[1, 3]),
        ("x", &[usize::MAX, 3]),
    ];
    for shape in wrong {
        match inference::onnx::open(bytes(&model), &one_thread(), &[shape]) {
            Err(Error::ModelMismatch {
                found, expected, ..
            }) => {
                assert!(found.contains('x'), "{found}");
                assert!(expected.contains(shape.0), "{expected}");
            }
            Err(other) => panic!("another error: {other}"),
            Ok(_) => panic!("{shape:?} was accepted"),
        }
    }
}

#[test]
fn tensors_of_another_type_are_refused_with_their_names() {
    let model = onnx::doubling(onnx::INT64, &[onnx::Dim::Fixed(2)]);
    match open(&model) {
        Err(Error::ModelMismatch {
            found, expected, ..
        }) => {
            assert!(found.contains('x') && found.contains("i64"), "{found}");
            assert!(expected.contains("f32"), "{expected}");
        }
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it was accepted"),
    }
}

/// What is filled and read is 32-bit floats whatever the model has.
#[test]
fn floats_of_other_sizes_are_cast() {
    for (numbers, rounded) in [
        // The nearest of 11 and of 53 binary digits, twice.
        (onnx::FLOAT16, 0.199_951_17),
        (onnx::DOUBLE, 0.2),
    ] {
        let mut network = open(&onnx::doubling(numbers, &[onnx::Dim::Fixed(4)]))
            .unwrap()
            .network;
        assert_eq!(network.inputs()[0].element, inference::Element::F32);
        assert_eq!(network.outputs()[0].element, inference::Element::F32);
        assert_eq!(network.input(0), [0.0; 4]);
        for _ in 0..2 {
            network.input(0).copy_from_slice(&[0.1, -1.5, 1e4, 0.0]);
            network.run().unwrap();
            assert_eq!(network.output(0), [rounded, -3.0, 2e4, 0.0]);
        }
        let before = ALLOCATIONS.get();
        network.run().unwrap();
        assert_eq!(ALLOCATIONS.get() - before, 0);
    }
}

#[test]
fn a_dimension_of_0_in_a_shape_is_the_models() {
    let open = [
        onnx::Dim::Open("batch"),
        onnx::Dim::Fixed(3),
        onnx::Dim::Open("width"),
    ];
    let model = onnx::doubling(onnx::FLOAT, &open);
    let shapes: &[(&str, &[usize])] = &[("x", &[0, 0, 5])];
    let options = Options {
        batch: 2,
        ..one_thread()
    };
    let network = inference::onnx::open(bytes(&model), &options, shapes)
        .unwrap()
        .network;
    assert_eq!(network.outputs()[0].shape, [2, 3, 5]);
}

#[test]
fn a_tensor_of_absurd_size_is_refused() {
    let model = onnx::doubling(onnx::FLOAT, &[onnx::Dim::Fixed(1 << 40)]);
    assert!(matches!(open(&model), Err(Error::ModelMismatch { .. })));
}

#[test]
fn models_that_are_not_there_are_not_found() {
    for path in ["/nowhere/model.onnx", "/dev/null/model.onnx"] {
        match inference::onnx::open(ModelSource::File(Path::new(path)), &one_thread(), &[]) {
            Err(Error::ModelNotFound {
                path: found,
                reason,
            }) => {
                assert_eq!(found, Path::new(path));
                assert!(!reason.is_empty());
            }
            Err(other) => panic!("another error: {other}"),
            Ok(_) => panic!("{path} was opened"),
        }
    }
}

#[test]
fn models_that_are_no_models_are_unreadable() {
    let folder = folder("bad-models");
    let random: Vec<u8> = (0..50_000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let files = [
        ("empty.onnx", Vec::new()),
        ("random.onnx", random),
        ("text.onnx", b"<html>404 Not Found</html>".to_vec()),
        ("one-byte.onnx", vec![8]),
        ("cut.onnx", MESH[..MESH.len() / 2].to_vec()),
        ("nearly.onnx", MESH[..MESH.len() - 1].to_vec()),
    ];
    let mut paths = vec![folder.clone(), PathBuf::from("/dev/zero")];
    for (name, data) in files {
        let path = folder.join(name);
        fs::write(&path, data).unwrap();
        paths.push(path);
    }
    for path in paths {
        match inference::onnx::open(ModelSource::File(&path), &one_thread(), &[]) {
            Err(Error::ModelUnreadable {
                path: found,
                reason,
            }) => {
                assert_eq!(found, path);
                assert!(!reason.is_empty());
                println!("{}: {reason}", path.file_name().unwrap().display());
            }
            Err(other) => panic!("{}: another error: {other}", path.display()),
            Ok(_) => panic!("{} was opened", path.display()),
        }
    }
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let path = folder("bad-models").join("huge.onnx");
    let file = fs::File::create(&path).unwrap();
    // Sparse: takes no room on the disk.
    file.set_len((2 << 30) + 1).unwrap();
    let result = inference::onnx::open(ModelSource::File(&path), &one_thread(), &[]);
    fs::remove_file(&path).unwrap();
    match result {
        Err(Error::ModelUnreadable { reason, .. }) => assert!(reason.contains("2 GiB"), "{reason}"),
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it was opened"),
    }
}

/// Fills the mesh network's input with a pattern that depends on `seed`, runs it, returns points.
fn run(network: &mut dyn Network, seed: usize) -> Vec<f32> {
    for (i, value) in network.input(0).iter_mut().enumerate() {
        *value = ((i * 31 + seed * 17) % 255) as f32 / 255.0;
    }
    network.run().unwrap();
    network.output(0).to_vec()
}

#[test]
fn networks_of_one_session_have_tensors_of_their_own() {
    let mut first = open(MESH).unwrap().network;
    let mut second = open(MESH).unwrap().network;
    let expected = [run(&mut *first, 1), run(&mut *second, 2)];
    assert_ne!(expected[0], expected[1]);
    assert_eq!(first.output(0), expected[0]);
    assert_eq!(run(&mut *second, 1), expected[0]);
}

#[test]
fn networks_of_one_session_run_at_the_same_time() {
    let expected: Vec<_> = (0..3)
        .map(|seed| run(&mut *open(MESH).unwrap().network, seed))
        .collect();
    std::thread::scope(|scope| {
        for (seed, expected) in expected.iter().enumerate() {
            let mut network = open(MESH).unwrap().network;
            scope.spawn(move || {
                for _ in 0..20 {
                    assert_eq!(run(&mut *network, seed), *expected);
                }
            });
        }
    });
}

#[test]
fn a_run_allocates_nothing() {
    let mut network = open(MESH).unwrap().network;
    let before = ALLOCATIONS.get();
    for i in 0..10 {
        network.input(0).fill(i as f32 / 10.0);
        network.run().unwrap();
        assert_eq!(network.output(1).len(), 1);
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
}

#[test]
fn messages_go_to_the_listener() {
    static HEARD: AtomicUsize = AtomicUsize::new(0);
    inference::onnx::set_log_sink(|level, text| {
        assert!(level >= inference::onnx::Level::Verbose && !text.is_empty());
        HEARD.fetch_add(1, Ordering::Relaxed);
    });
    inference::onnx::set_log_level(inference::onnx::Level::Verbose);
    let options = Options {
        intra_threads: 2,
        ..Options::default()
    };
    inference::onnx::open(bytes(MESH), &options, &[]).unwrap();
    assert!(HEARD.load(Ordering::Relaxed) > 0);
    inference::onnx::set_log_level(inference::onnx::Level::Warning);
}
