//! The video pad: what has come to it, and the frames that are taken off it.

use std::sync::atomic::{AtomicBool, Ordering};

use gst_base::prelude::*;

use crate::lipsync::{
    frame_queue::{self, Frame, signed_ns},
    imp::{Lipsync, lock},
    input_events,
    pad_level::Level,
    stream_state::Stream,
};

/// Frames that wait this much beyond the latency are left to upstream.
pub(super) const WAITING_SLACK: gst::ClockTime = gst::ClockTime::from_mseconds(500);

/// The pad of the frames, and what other threads know of it.
pub struct VideoInput {
    pub pad: gst_base::AggregatorPad,
    /// Frames on it.
    pub level: Level,
    /// The streaming thread is to forget the frames.
    flush: AtomicBool,
}

impl VideoInput {
    pub fn new(pad: gst_base::AggregatorPad) -> Self {
        Self {
            pad,
            level: Level::default(),
            flush: AtomicBool::new(false),
        }
    }

    /// Has the streaming thread forget the frames before it does anything else.
    pub fn ask_to_flush(&self) {
        self.flush.store(true, Ordering::Release);
    }

    /// Whether a flush was asked for and is not done with.
    pub fn is_flushed(&self) -> bool {
        self.flush.load(Ordering::Acquire)
    }

    /// Whether a flush was asked for, which is done with then.
    pub fn take_flush(&self) -> bool {
        self.flush.swap(false, Ordering::AcqRel)
    }

    pub fn reset(&self) {
        self.level.reset();
        self.flush.store(false, Ordering::Release);
    }

    /// Whether frames should be taken off the video pad though they cannot go out yet: in a live
    /// pipeline upstream must not be held up while they wait for their sound, and before GStreamer
    /// 1.28 the pad's own queue does not grow with the latency. One frame stays on the pad: as long
    /// as it is there, each buffer of sound has the element called.
    pub fn wants_room(&self, imp: &Lipsync, stream: &Stream) -> bool {
        let latency = imp.latency.reported() + WAITING_SLACK;
        let span_ns = i64::try_from(latency.nseconds()).unwrap_or(i64::MAX);
        self.level.has_more() && stream.waiting.span_ns() < span_ns
    }

    pub fn make_room(&self, imp: &Lipsync, stream: &mut Stream) -> Result<(), gst::FlowError> {
        if imp.latency.ask(imp).is_none() {
            return Ok(());
        }
        while self.wants_room(imp, stream) {
            let Some(frame) = self.pop_frame(imp, stream)? else {
                break;
            };
            stream.waiting.push_frame(frame);
        }
        Ok(())
    }

    /// The frame that goes out next.
    pub fn next_frame(
        &self,
        imp: &Lipsync,
        stream: &mut Stream,
    ) -> Result<Option<Frame>, gst::FlowError> {
        match stream.waiting.pop_frame() {
            Some(frame) => Ok(Some(frame)),
            None => self.pop_frame(imp, stream),
        }
    }

    fn pop_frame(
        &self,
        imp: &Lipsync,
        stream: &mut Stream,
    ) -> Result<Option<Frame>, gst::FlowError> {
        let Some(buffer) = self.pad.pop_buffer() else {
            return Ok(None);
        };
        let segment = input_events::time_segment(imp, &self.pad)?;
        let frame = Frame::new(buffer, &segment, stream.video_next_ns);
        // GAP events become buffers inside the pad, where nobody has counted them.
        if !frame.is_gap() {
            self.level.remove();
            lock(&imp.stats).frames_in += 1;
            let lasts_ns = stream.duration(&frame).map_or(0, signed_ns);
            stream.video_next_ns = frame.running_ns.saturating_add(lasts_ns);
        }
        Ok(Some(frame))
    }

    /// Running time of the frame that goes out next.
    pub fn next_ns(&self, imp: &Lipsync, stream: &Stream) -> Result<Option<i64>, gst::FlowError> {
        let waiting = stream.waiting.first_ns();
        if waiting.is_none() && self.pad.has_buffer() {
            input_events::time_segment(imp, &self.pad)?;
        }
        Ok(waiting.or_else(|| self.pad_ns(stream)))
    }

    /// Running time of the frame on the video pad.
    pub fn pad_ns(&self, stream: &Stream) -> Option<i64> {
        let buffer = self.pad.peek_buffer()?;
        let segment = self.pad.segment().downcast::<gst::ClockTime>().ok()?;
        Some(frame_queue::running_ns(&buffer, &segment).unwrap_or(stream.video_next_ns))
    }
}
