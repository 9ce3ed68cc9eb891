//! A region of a frame as an RGB tensor, whatever the frame's format.
//!
//! Must not know who reads the tensor.
//!
//! Each component is averaged at its own resolution over the area that a tensor pixel covers,
//! and the colour matrix is applied once a tensor pixel. Nothing is converted that is not asked
//! for, and there is no buffer but the tensor itself.

use super::{
    Affine, View,
    layout::{Model, Samples},
};

/// Fills `out` (planes R, G, B, each `[size, size]`) with `rgb * scale + bias`, rgb being 0..1 up
/// to what the frame's range leaves beyond black and white.
///
/// `to_frame` maps tensor pixels to frame pixels; turned, mirrored and stretched as it likes.
/// The frame's edge pixels go on for ever. When the region shrinks, each value is the mean of
/// the area that it covers, up to 15 samples across; otherwise it is bilinear. With a
/// map that is not finite the tensor is black.
pub fn sample(
    view: &View,
    to_frame: &Affine,
    size: usize,
    scale: f32,
    bias: f32,
    out: [&mut [f32]; 3],
) {
    let area = size * size;
    debug_assert!(out.iter().all(|plane| plane.len() >= area));
    let mut out = out.map(|plane| {
        let length = area.min(plane.len());
        &mut plane[..length]
    });
    if area == 0 || !to_frame.is_finite() || !view.is_whole() {
        for plane in out {
            plane.fill(bias);
        }
        return;
    }
    let layout = view.format.layout();
    for grid in layout.grids {
        let window = Window::new(&grid.frame_to_grid().after(to_frame));
        for (index, out) in grid.components().zip(&mut out[grid.first..]) {
            if let Some(samples) = view.samples(grid, index) {
                window.means(&samples, size, out);
            }
        }
    }
    let transform = view.colour.decoder(layout.model).scaled(scale, bias);
    let [first, second, third] = &mut out;
    for ((first, second), third) in first.iter_mut().zip(&mut **second).zip(&mut **third) {
        let stored = match layout.model {
            Model::Grey => [*first, 0.0, 0.0],
            Model::Ycbcr | Model::Rgb => [*first, *second, *third],
        };
        [*first, *second, *third] = transform.apply(stored);
    }
}

/// The most samples that are averaged across. Shrinking further leaves some out: a 4K frame in a
/// tensor of 256 is still averaged whole.
const WIDEST: usize = 15;

/// Positions are in fixed point, this many bits after the point: exact steps along a row.
const POINT: u32 = 24;
/// Bits of a position that weigh the two samples at a window's ends. With [`WIDEST`] samples of
/// 8 bits the sum of a row stays below 2^24, exact in `f32`.
const WEIGHT: u32 = 12;
const ONE: u32 = 1 << WEIGHT;
/// A window whose width the compiler does not know.
const ANY: usize = 0;
/// Bytes of a line that are added up at a time.
const SPAN: usize = 2048;
/// Positions and steps beyond this are as good as infinite, and their sums stay in range.
const FAR: f64 = (1u64 << 20) as f64;

/// An upright window that slides over a grid of samples, one place for each tensor pixel. Its
/// ends weigh the samples that they cut, so that it moves continuously; one sample wide that is
/// bilinear interpolation.
struct Window {
    /// Left and upper end at tensor pixel (0, 0), and its steps to the right and downwards.
    origin: [i64; 2],
    right: [i64; 2],
    down: [i64; 2],
    /// Width and height in samples.
    width: usize,
    height: usize,
}

impl Window {
    fn new(to_grid: &Affine) -> Self {
        let fixed = |value: f32, shift: f64| {
            let value = (f64::from(value) + shift).clamp(-FAR, FAR);
            (value * f64::from(1u32 << POINT)).round() as i64
        };
        let width = extent(to_grid.a, to_grid.b);
        let height = extent(to_grid.c, to_grid.d);
        let before = |extent: usize| 0.5 - extent as f64 / 2.0;
        Self {
            origin: [
                fixed(to_grid.tx, before(width)),
                fixed(to_grid.ty, before(height)),
            ],
            right: [fixed(to_grid.a, 0.0), fixed(to_grid.c, 0.0)],
            down: [fixed(to_grid.b, 0.0), fixed(to_grid.d, 0.0)],
            width,
            height,
        }
    }

    fn means(&self, samples: &Samples, size: usize, out: &mut [f32]) {
        match samples.step {
            1 => self.means_of::<1>(samples, size, out),
            2 => self.means_of::<2>(samples, size, out),
            3 => self.means_of::<3>(samples, size, out),
            _ => self.means_of::<4>(samples, size, out),
        }
    }

    /// `STEP` is the samples' step, known to the compiler.
    fn means_of<const STEP: usize>(&self, samples: &Samples, size: usize, out: &mut [f32]) {
        if self.is_copy() {
            return self.copy::<STEP>(samples, size, out);
        }
        if self.is_stretched() {
            return self.stretch::<STEP>(samples, size, out);
        }
        let scale = 1.0 / (ONE as f32 * ONE as f32 * (self.width * self.height) as f32);
        for (row, out) in out.chunks_exact_mut(size).take(size).enumerate() {
            let row = row as i64;
            let mut x = self.origin[0] + row * self.down[0];
            let mut y = self.origin[1] + row * self.down[1];
            if self.is_upright() {
                self.row_of_means::<STEP>(samples, x, y, scale, out);
                continue;
            }
            for out in out {
                *out = match self.width {
                    1 => self.sum::<STEP, 1>(samples, x, y),
                    2 => self.sum::<STEP, 2>(samples, x, y),
                    3 => self.sum::<STEP, 3>(samples, x, y),
                    4 => self.sum::<STEP, 4>(samples, x, y),
                    5 => self.sum::<STEP, 5>(samples, x, y),
                    _ => self.sum::<STEP, ANY>(samples, x, y),
                } * scale;
                x += self.right[0];
                y += self.right[1];
            }
        }
    }

    /// Whether every tensor pixel is one whole sample, in the same order.
    fn is_copy(&self) -> bool {
        const STEP: i64 = 1 << POINT;
        let steps = self.right == [STEP, 0] && self.down == [0, STEP];
        steps && self.origin.iter().all(|at| at % STEP == 0)
    }

    /// The samples as they are.
    fn copy<const STEP: usize>(&self, samples: &Samples, size: usize, out: &mut [f32]) {
        let [left, top] = self.origin.map(|at| at >> POINT);
        let last = [samples.width, samples.height].map(|length| length as i64 - 1);
        let inside = left >= 0 && left + size as i64 - 1 <= last[0];
        for (out, y) in out.chunks_exact_mut(size).take(size).zip(top..) {
            let values = samples.row(y.clamp(0, last[1]) as usize);
            if inside {
                let values = values[left as usize * STEP..].iter().step_by(STEP);
                for (out, value) in out.iter_mut().zip(values) {
                    *out = f32::from(*value);
                }
                continue;
            }
            for (out, x) in out.iter_mut().zip(left..) {
                *out = f32::from(values[x.clamp(0, last[0]) as usize * STEP]);
            }
        }
    }

    /// Whether a row of the tensor lies along a row of samples.
    fn is_straight(&self) -> bool {
        self.right[1] == 0 && self.down[0] == 0 && self.right[0] > 0
    }

    /// Whether it is, and the window is worth the detour.
    fn is_upright(&self) -> bool {
        self.is_straight() && self.width > 1
    }

    /// Whether it is, and all that is left to do is bilinear interpolation.
    fn is_stretched(&self) -> bool {
        self.is_straight() && [self.width, self.height] == [1, 1]
    }

    /// Every row finds its columns at the same places.
    fn stretch<const STEP: usize>(&self, samples: &Samples, size: usize, out: &mut [f32]) {
        /// Columns whose places are known at a time.
        const RUN: usize = 64;
        let scale = 1.0 / (ONE as f32 * ONE as f32);
        for first in (0..size).step_by(RUN) {
            let mut columns = [([0; 2], [0; 2]); RUN];
            let columns = &mut columns[..RUN.min(size - first)];
            for (index, (bytes, weights)) in (first as i64..).zip(&mut *columns) {
                let left = self.origin[0] + index * self.right[0];
                let (x, after) = split(left, self.width, samples.width);
                let within = |x: i64| x.clamp(0, samples.width as i64 - 1) as usize;
                *bytes = [x, x + 1].map(|x| within(x) * STEP);
                *weights = [ONE - after, after];
            }
            for (row, out) in out.chunks_exact_mut(size).take(size).enumerate() {
                let top = self.origin[1] + row as i64 * self.down[1];
                let (y, below) = split(top, self.height, samples.height);
                let line = |y: i64| samples.row(y.clamp(0, samples.height as i64 - 1) as usize);
                let (upper, lower) = (line(y), line(y + 1));
                let (first_weight, second_weight) = ((ONE - below) as f32, below as f32);
                let out = &mut out[first..][..columns.len()];
                for (out, ([left, right], [before, after])) in out.iter_mut().zip(&*columns) {
                    let across = |line: &[u8]| {
                        (u32::from(line[*left]) * before + u32::from(line[*right]) * after) as f32
                    };
                    *out = (across(upper) * first_weight + across(lower) * second_weight) * scale;
                }
            }
        }
    }

    /// A row of an upright window: the lines under it are added up once for all its places.
    fn row_of_means<const STEP: usize>(
        &self,
        samples: &Samples,
        left: i64,
        y: i64,
        scale: f32,
        out: &mut [f32],
    ) {
        let (top, below) = split(y, self.height, samples.height);
        // Places further apart than this have less in common than lies between them.
        let apart = self.right[0] >> POINT > 2 * self.width as i64;
        let place = |index: usize| {
            let (x, after) = split(
                left + index as i64 * self.right[0],
                self.width,
                samples.width,
            );
            let inside = x >= 0 && x as usize + self.width < samples.width;
            inside.then_some((x as usize, after))
        };
        let mut sums = [0; SPAN];
        let mut index = 0;
        while index < out.len() {
            let Some((first, _)) = place(index) else {
                let x = left + index as i64 * self.right[0];
                out[index] = self.sum::<STEP, ANY>(samples, x, y) * scale;
                index += 1;
                continue;
            };
            let fits = |&index: &usize| {
                place(index).is_some_and(|(x, _)| (x - first + self.width) * STEP < SPAN)
            };
            let most = if apart { index + 1 } else { out.len() };
            let end = (index + 1..most)
                .take_while(fits)
                .last()
                .map_or(index, |end| end)
                + 1;
            let last = place(end - 1).map_or(first, |(x, _)| x) + self.width;

            // Where components alternate the others are added up too: faster than to skip them.
            let bytes = first * STEP..last * STEP + 1;
            let sums = &mut sums[..bytes.len()];
            sums.fill(0);
            for line in 0..=self.height {
                let y = (top + line as i64).clamp(0, samples.height as i64 - 1);
                let weight = end_weight(line, self.height, below);
                for (sum, value) in sums.iter_mut().zip(&samples.row(y as usize)[bytes.clone()]) {
                    *sum += u32::from(*value) * weight;
                }
            }
            for (out, index) in out[index..end].iter_mut().zip(index..) {
                let Some((x, after)) = place(index) else {
                    continue;
                };
                let under = &sums[(x - first) * STEP..][..=self.width * STEP];
                let whole: u32 = under[STEP..self.width * STEP]
                    .chunks(STEP)
                    .map(|s| s[0])
                    .sum();
                let total = u64::from(whole) * u64::from(ONE)
                    + u64::from(under[0]) * u64::from(ONE - after)
                    + u64::from(under[self.width * STEP]) * u64::from(after);
                *out = total as f32 * scale;
            }
            index = end;
        }
    }

    /// The sum under the window at `x, y`, in units of 1 / ONE². `WIDTH` is the window's, known to
    /// the compiler, or [`ANY`].
    #[inline]
    fn sum<const STEP: usize, const WIDTH: usize>(&self, samples: &Samples, x: i64, y: i64) -> f32 {
        let width = if WIDTH == ANY { self.width } else { WIDTH };
        let (x, after) = split(x, width, samples.width);
        let (y, below) = split(y, self.height, samples.height);
        let inside = x >= 0 && x as usize + width < samples.width;
        let mut sum = 0.0;
        for line in 0..=self.height {
            let y = (y + line as i64).clamp(0, samples.height as i64 - 1);
            let values = samples.row(y as usize);
            let across = if inside {
                across_inside::<STEP>(&values[x as usize * STEP..], width, after)
            } else {
                across_edge::<STEP>(values, samples.width, x, width, after)
            };
            sum += across as f32 * end_weight(line, self.height, below) as f32;
        }
        sum
    }
}

/// Weight of sample `index` of those from 0 to `extent` that a window touches, of which the
/// last one counts `after`.
#[inline]
fn end_weight(index: usize, extent: usize, after: u32) -> u32 {
    if index == 0 {
        ONE - after
    } else if index == extent {
        after
    } else {
        ONE
    }
}

/// Samples that a tensor pixel covers along one axis, which it crosses with steps `a` and `b`.
fn extent(a: f32, b: f32) -> usize {
    (a.hypot(b).round() as usize).clamp(1, WIDEST)
}

/// First sample that a window of `extent` samples touches, and the weight of the one after its
/// last whole one. Places where the window sees but the edge are drawn to it.
fn split(position: i64, extent: usize, length: usize) -> (i64, u32) {
    let least = -(extent as i64 + 1);
    let position = position.clamp(least << POINT, (length as i64) << POINT);
    let part = (position & ((1 << POINT) - 1)) as u32;
    (position >> POINT, part >> (POINT - WEIGHT))
}

/// Weighted sum of `extent + 1` samples at the start of `values`: the first and the last in part.
#[inline]
fn across_inside<const STEP: usize>(values: &[u8], extent: usize, after: u32) -> u32 {
    let values = &values[..extent * STEP + 1];
    let whole: u32 = values[STEP..extent * STEP]
        .chunks_exact(STEP)
        .map(|sample| u32::from(sample[0]))
        .sum();
    let (first, last) = (u32::from(values[0]), u32::from(values[extent * STEP]));
    whole * ONE + first * (ONE - after) + last * after
}

/// The same from sample `x` on, with the row's ends going on for ever.
fn across_edge<const STEP: usize>(
    values: &[u8],
    length: usize,
    x: i64,
    extent: usize,
    after: u32,
) -> u32 {
    (0..=extent)
        .map(|index| {
            let x = (x + index as i64).clamp(0, length as i64 - 1) as usize;
            u32::from(values[x * STEP]) * end_weight(index, extent, after)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixels::{Colour, Format, Plane};
    use proptest::prelude::*;

    /// A picture of one plane.
    struct Bytes {
        format: Format,
        width: usize,
        height: usize,
        stride: usize,
        data: Vec<u8>,
    }

    impl Bytes {
        fn new(
            format: Format,
            width: usize,
            height: usize,
            padding: usize,
            byte: impl FnMut(usize) -> u8,
        ) -> Self {
            let channels = match format {
                Format::Gray8 => 1,
                Format::Rgb => 3,
                _ => 4,
            };
            let stride = width * channels + padding;
            Self {
                format,
                width,
                height,
                stride,
                data: (0..stride * height).map(byte).collect(),
            }
        }

        /// The planes of its tensor, one after the other.
        fn seen(&mut self, map: &Affine, size: usize, scale: f32) -> Vec<f32> {
            let none = || Plane {
                data: &mut [],
                stride: 0,
            };
            let plane = Plane {
                data: &mut self.data,
                stride: self.stride,
            };
            let view = View {
                format: self.format,
                width: self.width,
                height: self.height,
                colour: Colour::default(),
                planes: [plane, none(), none()],
            };
            let mut rgb = [(); 3].map(|()| vec![0.0; size * size]);
            let [red, green, blue] = &mut rgb;
            sample(&view, map, size, scale, 0.0, [red, green, blue]);
            rgb.concat()
        }
    }

    proptest! {
        /// A map that is turned by next to nothing takes the other way to the same values.
        #[test]
        fn an_upright_region_is_what_a_turned_one_is(
            format in prop::sample::select(vec![Format::Gray8, Format::Bgra, Format::Rgb]),
            (width, height) in (1usize..700, 1usize..60),
            (a, d) in prop_oneof![(1.5f32..40.0, 0.4f32..40.0), (0.2f32..1.49, 0.2f32..1.49)],
            (tx, ty) in (-50f32..400.0, -50f32..80.0),
            seed in any::<u32>(),
        ) {
            let mut random = seed;
            let byte = |_| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (random >> 24) as u8
            };
            let mut picture = Bytes::new(format, width, height, 5, byte);
            let mut see = |b: f32| picture.seen(&Affine { a, b, c: 0.0, d, tx, ty }, 9, 1.0);
            // Two units of the fixed point a row.
            let turned = see(2f32.powi(-23));
            // Between two samples a place may fall on either side of a step of the weights.
            let step = if a < 1.5 { 1.0 / 2048.0 } else { 1e-4 };
            for (upright, turned) in see(0.0).iter().zip(turned) {
                prop_assert!((upright - turned).abs() < step, "{upright} {turned}");
            }
        }

        /// Whole samples are copied, and a map beside them by next to nothing takes the other way
        /// to the same values.
        #[test]
        fn whole_samples_are_what_those_next_to_them_are(
            format in prop::sample::select(vec![Format::Gray8, Format::Bgra, Format::Rgb]),
            (width, height) in (1usize..30, 1usize..30),
            (tx, ty) in (-40i8..40, -40i8..40),
            seed in any::<u8>(),
        ) {
            let byte = |at| (at as u8).wrapping_mul(37) ^ seed;
            let mut picture = Bytes::new(format, width, height, 0, byte);
            let mut see = |b: f32| {
                let map = Affine { b, tx: tx.into(), ty: ty.into(), ..Affine::IDENTITY };
                picture.seen(&map, 13, 255.0)
            };
            for (copied, other) in see(0.0).iter().zip(see(2f32.powi(-23))) {
                prop_assert!((copied - other).abs() < 1e-3, "{copied} {other}");
            }
        }
    }
}
