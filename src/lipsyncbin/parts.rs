//! What stands around `lipsync` in the bin, and its two switches: the gate that holds both streams
//! back, and the way on which `lipsync` hears.
//!
//! Must not know when either is used.

use gst::{glib, prelude::*};

use crate::lipsync::Lipsync;

/// How far one input may run ahead of the other before it has to wait. Containers interleave within
/// a second; `lipsync` itself hears a fraction of a second ahead.
const INTERLEAVE_MAX: gst::ClockTime = gst::ClockTime::from_seconds(3);
/// How long after one input begins the other is waited for.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(3);
/// Frames between `lipsync` and what follows, so that both can work at once.
const FRAMES_OUT: u32 = 3;

/// The elements around `lipsync`.
pub struct Parts {
    pub video_in: gst::Pad,
    pub audio_in: gst::Pad,
    /// Where what came in leaves the queue that both inputs share.
    video_queued: gst::Pad,
    audio_queued: gst::Pad,
    pub video_out: gst::Pad,
    pub audio_out: gst::Pad,
    tee: gst::Element,
    heard: gst::Element,
    /// The last before `lipsync`.
    heard_convert: gst::Element,
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
        let heard_convert = make("audioconvert", "heard-convert")?;
        let played = make("queue", "played")?;

        // Grows by itself where one input is ahead of the other.
        multiqueue.set_property("max-size-bytes", 0u32);
        multiqueue.set_property("max-size-time", INTERLEAVE_MAX.nseconds());
        limit(&video_out, FRAMES_OUT, gst::ClockTime::ZERO);
        limit(&heard, 0, INTERLEAVE_MAX);
        // Holds what `lipsync` has heard ahead and no more, since `heard` holds the tee back.
        limit(&played, 0, gst::ClockTime::ZERO);
        tee.set_property("allow-not-linked", true);

        let pad = |element: &gst::Element, name: &str| {
            let pad = match element.static_pad(name) {
                Some(pad) => Some(pad),
                None => element.request_pad_simple(name),
            };
            pad.ok_or_else(|| glib::bool_error!("{} has no pad {name}", element.name()))
        };
        let video_in = pad(&multiqueue, "sink_0")?;
        let audio_in = pad(&multiqueue, "sink_1")?;
        multiqueue.link_pads(Some("src_0"), &video_convert, Some("sink"))?;
        video_convert.link_pads(Some("src"), lipsync, Some("video"))?;
        lipsync.link_pads(Some("src"), &video_out, Some("sink"))?;
        multiqueue.link_pads(Some("src_1"), &tee, Some("sink"))?;
        tee.link_pads(Some("src_%u"), &played, Some("sink"))?;
        gst::Element::link_many([&heard, &heard_convert])?;

        let tee_sink = pad(&tee, "sink")?;
        tee_sink.add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, refuse_allocation);

        Ok(Self {
            video_in,
            audio_in,
            video_queued: pad(&multiqueue, "src_0")?,
            audio_queued: pad(&multiqueue, "src_1")?,
            video_out: pad(&video_out, "src")?,
            audio_out: pad(&played, "src")?,
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
    pub fn start(parts: &Parts, lipsync: &Lipsync) -> Result<Self, glib::BoolError> {
        let request = |element: &gst::Element, name: &str| {
            element
                .request_pad_simple(name)
                .ok_or_else(|| glib::bool_error!("{} has no pad {name} to give", element.name()))
        };
        let lipsync_pad = request(lipsync.upcast_ref(), "audio")?;
        let tee_pad = request(&parts.tee, "src_%u")?;
        parts
            .heard_convert
            .link_pads(Some("src"), lipsync, Some(&lipsync_pad.name()))?;
        for element in [&parts.heard, &parts.heard_convert] {
            element.sync_state_with_parent()?;
        }
        parts
            .tee
            .link_pads(Some(&tee_pad.name()), &parts.heard, Some("sink"))?;
        Ok(Self {
            tee_pad,
            lipsync_pad,
        })
    }

    pub fn stop(self, parts: &Parts, lipsync: &Lipsync) -> Result<(), gst::StateChangeError> {
        parts.tee.release_request_pad(&self.tee_pad);
        lipsync.release_request_pad(&self.lipsync_pad);
        // A queue whose peer has gone while it pushed takes nothing more until it is started anew.
        for element in [&parts.heard, &parts.heard_convert] {
            if element.current_state() > gst::State::Ready {
                element.set_state(gst::State::Ready)?;
            }
        }
        Ok(())
    }
}

/// Limits a queue to so many buffers and so much time; 0 = no limit.
fn limit(queue: &gst::Element, buffers: u32, time: gst::ClockTime) {
    queue.set_property("max-size-buffers", buffers);
    queue.set_property("max-size-bytes", 0u32);
    queue.set_property("max-size-time", time.nseconds());
}

/// Asked behind the `tee`, the muxer's branch would answer only after the first frame has come out,
/// for which `lipsync` waits for the sound that the asking decoder holds.
fn refuse_allocation(_pad: &gst::Pad, info: &mut gst::PadProbeInfo) -> gst::PadProbeReturn {
    match info.query().map(|query| query.view()) {
        Some(gst::QueryView::Allocation(_)) => gst::PadProbeReturn::Drop,
        _ => gst::PadProbeReturn::Ok,
    }
}
