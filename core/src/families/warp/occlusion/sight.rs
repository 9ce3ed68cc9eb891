//! One frame of a lower face: its colours in cells, and where lips, mouth and skin are.
//!
//! Must not know other frames.

use crate::{
    face::{
        Mesh,
        geometry::{FACE_OVAL, LIPS_INNER, LIPS_OUTER},
    },
    families::warp::occlusion::{CELLS, SIDE},
    pixels::{
        Affine,
        geometry::cells::{fill, grow},
    },
};

/// Samples along each side of the square above the mouth that tells the light.
pub const LIGHT_SIDE: usize = 12;
/// Where skin is looked at: cells inside the face's oval, and beyond the lips' contour.
const INSIDE: usize = 1;
const BESIDE_LIPS: usize = 2;
/// How far the skin reaches that lips are compared with, in cells beyond that.
const ROUND_LIPS: usize = 5;
/// Less light has no colour, 0..3.
const DARK: f32 = 0.02;

/// What one frame shows, in the canonical picture.
pub struct Sight<'a> {
    /// `[3, size, size]`: R, G, B, 0..1.
    pub crop: &'a [f32],
    pub size: usize,
    /// `[3, LIGHT_SIDE, LIGHT_SIDE]` of the face above the mouth.
    pub light: &'a [f32],
    pub mesh: &'a Mesh,
    /// From the frame to the crop.
    pub to_crop: &'a Affine,
    /// Whether the face was found anew.
    pub is_fresh: bool,
    pub time_ns: i64,
}

/// The same in cells: colours, and a share of each cell, kept to be used again.
pub struct Seen {
    /// R, G, B of each.
    pub cells: Vec<f32>,
    pub mouth: Vec<f32>,
    /// Of the face, beside the mouth.
    pub skin: Vec<f32>,
    lips: Vec<f32>,
    /// Skin near the mouth.
    round: Vec<f32>,
    spare: [Vec<f32>; 2],
}

impl Seen {
    pub fn new() -> Self {
        let cells = || vec![0.0; CELLS];
        Self {
            cells: vec![0.0; 3 * CELLS],
            mouth: cells(),
            skin: cells(),
            lips: cells(),
            round: cells(),
            spare: [cells(), cells()],
        }
    }

    pub fn take_in(&mut self, sight: &Sight) {
        self.reduce(sight.crop, sight.size);
        self.outline(sight);
    }

    /// The crop in cells.
    fn reduce(&mut self, crop: &[f32], size: usize) {
        let pixels = |cell: usize| {
            let first = cell * size / SIDE;
            first..((cell + 1) * size / SIDE).max(first + 1)
        };
        let planes = crop.chunks_exact(size * size);
        for (cells, plane) in self.cells.chunks_exact_mut(CELLS).zip(planes) {
            for (y, cells) in cells.chunks_exact_mut(SIDE).enumerate() {
                cells.fill(0.0);
                for row in pixels(y).map(|y| &plane[y * size..][..size]) {
                    for (x, cell) in cells.iter_mut().enumerate() {
                        *cell += row[pixels(x)].iter().sum::<f32>();
                    }
                }
                for (x, cell) in cells.iter_mut().enumerate() {
                    *cell /= (pixels(y).len() * pixels(x).len()) as f32;
                }
            }
        }
    }

    /// Where lips, mouth and skin are.
    fn outline(&mut self, sight: &Sight) {
        let scale = SIDE as f32 / sight.size as f32;
        let contour = |points: &'static [usize]| {
            points.iter().map(|&index| {
                let place = sight.to_crop.apply(sight.mesh.points[index]);
                place.map(|x| (x + 0.5) * scale - 0.5)
            })
        };
        let Self {
            lips,
            mouth,
            round,
            skin,
            spare: [inner, spare],
            ..
        } = self;
        fill::<SIDE>(contour(&LIPS_OUTER), lips);
        fill::<SIDE>(contour(&LIPS_INNER), inner);
        grow::<SIDE>(inner, 1, spare);
        mouth.copy_from_slice(lips);
        grow::<SIDE>(mouth, BESIDE_LIPS, spare);
        round.copy_from_slice(mouth);
        grow::<SIDE>(round, ROUND_LIPS, spare);
        for (lips, inner) in lips.iter_mut().zip(&*inner) {
            *lips *= 1.0 - inner;
        }
        // Shrinking is growing of what is outside.
        fill::<SIDE>(contour(&FACE_OVAL), skin);
        skin.iter_mut().for_each(|skin| *skin = 1.0 - *skin);
        grow::<SIDE>(skin, INSIDE, spare);
        for ((skin, mouth), round) in skin.iter_mut().zip(&*mouth).zip(round) {
            *skin = (1.0 - *skin) * (1.0 - mouth);
            *round *= *skin;
        }
    }

    /// How much redder the lips are than the skin round them: the share of R in all light.
    pub fn redness(&self) -> f32 {
        let mean = |weights: &[f32]| {
            let [mut sum, mut count] = [0.0, 0.0];
            for (at, weight) in weights.iter().enumerate() {
                let [red, green, blue] = [0, 1, 2].map(|channel| self.cells[channel * CELLS + at]);
                sum += weight * red / (red + green + blue).max(DARK);
                count += weight;
            }
            sum / f32::max(count, 1.0)
        };
        mean(&self.lips) - mean(&self.round)
    }
}
