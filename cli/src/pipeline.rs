//! The one way in which pipelines are run: described in the words of gst-launch-1.0, watched until their end, stopped
//! when dropped. Errors are those of the element that failed.

use std::{
    ops::Deref,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use gst::prelude::*;

use crate::interrupt;

/// Longest wait for anything to move before a pipeline counts as hung: models are read in it, and GPUs set up.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at whatever is waited for.
const LOOK: gst::ClockTime = gst::ClockTime::from_mseconds(20);

/// A pipeline that goes to NULL when it is dropped.
pub struct Pipeline(gst::Pipeline);

impl Pipeline {
    /// No word may hold a blank: paths are set as properties afterwards.
    pub fn parse(description: &str) -> Result<Self> {
        let parsed = gst::parse::launch_full(description, None, gst::ParseFlags::FATAL_ERRORS);
        Self::of(parsed, description)
    }

    /// Words as a shell has split them: file names may have blanks.
    pub fn parse_words(words: &[&str]) -> Result<Self> {
        let parsed = gst::parse::launchv_full(words, None, gst::ParseFlags::FATAL_ERRORS);
        Self::of(parsed, &words.join(" "))
    }

    fn of(parsed: Result<gst::Element, gst::glib::Error>, description: &str) -> Result<Self> {
        let parsed =
            parsed.with_context(|| format!("cannot build the pipeline `{description}`"))?;
        let pipeline = parsed.downcast();
        Ok(Self(pipeline.map_err(|_| {
            anyhow!("`{description}` is not a pipeline")
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
        let failed = || {
            self.error()
                .unwrap_or_else(|| anyhow!("the pipeline did not start"))
        };
        started.map(|_| ()).map_err(|_| failed())
    }

    /// The next error on the bus.
    pub fn error(&self) -> Option<anyhow::Error> {
        let message = self.bus()?.pop_filtered(&[gst::MessageType::Error])?;
        match message.view() {
            gst::MessageView::Error(error) => Some(describe(error)),
            _ => None,
        }
    }

    /// Waits for the end of all streams. `hear` gets every other message, `look` is called all the while; both
    /// may give up.
    pub fn wait(
        &self,
        mut hear: impl FnMut(&gst::Message) -> Result<()>,
        mut look: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let bus = self.bus().context("a pipeline has a bus")?;
        loop {
            let message = bus.timed_pop(LOOK);
            match message.as_ref().map(|message| message.view()) {
                Some(gst::MessageView::Error(error)) => return Err(describe(error)),
                Some(gst::MessageView::Eos(_)) => return Ok(()),
                _ => (),
            }
            if let Some(message) = &message {
                hear(message)?;
            }
            look()?;
        }
    }

    /// The next sample of an `appsink`, `None` at the end; an error as soon as it is posted, and where nothing comes
    /// for [`PATIENCE`].
    pub fn next_sample(&self, sink: &gst_app::AppSink) -> Option<Result<gst::Sample>> {
        let mut hang = self.hang_guard();
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
            if let Err(error) = interrupt::check().and_then(|()| hang(0)) {
                return Some(Err(error));
            }
        }
    }

    /// Gets a number that grows while something moves.
    ///
    /// # Errors
    /// When it has not for [`PATIENCE`].
    pub fn hang_guard(&self) -> impl FnMut(u64) -> Result<()> + use<> {
        let (mut last, mut since) = (0, Instant::now());
        move |now| {
            if now != last {
                (last, since) = (now, Instant::now());
            } else if since.elapsed() > PATIENCE {
                bail!("nothing moved for {} s", PATIENCE.as_secs());
            }
            Ok(())
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

/// Running time at which a buffer on a pad is heard or seen.
pub fn running_time_on(pad: &gst::Pad, buffer: &gst::BufferRef) -> Option<gst::ClockTime> {
    let segment = pad.sticky_event::<gst::event::Segment>(0)?;
    let segment = segment.segment().downcast_ref::<gst::ClockTime>()?;
    segment.to_running_time(buffer.pts()?)
}

/// Lets a stream run into nothing; an error of the pipeline where that cannot be.
pub fn drain(pipeline: &gst::Pipeline, pad: &gst::Pad) {
    let drained = || -> Result<()> {
        let sink = gst::ElementFactory::make("fakesink")
            .property("sync", false)
            .property("async", false)
            .build()?;
        pipeline.add(&sink)?;
        sink.sync_state_with_parent()?;
        pad.link(&sink.static_pad("sink").context("a fakesink has a pad")?)?;
        Ok(())
    };
    if let Err(error) = drained() {
        gst::element_error!(pipeline, gst::CoreError::Pad, ("{error:#}"));
    }
}

/// An error message in one line: what the element says, and the end of its details where they say more.
pub fn describe(error: &gst::message::Error) -> anyhow::Error {
    let source = error.src().map(|source| format!("{}: ", source.name()));
    let details = error.debug();
    let details = details
        .iter()
        .flat_map(|debug| debug.lines().skip(1).last());
    let details: String = details.map(|line| format!(" ({})", line.trim())).collect();
    anyhow!("{}{}{details}", source.unwrap_or_default(), error.error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_element() {
        gst::init().unwrap();
        let pipeline = Pipeline::parse("filesrc location=nowhere name=file ! fakesink").unwrap();
        let error = pipeline.play().unwrap_err().to_string();
        assert!(
            error.contains("file: ") && error.contains("nowhere"),
            "{error}"
        );
        assert!(Pipeline::parse("fakesrc").is_err());
        assert!(pipeline.pad("file", "sink").is_err());
        assert!(pipeline.element::<gst_app::AppSink>("file").is_err());
    }

    #[test]
    fn samples_come_until_the_end() {
        gst::init().unwrap();
        let pipeline = Pipeline::parse("audiotestsrc num-buffers=2 ! appsink name=sink").unwrap();
        let sink = pipeline.element("sink").unwrap();
        pipeline.play().unwrap();
        let samples = std::iter::from_fn(|| pipeline.next_sample(&sink));
        assert_eq!(samples.map(Result::unwrap).count(), 2);
    }

    #[test]
    fn the_end_of_all_streams_is_waited_for() {
        gst::init().unwrap();
        let pipeline = Pipeline::parse("audiotestsrc num-buffers=2 ! fakesink").unwrap();
        let mut heard = 0;
        pipeline.play().unwrap();
        let hear = |_: &gst::Message| {
            heard += 1;
            Ok(())
        };
        pipeline.wait(hear, || Ok(())).unwrap();
        assert!(heard > 0);
    }
}
