//! Putting a picture over whole pixels of a frame, in place, in the frame's own format.
//!
//! Must not know what it shows. What lies anywhere else, or has a soft edge, `blend.rs` writes.

use std::ops::Range;

use crate::pixels::{
    View,
    frame::{
        colour::{Transform, to_byte},
        layout::Grid,
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
    let encode = view.colour.encoder(layout.model);
    let encode = Transform {
        rows: encode.rows.map(|row| row.map(|weight| weight / WHITE)),
        ..encode
    };
    let area = Area {
        columns: left..right,
        rows: top..bottom,
    };
    for grid in layout.grids {
        let [across, down] = grid.shift;
        for y in covering(&area.rows, down) {
            let columns = covering(&area.columns, across);
            for first in columns.clone().step_by(RUN) {
                let count = RUN.min(columns.end - first);
                let seen = Seen::new(stamp, &area, grid, [first, y], count);
                for index in grid.components() {
                    let channel = layout.channels[index];
                    let plane = &mut view.planes[channel.plane];
                    let start = y * plane.stride + first * channel.step + channel.offset;
                    let bytes = plane.data[start..].iter_mut().step_by(channel.step);
                    let (weights, offset) = (encode.rows[index], encode.offset[index]);
                    seen.write(bytes, weights, offset, stamp.strength);
                }
            }
        }
    }
}

/// The pixels that are written.
struct Area {
    columns: Range<usize>,
    rows: Range<usize>,
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
    fn new(stamp: &Stamp, area: &Area, grid: &Grid, [x, y]: [usize; 2], count: usize) -> Self {
        let mut rgb = [[0.0; RUN]; 3];
        let [across, down] = grid.shift;
        let place = |x: usize, y: usize| (y - stamp.at[1]) * stamp.extent.stride + x - stamp.at[0];
        for (seen, picture) in rgb.iter_mut().zip(stamp.rgb) {
            if grid.shift == [0, 0] {
                seen[..count].copy_from_slice(&picture[place(x, y)..][..count]);
                continue;
            }
            let rows = under(y, down, &area.rows);
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

    fn write<'a>(
        &self,
        bytes: impl Iterator<Item = &'a mut u8>,
        weights: [f32; 3],
        offset: f32,
        strength: f32,
    ) {
        let [red, green, blue] = self.rgb.each_ref().map(|seen| &seen[..self.count]);
        let mut stored = [0.0; RUN];
        for (((stored, r), g), b) in stored.iter_mut().zip(red).zip(green).zip(blue) {
            *stored = weights[0] * r + weights[1] * g + weights[2] * b + offset;
        }
        for (byte, stored) in bytes.zip(&stored[..self.count]) {
            let own = f32::from(*byte);
            *byte = to_byte(own + strength * (stored - own));
        }
    }
}
