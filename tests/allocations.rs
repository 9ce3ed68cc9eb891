//! The steady state takes no memory: counts every allocation of the Rust side per frame.

#[path = "support/common.rs"]
mod common;
#[path = "support/onnx.rs"]
mod onnx;
#[path = "support/picture.rs"]
mod picture;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use common::{PATIENCE, Running};
use gst::prelude::*;
use gst_controller::{
    DirectControlBinding, InterpolationControlSource, InterpolationMode, prelude::*,
};
use lipsync_core::{
    assembly::Config,
    catalogue::Source,
    inference::Options,
    render::{Controls, Engine, Networks, Outcome},
    sound::{Position, SampleFormat, Sound},
};
use onnx::{Dim, Linear};
use picture::Picture;

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const FRAME_NS: i64 = 40_000_000;
const SAMPLES_PER_FRAME: usize = 48_000 / 25;
/// So many frames are counted, after others in which memory is taken, faces found twice and sound
/// forgotten.
const WARM: usize = 30;
const COUNTED: usize = 50;

/// Where the networks run, and on how many frames.
#[derive(Clone, Copy, Debug)]
enum Way {
    Here,
    OwnThread,
    AtOnce(usize),
}

/// A model of the family `unet` whose networks are linear.
fn unet(kind: &str, batch: Dim) -> PathBuf {
    let takes = match batch {
        Dim::Fixed(_) => "one",
        Dim::Open(_) => "any",
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("allocations")
        .join(format!("{kind}-{takes}"));
    std::fs::create_dir_all(&folder).expect("a folder to write to");
    let network = Linear {
        size: 64,
        batch,
        names: ["audio", "input", "output"],
        channels: [[0.15; 6]; 3],
        hears: [32, 16, 16],
        window: vec![1e-5; 3 * 32 * 16 * 16],
        bias: [0.0; 3],
    };
    let encoder = onnx::encoder(["mel", "features"], 512);
    std::fs::write(folder.join("net.onnx"), network.bytes()).expect("a file");
    std::fs::write(folder.join("ave.onnx"), encoder).expect("a file");
    let manifest = format!(
        "version = 1\nfamily = \"unet\"\nname = \"linear\"\nlicence = \"MPL-2.0\"\n\
         source = \"a test\"\nfiles.generator = {{ path = \"net.onnx\", sha256 = \"\" }}\n\
         files.audio-encoder = {{ path = \"ave.onnx\", sha256 = \"\" }}\n\
         blend.kind = \"{kind}\"\n"
    );
    std::fs::write(folder.join("manifest.toml"), manifest).expect("a file");
    folder
}

// One test in this binary: another one running beside it would be counted too.
#[test]
fn the_steady_state_allocates_nothing() {
    assert_eq!(count_under_curves(), 0, "in {COUNTED} frames");
    let Some(picture) = Picture::load("young-woman-in-mauve.jpg") else {
        return;
    };
    let runtime = std::env::var_os("ORT_DYLIB_PATH").is_some()
        || Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(".setup/onnxruntime")
            .is_dir();
    if !runtime {
        println!("skipped: no ONNX Runtime; `cargo xtask setup` provides it");
        return;
    }
    for (generator, way) in [
        (Source::BuiltIn, Way::OwnThread),
        (Source::BuiltIn, Way::AtOnce(4)),
        (Source::Path(unet("reference", Dim::Fixed(1))), Way::Here),
        (Source::Path(unet("soft", Dim::Open("N"))), Way::AtOnce(3)),
    ] {
        let allocations = count(&generator, way, picture.clone());
        assert_eq!(
            allocations, 0,
            "in {COUNTED} frames of {generator:?}, {way:?}"
        );
    }
}

/// Of an element whose strength and feather follow curves: the least of several stretches of frames.
/// When the next frame comes while one is being drawn, for the first time, memory is taken for two.
/// A pipeline does not tell when that is.
fn count_under_curves() -> usize {
    const STRETCHES: usize = 4;
    let pipeline = Running::launch(
        "videotestsrc num-buffers=250 ! video/x-raw,format=GRAY8,framerate=25/1 ! lipsync name=l
             ! fakesink name=sink
         audiotestsrc num-buffers=500 ! audio/x-raw,rate=48000 ! l.audio",
    );
    let element = pipeline.by_name("l").unwrap();
    for property in ["strength", "feather"] {
        let source = InterpolationControlSource::new();
        source.set_mode(InterpolationMode::Linear);
        assert!(source.set(gst::ClockTime::ZERO, 0.2));
        assert!(source.set(10 * gst::ClockTime::SECOND, 1.0));
        let binding = DirectControlBinding::new_absolute(&element, property, &source);
        element.add_control_binding(&binding).unwrap();
    }
    let sink = pipeline.by_name("sink").unwrap().static_pad("sink");
    let counts = <Arc<[AtomicUsize; STRETCHES + 1]>>::default();
    let (frames, at) = (AtomicUsize::new(0), counts.clone());
    sink.unwrap()
        .add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            let so_far = ALLOCATIONS.load(Ordering::Relaxed);
            let after = frames.fetch_add(1, Ordering::Relaxed).checked_sub(WARM);
            if let Some(after) = after
                && after.is_multiple_of(COUNTED)
                && let Some(count) = at.get(after / COUNTED)
            {
                count.store(so_far, Ordering::Relaxed);
            }
            gst::PadProbeReturn::Ok
        });
    pipeline.set_state(gst::State::Playing).unwrap();
    let patience = gst::ClockTime::try_from(PATIENCE).unwrap();
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let end = pipeline.bus().unwrap().timed_pop_filtered(patience, &ends);
    assert_eq!(end.unwrap().type_(), gst::MessageType::Eos);
    let strength: f64 = element.property("strength");
    assert!(strength > 0.9, "the curve ends at {strength}");
    let counts = counts.each_ref().map(|count| count.load(Ordering::Relaxed));
    assert!(counts[0] > 0);
    let stretches = counts.windows(2).map(|ends| ends[1] - ends[0]);
    stretches.min().expect("several stretches")
}

/// Of an engine, with another strength and feather each time.
fn count(generator: &Source, way: Way, mut picture: Picture) -> usize {
    let at_once = match way {
        Way::AtOnce(frames) => frames,
        Way::Here | Way::OwnThread => 1,
    };
    let config = Config {
        generator: generator.clone(),
        runtime: Options {
            batch: at_once,
            // More would wait for each other on a busy machine.
            intra_threads: 1,
            ..Options::default()
        },
        ..Config::default()
    };
    let (mut engine, _) = Engine::new(&config).expect("the model opens");
    let mut sound = Sound::new();
    sound
        .configure(
            SampleFormat::F32,
            48_000,
            &[Position::Left, Position::Right],
        )
        .expect("48 kHz stereo is usable");
    // A hum with syllables: loud enough to be taken for speech, different in every frame.
    let mut phase = 0_f32;
    let mut buffer = vec![0_u8; SAMPLES_PER_FRAME * 2 * 4];
    let mut hum = |frame: i64, sound: &mut Sound| {
        for pair in buffer.chunks_exact_mut(8) {
            phase += 0.02;
            let value = 0.3 * phase.sin() * (phase * 0.003).sin();
            pair[..4].copy_from_slice(&value.to_le_bytes());
            pair[4..].copy_from_slice(&value.to_le_bytes());
        }
        sound.push(&buffer, frame * FRAME_NS, false);
    };

    let original = picture.data.clone();
    let mut turn = |turn: i64, engine: &mut Engine, sound: &mut Sound| {
        let frames = turn * at_once as i64..(turn + 1) * at_once as i64;
        for frame in frames.clone() {
            hum(frame + 12, sound);
        }
        // Mouths drawn on drawn mouths would wear the face away until it is lost.
        picture.data.copy_from_slice(&original);
        let first_ns = frames.start * FRAME_NS;
        let share = (turn % 20) as f32 / 20.0;
        let controls = Controls {
            strength: 0.5 + share,
            feather: share,
            ..Controls::default()
        };
        let view = &mut picture.view();
        let mut outcome = Outcome::Bypassed;
        if let Way::Here = way {
            let drawn = engine.process(view, first_ns, sound, &[], &controls);
            outcome = drawn.expect("inference works");
        } else {
            for time_ns in frames.clone().map(|frame| frame * FRAME_NS) {
                let tracked = engine.track(view, time_ns, &[], &controls);
                tracked.expect("inference works");
                let begun = engine.begin(view, time_ns, sound, &controls, Networks::Draw);
                begun.expect("inference works");
            }
            if let Way::OwnThread = way {
                engine.submit();
            }
            for _ in frames.clone() {
                outcome = engine.finish(view, None).expect("inference works");
            }
        }
        sound.forget_before((frames.start - 25) * FRAME_NS);
        outcome
    };
    let [warm, counted] = [WARM, COUNTED].map(|frames| (frames / at_once) as i64);
    for i in 0..warm {
        turn(i, &mut engine, &mut sound);
    }
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let mut synced = 0;
    for i in warm..warm + counted {
        synced += i64::from(turn(i, &mut engine, &mut sound) == Outcome::Synced);
    }
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    assert!(2 * synced > counted, "{synced} of {counted} were drawn");
    allocations
}
