//! Frames in every format, with memory of their own and arithmetic that owes nothing to the crate.

use lipsync_core::pixels::{
    Affine, Colour, Format, Plane, View,
    frame::colour::{Matrix, Range},
    read::sample,
};

pub const FORMATS: [Format; 17] = [
    Format::I420,
    Format::Yv12,
    Format::Nv12,
    Format::Nv21,
    Format::Y42b,
    Format::Y444,
    Format::Rgb,
    Format::Bgr,
    Format::Rgba,
    Format::Bgra,
    Format::Argb,
    Format::Abgr,
    Format::Rgbx,
    Format::Bgrx,
    Format::Xrgb,
    Format::Xbgr,
    Format::Gray8,
];

pub const COLOURS: [Colour; 6] = {
    const fn colour(matrix: Matrix, range: Range) -> Colour {
        Colour { matrix, range }
    }
    [
        colour(Matrix::Bt601, Range::Limited),
        colour(Matrix::Bt601, Range::Full),
        colour(Matrix::Bt709, Range::Limited),
        colour(Matrix::Bt709, Range::Full),
        colour(Matrix::Bt2020, Range::Limited),
        colour(Matrix::Bt2020, Range::Full),
    ]
};

/// One component, as GStreamer documents the format: plane, first byte, bytes a sample, and
/// frame pixels a sample across and down.
#[derive(Clone, Copy)]
pub struct Part {
    pub plane: usize,
    pub offset: usize,
    pub step: usize,
    pub cover: [usize; 2],
}

pub fn parts(format: Format) -> Vec<Part> {
    let part = |plane, offset, step, cover| Part {
        plane,
        offset,
        step,
        cover,
    };
    let yuv = |cb: (usize, usize), cr: (usize, usize), step, cover| {
        vec![
            part(0, 0, 1, [1, 1]),
            part(cb.0, cb.1, step, cover),
            part(cr.0, cr.1, step, cover),
        ]
    };
    let rgb =
        |step, offsets: [usize; 3]| offsets.map(|offset| part(0, offset, step, [1, 1])).to_vec();
    match format {
        Format::I420 => yuv((1, 0), (2, 0), 1, [2, 2]),
        Format::Yv12 => yuv((2, 0), (1, 0), 1, [2, 2]),
        Format::Nv12 => yuv((1, 0), (1, 1), 2, [2, 2]),
        Format::Nv21 => yuv((1, 1), (1, 0), 2, [2, 2]),
        Format::Y42b => yuv((1, 0), (2, 0), 1, [2, 1]),
        Format::Y444 => yuv((1, 0), (2, 0), 1, [1, 1]),
        Format::Rgb => rgb(3, [0, 1, 2]),
        Format::Bgr => rgb(3, [2, 1, 0]),
        Format::Rgba | Format::Rgbx => rgb(4, [0, 1, 2]),
        Format::Bgra | Format::Bgrx => rgb(4, [2, 1, 0]),
        Format::Argb | Format::Xrgb => rgb(4, [1, 2, 3]),
        Format::Abgr | Format::Xbgr => rgb(4, [3, 2, 1]),
        Format::Gray8 => vec![part(0, 0, 1, [1, 1])],
    }
}

fn is_rgb(format: Format) -> bool {
    parts(format).len() == 3 && parts(format)[0].step >= 3
}

/// RGB 0..1 to stored values, from the definitions of the recommendations.
pub fn stored(format: Format, colour: Colour, [r, g, b]: [f64; 3]) -> [f64; 3] {
    if is_rgb(format) {
        return [r * 255.0, g * 255.0, b * 255.0];
    }
    let (kr, kb) = match colour.matrix {
        Matrix::Bt601 => (0.299, 0.114),
        Matrix::Bt709 => (0.2126, 0.0722),
        Matrix::Bt2020 => (0.2627, 0.0593),
    };
    let y = kr * r + (1.0 - kr - kb) * g + kb * b;
    let cb = (b - y) / (2.0 * (1.0 - kb));
    let cr = (r - y) / (2.0 * (1.0 - kr));
    match colour.range {
        Range::Limited => [16.0 + 219.0 * y, 128.0 + 224.0 * cb, 128.0 + 224.0 * cr],
        Range::Full => [255.0 * y, 128.0 + 255.0 * cb, 128.0 + 255.0 * cr],
    }
}

/// A frame with memory of its own.
#[derive(Clone)]
pub struct Frame {
    pub format: Format,
    pub width: usize,
    pub height: usize,
    pub colour: Colour,
    pub planes: [Vec<u8>; 3],
    pub strides: [usize; 3],
}

impl Frame {
    /// Noise in every byte, padding included; `padding` bytes a row, none after the last.
    pub fn noise(format: Format, [width, height]: [usize; 2], padding: usize, seed: u32) -> Self {
        let mut frame = Self {
            format,
            width,
            height,
            colour: Colour::default(),
            planes: Default::default(),
            strides: [0; 3],
        };
        let mut random = fastrand::Rng::with_seed(seed.into());
        for part in parts(format) {
            let [columns, rows] = frame.size(part);
            let row = columns * part.step;
            let stride = row + padding;
            frame.strides[part.plane] = stride;
            frame.planes[part.plane] = (0..stride * (rows - 1) + row)
                .map(|_| random.u8(..))
                .collect();
        }
        frame
    }

    /// The picture `rgb(x, y)`; subsampled components show it at their centres.
    pub fn painted(
        format: Format,
        size: [usize; 2],
        colour: Colour,
        rgb: impl Fn(f64, f64) -> [f64; 3],
    ) -> Self {
        let mut frame = Self::noise(format, size, 5, 1);
        frame.colour = colour;
        for (index, part) in parts(format).into_iter().enumerate() {
            let [columns, rows] = frame.size(part);
            for (x, y) in (0..rows).flat_map(|y| (0..columns).map(move |x| (x, y))) {
                let [px, py] = frame.centre(part, x, y);
                let value = stored(format, colour, rgb(px, py))[index];
                let at = frame.byte(part, x, y);
                frame.planes[part.plane][at] = value.round().clamp(0.0, 255.0) as u8;
            }
        }
        frame
    }

    pub fn view(&mut self) -> View<'_> {
        let [first, second, third] = &mut self.planes;
        let plane = |data, stride| Plane { data, stride };
        View {
            format: self.format,
            width: self.width,
            height: self.height,
            colour: self.colour,
            planes: [
                plane(first, self.strides[0]),
                plane(second, self.strides[1]),
                plane(third, self.strides[2]),
            ],
        }
    }

    pub fn size(&self, part: Part) -> [usize; 2] {
        [
            self.width.div_ceil(part.cover[0]),
            self.height.div_ceil(part.cover[1]),
        ]
    }

    pub fn byte(&self, part: Part, x: usize, y: usize) -> usize {
        y * self.strides[part.plane] + x * part.step + part.offset
    }

    pub fn get(&self, part: Part, x: i64, y: i64) -> f64 {
        let [columns, rows] = self.size(part);
        let x = x.clamp(0, columns as i64 - 1) as usize;
        let y = y.clamp(0, rows as i64 - 1) as usize;
        f64::from(self.planes[part.plane][self.byte(part, x, y)])
    }

    /// Frame coordinates of a sample's centre.
    pub fn centre(&self, part: Part, x: usize, y: usize) -> [f64; 2] {
        let centre = |at: usize, cover: usize| (at * cover) as f64 + (cover - 1) as f64 / 2.0;
        [centre(x, part.cover[0]), centre(y, part.cover[1])]
    }

    pub fn sample(&mut self, to_frame: &Affine, size: usize) -> [Vec<f32>; 3] {
        let mut out = [0; 3].map(|_| vec![f32::NAN; size * size]);
        let [r, g, b] = &mut out;
        sample(&self.view(), to_frame, size, 1.0, 0.0, [r, g, b]);
        out
    }
}

fn turned(scale: f32, degrees: f32, [tx, ty]: [f32; 2]) -> Affine {
    let (sin, cos) = degrees.to_radians().sin_cos();
    Affine {
        a: scale * cos,
        b: -scale * sin,
        c: scale * sin,
        d: scale * cos,
        tx,
        ty,
    }
}

/// A map whose patch of `size` has its centre at `centre`.
pub fn around(scale: f32, degrees: f32, size: usize, centre: [f32; 2]) -> Affine {
    let map = turned(scale, degrees, [0.0; 2]);
    let middle = (size as f32 - 1.0) / 2.0;
    let [x, y] = map.apply([middle; 2]);
    turned(scale, degrees, [centre[0] - x, centre[1] - y])
}

/// One at the centre, falling smoothly to zero before the edge.
pub fn round_mask(size: usize) -> Vec<f32> {
    let middle = (size as f32 - 1.0) / 2.0;
    (0..size * size)
        .map(|index| {
            let (x, y) = (
                (index % size) as f32 - middle,
                (index / size) as f32 - middle,
            );
            (1.6 - 1.8 * x.hypot(y) / (middle + 0.5)).clamp(0.0, 1.0)
        })
        .collect()
}

pub fn gradient(x: f64, y: f64) -> [f64; 3] {
    [
        0.5 + 0.004 * x - 0.002 * y,
        0.4 + 0.003 * x + 0.003 * y,
        0.6 - 0.002 * x + 0.004 * y,
    ]
}
