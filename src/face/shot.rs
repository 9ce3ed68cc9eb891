//! Notices that the picture is another one: a cut, or another face where one was.
//!
//! Compares thumbnails by their correlation, which neither a change of light nor a flash disturbs
//! much. Must not know faces.

/// A thumbnail is this many pixels square.
pub const SIZE: usize = 32;
/// Two levels of grey of 256: what counts as a flat picture.
const NOISE: f32 = 2.0 / 255.0;

/// A grey thumbnail with its mean taken out.
#[derive(Clone, Debug)]
pub struct Thumbnail {
    values: [f32; SIZE * SIZE],
    variance: f32,
}

impl Thumbnail {
    /// From RGB planes `[3, size, size]`, `size` a multiple of [`SIZE`]: means of blocks.
    pub fn of(planes: &[f32], size: usize) -> Self {
        let block = size / SIZE;
        let mut values = [0.0; SIZE * SIZE];
        for plane in planes.chunks_exact(size * size) {
            for (y, row) in plane.chunks_exact(size).enumerate() {
                let line = &mut values[y / block * SIZE..][..SIZE];
                for (value, block) in line.iter_mut().zip(row.chunks_exact(block)) {
                    *value += block.iter().sum::<f32>();
                }
            }
        }
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let scale = 1.0 / (3 * block * block) as f32;
        for value in &mut values {
            *value = (*value - mean) * scale;
        }
        let variance = values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32;
        Self { values, variance }
    }

    /// Correlation -1..=1 with another thumbnail; two flat pictures are alike.
    pub fn likeness(&self, other: &Self) -> f32 {
        let products = self.values.iter().zip(&other.values).map(|(a, b)| a * b);
        let covariance = products.sum::<f32>() / self.values.len() as f32;
        let floor = NOISE * NOISE;
        (covariance + floor) / ((self.variance + floor) * (other.variance + floor)).sqrt()
    }
}
