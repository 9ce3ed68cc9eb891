//! Serialized events: those of the video keep their place between the frames, those of the audio
//! end here.

use gst::{prelude::*, subclass::prelude::*};
use gst_base::{prelude::*, subclass::prelude::*};

use lipsync_core::Error;

use crate::lipsync::{
    frame_pass::FramePass,
    frame_queue::signed_ns,
    imp::{CAT, Lipsync, lock},
    latency::USUAL_FRAME_NS,
    mapped_frame,
    orientation::Orientation,
    stream_state::Stream,
};

/// An event between frames: applied now, or when the frames before it have gone.
pub fn video_event(
    imp: &Lipsync,
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
                gst::element_imp_error!(imp, gst::StreamError::Format, ("{reason}"), ["{found}"]);
                return false;
            }
        }
        // For the frames behind it; a segment that counts no time fails with them.
        gst::EventView::Segment(_) => {
            imp.audio.revive(imp, stream);
            imp.parent_sink_event(pad, event.clone());
        }
        // From 1.28 on Aggregator does not end before it has seen all begin.
        gst::EventView::StreamStart(_) => {
            stream.ended = false;
            stream.is_summed_up = false;
            imp.parent_sink_event(pad, event.clone());
        }
        _ => (),
    }
    match stream.waiting.push_event(event) {
        Some(event) => apply(imp, stream, event),
        None => true,
    }
}

pub fn release(imp: &Lipsync, stream: &mut Stream) {
    while let Some(event) = stream.waiting.pop_event() {
        FramePass::new(imp, stream).send_batch_early();
        apply(imp, stream, event);
    }
}

fn apply(imp: &Lipsync, stream: &mut Stream, event: gst::Event) -> bool {
    let obj = imp.obj();
    match event.view() {
        gst::EventView::Caps(caps) => {
            let Ok(info) = gst_video::VideoInfo::from_caps(caps.caps()) else {
                return false;
            };
            gst::info!(CAT, imp = imp, "Frames are {}", caps.caps());
            let lasts_ns = mapped_frame::duration(&info).map_or(USUAL_FRAME_NS, signed_ns);
            stream.set_video(info);
            imp.latency.set_frame(lasts_ns);
            imp.latency.update(imp);
            obj.set_src_caps(&caps.caps_owned());
            true
        }
        gst::EventView::Segment(segment) => {
            gst::debug!(CAT, imp = imp, "Frames follow {:?}", segment.segment());
            if let Some(segment) = segment.segment().downcast_ref::<gst::ClockTime>() {
                obj.update_segment(segment);
                lock(&imp.lateness).reset();
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
pub fn send_tags(imp: &Lipsync, stream: &mut Stream) {
    if let Some(event) = stream.mark.before_frame()
        && let Err(err) = imp.obj().src_pad().store_sticky_event(&event)
    {
        gst::debug!(CAT, imp = imp, "No tags: {err}");
    }
}

/// Aggregator begins its stream under a random name; the video's own says more.
pub fn name_stream(imp: &Lipsync, info: &mut gst::PadProbeInfo) {
    let Some(gst::PadProbeData::Event(event)) = &mut info.data else {
        return;
    };
    if let gst::EventView::StreamStart(stream_start) = event.view()
        && stream_start.stream_id().starts_with("agg-")
        && let Some(of_video) = imp.video.pad.sticky_event::<gst::event::StreamStart>(0)
    {
        *event = of_video.into();
    }
}

/// What the audio brings besides audio ends here.
pub fn audio_event(
    imp: &Lipsync,
    stream: &mut Stream,
    pad: &gst_base::AggregatorPad,
    event: gst::Event,
) -> bool {
    match event.view() {
        gst::EventView::Caps(caps) => {
            let result = gst_audio::AudioInfo::from_caps(caps.caps())
                .map_err(|err| Error::SoundFormat(err.to_string()))
                .and_then(|info| stream.set_audio(info));
            if let Err(err) = result {
                gst::error!(CAT, obj = pad, "{err}: {:?}", caps.caps());
                return false;
            }
            gst::info!(CAT, imp = imp, "Audio is {}", caps.caps());
            imp.latency.set_resampler(stream.sound_latency_ns());
            imp.latency.update(imp);
            true
        }
        gst::EventView::StreamStart(_) => {
            stream.begin_audio();
            imp.parent_sink_event(pad, event)
        }
        gst::EventView::Segment(segment) => {
            gst::debug!(CAT, imp = imp, "Audio follows {:?}", segment.segment());
            imp.audio.revive(imp, stream);
            // No frame may ever come.
            imp.latency.ask(imp);
            imp.parent_sink_event(pad, event)
        }
        // No sound comes before the next segment, and frames must not wait for it.
        gst::EventView::SegmentDone(_) => {
            stream.awaits_segment = true;
            imp.parent_sink_event(pad, gst::event::Eos::new())
        }
        // What else comes with the sound is of no concern to the pictures.
        _ => true,
    }
}

/// The pad's segment, which must count time.
pub fn time_segment(
    imp: &Lipsync,
    pad: &gst_base::AggregatorPad,
) -> Result<gst::FormattedSegment<gst::ClockTime>, gst::FlowError> {
    pad.segment().downcast().map_err(|segment| {
        gst::element_imp_error!(
            imp,
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
