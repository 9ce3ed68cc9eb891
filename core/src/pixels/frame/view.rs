//! A video frame in memory: planes, strides, format, colour.

use std::ops::Range;

use super::{Colour, Format, layout::Grid};
use crate::pixels::Affine;

/// One plane: `stride` bytes from a row to the next. The last row may end without its padding.
pub struct Plane<'a> {
    pub data: &'a mut [u8],
    pub stride: usize,
}

/// A whole frame, or one field of it, borrowed for change in place. `planes` are in GStreamer's
/// order for the format (YV12: Y, V, U); those that the format does not have are empty. A plane of
/// alpha is left out.
pub struct View<'a> {
    pub format: Format,
    /// Of the frame, also where the planes hold but a field of it.
    pub width: usize,
    pub height: usize,
    pub colour: Colour,
    /// Which of the frame's rows the planes hold.
    pub rows: Rows,
    pub planes: [Plane<'a>; 3],
}

impl View<'_> {
    /// The field of a frame whose fields lie row by row between each other. A field of a field is
    /// that field.
    pub fn field(&mut self, rows: Rows) -> View<'_> {
        let is_split = self.rows == Rows::All && rows != Rows::All;
        let planes = self.planes.each_mut().map(|Plane { data, stride }| {
            if !is_split {
                return Plane {
                    data,
                    stride: *stride,
                };
            }
            // What is too short for the frame is too short for its field.
            let start = (rows.first() * *stride).min(data.len());
            Plane {
                data: &mut data[start..],
                stride: stride.saturating_mul(2),
            }
        });
        View {
            rows: if is_split { rows } else { self.rows },
            planes,
            ..*self
        }
    }

    /// Samples of `grid` across and down.
    pub(in crate::pixels) fn grid_size(&self, grid: &Grid) -> [usize; 2] {
        grid.size(self.width, self.rows.within(&(0..self.height)).len())
    }

    /// Samples of `grid` a frame pixel, across and down.
    pub(in crate::pixels) fn density(&self, grid: &Grid) -> [f32; 2] {
        let [across, down] = grid.density();
        [across, down / self.rows.apart() as f32]
    }

    /// Frame coordinates to coordinates of `grid`.
    pub(in crate::pixels) fn frame_to_grid(&self, grid: &Grid) -> Affine {
        let map = grid.frame_to_grid(self.colour.siting);
        let apart = self.rows.apart() as f32;
        match self.rows {
            Rows::All => map,
            Rows::Top | Rows::Bottom => Affine {
                d: map.d / apart,
                ty: (map.ty - self.rows.first() as f32) / apart,
                ..map
            },
        }
    }

    /// Coordinates of `grid` to frame coordinates.
    pub(in crate::pixels) fn grid_to_frame(&self, grid: &Grid) -> Affine {
        let map = grid.grid_to_frame(self.colour.siting);
        match self.rows {
            Rows::All => map,
            Rows::Top | Rows::Bottom => Affine {
                d: map.d * self.rows.apart() as f32,
                ty: map.ty + map.d * self.rows.first() as f32,
                ..map
            },
        }
    }
}

/// All rows of a frame, or those of one field.
///
/// Of subsampled chroma, too, every second row belongs to the same field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Rows {
    #[default]
    All,
    /// The first, the third and so on.
    Top,
    /// The second, the fourth and so on.
    Bottom,
}

impl Rows {
    /// The first of them in the frame.
    const fn first(self) -> usize {
        match self {
            Self::All | Self::Top => 0,
            Self::Bottom => 1,
        }
    }

    /// From one to the next.
    const fn apart(self) -> usize {
        match self {
            Self::All => 1,
            Self::Top | Self::Bottom => 2,
        }
    }

    /// Which of these rows are among `rows` of the frame.
    pub(in crate::pixels) fn within(self, rows: &Range<usize>) -> Range<usize> {
        let before = |row: usize| row.saturating_sub(self.first()).div_ceil(self.apart());
        before(rows.start)..before(rows.end)
    }

    /// Where one of these rows is in the frame.
    pub(in crate::pixels) fn in_frame(self, row: usize) -> usize {
        row * self.apart() + self.first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_share_the_rows_of_the_frame() {
        for height in 0..7 {
            for from in 0..=height {
                let rows = from..height;
                let mut of_fields: Vec<_> = [Rows::Top, Rows::Bottom]
                    .into_iter()
                    .flat_map(|field| field.within(&rows).map(move |row| field.in_frame(row)))
                    .collect();
                of_fields.sort_unstable();
                assert!(of_fields.into_iter().eq(rows.clone()), "{rows:?}");
                assert_eq!(Rows::All.within(&rows), rows);
            }
        }
    }
}
