//! Features of HuBERT, by the architecture itself with random weights (`tests/data/README.md`), against what
//! transformers makes of the whole recording.

use std::path::{Path, PathBuf};

use crate::{
    hearing,
    onnx::{Dim, Linear},
    opening::{opened, refused, write_manifest},
};

const ENCODER: &[u8] = include_bytes!("../data/hubert_tiny.onnx");
/// `[148, 16]`, of all of [`SPEECH`].
const ROWS: &[u8] = include_bytes!("../data/hubert_tiny.f32le");
const SPEECH: &[u8] = include_bytes!("../data/speech.s16le");
/// Numbers in a row of the encoder.
const WIDTH: usize = 16;
/// Ultralight's: rows of the encoder that a frame hears, and frames before it.
const HEARD: usize = 16;
const BEFORE: i64 = 4;
const FRAME_NS: i64 = 40_000_000;
const ULTRALIGHT: &str = "sound.rows = 8\nsound.rows-before = 4";
/// All of the recording is before or after.
const WHOLE: &str = "sound.past-ms = 4000\nsound.future-ms = 4000";

fn folder(name: &str) -> PathBuf {
    crate::opening::folder("hubert", name)
}

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

pub fn model(name: &str, lines: &str) -> PathBuf {
    let folder = folder(name);
    std::fs::write(folder.join("net.onnx"), unet([16, 4, 4])).expect("a file");
    std::fs::write(folder.join("hubert.onnx"), ENCODER).expect("a file");
    let encoder = "files.audio-encoder = { path = \"hubert.onnx\", sha256 = \"\" }";
    let lines = format!("{encoder}\nsound.features = \"hubert\"\n{ULTRALIGHT}\n{lines}");
    write_manifest(&folder, "unet", name, &lines);
    folder
}

/// What the first frames hear, of sound that comes as late as it may, in pieces of so many samples.
fn streamed(path: &Path, chunk: usize, frames: i64) -> Option<Vec<Vec<f32>>> {
    let mut generator = opened(path)?;
    let mut sound = hearing::speech();
    let mut chunks = SPEECH.chunks(2 * chunk).enumerate();
    let mut hear = |frame: i64| {
        let hearing = generator.hearing();
        let until_ns = frame * FRAME_NS + hearing.look_ahead_ns;
        while sound.covered_until() < until_ns {
            match chunks.next() {
                Some((at, piece)) => sound.push(piece, (at * chunk) as i64 * 62_500, false),
                None => sound.finish(),
            }
        }
        hearing::hear(&mut *generator, &mut sound, frame * FRAME_NS)
    };
    Some((0..frames).map(&mut hear).collect())
}

fn rows() -> Vec<[f32; WIDTH]> {
    let (numbers, _) = ROWS.as_chunks::<4>();
    let numbers: Vec<f32> = numbers.iter().map(|v| f32::from_le_bytes(*v)).collect();
    numbers.as_chunks::<WIDTH>().0.to_vec()
}

/// What the original hears in a frame: zeros beyond the ends.
fn expected(rows: &[[f32; WIDTH]], frame: i64) -> Vec<f32> {
    let first = 2 * (frame - BEFORE);
    let row = |at: i64| usize::try_from(at).ok().and_then(|at| rows.get(at));
    (first..first + HEARD as i64)
        .flat_map(|at| row(at).copied().unwrap_or_default())
        .collect()
}

/// Root mean square of the differences, as a share of how much the rows change over time.
fn error(found: &[Vec<f32>], rows: &[[f32; WIDTH]]) -> f32 {
    let mean: [f32; WIDTH] =
        std::array::from_fn(|at| rows.iter().map(|row| row[at]).sum::<f32>() / rows.len() as f32);
    let change = rows.iter().flat_map(|row| row.iter().zip(mean));
    let change = change.map(|(a, b)| (a - b).powi(2)).sum::<f32>() / (rows.len() * WIDTH) as f32;
    let frames = found.iter().enumerate();
    let difference = frames.flat_map(|(frame, found)| {
        let expected = expected(rows, frame as i64);
        found
            .clone()
            .into_iter()
            .zip(expected)
            .map(|(a, b)| (a - b).powi(2))
    });
    let count = (found.len() * HEARD * WIDTH) as f32;
    (difference.sum::<f32>() / count / change).sqrt()
}

/// Traps: the recording's own level; 16 rows of one frame and not two each of eight; a last row
/// without its pair; a piece's ends as silence.
#[test]
fn with_all_of_the_recording_rows_are_those_of_transformers() {
    let rows = rows();
    assert_eq!(rows.len(), (SPEECH.len() / 2 - 80) / 320);
    for chunk in [160, 7_919] {
        let Some(found) = streamed(&model("whole", WHOLE), chunk, 80) else {
            return;
        };
        for (frame, found) in found.iter().enumerate() {
            let expected = expected(&rows, frame as i64);
            let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
            let worst = worst.fold(0.0, f32::max);
            assert!(worst < 1e-3, "{chunk} samples, frame {frame}: {worst}");
        }
    }
}

/// The error that is stated for a look-ahead is the one that there is, and falls as that grows.
#[test]
fn rows_come_closer_to_the_recordings_the_more_is_heard() {
    let rows = rows();
    let mut errors = Vec::new();
    for (past, future) in [(200, 0), (1_000, 200), (2_000, 500), (2_000, 2_000)] {
        let lines = format!("sound.past-ms = {past}\nsound.future-ms = {future}");
        let path = model(&format!("{past}-{future}"), &lines);
        let Some(found) = streamed(&path, 160, 75) else {
            return;
        };
        errors.push(error(&found, &rows));
        println!(
            "{past} ms before, {future} ms after: {}",
            error(&found, &rows)
        );
    }
    assert!(errors.is_sorted_by(|a, b| a > b), "{errors:?}");
    assert!(errors[0] > 0.1 && errors[3] < 0.1, "{errors:?}");
}

#[test]
fn a_bare_network_is_recognised_with_hubert_beside() {
    for (name, channels) in [("ultralight", 16), ("synctalk", 32)] {
        let folder = folder(name);
        let path = folder.join("net.onnx");
        std::fs::write(&path, unet([channels, 32, 32])).expect("a file");
        let encoder = folder.join("net-hubert.onnx");
        let _ = std::fs::remove_file(&encoder);
        let Some(message) = refused(&path) else {
            return;
        };
        for expected in ["`NAME-hubert.onnx`", "training/export_hubert.py"] {
            assert!(message.contains(expected), "{message}");
        }
        std::fs::write(&encoder, ENCODER).expect("a file");
        let message = refused(&path).expect("it could be told before");
        // 16 numbers in a row, where the network hears 1024.
        let numbers = format!("hears has {} numbers", channels as usize * WIDTH);
        assert!(message.contains(&numbers), "{message}");
    }
}

#[test]
fn an_encoder_that_is_none_is_refused() {
    let path = model("other", "tensors.features = \"rows\"");
    let Some(message) = refused(&path) else {
        return;
    };
    assert!(message.contains("training/export_hubert.py"), "{message}");
    std::fs::write(
        path.join("hubert.onnx"),
        crate::onnx::encoder(["m", "f"], 512),
    )
    .expect("a file");
    let message = refused(&path).expect("it could be told before");
    assert!(message.contains("samples [1, 43280]"), "{message}");
}
