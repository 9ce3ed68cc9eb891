//! The pace of frames: which one goes out when, and what is done with it on the way. All in the
//! source pad's thread.

use std::{sync::atomic::Ordering, time::Duration};

use gst::{prelude::*, subclass::prelude::*};
use gst_base::{AGGREGATOR_FLOW_NEED_DATA, prelude::*};

use crate::lipsync::{
    imp::{CAT, FURTHEST_NS, Lipsync, lock},
    log::Time,
    stream_state::Stream,
};

/// How often it is looked whether another frame has come while networks draw one: nothing wakes an
/// Aggregator for either of both.
const MOMENT: Duration = Duration::from_millis(1);

impl Lipsync {
    /// Sends every frame whose sound is there, and one more when `timeout` says that it cannot
    /// wait. Afterwards none is being drawn that could still be in time.
    pub(super) fn work(
        &self,
        stream: &mut Stream,
        timeout: bool,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        self.apply_flushes(stream);
        let mut flow = self.send_heard(stream, timeout);
        while matches!(flow, Ok(_) | Err(AGGREGATOR_FLOW_NEED_DATA)) && self.has_time(stream) {
            match self.send_heard(stream, false) {
                Err(AGGREGATOR_FLOW_NEED_DATA) => (),
                next => flow = next,
            }
        }
        match (flow, self.send_begun(stream, 0)?) {
            (Err(AGGREGATOR_FLOW_NEED_DATA), Some(sent)) => Ok(sent),
            (flow, _) => flow,
        }
    }

    /// Whether the networks have not done with a frame in a moment, which may be the moment in which
    /// the next one comes. A live frame is not made to wait for that.
    fn has_time(&self, stream: &mut Stream) -> bool {
        let is_limited = |turn| self.time_limit(turn).is_some();
        !self.stops.load(Ordering::Acquire)
            && !self.video.is_flushed()
            && !stream.begun.iter().any(is_limited)
            && (stream.engine_mut()).is_some_and(|engine| !engine.is_drawn(MOMENT))
    }

    fn send_heard(
        &self,
        stream: &mut Stream,
        timeout: bool,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        self.make_room(stream)?;
        let mut may_be_late = timeout && !self.woken_for_room.load(Ordering::Relaxed);
        let mut flow = Err(AGGREGATOR_FLOW_NEED_DATA);
        if may_be_late && !stream.batch.is_empty() {
            // The first of these is the one that cannot wait.
            may_be_late = false;
            flow = Ok(self.send_batch(stream)?);
        }
        loop {
            self.release_events(stream);
            stream.failed.take().map_or(Ok(()), Err)?;
            let Some(next_ns) = self.next_ns(stream)? else {
                if timeout {
                    self.hear_ahead(stream)?;
                }
                break;
            };
            let controls = lock(&self.settings).controls();
            let audio_pad = self.audio.pad();
            let has_its_model = self.has_its_model(stream, audio_pad.is_some(), &controls)?;
            stream.failed.take().map_or(Ok(()), Err)?;
            if !has_its_model {
                return flow;
            }
            let covered = match &audio_pad {
                Some(pad) => self.hear(stream, pad, next_ns, controls.sync_offset_ns)?,
                None => {
                    self.warn_of_no_audio(stream, next_ns, controls.draws());
                    true
                }
            };
            if !covered && !may_be_late {
                // What has come while there was work to do.
                self.make_room(stream)?;
                return flow;
            }
            let Some(frame) = self.next_frame(stream)? else {
                break;
            };
            if !covered {
                may_be_late = false;
                lock(&self.stats).late += 1;
                gst::debug!(
                    CAT,
                    imp = self,
                    "Frame at {} goes on without all of its audio, which is there up to {}",
                    Time(next_ns),
                    Time(stream.heard_until())
                );
            }
            let listens = audio_pad.is_some() && !frame.is_trick;
            if let Some(sent) = self.collect(stream, frame, listens)? {
                flow = Ok(sent);
            }
            if self.video.is_flushed() {
                return flow;
            }
        }
        if stream.waiting.is_empty() && self.video.pad.is_eos() {
            self.send_batch(stream)?;
            return self.end(stream);
        }
        flow
    }

    /// The pictures have ended, and downstream is told so. Sound that still comes is taken to its
    /// own end: from GStreamer 1.28 on the pads of an Aggregator that has ended take nothing more,
    /// which would hold up the other branch of a `tee`.
    fn end(&self, stream: &mut Stream) -> Result<gst::FlowSuccess, gst::FlowError> {
        if !stream.is_summed_up {
            gst::debug!(CAT, imp = self, "The video has ended");
        }
        self.sum_up(stream);
        let src_pad = self.obj().src_pad().clone();
        let begun = src_pad.sticky_event::<gst::event::StreamStart>(0).is_some();
        let audio_pad = self.audio.pad();
        let Some(audio_pad) = audio_pad.filter(|pad| begun && !pad.is_eos()) else {
            return Err(gst::FlowError::Eos);
        };
        if !stream.ended
            && let Some(event) = self.video.pad.sticky_event::<gst::event::Eos>(0)
        {
            stream.ended = true;
            src_pad.push_event(event);
        }
        while self.audio.pop(&audio_pad).is_some() {}
        match audio_pad.is_eos() {
            true => Err(gst::FlowError::Eos),
            false => Err(AGGREGATOR_FLOW_NEED_DATA),
        }
    }

    pub(super) fn apply_flushes(&self, stream: &mut Stream) {
        if self.video.take_flush() {
            gst::debug!(CAT, imp = self, "Forgets the video that waits: flushed");
            self.drop_waiting(stream);
            stream.flush_video();
            lock(&self.lateness).reset();
        }
        if self.audio.take_flush() {
            gst::debug!(CAT, imp = self, "Forgets the audio: flushed");
            self.send_batch_early(stream);
            stream.flush_audio();
        }
    }

    /// Counts the frames that wait as given up.
    pub(super) fn drop_waiting(&self, stream: &Stream) {
        let waiting = stream.waiting.pictures() + stream.batch.len();
        lock(&self.stats).dropped += waiting as u64;
    }

    /// When the frame of that running time has to go on with the sound that there is, less the
    /// latency.
    pub(super) fn frame_due(&self, running_ns: i64) -> Option<gst::ClockTime> {
        if running_ns >= FURTHEST_NS {
            return None;
        }
        // Sources jitter: sound that comes late is waited for in the first half of the deadline.
        let for_work = lock(&self.settings).processing_deadline() / 2;
        let time = gst::ClockTime::from_nseconds(u64::try_from(running_ns).unwrap_or(0));
        Some(time.saturating_sub(for_work))
    }

    pub(super) fn time_segment(
        &self,
        pad: &gst_base::AggregatorPad,
    ) -> Result<gst::FormattedSegment<gst::ClockTime>, gst::FlowError> {
        pad.segment().downcast().map_err(|segment| {
            gst::element_imp_error!(
                self,
                gst::StreamError::Format,
                (
                    "the segment of pad `{}` counts {:?}, expected time",
                    pad.name(),
                    segment.format()
                )
            );
            gst::FlowError::Error
        })
    }
}
