//! The one way in which pipelines are run here: described in the words of gst-launch-1.0, fed, read
//! and watched until their end, stopped when dropped. Errors are those of the element that failed.

use std::{ops::Deref, time::Instant};

use anyhow::{Context, Result, anyhow, bail};
use gst::prelude::*;

pub use gst_lipsync::pipeline::{drain, running_time_on};

/// Longest wait for something to come out before a pipeline counts as hung.
pub const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(30);
/// Between two looks at the bus.
const LOOK: gst::ClockTime = gst::ClockTime::from_mseconds(20);

/// A pipeline that goes to NULL when it is dropped.
pub struct Pipeline(gst::Pipeline);

impl Pipeline {
    /// No word may hold a blank.
    pub fn parse(description: &str) -> Result<Self> {
        Self::parse_words(&description.split_whitespace().collect::<Vec<_>>())
    }

    /// Words as a shell has split them: file names may have blanks.
    pub fn parse_words(words: &[&str]) -> Result<Self> {
        let parsed = gst::parse::launchv(words);
        let parsed =
            parsed.with_context(|| format!("cannot build the pipeline `{}`", words.join(" ")))?;
        let pipeline = parsed.downcast();
        Ok(Self(pipeline.map_err(|_| {
            anyhow!("`{}` is not a pipeline", words.join(" "))
        })?))
    }

    /// An element by its name, of the type that is expected.
    pub fn element<T: IsA<gst::Element>>(&self, name: &str) -> Result<T> {
        let element = self.by_name(name);
        let element = element.with_context(|| format!("no element `{name}` in the pipeline"))?;
        let found = element.downcast();
        found.map_err(|_| anyhow!("`{name}` is no {}", T::static_type()))
    }

    /// A pad that an element always has.
    pub fn pad(&self, element: &str, name: &str) -> Result<gst::Pad> {
        let pad = self.element::<gst::Element>(element)?.static_pad(name);
        pad.with_context(|| format!("`{element}` has no pad `{name}`"))
    }

    pub fn play(&self) -> Result<()> {
        let started = self.set_state(gst::State::Playing);
        started.map(|_| ()).map_err(|_| {
            self.error()
                .unwrap_or_else(|| anyhow!("the pipeline did not start"))
        })
    }

    /// The next error on the bus.
    pub fn error(&self) -> Option<anyhow::Error> {
        let message = self.bus()?.pop_filtered(&[gst::MessageType::Error])?;
        match message.view() {
            gst::MessageView::Error(error) => Some(describe(error)),
            _ => None,
        }
    }

    /// Waits for the end of all streams; `look` is called all the while and may give up.
    pub fn wait(&self, mut look: impl FnMut() -> Result<()>) -> Result<()> {
        let bus = self.bus().context("a pipeline has a bus")?;
        let ends = [gst::MessageType::Error, gst::MessageType::Eos];
        loop {
            let message = bus.timed_pop_filtered(5 * LOOK, &ends);
            match message.as_ref().map(|message| message.view()) {
                Some(gst::MessageView::Error(error)) => return Err(describe(error)),
                Some(_) => return Ok(()),
                None => look()?,
            }
        }
    }

    /// The next sample of an `appsink`, `None` at the end; an error as soon as it is posted, and
    /// where nothing comes for [`PATIENCE`].
    pub fn next_sample(&self, sink: &gst_app::AppSink) -> Option<Result<gst::Sample>> {
        let begun = Instant::now();
        loop {
            if let Some(sample) = sink.try_pull_sample(LOOK) {
                return Some(Ok(sample));
            }
            if let Some(error) = self.error() {
                return Some(Err(error));
            }
            if sink.is_eos() {
                return None;
            }
            if begun.elapsed() >= PATIENCE.into() {
                return Some(Err(anyhow!("the pipeline gave nothing for {PATIENCE:.0}")));
            }
        }
    }
}

impl Deref for Pipeline {
    type Target = gst::Pipeline;

    fn deref(&self) -> &gst::Pipeline {
        &self.0
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // Going to NULL cannot fail.
        let _ = self.0.set_state(gst::State::Null);
    }
}

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

/// When a sample is heard or seen, from the start of its file.
pub fn running_time(sample: &gst::Sample) -> Result<gst::ClockTime> {
    let time = sample.buffer().and_then(gst::BufferRef::pts);
    let segment = sample.segment();
    let segment = segment.and_then(|segment| segment.downcast_ref::<gst::ClockTime>());
    match (time, segment) {
        // What lies before the segment (an encoder's priming) is heard at its very start.
        (Some(time), Some(segment)) => Ok(segment.to_running_time(time).unwrap_or_default()),
        _ => bail!("a buffer without a timestamp"),
    }
}

/// An error message with what it came from.
pub fn describe(error: &gst::message::Error) -> anyhow::Error {
    let source = error
        .src()
        .map(|source| format!("{}: ", source.path_string()));
    let debug = error.debug().map(|debug| format!("\n{debug}"));
    let [source, debug] = [source, debug].map(Option::unwrap_or_default);
    anyhow!("{source}{}{debug}", error.error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_come_until_the_end_and_errors_name_the_element() {
        gst::init().unwrap();
        let pipeline = Pipeline::parse("audiotestsrc num-buffers=2 ! appsink name=sink").unwrap();
        let sink = pipeline.element("sink").unwrap();
        pipeline.play().unwrap();
        let samples = std::iter::from_fn(|| pipeline.next_sample(&sink));
        assert_eq!(samples.map(Result::unwrap).count(), 2);
        assert!(pipeline.element::<gst_app::AppSrc>("sink").is_err());
        assert!(pipeline.pad("sink", "src").is_err());

        let pipeline = Pipeline::parse("filesrc location=nowhere name=file ! fakesink").unwrap();
        let error = pipeline.play().unwrap_err().to_string();
        assert!(
            error.contains("file: ") && error.contains("nowhere"),
            "{error}"
        );
        assert!(Pipeline::parse("fakesrc").is_err());
    }
}
