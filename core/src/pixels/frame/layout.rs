//! Where the components of each format lie in memory.
//!
//! Must not know what the components mean beyond their order: Y Cb Cr, R G B, or Y alone.

use std::ops::Range;

use crate::pixels::{Affine, Format, View};

/// What the components are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pixels) enum Model {
    Ycbcr,
    Rgb,
    Grey,
}

/// One component: its plane, its first byte there, and the bytes from a sample to the next.
#[derive(Clone, Copy, Debug)]
pub(in crate::pixels) struct Channel {
    pub plane: usize,
    pub offset: usize,
    pub step: usize,
}

/// Components that are sampled at the same positions.
///
/// Subsampled chroma is taken as centred between the luma samples that it covers. Broadcast
/// video sites it with the left one, a quarter of a chroma sample away; reading and writing make
/// the same approximation, so that it cancels for pixels that are moved, and it is invisible in
/// those that are drawn.
#[derive(Clone, Copy, Debug)]
pub(in crate::pixels) struct Grid {
    /// Index of the first component, and how many follow it.
    pub first: usize,
    pub count: usize,
    /// Binary logarithm of the frame pixels a sample, across and down.
    pub shift: [u32; 2],
}

impl Grid {
    /// Samples across and down in a frame of `width` by `height` pixels.
    pub fn size(self, width: usize, height: usize) -> [usize; 2] {
        let samples = |pixels: usize, shift: u32| {
            (pixels >> shift) + usize::from(pixels & ((1 << shift) - 1) != 0)
        };
        [
            samples(width, self.shift[0]),
            samples(height, self.shift[1]),
        ]
    }

    /// Indices of its components.
    pub fn components(self) -> Range<usize> {
        self.first..self.first + self.count
    }

    /// Samples a frame pixel, across and down.
    pub fn density(self) -> [f32; 2] {
        self.shift.map(|shift| 1.0 / (1u32 << shift) as f32)
    }

    /// Frame coordinates to coordinates of this grid.
    pub fn frame_to_grid(self) -> Affine {
        centred(self.density())
    }

    /// Coordinates of this grid to frame coordinates.
    pub fn grid_to_frame(self) -> Affine {
        centred(self.density().map(f32::recip))
    }
}

/// Scales so that the corner of pixel (0, 0) stays where it is.
fn centred([x, y]: [f32; 2]) -> Affine {
    Affine {
        a: x,
        d: y,
        tx: (x - 1.0) / 2.0,
        ty: (y - 1.0) / 2.0,
        ..Affine::IDENTITY
    }
}

/// The whole description of a format. Formats of one component repeat it three times.
#[derive(Clone, Copy, Debug)]
pub(in crate::pixels) struct Layout {
    pub model: Model,
    pub channels: [Channel; 3],
    pub grids: &'static [Grid],
}

const SINGLE: &[Grid] = &[grid(0, 1, [0, 0])];
const TOGETHER: &[Grid] = &[grid(0, 3, [0, 0])];
const CHROMA_422: &[Grid] = &[grid(0, 1, [0, 0]), grid(1, 2, [1, 0])];
const CHROMA_420: &[Grid] = &[grid(0, 1, [0, 0]), grid(1, 2, [1, 1])];

const fn grid(first: usize, count: usize, shift: [u32; 2]) -> Grid {
    Grid {
        first,
        count,
        shift,
    }
}

/// Each component in a plane of its own.
const fn planar(grids: &'static [Grid], [y, cb, cr]: [usize; 3]) -> Layout {
    const fn alone(plane: usize) -> Channel {
        Channel {
            plane,
            offset: 0,
            step: 1,
        }
    }
    Layout {
        model: Model::Ycbcr,
        channels: [alone(y), alone(cb), alone(cr)],
        grids,
    }
}

/// Chroma in pairs in the second plane.
const fn semi_planar(cb: usize, cr: usize) -> Layout {
    const fn paired(offset: usize) -> Channel {
        Channel {
            plane: 1,
            offset,
            step: 2,
        }
    }
    let mut layout = planar(CHROMA_420, [0, 1, 1]);
    layout.channels[1] = paired(cb);
    layout.channels[2] = paired(cr);
    layout
}

/// Pixels of `step` bytes.
const fn packed(step: usize, [r, g, b]: [usize; 3]) -> Layout {
    const fn within(step: usize, offset: usize) -> Channel {
        Channel {
            plane: 0,
            offset,
            step,
        }
    }
    Layout {
        model: Model::Rgb,
        channels: [within(step, r), within(step, g), within(step, b)],
        grids: TOGETHER,
    }
}

impl Format {
    pub(in crate::pixels) const fn layout(self) -> Layout {
        match self {
            Self::I420 => planar(CHROMA_420, [0, 1, 2]),
            Self::Yv12 => planar(CHROMA_420, [0, 2, 1]),
            Self::Nv12 => semi_planar(0, 1),
            Self::Nv21 => semi_planar(1, 0),
            Self::Y42b => planar(CHROMA_422, [0, 1, 2]),
            Self::Y444 => planar(TOGETHER, [0, 1, 2]),
            Self::Rgb => packed(3, [0, 1, 2]),
            Self::Bgr => packed(3, [2, 1, 0]),
            Self::Rgba | Self::Rgbx => packed(4, [0, 1, 2]),
            Self::Bgra | Self::Bgrx => packed(4, [2, 1, 0]),
            Self::Argb | Self::Xrgb => packed(4, [1, 2, 3]),
            Self::Abgr | Self::Xbgr => packed(4, [3, 2, 1]),
            Self::Gray8 => Layout {
                model: Model::Grey,
                channels: planar(SINGLE, [0, 0, 0]).channels,
                grids: SINGLE,
            },
        }
    }
}

/// Components of a frame that lie side by side, for reading. Every row of them is whole.
#[derive(Clone, Copy)]
pub(in crate::pixels) struct Samples<'a> {
    data: &'a [u8],
    stride: usize,
    /// Bytes from a sample to the next.
    pub step: usize,
    /// Which components they are, in the order of their bytes: `count` of these.
    components: [usize; 3],
    count: usize,
    pub width: usize,
    pub height: usize,
}

impl<'a> Samples<'a> {
    /// Row `y` of `height`, from its first sample to its last.
    #[inline]
    pub fn row(&self, y: usize) -> &'a [u8] {
        let start = y * self.stride;
        &self.data[start..start + (self.width - 1) * self.step + self.count]
    }

    /// Which components they are, in the order of their bytes, if they are `COUNT`.
    pub fn components<const COUNT: usize>(&self) -> Option<[usize; COUNT]> {
        self.components[..self.count].try_into().ok()
    }
}

impl View<'_> {
    /// Component `index` of those in `grid`, or `None` when its plane is too short for the frame.
    pub(in crate::pixels) fn samples(&self, grid: &Grid, index: usize) -> Option<Samples<'_>> {
        self.side_by_side(grid, index..index + 1)
    }

    /// The components of `grid`, those together that lie side by side; `None` as above.
    pub(in crate::pixels) fn bundles(
        &self,
        grid: &Grid,
    ) -> impl Iterator<Item = Option<Samples<'_>>> {
        let Grid { first, count, .. } = *grid;
        let is_packed = self.format.layout().channels[first].step > 1;
        let together = if is_packed { count } else { 1 };
        let firsts = grid.components().step_by(together);
        firsts.map(move |first| self.side_by_side(grid, first..first + together))
    }

    fn side_by_side(&self, grid: &Grid, indices: Range<usize>) -> Option<Samples<'_>> {
        let channels = self.format.layout().channels;
        let count = indices.len();
        let mut components = [usize::MAX; 3];
        for (component, index) in components.iter_mut().zip(indices) {
            *component = index;
        }
        components[..count].sort_unstable_by_key(|&index| channels[index].offset);
        let Channel {
            plane,
            offset,
            step,
        } = channels[components[0]];
        let plane = &self.planes[plane];
        let [width, height] = grid.size(self.width, self.height);
        let data = plane.data.get(offset..)?;
        let row = width.checked_sub(1)?.checked_mul(step)? + count;
        let last = height.checked_sub(1)?.checked_mul(plane.stride)?;
        let fits = row <= plane.stride && last.checked_add(row)? <= data.len();
        fits.then_some(Samples {
            data,
            stride: plane.stride,
            step,
            components,
            count,
            width,
            height,
        })
    }

    /// Whether the planes hold a frame of this size: what every operation asks before it begins.
    pub(in crate::pixels) fn is_whole(&self) -> bool {
        let layout = self.format.layout();
        layout
            .grids
            .iter()
            .all(|grid| self.bundles(grid).all(|samples| samples.is_some()))
    }
}
