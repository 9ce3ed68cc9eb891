//! Finding faces: any way up, of any size, in frames of any size, with the real networks.

use std::{f32::consts::TAU, time::Duration};

use gst::prelude::*;
use lipsync_core::{
    face::{Effort, Face, Settings},
    pixels::Affine,
};

use super::{see, tracker, upright, width};
use crate::{
    clips::{self, TEN, portrait},
    picture::Picture,
};

fn mouth(face: &Face) -> [f32; 2] {
    let [[ax, ay], [bx, by]] = [61, 291].map(|point| face.mesh.points[point]);
    [(ax + bx) / 2.0, (ay + by) / 2.0]
}

/// From a square frame of `side` to a picture that lies in its middle, turned clockwise.
fn turned(picture: &Picture, side: usize, angle: f32) -> Affine {
    let (sin, cos) = angle.sin_cos();
    let middle = (side as f32 - 1.0) / 2.0;
    let [x, y] = [picture.width, picture.height].map(|length| (length as f32 - 1.0) / 2.0);
    Affine {
        a: cos,
        b: sin,
        c: -sin,
        d: cos,
        tx: x - (cos + sin) * middle,
        ty: y - (cos - sin) * middle,
    }
}

#[test]
fn the_mouth_is_where_the_mouth_is_whichever_way_up_the_head_is() {
    let mut tracker = tracker(Settings::default(), Effort::Thorough);
    for name in TEN {
        let Some(mut picture) = portrait(name) else {
            return;
        };
        let expected = upright(&mut picture);
        let side = picture.width.max(picture.height) * 5 / 4;
        for step in 0..24 {
            let map = turned(&picture, side, step as f32 * TAU / 24.0);
            let mut frame = picture.moved(side, side, &map);
            tracker.reset();
            let faces = see(&mut tracker, &mut frame, 0);
            assert_eq!(faces.len(), 1, "{name}, {} degrees", step * 15);
            let [[x, y], [u, v]] = [map.apply(mouth(&faces[0])), mouth(&expected)];
            let apart = (x - u).hypot(y - v) / width(&expected);
            assert!(apart < 0.08, "{name}, {} degrees: {apart}", step * 15);
        }
    }
}

#[test]
fn a_head_that_rolls_over_keeps_its_mouth_and_its_name() {
    let Some(mut picture) = portrait("s1_bbaf2n") else {
        return;
    };
    let expected = upright(&mut picture);
    let side = picture.width * 5 / 4;
    let mut tracker = tracker(Settings::default(), Effort::Thorough);
    // Once round in three seconds.
    for index in 0..75 {
        let map = turned(&picture, side, index as f32 * TAU / 75.0);
        let faces = see(&mut tracker, &mut picture.moved(side, side, &map), index);
        assert_eq!(faces.len(), 1, "frame {index}");
        assert_eq!(faces[0].id, 1, "frame {index}");
        let [[x, y], [u, v]] = [map.apply(mouth(&faces[0])), mouth(&expected)];
        let apart = (x - u).hypot(y - v) / width(&expected);
        assert!(apart < 0.08, "frame {index}: {apart}");
    }
}

/// A frame with a face of 32 pixels from temple to temple, on a picture of coarse noise, and the
/// box of the face.
fn wide_shot(name: &str, size: [usize; 2], at: [f32; 2]) -> Option<(Picture, [f32; 4])> {
    shot_of(name, 32.0, size, at)
}

/// The same with a face of so many pixels.
fn shot_of(
    name: &str,
    pixels: f32,
    [frame_width, frame_height]: [usize; 2],
    at: [f32; 2],
) -> Option<(Picture, [f32; 4])> {
    let mut picture = portrait(name)?;
    let face = upright(&mut picture);
    let zoom = width(&face) / pixels;
    let [width, height] = [picture.width, picture.height].map(|v| (v as f32 / zoom) as usize);
    let small = picture.moved(
        width,
        height,
        &Affine {
            a: zoom,
            d: zoom,
            tx: (zoom - 1.0) / 2.0,
            ty: (zoom - 1.0) / 2.0,
            ..Affine::IDENTITY
        },
    );
    let mut frame = Picture::filled(frame_width, frame_height, || 0);
    for (index, value) in frame.data.iter_mut().enumerate() {
        let (x, y) = (index / 3 % frame_width, index / 3 / frame_width);
        let cell = (x / 40 * 73 + y / 40 * 151 + index % 3 * 7) % 97;
        *value = 60 + cell as u8;
    }
    let left = ((frame_width - width) as f32 * at[0]) as usize;
    let top = ((frame_height - height) as f32 * at[1]) as usize;
    frame.paste(&small, left, top);
    let [x0, y0, x1, y1] = face.mesh.bbox().edges().map(|v| (v + 0.5) / zoom - 0.5);
    let (left, top) = (left as f32, top as f32);
    Some((frame, [x0 + left, y0 + top, x1 + left, y1 + top]))
}

fn is_at(face: &Face, [x0, y0, x1, y1]: [f32; 4]) -> bool {
    let [a0, b0, a1, b1] = face.mesh.bbox().edges();
    let near = |a: f32, b: f32| (a - b).abs() < 0.15 * (x1 - x0);
    near(a0, x0) && near(a1, x1) && near(b0, y0) && near(b1, y1)
}

const SIZES: [[usize; 2]; 4] = [[360, 288], [640, 480], [1920, 1080], [3840, 2160]];

#[test]
fn a_face_of_32_pixels_is_found_in_the_first_frame_of_any_size() {
    for size in SIZES {
        let mut tracker = tracker(Settings::default(), Effort::Thorough);
        for (name, at) in TEN.iter().zip([
            [0.0, 0.0],
            [1.0, 0.0],
            [0.0, 1.0],
            [1.0, 1.0],
            [0.5, 0.5],
            [0.31, 0.62],
            [0.77, 0.41],
            [0.12, 0.55],
            [0.64, 0.83],
            [0.43, 0.18],
        ]) {
            let Some((mut frame, bbox)) = wide_shot(name, size, at) else {
                return;
            };
            tracker.reset();
            let faces = see(&mut tracker, &mut frame, 0);
            assert_eq!(faces.len(), 1, "{size:?}: {name}");
            assert!(is_at(&faces[0], bbox), "{size:?}: {name}");
        }
    }
}

/// However little time each frame has.
#[test]
fn a_live_search_goes_on_in_the_next_frame_where_its_time_is_spent() {
    let size = [1920, 1080];
    let Some((mut frame, bbox)) = wide_shot("x00", size, [0.9, 0.9]) else {
        return;
    };
    let plenty = Effort::Within(Duration::from_secs(60));
    let mut patient = tracker(Settings::default(), plenty);
    assert_eq!(see(&mut patient, &mut frame, 0).len(), 1);
    let mut hurried = tracker(Settings::default(), Effort::Within(Duration::ZERO));
    // It may end earlier than the other, which finishes all tiles of the size.
    let looks = patient.detector_runs() as i64;
    let found = (1..=looks).find_map(|index| {
        let face = see(&mut hurried, &mut frame, index).pop();
        assert_eq!(hurried.detector_runs() as i64, index);
        face
    });
    assert!(is_at(&found.expect("the face is found"), bbox));
}

/// What may be a face is looked at more closely before the rest of the frame. A frame of a live stream has
/// time for some twenty looks; in the order of the tiles up to 250 are needed.
#[test]
fn a_live_search_of_a_large_frame_takes_a_fifth_of_its_tiles() {
    let size = [3840, 2160];
    let places = [[0.9, 0.95], [0.62, 0.7], [0.05, 0.99], [0.97, 0.4]];
    let mut all = Vec::new();
    for pixels in [40.0, 56.0, 99.0] {
        for (name, at) in ["x00", "x02", "x12", "x15"].iter().zip(places) {
            let Some((mut frame, bbox)) = shot_of(name, pixels, size, at) else {
                return;
            };
            let mut tracker = tracker(Settings::default(), Effort::Within(Duration::ZERO));
            let found = (1..=250).find_map(|index| {
                let face = see(&mut tracker, &mut frame, index).pop()?;
                Some((index, face))
            });
            let (looks, face) = found.expect("the face is found");
            let [x, y] = face.mesh.bbox().centre();
            let [x0, y0, x1, y1] = bbox;
            let apart = (x - (x0 + x1) / 2.0).hypot(y - (y0 + y1) / 2.0);
            assert!(apart < 0.2 * pixels, "{name}, {pixels} pixels: {apart}");
            all.push(looks);
        }
    }
    let mean = all.iter().sum::<i64>() as f32 / all.len() as f32;
    assert!(
        mean < 50.0 && all.iter().all(|&looks| looks <= 150),
        "{all:?}"
    );
}

#[test]
fn a_face_that_appears_is_found_within_a_second_whatever_its_size() {
    let size = [1920, 1080];
    let Some((mut frame, bbox)) = wide_shot("x02", size, [0.4, 0.7]) else {
        return;
    };
    let (mut empty, _) = wide_shot("x02", size, [0.4, 0.7]).unwrap();
    let [x0, y0, ..] = bbox.map(|v| v as usize);
    let ground = wide_shot("x02", size, [0.0, 0.0]).unwrap().0;
    for y in y0 - 60..(y0 + 90).min(size[1]) {
        let row = (y * size[0] + x0 - 60) * 3..(y * size[0] + x0 + 90) * 3;
        empty.data[row.clone()].copy_from_slice(&ground.data[row]);
    }
    let mut tracker = tracker(Settings::default(), Effort::Thorough);
    for index in 0..5 {
        assert!(see(&mut tracker, &mut empty, index).is_empty());
    }
    let found = (5..32).find(|&index| !see(&mut tracker, &mut frame, index).is_empty());
    assert!(found.is_some());
}

#[test]
fn what_is_no_face_has_none_however_thoroughly_it_is_searched() {
    let noise = |seed: u32| {
        let mut state = seed;
        move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        }
    };
    let coarse = wide_shot("x00", [1280, 720], [0.0, 0.0]).map(|(mut frame, _)| {
        frame.data.truncate(0);
        frame.data.extend((0..1280 * 720 * 3).map(|i| {
            let (x, y) = (i / 3 % 1280, i / 3 / 1280);
            (60 + (x / 40 * 73 + y / 40 * 151 + i % 3 * 7) % 97) as u8
        }));
        frame
    });
    let pictures = [
        Some(Picture::filled(1280, 720, noise(1))),
        Some(Picture::filled(1280, 720, || 128)),
        coarse,
    ];
    for mut picture in pictures.into_iter().flatten() {
        let mut tracker = tracker(Settings::default(), Effort::Thorough);
        for index in 0..3 {
            assert!(see(&mut tracker, &mut picture, index).is_empty());
        }
    }
}

/// Figures of `lipsync` after the pipeline has played to its end.
fn figures(line: &str) -> gst::Structure {
    gst::init().unwrap();
    gstlipsync::plugin_register_static().unwrap();
    let pipeline = gst::parse::launch(line).unwrap();
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
    let bus = pipeline.bus().unwrap();
    let message = bus.timed_pop_filtered(gst::ClockTime::from_seconds(300), &kinds);
    let stats = pipeline.by_name("l").unwrap().property("stats");
    pipeline.set_state(gst::State::Null).unwrap();
    let message = message.expect("an end");
    assert_eq!(message.type_(), gst::MessageType::Eos, "{message:?}");
    stats
}

#[test]
fn in_a_file_every_frame_has_its_small_face() {
    let Some(clip) = clips::clip("x04") else {
        return;
    };
    let path = clip.to_str().unwrap();
    for [frame_width, frame_height] in [[640, 480], [1920, 1080]] {
        let stats = figures(&format!(
            "filesrc location={path} ! decodebin name=d ! videoconvert ! videoscale \
             ! video/x-raw,width=90,height=72,format=I420,pixel-aspect-ratio=1/1 \
             ! videobox autocrop=true ! video/x-raw,width={frame_width},height={frame_height} \
             ! l.video lipsync name=l ! fakesink \
             d. ! audioconvert ! audioresample ! audio/x-raw,format=S16LE ! l.audio"
        ));
        let [frames, none] =
            ["frames-out", "frames-no-face"].map(|name| stats.get::<u64>(name).unwrap());
        assert!(frames > 50, "{stats}");
        assert_eq!(none, 0, "{stats}");
    }
}

/// Frames of a camera that was held in any of eight ways, as a file says it with a tag.
#[test]
fn faces_are_found_whatever_the_orientation_tag_says() {
    let Some(clip) = clips::clip("x12") else {
        return;
    };
    let path = clip.to_str().unwrap();
    // What a player does, and what makes the frames that it does it to.
    for (tag, made) in [
        ("rotate-0", "identity"),
        ("rotate-90", "90l"),
        ("rotate-180", "180"),
        ("rotate-270", "90r"),
        ("flip-rotate-0", "horiz"),
        ("flip-rotate-90", "ur-ll"),
        ("flip-rotate-180", "vert"),
        ("flip-rotate-270", "ul-lr"),
    ] {
        let stats = figures(&format!(
            "filesrc location={path} ! decodebin name=d ! videoconvert ! videoscale \
             ! video/x-raw,width=90,height=72,format=I420,pixel-aspect-ratio=1/1 \
             ! videobox autocrop=true ! video/x-raw,width=800,height=600 \
             ! videoflip video-direction={made} ! taginject tags=image-orientation={tag} \
             ! l.video lipsync name=l ! fakesink \
             d. ! audioconvert ! audioresample ! audio/x-raw,format=S16LE ! l.audio"
        ));
        let [frames, none] =
            ["frames-out", "frames-no-face"].map(|name| stats.get::<u64>(name).unwrap());
        assert!(frames > 50, "{tag}: {stats}");
        assert_eq!(none, 0, "{tag}: {stats}");
    }
}
