//! Any sound at any time: what is heard is a number, and what is covered never shrinks by itself.
#![no_main]

use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};
use lipsync_core::sound::{BANDS, Channel, MEL_RANGE, Place, SampleFormat, Sound, Spectrum};

const PLACES: [Place; 5] = [
    Place::Centre,
    Place::Left,
    Place::Right,
    Place::Elsewhere,
    Place::LowFrequency,
];

#[derive(Arbitrary, Debug)]
enum Step {
    Configure {
        format: u8,
        rate: u32,
        channels: Vec<u8>,
    },
    Push {
        bytes: Vec<u8>,
        times: u8,
        at: Time,
        discont: bool,
    },
    Gap(Time, Time),
    Finish,
    Reset,
    Forget(Time),
    Window {
        last_column: i64,
        columns: u8,
    },
    WindowAt(Time),
    /// Which channel is listened to.
    Listen(u8),
    /// What is known of the levels.
    Levels(Time),
    /// From now on the other spectrum is asked for.
    Switch,
    Loudness(Time, Time),
}

/// In nanoseconds: near the beginning, or anywhere.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Time {
    Near(i16),
    Any(i64),
}

impl Time {
    fn ns(self) -> i64 {
        match self {
            Self::Near(ms) => i64::from(ms) * 1_000_000,
            Self::Any(ns) => ns,
        }
    }
}

fuzz_target!(|steps: Vec<Step>| {
    let mut sound = Sound::new();
    let mut mel = vec![0.0; 256 * BANDS];
    let mut spectrum = Spectrum::Mel;
    for step in steps.iter().take(64) {
        let covered = sound.covered_until();
        match step {
            Step::Configure {
                format,
                rate,
                channels,
            } => {
                use SampleFormat::{F32, F64, S16, S32};
                let format = [S16, S32, F32, F64][usize::from(format % 4)];
                let place = |channel: &u8| PLACES[usize::from(channel % 5)];
                let places: Vec<Place> = channels.iter().take(64).map(place).collect();
                let _ = sound.configure(format, *rate, &places);
            }
            Step::Push {
                bytes,
                times,
                at,
                discont,
            } => sound.push(&bytes.repeat(usize::from(*times)), at.ns(), *discont),
            Step::Gap(from, to) => {
                sound.gap(from.ns(), to.ns());
                assert!(sound.covered_until() >= covered || covered == i64::MAX);
            }
            Step::Finish => {
                sound.finish();
                assert_eq!(sound.covered_until(), i64::MAX);
            }
            Step::Reset => {
                sound.reset();
                assert_eq!(sound.covered_until(), i64::MIN);
            }
            Step::Forget(before) => {
                sound.forget_before(before.ns());
                assert_eq!(sound.covered_until(), covered);
            }
            Step::Window {
                last_column,
                columns,
            } => {
                let columns = usize::from(*columns);
                window(&mut sound, spectrum, *last_column, columns, &mut mel);
            }
            Step::WindowAt(at) => {
                let last_column = spectrum.column_for(at.ns());
                window(&mut sound, spectrum, last_column, 32, &mut mel);
            }
            Step::Switch => {
                spectrum = match spectrum {
                    Spectrum::Mel => Spectrum::Fbank,
                    Spectrum::Fbank => Spectrum::Whisper,
                    Spectrum::Whisper => Spectrum::Samples,
                    Spectrum::Samples => Spectrum::Mel,
                }
            }
            Step::Listen(channel) => sound.set_channel(match channel {
                0 => Channel::Auto,
                1 => Channel::Mix,
                2 => Channel::Left,
                3 => Channel::Right,
                4 => Channel::Centre,
                number => Channel::Number(usize::from(*number)),
            }),
            Step::Levels(at) => {
                let levels = sound.levels(at.ns());
                assert!((0.0..=40.0).contains(&levels.gain_db()));
                assert!(levels.threshold_db() <= -50.0);
            }
            Step::Loudness(from, to) => {
                assert!(!sound.voice_loudness(from.ns(), to.ns()).is_nan());
                assert!(!sound.loudness(from.ns(), to.ns()).is_nan());
            }
        }
        let _ = sound.bounds();
    }
});

fn window(
    sound: &mut Sound,
    spectrum: Spectrum,
    last_column: i64,
    columns: usize,
    mel: &mut [f32],
) {
    sound.window(spectrum, last_column, mel, columns);
    let range = match spectrum {
        Spectrum::Mel => MEL_RANGE[0]..=MEL_RANGE[1],
        Spectrum::Fbank | Spectrum::Whisper | Spectrum::Samples => f32::MIN..=f32::MAX,
    };
    for value in &mel[..columns * BANDS] {
        assert!(range.contains(value), "{value}");
    }
}
