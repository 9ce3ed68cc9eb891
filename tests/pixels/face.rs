//! The face room on real pictures, with the real networks.

use std::path::{Path, PathBuf};

use lipsync_core::{
    Error, assembly,
    face::{self, Face, Select, Settings, Tracker},
    inference::Options,
    pixels::{Affine, Format, Plane, Rows, View},
    rect::Rect,
};

use crate::{
    clips,
    picture::{Picture, of_clip},
};

const FRAME_NS: i64 = 40_000_000;
/// The demo's portraits and where their faces are, brows to chin, told by eye.
const PORTRAITS: [(&str, [f32; 4]); 3] = [
    ("astronaut.jpg", [180.0, 72.0, 272.0, 176.0]),
    ("young-woman-in-mauve.jpg", [392.0, 248.0, 567.0, 446.0]),
    ("self-portrait-1885.jpg", [358.0, 240.0, 575.0, 494.0]),
];

fn tracker(settings: Settings) -> Tracker {
    let options = Options {
        intra_threads: 1,
        ..Options::default()
    };
    let detector = face::open_detector(&assembly::opener(&options))
        .expect("`cargo xtask setup` provides ONNX Runtime");
    let mesh = face::open_mesh(&assembly::opener(&options)).unwrap();
    let cover = face::open_cover(&assembly::opener(&options)).unwrap();
    Tracker::new(detector.network, mesh.network, cover.network, settings).unwrap()
}

fn unsmoothed() -> Settings {
    Settings {
        smoothing: 0.0,
        ..Settings::default()
    }
}

/// Faces in frame `index` of a stream at 25 frames a second.
fn see(tracker: &mut Tracker, picture: &mut Picture, index: i64) -> Vec<Face> {
    let view = picture.view();
    tracker
        .track(&view, index * FRAME_NS, &[])
        .unwrap()
        .to_vec()
}

/// The square of `side` pixels round a portrait's face, 2.5 times as large as the face, shifted
/// by shares of that, turned and scaled.
fn framed(portrait: usize, side: usize, place: Place) -> Option<Picture> {
    let (name, bbox) = PORTRAITS[portrait];
    let picture = Picture::load(name)?;
    Some(picture.moved(side, side, &place.to_picture(bbox, side)))
}

/// Where a face lies in a square frame.
#[derive(Clone, Copy)]
struct Place {
    /// Of the face's centre from the frame's, as a share of the frame.
    shift: [f32; 2],
    angle: f32,
    scale: f32,
}

const MIDDLE: Place = Place {
    shift: [0.0, 0.0],
    angle: 0.0,
    scale: 1.0,
};

impl Place {
    fn to_picture(self, [x0, y0, x1, y1]: [f32; 4], side: usize) -> Affine {
        let zoom = (y1 - y0) * 2.5 / side as f32 / self.scale;
        let (sin, cos) = self.angle.sin_cos();
        let (a, b) = (cos * zoom, sin * zoom);
        let [x, y] = self.shift.map(|s| (0.5 + s) * side as f32);
        Affine {
            a,
            b,
            c: -b,
            d: a,
            tx: (x0 + x1) / 2.0 - a * x - b * y,
            ty: (y0 + y1) / 2.0 + b * x - a * y,
        }
    }
}

fn overlap(a: [f32; 4], b: [f32; 4]) -> f32 {
    let area = |[x0, y0, x1, y1]: [f32; 4]| (x1 - x0).max(0.0) * (y1 - y0).max(0.0);
    let common = area([
        a[0].max(b[0]),
        a[1].max(b[1]),
        a[2].min(b[2]),
        a[3].min(b[3]),
    ]);
    common / (area(a) + area(b) - common)
}

/// Mean distance of two meshes' points.
fn distance(a: &[[f32; 2]], b: &[[f32; 2]]) -> f32 {
    let sum: f32 = a
        .iter()
        .zip(b)
        .map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1]))
        .sum();
    sum / a.len() as f32
}

fn noise(seed: u64) -> impl FnMut() -> u8 {
    let mut random = fastrand::Rng::with_seed(seed);
    move || random.u8(..)
}

#[test]
fn portraits_have_their_face_in_the_first_frame() {
    for (name, bbox) in PORTRAITS {
        let Some(mut picture) = Picture::load(name) else {
            return;
        };
        let faces = see(&mut tracker(Settings::default()), &mut picture, 0);
        assert_eq!(faces.len(), 1, "{name}");
        let face = &faces[0];
        let found = face.mesh.bbox().edges();
        assert!(
            face.fresh && face.mesh.score > 0.9,
            "{name}: {}",
            face.mesh.score
        );
        assert!(overlap(found, bbox) > 0.85, "{name}: {found:?}");
        // Outer corners of the eyes, inner lips, chin: in the order of a face.
        let [right, left, upper, lower, chin] = [33, 263, 13, 14, 152].map(|i| face.mesh.points[i]);
        assert!(right[0] < left[0] && right[1] < upper[1]);
        assert!(upper[1] <= lower[1] && lower[1] < chin[1]);
    }
}

#[test]
fn there_is_no_face_in_noise() {
    let mut pictures = [
        Picture::filled(640, 480, noise(1)),
        Picture::filled(640, 480, || 128),
        Picture::filled(640, 480, || 0),
        Picture::filled(1001, 777, noise(2)),
    ];
    for picture in &mut pictures {
        let mut tracker = tracker(Settings::default());
        for i in 0..8 {
            assert!(see(&mut tracker, picture, i).is_empty(), "frame {i}");
        }
        assert_eq!(tracker.detector_runs(), 8);
    }
}

#[test]
fn a_still_face_is_still() {
    for portrait in 0..PORTRAITS.len() {
        let Some(mut picture) = framed(portrait, 360, MIDDLE) else {
            return;
        };
        let mut tracker = tracker(Settings::default());
        let first = see(&mut tracker, &mut picture, 0).remove(0);
        let mut last = see(&mut tracker, &mut picture, 1).remove(0);
        for i in 2..30 {
            let face = see(&mut tracker, &mut picture, i).remove(0);
            assert!(!face.fresh && face.id == first.id);
            let moved = distance(&face.mesh.points[..], &last.mesh.points[..]);
            assert!(moved < 1e-3, "portrait {portrait}, frame {i}: {moved}");
            last = face;
        }
        let moved = distance(&first.mesh.points[..], &last.mesh.points[..]);
        assert!(moved < 0.1, "portrait {portrait}: {moved}");
    }
}

#[test]
fn camera_noise_is_smoothed_away() {
    let Some(picture) = framed(1, 360, MIDDLE) else {
        return;
    };
    // Mean frame-to-frame movement of the points under noise of +-8 levels.
    let jitter = |smoothing| {
        let settings = Settings {
            smoothing,
            ..Settings::default()
        };
        let mut tracker = tracker(settings);
        let mut last: Option<Face> = None;
        let mut sum = 0.0;
        for i in 0..30 {
            let mut random = noise(i as u64);
            let mut frame = picture.clone();
            for value in &mut frame.data {
                *value = value.saturating_add(random() >> 4).saturating_sub(8);
            }
            let face = see(&mut tracker, &mut frame, i).remove(0);
            if let Some(last) = last.filter(|_| i > 5) {
                sum += distance(&face.mesh.points[..], &last.mesh.points[..]);
            }
            last = Some(face);
        }
        sum / 24.0
    };
    let [none, half, full] = [0.0, 0.5, 1.0].map(jitter);
    println!("jitter in pixels: {none:.3} unsmoothed, {half:.3} by default, {full:.3} at most");
    assert!(half < 0.6 * none && full < half, "{none} {half} {full}");
}

#[test]
fn a_moving_face_is_followed_without_lag() {
    let Some(picture) = Picture::load(PORTRAITS[1].0) else {
        return;
    };
    let bbox = PORTRAITS[1].1;
    let side = 360;
    let to_picture = |i: i64| {
        // Sways by a third of the face, nods, comes nearer; a second is a turn.
        let t = i as f32 * 0.04 * std::f32::consts::TAU;
        let place = Place {
            shift: [0.12 * t.sin(), 0.05 * (2.0 * t).sin()],
            angle: 0.25 * t.sin(),
            scale: 1.0 + 0.2 * (1.0 - t.cos()),
        };
        place.to_picture(bbox, side)
    };
    let mut steady = tracker(Settings::default());
    let mut raw = tracker(unsmoothed());
    let mut first: Option<Vec<[f32; 2]>> = None;
    let (mut error, mut lag) = (0.0f32, 0.0f32);
    for i in 0..30 {
        let map = to_picture(i);
        let mut frame = picture.moved(side, side, &map);
        let faces = see(&mut steady, &mut frame, i);
        assert_eq!(faces.len(), 1, "frame {i}");
        assert_eq!((faces[0].id, faces[0].fresh), (1, i == 0), "frame {i}");
        let place = |face: &Face| -> Vec<_> {
            let points = face.mesh.points.iter();
            points.map(|&point| map.apply(point)).collect()
        };
        let points = place(&faces[0]);
        let first = first.get_or_insert_with(|| points.clone());
        let width = bbox[2] - bbox[0];
        error = error.max(distance(&points, first) / width);
        let unsmoothed = see(&mut raw, &mut frame, i).remove(0);
        lag = lag.max(distance(&points, &place(&unsmoothed)) / width);
    }
    println!(
        "in % of the face's width: {:.2} from where it should be, {:.2} of it by smoothing",
        error * 100.0,
        lag * 100.0
    );
    assert!(error < 0.03 && lag < 0.005, "{error} {lag}");
}

#[test]
fn a_cut_is_noticed_in_its_own_frame() {
    // Another place, and the very same place.
    let places = [
        Place {
            shift: [0.2, 0.1],
            angle: 0.2,
            scale: 0.7,
        },
        MIDDLE,
    ];
    for place in places {
        for (from, to) in [(1, 2), (2, 0), (0, 1)] {
            let (Some(mut before), Some(mut after)) =
                (framed(from, 360, MIDDLE), framed(to, 360, place))
            else {
                return;
            };
            let mut tracker = tracker(Settings::default());
            let old = (0..10).map(|i| see(&mut tracker, &mut before, i).remove(0).id);
            assert_eq!(old.collect::<Vec<_>>(), [1; 10]);
            let mut fresh_tracker = self::tracker(Settings::default());
            for i in 10..14 {
                let face = see(&mut tracker, &mut after, i).remove(0);
                assert_eq!(
                    (face.id, face.fresh),
                    (2, i == 10),
                    "{from} to {to}, frame {i}"
                );
                let expected = see(&mut fresh_tracker, &mut after, i).remove(0);
                let smear = distance(&face.mesh.points[..], &expected.mesh.points[..]);
                assert!(smear < 0.5, "{from} to {to}, frame {i}: {smear}");
            }
        }
    }
}

#[test]
fn a_face_that_vanishes_is_gone_at_once_and_keeps_its_id_when_it_returns_soon() {
    let Some(mut picture) = framed(1, 360, MIDDLE) else {
        return;
    };
    // Somebody walks through the picture: the background stays, the face is hidden.
    let mut hidden = picture.clone();
    for row in hidden.data.chunks_exact_mut(360 * 3).skip(70).take(220) {
        row[80 * 3..280 * 3].fill(90);
    }
    let mut tracker = tracker(Settings::default());
    assert_eq!(see(&mut tracker, &mut picture, 0)[0].id, 1);
    assert_eq!(see(&mut tracker, &mut picture, 1)[0].id, 1);
    for i in 2..5 {
        assert!(see(&mut tracker, &mut hidden, i).is_empty(), "frame {i}");
    }
    // At the latest in the fourth frame the whole frame is looked at again.
    let back = (5..9).find_map(|i| see(&mut tracker, &mut picture, i).pop());
    let back = back.expect("the face is found again");
    assert!(back.fresh);
    // A minute later it is somebody else.
    for i in 100..104 {
        assert!(see(&mut tracker, &mut hidden, i).is_empty(), "frame {i}");
    }
    let later = (1600..1604).find_map(|i| see(&mut tracker, &mut picture, i).pop());
    assert_ne!(later.expect("the face is found again").id, back.id);
}

#[test]
fn a_face_cut_by_the_edge_is_followed_while_it_can_be_seen() {
    let (name, bbox) = PORTRAITS[2];
    let Some(picture) = Picture::load(name) else {
        return;
    };
    for (x, y) in [
        (-0.42, 0.0),
        (0.42, 0.0),
        (0.0, -0.4),
        (0.0, 0.42),
        (-0.6, -0.6),
    ] {
        let mut tracker = tracker(Settings::default());
        let mut seen = 0;
        for i in 0..=6 {
            let share = i as f32 / 6.0;
            let place = Place {
                shift: [x * share, y * share],
                ..MIDDLE
            };
            let mut frame = picture.moved(240, 240, &place.to_picture(bbox, 240));
            let faces = see(&mut tracker, &mut frame, i);
            seen += faces.len();
            let points = faces
                .iter()
                .flat_map(|face| face.mesh.points.iter().flatten());
            assert!(points.into_iter().all(|v| v.is_finite()));
        }
        println!("to {x}, {y}: seen in {seen} of 7 frames");
        assert!(seen >= 4, "{seen}");
    }
}

#[test]
fn grey_frames_have_faces_too() {
    let Some(picture) = framed(1, 360, MIDDLE) else {
        return;
    };
    let mut grey: Vec<u8> = picture
        .data
        .chunks_exact(3)
        .map(|rgb| (rgb.iter().map(|&v| u32::from(v)).sum::<u32>() / 3) as u8)
        .collect();
    let empty = || Plane {
        data: &mut [],
        stride: 0,
    };
    let view = View {
        format: Format::Gray8,
        width: 360,
        height: 360,
        colour: Default::default(),
        rows: Rows::All,
        planes: [
            Plane {
                data: &mut grey,
                stride: 360,
            },
            empty(),
            empty(),
        ],
    };
    let mut tracker = tracker(Settings::default());
    assert_eq!(tracker.track(&view, 0, &[]).unwrap().len(), 1);
}

#[test]
fn tiny_frames_have_no_faces_and_do_no_harm() {
    let mut tracker = tracker(Settings::default());
    for (width, height) in [(1, 1), (7, 5), (1, 300), (300, 1), (0, 0), (24, 24)] {
        let mut picture = Picture::filled(width, height, noise(3));
        for i in 0..5 {
            assert!(
                see(&mut tracker, &mut picture, i).is_empty(),
                "{width}x{height}"
            );
        }
        let view = picture.view();
        let regions = [
            [-5.0, -5.0, 50.0, 50.0],
            [0.0, 0.0, 0.0, 0.0],
            [f32::NAN; 4],
        ]
        .map(Rect::new);
        assert!(tracker.track(&view, 0, &regions).unwrap().is_empty());
    }
}

/// Two portraits side by side: the left one larger, the right one nearer to the middle.
fn couple() -> Option<Picture> {
    let left = framed(
        2,
        400,
        Place {
            shift: [-0.15, 0.0],
            ..MIDDLE
        },
    )?;
    let right = framed(
        1,
        400,
        Place {
            shift: [-0.3, 0.0],
            angle: 0.0,
            scale: 0.7,
        },
    )?;
    let rows = left
        .data
        .chunks_exact(1200)
        .zip(right.data.chunks_exact(1200));
    Some(Picture {
        width: 800,
        height: 400,
        data: rows.flat_map(|(l, r)| [l, r].concat()).collect(),
    })
}

#[test]
fn the_wanted_faces_are_chosen() {
    let Some(mut picture) = couple() else { return };
    let is_left = |face: &Face| face.mesh.bbox().edges()[0] < 300.0;
    let settings = |max_faces, select| Settings {
        max_faces,
        select,
        detect_interval: 4,
        ..Settings::default()
    };
    for (select, left) in [(Select::Largest, true), (Select::Center, false)] {
        let mut tracker = tracker(settings(1, select));
        for i in 0..9 {
            let faces = see(&mut tracker, &mut picture, i);
            assert_eq!(faces.len(), 1, "{select:?}");
            assert_eq!(is_left(&faces[0]), left, "{select:?}, frame {i}");
        }
    }
    let mut tracker = tracker(settings(4, Select::All));
    let first = see(&mut tracker, &mut picture, 0);
    assert_eq!(first.len(), 2);
    assert_ne!(first[0].id, first[1].id);
    assert_ne!(is_left(&first[0]), is_left(&first[1]));
    let last = (1..20)
        .map(|i| see(&mut tracker, &mut picture, i))
        .last()
        .unwrap();
    let ids = |faces: &[Face]| faces.iter().map(|face| face.id).collect::<Vec<_>>();
    assert_eq!(ids(&last), ids(&first));
    // Fewer, and none, while running.
    tracker.set_settings(settings(1, Select::Largest));
    assert!(is_left(&see(&mut tracker, &mut picture, 20)[0]));
    tracker.set_settings(settings(0, Select::Largest));
    assert!(see(&mut tracker, &mut picture, 21).is_empty());
}

#[test]
fn regions_from_upstream_replace_the_detector() {
    let Some(mut picture) = couple() else { return };
    let mut tracker = tracker(Settings {
        select: Select::Roi,
        ..Settings::default()
    });
    let view = picture.view();
    assert!(tracker.track(&view, 0, &[]).unwrap().is_empty());
    let nothing = [Rect::new([600.0, 300.0, 700.0, 400.0])];
    assert!(tracker.track(&view, FRAME_NS, &nothing).unwrap().is_empty());
    let right = [Rect::new([430.0, 145.0, 530.0, 260.0])];
    for i in 2..6 {
        let faces = tracker.track(&view, i * FRAME_NS, &right).unwrap();
        assert_eq!(faces.len(), 1);
        assert!(faces[0].mesh.bbox().edges()[0] > 300.0);
    }
    // Upstream may look at every n-th frame only.
    assert_eq!(tracker.track(&view, 6 * FRAME_NS, &[]).unwrap().len(), 1);
    assert!(
        tracker
            .track(&view, 7 * FRAME_NS, &nothing)
            .unwrap()
            .is_empty()
    );
    assert_eq!(tracker.detector_runs(), 0);
}

#[test]
fn a_small_face_in_a_wide_shot_is_found_within_two_seconds() {
    let (name, [x0, y0, x1, y1]) = PORTRAITS[1];
    let Some(picture) = Picture::load(name) else {
        return;
    };
    // A face of 100 pixels in full HD, off the centre.
    let zoom = (x1 - x0) / 100.0;
    let to_picture = Affine {
        a: zoom,
        d: zoom,
        tx: (x0 + x1) / 2.0 - zoom * 1310.0,
        ty: (y0 + y1) / 2.0 - zoom * 400.0,
        ..Affine::IDENTITY
    };
    let mut frame = picture.moved(1920, 1080, &to_picture);
    let mut tracker = tracker(Settings::default());
    let found = (0..50).find_map(|i| Some((i, see(&mut tracker, &mut frame, i).pop()?)));
    let (frame_number, face) = found.expect("the face is found");
    println!("found in frame {frame_number}");
    let expected = [1260.0, 343.0, 1360.0, 457.0];
    assert!(
        overlap(face.mesh.bbox().edges(), expected) > 0.8,
        "{:?}",
        face.mesh.bbox().edges()
    );
}

#[test]
fn the_detector_rests_while_a_face_is_followed() {
    let Some(mut picture) = framed(1, 360, MIDDLE) else {
        return;
    };
    let mut tracker = tracker(unsmoothed());
    for i in 0..25 {
        see(&mut tracker, &mut picture, i);
    }
    assert_eq!(tracker.detector_runs(), 3);
    tracker.reset();
    assert!(tracker.faces().is_empty());
    let face = see(&mut tracker, &mut picture, 25).remove(0);
    assert!(face.fresh && face.id == 2);
}

#[test]
fn a_frame_of_another_size_is_another_shot() {
    let (Some(mut large), Some(mut small)) = (framed(1, 360, MIDDLE), framed(1, 180, MIDDLE))
    else {
        return;
    };
    let mut tracker = tracker(Settings::default());
    see(&mut tracker, &mut large, 0);
    let face = see(&mut tracker, &mut small, 1).remove(0);
    assert!(face.fresh && face.id == 2);
    assert!(face.mesh.bbox().edges()[2] < 180.0);
}

#[test]
fn other_networks_are_refused() {
    let options = Options::default();
    let network = || {
        face::open_mesh(&assembly::opener(&options))
            .unwrap()
            .network
    };
    match Tracker::new(network(), network(), network(), Settings::default()) {
        Err(Error::ModelMismatch {
            found, expected, ..
        }) => {
            assert!(
                found.contains("192") && expected.contains("128"),
                "{found}, {expected}"
            );
        }
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("two meshes are no tracker"),
    }
}

#[test]
fn people_who_talk_are_followed_through_whole_clips() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/media/grid");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: no clips of the GRID corpus in ../shared/media/grid");
        return;
    };
    let mut clips: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name()
                .is_some_and(|n| n.as_encoded_bytes()[0] == b'x')
        })
        .collect();
    clips.sort();
    for clip in clips.iter().take(4) {
        let mut tracker = tracker(Settings::default());
        let mut pictures = of_clip(clip, usize::MAX);
        assert!(pictures.len() > 50, "{}", clip.display());
        for (i, picture) in pictures.iter_mut().enumerate() {
            let faces = see(&mut tracker, picture, i as i64);
            assert_eq!(faces.len(), 1, "{}, frame {i}", clip.display());
            assert_eq!((faces[0].id, faces[0].fresh), (1, i == 0), "frame {i}");
        }
    }
}

#[test]
fn nothing_lies_over_people_who_talk() {
    // A beard on dark skin, lips pressed together, hair beside the mouth, wide open mouths, every kind of light there is.
    let names = [
        "s26_bgbsza",
        "s26_bwaq8s",
        "s26_lwwx5p",
        "x20",
        "x12",
        "s31_bgix9s",
        "x00",
        "x02",
        "x15",
        "x16",
        "x17",
        "x19",
        "x10",
        "x11",
        "bbab8n",
    ];
    for name in names {
        let Some(clip) = clips::clip(name) else {
            continue;
        };
        let mut tracker = tracker(Settings::default());
        for (i, picture) in of_clip(&clip, usize::MAX).iter_mut().enumerate().step_by(3) {
            for face in see(&mut tracker, picture, i as i64) {
                assert!(face.cover.is_bare(), "{name}, frame {i}");
            }
        }
    }
}
