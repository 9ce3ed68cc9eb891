//! Plays the input into the programme's feed: once, over and over, or again whenever it is lost.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use gst::prelude::*;
use gst_base::prelude::*;

use super::{
    feed::Feed,
    input,
    log::Log,
    options::Options,
    programme::Programme,
    supervise::{Health, State, Stop, keep_going, renew_latency},
};
use crate::pipeline::{Pipeline, drain};

/// An input that gave frames and gives none for so long is lost; one that has given none yet has more time.
const STILL: Duration = Duration::from_secs(3);
const SILENT: Duration = Duration::from_secs(15);
/// What is shorter is not begun again at once.
const SHORTEST: Duration = Duration::from_secs(1);

pub struct Source<'a> {
    pub options: &'a Options,
    pub programme: &'a Programme,
    pub health: &'a Health,
    pub log: &'a Log,
    pub stop: &'a Stop,
}

impl Source<'_> {
    /// Plays until all ends, or a file does that is to be played once.
    pub fn run(&self) {
        let is_file = self.options.input.is_file();
        let is_repeated = is_file && !self.options.once;
        // A recording must not get the same again from its beginning.
        let is_worth_trying = !is_file || is_repeated;
        keep_going(self.health, self.log, self.stop, is_worth_trying, || {
            loop {
                let begun = Instant::now();
                self.play()?;
                // A still picture ends at once.
                self.stop.wait(SHORTEST.saturating_sub(begun.elapsed()));
                match is_repeated && !self.stop.is_set() {
                    true => (),
                    false if is_file || self.stop.is_set() => return Ok(()),
                    false => bail!("the other side has ended it"),
                }
            }
        });
    }

    /// Plays it to its end.
    fn play(&self) -> Result<()> {
        let Options {
            input, size, rate, ..
        } = self.options;
        let words = [input.words(), input::normalised(*size, *rate)].join(" ");
        let pipeline = Pipeline::parse(&words)?;
        input.set_up(&pipeline)?;
        if let Ok(decoder) = pipeline.element::<gst::Element>("decoder") {
            connect(&pipeline, &decoder);
        }
        pipeline.use_clock(self.programme.pipeline().clock().as_ref());
        self.lead(&pipeline)?;
        let mut watch = Watch::new(self.programme.feed());
        pipeline.play()?;
        let heard = |message: &gst::Message| {
            match message.view() {
                gst::MessageView::Latency(_) => renew_latency(&pipeline),
                gst::MessageView::Warning(warning) => {
                    let text = self.health.hide(warning.error().to_string());
                    self.log.warning(format!("input {input}: {text}"));
                }
                _ => (),
            }
            Ok(())
        };
        let mut is_over = false;
        let played = pipeline.wait(heard, || {
            is_over = self.stop.is_set();
            if is_over {
                bail!("it is over");
            }
            if watch.look()? {
                self.begun();
            }
            Ok(())
        });
        match is_over {
            true => Ok(()),
            false => played,
        }
    }

    fn begun(&self) {
        if self.health.state() != State::Playing {
            self.health.set(State::Playing, None);
            self.log.info(format!("input {} plays", self.health.name));
        }
    }

    /// Hands on what the sinks have at the moment at which they would show it.
    fn lead(&self, pipeline: &Pipeline) -> Result<()> {
        let base = self.programme.pipeline().base_time().unwrap_or_default();
        let hand_on = |name: &str, put: fn(&Feed, gst::ClockTime, gst::Buffer)| -> Result<()> {
            let sink: gst_app::AppSink = pipeline.element(name)?;
            let feed = self.programme.feed().clone();
            let new_sample = move |sink: &gst_app::AppSink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                if let Some(time) = shown_at(sink, &sample)
                    && let Some(buffer) = sample.buffer_owned()
                {
                    put(&feed, time.saturating_sub(base), buffer);
                }
                Ok(gst::FlowSuccess::Ok)
            };
            let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(new_sample);
            sink.set_callbacks(callbacks.build());
            Ok(())
        };
        hand_on("frames", |feed, time, frame| feed.video.put(time, frame))?;
        hand_on("samples", |feed, time, audio| feed.audio.put(time, audio))
    }
}

/// Clock time at which a sink shows a sample.
fn shown_at(sink: &gst_app::AppSink, sample: &gst::Sample) -> Option<gst::ClockTime> {
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    let running = segment.to_running_time(sample.buffer()?.pts()?)?;
    let latency = sink.dynamic_cast_ref::<gst_base::BaseSink>()?.latency();
    Some(running + sink.base_time()? + latency)
}

/// Leads the first video and the first audio that are decoded to where they are normalised.
fn connect(pipeline: &Pipeline, decoder: &gst::Element) {
    let weak = pipeline.downgrade();
    decoder.connect_pad_added(move |_, pad| {
        let Some(pipeline) = weak.upgrade() else {
            return;
        };
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let media = caps.structure(0).map(|structure| structure.name().as_str());
        let queue = match media {
            Some("video/x-raw") => pipeline.by_name("video"),
            Some("audio/x-raw") => pipeline.by_name("audio"),
            _ => None,
        };
        let sink = queue.and_then(|queue| queue.static_pad("sink"));
        match sink.filter(|sink| !sink.is_linked()) {
            None => drain(&pipeline, pad),
            Some(sink) => {
                if let Err(error) = pad.link(&sink) {
                    gst::element_error!(pipeline, gst::CoreError::Pad, ("{error}"));
                }
            }
        }
    });
}

/// Whether frames come.
struct Watch<'a> {
    feed: &'a Arc<Feed>,
    count: u64,
    begin: u64,
    since: Instant,
}

impl<'a> Watch<'a> {
    fn new(feed: &'a Arc<Feed>) -> Self {
        let (_, count) = feed.video.fed();
        Self {
            feed,
            count,
            begin: count,
            since: Instant::now(),
        }
    }

    /// Whether any has come.
    ///
    /// # Errors
    /// When none has for too long.
    fn look(&mut self) -> Result<bool> {
        let (_, count) = self.feed.video.fed();
        if std::mem::replace(&mut self.count, count) != count {
            self.since = Instant::now();
        }
        let has_begun = count > self.begin;
        let patience = if has_begun { STILL } else { SILENT };
        if self.since.elapsed() > patience {
            bail!("no video comes");
        }
        Ok(has_begun)
    }
}
