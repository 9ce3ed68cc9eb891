//! The contours between which the inside of a mouth shows, as heights over columns.
//!
//! Must not know pixels. All lengths are canonical pixels.

/// Columns for each pixel of the canonical picture, and all of them.
const DENSITY: f32 = 4.0;
const COLUMNS: usize = 384;
/// Numbers that describe both contours.
pub const NUMBERS: usize = 2 + 2 * COLUMNS;
/// Places for each piece of a contour between two landmarks.
const PIECE: usize = 10;
/// Half of the width over which a gap is measured.
const MIDST: f32 = 4.0;

/// Lower edge of the upper lip and upper edge of the lower one. Beyond the corners their heights
/// go on.
#[derive(Clone)]
pub struct Contours {
    pub left: f32,
    pub right: f32,
    heights: [[f32; COLUMNS]; 2],
}

impl Default for Contours {
    fn default() -> Self {
        Self {
            left: 0.0,
            right: 0.0,
            heights: [[0.0; COLUMNS]; 2],
        }
    }
}

impl Contours {
    /// Smooth curves through `lips`, upper and lower, as places in `landmarks` from one corner to
    /// the other.
    pub fn through(landmarks: &[[f32; 2]], lips: &[[usize; 11]; 2]) -> Self {
        let corners = [lips[0][0], lips[0][10]].map(|corner| landmarks[corner][0]);
        let mut contours = Self {
            left: corners[0],
            right: corners[1],
            ..Self::default()
        };
        for (heights, lip) in contours.heights.iter_mut().zip(lips) {
            curve(&lip.map(|point| landmarks[point]), heights);
        }
        contours
    }

    pub fn to_array(&self) -> [f32; NUMBERS] {
        let heights = self.heights.as_flattened();
        std::array::from_fn(|at| match at {
            0 => self.left,
            1 => self.right,
            _ => heights[at - 2],
        })
    }

    pub fn from_array(&[left, right, ref heights @ ..]: &[f32; NUMBERS]) -> Self {
        let mut contours = Self {
            left,
            right,
            ..Self::default()
        };
        contours.heights.as_flattened_mut().copy_from_slice(heights);
        contours
    }

    /// Heights of the two contours at `x`.
    pub fn at(&self, x: f32) -> [f32; 2] {
        let place = (x * DENSITY).clamp(0.0, (COLUMNS - 1) as f32);
        let first = (place as usize).min(COLUMNS - 2);
        let share = place - first as f32;
        [0, 1].map(|lip| {
            let [before, after] = [first, first + 1].map(|column| self.heights[lip][column]);
            before + share * (after - before)
        })
    }

    pub fn width(&self) -> f32 {
        self.right - self.left
    }

    pub fn middle(&self) -> f32 {
        0.5 * (self.left + self.right)
    }

    /// Mean heights in the middle of the mouth.
    pub fn midst(&self) -> [f32; 2] {
        let mut sums = [0.0; 2];
        const STEPS: i32 = 8;
        for step in 0..=STEPS {
            let beside = MIDST * (step as f32 / STEPS as f32 * 2.0 - 1.0);
            let heights = self.at(self.middle() + beside);
            sums = [sums[0] + heights[0], sums[1] + heights[1]];
        }
        sums.map(|sum| sum / (STEPS + 1) as f32)
    }

    /// The height of the highest and of the lowest place of the mouth.
    pub fn span(&self) -> [f32; 2] {
        const STEPS: usize = 24;
        (0..=STEPS).fold([f32::MAX, f32::MIN], |[top, bottom], step| {
            let [upper, lower] = self.at(self.left + self.width() * step as f32 / STEPS as f32);
            [top.min(upper), bottom.max(lower)]
        })
    }

    /// Gap between the lips in the middle of the mouth.
    pub fn gap(&self) -> f32 {
        let [upper, lower] = self.midst();
        lower - upper
    }

    /// Mean gap from corner to corner.
    pub fn mean_gap(&self) -> f32 {
        const STEPS: usize = 24;
        let gaps = (0..STEPS).map(|step| {
            let [upper, lower] =
                self.at(self.left + self.width() * (step as f32 + 0.5) / STEPS as f32);
            (lower - upper).max(0.0)
        });
        gaps.sum::<f32>() / STEPS as f32
    }

    /// Moves each column by what `by` says of it: `across` is -1 at the left corner and 1 at the
    /// right one.
    pub fn shift(&mut self, by: impl Fn(f32) -> [f32; 2]) {
        let (middle, half) = (self.middle(), (0.5 * self.width()).max(1.0));
        for column in 0..COLUMNS {
            let across = ((column as f32 / DENSITY - middle) / half).clamp(-1.0, 1.0);
            let by = by(across);
            self.heights[0][column] += by[0];
            self.heights[1][column] += by[1];
        }
    }
}

/// A Catmull-Rom spline through `points`, over columns.
fn curve(points: &[[f32; 2]; 11], heights: &mut [f32; COLUMNS]) {
    let last = points.len() - 1;
    let mut before = points[0];
    let mut next = 0;
    let mut fill = |to: [f32; 2], heights: &mut [f32; COLUMNS]| {
        let end = (to[0] * DENSITY).clamp(-1.0, COLUMNS as f32).floor() + 1.0;
        let end = (end.max(0.0) as usize).min(COLUMNS);
        while next < end {
            let across = (next as f32 / DENSITY - before[0]) / (to[0] - before[0]).max(1e-3);
            heights[next] = before[1] + across.clamp(0.0, 1.0) * (to[1] - before[1]);
            next += 1;
        }
        before = to;
    };
    for piece in 0..last {
        let [b, c] = [points[piece], points[piece + 1]];
        let a = if piece > 0 {
            points[piece - 1]
        } else {
            mirrored(c, b)
        };
        let d = if piece + 2 <= last {
            points[piece + 2]
        } else {
            mirrored(b, c)
        };
        for step in 1..=PIECE {
            let t = step as f32 / PIECE as f32;
            let place = [0, 1].map(|axis| {
                let [a, b, c, d] = [a[axis], b[axis], c[axis], d[axis]];
                0.5 * (2.0 * b
                    + (c - a) * t
                    + (2.0 * a - 5.0 * b + 4.0 * c - d) * t * t
                    + (3.0 * b - a - 3.0 * c + d) * t * t * t)
            });
            fill(place, heights);
        }
    }
    fill([f32::MAX, points[last][1]], heights);
}

/// `point` seen from the other side of `centre`.
fn mirrored(point: [f32; 2], centre: [f32; 2]) -> [f32; 2] {
    [0, 1].map(|axis| 2.0 * centre[axis] - point[axis])
}

#[cfg(test)]
mod tests {
    use super::{super::points::tests::face, *};

    #[test]
    fn curves_go_through_their_points_and_on_beyond_them() {
        let (landmarks, points) = face(8.0);
        let contours = Contours::through(&landmarks, &points.inner);
        for lip in 0..2 {
            for &point in &points.inner[lip] {
                let [x, y] = landmarks[point];
                let found = contours.at(x)[lip];
                assert!((found - y).abs() < 0.15, "{x}: {found} instead of {y}");
            }
        }
        assert_eq!((contours.left, contours.right), (29.5, 65.5));
        assert_eq!(contours.at(0.0), contours.at(29.0));
        assert!((contours.at(1e9)[0] - 52.0).abs() < 1e-3);
        assert!((contours.gap() - 8.0).abs() < 0.3);
        assert!((contours.mean_gap() - 8.0 * 2.0 / 3.0).abs() < 0.2);
    }

    #[test]
    fn what_is_no_number_harms_nothing() {
        let (mut landmarks, points) = face(8.0);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30] {
            landmarks[points.inner[0][4]] = [bad, bad];
            landmarks[points.inner[1][0]] = [bad, 3.0];
            let contours = Contours::through(&landmarks, &points.inner);
            let _ = (contours.at(bad), contours.gap(), contours.mean_gap());
        }
    }
}
