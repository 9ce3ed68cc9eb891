//! What troubles a station at a moment, and the dice that decide it.
//!
//! Must not know pipelines.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Read by the sources and the network of a station at every frame and block of sound.
#[derive(Clone, Copy, Default)]
pub struct Weather {
    /// Of a hundred frames, and of a hundred blocks of sound, that do not come.
    pub lost_frames: u64,
    pub lost_sound: u64,
    /// Timestamps and deliveries are off by up to this.
    pub jitter: Duration,
    /// GAP events stand for pictures or sound.
    pub gaps: bool,
    pub no_picture: bool,
    pub no_sound: bool,
    /// How far the sound's timestamps run ahead of the clock.
    pub lead: Duration,
    /// Which of the station's formats comes.
    pub picture: usize,
    pub sound: usize,
    /// What the network takes longer for each frame.
    pub slow: Duration,
    /// It fails on every other frame.
    pub failing: bool,
}

/// The weather of one station, shared by its threads.
#[derive(Clone, Default)]
pub struct Sky(Arc<Mutex<Weather>>);

impl Sky {
    pub fn now(&self) -> Weather {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn change(&self, change: impl FnOnce(&mut Weather)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): the same seed gives the same schedule.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % limit.max(1)
    }

    /// Between the two, in milliseconds.
    pub fn time(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.below(most - least + 1))
    }

    /// From minus to plus `most`, in nanoseconds.
    pub fn jitter(&mut self, most: Duration) -> i64 {
        let most = most.as_nanos() as u64;
        self.below(2 * most + 1) as i64 - most as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_rolls_the_same() {
        let rolls = |seed| {
            let mut dice = Dice::new(seed);
            [(); 20].map(|()| dice.below(1000))
        };
        assert_eq!(rolls(7), rolls(7));
        assert_ne!(rolls(7), rolls(8));
    }

    #[test]
    fn jitter_stays_within_its_bounds() {
        let mut dice = Dice::new(1);
        let most = Duration::from_millis(3);
        for _ in 0..1000 {
            assert!(dice.jitter(most).unsigned_abs() <= 3_000_000);
            assert_eq!(dice.jitter(Duration::ZERO), 0);
            assert!((5..=9).contains(&dice.time(5, 9).as_millis()));
        }
    }
}
