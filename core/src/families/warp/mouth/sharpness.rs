//! How sharp a picture of a mouth is, so that what is drawn into it is no sharper.

use super::{
    glimpse::{CLOSE_SIDE, CLOSE_SIZE, CloseUp},
    trace::quantile,
};

/// Samples on each side of an edge within which it goes from dark to bright.
const REACH: usize = 6;
/// Edges lower than this share of the highest tell little.
const LOWEST: f32 = 0.35;
const FEWEST: usize = 10;
/// Standard deviation of a blur for which an edge of height 1 has a slope of 1.
const UNIT: f32 = 0.399;
/// Samples for each canonical pixel.
const DENSITY: f32 = CLOSE_SIZE as f32 / CLOSE_SIDE;

/// Measures. Its memory is kept.
pub struct Gauge {
    heights: Vec<f32>,
    lows: Vec<f32>,
    row: Vec<f32>,
    values: Vec<f32>,
}

impl Gauge {
    pub fn new() -> Self {
        let area = CLOSE_SIZE * CLOSE_SIZE;
        Self {
            heights: vec![0.0; area],
            lows: vec![0.0; area],
            row: vec![0.0; CLOSE_SIZE],
            values: Vec::with_capacity(area),
        }
    }

    /// The standard deviation of the blur of the sharpest edges, in canonical pixels; `None` where
    /// there are no edges. Not below what a close-up can show, some 0.3.
    pub fn blur(&mut self, close: &CloseUp) -> Option<f32> {
        let plane = &close.planes[1];
        self.heights.copy_from_slice(plane);
        self.lows.copy_from_slice(plane);
        spread(&mut self.heights, &mut self.row, f32::max);
        spread(&mut self.lows, &mut self.row, f32::min);
        for (height, low) in self.heights.iter_mut().zip(&self.lows) {
            *height -= low;
        }
        self.values.clear();
        self.values.extend_from_slice(&self.heights);
        let least = (LOWEST * quantile(&mut self.values, 0.98)).max(0.02);
        self.values.clear();
        let slope = |at: usize| {
            let across = plane[at + 1] - plane[at - 1];
            let down = plane[at + CLOSE_SIZE] - plane[at - CLOSE_SIZE];
            0.5 * across.hypot(down)
        };
        for row in 2..CLOSE_SIZE - 2 {
            for at in row * CLOSE_SIZE + 2..(row + 1) * CLOSE_SIZE - 2 {
                let height = self.heights[at];
                if height < least {
                    continue;
                }
                let here = slope(at);
                let near = [at - 1, at + 1, at - CLOSE_SIZE, at + CLOSE_SIZE];
                if here > 0.0 && near.iter().all(|&near| here >= slope(near)) {
                    self.values.push(UNIT * height / here);
                }
            }
        }
        if self.values.len() < FEWEST {
            return None;
        }
        Some(quantile(&mut self.values, 0.15) / DENSITY)
    }
}

/// Gives each value the most extreme one within [`REACH`].
fn spread(values: &mut [f32], line: &mut [f32], extreme: impl Fn(f32, f32) -> f32) {
    for (first, step) in [(CLOSE_SIZE, 1), (1, CLOSE_SIZE)] {
        for start in (0..CLOSE_SIZE).map(|nth| nth * first) {
            for (nth, value) in line.iter_mut().enumerate() {
                *value = values[start + nth * step];
            }
            for nth in 0..CLOSE_SIZE {
                let near = nth.saturating_sub(REACH)..(nth + REACH + 1).min(CLOSE_SIZE);
                let found = line[near].iter().copied().reduce(&extreme);
                values[start + nth * step] = found.unwrap_or_default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A close-up of a bright half, blurred by so many canonical pixels.
    fn edge(blur: f32) -> CloseUp {
        let mut close = CloseUp::new();
        for (at, value) in close.planes[1].iter_mut().enumerate() {
            let away = ((at % CLOSE_SIZE) as f32 - 63.3) / DENSITY / blur;
            *value = 0.2 + 0.5 / (1.0 + (-1.702 * away).exp());
        }
        close
    }

    #[test]
    fn the_blur_of_an_edge_is_found() {
        let mut gauge = Gauge::new();
        for blur in [0.6, 0.9, 1.2] {
            let found = gauge.blur(&edge(blur)).expect("an edge");
            assert!((found / blur - 1.0).abs() < 0.25, "{found} for {blur}");
        }
    }

    #[test]
    fn where_nothing_is_nothing_is_found() {
        assert_eq!(Gauge::new().blur(&CloseUp::new()), None);
    }
}
