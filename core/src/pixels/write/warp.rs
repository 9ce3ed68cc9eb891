//! Moving a frame's own samples by fractions of a pixel.
//!
//! Must not know patches or masks.
//!
//! What is read is copied first, because the result goes where it was read: only the rows and
//! columns of the region, each component by itself, as numbers, with the frame's edge going on
//! around it, so that reading needs no case for the edge.

use std::ops::Range;

use crate::pixels::{
    frame::{
        element::{Store, with_store},
        layout::Samples,
    },
    geometry::lanes::{Quad, add, load, mul, scale},
};

/// Fractions of a sample that displacements are rounded to. The greatest step between neighbours,
/// moved by half of this, changes by less than one of eight bits.
const PHASES: usize = 1 << PHASE_BITS;
const PHASE_BITS: u32 = 8;

/// Samples that the Catmull-Rom kernel reads before and after the one it stands on.
const BEFORE: i32 = 1;
const AFTER: i32 = 2;

/// Weights of the four samples around each fraction: Catmull-Rom. The first is exactly
/// `[0, 1, 0, 0]`: what does not move does not change.
static KERNEL: [Quad; PHASES] = kernel();

const fn kernel() -> [Quad; PHASES] {
    let mut kernel = [[0.0; 4]; PHASES];
    let mut phase = 0;
    while phase < PHASES {
        let t = phase as f32 / PHASES as f32;
        let (t2, t3) = (t * t, t * t * t);
        kernel[phase] = [
            -0.5 * t + t2 - 0.5 * t3,
            1.0 - 2.5 * t2 + 1.5 * t3,
            0.5 * t + 2.0 * t2 - 1.5 * t3,
            -0.5 * t2 + 0.5 * t3,
        ];
        phase += 1;
    }
    kernel
}

/// A displacement along one axis: whole samples and the phase beyond them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::pixels) struct Shift(i32);

impl Shift {
    pub const NONE: Self = Self(0);

    /// The nearest phase to `samples`, which is finite and within +-16384.
    #[inline(always)]
    pub fn new(samples: f32) -> Self {
        // Adding 1.5 * 2^23 leaves the nearest integer in the low bits of the mantissa.
        const MAGIC: f32 = 12_582_912.0;
        let rounded = (samples * PHASES as f32 + MAGIC).to_bits();
        Self(rounded.wrapping_sub(MAGIC.to_bits()) as i32)
    }

    #[inline(always)]
    fn whole(self) -> i32 {
        self.0 >> PHASE_BITS
    }

    #[inline(always)]
    fn phase(self) -> u8 {
        self.0 as u8
    }
}

/// Samples from `left` to before `right`, `top` to before `bottom`, of a grid; may lie beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pixels) struct GridRect {
    pub left: i32,
    pub top: i32,
    pub right: i32,
    pub bottom: i32,
}

/// A copy of a region of up to three components that share a grid.
pub(in crate::pixels) struct CopiedRegion {
    values: Vec<f32>,
    /// What the copy covers, its samples a row and a component.
    rect: GridRect,
    columns: usize,
    area: usize,
}

impl CopiedRegion {
    pub fn new() -> Self {
        Self {
            values: Vec::new(),
            rect: GridRect {
                left: 0,
                top: 0,
                right: 0,
                bottom: 0,
            },
            columns: 0,
            area: 0,
        }
    }

    /// Copies what is needed to move the samples in `region`, which lies within a grid of
    /// `size`, by up to `reach` samples across and down.
    #[inline(always)]
    pub fn load<'a>(
        &mut self,
        components: impl Iterator<Item = Samples<'a>>,
        size: [usize; 2],
        region: GridRect,
        reach: [f32; 2],
    ) {
        let [width, height] = size.map(|size| size as i32);
        let reach = reach.map(|reach| reach as i32 + 1);
        // Further beyond the edge the kernel sees nothing new.
        self.rect = GridRect {
            left: (region.left - reach[0] - BEFORE).max(-BEFORE - AFTER),
            top: (region.top - reach[1] - BEFORE).max(-BEFORE - AFTER),
            right: (region.right + reach[0] + AFTER).min(width + BEFORE + AFTER),
            bottom: (region.bottom + reach[1] + AFTER).min(height + BEFORE + AFTER),
        };
        let rect = self.rect;
        self.columns = (rect.right - rect.left) as usize;
        self.area = self.columns * (rect.bottom - rect.top) as usize;
        self.values.clear();
        for samples in components {
            with_store!(samples.element, store => for y in rect.top..rect.bottom {
                let y = y.clamp(0, height - 1) as usize;
                extend(&mut self.values, store, &samples, y, rect.left..rect.right);
            });
        }
    }

    /// Where sample (x, y) of the grid, within what is loaded, lies in a component's copy.
    #[inline(always)]
    fn index(&self, x: i32, y: i32) -> usize {
        (y - self.rect.top) as usize * self.columns + (x - self.rect.left) as usize
    }

    /// Where sample (x, y) displaced by `shift` is read.
    #[inline(always)]
    pub fn place(&self, x: i32, y: i32, [across, down]: [Shift; 2]) -> Place {
        let rect = &self.rect;
        let left = (x + across.whole()).clamp(rect.left + BEFORE, rect.right - 1 - AFTER);
        let top = (y + down.whole()).clamp(rect.top + BEFORE, rect.bottom - 1 - AFTER);
        Place {
            own: self.index(x, y) as u32,
            first: self.index(left - BEFORE, top - BEFORE) as u32,
            across: across.phase(),
            down: down.phase(),
        }
    }

    /// The component's own value at each of `places`, and what moves there as four products
    /// whose sum it is.
    #[inline(always)]
    pub fn read(&self, component: usize, places: &[Place], own: &mut [f32], moved: &mut [Quad]) {
        let values = &self.values[component * self.area..][..self.area];
        let columns = self.columns;
        for ((place, own), moved) in places.iter().zip(own).zip(moved) {
            *own = values[place.own as usize];
            let first = place.first as usize;
            let across = KERNEL[usize::from(place.across)];
            let down = KERNEL[usize::from(place.down)];
            let upper = add(
                scale(load(values, first), down[0]),
                scale(load(values, first + columns), down[1]),
            );
            let lower = add(
                scale(load(values, first + 2 * columns), down[2]),
                scale(load(values, first + 3 * columns), down[3]),
            );
            *moved = mul(add(upper, lower), across);
        }
    }
}

/// A sample of a copied region, and the first of four by four that become it, with the phases
/// of their weights.
#[derive(Clone, Copy, Default)]
pub(in crate::pixels) struct Place {
    own: u32,
    first: u32,
    across: u8,
    down: u8,
}

/// Appends the samples of row `y` in `range`, with its ends going on for ever.
#[inline(always)]
fn extend(
    values: &mut Vec<f32>,
    store: impl Store,
    samples: &Samples,
    y: usize,
    range: Range<i32>,
) {
    let row = samples.row(y);
    let width = samples.width as i32;
    let element = |x: i32| samples.offset + x as usize * samples.step;
    let inside = range.start.clamp(0, width)..range.end.clamp(0, width);
    let before = (inside.start - range.start) as usize;
    let after = (range.end - inside.end) as usize;
    let sample = |x: i32| store.get(row, element(x)).into();
    values.extend(std::iter::repeat_n(sample(0), before));
    if samples.step == 1 {
        let codes = store.codes(row, element(inside.start)..element(inside.end));
        values.extend(codes.map(Into::<f32>::into));
    } else {
        values.extend(inside.map(sample));
    }
    values.extend(std::iter::repeat_n(sample(width - 1), after));
}
