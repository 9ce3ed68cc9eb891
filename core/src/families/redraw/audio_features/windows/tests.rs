//! The table of feature rows against the original's rules, with an encoder whose rows are known.

mod wenet;

use crate::{
    families::redraw::{
        audio_features::{table::ave_column, windows::*},
        recipe::COLUMNS,
    },
    inference::{Element, TensorInfo},
    sound::{self, SampleFormat, Spectrum},
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

const RATE: f64 = 25.0;
const AVE: &str = "features = \"ave\"";
const LENGTH: usize = 2;
const WINDOW: usize = BANDS * COLUMNS;

/// A row is the window's weighted sum, and 1: so that a row of zeros is none of it.
struct Sums {
    mel: Vec<f32>,
    row: [f32; LENGTH],
    inputs: [TensorInfo; 1],
    outputs: [TensorInfo; 1],
    runs: Arc<AtomicUsize>,
}

fn sums(runs: &Arc<AtomicUsize>) -> Box<dyn Network> {
    let info = |name: &str, shape: &[usize]| TensorInfo {
        name: name.into(),
        element: Element::F32,
        shape: shape.into(),
    };
    Box::new(Sums {
        mel: vec![0.0; WINDOW],
        row: [0.0; LENGTH],
        inputs: [info("mel", &[1, 1, BANDS, COLUMNS])],
        outputs: [info("features", &[1, LENGTH])],
        runs: runs.clone(),
    })
}

fn sum(mel: &[f32]) -> f32 {
    mel.iter()
        .enumerate()
        .map(|(at, mel)| mel * ((at * 7 % 13) as f32 - 6.0))
        .sum()
}

impl Network for Sums {
    fn name(&self) -> &str {
        "sums"
    }

    fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    fn input(&mut self, _index: usize) -> &mut [f32] {
        &mut self.mel
    }

    fn set_integer(&mut self, _index: usize, _value: i64) {}

    fn run(&mut self) -> Result<(), Error> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.row = [sum(&self.mel), 1.0];
        Ok(())
    }

    fn output(&self, _index: usize) -> &[f32] {
        &self.row
    }
}

/// What a manifest says in its table `[sound]`.
fn described(lines: &str) -> Sound {
    toml::from_str(lines).expect("a good table")
}

fn features(runs: &Arc<AtomicUsize>) -> Windows {
    let features = Windows::open(sums(runs), &Tensors::default(), &described(AVE));
    runs.store(0, Ordering::Relaxed);
    features.expect("an encoder")
}

fn noise(samples: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(1);
    (0..samples)
        .flat_map(|_| random.i16(-8_192..8_192).to_le_bytes())
        .collect()
}

fn silent() -> sound::Sound {
    let mut sound = sound::Sound::new();
    sound
        .configure(SampleFormat::S16, sound::RATE, sound::MONO)
        .expect("16 kHz mono is usable");
    sound
}

/// All of a sound at once.
fn whole(samples: usize) -> sound::Sound {
    let mut sound = silent();
    sound.push(&noise(samples), 0, true);
    sound.finish();
    sound
}

fn heard_at(features: &mut Windows, sound: &mut sound::Sound, time_ns: i64) -> Vec<f32> {
    let Hearing {
        spectrum,
        columns,
        look_ahead_ns,
        ..
    } = features.hearing;
    let mut mel = vec![0.0; BANDS * columns];
    let last_column = spectrum.column_for(time_ns + look_ahead_ns);
    sound.window(spectrum, last_column, &mut mel, columns);
    let heard = Heard {
        mel: &mel,
        last_column,
        time_ns,
        bounds: sound.bounds(),
    };
    let mut out = vec![f32::NAN; features.rows * features.encoder.length()];
    features.listen(&heard, &mut out).expect("it only sums");
    out
}

/// SyncTalk_2D's table, from all columns of the sound: `F = [w0, w0, w1, ... , w(M-1), w(M-1)]`.
fn table(sound: &mut sound::Sound, columns: usize) -> Vec<f32> {
    let mut mel = vec![0.0; BANDS * columns];
    sound.window(Spectrum::Mel, columns as i64 - 1, &mut mel, columns);
    let count = ((columns as f64 - 16.0) / 80.0 * 25.0) as usize + 2;
    let mut rows: Vec<f32> = (0..count)
        .map(|window| {
            let start = ((80.0 * (window as f64 / 25.0)) as usize).min(columns - 16);
            let window: Vec<f32> = mel
                .chunks_exact(columns)
                .flat_map(|band| band[start..start + 16].to_vec())
                .collect();
            sum(&window)
        })
        .collect();
    rows.insert(0, rows[0]);
    rows.push(rows[rows.len() - 1]);
    rows
}

#[test]
fn at_25_frames_a_second_every_row_is_the_originals() {
    // 384 columns: as many windows as floating point counts, one fewer than there are.
    for samples in [3_000, 3_200, 16_000, 76_600, 76_799, 76_801, 40_003] {
        let mut sound = whole(samples);
        let columns = 1 + samples / 200;
        let table = table(&mut sound, columns);
        if columns == 384 {
            assert_eq!(table.len(), 116 + 2);
        }
        let runs = Arc::default();
        let mut features = features(&runs);
        for frame in 0..table.len() as i64 + 20 {
            let rows = heard_at(&mut features, &mut sound, frame * 40_000_000);
            for (index, row) in rows.as_chunks::<LENGTH>().0.iter().enumerate() {
                let at = usize::try_from(frame - 8 + index as i64);
                let expected = match at.ok().and_then(|at| table.get(at)) {
                    Some(&row) => [row, 1.0],
                    None => [0.0; 2],
                };
                assert_eq!(
                    *row, expected,
                    "{samples} samples, frame {frame}, row {index}"
                );
            }
        }
    }
}

#[test]
fn every_row_is_made_once() {
    let runs = Arc::default();
    let mut features = features(&runs);
    let mut sound = whole(16_000);
    for frame in 0..60 {
        heard_at(&mut features, &mut sound, frame * 20_000_000);
    }
    // int((81 - 16) / 80 * 25) + 2 windows, at 50 frames a second.
    assert_eq!(runs.load(Ordering::Relaxed), 22);
}

#[test]
fn rows_do_not_depend_on_how_the_sound_came_nor_on_the_frame_rate() {
    const SAMPLES: usize = 40_000;
    let data = noise(SAMPLES);
    let runs = Arc::default();
    let (mut all, mut at_once) = (features(&runs), whole(SAMPLES));
    for (chunk, frame_ns) in [
        (160, 40_000_000),
        (1_024, 33_366_700),
        (441, 20_000_000),
        (7_919, 41_708_333),
        (37, 16_683_350),
    ] {
        let (mut features, mut sound) = (features(&runs), silent());
        let look_ahead_ns = 452_500_000;
        let mut pushed = data.chunks(2 * chunk).enumerate();
        let mut time_ns = 0;
        while time_ns < 3_000_000_000 {
            while sound.covered_until() < time_ns + look_ahead_ns {
                match pushed.next() {
                    Some((n, piece)) => {
                        sound.push(piece, (n * chunk) as i64 * 62_500, false);
                    }
                    None => sound.finish(),
                }
            }
            assert_eq!(
                heard_at(&mut features, &mut sound, time_ns),
                heard_at(&mut all, &mut at_once, time_ns),
                "{chunk} samples at a time, {time_ns} ns"
            );
            time_ns += frame_ns;
        }
    }
}

#[test]
fn a_frame_between_two_rows_counts_from_the_earlier_one() {
    for (time_ns, expected) in [
        (0, 0),
        (39_999_999, 0),
        (40_000_000, 1),
        (-1, -1),
        (-40_000_000, -1),
        (i64::MIN, -230_584_300_922),
    ] {
        assert_eq!(step(time_ns, RATE), expected, "{time_ns} ns");
    }
    for frame in (0..100_000_000).step_by(9_973) {
        assert_eq!(step(frame * 40_000_000, RATE), frame);
        assert_eq!(ave_column(frame, RATE), frame * 16 / 5);
    }
}

#[test]
fn sound_that_begins_later_has_its_table_there() {
    let runs = Arc::default();
    let mut features = features(&runs);
    let mut sound = silent();
    sound.push(&noise(48_000), 1_000_000_000, true);
    // Second 1 is column 80, window 25, and so rows 25 and 26.
    let rows = heard_at(&mut features, &mut sound, 1_000_000_000);
    let is_there: Vec<f32> = rows.as_chunks::<LENGTH>().0.iter().map(|r| r[1]).collect();
    assert_eq!(is_there[..8], [0.0; 8]);
    assert_eq!(is_there[8..], [1.0; 8]);
    assert_eq!(rows[8 * LENGTH..9 * LENGTH], rows[9 * LENGTH..10 * LENGTH]);
}

#[test]
fn nothing_that_was_heard_before_stays() {
    let runs = Arc::default();
    let mut features = features(&runs);
    let time_ns = 1_000_000_000;
    let before = heard_at(&mut features, &mut whole(32_000), time_ns);
    // Another sound in the same place, without a word of warning.
    let mut sound = silent();
    sound.push(&noise(32_000)[2..], 0, true);
    sound.finish();
    let now = heard_at(&mut features, &mut sound, time_ns);
    assert!(before != now);
    let mut fresh = self::features(&runs);
    assert_eq!(now, heard_at(&mut fresh, &mut sound, time_ns));
    runs.store(0, Ordering::Relaxed);
    heard_at(&mut features, &mut sound, time_ns);
    assert_eq!(runs.load(Ordering::Relaxed), 0);
    features.reset();
    heard_at(&mut features, &mut sound, time_ns);
    assert_eq!(runs.load(Ordering::Relaxed), 16);
}

#[test]
fn without_sound_there_are_no_rows() {
    let runs = Arc::default();
    let mut features = features(&runs);
    let mut sound = silent();
    assert_eq!(heard_at(&mut features, &mut sound, 0), [0.0; 16 * LENGTH]);
    sound.finish();
    assert_eq!(heard_at(&mut features, &mut sound, 0), [0.0; 16 * LENGTH]);
    assert_eq!(runs.load(Ordering::Relaxed), 0);
    // Shorter than one window: no panic, whatever there is.
    for samples in 1..40 {
        heard_at(&mut features, &mut whole(samples * 97), 0);
    }
}
