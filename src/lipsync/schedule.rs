//! The pace of frames: which one goes out when, and what is done with it on the way. All in the
//! source pad's thread.

use std::{sync::atomic::Ordering, time::Duration};

use gst::{prelude::*, subclass::prelude::*};
use gst_base::{AGGREGATOR_FLOW_NEED_DATA, prelude::*};

use crate::lipsync::{
    frame_pass::FramePass,
    imp::{CAT, FURTHEST_NS, Lipsync, lock},
    input_events,
    log::Time,
    messages, mouth_file,
    qos::Deadline,
    stream_state::Stream,
};

/// How often it is looked whether another frame has come while networks draw one: nothing wakes an
/// Aggregator for either of both.
const MOMENT: Duration = Duration::from_millis(1);

/// What is done in the source pad's thread, which has the stream to itself.
pub struct Schedule<'a> {
    imp: &'a Lipsync,
    stream: &'a mut Stream,
}

impl<'a> Schedule<'a> {
    pub fn new(imp: &'a Lipsync, stream: &'a mut Stream) -> Self {
        Self { imp, stream }
    }

    fn frames(&mut self) -> FramePass<'_> {
        FramePass::new(self.imp, self.stream)
    }

    /// Sends every frame whose sound is there, and one more when `timeout` says that it cannot
    /// wait. Afterwards none is being drawn that could still be in time.
    pub fn work(&mut self, timeout: bool) -> Result<gst::FlowSuccess, gst::FlowError> {
        apply_flushes(self.imp, self.stream);
        let mut flow = self.send_heard(timeout);
        while matches!(flow, Ok(_) | Err(AGGREGATOR_FLOW_NEED_DATA)) && self.has_time() {
            match self.send_heard(false) {
                Err(AGGREGATOR_FLOW_NEED_DATA) => (),
                next => flow = next,
            }
        }
        match (flow, self.frames().send_begun(0)?) {
            (Err(AGGREGATOR_FLOW_NEED_DATA), Some(sent)) => Ok(sent),
            (flow, _) => flow,
        }
    }

    /// Whether the networks have not done with a frame in a moment, which may be the moment in which
    /// the next one comes. A live frame is not made to wait for that.
    fn has_time(&mut self) -> bool {
        let is_limited = |turn| Deadline::of(self.imp, turn).is_some();
        !self.imp.stops.load(Ordering::Acquire)
            && !self.imp.video.is_flushed()
            && !self.stream.begun.iter().any(is_limited)
            && (self.stream.engine_mut()).is_some_and(|engine| !engine.is_drawn(MOMENT))
    }

    fn send_heard(&mut self, timeout: bool) -> Result<gst::FlowSuccess, gst::FlowError> {
        self.imp.video.make_room(self.imp, self.stream)?;
        let mut may_be_late = timeout && !self.imp.woken_for_room.load(Ordering::Relaxed);
        let mut flow = Err(AGGREGATOR_FLOW_NEED_DATA);
        if may_be_late && !self.stream.batch.is_empty() {
            // The first of these is the one that cannot wait.
            may_be_late = false;
            flow = Ok(self.frames().send_batch()?);
        }
        loop {
            input_events::release(self.imp, self.stream);
            self.stream.failed.take().map_or(Ok(()), Err)?;
            let Some(next_ns) = self.imp.video.next_ns(self.imp, self.stream)? else {
                if timeout {
                    self.imp.audio.hear_ahead(self.imp, self.stream)?;
                }
                break;
            };
            let controls = lock(&self.imp.settings).controls();
            let audio_pad = self.imp.audio.pad();
            let has_its_model = self.imp.models.has_arrived(
                self.imp,
                self.stream,
                audio_pad.is_some(),
                &controls,
            )?;
            self.stream.failed.take().map_or(Ok(()), Err)?;
            if !has_its_model {
                return flow;
            }
            let covered = match &audio_pad {
                Some(pad) => self.imp.audio.hear(
                    self.imp,
                    self.stream,
                    pad,
                    next_ns,
                    controls.sync_offset_ns,
                )?,
                None => {
                    messages::warn_of_no_audio(self.imp, self.stream, next_ns, controls.draws());
                    true
                }
            };
            if !covered && !may_be_late {
                // What has come while there was work to do.
                self.imp.video.make_room(self.imp, self.stream)?;
                return flow;
            }
            let Some(frame) = self.imp.video.next_frame(self.imp, self.stream)? else {
                break;
            };
            if !covered {
                may_be_late = false;
                lock(&self.imp.stats).late += 1;
                gst::debug!(
                    CAT,
                    imp = self.imp,
                    "Frame at {} goes on without all of its audio, which is there up to {}",
                    Time(next_ns),
                    Time(self.stream.heard_until())
                );
            }
            let listens = audio_pad.is_some() && !frame.is_trick;
            if let Some(sent) = self.frames().collect(frame, listens)? {
                flow = Ok(sent);
            }
            if self.imp.video.is_flushed() {
                return flow;
            }
        }
        if self.stream.waiting.is_empty() && self.imp.video.pad.is_eos() {
            self.frames().send_batch()?;
            return self.end();
        }
        flow
    }

    /// The pictures have ended, and downstream is told so. Sound that still comes is taken to its
    /// own end: from GStreamer 1.28 on the pads of an Aggregator that has ended take nothing more,
    /// which would hold up the other branch of a `tee`.
    fn end(&mut self) -> Result<gst::FlowSuccess, gst::FlowError> {
        if !self.stream.is_summed_up {
            gst::debug!(CAT, imp = self.imp, "The video has ended");
            mouth_file::write(self.imp, self.stream)?;
        }
        messages::sum_up(self.imp, self.stream);
        let src_pad = self.imp.obj().src_pad().clone();
        let begun = src_pad.sticky_event::<gst::event::StreamStart>(0).is_some();
        let audio_pad = self.imp.audio.pad();
        let Some(audio_pad) = audio_pad.filter(|pad| begun && !pad.is_eos()) else {
            return Err(gst::FlowError::Eos);
        };
        if !self.stream.ended
            && let Some(event) = self.imp.video.pad.sticky_event::<gst::event::Eos>(0)
        {
            self.stream.ended = true;
            src_pad.push_event(event);
        }
        while self.imp.audio.pop(&audio_pad).is_some() {}
        match audio_pad.is_eos() {
            true => Err(gst::FlowError::Eos),
            false => Err(AGGREGATOR_FLOW_NEED_DATA),
        }
    }
}

pub fn apply_flushes(imp: &Lipsync, stream: &mut Stream) {
    if imp.video.take_flush() {
        gst::debug!(CAT, imp = imp, "Forgets the video that waits: flushed");
        drop_waiting(imp, stream);
        stream.flush_video();
        lock(&imp.lateness).reset();
    }
    if imp.audio.take_flush() {
        gst::debug!(CAT, imp = imp, "Forgets the audio: flushed");
        FramePass::new(imp, stream).send_batch_early();
        stream.flush_audio();
    }
}

/// Counts the frames that wait as given up.
pub fn drop_waiting(imp: &Lipsync, stream: &Stream) {
    let waiting = stream.waiting.pictures() + stream.batch.len();
    lock(&imp.stats).dropped += waiting as u64;
}

/// When the frame of that running time has to go on with the sound that there is, less the
/// latency.
pub fn frame_due(imp: &Lipsync, running_ns: i64) -> Option<gst::ClockTime> {
    if running_ns >= FURTHEST_NS {
        return None;
    }
    // Sources jitter: sound that comes late is waited for in the first half of the deadline.
    let for_work = lock(&imp.settings).processing_deadline() / 2;
    let time = gst::ClockTime::from_nseconds(u64::try_from(running_ns).unwrap_or(0));
    Some(time.saturating_sub(for_work))
}
