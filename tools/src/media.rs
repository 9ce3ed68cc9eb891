//! Files to frames and audio, by GStreamer's own decoders.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, Result, bail};
use gst::prelude::*;

use crate::{
    picture::Picture,
    pipeline::{Pipeline, drain, running_time},
};

/// Rate of decoded audio, as the plugin hears it.
pub const SOUND_RATE: u32 = 16_000;

/// The frames of a video, or the one of a still picture, in order, as I420.
pub struct Frames(Samples);

impl Frames {
    pub fn open(path: &Path) -> Result<Self> {
        Samples::open(path, "videoconvert ! video/x-raw,format=I420").map(Self)
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

/// The audio of a file, mono, [`SOUND_RATE`], -1..1; sample n sounds n / rate seconds after the
/// start of the file. Fails when the file has none.
pub fn sound(path: &Path) -> Result<Vec<f32>> {
    let convert = format!(
        "audioconvert ! audioresample ! audio/x-raw,format=F32LE,layout=interleaved,channels=1,rate={SOUND_RATE}"
    );
    let mut sound = Vec::new();
    for sample in Samples::open(path, &convert)? {
        let sample = sample?;
        let start = running_time(&sample)?.nseconds() as f64 / 1e9;
        let first = (start * f64::from(SOUND_RATE)).round() as usize;
        let map = sample.buffer().context("sample without a buffer")?;
        let map = map.map_readable()?;
        let (values, _) = map.as_chunks();
        // Silence for holes; what overlaps was heard already.
        sound.resize(sound.len().max(first), 0.0);
        let heard = sound.len() - first;
        let new = values.iter().skip(heard);
        sound.extend(new.map(|bytes| f32::from_le_bytes(*bytes)));
    }
    if sound.is_empty() {
        bail!("{} has no audio", path.display());
    }
    Ok(sound)
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

/// One decoded stream of a file: its samples in order.
pub struct Samples {
    pipeline: Pipeline,
    sink: gst_app::AppSink,
}

impl Samples {
    /// `convert` is what lies between the decoder and the samples, in the words of gst-launch-1.0.
    pub fn open(path: &Path, convert: &str) -> Result<Self> {
        if !path.is_file() {
            bail!("{} is not a file", path.display());
        }
        let pipeline = Pipeline::parse(&format!(
            "filesrc name=file ! decodebin name=decode ! {convert} ! appsink name=sink sync=false max-buffers=4"
        ))?;
        let file: gst::Element = pipeline.element("file")?;
        file.set_property("location", path);
        drain_unlinked(&pipeline, &pipeline.element("decode")?);
        let sink = pipeline.element("sink")?;
        pipeline.play()?;
        Ok(Self { pipeline, sink })
    }
}

impl Iterator for Samples {
    type Item = Result<gst::Sample>;

    fn next(&mut self) -> Option<Self::Item> {
        self.pipeline.next_sample(&self.sink)
    }
}

/// Lets every stream that nobody takes run into nothing: where only one of an MP4's streams is linked,
/// `qtdemux` fails as soon as that one ends before another. Where none is taken that is an error.
fn drain_unlinked(pipeline: &gst::Pipeline, decode: &gst::Element) {
    let is_taken = Arc::new(AtomicBool::new(false));
    // Runs after the handler by which parsing the description links what fits.
    let (weak, taken) = (pipeline.downgrade(), is_taken.clone());
    decode.connect_pad_added(move |_, pad| {
        if pad.is_linked() {
            taken.store(true, Ordering::Release);
        } else if let Some(pipeline) = weak.upgrade() {
            drain(&pipeline, pad);
        }
    });
    let weak = pipeline.downgrade();
    decode.connect_no_more_pads(move |_| {
        if let Some(pipeline) = weak.upgrade()
            && !is_taken.load(Ordering::Acquire)
        {
            let kind = gst::StreamError::WrongType;
            gst::element_error!(pipeline, kind, ("the file has no stream of this kind"));
        }
    });
}
