//! Notices that the picture is another one: a cut, or another face where one was.
//!
//! Compares thumbnails by their correlation, which neither a change of light nor a flash disturbs
//! much. Must not know faces.

use crate::pixels::Affine;

/// A thumbnail is this many pixels square.
pub const SIZE: usize = 32;
/// Two levels of grey of 256: what counts as a flat picture.
const NOISE: f32 = 2.0 / 255.0;

/// Half a level of grey of 256 in the mean of a block: less than most cameras add by themselves.
const STILL: f32 = 0.5 / 255.0;

/// Half the width and height of a face in a thumbnail of the square that its mesh says.
const OVAL: [f32; 2] = [9.5, 11.5];

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
        let scale = 1.0 / (3 * block * block) as f32;
        Self::centred(values.map(|value| value * scale))
    }

    /// Shows nothing.
    pub fn flat() -> Self {
        Self {
            values: [0.0; SIZE * SIZE],
            variance: 0.0,
        }
    }

    fn centred(values: [f32; SIZE * SIZE]) -> Self {
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let values = values.map(|value| value - mean);
        let variance = values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32;
        Self { values, variance }
    }

    /// The same seen through another square: `to_here` maps its pixels to those of this
    /// thumbnail. The edge goes on for ever.
    pub fn moved(&self, to_here: &Affine) -> Self {
        let last = (SIZE - 1) as f32;
        let value = |index: usize| {
            let position = [(index % SIZE) as f32, (index / SIZE) as f32];
            let [x, y] = to_here.apply(position).map(|v| v.clamp(0.0, last));
            let (left, top) = (x as usize, y as usize);
            let (right, bottom) = ((left + 1).min(SIZE - 1), (top + 1).min(SIZE - 1));
            let (across, down) = (x - left as f32, y - top as f32);
            let at = |x, y| self.values[y * SIZE + x];
            let row = |y| at(left, y) + across * (at(right, y) - at(left, y));
            row(top) + down * (row(bottom) - row(top))
        };
        Self::centred(std::array::from_fn(value))
    }

    /// The same without what lies outside the face, where it was cut out as a mesh says: what is
    /// behind a face says nothing of whose it is.
    pub fn oval(&self) -> Self {
        let middle = (SIZE - 1) as f32 / 2.0;
        let is_inside = |index: usize| {
            let [x, y] = [index % SIZE, index / SIZE].map(|v| v as f32 - middle);
            (x / OVAL[0]).hypot(y / OVAL[1]) < 1.0
        };
        let inside = (0..SIZE * SIZE).filter(|&index| is_inside(index));
        let (count, sum) = inside.fold((0, 0.0), |(count, sum), index| {
            (count + 1, sum + self.values[index])
        });
        let mean = sum / count as f32;
        Self::centred(std::array::from_fn(|index| match is_inside(index) {
            true => self.values[index] - mean,
            false => 0.0,
        }))
    }

    /// Becomes more like `now`, by a share of the difference.
    pub fn learn(&mut self, now: &Self, share: f32) {
        for (value, now) in self.values.iter_mut().zip(&now.values) {
            *value += share * (now - *value);
        }
        *self = Self::centred(self.values);
    }

    /// Whether nothing has moved, as far as can be seen.
    pub fn is_same(&self, other: &Self) -> bool {
        let mut pairs = self.values.iter().zip(&other.values);
        pairs.all(|(a, b)| (a - b).abs() < STILL)
    }

    /// Correlation -1..=1 with another thumbnail; two flat pictures are alike.
    pub fn likeness(&self, other: &Self) -> f32 {
        let products = self.values.iter().zip(&other.values).map(|(a, b)| a * b);
        let covariance = products.sum::<f32>() / self.values.len() as f32;
        let floor = NOISE * NOISE;
        (covariance + floor) / ((self.variance + floor) * (other.variance + floor)).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(f: impl Fn(usize, usize) -> f32) -> Thumbnail {
        let size = 2 * SIZE;
        let plane: Vec<f32> = (0..size * size).map(|i| f(i % size, i / size)).collect();
        Thumbnail::of(&plane.repeat(3), size)
    }

    #[test]
    fn light_does_not_change_a_picture_but_another_picture_does() {
        let waves =
            |x: usize, y: usize| 0.5 + 0.3 * (x as f32 * 0.2).sin() * (y as f32 * 0.1).cos();
        let (dark, bright) = (picture(waves), picture(|x, y| 0.3 + 0.6 * waves(x, y)));
        assert!(dark.likeness(&bright) > 0.99);
        assert!(dark.likeness(&picture(|x, y| waves(y, x + 40))) < 0.5);
        assert!(dark.likeness(&picture(|_, _| 0.0)) < 0.1);
        let flat = picture(|_, _| 0.1).likeness(&picture(|_, _| 0.9));
        assert!((flat - 1.0).abs() < 1e-4, "{flat}");
    }

    #[test]
    fn a_moved_picture_is_the_same_when_moved_back() {
        let blob = |x: f32, y: f32| (-((x - 30.0).powi(2) + (y - 30.0).powi(2)) / 90.0).exp();
        let here = picture(|x, y| blob(x as f32, y as f32));
        let there = picture(|x, y| blob(x as f32 - 8.0, y as f32 + 4.0));
        let back = Affine {
            tx: 4.0,
            ty: -2.0,
            ..Affine::IDENTITY
        };
        assert!(here.likeness(&there) < 0.9);
        assert!(here.likeness(&there.moved(&back)) > 0.999);
    }
}
