//! What a generator hears of a recording, however that comes.

use std::path::Path;

use crate::opening::opened;
use lipsync_core::{
    generator::{Generator, Heard},
    sound::{BANDS, MONO, SampleFormat, Sound},
};

/// Mono at 16 kHz.
pub fn speech() -> Sound {
    let mut sound = Sound::new();
    sound
        .configure(SampleFormat::S16, 16_000, MONO)
        .expect("16 kHz mono is usable");
    sound
}

/// What a generator hears at a time.
pub fn hear(generator: &mut dyn Generator, sound: &mut Sound, time_ns: i64) -> Vec<f32> {
    let hearing = generator.hearing();
    let last_column = hearing.spectrum.column_for(time_ns + hearing.look_ahead_ns);
    let mut mel = vec![0.0; BANDS * hearing.columns];
    sound.window(hearing.spectrum, last_column, &mut mel, hearing.columns);
    let heard = Heard {
        mel: &mel,
        last_column,
        time_ns,
        bounds: sound.bounds(),
    };
    let mut out = Vec::new();
    generator.listen(&heard, &mut out).expect("inference works");
    out
}

/// What a frame hears does not depend on how the audio came, and nothing later than the look-ahead is waited for.
pub fn check_however_it_comes(path: &Path, recording: &[u8], look_ahead_ns: i64) {
    let (Some(mut late), Some(mut early)) = (opened(path), opened(path)) else {
        return;
    };
    assert_eq!(late.hearing().look_ahead_ns, look_ahead_ns);
    let [mut whole, mut streamed] = [speech(), speech()];
    whole.push(recording, 0, true);
    let mut chunks = recording.chunks(2 * 441).enumerate();
    for frame in 0..12 {
        let time_ns = frame * 100_000_000;
        while streamed.covered_until() < time_ns + look_ahead_ns {
            let (at, piece) = chunks.next().expect("there is enough sound");
            streamed.push(piece, at as i64 * 441 * 62_500, false);
        }
        let found = hear(&mut *late, &mut streamed, time_ns);
        let expected = hear(&mut *early, &mut whole, time_ns);
        assert!(found == expected, "{time_ns} ns");
    }
}
