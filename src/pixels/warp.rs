//! Moving a frame's own samples by fractions of a pixel.
//!
//! Must not know patches or masks.
//!
//! What is read is copied first, because the result goes where it was read: only the rows and
//! columns of the region, each component by itself, as numbers, with the frame's edge going on
//! around it, so that reading needs no case for the edge.

use std::ops::Range;

use super::layout::Samples;

/// Fractions of a sample that displacements are rounded to. A step of 255 between neighbours
/// moved by half of this changes by less than one stored value.
const PHASES: usize = 1 << PHASE_BITS;
const PHASE_BITS: u32 = 8;

/// Samples that the Catmull-Rom kernel reads before and after the one it stands on.
const BEFORE: i32 = 1;
const AFTER: i32 = 2;

/// Weights of the four samples around each fraction: Catmull-Rom. The first is exactly
/// `[0, 1, 0, 0]`: what does not move does not change.
static KERNEL: [[f32; 4]; PHASES] = kernel();

const fn kernel() -> [[f32; 4]; PHASES] {
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
pub(super) struct Shift(i32);

impl Shift {
    pub const NONE: Self = Self(0);

    /// The nearest phase to `samples`, which is finite and within +-16384.
    #[inline]
    pub fn new(samples: f32) -> Self {
        // Adding 1.5 * 2^23 leaves the nearest integer in the low bits of the mantissa.
        const MAGIC: f32 = 12_582_912.0;
        let rounded = (samples * PHASES as f32 + MAGIC).to_bits();
        Self(rounded.wrapping_sub(MAGIC.to_bits()) as i32)
    }

    #[inline]
    fn whole(self) -> i32 {
        self.0 >> PHASE_BITS
    }

    #[inline]
    fn weights(self) -> &'static [f32; 4] {
        &KERNEL[self.0 as usize % PHASES]
    }
}

/// Samples from `left` to before `right`, `top` to before `bottom`, of a grid; may lie beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rect {
    pub left: i32,
    pub top: i32,
    pub right: i32,
    pub bottom: i32,
}

/// A copy of a region of up to three components that share a grid.
pub(super) struct Source {
    values: Vec<f32>,
    /// What the copy covers, and its samples a component.
    rect: Rect,
    area: usize,
}

impl Source {
    pub fn new() -> Self {
        Self {
            values: Vec::new(),
            rect: Rect {
                left: 0,
                top: 0,
                right: 0,
                bottom: 0,
            },
            area: 0,
        }
    }

    /// Copies what is needed to move the samples in `region`, which lies within a grid of
    /// `size`, by up to `reach` samples across and down.
    pub fn load<'a>(
        &mut self,
        components: impl Iterator<Item = Samples<'a>>,
        size: [usize; 2],
        region: Rect,
        reach: [f32; 2],
    ) {
        let [width, height] = size.map(|size| size as i32);
        let reach = reach.map(|reach| reach as i32 + 1);
        // Further beyond the edge the kernel sees nothing new.
        self.rect = Rect {
            left: (region.left - reach[0] - BEFORE).max(-BEFORE - AFTER),
            top: (region.top - reach[1] - BEFORE).max(-BEFORE - AFTER),
            right: (region.right + reach[0] + AFTER).min(width + BEFORE + AFTER),
            bottom: (region.bottom + reach[1] + AFTER).min(height + BEFORE + AFTER),
        };
        let rect = self.rect;
        self.area = self.columns() * (rect.bottom - rect.top) as usize;
        self.values.clear();
        for samples in components {
            for y in rect.top..rect.bottom {
                let row = samples.row(y.clamp(0, height - 1) as usize);
                extend(&mut self.values, row, samples.step, rect.left..rect.right);
            }
        }
    }

    fn columns(&self) -> usize {
        (self.rect.right - self.rect.left) as usize
    }

    /// Where sample (x, y) of the grid, within the loaded region, lies in the copy.
    #[inline]
    pub fn index(&self, x: i32, y: i32) -> usize {
        (y - self.rect.top) as usize * self.columns() + (x - self.rect.left) as usize
    }

    /// The sample itself.
    #[inline]
    pub fn value(&self, component: usize, index: usize) -> f32 {
        self.values[component * self.area + index]
    }

    /// A reading place at sample (x, y) displaced by `shift`.
    #[inline]
    pub fn place(&self, x: i32, y: i32, shift: [Shift; 2]) -> Place {
        let rect = &self.rect;
        let x = (x + shift[0].whole()).clamp(rect.left + BEFORE, rect.right - 1 - AFTER);
        let y = (y + shift[1].whole()).clamp(rect.top + BEFORE, rect.bottom - 1 - AFTER);
        Place {
            index: self.index(x - BEFORE, y - BEFORE),
            across: shift[0].weights(),
            down: shift[1].weights(),
        }
    }

    /// The component's value there: the mean of four by four samples by the kernel.
    #[inline]
    pub fn moved(&self, component: usize, place: &Place) -> f32 {
        let start = component * self.area + place.index;
        let columns = self.columns();
        let mut sums = [0.0_f32; 4];
        for (line, weight) in place.down.iter().enumerate() {
            let start = start + line * columns;
            let values = &self.values[start..start + 4];
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += value * weight;
            }
        }
        for (sum, weight) in sums.iter_mut().zip(place.across) {
            *sum *= weight;
        }
        (sums[0] + sums[1]) + (sums[2] + sums[3])
    }
}

/// First of four by four samples, and their weights.
pub(super) struct Place {
    index: usize,
    across: &'static [f32; 4],
    down: &'static [f32; 4],
}

/// Appends the samples of a row in `range`, with its ends going on for ever.
fn extend(values: &mut Vec<f32>, row: &[u8], step: usize, range: Range<i32>) {
    let width = row.len().div_ceil(step) as i32;
    let first = f32::from(row[0]);
    let last = f32::from(row[row.len() - 1]);
    let inside = range.start.clamp(0, width)..range.end.clamp(0, width);
    let before = (inside.start - range.start) as usize;
    let after = (range.end - inside.end) as usize;
    values.extend(std::iter::repeat_n(first, before));
    let row = &row[(inside.start as usize * step).min(row.len())..];
    let inside = row.iter().step_by(step).take(inside.len());
    values.extend(inside.map(|value| f32::from(*value)));
    values.extend(std::iter::repeat_n(last, after));
}
