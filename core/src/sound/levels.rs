//! How loud the voice is, and the noise under it: followed block by block through the stream.
//!
//! Must not know frames or networks. What is known at a moment depends on the audio before it and on
//! nothing else: not on how it was cut into buffers, nor on when it came.

use crate::sound::{RATE, ring};
use std::collections::VecDeque;

/// Samples of a block: 12.5 ms.
const BLOCK: i64 = 200;
const BLOCK_SECONDS: f32 = BLOCK as f32 / RATE as f32;
/// Blocks that are kept at most: as much as the ring holds.
const MAX_BLOCKS: usize = ring::MAX_SAMPLES / BLOCK as usize;
/// Blocks that there is room for at first: 12.8 s.
const INITIAL_BLOCKS: usize = 1024;
/// A level is taken over so many blocks: 50 ms.
const SMOOTHED: usize = 4;

/// Hum and rumble below this count for nothing.
const LOWEST_HZ: f32 = 150.0;
/// Softer than this there is nothing at all: the dither of 16 bits lies below.
const NOTHING_DB: f32 = -90.0;
/// The noise is the softest that was heard, forgotten by so many dB a second: a pause in a sentence
/// comes more often than it rises.
const NOISE_RISES_DB: f32 = 6.0;
/// It is taken for no louder than this before anything was heard, since a voice may come first.
const NOISE_AT_FIRST_DB: f32 = -70.0;
/// A voice stands out from the noise by as much. Chords that ring over one another do not.
const STANDS_OUT_DB: f32 = 15.0;
/// Vowels change little from one sample to the next: correlation of neighbours from which on the
/// audio may be a voice. Breath, hiss and cymbals have less.
const VOICED: f32 = 0.8;
/// How fast the level of the voice follows a louder one: a time constant.
const ATTACK_SECONDS: f32 = 0.06;
/// How fast it follows a softer one, in dB for each second of voice. Slow enough that somebody in
/// the background is not taken for the speaker who pauses.
const FALLS_DB: f32 = 3.0;
/// And how fast at the beginning, until the first voice is met: within a syllable or two, but not
/// with a single sound of lips.
const FALLS_AT_FIRST_DB: f32 = 200.0;

/// Louder than this may always be a voice: whether it is one is left to the network.
pub const LOUD_DB: f32 = -50.0;
/// What is softer than the voice by more than this is none of it.
const VOICE_SPAN_DB: f32 = 28.0;
/// Nor is what stands out from the noise by less.
const NOISE_SPREAD_DB: f32 = 6.0;
/// A voice as loud as this needs no gain.
const QUIET_DB: f32 = -28.0;
const MOST_GAIN_DB: f32 = 40.0;

/// What is known of the levels at a moment, in dBFS.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Levels {
    /// Of the noise under the voice.
    pub noise_db: f32,
    /// Of the voice's louder syllables.
    pub voice_db: f32,
    /// Whether a voice of that level was heard. Before, it is taken for as loud as voices mostly are.
    pub has_voice: bool,
}

impl Default for Levels {
    fn default() -> Self {
        Self {
            noise_db: NOISE_AT_FIRST_DB,
            voice_db: LOUD_DB + VOICE_SPAN_DB,
            has_voice: false,
        }
    }
}

impl Levels {
    /// From which level on audio counts as voice, in dBFS: [`LOUD_DB`], or less where the voice is
    /// quiet and the noise allows it.
    pub fn threshold_db(&self) -> f32 {
        let of_voice = self.voice_db - VOICE_SPAN_DB;
        of_voice.max(self.noise_db + NOISE_SPREAD_DB).min(LOUD_DB)
    }

    /// By how much a quiet voice has to be raised to be as loud as networks know voices, in dB: 0
    /// for one that is loud enough.
    pub fn gain_db(&self) -> f32 {
        (QUIET_DB - self.voice_db).clamp(0.0, MOST_GAIN_DB)
    }

    /// What is known after another block, in which the level is `level_db`.
    fn follow(mut self, level_db: f32, is_voiced: bool) -> Self {
        if level_db < NOTHING_DB {
            return self;
        }
        self.noise_db = level_db.min(self.noise_db + NOISE_RISES_DB * BLOCK_SECONDS);
        if !is_voiced || level_db < self.noise_db + STANDS_OUT_DB {
            return self;
        }
        let falls_db = match self.has_voice {
            true => FALLS_DB,
            false => FALLS_AT_FIRST_DB,
        };
        let fallen_db = self.voice_db - falls_db * BLOCK_SECONDS;
        if level_db > self.voice_db {
            let share = 1.0 - (-BLOCK_SECONDS / ATTACK_SECONDS).exp();
            self.voice_db += share * (level_db - self.voice_db);
        } else {
            self.voice_db = fallen_db.max(level_db);
        }
        self.has_voice |= level_db >= fallen_db;
        self
    }
}

/// Sums over the samples of a block.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    squares: f32,
    /// Of each sample and the one before it.
    neighbours: f32,
}

/// One block, and what is known after it.
#[derive(Clone, Copy, Debug)]
struct Block {
    sums: Sums,
    levels: Levels,
}

/// The levels of all audio that is held.
pub struct LevelTracker {
    /// The slow part of the audio, of the first and the second stage; `None` where it begins anew.
    slow: Option<[f32; 2]>,
    last: f32,
    /// Of the block that is not full yet.
    sums: Sums,
    /// One past the newest sample, on the grid.
    end: i64,
    /// Full blocks, of which the last ends in the block of `end`.
    blocks: VecDeque<Block>,
    /// What was known before the first of them.
    before: Levels,
}

impl LevelTracker {
    pub fn new() -> Self {
        Self {
            slow: None,
            last: 0.0,
            sums: Sums::default(),
            end: 0,
            blocks: VecDeque::with_capacity(INITIAL_BLOCKS),
            before: Levels::default(),
        }
    }

    pub fn clear(&mut self) {
        self.begin(self.end, Levels::default());
    }

    /// Adds samples after the newest one.
    pub fn append(&mut self, mut samples: &[f32]) {
        while !samples.is_empty() {
            let room = BLOCK - self.end.rem_euclid(BLOCK);
            let (now, later) = samples.split_at(samples.len().min(room as usize));
            self.add(now);
            self.end += now.len() as i64;
            if now.len() as i64 == room {
                self.finish_block();
            }
            samples = later;
        }
    }

    /// Goes on at `end`: forward over silence, or back, where the newest audio counts.
    pub fn move_end(&mut self, end: i64) {
        let (from, to) = (self.end.div_euclid(BLOCK), end.div_euclid(BLOCK));
        let first = from - self.blocks.len() as i64;
        if to < first {
            self.begin(end, Levels::default());
        } else if self.blocks.is_empty() || to - from >= MAX_BLOCKS as i64 {
            self.begin(end, self.newest());
        } else {
            for _ in from..to {
                self.finish_block();
            }
            self.blocks.truncate((to - first) as usize);
        }
        if end != self.end {
            self.break_off();
        }
        self.end = end;
    }

    pub fn forget_before(&mut self, start: i64) {
        let first = self.end.div_euclid(BLOCK) - self.blocks.len() as i64;
        let count = start.div_euclid(BLOCK).saturating_sub(first);
        for _ in 0..count.clamp(0, self.blocks.len() as i64) {
            self.forget_block();
        }
    }

    /// What is known from the blocks that end no later than `place`.
    pub fn at(&self, place: i64) -> Levels {
        match self.index(place) {
            0 => self.before,
            past => (self.blocks.get(past - 1)).map_or(self.before, |block| block.levels),
        }
    }

    /// RMS level, in dBFS, of the blocks in which `from..to` lies, above [`LOWEST_HZ`].
    pub fn loudness(&self, from: i64, to: i64) -> f32 {
        let blocks = self.index(from)..self.index(to.saturating_add(BLOCK - 1));
        let squares: f32 = (self.blocks.range(blocks))
            .map(|block| block.sums.squares)
            .sum();
        let samples = to.saturating_sub(from).max(1);
        decibels(squares / samples as f32)
    }

    fn newest(&self) -> Levels {
        self.blocks.back().map_or(self.before, |block| block.levels)
    }

    fn begin(&mut self, end: i64, before: Levels) {
        self.blocks.clear();
        self.break_off();
        (self.end, self.before) = (end, before);
    }

    /// What comes next is not the continuation of what was heard.
    fn break_off(&mut self) {
        (self.slow, self.last, self.sums) = (None, 0.0, Sums::default());
    }

    /// Which of the blocks `place` lies in, or as many as there are.
    fn index(&self, place: i64) -> usize {
        let first = self.end.div_euclid(BLOCK) - self.blocks.len() as i64;
        let index = place.div_euclid(BLOCK).saturating_sub(first);
        index.clamp(0, self.blocks.len() as i64) as usize
    }

    fn add(&mut self, samples: &[f32]) {
        const SHARE: f32 = 2.0 * std::f32::consts::PI * LOWEST_HZ / RATE as f32;
        let mut slow = self.slow.unwrap_or([samples[0], 0.0]);
        for sample in samples {
            slow[0] += SHARE * (sample - slow[0]);
            let sample = sample - slow[0];
            slow[1] += SHARE * (sample - slow[1]);
            let sample = sample - slow[1];
            self.sums.squares += sample * sample;
            self.sums.neighbours += sample * self.last;
            self.last = sample;
        }
        self.slow = Some(slow);
    }

    /// The block is full, or nothing follows in it.
    fn finish_block(&mut self) {
        let sums = std::mem::take(&mut self.sums);
        let mut smoothed = sums;
        for block in self.blocks.iter().rev().take(SMOOTHED - 1) {
            smoothed.squares += block.sums.squares;
            smoothed.neighbours += block.sums.neighbours;
        }
        let level_db = decibels(smoothed.squares / (SMOOTHED as i64 * BLOCK) as f32);
        let is_voiced = smoothed.neighbours > VOICED * smoothed.squares;
        let levels = self.newest().follow(level_db, is_voiced);
        if self.blocks.len() == MAX_BLOCKS {
            self.forget_block();
        }
        self.blocks.push_back(Block { sums, levels });
    }

    fn forget_block(&mut self) {
        if let Some(block) = self.blocks.pop_front() {
            self.before = block.levels;
        }
    }
}

fn decibels(power: f32) -> f32 {
    10.0 * power.log10()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f32::consts::TAU;

    const SECOND: usize = RATE as usize;

    fn amplitude(db: f32) -> f32 {
        10_f32.powf(db / 20.0)
    }

    /// Syllables of vowels four times a second, the loudest 50 ms of each at 0 dBFS.
    fn voice(seconds: f32) -> Vec<f32> {
        (0..(seconds * RATE as f32) as usize)
            .map(|n| n as f32 / RATE as f32)
            .map(|time| 1.45 * (time * 300.0 * TAU).sin() * (time * 4.0 * TAU).sin().max(0.0))
            .collect()
    }

    /// White noise at 0 dBFS.
    fn noise(seconds: f32) -> Vec<f32> {
        let mut state = 1_u32;
        (0..(seconds * RATE as f32) as usize)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state as f32 / u32::MAX as f32 - 0.5) * 12_f32.sqrt()
            })
            .collect()
    }

    fn mixed(parts: &[(&[f32], f32)]) -> Vec<f32> {
        let count = parts
            .iter()
            .map(|(samples, _)| samples.len())
            .min()
            .unwrap();
        let at = |n| {
            parts
                .iter()
                .map(|(samples, db)| samples[n] * amplitude(*db))
                .sum()
        };
        (0..count).map(at).collect()
    }

    fn tracked(samples: &[f32]) -> LevelTracker {
        let mut tracker = LevelTracker::new();
        tracker.move_end(0);
        tracker.append(samples);
        tracker
    }

    #[test]
    fn a_voice_as_loud_as_usual_changes_nothing() {
        let tracker = tracked(&mixed(&[(&voice(5.0), -18.0), (&noise(5.0), -60.0)]));
        let levels = tracker.newest();
        assert_eq!((levels.gain_db(), levels.threshold_db()), (0.0, LOUD_DB));
    }

    #[test]
    fn a_quiet_voice_is_found_within_its_first_syllables() {
        for level_db in [-40.0, -46.0, -56.0, -62.0] {
            let tracker = tracked(&mixed(&[(&voice(5.0), level_db), (&noise(5.0), -84.0)]));
            let heard = |step: &usize| tracker.at((step * SECOND / 20) as i64).has_voice;
            let first_ms = (0..100).find(heard).map(|step| step * 50);
            assert!(first_ms.is_some_and(|ms| ms <= 700), "{first_ms:?}");
            for half_seconds in 2..10 {
                let levels = tracker.at((half_seconds * SECOND / 2) as i64);
                let found = levels.voice_db;
                assert!(
                    levels.has_voice && (found - level_db).abs() < 7.0,
                    "{found} of {level_db}"
                );
                let (gain, threshold) = (levels.gain_db(), levels.threshold_db());
                assert!((gain - (QUIET_DB - level_db)).abs() < 7.0, "{gain}");
                assert!(
                    threshold < level_db - 12.0 && threshold > -84.0,
                    "{threshold}"
                );
            }
        }
    }

    #[test]
    fn steady_noise_at_any_level_is_no_voice() {
        for level_db in [-20.0, -40.0, -56.0, -70.0] {
            let silence = vec![0.0; SECOND];
            let noise: Vec<f32> = noise(8.0).iter().map(|s| s * amplitude(level_db)).collect();
            let levels = tracked(&[silence, noise].concat()).newest();
            assert!(!levels.has_voice);
            assert_eq!((levels.gain_db(), levels.threshold_db()), (0.0, LOUD_DB));
        }
    }

    #[test]
    fn breath_is_no_voice() {
        // Noise that swells for half a second every two seconds.
        let breath: Vec<f32> = (noise(12.0).iter().enumerate())
            .map(|(n, s)| (n, s, (n as f32 / RATE as f32 * TAU / 2.0).sin().max(0.0)))
            .map(|(_, s, swell)| s * swell * amplitude(-52.0))
            .collect();
        assert!(!tracked(&breath).newest().has_voice);
    }

    #[test]
    fn neither_hum_nor_a_constant_offset_hides_a_voice() {
        let time = |n: usize| n as f32 / RATE as f32;
        let hum: Vec<f32> = (0..5 * SECOND)
            .map(|n| (time(n) * 50.0 * TAU).sin() + 1.0)
            .collect();
        let found = tracked(&mixed(&[(&voice(5.0), -50.0), (&hum, -46.0)])).newest();
        assert!((found.voice_db + 50.0).abs() < 5.0);
    }

    #[test]
    fn a_softer_speaker_is_followed_slowly_and_a_pause_forgets_nothing() {
        let (loud, soft) = (voice(3.0), voice(20.0));
        let pause = vec![0.0; 10 * SECOND];
        let loud: Vec<f32> = loud.iter().map(|s| s * amplitude(-20.0)).collect();
        let soft: Vec<f32> = soft.iter().map(|s| s * amplitude(-50.0)).collect();
        let tracker = tracked(&[loud, pause, soft].concat());
        let voice_db = |seconds: usize| tracker.at((seconds * SECOND) as i64).voice_db;
        assert!((voice_db(13) + 20.0).abs() < 5.0);
        assert!(voice_db(16) > -34.0);
        assert!((voice_db(33) + 50.0).abs() < 5.0);
    }

    #[test]
    fn what_is_known_hangs_on_neither_chunks_nor_forgetting() {
        let samples = mixed(&[(&voice(4.0), -50.0), (&noise(4.0), -80.0)]);
        let whole = tracked(&samples);
        for chunk in [1, 7, 199, 200, 201, 4_096] {
            let mut pieces = LevelTracker::new();
            pieces.move_end(0);
            for (n, piece) in samples.chunks(chunk).enumerate() {
                pieces.append(piece);
                pieces.forget_before((n * chunk) as i64 - SECOND as i64);
            }
            for place in (3 * SECOND..4 * SECOND).step_by(100) {
                assert_eq!(pieces.at(place as i64), whole.at(place as i64), "{chunk}");
            }
        }
    }

    #[test]
    fn what_comes_anew_takes_the_place_of_what_was_there() {
        let samples = mixed(&[(&voice(4.0), -50.0), (&noise(4.0), -80.0)]);
        let mut tracker = tracked(&samples);
        let before = tracker.at(2 * SECOND as i64);
        tracker.move_end(2 * SECOND as i64);
        assert_eq!(tracker.newest(), before);
        assert_eq!(tracker.at(i64::MAX), before);
        // Before all that is held nothing is known.
        tracker.move_end(-1);
        assert_eq!(tracker.at(0), Levels::default());
        // Far ahead, what was known last.
        tracker.append(&samples);
        let known = tracker.newest();
        tracker.move_end(1 << 50);
        assert_eq!((tracker.at(1 << 50), tracker.blocks.len()), (known, 0));
        // Over a pause, too, in which there was nothing.
        tracker.append(&samples[..1_000]);
        tracker.move_end((1 << 50) + 5 * SECOND as i64);
        let pause = (1 << 50) + 2 * SECOND as i64;
        assert_eq!(tracker.loudness(pause, pause + 1_600), f32::NEG_INFINITY);
    }
}
