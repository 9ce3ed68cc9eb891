use super::*;
use proptest::prelude::*;
use std::f32::consts::TAU;

use Position::{Centre, Elsewhere, Left, LowFrequency, Right};

const RATE: u32 = 8_000;
const STEREO: &[Position] = &[Left, Right];
const SURROUND: &[Position] = &[Left, Right, Centre, LowFrequency, Elsewhere, Elsewhere];

/// Syllables of a voice, full scale at their loudest.
fn voice(n: usize) -> f32 {
    let seconds = n as f32 / RATE as f32;
    (seconds * 200.0 * TAU).sin() * (seconds * 4.0 * TAU).sin().powi(2)
}

/// Chords that never pause.
fn music(n: usize) -> f32 {
    let seconds = n as f32 / RATE as f32;
    [262.0, 330.0, 392.0]
        .map(|hz| (seconds * hz * TAU).sin())
        .iter()
        .sum::<f32>()
        / 3.0
}

fn interleave(frames: usize, channels: usize, sample: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    (0..frames * channels)
        .map(|n| sample(n / channels, n % channels))
        .collect()
}

fn mixed(places: &[Position], channel: Channel, data: &[f32]) -> Vec<f32> {
    let mut out = vec![9.0; data.len() / places.len()];
    Downmix::new(places, RATE, channel).mix(data, &mut out);
    out
}

/// A second of what `auto` makes of it, once it has heard two.
fn settled(places: &[Position], sample: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    let data = interleave(3 * RATE as usize, places.len(), sample);
    mixed(places, Channel::Auto, &data).split_off(2 * RATE as usize)
}

/// By how much, in dB, what is left beside the voice is softer than it, whatever the voice's sign
/// and level.
fn voice_to_rest(out: &[f32]) -> f32 {
    let voice: Vec<f32> = (2 * RATE as usize..).take(out.len()).map(voice).collect();
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let gain = dot(out, &voice) / dot(&voice, &voice);
    let rest: Vec<f32> = out
        .iter()
        .zip(&voice)
        .map(|(out, voice)| out - gain * voice)
        .collect();
    10.0 * (gain * gain * dot(&voice, &voice) / dot(&rest, &rest).max(1e-20)).log10()
}

#[test]
fn names_are_read_and_written() {
    for name in ["auto", "mix", "left", "right", "centre", "0", "17"] {
        assert_eq!(
            name.parse::<Channel>().map(|it| it.to_string()),
            Ok(name.into())
        );
    }
    assert_eq!(" Center ".parse(), Ok(Channel::Centre));
    for name in ["", "middle", "-1", "1.5", "99999999999999999999999"] {
        assert_eq!(name.parse::<Channel>(), Err(()));
    }
}

#[test]
fn channels_in_phase_are_averaged_exactly() {
    let data = interleave(4_000, 2, |n, channel| voice(n) * [0.25, 0.75][channel]);
    let want: Vec<f32> = data
        .chunks_exact(2)
        .map(|pair| (pair[0] + pair[1]) * 0.5)
        .collect();
    assert_eq!(mixed(STEREO, Channel::Auto, &data), want);
}

#[test]
fn a_voice_is_heard_whatever_channel_it_is_in() {
    let layouts: [&[Position]; 8] = [
        STEREO,
        &[Left, Right, Centre],
        &[Left, Right, Elsewhere, Elsewhere],
        &[Left, Right, Centre, Elsewhere],
        SURROUND,
        &[
            Left,
            Right,
            Centre,
            LowFrequency,
            Elsewhere,
            Elsewhere,
            Elsewhere,
            Elsewhere,
        ],
        &[Elsewhere, Elsewhere],
        &[Elsewhere; 8],
    ];
    for places in layouts {
        for only in (0..places.len()).filter(|index| places[*index] != LowFrequency) {
            let out = settled(places, |n, channel| match channel == only {
                true => 0.5 * voice(n),
                false => 0.0,
            });
            let loudest = out.iter().fold(0.0, |a: f32, s| a.max(s.abs()));
            assert!(
                (loudest - 0.5).abs() < 0.01,
                "{loudest} of {only} in {places:?}"
            );
        }
    }
}

#[test]
fn opposite_phase_cancels_nothing() {
    for places in [STEREO, &[Elsewhere; 2], &[Elsewhere; 5]] {
        for weaker in [1.0, 0.5] {
            let out = settled(places, |n, channel| match channel % 2 {
                0 => 0.5 * voice(n),
                _ => -0.5 * weaker * voice(n),
            });
            let loudest = out.iter().fold(0.0, |a: f32, s| a.max(s.abs()));
            assert!(loudest > 0.37, "{loudest} in {places:?}");
        }
    }
}

#[test]
fn dialogue_in_the_centre_is_alone_whatever_the_others_play() {
    for places in [SURROUND, &[Left, Right, Centre]] {
        for under_db in [-10.0, 0.0, 10.0] {
            let level = 0.3 * 10_f32.powf(under_db / 20.0);
            let out = settled(places, |n, channel| match places[channel] {
                Centre => 0.3 * voice(n),
                _ => level * music(n + 31 * channel),
            });
            assert!(voice_to_rest(&out) > 60.0, "{} dB", voice_to_rest(&out));
        }
    }
}

#[test]
fn a_centre_that_carries_nothing_leaves_the_voice_to_left_and_right() {
    // Of a stereo programme: nothing, or the noise of a converter.
    for noise in [0.0, 1e-4] {
        let out = settled(SURROUND, |n, channel| match SURROUND[channel] {
            Left | Right => 0.3 * voice(n),
            Centre => noise * music(n),
            _ => 0.05 * music(n),
        });
        assert!(voice_to_rest(&out) > 60.0);
    }
}

#[test]
fn low_frequency_effects_are_never_heard() {
    for channel in [Channel::Auto, Channel::Mix, Channel::Left, Channel::Centre] {
        let data = interleave(RATE as usize, 6, |n, channel| match SURROUND[channel] {
            LowFrequency => music(n),
            _ => 0.0,
        });
        assert!(mixed(SURROUND, channel, &data).iter().all(|&s| s == 0.0));
    }
}

#[test]
fn the_centre_is_kept_while_its_speaker_pauses() {
    let second = RATE as usize;
    let data = interleave(8 * second, 6, |n, channel| match SURROUND[channel] {
        Centre if !(2 * second..7 * second).contains(&n) => 0.3 * voice(n),
        Centre => 0.0,
        _ => 0.3 * music(n),
    });
    let out = mixed(SURROUND, Channel::Auto, &data);
    assert!(out[3 * second..7 * second].iter().all(|&s| s == 0.0));
}

#[test]
fn each_channel_can_be_chosen() {
    let data = interleave(100, 6, |_, channel| channel as f32);
    for (channel, want) in [
        (Channel::Left, 0.0),
        (Channel::Right, 1.0),
        (Channel::Centre, 2.0),
        (Channel::Number(3), 3.0),
        (Channel::Number(5), 5.0),
        (Channel::Mix, 12.0 / 5.0),
        // Not there: as auto.
        (Channel::Number(6), 2.0),
    ] {
        let out = mixed(SURROUND, channel, &data);
        assert!(
            out.iter().all(|&s| (s - want).abs() < 1e-5),
            "{channel}: {}",
            out[0]
        );
    }
    let unpositioned = &[Elsewhere; 6];
    assert_eq!(mixed(unpositioned, Channel::Right, &data)[0], 1.0);
    assert!(!Channel::Centre.is_among(unpositioned));
    assert!(!Channel::Number(6).is_among(unpositioned));
    for channel in [
        Channel::Left,
        Channel::Right,
        Channel::Centre,
        Channel::Number(0),
    ] {
        assert_eq!(channel.among(&[Elsewhere]), Some(0), "{channel}");
    }
}

#[test]
fn a_change_makes_no_click() {
    // Constant, so that whatever changes is the weights' doing.
    let data = interleave(RATE as usize, 2, |_, channel| [0.8, -0.8][channel]);
    let mut downmix = Downmix::new(STEREO, RATE, Channel::Left);
    let mut out = vec![0.0; RATE as usize];
    let (frames, later) = data.split_at(data.len() / 2 + 26);
    let (first, second) = out.split_at_mut(frames.len() / 2);
    downmix.mix(frames, first);
    downmix.set_channel(Channel::Right);
    downmix.mix(later, second);
    assert_eq!((out[0], out[RATE as usize - 1]), (0.8, -0.8));
    let steepest = (out.windows(2).map(|pair| (pair[1] - pair[0]).abs())).fold(0.0, f32::max);
    assert!(
        steepest < 1.6 / (RATE as f32 * STEP_SECONDS) + 1e-4,
        "{steepest}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn how_it_is_cut_makes_no_difference(chunks in prop::collection::vec(1usize..700, 1..20)) {
        let frames = chunks.iter().sum();
        let data = interleave(frames, 6, |n, channel| match SURROUND[channel] {
            Centre if n > 3_000 => voice(n),
            Left => music(n),
            Right => -music(n),
            _ => 0.0,
        });
        let mut pieces = vec![9.0; frames];
        let mut downmix = Downmix::new(SURROUND, RATE, Channel::Auto);
        let mut at = 0;
        for chunk in chunks {
            downmix.mix(&data[at * 6..(at + chunk) * 6], &mut pieces[at..at + chunk]);
            at += chunk;
        }
        prop_assert_eq!(mixed(SURROUND, Channel::Auto, &data), pieces);
    }
}
