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
/// How much further that is at the corners, where it is dark: what the glimpse has there goes on.
const AT_CORNERS: f32 = 2.0;
/// Slopes between which what is pulled apart is torn, as no pixel of it was seen, where it is by
/// more than so many pixels.
const TORN: [f32; 2] = [0.3, 0.7];
const APART: [f32; 2] = [2.5, 5.0];
/// Columns for which there is room from the first on.
const COLUMNS: usize = 512;
/// Slope of the curve through read pixels: -0.5 is Catmull and Rom's.
const SHARP: f32 = -1.0;
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
    /// The contours where it is read in the glimpse, and the heights that may be read.
    glimpse: [f32; 2],
    readable: [f32; 2],
    /// Pixels beyond what may be read for which that still stands.
    slack: f32,
    /// The first of four pixels of the glimpse's rows that it is read from, and their shares.
    first: usize,
    shares: [f32; 4],
    /// Where the skull's part begins to become the jaw's, and 1 / the length of that.
    joint: f32,
    per_joint: f32,
}

/// Carries one glimpse. Its memory is kept.
#[derive(Default)]
pub struct Carrier {
    columns: Vec<Column>,
    /// `[rows, columns]`: R, G, B, 0..1 of the glimpse's rows from `top` on, at the columns.
    across: Vec<[f32; 4]>,
    top: usize,
    rows: usize,
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
            let (first, shares) = taps((read - glimpse.origin[0]) * glimpse.scale, glimpse.size[0]);
            let outwards = (across / limit.max(1.0)).abs().min(1.0);
            Column {
                slack: AT_CORNERS * outwards * outwards,
                wanted: wanted.contours.at(x),
                glimpse: [upper, lower],
                readable: [from, (lower - margin).max(from + 0.01)],
                first,
                shares,
                joint: edge_up - 0.2,
                per_joint: (edge_low - edge_up + 0.4).recip(),
            }
        }));
        self.gain = [0, 1, 2].map(|channel| {
            let ratio = scene.skin[channel] / glimpse.light[channel].max(0.016);
            ratio.clamp(GAIN[0], GAIN[1])
        });
        self.read(glimpse);
    }

    /// Reads the rows that may be needed, at the columns.
    fn read(&mut self, glimpse: &Glimpse) {
        let [width, height] = glimpse.size;
        let (least, most) = self.columns.iter().fold(
            (f32::INFINITY, f32::NEG_INFINITY),
            |(least, most), Column { readable, .. }| {
                (least.min(readable[0]), most.max(readable[1]))
            },
        );
        let row =
            |y: f32| ((y - glimpse.origin[1]) * glimpse.scale).clamp(0.0, (height - 1) as f32);
        // Four at least.
        let bottom = (row(most) as usize + 3).clamp(4, height);
        self.top = (row(least) as usize).saturating_sub(1).min(bottom - 4);
        self.rows = bottom - self.top;
        self.across.clear();
        let room = COLUMNS.max(self.columns.len()) * height;
        self.across.reserve(room);
        for row in glimpse
            .pixels
            .chunks_exact(width)
            .take(bottom)
            .skip(self.top)
        {
            self.across.extend(self.columns.iter().map(|column| {
                let mut sum = [0.0; 4];
                let pixels = &row[column.first..][..4];
                for (pixel, share) in pixels.iter().zip(column.shares) {
                    let pixel = pixel.map(f32::from);
                    for (sum, value) in sum.iter_mut().zip(pixel) {
                        *sum += share * value;
                    }
                }
                sum
            }));
        }
    }

    /// What is at height `y` of a column.
    pub fn at(&self, glimpse: &Glimpse, nth: usize, y: f32) -> Carried {
        let column = &self.columns[nth];
        let along = ((y - column.joint) * column.per_joint).clamp(0.0, 1.0);
        let of_jaw = along * along * (3.0 - 2.0 * along);
        let apart = self.jaw - self.skull;
        let from = y - (self.skull + of_jaw * apart);
        let [least, most] = column.readable;
        let missing = (least - from).max(from - most) - column.slack;
        // Not clamp, which panics on what is no number.
        let from = from.max(least).min(most);
        let row = (from - glimpse.origin[1]) * glimpse.scale - self.top as f32;
        let (first, shares) = taps(row, self.rows);
        let mut sum = [0.0; 4];
        for (nth_row, share) in (first..first + 4).zip(shares) {
            let pixel = self.across[nth_row * self.columns.len() + nth];
            for (sum, value) in sum.iter_mut().zip(pixel) {
                *sum += share * value;
            }
        }
        let shade = shade(column.wanted, y) / shade(column.glimpse, from);
        let shade = shade.clamp(0.75, 1.25) / 65535.0;
        let torn = if apart > APART[0] {
            let slope = 1.0 - apart * 6.0 * along * (1.0 - along) * column.per_joint;
            smoothstep(APART, apart) * (1.0 - smoothstep(TORN, slope))
        } else {
            0.0
        };
        Carried {
            colour: [0, 1, 2].map(|channel| sum[channel] * self.gain[channel] * shade),
            missing: if missing > BEYOND[0] {
                smoothstep(BEYOND, missing)
            } else {
                0.0
            },
            torn,
        }
    }
}

/// How much light comes past the lips to a height between them.
fn shade([upper, lower]: [f32; 2], y: f32) -> f32 {
    let behind = (y - upper).min(1.3 * (lower - y)).max(0.0);
    1.0 - 0.38 * fading(behind * (1.0 / 1.1))
}

/// Like exp(-x) from 0 on, and cheaper.
pub fn fading(x: f32) -> f32 {
    let mut power = (1.0 - x * (1.0 / 32.0)).max(0.0);
    for _ in 0..5 {
        power *= power;
    }
    power
}

/// The first of the four pixels round a place in a row of such a `length`, 4 at least, and their
/// shares: bicubic, a little sharper than Catmull and Rom's, for what is read was blurred when it
/// was kept. Beyond the outermost pixels their values go on.
fn taps(place: f32, length: usize) -> (usize, [f32; 4]) {
    let last = length - 1;
    let place = place.max(0.0).min(last as f32);
    let before = (place as usize).min(last - 1);
    let t = place - before as f32;
    let u = 1.0 - t;
    let shares = [
        SHARP * t * u * u,
        1.0 - t * t * ((3.0 + SHARP) - (2.0 + SHARP) * t),
        1.0 - u * u * ((3.0 + SHARP) - (2.0 + SHARP) * u),
        SHARP * t * t * u,
    ];
    // At the ends the pixel that is missing is the one beside it.
    let [a, b, c, d] = shares;
    match before {
        0 => (0, [a + b, c, d, 0.0]),
        _ if before + 2 > last => (before - 2, [0.0, a, b, c + d]),
        _ => (before - 1, shares),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::points::tests::face, *};

    const SCENE: Scene = Scene {
        scale: 2.0,
        nose: [47.5, 3.8],
        line: 52.0,
        width: 36.0,
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
                .map(|at| [(at / width * 500) as u16; 4])
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
