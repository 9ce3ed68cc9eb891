//! Two people who walk past each other.

use lipsync_core::face::{Effort, Settings};

use super::{see, tracker, upright, width};
use crate::{clips, picture::Picture};

pub const FRAME_WIDTH: usize = 760;

/// Somebody in the frames of a clip, cut out of it.
pub struct Cutout {
    pub frames: Vec<Picture>,
    /// The face in the first frame.
    pub bbox: [f32; 4],
}

impl Cutout {
    pub fn new(clip: &str) -> Option<Self> {
        let mut frames = clips::frames(clip, 70)?;
        let face = upright(&mut frames[0]);
        Some(Self {
            bbox: face.mesh.bbox().edges(),
            frames,
        })
    }

    pub fn width(&self) -> f32 {
        self.bbox[2] - self.bbox[0]
    }

    /// Puts head and shoulders into the frame, the centre of the face at `x`.
    fn paint(&self, frame: &mut Picture, index: usize, x: f32) {
        // Forth and back, so that it has no end.
        let last = self.frames.len() - 1;
        let from_end = index % (2 * last);
        let picture = &self.frames[from_end.min(2 * last - from_end)];
        let [x0, y0, x1, y1] = self.bbox;
        let (width, height) = (x1 - x0, y1 - y0);
        let (centre, middle) = ((x0 + x1) / 2.0, y0 + 0.4 * height);
        let shift = (x - centre).round() as isize;
        for v in 0..picture.height.min(frame.height) {
            for u in 0..picture.width {
                let to = u as isize + shift;
                if to < 0 || to as usize >= frame.width {
                    continue;
                }
                let (dx, dy) = (u as f32 - centre, v as f32 - middle);
                let head = 1.0 - (dx / (0.72 * width)).hypot(dy / (0.85 * height));
                let slope = (v as f32 - y1 - 0.1 * height) / height;
                let body = (0.45 + slope - dx.abs() / width).min(slope + 0.15);
                let alpha = (head.max(body) * 12.0 + 0.5).clamp(0.0, 1.0);
                let (source, target) = (
                    (v * picture.width + u) * 3,
                    (v * frame.width + to as usize) * 3,
                );
                for c in 0..3 {
                    let (over, under) = (picture.data[source + c], frame.data[target + c]);
                    let mixed = alpha * f32::from(over) + (1.0 - alpha) * f32::from(under);
                    frame.data[target + c] = mixed.round() as u8;
                }
            }
        }
    }
}

fn ground(height: usize) -> Picture {
    let mut picture = Picture::filled(FRAME_WIDTH, height, || 0);
    for (i, value) in picture.data.iter_mut().enumerate() {
        let (x, y) = (i / 3 % FRAME_WIDTH, i / 3 / FRAME_WIDTH);
        *value = (90.0 + 40.0 * (x as f32 * 0.02).sin() + 20.0 * (y as f32 * 0.03).cos()) as u8;
    }
    picture
}

/// Where the two are in a frame of so many.
pub fn places(index: i64, count: i64) -> [f32; 2] {
    let (start, end) = (150.0, FRAME_WIDTH as f32 - 150.0);
    let share = index as f32 / (count - 1) as f32;
    [start + (end - start) * share, end + (start - end) * share]
}

/// Frames in which the two walk past each other; the one of `front` is in front.
pub fn walk(people: &[Cutout; 2], front: usize, count: i64) -> impl Iterator<Item = Picture> {
    let ground = ground(288);
    (0..count).map(move |index| {
        let mut frame = ground.clone();
        let places = places(index, count);
        for who in [1 - front, front] {
            people[who].paint(&mut frame, index as usize, places[who]);
        }
        frame
    })
}

const PAIRS: [[&str; 2]; 4] = [
    ["s1_bbaf2n", "x02"],
    ["x04", "s26_bgbsza"],
    ["x12", "x15"],
    ["s31_bgiq6p", "x00"],
];

#[test]
fn the_mouth_stays_with_its_person_when_another_walks_past() {
    for pair in PAIRS {
        let [Some(first), Some(second)] = pair.map(Cutout::new) else {
            return;
        };
        let people = [first, second];
        let apart = people[0].width().max(people[1].width());
        for (front, count) in [(0, 75), (1, 75), (0, 150), (1, 150)] {
            let mut tracker = tracker(Settings::default(), Effort::Thorough);
            let mut followed = None;
            for (mut frame, index) in walk(&people, front, count).zip(0..) {
                let faces = see(&mut tracker, &mut frame, index);
                let about = format!("{pair:?}, {front} in front, frame {index} of {count}");
                let places = places(index, count);
                let Some(face) = faces.first() else {
                    // Only the one who is behind may be hidden.
                    assert!(index > 5, "{about}");
                    assert!((places[0] - places[1]).abs() < 2.0 * apart, "{about}");
                    continue;
                };
                let [x0, _, x1, _] = face.mesh.bbox().edges();
                let away = places.map(|x| (x - (x0 + x1) / 2.0).abs());
                let nearest = usize::from(away[1] < away[0]);
                let &mut (who, id) = followed.get_or_insert((nearest, face.id));
                assert_eq!(face.id, id, "{about}");
                if (places[0] - places[1]).abs() > 0.7 * apart {
                    assert_eq!(nearest, who, "{about}");
                }
            }
        }
    }
}

#[test]
fn two_people_keep_their_names_when_they_walk_past_each_other() {
    for pair in PAIRS {
        let [Some(first), Some(second)] = pair.map(Cutout::new) else {
            return;
        };
        let people = [first, second];
        for (front, count) in [(0, 75), (1, 150)] {
            let settings = Settings {
                max_faces: 2,
                ..Settings::default()
            };
            let mut tracker = tracker(settings, Effort::Thorough);
            let mut names = [0; 2];
            for (mut frame, index) in walk(&people, front, count).zip(0..) {
                let faces = see(&mut tracker, &mut frame, index);
                let about = format!("{pair:?}, {front} in front, frame {index} of {count}");
                if index > 12 && index < count - 1 {
                    continue;
                }
                assert_eq!(faces.len(), 2, "{about}");
                for (who, x) in places(index, count).into_iter().enumerate() {
                    let is_here = |face: &&lipsync_core::face::Face| {
                        let [x0, _, x1, _] = face.mesh.bbox().edges();
                        ((x0 + x1) / 2.0 - x).abs() < 0.5 * width(face)
                    };
                    let face = faces.iter().find(is_here).expect(&about);
                    if index == 0 {
                        names[who] = face.id;
                    }
                    assert_eq!(face.id, names[who], "{about}");
                }
            }
        }
    }
}
