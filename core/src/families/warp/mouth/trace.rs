//! Where the lips of an open mouth end, by their colour: the face mesh takes teeth for lips, by up
//! to 2.5 canonical pixels.
//!
//! Must not know frames: a close-up and landmarks in, contours out.

use super::{
    contours::Contours,
    glimpse::{CLOSE_SIDE, CLOSE_SIZE, CloseUp},
    points::Points,
};
use crate::generator::smoothstep;

/// Samples of the close-up for each canonical pixel.
const DENSITY: f32 = CLOSE_SIZE as f32 / CLOSE_SIDE;
/// Distances from the mesh's contour that are tried, in canonical pixels into the lip: so many
/// steps of this length from the least one, for the upper and the lower lip.
const STEP: f32 = 0.25;
const LEAST: [f32; 2] = [-1.6, -2.0];
const STEPS: [usize; 2] = [14, 24];
const MOST_STEPS: usize = 24;
/// What a canonical pixel of that costs.
const PRICE: [f32; 2] = [0.12, 0.06];
/// Columns that a mouth has at most.
const COLUMNS: usize = CLOSE_SIZE;

/// Contours as the colours have them, and how clear they are: 0 = not at all, above 0.5 = well.
pub struct Traced {
    pub contours: Contours,
    pub certainty: f32,
    /// Redness (ln R/G) and brightness of the lips.
    pub lip_red: f32,
    pub lip_luma: f32,
}

/// Finds contours. Its memory is kept.
pub struct Tracer {
    /// What sets lips off: redness, brightness and blueness of each sample, blurred.
    features: [Vec<f32>; 3],
    spare: Vec<f32>,
    /// How far each sample looks like the lip.
    likeness: Vec<f32>,
    samples: [Vec<f32>; 3],
    gains: Vec<[f32; MOST_STEPS]>,
    best: Vec<[f32; MOST_STEPS]>,
    from: Vec<[u8; MOST_STEPS]>,
}

impl Tracer {
    pub fn new() -> Self {
        let plane = || vec![0.0; CLOSE_SIZE * CLOSE_SIZE];
        let samples = || Vec::with_capacity(3 * COLUMNS);
        Self {
            features: [plane(), plane(), plane()],
            spare: plane(),
            likeness: plane(),
            samples: [samples(), samples(), samples()],
            gains: vec![[0.0; MOST_STEPS]; COLUMNS],
            best: vec![[0.0; MOST_STEPS]; COLUMNS],
            from: vec![[0; MOST_STEPS]; COLUMNS],
        }
    }

    /// `None` where there is no mouth wide enough to tell.
    pub fn trace(
        &mut self,
        close: &CloseUp,
        landmarks: &[[f32; 2]],
        points: &Points,
    ) -> Option<Traced> {
        self.look(close);
        let mut contours = Contours::through(landmarks, &points.inner);
        let outer = Contours::through(landmarks, &points.outer);
        let (middle, half) = (contours.middle(), 0.5 * contours.width());
        let first = close.column(contours.left + 0.5).ceil().max(1.0) as usize;
        let end =
            (close.column(contours.right - 0.5).floor().max(0.0) as usize).min(CLOSE_SIZE - 1);
        if end < first + 16 {
            return None;
        }
        let mut fits = [[0.0; 5]; 2];
        let mut certainty = f32::MAX;
        let mut lip_tone = [0.0; 2];
        for lip in 0..2 {
            let inner_at = |column: usize| contours.at(close.x(column as f32))[lip];
            let outer_at = |column: usize| outer.at(close.x(column as f32))[lip];
            let tone = self.liken(close, first..end, inner_at, outer_at);
            lip_tone = [0, 1].map(|i| lip_tone[i] + 0.5 * tone[i]);
            let out = [-1.0, 1.0][lip];
            for column in first..end {
                let across = (close.x(column as f32) - middle).abs() / half;
                let near_corner = ((across - 0.6) / 0.4).clamp(0.0, 1.0);
                let price = PRICE[lip] + 0.35 * near_corner * near_corner;
                let inner = inner_at(column);
                for step in 0..STEPS[lip] {
                    let offset = LEAST[lip] + STEP * step as f32;
                    let at = |beyond: f32| {
                        close.at(&self.likeness, column, inner + out * (offset + beyond))
                    };
                    let outside = at(0.5) + at(1.0) + at(1.6);
                    let inside = at(-0.5) + at(-1.0) + at(-1.6);
                    self.gains[column][step] = outside - inside - price * offset.abs();
                }
            }
            let gain = self.follow(first..end, lip);
            certainty = certainty.min(gain);
            let across =
                |column: usize| ((close.x(column as f32) - middle) / half).clamp(-1.0, 1.0);
            fits[lip] = self.fit(first..end, lip, across);
        }
        contours.shift(|across| {
            let fade = 1.0 - across.powi(8);
            [0, 1].map(|lip| [-1.0, 1.0][lip] * fade * polynomial(&fits[lip], across))
        });
        Some(Traced {
            contours,
            certainty,
            lip_red: lip_tone[0],
            lip_luma: lip_tone[1],
        })
    }

    /// Takes in what the close-up shows.
    fn look(&mut self, close: &CloseUp) {
        let [red, green, blue] = &close.planes;
        for at in 0..CLOSE_SIZE * CLOSE_SIZE {
            let [red, green, blue] = [red[at], green[at], blue[at]].map(|v| v.max(0.0) + FLOOR);
            self.features[0][at] = 3.0 * (red / green).ln();
            self.features[1][at] = ((red + 2.0 * green + blue) / 4.0).ln();
            self.features[2][at] = 1.5 * (blue / green).ln();
        }
        for feature in &mut self.features {
            blur(feature, &mut self.spare);
        }
    }

    /// Finds how the lip looks between its contours, and how far each sample looks like that.
    /// Returns redness and brightness of the lip.
    fn liken(
        &mut self,
        close: &CloseUp,
        columns: std::ops::Range<usize>,
        inner: impl Fn(usize) -> f32,
        outer: impl Fn(usize) -> f32,
    ) -> [f32; 2] {
        let margin = columns.len() / 5;
        let core = columns.start + margin..columns.end - margin;
        let (mut mean, mut spread) = ([0.0; 3], [0.0; 3]);
        const LEAST_SPREAD: [f32; 3] = [0.09, 0.16, 0.07];
        for channel in 0..3 {
            let samples = &mut self.samples[channel];
            samples.clear();
            for column in core.clone() {
                let (inner, outer) = (inner(column), outer(column));
                for share in [0.4, 0.55, 0.7] {
                    let y = inner + share * (outer - inner);
                    samples.push(close.at(&self.features[channel], column, y));
                }
            }
            mean[channel] = median(samples);
            samples
                .iter_mut()
                .for_each(|value| *value = (*value - mean[channel]).abs());
            spread[channel] = (1.48 * median(samples)).max(LEAST_SPREAD[channel]);
        }
        for (at, likeness) in self.likeness.iter_mut().enumerate() {
            let off = [0, 1, 2].map(|channel| self.features[channel][at] - mean[channel]);
            // Wet lips are brighter than the others, and lips all the same.
            let bright = off[1] / if off[1] > 0.0 { 0.35 } else { 0.42 };
            let [red, blue] = [off[0] / spread[0], off[2] / spread[2]];
            *likeness = (-(red * red + bright * bright + blue * blue) / 8.0).exp();
        }
        [mean[0] / 3.0, mean[1].exp() - FLOOR]
    }

    /// The smoothest way through the columns' gains (Viterbi): leaves the step taken in each
    /// column in `from[column][0]`, and returns the mean gain.
    fn follow(&mut self, columns: std::ops::Range<usize>, lip: usize) -> f32 {
        let count = STEPS[lip];
        let bend = |steps: usize| {
            let way = steps as f32 * STEP * 1.2 * DENSITY;
            (0.35 * way * way).min(6.0)
        };
        self.best[columns.start] = self.gains[columns.start];
        for column in columns.start + 1..columns.end {
            for step in 0..count {
                let (mut best, mut from) = (f32::MIN, 0);
                for before in 0..count {
                    let value = self.best[column - 1][before] - bend(step.abs_diff(before));
                    if value > best {
                        (best, from) = (value, before);
                    }
                }
                self.best[column][step] = best + self.gains[column][step];
                self.from[column][step] = from as u8;
            }
        }
        let last = &self.best[columns.end - 1][..count];
        let mut step = (0..count).fold(0, |best, at| if last[at] > last[best] { at } else { best });
        let mut sum = 0.0;
        let length = columns.len();
        for column in columns.rev() {
            sum += self.gains[column][step];
            let before = self.from[column][step];
            self.from[column][0] = step as u8;
            step = before as usize;
        }
        sum / length as f32
    }

    /// A smooth curve through that way: columns with a clear edge count, wild ones do not.
    fn fit(
        &self,
        columns: std::ops::Range<usize>,
        lip: usize,
        across: impl Fn(usize) -> f32,
    ) -> [f32; 5] {
        const STIFF: [f32; 5] = [0.5, 0.5, 1.0, 2.0, 2.0];
        let stiff = STIFF.map(|stiff| f64::from(stiff) * columns.len() as f64 / 120.0);
        let mut fit = [0.0; 5];
        for round in 0..6 {
            let (mut matrix, mut right) = ([[0.0; 5]; 5], [0.0; 5]);
            for column in columns.clone() {
                let step = self.from[column][0] as usize;
                let offset = LEAST[lip] + STEP * step as f32;
                let x = across(column);
                let clear = self.gains[column][step].clamp(0.05, 2.0);
                let off = (offset - polynomial(&fit, x)) / 0.7;
                let wild = if round == 0 {
                    0.0
                } else {
                    off * off * off * off
                };
                let weight = f64::from(clear / (1.0 + wild));
                let powers = [0, 1, 2, 3, 4].map(|power| f64::from(x).powi(power));
                for (i, row) in matrix.iter_mut().enumerate() {
                    for (j, value) in row.iter_mut().enumerate() {
                        *value += weight * powers[i] * powers[j];
                    }
                    right[i] += weight * powers[i] * f64::from(offset);
                }
            }
            for (i, row) in matrix.iter_mut().enumerate() {
                row[i] += stiff[i];
            }
            fit = solve(matrix, right).map(|value| value as f32);
        }
        fit
    }
}

/// Keeps logarithms of dark samples quiet.
const FLOOR: f32 = 4.0 / 255.0;

fn polynomial(factors: &[f32; 5], x: f32) -> f32 {
    factors
        .iter()
        .rev()
        .fold(0.0, |sum, factor| sum * x + factor)
}

/// Of a positive definite matrix, without pivoting.
fn solve(mut matrix: [[f64; 5]; 5], mut right: [f64; 5]) -> [f64; 5] {
    for pivot in 0..5 {
        for row in pivot + 1..5 {
            let share = matrix[row][pivot] / matrix[pivot][pivot];
            let above = matrix[pivot];
            for (value, above) in matrix[row].iter_mut().zip(above).skip(pivot) {
                *value -= share * above;
            }
            right[row] -= share * right[pivot];
        }
    }
    for row in (0..5).rev() {
        for column in row + 1..5 {
            right[row] -= matrix[row][column] * right[column];
        }
        right[row] /= matrix[row][row];
    }
    right
}

/// Leaves the values in another order.
pub fn quantile(values: &mut [f32], share: f32) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let place = (share * (values.len() - 1) as f32).round() as usize;
    *values.select_nth_unstable_by(place, f32::total_cmp).1
}

fn median(values: &mut [f32]) -> f32 {
    quantile(values, 0.5)
}

/// By a Gaussian of 0.6 samples.
fn blur(values: &mut [f32], spare: &mut [f32]) {
    const KERNEL: [f32; 5] = [0.00257, 0.16556, 0.66374, 0.16556, 0.00257];
    let last = CLOSE_SIZE - 1;
    for (y, out) in spare.chunks_exact_mut(CLOSE_SIZE).enumerate() {
        let row = &values[y * CLOSE_SIZE..][..CLOSE_SIZE];
        for (x, out) in out.iter_mut().enumerate() {
            let near = (0..5).map(|k| KERNEL[k] * row[(x + k).saturating_sub(2).min(last)]);
            *out = near.sum();
        }
    }
    for (y, out) in values.chunks_exact_mut(CLOSE_SIZE).enumerate() {
        let rows = [0, 1, 2, 3, 4].map(|k| (y + k).saturating_sub(2).min(last) * CLOSE_SIZE);
        for (x, out) in out.iter_mut().enumerate() {
            *out = (0..5).map(|k| KERNEL[k] * spare[rows[k] + x]).sum();
        }
    }
}

/// Share of the inside of contours at a sample: 1 inside, 0 outside, soft between.
pub fn inside(contours: &Contours, [x, y]: [f32; 2], shrunk: f32, soft: f32) -> f32 {
    let [upper, lower] = contours.at(x);
    let edge = (y - upper)
        .min(lower - y)
        .min(x - contours.left)
        .min(contours.right - x);
    smoothstep([-soft, soft], edge - shrunk)
}
