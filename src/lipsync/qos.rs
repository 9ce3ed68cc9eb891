//! Quality of service: what the clock and downstream say about a frame's time, and what the bus is
//! told of frames that had too little of it.

use std::time::Duration;

use gst::{prelude::*, subclass::prelude::*};
use gst_base::prelude::*;

use crate::lipsync::{
    frame_queue::{Frame, signed_ns},
    imp::{CAT, Lipsync, lock},
    lateness::Verdict,
    log::Time,
    stream_state::Stream,
    turn::Turn,
};

/// When a frame has to be out, by the pipeline's clock.
pub(super) struct Deadline {
    clock: gst::Clock,
    at_ns: i64,
}

impl Deadline {
    /// When the frame has to be out in a live pipeline; `None` elsewhere, and where lateness is of
    /// no concern.
    pub fn of(imp: &Lipsync, turn: &Turn) -> Option<Self> {
        let obj = imp.obj();
        let latency = obj.latency()?;
        if !turn.settings.qos || obj.current_state() != gst::State::Playing {
            return None;
        }
        let (clock, base_time) = obj.clock().zip(obj.base_time())?;
        Some(Self {
            clock,
            at_ns: signed_ns(base_time + latency).saturating_add(turn.frame.running_ns),
        })
    }

    /// Nanoseconds that are left, less than nothing afterwards.
    pub(super) fn left_ns(&self) -> i64 {
        self.at_ns.saturating_sub(signed_ns(self.clock.time()))
    }

    /// What the networks may take of it.
    pub(super) fn left_but(&self, reserve_ns: i64) -> Duration {
        let left_ns = self.left_ns().saturating_sub(reserve_ns);
        Duration::from_nanos(u64::try_from(left_ns).unwrap_or(0))
    }
}

/// Takes in what downstream says of its lateness. The event goes on upstream all the same.
pub fn downstream_said(imp: &Lipsync, event: &gst::event::Qos) {
    let (_, proportion, late_ns, timestamp) = event.get();
    let Some(timestamp) = timestamp else {
        return;
    };
    let is_live = imp.obj().latency().is_some();
    lock(&imp.lateness).downstream_said(signed_ns(timestamp), late_ns, proportion, is_live);
}

/// What there is time for, and how late the frame is for more.
/// `work_ns` is kept for work.
pub fn verdict(
    imp: &Lipsync,
    frame: &Frame,
    deadline: Option<&Deadline>,
    work_ns: i64,
) -> (Verdict, i64) {
    let left_ns = deadline.map(Deadline::left_ns);
    lock(&imp.lateness).judge(frame.running_ns, left_ns, work_ns)
}

/// Tells the bus of a frame that had too little time.
pub fn report_loss(imp: &Lipsync, stream: &Stream, frame: &Frame, late_ns: i64) {
    gst::debug!(
        CAT,
        imp = imp,
        "Frame at {} is {} late",
        Time(frame.running_ns),
        Time(late_ns)
    );
    let obj = imp.obj();
    let running_time = u64::try_from(frame.running_ns).ok();
    let proportion = lock(&imp.lateness).proportion();
    let (processed, lost) = lock(&imp.stats).in_time_and_lost();
    let message = gst::message::Qos::builder(obj.latency().is_some())
        .running_time(running_time.map(gst::ClockTime::from_nseconds))
        .stream_time(frame.stream_time)
        .timestamp(frame.buffer.pts())
        .duration(stream.duration(frame))
        .values(late_ns, proportion, QUALITY_MAX)
        .stats(
            gst::format::Buffers::from_u64(processed),
            gst::format::Buffers::from_u64(lost),
        )
        .src(&*obj);
    // Fails where nobody listens.
    let _ = obj.post_message(message.build());
}

/// What GStreamer's elements call full quality.
const QUALITY_MAX: i32 = 1_000_000;
