//! Decoded streams of files, as samples.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, Result};
use gst::prelude::*;

use crate::pipeline::{Pipeline, drain};

/// Rate of decoded speech, samples a second.
pub const SPEECH_RATE: u32 = 16_000;

/// One decoded stream of a file, its samples in order.
pub struct Samples {
    pipeline: Pipeline,
    sink: gst_app::AppSink,
}

impl Samples {
    /// `convert` is what lies between the decoder and the samples, `more` what else hangs on the decoder `decode`, in
    /// the words of gst-launch-1.0.
    pub fn open(path: &Path, convert: &str, more: &str) -> Result<Self> {
        let pipeline = Pipeline::parse(&format!(
            "filesrc name=file ! decodebin name=decode ! {convert} ! appsink name=sink sync=false max-buffers=4 {more}"
        ))?;
        let [file, decode]: [gst::Element; 2] =
            [pipeline.element("file")?, pipeline.element("decode")?];
        file.set_property("location", path);
        drain_unlinked(&pipeline, &decode);
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

/// The first frame's caps.
///
/// # Errors
/// Where nothing can be decoded.
pub fn frame_caps(path: &Path) -> Result<gst::Caps> {
    let first = Samples::open(path, "video/x-raw(ANY)", "")?.next();
    let sample = first.context("no frame can be decoded")??;
    sample.caps_owned().context("frames without caps")
}

/// When a sample is heard or seen, from the start of its file.
pub fn running_time(sample: &gst::Sample) -> gst::ClockTime {
    let time = sample.buffer().and_then(gst::BufferRef::pts);
    let segment = sample.segment();
    let segment = segment.and_then(|segment| segment.downcast_ref::<gst::ClockTime>());
    // What lies before the segment (an encoder's priming) is heard at its very start.
    time.and_then(|time| segment?.to_running_time(time))
        .unwrap_or_default()
}

/// The speech of a file, mono, -1..1; sample n sounds n / [`SPEECH_RATE`] seconds after its start.
pub fn speech(path: &Path) -> Result<Vec<f32>> {
    let convert = format!(
        "audioconvert ! audioresample ! audio/x-raw,format=F32LE,layout=interleaved,channels=1,rate={SPEECH_RATE}"
    );
    let mut speech = Vec::new();
    for sample in Samples::open(path, &convert, "")? {
        let sample = sample?;
        let first = (running_time(&sample).seconds_f64() * f64::from(SPEECH_RATE)).round() as usize;
        let map = sample
            .buffer()
            .context("a sample without a buffer")?
            .map_readable()?;
        let (values, _) = map.as_chunks();
        // Silence for holes; what overlaps was heard already.
        speech.resize(speech.len().max(first), 0.0);
        let heard = speech.len() - first;
        speech.extend(
            values
                .iter()
                .skip(heard)
                .map(|bytes| f32::from_le_bytes(*bytes)),
        );
    }
    Ok(speech)
}

/// The frames of a video that are seen at these times, which must rise, upright, as JPEGs of this height. A still picture
/// is seen at any time.
pub fn frames_at(path: &Path, times: &[gst::ClockTime], height: i32) -> Result<Vec<Vec<u8>>> {
    let mut found = Vec::with_capacity(times.len());
    let mut shown: Option<gst::Sample> = None;
    for next in Samples::open(path, "videoconvert ! videoflip video-direction=auto", "")? {
        let next = next?;
        if let Some(shown) = &shown {
            while found.len() < times.len() && times[found.len()] < running_time(&next) {
                found.push(jpeg(shown, height)?);
            }
            if found.len() == times.len() {
                return Ok(found);
            }
        }
        shown = Some(next);
    }
    let last = shown.with_context(|| format!("no frames in {}", path.display()))?;
    while found.len() < times.len() {
        found.push(jpeg(&last, height)?);
    }
    Ok(found)
}

fn jpeg(sample: &gst::Sample, height: i32) -> Result<Vec<u8>> {
    let info = gst_video::VideoInfo::from_caps(sample.caps().context("frames without caps")?)?;
    let aspect = f64::from(info.par().numer()) / f64::from(info.par().denom());
    let width = f64::from(info.width()) * aspect * f64::from(height) / f64::from(info.height());
    let caps = gst::Caps::builder("image/jpeg")
        .field("width", width.round() as i32)
        .field("height", height)
        .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
        .build();
    let image = gst_video::convert_sample(sample, &caps, Some(gst::ClockTime::from_seconds(20)))?;
    let map = image
        .buffer()
        .context("an image without data")?
        .map_readable()?;
    Ok(map.to_vec())
}
