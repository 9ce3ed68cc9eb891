//! Writing a redrawn region back into the frame that it came from.
//!
//! Must not know what is drawn, or why.
//!
//! The frame's own samples move at the frame's own resolution, each component by itself; only
//! what no sample of the frame can show is drawn, and only that passes through a colour matrix.

use std::ops::Range;

use super::{
    Affine, View,
    colour::to_byte,
    field::Field,
    layout::Grid,
    warp::{Rect, Shift, Source},
};

/// A redrawn square of `size` x `size` pixels and where it lies in the frame.
///
/// A frame pixel at patch place `p` becomes
/// `frame * (1 - mask) + mask * (moved * (1 - alpha) + rgb * alpha)`, where `moved` is the frame
/// at `p + flow(p)`, and all maps are interpolated at `p`. Values that are not finite count as no
/// change, maps that are too short as absent.
pub struct Patch<'a> {
    pub size: usize,
    /// Patch pixels to frame pixels. Without an inverse the patch changes nothing.
    pub to_frame: Affine,
    /// `[2, size, size]`: x and y in patch pixels to where the frame is read.
    pub flow: Option<&'a [f32]>,
    /// What lies over the moved frame.
    pub drawn: Option<Drawn<'a>>,
    /// `[size, size]`, 0..1: how much of the result replaces the frame. The patch ends half a
    /// pixel beyond the centres of its outermost pixels; there the mask should have come to 0.
    pub mask: &'a [f32],
}

/// A drawn picture.
pub struct Drawn<'a> {
    /// `[3, size, size]`: R, G, B, 0..1.
    pub rgb: &'a [f32],
    /// `[size, size]`, 0..1: 1 hides the frame.
    pub alpha: &'a [f32],
}

/// Blends patches into frames. Keeps its memory: it allocates only for a larger patch than any
/// before.
pub struct Blender {
    field: Field,
    source: Source,
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
            source: Source::new(),
        }
    }

    /// Redraws `patch` in place. Bytes where the mask is 0 stay as they are, as do alpha and
    /// padding bytes. A frame whose planes are too short for it is left alone.
    pub fn blend(&mut self, view: &mut View, patch: &Patch) {
        let layout = view.format.layout();
        let encode = view.colour.encoder(layout.model);
        if !view.is_whole() || !self.field.load(patch, &encode) {
            return;
        }
        for grid in layout.grids {
            match grid.count {
                1 => self.blend_grid::<1>(view, grid),
                2 => self.blend_grid::<2>(view, grid),
                _ => self.blend_grid::<3>(view, grid),
            }
        }
    }

    /// Redraws the `N` components of `grid`.
    fn blend_grid<const N: usize>(&mut self, view: &mut View, grid: &Grid) {
        let Self { field, source } = self;
        let track = Track::new(grid, field);
        let size = grid.size(view.width, view.height);
        let region = track.region(size);
        if region.left == region.right || region.top == region.bottom {
            return;
        }
        let density = grid.density();
        let reach = [0, 1].map(|axis| field.reach[axis] * density[axis]);
        let components = grid
            .components()
            .filter_map(|index| view.samples(grid, index));
        source.load(components, size, region, reach);

        let layout = view.format.layout();
        let channels: [_; N] = std::array::from_fn(|index| layout.channels[grid.first + index]);
        for y in region.top..region.bottom {
            let rows = view.planes.each_mut().map(|plane| {
                let start = y as usize * plane.stride;
                plane.data.get_mut(start..).unwrap_or_default()
            });
            let span = track.span(y, region.left..region.right);
            let ([u, v], [right_u, right_v]) = (track.texel(span.start, y), track.right());
            for (along, x) in span.enumerate() {
                let along = along as f32;
                let cell = field.cell([u + along * right_u, v + along * right_v]);
                let [dx, dy, mask, alpha] = field.at(&field.shape, cell);
                let shift = [Shift::new(dx * density[0]), Shift::new(dy * density[1])];
                let moves = shift != [Shift::NONE; 2];
                if !(mask > 0.0 && (moves || alpha > 0.0)) {
                    continue;
                }
                let ink = if alpha > 0.0 {
                    field.at(&field.ink, cell)
                } else {
                    [0.0; 4]
                };
                let index = source.index(x, y);
                let place = source.place(x, y, shift);
                for (component, channel) in channels.iter().enumerate() {
                    let frame = source.value(component, index);
                    let moved = source.moved(component, &place);
                    let drawn = ink[grid.first + component] - alpha * moved;
                    // Written so that a frame that does not move stays exactly as it is.
                    let result = frame + mask * ((moved - frame) + drawn);
                    rows[channel.plane][x as usize * channel.step + channel.offset] =
                        to_byte(result);
                }
            }
        }
    }
}

/// How a grid's samples lie in the texels of a field.
struct Track {
    from_grid: Affine,
    to_grid: Option<Affine>,
    /// See [`Field::extent`].
    extent: [[f32; 2]; 2],
}

impl Track {
    fn new(grid: &Grid, field: &Field) -> Self {
        let from_grid = field.from_frame.after(&grid.grid_to_frame());
        Self {
            from_grid,
            to_grid: from_grid.inverse(),
            extent: field.extent,
        }
    }

    /// The samples of a grid of `size` that the field's extent may cover.
    fn region(&self, size: [usize; 2]) -> Rect {
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
        Rect {
            left,
            top,
            right: (greatest[0] as i32).clamp(left, width),
            bottom: (greatest[1] as i32).clamp(top, height),
        }
    }

    /// The samples of row `y` in `columns` that lie in the extent.
    fn span(&self, y: i32, columns: Range<i32>) -> Range<i32> {
        let [start_u, start_v] = self.exact(0, y);
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

    fn exact(&self, x: i32, y: i32) -> [f64; 2] {
        let Affine { a, b, c, d, tx, ty } = self.from_grid;
        let (x, y) = (f64::from(x), f64::from(y));
        [(a, b, tx), (c, d, ty)].map(|(right, down, origin)| {
            f64::from(right) * x + f64::from(down) * y + f64::from(origin)
        })
    }

    /// The texel place of sample (x, y).
    fn texel(&self, x: i32, y: i32) -> [f32; 2] {
        self.exact(x, y).map(|place| place as f32)
    }

    /// Texels a sample to the right.
    fn right(&self) -> [f32; 2] {
        [self.from_grid.a, self.from_grid.c]
    }
}
