//! Scaling of pictures as OpenCV scales 8-bit ones: for networks whose original pipelines did.
//!
//! Must not know frames or their formats: planes of whole numbers 0..255 in `f32`.
//!
//! OpenCV's `resize`: place `(d + 0.5) * source / target - 0.5`, the edge goes on for ever, no
//! averaging when shrinking except with [`Scale::Area`]. Bilinear it computes in fixed point,
//! which makes pictures an eighth of a level darker; that is reproduced to the bit, and so is
//! enlarging by area. The others it computes in different ways on different machines, one level
//! apart in some pixels.

use std::f64::consts::PI;

use serde::Deserialize;

use crate::rect::Size;

/// OpenCV's interpolation of the same name.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    #[default]
    Linear,
    /// Four samples, a = -0.75.
    Cubic,
    /// Eight samples, a sinc windowed with the middle of a four times wider one.
    Lanczos,
    /// The mean of what a pixel covers; enlarging, bilinear with narrower ramps.
    Area,
}

/// OpenCV's `a` of the cubic kernel.
const CUBIC: f64 = -0.75;

/// Added and taken away it rounds to the nearest whole number, to the even one of two: floats of
/// this size have no fractions. `round_ties_even` is a call of a library for each value.
const ROUNDING: f32 = 1.5 * (1 << 23) as f32;

/// A plane of a picture that lies in rows `stride` values apart.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    pub width: usize,
    pub height: usize,
    pub stride: usize,
}

impl Extent {
    pub fn square(side: usize) -> Self {
        Self {
            width: side,
            height: side,
            stride: side,
        }
    }

    /// Of a picture without gaps between its rows.
    pub fn of(size: Size) -> Self {
        Self {
            width: size.width,
            height: size.height,
            stride: size.width,
        }
    }

    /// Values that a plane of this extent has at least; 0 for what is none.
    pub(in crate::pixels) fn len(&self) -> usize {
        if self.width == 0 || self.height == 0 || self.stride < self.width {
            return 0;
        }
        (self.height - 1) * self.stride + self.width
    }
}

/// Scales planes. Keeps its memory: it allocates only for larger pictures than any before.
#[derive(Default)]
pub struct Resizer {
    columns: Axis,
    rows: Axis,
    /// In fixed point.
    fixed: bool,
    /// Whether what is scaled are whole numbers.
    whole: bool,
    /// Columns of the source, columns of the target made of them, and the same row by row.
    standing: Vec<f32>,
    scaled: Vec<f32>,
    lines: Vec<f32>,
}

impl Resizer {
    /// Prepares for pictures of `from` that become `to`.
    pub fn prepare(&mut self, from: &Extent, to: &Extent, scale: Scale) {
        self.prepare_for(from, to, scale, true);
    }

    /// The same for pictures with fractions, which stay: OpenCV scales floats without rounding.
    pub fn prepare_fractions(&mut self, from: &Extent, to: &Extent, scale: Scale) {
        self.prepare_for(from, to, scale, false);
    }

    fn prepare_for(&mut self, from: &Extent, to: &Extent, scale: Scale, whole: bool) {
        // OpenCV averages areas only where both axes shrink.
        let shrinks = from.width >= to.width && from.height >= to.height;
        self.whole = whole;
        self.fixed = whole && (scale == Scale::Linear || (scale == Scale::Area && !shrinks));
        let fixed = self.fixed;
        let prepare = |axis: &mut Axis, from, to| axis.prepare(from, to, scale, shrinks, fixed);
        prepare(&mut self.columns, from.width, to.width);
        prepare(&mut self.rows, from.height, to.height);
    }

    /// Scales one plane and, where it was prepared for whole numbers, rounds it to some in 0..255.
    /// Does nothing when a plane is shorter than its extent.
    pub fn plane(&mut self, source: &[f32], from: &Extent, target: &mut [f32], to: &Extent) {
        if source.len() < from.len() || target.len() < to.len() || from.len() == 0 || to.len() == 0
        {
            return;
        }
        self.standing.resize(from.width * from.height, 0.0);
        self.scaled.resize(to.width * from.height, 0.0);
        self.lines.resize(to.width * from.height, 0.0);
        // Both ways whole lines are weighed: columns stand side by side for it.
        turn(source, from.stride, from.width, &mut self.standing);
        let columns = self.scaled.chunks_exact_mut(from.height);
        for (column, taps) in columns.zip(self.columns.all()) {
            weigh(&self.standing, taps, column);
        }
        turn(&self.scaled, from.height, from.height, &mut self.lines);
        for (row, taps) in target.chunks_mut(to.stride).zip(self.rows.all()) {
            let row = &mut row[..to.width];
            if let [(above, first), (below, second)] = *taps
                && self.fixed
            {
                let line = |at: usize| &self.lines[at * to.width..][..to.width];
                let pairs = line(above).iter().zip(line(below));
                for (out, (above, below)) in row.iter_mut().zip(pairs) {
                    *out = fixed_mean([*above, *below], [first, second]);
                }
                continue;
            }
            weigh(&self.lines, taps, row);
            if !self.whole {
                continue;
            }
            for out in row {
                *out = ((*out + ROUNDING) - ROUNDING).clamp(0.0, 255.0);
            }
        }
    }
}

/// The sum of lines, each times its weight. They lie one after the other, as long as `out`.
fn weigh(lines: &[f32], taps: &[(usize, f32)], out: &mut [f32]) {
    let length = out.len();
    let line = |at: usize| &lines[at * length..][..length];
    if let [(a, u), (b, v), (c, w), (d, x)] = *taps {
        let (a, b, c, d) = (line(a), line(b), line(c), line(d));
        for ((((out, a), b), c), d) in out.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *out = a * u + b * v + c * w + d * x;
        }
        return;
    }
    out.fill(0.0);
    for &(at, weight) in taps {
        for (out, value) in out.iter_mut().zip(line(at)) {
            *out += value * weight;
        }
    }
}

/// Side of the blocks that are turned at once: four numbers fit a vector of any CPU.
const BLOCK: usize = 4;

/// Makes columns of rows: the first `width` values of every row, which lie `stride` apart, into
/// `out`, one column after the other.
fn turn(rows: &[f32], stride: usize, width: usize, out: &mut [f32]) {
    let height = out.len() / width;
    let row = |y: usize| &rows[y * stride..][..width];
    let whole = [width, height].map(|side| side - side % BLOCK);
    for y in (0..whole[1]).step_by(BLOCK) {
        let lines = [0, 1, 2, 3].map(|below| row(y + below).as_chunks::<BLOCK>().0);
        let [a, b, c, d] = lines;
        for (block, (((a, b), c), d)) in a.iter().zip(b).zip(c).zip(d).enumerate() {
            let columns = &mut out[block * BLOCK * height + y..];
            for (index, column) in columns.chunks_mut(height).take(BLOCK).enumerate() {
                column[..BLOCK].copy_from_slice(&[a[index], b[index], c[index], d[index]]);
            }
        }
    }
    // What is left on the right, and below.
    for y in 0..height {
        let first = if y < whole[1] { whole[0] } else { 0 };
        for (x, value) in row(y).iter().enumerate().skip(first) {
            out[x * height + y] = *value;
        }
    }
}

/// Weights of OpenCV's fixed-point interpolation are multiples of 1 / this.
const FIXED: f32 = 2048.0;

/// The mean of two rows as OpenCV's `VResizeLinear` for bytes has it: both are cut to 1/128 of a
/// level before they are weighed, and the products to a quarter.
fn fixed_mean(values: [f32; 2], weights: [f32; 2]) -> f32 {
    let part = |index: usize| {
        let value = (values[index] * FIXED) as i32 >> 4;
        ((weights[index] * FIXED) as i32 * value) >> 16
    };
    ((part(0) + part(1) + 2) >> 2) as f32
}

/// Which source samples make each target sample.
#[derive(Default)]
struct Axis {
    taps: Vec<(usize, f32)>,
    /// For each target sample, where its taps end.
    ends: Vec<usize>,
}

impl Axis {
    fn prepare(&mut self, source: usize, target: usize, scale: Scale, shrinks: bool, fixed: bool) {
        self.taps.clear();
        self.ends.clear();
        if source == 0 || target == 0 {
            return;
        }
        let step = source as f64 / target as f64;
        for index in 0..target {
            let index = index as f64;
            match scale {
                Scale::Area if shrinks => self.area(index * step, (index + 1.0) * step, source),
                Scale::Area => {
                    let first = (index * step).floor();
                    let part = (index + 1.0) - (first + 1.0) / step;
                    self.linear(first, part.max(0.0).fract(), source, fixed);
                }
                Scale::Linear => {
                    let place = (index + 0.5) * step - 0.5;
                    self.linear(place.floor(), place - place.floor(), source, fixed);
                }
                Scale::Cubic => {
                    let place = (index + 0.5) * step - 0.5;
                    self.cubic(place.floor(), place - place.floor(), source);
                }
                Scale::Lanczos => {
                    let place = (index + 0.5) * step - 0.5;
                    self.lanczos(place.floor(), place - place.floor(), source);
                }
            }
            self.ends.push(self.taps.len());
        }
    }

    fn tap(&mut self, at: f64, weight: f64, source: usize) {
        let at = at.clamp(0.0, (source - 1) as f64) as usize;
        self.taps.push((at, weight as f32));
    }

    fn linear(&mut self, first: f64, part: f64, source: usize, fixed: bool) {
        let part = match fixed {
            true => (part * f64::from(FIXED)).round_ties_even() / f64::from(FIXED),
            false => part,
        };
        self.tap(first, 1.0 - part, source);
        self.tap(first + 1.0, part, source);
    }

    fn cubic(&mut self, first: f64, part: f64, source: usize) {
        for offset in [-1.0, 0.0, 1.0, 2.0] {
            let d = (part - offset).abs();
            let weight = if d <= 1.0 {
                ((CUBIC + 2.0) * d - (CUBIC + 3.0)) * d * d + 1.0
            } else {
                ((CUBIC * d - 5.0 * CUBIC) * d + 8.0 * CUBIC) * d - 4.0 * CUBIC
            };
            self.tap(first + offset, weight, source);
        }
    }

    fn lanczos(&mut self, first: f64, part: f64, source: usize) {
        let weight = |offset: i32| {
            let x = PI * (part - f64::from(offset));
            match x.abs() < 1e-6 {
                true => 1.0,
                false => x.sin() / x * (x / 4.0).sin() / (x / 4.0),
            }
        };
        let sum: f64 = (-3..=4).map(weight).sum();
        for offset in -3..=4 {
            self.tap(first + f64::from(offset), weight(offset) / sum, source);
        }
    }

    /// The mean from `from` to `to`, in samples.
    fn area(&mut self, from: f64, to: f64, source: usize) {
        let mut at = from.floor();
        while at < to && at < source as f64 {
            let covered = (at + 1.0).min(to) - at.max(from);
            if covered > 1e-9 {
                self.tap(at, covered / (to - from), source);
            }
            at += 1.0;
        }
    }

    fn all(&self) -> impl Iterator<Item = &[(usize, f32)]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, &end)| &self.taps[start..end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(source: &[f32], target: usize, scale: Scale) -> Vec<f32> {
        let extent = |width| Extent {
            width,
            height: 1,
            stride: width,
        };
        let (from, to) = (extent(source.len()), extent(target));
        let mut out = vec![-1.0; target];
        let mut resizer = Resizer::default();
        resizer.prepare(&from, &to, scale);
        resizer.plane(source, &from, &mut out, &to);
        out
    }

    // Wanted values: cv2.resize of OpenCV 5.0 on a row of 8-bit values.
    #[test]
    fn linear_takes_two_samples_however_much_it_shrinks() {
        let source = [0.0, 100.0, 0.0, 100.0, 0.0, 100.0, 200.0, 200.0];
        assert_eq!(row(&source, 2, Scale::Linear), [50.0, 150.0]);
        assert_eq!(
            row(&[0.0, 100.0], 4, Scale::Linear),
            [0.0, 25.0, 75.0, 100.0]
        );
    }

    #[test]
    fn fractions_stay() {
        let extent = |width| Extent {
            width,
            height: 1,
            stride: width,
        };
        let (from, to) = (extent(2), extent(5));
        let mut out = [-1.0; 5];
        let mut resizer = Resizer::default();
        resizer.prepare_fractions(&from, &to, Scale::Linear);
        resizer.plane(&[0.25, 256.25], &from, &mut out, &to);
        for (found, expected) in out.iter().zip([0.25, 25.85, 128.25, 230.65, 256.25]) {
            assert!((found - expected).abs() < 1e-4, "{found}, {expected}");
        }
    }

    #[test]
    fn lanczos_takes_eight_samples_however_much_it_shrinks() {
        let source = [
            0.0, 100.0, 0.0, 100.0, 0.0, 100.0, 200.0, 200.0, 30.0, 255.0,
        ];
        for expected in [
            &[68, 49, 22, 237, 123][..],
            &[26, 24, 100, 22, 193, 119, 205],
            &[
                0, 59, 97, 18, 23, 98, 51, 0, 70, 152, 206, 235, 130, 28, 142, 255,
            ],
        ] {
            let found = row(&source, expected.len(), Scale::Lanczos);
            for (found, &expected) in found.iter().zip(expected) {
                assert!(
                    (found - expected as f32).abs() <= 1.0,
                    "{found}, {expected}"
                );
            }
        }
    }

    #[test]
    fn linear_is_cut_as_in_fixed_point() {
        let source: Vec<f32> = (0..12).map(|i| (i * 97 % 256) as f32).collect();
        let (from, to) = (
            Extent {
                width: 4,
                height: 3,
                stride: 4,
            },
            Extent::square(5),
        );
        let mut out = [0.0; 25];
        let mut resizer = Resizer::default();
        resizer.prepare(&from, &to, Scale::Linear);
        resizer.plane(&source, &from, &mut out, &to);
        #[rustfmt::skip]
        let expected = [
            0.0, 68.0, 145.0, 146.0, 35.0,
            53.0, 121.0, 147.0, 127.0, 88.0,
            132.0, 200.0, 150.0, 99.0, 167.0,
            58.0, 125.0, 152.0, 132.0, 93.0,
            8.0, 76.0, 153.0, 154.0, 43.0,
        ];
        assert_eq!(out, expected);
    }

    #[test]
    fn area_enlarges_in_fixed_point() {
        let source: Vec<f32> = (0..12).map(|i| (i * 97 % 256) as f32).collect();
        let extent = |width, height| Extent {
            width,
            height,
            stride: width,
        };
        let (from, to) = (extent(4, 3), extent(7, 5));
        let mut out = [0.0; 35];
        let mut resizer = Resizer::default();
        resizer.prepare(&from, &to, Scale::Area);
        resizer.plane(&source, &from, &mut out, &to);
        #[rustfmt::skip]
        let expected = [
            0.0, 24.0, 97.0, 146.0, 194.0, 75.0, 35.0,
            44.0, 68.0, 141.0, 147.0, 153.0, 97.0, 79.0,
            132.0, 156.0, 229.0, 150.0, 70.0, 143.0, 167.0,
            49.0, 73.0, 146.0, 152.0, 158.0, 103.0, 84.0,
            8.0, 32.0, 105.0, 154.0, 202.0, 83.0, 43.0,
        ];
        assert_eq!(out, expected);
    }

    #[test]
    fn area_takes_the_mean() {
        let source = [0.0, 100.0, 20.0, 80.0, 200.0, 100.0];
        assert_eq!(row(&source, 2, Scale::Area), [40.0, 127.0]);
        let source = [0.0, 90.0, 30.0];
        assert_eq!(row(&source, 2, Scale::Area), [30.0, 50.0]);
        let enlarged = [0.0, 0.0, 60.0, 90.0, 70.0, 30.0, 30.0];
        assert_eq!(row(&source, 7, Scale::Area), enlarged);
    }

    #[test]
    fn cubic_overshoots_and_is_cut_to_a_byte() {
        let out = row(&[0.0, 0.0, 255.0, 255.0], 8, Scale::Cubic);
        assert_eq!(out, [0.0, 0.0, 0.0, 58.0, 197.0, 255.0, 255.0, 255.0]);
    }

    #[test]
    fn the_same_size_is_the_same_picture() {
        let source: Vec<f32> = (0..17).map(|i| (i * 13 % 256) as f32).collect();
        for scale in [Scale::Linear, Scale::Cubic, Scale::Area] {
            assert_eq!(row(&source, 17, scale), source);
        }
    }

    #[test]
    fn planes_without_a_size_are_left_alone() {
        let sizes = [(0, 3, 2), (3, 0, 3), (4, 2, 3)];
        let extents = sizes.map(|(width, height, stride)| Extent {
            width,
            height,
            stride,
        });
        let full = Extent::square(3);
        for empty in extents {
            for (from, to) in [(empty, full), (full, empty), (empty, empty)] {
                let mut resizer = Resizer::default();
                resizer.prepare(&from, &to, Scale::Linear);
                let mut out = [7.0; 12];
                resizer.plane(&[1.0; 12], &from, &mut out, &to);
                assert_eq!(out, [7.0; 12], "{from:?} {to:?}");
            }
        }
    }

    #[test]
    fn rows_become_columns() {
        // 11 apart; the last one ends without its padding.
        for (width, height) in [(9, 18), (8, 4), (3, 2), (1, 1)] {
            let length = (height - 1) * 11 + width;
            let rows: Vec<f32> = (0..length).map(|at| at as f32).collect();
            let mut out = vec![0.0; width * height];
            turn(&rows, 11, width, &mut out);
            for (at, value) in out.into_iter().enumerate() {
                assert_eq!(value, (at % height * 11 + at / height) as f32);
            }
        }
    }

    #[test]
    fn planes_that_are_too_short_are_left_alone() {
        let (from, to) = (Extent::square(4), Extent::square(2));
        let mut resizer = Resizer::default();
        resizer.prepare(&from, &to, Scale::Linear);
        let mut out = [7.0; 4];
        resizer.plane(&[1.0; 15], &from, &mut out, &to);
        assert_eq!(out, [7.0; 4]);
    }
}
