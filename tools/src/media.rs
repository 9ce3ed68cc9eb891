//! Files to frames and sound, by GStreamer's own decoders.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use anyhow::{Context, Result, anyhow, bail};
use gst::prelude::*;

use crate::{drive, picture::Picture};

/// Rate of decoded sound, as the plugin hears it.
pub const SOUND_RATE: u32 = 16_000;

/// Longest wait for a decoder before it counts as hung.
pub const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(30);
/// Between two looks at the bus while a decoder gives nothing.
const LOOK: gst::ClockTime = gst::ClockTime::from_mseconds(20);

/// The frames of a video, or the one of a still picture, in order, as I420.
pub struct Frames(Samples);

impl Frames {
    pub fn open(path: &Path) -> Result<Self> {
        let samples = Samples::open(path, "videoconvert ! video/x-raw,format=I420")?;
        Ok(Self(samples))
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

/// The sound of a file, mono, [`SOUND_RATE`], -1..1; sample n sounds n / rate seconds after the
/// start of the file. Fails when the file has none.
pub fn sound(path: &Path) -> Result<Vec<f32>> {
    let caps = format!(
        "audioconvert ! audioresample ! audio/x-raw,format=F32LE,layout=interleaved,channels=1,rate={SOUND_RATE}"
    );
    let mut sound = Vec::new();
    for sample in Samples::open(path, &caps)? {
        let sample = sample?;
        let buffer = sample.buffer().context("sample without a buffer")?;
        let start = running_time(&sample)?.nseconds() as f64 / 1e9;
        let first = (start * f64::from(SOUND_RATE)).round() as usize;
        let map = buffer.map_readable()?;
        let values = map
            .chunks_exact(size_of::<f32>())
            .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
        // Silence for holes; what overlaps was heard already.
        let known = sound.len();
        sound.resize(known.max(first), 0.0);
        let heard = sound.len() - first;
        sound.extend(values.skip(heard));
    }
    if sound.is_empty() {
        bail!("{} has no audio", path.display());
    }
    Ok(sound)
}

/// What is in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    pub video: Option<Video>,
    pub sound: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Video {
    pub width: usize,
    pub height: usize,
    /// Frames a second, 0 where they come as they please.
    pub rate: gst::Fraction,
    /// One frame and no more.
    pub still: bool,
}

/// Looks what is in a file by decoding its beginning.
pub fn contents(path: &Path) -> Result<Contents> {
    let mut frames = Frames::open(path)?;
    let first = frames.next();
    // After an error nothing more comes, not even an end.
    let still = matches!(first, Some(Ok(_))) && frames.next().is_none();
    let sound = Samples::open(path, "audioconvert ! audio/x-raw")?
        .next()
        .is_some_and(|sample| sample.is_ok());
    match first {
        Some(Ok(picture)) => Ok(Contents {
            video: Some(Video {
                width: picture.width(),
                height: picture.height(),
                rate: picture.info.fps(),
                still,
            }),
            sound,
        }),
        _ if sound => Ok(Contents { video: None, sound }),
        Some(Err(error)) => Err(error).with_context(|| format!("cannot decode {}", path.display())),
        None => bail!("{} has neither video nor audio", path.display()),
    }
}

/// One decoded stream of a file: its samples in order.
pub struct Samples {
    pipeline: gst::Pipeline,
    sink: gst_app::AppSink,
}

impl Samples {
    /// `convert` is what lies between the decoder and the samples, in the words of gst-launch-1.0.
    pub fn open(path: &Path, convert: &str) -> Result<Self> {
        if !path.is_file() {
            bail!("{} is not a file", path.display());
        }
        let pipeline = parse_for(
            &format!(
                "filesrc name=file ! decodebin name=decode ! {convert} ! appsink name=sink sync=false max-buffers=4"
            ),
            path,
        )?;
        drain_unlinked(&pipeline, &element(&pipeline, "decode")?);
        let sink = app_sink(&pipeline, "sink")?;
        let samples = Self { pipeline, sink };
        drive::play(&samples.pipeline)?;
        Ok(samples)
    }
}

impl Iterator for Samples {
    type Item = Result<gst::Sample>;

    fn next(&mut self) -> Option<Self::Item> {
        next_sample(&self.pipeline, &self.sink)
    }
}

impl Drop for Samples {
    fn drop(&mut self) {
        // Going to NULL cannot fail.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// Lets every stream that nobody takes run into nothing: where only one of an MP4's streams is linked,
/// `qtdemux` fails as soon as that one ends before another. Where none is taken that is an error.
fn drain_unlinked(pipeline: &gst::Pipeline, decode: &gst::Element) {
    let is_taken = Arc::new(AtomicBool::new(false));
    let weak = pipeline.downgrade();
    // Runs after the handler by which parsing the description links what fits.
    decode.connect_pad_added({
        let is_taken = is_taken.clone();
        move |_, pad| {
            if pad.is_linked() {
                is_taken.store(true, Ordering::Release);
            } else if let Some(pipeline) = weak.upgrade()
                && let Err(error) = drain(&pipeline, pad)
            {
                gst::element_error!(pipeline, gst::CoreError::Pad, ("{error:#}"));
            }
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

/// Lets a stream run into nothing.
pub fn drain(pipeline: &gst::Pipeline, pad: &gst::Pad) -> Result<()> {
    let sink = gst::ElementFactory::make("fakesink")
        .property("sync", false)
        .property("async", false)
        .build()?;
    pipeline.add(&sink)?;
    sink.sync_state_with_parent()?;
    pad.link(&sink.static_pad("sink").context("a fakesink has a pad")?)?;
    Ok(())
}

/// A pipeline whose `filesrc name=file` reads `path`.
pub fn parse_for(description: &str, path: &Path) -> Result<gst::Pipeline> {
    let pipeline = parse_pipeline(description)?;
    element(&pipeline, "file")?.set_property("location", path);
    Ok(pipeline)
}

pub fn parse_pipeline(description: &str) -> Result<gst::Pipeline> {
    gst::parse::launch(description)
        .with_context(|| format!("cannot build the pipeline `{description}`"))?
        .downcast()
        .map_err(|_| anyhow!("`{description}` is not a pipeline"))
}

pub fn element(pipeline: &gst::Pipeline, name: &str) -> Result<gst::Element> {
    pipeline
        .by_name(name)
        .with_context(|| format!("no element `{name}` in the pipeline"))
}

pub fn app_sink(pipeline: &gst::Pipeline, name: &str) -> Result<gst_app::AppSink> {
    element(pipeline, name)?
        .downcast()
        .map_err(|_| anyhow!("`{name}` is not an appsink"))
}

/// The next sample, `None` at the end; an error of the pipeline as soon as it is posted, or nothing
/// at all for too long, as an error.
pub fn next_sample(
    pipeline: &gst::Pipeline,
    sink: &gst_app::AppSink,
) -> Option<Result<gst::Sample>> {
    let begun = Instant::now();
    loop {
        if let Some(sample) = sink.try_pull_sample(LOOK) {
            return Some(Ok(sample));
        }
        if let Some(error) = drive::error_of(pipeline) {
            return Some(Err(error));
        }
        if sink.is_eos() {
            return None;
        }
        if begun.elapsed() >= PATIENCE.into() {
            return Some(Err(anyhow!("the pipeline gave nothing for {PATIENCE:.0}")));
        }
    }
}

/// An error message with what it came from.
pub fn describe(error: &gst::message::Error) -> anyhow::Error {
    let source = error
        .src()
        .map_or_else(String::new, |source| format!("{}: ", source.path_string()));
    let debug = error
        .debug()
        .map_or_else(String::new, |debug| format!("\n{debug}"));
    anyhow!("{source}{}{debug}", error.error())
}

/// When a sample is heard or seen, from the start of its file.
pub fn running_time(sample: &gst::Sample) -> Result<gst::ClockTime> {
    let time = sample.buffer().and_then(gst::BufferRef::pts);
    let segment = sample
        .segment()
        .and_then(|segment| segment.downcast_ref::<gst::ClockTime>());
    match (time, segment) {
        // What lies before the segment (an encoder's priming) is heard at its very start.
        (Some(time), Some(segment)) => Ok(segment.to_running_time(time).unwrap_or_default()),
        _ => bail!("a buffer without a timestamp"),
    }
}
