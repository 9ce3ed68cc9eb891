//! Columns of a spectrum on the absolute grid, each computed once.
//!
//! Must not know resampling or running time. A column is computed alone, in double precision, from
//! the samples that it spans: streaming and offline give the same numbers.

use crate::sound::ring::Ring;
use std::ops::Range;

/// Mel bands of a column, of every spectrum here.
pub const BANDS: usize = 80;

pub type Column = [f32; BANDS];

/// What makes one column of samples.
pub trait Analysis {
    /// Every value of a column without sound.
    const SILENCE: f32;

    /// Columns that are kept once computed: more than the longest window.
    const CACHED: usize = 512;

    /// Lowest and highest value of a window. Columns are kept as they are, so that a window may be
    /// raised before it is cut to this.
    const RANGE: [f32; 2] = [f32::NEG_INFINITY, f32::INFINITY];

    /// Samples that a column depends on.
    fn span(column: i64) -> Range<i64>;

    /// Analyses the samples from `first` on, of which the ring holds at least one. `end` is the
    /// sample after the last one, once the sound has ended.
    fn analyse(&mut self, first: i64, ring: &Ring, end: Option<i64>, out: &mut Column);
}

/// What will not change any more.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The samples before this one.
    pub until: i64,
    /// The sample after the last one, once the sound has ended.
    pub end: Option<i64>,
}

pub struct Columns<A> {
    analysis: A,
    /// Which column each slot of `columns` holds.
    places: Box<[Option<i64>]>,
    columns: Box<[Column]>,
}

impl<A: Analysis> Columns<A> {
    pub fn new(analysis: A) -> Self {
        Self {
            analysis,
            places: Box::default(),
            columns: Box::default(),
        }
    }

    pub fn clear(&mut self) {
        self.places.fill(None);
    }

    /// Forgets the columns that depend on sample `end` or later ones.
    pub fn forget_after(&mut self, end: i64) {
        for place in &mut self.places {
            if place.is_some_and(|column| A::span(column).end > end) {
                *place = None;
            }
        }
    }

    /// Writes `columns` columns that end with `last`, `[BANDS, columns]`, row-major, every value
    /// raised by `raised`. What the ring does not hold is silence.
    pub fn window(
        &mut self,
        last: i64,
        ring: &Ring,
        known: Known,
        raised: f32,
        out: &mut [f32],
        columns: usize,
    ) {
        for at in 0..columns {
            let column = last.saturating_sub((columns - 1 - at) as i64);
            let is_final = A::span(column).end <= known.until;
            let values = self.column(column, ring, is_final, known.end);
            for (band, value) in values.iter().enumerate() {
                out[band * columns + at] = (value + raised).clamp(A::RANGE[0], A::RANGE[1]);
            }
        }
    }

    /// Computed once if it is `final`, which is to say that its last sample will not change.
    fn column(&mut self, column: i64, ring: &Ring, is_final: bool, end: Option<i64>) -> &Column {
        if self.places.is_empty() {
            // Not before it is asked for: a stream hears one spectrum of all that there are.
            self.places = vec![None; A::CACHED].into();
            self.columns = vec![[A::SILENCE; BANDS]; A::CACHED].into();
        }
        let slot = column.rem_euclid(A::CACHED as i64) as usize;
        if self.places[slot] != Some(column) {
            let span = A::span(column);
            let out = &mut self.columns[slot];
            if ring.overlaps(span.start, span.end) {
                self.analysis.analyse(span.start, ring, end, out);
            } else {
                out.fill(A::SILENCE);
            }
            self.places[slot] = is_final.then_some(column);
        }
        &self.columns[slot]
    }
}

/// One triangle of a filter bank: weights of the bins from `first` on.
pub struct Triangle {
    first: usize,
    weights: Vec<f64>,
}

impl Triangle {
    /// Rises from the first edge to the second and falls to the third, to `height`, over `bins`
    /// that lie at `place(bin)` on the scale of the edges.
    pub fn new(
        bins: usize,
        [left, centre, right]: [f64; 3],
        height: f64,
        place: impl Fn(usize) -> f64,
    ) -> Self {
        let weight = |bin: usize| {
            let rising = (place(bin) - left) / (centre - left);
            let falling = (right - place(bin)) / (right - centre);
            rising.min(falling).max(0.0) * height
        };
        let first = (0..bins).find(|&bin| weight(bin) > 0.0).unwrap_or(0);
        let weights = (first..bins).map(weight).take_while(|&w| w > 0.0).collect();
        Self { first, weights }
    }

    pub fn sum(&self, bins: &[f64]) -> f64 {
        let weighed = self.weights.iter().zip(&bins[self.first..]);
        weighed.map(|(weight, bin)| weight * bin).sum()
    }
}
