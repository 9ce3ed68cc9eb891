//! Streaming features: a U-Net that hears what WeNet's encoder makes of the sound, run by ONNX
//! Runtime, on networks whose every value is known beforehand.

use std::path::PathBuf;

use crate::{
    hearing::{hear, speech},
    onnx::{Dim, Linear},
    opening::{opened, refused, write_manifest},
};
use lipsync_core::sound::{BANDS, Sound, Spectrum};

/// As Ultralight has it, but for the four numbers that the stand-in makes of a window.
const ROWS: usize = 8;
const COLUMNS: u64 = 67;
const STEP: i64 = 5;
const BEFORE: i64 = 32;
const LENGTH: usize = 4;
/// What the stand-in picks of a window: column and band.
const PICKS: [[usize; 2]; 2] = [[3, 7], [66, 79]];
const ROW_NS: i64 = 50_000_000;
const SPEECH: &[u8] = include_bytes!("../data/speech.s16le");

fn unet(hears: [u64; 3]) -> Vec<u8> {
    let network = Linear {
        size: 160,
        batch: Dim::Fixed(1),
        names: ["audio", "input", "output"],
        channels: [[0.0; 6]; 3],
        hears,
        window: vec![0.0; 3 * hears.iter().product::<u64>() as usize],
        bias: [0.0; 3],
    };
    network.bytes()
}

fn folder(name: &str) -> PathBuf {
    crate::opening::folder("wenet", name)
}

/// A model folder with a manifest that has these lines.
fn model(name: &str, lines: &str) -> PathBuf {
    let folder = folder(name);
    std::fs::write(folder.join("net.onnx"), unet([8, 1, 4])).expect("a file");
    let encoder = crate::onnx::streaming(COLUMNS, PICKS);
    std::fs::write(folder.join("encoder.onnx"), encoder).expect("a file");
    let encoder = "files.audio-encoder = { path = \"encoder.onnx\", sha256 = \"\" }";
    let sound = "sound.features = \"wenet\"\nsound.rows = 8\nsound.rows-before = 4";
    write_manifest(
        &folder,
        "unet",
        name,
        &format!("{encoder}\n{sound}\n{lines}"),
    );
    folder
}

/// What the stand-in makes of row `row`, caches empty before row 0.
fn expected(whole: &mut Sound, row: i64, carried: bool) -> [f32; LENGTH] {
    let mut pick = |row: i64, [column, band]: [usize; 2]| {
        let mut out = [0.0; BANDS];
        let column = row * STEP - BEFORE + column as i64;
        whole.window(Spectrum::Fbank, column, &mut out, 1);
        out[band]
    };
    let cache = match carried {
        true => (0..row).fold(0.0, |cache, row| 0.5 * cache + pick(row, PICKS[0])),
        false => 0.0,
    };
    // Four numbers in each run count as four steps of its offset.
    let offset = if carried { 100 + 4 * row } else { 100 };
    [
        pick(row, PICKS[0]),
        pick(row, PICKS[1]),
        offset as f32,
        cache,
    ]
}

/// Traps: chunks padded each on its own; caches that start over, or are handed on out of order; an
/// offset that counts something else.
#[test]
fn rows_caches_and_offset_are_those_of_the_whole_sound_whatever_the_chunks() {
    let mut whole = speech();
    whole.push(SPEECH, 0, true);
    let caches = "tensors.caches = { cache = \"next\" }\nsound.look-ahead-ms = 515";
    for (name, lines, carried) in [("plain", "", false), ("carried", caches, true)] {
        let path = model(name, lines);
        for (chunk, frame_ns) in [(160, ROW_NS), (1_024, 40_000_000), (9_999, 33_366_700)] {
            let Some(mut generator) = opened(&path) else {
                return;
            };
            assert_eq!(generator.hearing().look_ahead_ns, 515_000_000);
            let mut sound = speech();
            let mut pieces = SPEECH.chunks(2 * chunk).enumerate();
            let mut time_ns = 0;
            while time_ns < 2_300_000_000 {
                while sound.covered_until() < time_ns + 515_000_000 {
                    let (at, piece) = pieces.next().expect("there is enough sound");
                    sound.push(piece, (at * chunk) as i64 * 62_500, false);
                }
                let features = hear(&mut *generator, &mut sound, time_ns);
                assert_eq!(features.len(), ROWS * LENGTH);
                for (at, found) in features.as_chunks::<LENGTH>().0.iter().enumerate() {
                    let row = time_ns / ROW_NS - 4 + at as i64;
                    let expected = match row {
                        0.. => expected(&mut whole, row, carried),
                        _ => [0.0; LENGTH],
                    };
                    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
                    let worst = worst.fold(0.0, f32::max);
                    assert!(
                        worst < 1e-4,
                        "{name}, {chunk} samples at a time, row {row}: {found:?}, {expected:?}"
                    );
                }
                time_ns += frame_ns;
            }
        }
    }
}

#[test]
fn a_bare_network_is_recognised_with_its_encoder_beside() {
    let folder = folder("bare");
    let path = folder.join("unet.onnx");
    std::fs::write(&path, unet([128, 16, 32])).expect("a file");
    let encoder = folder.join("encoder.onnx");
    let _ = std::fs::remove_file(&encoder);
    let Some(message) = refused(&path) else {
        return;
    };
    assert!(message.contains("`NAME-wenet.onnx`"), "{message}");
    // Four numbers in a row, where the network hears 8192.
    std::fs::write(&encoder, crate::onnx::streaming(COLUMNS, PICKS)).expect("a file");
    let message = refused(&path).expect("it could be told before");
    assert!(
        message.contains("hears has 32 numbers, 8 rows"),
        "{message}"
    );
}

#[test]
fn encoders_that_do_not_fit_are_refused() {
    for (name, lines, expected) in [
        ("window", "sound.window = 60", "fbank [N, 1, 60, 80]"),
        ("integer", "sound.integers.size = 16", "integers size"),
        (
            "cache",
            "tensors.caches = { cache = \"output\" }",
            "of one shape",
        ),
        ("named", "tensors.mel = \"speech\"", "named speech"),
    ] {
        let Some(message) = refused(&model(name, lines)) else {
            return;
        };
        assert!(message.contains(expected), "{message}\nexpected {expected}");
    }
}
