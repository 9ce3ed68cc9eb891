//! Pieces against the original's table of the whole recording, with an encoder whose rows tell what
//! they were made of.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::*;
use crate::{
    families::redraw::recipe::{HUBERT_SPAN, ROW_HOP},
    inference::{Element, TensorInfo},
    sound::{BANDS, MONO, RATE, SampleFormat, Sound as Stream, Spectrum},
};

/// Past, step and future.
const PLAN: &str = "past-ms = 300\nstep-ms = 160\nfuture-ms = 80";
const PAST: i64 = 15;
const STEP: i64 = 8;
const FUTURE: i64 = 4;
const ROWS: usize = (PAST + STEP + FUTURE) as usize;
const ULTRALIGHT: &str = "rows = 8\nrows-before = 4";
const SYNCTALK: &str = "rows = 16\nrows-before = 8";
const WIDTH: usize = 3;

/// Of each row: what its samples are to each other, whatever their level, and how many rows are
/// known before and after it.
struct Telling {
    samples: Vec<f32>,
    known: Vec<f32>,
    rows: Vec<f32>,
    inputs: [TensorInfo; 2],
    outputs: [TensorInfo; 1],
    runs: Arc<AtomicUsize>,
}

fn telling(runs: &Arc<AtomicUsize>) -> Box<dyn Network> {
    let info = |name: &str, shape: &[usize]| TensorInfo {
        name: name.into(),
        element: Element::F32,
        shape: shape.into(),
    };
    let samples = (ROWS - 1) * ROW_HOP as usize + HUBERT_SPAN;
    Box::new(Telling {
        samples: vec![0.0; samples],
        known: vec![0.0; ROWS],
        rows: vec![0.0; ROWS * WIDTH],
        inputs: [info("samples", &[1, samples]), info("known", &[1, ROWS])],
        outputs: [info("features", &[1, ROWS, WIDTH])],
        runs: runs.clone(),
    })
}

fn told(samples: &[f32]) -> f32 {
    let [first, second] = [[3, 250], [77, 399]].map(|[a, b]| samples[a] - samples[b]);
    match first.abs() + second.abs() {
        0.0 => 0.0,
        sum => first / sum,
    }
}

impl Network for Telling {
    fn name(&self) -> &str {
        "telling"
    }

    fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    fn input(&mut self, index: usize) -> &mut [f32] {
        match index {
            0 => &mut self.samples,
            _ => &mut self.known,
        }
    }

    fn set_integer(&mut self, _index: usize, _value: i64) {}

    fn run(&mut self) -> Result<(), Error> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        for (at, row) in self.rows.as_chunks_mut::<WIDTH>().0.iter_mut().enumerate() {
            let samples = &self.samples[at * ROW_HOP as usize..][..HUBERT_SPAN];
            let before = self.known[..at].iter().sum();
            let after = self.known[at + 1..].iter().sum();
            *row = [told(samples), before, after];
        }
        Ok(())
    }

    fn output(&self, _index: usize) -> &[f32] {
        &self.rows
    }
}

fn pieces(runs: &Arc<AtomicUsize>, window: &str) -> (Pieces, Sound) {
    let lines = format!("features = \"hubert\"\n{PLAN}\n{window}");
    let sound: Sound = toml::from_str(&lines).expect("a good table");
    sound.check().expect("a good table");
    let plan = sound.pieces().expect("it is heard in pieces");
    let pieces = Pieces::open(telling(runs), &Tensors::default(), &sound, plan);
    runs.store(0, Ordering::Relaxed);
    (pieces.expect("an encoder"), sound)
}

fn noise(samples: usize) -> Vec<i16> {
    let mut random = fastrand::Rng::with_seed(1);
    let sample = |_| random.i16(-8_192..8_192);
    (0..samples).map(sample).collect()
}

fn bytes(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn stream() -> Stream {
    let mut stream = Stream::new();
    stream
        .configure(SampleFormat::S16, RATE, MONO)
        .expect("16 kHz mono is usable");
    stream
}

fn heard_at(pieces: &mut Pieces, sound: &Sound, stream: &mut Stream, time_ns: i64) -> Vec<f32> {
    let hearing = sound.hearing();
    assert_eq!(hearing.spectrum, Spectrum::Samples);
    let last_column = hearing.spectrum.column_for(time_ns + hearing.look_ahead_ns);
    let mut mel = vec![0.0; BANDS * hearing.columns];
    stream.window(hearing.spectrum, last_column, &mut mel, hearing.columns);
    let heard = Heard {
        mel: &mel,
        last_column,
        time_ns,
        bounds: stream.bounds(),
    };
    let mut out = vec![f32::NAN; sound.rows * 2 * WIDTH];
    pieces.listen(&heard, &mut out).expect("it only tells");
    out
}

/// Row `row` of what the original makes of a recording that begins at 0; zeros beyond its ends.
fn expected(recording: &[i16], row: i64) -> [f32; WIDTH] {
    let count = (recording.len() as i64 - 80) / 320;
    if !(0..count).contains(&row) {
        return [0.0; WIDTH];
    }
    let samples: Vec<f32> = recording[(row * ROW_HOP) as usize..][..HUBERT_SPAN]
        .iter()
        .map(|&sample| f32::from(sample) / 32_768.0)
        .collect();
    let first = row.div_euclid(STEP) * STEP - PAST;
    let last = (first + ROWS as i64).min(count) - 1;
    [
        told(&samples),
        (row - first.max(0)) as f32,
        (last - row) as f32,
    ]
}

fn check(found: &[f32], recording: &[i16], first: i64, what: &str) {
    for (at, found) in found.as_chunks::<WIDTH>().0.iter().enumerate() {
        let expected = expected(recording, first + at as i64);
        let difference = (found[0] - expected[0]).abs();
        assert!(
            difference < 1e-4 && found[1..] == expected[1..],
            "{what}, row {}: {found:?}, expected {expected:?}",
            first + at as i64
        );
    }
}

/// Traps: one window for both; the frame's own row first, or last; a last row without its pair left
/// out, or made of sound that is not there; n / 320 rows instead of (n - 80) / 320; silence before
/// and behind the recording.
#[test]
fn every_row_is_the_originals_with_zeros_beyond_the_ends() {
    for (name, window, before) in [("ultralight", ULTRALIGHT, 4), ("synctalk", SYNCTALK, 8)] {
        // An odd and an even number of rows; 80 samples from one more.
        for samples in [16_000, 16_400, 16_320, 16_319, 400, 399, 12] {
            let recording = noise(samples);
            let mut whole = stream();
            whole.push(&bytes(&recording), 0, true);
            whole.finish();
            let (mut pieces, sound) = pieces(&Arc::default(), window);
            for frame in -9..40 {
                let found = heard_at(&mut pieces, &sound, &mut whole, frame * 40_000_000);
                let what = format!("{name}, {samples} samples, frame {frame}");
                check(&found, &recording, 2 * (frame - before), &what);
            }
        }
    }
}

#[test]
fn rows_do_not_depend_on_how_the_sound_came_nor_on_the_frame_rate() {
    let recording = noise(40_000);
    for (chunk, frame_ns) in [
        (160, 40_000_000),
        (1_024, 33_366_700),
        (441, 20_000_000),
        (7_919, 41_708_333),
    ] {
        let (mut pieces, sound) = pieces(&Arc::default(), ULTRALIGHT);
        let mut stream = stream();
        let mut pushed = recording.chunks(chunk).enumerate();
        let mut time_ns = 0;
        while time_ns < 2_600_000_000 {
            while stream.covered_until() < time_ns + sound.look_ahead_ns() {
                match pushed.next() {
                    Some((n, piece)) => {
                        stream.push(&bytes(piece), (n * chunk) as i64 * 62_500, false);
                    }
                    None => stream.finish(),
                }
            }
            let found = heard_at(&mut pieces, &sound, &mut stream, time_ns);
            let first = 2 * (time_ns / 40_000_000 - 4);
            check(&found, &recording, first, &format!("{chunk}, {time_ns} ns"));
            time_ns += frame_ns;
        }
    }
}

#[test]
fn every_piece_is_made_once_and_anew_when_the_sound_was_another() {
    let runs = Arc::default();
    let (mut pieces, sound) = pieces(&runs, ULTRALIGHT);
    let recording = noise(32_000);
    let mut whole = stream();
    whole.push(&bytes(&recording), 0, true);
    whole.finish();
    for frame in 0..100 {
        heard_at(&mut pieces, &sound, &mut whole, frame * 20_000_000);
    }
    // 99 rows, 8 at a time.
    assert_eq!(runs.load(Ordering::Relaxed), 13);
    let other = noise(32_100)[100..].to_vec();
    let mut stream = stream();
    stream.push(&bytes(&other), 0, true);
    stream.finish();
    let found = heard_at(&mut pieces, &sound, &mut stream, 1_000_000_000);
    check(&found, &other, 42, "another");
    pieces.reset();
    let found = heard_at(&mut pieces, &sound, &mut stream, 1_000_000_000);
    check(&found, &other, 42, "another again");
}

#[test]
fn an_encoder_of_other_lengths_is_refused() {
    let lines = "features = \"hubert\"\npast-ms = 300\nstep-ms = 160\nfuture-ms = 100";
    let sound: Sound = toml::from_str(lines).expect("a good table");
    let plan = sound.pieces().expect("it is heard in pieces");
    let network = telling(&Arc::default());
    let Err(err) = Pieces::open(network, &Tensors::default(), &sound, plan) else {
        panic!("it was opened");
    };
    let message = err.to_string();
    assert!(message.contains("of 560 ms together"), "{message}");
    assert!(message.contains("export_hubert.py"), "{message}");
}
