//! Which part of a face a third-party network may change: mouth and jaw, with a soft edge.
//!
//! Must not know networks or what is drawn.

use crate::{face::Mesh, generator::smoothstep, pixels::Affine, rect::Size};

/// Mesh points: base of the nose, chin, and the jaw beside the mouth's corners.
const NOSE_BASE: usize = 2;
const CHIN: usize = 152;
const JAW: [usize; 2] = [172, 397];
/// An open mouth moves the chin down: the ellipse reaches beyond it by this share of its height.
const HEIGHT: f32 = 1.15;
/// Of the distance between the points of the jaw: the background beside it stays as it is.
const WIDTH: f32 = 0.95;
/// Shares of the ellipse's radius over which its edge fades, without and with the widest feather.
const FADE: [f32; 2] = [0.05, 0.6];
/// The mask has come to 0 at the edge of the crop, over this share of its side.
const EDGE: f32 = 1.0 / 24.0;

/// Writes how much of the drawn picture replaces the frame, 0..`strength`: an ellipse between
/// nose and chin. `to_frame` maps pixels of the mask to frame pixels.
pub fn mask(
    mesh: &Mesh,
    to_frame: &Affine,
    size: Size,
    feather: f32,
    strength: f32,
    out: &mut [f32],
) {
    let Some(to_unit) = ellipse(mesh).inverse().map(|unit| unit.after(to_frame)) else {
        out.fill(0.0);
        return;
    };
    let fade = FADE[0] + feather.clamp(0.0, 1.0) * (FADE[1] - FADE[0]);
    let Size { width, height } = size;
    let border = (EDGE * width.min(height) as f32).max(1.0);
    for (row, out) in out.chunks_exact_mut(width).take(height).enumerate() {
        for (column, out) in out.iter_mut().enumerate() {
            let [x, y] = to_unit.apply([column as f32, row as f32]);
            let inner = column
                .min(width - 1 - column)
                .min(row.min(height - 1 - row));
            let edge = (inner as f32 / border).min(1.0);
            // `hypot` would call a library for every pixel.
            *out = strength * edge * smoothstep([0.0, fade], 1.0 - (x * x + y * y).sqrt());
        }
    }
}

/// From the unit circle to the frame.
fn ellipse(mesh: &Mesh) -> Affine {
    let [nose, chin] = [NOSE_BASE, CHIN].map(|index| mesh.points[index]);
    let [right, left] = JAW.map(|index| mesh.points[index]);
    let half = |from: f32, to: f32, share: f32| (to - from) / 2.0 * share;
    Affine {
        a: half(right[0], left[0], WIDTH),
        c: half(right[1], left[1], WIDTH),
        b: half(nose[0], chin[0], HEIGHT),
        d: half(nose[1], chin[1], HEIGHT),
        tx: (nose[0] + chin[0]) / 2.0,
        ty: (nose[1] + chin[1]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 48;

    fn face() -> Mesh {
        let mut mesh = Mesh::default();
        mesh.points[NOSE_BASE] = [24.0, 20.0];
        mesh.points[CHIN] = [24.0, 40.0];
        mesh.points[JAW[0]] = [10.0, 30.0];
        mesh.points[JAW[1]] = [38.0, 30.0];
        mesh
    }

    fn drawn(mesh: &Mesh, feather: f32) -> Vec<f32> {
        let mut out = vec![f32::NAN; SIDE * SIDE];
        let size = Size::square(SIDE);
        mask(mesh, &Affine::IDENTITY, size, feather, 1.0, &mut out);
        out
    }

    #[test]
    fn it_is_whole_on_the_mouth_and_nothing_beyond_jaw_and_edge() {
        let out = drawn(&face(), 0.5);
        assert_eq!(out[30 * SIDE + 24], 1.0);
        for [x, y] in [[24, 15], [24, 44], [8, 30], [40, 30], [0, 30], [24, 47]] {
            assert_eq!(out[y * SIDE + x], 0.0, "{x}, {y}");
        }
    }

    #[test]
    fn no_step_between_neighbours_with_a_wide_feather() {
        let out = drawn(&face(), 1.0);
        for row in out.chunks(SIDE) {
            for pair in row.windows(2) {
                assert!((pair[0] - pair[1]).abs() < 0.25, "{pair:?}");
            }
        }
    }

    #[test]
    fn a_face_without_extent_has_no_mask() {
        assert!(drawn(&Mesh::default(), 0.5).iter().all(|&v| v == 0.0));
        let mut broken = face();
        broken.points[CHIN] = [f32::NAN; 2];
        assert!(drawn(&broken, 0.5).iter().all(|&v| v == 0.0));
    }
}
