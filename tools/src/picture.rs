//! One decoded frame, kept as GStreamer's buffer so that it can go into a pipeline again.

use anyhow::{Context, Result, bail};
use gst_video::prelude::*;
use gstlipsync::pixels::{
    Affine, Colour, Format, Plane, View,
    colour::{Matrix, Range},
    sample,
};

use crate::media::running_time;

/// An I420 frame and when it is seen.
#[derive(Clone)]
pub struct Picture {
    pub buffer: gst::Buffer,
    pub info: gst_video::VideoInfo,
    pub time: gst::ClockTime,
}

impl Picture {
    pub fn from_sample(sample: &gst::Sample) -> Result<Self> {
        let buffer = sample.buffer_owned().context("sample without a buffer")?;
        let caps = sample.caps().context("sample without caps")?;
        let info = gst_video::VideoInfo::from_caps(caps)?;
        if info.format() != gst_video::VideoFormat::I420 {
            bail!("frames must be I420, not {}", info.format());
        }
        Ok(Self {
            time: running_time(sample)?,
            buffer,
            info,
        })
    }

    pub fn width(&self) -> usize {
        self.info.width() as usize
    }

    pub fn height(&self) -> usize {
        self.info.height() as usize
    }

    /// Its three planes, without the padding between rows.
    pub fn planes(&self) -> Result<Planes> {
        let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(&self.buffer, &self.info)
            .context("cannot map a frame")?;
        let mut planes = [const { Vec::new() }; 3];
        let mut widths = [0; 3];
        for (index, plane) in planes.iter_mut().enumerate() {
            let component = index as u8;
            let (width, height) = (
                frame.comp_width(component.into()) as usize,
                frame.comp_height(component.into()) as usize,
            );
            let stride = frame.comp_stride(component.into()) as usize;
            let data = frame.comp_data(component.into())?;
            widths[index] = width;
            for row in data.chunks(stride).take(height) {
                plane.extend_from_slice(&row[..width]);
            }
        }
        Ok(Planes {
            width: self.width(),
            height: self.height(),
            colour: colour_of(&self.info),
            widths,
            planes,
        })
    }
}

/// The pixels of a frame.
#[derive(Clone, PartialEq)]
pub struct Planes {
    pub width: usize,
    pub height: usize,
    colour: Colour,
    widths: [usize; 3],
    planes: [Vec<u8>; 3],
}

impl Planes {
    /// The brightness of a pixel.
    pub fn luma(&self, x: usize, y: usize) -> f64 {
        f64::from(self.planes[0][y * self.width + x])
    }

    /// Whether the pixel is the same in brightness and colour.
    pub fn same_at(&self, other: &Self, x: usize, y: usize) -> bool {
        let chroma = (y / 2) * self.widths[1] + x / 2;
        self.luma(x, y) == other.luma(x, y)
            && (1..3).all(|plane| self.planes[plane][chroma] == other.planes[plane][chroma])
    }

    /// The frame as the plugin's rooms see it.
    pub fn view(&mut self) -> View<'_> {
        let [y, u, v] = &mut self.planes;
        let [luma, chroma, _] = self.widths;
        View {
            format: Format::I420,
            width: self.width,
            height: self.height,
            colour: self.colour,
            planes: [
                Plane {
                    data: y,
                    stride: luma,
                },
                Plane {
                    data: u,
                    stride: chroma,
                },
                Plane {
                    data: v,
                    stride: chroma,
                },
            ],
        }
    }

    /// A square region as an RGB picture of `size` x `size`; what lies outside repeats the edge.
    pub fn crop(&mut self, region: &Square, size: usize) -> image::RgbImage {
        let step = region.side / size as f32;
        let to_frame = Affine {
            a: step,
            b: 0.0,
            c: 0.0,
            d: step,
            tx: region.left + 0.5 * step - 0.5,
            ty: region.top + 0.5 * step - 0.5,
        };
        let mut rgb = [(); 3].map(|()| vec![0.0_f32; size * size]);
        let [red, green, blue] = &mut rgb;
        sample(
            &self.view(),
            &to_frame,
            size,
            255.0,
            0.0,
            [red, green, blue],
        );
        image::RgbImage::from_fn(size as u32, size as u32, |x, y| {
            let at = y as usize * size + x as usize;
            image::Rgb([0, 1, 2].map(|plane: usize| rgb[plane][at].round() as u8))
        })
    }
}

/// A square of frame pixels; `left` and `top` are edges, not centres of pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Square {
    pub left: f32,
    pub top: f32,
    pub side: f32,
}

fn colour_of(info: &gst_video::VideoInfo) -> Colour {
    let colorimetry = info.colorimetry();
    let matrix = match colorimetry.matrix() {
        gst_video::VideoColorMatrix::Bt709 => Matrix::Bt709,
        gst_video::VideoColorMatrix::Bt2020 => Matrix::Bt2020,
        _ => Matrix::Bt601,
    };
    let range = match colorimetry.range() {
        gst_video::VideoColorRange::Range0_255 => Range::Full,
        _ => Range::Limited,
    };
    Colour { matrix, range }
}
