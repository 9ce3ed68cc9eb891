//! Where samples land on the grid: needs the ring, so it lives beside it. What the mel shows is
//! tested in `tests/pixels/sound.rs`.

use crate::sound::{spectrum_cache::Analysis, *};
use proptest::prelude::*;
use std::f64::consts::TAU;

const SECOND: i64 = 1_000_000_000;
const MS: i64 = 1_000_000;
const TEST_RATES: [u32; 13] = [
    4_000, 6_000, 8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000, 384_000, 768_000,
    1_536_000,
];

fn bytes(samples: &[f32]) -> Vec<u8> {
    samples.iter().flat_map(|s| s.to_le_bytes()).collect()
}

fn sound(rate: u32) -> Sound {
    let mut sound = Sound::new();
    sound
        .configure(SampleFormat::F32, rate, MONO)
        .expect("a format of the contract");
    sound
}

/// Samples from running time `from_ns` on.
fn heard(sound: &Sound, from_ns: i64, count: usize) -> Vec<f32> {
    let mut out = vec![0.0; count];
    sound.ring.read(from_ns / SAMPLE_NS, &mut out);
    out
}

fn duration(frames: usize, rate: u32) -> i64 {
    (frames as i128 * i128::from(SECOND) / i128::from(rate)) as i64
}

/// Pushes `samples` in pieces of `chunk` frames, stamped as a perfect source would.
fn push_in_chunks(sound: &mut Sound, rate: u32, samples: &[f32], start_ns: i64, chunk: usize) {
    for (n, piece) in samples.chunks(chunk).enumerate() {
        sound.push(&bytes(piece), start_ns + duration(n * chunk, rate), false);
    }
}

/// Running time of the loudest place, by the centroid of its energy.
fn click_time(sound: &Sound, around_ns: i64, within_ns: i64) -> Option<f64> {
    let from = (around_ns - within_ns).div_euclid(SAMPLE_NS);
    let mut samples = vec![0.0; (2 * within_ns / SAMPLE_NS) as usize];
    sound.ring.read(from, &mut samples);
    let energy = |s: &f32| f64::from(*s).powi(2);
    let total: f64 = samples.iter().map(energy).sum();
    let moment: f64 = samples
        .iter()
        .enumerate()
        .map(|(n, s)| n as f64 * energy(s))
        .sum();
    (total > 1e-6).then(|| (from as f64 + moment / total) * SAMPLE_NS as f64)
}

#[test]
fn a_click_stays_at_its_running_time_at_every_rate() {
    for rate in TEST_RATES {
        for start in [0, 12_345_678, -7 * SECOND - 31, 3_600 * SECOND + 1] {
            let mut samples = vec![0.0; rate as usize / 4];
            let at = samples.len() / 2 + 7;
            samples[at] = 1.0;
            let mut sound = sound(rate);
            push_in_chunks(&mut sound, rate, &samples, start, 333);
            let want = start + duration(at, rate);
            let got = click_time(&sound, want, 20 * MS).expect("a click");
            // At 16 kHz samples move to the nearest place; else the click's own energy around the
            // output's Nyquist frequency blurs the centroid a little.
            let allowed = if rate == RATE { 0.51 } else { 0.2 };
            let error = (got - want as f64) / SAMPLE_NS as f64;
            assert!(
                error.abs() < allowed,
                "{rate} Hz from {start}: {error} samples"
            );
        }
    }
}

#[test]
fn sound_at_16_khz_passes_through_bit_exactly() {
    let samples: Vec<f32> = (0..40_000).map(|n| (n as f32 * 0.37).sin() * 0.9).collect();
    let mut sound = sound(RATE);
    push_in_chunks(&mut sound, RATE, &samples, SECOND, 441);
    assert_eq!(heard(&sound, SECOND, samples.len()), samples);
    assert_eq!(
        sound.covered_until(),
        SECOND + duration(samples.len(), RATE)
    );
}

#[test]
fn tones_keep_level_and_phase_and_what_would_alias_is_gone() {
    for rate in TEST_RATES {
        let tone = |hz: f64, n: usize, rate: u32| (TAU * hz * n as f64 / f64::from(rate)).sin();
        let highest = (f64::from(rate) / 2.0).min(8_000.0) - 400.0;
        for hz in [100.0, 1_000.0, highest] {
            let samples: Vec<f32> = (0..rate as usize / 2)
                .map(|n| tone(hz, n, rate) as f32)
                .collect();
            let mut sound = sound(rate);
            push_in_chunks(&mut sound, rate, &samples, 0, 4_000);
            for (n, got) in heard(&sound, 0, 7_900).into_iter().enumerate().skip(100) {
                let error = (f64::from(got) - tone(hz, n, RATE)).abs();
                assert!(error < 5e-4, "{hz} Hz at {rate} Hz: off by {error}");
            }
        }
        if rate > RATE {
            let hz = (f64::from(rate) / 2.0 - 100.0).min(8_450.0);
            let samples: Vec<f32> = (0..rate as usize / 2)
                .map(|n| tone(hz, n, rate) as f32)
                .collect();
            let mut sound = sound(rate);
            push_in_chunks(&mut sound, rate, &samples, 0, 4_000);
            let loudest = heard(&sound, 0, 7_900)
                .into_iter()
                .skip(100)
                .fold(0.0, |a: f32, s| a.max(s.abs()));
            assert!(
                loudest < 5e-4,
                "{hz} Hz at {rate} Hz comes through at {loudest}"
            );
        }
    }
}

#[test]
fn no_more_than_the_stated_latency_is_held_back() {
    for rate in TEST_RATES {
        let mut sound = sound(rate);
        let mut pushed = 0;
        for _ in 0..200 {
            sound.push(&bytes(&[0.1; 97]), duration(pushed, rate), false);
            pushed += 97;
            let behind = duration(pushed, rate) - sound.covered_until();
            assert!(
                (-SAMPLE_NS..=sound.latency_ns()).contains(&behind),
                "{behind} ns at {rate} Hz"
            );
        }
        sound.finish();
        assert_eq!(sound.covered_until(), i64::MAX);
        let end = sound.ring.end().expect("sound") * SAMPLE_NS;
        assert!(
            (end - duration(pushed, rate)).abs() <= SAMPLE_NS,
            "{rate} Hz: the end is cut"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn chunks_make_no_difference(
        rate in prop::sample::select(&TEST_RATES),
        start in -SECOND..SECOND,
        chunks in prop::collection::vec(0usize..3_000, 1..12),
    ) {
        let total: usize = chunks.iter().sum();
        let samples: Vec<f32> = (0..total).map(|n| (n as f32 * 0.11).sin()).collect();
        let mut whole = sound(rate);
        whole.push(&bytes(&samples), start, false);
        let mut pieces = sound(rate);
        let mut at = 0;
        for chunk in chunks {
            pieces.push(&bytes(&samples[at..at + chunk]), start + duration(at, rate), false);
            at += chunk;
        }
        prop_assert_eq!(whole.covered_until(), pieces.covered_until());
        whole.finish();
        pieces.finish();
        let count = (duration(total, rate) / SAMPLE_NS) as usize + 2;
        prop_assert_eq!(heard(&whole, start, count), heard(&pieces, start, count));
    }

    #[test]
    fn nothing_that_is_pushed_panics(
        steps in prop::collection::vec((any::<u8>(), any::<i64>(), any::<i64>(), prop::collection::vec(any::<u8>(), 0..300)), 1..20),
    ) {
        let mut sound = Sound::new();
        let mut window = vec![0.0; BANDS * 16];
        for (kind, a, b, data) in steps {
            let format = [SampleFormat::S16, SampleFormat::S32, SampleFormat::F32, SampleFormat::F64][kind as usize % 4];
            match kind / 4 % 8 {
                0 => _ = sound.configure(format, (a as u32) % 400_000, &[Position::Elsewhere; 9][..(b as usize) % 9]),
                1 => sound.gap(a, b),
                2 => sound.finish(),
                3 => sound.forget_before(a),
                4 => sound.reset(),
                _ => sound.push(&data, if kind % 3 == 0 { a } else { a % SECOND }, b % 2 == 0),
            }
            sound.window(Spectrum::Mel, Spectrum::Mel.column_for(a), &mut window, 16);
            prop_assert!(window.iter().all(|v| (-4.0..=4.0).contains(v)));
            prop_assert!(!sound.loudness(a.min(b), a.max(b)).is_nan());
        }
    }
}

/// A second of ones at time zero, then half a second of twos stamped `stamp`.
fn two_buffers(rate: u32, stamp: i64, discont: bool) -> Sound {
    let mut sound = sound(rate);
    sound.push(&bytes(&vec![1.0; rate as usize]), 0, false);
    sound.push(&bytes(&vec![2.0; rate as usize / 2]), stamp, discont);
    sound.finish();
    sound
}

#[test]
fn jitter_leaves_no_seam() {
    for jitter in [-39 * MS, -MS, 0, MS, 39 * MS] {
        let sound = two_buffers(RATE, SECOND + jitter, false);
        assert_eq!(
            heard(&sound, SECOND - SAMPLE_NS, 2),
            [1.0, 2.0],
            "{jitter} ns"
        );
        assert_eq!(sound.ring.end(), Some(24_000));
    }
}

#[test]
fn a_jump_forward_leaves_silence() {
    for (jump, discont) in [
        (41 * MS, false),
        (41 * MS, true),
        (5 * MS, true),
        (3 * SECOND, false),
    ] {
        let sound = two_buffers(RATE, SECOND + jump, discont);
        let silence = heard(&sound, SECOND, (jump / SAMPLE_NS) as usize);
        assert!(silence.iter().all(|&s| s == 0.0));
        assert_eq!(heard(&sound, SECOND - SAMPLE_NS, 1), [1.0]);
        assert_eq!(heard(&sound, SECOND + jump, 1), [2.0]);
    }
}

#[test]
fn where_sound_overlaps_the_newest_is_heard() {
    for (back, discont) in [(41 * MS, false), (600 * MS, false), (5 * MS, true)] {
        let sound = two_buffers(RATE, SECOND - back, discont);
        assert_eq!(heard(&sound, SECOND - back - SAMPLE_NS, 2), [1.0, 2.0]);
        assert_eq!(sound.ring.end(), Some(24_000 - back / SAMPLE_NS));
    }
    // Before all that is held: a fresh start.
    let sound = two_buffers(RATE, -10 * SECOND, false);
    assert_eq!(sound.ring.end(), Some(-9 * 16_000 - 8_000));
}

#[test]
fn a_discontinuity_on_an_empty_buffer_counts_for_the_next() {
    let mut sound = sound(RATE);
    sound.push(&bytes(&[1.0; 1_600]), 0, false);
    sound.push(&[], 100 * MS, true);
    sound.push(&bytes(&[2.0; 1_600]), 110 * MS, false);
    assert_eq!(heard(&sound, 105 * MS, 1), [0.0]);
    assert_eq!(heard(&sound, 110 * MS, 1), [2.0]);
}

#[test]
fn a_gap_is_silence_and_never_takes_back_sound() {
    let mut sound = sound(48_000);
    assert_eq!(sound.covered_until(), i64::MIN);
    sound.push(&bytes(&[0.5; 48_000]), 0, false);
    sound.gap(500 * MS, 800 * MS);
    assert_eq!(heard(&sound, 600 * MS, 1), [0.5]);
    sound.gap(SECOND, 2 * SECOND);
    assert_eq!(sound.covered_until(), 2 * SECOND);
    assert!(heard(&sound, SECOND, 16_000).iter().all(|&s| s == 0.0));
    // A few samples before the gap's end: the sound is right, not the gap.
    sound.push(&bytes(&[0.5; 48_000]), 2 * SECOND - 5 * MS, false);
    assert!((heard(&sound, 2 * SECOND, 1)[0] - 0.5).abs() < 1e-3);
    sound.gap(5 * SECOND, 5 * SECOND);
    assert!(sound.covered_until() < 3 * SECOND);
}

#[test]
fn formats_may_change_in_mid_stream() {
    let mut sound = sound(48_000);
    sound.push(&bytes(&[0.25; 48_000]), 0, false);
    sound
        .configure(SampleFormat::S16, 8_000, &[Position::Left, Position::Right])
        .expect("a format of the contract");
    let stereo: Vec<u8> = [8_192i16, 24_576]
        .repeat(8_000)
        .iter()
        .flat_map(|s| s.to_le_bytes())
        .collect();
    sound.push(&stereo, SECOND, false);
    assert!((heard(&sound, 900 * MS, 1)[0] - 0.25).abs() < 1e-3);
    assert!((heard(&sound, 1_100 * MS, 1)[0] - 0.5).abs() < 1e-3);
    assert!(sound.covered_until() > 2 * SECOND - sound.latency_ns() - SAMPLE_NS);
}

#[test]
fn impossible_formats_are_refused_and_the_old_one_stays() {
    let mut sound = sound(RATE);
    for (rate, places) in [(0, MONO), (3_999, MONO), (1_536_001, MONO), (RATE, &[])] {
        let error = sound
            .configure(SampleFormat::F64, rate, places)
            .expect_err("refused");
        assert!(matches!(error, Error::SoundFormat(_)));
    }
    sound.push(&bytes(&[0.5; 160]), 0, false);
    assert_eq!(sound.covered_until(), 10 * MS);
}

/// The largest distance in nanoseconds between a click and its stamp when the sound card runs
/// `parts_per_million` slow and every stamp jitters by up to `jitter` nanoseconds.
fn worst_drift(rate: u32, seconds: i64, parts_per_million: f64, jitter: i64) -> i64 {
    let mut sound = sound(rate);
    let chunk = rate as usize / 10;
    let quiet = bytes(&vec![0.0; chunk]);
    let mut click = quiet.clone();
    click[chunk / 2 * 4..chunk / 2 * 4 + 4].copy_from_slice(&1.0f32.to_le_bytes());
    let time =
        |frame: f64| (frame / f64::from(rate) * (1.0 + parts_per_million / 1e6) * 1e9) as i64;
    let mut worst = 0;
    let mut random = fastrand::Rng::with_seed(1);
    for n in 0..seconds * 10 {
        let stamp = time((n as usize * chunk) as f64);
        let noise = random.i64(-jitter..=jitter);
        let clicks = n % 50 == 20;
        sound.push(if clicks { &click } else { &quiet }, stamp + noise, false);
        if n % 50 == 21 && n > 50 {
            let want = time((n as usize * chunk) as f64 - (chunk - chunk / 2) as f64);
            let got = click_time(&sound, want, 45 * MS).expect("a click");
            worst = worst.max((got as i64 - want).abs());
        }
        sound.forget_before(stamp - SECOND);
    }
    worst
}

#[test]
fn drift_does_not_build_up() {
    for (rate, seconds, ppm, jitter) in [
        (RATE, 3_600, 100.0, 0),
        (RATE, 600, -100.0, 10 * MS),
        (48_000, 90, 300.0, MS),
        (8_000, 120, -1_000.0, 0),
    ] {
        let worst = worst_drift(rate, seconds, ppm, jitter);
        println!("{rate} Hz, {seconds} s at {ppm} ppm, jitter {jitter} ns: at most {worst} ns off");
        assert!(worst < 20 * MS, "{rate} Hz, {ppm} ppm: {worst} ns");
    }
}

#[test]
fn sound_that_was_lost_without_a_flag_is_found_to_be_missing() {
    for (rate, lost) in [(16_000, 3), (48_000, 3), (44_100, 2), (48_000, 1)] {
        let block = rate as usize / 100;
        let click_at = SECOND * 2;
        let mut sound = sound(rate);
        for index in (0..250).filter(|index| !(50..50 + lost).contains(index)) {
            let mut samples = vec![0.0; block];
            let at = index as i64 * SECOND / 100;
            if at == click_at {
                samples[0] = 1.0;
            }
            sound.push(&bytes(&samples), at, false);
        }
        let found = click_time(&sound, click_at, 100 * MS).expect("the click is heard");
        let off = found - click_at as f64;
        assert!(off.abs() < 1e6, "{rate} Hz, {lost} blocks: {off} ns off");
    }
}

#[test]
fn loudness_is_rms_about_the_mean() {
    let tone: Vec<f32> = (0..RATE as usize)
        .map(|n| (TAU * n as f64 / 16.0).sin() as f32 * 0.1 + 0.3)
        .collect();
    let mut sound = sound(RATE);
    assert_eq!(sound.loudness(0, SECOND), f32::NEG_INFINITY);
    sound.push(&bytes(&tone), 0, false);
    assert!((sound.loudness(0, SECOND) + 23.01).abs() < 0.01);
    assert!((sound.loudness(500 * MS, 540 * MS) + 23.01).abs() < 0.01);
    assert_eq!(sound.loudness(500 * MS, 500 * MS), f32::NEG_INFINITY);
    assert_eq!(sound.loudness(-2 * SECOND, -SECOND), f32::NEG_INFINITY);
    assert_eq!(sound.loudness(i64::MIN, i64::MIN + 5), f32::NEG_INFINITY);
}

#[test]
fn columns_need_no_sound_after_their_time() {
    for (time, column) in [
        (25 * MS, 0),
        (25 * MS - 1, -1),
        (SECOND, 78),
        (0, -2),
        (-SECOND, -82),
    ] {
        assert_eq!(Spectrum::Mel.column_for(time), column, "{time}");
        assert!(LogMel::span(column).end * SAMPLE_NS <= time);
        assert!(LogMel::span(column + 1).end * SAMPLE_NS > time);
        let column = Spectrum::Fbank.column_for(time);
        assert!(Fbank::span(column).end * SAMPLE_NS <= time);
        assert!(Fbank::span(column + 1).end * SAMPLE_NS > time);
    }
}

#[test]
fn bounds_are_the_first_sound_and_once_ended_the_last() {
    let mut sound = sound(RATE);
    assert_eq!(sound.bounds(), Bounds::default());
    // Silence known before the sound is none of it.
    sound.gap(0, SECOND);
    assert_eq!(sound.bounds(), Bounds::default());
    sound.push(&bytes(&[0.5; 16_000]), SECOND + MS, true);
    let begin = Some(16_016);
    assert_eq!(sound.bounds(), Bounds { begin, end: None });
    sound.forget_before(2 * SECOND);
    sound.finish();
    let end = Some(16_000 + 16_016);
    assert_eq!(sound.bounds(), Bounds { begin, end });
    sound.push(&bytes(&[0.5; 400]), 2 * SECOND + MS, false);
    assert_eq!(sound.bounds(), Bounds { begin, end: None });
    sound.reset();
    assert_eq!(sound.bounds(), Bounds::default());
}
