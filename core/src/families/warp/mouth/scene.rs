//! What a frame tells of the light and the place in which a mouth's inside is to be drawn.

use super::{SIZE, points::Points};

/// Colours are R, G, B, 0..1, lengths canonical pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scene {
    /// Frame pixels for each canonical one.
    pub scale: f32,
    /// Tip of the nose: tells how the head is turned.
    pub nose: [f32; 2],
    /// Height of the line where the lips meet at rest, and its length.
    pub line: f32,
    pub width: f32,
    /// [`Points::jaw`] of the mouth at rest.
    pub jaw: f32,
    /// Mean gap between the lips in the frame.
    pub seen_gap: f32,
    /// Of bare, lit skin, and of the lips.
    pub skin: [f32; 3],
    pub lips: [f32; 3],
    /// Standard deviation of the blur of its sharpest edges; 0 where that is not known.
    pub blur: f32,
    /// Seconds since the frame before.
    pub passed: f32,
    /// Number of the last thing that frames up to this one told of the person ([`News`](super::news)).
    pub news: f32,
}

impl Scene {
    const LENGTH: usize = 16;

    pub fn to_array(self) -> [f32; Self::LENGTH] {
        let Self {
            scale,
            nose,
            line,
            width,
            jaw,
            seen_gap,
            skin,
            lips,
            blur,
            passed,
            news,
        } = self;
        [
            scale, nose[0], nose[1], line, width, jaw, seen_gap, skin[0], skin[1], skin[2],
            lips[0], lips[1], lips[2], blur, passed, news,
        ]
    }

    /// `None` where that is not as long.
    pub fn from_slice(all: &[f32]) -> Option<Self> {
        let all: &[f32; Self::LENGTH] = all.try_into().ok()?;
        Some(Self {
            scale: all[0],
            nose: [all[1], all[2]],
            line: all[3],
            width: all[4],
            jaw: all[5],
            seen_gap: all[6],
            skin: [all[7], all[8], all[9]],
            lips: [all[10], all[11], all[12]],
            blur: all[13],
            passed: all[14],
            news: all[15],
        })
    }
}

/// Brightness of a colour.
pub fn luma([red, green, blue]: [f32; 3]) -> f32 {
    0.299 * red + 0.587 * green + 0.114 * blue
}

/// Colours of bare, lit skin and of the lips in a canonical crop, `[3, SIZE, SIZE]`.
pub fn colours(crop: &[f32], landmarks: &[[f32; 2]], points: &Points) -> [[f32; 3]; 2] {
    /// Lit skin counts for more than shadow and beard: by this power of its brightness.
    const LIT: i32 = 4;
    let (mut skin, mut weights) = ([0.0; 3], 0.0);
    for &point in &points.skin {
        let colour = around(crop, landmarks[point], 2);
        let weight = ((colour[0] + colour[1] + colour[2]) / 3.0)
            .max(0.01)
            .powi(LIT);
        for (sum, value) in skin.iter_mut().zip(colour) {
            *sum += weight * value;
        }
        weights += weight;
    }
    let (mut lips, mut count) = ([0.0; 3], 0.0);
    for (outer, inner) in points.outer.iter().zip(&points.inner) {
        for (&outer, &inner) in outer.iter().zip(inner).skip(2).take(7) {
            let [outer, inner] = [landmarks[outer], landmarks[inner]];
            let middle = [0, 1].map(|axis| 0.5 * (outer[axis] + inner[axis]));
            let colour = around(crop, middle, 1);
            for (sum, value) in lips.iter_mut().zip(colour) {
                *sum += value;
            }
            count += 1.0;
        }
    }
    [skin.map(|sum| sum / weights), lips.map(|sum| sum / count)]
}

/// Mean colour within `radius` pixels of a place.
fn around(crop: &[f32], place: [f32; 2], radius: usize) -> [f32; 3] {
    let most = (SIZE - 1 - radius) as f32;
    let [x, y] = place.map(|at| at.round().clamp(radius as f32, most) as usize);
    let side = 2 * radius + 1;
    let plane = SIZE * SIZE;
    [0, 1, 2].map(|channel| {
        let rows = (y - radius..=y + radius).map(|y| {
            let start = channel * plane + y * SIZE + x - radius;
            crop[start..start + side].iter().sum::<f32>()
        });
        rows.sum::<f32>() / (side * side) as f32
    })
}

#[cfg(test)]
mod tests {
    use super::{super::points::tests::face, *};

    #[test]
    fn what_is_kept_for_later_is_what_was_seen() {
        let scene = Scene {
            scale: 1.0,
            nose: [2.0, 3.0],
            line: 4.0,
            width: 4.5,
            jaw: 5.0,
            seen_gap: 6.0,
            skin: [7.0, 8.0, 9.0],
            lips: [10.0, 11.0, 12.0],
            blur: 13.0,
            passed: 14.0,
            news: 15.0,
        };
        assert_eq!(Scene::from_slice(&scene.to_array()), Some(scene));
        assert_eq!(Scene::from_slice(&[]), None);
    }

    #[test]
    fn lit_skin_counts_for_more_than_shadow() {
        let (landmarks, points) = face(0.0);
        let crop: Vec<f32> = (0..3 * SIZE * SIZE)
            .map(|at| if at % SIZE < SIZE / 2 { 0.2 } else { 0.6 })
            .collect();
        let [skin, lips] = colours(&crop, &landmarks, &points);
        assert!(skin.iter().all(|value| *value > 0.58), "{skin:?}");
        assert!(
            lips.iter().all(|value| (0.3..0.5).contains(value)),
            "{lips:?}"
        );
    }
}
