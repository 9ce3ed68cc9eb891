//! The audio pad: what has come to it, and taking in the audio that frames need.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use gst::prelude::*;
use gst_base::{prelude::*, subclass::prelude::*};

use crate::lipsync::{
    frame_queue,
    imp::{CAT, FURTHEST_NS, Lipsync, lock},
    pad_level::Level,
    stream_state::{Heard, Stream},
    video_input::WAITING_SLACK,
};
use lipsync_core::Error;

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
}

impl Lipsync {
    /// Takes in the sound of the frame at `running_ns`; whether all of it is there.
    ///
    /// What only later frames need stays on the pad: a fast upstream would keep us here for ever,
    /// and beside a `tee` whose other branch is full the next buffer may not come before the frames
    /// have gone. Where the sound is not all there the pad is empty, so that the element is not
    /// called again before more has come.
    pub(super) fn hear(
        &self,
        stream: &mut Stream,
        pad: &gst_base::AggregatorPad,
        running_ns: i64,
        sync_offset_ns: i64,
    ) -> Result<bool, gst::FlowError> {
        loop {
            let covered = stream.is_covered(running_ns, sync_offset_ns);
            // A gap without end lasts until something comes behind it.
            let is_open = stream.awaits_sound() && self.audio.level.has_more();
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
                    self.audio.level.found_empty();
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
        self.audio
            .pop(pad)
            .filter(|popped| popped.as_ptr() != heard.as_ptr())
    }

    fn take_in(
        &self,
        stream: &mut Stream,
        pad: &gst_base::AggregatorPad,
        buffer: gst::Buffer,
    ) -> Result<(), gst::FlowError> {
        let channel = lock(&self.settings).audio_channel;
        if !stream.listen_to(channel) {
            gst::element_imp_warning!(
                self,
                gst::StreamError::Format,
                ("audio-channel={channel} is none of the audio's channels, so auto is used")
            );
        }
        let heard = stream.hear(buffer, &self.time_segment(pad)?);
        let mut stats = lock(&self.stats);
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
    pub(super) fn sound_due(
        &self,
        stream: &Stream,
        pad: &gst_base::AggregatorPad,
    ) -> Option<gst::ClockTime> {
        let buffer = pad.peek_buffer()?;
        let segment = pad.segment().downcast::<gst::ClockTime>().ok()?;
        // Aggregator's lock is held here: it cannot be asked.
        let latency = self.latency.whole()?;
        let heard = stream.heard.as_ref();
        let due_ns = match heard.is_some_and(|heard| heard.as_ptr() == buffer.as_ptr()) {
            true if self.audio.level.has_more() => 0,
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
    pub(super) fn hear_ahead(&self, stream: &mut Stream) -> Result<(), gst::FlowError> {
        let Some(pad) = self.audio.pad() else {
            return Ok(());
        };
        let buffer = match stream.heard.is_some() {
            true => self.drop_heard(stream, &pad),
            false => self.audio.pop(&pad),
        };
        if let Some(buffer) = buffer {
            self.take_in(stream, &pad, buffer)?;
        }
        let latency = self.latency.reported() + WAITING_SLACK;
        stream.forget_sound_but(i64::try_from(latency.nseconds()).unwrap_or(i64::MAX));
        Ok(())
    }

    /// Counts what comes to the audio pad.
    pub(super) fn watch_audio(&self, pad: &gst_base::AggregatorPad) {
        self.audio.level.reset();
        let weak = self.downgrade();
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
    pub(super) fn revive_sound(&self, stream: &mut Stream) {
        let audio_pad = self.audio.pad();
        if std::mem::take(&mut stream.awaits_segment)
            && let Some(pad) = audio_pad
            && let Some(start) = pad.sticky_event::<gst::event::StreamStart>(0)
        {
            stream.begin_audio();
            self.parent_sink_event(&pad, start.into());
        }
    }

    pub(super) fn audio_event(
        &self,
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
                gst::info!(CAT, imp = self, "Audio is {}", caps.caps());
                self.latency.set_resampler(stream.sound_latency_ns());
                self.update_latency();
                true
            }
            gst::EventView::StreamStart(_) => {
                stream.begin_audio();
                self.parent_sink_event(pad, event)
            }
            gst::EventView::Segment(segment) => {
                gst::debug!(CAT, imp = self, "Audio follows {:?}", segment.segment());
                self.revive_sound(stream);
                // No frame may ever come.
                self.ask_latency();
                self.parent_sink_event(pad, event)
            }
            // No sound comes before the next segment, and frames must not wait for it.
            gst::EventView::SegmentDone(_) => {
                stream.awaits_segment = true;
                self.parent_sink_event(pad, gst::event::Eos::new())
            }
            // What else comes with the sound is of no concern to the pictures.
            _ => true,
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
