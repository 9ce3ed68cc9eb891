//! The steady state takes no memory: counts every allocation of the Rust side per frame.

mod picture;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use gstlipsync::{
    engine::{Config, Controls, Engine, Outcome},
    sound::{SampleFormat, Sound},
};
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

// One test in this binary: another one running beside it would be counted too.
#[test]
fn the_steady_state_allocates_nothing() {
    let Some(mut picture) = Picture::load("young-woman-in-mauve.jpg") else {
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
    let (mut engine, _) = Engine::new(&Config::default()).expect("the built-in model opens");
    let mut sound = Sound::new();
    sound
        .configure(SampleFormat::F32, 48_000, 2)
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
    let mut frame = |frame: i64, engine: &mut Engine, sound: &mut Sound| {
        hum(frame + 8, sound);
        // Mouths drawn on drawn mouths would wear the face away until it is lost.
        picture.data.copy_from_slice(&original);
        let outcome = engine.process(
            &mut picture.view(),
            frame * FRAME_NS,
            sound,
            &[],
            &Controls::default(),
        );
        sound.forget_before((frame - 25) * FRAME_NS);
        outcome.expect("inference works")
    };
    const WARM: i64 = 100;
    for i in 0..WARM {
        frame(i, &mut engine, &mut sound);
    }
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let mut synced = 0;
    for i in WARM..WARM + 50 {
        synced += usize::from(frame(i, &mut engine, &mut sound) == Outcome::Synced);
    }
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    assert!(synced > 25, "{synced} of 50 frames were drawn");
    assert_eq!(allocations, 0, "in 50 frames");
}
