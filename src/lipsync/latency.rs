//! The latency that the model causes, and room for the frames that wait.

use std::sync::atomic::Ordering;

use gst::{prelude::*, subclass::prelude::*};
use gst_base::prelude::*;

use crate::lipsync::{
    imp::{CAT, Lipsync, lock},
    log::Time,
    mapped_frame, memory_layout, queue_check,
    stream_state::Stream,
};

impl Lipsync {
    pub(super) fn take_stream(&self) -> Option<Box<Stream>> {
        lock(&self.stream).take()
    }

    pub(super) fn put_stream(&self, stream: Box<Stream>) {
        *lock(&self.stream) = Some(stream);
    }

    /// The whole latency where the pipeline is live; remembered for when it cannot be asked for.
    pub(super) fn ask_latency(&self) -> Option<gst::ClockTime> {
        let latency = self.obj().latency();
        lock(&self.delays).whole = latency;
        latency
    }

    /// Tells the pipeline when frames come out later, or earlier, than was said.
    pub(super) fn update_latency(&self) {
        let listens = lock(&self.audio_pad).is_some();
        let (work, extra_ns) = {
            let settings = lock(&self.settings);
            (
                settings.processing_deadline(),
                settings.extra_look_ahead_ns(),
            )
        };
        let (latency, parts) = {
            let mut delays = lock(&self.delays);
            let collecting_ns = delays.frame_ns.saturating_mul(delays.batch - 1);
            let parts_ns = match listens {
                true => [
                    delays.look_ahead_ns,
                    delays.resampler_ns,
                    extra_ns,
                    collecting_ns,
                ],
                false => [0; 4],
            };
            let wait_ns = parts_ns.into_iter().fold(0, i64::saturating_add);
            let latency = work + gst::ClockTime::from_nseconds(u64::try_from(wait_ns).unwrap_or(0));
            if delays.reported.replace(latency) == Some(latency) {
                return;
            }
            (latency, parts_ns.map(Time))
        };
        let [look_ahead, resampling, offset, collecting] = parts;
        gst::info!(
            CAT,
            imp = self,
            "Latency {latency}: {look_ahead} look-ahead of the model, {resampling} resampling, {offset} for a negative \
             sync-offset, {collecting} for a batch, {work} processing-deadline"
        );
        self.check_queues.store(true, Ordering::Relaxed);
        self.obj().set_latency(latency, gst::ClockTime::NONE);
    }

    /// Warns, once for each change of what is needed, of a queue beside this element that is too
    /// small for the sound that is heard ahead here. `lasts` is the length of a buffer of it.
    pub(super) fn check_queues(
        &self,
        stream: &mut Stream,
        pad: &gst_base::AggregatorPad,
        lasts: Option<gst::ClockTime>,
    ) {
        if !self.check_queues.swap(false, Ordering::Relaxed) {
            return;
        }
        let reported = lock(&self.delays).reported.unwrap_or_default();
        let wait = match self.obj().latency() {
            // What is played waits as long as the frame.
            Some(_) => reported,
            None => reported.saturating_sub(lock(&self.settings).processing_deadline()),
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
                self,
                gst::LibraryError::Settings,
                ("lipsync hears {wait} ahead of what is played, but the queue `{queue}` behind \
                     the same tee is limited to {property}={has}, where playing may come to a \
                     halt: set {property}={wants} or more, or 0")
            );
        }
        stream.too_small = found;
    }

    /// Says, once in a stream, that frames come and no sound ever can.
    pub(super) fn warn_of_no_audio(&self, stream: &mut Stream, running_ns: i64, draws: bool) {
        if draws && stream.is_long_unheard(running_ns) {
            gst::element_imp_warning!(
                self,
                gst::CoreError::Pad,
                ("frames come, but there is no pad `audio` from which lipsync could hear: they pass through \
                  unchanged. Link an audio stream to it. What has room for one video filter only, such as \
                  playbin's `video-filter` or an effect in GES, cannot: use lipsyncbin in a pipeline of its own")
            );
        }
    }

    /// Says at the end of a stream how many frames had a face; that none had any is worth a warning.
    pub(super) fn sum_up(&self, stream: &mut Stream) {
        if std::mem::replace(&mut stream.is_summed_up, true) {
            return;
        }
        let (frames, found, synced) = lock(&self.stats).looked_at_found_and_synced();
        if frames == 0 {
            return;
        }
        if found == 0 {
            gst::element_imp_warning!(
                self,
                gst::StreamError::Failed,
                ("no face was found in any of {frames} frames: no mouth was redrawn")
            );
            return;
        }
        let text = format!(
            "{found} of {frames} frames had a face ({} %), {synced} were synced ({} %)",
            found * 100 / frames,
            synced * 100 / frames
        );
        // `gst-launch-1.0` prints only the second.
        gst::element_imp_info!(self, gst::StreamError::Failed, ("{text}"), ["{text}"]);
    }

    /// Passes downstream's offer on with room for the frames that wait here. What downstream does not
    /// offer is not offered: frames leave in the memory in which they came.
    pub(super) fn widen_allocation(&self, allocation: &mut gst::query::Allocation) {
        let held = self.frames_held();
        let pools: Vec<_> = allocation.allocation_pools().collect();
        for (index, (pool, size, min, max)) in pools.into_iter().enumerate().rev() {
            let min = min.saturating_add(held);
            if max != 0 && max < min {
                allocation.remove_nth_allocation_pool(index as u32);
            } else {
                allocation.set_nth_allocation_pool(index as u32, pool.as_ref(), size, min, max);
            }
        }
    }

    /// The frame as downstream understands it: where rows and planes lie elsewhere than the caps
    /// say, and downstream does not read where, in a copy.
    pub(super) fn laid_out(&self, stream: &mut Stream, buffer: gst::Buffer) -> gst::Buffer {
        let Some(info) = &stream.video else {
            return buffer;
        };
        if memory_layout::is_as_caps_say(&buffer, info) {
            return buffer;
        }
        let reads_meta = *stream
            .reads_video_meta
            .get_or_insert_with(|| self.downstream_reads_video_meta());
        if reads_meta {
            return buffer;
        }
        stream.copies.copy(&buffer, info).unwrap_or_else(|err| {
            gst::warning!(CAT, imp = self, "{buffer:?} stays as it is: {err}");
            buffer
        })
    }

    fn downstream_reads_video_meta(&self) -> bool {
        let src_pad = self.obj().src_pad().clone();
        let caps = src_pad.current_caps();
        let mut allocation = gst::query::Allocation::new(caps.as_ref(), false);
        let reads_meta = src_pad.peer_query(&mut allocation)
            && (allocation.find_allocation_meta::<gst_video::VideoMeta>()).is_some();
        gst::debug!(
            CAT,
            imp = self,
            "Downstream reads video metas: {reads_meta}"
        );
        reads_meta
    }

    /// How many frames wait here at most when the pipeline is live.
    fn frames_held(&self) -> u32 {
        let wait = lock(&self.delays).reported.unwrap_or_default();
        let frame = lock(&self.stream)
            .as_ref()
            .and_then(|stream| mapped_frame::duration(stream.video.as_ref()?));
        match frame {
            Some(frame) => {
                let frames = wait.nseconds().div_ceil(frame.nseconds().max(1));
                u32::try_from(frames).unwrap_or(u32::MAX)
            }
            None => lock(&self.settings).setup.batch_size,
        }
    }
}
