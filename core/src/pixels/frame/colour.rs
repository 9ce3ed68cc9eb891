//! Colour matrices and value ranges: stored component values to RGB and back.
//!
//! Must not know where the components lie.

use crate::pixels::frame::{
    layout::{Layout, Model},
    transfer::{Curves, Transfer},
};

/// Luma coefficients of a YCbCr picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Matrix {
    #[default]
    Bt601,
    Bt709,
    Bt2020,
}

/// Range of the stored values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Range {
    /// Luma 16..235, chroma 16..240, of eight bits; four times that of ten, and so on.
    #[default]
    Limited,
    /// All that the bits hold.
    Full,
}

/// Where a sample of subsampled chroma lies among the pixels that share it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Siting {
    /// Across and down: on the first of them, or in the middle.
    pub on_first: [bool; 2],
}

/// How stored values become RGB. Matrix, range and siting mean nothing for RGB formats, which are
/// always full range. For grey it is the range of the grey values and how RGB is weighed to become
/// grey.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Colour {
    pub matrix: Matrix,
    pub range: Range,
    pub transfer: Transfer,
    pub siting: Siting,
}

/// Three values to three values: `rows · input + offset`.
#[derive(Clone, Copy, Debug)]
pub(in crate::pixels) struct Transform {
    pub rows: [[f32; 3]; 3],
    pub offset: [f32; 3],
}

impl Transform {
    /// Each component alone: `gain * input + offset`.
    fn diagonal(gain: [f32; 3], offset: [f32; 3]) -> Self {
        let mut rows = [[0.0; 3]; 3];
        for (index, gain) in gain.into_iter().enumerate() {
            rows[index][index] = gain;
        }
        Self { rows, offset }
    }

    #[inline]
    pub fn apply(&self, input: [f32; 3]) -> [f32; 3] {
        let row = |index: usize| {
            let [x, y, z] = self.rows[index];
            x * input[0] + y * input[1] + z * input[2] + self.offset[index]
        };
        [row(0), row(1), row(2)]
    }

    /// This transform with `scale * output + bias` after it.
    pub fn scaled(self, scale: f32, bias: f32) -> Self {
        Self {
            rows: self.rows.map(|row| row.map(|value| value * scale)),
            offset: self.offset.map(|value| value * scale + bias),
        }
    }
}

impl Matrix {
    /// Weights of R, G and B in luma: ITU-R BT.601-7 2.5.1, BT.709-6 3.2, BT.2020-2 table 4
    /// (non-constant luminance).
    fn luma(self) -> [f32; 3] {
        let (r, b) = match self {
            Self::Bt601 => (0.299, 0.114),
            Self::Bt709 => (0.2126, 0.0722),
            Self::Bt2020 => (0.2627, 0.0593),
        };
        [r, 1.0 - r - b, b]
    }
}

/// What stored values of so many bits mean.
#[derive(Clone, Copy)]
struct Depth {
    bits: u32,
}

impl Depth {
    /// The greatest stored value.
    fn most(self) -> f32 {
        ((1u32 << self.bits) - 1) as f32
    }

    /// A stored value as eight bits have it.
    fn of_byte(self, value: f32) -> f32 {
        value * (1u32 << (self.bits - 8)) as f32
    }

    /// Stored value of black, and stored steps from there to white.
    fn luma(self, range: Range) -> (f32, f32) {
        match range {
            Range::Limited => (self.of_byte(16.0), self.of_byte(219.0)),
            Range::Full => (0.0, self.most()),
        }
    }

    /// Stored steps of a chroma component from its least to its greatest value.
    fn chroma(self, range: Range) -> f32 {
        match range {
            Range::Limited => self.of_byte(224.0),
            Range::Full => self.most(),
        }
    }

    /// Stored value of no colour.
    fn chroma_zero(self) -> f32 {
        self.of_byte(128.0)
    }
}

/// Stored values to RGB of standard range.
pub(in crate::pixels) struct Decoder {
    transform: Transform,
    curves: Option<&'static Curves>,
    scale: f32,
    bias: f32,
}

impl Decoder {
    /// Makes stored values of pixels RGB.
    pub fn apply(&self, pixels: [&mut [f32]; 3]) {
        let [first, second, third] = pixels;
        let pixels = first.iter_mut().zip(second).zip(third);
        // Apart, so that the compiler can use vector instructions where there are no curves.
        match self.curves {
            None => pixels.for_each(|((first, second), third)| {
                [*first, *second, *third] = self.transform.apply([*first, *second, *third]);
            }),
            Some(curves) => pixels.for_each(|((first, second), third)| {
                let rgb = self.transform.apply([*first, *second, *third]);
                [*first, *second, *third] =
                    rgb.map(|value| curves.to_sdr(value) * self.scale + self.bias);
            }),
        }
    }
}

/// RGB 0..1 of standard range to stored values.
pub(in crate::pixels) struct Encoder {
    pub transform: Transform,
    pub curves: Option<&'static Curves>,
}

impl Encoder {
    #[inline]
    pub fn apply(&self, rgb: [f32; 3]) -> [f32; 3] {
        self.transform.apply(match self.curves {
            None => rgb,
            Some(curves) => rgb.map(|value| curves.to_signal(value)),
        })
    }
}

impl Colour {
    /// Stored values of a frame's components to `rgb * scale + bias`, rgb being 0..1.
    pub(in crate::pixels) fn decoder(self, layout: &Layout, scale: f32, bias: f32) -> Decoder {
        let transform = self.to_rgb(layout);
        let curves = self.transfer.curves();
        Decoder {
            transform: match curves {
                None => transform.scaled(scale, bias),
                Some(_) => transform,
            },
            curves,
            scale,
            bias,
        }
    }

    /// RGB 0..1 to stored values of a frame's components. Of grey, the first counts.
    pub(in crate::pixels) fn encoder(self, layout: &Layout) -> Encoder {
        Encoder {
            transform: self.to_stored(layout),
            curves: self.transfer.curves(),
        }
    }

    fn to_rgb(self, layout: &Layout) -> Transform {
        let depth = Depth {
            bits: layout.element.bits(),
        };
        let (black, luma) = depth.luma(self.range);
        match layout.model {
            Model::Rgb => Transform::diagonal([1.0 / depth.most(); 3], [0.0; 3]),
            Model::Grey => Transform {
                rows: [[1.0 / luma, 0.0, 0.0]; 3],
                offset: [-black / luma; 3],
            },
            Model::Ycbcr => {
                let [r, g, b] = self.matrix.luma();
                // R - Y = 2 (1 - r) Cr, B - Y = 2 (1 - b) Cb, and G from Y = r R + g G + b B.
                let (red, blue) = (2.0 * (1.0 - r), 2.0 * (1.0 - b));
                let gain = 1.0 / depth.chroma(self.range);
                let zero = depth.chroma_zero();
                let rows = [
                    [1.0 / luma, 0.0, red * gain],
                    [1.0 / luma, -blue * b / g * gain, -red * r / g * gain],
                    [1.0 / luma, blue * gain, 0.0],
                ];
                let offset = rows.map(|[y, cb, cr]| -(y * black + cb * zero + cr * zero));
                Transform { rows, offset }
            }
        }
    }

    fn to_stored(self, layout: &Layout) -> Transform {
        let depth = Depth {
            bits: layout.element.bits(),
        };
        if layout.model == Model::Rgb {
            return Transform::diagonal([depth.most(); 3], [0.0; 3]);
        }
        let [r, g, b] = self.matrix.luma();
        let (black, luma) = depth.luma(self.range);
        let (chroma, zero) = (depth.chroma(self.range), depth.chroma_zero());
        let (cb, cr) = (chroma / (2.0 * (1.0 - b)), chroma / (2.0 * (1.0 - r)));
        Transform {
            rows: [
                [r * luma, g * luma, b * luma],
                [-r * cb, -g * cb, (1.0 - b) * cb],
                [(1.0 - r) * cr, -g * cr, -b * cr],
            ],
            offset: [black, zero, zero],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixels::{
        Format,
        frame::element::{Bytes, Store},
    };

    fn decoded(decoder: &Decoder, [mut x, mut y, mut z]: [f32; 3]) -> [f32; 3] {
        let pixel = [&mut x, &mut y, &mut z].map(std::slice::from_mut);
        decoder.apply(pixel);
        [x, y, z]
    }

    const MATRICES: [Matrix; 3] = [Matrix::Bt601, Matrix::Bt709, Matrix::Bt2020];
    const RANGES: [Range; 2] = [Range::Limited, Range::Full];

    #[test]
    fn rgb_survives_storage_within_two_steps() {
        for format in [Format::I420, Format::Rgb] {
            for (matrix, range) in MATRICES.into_iter().flat_map(|m| RANGES.map(|r| (m, r))) {
                let colour = Colour {
                    matrix,
                    range,
                    ..Colour::default()
                };
                let layout = format.layout();
                let (decode, encode) = (colour.decoder(&layout, 1.0, 0.0), colour.encoder(&layout));
                for step in 0..17 * 17 * 17 {
                    let rgb = [step % 17, step / 17 % 17, step / 289].map(|v| v as f32 / 16.0);
                    let stored = encode.apply(rgb).map(|value| f32::from(Bytes.code(value)));
                    for (before, after) in rgb.into_iter().zip(decoded(&decode, stored)) {
                        assert!(
                            (before - after).abs() <= 2.0 / 255.0,
                            "{format:?} {colour:?}: {rgb:?} became {after}"
                        );
                    }
                }
            }
        }
    }

    /// Colour bars as the recommendations quantise them: 100 % red, 8 bit, limited range.
    #[test]
    fn red_has_its_standard_codes() {
        for (matrix, codes) in [
            (Matrix::Bt601, [81, 90, 240]),
            (Matrix::Bt709, [63, 102, 240]),
            (Matrix::Bt2020, [74, 97, 240]),
        ] {
            let colour = Colour {
                matrix,
                range: Range::Limited,
                ..Colour::default()
            };
            for (format, step) in [(Format::I420, 1.0), (Format::I42010le, 4.0)] {
                let stored = colour.encoder(&format.layout()).apply([1.0, 0.0, 0.0]);
                let stored = stored.map(|value| Bytes.code(value / step));
                assert_eq!(stored, codes, "{matrix:?} {format:?}");
            }
        }
    }

    /// 64, 940 and 512 of ten bits, 0 and 1023 of full range.
    #[test]
    fn white_and_no_colour_have_the_codes_of_their_bits() {
        for (range, codes) in [
            (Range::Limited, [940.0, 512.0]),
            (Range::Full, [1023.0, 512.0]),
        ] {
            let colour = Colour {
                range,
                ..Colour::default()
            };
            let stored = colour.encoder(&Format::P01010le.layout()).apply([1.0; 3]);
            for (stored, code) in stored.into_iter().zip([codes[0], codes[1], codes[1]]) {
                assert!((stored - code).abs() < 1e-2, "{range:?}: {stored}");
            }
        }
    }

    #[test]
    fn grey_has_the_range_of_its_caps() {
        for (range, white) in [(Range::Limited, 235), (Range::Full, 255)] {
            let colour = Colour {
                range,
                ..Colour::default()
            };
            let layout = Format::Gray8.layout();
            let stored = colour.encoder(&layout).apply([1.0; 3]);
            assert_eq!(Bytes.code(stored[0]), white);
            let decode = colour.decoder(&layout, 1.0, 0.0);
            for value in decoded(&decode, [white as f32, 9.0, 9.0]) {
                assert!((value - 1.0).abs() < 1e-6);
            }
        }
    }
}
