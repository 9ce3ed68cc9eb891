//! What has happened since the stream began: counters, time spent in each stage, and the
//! structure that the property `stats` shows.
//!
//! Must not know how frames are made.

use std::time::{Duration, Instant};

use lipsync_core::{
    Durations,
    generator::{Articulation, Remembered},
    inference::Calls,
    render::{Heard, Outcome, Timings},
};

/// Quieter audio counts as this, in dBFS.
const QUIETEST_DB: f64 = -120.0;

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
    /// Around the last frame on which the engine worked.
    pub heard: Option<Heard>,
    pub faces_last: u64,
    pub detect_runs: u64,
    /// The `sync-offset` of the last frame, in nanoseconds.
    pub av_offset_ns: i64,
    pub provider: Option<&'static str>,
    pub model: String,
    /// What the networks ask of servers; since the model was loaded.
    pub calls: Calls,
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
            calls: self.calls.clone(),
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
        let heard = self.heard.map_or((QUIETEST_DB, 0.0), |heard| {
            (
                f64::from(heard.level_db).max(QUIETEST_DB),
                heard.gate.into(),
            )
        });
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
            .field("audio-level", heard.0)
            .field("gate", heard.1)
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
            structure.set(format!("{stage}-last"), durations.last());
            structure.set(format!("{stage}-mean"), durations.mean());
            structure.set(format!("{stage}-p50"), durations.percentile(50));
            structure.set(format!("{stage}-p95"), durations.percentile(95));
            structure.set(format!("{stage}-p99"), durations.percentile(99));
        }
        let calls = self.calls.counts();
        for (field, value) in [
            ("remote-calls", calls.calls),
            ("remote-errors", calls.errors),
            ("remote-timeouts", calls.timeouts),
            ("remote-reconnects", calls.reconnects),
            ("remote-active", calls.active),
            ("remote-bytes-in", calls.bytes_in),
            ("remote-bytes-out", calls.bytes_out),
            ("remote-call-p50", calls.percentiles[0]),
            ("remote-call-p95", calls.percentiles[1]),
            ("remote-call-p99", calls.percentiles[2]),
        ] {
            structure.set(field, value);
        }
        structure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let page = include_str!("../../docs/live.md");
        for field in structure.fields() {
            let stage = field.split_once('-').map_or("", |(stage, _)| stage);
            let is_there = [format!("`{field}`"), format!("`{stage}-`")]
                .iter()
                .any(|name| page.contains(name));
            assert!(is_there, "docs/live.md has no {field}");
        }
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
            "audio-level",
            "gate",
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
            "remote-calls",
            "remote-errors",
            "remote-timeouts",
            "remote-reconnects",
            "remote-active",
            "remote-bytes-in",
            "remote-bytes-out",
            "remote-call-p50",
            "remote-call-p95",
            "remote-call-p99",
        ] {
            assert!(structure.has_field(field), "{field}");
        }
        assert_eq!(structure.get::<u64>("frames-synced"), Ok(1));
        assert_eq!(structure.get::<u64>("frames-loading"), Ok(0));
        assert_eq!(structure.get::<u64>("total-last"), Ok(3000));
        assert_eq!(structure.get::<&str>("model-name"), Ok("stand-in"));
    }
}
