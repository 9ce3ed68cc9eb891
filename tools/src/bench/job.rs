//! What every contender is given: the same frames, boxes and sound, on disk and back.
//!
//! Frames are raw BGR, as OpenCV has them and the element takes them, so that nobody converts.

use std::{
    f64::consts::TAU,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use gst_video::prelude::*;
use lipsync_core::{
    assembly,
    face::{self, Mesh, Tracker},
    inference::Options,
    pixels::{Colour, Format, Plane, View},
};
use lipsync_tools::media::{self, SOUND_RATE};

pub const FRAME_NS: i64 = 40_000_000;
pub const FRAME_RATE: i32 = 25;
/// Bytes of a pixel.
const BGR: usize = 3;

/// A still picture is shown in this size, as the frames of the original system are.
const WIDTH: usize = 1280;
const HEIGHT: usize = 720;
/// How far the picture pans to either side, in pixels, and in how many frames there and back.
const PAN: usize = 12;
const FRAMES: usize = 16;
/// Where memory and the start are measured a few must do.
const FEW: usize = 4;
/// More sound than frames are looked at.
const SOUND_SECONDS: usize = 6;
/// A WAVE file of ours has its samples behind this many bytes.
const WAVE_HEADER: usize = 44;

/// A folder with what contenders are given.
#[derive(Clone)]
pub struct Job {
    pub folder: PathBuf,
    pub width: usize,
    pub height: usize,
}

/// How many different frames.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    All,
    Few,
}

impl Amount {
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Few => "few",
        }
    }
}

/// Whose box: the families cut differently.
#[derive(Clone, Copy)]
pub enum Box4 {
    /// Wav2Lip's: the face from the forehead to the chin.
    Face,
    /// The U-Nets': the square under landmarks 1, 52 and 31.
    Square,
}

impl Job {
    pub fn frames(&self, amount: Amount) -> PathBuf {
        self.folder.join(format!("{}.bgr", amount.name()))
    }

    pub fn boxes(&self, kind: Box4) -> PathBuf {
        self.folder.join(match kind {
            Box4::Face => "faces.json",
            Box4::Square => "squares.json",
        })
    }

    pub fn sound(&self) -> PathBuf {
        self.folder.join("voice.wav")
    }

    pub fn size(&self) -> String {
        format!("{}x{}", self.width, self.height)
    }

    /// Takes pictures and sound from files. A still picture is panned a little, so that following
    /// the face is work as it is in a video.
    pub fn prepare(folder: &Path, picture: &Path, speech: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let (width, height, mut frames) = match media::contents(picture)?.video {
            Some(video) if video.still => pan(picture, video.width, video.height)?,
            Some(video) => decode(picture, video.width, video.height, FRAMES)?,
            None => bail!("{} has no picture", picture.display()),
        };
        let job = Self {
            folder: folder.to_owned(),
            width,
            height,
        };
        let meshes = job.meshes(&mut frames)?;
        fs::write(job.frames(Amount::All), frames.concat())?;
        fs::write(
            job.frames(Amount::Few),
            frames[..FEW.min(frames.len())].concat(),
        )?;
        for kind in [Box4::Face, Box4::Square] {
            let boxes: Vec<_> = meshes.iter().map(|mesh| job.place(kind, mesh)).collect();
            fs::write(job.boxes(kind), serde_json::to_string(&boxes)?)?;
        }
        let mut sound = media::sound(speech)?;
        sound.truncate(SOUND_SECONDS * SOUND_RATE as usize);
        fs::write(job.sound(), wave(&sound))?;
        Ok(job)
    }

    /// The face in every frame.
    fn meshes(&self, frames: &mut [Vec<u8>]) -> Result<Vec<Mesh>> {
        let options = Options::default();
        let detector = face::open_detector(&assembly::opener(&options))?.network;
        let mesh = face::open_mesh(&assembly::opener(&options))?.network;
        let mut tracker = Tracker::new(detector, mesh, face::Settings::default())?;
        frames
            .iter_mut()
            .enumerate()
            .map(|(index, frame)| {
                let view = view(frame, self.width, self.height);
                let faces = tracker.track(&view, index as i64 * FRAME_NS, &[])?;
                let face = faces.first();
                let face = face.with_context(|| format!("no face in frame {index}"))?;
                Ok(face.mesh.clone())
            })
            .collect()
    }

    /// Where the original pipelines cut, about: what it costs depends on the size only.
    fn place(&self, kind: Box4, mesh: &Mesh) -> [usize; 4] {
        /// Points of the mesh where landmarks 1, 31 and 52 are, and Wav2Lip's `pads`.
        const LEFT: usize = 127;
        const RIGHT: usize = 356;
        const BRIDGE: usize = 195;
        const BELOW: f32 = 10.0;
        let (width, height) = (self.width as f32, self.height as f32);
        let [x0, y0, x1, y1] = match kind {
            Box4::Face => {
                let [x0, y0, x1, y1] = mesh.bbox();
                [x0, y0, x1, y1 + BELOW]
            }
            Box4::Square => {
                let (x0, x1) = (mesh.points[LEFT][0], mesh.points[RIGHT][0]);
                let y0 = mesh.points[BRIDGE][1];
                [x0, y0, x1, y0 + (x1 - x0)]
            }
        };
        let [left, right] = [x0, x1].map(|x| x.clamp(0.0, width) as usize);
        let [top, bottom] = [y0, y1].map(|y| y.clamp(0.0, height) as usize);
        [left, top, right, bottom]
    }
}

/// Frames and sound of a job, read back by a contender of ours.
pub struct Material {
    pub frames: Vec<Vec<u8>>,
    /// 16 kHz, mono, 16 bits.
    pub sound: Vec<u8>,
}

impl Material {
    pub fn read(job: &Job, amount: Amount) -> Result<Self> {
        let pixels = fs::read(job.frames(amount))?;
        let sound = fs::read(job.sound())?;
        Ok(Self {
            frames: pixels
                .chunks_exact(job.width * job.height * BGR)
                .map(<[u8]>::to_vec)
                .collect(),
            sound: sound.get(WAVE_HEADER..).unwrap_or_default().to_vec(),
        })
    }

    pub fn frame(&self, index: usize) -> &[u8] {
        &self.frames[index % self.frames.len()]
    }

    /// The sound over and over: `length` bytes from the byte `from` on.
    pub fn sound(&self, from: usize, length: usize) -> Vec<u8> {
        let turns = self.sound.iter().cycle();
        turns
            .skip(from % self.sound.len())
            .take(length)
            .copied()
            .collect()
    }
}

/// A frame as the plugin's rooms see it.
pub fn view(data: &mut [u8], width: usize, height: usize) -> View<'_> {
    let none = || Plane {
        data: &mut [],
        stride: 0,
    };
    View {
        format: Format::Bgr,
        width,
        height,
        colour: Colour::default(),
        planes: [
            Plane {
                data,
                stride: width * BGR,
            },
            none(),
            none(),
        ],
    }
}

type Decoded = (usize, usize, Vec<Vec<u8>>);

/// Windows on the picture that wander to and fro.
fn pan(picture: &Path, width: usize, height: usize) -> Result<Decoded> {
    let wide = WIDTH + 2 * PAN;
    let high = (height * wide).div_ceil(width).max(HEIGHT);
    let (_, _, mut whole) = decode(picture, wide, high, 1)?;
    let whole = whole.pop().context("a picture has a frame")?;
    // Faces in portraits lie in the upper half.
    let top = (high - HEIGHT) / 4;
    let frames = (0..FRAMES)
        .map(|index| {
            let phase = TAU * index as f64 / FRAMES as f64;
            let left = (PAN as f64 * (1.0 + phase.sin())).round() as usize;
            let rows = whole.chunks_exact(wide * BGR).skip(top).take(HEIGHT);
            rows.flat_map(|row| &row[left * BGR..(left + WIDTH) * BGR])
                .copied()
                .collect()
        })
        .collect();
    Ok((WIDTH, HEIGHT, frames))
}

/// At most `count` frames as BGR without padding.
fn decode(path: &Path, width: usize, height: usize, count: usize) -> Result<Decoded> {
    let pipeline = media::parse_pipeline(&format!(
        "filesrc name=file ! decodebin ! videoconvert ! videoscale add-borders=false \
         ! video/x-raw,format=BGR,width={width},height={height},pixel-aspect-ratio=1/1 \
         ! appsink name=sink sync=false max-buffers=2"
    ))?;
    media::element(&pipeline, "file")?.set_property("location", path);
    let sink = media::app_sink(&pipeline, "sink")?;
    pipeline.set_state(gst::State::Playing)?;
    let mut frames = Vec::new();
    while frames.len() < count {
        let Some(sample) = media::next_sample(&pipeline, &sink) else {
            break;
        };
        frames.push(packed(&sample?)?);
    }
    pipeline.set_state(gst::State::Null)?;
    if frames.is_empty() {
        bail!("no picture in {}", path.display());
    }
    Ok((width, height, frames))
}

fn packed(sample: &gst::Sample) -> Result<Vec<u8>> {
    let info = gst_video::VideoInfo::from_caps(sample.caps().context("sample without caps")?)?;
    let buffer = sample.buffer().context("sample without a buffer")?;
    let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info)
        .context("cannot map a frame")?;
    let stride = usize::try_from(frame.plane_stride()[0])?;
    let row = frame.width() as usize * BGR;
    let rows = frame.plane_data(0)?.chunks(stride);
    Ok(rows
        .take(frame.height() as usize)
        .flat_map(|line| &line[..row])
        .copied()
        .collect())
}

/// A mono WAVE file of 16 bits.
fn wave(samples: &[f32]) -> Vec<u8> {
    let length = 2 * samples.len() as u32;
    let mut bytes = Vec::from(*b"RIFF");
    bytes.extend((36 + length).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    bytes.extend(SOUND_RATE.to_le_bytes());
    bytes.extend((2 * SOUND_RATE).to_le_bytes());
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
    fn sound_goes_round() {
        let material = Material {
            frames: vec![vec![1], vec![2]],
            sound: vec![0, 1, 2, 3],
        };
        assert_eq!(material.sound(6, 5), [2, 3, 0, 1, 2]);
        assert_eq!(material.frame(3), [2]);
    }

    #[test]
    fn a_wave_file_holds_its_samples_behind_the_header() {
        let bytes = wave(&[0.0, 1.0, -1.0]);
        assert_eq!(bytes.len(), WAVE_HEADER + 6);
        assert_eq!(bytes[WAVE_HEADER + 2..], [0xff, 0x7f, 0x01, 0x80]);
        assert_eq!(bytes[4..8], 42_u32.to_le_bytes());
    }
}
