//! What disturbs a pipeline at a moment.
//!
//! Must not know pipelines.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use fastrand::Rng;

/// Read by the sources and the network of a pipeline at every frame and block of audio.
#[derive(Clone, Copy, Default)]
pub struct Conditions {
    /// Of a hundred frames, and of a hundred blocks of audio, that do not come.
    pub lost_frames: u64,
    pub lost_audio: u64,
    /// Timestamps and deliveries are off by up to this.
    pub jitter: Duration,
    /// GAP events stand for frames or audio.
    pub gaps: bool,
    pub no_video: bool,
    pub no_audio: bool,
    /// How far the audio's timestamps run ahead of the clock.
    pub lead: Duration,
    /// Which of the pipeline's formats comes.
    pub video_format: usize,
    pub audio_format: usize,
    /// What the network takes longer for each frame.
    pub slow: Duration,
    /// It fails on every other frame.
    pub failing: bool,
}

/// The conditions of one pipeline, shared by its threads.
#[derive(Clone, Default)]
pub struct SharedConditions(Arc<Mutex<Conditions>>);

impl SharedConditions {
    pub fn now(&self) -> Conditions {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn change(&self, change: impl FnOnce(&mut Conditions)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Between the two, in milliseconds.
pub fn random_time(random: &mut Rng, least: u64, most: u64) -> Duration {
    Duration::from_millis(random.u64(least..=most))
}

/// From minus to plus `most`, in nanoseconds.
pub fn random_jitter(random: &mut Rng, most: Duration) -> i64 {
    let most = most.as_nanos() as i64;
    random.i64(-most..=most)
}
