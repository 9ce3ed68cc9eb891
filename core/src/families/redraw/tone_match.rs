//! Makes a drawn mouth as light and as coloured as the skin round it.
//!
//! Must not know networks or faces: two pictures and a mask.
//!
//! Networks draw all they see, skin included, and seldom in quite its colours. Where the mask fades
//! both pictures show the same skin; the difference between them there, as a plane over the
//! picture, is taken off what was drawn.

use crate::rect::Size;

/// Levels of 255 that are taken off or added at most: beyond, it is no tint but another picture.
const MOST: f32 = 32.0;
const WHITE: f32 = 255.0;
/// Share of the ring's own extent that holds the plane's slope down.
const STIFFNESS: f64 = 0.05;

/// Corrects `drawn`, `[3, height, width]` in 0..255, to `before` where `mask`, `[height, width]` in
/// 0..`strength`, is neither 0 nor whole.
pub fn match_ring(before: &[f32], drawn: &mut [f32], mask: &[f32], strength: f32, size: Size) {
    let Size { width, height } = size;
    let plane = size.area();
    if strength <= 0.0 || plane == 0 || mask.len() < plane {
        return;
    }
    // Over (1, x, y), x and y -1..1.
    let place = |at: usize, side: usize| (2 * at + 1) as f32 / side as f32 - 1.0;
    let mut moments = [[0.0; 3]; 3];
    let mut differences = [[0.0; 3]; 3];
    for (row, mask) in mask[..plane].chunks_exact(width).enumerate() {
        // What x adds up to in this row; y is the same in all of it.
        let mut weights = [0.0_f32; 3];
        let mut sums = [[0.0_f32; 2]; 3];
        for (column, mask) in mask.iter().enumerate() {
            let share = mask / strength;
            let weight = share * (1.0 - share);
            if weight <= 0.0 {
                continue;
            }
            let x = place(column, width);
            for (sum, power) in weights.iter_mut().zip([1.0, x, x * x]) {
                *sum += weight * power;
            }
            for (channel, sums) in sums.iter_mut().enumerate() {
                let at = channel * plane + row * width + column;
                let difference = weight * (before[at] - drawn[at]);
                sums[0] += difference;
                sums[1] += difference * x;
            }
        }
        let y = f64::from(place(row, height));
        let [w, wx, wxx] = weights.map(f64::from);
        let rows = [
            [w, wx, w * y],
            [wx, wxx, wx * y],
            [w * y, wx * y, w * y * y],
        ];
        for (moment, row) in moments
            .as_flattened_mut()
            .iter_mut()
            .zip(rows.as_flattened())
        {
            *moment += row;
        }
        for (differences, [d, dx]) in differences.iter_mut().zip(sums) {
            let (d, dx) = (f64::from(d), f64::from(dx));
            for (difference, row) in differences.iter_mut().zip([d, dx, d * y]) {
                *difference += row;
            }
        }
    }
    for slope in [1, 2] {
        moments[slope][slope] += STIFFNESS * moments[0][0];
    }
    for (sums, drawn) in differences.into_iter().zip(drawn.chunks_exact_mut(plane)) {
        let Some(slopes) = solve(&moments, sums) else {
            return;
        };
        let [level, along, down] = slopes.map(|slope| slope as f32);
        let rows = drawn.chunks_exact_mut(width).zip(mask.chunks_exact(width));
        for (row, (drawn, mask)) in rows.enumerate() {
            let level = level + down * place(row, height);
            for (column, (drawn, mask)) in drawn.iter_mut().zip(mask).enumerate() {
                if *mask > 0.0 {
                    let difference = level + along * place(column, width);
                    *drawn = (*drawn + difference.clamp(-MOST, MOST)).clamp(0.0, WHITE);
                }
            }
        }
    }
}

/// Cramer's rule. `None` when there was no ring.
fn solve(matrix: &[[f64; 3]; 3], expected: [f64; 3]) -> Option<[f64; 3]> {
    let determinant = |m: &[[f64; 3]; 3]| {
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
            - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    };
    let whole = determinant(matrix);
    if !whole.is_normal() {
        return None;
    }
    Some(std::array::from_fn(|column| {
        let mut replaced = *matrix;
        for (row, expected) in replaced.iter_mut().zip(expected) {
            row[column] = expected;
        }
        determinant(&replaced) / whole
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 48;
    const PLANE: usize = SIDE * SIDE;
    const SIZE: Size = Size::square(SIDE);

    /// Whole within 14 pixels of the centre, nothing beyond 20.
    fn mask(strength: f32) -> Vec<f32> {
        let centre = (SIDE - 1) as f32 / 2.0;
        (0..PLANE)
            .map(|at| {
                let radius = ((at % SIDE) as f32 - centre).hypot((at / SIDE) as f32 - centre);
                strength * ((20.0 - radius) / 6.0).clamp(0.0, 1.0)
            })
            .collect()
    }

    fn skin() -> Vec<f32> {
        (0..3 * PLANE)
            .map(|at| 90.0 + 20.0 * (at / PLANE) as f32 + (at * 7 % 11) as f32)
            .collect()
    }

    #[test]
    fn a_tint_and_a_slope_of_light_are_taken_off() {
        let before = skin();
        for strength in [0.3, 1.0] {
            let mut drawn: Vec<f32> = (0..3 * PLANE)
                .map(|at| before[at] + 12.0 - 8.0 * (at / PLANE) as f32 + 0.2 * (at % SIDE) as f32)
                .collect();
            let untouched = drawn[0];
            match_ring(&before, &mut drawn, &mask(strength), strength, SIZE);
            for (at, mask) in mask(strength).iter().enumerate() {
                let error = (drawn[at] - before[at]).abs();
                assert!(*mask == 0.0 || error < 1.5, "{at}: {error}");
            }
            assert_eq!(drawn[0], untouched);
        }
    }

    #[test]
    fn what_differs_inside_the_ring_stays() {
        let before = skin();
        let mut drawn = before.clone();
        let mouth = PLANE / 2 + SIDE / 2;
        drawn[mouth] = 10.0;
        match_ring(&before, &mut drawn, &mask(1.0), 1.0, SIZE);
        assert!((drawn[mouth] - 10.0).abs() < 1e-3);
        assert!((drawn[mouth + 1] - before[mouth + 1]).abs() < 1e-3);
    }

    #[test]
    fn another_picture_is_corrected_by_so_much_only_and_without_a_ring_nothing() {
        let before = skin();
        let mut drawn = vec![255.0; 3 * PLANE];
        match_ring(&before, &mut drawn, &mask(1.0), 1.0, SIZE);
        assert_eq!(drawn[PLANE / 2 + SIDE / 2], 255.0 - MOST);
        for (mask, strength) in [
            (vec![0.0; PLANE], 1.0),
            (vec![1.0; PLANE], 1.0),
            (mask(0.0), 0.0),
        ] {
            let mut drawn = vec![255.0; 3 * PLANE];
            match_ring(&before, &mut drawn, &mask, strength, SIZE);
            assert!(drawn.iter().all(|v| *v == 255.0));
        }
    }
}
