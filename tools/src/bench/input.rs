//! What every process is given: the same frames, boxes and audio, on disk and back.
//!
//! Frames are raw BGR, as OpenCV has them and the element takes them, so that nobody converts; where
//! nothing but the element is measured, I420, as decoders have them.

use std::{
    f64::consts::TAU,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};
use gst_lipsync::media::Samples;
use lipsync_core::{
    face::{Mesh, Settings},
    pixels::{Format, View},
};
use lipsync_tools::{
    faces,
    media::{self, SPEECH_RATE},
    picture::packed_view,
};
use serde::{Deserialize, Serialize};

pub const FRAME_NS: i64 = 40_000_000;
pub const FRAME_RATE: i32 = 25;
/// Bytes of a pixel.
const BGR: usize = 3;

/// A still picture is shown in this size, as the frames of the original system are.
pub const SIZE: [usize; 2] = [1280, 720];
/// How far it pans to either side, in pixels, and in how many frames there and back.
const PAN: usize = 12;
const FRAMES: usize = 16;
/// Where memory and the start are measured a few must do.
const FEW: usize = 4;
/// More audio than frames are looked at.
const AUDIO_SECONDS: usize = 6;
/// A WAVE file of ours has its samples behind this many bytes.
const WAVE_HEADER: usize = 44;
/// Bytes of one sample of audio, and of a second of it.
const SAMPLE: usize = 2;
pub const SECOND: usize = SPEECH_RATE as usize * SAMPLE;

/// A folder with what processes are given.
#[derive(Clone, Serialize, Deserialize)]
pub struct Input {
    pub folder: PathBuf,
    pub width: usize,
    pub height: usize,
    pub format: Pixels,
}

/// How frames are stored.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pixels {
    Bgr,
    I420,
}

/// How many different frames.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Amount {
    All,
    Few,
}

impl Input {
    pub fn frames(&self, amount: Amount) -> PathBuf {
        self.folder.join(match amount {
            Amount::All => "all.raw",
            Amount::Few => "few.raw",
        })
    }

    /// The boxes that a model's family cuts.
    pub fn boxes(&self, model: &str) -> PathBuf {
        self.folder.join(match model.starts_with("unet") {
            true => "squares.json",
            false => "faces.json",
        })
    }

    pub fn audio(&self) -> PathBuf {
        self.folder.join("voice.wav")
    }

    pub fn size(&self) -> String {
        format!("{}x{}", self.width, self.height)
    }

    /// Caps of its frames.
    pub fn video(&self) -> Result<gst_video::VideoInfo> {
        let format = match self.format {
            Pixels::Bgr => gst_video::VideoFormat::Bgr,
            Pixels::I420 => gst_video::VideoFormat::I420,
        };
        let (width, height) = (u32::try_from(self.width)?, u32::try_from(self.height)?);
        let info = gst_video::VideoInfo::builder(format, width, height);
        Ok(info.fps(gst::Fraction::new(FRAME_RATE, 1)).build()?)
    }

    /// Takes frames and audio from files. A still picture is shown in `size` and panned a little, so
    /// that following the face is work as it is in a video.
    pub fn prepare(
        folder: &Path,
        video: &Path,
        speech: &Path,
        size: [usize; 2],
        format: Pixels,
    ) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let found = media::video(video)?;
        let (width, height) = (found.width, found.height);
        let (width, height, mut frames) = match found.still {
            true => (size[0], size[1], pan(video, [width, height], size)?),
            false => (width, height, decode(video, width, height, FRAMES)?),
        };
        if width % 4 > 0 {
            bail!("frames must be a multiple of 4 pixels wide, not {width}");
        }
        let mut input = Self {
            folder: folder.to_owned(),
            width,
            height,
            format: Pixels::Bgr,
        };
        let meshes = input.meshes(&mut frames)?;
        if format != Pixels::Bgr {
            let from = input.video()?;
            input.format = format;
            frames = convert(frames, &from, &input.video()?)?;
        }
        fs::write(input.frames(Amount::All), frames.concat())?;
        let few = &frames[..FEW.min(frames.len())];
        fs::write(input.frames(Amount::Few), few.concat())?;
        let boxes = |box_of: fn(&Mesh) -> [f32; 4]| {
            let boxes = meshes.iter().map(|mesh| input.inside(box_of(mesh)));
            serde_json::to_string(&boxes.collect::<Vec<_>>())
        };
        fs::write(input.boxes("wav2lip"), boxes(face_box)?)?;
        fs::write(input.boxes("unet"), boxes(square)?)?;
        let mut audio = media::speech(speech)?;
        audio.truncate(AUDIO_SECONDS * SPEECH_RATE as usize);
        fs::write(input.audio(), wave(&audio))?;
        Ok(input)
    }

    /// The face in every frame.
    fn meshes(&self, frames: &mut [Vec<u8>]) -> Result<Vec<Mesh>> {
        let mut tracker = faces::tracker(Settings::default())?;
        let frames = frames.iter_mut().enumerate();
        frames
            .map(|(index, frame)| {
                let faces = tracker.track(&self.view(frame), index as i64 * FRAME_NS, &[])?;
                let face = faces.first();
                let face = face.with_context(|| format!("no face in frame {index}"))?;
                Ok(face.mesh.clone())
            })
            .collect()
    }

    /// Whole pixels: left, top, right, bottom.
    fn inside(&self, [x0, y0, x1, y1]: [f32; 4]) -> [usize; 4] {
        let [left, right] = [x0, x1].map(|x| x.clamp(0.0, self.width as f32) as usize);
        let [top, bottom] = [y0, y1].map(|y| y.clamp(0.0, self.height as f32) as usize);
        [left, top, right, bottom]
    }

    /// A frame as the engine sees it.
    pub fn view<'a>(&self, frame: &'a mut [u8]) -> View<'a> {
        packed_view(Format::Bgr, frame, self.width, self.height)
    }
}

/// Wav2Lip's: the face from the forehead to the chin, and its `pads` below. Where the original
/// pipelines cut, about: what it costs depends on the size only.
fn face_box(mesh: &Mesh) -> [f32; 4] {
    const BELOW: f32 = 10.0;
    let [x0, y0, x1, y1] = mesh.bbox().edges();
    [x0, y0, x1, y1 + BELOW]
}

/// The U-Nets': the square under landmarks 1, 52 and 31, by the points of the mesh there.
fn square(mesh: &Mesh) -> [f32; 4] {
    let [left, right, bridge] = [127, 356, 195].map(|point: usize| mesh.points[point]);
    [left[0], bridge[1], right[0], bridge[1] + right[0] - left[0]]
}

/// Frames and audio, read back.
pub struct Material {
    frames: Vec<Vec<u8>>,
    /// 16 kHz, mono, 16 bits.
    audio: Vec<u8>,
}

impl Material {
    pub fn read(input: &Input, amount: Amount) -> Result<Self> {
        gst::init()?;
        let pixels = fs::read(input.frames(amount))?;
        let audio = fs::read(input.audio())?;
        let frames = pixels.chunks_exact(input.video()?.size());
        Ok(Self {
            frames: frames.map(<[u8]>::to_vec).collect(),
            audio: audio.get(WAVE_HEADER..).unwrap_or_default().to_vec(),
        })
    }

    pub fn frame(&self, index: usize) -> &[u8] {
        &self.frames[index % self.frames.len()]
    }

    /// The audio over and over: `length` bytes from the byte `from` on.
    pub fn audio(&self, from: usize, length: usize) -> Vec<u8> {
        let endless = self.audio.iter().cycle().skip(from % self.audio.len());
        endless.take(length).copied().collect()
    }
}

/// Of audio.
pub fn bytes_to_ns(bytes: usize) -> i64 {
    (bytes / SAMPLE) as i64 * 1_000_000_000 / i64::from(SPEECH_RATE)
}

/// The same frames in another format.
fn convert(
    frames: Vec<Vec<u8>>,
    from: &gst_video::VideoInfo,
    to: &gst_video::VideoInfo,
) -> Result<Vec<Vec<u8>>> {
    let converter = gst_video::VideoConverter::new(from, to, None)?;
    let unfit = |_| anyhow!("a frame does not fit its caps");
    let convert = |frame: Vec<u8>| {
        let frame = gst::Buffer::from_mut_slice(frame);
        let frame = gst_video::VideoFrame::from_buffer_readable(frame, from).map_err(unfit)?;
        let buffer = gst::Buffer::with_size(to.size())?;
        let mut converted =
            gst_video::VideoFrame::from_buffer_writable(buffer, to).map_err(unfit)?;
        converter.frame(&frame, &mut converted);
        let bytes = converted.into_buffer();
        Ok(bytes.map_readable()?.to_vec())
    };
    frames.into_iter().map(convert).collect()
}

/// Windows of `size` on a still picture of `width` and `height` that wander to and fro.
fn pan(path: &Path, [width, height]: [usize; 2], size: [usize; 2]) -> Result<Vec<Vec<u8>>> {
    let wide = size[0] + 2 * PAN;
    let high = (height * wide).div_ceil(width).max(size[1]);
    let whole = decode(path, wide, high, 1)?.concat();
    // Faces in portraits lie in the upper half.
    let top = (high - size[1]) / 4;
    let window = |index| {
        let phase = TAU * index as f64 / FRAMES as f64;
        let left = (PAN as f64 * (1.0 + phase.sin())).round() as usize * BGR;
        let rows = whole.chunks_exact(wide * BGR).skip(top).take(size[1]);
        let pixels = rows.flat_map(|row| &row[left..left + size[0] * BGR]);
        pixels.copied().collect()
    };
    Ok((0..FRAMES).map(window).collect())
}

/// At most `count` frames as BGR, which has no padding in widths that four divides.
fn decode(path: &Path, width: usize, height: usize, count: usize) -> Result<Vec<Vec<u8>>> {
    let convert = format!(
        "videoconvert ! videoscale add-borders=false \
         ! video/x-raw,format=BGR,width={width},height={height},pixel-aspect-ratio=1/1"
    );
    let samples = Samples::open(path, &convert, "")?.take(count);
    let pixels = |sample: Result<gst::Sample>| {
        let sample = sample?;
        let buffer = sample.buffer().context("a sample without buffer")?;
        Ok(buffer.map_readable()?.to_vec())
    };
    let frames: Vec<_> = samples.map(pixels).collect::<Result<_>>()?;
    if frames.is_empty() {
        bail!("no frame in {}", path.display());
    }
    Ok(frames)
}

/// A mono WAVE file of 16 bits.
fn wave(samples: &[f32]) -> Vec<u8> {
    let length = 2 * samples.len() as u32;
    let mut bytes = Vec::from(*b"RIFF");
    bytes.extend((36 + length).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    bytes.extend(SPEECH_RATE.to_le_bytes());
    bytes.extend((2 * SPEECH_RATE).to_le_bytes());
    bytes.extend(b"\x02\0\x10\0data");
    bytes.extend(length.to_le_bytes());
    let values = samples.iter().map(|value| (value * 32767.0) as i16);
    bytes.extend(values.flat_map(i16::to_le_bytes));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_repeats_from_its_start_and_lies_behind_a_header() {
        let bytes = wave(&[0.0, 1.0, -1.0]);
        assert_eq!(bytes.len(), WAVE_HEADER + 6);
        assert_eq!(bytes[WAVE_HEADER + 2..], [0xff, 0x7f, 0x01, 0x80]);
        let material = Material {
            frames: vec![vec![1], vec![2]],
            audio: vec![0, 1, 2, 3],
        };
        assert_eq!(material.audio(6, 5), [2, 3, 0, 1, 2]);
        assert_eq!(material.frame(3), [2]);
    }
}
