//! Coarse planes of cells: what lies in a contour, what is near, what is smooth.
//!
//! Must not know faces. Planes are square, `[SIDE, SIDE]`, row-major.

use crate::pixels::Affine;

/// 1 where the middle of a cell lies in the closed contour, else 0. `points` are in cells: (0, 0) is
/// the middle of the first.
pub fn fill<const SIDE: usize>(points: impl Iterator<Item = [f32; 2]> + Clone, out: &mut [f32]) {
    out.fill(0.0);
    let Some(first) = points.clone().next() else {
        return;
    };
    let next = points.clone().skip(1).chain([first]);
    for ([x0, y0], [x1, y1]) in points.zip(next) {
        // Rows between both ends. What is no number has none.
        let row = |y: f32| y.ceil().clamp(0.0, SIDE as f32) as usize;
        for y in row(y0.min(y1))..row(y0.max(y1)) {
            let crossing = x0 + (y as f32 - y0) / (y1 - y0) * (x1 - x0);
            // Right of each edge inside becomes outside.
            let first = crossing.ceil().clamp(0.0, SIDE as f32) as usize;
            for cell in &mut out[y * SIDE + first..(y + 1) * SIDE] {
                *cell = 1.0 - *cell;
            }
        }
    }
}

/// Each cell becomes the largest of those up to `radius` cells away, along rows and columns.
pub fn grow<const SIDE: usize>(plane: &mut [f32], radius: usize, spare: &mut [f32]) {
    along_both::<SIDE>(plane, spare, |plane, spare| {
        // Step by step, as a maximum of maxima is one.
        for _ in 0..radius {
            for (y, out) in spare.chunks_exact_mut(SIDE).enumerate() {
                let row = |y: usize| &plane[y * SIDE..][..SIDE];
                let [above, below] = [row(y.max(1) - 1), row((y + 1).min(SIDE - 1))];
                let rows = above.iter().zip(row(y)).zip(below);
                for (out, ((above, here), below)) in out.iter_mut().zip(rows) {
                    *out = above.max(here.max(*below));
                }
            }
            plane.copy_from_slice(spare);
        }
    });
}

/// Each cell becomes the mean of those up to `radius` cells away, twice: nearly a Gaussian of
/// deviation `sqrt(2 radius (radius + 1) / 3)`. Beyond the edge is nothing.
pub fn blur<const SIDE: usize>(plane: &mut [f32], radius: usize, spare: &mut [f32]) {
    let share = 1.0 / (2 * radius + 1) as f32;
    along_both::<SIDE>(plane, spare, |plane, spare| {
        for _ in 0..2 {
            let mut sums = [0.0; SIDE];
            let add = |sums: &mut [f32; SIDE], y: usize, by: f32| {
                for (sum, value) in sums
                    .iter_mut()
                    .zip(plane.chunks_exact(SIDE).nth(y).unwrap_or_default())
                {
                    *sum += by * value;
                }
            };
            (0..radius).for_each(|y| add(&mut sums, y, share));
            for (y, out) in spare.chunks_exact_mut(SIDE).enumerate() {
                add(&mut sums, y + radius, share);
                out.copy_from_slice(&sums);
                if let Some(last) = y.checked_sub(radius) {
                    add(&mut sums, last, -share);
                }
            }
            plane.copy_from_slice(spare);
        }
    });
}

/// Applies `filter`, which works along columns, to the columns and then to the rows. Whole rows at a
/// time are what CPUs are fast at.
fn along_both<const SIDE: usize>(
    plane: &mut [f32],
    spare: &mut [f32],
    filter: impl Fn(&mut [f32], &mut [f32]),
) {
    for _ in 0..2 {
        filter(plane, spare);
        for y in 0..SIDE {
            for x in 0..y {
                plane.swap(y * SIDE + x, x * SIDE + y);
            }
        }
    }
}

/// The plane at a place in cells, bilinear between their middles; beyond the outermost their values
/// go on. A place that is no number is the first cell's.
pub fn at<const SIDE: usize>(plane: &[f32], place: [f32; 2]) -> f32 {
    let [(x, along), (y, down)] = place.map(|at| {
        let at = at.max(0.0).min((SIDE - 1) as f32);
        let first = (at as usize).min(SIDE - 2);
        (first, at - first as f32)
    });
    let (above, below) = plane[y * SIDE..].split_at(SIDE);
    let between = |row: &[f32]| row[x] + along * (row[x + 1] - row[x]);
    let (above, below) = (between(above), between(below));
    above + down * (below - above)
}

/// Multiplies each pixel of `size` x `size` by `factor` of what the plane holds there.
pub fn multiply<const SIDE: usize>(
    picture: &mut [f32],
    size: usize,
    to_cells: &Affine,
    factor: impl Fn(f32) -> f32,
    plane: &[f32],
) {
    for (y, row) in picture.chunks_exact_mut(size).enumerate() {
        for (x, pixel) in row.iter_mut().enumerate() {
            let place = to_cells.apply([x as f32, y as f32]);
            *pixel *= factor(at::<SIDE>(plane, place));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{blur, fill, grow};

    const SIDE: usize = 48;
    const CELLS: usize = SIDE * SIDE;

    fn cell(x: usize, y: usize) -> usize {
        y * SIDE + x
    }

    #[test]
    fn a_contour_has_an_inside() {
        let corners = [[10.0, 5.0], [30.5, 5.0], [30.5, 20.5], [10.0, 20.5]];
        let mut plane = vec![0.5; CELLS];
        fill::<SIDE>(corners.into_iter(), &mut plane);
        let inside = plane.iter().sum::<f32>();
        assert_eq!(inside, 21.0 * 16.0);
        assert_eq!(
            [plane[cell(9, 10)], plane[cell(10, 10)], plane[cell(31, 10)]],
            [0.0, 1.0, 0.0]
        );
        let strange = [[f32::NAN, 5.0], [f32::INFINITY, f32::NAN], [1e30, -1e30]];
        fill::<SIDE>(strange.into_iter(), &mut plane);
        assert!(plane.iter().all(|cell| (0.0..=1.0).contains(cell)));
    }

    #[test]
    fn growth_reaches_as_far_as_it_says() {
        let (mut plane, mut spare) = (vec![0.0; CELLS], vec![0.0; CELLS]);
        plane[cell(20, 10)] = 1.0;
        grow::<SIDE>(&mut plane, 2, &mut spare);
        assert_eq!(plane.iter().sum::<f32>(), 25.0);
        assert_eq!([plane[cell(18, 12)], plane[cell(17, 10)]], [1.0, 0.0]);
    }

    #[test]
    fn a_blur_keeps_what_there_is_and_where() {
        let (mut plane, mut spare) = (vec![0.0; CELLS], vec![0.0; CELLS]);
        plane[cell(20, 10)] = 1.0;
        blur::<SIDE>(&mut plane, 2, &mut spare);
        assert!((plane.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        let most = plane.iter().copied().fold(0.0, f32::max);
        assert_eq!(plane[cell(20, 10)], most);
        assert!((plane[cell(22, 10)] - plane[cell(20, 12)]).abs() < 1e-6);
    }
}
