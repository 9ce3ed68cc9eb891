//! The audio pad: what has come to it, and taking in the audio that frames need.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use gst::prelude::*;
use gst_base::{prelude::*, subclass::prelude::*};

use crate::lipsync::{
    frame_queue,
    imp::{FURTHEST_NS, Lipsync, lock},
    input_events,
    pad_level::Level,
    stream_state::{Heard, Stream},
    video_input::WAITING_SLACK,
};

/// The request pad, where there is one, and what other threads know of it.
#[derive(Default)]
pub struct AudioInput {
    pad: Mutex<Option<gst_base::AggregatorPad>>,
    /// Buffers and gaps on it.
    pub level: Level,
    /// The streaming thread is to forget the audio.
    flush: AtomicBool,
}

impl AudioInput {
    pub fn pad(&self) -> Option<gst_base::AggregatorPad> {
        lock(&self.pad).clone()
    }

    pub fn is_there(&self) -> bool {
        lock(&self.pad).is_some()
    }

    /// Makes the pad; `None` where there is one.
    pub fn request(&self, template: &gst::PadTemplate) -> Option<gst_base::AggregatorPad> {
        let mut pad = lock(&self.pad);
        if pad.is_some() {
            return None;
        }
        Some(
            pad.insert(gst::PadBuilder::from_template(template).build())
                .clone(),
        )
    }

    /// Forgets the pad; `false` where it is another one.
    pub fn release(&self, released: &gst::Pad) -> bool {
        let mut pad = lock(&self.pad);
        let is_it = pad.as_ref().map(|pad| pad.upcast_ref()) == Some(released);
        if is_it {
            *pad = None;
        }
        is_it
    }

    /// Has the streaming thread forget the audio before it does anything else.
    pub fn ask_to_flush(&self) {
        self.flush.store(true, Ordering::Release);
    }

    /// Whether a flush was asked for, which is done with then.
    pub fn take_flush(&self) -> bool {
        self.flush.swap(false, Ordering::AcqRel)
    }

    pub fn reset(&self) {
        self.level.reset();
        self.flush.store(false, Ordering::Release);
    }

    /// Takes what came first off the pad.
    pub fn pop(&self, pad: &gst_base::AggregatorPad) -> Option<gst::Buffer> {
        let buffer = pad.pop_buffer()?;
        self.level.remove();
        Some(buffer)
    }

    /// Takes in the sound of the frame at `running_ns`; whether all of it is there.
    ///
    /// What only later frames need stays on the pad: a fast upstream would keep us here for ever,
    /// and beside a `tee` whose other branch is full the next buffer may not come before the frames
    /// have gone. Where the sound is not all there the pad is empty, so that the element is not
    /// called again before more has come.
    pub fn hear(
        &self,
        imp: &Lipsync,
        stream: &mut Stream,
        pad: &gst_base::AggregatorPad,
        running_ns: i64,
        sync_offset_ns: i64,
    ) -> Result<bool, gst::FlowError> {
        loop {
            let covered = stream.is_covered(running_ns, sync_offset_ns);
            // A gap without end lasts until something comes behind it.
            let is_open = stream.awaits_sound() && self.level.has_more();
            if covered && !is_open {
                return Ok(true);
            }
            if !self.hear_next(imp, stream, pad)? {
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
        imp: &Lipsync,
        stream: &mut Stream,
        pad: &gst_base::AggregatorPad,
    ) -> Result<bool, gst::FlowError> {
        let buffer = match self.drop_heard(stream, pad) {
            Some(buffer) => buffer,
            None => {
                let Some(buffer) = pad.peek_buffer() else {
                    self.level.found_empty();
                    return Ok(false);
                };
                stream.heard = Some(buffer.clone());
                buffer
            }
        };
        let lasts = buffer.duration();
        self.take_in(imp, stream, pad, buffer)?;
        imp.latency.check_queues(imp, stream, pad, lasts);
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
        self.pop(pad)
            .filter(|popped| popped.as_ptr() != heard.as_ptr())
    }

    fn take_in(
        &self,
        imp: &Lipsync,
        stream: &mut Stream,
        pad: &gst_base::AggregatorPad,
        buffer: gst::Buffer,
    ) -> Result<(), gst::FlowError> {
        let channel = lock(&imp.settings).audio_channel;
        if !stream.listen_to(channel) {
            gst::element_imp_warning!(
                imp,
                gst::StreamError::Format,
                ("audio-channel={channel} is none of the audio's channels, so auto is used")
            );
        }
        let heard = stream.hear(buffer, &input_events::time_segment(imp, pad)?);
        let mut stats = lock(&imp.stats);
        match heard {
            Heard::Samples(samples) => stats.audio_samples_in += samples,
            Heard::Gap => stats.audio_gaps += 1,
            Heard::Nothing => (),
        }
        Ok(())
    }

    /// When the sound on the pad is to be taken though no frame has come, less the latency: when it
    /// sounds, or has sounded where it was heard already. In a live pipeline it goes on without
    /// frames, and upstream must not be held up with it, as a microphone has others that listen.
    pub fn due(
        &self,
        imp: &Lipsync,
        stream: &Stream,
        pad: &gst_base::AggregatorPad,
    ) -> Option<gst::ClockTime> {
        let buffer = pad.peek_buffer()?;
        let segment = pad.segment().downcast::<gst::ClockTime>().ok()?;
        // Aggregator's lock is held here: it cannot be asked.
        let latency = imp.latency.whole()?;
        let heard = stream.heard.as_ref();
        let due_ns = match heard.is_some_and(|heard| heard.as_ptr() == buffer.as_ptr()) {
            true if self.level.has_more() => 0,
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
    pub fn hear_ahead(&self, imp: &Lipsync, stream: &mut Stream) -> Result<(), gst::FlowError> {
        let Some(pad) = self.pad() else {
            return Ok(());
        };
        let buffer = match stream.heard.is_some() {
            true => self.drop_heard(stream, &pad),
            false => self.pop(&pad),
        };
        if let Some(buffer) = buffer {
            self.take_in(imp, stream, &pad, buffer)?;
        }
        let latency = imp.latency.reported() + WAITING_SLACK;
        stream.forget_sound_but(i64::try_from(latency.nseconds()).unwrap_or(i64::MAX));
        Ok(())
    }

    /// Counts what comes to the audio pad.
    pub fn watch(&self, imp: &Lipsync, pad: &gst_base::AggregatorPad) {
        self.level.reset();
        let weak = imp.downgrade();
        let kinds = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
        pad.add_probe(kinds, move |pad, info| {
            let is_counted = match &info.data {
                Some(gst::PadProbeData::Buffer(_)) => true,
                Some(gst::PadProbeData::Event(event)) => becomes_a_buffer(pad, event),
                _ => false,
            };
            if let Some(this) = weak.upgrade().filter(|_| is_counted) {
                this.audio.level.add();
            }
            gst::PadProbeReturn::Ok
        });
    }

    /// Another segment begins after SEGMENT_DONE: sound comes again, and frames are to wait for it.
    /// To Aggregator only STREAM_START ends an end.
    pub fn revive(&self, imp: &Lipsync, stream: &mut Stream) {
        let audio_pad = self.pad();
        if std::mem::take(&mut stream.awaits_segment)
            && let Some(pad) = audio_pad
            && let Some(start) = pad.sticky_event::<gst::event::StreamStart>(0)
        {
            stream.begin_audio();
            imp.parent_sink_event(&pad, start.into());
        }
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
