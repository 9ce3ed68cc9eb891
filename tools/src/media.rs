//! Files to frames and audio, by GStreamer's own decoders.

use std::path::Path;

use anyhow::{Context, Result};
use gst_lipsync::media::Samples;

use crate::picture::Picture;

pub use gst_lipsync::media::{SPEECH_RATE, speech};

/// The frames of a video, or the one of a still picture, in order, as I420.
pub struct Frames(Samples);

impl Frames {
    pub fn open(path: &Path) -> Result<Self> {
        Samples::open(path, "videoconvert ! video/x-raw,format=I420", "").map(Self)
    }

    pub fn all(path: &Path) -> Result<Vec<Picture>> {
        Self::open(path)?.collect()
    }
}

impl Iterator for Frames {
    type Item = Result<Picture>;

    fn next(&mut self) -> Option<Self::Item> {
        let sample = self.0.next()?;
        Some(sample.and_then(|sample| Picture::from_sample(&sample)))
    }
}

/// The video of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Video {
    pub width: usize,
    pub height: usize,
    /// Frames a second, 0 where they come as they please.
    pub rate: gst::Fraction,
    /// One frame and no more.
    pub still: bool,
}

/// Looks what video is in a file by decoding its beginning.
pub fn video(path: &Path) -> Result<Video> {
    let mut frames = Frames::open(path)?;
    let first = frames.next();
    let first = first.with_context(|| format!("{} has no video", path.display()))?;
    let first = first.with_context(|| format!("cannot decode the video of {}", path.display()))?;
    Ok(Video {
        width: first.width(),
        height: first.height(),
        rate: first.info.fps(),
        still: frames.next().is_none(),
    })
}
