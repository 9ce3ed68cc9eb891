//! What has happened since the stream began: counters, time spent in each stage, and the
//! structure that the property `stats` shows.
//!
//! Must not know how frames are made.

use std::time::{Duration, Instant};

use lipsync_core::{
    generator::{Articulation, Remembered},
    render::{Outcome, Timings},
};

/// Counts and times of one stream.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    pub frames_in: u64,
    pub frames_out: u64,
    /// Frames that came in and were given up: flushed, refused by downstream, or too late for it.
    pub dropped: u64,
    synced: u64,
    no_face: u64,
    /// Frames with faces of which none was chosen.
    no_speaker: u64,
    silent: u64,
    bypassed: u64,
    /// Frames of which no mouth was to be seen: something lay over it.
    occluded: u64,
    /// Frames with a mouth that was drawn from what is remembered of it.
    remembered: u64,
    /// Glimpses of open mouths that are kept, of the last frame's faces.
    glimpses_last: u64,
    /// Of the last frame with a drawn mouth, where its movement is changed.
    articulation: Option<Articulation>,
    /// Frames whose networks were late, with the last mouth, and as they were.
    repeated: u64,
    pub skipped: u64,
    /// Frames whose sound had not arrived when they had to go on.
    pub late: u64,
    pub errors: u64,
    /// Frames of a live pipeline that came before the model was there.
    pub loading: u64,
    pub audio_samples_in: u64,
    pub audio_gaps: u64,
    pub faces_last: u64,
    pub detect_runs: u64,
    /// The `sync-offset` of the last frame, in nanoseconds.
    pub av_offset_ns: i64,
    pub provider: Option<&'static str>,
    pub model: String,
    /// When they were last told.
    told: Option<Instant>,
    track: Durations,
    features: Durations,
    infer: Durations,
    blend: Durations,
    total: Durations,
}

impl Stats {
    /// Counts from 0 again, for a stream with the same model.
    pub fn begin(&mut self) {
        *self = Self {
            model: std::mem::take(&mut self.model),
            provider: self.provider,
            ..Self::default()
        };
    }

    /// Frames that came in and have not left: they wait for their sound, or are worked on.
    fn frames_held(&self) -> u64 {
        self.frames_in
            .saturating_sub(self.frames_out)
            .saturating_sub(self.dropped)
    }

    /// Frames that were given the time they needed, and those that were not.
    pub fn in_time_and_lost(&self) -> (u64, u64) {
        (
            self.found_in_time() + self.no_face + self.bypassed,
            self.repeated + self.skipped + self.dropped,
        )
    }

    /// Frames with a face that were given the time they needed.
    fn found_in_time(&self) -> u64 {
        self.synced + self.silent + self.occluded + self.no_speaker
    }

    /// Of the frames in which faces were looked for, and that had the time: how many there were, how many had one,
    /// and how many show a mouth that follows the sound.
    pub fn looked_at_found_and_synced(&self) -> (u64, u64, u64) {
        let found = self.found_in_time() + self.repeated;
        (found + self.no_face, found, self.synced)
    }

    /// Counts a frame that the engine did not fail on. Only frames on which it worked have times.
    pub fn count(&mut self, outcome: Outcome, timings: Option<&Timings>) {
        match outcome {
            Outcome::Synced => self.synced += 1,
            Outcome::NoFace => self.no_face += 1,
            Outcome::NoSpeaker => self.no_speaker += 1,
            Outcome::Silent => self.silent += 1,
            Outcome::Bypassed => self.bypassed += 1,
            Outcome::Occluded => self.occluded += 1,
            Outcome::Repeated => self.repeated += 1,
            Outcome::Late => self.skipped += 1,
        }
        if let Some(timings) = timings {
            self.track.record(timings.track);
            self.features.record(timings.features);
            self.infer.record(timings.infer);
            self.blend.record(timings.blend);
            self.total.record(timings.total);
        }
    }

    /// Counts what is remembered of the mouths in a frame that was drawn.
    pub fn count_memory(&mut self, remembered: Remembered) {
        self.glimpses_last = remembered.glimpses as u64;
        self.remembered += u64::from(remembered.is_drawn);
    }

    /// Takes in how the movement of the mouth in a frame that was drawn was changed.
    pub fn note_articulation(&mut self, articulation: Option<Articulation>) {
        self.articulation = articulation;
    }

    /// The share of the frames with a drawn mouth that were drawn from memory, 0..1.
    fn memory_share(&self) -> f64 {
        let drawn = self.synced + self.silent + self.repeated;
        self.remembered as f64 / drawn.max(1) as f64
    }

    /// All of it, when `interval` has passed since that was last so, or since the first call.
    pub fn due(&mut self, now: Instant, interval: Duration) -> Option<gst::Structure> {
        let told = *self.told.get_or_insert(now);
        if now.saturating_duration_since(told) < interval {
            return None;
        }
        self.told = Some(now);
        Some(self.to_structure())
    }

    pub fn to_structure(&self) -> gst::Structure {
        let Articulation { opening, spread } = self.articulation.unwrap_or(Articulation::USUAL);
        let mut structure = gst::Structure::builder("lipsync-stats")
            .field("frames-in", self.frames_in)
            .field("frames-out", self.frames_out)
            .field("frames-dropped", self.dropped)
            .field("frames-held", self.frames_held())
            .field("frames-synced", self.synced)
            .field("frames-no-face", self.no_face)
            .field("frames-no-speaker", self.no_speaker)
            .field("frames-silent", self.silent)
            .field("frames-bypassed", self.bypassed)
            .field("frames-occluded", self.occluded)
            .field("frames-repeated", self.repeated)
            .field("frames-skipped", self.skipped)
            .field("frames-late", self.late)
            .field("frames-error", self.errors)
            .field("frames-loading", self.loading)
            .field("audio-samples-in", self.audio_samples_in)
            .field("audio-gaps", self.audio_gaps)
            .field("faces-last", self.faces_last)
            .field("mouth-glimpses", self.glimpses_last)
            .field("mouth-memory-share", self.memory_share())
            .field("articulation", f64::from(opening))
            .field("articulation-spread", f64::from(spread))
            .field("detect-runs", self.detect_runs)
            .field("av-offset-ns", self.av_offset_ns)
            .field("active-execution-provider", self.provider)
            .field("model-name", &self.model)
            .build();
        for (stage, durations) in [
            ("track", &self.track),
            ("features", &self.features),
            ("infer", &self.infer),
            ("blend", &self.blend),
            ("total", &self.total),
        ] {
            structure.set(format!("{stage}-last"), durations.last);
            structure.set(format!("{stage}-mean"), durations.mean());
            structure.set(format!("{stage}-p50"), durations.percentile(50));
            structure.set(format!("{stage}-p95"), durations.percentile(95));
            structure.set(format!("{stage}-p99"), durations.percentile(99));
        }
        structure
    }
}

/// Buckets in each doubling of the duration; a percentile is at most 1/16 too large.
const STEPS: u64 = 16;
/// Doublings above [`STEPS`] microseconds that are told apart: up to 16 us * 2^24 = 4.6 minutes.
const DOUBLINGS: usize = 24;
const BUCKETS: usize = STEPS as usize * (DOUBLINGS + 1);

/// A histogram of durations in microseconds, of fixed size however many are recorded.
#[derive(Clone, Debug)]
struct Durations {
    last: u64,
    sum: u64,
    count: u64,
    buckets: Box<[u64; BUCKETS]>,
}

impl Default for Durations {
    fn default() -> Self {
        Self {
            last: 0,
            sum: 0,
            count: 0,
            buckets: Box::new([0; BUCKETS]),
        }
    }
}

impl Durations {
    fn record(&mut self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.last = us;
        self.sum = self.sum.saturating_add(us);
        self.count += 1;
        self.buckets[bucket(us)] += 1;
    }

    fn mean(&self) -> u64 {
        self.sum.checked_div(self.count).unwrap_or(0)
    }

    /// The duration that `percent` of 100 recorded ones do not exceed; 0 when there are none.
    fn percentile(&self, percent: u64) -> u64 {
        let wanted = (self.count * percent).div_ceil(100);
        let mut below = 0;
        for (index, &count) in self.buckets.iter().enumerate() {
            below += count;
            if count > 0 && below >= wanted {
                return upper_bound(index);
            }
        }
        0
    }
}

/// Up to [`STEPS`] microseconds each has a bucket; from there on each doubling has [`STEPS`].
fn bucket(us: u64) -> usize {
    if us < STEPS {
        return us as usize;
    }
    let doubling = us.ilog2() - STEPS.ilog2();
    let step = (us >> doubling) - STEPS;
    let index = (u64::from(doubling) + 1) * STEPS + step;
    (index as usize).min(BUCKETS - 1)
}

/// The longest duration that falls into the bucket.
fn upper_bound(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < STEPS {
        return bucket;
    }
    let doubling = bucket / STEPS - 1;
    ((STEPS + bucket % STEPS + 1) << doubling) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_own_upper_bound_and_not_the_next_duration() {
        for index in 0..BUCKETS - 1 {
            let bound = upper_bound(index);
            assert_eq!(bucket(bound), index);
            assert_eq!(bucket(bound + 1), index + 1);
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_close_from_above() {
        let mut durations = Durations::default();
        for us in 1..=1000 {
            durations.record(Duration::from_micros(us));
        }
        assert_eq!(durations.mean(), 500);
        assert_eq!(durations.last, 1000);
        for percent in [50, 95, 99] {
            let exact = percent * 10;
            let found = durations.percentile(percent);
            assert!(
                (exact..=exact + exact / STEPS).contains(&found),
                "p{percent}: {found}"
            );
        }
    }

    #[test]
    fn nothing_recorded_is_zero() {
        let durations = Durations::default();
        assert_eq!(durations.mean(), 0);
        assert_eq!(durations.percentile(99), 0);
    }

    #[test]
    fn the_structure_has_every_field_of_the_contract() {
        gst::init().unwrap();
        let mut stats = Stats {
            model: "stand-in".into(),
            provider: Some("cpu"),
            loading: 3,
            ..Stats::default()
        };
        stats.begin();
        let timings = Timings {
            total: Duration::from_millis(3),
            ..Timings::default()
        };
        stats.count(Outcome::Synced, Some(&timings));
        stats.count(Outcome::Bypassed, None);
        let structure = stats.to_structure();
        for field in [
            "frames-in",
            "frames-out",
            "frames-dropped",
            "frames-held",
            "frames-synced",
            "frames-no-face",
            "frames-no-speaker",
            "frames-silent",
            "frames-bypassed",
            "frames-occluded",
            "frames-repeated",
            "frames-skipped",
            "frames-late",
            "frames-error",
            "frames-loading",
            "audio-samples-in",
            "audio-gaps",
            "faces-last",
            "mouth-glimpses",
            "mouth-memory-share",
            "articulation",
            "articulation-spread",
            "detect-runs",
            "track-last",
            "track-mean",
            "track-p50",
            "track-p95",
            "track-p99",
            "features-p50",
            "infer-p50",
            "blend-p50",
            "total-p50",
            "av-offset-ns",
            "active-execution-provider",
            "model-name",
        ] {
            assert!(structure.has_field(field), "{field}");
        }
        assert_eq!(structure.get::<u64>("frames-synced"), Ok(1));
        assert_eq!(structure.get::<u64>("frames-loading"), Ok(0));
        assert_eq!(structure.get::<u64>("total-last"), Ok(3000));
        assert_eq!(structure.get::<&str>("model-name"), Ok("stand-in"));
    }
}
