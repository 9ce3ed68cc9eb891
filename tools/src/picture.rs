//! One decoded frame, kept as GStreamer's buffer so that it can go into a pipeline again.

use anyhow::{Context, Result, anyhow, bail};
use gst_lipsync::media::running_time;
use gst_video::prelude::*;
use lipsync_core::{
    pixels::{
        Affine, Colour, Format, Plane, Rows, View,
        frame::colour::{Matrix, Range},
        read::sample,
    },
    rect::Rect,
};

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
            time: running_time(sample),
            buffer,
            info,
        })
    }

    /// When it is seen, in seconds.
    pub fn seconds(&self) -> f64 {
        self.time.nseconds() as f64 / 1e9
    }

    /// The same moment with other pixels, of the same size.
    pub fn with_planes(&self, planes: &Planes) -> Result<Self> {
        let buffer = gst::Buffer::with_size(self.info.size())?;
        let mut frame = gst_video::VideoFrame::from_buffer_writable(buffer, &self.info)
            .map_err(|_| anyhow!("cannot map a frame"))?;
        for (index, (plane, width)) in (0..).zip(planes.planes.iter().zip(planes.widths)) {
            let stride = frame.comp_stride(index) as usize;
            let rows = frame.plane_data_mut(index)?.chunks_mut(stride);
            for (row, new) in rows.zip(plane.chunks(width)) {
                row[..width].copy_from_slice(new);
            }
        }
        Ok(Self {
            buffer: frame.into_buffer(),
            ..self.clone()
        })
    }

    /// A still picture as video: seen whenever the others are.
    pub fn held(&self, others: &[Self]) -> Result<Vec<Self>> {
        let rate = others.first().context("no frames")?.info.fps();
        let (width, height) = (self.info.width(), self.info.height());
        let info = gst_video::VideoInfo::builder(self.info.format(), width, height)
            .colorimetry(&self.info.colorimetry())
            .fps(rate)
            .build()?;
        let held = |other: &Self| Self {
            buffer: self.buffer.clone(),
            info: info.clone(),
            time: other.time,
        };
        Ok(others.iter().map(held).collect())
    }

    /// The frame so many times as wide and high.
    pub fn enlarged(&self, times: usize) -> Result<Self> {
        let size = [self.width(), self.height()].map(|length| (length * times) as u32);
        let info = gst_video::VideoInfo::builder(self.info.format(), size[0], size[1])
            .colorimetry(&self.info.colorimetry())
            .fps(self.info.fps())
            .build()?;
        let blank = Self {
            buffer: gst::Buffer::with_size(info.size())?,
            info,
            time: self.time,
        };
        let (small, mut large) = (self.planes()?, blank.planes()?);
        for (index, plane) in large.planes.iter_mut().enumerate() {
            let (source, width) = (&small.planes[index], large.widths[index]);
            for (at, pixel) in plane.iter_mut().enumerate() {
                let place =
                    [at % width, at / width].map(|at| (at as f32 + 0.5) / times as f32 - 0.5);
                *pixel = between(source, small.widths[index], place);
            }
        }
        blank.with_planes(&large)
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
        for (component, (plane, width)) in (0..).zip(planes.iter_mut().zip(&mut widths)) {
            *width = frame.comp_width(component) as usize;
            let rows = frame
                .comp_data(component)?
                .chunks(frame.comp_stride(component) as usize);
            for row in rows.take(frame.comp_height(component) as usize) {
                plane.extend_from_slice(&row[..*width]);
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

    /// The frame bent: `place` says for each pixel where in this frame its colour lies. What lies
    /// outside repeats the edge.
    pub fn warped(&self, place: impl Fn([f32; 2]) -> [f32; 2]) -> Self {
        let mut bent = self.clone();
        for (index, plane) in bent.planes.iter_mut().enumerate() {
            let (source, width) = (&self.planes[index], self.widths[index]);
            // Pixels of colour lie in the middle of four of brightness.
            let step = if index == 0 { 1.0 } else { 2.0 };
            let middle = (step - 1.0) / 2.0;
            for (at, pixel) in plane.iter_mut().enumerate() {
                let here = [at % width, at / width].map(|value| value as f32 * step + middle);
                let there = place(here).map(|value| (value - middle) / step);
                *pixel = between(source, width, there);
            }
        }
        bent
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
            rows: Rows::All,
            planes: [(y, luma), (u, chroma), (v, chroma)]
                .map(|(data, stride)| Plane { data, stride }),
        }
    }

    /// Red, green and blue of a square of `size` x `size`, 0..255, row by row; `to_frame` says where its
    /// pixels lie in the frame.
    pub fn sampled(&mut self, to_frame: &Affine, size: usize) -> [Vec<f32>; 3] {
        let mut rgb = [(); 3].map(|()| vec![0.0; size * size]);
        let planes = rgb.each_mut().map(Vec::as_mut_slice);
        sample(&self.view(), to_frame, size, 255.0, 0.0, planes);
        rgb
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
        let rgb = self.sampled(&to_frame, size);
        image::RgbImage::from_fn(size as u32, size as u32, |x, y| {
            let at = y as usize * size + x as usize;
            image::Rgb([0, 1, 2].map(|plane: usize| rgb[plane][at].round() as u8))
        })
    }
}

/// A frame of one plane without padding, of a format with three components a pixel.
pub fn packed_view(format: Format, data: &mut [u8], width: usize, height: usize) -> View<'_> {
    const RGB: usize = 3;
    let plane = |data, stride| Plane { data, stride };
    View {
        format,
        width,
        height,
        colour: Colour::default(),
        rows: Rows::All,
        planes: [
            plane(data, width * RGB),
            plane(&mut [], 0),
            plane(&mut [], 0),
        ],
    }
}

/// What a plane shows between its pixels.
fn between(plane: &[u8], width: usize, [x, y]: [f32; 2]) -> u8 {
    let split = |value: f32, length: usize| {
        let value = value.clamp(0.0, (length - 1) as f32);
        let first = value as usize;
        (first, (first + 1).min(length - 1), value.fract())
    };
    let (left, right, across) = split(x, width);
    let (top, bottom, down) = split(y, plane.len() / width);
    let row = |row: usize| {
        let at = |column: usize| f32::from(plane[row * width + column]);
        at(left) * (1.0 - across) + at(right) * across
    };
    (row(top) * (1.0 - down) + row(bottom) * down).round() as u8
}

/// A square of frame pixels; `left` and `top` are edges, not centres of pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Square {
    pub left: f32,
    pub top: f32,
    pub side: f32,
}

impl Square {
    /// In the middle of a rectangle, `margin` times its larger side.
    pub fn around(rect: Rect, margin: f32) -> Self {
        let side = rect.side() * margin;
        Self {
            left: (rect.x0 + rect.x1 - side) / 2.0,
            top: (rect.y0 + rect.y1 - side) / 2.0,
            side,
        }
    }
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
    Colour {
        matrix,
        range,
        ..Colour::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A slope in brightness, another in each colour.
    fn slope() -> Picture {
        gst::init().unwrap();
        let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::I420, 38, 24)
            .fps(gst::Fraction::new(25, 1))
            .build()
            .unwrap();
        let blank = Picture {
            buffer: gst::Buffer::with_size(info.size()).unwrap(),
            info,
            time: gst::ClockTime::SECOND,
        };
        let mut planes = blank.planes().unwrap();
        for (index, plane) in planes.planes.iter_mut().enumerate() {
            for (at, pixel) in plane.iter_mut().enumerate() {
                *pixel = (4 * (at % planes.widths[index]) + 10 * index) as u8;
            }
        }
        blank.with_planes(&planes).unwrap()
    }

    #[test]
    fn pixels_written_are_read_again() {
        let picture = slope();
        let planes = picture.planes().unwrap();
        assert!(planes.warped(|at| at) == planes);
        assert_eq!(planes.luma(9, 5), 36.0);
        assert_eq!(picture.seconds(), 1.0);
        let held = picture.held(&[slope(), slope()]).unwrap();
        assert!(held.len() == 2 && held[1].planes().unwrap() == planes);
    }

    #[test]
    fn an_enlarged_frame_shows_the_same() {
        let planes = slope().planes().unwrap();
        let large = slope().enlarged(3).unwrap();
        assert_eq!([large.width(), large.height()], [114, 72]);
        let large = large.planes().unwrap();
        assert_eq!(large.luma(3 * 9 + 1, 3 * 5 + 1), planes.luma(9, 5));
        assert_eq!(large.planes[1].len(), 9 * planes.planes[1].len());
    }

    #[test]
    fn brightness_and_colour_move_together_and_edges_repeat() {
        let planes = slope().planes().unwrap();
        let moved = planes.warped(|[x, y]| [x + 3.0, y - 7.0]);
        assert_eq!(moved.luma(5, 2), planes.luma(8, 2));
        assert_eq!(moved.luma(37, 2), planes.luma(37, 2));
        // 3 pixels are one and a half of colour, whose slope is 4 a pixel.
        assert_eq!(moved.planes[1][4], planes.planes[1][4] + 6);
    }
}
