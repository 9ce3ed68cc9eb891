//! A glimpse carried to a wanted mouth: its upper part with the skull, its lower part with the jaw,
//! what is between stretched.

use super::{
    contours::Contours,
    glimpse::{Glimpse, Shape},
    scene::Scene,
};
use crate::generator::smoothstep;

/// What is to be drawn.
pub struct Wanted {
    pub contours: Contours,
    pub shape: Shape,
}

/// Edges of the rows of teeth below the line where the lips meet, and how they bend upwards to the
/// sides.
const EDGES: [f32; 2] = [0.9, 0.3];
const BENDS: [f32; 2] = [0.006, 0.008];
/// Middle of the face.
const MIDDLE: f32 = 47.5;
/// Where a glimpse has nothing to show is drawn by rule from so many pixels beyond its lips.
const BEYOND: [f32; 2] = [1.0, 2.6];
/// Slopes between which what is pulled apart is torn, as no pixel of it was seen, where it is by
/// more than so many pixels.
const TORN: [f32; 2] = [0.3, 0.7];
const APART: [f32; 2] = [2.5, 5.0];
/// Columns for which there is room from the first on.
const COLUMNS: usize = 512;
/// Light may have changed by so much.
const GAIN: [f32; 2] = [0.5, 2.0];

/// A place of the carried mouth.
pub struct Carried {
    pub colour: [f32; 3],
    /// How much of it lies beyond what the glimpse shows, 0..1.
    pub missing: f32,
    /// How much of it lies where rows of teeth that were together are apart now, 0..1.
    pub torn: f32,
}

/// A column of the wanted mouth, all heights in canonical pixels.
struct Column {
    /// Contours of the wanted mouth.
    wanted: [f32; 2],
    /// Where it is read in the glimpse, the contours there, and the heights that may be read.
    x: f32,
    glimpse: [f32; 2],
    readable: [f32; 2],
    /// Between these heights the skull's part becomes the jaw's.
    joint: [f32; 2],
}

/// Carries one glimpse. Its memory is kept.
#[derive(Default)]
pub struct Carrier {
    columns: Vec<Column>,
    skull: f32,
    jaw: f32,
    gain: [f32; 3],
}

impl Carrier {
    /// Prepares for drawing `wanted` in the columns at `xs`.
    pub fn aim(
        &mut self,
        glimpse: &Glimpse,
        wanted: &Wanted,
        scene: &Scene,
        xs: impl Iterator<Item = f32>,
    ) {
        let [now, then] = [wanted.shape.skull(), glimpse.shape.skull()];
        let skull = [now[0] - then[0], now[1] - then[1]];
        let jaw = wanted.shape.jaw - glimpse.shape.jaw;
        (self.skull, self.jaw) = (skull[1], skull[1] + jaw);
        let contours = &glimpse.contours;
        let margin = (0.3 * contours.gap()).clamp(0.0, 1.0);
        let (middle, limit) = (contours.middle(), 0.5 * contours.width() - 0.8);
        self.columns.clear();
        self.columns.reserve(COLUMNS);
        self.columns.extend(xs.map(|x| {
            // A mouth that is wider than the glimpse's is squeezed at its ends.
            let across = x - skull[0] - middle;
            let (firm, soft) = (0.75 * limit, (0.25 * limit).max(0.1));
            let squeezed = match across.abs() > firm {
                true => firm + soft * ((across.abs() - firm) / soft).tanh(),
                false => across.abs(),
            };
            let read = middle + squeezed.copysign(across);
            let [upper, lower] = contours.at(read);
            let from = upper + margin;
            let beside = x - MIDDLE - now[0];
            let [mut edge_up, mut edge_low] =
                [0, 1].map(|row| scene.line + EDGES[row] - BENDS[row] * beside * beside);
            edge_low += wanted.shape.jaw;
            (edge_up, edge_low) = (edge_up.min(edge_low - 0.4), edge_low.max(edge_up + 0.4));
            Column {
                wanted: wanted.contours.at(x),
                x: (read - glimpse.origin[0]) * glimpse.scale,
                glimpse: [upper, lower],
                readable: [from, (lower - margin).max(from + 0.01)],
                joint: [edge_up - 0.2, edge_low + 0.2],
            }
        }));
        self.gain = [0, 1, 2].map(|channel| {
            let ratio = scene.skin[channel] / glimpse.light[channel].max(0.016);
            ratio.clamp(GAIN[0], GAIN[1])
        });
    }

    /// What is at height `y` of a column.
    pub fn at(&self, glimpse: &Glimpse, column: usize, y: f32) -> Carried {
        let column = &self.columns[column];
        let of_jaw = smoothstep(column.joint, y);
        let length = column.joint[1] - column.joint[0];
        let slope = 1.0 - (self.jaw - self.skull) * steepness(column.joint, y) / length;
        let from = y - (self.skull + of_jaw * (self.jaw - self.skull));
        let [least, most] = column.readable;
        let missing = (least - from).max(from - most);
        // Not clamp, which panics on what is no number.
        let from = from.max(least).min(most);
        let row = (from - glimpse.origin[1]) * glimpse.scale;
        let colour = read(glimpse, [column.x, row]);
        let shade = shade(column.wanted, y) / shade(column.glimpse, from);
        let shade = shade.clamp(0.75, 1.25);
        let colour = [0, 1, 2].map(|channel| colour[channel] * self.gain[channel] * shade);
        Carried {
            colour,
            missing: smoothstep(BEYOND, missing),
            torn: smoothstep(APART, self.jaw - self.skull) * (1.0 - smoothstep(TORN, slope)),
        }
    }
}

/// Slope of [`smoothstep`] over 0..1 at the same place.
fn steepness([from, to]: [f32; 2], x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    6.0 * t * (1.0 - t)
}

/// How much light comes past the lips to a height between them.
fn shade([upper, lower]: [f32; 2], y: f32) -> f32 {
    let behind = (y - upper).min(1.3 * (lower - y)).max(0.0);
    1.0 - 0.38 * fading(behind / 1.1)
}

/// Like exp(-x) from 0 on, and cheaper.
pub fn fading(x: f32) -> f32 {
    (1.0 + x * (1.0 + x * (0.5 + x * (1.0 / 6.0 + x / 24.0)))).recip()
}

/// Bicubic (Catmull-Rom); beyond the outermost pixels their values go on.
fn read(glimpse: &Glimpse, [x, y]: [f32; 2]) -> [f32; 3] {
    let [width, height] = glimpse.size;
    let (columns, across) = taps(x, width);
    let (rows, down) = taps(y, height);
    let mut sum = [0.0; 3];
    for (row, down) in rows.into_iter().zip(down) {
        let row = &glimpse.pixels[row * width..][..width];
        let mut along = [0.0; 3];
        for (column, across) in columns.into_iter().zip(across) {
            let pixel = row[column];
            for (sum, value) in along.iter_mut().zip(pixel) {
                *sum += across * f32::from(value);
            }
        }
        for (sum, along) in sum.iter_mut().zip(along) {
            *sum += down * along;
        }
    }
    sum.map(|sum| sum * (1.0 / 65535.0))
}

/// The four pixels round a place, and their weights.
fn taps(place: f32, length: usize) -> ([usize; 4], [f32; 4]) {
    let last = length - 1;
    let place = place.clamp(0.0, last as f32);
    let first = place as usize;
    let t = place - first as f32;
    let weights = [
        t * (-0.5 + t * (1.0 - 0.5 * t)),
        1.0 + t * t * (1.5 * t - 2.5),
        t * (0.5 + t * (2.0 - 1.5 * t)),
        t * t * (0.5 * t - 0.5),
    ];
    let at = |offset: usize| (first + offset).saturating_sub(1).min(last);
    ([at(0), at(1), at(2), at(3)], weights)
}

#[cfg(test)]
mod tests {
    use super::{super::points::tests::face, *};

    const SCENE: Scene = Scene {
        scale: 2.0,
        nose: [47.5, 3.8],
        line: 52.0,
        jaw: 0.0,
        seen_gap: 0.0,
        skin: [0.6, 0.5, 0.4],
        lips: [0.5, 0.3, 0.3],
        blur: 0.5,
        passed: 0.04,
        news: 0.0,
    };

    /// A mouth with such a gap, and its jaw as low.
    fn wanted(gap: f32, jaw: f32) -> Wanted {
        let (landmarks, points) = face(gap);
        let contours = Contours::through(&landmarks, &points.inner);
        let shape = Shape::new(&contours, jaw, SCENE.nose);
        Wanted { contours, shape }
    }

    /// A glimpse whose rows are each as bright as they are high, of a mouth with a gap of 10.
    fn glimpse() -> Glimpse {
        let [width, height] = [104, 80];
        let Wanted { contours, shape } = wanted(10.0, 3.0);
        Glimpse {
            pixels: (0..width * height)
                .map(|at| [(at / width * 500) as u16; 3])
                .collect(),
            size: [width, height],
            scale: 2.0,
            origin: [21.5, 32.0],
            contours,
            shape,
            light: SCENE.skin,
            ..Glimpse::default()
        }
    }

    fn drawn(glimpse: &Glimpse, wanted: &Wanted, y: f32) -> (f32, f32) {
        let mut carrier = Carrier::default();
        carrier.aim(glimpse, wanted, &SCENE, [47.5].into_iter());
        let carried = carrier.at(glimpse, 0, y);
        (carried.colour[1], carried.missing)
    }

    fn seen(y: f32) -> f32 {
        (y - 32.0) * 2.0 * 500.0 / 65535.0
    }

    #[test]
    fn a_glimpse_at_its_own_place_is_what_was_seen() {
        let glimpse = glimpse();
        for y in [49.0, 51.0, 52.0, 53.5, 55.0] {
            let (found, missing) = drawn(&glimpse, &wanted(10.0, 3.0), y);
            assert!((found - seen(y)).abs() < 1e-3, "{y}: {found} {}", seen(y));
            assert_eq!(missing, 0.0);
        }
    }

    #[test]
    fn upper_teeth_stay_with_the_skull_and_lower_ones_go_with_the_jaw() {
        let glimpse = glimpse();
        let up = wanted(10.0, 1.0);
        let near = |found: f32, expected: f32| (found / expected - 1.0).abs() < 0.15;
        let (upper, _) = drawn(&glimpse, &up, 51.0);
        let (lower, _) = drawn(&glimpse, &up, 54.0);
        assert!(near(upper, seen(51.0)), "{upper}");
        assert!(near(lower, seen(56.0)), "{lower}");
    }

    #[test]
    fn what_a_glimpse_does_not_show_is_missing() {
        let glimpse = glimpse();
        let wide = wanted(20.0, 3.0);
        assert!(drawn(&glimpse, &wide, 43.0).1 > 0.9);
        assert_eq!(drawn(&glimpse, &wide, 50.0).1, 0.0);
    }

    #[test]
    fn light_that_has_changed_is_followed() {
        let glimpse = Glimpse {
            light: SCENE.skin.map(|value| 0.8 * value),
            ..glimpse()
        };
        let (found, _) = drawn(&glimpse, &wanted(10.0, 3.0), 52.0);
        assert!((found / seen(52.0) - 1.25).abs() < 0.01, "{found}");
    }

    #[test]
    fn the_cheap_exponential_is_near_the_true_one() {
        for x in [0.0_f32, 0.3, 1.0, 2.0, 4.0] {
            assert!((fading(x) - (-x).exp()).abs() < 0.012, "{x}");
        }
    }
}
