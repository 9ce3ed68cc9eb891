//! DINet and DeepSpeech: their architectures, tiny and with random weights (`tests/data/README.md`), against what
//! PyTorch makes of the same numbers.

use std::path::{Path, PathBuf};

use crate::{
    hearing::{check_however_it_comes, hear, speech},
    opening::{LOOK, opened, refused},
    picture::Picture,
};
use lipsync_core::{
    face::{Face, Mesh},
    generator::{Brush, Generator, Sketch, Spot},
};

/// Size of the face of the tiny network, and the part of it that is put back.
const WIDTH: usize = 40;
const HEIGHT: usize = 52;
const PUT_BACK: usize = 48;
const AREA: usize = WIDTH * HEIGHT;
/// Its black square.
const MOUTH: [usize; 3] = [4, 16, 32];
/// Letters, and rows of them.
const HEARD: usize = 29 * 5;
const OTHERS: usize = 5;
const DRAWN: &[u8] = include_bytes!("../data/dinet/dinet_drawn.f32le");
/// `[3, 29, 5]`: of the frames 0, 25 and 74, the last one.
const LETTERS: &[u8] = include_bytes!("../data/dinet/dinet_heard.f32le");
const SPEECH: &[u8] = include_bytes!("../data/speech.s16le");
const FRAME_NS: i64 = 40_000_000;
const EXACT: &str = "[blend]\nkind = \"reference\"";

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/dinet")
}

/// A folder with the tiny networks, and a manifest that has these lines.
pub fn model(name: &str, lines: &str) -> PathBuf {
    let folder = crate::opening::folder("dinet", name);
    for file in ["dinet.onnx", "deepspeech.onnx"] {
        std::fs::copy(data().join(file), folder.join(file)).expect("a file");
    }
    let text = std::fs::read_to_string(data().join("manifest.toml")).expect("a manifest");
    std::fs::write(folder.join("manifest.toml"), format!("{text}\n{lines}\n")).expect("a file");
    folder
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let (numbers, _) = bytes.as_chunks::<4>();
    numbers.iter().map(|v| f32::from_le_bytes(*v)).collect()
}

/// As `training/export_dinet.py` makes it.
fn pattern(length: usize) -> impl Iterator<Item = f32> {
    let number = |at: usize| (at * 7_919 % 1_009) as f64 / 504.0 - 1.0;
    (0..length).map(move |at| number(at) as f32)
}

fn worst(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

/// Traps: channels sampled without their neighbours, or with corners aligned; pictures of other frames first.
#[test]
fn what_is_drawn_is_what_pytorch_draws() {
    let Some(mut generator) = opened(&model("drawn", "")) else {
        return;
    };
    let mut sketch = Sketch {
        look: LOOK,
        heard: pattern(HEARD).map(|value| 4.0 * value).collect(),
        seen: pattern(18 * AREA).map(|value| value / 2.0 + 0.5).collect(),
        drawn: Vec::new(),
    };
    let drawn = generator.draw(std::slice::from_mut(&mut sketch));
    drawn.expect("inference works");
    let worst = worst(&sketch.drawn, &floats(DRAWN));
    println!("drawn: {worst}");
    assert!(worst < 1e-3, "{worst}");
}

/// Every piece is there when its frame is, wherever in it the frame's rows lie.
#[test]
fn nothing_is_missing_when_a_frame_is_heard() {
    for step_ms in [40, 120, 200] {
        let lines = format!("[sound]\nstep-ms = {step_ms}\nfuture-ms = 0");
        let Some(mut generator) = opened(&model("missing", &lines)) else {
            return;
        };
        let mut sound = speech();
        sound.push(SPEECH, 0, true);
        for frame in 0..50 {
            let found = hear(&mut *generator, &mut sound, frame * FRAME_NS);
            // Of the first letter; a row that is not heard is zeros.
            assert!(
                found[..5].iter().all(|number| *number != 0.0),
                "{step_ms} ms, {frame}"
            );
        }
    }
}

/// Traps: both rows of a frame, or the second; rows of letters and not letters of rows; zeros beyond the ends; context
/// that is silence and not zeros; the level of the samples; silence where the recording has not begun.
#[test]
fn what_is_heard_is_what_the_original_hears() {
    // All of the recording is in every piece.
    let lines = "[sound]\npast-ms = 4000\nfuture-ms = 4000";
    let Some(mut generator) = opened(&model("heard", lines)) else {
        return;
    };
    let mut sound = speech();
    sound.push(SPEECH, 0, true);
    sound.finish();
    let expected = floats(LETTERS);
    for (frame, expected) in [0, 25, 74].into_iter().zip(expected.chunks(HEARD)) {
        let found = hear(&mut *generator, &mut sound, frame * FRAME_NS);
        let worst = worst(&found, expected);
        println!("heard in frame {frame}: {worst}");
        assert!(worst < 1e-3, "frame {frame}: {worst}");
    }
}

#[test]
fn rows_are_the_same_however_the_sound_came() {
    check_however_it_comes(&model("chunks", ""), SPEECH, 965_000_000);
}

/// A face round which DINet's box has 40 x 52 pixels, its corner at 50, 40: the radius is int(26 * 1.05) // 2 = 13, and
/// the next multiple of 4 above.
fn face(openness: f32) -> Face {
    let mut mesh = Mesh::default();
    mesh.points.fill([70.5, 60.5]);
    mesh.points[195] = [70.5, 56.9];
    mesh.points[2] = [70.9, 64.5];
    mesh.points[152] = [70.5, 82.9];
    for (point, x) in [
        (61, 62.5),
        (291, 78.5),
        (78, 63.5),
        (308, 77.5),
        (33, 60.5),
        (263, 80.5),
    ] {
        mesh.points[point] = [x, 72.5];
    }
    mesh.points[13] = [70.5, 72.5];
    mesh.points[14] = [70.5, 72.5 + 14.0 * openness];
    Face {
        id: 1,
        mesh,
        fresh: true,
        ..Face::default()
    }
}

const CORNER: [usize; 2] = [50, 40];

fn noise(seed: u64) -> Picture {
    let mut random = fastrand::Rng::with_seed(seed);
    Picture::filled(200, 200, || random.u8(..))
}

/// What the box of a picture has in a plane of R, G, B.
fn level(picture: &Picture, plane: usize, [column, row]: [usize; 2]) -> u8 {
    let [left, top] = CORNER;
    picture.data[((top + row) * picture.width + left + column) * 3 + plane]
}

fn sample(brush: &mut dyn Brush, picture: &Picture, ms: i64, openness: f32) -> (Vec<f32>, Spot) {
    let (mut seen, mut spot) = (Vec::new(), Spot::default());
    let mut picture = picture.clone();
    let face = face(openness);
    let time_ns = ms * 1_000_000;
    assert!(brush.sample(
        &picture.view(),
        Some(&face),
        time_ns,
        true,
        &mut seen,
        &mut spot
    ));
    assert_eq!(seen.len(), (3 + 3 * OTHERS) * AREA);
    (seen, spot)
}

/// Whether the views of other frames are of these, whole.
fn check_others(seen: &[f32], pictures: [&Picture; OTHERS]) {
    for (index, picture) in pictures.into_iter().enumerate() {
        for at in 0..3 * AREA {
            let (plane, row, column) = (at / AREA, at % AREA / WIDTH, at % WIDTH);
            let expected = f32::from(level(picture, plane, [column, row])) / 255.0;
            let found = seen[3 * (1 + index) * AREA + at];
            assert!(
                (found - expected).abs() < 1e-5,
                "{index}, {plane}, {row}, {column}"
            );
        }
    }
}

/// Traps: B, G, R; other frames with a black square; neighbouring frames.
#[test]
fn the_mouth_is_black_and_other_frames_are_of_the_speech() {
    let Some(generator) = opened(&model("seen", EXACT)) else {
        return;
    };
    let mut brush = generator.brushes()();
    let [first, second, third, fourth, fifth, wider] = [1, 2, 3, 4, 5, 6].map(noise);
    let (seen, spot) = sample(&mut *brush, &first, 0, 0.3);
    let [left, top] = CORNER;
    assert_eq!(spot.area, [left, top, WIDTH, HEIGHT].into());
    let [x, y, side] = MOUTH;
    for (at, found) in seen[..3 * AREA].iter().enumerate() {
        let (plane, row, column) = (at / AREA, at % AREA / WIDTH, at % WIDTH);
        let is_black = (x..x + side).contains(&column) && (y..y + side).contains(&row);
        let level = f32::from(level(&first, plane, [column, row])) / 255.0;
        let expected = if is_black { 0.0 } else { level };
        assert!((found - expected).abs() < 1e-5, "{plane}, {row}, {column}");
    }
    check_others(&seen, [&first; OTHERS]);
    let (seen, _) = sample(&mut *brush, &second, 40, 0.9);
    check_others(&seen, [&first; OTHERS]);
    let (seen, _) = sample(&mut *brush, &second, 400, 0.3);
    check_others(&seen, [&first, &second, &second, &second, &second]);
    for (ms, picture, openness) in [
        (800, &third, 0.2),
        (1_200, &fourth, 0.4),
        (1_600, &fifth, 0.3),
    ] {
        sample(&mut *brush, picture, ms, openness);
    }
    let (seen, _) = sample(&mut *brush, &wider, 2_000, 0.6);
    check_others(&seen, [&first, &second, &wider, &fourth, &fifth]);
    // Another face.
    brush.reset();
    let (seen, _) = sample(&mut *brush, &third, 2_040, 0.0);
    check_others(&seen, [&third; OTHERS]);
}

/// Traps: the lowest quarter of the radius is put back, too; rounded, or cut before it is scaled.
#[test]
fn only_what_lies_above_the_chin_is_put_back() {
    let Some(generator) = opened(&model("put", EXACT)) else {
        return;
    };
    let before = noise(1);
    let mut after = before.clone();
    let mut brush = generator.brushes()();
    let (_, mut spot) = sample(&mut *brush, &before, 0, 0.3);
    // 99.9 and 100.8 side by side; nothing is scaled here.
    let drawn: Vec<f32> = (0..3 * AREA)
        .map(|at| {
            if at % 2 == 0 {
                99.9 / 255.0
            } else {
                100.8 / 255.0
            }
        })
        .collect();
    brush.paint(
        &mut after.view(),
        Some(&face(0.3)),
        &LOOK,
        &mut spot,
        &drawn,
    );
    for (at, found) in after.data.iter().enumerate() {
        let (row, column) = (at / 3 / 200, at / 3 % 200);
        let [left, top] = CORNER;
        let is_put = (left..left + WIDTH).contains(&column) && (top..top + PUT_BACK).contains(&row);
        let expected = match is_put {
            true => 99 + (column % 2) as u8,
            false => before.data[at],
        };
        assert_eq!(*found, expected, "{column}, {row}");
    }
}

#[test]
fn pictures_of_files_take_the_place_of_the_streams() {
    let pictures = [11, 12, 13, 14, 15].map(|seed| {
        let mut random = fastrand::Rng::with_seed(seed);
        Picture::filled(WIDTH, HEIGHT, || random.u8(..))
    });
    let folder = model("given", "");
    let names = [1, 2, 3, 4, 5].map(|at| format!("{at}.png"));
    for (name, picture) in names.iter().zip(&pictures) {
        picture.save(&folder.join(name));
    }
    let text = std::fs::read_to_string(folder.join("manifest.toml")).expect("a manifest");
    let with = |names: &[String]| {
        let files = names
            .iter()
            .map(|name| format!("{{ path = \"{name}\", sha256 = \"\" }}"));
        let files = files.collect::<Vec<_>>().join(", ");
        // In the table of files, which is the last one.
        let manifest = format!("{text}\nothers = [{files}]\n{EXACT}\n");
        std::fs::write(folder.join("manifest.toml"), manifest).expect("a file");
    };
    with(&names);
    let Some(generator) = opened(&folder) else {
        return;
    };
    let mut brush = generator.brushes()();
    let (seen, _) = sample(&mut *brush, &noise(1), 0, 0.3);
    for (index, picture) in pictures.iter().enumerate() {
        for at in 0..3 * AREA {
            let expected = f32::from(picture.data[at % AREA * 3 + at / AREA]) / 255.0;
            let found = seen[3 * (1 + index) * AREA + at];
            assert!((found - expected).abs() < 1e-5, "{index}, {at}");
        }
    }
    with(&names[..3]);
    let message = refused(&folder).expect("it could be told before");
    assert!(
        message.contains("names 3 pictures, 5 are expected"),
        "{message}"
    );
    std::fs::write(folder.join("1.png"), b"\xff\xd8\xff\xe0 a photograph").expect("a file");
    with(&names);
    let message = refused(&folder).expect("it could be told before");
    for expected in ["1.png", "a PNG picture is expected"] {
        assert!(message.contains(expected), "{message}");
    }
    std::fs::remove_file(folder.join("1.png")).expect("a file");
    let message = refused(&folder).expect("it could be told before");
    assert!(message.contains("1.png"), "{message}");
}

#[test]
fn a_bare_network_is_recognised_and_says_what_is_missing() {
    let folder = model("bare", "");
    std::fs::remove_file(folder.join("manifest.toml")).expect("the manifest");
    // Of an earlier run.
    let _ = std::fs::remove_file(folder.join("dinet-deepspeech.onnx"));
    let path = folder.join("dinet.onnx");
    let aside = folder.join("aside");
    std::fs::rename(folder.join("deepspeech.onnx"), &aside).expect("a file");
    let Some(message) = refused(&path) else {
        return;
    };
    for expected in ["`deepspeech.onnx`", "training/export_dinet.py"] {
        assert!(message.contains(expected), "{message}");
    }
    std::fs::rename(&aside, folder.join("dinet-deepspeech.onnx")).expect("a file");
    let generator = opened(&path).expect("it could be told before");
    assert_eq!(generator.name(), "dinet (dinet.onnx)");
    // The network that draws in DeepSpeech's place.
    std::fs::copy(&path, folder.join("dinet-deepspeech.onnx")).expect("a file");
    let message = refused(&path).expect("it could be told before");
    assert!(
        message.contains("DeepSpeech 0.1.0, as training/export_dinet.py says"),
        "{message}"
    );
}

/// Other frames' views would be missing, or half of what the network sees.
#[test]
fn planes_that_do_not_fill_the_network_are_refused() {
    let lines = "[image]\nplanes = [\"masked\", \"reference\"]";
    let Some(message) = refused(&model("planes", lines)) else {
        return;
    };
    let expected = "planes has 2 entries, 6 channels; 3 are expected of `dinet`";
    assert!(message.contains(expected), "{message}");
}

#[test]
fn a_soft_edge_changes_mouth_and_jaw_only() {
    let Some(mut generator) = opened(&model("soft", "")) else {
        return;
    };
    assert_eq!(changed(&mut *generator, face(0.3)), [true, false]);
}

/// Whether anything changed on the mouth, and beside the box.
fn changed(generator: &mut dyn Generator, mut face: Face) -> [bool; 2] {
    // A mouth and a jaw for the mask.
    face.mesh.points[2] = [70.5, 64.5];
    face.mesh.points[172] = [56.5, 74.5];
    face.mesh.points[397] = [84.5, 74.5];
    let before = noise(3);
    let mut after = before.clone();
    let heard = vec![0.5; HEARD];
    crate::picture::redraw(generator, &mut after, Some(&face), &LOOK, &heard)
        .expect("inference works");
    let at = |x: usize, y: usize| (y * 200 + x) * 3;
    let differs = |from: usize, to: usize| before.data[from..to] != after.data[from..to];
    [
        differs(at(68, 73), at(74, 73)),
        differs(0, at(0, CORNER[1])) || differs(at(0, CORNER[1] + HEIGHT + 1), before.data.len()),
    ]
}
