//! Where the components of each format lie in memory.
//!
//! Must not know what the components mean beyond their order: Y Cb Cr, R G B, or Y alone.

use std::ops::Range;

use crate::pixels::{
    Affine, Format, Plane, View,
    frame::{colour::Siting, element::Element},
};

/// What the components are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pixels) enum Model {
    Ycbcr,
    Rgb,
    Grey,
}

/// One component: its plane, its first element in each row, and the elements from a sample to the
/// next.
#[derive(Clone, Copy, Debug)]
pub(in crate::pixels) struct Channel {
    pub plane: usize,
    pub offset: usize,
    pub step: usize,
}

impl Channel {
    /// The element of sample `x` in its row.
    #[inline(always)]
    pub fn element(&self, x: u32) -> usize {
        self.offset + x as usize * self.step
    }
}

/// Components that are sampled at the same positions.
#[derive(Clone, Copy, Debug)]
pub(in crate::pixels) struct Grid {
    /// Index of the first component, and how many follow it.
    pub first: usize,
    pub count: usize,
    /// Binary logarithm of the frame pixels a sample, across and down.
    pub shift: [u32; 2],
}

impl Grid {
    /// Samples across and down over `width` by `height` pixels.
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
    pub fn frame_to_grid(self, siting: Siting) -> Affine {
        scaled(self.density(), siting)
    }

    /// Coordinates of this grid to frame coordinates.
    pub fn grid_to_frame(self, siting: Siting) -> Affine {
        scaled(self.density().map(f32::recip), siting)
    }
}

/// Scales so that the centre of pixel (0, 0) stays where it is on axes where samples lie there, and
/// its corner on the others.
fn scaled([x, y]: [f32; 2], siting: Siting) -> Affine {
    let shift = |axis: usize, scale: f32| match siting.on_first[axis] {
        true => 0.0,
        false => (scale - 1.0) / 2.0,
    };
    Affine {
        a: x,
        d: y,
        tx: shift(0, x),
        ty: shift(1, y),
        ..Affine::IDENTITY
    }
}

/// The whole description of a format. Formats of one component repeat it three times.
#[derive(Clone, Copy, Debug)]
pub(in crate::pixels) struct Layout {
    pub model: Model,
    pub element: Element,
    pub channels: [Channel; 3],
    pub grids: &'static [Grid],
}

const SINGLE: &[Grid] = &[grid(0, 1, [0, 0])];
const TOGETHER: &[Grid] = &[grid(0, 3, [0, 0])];
const CHROMA_422: &[Grid] = &[grid(0, 1, [0, 0]), grid(1, 2, [1, 0])];
const CHROMA_420: &[Grid] = &[grid(0, 1, [0, 0]), grid(1, 2, [1, 1])];
const CHROMA_411: &[Grid] = &[grid(0, 1, [0, 0]), grid(1, 2, [2, 0])];

const fn grid(first: usize, count: usize, shift: [u32; 2]) -> Grid {
    Grid {
        first,
        count,
        shift,
    }
}

const fn channel(plane: usize, offset: usize, step: usize) -> Channel {
    Channel {
        plane,
        offset,
        step,
    }
}

const BYTE: Element = Element::Byte;

/// In the low bits of 16.
const fn low(bits: u32) -> Element {
    Element::Word { bits, shift: 0 }
}

/// In the high bits of 16.
const fn high(bits: u32) -> Element {
    Element::Word {
        bits,
        shift: 16 - bits,
    }
}

/// Each component in a plane of its own.
const fn planar(element: Element, grids: &'static [Grid], [y, cb, cr]: [usize; 3]) -> Layout {
    Layout {
        model: Model::Ycbcr,
        element,
        channels: [channel(y, 0, 1), channel(cb, 0, 1), channel(cr, 0, 1)],
        grids,
    }
}

/// Chroma in pairs in the second plane.
const fn semi_planar(element: Element, grids: &'static [Grid], [cb, cr]: [usize; 2]) -> Layout {
    Layout {
        model: Model::Ycbcr,
        element,
        channels: [channel(0, 0, 1), channel(1, cb, 2), channel(1, cr, 2)],
        grids,
    }
}

/// Two pixels in four elements: two of luma, two of chroma.
const fn packed_422(element: Element, [y, cb, cr]: [usize; 3]) -> Layout {
    Layout {
        model: Model::Ycbcr,
        element,
        channels: [channel(0, y, 2), channel(0, cb, 4), channel(0, cr, 4)],
        grids: CHROMA_422,
    }
}

/// Pixels of `step` elements.
const fn packed(element: Element, step: usize, [r, g, b]: [usize; 3]) -> Layout {
    Layout {
        model: Model::Rgb,
        element,
        channels: [
            channel(0, r, step),
            channel(0, g, step),
            channel(0, b, step),
        ],
        grids: TOGETHER,
    }
}

const fn grey(element: Element) -> Layout {
    Layout {
        model: Model::Grey,
        element,
        channels: [channel(0, 0, 1); 3],
        grids: SINGLE,
    }
}

impl Format {
    pub(in crate::pixels) const fn layout(self) -> Layout {
        match self {
            Self::I420 | Self::A420 => planar(BYTE, CHROMA_420, [0, 1, 2]),
            Self::Yv12 => planar(BYTE, CHROMA_420, [0, 2, 1]),
            Self::Nv12 | Self::Av12 => semi_planar(BYTE, CHROMA_420, [0, 1]),
            Self::Nv21 => semi_planar(BYTE, CHROMA_420, [1, 0]),
            Self::Y42b => planar(BYTE, CHROMA_422, [0, 1, 2]),
            Self::Y444 => planar(BYTE, TOGETHER, [0, 1, 2]),
            Self::Rgb => packed(BYTE, 3, [0, 1, 2]),
            Self::Bgr => packed(BYTE, 3, [2, 1, 0]),
            Self::Rgba | Self::Rgbx => packed(BYTE, 4, [0, 1, 2]),
            Self::Bgra | Self::Bgrx => packed(BYTE, 4, [2, 1, 0]),
            Self::Argb | Self::Xrgb => packed(BYTE, 4, [1, 2, 3]),
            Self::Abgr | Self::Xbgr => packed(BYTE, 4, [3, 2, 1]),
            Self::Gray8 => grey(BYTE),
            Self::Uyvy => packed_422(BYTE, [1, 0, 2]),
            Self::Yuy2 => packed_422(BYTE, [0, 1, 3]),
            Self::Yvyu => packed_422(BYTE, [0, 3, 1]),
            Self::Vyuy => packed_422(BYTE, [1, 2, 0]),
            Self::Nv16 => semi_planar(BYTE, CHROMA_422, [0, 1]),
            Self::Nv61 => semi_planar(BYTE, CHROMA_422, [1, 0]),
            Self::Nv24 => semi_planar(BYTE, TOGETHER, [0, 1]),
            Self::Y41b => planar(BYTE, CHROMA_411, [0, 1, 2]),
            Self::I42010le => planar(low(10), CHROMA_420, [0, 1, 2]),
            Self::I42210le => planar(low(10), CHROMA_422, [0, 1, 2]),
            Self::Y44410le => planar(low(10), TOGETHER, [0, 1, 2]),
            Self::I42012le => planar(low(12), CHROMA_420, [0, 1, 2]),
            Self::I42212le => planar(low(12), CHROMA_422, [0, 1, 2]),
            Self::Y44412le => planar(low(12), TOGETHER, [0, 1, 2]),
            Self::P01010le => semi_planar(high(10), CHROMA_420, [0, 1]),
            Self::P012Le => semi_planar(high(12), CHROMA_420, [0, 1]),
            Self::P016Le => semi_planar(high(16), CHROMA_420, [0, 1]),
            Self::V210 => packed_422(Element::Third, [1, 0, 2]),
            Self::Y210 => packed_422(high(10), [0, 1, 3]),
            Self::Y212Le => packed_422(high(12), [0, 1, 3]),
            Self::Rgb10a2Le => packed(Element::Third, 3, [0, 1, 2]),
            Self::Bgr10a2Le => packed(Element::Third, 3, [2, 1, 0]),
            Self::Argb64Le => packed(high(16), 4, [1, 2, 3]),
            Self::Rgba64Le => packed(high(16), 4, [0, 1, 2]),
            Self::Bgra64Le => packed(high(16), 4, [2, 1, 0]),
            Self::Abgr64Le => packed(high(16), 4, [3, 2, 1]),
            Self::Gray16Le => grey(high(16)),
        }
    }
}

/// Components of a frame that lie side by side, for reading. Every row of them is whole.
#[derive(Clone, Copy)]
pub(in crate::pixels) struct Samples<'a> {
    data: &'a [u8],
    stride: usize,
    /// Bytes of a row up to the end of its last sample.
    length: usize,
    pub element: Element,
    /// The first element of a row that belongs to them.
    pub offset: usize,
    /// Elements from a sample to the next.
    pub step: usize,
    /// Which components they are, in the order of their elements: `count` of these.
    components: [usize; 3],
    pub count: usize,
    pub width: usize,
    pub height: usize,
}

impl<'a> Samples<'a> {
    /// Row `y` of `height`, from its first element to that of its last sample.
    #[inline]
    pub fn row(&self, y: usize) -> &'a [u8] {
        &self.data[y * self.stride..][..self.length]
    }

    /// Which components they are, in the order of their elements, if they are `COUNT`.
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
        let together = match self.format.layout().are_adjacent(grid) {
            true => grid.count,
            false => 1,
        };
        let firsts = grid.components().step_by(together);
        firsts.map(move |first| self.side_by_side(grid, first..first + together))
    }

    fn side_by_side(&self, grid: &Grid, indices: Range<usize>) -> Option<Samples<'_>> {
        let Layout {
            channels, element, ..
        } = self.format.layout();
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
        let Plane { data, stride } = &self.planes[plane];
        let [width, height] = self.grid_size(grid);
        let elements = width.checked_sub(1)?.checked_mul(step)?;
        let length = element.bytes(elements.checked_add(offset + count)?)?;
        let last = height.checked_sub(1)?.checked_mul(*stride)?;
        let fits = length <= *stride && last.checked_add(length)? <= data.len();
        fits.then_some(Samples {
            data,
            stride: *stride,
            length,
            element,
            offset,
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

impl Layout {
    /// Whether nothing lies between the components of a grid in each pixel.
    fn are_adjacent(&self, grid: &Grid) -> bool {
        let channels = &self.channels[grid.components()];
        let offsets = channels.iter().map(|channel| channel.offset);
        let (least, greatest) = (offsets.clone().min(), offsets.max());
        let is_one_plane = channels.iter().all(|it| it.plane == channels[0].plane);
        is_one_plane
            && least
                .zip(greatest)
                .is_some_and(|(a, b)| b - a + 1 == grid.count)
    }
}
