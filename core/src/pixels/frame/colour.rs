//! Colour matrices and value ranges: stored component values to RGB and back.
//!
//! Must not know where the components lie.

use crate::pixels::frame::layout::Model;

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
    /// Luma 16..235, chroma 16..240.
    #[default]
    Limited,
    /// 0..255.
    Full,
}

/// How stored values become RGB. Meaningless for RGB formats, which are always full range. For
/// GRAY8 it is the range of the grey values and how RGB is weighed to become grey.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Colour {
    pub matrix: Matrix,
    pub range: Range,
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

impl Range {
    /// Stored value of black, and stored steps from there to white.
    fn luma(self) -> (f32, f32) {
        match self {
            Self::Limited => (16.0, 219.0),
            Self::Full => (0.0, 255.0),
        }
    }

    /// Stored steps of a chroma component from its least to its greatest value.
    fn chroma(self) -> f32 {
        match self {
            Self::Limited => 224.0,
            Self::Full => 255.0,
        }
    }
}

/// Stored value of no colour.
const CHROMA_ZERO: f32 = 128.0;

impl Colour {
    /// Stored values 0..255 of a frame's components to RGB 0..1.
    pub(in crate::pixels) fn decoder(self, model: Model) -> Transform {
        let (black, luma) = self.range.luma();
        match model {
            Model::Rgb => Transform::diagonal([1.0 / 255.0; 3], [0.0; 3]),
            Model::Grey => Transform {
                rows: [[1.0 / luma, 0.0, 0.0]; 3],
                offset: [-black / luma; 3],
            },
            Model::Ycbcr => {
                let [r, g, b] = self.matrix.luma();
                // R - Y = 2 (1 - r) Cr, B - Y = 2 (1 - b) Cb, and G from Y = r R + g G + b B.
                let (red, blue) = (2.0 * (1.0 - r), 2.0 * (1.0 - b));
                let gain = 1.0 / self.range.chroma();
                let rows = [
                    [1.0 / luma, 0.0, red * gain],
                    [1.0 / luma, -blue * b / g * gain, -red * r / g * gain],
                    [1.0 / luma, blue * gain, 0.0],
                ];
                let offset =
                    rows.map(|[y, cb, cr]| -(y * black + cb * CHROMA_ZERO + cr * CHROMA_ZERO));
                Transform { rows, offset }
            }
        }
    }

    /// RGB 0..1 to stored values 0..255 of a frame's components. Of grey, the first counts.
    pub(in crate::pixels) fn encoder(self, model: Model) -> Transform {
        if model == Model::Rgb {
            return Transform::diagonal([255.0; 3], [0.0; 3]);
        }
        let [r, g, b] = self.matrix.luma();
        let (black, luma) = self.range.luma();
        let chroma = self.range.chroma();
        let (cb, cr) = (chroma / (2.0 * (1.0 - b)), chroma / (2.0 * (1.0 - r)));
        Transform {
            rows: [
                [r * luma, g * luma, b * luma],
                [-r * cb, -g * cb, (1.0 - b) * cb],
                [(1.0 - r) * cr, -g * cr, -b * cr],
            ],
            offset: [black, CHROMA_ZERO, CHROMA_ZERO],
        }
    }
}

/// The nearest stored value to a finite one. Saturates.
#[inline]
pub(in crate::pixels) fn to_byte(value: f32) -> u8 {
    // Adding 2^23 leaves the nearest integer in the low bits of the mantissa: unlike a cast,
    // four at a time.
    const MAGIC: f32 = 8_388_608.0;
    (value.clamp(0.0, 255.0) + MAGIC).to_bits() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const MATRICES: [Matrix; 3] = [Matrix::Bt601, Matrix::Bt709, Matrix::Bt2020];
    const RANGES: [Range; 2] = [Range::Limited, Range::Full];

    #[test]
    fn rgb_survives_storage_within_two_steps() {
        for model in [Model::Ycbcr, Model::Rgb] {
            for (matrix, range) in MATRICES.into_iter().flat_map(|m| RANGES.map(|r| (m, r))) {
                let colour = Colour { matrix, range };
                let (decode, encode) = (colour.decoder(model), colour.encoder(model));
                for step in 0..17 * 17 * 17 {
                    let rgb = [step % 17, step / 17 % 17, step / 289].map(|v| v as f32 / 16.0);
                    let stored = encode.apply(rgb).map(|value| f32::from(to_byte(value)));
                    for (before, after) in rgb.into_iter().zip(decode.apply(stored)) {
                        assert!(
                            (before - after).abs() <= 2.0 / 255.0,
                            "{model:?} {colour:?}: {rgb:?} became {after}"
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
            };
            let stored = colour.encoder(Model::Ycbcr).apply([1.0, 0.0, 0.0]);
            assert_eq!(stored.map(to_byte), codes, "{matrix:?}");
        }
    }

    #[test]
    fn grey_has_the_range_of_its_caps() {
        for (range, white) in [(Range::Limited, 235), (Range::Full, 255)] {
            let colour = Colour {
                range,
                ..Colour::default()
            };
            assert_eq!(
                to_byte(colour.encoder(Model::Grey).apply([1.0; 3])[0]),
                white
            );
            for value in colour.decoder(Model::Grey).apply([white as f32, 9.0, 9.0]) {
                assert!((value - 1.0).abs() < 1e-6);
            }
        }
    }
}
