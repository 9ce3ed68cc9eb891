//! Frames and sound through the real `lipsync` element, in memory.

use anyhow::{Context, Result, anyhow};
use gst::prelude::*;

use crate::{
    media::{self, SOUND_RATE},
    picture::Picture,
    stats::Stats,
};

/// What goes in, and how the element is set.
pub struct Drive<'a> {
    /// Each is seen at its own time.
    pub frames: &'a [Picture],
    /// Mono, [`SOUND_RATE`], from time zero.
    pub sound: &'a [f32],
    /// Properties of the element by name, as gst-launch-1.0 takes them.
    pub properties: &'a [(&'a str, String)],
}

/// What comes out.
pub struct Driven {
    pub frames: Vec<Picture>,
    pub stats: Stats,
}

/// Samples in one buffer of sound: 20 ms, as an encoder or a sound card would send.
const SOUND_BLOCK: usize = SOUND_RATE as usize / 50;

impl Drive<'_> {
    /// Runs until the last frame has come out.
    pub fn run(&self) -> Result<Driven> {
        let first = self.frames.first().context("no frames to drive")?;
        let pipeline = media::parse_pipeline(
            "lipsync name=lipsync ! appsink name=sink sync=false \
             appsrc name=video format=time max-bytes=0 ! lipsync.video \
             appsrc name=audio format=time max-bytes=0 ! lipsync.audio",
        )?;
        let lipsync = media::element(&pipeline, "lipsync")?;
        for (name, value) in self.properties {
            lipsync.set_property_from_str(name, value);
        }
        let video = app_source(&pipeline, "video", Some(&first.info.to_caps()?))?;
        let caps = gst_audio::AudioInfo::builder(gst_audio::AUDIO_FORMAT_F32, SOUND_RATE, 1)
            .build()?
            .to_caps()?;
        let audio = app_source(&pipeline, "audio", Some(&caps))?;
        let sink = media::app_sink(&pipeline, "sink")?;

        let outcome = play(&pipeline)
            .and_then(|()| {
                self.push_frames(&video)?;
                self.push_sound(&audio)?;
                let samples = std::iter::from_fn(|| media::next_sample(&pipeline, &sink));
                samples
                    .map(|sample| Picture::from_sample(&sample?))
                    .collect::<Result<Vec<_>>>()
            })
            .map(|frames| Driven {
                frames,
                stats: Stats::of(&lipsync),
            });
        pipeline.set_state(gst::State::Null)?;
        outcome
    }

    fn push_frames(&self, source: &gst_app::AppSrc) -> Result<()> {
        for frame in self.frames {
            // Shares the pixels; the element copies what it changes.
            let mut buffer = frame.buffer.copy();
            let writable = buffer.get_mut().context("a new buffer can be written")?;
            writable.set_pts(frame.time);
            source.push_buffer(buffer)?;
        }
        source.end_of_stream()?;
        Ok(())
    }

    fn push_sound(&self, source: &gst_app::AppSrc) -> Result<()> {
        let ns = |samples: usize| samples as i64 * 1_000_000_000 / i64::from(SOUND_RATE);
        for (index, block) in self.sound.chunks(SOUND_BLOCK).enumerate() {
            let bytes = block.iter().flat_map(|value| value.to_le_bytes()).collect();
            source.push_buffer(buffer(bytes, ns(index * SOUND_BLOCK), ns(block.len()))?)?;
        }
        source.end_of_stream()?;
        Ok(())
    }
}

/// Bytes that are seen or heard from a time on for so long, both in nanoseconds.
pub fn buffer(bytes: Vec<u8>, time_ns: i64, lasts_ns: i64) -> Result<gst::Buffer> {
    let mut buffer = gst::Buffer::from_mut_slice(bytes);
    let writable = buffer.get_mut().context("a new buffer can be written")?;
    writable.set_pts(gst::ClockTime::from_nseconds(time_ns.try_into()?));
    writable.set_duration(gst::ClockTime::from_nseconds(lasts_ns.try_into()?));
    Ok(buffer)
}

/// An `appsrc` by its name, with the caps of what it will be given where they are known.
pub fn app_source(
    pipeline: &gst::Pipeline,
    name: &str,
    caps: Option<&gst::Caps>,
) -> Result<gst_app::AppSrc> {
    let source = media::element(pipeline, name)?.downcast::<gst_app::AppSrc>();
    let source = source.map_err(|_| anyhow!("`{name}` is not an appsrc"))?;
    source.set_caps(caps);
    Ok(source)
}

/// Starts a pipeline.
///
/// # Errors
/// In the words of the element that refused.
pub fn play(pipeline: &gst::Pipeline) -> Result<()> {
    match pipeline.set_state(gst::State::Playing) {
        Ok(_) => Ok(()),
        Err(_) => Err(start_error(pipeline)),
    }
}

/// Why a pipeline did not start.
pub fn start_error(pipeline: &gst::Pipeline) -> anyhow::Error {
    error_of(pipeline).unwrap_or_else(|| anyhow!("the pipeline did not start"))
}

/// The next error on a pipeline's bus.
pub fn error_of(pipeline: &gst::Pipeline) -> Option<anyhow::Error> {
    let message = pipeline.bus()?.pop_filtered(&[gst::MessageType::Error])?;
    match message.view() {
        gst::MessageView::Error(error) => Some(media::describe(error)),
        _ => None,
    }
}
