//! What stands around `lipsync` in the bin, and its two switches: the gate that holds both streams
//! back, and the way on which `lipsync` hears.
//!
//! Must not know when either is used.

use std::ops::ControlFlow;

use gst::{glib, prelude::*};

use crate::{
    lipsync::{Lipsync, queue_check},
    lipsyncbin::interleave,
};

/// How long after one input begins the other is waited for.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(3);
/// Frames between `lipsync` and what follows, so that both can work at once.
pub const FRAMES_OUT: u32 = 3;

/// The elements around `lipsync`.
pub struct Parts {
    pub multiqueue: gst::Element,
    /// Its sink pads, for video and audio.
    pub inputs: [gst::Pad; 2],
    pub video_in: gst::Pad,
    pub audio_in: gst::Pad,
    /// Where what came in leaves the queue that both inputs share.
    video_queued: gst::Pad,
    audio_queued: gst::Pad,
    pub video_out: gst::Pad,
    pub audio_out: gst::Pad,
    pub video_out_queue: gst::Element,
    tee: gst::Element,
    pub heard: gst::Element,
    /// Between `heard` and `lipsync`.
    heard_convert: [gst::Element; 2],
}

impl Parts {
    /// Makes and links everything but the way from the `tee` to `lipsync`.
    pub fn build(bin: &gst::Bin, lipsync: &Lipsync) -> Result<Self, glib::BoolError> {
        let make = |factory: &str, name: &str| {
            let element = gst::ElementFactory::make(factory).name(name).build()?;
            bin.add(&element)?;
            Ok::<_, glib::BoolError>(element)
        };
        bin.add(lipsync)?;
        let multiqueue = make("multiqueue", "in")?;
        let video_convert = make("videoconvert", "video-convert")?;
        let video_out = make("queue", "video-out")?;
        let tee = make("tee", "sound")?;
        let heard = make("queue", "heard")?;
        let heard_convert = [
            make("audioconvert", "heard-convert")?,
            make("audioresample", "heard-resample")?,
        ];
        let played = make("queue", "played")?;

        multiqueue.set_property("max-size-buffers", 0u32);
        multiqueue.set_property("max-size-bytes", interleave::BYTES);
        multiqueue.set_property("max-size-time", interleave::USUAL.nseconds());
        limit(&video_out, FRAMES_OUT, gst::ClockTime::ZERO);
        limit(&heard, 0, interleave::USUAL);
        bound_what_is_played(&played, &heard, lipsync);
        tee.set_property("allow-not-linked", true);

        let pad = |element: &gst::Element, name: &str| {
            let pad = match element.static_pad(name) {
                Some(pad) => Some(pad),
                None => element.request_pad_simple(name),
            };
            pad.ok_or_else(|| glib::bool_error!("{} has no pad {name}", element.name()))
        };
        let inputs = [pad(&multiqueue, "sink_0")?, pad(&multiqueue, "sink_1")?];
        // Before the queue: where downstream wants other caps, no frame is left between upstream and what
        // converts for it.
        video_convert.link_pads(Some("src"), &multiqueue, Some("sink_0"))?;
        multiqueue.link_pads(Some("src_0"), lipsync, Some("video"))?;
        lipsync.link_pads(Some("src"), &video_out, Some("sink"))?;
        multiqueue.link_pads(Some("src_1"), &tee, Some("sink"))?;
        tee.link_pads(Some("src_%u"), &played, Some("sink"))?;
        gst::Element::link_many([&heard, &heard_convert[0], &heard_convert[1]])?;
        hold_what_is_heard_later(&heard, lipsync);

        inputs[1].add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, refuse_allocation);

        Ok(Self {
            video_in: pad(&video_convert, "sink")?,
            audio_in: inputs[1].clone(),
            inputs,
            video_queued: pad(&multiqueue, "src_0")?,
            audio_queued: pad(&multiqueue, "src_1")?,
            video_out: pad(&video_out, "src")?,
            audio_out: pad(&played, "src")?,
            multiqueue,
            video_out_queue: video_out,
            tee,
            heard,
            heard_convert,
        })
    }
}

/// Holds back both streams while it is there.
pub struct Gate {
    probes: [(gst::Pad, Option<gst::PadProbeId>); 2],
    patience: gst::ClockId,
}

impl Gate {
    /// `too_late` is called when the gate has not been opened after [`PATIENCE`].
    pub fn close(
        parts: &Parts,
        too_late: impl FnOnce() + Send + 'static,
    ) -> Result<Self, gst::ClockError> {
        let clock = gst::SystemClock::obtain();
        let patience = clock.new_single_shot_id(clock.time() + PATIENCE);
        patience.wait_async(move |_, _, _| too_late())?;
        let kind = gst::PadProbeType::BLOCK | gst::PadProbeType::BUFFER;
        let probes = [&parts.video_queued, &parts.audio_queued].map(|pad| {
            let id = pad.add_probe(kind, |_, _| gst::PadProbeReturn::Ok);
            (pad.clone(), id)
        });
        Ok(Self {
            probes,
            patience: patience.into(),
        })
    }

    pub fn open(self) {
        self.patience.unschedule();
        for (pad, id) in self.probes {
            if let Some(id) = id {
                pad.remove_probe(id);
            }
        }
    }
}

/// Pads that exist while sound goes to `lipsync`.
pub struct Listening {
    tee_pad: gst::Pad,
    lipsync_pad: gst::Pad,
}

impl Listening {
    /// Where this fails, nothing is left of it.
    pub fn start(parts: &Parts, lipsync: &Lipsync) -> Result<Self, glib::BoolError> {
        let request = |element: &gst::Element, name: &str| {
            (element.pad_template(name))
                .and_then(|template| element.request_pad(&template, None, None))
                .ok_or_else(|| glib::bool_error!("{} has no pad {name} to give", element.name()))
        };
        let lipsync_pad = request(lipsync.upcast_ref(), "audio")?;
        let tee_pad = request(&parts.tee, "src_%u")
            .inspect_err(|_| lipsync.release_request_pad(&lipsync_pad))?;
        let listening = Self {
            tee_pad,
            lipsync_pad,
        };
        if let Err(err) = listening.link(parts, lipsync) {
            // What failed is of more interest.
            let _ = listening.stop(parts, lipsync);
            return Err(err);
        }
        Ok(listening)
    }

    fn link(&self, parts: &Parts, lipsync: &Lipsync) -> Result<(), glib::BoolError> {
        let [convert, resample] = &parts.heard_convert;
        resample.link_pads(Some("src"), lipsync, Some(&self.lipsync_pad.name()))?;
        for element in [resample, convert, &parts.heard] {
            element.sync_state_with_parent()?;
        }
        let tee_pad = self.tee_pad.name();
        (parts.tee).link_pads(Some(&tee_pad), &parts.heard, Some("sink"))?;
        self.end_where_all_went_before(parts);
        Ok(())
    }

    /// What a `tee` has stored for a new branch goes out before the next buffer, and none follows the end.
    fn end_where_all_went_before(&self, parts: &Parts) {
        let heard = parts.heard.static_pad("sink");
        let ended = self.tee_pad.sticky_event::<gst::event::Eos>(0);
        if let (Some(heard), Some(_)) = (heard, ended) {
            self.tee_pad.sticky_events_foreach(|event| {
                heard.send_event(event.clone());
                ControlFlow::Continue(gst::EventForeachAction::Keep)
            });
        }
    }

    pub fn stop(self, parts: &Parts, lipsync: &Lipsync) -> Result<(), gst::StateChangeError> {
        parts.tee.release_request_pad(&self.tee_pad);
        lipsync.release_request_pad(&self.lipsync_pad);
        // A queue whose peer has gone while it pushed takes nothing more until it is started anew.
        for element in std::iter::once(&parts.heard).chain(&parts.heard_convert) {
            if element.current_state() > gst::State::Ready {
                element.set_state(gst::State::Ready)?;
            }
        }
        Ok(())
    }
}

/// Drops what comes to an output that leads nowhere: for who wants only the other it is no error.
pub fn drop_where_unlinked(inner: &gst::Pad) {
    let kinds = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
    inner.add_probe(kinds, |inner, _| match queue_check::far_end(inner) {
        Some(_) => gst::PadProbeReturn::Ok,
        None => gst::PadProbeReturn::Drop,
    });
}

/// What is played waits for its frames: as much as `lipsync` has heard ahead and no more, since `heard` holds the tee
/// back. Nothing does where nobody hears, or hears but has no more frames.
fn bound_what_is_played(played: &gst::Element, heard: &gst::Element, lipsync: &Lipsync) {
    let bound = |played: &gst::Element, waits_for_frames: bool| {
        let time = match waits_for_frames {
            true => gst::ClockTime::ZERO,
            false => interleave::USUAL,
        };
        limit(played, 0, time);
    };
    bound(played, false);
    let (Some(hears), Some(frames)) = (heard.static_pad("sink"), lipsync.static_pad("src")) else {
        return;
    };
    let weak = played.downgrade();
    hears.connect_linked(move |_, _| {
        weak.upgrade().iter().for_each(|played| bound(played, true));
    });
    let weak = played.downgrade();
    hears.connect_unlinked(move |_, _| {
        weak.upgrade()
            .iter()
            .for_each(|played| bound(played, false));
    });
    let (played, hears) = (played.downgrade(), hears.downgrade());
    frames.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        let waits_for_frames = match info.event().map(|event| event.type_()) {
            Some(gst::EventType::StreamStart | gst::EventType::Segment) => true,
            Some(gst::EventType::Eos) => false,
            _ => return gst::PadProbeReturn::Ok,
        };
        if let (Some(played), Some(hears)) = (played.upgrade(), hears.upgrade()) {
            bound(&played, waits_for_frames && hears.is_linked());
        }
        gst::PadProbeReturn::Ok
    });
}

/// A mouth that moves later than its sound needs what was heard long ago: `heard` must not hold back the tee
/// meanwhile.
fn hold_what_is_heard_later(heard: &gst::Element, lipsync: &Lipsync) {
    let heard = heard.downgrade();
    lipsync.connect_notify(Some("sync-offset"), move |lipsync, _| {
        let later = u64::try_from(lipsync.property::<i64>("sync-offset")).unwrap_or(0);
        if let Some(heard) = heard.upgrade() {
            let time = interleave::USUAL + gst::ClockTime::from_nseconds(later);
            heard.set_property("max-size-time", time.nseconds());
        }
    });
}

/// Limits a queue to so many buffers and so much time; 0 = no limit.
fn limit(queue: &gst::Element, buffers: u32, time: gst::ClockTime) {
    queue.set_property("max-size-buffers", buffers);
    queue.set_property("max-size-bytes", 0u32);
    queue.set_property("max-size-time", time.nseconds());
}

/// An audio decoder that asks for memory waits in the queue until all audio before has left it, which may wait for
/// frames that upstream cannot send meanwhile; and behind the `tee` the muxer's branch would answer only after the
/// first frame has come out.
fn refuse_allocation(_pad: &gst::Pad, info: &mut gst::PadProbeInfo) -> gst::PadProbeReturn {
    match info.query().map(|query| query.view()) {
        Some(gst::QueryView::Allocation(_)) => gst::PadProbeReturn::Drop,
        _ => gst::PadProbeReturn::Ok,
    }
}
