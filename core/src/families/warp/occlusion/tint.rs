//! What is redder than any skin: lettering, microphones, the straps of a mask, from the first frame on.
//!
//! Must not know other frames.
//!
//! How red something is against green is compared with the person's own skin. Of 1,609 frames of bare faces and
//! paintings of them, beards among them, none has more than 6 cells beside the lips that are twice as red; red letters
//! are 2.2 times and more.

use crate::families::warp::occlusion::{CELLS, SIDE};
use crate::pixels::geometry::cells::grow;

/// Times as red as the skin: surely none; none, and no lips, where such cells are near.
const SURELY_NONE: f32 = 2.0;
const NONE: f32 = 1.35;
const NO_LIPS: f32 = 1.6;
/// Less light has no colour, 0..1.
const DARK: f32 = 0.06;
/// Cells of the skin that are surely none, below which they are a blemish, and lips painted.
const FEW: usize = 8;
/// How far letters reach whose strokes are too thin to be sure of, in cells; how often that leads on from one to the
/// next; and how far their edges reach.
const NEAR: usize = 2;
const STEPS: usize = 3;
const EDGE: usize = 2;

/// See the module. Kept to be used again.
pub struct Tint {
    /// 0 or 1 for each cell: whether something red lies over it.
    pub covered: Vec<f32>,
    /// How red each cell is at its reddest.
    reddest: Vec<f32>,
    sorted: Vec<f32>,
    spare: Vec<f32>,
}

impl Tint {
    pub fn new() -> Self {
        let cells = || vec![0.0; CELLS];
        Self {
            covered: cells(),
            reddest: cells(),
            sorted: Vec::with_capacity(CELLS),
            spare: cells(),
        }
    }

    /// Looks at a crop, `[3, size, size]`, R, G, B, 0..1. `mouth` is 1 for cells of the mouth, `skin` for those of
    /// the face beside it.
    pub fn look(&mut self, crop: &[f32], size: usize, mouth: &[f32], skin: &[f32]) {
        self.covered.fill(0.0);
        self.find_reddest(crop, size);
        let Some(usual) = self.median(skin) else {
            return;
        };
        let sure = SURELY_NONE * usual;
        let on_skin = self.reddest.iter().zip(skin);
        let on_skin = on_skin.filter(|(reddest, skin)| **reddest > sure && **skin > 0.0);
        let is_any_on_skin = on_skin.count() >= FEW;
        let cells = self.covered.iter_mut().zip(&self.reddest);
        for ((covered, reddest), (skin, mouth)) in cells.zip(skin.iter().zip(mouth)) {
            let is_beside = *skin == 0.0 && *mouth == 0.0;
            let is_covered = *reddest > sure && (is_any_on_skin || is_beside);
            *covered = f32::from(u8::from(is_covered));
        }
        if self.covered.iter().all(|&covered| covered == 0.0) {
            return;
        }
        for _ in 0..STEPS {
            grow::<SIDE>(&mut self.covered, NEAR, &mut self.spare);
            let cells = self.covered.iter_mut().zip(&self.reddest);
            for ((covered, reddest), (skin, mouth)) in cells.zip(skin.iter().zip(mouth)) {
                let limit = match (*skin > 0.0, *mouth > 0.0) {
                    (true, _) => NONE,
                    (false, true) => NO_LIPS,
                    (false, false) => SURELY_NONE,
                };
                if *reddest <= limit * usual {
                    *covered = 0.0;
                }
            }
        }
        grow::<SIDE>(&mut self.covered, EDGE, &mut self.spare);
    }

    fn find_reddest(&mut self, crop: &[f32], size: usize) {
        let (red, others) = crop.split_at(size * size);
        let green = &others[..size * size];
        self.reddest.fill(0.0);
        let rows = red.chunks_exact(size).zip(green.chunks_exact(size));
        for (y, (red, green)) in rows.enumerate() {
            let cells = &mut self.reddest[y * SIDE / size * SIDE..][..SIDE];
            for (x, (red, green)) in red.iter().zip(green).enumerate() {
                let cell = &mut cells[x * SIDE / size];
                *cell = cell.max((red + DARK) / (green + DARK));
            }
        }
    }

    /// How red the skin usually is; `None` where there is none.
    fn median(&mut self, skin: &[f32]) -> Option<f32> {
        let cells = self.reddest.iter().zip(skin);
        let of_skin = cells.filter(|(_, skin)| **skin > 0.0);
        self.sorted.clear();
        self.sorted.extend(of_skin.map(|(reddest, _)| *reddest));
        let middle = self.sorted.len() / 2;
        let (_, median, _) = (middle < self.sorted.len())
            .then(|| self.sorted.select_nth_unstable_by(middle, f32::total_cmp))?;
        Some(*median)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 128;

    fn crop(colour: impl Fn([usize; 2]) -> [f32; 3]) -> Vec<f32> {
        let mut crop = vec![0.0; 3 * SIZE * SIZE];
        for at in 0..SIZE * SIZE {
            for (plane, value) in colour([at % SIZE, at / SIZE]).into_iter().enumerate() {
                crop[plane * SIZE * SIZE + at] = value;
            }
        }
        crop
    }

    #[test]
    fn red_strokes_are_found_on_any_skin_and_nothing_else() {
        for skin in [[0.85, 0.65, 0.55], [0.3, 0.18, 0.12], [0.5, 0.5, 0.5]] {
            let shaded =
                |[x, _]: [usize; 2]| skin.map(|value| value * (0.4 + 0.6 * x as f32 / 127.0));
            let mut tint = Tint::new();
            tint.look(&crop(shaded), SIZE, &[0.0; CELLS], &[1.0; CELLS]);
            assert!(tint.covered.iter().all(|&covered| covered == 0.0));

            let is_stroke = |[x, y]: [usize; 2]| y / 12 == 5 && x % 10 < 2;
            let lettered = |at| match is_stroke(at) {
                true => [0.8, 0.1, 0.1],
                false => shaded(at),
            };
            tint.look(&crop(lettered), SIZE, &[0.0; CELLS], &[1.0; CELLS]);
            for y in 0..SIZE {
                for x in 0..SIZE {
                    let covered = tint.covered[y * SIDE / SIZE * SIDE + x * SIDE / SIZE];
                    assert!(covered == 1.0 || !is_stroke([x, y]), "{skin:?} {x} {y}");
                    assert!(covered == 0.0 || (50..82).contains(&y), "{skin:?} {x} {y}");
                }
            }
            // As lips may be painted.
            tint.look(&crop(lettered), SIZE, &[1.0; CELLS], &[0.0; CELLS]);
            assert!(tint.covered.iter().all(|&covered| covered == 0.0));
        }
    }
}
