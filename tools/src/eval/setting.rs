//! What all clips are measured with.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use lipsync_tools::{
    faces::{Mouth, Watcher},
    media::SPEECH_RATE,
    picture::Picture,
    pipeline::{self, LipsyncPipeline, Stats},
};

use crate::spoken::Spoken;

/// Samples in one buffer of audio: 20 ms, as an encoder or an audio interface would send.
const BLOCK: usize = SPEECH_RATE as usize / 50;

pub struct Setting {
    pub model: Option<PathBuf>,
    /// A painting.
    pub portrait: Option<Picture>,
    /// Other languages.
    pub spoken: Vec<Spoken>,
}

impl Setting {
    /// The frames, each at its own time, as the element gives them back beside the audio: mono,
    /// [`SPEECH_RATE`], from time zero.
    pub fn drive(&self, frames: &[Picture], sound: &[f32]) -> Result<(Vec<Picture>, Stats)> {
        self.drive_with(&[], frames, sound)
    }

    /// The same with these properties of the element.
    pub fn drive_with(
        &self,
        properties: &[(&'static str, &str)],
        frames: &[Picture],
        sound: &[f32],
    ) -> Result<(Vec<Picture>, Stats)> {
        let more = properties
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        let mut properties = vec![("intra-threads", "1".to_owned())];
        properties.extend(more);
        let model = self.model.as_ref();
        properties.extend(model.map(|model| ("model", model.display().to_string())));
        let caps = frames
            .first()
            .context("no frames to drive")?
            .info
            .to_caps()?;
        let audio = (gst_audio::AUDIO_FORMAT_F32, SPEECH_RATE);
        let run = LipsyncPipeline::play(&caps, audio, "appsink", false, &properties)?;
        for frame in frames {
            // Shares the pixels; the element copies what it changes.
            let mut buffer = frame.buffer.copy();
            let writable = buffer.get_mut().context("a new buffer can be written")?;
            writable.set_pts(frame.time);
            run.video.push_buffer(buffer)?;
        }
        run.video.end_of_stream()?;
        let ns = |samples: usize| samples as i64 * 1_000_000_000 / i64::from(SPEECH_RATE);
        for (index, block) in sound.chunks(BLOCK).enumerate() {
            let bytes = block.iter().flat_map(|value| value.to_le_bytes()).collect();
            let (time_ns, lasts_ns) = (ns(index * BLOCK), ns(block.len()));
            let buffer = pipeline::buffer(bytes, time_ns, lasts_ns)?;
            run.audio.push_buffer(buffer)?;
        }
        run.audio.end_of_stream()?;
        let sink = run.pipeline.element("sink")?;
        let samples = std::iter::from_fn(|| run.pipeline.next_sample(&sink));
        let output = samples.map(|sample| Picture::from_sample(&sample?));
        let output = output.collect::<Result<Vec<_>>>()?;
        if output.len() != frames.len() {
            bail!("{} frames became {}", frames.len(), output.len());
        }
        Ok((output, Stats::of(&run.lipsync)))
    }

    /// The same, and the mouth in every frame.
    pub fn watch(&self, frames: &[Picture], sound: &[f32]) -> Result<(Vec<Picture>, Vec<Mouth>)> {
        let (output, _) = self.drive(frames, sound)?;
        let mouths = Watcher::watch_all(&output)?;
        Ok((output, mouths))
    }
}
