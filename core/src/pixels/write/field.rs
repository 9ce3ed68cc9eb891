//! A patch's maps at a resolution that suits the frame.
//!
//! Must not know formats or planes.
//!
//! What a generator draws has some hundred pixels a side, the face in the frame a few dozen to
//! a few thousand. Here the maps are brought near to the frame's resolution, so that bilinear
//! interpolation does the rest: smoothly when they grow (four-point subdivision: Dyn, Levin and
//! Gregory 1987), averaged when they shrink. Never the frame's pixels.

use crate::pixels::{
    Affine, Drawn, Patch,
    frame::colour::Encoder,
    geometry::lanes::{Quad, add, max, min, mix, scale, sub},
};

/// One pixel of the maps, in lanes that are interpolated together.
pub(in crate::pixels) type Texel = Quad;

/// Lanes of [`Field::shape`]: displacement in frame pixels, mask, alpha.
const DX: usize = 0;
const DY: usize = 1;
const MASK: usize = 2;
const ALPHA: usize = 3;

/// Doubled while a texel covers more frame pixels than this: bilinear facets stay invisible.
const COARSE: f32 = 4.0;
/// Doubled at most to this many texels along its longer side.
const LARGEST: usize = 400;
/// Halved while a texel covers fewer frame pixels than this.
const FINE: f32 = std::f32::consts::FRAC_1_SQRT_2;
/// A shorter displacement, in frame pixels, is rounded to none (`Shift`).
const STILL: f32 = 1.0 / 512.0;
/// Longest displacement in frame pixels: the largest frame's side.
const FURTHEST: f32 = 16_384.0;

/// The maps of one patch. Its memory is kept from patch to patch.
pub(in crate::pixels) struct Field {
    /// Width and height in texels, at least 2.
    pub size: [usize; 2],
    /// Displacement x and y in frame pixels, mask 0..1, alpha 0..1.
    pub shape: Vec<Texel>,
    /// What is drawn, as stored values times alpha; empty when nothing is drawn.
    pub ink: Vec<Texel>,
    /// Frame pixels to texels.
    pub from_frame: Affine,
    /// Texels between which the mask is not zero and something moves or is drawn: least and greatest x, then y.
    pub extent: [[f32; 2]; 2],
    /// Longest displacements across and down, in frame pixels.
    pub reach: [f32; 2],
    /// First and last texel coordinates that the patch covers: x, then y.
    edges: [[f32; 2]; 2],
    spare: Vec<Texel>,
}

impl Field {
    pub fn new() -> Self {
        Self {
            size: [0; 2],
            shape: Vec::new(),
            ink: Vec::new(),
            from_frame: Affine::IDENTITY,
            extent: [[0.0; 2]; 2],
            reach: [0.0; 2],
            edges: [[0.0; 2]; 2],
            spare: Vec::new(),
        }
    }

    /// Takes over a patch; `encode` turns its RGB into stored values. False when the patch
    /// cannot change any frame: empty, not finite, masked out, or with a mask too short.
    pub fn load(&mut self, patch: &Patch, encode: &Encoder) -> bool {
        let Some(from_frame) = patch.to_frame.inverse() else {
            return false;
        };
        let area = patch.size[0].saturating_mul(patch.size[1]);
        if area == 0 || patch.mask.len() < area {
            return false;
        }
        self.gather(patch, area, encode);
        self.from_frame = from_frame;
        self.edges = patch.size.map(|size| [-0.5, size as f32 - 0.5]);
        let mut pixels = patch.to_frame.scale();
        let longest = |size: [usize; 2]| size[0].max(size[1]);
        while pixels > COARSE && 2 * longest(self.size) - 1 <= LARGEST {
            self.double();
            pixels /= 2.0;
        }
        while pixels < FINE && longest(self.size) > 2 {
            self.halve();
            pixels *= 2.0;
        }
        self.measure()
    }

    /// Copies the maps, one texel a patch pixel. What is not a number changes nothing.
    fn gather(&mut self, patch: &Patch, area: usize, encode: &Encoder) {
        self.shape.clear();
        let mask = patch.mask[..area].iter();
        self.shape
            .extend(mask.map(|mask| [0.0, 0.0, portion(*mask), 0.0]));
        if let Some(flow) = patch.flow.filter(|flow| flow.len() >= 2 * area) {
            let (x, y) = flow.split_at(area);
            for (texel, (x, y)) in self.shape.iter_mut().zip(x.iter().zip(y)) {
                let [dx, dy] = patch.to_frame.apply_vector([finite(*x), finite(*y)]);
                texel[DX] = finite(dx).clamp(-FURTHEST, FURTHEST);
                texel[DY] = finite(dy).clamp(-FURTHEST, FURTHEST);
            }
        }
        self.ink.clear();
        let fits = |drawn: &&Drawn| drawn.rgb.len() >= 3 * area && drawn.alpha.len() >= area;
        if let Some(drawn) = patch.drawn.as_ref().filter(fits) {
            for (index, texel) in self.shape.iter_mut().enumerate() {
                let rgb = [0, 1, 2].map(|channel| drawn.rgb[channel * area + index]);
                if rgb.iter().all(|value| value.is_finite()) {
                    texel[ALPHA] = portion(drawn.alpha[index]);
                }
                let ink = match texel[ALPHA] > 0.0 {
                    true => {
                        let [x, y, z] = encode.apply(rgb.map(portion));
                        scale([x, y, z, 0.0], texel[ALPHA])
                    }
                    false => [0.0; 4],
                };
                self.ink.push(ink);
            }
        }
        self.size = patch.size;
        for texels in [&mut self.shape, &mut self.ink] {
            if patch.size[0] == 1 {
                self.spare.clear();
                self.spare.extend(texels.iter().flat_map(|only| [*only; 2]));
                std::mem::swap(texels, &mut self.spare);
            }
            if patch.size[1] == 1 {
                texels.extend_from_within(..);
            }
        }
        self.size = self.size.map(|size| size.max(2));
    }

    /// Puts a texel between any two.
    fn double(&mut self) {
        double(&mut self.shape, &mut self.spare, self.size, |a, b, c, d| {
            let (smooth, bounded) = between(a, b, c, d);
            [smooth[DX], smooth[DY], bounded[MASK], bounded[ALPHA]]
        });
        double(&mut self.ink, &mut self.spare, self.size, |a, b, c, d| {
            between(a, b, c, d).1
        });
        self.resized(self.size.map(|size| 2 * size - 1), |place| 2.0 * place);
    }

    /// Makes one texel of two by two. The mask stays zero wherever it was before.
    fn halve(&mut self) {
        halve(&mut self.shape, &mut self.spare, self.size, true);
        halve(&mut self.ink, &mut self.spare, self.size, false);
        self.resized(self.size.map(halved), |place| place / 2.0 - 0.25);
    }

    fn resized(&mut self, size: [usize; 2], place: impl Fn(f32) -> f32) {
        let (origin, scale) = (place(0.0), place(1.0) - place(0.0));
        let resize = Affine {
            a: scale,
            d: scale,
            tx: origin,
            ty: origin,
            ..Affine::IDENTITY
        };
        self.size = size;
        self.edges = self.edges.map(|ends| ends.map(&place));
        self.from_frame = resize.after(&self.from_frame);
    }

    /// Finds extent and reach. False when nothing changes anywhere.
    fn measure(&mut self) -> bool {
        let mut masked = Extent::NONE;
        let mut changed = Extent::NONE;
        let mut reach = [0.0_f32; 2];
        for (y, row) in self.shape.chunks_exact(self.size[0]).enumerate() {
            for (x, texel) in row.iter().enumerate() {
                let moves = [texel[DX].abs(), texel[DY].abs()];
                reach = [reach[0].max(moves[0]), reach[1].max(moves[1])];
                if texel[MASK] > 0.0 {
                    masked.hold([x, y]);
                }
                if texel[ALPHA] > 0.0 || moves[0].max(moves[1]) >= STILL {
                    changed.hold([x, y]);
                }
            }
        }
        self.reach = reach;
        let [masked, changed] = [masked, changed].map(|extent| extent.reach(self.size, self.edges));
        self.extent = [0, 1].map(|axis| {
            let ([from, to], [first, last]) = (masked[axis], changed[axis]);
            [from.max(first), to.min(last)]
        });
        self.extent.iter().all(|[from, to]| from <= to)
    }

    /// The shape at places along a line, one after the other.
    #[inline(always)]
    pub fn shape_along(&self, line: &Line, first: usize, out: &mut [Texel]) {
        for (index, texel) in out.iter_mut().enumerate() {
            *texel = self.interpolate(&self.shape, line.at(first + index));
        }
    }

    /// What is drawn at a place of a line.
    #[inline(always)]
    pub fn ink_at(&self, line: &Line, index: usize) -> Texel {
        self.interpolate(&self.ink, line.at(index))
    }

    /// Bilinear; beyond the outermost texels their values go on.
    #[inline(always)]
    fn interpolate(&self, texels: &[Texel], [u, v]: [i64; 2]) -> Texel {
        let [width, height] = self.size;
        let (x, right) = split(u, width - 2);
        let (y, down) = split(v, height - 2);
        let start = y * width + x;
        let (upper, lower) = (&texels[start..start + 2], &texels[start + width..][..2]);
        let upper = mix(upper[0], upper[1], right);
        let lower = mix(lower[0], lower[1], right);
        mix(upper, lower, down)
    }
}

/// The texels that something is said of.
struct Extent {
    least: [usize; 2],
    greatest: [usize; 2],
}

impl Extent {
    const NONE: Self = Self {
        least: [usize::MAX; 2],
        greatest: [0; 2],
    };

    fn hold(&mut self, place: [usize; 2]) {
        for axis in [0, 1] {
            self.least[axis] = self.least[axis].min(place[axis]);
            self.greatest[axis] = self.greatest[axis].max(place[axis]);
        }
    }

    /// How far it reaches on each axis: interpolation carries it one texel on; at the patch's edge it
    /// ends. Of nothing, from something on to something before that.
    fn reach(&self, size: [usize; 2], edges: [[f32; 2]; 2]) -> [[f32; 2]; 2] {
        [0, 1].map(|axis| {
            let (least, greatest) = (self.least[axis], self.greatest[axis]);
            if least > greatest {
                return [f32::INFINITY, f32::NEG_INFINITY];
            }
            let from = match least {
                0 => edges[axis][0],
                least => least as f32 - 1.0,
            };
            let to = match greatest == size[axis] - 1 {
                true => edges[axis][1],
                false => greatest as f32 + 1.0,
            };
            [from, to]
        })
    }
}

/// Places on a straight line at equal steps, in texels with [`POINT`] bits after the point:
/// steps are exact and cost an addition.
pub(in crate::pixels) struct Line {
    start: [i64; 2],
    step: [i64; 2],
}

const POINT: u32 = 32;

impl Line {
    pub fn new(start: [f64; 2], step: [f64; 2]) -> Self {
        // A place out of range is drawn to the nearest edge; one step out of range ends a line.
        let fixed = |texels: f64| (texels * (1u64 << POINT) as f64) as i64;
        Self {
            start: start.map(fixed),
            step: step.map(fixed),
        }
    }

    #[inline(always)]
    fn at(&self, index: usize) -> [i64; 2] {
        let along = |axis: usize| {
            let along = self.step[axis].wrapping_mul(index as i64);
            self.start[axis].wrapping_add(along)
        };
        [along(0), along(1)]
    }
}

/// The texel before a place, at most `last`, and how far the place is beyond it, 0..1.
#[inline(always)]
fn split(place: i64, last: usize) -> (usize, f32) {
    let place = place.clamp(0, ((last as i64 + 1) << POINT) - 1);
    // 23 bits are what a float tells apart below 1.
    let part = (place as u32 >> (POINT - 23)) as i32;
    ((place >> POINT) as usize, part as f32 / (1 << 23) as f32)
}

/// The texel between `b` and `c`: smooth, and the same kept between the two.
#[inline(always)]
fn between(a: Texel, b: Texel, c: Texel, d: Texel) -> (Texel, Texel) {
    let smooth = sub(scale(add(b, c), 9.0 / 16.0), scale(add(a, d), 1.0 / 16.0));
    (smooth, min(max(smooth, min(b, c)), max(b, c)))
}

/// Doubles a map of `width` by `height` texels with `between`, across and then down.
fn double(
    texels: &mut Vec<Texel>,
    spare: &mut Vec<Texel>,
    [width, height]: [usize; 2],
    between: impl Fn(Texel, Texel, Texel, Texel) -> Texel,
) {
    if texels.is_empty() {
        return;
    }
    spare.clear();
    for row in texels.chunks_exact(width) {
        let last = width - 1;
        for x in 0..last {
            let around = [x.saturating_sub(1), x, x + 1, (x + 2).min(last)];
            let [a, b, c, d] = around.map(|x| row[x]);
            spare.extend([b, between(a, b, c, d)]);
        }
        spare.push(row[last]);
    }
    let width = 2 * width - 1;
    let row = |y: usize| &spare[y * width..(y + 1) * width];
    texels.clear();
    let last = height - 1;
    for y in 0..last {
        let around = [y.saturating_sub(1), y, y + 1, (y + 2).min(last)];
        let [a, b, c, d] = around.map(row);
        texels.extend_from_slice(b);
        texels.extend((0..width).map(|x| between(a[x], b[x], c[x], d[x])));
    }
    texels.extend_from_slice(row(last));
}

/// Halves a map of `width` by `height` texels, but not to fewer than 2. With `keep_mask` a texel's mask is zero
/// when any near it was: its interpolation reaches further than theirs did.
fn halve(
    texels: &mut Vec<Texel>,
    spare: &mut Vec<Texel>,
    [width, height]: [usize; 2],
    keep_mask: bool,
) {
    if texels.is_empty() {
        return;
    }
    let at = |x: usize, y: usize| texels[y.min(height - 1) * width + x.min(width - 1)];
    let [across, down] = [width, height].map(halved);
    spare.clear();
    for (x, y) in (0..down).flat_map(|y| (0..across).map(move |x| (2 * x, 2 * y))) {
        let upper = add(at(x, y), at(x + 1, y));
        let lower = add(at(x, y + 1), at(x + 1, y + 1));
        let mut mean = scale(add(upper, lower), 0.25);
        if keep_mask {
            let mut near = (0..16).map(|index| {
                let near = |at: usize, offset: usize| (at + offset).saturating_sub(1);
                at(near(x, index % 4), near(y, index / 4))
            });
            if near.any(|texel| texel[MASK] == 0.0) {
                mean[MASK] = 0.0;
            }
        }
        spare.push(mean);
    }
    std::mem::swap(texels, spare);
}

/// Half of so many texels.
fn halved(size: usize) -> usize {
    size.div_ceil(2).max(2)
}

fn finite(value: f32) -> f32 {
    if value.is_finite() { value } else { 0.0 }
}

/// 0..1; not a number is 0.
fn portion(value: f32) -> f32 {
    if value.is_nan() {
        0.0
    } else {
        value.clamp(0.0, 1.0)
    }
}
