//! Putting a picture over whole pixels of a frame, in place, in the frame's own format.
//!
//! Must not know what it shows. What lies anywhere else, or has a soft edge, `blend.rs` writes.

use std::ops::Range;

use crate::pixels::{
    Rows, View,
    frame::{
        colour::{Encoder, Transform},
        element::{Store, with_store},
        layout::{Channel, Grid},
    },
    read::opencv_resize::Extent,
};

/// Value of white in a picture.
const WHITE: f32 = 255.0;
/// Samples of a row that are worked on together: few enough for the nearest cache.
const RUN: usize = 64;

/// A picture, and where in the frame it lies.
pub struct Stamp<'a> {
    /// R, G, B, 0..255, in rows as `extent` says.
    pub rgb: [&'a [f32]; 3],
    pub extent: Extent,
    /// x and y of the frame's pixel under the first one.
    pub at: [usize; 2],
    /// 0 = the frame as it was .. 1 = the picture.
    pub strength: f32,
}

/// Writes a picture over the frame; what lies beyond the frame is left out. Where several pixels
/// share a sample of colour, it becomes the mean of those that are written. Alpha and padding
/// bytes stay. A frame or a picture that is too short for its size is left alone.
pub fn stamp(view: &mut View, stamp: &Stamp) {
    let [left, top] = stamp.at;
    let right = left.saturating_add(stamp.extent.width).min(view.width);
    let bottom = top.saturating_add(stamp.extent.height).min(view.height);
    let length = stamp.extent.len();
    let is_whole = length > 0 && stamp.rgb.iter().all(|plane| plane.len() >= length);
    if left >= right || top >= bottom || !is_whole || !view.is_whole() {
        return;
    }
    let layout = view.format.layout();
    let Encoder { transform, curves } = view.colour.encoder(&layout);
    let encode = Encoder {
        transform: Transform {
            rows: transform.rows.map(|row| row.map(|weight| weight / WHITE)),
            ..transform
        },
        curves,
    };
    let area = Written {
        columns: left..right,
        lines: view.rows.within(&(top..bottom)),
        rows: view.rows,
    };
    if area.lines.is_empty() {
        return;
    }
    for grid in layout.grids {
        let [across, down] = grid.shift;
        for y in covering(&area.lines, down) {
            let columns = covering(&area.columns, across);
            for first in columns.clone().step_by(RUN) {
                let count = RUN.min(columns.end - first);
                let mut seen = Seen::new(stamp, &area, grid, [first, y], count);
                seen.convert(&encode);
                for index in grid.components() {
                    let channel = layout.channels[index];
                    let plane = &mut view.planes[channel.plane];
                    let row = &mut plane.data[y * plane.stride..];
                    let weights = (encode.transform.rows[index], encode.transform.offset[index]);
                    with_store!(layout.element, store => {
                        seen.write(store, row, &channel, first, weights, stamp.strength);
                    });
                }
            }
        }
    }
}

/// The pixels that are written.
struct Written {
    columns: Range<usize>,
    /// Which of `rows`.
    lines: Range<usize>,
    rows: Rows,
}

/// The samples that pixels lie under where `1 << shift` of them share one.
fn covering(pixels: &Range<usize>, shift: u32) -> Range<usize> {
    pixels.start >> shift..((pixels.end - 1) >> shift) + 1
}

/// The pixels under a sample, of those in a range.
fn under(sample: usize, shift: u32, pixels: &Range<usize>) -> Range<usize> {
    (sample << shift).max(pixels.start)..((sample + 1) << shift).min(pixels.end)
}

/// The picture under a run of samples: R, G, B, 0..255.
struct Seen {
    rgb: [[f32; RUN]; 3],
    count: usize,
}

impl Seen {
    /// Under the `count` samples of `grid` from `x, y` on.
    fn new(stamp: &Stamp, area: &Written, grid: &Grid, [x, y]: [usize; 2], count: usize) -> Self {
        let mut rgb = [[0.0; RUN]; 3];
        let [across, down] = grid.shift;
        let place = |x: usize, line: usize| {
            let y = area.rows.in_frame(line);
            (y - stamp.at[1]) * stamp.extent.stride + x - stamp.at[0]
        };
        for (seen, picture) in rgb.iter_mut().zip(stamp.rgb) {
            if grid.shift == [0, 0] {
                seen[..count].copy_from_slice(&picture[place(x, y)..][..count]);
                continue;
            }
            let rows = under(y, down, &area.lines);
            for (sample, seen) in (x..x + count).zip(seen) {
                let columns = under(sample, across, &area.columns);
                let pixels = (rows.len() * columns.len()) as f32;
                let lines = rows.clone().map(|row| {
                    let line = &picture[place(columns.start, row)..][..columns.len()];
                    line.iter().sum::<f32>()
                });
                *seen = lines.sum::<f32>() / pixels;
            }
        }
        Self { rgb, count }
    }

    /// From standard range to the frame's.
    fn convert(&mut self, encode: &Encoder) {
        if let Some(curves) = encode.curves {
            for value in self.rgb.as_flattened_mut() {
                *value = curves.to_signal(*value / WHITE) * WHITE;
            }
        }
    }

    /// Writes one component from sample `first` of a row on.
    fn write(
        &self,
        store: impl Store,
        row: &mut [u8],
        channel: &Channel,
        first: usize,
        (weights, offset): ([f32; 3], f32),
        strength: f32,
    ) {
        let [red, green, blue] = self.rgb.each_ref().map(|seen| &seen[..self.count]);
        let mut stored = [0.0; RUN];
        for (((stored, r), g), b) in stored.iter_mut().zip(red).zip(green).zip(blue) {
            *stored = weights[0] * r + weights[1] * g + weights[2] * b + offset;
        }
        for (x, stored) in (first as u32..).zip(&stored[..self.count]) {
            let own = store.get(row, channel.element(x)).into();
            let code = store.code(own + strength * (stored - own));
            store.set(row, channel.element(x), code);
        }
    }
}
