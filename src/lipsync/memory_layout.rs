//! Where the rows and planes of a frame lie: as its caps say, or as a `GstVideoMeta` says that only some
//! elements read.
//!
//! Must not compute pixels.

use gst::{glib, prelude::*, subclass::prelude::*};
use gst_base::prelude::*;
use gst_video::{VideoInfo, VideoMeta};

use crate::lipsync::{
    imp::{CAT, Lipsync, lock},
    mapped_frame,
    stream_state::Stream,
};

/// Whether someone who knows only the caps finds every pixel.
pub fn is_as_caps_say(buffer: &gst::BufferRef, info: &VideoInfo) -> bool {
    let Some(meta) = buffer.meta::<VideoMeta>() else {
        return true;
    };
    let planes = info.n_planes() as usize;
    buffer.size() == info.size()
        && meta.offset().get(..planes) == info.offset().get(..planes)
        && meta.stride().get(..planes) == info.stride().get(..planes)
}

/// Copies of frames that lie as their caps say, in memory that is used again and again.
#[derive(Default)]
pub struct Copies {
    pool: Option<(gst::BufferPool, VideoInfo)>,
}

impl Copies {
    /// The frame with all that is attached to it.
    ///
    /// # Errors
    /// Where there is no memory, or the buffer does not hold a frame of `info`.
    pub fn copy(
        &mut self,
        buffer: &gst::BufferRef,
        info: &VideoInfo,
    ) -> Result<gst::Buffer, glib::BoolError> {
        let pool = self.pool(info)?;
        let mut copy = pool
            .acquire_buffer(None)
            .map_err(|flow| glib::bool_error!("no memory: {flow}"))?;
        let writable = copy.make_mut();
        let attached = gst::BufferCopyFlags::FLAGS
            | gst::BufferCopyFlags::TIMESTAMPS
            | gst::BufferCopyFlags::META;
        buffer.copy_into(writable, attached, ..)?;
        // Of where the pixels were.
        while let Some(meta) = writable.meta_mut::<VideoMeta>() {
            meta.remove()?;
        }
        let from = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, info)?;
        let mut to = gst_video::VideoFrameRef::from_buffer_ref_writable(writable, info)?;
        from.copy(&mut to)?;
        drop(to);
        Ok(copy)
    }

    fn pool(&mut self, info: &VideoInfo) -> Result<&gst::BufferPool, glib::BoolError> {
        if self.pool.as_ref().is_none_or(|(_, of)| of != info) {
            self.close();
            let pool = gst_video::VideoBufferPool::new();
            let mut config = pool.config();
            let size = u32::try_from(info.size())
                .map_err(|_| glib::bool_error!("frames of {} bytes", info.size()))?;
            config.set_params(Some(&info.to_caps()?), size, 0, 0);
            pool.set_config(config)?;
            pool.set_active(true)?;
            self.pool = Some((pool.upcast(), info.clone()));
        }
        match &self.pool {
            Some((pool, _)) => Ok(pool),
            None => Err(glib::bool_error!("no pool")),
        }
    }

    /// Frames that are still somewhere keep their memory.
    fn close(&mut self) {
        if let Some((pool, _)) = self.pool.take() {
            // Fails only where it was never active.
            let _ = pool.set_active(false);
        }
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        self.close();
    }
}

/// Passes downstream's offer on with room for the frames that wait here. What downstream does not
/// offer is not offered: frames leave in the memory in which they came.
pub fn widen_allocation(imp: &Lipsync, allocation: &mut gst::query::Allocation) {
    let held = frames_held(imp);
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
pub fn laid_out(imp: &Lipsync, stream: &mut Stream, buffer: gst::Buffer) -> gst::Buffer {
    let Some(info) = &stream.video else {
        return buffer;
    };
    if is_as_caps_say(&buffer, info) {
        return buffer;
    }
    let reads_meta = *stream
        .reads_video_meta
        .get_or_insert_with(|| downstream_reads_video_meta(imp));
    if reads_meta {
        return buffer;
    }
    stream.copies.copy(&buffer, info).unwrap_or_else(|err| {
        gst::warning!(CAT, imp = imp, "{buffer:?} stays as it is: {err}");
        buffer
    })
}

fn downstream_reads_video_meta(imp: &Lipsync) -> bool {
    let src_pad = imp.obj().src_pad().clone();
    let caps = src_pad.current_caps();
    let mut allocation = gst::query::Allocation::new(caps.as_ref(), false);
    let reads_meta = src_pad.peer_query(&mut allocation)
        && (allocation.find_allocation_meta::<gst_video::VideoMeta>()).is_some();
    gst::debug!(CAT, imp = imp, "Downstream reads video metas: {reads_meta}");
    reads_meta
}

/// How many frames wait here at most when the pipeline is live.
fn frames_held(imp: &Lipsync) -> u32 {
    let wait = imp.latency.reported();
    let frame = lock(&imp.stream)
        .as_ref()
        .and_then(|stream| mapped_frame::duration(stream.video.as_ref()?));
    match frame {
        Some(frame) => {
            let frames = wait.nseconds().div_ceil(frame.nseconds().max(1));
            u32::try_from(frames).unwrap_or(u32::MAX)
        }
        None => lock(&imp.settings).setup.batch_size,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A grey picture of 4x2 whose rows are `stride` bytes apart, behind `offset` bytes of something else.
    fn padded(offset: usize, stride: usize) -> gst::Buffer {
        let mut bytes = vec![99; offset + 2 * stride];
        for row in 0..2 {
            for column in 0..4 {
                bytes[offset + row * stride + column] = (10 * row + column) as u8;
            }
        }
        let mut buffer = gst::Buffer::from_mut_slice(bytes);
        let writable = buffer.make_mut();
        writable.set_pts(gst::ClockTime::SECOND);
        writable.set_flags(gst::BufferFlags::MARKER);
        gst_video::VideoRegionOfInterestMeta::add(writable, "face", (1, 0, 2, 2));
        VideoMeta::add_full(
            writable,
            gst_video::VideoFrameFlags::empty(),
            gst_video::VideoFormat::Gray8,
            4,
            2,
            &[offset],
            &[stride as i32],
        )
        .unwrap();
        buffer
    }

    fn grey() -> VideoInfo {
        gst::init().unwrap();
        VideoInfo::builder(gst_video::VideoFormat::Gray8, 4, 2)
            .build()
            .unwrap()
    }

    #[test]
    fn only_what_lies_elsewhere_is_not_as_the_caps_say() {
        let info = grey();
        assert!(is_as_caps_say(&padded(0, 4), &info));
        assert!(is_as_caps_say(
            &gst::Buffer::with_size(info.size()).unwrap(),
            &info
        ));
        for (offset, stride) in [(0, 8), (4, 4), (16, 12)] {
            assert!(!is_as_caps_say(&padded(offset, stride), &info));
        }
    }

    #[test]
    fn a_copy_has_the_pixels_in_their_place_and_all_that_was_attached() {
        let info = grey();
        let mut copies = Copies::default();
        for _ in 0..3 {
            let copy = copies.copy(&padded(16, 12), &info).unwrap();
            let map = copy.map_readable().unwrap();
            assert_eq!(map.as_slice(), [0, 1, 2, 3, 10, 11, 12, 13]);
            assert_eq!(copy.pts(), Some(gst::ClockTime::SECOND));
            assert!(copy.flags().contains(gst::BufferFlags::MARKER));
            assert!(
                copy.meta::<gst_video::VideoRegionOfInterestMeta>()
                    .is_some()
            );
            assert!(is_as_caps_say(&copy, &info));
        }
    }

    #[test]
    fn what_is_no_frame_of_its_caps_is_not_copied() {
        let info = grey();
        let mut copies = Copies::default();
        assert!(copies.copy(&gst::Buffer::new(), &info).is_err());
    }
}
