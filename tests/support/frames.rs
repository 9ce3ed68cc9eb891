//! Frames in every format, with memory of their own and arithmetic that owes nothing to the crate.

use lipsync_core::pixels::{
    Affine, Colour, Format, Plane, Rows, View,
    frame::{
        Transfer,
        colour::{Matrix, Range, Siting},
    },
    read::sample,
};

pub const FORMATS: [Format; 46] = [
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
    Format::Uyvy,
    Format::Yuy2,
    Format::Yvyu,
    Format::Vyuy,
    Format::Nv16,
    Format::Nv61,
    Format::Nv24,
    Format::Y41b,
    Format::A420,
    Format::Av12,
    Format::I42010le,
    Format::I42210le,
    Format::Y44410le,
    Format::I42012le,
    Format::I42212le,
    Format::Y44412le,
    Format::P01010le,
    Format::P012Le,
    Format::P016Le,
    Format::V210,
    Format::Y210,
    Format::Y212Le,
    Format::Rgb10a2Le,
    Format::Bgr10a2Le,
    Format::Argb64Le,
    Format::Rgba64Le,
    Format::Bgra64Le,
    Format::Abgr64Le,
    Format::Gray16Le,
];

pub const COLOURS: [Colour; 6] = {
    const fn colour(matrix: Matrix, range: Range, on_first: [bool; 2]) -> Colour {
        Colour {
            matrix,
            range,
            transfer: Transfer::Sdr,
            siting: Siting { on_first },
        }
    }
    [
        colour(Matrix::Bt601, Range::Limited, [false, false]),
        colour(Matrix::Bt601, Range::Full, [false, false]),
        colour(Matrix::Bt709, Range::Limited, [true, false]),
        colour(Matrix::Bt709, Range::Full, [false, false]),
        colour(Matrix::Bt2020, Range::Limited, [true, true]),
        colour(Matrix::Bt2020, Range::Full, [false, true]),
    ]
};

/// One component, as GStreamer documents the format: plane, where its samples lie in a row, and
/// frame pixels a sample across and down.
#[derive(Clone, Copy)]
pub struct Part {
    pub plane: usize,
    pub place: Place,
    pub cover: [usize; 2],
}

/// Where the samples of a component lie in a row.
#[derive(Clone, Copy)]
pub enum Place {
    /// The first byte, and how far the next is.
    Bytes(usize, usize),
    /// The same of words, in bytes; how wide numbers are, and how far above the lowest bit.
    Words([usize; 2], u32, u32),
    /// The lowest bit in a pixel of 32.
    Tens(u32),
    /// Word of a group of four, and lowest bit, of the samples of one component in it.
    V210(&'static [(usize, u32)]),
}

/// Six pixels in four words.
const V210_Y: Place = Place::V210(&[(0, 10), (1, 0), (1, 20), (2, 10), (3, 0), (3, 20)]);
const V210_CB: Place = Place::V210(&[(0, 0), (1, 10), (2, 20)]);
const V210_CR: Place = Place::V210(&[(0, 20), (2, 0), (3, 10)]);

/// A number in a row: `bytes` of them from `first` on, of which it is `width` bits from `shift` on.
struct Bits {
    first: usize,
    bytes: usize,
    shift: u32,
    width: u32,
}

impl Part {
    fn bits(self, x: usize) -> Bits {
        let bits = |first, bytes, shift, width| Bits {
            first,
            bytes,
            shift,
            width,
        };
        match self.place {
            Place::Bytes(offset, step) => bits(offset + x * step, 1, 0, 8),
            Place::Words([offset, step], width, shift) => bits(offset + x * step, 2, shift, width),
            Place::Tens(shift) => bits(4 * x, 4, shift, 10),
            Place::V210(group) => {
                let (word, shift) = group[x % group.len()];
                bits(16 * (x / group.len()) + 4 * word, 4, shift, 10)
            }
        }
    }

    /// The greatest number.
    pub fn most(self) -> f64 {
        f64::from((1u32 << self.bits(0).width) - 1)
    }

    /// What a step of eight bits is in those of this component.
    pub fn step(self) -> f64 {
        f64::from(1u32 << (self.bits(0).width - 8))
    }
}

pub fn parts(format: Format) -> Vec<Part> {
    let part = |plane, place, cover| Part {
        plane,
        place,
        cover,
    };
    let three = |luma, chroma: [(usize, Place); 2], cover| {
        vec![
            part(0, luma, [1, 1]),
            part(chroma[0].0, chroma[0].1, cover),
            part(chroma[1].0, chroma[1].1, cover),
        ]
    };
    let byte = Place::Bytes;
    let planar = |cb, cr, cover| three(byte(0, 1), [(cb, byte(0, 1)), (cr, byte(0, 1))], cover);
    let semi = |cb, cr, cover| three(byte(0, 1), [(1, byte(cb, 2)), (1, byte(cr, 2))], cover);
    let packed = |y, cb, cr| three(byte(y, 2), [(0, byte(cb, 4)), (0, byte(cr, 4))], [2, 1]);
    let word = |offset, step, width, shift| Place::Words([offset, step], width, shift);
    let low = |width, cover| {
        let place = word(0, 2, width, 0);
        three(place, [(1, place), (2, place)], cover)
    };
    let high = |width| {
        let place = |offset, step| word(offset, step, width, 16 - width);
        three(place(0, 2), [(1, place(0, 4)), (1, place(2, 4))], [2, 2])
    };
    let packed_high = |width| {
        let place = |offset, step| word(offset, step, width, 16 - width);
        three(place(0, 4), [(0, place(2, 8)), (0, place(6, 8))], [2, 1])
    };
    let rgb = |step, offsets: [usize; 3]| {
        let place = |offset| part(0, byte(offset, step), [1, 1]);
        offsets.map(place).to_vec()
    };
    let rgb64 = |offsets: [usize; 3]| {
        let place = |offset| part(0, word(offset, 8, 16, 0), [1, 1]);
        offsets.map(place).to_vec()
    };
    let tens = |shifts: [u32; 3]| {
        shifts
            .map(|shift| part(0, Place::Tens(shift), [1, 1]))
            .to_vec()
    };
    match format {
        Format::I420 | Format::A420 => planar(1, 2, [2, 2]),
        Format::Yv12 => planar(2, 1, [2, 2]),
        Format::Nv12 | Format::Av12 => semi(0, 1, [2, 2]),
        Format::Nv21 => semi(1, 0, [2, 2]),
        Format::Y42b => planar(1, 2, [2, 1]),
        Format::Y444 => planar(1, 2, [1, 1]),
        Format::Rgb => rgb(3, [0, 1, 2]),
        Format::Bgr => rgb(3, [2, 1, 0]),
        Format::Rgba | Format::Rgbx => rgb(4, [0, 1, 2]),
        Format::Bgra | Format::Bgrx => rgb(4, [2, 1, 0]),
        Format::Argb | Format::Xrgb => rgb(4, [1, 2, 3]),
        Format::Abgr | Format::Xbgr => rgb(4, [3, 2, 1]),
        Format::Gray8 => vec![part(0, byte(0, 1), [1, 1])],
        Format::Uyvy => packed(1, 0, 2),
        Format::Yuy2 => packed(0, 1, 3),
        Format::Yvyu => packed(0, 3, 1),
        Format::Vyuy => packed(1, 2, 0),
        Format::Nv16 => semi(0, 1, [2, 1]),
        Format::Nv61 => semi(1, 0, [2, 1]),
        Format::Nv24 => semi(0, 1, [1, 1]),
        Format::Y41b => planar(1, 2, [4, 1]),
        Format::I42010le => low(10, [2, 2]),
        Format::I42210le => low(10, [2, 1]),
        Format::Y44410le => low(10, [1, 1]),
        Format::I42012le => low(12, [2, 2]),
        Format::I42212le => low(12, [2, 1]),
        Format::Y44412le => low(12, [1, 1]),
        Format::P01010le => high(10),
        Format::P012Le => high(12),
        Format::P016Le => high(16),
        Format::V210 => three(V210_Y, [(0, V210_CB), (0, V210_CR)], [2, 1]),
        Format::Y210 => packed_high(10),
        Format::Y212Le => packed_high(12),
        Format::Rgb10a2Le => tens([0, 10, 20]),
        Format::Bgr10a2Le => tens([20, 10, 0]),
        Format::Argb64Le => rgb64([2, 4, 6]),
        Format::Rgba64Le => rgb64([0, 2, 4]),
        Format::Bgra64Le => rgb64([4, 2, 0]),
        Format::Abgr64Le => rgb64([6, 4, 2]),
        Format::Gray16Le => vec![part(0, word(0, 2, 16, 0), [1, 1])],
    }
}

pub fn is_grey(format: Format) -> bool {
    parts(format).len() == 1
}

fn is_rgb(format: Format) -> bool {
    use Format::*;
    matches!(
        format,
        Rgb | Bgr
            | Rgba
            | Bgra
            | Argb
            | Abgr
            | Rgbx
            | Bgrx
            | Xrgb
            | Xbgr
            | Rgb10a2Le
            | Bgr10a2Le
            | Argb64Le
            | Rgba64Le
            | Bgra64Le
            | Abgr64Le
    )
}

/// RGB 0..1 to stored values, from the definitions of the recommendations.
pub fn stored(format: Format, colour: Colour, [r, g, b]: [f64; 3]) -> [f64; 3] {
    let part = parts(format)[0];
    let (most, step) = (part.most(), part.step());
    if is_rgb(format) {
        return [r * most, g * most, b * most];
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
        Range::Limited => {
            [16.0 + 219.0 * y, 128.0 + 224.0 * cb, 128.0 + 224.0 * cr].map(|value| value * step)
        }
        Range::Full => {
            let zero = 128.0 * step;
            [most * y, zero + most * cb, zero + most * cr]
        }
    }
}

/// A frame with memory of its own, or one field of it.
#[derive(Clone)]
pub struct Frame {
    pub format: Format,
    pub width: usize,
    pub height: usize,
    pub colour: Colour,
    /// Which rows are looked at: all at first.
    pub rows: Rows,
    pub planes: [Vec<u8>; 3],
    pub strides: [usize; 3],
}

impl Frame {
    /// Noise in every bit that may be one, padding included; `padding` bytes a row, none after the
    /// last.
    pub fn noise(format: Format, size: [usize; 2], padding: usize, seed: u32) -> Self {
        Self::noise_in(Rows::All, format, size, padding, seed)
    }

    /// The same with memory for both fields where `rows` are but one: those have as many rows of
    /// chroma each.
    pub fn noise_in(
        rows: Rows,
        format: Format,
        [width, height]: [usize; 2],
        padding: usize,
        seed: u32,
    ) -> Self {
        let mut frame = Self {
            format,
            width,
            height,
            colour: Colour::default(),
            rows,
            planes: Default::default(),
            strides: [0; 3],
        };
        let mut random = fastrand::Rng::with_seed(seed.into());
        let mut lengths = [0; 3];
        for part in parts(format) {
            let bits = part.bits(frame.size(part)[0] - 1);
            let length = &mut lengths[part.plane];
            *length = (bits.first + bits.bytes).max(*length);
        }
        for part in parts(format) {
            let row = lengths[part.plane];
            let stride = row + padding;
            frame.strides[part.plane] = stride;
            let rows = match rows {
                Rows::All => height.div_ceil(part.cover[1]),
                Rows::Top | Rows::Bottom => 2 * height.div_ceil(2 * part.cover[1]),
            };
            frame.planes[part.plane] = (0..stride * (rows - 1) + row)
                .map(|_| random.u8(..))
                .collect();
        }
        for part in parts(format) {
            // Above the number there is nothing.
            if let Place::Words(_, width, 0) = part.place {
                let stride = frame.strides[part.plane];
                for row in frame.planes[part.plane].chunks_mut(stride) {
                    for byte in row.iter_mut().skip(1).step_by(2) {
                        *byte &= ((1u32 << (width - 8)) - 1) as u8;
                    }
                }
            }
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
        let mut frame = Self::noise(format, size, 6, 1);
        frame.colour = colour;
        for (index, part) in parts(format).into_iter().enumerate() {
            let [columns, rows] = frame.size(part);
            for (x, y) in (0..rows).flat_map(|y| (0..columns).map(move |x| (x, y))) {
                let [px, py] = frame.centre(part, x, y);
                let value = stored(format, colour, rgb(px, py))[index];
                frame.set(part, x, y, value.round().clamp(0.0, part.most()) as u32);
            }
        }
        frame
    }

    pub fn view(&mut self) -> View<'_> {
        let [first, second, third] = &mut self.planes;
        let mut planes = [first, second, third].map(|data| Plane { data, stride: 0 });
        for (plane, stride) in planes.iter_mut().zip(self.strides) {
            plane.stride = stride;
        }
        if self.rows != Rows::All {
            for plane in &mut planes {
                let data = std::mem::take(&mut plane.data);
                let start = match self.rows {
                    Rows::Bottom => plane.stride.min(data.len()),
                    _ => 0,
                };
                plane.data = &mut data[start..];
                plane.stride *= 2;
            }
        }
        View {
            format: self.format,
            width: self.width,
            height: self.height,
            colour: self.colour,
            rows: self.rows,
            planes,
        }
    }

    /// Samples of the rows that are looked at.
    pub fn size(&self, part: Part) -> [usize; 2] {
        let lines = match self.rows {
            Rows::All => self.height,
            Rows::Top => self.height.div_ceil(2),
            Rows::Bottom => self.height / 2,
        };
        [
            self.width.div_ceil(part.cover[0]),
            lines.div_ceil(part.cover[1]),
        ]
    }

    /// A row of those that are looked at, in the plane.
    fn row(&self, y: usize) -> usize {
        match self.rows {
            Rows::All => y,
            Rows::Top => 2 * y,
            Rows::Bottom => 2 * y + 1,
        }
    }

    /// Sets the bits of a sample in masks as long as the planes.
    pub fn mark(&self, part: Part, x: usize, y: usize, masks: &mut [Vec<u8>; 3]) {
        let bits = part.bits(x);
        let mask = ((1u32 << bits.width) - 1) << bits.shift;
        let at = self.row(y) * self.strides[part.plane] + bits.first;
        let bytes = masks[part.plane].iter_mut().skip(at).take(bits.bytes);
        for (byte, mask) in bytes.zip(mask.to_le_bytes()) {
            *byte |= mask;
        }
    }

    fn word(&self, part: Part, x: usize, y: usize) -> (usize, Bits, u32) {
        let bits = part.bits(x);
        let at = self.row(y) * self.strides[part.plane] + bits.first;
        let bytes = &self.planes[part.plane][at..][..bits.bytes];
        let word = bytes
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u32::from(*byte));
        (at, bits, word)
    }

    pub fn set(&mut self, part: Part, x: usize, y: usize, value: u32) {
        let (at, bits, word) = self.word(part, x, y);
        let mask = ((1u32 << bits.width) - 1) << bits.shift;
        let word = word & !mask | value << bits.shift;
        let bytes = word.to_le_bytes();
        self.planes[part.plane][at..][..bits.bytes].copy_from_slice(&bytes[..bits.bytes]);
    }

    pub fn get(&self, part: Part, x: i64, y: i64) -> f64 {
        let [columns, rows] = self.size(part);
        let x = x.clamp(0, columns as i64 - 1) as usize;
        let y = y.clamp(0, rows as i64 - 1) as usize;
        let (_, bits, word) = self.word(part, x, y);
        f64::from(word >> bits.shift & ((1u32 << bits.width) - 1))
    }

    /// Frame coordinates of a sample's centre.
    pub fn centre(&self, part: Part, x: usize, y: usize) -> [f64; 2] {
        let at = [x, self.row(y)];
        [0, 1].map(|axis| {
            let cover = part.cover[axis];
            let first = (at[axis] * cover) as f64;
            match self.colour.siting.on_first[axis] {
                true => first,
                false => first + (cover - 1) as f64 / 2.0,
            }
        })
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
    around_oblong(scale, degrees, [size; 2], centre)
}

/// The same for such a width and height.
pub fn around_oblong(scale: f32, degrees: f32, size: [usize; 2], centre: [f32; 2]) -> Affine {
    let map = turned(scale, degrees, [0.0; 2]);
    let [x, y] = map.apply(size.map(|size| (size as f32 - 1.0) / 2.0));
    turned(scale, degrees, [centre[0] - x, centre[1] - y])
}

/// One at the centre, falling smoothly to zero before the edge.
pub fn round_mask(size: usize) -> Vec<f32> {
    oval_mask([size; 2])
}

/// The same for such a width and height.
pub fn oval_mask([width, height]: [usize; 2]) -> Vec<f32> {
    let along = |at: usize, size: usize| {
        let middle = (size as f32 - 1.0) / 2.0;
        (at as f32 - middle) / (middle + 0.5)
    };
    (0..width * height)
        .map(|index| {
            let away = along(index % width, width).hypot(along(index / width, height));
            (1.6 - 1.8 * away).clamp(0.0, 1.0)
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
