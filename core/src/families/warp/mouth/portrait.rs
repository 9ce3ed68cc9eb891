//! How a lower face looks, in a few colours: enough to know a frame of a clip again.
//!
//! Must not know mouths.

use super::SIZE;

/// Cells along each side, and pixels of the canonical picture along each side of a cell.
const CELLS: usize = 8;
const CELL: usize = SIZE / CELLS;
/// Bytes of a portrait.
pub const LENGTH: usize = 3 * CELLS * CELLS;

/// Red, green and blue of each cell, 0..255.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Portrait(pub [u8; LENGTH]);

impl Portrait {
    /// Of a canonical crop, `[3, SIZE, SIZE]`: R, G, B, 0..1.
    pub fn of(crop: &[f32]) -> Self {
        let mut cells = [0; LENGTH];
        for (at, cell) in cells.iter_mut().enumerate() {
            let (plane, row, column) = (at / CELLS / CELLS, at / CELLS % CELLS, at % CELLS);
            let rows = CELL * row..CELL * (row + 1);
            let sum: f32 = rows
                .flat_map(|y| &crop[(plane * SIZE + y) * SIZE + CELL * column..][..CELL])
                .sum();
            *cell = (sum / (CELL * CELL) as f32 * 255.0).round() as u8;
        }
        Self(cells)
    }

    /// Mean difference of bytes.
    pub fn distance(&self, other: &Self) -> f32 {
        let pairs = self.0.iter().zip(&other.0);
        let sum: u32 = pairs.map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        sum as f32 / LENGTH as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_means_of_their_pixels() {
        let crop: Vec<f32> = (0..3 * SIZE * SIZE)
            .map(|at| {
                let [plane, row, column] = [at / SIZE / SIZE, at / SIZE % SIZE, at % SIZE];
                (plane + row / CELL + 8 * (column / CELL)) as f32 / 255.0
            })
            .collect();
        let portrait = Portrait::of(&crop);
        assert_eq!(portrait.0[..3], [0, 8, 16]);
        assert_eq!(portrait.0[CELLS..CELLS + 2], [1, 9]);
        assert_eq!(portrait.0[CELLS * CELLS], 1);
        let brighter: Vec<f32> = crop.iter().map(|value| value + 2.0 / 255.0).collect();
        assert_eq!(portrait.distance(&Portrait::of(&brighter)), 2.0);
    }
}
