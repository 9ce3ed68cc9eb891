//! Serialized events: those of the video keep their place between the frames, those of the audio
//! end here.

use gst::{prelude::*, subclass::prelude::*};
use gst_base::{prelude::*, subclass::prelude::*};

use crate::lipsync::{
    frame_queue::signed_ns,
    imp::{CAT, Lipsync, lock},
    latency::USUAL_FRAME_NS,
    mapped_frame,
    orientation::Orientation,
    stream_state::Stream,
};

impl Lipsync {
    /// An event between frames: applied now, or when the frames before it have gone.
    pub(super) fn video_event(
        &self,
        stream: &mut Stream,
        pad: &gst_base::AggregatorPad,
        event: gst::Event,
    ) -> bool {
        match event.view() {
            gst::EventView::Caps(caps) => {
                let reason = match gst_video::VideoInfo::from_caps(caps.caps()) {
                    Ok(info) if info.interlace_mode() == gst_video::VideoInterlaceMode::Fields => {
                        "found interlace-mode=fields; expected progressive, interleaved, mixed or alternate: \
                         `deinterlace` makes progressive frames of it"
                            .to_owned()
                    }
                    Ok(_) => String::new(),
                    Err(err) => err.to_string(),
                };
                if !reason.is_empty() {
                    let found = format!("found {}", caps.caps());
                    gst::element_imp_error!(
                        self,
                        gst::StreamError::Format,
                        ("{reason}"),
                        ["{found}"]
                    );
                    return false;
                }
            }
            // For the frames behind it; a segment that counts no time fails with them.
            gst::EventView::Segment(_) => {
                self.revive_sound(stream);
                self.parent_sink_event(pad, event.clone());
            }
            // From 1.28 on Aggregator does not end before it has seen all begin.
            gst::EventView::StreamStart(_) => {
                stream.ended = false;
                stream.is_summed_up = false;
                self.parent_sink_event(pad, event.clone());
            }
            _ => (),
        }
        match stream.waiting.push_event(event) {
            Some(event) => self.apply_event(stream, event),
            None => true,
        }
    }

    pub(super) fn release_events(&self, stream: &mut Stream) {
        while let Some(event) = stream.waiting.pop_event() {
            self.send_batch_early(stream);
            self.apply_event(stream, event);
        }
    }

    fn apply_event(&self, stream: &mut Stream, event: gst::Event) -> bool {
        let obj = self.obj();
        match event.view() {
            gst::EventView::Caps(caps) => {
                let Ok(info) = gst_video::VideoInfo::from_caps(caps.caps()) else {
                    return false;
                };
                gst::info!(CAT, imp = self, "Frames are {}", caps.caps());
                let lasts_ns = mapped_frame::duration(&info).map_or(USUAL_FRAME_NS, signed_ns);
                stream.set_video(info);
                self.latency.set_frame(lasts_ns);
                self.update_latency();
                obj.set_src_caps(&caps.caps_owned());
                true
            }
            gst::EventView::Segment(segment) => {
                gst::debug!(CAT, imp = self, "Frames follow {:?}", segment.segment());
                if let Some(segment) = segment.segment().downcast_ref::<gst::ClockTime>() {
                    obj.update_segment(segment);
                    lock(&self.lateness).reset();
                }
                true
            }
            // The first goes out in place of the one that Aggregator makes up.
            gst::EventView::StreamStart(start) => {
                stream.mark.begin(start.stream_id());
                stream.orientation = Orientation::default();
                let src_pad = obj.src_pad();
                let begun = src_pad.sticky_event::<gst::event::StreamStart>(0).is_some();
                !begun || src_pad.push_event(event)
            }
            gst::EventView::Tag(tag) => {
                stream.orientation.take_in(tag.tag());
                match stream.mark.keep_in(event) {
                    Some(event) => obj.src_pad().push_event(event),
                    None => true,
                }
            }
            _ => obj.src_pad().push_event(event),
        }
    }

    /// Sends the tags that are due right before the frame, and after the segment, which Aggregator sends with
    /// the first one: the pad keeps them until then.
    pub(super) fn send_tags(&self, stream: &mut Stream) {
        if let Some(event) = stream.mark.before_frame()
            && let Err(err) = self.obj().src_pad().store_sticky_event(&event)
        {
            gst::debug!(CAT, imp = self, "No tags: {err}");
        }
    }

    /// Aggregator begins its stream under a random name; the video's own says more.
    pub(super) fn name_stream(&self, info: &mut gst::PadProbeInfo) {
        let Some(gst::PadProbeData::Event(event)) = &mut info.data else {
            return;
        };
        if let gst::EventView::StreamStart(stream_start) = event.view()
            && stream_start.stream_id().starts_with("agg-")
            && let Some(of_video) = self.video.pad.sticky_event::<gst::event::StreamStart>(0)
        {
            *event = of_video.into();
        }
    }
}
