//! Captions, masks and microphones over real faces from their first frame on, and what is behind
//! heads: all of it stays as it came.

use lipsync_core::{
    face::{Face, Mesh, geometry::FACE_OVAL},
    pixels::Affine,
    render::{Controls, Outcome, Silence},
    sound::Sound,
};

use crate::{
    picture::Picture,
    running::{engine, speech},
};

const PICTURES: [&str; 3] = [
    "astronaut.jpg",
    "young-woman-in-mauve.jpg",
    "self-portrait-1885.jpg",
];
const FRAME_NS: i64 = 40_000_000;
const FRAMES: i64 = 30;

const NOSE_TIP: usize = 4;
const NOSE_BRIDGE: usize = 6;
const LOWER_LIP: usize = 17;
const LIPS: [usize; 2] = [13, 14];
const CHIN: usize = 152;
pub const CHEEKS: [usize; 2] = [234, 454];
/// From ear to ear below the face, for masks.
const JAW: [usize; 13] = [
    93, 58, 172, 136, 150, 176, 152, 400, 379, 365, 397, 288, 323,
];

fn speaking() -> Controls {
    Controls {
        silence: Silence::Animate,
        ..Controls::default()
    }
}

/// The face of a picture that nothing lies over.
pub fn face_of(picture: &Picture) -> Option<Face> {
    let mut engine = engine()?;
    let mut bare = picture.clone();
    let outcome = engine
        .process(&mut bare.view(), 0, &mut speech(1, 0.0)?, &[], &speaking())
        .expect("the networks run");
    assert_eq!(outcome, Outcome::Synced);
    Some(engine.faces()[0].clone())
}

/// Pictures with a face that nothing lies over; none where they, or networks, are missing.
pub fn portraits() -> impl Iterator<Item = (&'static str, Picture, Face)> {
    PICTURES.into_iter().filter_map(|name| {
        let picture = Picture::load(name)?;
        let face = face_of(&picture)?;
        Some((name, picture, face))
    })
}

/// What becomes of a picture that is there from the first frame on, while somebody speaks.
pub fn redrawn(picture: &Picture) -> Option<Vec<(Outcome, Picture)>> {
    let (mut engine, mut sound) = (engine()?, speech(1, 0.0)?);
    let frames = (0..FRAMES).map(|frame| {
        let mut shown = picture.clone();
        let time_ns = frame * FRAME_NS;
        let outcome = engine
            .process(&mut shown.view(), time_ns, &mut sound, &[], &speaking())
            .expect("the networks run");
        (outcome, shown)
    });
    Some(frames.collect())
}

/// Pixels that differ, of those that are chosen.
fn changed(before: &Picture, after: &Picture, chosen: impl Fn([usize; 2]) -> bool) -> usize {
    let pixels = before.data.chunks_exact(3).zip(after.data.chunks_exact(3));
    let differ = pixels.enumerate().filter(|(_, (a, b))| a != b);
    differ
        .filter(|(at, _)| chosen([at % before.width, at / before.width]))
        .count()
}

/// Changes pixels by a colour and how much of it, for each place that `paint` has one for.
pub fn paint(picture: &mut Picture, paint: impl Fn([f32; 2]) -> Option<([f32; 3], f32)>) {
    let width = picture.width;
    for (at, pixel) in picture.data.chunks_exact_mut(3).enumerate() {
        let place = [at % width, at / width].map(|at| at as f32);
        if let Some((colour, share)) = paint(place) {
            for (value, colour) in pixel.iter_mut().zip(colour) {
                *value = (f32::from(*value) + share * (colour - f32::from(*value))).round() as u8;
            }
        }
    }
}

/// A letter of five by seven squares, a bit each, rows from above.
const LETTERS: [[u8; 7]; 6] = [
    [17, 25, 21, 19, 17, 17, 17], // N
    [31, 16, 16, 30, 16, 16, 31], // E
    [17, 17, 17, 21, 21, 27, 17], // W
    [15, 16, 16, 14, 1, 1, 30],   // S
    [0; 7],
    [14, 17, 17, 17, 17, 17, 14], // O
];

/// Whether a place lies in a line of lettering, `height` high, that begins at `at`.
fn is_ink([x, y]: [f32; 2], [left, top]: [f32; 2], height: f32) -> bool {
    let square = height / 7.0;
    let [column, row] = [(x - left) / square, (y - top) / square];
    if column < 0.0 || !(0.0..7.0).contains(&row) {
        return false;
    }
    let (column, row) = (column as usize, row as usize);
    let letter = LETTERS[column / 6 % LETTERS.len()];
    column % 6 < 5 && (letter[row] >> (4 - column % 6)) & 1 == 1
}

/// What letters stand on.
enum Back {
    Nothing,
    /// Black.
    Outline,
    /// A colour, and how much of it.
    Box([f32; 3], f32),
}

/// Letters over the whole width.
struct Caption {
    top: f32,
    height: f32,
    ink: [f32; 3],
    back: Back,
}

impl Caption {
    fn covers(&self, [_, y]: [usize; 2]) -> bool {
        let margin = 0.3 * self.height;
        (self.top - margin..self.top + self.height + margin).contains(&(y as f32))
    }

    /// Letters, and their outline or box.
    fn is_drawn(&self, place: [usize; 2]) -> bool {
        let at = place.map(|at| at as f32);
        let outline = (0.06 * self.height).max(1.0);
        let near = [-outline, 0.0, outline];
        let begin = [3.0, self.top];
        match self.back {
            Back::Nothing => is_ink(at, begin, self.height),
            Back::Box(..) => self.covers(place),
            Back::Outline => near
                .iter()
                .flat_map(|dx| near.map(|dy| [at[0] + dx, at[1] + dy]))
                .any(|at| is_ink(at, begin, self.height)),
        }
    }

    fn over(&self, picture: &Picture) -> Picture {
        let mut out = picture.clone();
        paint(&mut out, |at| {
            let place = at.map(|at| at as usize);
            let back = match self.back {
                Back::Box(colour, share) => (colour, share),
                Back::Outline | Back::Nothing => ([0.0; 3], 1.0),
            };
            match is_ink(at, [3.0, self.top], self.height) {
                true => Some((self.ink, 1.0)),
                false => self.is_drawn(place).then_some(back),
            }
        });
        out
    }
}

fn captions(mesh: &Mesh) -> [Caption; 7] {
    let y = |point: usize| mesh.points[point][1];
    let chin = y(CHIN) - y(LOWER_LIP);
    let white = [255.0; 3];
    [
        // Over the chin: outlined, on a box, on one that lets the chin through.
        Caption {
            top: y(LOWER_LIP) + 0.45 * chin,
            height: 0.45 * chin,
            ink: white,
            back: Back::Outline,
        },
        Caption {
            top: y(LOWER_LIP) + 0.5 * chin,
            height: 0.5 * chin,
            ink: [250.0, 220.0, 20.0],
            back: Back::Box([10.0, 20.0, 120.0], 1.0),
        },
        Caption {
            top: y(LOWER_LIP) + 0.4 * chin,
            height: 0.6 * chin,
            ink: white,
            back: Back::Box([0.0; 3], 0.6),
        },
        // Dark on light, and over the lips.
        Caption {
            top: y(LOWER_LIP) + 0.55 * chin,
            height: 0.4 * chin,
            ink: [15.0; 3],
            back: Back::Box([235.0; 3], 0.95),
        },
        Caption {
            top: y(LIPS[0]) - 0.2 * chin,
            height: 0.5 * chin,
            ink: white,
            back: Back::Outline,
        },
        // Of a colour that lips have, too.
        Caption {
            top: y(LOWER_LIP) + 0.45 * chin,
            height: 0.45 * chin,
            ink: [235.0, 20.0, 25.0],
            back: Back::Nothing,
        },
        Caption {
            top: y(LOWER_LIP) + 0.5 * chin,
            height: 0.3 * chin,
            ink: [180.0, 15.0, 30.0],
            back: Back::Nothing,
        },
    ]
}

#[test]
fn lettering_stays_as_it_is_from_the_first_frame_on() {
    for (name, picture, face) in portraits() {
        for (nth, caption) in captions(&face.mesh).iter().enumerate() {
            let shown = caption.over(&picture);
            let Some(frames) = redrawn(&shown) else {
                return;
            };
            for (frame, (_, after)) in frames.iter().enumerate() {
                let bent = changed(&shown, after, |at| caption.is_drawn(at));
                assert_eq!(bent, 0, "{name}, caption {nth}, frame {frame}");
            }
        }
    }
}

#[test]
fn a_mouth_above_a_caption_goes_on_speaking() {
    for (name, picture, face) in portraits() {
        let [outlined, ..] = captions(&face.mesh);
        let shown = outlined.over(&picture);
        let Some(frames) = redrawn(&shown) else {
            return;
        };
        let speaks = |(outcome, after): &&(Outcome, Picture)| {
            *outcome == Outcome::Synced && changed(&shown, after, |_| true) > 50
        };
        let speaking = frames.iter().filter(speaks).count() as i64;
        assert!(
            speaking > FRAMES / 2,
            "{name}: {speaking} frames of {FRAMES}"
        );
    }
}

/// Whether a place lies within a polygon.
pub fn is_within([x, y]: [f32; 2], corners: &[[f32; 2]]) -> bool {
    let edges = corners.iter().zip(corners.iter().cycle().skip(1));
    let crossed = edges.filter(|([x0, y0], [x1, y1])| {
        (*y0 > y) != (*y1 > y) && x < (x1 - x0) * (y - y0) / (y1 - y0) + x0
    });
    crossed.count() % 2 == 1
}

#[test]
fn a_face_mask_gets_no_lips_and_its_frames_are_counted() {
    let colours = [
        [235.0, 238.0, 240.0],
        [150.0, 190.0, 215.0],
        [25.0, 25.0, 28.0],
        [120.0, 30.0, 45.0],
        [60.0, 95.0, 60.0],
    ];
    for (name, picture, face) in portraits() {
        let point = |index: usize| face.mesh.points[index];
        let mut mask: Vec<_> = JAW.iter().map(|&index| point(index)).collect();
        let [bridge, tip] = [NOSE_BRIDGE, NOSE_TIP].map(point);
        mask.push([0, 1].map(|axis| 0.4 * bridge[axis] + 0.6 * tip[axis]));
        let height = point(CHIN)[1] - tip[1];
        for colour in colours {
            let mut shown = picture.clone();
            paint(&mut shown, |at| {
                // Cloth has folds, and light from above.
                let fold = 1.0 - 0.08 * (20.0 * (at[1] - tip[1]) / height).sin().abs();
                let light = fold * (1.05 - 0.2 * (at[1] - tip[1]) / height);
                is_within(at, &mask)
                    .then_some((colour.map(|value: f32| (value * light).min(255.0)), 1.0))
            });
            let Some(frames) = redrawn(&shown) else {
                return;
            };
            for (frame, (outcome, after)) in frames.iter().enumerate() {
                if *outcome == Outcome::NoFace {
                    continue;
                }
                assert_eq!(
                    *outcome,
                    Outcome::Occluded,
                    "{name}, {colour:?}, frame {frame}"
                );
                assert!(shown.data == after.data);
            }
        }
    }
}

#[test]
fn a_microphone_keeps_its_shape_from_the_first_frame_on() {
    for (name, picture, face) in portraits() {
        let point = |index: usize| face.mesh.points[index];
        let size = (point(CHEEKS[1])[0] - point(CHEEKS[0])[0]) * 0.16;
        let chin = 0.5 * (point(LOWER_LIP)[1] + point(CHIN)[1]);
        let centre = [point(CHIN)[0] + 0.3 * size, chin + 0.2 * size];
        let is_microphone = |[x, y]: [f32; 2]| {
            let [dx, dy] = [x - centre[0], y - centre[1]];
            let stem = dy > 0.0 && (dx - 0.15 * dy).abs() < 0.45 * size;
            dx * dx + dy * dy < size * size || stem
        };
        let mut shown = picture.clone();
        paint(&mut shown, |at| {
            let [dx, dy] = [at[0] - centre[0], at[1] - centre[1]];
            let grille = 12.0 * (dx * 1.3).sin() * (dy * 1.3).sin();
            let level = 60.0 + grille - 25.0 * (dx + dy) / size.max(1.0);
            is_microphone(at).then_some(([level.clamp(10.0, 200.0); 3], 1.0))
        });
        let Some(frames) = redrawn(&shown) else {
            return;
        };
        for (frame, (_, after)) in frames.iter().enumerate() {
            let bent = changed(&shown, after, |at| is_microphone(at.map(|at| at as f32)));
            assert_eq!(bent, 0, "{name}, frame {frame}");
        }
    }
}

/// A colour and how much of it, for each place.
type Light<'a> = &'a dyn Fn([f32; 2]) -> Option<([f32; 3], f32)>;

#[test]
fn bare_faces_are_bare() {
    for (name, picture, face) in portraits() {
        assert!(face.cover.is_bare(), "{name}");
        // In less light, in more, without colour, and in the shadow of a hat.
        let [middle, lips] = face.mesh.points[LIPS[0]];
        let width = face.mesh.points[CHEEKS[1]][0] - face.mesh.points[CHEEKS[0]][0];
        let lights: [Light; 3] = [
            &|_| Some(([0.0; 3], 0.45)),
            &|_| Some(([255.0, 240.0, 220.0], 0.2)),
            &|[x, y]| {
                let depth = (lips - y - 0.2 * (x - middle)) / (0.3 * width);
                Some(([0.0; 3], 0.4 * depth.clamp(0.0, 1.0)))
            },
        ];
        for (nth, light) in lights.iter().enumerate() {
            let mut shown = picture.clone();
            paint(&mut shown, light);
            let Some(face) = face_of(&shown) else { return };
            assert!(face.cover.is_bare(), "{name}, light {nth}");
        }
    }
}

#[test]
fn what_is_behind_a_turned_head_stays() {
    for (name, picture, face) in portraits() {
        let point = |index: usize| face.mesh.points[index];
        let [middle, y] = point(NOSE_TIP);
        let [right, left] = CHEEKS.map(|index| point(index)[0]);
        let half = 0.5 * (left - right);
        // Further to where it looks already.
        let degrees = 30_f32.copysign(middle - 0.5 * (left + right));
        let turned = turn(&picture, [middle, y + 0.3 * half], half, degrees);
        let Some(face) = face_of(&turned) else { return };
        let contour: Vec<_> = FACE_OVAL
            .iter()
            .map(|&index| face.mesh.points[index])
            .collect();
        let [x0, _, x1, _] = face.mesh.bbox().edges();
        let margin = 0.03 * (x1 - x0);
        let is_behind = |[x, y]: [usize; 2]| {
            let around = [
                [0.0, 0.0],
                [margin, 0.0],
                [-margin, 0.0],
                [0.0, margin],
                [0.0, -margin],
            ];
            around
                .iter()
                .all(|[dx, dy]| !is_within([x as f32 + dx, y as f32 + dy], &contour))
        };
        let Some(frames) = redrawn(&turned) else {
            return;
        };
        let moved: Vec<_> = frames
            .iter()
            .map(|(_, after)| changed(&turned, after, is_behind))
            .collect();
        assert!(moved.iter().all(|&count| count == 0), "{name}: {moved:?}");
    }
}

#[test]
fn a_wide_mouth_is_shut_without_moving_what_is_below_the_chin() {
    let name = PICTURES[1];
    let (Some(picture), Some(mut engine), Some(mut sound)) =
        (Picture::load(name), engine(), speech(1, 0.0))
    else {
        return;
    };
    // The painting with its mouth opened as far as can be is the frame of somebody who shouts.
    let shouting = Controls {
        strength: 2.0,
        ..speaking()
    };
    let mut widest = (0.0, picture.clone());
    for frame in 0..60 {
        let mut shown = picture.clone();
        engine
            .process(
                &mut shown.view(),
                frame * FRAME_NS,
                &mut sound,
                &[],
                &shouting,
            )
            .expect("the networks run");
        let openness = face_of(&shown).map_or(0.0, |face| face.mesh.openness());
        if openness > widest.0 {
            widest = (openness, shown);
        }
    }
    let (openness, wide) = widest;
    assert!(openness > 0.3, "{openness}");
    let Some(face) = face_of(&wide) else { return };
    let chin = face.mesh.points[CHIN][1];
    let mut sound = Sound::new();
    sound.finish();
    let Some(mut engine) = self::engine() else {
        return;
    };
    let mut shut = wide.clone();
    let outcome = engine
        .process(&mut shut.view(), 0, &mut sound, &[], &Controls::default())
        .expect("the networks run");
    assert_eq!(outcome, Outcome::Silent);
    assert!(changed(&wide, &shut, |_| true) > 1000);
    let margin = 0.02 * (chin - face.mesh.bbox().edges()[1]);
    let below = changed(&wide, &shut, |[_, y]| y as f32 > chin + margin);
    assert_eq!(below, 0);
}

/// The head in a picture, a hill of a half width round its middle, looking aside by so many degrees.
fn turn(picture: &Picture, [cx, cy]: [f32; 2], half: f32, degrees: f32) -> Picture {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let mut out = picture.clone();
    for y in 0..picture.height {
        for x in 0..picture.width {
            let seen = [(x as f32 - cx) / half, (y as f32 - cy) / half];
            let mut from = seen;
            for _ in 0..6 {
                let slope = (1.0 - (from[0] * from[0] + from[1] * from[1]) / 2.89).max(0.0);
                let height = slope * slope;
                from[0] = seen[0] - height * sin + from[0] * height * (1.0 - cos);
            }
            let [x0, y0] = [cx + from[0] * half, cy + from[1] * half];
            let value = picture.moved(
                1,
                1,
                &Affine {
                    tx: x0,
                    ty: y0,
                    ..Affine::IDENTITY
                },
            );
            out.data[3 * (y * picture.width + x)..][..3].copy_from_slice(&value.data);
        }
    }
    out
}
