//! The whole engine on real pictures and real speech, without GStreamer.

use std::path::Path;

use crate::{
    picture::Picture,
    running::{engine, music, speech},
};
use lipsync_core::{
    assembly,
    face::{self, Tracker},
    inference,
    pixels::Affine,
    render::{Controls, Engine, Outcome, Silence},
    sound::Sound,
};

const PAINTING: &str = "young-woman-in-mauve.jpg";
const FRAME_NS: i64 = 40_000_000;

fn silence() -> Sound {
    let mut sound = Sound::new();
    sound.finish();
    sound
}

/// Frames that differ from the picture, and how wide and high the changed part is.
fn changed(before: &Picture, after: &Picture) -> Option<[usize; 4]> {
    let mut bounds: Option<[usize; 4]> = None;
    for (i, (a, b)) in before.data.iter().zip(&after.data).enumerate() {
        if a != b {
            let (x, y) = (i / 3 % before.width, i / 3 / before.width);
            let [x0, y0, x1, y1] = bounds.unwrap_or([x, y, x, y]);
            bounds = Some([x0.min(x), y0.min(y), x1.max(x), y1.max(y)]);
        }
    }
    bounds
}

#[test]
fn a_painting_speaks_and_only_its_mouth_changes() {
    let (Some(painting), Some(mut sound), Some(mut engine)) =
        (Picture::load(PAINTING), speech(0, 0.0), engine())
    else {
        return;
    };
    let mut synced = 0;
    for frame in 0..50 {
        let mut picture = painting.clone();
        let outcome = engine
            .process(
                &mut picture.view(),
                frame * FRAME_NS,
                &mut sound,
                &[],
                &Controls::default(),
            )
            .expect("inference works");
        synced += u32::from(outcome == Outcome::Synced);
        if let Some([x0, y0, x1, y1]) = changed(&painting, &picture) {
            let mesh = &engine.faces()[0].mesh;
            let [fx0, fy0, fx1, fy1] = mesh.bbox().edges();
            // The canonical picture begins below the eyes and ends below the chin.
            let margin = 0.25 * (fy1 - fy0);
            assert!(
                x0 as f32 > fx0 - margin && (x1 as f32) < fx1 + margin,
                "{x0}..{x1}"
            );
            assert!(
                y0 as f32 > mesh.points[6][1] && (y1 as f32) < fy1 + margin,
                "{y0}..{y1}, face {fy0}..{fy1}"
            );
        }
        if let Some(folder) = std::env::var_os("LIPSYNC_TEST_PICTURES") {
            let path = Path::new(&folder).join(format!("painting-{frame:03}.png"));
            image::save_buffer(
                path,
                &picture.data,
                picture.width as u32,
                picture.height as u32,
                image::ExtendedColorType::Rgb8,
            )
            .expect("the folder is writable");
        }
    }
    assert!(synced > 20, "{synced} frames of 50 speak");
    println!("{:?}", engine.timings());
}

/// Paints a rectangle, x0, y0, x1, y1, in one colour.
fn hold_before(picture: &mut Picture, [x0, y0, x1, y1]: [usize; 4], colour: [u8; 3]) {
    for y in y0..y1 {
        let row = 3 * y * picture.width;
        for pixel in picture.data[row + 3 * x0..row + 3 * x1].chunks_exact_mut(3) {
            pixel.copy_from_slice(&colour);
        }
    }
}

/// The share of the bytes in a rectangle that differ by more than a few levels.
fn share_changed(before: &Picture, after: &Picture, [x0, y0, x1, y1]: [usize; 4]) -> f64 {
    let mut differing = 0;
    for y in y0..y1 {
        let row = 3 * y * before.width;
        let bytes = row + 3 * x0..row + 3 * x1;
        let pairs = before.data[bytes.clone()].iter().zip(&after.data[bytes]);
        differing += pairs.filter(|(a, b)| a.abs_diff(**b) > 8).count();
    }
    differing as f64 / (3 * (x1 - x0) * (y1 - y0)).max(1) as f64
}

#[test]
fn what_is_held_before_a_mouth_is_not_painted_over() {
    let (Some(painting), Some(mut sound), Some(mut engine)) =
        (Picture::load(PAINTING), speech(0, 0.0), engine())
    else {
        return;
    };
    // Something dark comes up from below the chin, as fast as a hand, stays and sinks.
    let held_up = |frame: i64| (frame - 25).min(60 - frame).clamp(0, 8) as f32 / 8.0;
    let mut face = [0.0; 4];
    // How much of what lies below the nose is redrawn without it, behind it, and after it.
    let mut redrawn = [0.0; 3];
    for frame in 0..90 {
        let [x0, nose, x1, chin] = face;
        let top = chin + held_up(frame) * (nose - chin);
        let mut shown = painting.clone();
        let cover = |top: f32| [x0, top, x1, chin].map(|edge| edge as usize);
        hold_before(&mut shown, cover(top), [40, 38, 44]);
        let mut picture = shown.clone();
        let (time_ns, controls) = (frame * FRAME_NS, Controls::default());
        engine
            .process(&mut picture.view(), time_ns, &mut sound, &[], &controls)
            .expect("inference works");
        let share = share_changed(&shown, &picture, cover(nose));
        match frame {
            0..25 => {
                let mesh = &engine.faces()[0].mesh;
                let [x0, _, x1, y1] = mesh.bbox().edges();
                face = [x0, mesh.points[2][1], x1, y1];
                redrawn[0] += share / 25.0;
            }
            33..53 => redrawn[1] += share / 20.0,
            65.. => redrawn[2] += share / 25.0,
            _ => (),
        }
    }
    let [before, behind, after] = redrawn;
    assert!(before > 0.1 && after > 0.1, "{redrawn:?}");
    assert!(behind < 0.25 * before.min(after), "{redrawn:?}");
}

#[test]
fn silence_bypass_and_strength_0_leave_every_byte() {
    let (Some(painting), Some(mut engine)) = (Picture::load(PAINTING), engine()) else {
        return;
    };
    let cases = [
        (
            Outcome::Bypassed,
            Controls {
                bypass: true,
                ..Controls::default()
            },
        ),
        (
            Outcome::Bypassed,
            Controls {
                strength: 0.0,
                ..Controls::default()
            },
        ),
        (
            Outcome::Silent,
            Controls {
                silence: Silence::Original,
                ..Controls::default()
            },
        ),
    ];
    for (expected, controls) in cases {
        let mut picture = painting.clone();
        let outcome = engine
            .process(&mut picture.view(), 0, &mut silence(), &[], &controls)
            .expect("inference works");
        assert_eq!(outcome, expected);
        assert!(picture.data == painting.data);
    }
}

#[test]
fn noise_has_no_face_and_is_left_alone() {
    let Some(mut engine) = engine() else { return };
    let mut random = fastrand::Rng::with_seed(1);
    let noise = Picture::filled(640, 360, || random.u8(..));
    let mut picture = noise.clone();
    let outcome = engine
        .process(
            &mut picture.view(),
            0,
            &mut silence(),
            &[],
            &Controls::default(),
        )
        .expect("inference works");
    assert_eq!(outcome, Outcome::NoFace);
    assert!(picture.data == noise.data);
}

/// Elements of one process share networks and take turns with them.
#[test]
fn every_stream_draws_what_it_draws_alone() {
    const STREAMS: usize = 3;
    const FRAMES: i64 = 3;
    let (Some(picture), true, Some(_)) =
        (Picture::load(PAINTING), engine().is_some(), speech(0, 0.0))
    else {
        return;
    };
    let controls = Controls {
        silence: Silence::Animate,
        ..Controls::default()
    };
    // Each hears another part of the speech, and sees another part of the picture.
    let seen: Vec<_> = (0..STREAMS)
        .map(|stream| {
            let map = Affine {
                tx: 4.0 * stream as f32,
                ..Affine::IDENTITY
            };
            picture.moved(picture.width, picture.height, &map)
        })
        .collect();
    let drawn = |stream: usize| -> Option<Vec<Vec<u8>>> {
        let (mut engine, mut sound) = (engine()?, speech(0, 0.0)?);
        let frames = (0..FRAMES).map(|frame| {
            let mut picture = seen[stream].clone();
            let time_ns = (frame + 25 + 10 * stream as i64) * FRAME_NS;
            let outcome = engine
                .process(&mut picture.view(), time_ns, &mut sound, &[], &controls)
                .expect("the networks run");
            assert_eq!(outcome, Outcome::Synced);
            picture.data
        });
        Some(frames.collect())
    };
    let alone: Vec<_> = (0..STREAMS).map(drawn).collect();
    assert!(alone.windows(2).all(|pair| pair[0] != pair[1]));
    std::thread::scope(|scope| {
        let drawn = &drawn;
        let together: Vec<_> = (0..STREAMS)
            .map(|stream| scope.spawn(move || drawn(stream)))
            .collect();
        for (thread, alone) in together.into_iter().zip(alone) {
            assert!(thread.join().expect("no stream panics") == alone);
        }
    });
}

/// How many of so many frames of a painting are silent, and how far its mouth is open in each, as a
/// share of the face's width.
fn spoken(
    engine: &mut Engine,
    painting: &Picture,
    sound: &mut Sound,
    controls: &Controls,
    frames: i64,
) -> (usize, Vec<f64>) {
    engine.reset();
    let options = inference::Options::default();
    let opener = assembly::opener(&options);
    let mut watcher = Tracker::new(
        face::open_detector(&opener)
            .expect("the detector opens")
            .network,
        face::open_mesh(&opener).expect("the mesh opens").network,
        face::open_cover(&opener).expect("the cover opens").network,
        face::Settings::default(),
    )
    .expect("the tracker starts");
    let (mut silent, mut openings) = (0, Vec::new());
    for frame in 0..frames {
        let mut picture = painting.clone();
        let outcome = engine
            .process(&mut picture.view(), frame * FRAME_NS, sound, &[], controls)
            .expect("inference works");
        silent += usize::from(outcome == Outcome::Silent);
        let faces = watcher
            .track(&picture.view(), frame * FRAME_NS, &[])
            .expect("the face is found");
        let points = &faces[0].mesh.points;
        let width = points[454][0] - points[234][0];
        openings.push(f64::from((points[14][1] - points[13][1]) / width));
    }
    (silent, openings)
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let dot = |f: &dyn Fn(f64, f64) -> f64| {
        a.iter()
            .zip(b)
            .map(|(a, b)| f(a - mean_a, b - mean_b))
            .sum::<f64>()
    };
    dot(&|a, b| a * b) / (dot(&|a, _| a * a) * dot(&|_, b| b * b)).sqrt()
}

#[test]
fn a_quiet_voice_moves_the_mouth_as_a_loud_one_does() {
    let (Some(painting), Some(mut loud), Some(mut engine)) =
        (Picture::load(PAINTING), speech(0, 0.0), engine())
    else {
        return;
    };
    const FRAMES: i64 = 150;
    const MET: usize = 12;
    let controls = Controls::default();
    let (silent, want) = spoken(&mut engine, &painting, &mut loud, &controls, FRAMES);
    for softer_db in [21.0, 31.0] {
        let mut quiet = speech(0, softer_db).expect("it was there");
        let (more_silent, openings) = spoken(&mut engine, &painting, &mut quiet, &controls, FRAMES);
        // The speech begins with the first frame; a quiet one is met within some frames.
        let correlation = correlation(&openings[MET..], &want[MET..]);
        println!(
            "{softer_db} dB softer: {more_silent} frames of {FRAMES} silent ({silent} at full level), \
             correlation {correlation:.3}"
        );
        assert!(
            more_silent <= silent + 8,
            "{more_silent}, {silent} at full level"
        );
        assert!(correlation > 0.95, "{correlation}");
    }
    // Whoever sets a threshold means it.
    let fixed = Controls {
        silence_threshold_db: Some(-50.0),
        ..controls
    };
    let mut quiet = speech(0, 31.0).expect("it was there");
    let (shut, _) = spoken(&mut engine, &painting, &mut quiet, &fixed, FRAMES);
    assert!(shut > FRAMES as usize / 2, "{shut}");
}

#[test]
fn music_moves_no_mouth() {
    let (Some(painting), Some(mut voice), Some(mut engine)) =
        (Picture::load(PAINTING), speech(0, 0.0), engine())
    else {
        return;
    };
    const FRAMES: i64 = 140;
    let controls = Controls::default();
    let (_, mut said) = spoken(&mut engine, &painting, &mut voice, &controls, FRAMES);
    said.sort_by(f64::total_cmp);
    let [shut, wide] = [10, 90].map(|percent| said[said.len() * percent / 100]);
    for softer_db in [-8.0, 0.0, 12.0] {
        let mut music = music(softer_db);
        let (_, openings) = spoken(&mut engine, &painting, &mut music, &controls, FRAMES);
        let is_open = |opening: &&f64| **opening > shut + 0.25 * (wide - shut);
        let open = openings.iter().filter(is_open).count();
        println!("{softer_db} dB softer: {open} frames of {FRAMES} open");
        assert!(open <= FRAMES as usize / 50, "{open} frames are open");
    }
}
