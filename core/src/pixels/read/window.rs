//! A window that slides over the samples of a frame, and the means under it.
//!
//! Must not know what the samples mean, nor in which format they came.
//!
//! Its ends weigh the samples that they cut, so that it moves continuously. That is a mean of
//! whole samples, interpolated between the four whole places next to the window; and those are
//! shared by many windows. One sample wide it is bilinear interpolation.

use std::ops::Range;

use crate::pixels::{
    Affine,
    frame::{
        element::{Store, Sum, with_store},
        layout::Samples,
    },
    geometry::lanes::wide,
};

/// The most samples that are averaged across. Shrinking further leaves some out: a 4K frame in a
/// tensor of 256 is still averaged whole. [`Store::Sum`] holds the sum under a window.
const WIDEST: usize = 15;

/// Positions are in fixed point, this many bits after the point: exact steps along a row, and
/// fractions that are exact in `f32`.
const POINT: u32 = 24;
/// Positions and steps beyond this are as good as infinite, and their sums stay in range.
const FAR: f64 = (1u64 << 20) as f64;

/// Elements of a line that are added up at a time.
const SPAN: usize = 2048;
/// Columns of the tensor whose places are known at a time.
const RUN: usize = 128;
/// Sums that are known at a time, and the largest side of a tile of the tensor made of them.
const AREA: usize = 1 << 13;
const TILE: usize = 32;

/// An upright window, one place for each tensor pixel.
pub(in crate::pixels) struct Window {
    /// Left and upper end at tensor pixel (0, 0), and its steps to the right and downwards.
    origin: [i64; 2],
    right: [i64; 2],
    down: [i64; 2],
    /// Width and height in samples.
    size: [usize; 2],
}

wide! {
    /// The means under a window for a tensor of `size` x `size`, in the planes that belong to the
    /// components.
    pub(in crate::pixels) fn means(
        window: &Window,
        samples: &Samples,
        size: usize,
        out: &mut [&mut [f32]; 3],
    ) {
        with_store!(samples.element, store => match (samples.step, samples.count) {
            (1, _) => window.means_of::<_, 1, 1>(store, samples, size, out),
            (2, 1) => window.means_of::<_, 2, 1>(store, samples, size, out),
            (2, _) => window.means_of::<_, 2, 2>(store, samples, size, out),
            (3, _) => window.means_of::<_, 3, 3>(store, samples, size, out),
            (_, 1) => window.means_of::<_, 4, 1>(store, samples, size, out),
            (_, _) => window.means_of::<_, 4, 3>(store, samples, size, out),
        });
    }
}

/// A window along one axis: the first sample that it touches, and which part of it it leaves out.
#[derive(Clone, Copy, PartialEq)]
struct Place {
    first: i64,
    part: f32,
}

impl Window {
    pub fn new(to_grid: &Affine) -> Self {
        let fixed = |value: f32, shift: f64| {
            let value = (f64::from(value) + shift).clamp(-FAR, FAR);
            (value * f64::from(1u32 << POINT)).round() as i64
        };
        let extent = |a: f32, b: f32| (a.hypot(b).round() as usize).clamp(1, WIDEST);
        let before = |extent: usize| 0.5 - extent as f64 / 2.0;
        let size = [extent(to_grid.a, to_grid.b), extent(to_grid.c, to_grid.d)];
        Self {
            origin: [
                fixed(to_grid.tx, before(size[0])),
                fixed(to_grid.ty, before(size[1])),
            ],
            right: [fixed(to_grid.a, 0.0), fixed(to_grid.c, 0.0)],
            down: [fixed(to_grid.b, 0.0), fixed(to_grid.d, 0.0)],
            size,
        }
    }

    /// `STEP` is the samples' step, `COUNT` that of their components, known to the compiler.
    #[inline(always)]
    fn means_of<S: Store, const STEP: usize, const COUNT: usize>(
        &self,
        store: S,
        samples: &Samples,
        size: usize,
        out: &mut [&mut [f32]; 3],
    ) {
        let planes = samples.components::<COUNT>();
        let Some(Ok(out)) = planes.map(|planes| out.get_disjoint_mut(planes)) else {
            return;
        };
        if self.is_copy() {
            self.copy::<S, STEP, COUNT>(store, samples, size, out);
        } else if self.is_upright() {
            self.upright::<S, STEP, COUNT>(store, samples, size, out);
        } else {
            self.turned::<S, STEP, COUNT>(store, samples, size, out);
        }
    }

    /// Whether every tensor pixel is one whole sample, in the same order.
    fn is_copy(&self) -> bool {
        const STEP: i64 = 1 << POINT;
        let steps = self.right == [STEP, 0] && self.down == [0, STEP];
        steps && self.origin.iter().all(|at| at % STEP == 0)
    }

    /// The samples as they are.
    #[inline(always)]
    fn copy<S: Store, const STEP: usize, const COUNT: usize>(
        &self,
        store: S,
        samples: &Samples,
        size: usize,
        mut out: [&mut &mut [f32]; COUNT],
    ) {
        let [left, top] = self.origin.map(|at| at >> POINT);
        let last = [samples.width, samples.height].map(|length| length as i64 - 1);
        let inside = left >= 0 && left + size as i64 - 1 <= last[0];
        for (row, y) in (0..size).zip(top..) {
            let values = samples.row(y.clamp(0, last[1]) as usize);
            for (lane, out) in out.iter_mut().enumerate() {
                let out = &mut out[row * size..][..size];
                let offset = samples.offset + lane;
                if inside {
                    let first = offset + left as usize * STEP;
                    for (index, out) in out.iter_mut().enumerate() {
                        *out = store.get(values, first + index * STEP).into();
                    }
                    continue;
                }
                for (out, x) in out.iter_mut().zip(left..) {
                    let x = x.clamp(0, last[0]) as usize;
                    *out = store.get(values, offset + x * STEP).into();
                }
            }
        }
    }

    /// Whether a row of the tensor lies along a row of samples.
    fn is_upright(&self) -> bool {
        self.right[1] == 0 && self.down[0] == 0 && self.right[0] > 0
    }

    /// Where the window of a tensor pixel begins along an axis.
    fn position(&self, axis: usize, [column, row]: [usize; 2]) -> i64 {
        self.origin[axis] + column as i64 * self.right[axis] + row as i64 * self.down[axis]
    }

    /// The same on an axis of `length` samples: a window that sees but the edge is drawn to it.
    fn place(&self, axis: usize, pixel: [usize; 2], length: usize) -> Place {
        let least = -(self.size[axis] as i64) << POINT;
        let at = self
            .position(axis, pixel)
            .clamp(least, (length as i64 - 1) << POINT);
        Place {
            first: at >> POINT,
            part: (at & ((1 << POINT) - 1)) as i32 as f32 / (1 << POINT) as f32,
        }
    }

    /// Every row finds its columns at the same places, and every column its rows.
    #[inline(always)]
    fn upright<S: Store, const STEP: usize, const COUNT: usize>(
        &self,
        store: S,
        samples: &Samples,
        size: usize,
        mut out: [&mut &mut [f32]; COUNT],
    ) {
        let [width, height] = self.size;
        let scale = 1.0 / (width * height) as f32;
        let mut line = [0.0; SPAN];
        let mut strip = Strip::<S, STEP, COUNT>::new(store, samples, height);
        let mut start = 0;
        while start < size {
            let place = |column| self.place(0, [column, 0], samples.width);
            let left = place(start).first;
            let mut columns = [(0, 0.0); RUN];
            let mut count = 0;
            let mut length = 0;
            for (slot, column) in columns.iter_mut().zip(start..size) {
                let Place { first, part } = place(column);
                let offset = (first - left) as usize;
                if (offset + width + 1) * STEP > SPAN {
                    break;
                }
                *slot = (offset * STEP, part);
                length = offset + width + 1;
                count += 1;
            }
            let columns = &columns[..count];
            strip.lie(left, length);
            let line = &mut line[..strip.length];
            let mut above = None;
            for row in 0..size {
                let y = self.place(1, [0, row], samples.height);
                let to = row * size + start;
                if above.replace(y) == Some(y) {
                    // Beyond the frame's edge all rows see the same.
                    for out in &mut out {
                        out.copy_within(to - size..to - size + count, to);
                    }
                    continue;
                }
                strip.interpolate(y, line);
                for (index, (offset, part)) in columns.iter().enumerate() {
                    let under = &line[*offset..][..width * STEP + COUNT];
                    for (lane, out) in out.iter_mut().enumerate() {
                        let whole: f32 = (0..width).map(|x| under[x * STEP + lane]).sum();
                        let ends = under[width * STEP + lane] - under[lane];
                        out[to + index] = (whole + ends * part) * scale;
                    }
                }
            }
            start += count;
        }
    }

    /// Tile by tile, from the sums at all whole places that the windows of a tile lie between.
    #[inline(always)]
    fn turned<S: Store, const STEP: usize, const COUNT: usize>(
        &self,
        store: S,
        samples: &Samples,
        size: usize,
        mut out: [&mut &mut [f32]; COUNT],
    ) {
        let [width, height] = self.size;
        let scale = 1.0 / (width * height) as f32;
        let side = self.tile(STEP);
        let mut sums = [S::Sum::default(); AREA];
        let mut strip = Strip::<S, STEP, COUNT>::new(store, samples, height);
        for (top, left) in tiles(size, side) {
            let (right, bottom) = ((left + side).min(size), (top + side).min(size));
            let across = self.reach(0, [left..right, top..bottom], samples.width);
            let down = self.reach(1, [left..right, top..bottom], samples.height);
            let pitch = across.count * STEP;
            strip.lie(across.first, across.count + width - 1);
            strip.start(down.first);
            for sums in sums.chunks_exact_mut(pitch).take(down.count) {
                strip.sum_across(width, sums);
                strip.slide();
            }
            let count = right - left;
            for row in 0..bottom - top {
                let to = (top + row) * size + left;
                let places = Places::new([&across, &down], row, [STEP, pitch]);
                for (lane, out) in out.iter_mut().enumerate() {
                    let out = &mut out[to..to + count];
                    places.interpolate::<S::Code, S::Sum, STEP>(&sums[lane..], pitch, scale, out);
                }
            }
        }
    }

    /// Side of the largest tile whose means there is room for.
    fn tile(&self, step: usize) -> usize {
        let mut side = TILE;
        while side > 1 {
            let [across, down] = [0, 1].map(|axis| {
                let steps = self.right[axis].abs() + self.down[axis].abs();
                ((steps * (side as i64 - 1)) >> POINT) as usize + 3
            });
            if (across + self.size[0]) * step <= SPAN && across * down * step <= AREA {
                break;
            }
            side -= side.div_ceil(4);
        }
        side
    }

    /// Where the windows of a tile of `columns` and `rows` lie along an axis of `length` samples.
    fn reach(&self, axis: usize, [columns, rows]: [Range<usize>; 2], length: usize) -> Reach {
        let corner = |column, row| self.place(axis, [column, row], length).first;
        let ends = [columns.start, columns.end - 1];
        let corners = ends.map(|column| [corner(column, rows.start), corner(column, rows.end - 1)]);
        let corners = corners.as_flattened();
        let first = corners.iter().copied().fold(i64::MAX, i64::min);
        let last = corners.iter().copied().fold(i64::MIN, i64::max);
        let start = self.position(axis, [columns.start, rows.start]) - (first << POINT);
        let samples = |fixed: i64| fixed as f32 / (1 << POINT) as f32;
        Reach {
            first,
            count: (last - first) as usize + 2,
            start: samples(start),
            right: samples(self.right[axis]),
            down: samples(self.down[axis]),
            most: (last - first + 1).min(length as i64 - 1 - first) as f32,
        }
    }
}

/// Upper left corners of the tiles of `side` in a square of `size`.
fn tiles(size: usize, side: usize) -> impl Iterator<Item = (usize, usize)> {
    let starts = move || (0..size).step_by(side);
    starts().flat_map(move |top| starts().map(move |left| (top, left)))
}

/// Where the windows of a tile lie along an axis.
struct Reach {
    /// Whole places: the first one, and how many the windows lie between.
    first: i64,
    count: usize,
    /// From there to the tile's first window, its steps, and the furthest place.
    start: f32,
    right: f32,
    down: f32,
    most: f32,
}

impl Reach {
    /// The whole place before a window of the tile, and how far it is beyond it.
    #[inline(always)]
    fn place(&self, column: usize, row: usize) -> (i32, f32) {
        let at = self.start + column as f32 * self.right + row as f32 * self.down;
        let at = at.clamp(0.0, self.most);
        let whole = at as i32;
        (whole, at - whole as f32)
    }
}

/// Where the windows of a row of a tile lie. Each step goes over all of them, so that the compiler
/// can use vector instructions.
struct Places {
    /// The first of the four sums that a window lies between, and how far it is beyond it.
    first: [i32; TILE],
    right: [f32; TILE],
    below: [f32; TILE],
}

impl Places {
    /// Places along both axes in a row of the tile, and the sums' steps along them.
    #[inline(always)]
    fn new([across, down]: [&Reach; 2], row: usize, steps: [usize; 2]) -> Self {
        let mut places = Self {
            first: [0; TILE],
            right: [0.0; TILE],
            below: [0.0; TILE],
        };
        let [step, pitch] = steps.map(|step| step as i32);
        for column in 0..TILE {
            let (x, right) = across.place(column, row);
            let (y, below) = down.place(column, row);
            places.first[column] = y * pitch + x * step;
            places.right[column] = right;
            places.below[column] = below;
        }
        places
    }

    /// The sums at the places, times `scale`, of `sums` that lie in lines of `pitch`.
    #[inline(always)]
    fn interpolate<Code, S: Sum<Code>, const STEP: usize>(
        &self,
        sums: &[S],
        pitch: usize,
        scale: f32,
        out: &mut [f32],
    ) {
        let mut corners = [[S::default(); TILE]; 4];
        for (column, first) in self.first[..out.len()].iter().enumerate() {
            let upper = &sums[*first as usize..][..STEP + 1];
            let lower = &sums[*first as usize + pitch..][..STEP + 1];
            corners[0][column] = upper[0];
            corners[1][column] = upper[STEP];
            corners[2][column] = lower[0];
            corners[3][column] = lower[STEP];
        }
        let mut means = [0.0; TILE];
        for (column, mean) in means.iter_mut().enumerate() {
            let [a, b] = [corners[0][column].to_f32(), corners[1][column].to_f32()];
            let [c, d] = [corners[2][column].to_f32(), corners[3][column].to_f32()];
            let upper = a + (b - a) * self.right[column];
            let lower = c + (d - c) * self.right[column];
            *mean = (upper + (lower - upper) * self.below[column]) * scale;
        }
        out.copy_from_slice(&means[..out.len()]);
    }
}

/// Sums of lines that lie under each other, of a part of their samples. The edges go on for ever.
struct Strip<'a, S: Store, const STEP: usize, const COUNT: usize> {
    store: S,
    samples: &'a Samples<'a>,
    /// The first line, and how many are summed.
    top: i64,
    height: usize,
    /// The elements of a line in the frame that are wanted, and how many before them.
    elements: Range<usize>,
    before: usize,
    /// Sums, of which those of elements between the components mean nothing.
    length: usize,
    sums: [S::Sum; SPAN + 4],
}

impl<'a, S: Store, const STEP: usize, const COUNT: usize> Strip<'a, S, STEP, COUNT> {
    #[inline(always)]
    fn new(store: S, samples: &'a Samples<'a>, height: usize) -> Self {
        Self {
            store,
            samples,
            top: 0,
            height,
            elements: 0..0,
            before: 0,
            length: 0,
            sums: [S::Sum::default(); SPAN + 4],
        }
    }

    /// From here on of `length` samples from `left` on, of which at least one lies in the frame.
    #[inline(always)]
    fn lie(&mut self, left: i64, length: usize) {
        let start = left.max(0) as usize;
        let end = ((left + length as i64) as usize).min(self.samples.width);
        let element = |x: usize| self.samples.offset + x * STEP;
        self.elements = element(start)..element(end - 1) + COUNT;
        self.before = (start as i64 - left) as usize * STEP;
        self.length = (length - 1) * STEP + COUNT;
    }

    #[inline(always)]
    fn row(&self, y: i64) -> &'a [u8] {
        let y = y.clamp(0, self.samples.height as i64 - 1);
        self.samples.row(y as usize)
    }

    /// Sums up the lines from `top` on.
    #[inline(always)]
    fn start(&mut self, top: i64) {
        self.top = top;
        let elements = self.elements.clone();
        let inside = self.before..self.before + elements.len();
        self.sums[inside.clone()].fill(S::Sum::default());
        for y in top..top + self.height as i64 {
            let row = self.row(y);
            let sums = &mut self.sums[inside.clone()];
            self.store.add(row, elements.clone(), sums);
        }
        self.extend();
    }

    /// One line further down.
    #[inline(always)]
    fn slide(&mut self) {
        let (old, new) = (self.row(self.top), self.row(self.top + self.height as i64));
        let elements = self.elements.clone();
        let sums = &mut self.sums[self.before..][..elements.len()];
        self.store.replace(old, new, elements, sums);
        self.top += 1;
        self.extend();
    }

    /// Beyond the frame's edges.
    #[inline(always)]
    fn extend(&mut self) {
        let first = self.before;
        for at in (0..first).step_by(STEP) {
            self.sums.copy_within(first..first + COUNT, at);
        }
        let last = first + self.elements.len() - COUNT;
        for at in (last..self.length).step_by(STEP).skip(1) {
            self.sums.copy_within(last..last + COUNT, at);
        }
    }

    /// The sums at a place between two lines.
    #[inline(always)]
    fn interpolate(&mut self, place: Place, out: &mut [f32]) {
        self.start(place.first);
        for (out, sum) in out.iter_mut().zip(&self.sums) {
            *out = sum.to_f32();
        }
        self.slide();
        for (out, sum) in out.iter_mut().zip(&self.sums) {
            *out += (sum.to_f32() - *out) * place.part;
        }
    }

    /// The sums of `width` samples from each one on.
    #[inline(always)]
    fn sum_across(&self, width: usize, out: &mut [S::Sum]) {
        let length = out.len();
        out.copy_from_slice(&self.sums[..length]);
        for x in 1..width {
            // Beyond the end lie sums of other lines, which nobody reads.
            let under = &self.sums[x * STEP..][..length];
            for (sum, under) in out.iter_mut().zip(under) {
                *sum += *under;
            }
        }
    }
}
