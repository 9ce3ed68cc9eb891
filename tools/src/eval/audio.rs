//! Audio that a mouth should not move to, and voices with such audio under them. All of it is made
//! here, the same in every run.

use std::f32::consts::TAU;

use fastrand::Rng;
use lipsync_tools::media::SPEECH_RATE;

/// Level of a room's noise, in dBFS: above the element's threshold of silence, so that only the
/// network can know that nobody speaks.
const ROOM_DB: f32 = -40.0;
/// Level of music without a voice, in dBFS.
const MUSIC_DB: f32 = -20.0;
/// By how much talkers are softer than the voice, in dB.
const TALKERS_DB: f32 = 10.0;

pub fn silence(count: usize) -> Vec<f32> {
    vec![0.0; count]
}

/// A room in which nobody speaks: noise whose power falls with frequency, as that of rooms does.
pub fn room_tone(count: usize) -> Vec<f32> {
    /// One-pole low-pass: 3 dB down at about 300 Hz.
    const SHARE: f32 = 0.11;
    let (mut random, mut low) = (Rng::with_seed(1), 0.0);
    let tone = (0..count).map(|_| {
        let noise = signed(&mut random);
        low += SHARE * (noise - low);
        low + 0.1 * noise
    });
    scaled(&tone.collect::<Vec<_>>(), amplitude(ROOM_DB))
}

/// A voice over a crowd, [`TALKERS_DB`] softer than it: the same voice backward, at six places, so
/// that it has a voice's spectrum and rhythm and no words.
pub fn among_talkers(voice: &[f32]) -> Vec<f32> {
    const TALKERS: usize = 6;
    let count = voice.len();
    let crowd = (0..count).map(|n| {
        let talker = |i| voice[(2 * count - 1 - n + i * count / TALKERS) % count];
        (0..TALKERS).map(talker).sum()
    });
    over(voice, &crowd.collect::<Vec<_>>(), TALKERS_DB)
}

/// A vowel-like tone that never changes, beside a picture that lasts `count` samples. It outlasts it,
/// since a model that listens ahead would hear it end in the last frames, and close their mouths.
pub fn steady_tone(count: usize) -> Vec<f32> {
    const PITCH: f32 = 220.0;
    const LEVEL: f32 = 0.25;
    (0..count + SPEECH_RATE as usize)
        .map(|n| LEVEL * (time(n) * PITCH * TAU).sin())
        .collect()
}

/// Noise with the same power in every octave, as Voss makes it: a sum of numbers that are thrown
/// anew every 1, 2, 4, ... samples.
pub fn pink_noise(count: usize) -> Vec<f32> {
    const OCTAVES: usize = 12;
    let (mut random, mut thrown) = (Rng::with_seed(2), [0.0; OCTAVES]);
    let noise = (0..count).map(|n| {
        for (octave, number) in thrown.iter_mut().enumerate() {
            if n % (1 << octave) == 0 {
                *number = signed(&mut random);
            }
        }
        thrown.iter().sum()
    });
    noise.collect()
}

/// Four chords over and over (C, G, A minor, F), 120 beats a minute: a struck chord with overtones
/// and a drum on each beat, a cymbal between beats.
pub fn music(count: usize) -> Vec<f32> {
    const BEAT: f32 = 0.5;
    const BEATS_A_CHORD: usize = 2;
    const CHORDS: [[f32; 4]; 4] = [
        [130.81, 261.63, 329.63, 392.00],
        [98.00, 246.94, 293.66, 392.00],
        [110.00, 261.63, 329.63, 440.00],
        [87.31, 261.63, 349.23, 440.00],
    ];
    const OVERTONES: u8 = 6;
    let mut random = Rng::with_seed(3);
    let music = (0..count).map(|n| {
        let beats = time(n) / BEAT;
        let (beat, since) = (beats as usize, beats.fract() * BEAT);
        let fading = |seconds: f32| (-since / seconds).exp();
        let tone = |pitch: f32| (since * pitch * TAU).sin();
        let pitches = CHORDS[beat / BEATS_A_CHORD % CHORDS.len()].iter();
        let overtones =
            pitches.flat_map(|pitch| (1..=OVERTONES).map(move |k| (pitch, f32::from(k))));
        let chord: f32 = overtones
            .map(|(pitch, k)| tone(pitch * k) / k * fading(0.4 / k))
            .sum();
        let drum = 3.0 * tone(60.0) * fading(0.08);
        let cymbal = match since > BEAT / 2.0 {
            true => signed(&mut random) * fading(0.04) * (BEAT / 2.0 / 0.04_f32).exp(),
            false => 0.0,
        };
        chord + drum + cymbal
    });
    scaled(&music.collect::<Vec<_>>(), amplitude(MUSIC_DB))
}

/// A voice over something `decibels` softer than it (RMS of the whole).
pub fn over(voice: &[f32], under: &[f32], decibels: f32) -> Vec<f32> {
    let under = scaled(under, rms(voice) * amplitude(-decibels));
    voice.iter().zip(under).map(|(a, b)| a + b).collect()
}

/// From -1 to 1.
fn signed(random: &mut Rng) -> f32 {
    2.0 * random.f32() - 1.0
}

fn time(sample: usize) -> f32 {
    sample as f32 / SPEECH_RATE as f32
}

fn amplitude(decibels: f32) -> f32 {
    10_f32.powf(decibels / 20.0)
}

fn rms(samples: &[f32]) -> f32 {
    let squares: f32 = samples.iter().map(|sample| sample * sample).sum();
    (squares / samples.len().max(1) as f32).sqrt()
}

/// The same sound at another level (RMS).
fn scaled(samples: &[f32], level: f32) -> Vec<f32> {
    let gain = level / rms(samples).max(f32::MIN_POSITIVE);
    samples.iter().map(|sample| sample * gain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: usize = SPEECH_RATE as usize;

    #[test]
    fn what_lies_under_a_voice_is_as_soft_as_asked() {
        let voice = steady_tone(SECOND);
        for decibels in [0.0, 10.0, 20.0] {
            for under in [pink_noise(voice.len()), music(voice.len())] {
                let mixed = over(&voice, &under, decibels);
                let rest: Vec<f32> = mixed.iter().zip(&voice).map(|(a, b)| a - b).collect();
                let ratio = 20.0 * (rms(&voice) / rms(&rest)).log10();
                assert!((ratio - decibels).abs() < 0.01, "{ratio} for {decibels}");
            }
        }
    }

    #[test]
    fn pink_noise_falls_by_3_db_an_octave() {
        let noise = pink_noise(8 * SECOND);
        // Power of what remains of slow means, an octave apart.
        let power = |span: usize| {
            let chunks = noise.chunks_exact(span);
            let means = chunks.map(|chunk| chunk.iter().sum::<f32>() / span as f32);
            let means: Vec<f32> = means.collect();
            let steps = means.windows(2).map(|pair| pair[1] - pair[0]);
            rms(&steps.collect::<Vec<_>>())
        };
        let ratio = power(64) / power(32);
        assert!((0.85..1.15).contains(&ratio), "{ratio}");
    }

    #[test]
    fn sounds_have_their_levels() {
        let decibels = |samples: &[f32]| 20.0 * rms(samples).log10();
        assert!((decibels(&room_tone(SECOND)) - ROOM_DB).abs() < 0.01);
        assert!((decibels(&music(4 * SECOND)) - MUSIC_DB).abs() < 0.01);
        assert!(silence(9).iter().all(|sample| *sample == 0.0));
    }
}
