//! The latency: of what it is made, when it is reported, and whether queues beside the element have
//! room for it.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use gst::{prelude::*, subclass::prelude::*};
use gst_base::prelude::*;

use crate::lipsync::{
    imp::{CAT, Lipsync, lock},
    log::Time,
    queue_check,
    stream_state::Stream,
};

/// How long a frame is taken to last at a variable rate, for the latency of a batch. In a live
/// pipeline one that does not fill in this time goes without the rest.
pub(super) const USUAL_FRAME_NS: i64 = 40_000_000;

/// The latency that is reported, and its parts.
#[derive(Default)]
pub struct Latency {
    parts: Mutex<Parts>,
    /// What waits elsewhere for what is heard here may have too little room.
    queues_are_due: AtomicBool,
}

struct Parts {
    /// Audio that the model hears after a frame.
    look_ahead_ns: i64,
    /// What resampling holds back.
    resampler_ns: i64,
    /// Frames that are collected, and how long one lasts.
    batch: i64,
    frame_ns: i64,
    reported: Option<gst::ClockTime>,
    /// With that of upstream, where that is live.
    whole: Option<gst::ClockTime>,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            look_ahead_ns: 0,
            resampler_ns: 0,
            batch: 1,
            frame_ns: USUAL_FRAME_NS,
            reported: None,
            whole: None,
        }
    }
}

/// A latency that has changed.
struct Report {
    whole: gst::ClockTime,
    /// What the model hears ahead, resampling, a negative sync-offset, and collecting a batch.
    parts_ns: [i64; 4],
}

impl Latency {
    /// The model hears so far ahead and takes so many frames at once.
    pub fn set_model(&self, look_ahead_ns: i64, batch: usize) {
        let mut parts = lock(&self.parts);
        parts.look_ahead_ns = look_ahead_ns;
        parts.batch = batch as i64;
    }

    pub fn set_frame(&self, lasts_ns: i64) {
        lock(&self.parts).frame_ns = lasts_ns;
    }

    pub fn set_resampler(&self, holds_ns: i64) {
        lock(&self.parts).resampler_ns = holds_ns;
    }

    pub fn look_ahead_ns(&self) -> i64 {
        lock(&self.parts).look_ahead_ns
    }

    /// What was reported last.
    pub fn reported(&self) -> gst::ClockTime {
        lock(&self.parts).reported.unwrap_or_default()
    }

    /// The whole latency of the pipeline up to here, as it was last asked for.
    pub fn whole(&self) -> Option<gst::ClockTime> {
        lock(&self.parts).whole
    }

    fn remember(&self, whole: Option<gst::ClockTime>) {
        lock(&self.parts).whole = whole;
    }

    /// The latency to be reported, where it has changed: `work` is kept for work, `extra_ns` of
    /// audio are needed besides, where the element `listens`.
    fn report(&self, work: gst::ClockTime, extra_ns: i64, listens: bool) -> Option<Report> {
        let mut parts = lock(&self.parts);
        let collecting_ns = parts.frame_ns.saturating_mul(parts.batch - 1);
        let parts_ns = match listens {
            true => [
                parts.look_ahead_ns,
                parts.resampler_ns,
                extra_ns,
                collecting_ns,
            ],
            false => [0; 4],
        };
        let wait_ns = parts_ns.into_iter().fold(0, i64::saturating_add);
        let whole = work + gst::ClockTime::from_nseconds(u64::try_from(wait_ns).unwrap_or(0));
        if parts.reported.replace(whole) == Some(whole) {
            return None;
        }
        self.queues_are_due.store(true, Ordering::Relaxed);
        Some(Report { whole, parts_ns })
    }

    fn queues_are_due(&self) -> bool {
        self.queues_are_due.swap(false, Ordering::Relaxed)
    }

    /// The whole latency where the pipeline is live; remembered for when it cannot be asked for.
    pub fn ask(&self, imp: &Lipsync) -> Option<gst::ClockTime> {
        let whole = imp.obj().latency();
        self.remember(whole);
        whole
    }

    /// Tells the pipeline when frames come out later, or earlier, than was reported.
    pub fn update(&self, imp: &Lipsync) {
        let listens = imp.audio.is_there();
        let (work, extra_ns) = {
            let settings = lock(&imp.settings);
            (
                settings.processing_deadline(),
                settings.extra_look_ahead_ns(),
            )
        };
        let Some(Report { whole, parts_ns }) = self.report(work, extra_ns, listens) else {
            return;
        };
        let [look_ahead, resampling, offset, collecting] = parts_ns.map(Time);
        gst::info!(
            CAT,
            imp = imp,
            "Latency {whole}: {look_ahead} look-ahead of the model, {resampling} resampling, {offset} for a negative \
             sync-offset, {collecting} for a batch, {work} processing-deadline"
        );
        // Another thread may report meanwhile, and tell the pipeline first.
        let mut told = whole;
        imp.obj().set_latency(told, gst::ClockTime::NONE);
        while self.reported() != told {
            told = self.reported();
            imp.obj().set_latency(told, gst::ClockTime::NONE);
        }
        // What it was made of may have changed before it was reported.
        self.update(imp);
    }

    /// Warns, once for each change of what is needed, of a queue beside this element that is too
    /// small for the sound that is heard ahead here. `lasts` is the length of a buffer of it.
    pub fn check_queues(
        &self,
        imp: &Lipsync,
        stream: &mut Stream,
        pad: &gst_base::AggregatorPad,
        lasts: Option<gst::ClockTime>,
    ) {
        if !self.queues_are_due() {
            return;
        }
        let reported = self.reported();
        let wait = match imp.obj().latency() {
            // What is played waits as long as the frame.
            Some(_) => reported,
            None => reported.saturating_sub(lock(&imp.settings).processing_deadline()),
        };
        let flow = queue_check::Flow {
            bytes_per_second: stream.bytes_per_second(),
            buffer: lasts.unwrap_or_default(),
        };
        let found = queue_check::too_small(pad.upcast_ref(), wait, flow);
        if found == stream.too_small {
            return;
        }
        if let Some(queue_check::TooSmall {
            queue,
            property,
            has,
            wants,
        }) = &found
        {
            gst::element_imp_warning!(
                imp,
                gst::LibraryError::Settings,
                ("lipsync hears {wait} ahead of what is played, but the queue `{queue}` behind \
                     the same tee is limited to {property}={has}, where playing may come to a \
                     halt: set {property}={wants} or more, or 0")
            );
        }
        stream.too_small = found;
    }
}
