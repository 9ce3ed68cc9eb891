//! What is in front of a mouth: a hand, a microphone. There the frame is to stay as it is.
//!
//! Must not know networks or frames: canonical crops and landmarks in, a share for each cell out.
//!
//! The skin round a mouth, unlike the mouth, looks the same from one second to the next. What
//! suddenly looks otherwise, and is no change of light (that reaches the face above the mouth too),
//! covers it. On the lips themselves speech changes everything but their colour: when they lose
//! what sets them off from the skin, something is on them. What covers a mouth from the first
//! frame on cannot be told from a face that looks so.

use super::{
    cells::{CELLS, SIDE, blur, fill, grow},
    smoothstep,
};
use crate::{
    face::{
        Mesh,
        geometry::{FACE_OVAL, LIPS_INNER, LIPS_OUTER},
    },
    pixels::Affine,
};

/// Samples along each side of the square above the mouth that tells the light.
pub const LIGHT_SIDE: usize = 12;
const LIGHTS: usize = LIGHT_SIDE * LIGHT_SIDE;

/// How long the appearance is averaged, in seconds.
const REMEMBER: f32 = 1.0;
/// Appearance that has been known for less says nothing yet, in seconds.
const LEARN: f32 = 0.3;
/// A gap in the frames after which nothing known is of use, in seconds.
const FORGET_AFTER: f32 = 2.0;
/// How fast what covers a face becomes a part of it, as a share of how fast a face changes.
const ABSORB: f32 = 0.03;
/// In which what has gone away is still taken into account, in seconds: a cover that flickers
/// would be worse than one that stays.
const RELEASE: f32 = 0.14;
/// How light may change from one second to the next.
const LIGHT_RANGE: [f32; 2] = [0.5, 2.0];
/// Difference of the faces above the mouths, 0..1 in the mean, from which they are two people's.
/// Within clips of 12 people it stays below 0.022, and between two it is 0.04 as a rule.
const ANOTHER: f32 = 0.03;
/// The same where the face was found anew, as after a cut: between two people it is smaller in one case of
/// two hundred, and from one frame of a person to the next always.
const SAME: f32 = 0.015;

/// Differences that count as none, 0..1: everywhere, in usual deviations of the cell, and in
/// differences between neighbours, which count when a face is followed less than exactly.
const FLOOR: f32 = 0.02;
const DEVIATIONS: f32 = 1.5;
const EDGE: f32 = 1.0;
/// Differences in multiples of that: more counts as so much.
const MOST: f32 = 3.0;
/// Where nothing near tells (the mouth), what is further away counts with this weight.
const FAR: f32 = 0.05;
/// Differences, in multiples of those that count as none, at which a cell begins to be covered,
/// and at which it is.
const COVER: [f32; 2] = [0.9, 1.2];
/// Redness of lips beyond that of the skin from which they can be told from it.
const RED_LIPS: f32 = 0.025;
/// Share of their redness that is left when covering begins, and the share below it in which the
/// lips are gone. Speech leaves 0.3 and more in nearly all frames of 12 people.
const LIPS_LEFT: f32 = 0.5;
const LIPS_GONE: f32 = 0.3;
/// Lips pressed together are pale for a frame, in seconds.
const LIPS_FOLLOW: f32 = 0.06;
/// What lips that are gone count, beside the differences of the skin.
const LIPS_COUNT: f32 = 1.5;

/// Where skin is looked at: cells inside the face's oval, and beyond the lips' contour.
const INSIDE: usize = 1;
const BESIDE_LIPS: usize = 2;
/// How far the skin reaches that lips are compared with, in cells beyond that.
const ROUND_LIPS: usize = 5;
/// Radii in cells over which differences are gathered: near, and far for the mouth itself.
const NEAR: usize = 2;
const WIDE: usize = 6;
/// Share of the mouth that is covered at which the rest, jaw and cheeks, begins to stay as it is too, and
/// at which it does.
const HIDDEN: [f32; 2] = [0.45, 0.75];
/// Covered by less than this counts as not covered.
const BARELY: f32 = 0.05;

/// What one frame shows, in the canonical picture.
pub struct Sight<'a> {
    /// `[3, size, size]`: R, G, B, 0..1.
    pub crop: &'a [f32],
    pub size: usize,
    /// `[3, LIGHT_SIDE, LIGHT_SIDE]` of the face above the mouth.
    pub light: &'a [f32],
    pub mesh: &'a Mesh,
    /// From the frame to the crop.
    pub to_crop: &'a Affine,
    /// Whether the face was found anew.
    pub is_fresh: bool,
    pub time_ns: i64,
}

/// One person's lower face without anything in front of it, and what is in front of it now.
pub struct Occlusion {
    /// R, G, B of each cell, and how far it usually is from that.
    known: Vec<f32>,
    deviation: Vec<f32>,
    /// R, G, B of the face above the mouth.
    light: Vec<f32>,
    /// Redness of the lips beyond that of the skin: as known, and as seen of late.
    redness: f32,
    redness_now: f32,
    /// 0 = the face is seen .. 1 = something is in front of it, for each cell.
    covered: Vec<f32>,
    /// The same of the mouth as a whole.
    mouth_covered: f32,
    /// How long the face has been known, in seconds.
    age: f32,
    last_ns: Option<i64>,
    work: Work,
}

/// What one frame needs, kept to be used again.
struct Work {
    cells: Vec<f32>,
    lips: Vec<f32>,
    mouth: Vec<f32>,
    round: Vec<f32>,
    skin: Vec<f32>,
    difference: Vec<f32>,
    edges: Vec<f32>,
    planes: [Vec<f32>; 5],
    spare: Vec<f32>,
    ratios: Vec<f32>,
}

impl Occlusion {
    pub fn new() -> Self {
        let cells = || vec![0.0; CELLS];
        Self {
            known: vec![0.0; 3 * CELLS],
            deviation: cells(),
            light: vec![0.0; 3 * LIGHTS],
            redness: 0.0,
            redness_now: 0.0,
            covered: cells(),
            mouth_covered: 0.0,
            age: 0.0,
            last_ns: None,
            work: Work {
                cells: vec![0.0; 3 * CELLS],
                lips: cells(),
                mouth: cells(),
                round: cells(),
                skin: cells(),
                difference: cells(),
                edges: cells(),
                planes: [cells(), cells(), cells(), cells(), cells()],
                spare: cells(),
                ratios: vec![0.0; LIGHTS],
            },
        }
    }

    /// Where the square above the mouth lies whose light [`Sight::light`] holds: from its samples
    /// to the crop's pixels. Between the eyes and the base of the nose, in a crop of 96 pixels.
    pub fn light_to_crop(size: usize) -> Affine {
        let unit = size as f32 / 96.0;
        let step = 4.0 * unit;
        Affine {
            a: step,
            d: step,
            tx: 26.0 * unit,
            ty: -42.0 * unit,
            ..Affine::IDENTITY
        }
    }

    pub fn forget(&mut self) {
        self.last_ns = None;
    }

    /// How much of the mouth is covered, 0..1.
    pub fn of_mouth(&self) -> f32 {
        self.mouth_covered
    }

    /// Takes what is covered out of a mask, `[size, size]`.
    pub fn cut_out_of(&self, mask: &mut [f32], size: usize) {
        if self.covered.iter().all(|&covered| covered == 0.0) {
            return;
        }
        let seen = 1.0 - smoothstep(HIDDEN, self.mouth_covered);
        let step = SIDE as f32 / size as f32;
        // Bilinear between the middles of cells.
        let place = |i: usize| {
            let at = ((i as f32 + 0.5) * step - 0.5).clamp(0.0, (SIDE - 1) as f32);
            let first = (at as usize).min(SIDE - 2);
            (first, at - first as f32)
        };
        for (row, mask) in mask.chunks_exact_mut(size).enumerate() {
            let (y, down) = place(row);
            let (above, below) = self.covered[y * SIDE..].split_at(SIDE);
            for (column, mask) in mask.iter_mut().enumerate() {
                let (x, along) = place(column);
                let between = |row: &[f32]| row[x] + along * (row[x + 1] - row[x]);
                let (above, below) = (between(above), between(below));
                *mask *= seen * (1.0 - (above + down * (below - above)));
            }
        }
    }

    /// Takes the next frame in.
    pub fn update(&mut self, sight: &Sight) {
        let passed = self
            .last_ns
            .map(|last| (sight.time_ns - last) as f32 * 1e-9);
        let passed = passed.filter(|passed| (0.0..FORGET_AFTER).contains(passed));
        self.last_ns = Some(sight.time_ns);
        self.work.reduce(sight.crop, sight.size);
        self.work.outline(sight);

        // A face found anew is another one, unless it was lost behind what is in front of it.
        let limit = match sight.is_fresh && self.mouth_covered < HIDDEN[0] {
            true => SAME,
            false => ANOTHER,
        };
        let (Some(passed), Some(gain)) = (passed, self.gain(sight.light, limit)) else {
            self.begin(sight.light);
            return;
        };
        self.compare(gain);
        self.cover(passed);
        self.learn(passed, gain, sight.light);
    }

    /// Knows no more than this frame.
    fn begin(&mut self, light: &[f32]) {
        self.known.copy_from_slice(&self.work.cells);
        self.light.copy_from_slice(light);
        self.deviation.fill(FLOOR);
        self.covered.fill(0.0);
        self.mouth_covered = 0.0;
        self.redness = self.work.redness();
        self.redness_now = self.redness;
        self.age = 0.0;
    }

    /// How much lighter the face above the mouth is than it was, for R, G and B. `None` when it is
    /// another face: differs by `limit` or more.
    fn gain(&mut self, light: &[f32], limit: f32) -> Option<[f32; 3]> {
        let mut gain = [1.0; 3];
        let mut residue = 0.0;
        let planes = light
            .chunks_exact(LIGHTS)
            .zip(self.light.chunks_exact(LIGHTS));
        for (gain, (now, known)) in gain.iter_mut().zip(planes) {
            let ratios = &mut self.work.ratios;
            for (ratio, (now, known)) in ratios.iter_mut().zip(now.iter().zip(known)) {
                *ratio = now / known.max(FLOOR);
            }
            let middle = *ratios.select_nth_unstable_by(LIGHTS / 2, f32::total_cmp).1;
            *gain = middle.clamp(LIGHT_RANGE[0], LIGHT_RANGE[1]);
            let differences = now.iter().zip(known);
            residue += differences
                .map(|(now, known)| (now / *gain - known).abs())
                .sum::<f32>();
        }
        let mean = residue / (3 * LIGHTS) as f32;
        // Not `>=`: what is no number is no face that is known.
        (mean < limit).then_some(gain)
    }

    /// How each cell differs from what is known, and what is known from cell to cell.
    fn compare(&mut self, gain: [f32; 3]) {
        let Work {
            cells,
            difference,
            edges,
            planes: [level, ..],
            spare,
            ..
        } = &mut self.work;
        difference.fill(0.0);
        level.fill(0.0);
        let planes = self
            .known
            .chunks_exact(CELLS)
            .zip(cells.chunks_exact(CELLS));
        for ((known, now), gain) in planes.zip(gain) {
            let sums = difference.iter_mut().zip(level.iter_mut());
            for ((difference, level), (known, now)) in sums.zip(known.iter().zip(now)) {
                let expected = known * gain;
                *difference += (now - expected).abs() / 3.0;
                *level += expected / 3.0;
            }
        }
        for (y, edges) in edges.chunks_exact_mut(SIDE).enumerate() {
            let row = |y: usize| &level[y * SIDE..][..SIDE];
            let [above, here, below] = [row(y.max(1) - 1), row(y), row((y + 1).min(SIDE - 1))];
            for (x, edge) in edges.iter_mut().enumerate() {
                let across = here[(x + 1).min(SIDE - 1)] - here[x.max(1) - 1];
                let down = below[x] - above[x];
                *edge = (across * across + down * down).sqrt() / 2.0;
            }
        }
        grow(edges, 1, spare);
    }

    /// Which cells are covered.
    fn cover(&mut self, passed: f32) {
        let follow = 1.0 - (-passed / LIPS_FOLLOW).exp();
        self.redness_now += follow * (self.work.redness() - self.redness_now);
        let lips_gone = match self.redness > RED_LIPS {
            true => (LIPS_LEFT - self.redness_now / self.redness) / LIPS_GONE,
            false => 0.0,
        };
        let on_lips = LIPS_COUNT * lips_gone.clamp(0.0, 1.0);
        let Work {
            mouth,
            skin,
            difference,
            edges,
            planes: [near, near_skin, wide, wide_skin, lips],
            spare,
            ..
        } = &mut self.work;
        for (at, near) in near.iter_mut().enumerate() {
            let usual = FLOOR + DEVIATIONS * self.deviation[at] + EDGE * edges[at];
            *near = skin[at] * (difference[at] / usual).min(MOST);
        }
        near_skin.copy_from_slice(skin);
        wide.copy_from_slice(near);
        wide_skin.copy_from_slice(skin);
        lips.copy_from_slice(mouth);
        blur(near, NEAR, spare);
        blur(near_skin, NEAR, spare);
        blur(wide, WIDE, spare);
        blur(wide_skin, WIDE, spare);
        blur(lips, NEAR, spare);

        let is_known = self.age >= LEARN;
        let kept = (-passed / RELEASE).exp();
        let [mut on_mouth, mut of_mouth] = [0.0, 0.0];
        for (at, covered) in self.covered.iter_mut().enumerate() {
            let skin = near_skin[at] + FAR * wide_skin[at];
            let difference = (near[at] + FAR * wide[at]) / skin.max(FAR * FAR);
            let now = match is_known {
                true => smoothstep(COVER, difference + on_lips * lips[at]),
                false => 0.0,
            };
            *covered = now.max(*covered * kept);
            if *covered < BARELY {
                *covered = 0.0;
            }
            on_mouth += mouth[at];
            of_mouth += mouth[at] * *covered;
        }
        self.mouth_covered = of_mouth / f32::max(on_mouth, 1.0);
    }

    /// Takes into what is known what is not covered.
    fn learn(&mut self, passed: f32, gain: [f32; 3], light: &[f32]) {
        self.age += passed;
        let rate = passed / self.age.min(REMEMBER).max(passed).max(f32::MIN_POSITIVE);
        let Work {
            cells, difference, ..
        } = &self.work;
        for (at, covered) in self.covered.iter().enumerate() {
            let rate = rate * (1.0 - (1.0 - ABSORB) * (1.5 * covered).min(1.0));
            for (channel, gain) in gain.iter().enumerate() {
                let at = channel * CELLS + at;
                self.known[at] += rate * (cells[at] / gain - self.known[at]);
            }
            self.deviation[at] += rate * (difference[at] - self.deviation[at]);
        }
        for ((known, now), gain) in self
            .light
            .chunks_exact_mut(LIGHTS)
            .zip(light.chunks_exact(LIGHTS))
            .zip(gain)
        {
            for (known, now) in known.iter_mut().zip(now) {
                *known += rate * (now / gain - *known);
            }
        }
        let rate = match self.mouth_covered < BARELY {
            true => rate,
            false => ABSORB * rate,
        };
        self.redness += rate * (self.redness_now - self.redness);
    }
}

impl Work {
    /// The crop in cells.
    fn reduce(&mut self, crop: &[f32], size: usize) {
        let pixels = |cell: usize| {
            let first = cell * size / SIDE;
            first..((cell + 1) * size / SIDE).max(first + 1)
        };
        let planes = crop.chunks_exact(size * size);
        for (cells, plane) in self.cells.chunks_exact_mut(CELLS).zip(planes) {
            for (y, cells) in cells.chunks_exact_mut(SIDE).enumerate() {
                cells.fill(0.0);
                for row in pixels(y).map(|y| &plane[y * size..][..size]) {
                    for (x, cell) in cells.iter_mut().enumerate() {
                        *cell += row[pixels(x)].iter().sum::<f32>();
                    }
                }
                for (x, cell) in cells.iter_mut().enumerate() {
                    *cell /= (pixels(y).len() * pixels(x).len()) as f32;
                }
            }
        }
    }

    /// Where lips, mouth and skin are.
    fn outline(&mut self, sight: &Sight) {
        let scale = SIDE as f32 / sight.size as f32;
        let contour = |points: &'static [usize]| {
            points.iter().map(|&index| {
                let place = sight.to_crop.apply(sight.mesh.points[index]);
                place.map(|x| (x + 0.5) * scale - 0.5)
            })
        };
        let Self {
            lips,
            mouth,
            round,
            skin,
            planes: [inner, ..],
            spare,
            ..
        } = self;
        fill(contour(&LIPS_OUTER), lips);
        fill(contour(&LIPS_INNER), inner);
        grow(inner, 1, spare);
        mouth.copy_from_slice(lips);
        grow(mouth, BESIDE_LIPS, spare);
        round.copy_from_slice(mouth);
        grow(round, ROUND_LIPS, spare);
        for (lips, inner) in lips.iter_mut().zip(&*inner) {
            *lips *= 1.0 - inner;
        }
        // Shrinking is growing of what is outside.
        fill(contour(&FACE_OVAL), skin);
        skin.iter_mut().for_each(|skin| *skin = 1.0 - *skin);
        grow(skin, INSIDE, spare);
        for ((skin, mouth), round) in skin.iter_mut().zip(&*mouth).zip(round) {
            *skin = (1.0 - *skin) * (1.0 - mouth);
            *round *= *skin;
        }
    }

    /// How much redder the lips are than the skin round them: the share of R in all light.
    fn redness(&self) -> f32 {
        let mean = |weights: &[f32]| {
            let [mut sum, mut count] = [0.0, 0.0];
            for (at, weight) in weights.iter().enumerate() {
                let [red, green, blue] = [0, 1, 2].map(|channel| self.cells[channel * CELLS + at]);
                sum += weight * red / (red + green + blue).max(FLOOR);
                count += weight;
            }
            sum / f32::max(count, 1.0)
        };
        mean(&self.lips) - mean(&self.round)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 96;
    const FRAME_NS: i64 = 40_000_000;
    const SKIN: [f32; 3] = [0.7, 0.5, 0.4];
    const LIPS: [f32; 3] = [0.7, 0.35, 0.32];

    /// A contour's points on an ellipse.
    fn ring(mesh: &mut Mesh, contour: &[usize], centre: [f32; 2], radius: [f32; 2]) {
        for (nth, &index) in contour.iter().enumerate() {
            let angle = nth as f32 / contour.len() as f32 * std::f32::consts::TAU;
            let (sine, cosine) = angle.sin_cos();
            mesh.points[index] = [centre[0] + radius[0] * cosine, centre[1] + radius[1] * sine];
        }
    }

    fn mesh() -> Mesh {
        let mut mesh = Mesh::default();
        ring(&mut mesh, &FACE_OVAL, [48.0, 20.0], [46.0, 66.0]);
        ring(&mut mesh, &LIPS_OUTER, [48.0, 42.0], [22.0, 9.0]);
        ring(&mut mesh, &LIPS_INNER, [48.0, 42.0], [14.0, 3.0]);
        mesh
    }

    /// Skin with a little texture, and lips whose gap is so many pixels high.
    fn crop(gap: f32, light: f32) -> Vec<f32> {
        let mut crop = vec![0.0; 3 * SIZE * SIZE];
        for at in 0..SIZE * SIZE {
            let [x, y] = [at % SIZE, at / SIZE].map(|v| v as f32);
            let within = |w: f32, h: f32| ((x - 48.0) / w).powi(2) + ((y - 42.0) / h).powi(2) < 1.0;
            let texture = 0.01 * (x * 1.7 + y * 0.9).sin();
            let colour = match (within(14.0, gap), within(22.0, 9.0)) {
                (true, _) => [0.1; 3],
                (_, true) => LIPS,
                _ => SKIN,
            };
            for channel in 0..3 {
                crop[channel * SIZE * SIZE + at] = light * (colour[channel] + texture);
            }
        }
        crop
    }

    fn cover(crop: &mut [f32], rows: std::ops::Range<usize>, colour: [f32; 3]) {
        for (plane, colour) in crop.chunks_exact_mut(SIZE * SIZE).zip(colour) {
            plane[rows.start * SIZE..rows.end * SIZE].fill(colour);
        }
    }

    fn show(occlusion: &mut Occlusion, crop: &[f32], light: f32, frame: i64) {
        let lights: Vec<f32> = SKIN
            .iter()
            .flat_map(|&skin| [skin * light; LIGHTS])
            .collect();
        occlusion.update(&Sight {
            crop,
            size: SIZE,
            light: &lights,
            mesh: &mesh(),
            to_crop: &Affine::IDENTITY,
            is_fresh: frame == 0,
            time_ns: frame * FRAME_NS,
        });
    }

    /// What remains of a whole mask, and how much of it.
    fn remains(occlusion: &Occlusion) -> (Vec<f32>, f32) {
        let mut mask = vec![1.0; SIZE * SIZE];
        occlusion.cut_out_of(&mut mask, SIZE);
        let mean = mask.iter().sum::<f32>() / mask.len() as f32;
        (mask, mean)
    }

    /// Half a second of speech.
    fn known() -> Occlusion {
        let mut occlusion = Occlusion::new();
        for frame in 0..12 {
            show(&mut occlusion, &crop((frame % 4) as f32, 1.0), 1.0, frame);
            assert_eq!(remains(&occlusion).1, 1.0, "frame {frame}");
        }
        occlusion
    }

    #[test]
    fn a_dark_thing_before_the_chin_is_left_and_nothing_else() {
        let mut occlusion = known();
        let mut seen = crop(2.0, 1.0);
        cover(&mut seen, 60..90, [0.12; 3]);
        show(&mut occlusion, &seen, 1.0, 12);
        let (mask, _) = remains(&occlusion);
        assert!(mask[75 * SIZE + 48] < 0.05, "{}", mask[75 * SIZE + 48]);
        assert!(mask[30 * SIZE + 48] > 0.95, "{}", mask[30 * SIZE + 48]);
    }

    #[test]
    fn a_hand_of_the_skins_own_colour_shows_by_the_lips_that_are_gone() {
        let mut occlusion = known();
        let mut seen = crop(0.0, 1.0);
        cover(&mut seen, 20..80, SKIN);
        for frame in 12..20 {
            show(&mut occlusion, &seen, 1.0, frame);
        }
        assert!(occlusion.of_mouth() > 0.75, "{}", occlusion.of_mouth());
        assert!(remains(&occlusion).1 < 0.01);
        for frame in 20..40 {
            show(&mut occlusion, &crop(2.0, 1.0), 1.0, frame);
        }
        assert_eq!(remains(&occlusion).1, 1.0);
    }

    #[test]
    fn light_that_reaches_all_of_the_face_covers_nothing() {
        let mut occlusion = known();
        for frame in 12..40 {
            let light = if frame % 7 < 2 { 1.35 } else { 0.75 };
            show(
                &mut occlusion,
                &crop((frame % 5) as f32, light),
                light,
                frame,
            );
            assert_eq!(remains(&occlusion).1, 1.0, "frame {frame}");
        }
    }

    #[test]
    fn another_face_is_learned_anew() {
        let mut occlusion = known();
        let mut seen = crop(2.0, 1.0);
        cover(&mut seen, 60..90, [0.12; 3]);
        // Above the mouth, too, it is somebody else.
        let mut lights = vec![0.2; 3 * LIGHTS];
        for (i, light) in lights.iter_mut().enumerate() {
            *light += 0.3 * (i % 2) as f32;
        }
        occlusion.update(&Sight {
            crop: &seen,
            size: SIZE,
            light: &lights,
            mesh: &mesh(),
            to_crop: &Affine::IDENTITY,
            is_fresh: false,
            time_ns: 12 * FRAME_NS,
        });
        assert_eq!(remains(&occlusion).1, 1.0);
    }

    #[test]
    fn a_face_lost_behind_a_hand_is_still_behind_it_when_it_is_found() {
        let mut occlusion = known();
        let mut seen = crop(0.0, 1.0);
        cover(&mut seen, 10..96, [0.2, 0.15, 0.1]);
        show(&mut occlusion, &seen, 1.0, 12);
        assert!(occlusion.of_mouth() > 0.9);
        let lights: Vec<f32> = SKIN.iter().flat_map(|&skin| [skin; LIGHTS]).collect();
        occlusion.update(&Sight {
            crop: &seen,
            size: SIZE,
            light: &lights,
            mesh: &mesh(),
            to_crop: &Affine::IDENTITY,
            is_fresh: true,
            time_ns: 20 * FRAME_NS,
        });
        assert!(occlusion.of_mouth() > 0.9);
    }

    #[test]
    fn what_is_no_number_does_no_harm() {
        let mut occlusion = known();
        show(&mut occlusion, &[f32::NAN; 3 * SIZE * SIZE], f32::NAN, 12);
        show(&mut occlusion, &crop(1.0, 1.0), 1.0, 13);
        let (mask, _) = remains(&occlusion);
        assert!(mask.iter().all(|value| (0.0..=1.0).contains(value)));
    }
}
