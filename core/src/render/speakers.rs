//! Who speaks: whose own mouth moves with the voice that is heard, or moved last.
//!
//! Must not know networks or pixels.

use crate::face::{
    Face,
    geometry::{EYE_CORNERS, INNER_MIDDLES},
};

/// Means go over so long.
const MOTION_NS: f32 = 1e9;
const TOGETHER_NS: f32 = 2e9;
/// A mouth that was watched for less time says nothing yet.
const WATCHED_NS: f32 = 1.2e8;
/// Mean speed of the gap between the lips from which a mouth moves, in distances of the eyes' outer
/// corners a second. Of people who speak 0.07 to 0.63, of people who are silent 0.02 to 0.03.
const MOVES: f32 = 0.045;
/// Speed that counts half as much as any could: some hardly open their mouths.
const HALF: f32 = 0.1;
/// What counts of a mouth that moves without regard to the voice.
const REGARDLESS: f32 = 0.3;
/// Another one speaks who speaks by so much more.
const CLEARLY: f32 = 1.3;
/// Somebody who is gone for longer is forgotten; one who is alone for less may not be.
const PRESENCE_NS: u64 = 2_000_000_000;
/// What is quieter, digital silence too, counts as this, in dBFS.
const QUIETEST_DB: f32 = -60.0;
/// Steps that are longer say nothing of a speed.
const LONGEST_STEP_NS: f32 = 3e8;

/// Means of two values and of how they vary.
#[derive(Clone, Copy, Debug, Default)]
struct Together {
    means: [f32; 2],
    variances: [f32; 2],
    covariance: f32,
}

impl Together {
    fn add(&mut self, values: [f32; 2], share: f32) {
        let apart = [0, 1].map(|i| values[i] - self.means[i]);
        let figures = self.means.iter_mut().zip(&mut self.variances);
        for ((mean, variance), apart) in figures.zip(apart) {
            *mean += share * apart;
            *variance = (1.0 - share) * (*variance + share * apart * apart);
        }
        self.covariance = (1.0 - share) * (self.covariance + share * apart[0] * apart[1]);
    }

    /// Correlation -1..=1; 0 where one of the values stands still.
    fn correlation(&self) -> f32 {
        let scale = (self.variances[0] * self.variances[1]).sqrt();
        if scale > f32::MIN_POSITIVE {
            self.covariance / scale
        } else {
            0.0
        }
    }
}

/// The mouth of one face.
#[derive(Clone, Debug)]
struct Mouth {
    face: u64,
    gap: f32,
    time_ns: i64,
    watched_ns: f32,
    /// Mean speed of the gap.
    motion: f32,
    /// The gap and the level of the sound.
    together: Together,
    /// It was seen to move.
    has_moved: bool,
    is_chosen: bool,
}

impl Mouth {
    fn new(face: u64) -> Self {
        Self {
            face,
            gap: 0.0,
            // Nothing is known from before.
            time_ns: i64::MIN,
            watched_ns: 0.0,
            motion: 0.0,
            together: Together::default(),
            has_moved: false,
            is_chosen: false,
        }
    }

    fn watch(&mut self, face: &Face, time_ns: i64, level_db: f32) {
        let gap = gap(face);
        let step_ns = time_ns.saturating_sub(self.time_ns) as f32;
        let speed = (gap - self.gap).abs() / (step_ns * 1e-9);
        (self.gap, self.time_ns) = (gap, time_ns);
        if face.fresh || !(0.0..=LONGEST_STEP_NS).contains(&step_ns) || !speed.is_finite() {
            return;
        }
        self.watched_ns += step_ns;
        let share = |over_ns: f32| (step_ns / over_ns.min(self.watched_ns)).min(1.0);
        self.motion += share(MOTION_NS) * (speed - self.motion);
        let level_db = level_db.max(QUIETEST_DB);
        self.together.add([gap, level_db], share(TOGETHER_NS));
        self.has_moved |= self.moves();
    }

    fn moves(&self) -> bool {
        self.watched_ns >= WATCHED_NS && self.motion >= MOVES
    }

    /// How much this one seems to speak.
    fn speech(&self) -> f32 {
        match self.moves() {
            true => {
                let amount = self.motion / (self.motion + HALF);
                amount * (REGARDLESS + self.together.correlation().max(0.0))
            }
            false => 0.0,
        }
    }
}

/// The mouths of a stream.
#[derive(Debug, Default)]
pub struct Speakers {
    mouths: Vec<Mouth>,
    /// When there were last more faces than are wanted.
    crowd_ns: Option<i64>,
}

impl Speakers {
    /// Leaves those of the faces in the frame at `time_ns` who speak or spoke last, `most` of them.
    /// Where there are no more than that, and were none before, all of them; where there are more
    /// and none has moved its mouth yet, none. `level_db` is the level of the sound; whether it is
    /// a voice (`is_voice`) says whether another may be the one who speaks now.
    pub fn choose(
        &mut self,
        faces: &mut Vec<Face>,
        most: usize,
        time_ns: i64,
        level_db: f32,
        is_voice: bool,
    ) {
        self.mouths
            .retain(|mouth| time_ns.abs_diff(mouth.time_ns) < PRESENCE_NS);
        for face in faces.iter() {
            self.mouth(face.id).watch(face, time_ns, level_db);
        }
        let is_here = |mouth: &Mouth| faces.iter().any(|face| face.id == mouth.face);
        if faces.len() > most {
            self.crowd_ns = Some(time_ns);
            for mouth in &mut self.mouths {
                // It was chosen as the only one.
                mouth.is_chosen &= mouth.has_moved;
            }
        }
        let is_crowd = |crowd_ns: i64| time_ns.abs_diff(crowd_ns) < PRESENCE_NS;
        if !self.crowd_ns.is_some_and(is_crowd) {
            for mouth in self.mouths.iter_mut().filter(|mouth| is_here(mouth)) {
                mouth.is_chosen = true;
            }
        }
        loop {
            let chosen = self.mouths.iter().filter(|mouth| mouth.is_chosen);
            let (count, least) = chosen.fold((0, f32::MAX), |(count, least), mouth| {
                (count + 1, mouth.speech().min(least))
            });
            let others = self.mouths.iter_mut().filter(|mouth| !mouth.is_chosen);
            let others = others.filter(|mouth| is_here(mouth) && mouth.moves());
            let Some(best) = others.max_by(|a, b| a.speech().total_cmp(&b.speech())) else {
                break;
            };
            let speech = best.speech();
            if count < most {
                best.is_chosen = true;
            } else if is_voice && speech > CLEARLY * least {
                best.is_chosen = true;
                let best = best.face;
                let chosen = self.mouths.iter_mut().filter(|mouth| mouth.is_chosen);
                let chosen = chosen.filter(|mouth| mouth.face != best);
                if let Some(worst) = chosen.min_by(|a, b| a.speech().total_cmp(&b.speech())) {
                    worst.is_chosen = false;
                }
            } else {
                break;
            }
        }
        faces.retain(|face| {
            let mut mouths = self.mouths.iter();
            mouths.any(|mouth| mouth.face == face.id && mouth.is_chosen)
        });
        faces.truncate(most);
    }

    /// Forgets all.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    fn mouth(&mut self, face: u64) -> &mut Mouth {
        let known = self.mouths.iter().position(|mouth| mouth.face == face);
        let index = known.unwrap_or_else(|| {
            self.mouths.push(Mouth::new(face));
            self.mouths.len() - 1
        });
        &mut self.mouths[index]
    }
}

/// Between the middles of the lips, in distances of the eyes' outer corners.
fn gap(face: &Face) -> f32 {
    let between = |[a, b]: [usize; 2]| {
        let ([ax, ay], [bx, by]) = (face.mesh.points[a], face.mesh.points[b]);
        (ax - bx).hypot(ay - by)
    };
    between(INNER_MIDDLES) / between(EYE_CORNERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME_NS: i64 = 40_000_000;

    /// A face whose lips are so far apart.
    fn face(id: u64, gap: f32) -> Face {
        let mut face = Face {
            id,
            ..Face::default()
        };
        face.mesh.points[EYE_CORNERS[1]] = [100.0, 0.0];
        face.mesh.points[INNER_MIDDLES[1]] = [0.0, 100.0 * gap];
        face
    }

    /// Who is left after each of some frames; `gaps` and the level are told by the frame's number.
    fn watch(
        speakers: &mut Speakers,
        frames: std::ops::Range<i64>,
        scene: impl Fn(i64) -> (Vec<f32>, f32),
    ) -> Vec<Vec<u64>> {
        let mut left = Vec::new();
        for i in frames {
            let (gaps, level_db) = scene(i);
            let faces = gaps.iter().zip(1..);
            let mut faces: Vec<_> = faces.map(|(&gap, id)| face(id, gap)).collect();
            speakers.choose(&mut faces, 1, i * FRAME_NS, level_db, level_db > -50.0);
            left.push(faces.iter().map(|face| face.id).collect());
        }
        left
    }

    fn talk(i: i64) -> f32 {
        0.05 + 0.04 * (i as f32 * 1.3).sin()
    }

    fn loud(i: i64) -> f32 {
        -20.0 + 10.0 * (i as f32 * 1.3).sin()
    }

    #[test]
    fn the_one_whose_mouth_moves_speaks_and_keeps_the_turn_in_pauses() {
        let mut speakers = Speakers::default();
        let left = watch(&mut speakers, 0..25, |i| (vec![0.02, talk(i)], loud(i)));
        assert_eq!(left[0], []);
        assert!(left[8..].iter().all(|left| left == &[2]), "{left:?}");
        // Both rest, then the first one chews, for long.
        let left = watch(&mut speakers, 25..275, |i| {
            (vec![if i < 40 { 0.02 } else { talk(i) }, 0.05], -90.0)
        });
        assert!(left.iter().all(|left| left == &[2]));
        // Now it speaks.
        let left = watch(&mut speakers, 275..325, |i| (vec![talk(i), 0.05], loud(i)));
        assert_eq!(left[49], [1]);
    }

    #[test]
    fn of_two_moving_mouths_the_one_that_moves_with_the_voice_speaks() {
        let mut speakers = Speakers::default();
        let other = |i: i64| 0.06 + 0.06 * (i as f32 * 0.9).cos();
        let left = watch(&mut speakers, 0..75, |i| (vec![other(i), talk(i)], loud(i)));
        assert!(left[40..].iter().all(|left| left == &[2]), "{left:?}");
    }

    #[test]
    fn one_who_is_alone_needs_not_move_but_gives_way_to_one_who_does() {
        let mut speakers = Speakers::default();
        let left = watch(&mut speakers, 0..5, |i| (vec![0.02], loud(i)));
        assert!(left.iter().all(|left| left == &[1]));
        let left = watch(&mut speakers, 5..30, |i| (vec![0.02, talk(i)], loud(i)));
        assert_eq!(left[0], []);
        assert_eq!(left[24], [2]);
        // The one who speaks is hidden for a moment.
        let left = watch(&mut speakers, 30..40, |i| (vec![0.02], loud(i)));
        assert!(left.iter().all(Vec::is_empty));
    }
}
