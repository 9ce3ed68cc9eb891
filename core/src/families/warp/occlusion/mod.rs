//! What is in front of a mouth: a hand, a microphone. There the frame is to stay as it is.
//!
//! Must not know networks or frames: canonical crops and landmarks in, a share for each cell out.
//!
//! The skin round a mouth, unlike the mouth, looks the same from one second to the next. What
//! suddenly looks otherwise, and is no change of light (that reaches the face above the mouth too),
//! covers it. On the lips themselves speech changes everything but their colour: when they lose
//! what sets them off from the skin, something is on them. What covers a mouth from the first
//! frame on cannot be told from a face that looks so, unless no skin has its colour; `face::cover`
//! looks for that.

mod memory;
mod sight;
mod tint;

use crate::{
    generator::smoothstep,
    pixels::{
        Affine,
        geometry::cells::{self, blur},
    },
};
use memory::Memory;
use sight::Seen;
use tint::Tint;

pub use sight::{LIGHT_SIDE, Sight};

/// Cells along each side of a crop.
const SIDE: usize = 48;
const CELLS: usize = SIDE * SIDE;
/// A gap in the frames after which nothing known is of use, in seconds.
const FORGET_AFTER: f32 = 2.0;
/// How fast what covers a face becomes a part of it, as a share of how fast a face changes.
const ABSORB: f32 = 0.03;
/// In which what has gone away is still taken into account, in seconds: a cover that flickers
/// would be worse than one that stays.
const RELEASE: f32 = 0.14;

/// Radii in cells over which differences are gathered: near, and far for the mouth itself.
const NEAR: usize = 2;
const WIDE: usize = 6;
/// Where nothing near tells (the mouth), what is further away counts with this weight.
const FAR: f32 = 0.05;
/// Differences, in multiples of those that count as none, at which a cell begins to be covered,
/// and at which it is.
const COVER: [f32; 2] = [0.9, 1.2];
/// Share of the mouth that is covered at which the rest, jaw and cheeks, begins to stay as it is too, and
/// at which it does.
const HIDDEN: [f32; 2] = [0.45, 0.75];
/// Covered by less than this counts as not covered.
const BARELY: f32 = 0.05;

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

/// What is in front of one person's lower face.
pub struct Occlusion {
    seen: Seen,
    tint: Tint,
    memory: Memory,
    /// Redness of the lips beyond that of the skin: as known, and as seen of late.
    redness: f32,
    redness_now: f32,
    /// 0 = the face is seen .. 1 = something is in front of it, for each cell.
    covered: Vec<f32>,
    /// The same of the mouth as a whole.
    mouth_covered: f32,
    last_ns: Option<i64>,
    has_recognised: bool,
    planes: [Vec<f32>; 5],
    spare: Vec<f32>,
}

impl Occlusion {
    pub fn new() -> Self {
        let cells = || vec![0.0; CELLS];
        Self {
            seen: Seen::new(),
            tint: Tint::new(),
            memory: Memory::new(),
            redness: 0.0,
            redness_now: 0.0,
            covered: cells(),
            mouth_covered: 0.0,
            last_ns: None,
            has_recognised: false,
            planes: [cells(), cells(), cells(), cells(), cells()],
            spare: cells(),
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

    /// Whether the last frame showed the same face as the one before.
    pub fn has_recognised(&self) -> bool {
        self.has_recognised
    }

    /// How much of the mouth is covered, 0..1.
    pub fn of_mouth(&self) -> f32 {
        self.mouth_covered
    }

    /// Whether so much of the mouth is covered that nothing of the frame is to change.
    pub fn hides_mouth(&self) -> bool {
        self.mouth_covered >= HIDDEN[1]
    }

    /// Takes what is covered out of a mask, `[size, size]`.
    pub fn cut_out_of(&self, mask: &mut [f32], size: usize) {
        if self.covered.iter().all(|&covered| covered == 0.0) {
            return;
        }
        let seen = 1.0 - smoothstep(HIDDEN, self.mouth_covered);
        let step = SIDE as f32 / size as f32;
        let to_cells = Affine {
            a: step,
            d: step,
            tx: 0.5 * step - 0.5,
            ty: 0.5 * step - 0.5,
            ..Affine::IDENTITY
        };
        let left = |covered: f32| seen * (1.0 - covered);
        cells::multiply::<SIDE>(mask, size, &to_cells, left, &self.covered);
    }

    /// Takes the next frame in.
    pub fn update(&mut self, sight: &Sight) {
        let passed = self
            .last_ns
            .map(|last| (sight.time_ns - last) as f32 * 1e-9)
            .filter(|passed| (0.0..FORGET_AFTER).contains(passed));
        self.last_ns = Some(sight.time_ns);
        self.seen.take_in(sight);
        let Seen { mouth, skin, .. } = &self.seen;
        self.tint.look(sight.crop, sight.size, mouth, skin);
        // A face found anew may be another one, unless it was lost behind what is in front of it.
        let is_fresh = sight.is_fresh && self.mouth_covered < HIDDEN[0];
        let known = passed.filter(|_| self.memory.recognise(sight.light, is_fresh));
        self.has_recognised = known.is_some();
        match known {
            Some(passed) => {
                self.memory.compare(&self.seen.cells);
                self.cover(passed);
                self.learn(passed, sight.light);
            }
            None => self.begin(sight.light),
        }
    }

    /// Knows no more than this frame.
    fn begin(&mut self, light: &[f32]) {
        self.memory.begin(&self.seen.cells, light);
        self.covered.copy_from_slice(&self.tint.covered);
        self.mouth_covered = self.share_of_mouth();
        self.redness = self.seen.redness();
        self.redness_now = self.redness;
    }

    /// Which cells are covered.
    fn cover(&mut self, passed: f32) {
        let on_lips = LIPS_COUNT * self.lips_gone(passed);
        let Seen { mouth, skin, .. } = &self.seen;
        let [near, near_skin, wide, wide_skin, lips] = &mut self.planes;
        for (at, near) in near.iter_mut().enumerate() {
            *near = skin[at] * self.memory.strangeness(at);
        }
        near_skin.copy_from_slice(skin);
        wide.copy_from_slice(near);
        wide_skin.copy_from_slice(skin);
        lips.copy_from_slice(mouth);
        let spare = &mut self.spare;
        blur::<SIDE>(near, NEAR, spare);
        blur::<SIDE>(near_skin, NEAR, spare);
        blur::<SIDE>(wide, WIDE, spare);
        blur::<SIDE>(wide_skin, WIDE, spare);
        blur::<SIDE>(lips, NEAR, spare);

        let kept = (-passed / RELEASE).exp();
        for (at, covered) in self.covered.iter_mut().enumerate() {
            let skin = near_skin[at] + FAR * wide_skin[at];
            let difference = (near[at] + FAR * wide[at]) / skin.max(FAR * FAR);
            let now = match self.memory.is_certain() {
                true => smoothstep(COVER, difference + on_lips * lips[at]),
                false => 0.0,
            };
            *covered = now.max(self.tint.covered[at]).max(*covered * kept);
            if *covered < BARELY {
                *covered = 0.0;
            }
        }
        self.mouth_covered = self.share_of_mouth();
    }

    /// How much of the mouth is covered, 0..1.
    fn share_of_mouth(&self) -> f32 {
        let [mut all, mut covered] = [0.0, 0.0];
        for (mouth, share) in self.seen.mouth.iter().zip(&self.covered) {
            all += mouth;
            covered += mouth * share;
        }
        covered / f32::max(all, 1.0)
    }

    /// How far the lips have lost what sets them off from the skin, 0..1.
    fn lips_gone(&mut self, passed: f32) -> f32 {
        let follow = 1.0 - (-passed / LIPS_FOLLOW).exp();
        self.redness_now += follow * (self.seen.redness() - self.redness_now);
        match self.redness > RED_LIPS {
            true => ((LIPS_LEFT - self.redness_now / self.redness) / LIPS_GONE).clamp(0.0, 1.0),
            false => 0.0,
        }
    }

    /// Takes into what is known what is not covered.
    fn learn(&mut self, passed: f32, light: &[f32]) {
        let rate = self.memory.rate(passed);
        let covered = self.covered.iter();
        let rates = covered.map(|covered| rate * (1.0 - (1.0 - ABSORB) * (1.5 * covered).min(1.0)));
        self.memory.learn(&self.seen.cells, rates, light, rate);
        let rate = match self.mouth_covered < BARELY {
            true => rate,
            false => ABSORB * rate,
        };
        self.redness += rate * (self.redness_now - self.redness);
    }
}

#[cfg(test)]
mod tests;
