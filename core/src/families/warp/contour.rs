//! Where a face ends: what is behind it must not move with it.
//!
//! Must not know networks or frames: a mesh in, a share for each pixel of a canonical crop out.
//!
//! Beside the cheeks nothing may move. The chin of a face that looks to the camera is before its
//! own neck, skin before skin, and may go a little up and down over it. It keeps its place where
//! the head is turned, so that something else is behind it, and where the mouth is so wide open
//! that shutting it would uncover what no pixel shows.

use crate::{
    face::{Mesh, geometry::FACE_OVAL},
    generator::smoothstep,
    pixels::{
        Affine,
        geometry::cells::{self, blur, fill},
    },
};

/// Cells along each side of a crop.
const SIDE: usize = 48;
const CELLS: usize = SIDE * SIDE;
/// Lengths below are in pixels of a crop of this side.
const UNITS: f32 = 96.0;

/// The contour from temple to temple, along the jaw.
const JAW: std::ops::Range<usize> = 7..30;
const CHIN: usize = 152;
/// Contour of the cheeks on both sides, and the middle of the nose: a turned head has more of the
/// face on one side.
const CHEEKS: [[usize; 3]; 2] = [[234, 93, 132], [454, 323, 361]];
const NOSE: [usize; 3] = [1, 2, 164];
/// Middles of the inner lips.
const LIPS: [usize; 2] = [13, 14];

/// Radius in cells of the blur that makes a slope of the contour, and shares of what lies outside
/// between which movement goes from all to none: none on the contour itself.
const SLOPE: usize = 3;
const OUTSIDE: [f32; 2] = [0.05, 0.5];
/// Distances across from the middle of the chin between which the jaw becomes a side of the face.
const BESIDE_CHIN: [f32; 2] = [14.0, 30.0];
/// Shares of the face by which one side is larger between which a head counts as turned: 0.12 is
/// in clips of people who look to the camera, 0.5 are 35 degrees.
const TURNED: [f32; 2] = [0.18, 0.32];
/// Gaps between the lips from which the chin begins to stay, and from which it does.
const WIDE: [f32; 2] = [7.0, 10.5];
/// Height above the jaw within which the skin stretches when the chin stays.
const STRETCH: f32 = 28.0;

/// The contour of one face.
pub struct Contour {
    outside: Vec<f32>,
    spare: Vec<f32>,
    /// Height of the jaw in each column of the crop; beyond it, as low as can be.
    jaw: Vec<f32>,
}

impl Contour {
    pub fn new(size: usize) -> Self {
        Self {
            outside: vec![0.0; CELLS],
            spare: vec![0.0; CELLS],
            jaw: vec![0.0; size],
        }
    }

    /// Takes what is outside the face out of `mask`, and writes to `freedom` how far each pixel may
    /// follow the mouth, 0..1. Both are `[size, size]`.
    pub fn apply(
        &mut self,
        mesh: &Mesh,
        to_crop: &Affine,
        size: usize,
        mask: &mut [f32],
        freedom: &mut [f32],
    ) {
        let unit = size as f32 / UNITS;
        let place = |point: usize| to_crop.apply(mesh.points[point]);
        let scale = SIDE as f32 / size as f32;
        let contour = FACE_OVAL.iter().map(|&point| place(point));
        let in_cells = |at: f32| (at + 0.5) * scale - 0.5;
        fill::<SIDE>(contour.map(|at| at.map(in_cells)), &mut self.outside);
        // Beyond the edge of the crop is the rest of the face.
        self.outside.iter_mut().for_each(|cell| *cell = 1.0 - *cell);
        blur::<SIDE>(&mut self.outside, SLOPE, &mut self.spare);
        self.trace_jaw(&place);

        let turned = smoothstep(TURNED, turn(&place));
        let gap = (place(LIPS[1])[1] - place(LIPS[0])[1]) / unit;
        let stays = turned.max(smoothstep(WIDE, gap));
        let chin = place(CHIN)[0];
        let rows = mask
            .chunks_exact_mut(size)
            .zip(freedom.chunks_exact_mut(size));
        for (y, (mask, freedom)) in rows.enumerate() {
            let pixels = mask.iter_mut().zip(freedom).zip(&self.jaw);
            for (x, ((mask, freedom), jaw)) in pixels.enumerate() {
                let at = [x as f32, y as f32];
                let outside = cells::at::<SIDE>(&self.outside, at.map(in_cells));
                let is_side = smoothstep(BESIDE_CHIN, (at[0] - chin).abs() / unit).max(turned);
                let side = 1.0 - is_side * smoothstep(OUTSIDE, outside);
                let above = smoothstep([0.0, STRETCH], (jaw - at[1]) / unit);
                *mask *= side;
                *freedom = side * (1.0 - stays * (1.0 - above));
            }
        }
    }

    fn trace_jaw(&mut self, place: &impl Fn(usize) -> [f32; 2]) {
        self.jaw.fill(f32::MAX);
        let size = self.jaw.len();
        for ends in FACE_OVAL[JAW].windows(2) {
            let [[x0, y0], [x1, y1]] = [place(ends[0]), place(ends[1])];
            let column = |x: f32| x.ceil().clamp(0.0, size as f32) as usize;
            for x in column(x0.min(x1))..column(x0.max(x1)) {
                let y = y0 + (x as f32 - x0) / (x1 - x0) * (y1 - y0);
                let jaw = &mut self.jaw[x];
                *jaw = if *jaw == f32::MAX { y } else { jaw.max(y) };
            }
        }
    }
}

/// By which share of the face one side of it is larger.
fn turn(place: &impl Fn(usize) -> [f32; 2]) -> f32 {
    let middle = |points: [usize; 3]| points.map(|point| place(point)[0]).iter().sum::<f32>() / 3.0;
    let [right, left] = CHEEKS.map(middle);
    let nose = middle(NOSE);
    ((nose - right) - (left - nose)).abs() / (left - right).abs().max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 96;

    /// A face as wide as that, whose nose is so far beside the middle, with lips so far apart.
    fn planes(width: f32, beside: f32, gap: f32) -> (Vec<f32>, Vec<f32>) {
        let mut mesh = Mesh::default();
        for (nth, &index) in FACE_OVAL.iter().enumerate() {
            let angle = nth as f32 / FACE_OVAL.len() as f32 * std::f32::consts::TAU;
            mesh.points[index] = [48.0 + width * angle.sin(), 10.0 - 70.0 * angle.cos()];
        }
        for index in NOSE {
            mesh.points[index] = [48.0 + beside, 10.0];
        }
        for (index, y) in LIPS.into_iter().zip([40.0, 40.0 + gap]) {
            mesh.points[index] = [48.0 + beside, y];
        }
        let (mut mask, mut freedom) = (vec![1.0; SIZE * SIZE], vec![f32::NAN; SIZE * SIZE]);
        let mut contour = Contour::new(SIZE);
        contour.apply(&mesh, &Affine::IDENTITY, SIZE, &mut mask, &mut freedom);
        (mask, freedom)
    }

    fn at([x, y]: [usize; 2]) -> usize {
        y * SIZE + x
    }

    #[test]
    fn a_face_before_the_camera_moves_with_its_chin_and_not_what_is_beside_it() {
        let (mask, freedom) = planes(40.0, 0.0, 3.0);
        for inside in [[48, 40], [48, 78], [48, 90], [30, 40]] {
            assert_eq!(
                [mask[at(inside)], freedom[at(inside)]],
                [1.0; 2],
                "{inside:?}"
            );
        }
        // Nearer to the edge of the crop, where the rest of the face begins, the crop itself fades.
        for outside in [[6, 30], [89, 30], [12, 80], [84, 80]] {
            assert_eq!(
                [mask[at(outside)], freedom[at(outside)]],
                [0.0; 2],
                "{outside:?}"
            );
        }
    }

    #[test]
    fn a_wide_mouth_is_shut_above_a_chin_that_stays() {
        let (mask, freedom) = planes(40.0, 0.0, 20.0);
        assert_eq!([mask[at([48, 40])], freedom[at([48, 40])]], [1.0; 2]);
        assert!(freedom[at([48, 78])] < 0.05 && freedom[at([48, 90])] == 0.0);
        let column: Vec<f32> = (40..96).map(|y| freedom[at([48, y])]).collect();
        assert!(
            column
                .windows(2)
                .all(|pair| pair[0] >= pair[1] && pair[0] - pair[1] < 0.06)
        );
    }

    #[test]
    fn behind_a_turned_head_nothing_moves() {
        let (mask, freedom) = planes(30.0, 15.0, 3.0);
        assert_eq!(freedom[at([50, 40])], 1.0);
        for outside in [[48, 88], [80, 40], [74, 70], [20, 70]] {
            assert_eq!(
                [mask[at(outside)], freedom[at(outside)]],
                [0.0; 2],
                "{outside:?}"
            );
        }
    }

    #[test]
    fn what_is_no_number_harms_nothing() {
        let mut mesh = Mesh::default();
        mesh.points.fill([f32::NAN; 2]);
        let (mut mask, mut freedom) = (vec![1.0; SIZE * SIZE], vec![0.0; SIZE * SIZE]);
        Contour::new(SIZE).apply(&mesh, &Affine::IDENTITY, SIZE, &mut mask, &mut freedom);
    }
}
