//! Pipelines around `lipsync`, and what it says of itself.

use anyhow::{Context, Result};
use gst::prelude::*;

pub use gst_lipsync::pipeline::{Pipeline, describe, running_time_on};

/// The `lipsync` element between two sources that are fed from here and a sink.
pub struct LipsyncPipeline {
    pub pipeline: Pipeline,
    pub lipsync: gst::Element,
    pub video: gst_app::AppSrc,
    pub audio: gst_app::AppSrc,
}

impl LipsyncPipeline {
    /// A playing pipeline, `is_live` or as fast as it can, with `sink` behind the element, whose
    /// properties are set as gst-launch-1.0 takes them.
    pub fn play(
        video: &gst::Caps,
        audio: (gst_audio::AudioFormat, u32),
        sink: &str,
        is_live: bool,
        properties: &[(&str, String)],
    ) -> Result<Self> {
        let pipeline = Pipeline::parse(&format!(
            "lipsync name=lipsync ! {sink} name=sink sync=false \
             appsrc name=video format=time max-bytes=0 is-live={is_live} ! lipsync.video \
             appsrc name=audio format=time max-bytes=0 is-live={is_live} ! lipsync.audio"
        ))?;
        let run = Self {
            lipsync: pipeline.element("lipsync")?,
            video: pipeline.element("video")?,
            audio: pipeline.element("audio")?,
            pipeline,
        };
        for (name, value) in properties {
            run.lipsync.set_property_from_str(name, value);
        }
        let audio = gst_audio::AudioInfo::builder(audio.0, audio.1, 1).build()?;
        run.video.set_caps(Some(video));
        run.audio.set_caps(Some(&audio.to_caps()?));
        run.pipeline.play()?;
        Ok(run)
    }
}

/// Names of the stages that `stats` times.
pub const STAGES: [&str; 5] = ["track", "features", "infer", "blend", "total"];

/// A snapshot of the element's counters and timings, by its public property.
pub struct Stats(gst::Structure);

impl Stats {
    pub fn of(lipsync: &gst::Element) -> Self {
        Self(lipsync.property("stats"))
    }

    /// A counter; 0 when the element has none of that name.
    pub fn count(&self, name: &str) -> u64 {
        self.0.get(name).unwrap_or_default()
    }

    pub fn text(&self, name: &str) -> String {
        self.0.get(name).unwrap_or_default()
    }

    /// A stage's timing in milliseconds: `figure` is last, mean, p50, p95 or p99.
    pub fn milliseconds(&self, stage: &str, figure: &str) -> f64 {
        self.count(&format!("{stage}-{figure}")) as f64 / 1000.0
    }
}

/// Bytes that are seen or heard from a time on for so long, both in nanoseconds.
pub fn buffer(bytes: Vec<u8>, time_ns: i64, lasts_ns: i64) -> Result<gst::Buffer> {
    let mut buffer = gst::Buffer::from_mut_slice(bytes);
    let writable = buffer.get_mut().context("a new buffer can be written")?;
    writable.set_pts(gst::ClockTime::from_nseconds(time_ns.try_into()?));
    writable.set_duration(gst::ClockTime::from_nseconds(lasts_ns.try_into()?));
    Ok(buffer)
}
