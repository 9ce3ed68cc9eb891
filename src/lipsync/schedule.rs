//! The pace of frames: which one goes out when, and what is done with it on the way. All in the
//! source pad's thread.

use std::{sync::atomic::Ordering, time::Duration};

use gst::{prelude::*, subclass::prelude::*};
use gst_base::{AGGREGATOR_FLOW_NEED_DATA, prelude::*};

use crate::lipsync::{
    frame_queue::{self, Frame, signed_ns},
    imp::{CAT, FURTHEST_NS, Lipsync, lock},
    log::Time,
    stream_state::{Heard, Stream},
};

/// Frames that wait this much beyond the latency are left to upstream.
const WAITING_SLACK: gst::ClockTime = gst::ClockTime::from_mseconds(500);

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
            && !self.flush_video.load(Ordering::Acquire)
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
            let audio_pad = lock(&self.audio_pad).clone();
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
            if self.flush_video.load(Ordering::Acquire) {
                return flow;
            }
        }
        if stream.waiting.is_empty() && self.video_pad.is_eos() {
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
        let audio_pad = lock(&self.audio_pad).clone();
        let Some(audio_pad) = audio_pad.filter(|pad| begun && !pad.is_eos()) else {
            return Err(gst::FlowError::Eos);
        };
        if !stream.ended
            && let Some(event) = self.video_pad.sticky_event::<gst::event::Eos>(0)
        {
            stream.ended = true;
            src_pad.push_event(event);
        }
        while self.pop_sound(&audio_pad).is_some() {}
        match audio_pad.is_eos() {
            true => Err(gst::FlowError::Eos),
            false => Err(AGGREGATOR_FLOW_NEED_DATA),
        }
    }

    pub(super) fn apply_flushes(&self, stream: &mut Stream) {
        if self.flush_video.swap(false, Ordering::AcqRel) {
            gst::debug!(CAT, imp = self, "Forgets the video that waits: flushed");
            self.drop_waiting(stream);
            stream.flush_video();
            lock(&self.pace).reset();
        }
        if self.flush_audio.swap(false, Ordering::AcqRel) {
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

    /// Takes in the sound of the frame at `running_ns`; whether all of it is there.
    ///
    /// What only later frames need stays on the pad: a fast upstream would keep us here for ever,
    /// and beside a `tee` whose other branch is full the next buffer may not come before the frames
    /// have gone. Where the sound is not all there the pad is empty, so that the element is not
    /// called again before more has come.
    fn hear(
        &self,
        stream: &mut Stream,
        pad: &gst_base::AggregatorPad,
        running_ns: i64,
        sync_offset_ns: i64,
    ) -> Result<bool, gst::FlowError> {
        loop {
            let covered = stream.is_covered(running_ns, sync_offset_ns);
            // A gap without end lasts until something comes behind it.
            let is_open = stream.awaits_sound() && self.at_audio_pad.has_more();
            if covered && !is_open {
                return Ok(true);
            }
            if !self.hear_next(stream, pad)? {
                if pad.is_eos() {
                    stream.end_audio();
                    return Ok(true);
                }
                return Ok(covered);
            }
        }
    }

    /// Takes in the next buffer of the audio pad; `false` where there is none.
    ///
    /// It stays on the pad until a frame needs more than it holds: an Aggregator that is not live
    /// works only while each of its pads has something, and one buffer may be all the sound that
    /// many frames need.
    fn hear_next(
        &self,
        stream: &mut Stream,
        pad: &gst_base::AggregatorPad,
    ) -> Result<bool, gst::FlowError> {
        let buffer = match self.drop_heard(stream, pad) {
            Some(buffer) => buffer,
            None => {
                let Some(buffer) = pad.peek_buffer() else {
                    self.at_audio_pad.found_empty();
                    return Ok(false);
                };
                stream.heard = Some(buffer.clone());
                buffer
            }
        };
        let lasts = buffer.duration();
        self.take_in(stream, pad, buffer)?;
        self.check_queues(stream, pad, lasts);
        Ok(true)
    }

    /// Takes the buffer off the audio pad that was heard and left there. What comes off in its
    /// place, since the pad was flushed, has not been heard.
    fn drop_heard(
        &self,
        stream: &mut Stream,
        pad: &gst_base::AggregatorPad,
    ) -> Option<gst::Buffer> {
        let heard = stream.heard.take()?;
        self.pop_sound(pad)
            .filter(|popped| popped.as_ptr() != heard.as_ptr())
    }

    fn pop_sound(&self, pad: &gst_base::AggregatorPad) -> Option<gst::Buffer> {
        let buffer = pad.pop_buffer()?;
        self.at_audio_pad.remove();
        Some(buffer)
    }

    /// Counts what comes to the audio pad.
    pub(super) fn watch_audio(&self, pad: &gst_base::AggregatorPad) {
        self.at_audio_pad.reset();
        let weak = self.downgrade();
        let kinds = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
        pad.add_probe(kinds, move |pad, info| {
            let is_counted = match &info.data {
                Some(gst::PadProbeData::Buffer(_)) => true,
                Some(gst::PadProbeData::Event(event)) => becomes_a_buffer(pad, event),
                _ => false,
            };
            if let Some(this) = weak.upgrade().filter(|_| is_counted) {
                this.at_audio_pad.add();
            }
            gst::PadProbeReturn::Ok
        });
    }

    fn take_in(
        &self,
        stream: &mut Stream,
        pad: &gst_base::AggregatorPad,
        buffer: gst::Buffer,
    ) -> Result<(), gst::FlowError> {
        let heard = stream.hear(buffer, &self.time_segment(pad)?);
        let mut stats = lock(&self.stats);
        match heard {
            Heard::Samples(samples) => stats.audio_samples_in += samples,
            Heard::Gap => stats.audio_gaps += 1,
            Heard::Nothing => (),
        }
        Ok(())
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

    /// When the sound on the pad is to be taken though no frame has come, less the latency: when it
    /// sounds, or has sounded where it was heard already. In a live pipeline it goes on without
    /// frames, and upstream must not be held up with it, as a microphone has others that listen.
    pub(super) fn sound_due(
        &self,
        stream: &Stream,
        pad: &gst_base::AggregatorPad,
    ) -> Option<gst::ClockTime> {
        let buffer = pad.peek_buffer()?;
        let segment = pad.segment().downcast::<gst::ClockTime>().ok()?;
        // Aggregator's lock is held here: it cannot be asked.
        let latency = lock(&self.delays).whole?;
        let heard = stream.heard.as_ref();
        let due_ns = match heard.is_some_and(|heard| heard.as_ptr() == buffer.as_ptr()) {
            true if self.at_audio_pad.has_more() => 0,
            true => stream.heard_until(),
            false => frame_queue::running_ns(&buffer, &segment).unwrap_or(0),
        };
        if due_ns >= FURTHEST_NS {
            return None;
        }
        let due = gst::ClockTime::from_nseconds(u64::try_from(due_ns).unwrap_or(0));
        Some(due.saturating_sub(latency))
    }

    /// Takes sound for which no frame has come, and keeps what frames may need that come late.
    fn hear_ahead(&self, stream: &mut Stream) -> Result<(), gst::FlowError> {
        let Some(pad) = lock(&self.audio_pad).clone() else {
            return Ok(());
        };
        let buffer = match stream.heard.is_some() {
            true => self.drop_heard(stream, &pad),
            false => self.pop_sound(&pad),
        };
        if let Some(buffer) = buffer {
            self.take_in(stream, &pad, buffer)?;
        }
        let latency = lock(&self.delays).reported.unwrap_or_default() + WAITING_SLACK;
        stream.forget_sound_but(i64::try_from(latency.nseconds()).unwrap_or(i64::MAX));
        Ok(())
    }

    /// Whether frames should be taken off the video pad though they cannot go out yet: in a live
    /// pipeline upstream must not be held up while they wait for their sound, and before GStreamer
    /// 1.28 the pad's own queue does not grow with the latency. One frame stays on the pad: as long
    /// as it is there, each buffer of sound has the element called.
    pub(super) fn wants_room(&self, stream: &Stream) -> bool {
        let latency = lock(&self.delays).reported.unwrap_or_default() + WAITING_SLACK;
        let span_ns = i64::try_from(latency.nseconds()).unwrap_or(i64::MAX);
        self.at_video_pad.has_more() && stream.waiting.span_ns() < span_ns
    }

    fn make_room(&self, stream: &mut Stream) -> Result<(), gst::FlowError> {
        if self.ask_latency().is_none() {
            return Ok(());
        }
        while self.wants_room(stream) {
            let Some(frame) = self.pop_frame(stream)? else {
                break;
            };
            stream.waiting.push_frame(frame);
        }
        Ok(())
    }

    /// The frame that goes out next.
    fn next_frame(&self, stream: &mut Stream) -> Result<Option<Frame>, gst::FlowError> {
        match stream.waiting.pop_frame() {
            Some(frame) => Ok(Some(frame)),
            None => self.pop_frame(stream),
        }
    }

    fn pop_frame(&self, stream: &mut Stream) -> Result<Option<Frame>, gst::FlowError> {
        let Some(buffer) = self.video_pad.pop_buffer() else {
            return Ok(None);
        };
        let segment = self.time_segment(&self.video_pad)?;
        let frame = Frame::new(buffer, &segment, stream.video_next_ns);
        // GAP events become buffers inside the pad, where nobody has counted them.
        if !frame.is_gap() {
            self.at_video_pad.remove();
            lock(&self.stats).frames_in += 1;
            let lasts_ns = stream.duration(&frame).map_or(0, signed_ns);
            stream.video_next_ns = frame.running_ns.saturating_add(lasts_ns);
        }
        Ok(Some(frame))
    }

    /// Running time of the frame that goes out next.
    fn next_ns(&self, stream: &Stream) -> Result<Option<i64>, gst::FlowError> {
        let waiting = stream.waiting.first_ns();
        if waiting.is_none() && self.video_pad.has_buffer() {
            self.time_segment(&self.video_pad)?;
        }
        Ok(waiting.or_else(|| self.pad_ns(stream)))
    }

    /// Running time of the frame on the video pad.
    pub(super) fn pad_ns(&self, stream: &Stream) -> Option<i64> {
        let buffer = self.video_pad.peek_buffer()?;
        let segment = self.video_pad.segment().downcast::<gst::ClockTime>().ok()?;
        Some(frame_queue::running_ns(&buffer, &segment).unwrap_or(stream.video_next_ns))
    }

    fn time_segment(
        &self,
        pad: &gst_base::AggregatorPad,
    ) -> Result<gst::FormattedSegment<gst::ClockTime>, gst::FlowError> {
        pad.segment().downcast().map_err(|segment| {
            gst::element_imp_error!(
                self,
                gst::StreamError::Format,
                (
                    "the segment of pad `{}` counts {:?}; time is wanted",
                    pad.name(),
                    segment.format()
                )
            );
            gst::FlowError::Error
        })
    }
}

/// Whether it is a gap that lies in the segment: such a one takes a place on an Aggregator's pad.
fn becomes_a_buffer(pad: &gst_base::AggregatorPad, event: &gst::EventRef) -> bool {
    let gst::EventView::Gap(gap) = event.view() else {
        return false;
    };
    let (from, duration) = gap.get();
    let to = duration.map(|duration| from.saturating_add(duration));
    let segment = pad.sticky_event::<gst::event::Segment>(0);
    let segment = segment.map(|event| event.segment().to_owned());
    let in_time = segment.and_then(|segment| segment.downcast::<gst::ClockTime>().ok());
    in_time.is_none_or(|segment| segment.clip(from, to).is_some())
}
