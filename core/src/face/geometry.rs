//! Shapes and maps of faces: boxes, squares, similarity maps, the lips' contours.
//!
//! Must not know networks or frames. Point numbers are those of the 468-point face mesh. What a
//! model takes for rigid or lets follow the lips is said by its manifest, not here.

use std::f32::consts::TAU;

use crate::pixels::Affine;

/// Outer corners of the eyes, on the left and on the right of a picture that is not mirrored.
pub const EYE_CORNERS: [usize; 2] = [33, 263];

/// Middles of the upper and of the lower inner lip.
pub const INNER_MIDDLES: [usize; 2] = [13, 14];

/// Outer contour of the lips: right corner, along the lower lip to the left corner, back along
/// the upper lip.
pub const LIPS_OUTER: [usize; 20] = [
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185,
];
/// Inner contour of the lips, in the same order.
pub const LIPS_INNER: [usize; 20] = [
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191,
];
/// Contour of the face, from the middle of the forehead down to the chin and up on the other side.
pub const FACE_OVAL: [usize; 36] = [
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
    148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
];

/// The similarity (scale, rotation, shift; no mirror) that maps `from` to `to` with the least
/// squared error. `None` when the lengths differ, `from` is a single place or a point is not
/// finite.
pub fn similarity(from: &[[f32; 2]], to: &[[f32; 2]]) -> Option<Affine> {
    if from.len() != to.len() || from.is_empty() {
        return None;
    }
    let (from_centre, to_centre) = (centroid(from), centroid(to));
    let (mut norm, mut along, mut across) = (0.0f64, 0.0f64, 0.0f64);
    for (f, t) in from.iter().zip(to) {
        let f = [0, 1].map(|i| f64::from(f[i]) - from_centre[i]);
        let t = [0, 1].map(|i| f64::from(t[i]) - to_centre[i]);
        norm += f[0] * f[0] + f[1] * f[1];
        along += f[0] * t[0] + f[1] * t[1];
        across += f[0] * t[1] - f[1] * t[0];
    }
    let (a, b) = (along / norm, across / norm);
    let tx = to_centre[0] - a * from_centre[0] + b * from_centre[1];
    let ty = to_centre[1] - b * from_centre[0] - a * from_centre[1];
    let finite = norm > 0.0 && [a, b, tx, ty].iter().all(|v| v.is_finite());
    finite.then_some(Affine {
        a: a as f32,
        b: -b as f32,
        c: b as f32,
        d: a as f32,
        tx: tx as f32,
        ty: ty as f32,
    })
}

/// The mean of points, in double precision.
fn centroid(points: &[[f32; 2]]) -> [f64; 2] {
    let mut sum = [0.0; 2];
    for point in points {
        sum[0] += f64::from(point[0]);
        sum[1] += f64::from(point[1]);
    }
    sum.map(|s| s / points.len() as f64)
}

/// A square that a network looks at: its centre and side in frame pixels, and how far its x axis
/// is turned clockwise, in radians.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Region {
    pub centre: [f32; 2],
    pub side: f32,
    pub angle: f32,
}

impl Region {
    /// From the pixels of a tensor of `size` x `size` to frame pixels.
    pub fn to_frame(&self, size: usize) -> Affine {
        let scale = self.side / size as f32;
        let (sin, cos) = self.angle.sin_cos();
        let (a, c) = (cos * scale, sin * scale);
        let middle = (size as f32 - 1.0) / 2.0;
        Affine {
            a,
            b: -c,
            c,
            d: a,
            tx: self.centre[0] - (a - c) * middle,
            ty: self.centre[1] - (c + a) * middle,
        }
    }

    /// Whether a place lies in the square as it is when not turned.
    pub(super) fn holds(&self, [x, y]: [f32; 2]) -> bool {
        let [across, down] = [x - self.centre[0], y - self.centre[1]];
        across.abs().max(down.abs()) < self.side / 2.0
    }

    /// The same square turned further clockwise, in radians.
    pub(super) fn turned(self, angle: f32) -> Self {
        Self {
            angle: self.angle + angle,
            ..self
        }
    }
}

/// How far one direction is from another, 0 to pi, in radians.
pub(super) fn turn_between(a: f32, b: f32) -> f32 {
    let turn = (a - b).rem_euclid(TAU);
    turn.min(TAU - turn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn turned(scale: f32, angle: f32, [tx, ty]: [f32; 2]) -> Affine {
        let (sin, cos) = angle.sin_cos();
        let (a, c) = (scale * cos, scale * sin);
        Affine {
            a,
            b: -c,
            c,
            d: a,
            tx,
            ty,
        }
    }

    proptest! {
        #[test]
        fn a_similarity_is_found_again(
            scale in 0.05f32..20.0,
            angle in -3.1f32..3.1,
            shift in [-2000f32..2000.0, -2000f32..2000.0],
            points in prop::collection::vec([-500f32..500.0, -500f32..500.0], 2..40),
        ) {
            let around = crate::rect::Rect::around(points.iter().copied());
            prop_assume!(around.width().max(around.height()) > 1.0);
            let map = turned(scale, angle, shift);
            let to: Vec<_> = points.iter().map(|&point| map.apply(point)).collect();
            let found = similarity(&points, &to).unwrap();
            for &point in &points {
                let ([x, y], [u, v]) = (map.apply(point), found.apply(point));
                prop_assert!((x - u).hypot(y - v) < 0.02 * scale.max(1.0));
            }
        }
    }

    #[test]
    fn no_similarity_without_two_places() {
        assert_eq!(similarity(&[], &[]), None);
        assert_eq!(similarity(&[[1.0, 2.0]; 3], &[[0.0, 0.0]; 3]), None);
        assert_eq!(
            similarity(&[[0.0, 1.0], [f32::NAN, 0.0]], &[[0.0, 0.0]; 2]),
            None
        );
        assert_eq!(
            similarity(&[[0.0, 1.0], [1.0, 0.0]], &[[0.0, 0.0]; 3]),
            None
        );
    }

    #[test]
    fn a_region_maps_its_middle_and_its_corners() {
        let region = Region {
            centre: [100.0, 50.0],
            side: 40.0,
            angle: std::f32::consts::FRAC_PI_2,
        };
        let map = region.to_frame(10);
        let near = |[x, y]: [f32; 2], [u, v]: [f32; 2]| (x - u).hypot(y - v) < 1e-4;
        assert!(near(map.apply([4.5, 4.5]), [100.0, 50.0]));
        // A quarter turn clockwise: the top left corner comes to the top right.
        assert!(near(map.apply([-0.5, -0.5]), [120.0, 30.0]));
        assert!(near(map.apply([9.5, -0.5]), [120.0, 70.0]));
    }
}
