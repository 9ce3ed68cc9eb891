//! The audio that all pipelines are given, and when its pulses are seen.
//!
//! Speech, and every two seconds a tone that rises and falls for half a second, by equal steps in
//! dB, in silence of its own. It is a function of running time, so that whatever happens to the
//! stream, a pulse stays at its odd second.
//!
//! Must not know pipelines.

use std::f64::consts::TAU;

use lipsync_tools::media::SPEECH_RATE;

use crate::disturbed_network::Watermark;

/// From a pulse to the next; each is in the middle of its period.
pub const PERIOD_NS: i64 = 2_000_000_000;
/// From where a pulse begins to its top.
const RISE_NS: i64 = 250_000_000;
/// No speech this close to its top.
const QUIET_NS: i64 = 400_000_000;
/// At its top, and where it begins, in dBFS.
const TOP_DB: f64 = -6.0;
const BOTTOM_DB: f64 = -80.0;
const TONE_HZ: f64 = 1000.0;
/// How much of the speech is heard.
const SPEECH_GAIN: f32 = 0.5;

/// Speech of [`SPEECH_RATE`] and the pulses in it.
pub struct TestSignal {
    pub speech: Vec<f32>,
}

impl TestSignal {
    pub fn at(&self, time_ns: i64) -> f32 {
        let off = time_ns - pulse_near(time_ns);
        if off.abs() < RISE_NS {
            let share = 1.0 - off.abs() as f64 / RISE_NS as f64;
            let level = 10f64.powf((BOTTOM_DB + (TOP_DB - BOTTOM_DB) * share) / 20.0);
            return (level * (off as f64 / 1e9 * TONE_HZ * TAU).sin()) as f32;
        }
        if off.abs() < QUIET_NS || self.speech.is_empty() {
            return 0.0;
        }
        let sample = i128::from(time_ns) * i128::from(SPEECH_RATE) / 1_000_000_000;
        let sample = sample.rem_euclid(self.speech.len() as i128) as usize;
        SPEECH_GAIN * self.speech[sample]
    }
}

/// When the pulse of this time's period is at its top.
fn pulse_near(time_ns: i64) -> i64 {
    time_ns.div_euclid(PERIOD_NS) * PERIOD_NS + PERIOD_NS / 2
}

/// Frames this far about a pulse tell when it was seen, and audio a little further must be whole.
const SEEN_NS: i64 = 320_000_000;
const WHOLE_NS: i64 = 600_000_000;

/// A frame as it came out.
#[derive(Clone, Copy)]
struct Shown {
    time_ns: i64,
    lasts_ns: i64,
    watermark: Option<Watermark>,
}

/// How far off a pulse was seen.
#[derive(Clone, Copy, Debug)]
pub struct Offset {
    /// Positive: the mouth moves after the audio.
    pub ns: f64,
    pub half_a_frame_ns: f64,
}

/// Pulses that were disturbed, and by what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Audio did not come as it should.
    pub audio: u64,
    /// Frames did not, or were dropped.
    pub frames: u64,
    /// Frames were not drawn, or went on before all their audio was there.
    pub drawing: u64,
}

/// Watches frames go by and takes the time of every pulse that nothing has disturbed.
#[derive(Default)]
pub struct PulseMeter {
    frames: Vec<Shown>,
    /// Spans of running time in which audio did not come as it should.
    broken: Vec<(i64, i64)>,
    /// The last pulse that was judged.
    judged: Option<i64>,
    late: u64,
    pub offsets: Vec<Offset>,
    pub skipped: Skipped,
}

impl PulseMeter {
    /// Running time begins anew.
    pub fn restart(&mut self) {
        self.frames.clear();
        self.broken.clear();
        self.judged = None;
    }

    /// Audio of this time does not come, or comes twice.
    pub fn break_audio(&mut self, from_ns: i64, to_ns: i64) {
        match self.broken.last_mut() {
            Some((_, end)) if *end == from_ns => *end = to_ns,
            _ => self.broken.push((from_ns, to_ns)),
        }
    }

    /// `late` is how many frames the element has let go without all of their audio.
    pub fn show(
        &mut self,
        time_ns: i64,
        lasts_ns: i64,
        watermark: Option<Watermark>,
        late: impl FnOnce() -> u64,
    ) {
        self.frames.push(Shown {
            time_ns,
            lasts_ns,
            watermark,
        });
        let pulse = pulse_near(time_ns - SEEN_NS);
        let is_over = time_ns > pulse + SEEN_NS;
        if !is_over || self.judged == Some(pulse) {
            return;
        }
        self.judged = Some(pulse);
        let late = late();
        let is_late = std::mem::replace(&mut self.late, late) != late;
        if self.is_broken(pulse) {
            self.skipped.audio += 1;
        } else if !self.is_steady(pulse) {
            self.skipped.frames += 1;
        } else {
            match self.seen(pulse).filter(|_| !is_late) {
                Some(offset) => self.offsets.push(offset),
                None => self.skipped.drawing += 1,
            }
        }
        self.frames.retain(|frame| frame.time_ns > pulse + SEEN_NS);
        self.broken
            .retain(|(_, to)| *to > pulse + PERIOD_NS - WHOLE_NS);
    }

    fn is_broken(&self, pulse: i64) -> bool {
        let near = |(from, to): &(i64, i64)| *from < pulse + WHOLE_NS && pulse - WHOLE_NS < *to;
        self.broken.iter().any(near)
    }

    /// Frames that tell when a pulse was seen.
    fn near(&self, pulse: i64) -> impl Iterator<Item = &Shown> + Clone {
        let near = move |frame: &&Shown| (frame.time_ns - pulse).abs() <= SEEN_NS;
        self.frames.iter().filter(near)
    }

    /// Whether they come one after the other without holes.
    fn is_steady(&self, pulse: i64) -> bool {
        let frames = self.near(pulse);
        let (Some(first), Some(last)) = (frames.clone().next(), frames.clone().last()) else {
            return false;
        };
        let lasts_ns = first.lasts_ns;
        let is_next = |(frame, next): (&Shown, &Shown)| {
            let step = next.time_ns - frame.time_ns;
            next.lasts_ns == lasts_ns && step > 0 && step < lasts_ns * 3 / 2
        };
        let mut pairs = frames.clone().zip(frames.skip(1));
        first.time_ns < pulse - SEEN_NS + lasts_ns * 3 / 2
            && last.time_ns > pulse + SEEN_NS - lasts_ns * 3 / 2
            && pairs.all(is_next)
    }

    /// `None` where a frame was not drawn to its own time.
    fn seen(&self, pulse: i64) -> Option<Offset> {
        let lasts_ns = self.near(pulse).next()?.lasts_ns;
        let (mut sum, mut weights) = (0.0, 0.0);
        for frame in self.near(pulse) {
            let watermark = frame.watermark.filter(|it| it.time_ns == frame.time_ns)?;
            let weight = f64::from(watermark.loudness);
            sum += weight * (frame.time_ns - pulse) as f64;
            weights += weight;
        }
        (weights > 0.0).then(|| Offset {
            ns: sum / weights,
            half_a_frame_ns: lasts_ns as f64 / 2.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of 25 a second for six seconds, drawn to audio that is heard `off_ns` late.
    fn watched(off_ns: i64, disturb: impl FnOnce(&mut PulseMeter)) -> PulseMeter {
        let mut watch = PulseMeter::default();
        disturb(&mut watch);
        for frame in 0..150 {
            let time_ns = frame * 40_000_000 + 7_000_000;
            let away = (time_ns - off_ns - pulse_near(time_ns - off_ns)).abs();
            let share = 1.0 - (away as f64 / RISE_NS as f64).min(1.0);
            let watermark = Watermark {
                loudness: (share * 200.0) as u8,
                time_ns,
            };
            watch.show(time_ns, 40_000_000, Some(watermark), || 0);
        }
        watch
    }

    #[test]
    fn the_offset_is_found_between_frames() {
        for off_ms in [-30, 0, 12, 25] {
            let watch = watched(off_ms * 1_000_000, |_| ());
            assert_eq!(watch.offsets.len(), 3);
            for offset in &watch.offsets {
                assert!((offset.ns / 1e6 - off_ms as f64).abs() < 3.0, "{offset:?}");
                assert_eq!(offset.half_a_frame_ns, 20e6);
            }
        }
    }

    #[test]
    fn pulses_that_were_disturbed_do_not_count() {
        let watch = watched(0, |watch| watch.break_audio(2_500_000_000, 2_600_000_000));
        assert_eq!((watch.offsets.len(), watch.skipped.audio), (2, 1));
    }

    #[test]
    fn the_signal_is_quiet_about_its_pulses() {
        let signal = TestSignal {
            speech: vec![1.0; 16_000],
        };
        assert_eq!(signal.at(0), SPEECH_GAIN);
        assert_eq!(signal.at(1_300_000_000), 0.0);
        let peak = (990..1010)
            .map(|ms| signal.at(ms * 1_000_000 + 250_000).abs())
            .fold(0.0, f32::max);
        assert!((0.4..0.52).contains(&peak), "{peak}");
    }
}
