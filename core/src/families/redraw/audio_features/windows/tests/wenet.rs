//! Rows of WeNet's streaming encoder against Ultralight's rules, and what goes on between runs.

use crate::families::redraw::audio_features::windows::tests::*;

/// Ultralight's.
const WENET: &str = "features = \"wenet\"\nrows = 8\nrows-before = 4";

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

fn wenet(caches: bool) -> Windows {
    let mut names = Tensors::default();
    if caches {
        names.caches.insert("cache".into(), "next".into());
    }
    Windows::open(streaming(), &names, &described(WENET)).expect("an encoder")
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
                let expected = match at.ok().and_then(|at| table.get(at)) {
                    // Its caches stay empty, and its offset what it was.
                    Some(&row) => [row, 100.0, 0.0],
                    None => [0.0; 3],
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
        match Windows::open(streaming(), &names, &sound) {
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
