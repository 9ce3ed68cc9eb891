//! One person's lower face without anything in front of it, and how a frame differs from that.
//!
//! Must not know what follows from the difference.

use crate::{
    families::warp::occlusion::{CELLS, SIDE, sight::LIGHT_SIDE},
    pixels::geometry::cells::grow,
};

pub const LIGHTS: usize = LIGHT_SIDE * LIGHT_SIDE;

/// How long the appearance is averaged, in seconds.
const REMEMBER: f32 = 1.0;
/// Appearance that has been known for less says nothing yet, in seconds.
const LEARN: f32 = 0.3;
/// How light may change from one second to the next.
const LIGHT_RANGE: [f32; 2] = [0.5, 2.0];
/// Difference of the faces above the mouths, 0..1 in the mean, from which they are two people's.
/// Within clips of 12 people it stays below 0.022, and between two it is 0.04 as a rule.
const ANOTHER: f32 = 0.03;
/// The same where the face was found anew, as after a cut: between two people it is smaller in one case of
/// two hundred, and from one frame of a person to the next always.
const SAME: f32 = 0.015;

/// Differences that count as none, 0..1: everywhere, in usual deviations of the cell, and in
/// differences between neighbours, which count when a face is followed less than exactly.
const FLOOR: f32 = 0.02;
const DEVIATIONS: f32 = 1.5;
const EDGE: f32 = 1.0;
/// Differences in multiples of that: more counts as so much.
const MOST: f32 = 3.0;

pub struct Memory {
    /// R, G, B of each cell, and how far it usually is from that.
    known: Vec<f32>,
    deviation: Vec<f32>,
    /// R, G, B of the face above the mouth.
    light: Vec<f32>,
    /// How long the face has been known, in seconds.
    age: f32,
    /// Of the frame: how much lighter R, G and B are, how each cell differs apart from that, and how
    /// each differs from its neighbours.
    gain: [f32; 3],
    difference: Vec<f32>,
    edges: Vec<f32>,
    level: Vec<f32>,
    spare: Vec<f32>,
    ratios: Vec<f32>,
}

impl Memory {
    pub fn new() -> Self {
        let cells = || vec![0.0; CELLS];
        Self {
            known: vec![0.0; 3 * CELLS],
            deviation: cells(),
            light: vec![0.0; 3 * LIGHTS],
            age: 0.0,
            gain: [1.0; 3],
            difference: cells(),
            edges: cells(),
            level: cells(),
            spare: cells(),
            ratios: vec![0.0; LIGHTS],
        }
    }

    /// Knows no more than this frame.
    pub fn begin(&mut self, cells: &[f32], light: &[f32]) {
        self.known.copy_from_slice(cells);
        self.light.copy_from_slice(light);
        self.deviation.fill(FLOOR);
        self.age = 0.0;
    }

    /// Whether it has been known for long enough to tell what differs from it.
    pub fn is_certain(&self) -> bool {
        self.age >= LEARN
    }

    /// Whether the frame, with this light above the mouth, shows the same face; `is_fresh` where it
    /// was found anew.
    pub fn recognise(&mut self, light: &[f32], is_fresh: bool) -> bool {
        let mut residue = 0.0;
        let planes = light
            .chunks_exact(LIGHTS)
            .zip(self.light.chunks_exact(LIGHTS));
        for (gain, (now, known)) in self.gain.iter_mut().zip(planes) {
            for (ratio, (now, known)) in self.ratios.iter_mut().zip(now.iter().zip(known)) {
                *ratio = now / known.max(FLOOR);
            }
            let ratios = &mut self.ratios;
            let middle = *ratios.select_nth_unstable_by(LIGHTS / 2, f32::total_cmp).1;
            *gain = middle.clamp(LIGHT_RANGE[0], LIGHT_RANGE[1]);
            let differences = now.iter().zip(known);
            residue += differences
                .map(|(now, known)| (now / *gain - known).abs())
                .sum::<f32>();
        }
        let limit = if is_fresh { SAME } else { ANOTHER };
        // What is no number is no face that is known.
        residue / ((3 * LIGHTS) as f32) < limit
    }

    /// Looks how each cell of the frame differs from what is known, and what is known from cell to
    /// cell.
    pub fn compare(&mut self, cells: &[f32]) {
        let Self {
            difference,
            edges,
            level,
            ..
        } = self;
        difference.fill(0.0);
        level.fill(0.0);
        let planes = self
            .known
            .chunks_exact(CELLS)
            .zip(cells.chunks_exact(CELLS));
        for ((known, now), gain) in planes.zip(self.gain) {
            let sums = difference.iter_mut().zip(level.iter_mut());
            for ((difference, level), (known, now)) in sums.zip(known.iter().zip(now)) {
                let expected = known * gain;
                *difference += (now - expected).abs() / 3.0;
                *level += expected / 3.0;
            }
        }
        for (y, edges) in edges.chunks_exact_mut(SIDE).enumerate() {
            let row = |y: usize| &level[y * SIDE..][..SIDE];
            let [above, here, below] = [row(y.max(1) - 1), row(y), row((y + 1).min(SIDE - 1))];
            for (x, edge) in edges.iter_mut().enumerate() {
                let across = here[(x + 1).min(SIDE - 1)] - here[x.max(1) - 1];
                let down = below[x] - above[x];
                *edge = (across * across + down * down).sqrt() / 2.0;
            }
        }
        grow::<SIDE>(edges, 1, &mut self.spare);
    }

    /// How much the cell differs, in multiples of what counts as none.
    pub fn strangeness(&self, cell: usize) -> f32 {
        let usual = FLOOR + DEVIATIONS * self.deviation[cell] + EDGE * self.edges[cell];
        (self.difference[cell] / usual).min(MOST)
    }

    /// The share of what the next frame shows, so many seconds later, in what is known from then on.
    pub fn rate(&mut self, passed: f32) -> f32 {
        self.age += passed;
        passed / self.age.min(REMEMBER).max(passed).max(f32::MIN_POSITIVE)
    }

    /// Takes the frame in, at a `rate` for each cell and one for the light above the mouth.
    pub fn learn(
        &mut self,
        cells: &[f32],
        rates: impl Iterator<Item = f32>,
        light: &[f32],
        rate: f32,
    ) {
        for (at, rate) in rates.enumerate() {
            for (channel, gain) in self.gain.iter().enumerate() {
                let at = channel * CELLS + at;
                self.known[at] += rate * (cells[at] / gain - self.known[at]);
            }
            self.deviation[at] += rate * (self.difference[at] - self.deviation[at]);
        }
        for ((known, now), gain) in self
            .light
            .chunks_exact_mut(LIGHTS)
            .zip(light.chunks_exact(LIGHTS))
            .zip(self.gain)
        {
            for (known, now) in known.iter_mut().zip(now) {
                *known += rate * (now / gain - *known);
            }
        }
    }
}
