//! Whether somebody speaks: a gate on the level with hold and soft ramps.
//!
//! Must not know samples. It goes by level alone: a steady noise above the threshold counts as
//! voice for as long as it lasts, so the threshold belongs above the noise floor of the channel.

/// Time from closed to open. Shorter than a plosive's burst and its vowel, so no onset is lost.
const ATTACK_NS: f32 = 40e6;

/// Time from open to closed after the hold: about as fast as lips come to rest.
const RELEASE_NS: f32 = 120e6;

/// Turns levels into activity. Both settings may be changed between calls.
#[derive(Clone, Debug)]
pub struct VoiceGate {
    /// RMS dBFS from which sound counts as voice.
    pub threshold_db: f32,
    /// How long the gate stays open after the last voice, in nanoseconds.
    pub hold_ns: i64,
    activity: f32,
    /// Time of the last call.
    now: Option<i64>,
    /// Time of the last call that heard voice.
    heard: Option<i64>,
}

impl VoiceGate {
    pub fn new(threshold_db: f32, hold_ns: i64) -> Self {
        Self {
            threshold_db,
            hold_ns,
            activity: 0.0,
            now: None,
            heard: None,
        }
    }

    /// Forgets what was heard; the next call sets the activity without a ramp.
    pub fn reset(&mut self) {
        (self.activity, self.now, self.heard) = (0.0, None, None);
    }

    /// Activity at `time_ns`, 0 = silence .. 1 = voice, for a level in dBFS (-inf = digital silence).
    /// The ramps follow time, not calls. Time that runs backward starts anew; a level that is not
    /// a number counts as silence.
    pub fn update(&mut self, time_ns: i64, level_db: f32) -> f32 {
        if self.now.is_some_and(|now| time_ns < now) {
            self.reset();
        }
        if level_db >= self.threshold_db {
            self.heard = Some(time_ns);
        }
        let open = self
            .heard
            .is_some_and(|heard| time_ns.saturating_sub(heard) <= self.hold_ns);
        self.activity = match (self.now, open) {
            (None, open) => f32::from(u8::from(open)),
            (Some(now), true) => self.activity + time_ns.saturating_sub(now) as f32 / ATTACK_NS,
            (Some(now), false) => self.activity - time_ns.saturating_sub(now) as f32 / RELEASE_NS,
        }
        .clamp(0.0, 1.0);
        self.now = Some(time_ns);
        self.activity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    fn gate() -> VoiceGate {
        VoiceGate::new(-50.0, 120 * MS)
    }

    #[test]
    fn opens_at_once_on_the_first_call_and_ramps_later() {
        assert_eq!(gate().update(0, -20.0), 1.0);
        let mut gate = gate();
        assert_eq!(gate.update(0, f32::NEG_INFINITY), 0.0);
        assert_eq!(gate.update(20 * MS, -20.0), 0.5);
        assert_eq!(gate.update(40 * MS, -20.0), 1.0);
    }

    #[test]
    fn holds_and_then_releases() {
        let mut gate = gate();
        gate.update(0, -20.0);
        assert_eq!(gate.update(120 * MS, -80.0), 1.0);
        assert_eq!(gate.update(180 * MS, -80.0), 0.5);
        assert_eq!(gate.update(240 * MS, -80.0), 0.0);
    }

    #[test]
    fn ramps_in_time_whatever_the_frame_rate() {
        for frames_per_second in [24, 25, 30, 50, 60, 240] {
            let mut gate = gate();
            gate.update(-1_000 * MS, f32::NEG_INFINITY);
            let step = 1_000 * MS / frames_per_second;
            let mut last = 0.0;
            for frame in 0..=frames_per_second {
                last = gate.update(frame * step - 1_000 * MS, -30.0);
                let want = ((frame * step) as f32 / ATTACK_NS).min(1.0);
                assert!((last - want).abs() < 1e-5, "{last} at frame {frame}");
            }
            assert_eq!(last, 1.0);
        }
    }

    #[test]
    fn survives_any_time_and_level() {
        let mut gate = gate();
        for time in [0, i64::MAX, i64::MIN, -1, i64::MAX] {
            for level in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -50.0] {
                let activity = gate.update(time, level);
                assert!((0.0..=1.0).contains(&activity));
            }
        }
        gate.reset();
        assert_eq!(gate.update(0, f32::NAN), 0.0);
    }
}
