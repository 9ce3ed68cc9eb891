//! A face in every size, format and frame rate that a pipeline is sent, and the audio's formats.

use std::path::Path;

use anyhow::{Context, Result};
use gst_audio::{
    AudioFormat::{self, F32le, F64le, S16le, S32le},
    AudioInfo,
};
use lipsync_tools::media::Samples;

/// Frames of one format.
pub struct Video {
    pub caps: gst::Caps,
    pub frame: gst::Buffer,
    pub lasts_ns: i64,
}

/// Format, width, height, frames a second.
type Kind = (&'static str, u32, u32, (i32, i32));

/// Of video and of audio, each.
pub const COUNT: usize = 6;

/// The first is the ordinary one. For networks that are worth it, and for stand-ins.
const LARGE: [Kind; COUNT] = [
    ("I420", 640, 480, (25, 1)),
    ("NV12", 640, 480, (30, 1)),
    ("BGR", 480, 360, (25, 1)),
    ("RGBA", 640, 480, (24_000, 1001)),
    ("Y42B", 704, 576, (25, 1)),
    ("I420", 854, 480, (30_000, 1001)),
];
const SMALL: [Kind; COUNT] = [
    ("I420", 320, 240, (25, 1)),
    ("GRAY8", 64, 48, (50, 1)),
    ("NV12", 177, 133, (30, 1)),
    ("xRGB", 320, 180, (25, 1)),
    ("Y444", 200, 150, (60_000, 1001)),
    ("BGR", 161, 121, (24, 1)),
];

/// Rate and channels.
const AUDIO: [(AudioFormat, u32, u32); COUNT] = [
    (F32le, 48_000, 2),
    (S16le, 44_100, 1),
    (S16le, 16_000, 2),
    (S32le, 96_000, 2),
    (F64le, 8_000, 1),
    (F32le, 22_050, 6),
];

pub fn video(file: &Path, is_large: bool) -> Result<Vec<Video>> {
    let kinds = if is_large { LARGE } else { SMALL };
    kinds.into_iter().map(|kind| frame(file, kind)).collect()
}

pub fn audio() -> Result<Vec<AudioInfo>> {
    let infos =
        AUDIO.map(|(format, rate, channels)| AudioInfo::builder(format, rate, channels).build());
    Ok(infos.into_iter().collect::<Result<_, _>>()?)
}

fn frame(file: &Path, (format, width, height, fps): Kind) -> Result<Video> {
    let convert = format!(
        "videoconvert ! videoscale add-borders=true \
         ! video/x-raw,format={format},width={width},height={height},pixel-aspect-ratio=1/1"
    );
    let sample = Samples::open(file, &convert)?.next();
    let sample = sample.with_context(|| format!("no frame in {}", file.display()))??;
    let buffer = sample.buffer().context("a sample without buffer")?;
    // Memory that belongs to no decoder's pool.
    let pixels = buffer.map_readable()?.to_vec();
    let mut caps = sample.caps_owned().context("a sample without caps")?;
    caps.make_mut()
        .set("framerate", gst::Fraction::new(fps.0, fps.1));
    Ok(Video {
        caps,
        frame: gst::Buffer::from_slice(pixels),
        lasts_ns: 1_000_000_000 * i64::from(fps.1) / i64::from(fps.0),
    })
}
