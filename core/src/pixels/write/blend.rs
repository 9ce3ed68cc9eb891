//! Writing a redrawn region back into the frame that it came from.
//!
//! Must not know what is drawn, or why.
//!
//! The frame's own samples move at the frame's own resolution, each component by itself; only
//! what no sample of the frame can show is drawn, and only that passes through a colour matrix.

use std::ops::Range;

use crate::pixels::{
    Affine, View,
    frame::{
        element::{Element, Store, with_store},
        layout::{Channel, Grid},
    },
    geometry::lanes::wide,
    write::{
        field::{Field, Line, Texel},
        warp::{CopiedRegion, GridRect, Place, Shift},
    },
};

/// A redrawn rectangle and where it lies in the frame.
///
/// A frame pixel at patch place `p` becomes
/// `frame * (1 - mask) + mask * (moved * (1 - alpha) + rgb * alpha)`, where `moved` is the frame
/// at `p + flow(p)`, and all maps are interpolated at `p`. Values that are not finite count as no
/// change, maps that are too short as absent.
pub struct Patch<'a> {
    /// Width and height in patch pixels.
    pub size: [usize; 2],
    /// Patch pixels to frame pixels. Without an inverse the patch changes nothing.
    pub to_frame: Affine,
    /// `[2, height, width]`: x and y in patch pixels to where the frame is read.
    pub flow: Option<&'a [f32]>,
    /// What lies over the moved frame.
    pub drawn: Option<Drawn<'a>>,
    /// `[height, width]`, 0..1: how much of the result replaces the frame. The patch ends half a
    /// pixel beyond the centres of its outermost pixels; there the mask should have come to 0.
    pub mask: &'a [f32],
}

/// A drawn picture.
pub struct Drawn<'a> {
    /// `[3, height, width]`: R, G, B, 0..1.
    pub rgb: &'a [f32],
    /// `[height, width]`, 0..1: 1 hides the frame.
    pub alpha: &'a [f32],
}

/// Blends patches into frames. Keeps its memory: it allocates only for a larger patch than any
/// before.
pub struct Blender {
    field: Field,
    source: CopiedRegion,
    run: Run,
}

impl Default for Blender {
    fn default() -> Self {
        Self::new()
    }
}

impl Blender {
    pub fn new() -> Self {
        Self {
            field: Field::new(),
            source: CopiedRegion::new(),
            run: Run::new(),
        }
    }

    /// Redraws `patch` in place. Bytes where the mask is 0 stay as they are, as do alpha and
    /// padding bytes. A frame whose planes are too short for it is left alone.
    pub fn blend(&mut self, view: &mut View, patch: &Patch) {
        let layout = view.format.layout();
        let encode = view.colour.encoder(&layout);
        if !view.is_whole() || !self.field.load(patch, &encode) {
            return;
        }
        for grid in layout.grids {
            blend_grid(self, view, grid, layout.element);
        }
    }

    #[inline(always)]
    fn blend_samples(&mut self, view: &mut View, grid: &Grid, store: impl Store) {
        let Self { field, source, run } = self;
        let track = Track::new(&view.grid_to_frame(grid), field);
        let size = view.grid_size(grid);
        let region = track.region(size);
        if region.left == region.right || region.top == region.bottom {
            return;
        }
        let density = view.density(grid);
        // Where nothing moves every sample has but its own place to be read from.
        let moves = field.reach != [0.0; 2];
        if moves {
            let reach = [0, 1].map(|axis| field.reach[axis] * density[axis]);
            let components = grid
                .components()
                .filter_map(|index| view.samples(grid, index));
            source.load(components, size, region, reach);
        }

        let channels = view.format.layout().channels;
        let maps = Maps {
            field,
            source: moves.then_some(&*source),
            density,
        };
        for y in region.top..region.bottom {
            let span = track.span(y, region.left..region.right);
            let line = track.line(span.start, y);
            for first in span.clone().step_by(RUN) {
                let offset = (first - span.start) as usize;
                let part = offset..(offset + RUN).min(span.len());
                run.choose(&maps, &line, part, [first, y]);
                for (nth, index) in grid.components().enumerate() {
                    let channel = channels[index];
                    let plane = &mut view.planes[channel.plane];
                    let row = &mut plane.data[y as usize * plane.stride..];
                    match maps.source {
                        Some(source) => run.read(source, nth),
                        None => run.stay(store, row, &channel),
                    }
                    run.write(store, index, row, &channel);
                }
            }
        }
    }
}

wide! {
    /// Redraws the components of `grid`.
    fn blend_grid(blender: &mut Blender, view: &mut View, grid: &Grid, element: Element) {
        with_store!(element, store => blender.blend_samples(view, grid, store));
    }
}

/// Samples of a row that are worked on together: few enough for the nearest cache.
const RUN: usize = 64;

/// A part of a row, reduced to the samples that change. Each step goes over all of them, so that
/// the compiler can use vector instructions.
struct Run {
    count: usize,
    columns: [u32; RUN],
    places: [Place; RUN],
    mask: [f32; RUN],
    alpha: [f32; RUN],
    ink: [Texel; RUN],
    own: [f32; RUN],
    moved: [f32; RUN],
}

impl Run {
    fn new() -> Self {
        Self {
            count: 0,
            columns: [0; RUN],
            places: [Place::default(); RUN],
            mask: [0.0; RUN],
            alpha: [0.0; RUN],
            ink: [[0.0; 4]; RUN],
            own: [0.0; RUN],
            moved: [0.0; RUN],
        }
    }

    /// Takes those samples from `x, y` on that change; they are the `part` of `line`.
    #[inline(always)]
    fn choose(&mut self, maps: &Maps, line: &Line, part: Range<usize>, [x, y]: [i32; 2]) {
        let mut shape = [[0.0; 4]; RUN];
        let shape = &mut shape[..part.len()];
        maps.field.shape_along(line, part.start, shape);
        let mut slot = 0;
        let [across, down] = maps.density;
        for ((index, x), [dx, dy, mask, alpha]) in part.zip(x..).zip(shape) {
            let shift = [Shift::new(*dx * across), Shift::new(*dy * down)];
            if !(*mask > 0.0 && (*alpha > 0.0 || shift != [Shift::NONE; 2])) {
                continue;
            }
            self.columns[slot] = x as u32;
            if let Some(source) = maps.source {
                self.places[slot] = source.place(x, y, shift);
            }
            self.mask[slot] = *mask;
            self.alpha[slot] = *alpha;
            self.ink[slot] = if *alpha > 0.0 {
                maps.field.ink_at(line, index)
            } else {
                [0.0; 4]
            };
            slot += 1;
        }
        self.count = slot;
    }

    /// Reads the `nth` component of the source: what is there, and what moves there.
    #[inline(always)]
    fn read(&mut self, source: &CopiedRegion, nth: usize) {
        let places = &self.places[..self.count];
        let mut parts = [[0.0; 4]; RUN];
        source.read(nth, places, &mut self.own, &mut parts);
        for (moved, [first, second, third, fourth]) in self.moved.iter_mut().zip(parts) {
            *moved = (first + second) + (third + fourth);
        }
    }

    /// Reads what is there and stays there from `row`.
    #[inline(always)]
    fn stay(&mut self, store: impl Store, row: &[u8], channel: &Channel) {
        for (column, own) in self.columns[..self.count].iter().zip(&mut self.own) {
            *own = store.get(row, channel.element(*column)).into();
        }
        self.moved = self.own;
    }

    /// Writes component `index` of the format into `row`.
    #[inline(always)]
    fn write<S: Store>(&mut self, store: S, index: usize, row: &mut [u8], channel: &Channel) {
        let mut results = [S::Code::default(); RUN];
        for (slot, result) in results.iter_mut().enumerate().take(self.count) {
            let (own, moved) = (self.own[slot], self.moved[slot]);
            let drawn = self.ink[slot][index] - self.alpha[slot] * moved;
            // Written so that a sample that neither moves nor is drawn stays exactly as it is.
            *result = store.code(own + self.mask[slot] * ((moved - own) + drawn));
        }
        for (column, result) in self.columns[..self.count].iter().zip(results) {
            store.set(row, channel.element(*column), result);
        }
    }
}

/// What the samples of a grid are made of.
struct Maps<'a> {
    field: &'a Field,
    /// Of what moves, if anything does.
    source: Option<&'a CopiedRegion>,
    /// See [`View::density`].
    density: [f32; 2],
}

/// How a grid's samples lie in the texels of a field.
struct Track {
    from_grid: Affine,
    to_grid: Option<Affine>,
    /// See [`Field::extent`].
    extent: [[f32; 2]; 2],
}

impl Track {
    fn new(grid_to_frame: &Affine, field: &Field) -> Self {
        let from_grid = field.from_frame.after(grid_to_frame);
        Self {
            from_grid,
            to_grid: from_grid.inverse(),
            extent: field.extent,
        }
    }

    /// The samples of a grid of `size` that the field's extent may cover.
    fn region(&self, size: [usize; 2]) -> GridRect {
        // The map back is rounded; `span` is exact.
        const SLACK: f32 = 2.0;
        let (mut least, mut greatest) = ([f32::INFINITY; 2], [f32::NEG_INFINITY; 2]);
        if let Some(to_grid) = self.to_grid {
            for (u, v) in self.extent[0]
                .into_iter()
                .flat_map(|u| self.extent[1].map(|v| (u, v)))
            {
                for (axis, place) in to_grid.apply([u, v]).into_iter().enumerate() {
                    least[axis] = least[axis].min(place - SLACK);
                    greatest[axis] = greatest[axis].max(place + SLACK);
                }
            }
        }
        let [width, height] = size.map(|size| size as i32);
        let (left, top) = (
            (least[0] as i32).clamp(0, width),
            (least[1] as i32).clamp(0, height),
        );
        GridRect {
            left,
            top,
            right: (greatest[0] as i32).clamp(left, width),
            bottom: (greatest[1] as i32).clamp(top, height),
        }
    }

    /// The samples of row `y` in `columns` that lie in the extent.
    fn span(&self, y: i32, columns: Range<i32>) -> Range<i32> {
        let [start_u, start_v] = self.texel(0, y);
        let (mut from, mut to) = (f64::from(columns.start), f64::from(columns.end - 1));
        for (start, step, [least, greatest]) in [
            (start_u, self.from_grid.a, self.extent[0]),
            (start_v, self.from_grid.c, self.extent[1]),
        ] {
            let (least, greatest) = (f64::from(least) - start, f64::from(greatest) - start);
            let step = f64::from(step);
            if step == 0.0 {
                if least > 0.0 || greatest < 0.0 {
                    return columns.start..columns.start;
                }
                continue;
            }
            let (first, last) = (least / step, greatest / step);
            from = from.max(first.min(last));
            to = to.min(first.max(last));
        }
        let from = (from.ceil() as i32).clamp(columns.start, columns.end);
        let to = (to.floor() as i32).saturating_add(1);
        from..to.clamp(from, columns.end)
    }

    /// The row `y` from sample `x` on, in texels.
    fn line(&self, x: i32, y: i32) -> Line {
        let Affine { a, c, .. } = self.from_grid;
        Line::new(self.texel(x, y), [a, c].map(f64::from))
    }

    /// The texel place of sample (x, y).
    fn texel(&self, x: i32, y: i32) -> [f64; 2] {
        let Affine { a, b, c, d, tx, ty } = self.from_grid;
        let (x, y) = (f64::from(x), f64::from(y));
        [(a, b, tx), (c, d, ty)].map(|(right, down, origin)| {
            f64::from(right) * x + f64::from(down) * y + f64::from(origin)
        })
    }
}
