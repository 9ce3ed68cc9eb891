//! The table of feature rows against the original's rules, with an encoder whose rows are known.

use super::{table::ave_column, *};
use crate::{
    generator::recipe::COLUMNS,
    runtime::{Element, TensorInfo},
    sound::{self, SampleFormat, Spectrum},
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

const RATE: f64 = 25.0;
const AVE: &str = "features = \"ave\"";
/// Ultralight's, and the same with caches.
const WENET: &str = "features = \"wenet\"\nrows = 8\nrows-before = 4";
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

fn features(runs: &Arc<AtomicUsize>) -> Features {
    let features = Features::open(sums(runs), &Tensors::default(), &described(AVE));
    runs.store(0, Ordering::Relaxed);
    features.expect("an encoder")
}

fn noise(samples: usize) -> Vec<u8> {
    let mut state = 1_u32;
    (0..samples)
        .flat_map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 18) as i16 - 8_192).to_le_bytes()
        })
        .collect()
}

fn silent() -> sound::Sound {
    let mut sound = sound::Sound::new();
    sound
        .configure(SampleFormat::S16, sound::RATE, 1)
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

fn heard_at(features: &mut Features, sound: &mut sound::Sound, time_ns: i64) -> Vec<f32> {
    let Hearing {
        spectrum,
        columns,
        look_ahead_ns,
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
                let wanted = match at.ok().and_then(|at| table.get(at)) {
                    Some(&row) => [row, 1.0],
                    None => [0.0; 2],
                };
                assert_eq!(
                    *row, wanted,
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
    for (time_ns, wanted) in [
        (0, 0),
        (39_999_999, 0),
        (40_000_000, 1),
        (-1, -1),
        (-40_000_000, -1),
        (i64::MIN, -230_584_300_922),
    ] {
        assert_eq!(step(time_ns, RATE), wanted, "{time_ns} ns");
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

/// A streaming encoder: its row is the window's weighted sum, its offset, and what its cache was,
/// to which each run adds the sum's sign.
struct Streaming {
    chunk: Vec<f32>,
    offset: i64,
    cache: [f32; 1],
    outputs: [[f32; 3]; 2],
    inputs: Vec<TensorInfo>,
    infos: [TensorInfo; 2],
}

const CHUNK: usize = 67;

fn streaming() -> Box<dyn Network> {
    let info = |name: &str, element: Element, shape: &[usize]| TensorInfo {
        name: name.into(),
        element,
        shape: shape.into(),
    };
    Box::new(Streaming {
        chunk: vec![0.0; CHUNK * BANDS],
        offset: 0,
        cache: [0.0],
        outputs: [[0.0; 3]; 2],
        inputs: vec![
            info("offset", Element::I64, &[1]),
            info("cache", Element::F32, &[1, 1]),
            info("chunk", Element::F32, &[1, 1, CHUNK, BANDS]),
        ],
        infos: [
            info("output", Element::F32, &[1, 1, 3]),
            info("next", Element::F32, &[1, 1]),
        ],
    })
}

fn sign(sum: f32) -> f32 {
    1.0 + f32::from(u8::from(sum > 0.0))
}

impl Network for Streaming {
    fn name(&self) -> &str {
        "streaming"
    }

    fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorInfo] {
        &self.infos
    }

    fn input(&mut self, index: usize) -> &mut [f32] {
        match index {
            1 => &mut self.cache,
            _ => &mut self.chunk,
        }
    }

    fn set_integer(&mut self, index: usize, value: i64) {
        assert_eq!(index, 0);
        self.offset = value;
    }

    fn run(&mut self) -> Result<(), Error> {
        let sum = sum(&self.chunk);
        let [cache] = self.cache;
        self.outputs = [
            [sum, self.offset as f32, cache],
            [0.5 * cache + sign(sum); 3],
        ];
        Ok(())
    }

    fn output(&self, index: usize) -> &[f32] {
        &self.outputs[index][..self.infos[index].shape.iter().product()]
    }
}

fn wenet(caches: bool) -> Features {
    let mut names = Tensors::default();
    if caches {
        names.caches.insert("cache".into(), "next".into());
    }
    Features::open(streaming(), &names, &described(WENET)).expect("an encoder")
}

/// Ultralight's `wenet_infer.py`: windows of 67 columns, 5 from one to the next, over 320 ms of
/// silence, the sound and 350 ms of silence.
fn wenet_table(sound: &mut sound::Sound, samples: usize) -> Vec<f32> {
    let columns = 1 + (32 * 160 + samples + 35 * 160 - 400) / 160;
    let mut energies = vec![0.0; BANDS * columns];
    sound.window(Spectrum::Fbank, columns as i64 - 33, &mut energies, columns);
    let (mut rows, mut start, mut end) = (Vec::new(), 0, 0);
    while end < columns {
        end = start + CHUNK;
        let chunk: Vec<f32> = (start..end)
            .flat_map(|column| {
                let value = |band| match column < columns {
                    true => energies[band * columns + column],
                    false => 0.0,
                };
                (0..BANDS).map(value).collect::<Vec<_>>()
            })
            .collect();
        rows.push(sum(&chunk));
        start += 5;
    }
    rows
}

#[test]
fn at_20_frames_a_second_every_row_of_wenet_is_ultralights() {
    assert_eq!(described(WENET).look_ahead_ns(), 515_000_000);
    for samples in [1, 399, 400, 3_000, 16_000, 16_079, 16_080, 40_003] {
        let mut sound = whole(samples);
        let table = wenet_table(&mut sound, samples);
        let mut features = wenet(false);
        for frame in 0..table.len() as i64 + 9 {
            let rows = heard_at(&mut features, &mut sound, frame * 50_000_000);
            for (index, row) in rows.as_chunks::<3>().0.iter().enumerate() {
                let at = usize::try_from(frame - 4 + index as i64);
                let wanted = match at.ok().and_then(|at| table.get(at)) {
                    // Its caches stay empty, and its offset what it was.
                    Some(&row) => [row, 100.0, 0.0],
                    None => [0.0; 3],
                };
                assert_eq!(
                    *row, wanted,
                    "{samples} samples, frame {frame}, row {index}"
                );
            }
        }
    }
}

#[test]
fn caches_and_offset_go_on_from_row_to_row_however_the_sound_came() {
    const SAMPLES: usize = 40_000;
    let data = noise(SAMPLES);
    let table = wenet_table(&mut whole(SAMPLES), SAMPLES);
    for (chunk, frame_ns) in [(160, 50_000_000), (441, 40_000_000), (7_919, 33_366_700)] {
        let (mut features, mut sound) = (wenet(true), silent());
        let mut pushed = data.chunks(2 * chunk).enumerate();
        let mut time_ns = 0;
        let mut rows_seen = 0;
        while time_ns < 2_000_000_000 {
            while sound.covered_until() < time_ns + 515_000_000 {
                match pushed.next() {
                    Some((n, piece)) => {
                        sound.push(piece, (n * chunk) as i64 * 62_500, false);
                    }
                    None => sound.finish(),
                }
            }
            let rows = heard_at(&mut features, &mut sound, time_ns);
            let first = time_ns / 50_000_000 - 4;
            for (index, row) in rows.as_chunks::<3>().0.iter().enumerate() {
                let Ok(number) = usize::try_from(first + index as i64) else {
                    assert_eq!(*row, [0.0; 3]);
                    continue;
                };
                let cache = table[..number]
                    .iter()
                    .fold(0.0, |cache, sum| 0.5 * cache + sign(*sum));
                assert_eq!(*row, [table[number], 100.0 + number as f32, cache]);
                rows_seen += 1;
            }
            time_ns += frame_ns;
        }
        assert!(rows_seen > 8 * 35, "{rows_seen}");
    }
}

#[test]
fn caches_begin_anew_where_rows_are_missing_and_after_a_reset() {
    let mut features = wenet(true);
    let mut sound = whole(64_000);
    let cache = |rows: Vec<f32>| {
        rows.as_chunks::<3>()
            .0
            .iter()
            .map(|r| r[1])
            .collect::<Vec<_>>()
    };
    let anew: Vec<f32> = (100..108u16).map(f32::from).collect();
    let at = |second: i64| second * 1_000_000_000;
    assert_eq!(cache(heard_at(&mut features, &mut sound, at(1))), anew);
    // 20 rows later.
    assert_eq!(cache(heard_at(&mut features, &mut sound, at(2))), anew);
    heard_at(&mut features, &mut sound, at(2) + 50_000_000);
    features.reset();
    assert_eq!(cache(heard_at(&mut features, &mut sound, at(2))), anew);
}

#[test]
fn a_streaming_encoder_that_is_not_described_is_refused() {
    let refused = |names: Tensors, lines: &str| {
        let sound = described(&format!("{WENET}\n{lines}"));
        match Features::open(streaming(), &names, &sound) {
            Ok(_) => panic!("opened with {lines}"),
            Err(error) => error.to_string(),
        }
    };
    let message = refused(Tensors::default(), "window = 60");
    assert!(message.contains("fbank [N, 1, 60, 80]"), "{message}");
    assert!(message.contains("offset [1] of integers"), "{message}");
    let message = refused(Tensors::default(), "integers.size = 1");
    assert!(message.contains("integers size"), "{message}");
    for (input, output) in [("cache", "output"), ("chunk", "next"), ("no", "next")] {
        let mut names = Tensors::default();
        names.caches.insert(input.into(), output.into());
        let message = refused(names, "");
        assert!(message.contains("of one shape"), "{input}: {message}");
    }
}
