//! Hands over mouths from the first frame on: drawn ones in any colour of skin, and a real one. Nothing of such
//! a frame changes.

use lipsync_core::{face::Face, pixels::Affine, render::Outcome};

use crate::{
    clips::{self, TEN, portrait},
    occlusion::{CHEEKS, face_of, is_within, paint, portraits, redrawn},
    picture::Picture,
    running::engine,
};

const UPPER_LIP: usize = 13;
/// Cheeks beside nose and mouth.
const SKIN: [usize; 4] = [50, 280, 205, 425];
/// Of other people's hands.
const TONES: [[f32; 3]; 3] = [
    [232.0, 195.0, 172.0],
    [160.0, 110.0, 82.0],
    [84.0, 58.0, 44.0],
];

/// The mean of the colours at the cheeks.
fn cheek(picture: &Picture, face: &Face) -> [f32; 3] {
    let mut sum = [0.0; 3];
    for point in SKIN {
        let [x, y] = face.mesh.points[point].map(|at| at.max(0.0) as usize);
        let at = 3 * (y.min(picture.height - 1) * picture.width + x.min(picture.width - 1));
        for (sum, value) in sum.iter_mut().zip(&picture.data[at..]) {
            *sum += f32::from(*value) / SKIN.len() as f32;
        }
    }
    sum
}

/// From one temple to the other, in pixels.
fn width(face: &Face) -> f32 {
    let [[x0, y0], [x1, y1]] = CHEEKS.map(|point| face.mesh.points[point]);
    (x1 - x0).hypot(y1 - y0)
}

/// Four fingers side by side, from below up to the nose: cylinders in light from the front, with nails.
fn fingers(picture: &mut Picture, face: &Face, tone: [f32; 3], angle: f32) {
    let across_face = width(face);
    let wide = 0.075 * across_face;
    let (sin, cos) = angle.sin_cos();
    let [x, y] = face.mesh.points[UPPER_LIP];
    for nth in 0..4 {
        let place = nth as f32 - 1.5;
        let (aside, up) = (
            place * 2.02 * wide,
            (0.12 - 0.03 * place.abs()) * across_face,
        );
        let tip = [x + cos * aside - sin * up, y - sin * aside - cos * up];
        paint(picture, |[u, v]| {
            let [dx, dy] = [u - tip[0], v - tip[1]];
            let (along, across) = (dx * sin + dy * cos, (dx * cos - dy * sin) / wide);
            let from_axis = across.hypot((along - wide).min(0.0) / wide);
            let nail = (across / 0.6).hypot((along - 0.9 * wide) / (0.7 * wide)) < 1.0;
            let light =
                1.06 - 0.35 * from_axis.powi(4) + 0.08 * across + f32::from(u8::from(nail)) * 0.06;
            let share = ((1.0 - from_axis) * wide + 0.5).clamp(0.0, 1.0);
            (share > 0.0).then_some((tone.map(|tone| (tone * light).clamp(0.0, 255.0)), share))
        });
    }
}

/// A fist before mouth and chin, with knuckles.
fn fist(picture: &mut Picture, face: &Face, tone: [f32; 3]) {
    let across_face = width(face);
    let [x, y] = face.mesh.points[UPPER_LIP];
    let middle = y + 0.12 * across_face;
    paint(picture, |[u, v]| {
        let [dx, dy] = [(u - x) / across_face, (v - middle) / across_face];
        let from_middle = (dx / 0.36).hypot(dy / 0.3);
        let knuckles = if dy < 0.0 {
            0.1 * (26.0 * dx).cos()
        } else {
            0.0
        };
        let light = 1.05 - 0.4 * from_middle.powi(3) + knuckles;
        let share = ((1.0 - from_middle) * 0.3 * across_face + 0.5).clamp(0.0, 1.0);
        (share > 0.0).then_some((tone.map(|tone| (tone * light).clamp(0.0, 255.0)), share))
    });
}

/// Asserts that all frames are as they came and counted, and returns how many had a face.
fn assert_left_alone(shown: &Picture, about: &str) -> Option<usize> {
    let frames = redrawn(shown)?;
    for (frame, (outcome, after)) in frames.iter().enumerate() {
        let is_left = matches!(outcome, Outcome::Occluded | Outcome::NoFace);
        assert!(is_left, "{about}, frame {frame}: {outcome:?}");
        assert!(shown.data == after.data, "{about}, frame {frame}");
    }
    let occluded = frames
        .iter()
        .filter(|(outcome, _)| *outcome == Outcome::Occluded);
    Some(occluded.count())
}

#[test]
fn a_hand_over_the_mouth_gets_no_lips() {
    let mut seen = 0;
    for (name, picture, face) in portraits() {
        let own = cheek(&picture, &face);
        let [light, brown, dark] = TONES;
        let mut shown_with = |draw: &dyn Fn(&mut Picture), about: &str| {
            let mut shown = picture.clone();
            draw(&mut shown);
            let occluded = assert_left_alone(&shown, &format!("{name}, {about}"));
            seen += occluded.unwrap_or(0);
        };
        for tone in [light, own] {
            shown_with(&|shown| fist(shown, &face, tone), "fist");
        }
        for (tone, angle) in [
            (brown, -0.2),
            (dark, 0.3),
            (own, 0.3),
            (own.map(|value| 0.85 * value), -0.2),
        ] {
            shown_with(
                &|shown| fingers(shown, &face, tone, angle),
                &format!("fingers {tone:?}"),
            );
        }
    }
    assert!(seen > 0 || engine().is_none());
}

/// A hand at the end of a clip, in its pixels.
const HAND: [[f32; 2]; 19] = [
    [181.5, 288.0],
    [178.0, 252.5],
    [181.0, 244.0],
    [187.0, 242.0],
    [185.0, 236.0],
    [190.0, 231.0],
    [196.0, 232.0],
    [196.5, 226.0],
    [202.5, 222.0],
    [210.0, 225.0],
    [214.0, 223.0],
    [221.0, 223.0],
    [229.0, 231.0],
    [234.0, 238.0],
    [239.0, 233.0],
    [244.0, 236.0],
    [247.0, 250.0],
    [249.0, 272.5],
    [248.0, 288.0],
];
const HAND_AT: [f32; 2] = [213.0, 258.0];
/// How wide the face is that it belongs to.
const HAND_OF: f32 = 112.0;

#[test]
fn a_real_hand_over_the_mouth_gets_no_lips() {
    let Some(hand) = clips::frames("s31_bbac4p", 75).and_then(|mut frames| frames.pop()) else {
        return;
    };
    let mut seen = 0;
    for name in TEN {
        let Some(picture) = portrait(name) else {
            return;
        };
        let Some(face) = face_of(&picture) else {
            return;
        };
        let scale = HAND_OF / (1.25 * width(&face));
        let [x, y] = face.mesh.points[UPPER_LIP];
        let to_hand = Affine {
            a: scale,
            d: scale,
            tx: HAND_AT[0] - scale * (x + 0.02 * width(&face)),
            ty: HAND_AT[1] - scale * (y + 0.08 * width(&face)),
            ..Affine::IDENTITY
        };
        let moved = hand.moved(picture.width, picture.height, &to_hand);
        let own = cheek(&picture, &face);
        let tone = mean_within(&hand);
        let mut shown = picture.clone();
        paint(&mut shown, |place| {
            let at = to_hand.apply(place);
            let pixel = 3 * (place[1] as usize * moved.width + place[0] as usize);
            let light: [f32; 3] =
                std::array::from_fn(|c| f32::from(moved.data[pixel + c]) / tone[c]);
            // Below the clip's edge the arm goes on.
            let is_arm = at[1] >= 286.0 && (at[0] - HAND_AT[0]).abs() < 34.0;
            let colour = if is_arm {
                own
            } else {
                std::array::from_fn(|c| (own[c] * light[c]).clamp(0.0, 255.0))
            };
            (is_arm || is_within(at, &HAND)).then_some((colour, 1.0))
        });
        let Some(occluded) = assert_left_alone(&shown, name) else {
            return;
        };
        seen += occluded;
    }
    assert!(seen > 0);
}

/// The mean colour of the hand.
fn mean_within(hand: &Picture) -> [f32; 3] {
    let (mut sum, mut count) = ([0.0; 3], 0.0);
    for (at, pixel) in hand.data.chunks_exact(3).enumerate() {
        let place = [(at % hand.width) as f32, (at / hand.width) as f32];
        if is_within(place, &HAND) {
            count += 1.0;
            for (sum, value) in sum.iter_mut().zip(pixel) {
                *sum += f32::from(*value);
            }
        }
    }
    sum.map(|sum| sum / count)
}
