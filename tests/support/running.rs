//! The engine with its built-in model, and real speech for it.
//!
//! Not every test file uses everything here.
#![allow(dead_code)]

use std::path::Path;

use lipsync_core::{
    Error,
    assembly::Config,
    render::Engine,
    sound::{MONO, SampleFormat, Sound},
};

/// The engine, or `None` with the reason printed where no ONNX Runtime is installed.
pub fn engine() -> Option<Engine> {
    match Engine::new(&Config::default()) {
        Ok((engine, _)) => Some(engine),
        Err(err @ Error::RuntimeMissing { .. }) => {
            println!("skipped: {err}");
            None
        }
        Err(err) => panic!("{err}"),
    }
}

/// The demo's speech without so many seconds at its beginning and at so many dB less, from the start
/// of running time, or `None` with the reason printed.
pub fn speech(without_seconds: usize, softer_db: f32) -> Option<Sound> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("media/speech.wav");
    let Ok(bytes) = std::fs::read(path) else {
        println!("skipped: no media/speech.wav");
        return None;
    };
    const HEADER: usize = 44;
    const SECOND: usize = 32_000;
    Some(whole(
        &bytes[HEADER + without_seconds * SECOND..],
        softer_db,
    ))
}

/// Music without a voice, 6 s at -18 dBFS, softer by so many dB.
pub fn music(softer_db: f32) -> Sound {
    whole(include_bytes!("../data/music.s16le"), softer_db)
}

/// Samples of 16 bit at 16 kHz from running time zero, and nothing after them.
fn whole(bytes: &[u8], softer_db: f32) -> Sound {
    let gain = 10_f32.powf(-softer_db / 20.0);
    let (samples, _) = bytes.as_chunks();
    let softer: Vec<u8> = (samples.iter())
        .map(|&sample| (f32::from(i16::from_le_bytes(sample)) * gain).round() as i16)
        .flat_map(i16::to_le_bytes)
        .collect();
    let mut sound = Sound::new();
    sound
        .configure(SampleFormat::S16, 16_000, MONO)
        .expect("16 kHz mono is usable");
    sound.push(&softer, 0, true);
    sound.finish();
    sound
}
