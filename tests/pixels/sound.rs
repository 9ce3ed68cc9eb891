//! The mel spectrum that generators see, against librosa, whatever way the sound arrives.
//! Source of the fixtures: `tests/data/README.md`.

use lipsync_core::sound::{
    BANDS, CAPACITY_NS, COLUMNS_PER_SECOND, Channel, MONO, Position, SampleFormat, Sound, Spectrum,
    VoiceGate,
};
use proptest::prelude::*;
use std::{f64::consts::TAU, time::Instant};

const SECOND: i64 = 1_000_000_000;
const MS: i64 = 1_000_000;
const SPEECH: &[u8] = include_bytes!("../data/speech.s16le");
const SPEECH_MEL: &[u8] = include_bytes!("../data/speech_mel.f32le");
const SPEECH_FBANK: &[u8] = include_bytes!("../data/speech_fbank.f32le");

fn speech() -> Vec<i16> {
    let (samples, _) = SPEECH.as_chunks();
    samples
        .iter()
        .map(|&bytes| i16::from_le_bytes(bytes))
        .collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let (values, _) = bytes.as_chunks();
    values
        .iter()
        .map(|&bytes| f32::from_le_bytes(bytes))
        .collect()
}

fn speech_mel() -> Vec<f32> {
    floats(SPEECH_MEL)
}

fn sound(format: SampleFormat, rate: u32, channels: usize) -> Sound {
    let mut sound = Sound::new();
    sound
        .configure(format, rate, &vec![Position::Elsewhere; channels])
        .expect("a format of the contract");
    sound
}

fn window(sound: &mut Sound, last: i64, columns: usize) -> Vec<f32> {
    let mut out = vec![f32::NAN; BANDS * columns];
    sound.window(Spectrum::Mel, last, &mut out, columns);
    out
}

fn f32_bytes(samples: impl IntoIterator<Item = f64>) -> Vec<u8> {
    samples
        .into_iter()
        .flat_map(|s| (s as f32).to_le_bytes())
        .collect()
}

fn worst_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().chain(b).all(|v| v.is_finite()));
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

/// Golden vector: librosa 0.11 in float64 on a linear congruential noise and a tone.
#[test]
fn golden_vector() {
    let mut state = 1u32;
    let samples = (0..16_000).map(|n| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = f64::from(state) / 2f64.powi(32) - 0.5;
        let tone = if n < 8_000 {
            (TAU * 440.0 * f64::from(n) / 16_000.0).sin()
        } else {
            0.0
        };
        0.2 * noise + 0.5 * tone
    });
    let data: Vec<u8> = samples.flat_map(f64::to_le_bytes).collect();
    let mut sound = sound(SampleFormat::F64, 16_000, 1);
    sound.push(&data, 0, false);
    sound.finish();
    let mel = window(&mut sound, 80, 81);
    let at = |band: usize, column: usize| mel[band * 81 + column];
    for (band, column, want) in [
        (0, 0, -1.139_038), // the edge: silence before the start
        (0, 10, -2.184_204),
        (10, 10, 1.993_307),
        (40, 10, -0.092_624),
        (79, 10, 0.780_292),
        (10, 50, -0.792_186),
        (40, 50, -0.692_733),
        (79, 50, 0.695_759),
    ] {
        let got: f32 = at(band, column);
        assert!(
            (got - want).abs() < 2e-6,
            "({band},{column}): {got}, librosa {want}"
        );
    }
    let inner: f32 = (0..BANDS)
        .flat_map(|b| (4..76).map(move |c| at(b, c)))
        .sum();
    assert!((inner / (BANDS * 72) as f32 + 0.145_095).abs() < 2e-6);
}

#[test]
fn speech_in_one_piece_is_as_librosa_says() {
    let mut sound = sound(SampleFormat::S16, 16_000, 1);
    sound.push(SPEECH, 0, false);
    sound.finish();
    let worst = worst_difference(&window(&mut sound, 239, 240), &speech_mel());
    println!("largest difference to librosa in float64: {worst:e}");
    assert!(worst < 1e-5, "{worst}");
}

/// Wherever the sound is on the grid and however it comes, each column asked for as soon as it is
/// covered.
#[test]
fn filter_bank_energies_are_as_kaldi_defines_them() {
    // `[columns, 80]`, columns of whole sound only.
    let expected = floats(SPEECH_FBANK);
    for (first, chunk) in [(0, 47_840), (7, 160), (-250, 441), (100_000, 7_919)] {
        let mut sound = sound(SampleFormat::S16, 16_000, 1);
        let mut pieces = SPEECH.chunks(2 * chunk).enumerate();
        let mut worst = 0.0f32;
        for (column, expected) in (first..).zip(expected.as_chunks::<BANDS>().0) {
            while Spectrum::Fbank.column_for(sound.covered_until()) < column {
                let (at, piece) = pieces.next().expect("columns end before the sound");
                sound.push(
                    piece,
                    first * 10 * MS + (at * chunk) as i64 * SECOND / 16_000,
                    false,
                );
            }
            let mut out = [0.0; BANDS];
            sound.window(Spectrum::Fbank, column, &mut out, 1);
            worst = worst.max(worst_difference(&out, expected));
        }
        println!("largest difference to the definition in numpy: {worst:e}");
        assert!(
            worst < 1e-3,
            "{worst} at {first}, {chunk} samples at a time"
        );
    }
    // Without sound it is the floor, and the sound's edges are not.
    let mut sound = sound(SampleFormat::S16, 16_000, 1);
    let silent = |sound: &mut Sound, column| {
        let mut out = [0.0; BANDS];
        sound.window(Spectrum::Fbank, column, &mut out, 1);
        out == [Spectrum::Fbank.silence(); BANDS]
    };
    sound.push(&[0, 64].repeat(1_600), 0, true);
    sound.finish();
    assert!(silent(&mut sound, -3) && silent(&mut sound, 10));
    assert!(!silent(&mut sound, -2) && !silent(&mut sound, 9));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Any chunks, any running time on the grid, any of the exact formats, any window length, the
    /// windows asked for as soon as they are covered.
    #[test]
    fn speech_in_chunks_is_as_librosa_says(
        chunks in prop::collection::vec(prop_oneof![0usize..50, 0usize..4_000], 1..40),
        start_column in -1_000i64..1_000,
        format in prop::sample::select(vec![SampleFormat::S16, SampleFormat::S32, SampleFormat::F32, SampleFormat::F64]),
        channels in 1usize..3,
        columns in 1usize..40,
    ) {
        let want = speech_mel();
        let start = start_column * SECOND / COLUMNS_PER_SECOND;
        let mut sound = sound(format, 16_000, channels);
        let encode = |sample: i16| -> Vec<u8> {
            let float = f64::from(sample) / 32_768.0;
            let one = match format {
                SampleFormat::S16 => sample.to_le_bytes().to_vec(),
                SampleFormat::S32 => (i32::from(sample) << 16).to_le_bytes().to_vec(),
                SampleFormat::F32 => (float as f32).to_le_bytes().to_vec(),
                SampleFormat::F64 => float.to_le_bytes().to_vec(),
            };
            one.repeat(channels)
        };
        let samples = speech();
        let mut next_column = 0i64;
        let mut at = 0usize;
        for chunk in chunks.iter().chain(std::iter::repeat(&4_001)) {
            let end = (at + chunk).min(samples.len());
            let data: Vec<u8> = samples[at..end].iter().flat_map(|&s| encode(s)).collect();
            sound.push(&data, start + at as i64 * 62_500, false);
            at = end;
            if at == samples.len() {
                sound.finish();
            }
            let covered = if at == samples.len() { 239 } else { Spectrum::Mel.column_for(sound.covered_until()) - start_column };
            while next_column <= covered {
                let got = window(&mut sound, start_column + next_column, columns);
                for (n, got) in got.iter().enumerate() {
                    let (band, column) = (n / columns, next_column - (columns - 1 - n % columns) as i64);
                    // Two columns before the start still hear its first samples.
                    if column >= 0 {
                        let want = want[band * 240 + column as usize];
                        prop_assert!((got - want).abs() < 1e-4, "band {band} column {column}: {got} {want}");
                    } else if column < -2 {
                        prop_assert_eq!(*got, -4.0);
                    }
                }
                let oldest = start_column + next_column - columns as i64;
                sound.forget_before(oldest * SECOND / COLUMNS_PER_SECOND);
                next_column += 1;
            }
            if at == samples.len() {
                break;
            }
        }
        prop_assert_eq!(next_column, 240);
    }
}

#[test]
fn what_is_not_known_is_silence_until_it_is() {
    let mut sound = sound(SampleFormat::S16, 16_000, 1);
    assert!(window(&mut sound, 100, 32).iter().all(|&v| v == -4.0));
    let (first, second) = SPEECH.split_at(48_000);
    sound.push(first, 0, false);
    // Beyond what is covered: half of the window is silence, and it must not be remembered.
    let early = window(&mut sound, 150, 62);
    assert!((0..BANDS).all(|band| early[band * 62 + 61] == -4.0));
    sound.push(second, 1_500 * MS, false);
    sound.finish();
    assert!(worst_difference(&window(&mut sound, 239, 240), &speech_mel()) < 1e-4);
    // Long after the end, and before the start.
    assert!(window(&mut sound, i64::MAX, 16).iter().all(|&v| v == -4.0));
    assert!(window(&mut sound, i64::MIN, 16).iter().all(|&v| v == -4.0));
}

#[test]
fn sound_that_replaces_other_sound_replaces_its_columns() {
    let mut sound = sound(SampleFormat::S16, 16_000, 1);
    let noise: Vec<u8> = (0..96_000u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    sound.push(&noise, 0, false);
    window(&mut sound, 239, 240);
    sound.push(SPEECH, 0, false);
    sound.finish();
    assert!(worst_difference(&window(&mut sound, 239, 240), &speech_mel()) < 1e-4);
}

#[test]
fn digital_silence_gaps_and_sound_that_is_not_a_number_are_the_lowest_value() {
    let mut sound = sound(SampleFormat::F32, 48_000, 2);
    sound.push(&vec![0; 48_000 * 8], 0, false);
    sound.gap(SECOND, 2 * SECOND);
    sound.push(&f32_bytes(vec![f64::NAN; 96_000]), 2 * SECOND, false);
    sound.push(&f32_bytes(vec![f64::INFINITY; 96_000]), 3 * SECOND, false);
    sound.finish();
    assert!(window(&mut sound, 400, 500).iter().all(|&v| v == -4.0));
    assert_eq!(sound.loudness(0, 4 * SECOND), f32::NEG_INFINITY);
}

#[test]
fn clipping_sound_stays_in_range() {
    let mut sound = sound(SampleFormat::F64, 44_100, 1);
    let square = (0..44_100).map(|n| if n % 50 < 25 { 1e200f64 } else { -1e30 });
    sound.push(
        &square.flat_map(f64::to_le_bytes).collect::<Vec<u8>>(),
        0,
        false,
    );
    sound.finish();
    let mel = window(&mut sound, 80, 81);
    assert!(mel.iter().all(|v| (-4.0..=4.0).contains(v)));
    assert!(mel.contains(&4.0));
}

/// The columns hardly depend on the rate that the sound arrives with.
#[test]
fn every_rate_gives_the_same_columns() {
    let signal = |t: f64| -> f64 {
        (1..=11)
            .map(|k| 0.05 * (TAU * 300.0 * f64::from(k) * t + f64::from(k * k)).sin())
            .sum()
    };
    let mel_at = |rate: u32, channels: usize| {
        let mut sound = sound(SampleFormat::F32, rate, channels);
        for chunk in 0..10 {
            let first = chunk * rate as usize / 10;
            let frames = (first..(chunk + 1) * rate as usize / 10)
                .map(|n| signal(n as f64 / f64::from(rate)));
            let data = f32_bytes(frames.flat_map(|s| std::iter::repeat_n(s, channels)));
            let time = first as i64 * SECOND / i64::from(rate);
            sound.push(&data, time, false);
        }
        window(&mut sound, 70, 60)
    };
    let want = mel_at(16_000, 1);
    for rate in [
        8_000, 11_025, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000, 384_000,
    ] {
        for channels in [1, 6] {
            for (want, got) in want.iter().zip(mel_at(rate, channels)) {
                // Below this is what leaks through the window, 60 dB down.
                let near = *want > -1.5;
                assert!(
                    !near || (want - got).abs() < 0.01,
                    "{rate} Hz: {got}, expected {want}"
                );
            }
        }
    }
}

#[test]
fn a_change_of_format_in_mid_stream_keeps_the_time() {
    let mut sound = sound(SampleFormat::F32, 48_000, 2);
    let tone = |rate: u32, hz: f64| {
        (0..rate).map(move |n| 0.5 * (TAU * hz * f64::from(n) / f64::from(rate)).sin())
    };
    sound.push(
        &f32_bytes(tone(48_000, 500.0).flat_map(|s| [s, s])),
        0,
        false,
    );
    sound
        .configure(SampleFormat::S16, 22_050, MONO)
        .expect("a format of the contract");
    let data: Vec<u8> = tone(22_050, 3_000.0)
        .flat_map(|s| ((s * 32_767.0) as i16).to_le_bytes())
        .collect();
    sound.push(&data, SECOND, false);
    let mel = window(&mut sound, 157, 158);
    let loudest = |column: usize| {
        (0..BANDS).max_by(|&a, &b| mel[a * 158 + column].total_cmp(&mel[b * 158 + column]))
    };
    assert_eq!(loudest(78), loudest(10));
    assert_eq!(loudest(82), loudest(150));
    assert!(loudest(82) > loudest(78));
}

#[test]
fn a_reset_forgets_and_zero_length_buffers_change_nothing() {
    let mut sound = sound(SampleFormat::S16, 16_000, 1);
    sound.push(SPEECH, 0, false);
    window(&mut sound, 239, 240);
    sound.reset();
    assert_eq!(sound.covered_until(), i64::MIN);
    assert!(window(&mut sound, 239, 240).iter().all(|&v| v == -4.0));
    for (n, piece) in SPEECH.chunks(3_200).enumerate() {
        sound.push(&[], n as i64 * 100 * MS, false);
        sound.push(piece, n as i64 * 100 * MS, false);
    }
    sound.push(&[1], 0, false);
    sound.finish();
    assert!(worst_difference(&window(&mut sound, 239, 240), &speech_mel()) < 1e-4);
}

#[test]
fn columns_already_computed_survive_the_loss_of_their_sound() {
    let mut sound = sound(SampleFormat::S16, 16_000, 1);
    sound.push(SPEECH, 0, false);
    sound.finish();
    let before = window(&mut sound, 239, 240);
    sound.forget_before(CAPACITY_NS);
    assert_eq!(window(&mut sound, 239, 240), before);
}

#[test]
fn the_gate_follows_speech() {
    let mut sound = sound(SampleFormat::S16, 16_000, 1);
    let half_second = vec![0; 16_000];
    sound.push(&half_second, 0, false);
    sound.push(SPEECH, 500 * MS, false);
    sound.finish();
    let mut gate = VoiceGate::new(-50.0, 120 * MS);
    let activity: Vec<f32> = (0..110)
        .map(|frame| frame * 40 * MS)
        .map(|time| gate.update(time, sound.loudness(time - 20 * MS, time + 20 * MS)))
        .collect();
    assert!(activity[..11].iter().all(|&a| a == 0.0));
    assert!(activity[40..60].iter().all(|&a| a == 1.0));
    assert!(activity[98..].iter().all(|&a| a == 0.0));
}

/// Prints what listening costs: `cargo test --release --test sound -- --nocapture realtime`.
#[test]
fn realtime_factor() {
    for (rate, channels) in [(16_000, 1), (44_100, 2), (48_000, 2), (384_000, 2)] {
        let seconds = 20;
        let chunk = rate as usize / 100;
        let data = f32_bytes(
            (0..chunk * channels)
                .map(|n| 0.4 * (TAU * 4.0 * (n / channels) as f64 / chunk as f64).sin()),
        );
        let mut out = vec![0.0; BANDS * 24];
        let mut loudness = 0.0f32;
        let begin = Instant::now();
        let mut sound = sound(SampleFormat::F32, rate, channels);
        for n in 0..seconds * 100 {
            let time = n * 10 * MS;
            sound.push(&data, time, false);
            if n % 4 == 3 {
                sound.window(
                    Spectrum::Mel,
                    Spectrum::Mel.column_for(sound.covered_until()),
                    &mut out,
                    24,
                );
                loudness = sound.loudness(time - 40 * MS, time);
                sound.forget_before(time - SECOND);
            }
        }
        let spent = begin.elapsed().as_secs_f64();
        println!(
            "{rate} Hz, {channels} channels, 25 windows a second: {:.5} of real time on one core",
            spent / seconds as f64
        );
        assert!(loudness > -20.0 && out.iter().any(|&v| v > 0.0));
    }
}

/// Speech and, in another channel, chords as loud as it.
fn voice_and_music() -> Vec<[f32; 2]> {
    let chord = |n: usize| {
        let seconds = n as f64 / 16_000.0;
        let tones = [262.0, 330.0, 392.0, 2_093.0].map(|hz| (seconds * hz * TAU).sin());
        0.05 * tones.iter().sum::<f64>() as f32
    };
    let voice = speech();
    let voice = voice.iter().map(|&sample| f32::from(sample) / 32_768.0);
    voice
        .enumerate()
        .map(|(n, voice)| [voice, chord(n)])
        .collect()
}

/// The mel of what is heard of channels at these places, without the first fifth of a second.
fn mel_of(
    places: &[Position],
    channel: Channel,
    sample: impl Fn(usize, [f32; 2]) -> f32,
) -> Vec<f32> {
    let bytes: Vec<u8> = voice_and_music()
        .into_iter()
        .flat_map(|parts| (0..places.len()).map(move |channel| (channel, parts)))
        .flat_map(|(channel, parts)| sample(channel, parts).to_le_bytes())
        .collect();
    let mut sound = Sound::new();
    sound.set_channel(channel);
    sound
        .configure(SampleFormat::F32, 16_000, places)
        .expect("a format of the contract");
    for (n, piece) in bytes.chunks(4 * places.len() * 480).enumerate() {
        sound.push(piece, n as i64 * 30 * MS, false);
    }
    sound.finish();
    window(&mut sound, 235, 220)
}

fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let mean =
        |values: &[f32]| values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let [mut both, mut square_a, mut square_b] = [0.0; 3];
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (f64::from(*a) - mean_a, f64::from(*b) - mean_b);
        both += a * b;
        square_a += a * a;
        square_b += b * b;
    }
    both / (square_a * square_b).sqrt()
}

#[test]
fn a_voice_is_heard_as_clean_as_it_is_in_one_of_many_channels() {
    use Position::{Centre, Elsewhere, Left, LowFrequency, Right};
    let clean = mel_of(MONO, Channel::Auto, |_, [voice, _]| voice);
    let of = |places: &[Position], sample: fn(usize, [f32; 2]) -> f32| {
        correlation(&mel_of(places, Channel::Auto, sample), &clean)
    };
    let stereo = &[Left, Right];
    let surround = [
        Left,
        Right,
        Centre,
        LowFrequency,
        Elsewhere,
        Elsewhere,
        Elsewhere,
        Elsewhere,
    ];
    let unpositioned = [Elsewhere; 8];
    let heard = [
        ("dual mono", of(stereo, |_, [voice, _]| voice)),
        (
            "opposite phase",
            of(stereo, |n, [voice, _]| if n == 0 { voice } else { -voice }),
        ),
        (
            "only left",
            of(stereo, |n, [voice, _]| if n == 0 { voice } else { 0.0 }),
        ),
        (
            "only right",
            of(stereo, |n, [voice, _]| if n == 1 { voice } else { 0.0 }),
        ),
        (
            "3.0",
            of(
                &surround[..3],
                |n, [voice, music]| if n == 2 { voice } else { music },
            ),
        ),
        (
            "5.1",
            of(
                &surround[..6],
                |n, [voice, music]| if n == 2 { voice } else { music },
            ),
        ),
        (
            "5.1, music 10 dB louder",
            of(
                &surround[..6],
                |n, [voice, music]| {
                    if n == 2 { voice } else { 3.16 * music }
                },
            ),
        ),
        (
            "7.1",
            of(
                &surround,
                |n, [voice, music]| if n == 2 { voice } else { music },
            ),
        ),
        (
            "5.1, nothing in the centre",
            of(&surround[..6], |n, [voice, music]| match n {
                0 | 1 => voice,
                2 => 0.0,
                _ => 0.1 * music,
            }),
        ),
        (
            "one of eight",
            of(
                &unpositioned,
                |n, [voice, _]| if n == 5 { voice } else { 0.0 },
            ),
        ),
        (
            "eight, every other turned round",
            of(
                &unpositioned,
                |n, [voice, _]| {
                    if n % 2 == 0 { voice } else { -voice }
                },
            ),
        ),
    ];
    for (name, correlation) in heard {
        assert!(correlation > 0.999, "{name}: {correlation}");
    }
    // What no rule can know, a user can.
    for (channel, index) in [(Channel::Right, 1), (Channel::Number(6), 6)] {
        let parts = |n: usize, [voice, music]: [f32; 2]| if n == index { voice } else { music };
        let chosen = mel_of(&unpositioned, channel, parts);
        assert!(correlation(&chosen, &clean) > 0.999, "{channel}");
        assert!(correlation(&mel_of(&unpositioned, Channel::Auto, parts), &clean) < 0.95);
    }
}

#[test]
fn a_quiet_voice_that_is_raised_looks_like_a_loud_one() {
    let mut loud = sound(SampleFormat::S16, 16_000, 1);
    loud.push(SPEECH, 0, false);
    loud.finish();
    let want = window(&mut loud, 239, 240);
    for quieter_db in [0.0, 20.0, 40.0] {
        let gain = 10_f64.powf(-quieter_db / 20.0);
        let bytes = f32_bytes(speech().iter().map(|&s| f64::from(s) / 32_768.0 * gain));
        let mut quiet = sound(SampleFormat::F32, 16_000, 1);
        quiet.push(&bytes, 0, false);
        quiet.finish();
        let mut raised = vec![f32::NAN; BANDS * 240];
        quiet.raised_window(Spectrum::Mel, quieter_db as f32, 239, &mut raised, 240);
        assert!(worst_difference(&raised, &want) < 1e-3, "{quieter_db} dB");
        if quieter_db > 0.0 {
            assert!(worst_difference(&window(&mut quiet, 239, 240), &want) > 1.0);
        }
    }
}
