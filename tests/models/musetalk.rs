//! MuseTalk: its architecture, tiny and with random weights (`tests/data/README.md`), against what diffusers and
//! transformers make of the same numbers.

use std::path::{Path, PathBuf};

use crate::{
    hearing::{check_however_it_comes, hear, speech},
    opening::{LOOK, opened, refused},
    picture::Picture,
};
use lipsync_core::{
    Error, assembly,
    catalogue::Source,
    face::{Face, Mesh},
    generator::{Sketch, Spot},
    inference,
};

/// Side of the face of the tiny networks, and numbers in a row of their Whisper.
const SIZE: usize = 64;
const WIDTH: usize = 8;
/// Ten rows of five layers.
const TOKENS: usize = 50;
const FILES: [&str; 4] = ["unet", "vae_encoder", "vae_decoder", "whisper"];
const DRAWN: &[u8] = include_bytes!("../data/musetalk/musetalk_drawn.f32le");
/// `[3, 50, 8]`: at 0, 1 and 2.96 s.
const HEARD: &[u8] = include_bytes!("../data/musetalk/musetalk_heard.f32le");
const SPEECH: &[u8] = include_bytes!("../data/speech.s16le");

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/musetalk")
}

/// A folder with the tiny networks, and a manifest that has these lines.
pub fn model(name: &str, lines: &str) -> PathBuf {
    let folder = crate::opening::folder("musetalk", name);
    for file in FILES {
        let file = format!("{file}.onnx");
        std::fs::copy(data().join(&file), folder.join(&file)).expect("a file");
    }
    let text = std::fs::read_to_string(data().join("manifest.toml")).expect("a manifest");
    std::fs::write(folder.join("manifest.toml"), format!("{text}\n{lines}\n")).expect("a file");
    folder
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let (numbers, _) = bytes.as_chunks::<4>();
    numbers.iter().map(|v| f32::from_le_bytes(*v)).collect()
}

/// As `training/export_musetalk.py` makes it.
fn pattern(length: usize) -> Vec<f32> {
    let number = |at: usize| (at * 7_919 % 1_009) as f64 / 504.0 - 1.0;
    (0..length).map(|at| number(at) as f32).collect()
}

fn sketch(seen: Vec<f32>) -> Sketch {
    Sketch {
        look: LOOK,
        heard: pattern(TOKENS * WIDTH),
        seen,
        drawn: Vec::new(),
    }
}

fn worst(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

/// Traps: the whole face's latents before the masked one's; a sample and not the mode; 0.18215 left out, or
/// once only; another timestep than 0; rows and layers of what is heard the other way round.
#[test]
fn what_is_drawn_is_what_diffusers_draws() {
    let Some(mut generator) = opened(&model("drawn", "")) else {
        return;
    };
    let mut sketches = [sketch(pattern(6 * SIZE * SIZE))];
    generator.draw(&mut sketches).expect("inference works");
    let worst = worst(&sketches[0].drawn, &floats(DRAWN));
    println!("drawn: {worst}");
    assert!(worst < 1e-3, "{worst}");
}

#[test]
fn faces_that_are_drawn_together_are_as_alone() {
    let source = Source::Path(model("batch", ""));
    let options = inference::Options {
        batch: 3,
        ..inference::Options::default()
    };
    let mut generator = match assembly::open_generator(&source, &options) {
        Ok(opened) => opened.generator,
        Err(err @ Error::RuntimeMissing { .. }) => return println!("skipped: {err}"),
        Err(err) => panic!("{err}"),
    };
    assert_eq!(generator.batch(), 3);
    let first = pattern(6 * SIZE * SIZE);
    let second: Vec<f32> = first.iter().map(|value| -0.5 * value).collect();
    let mut together = [sketch(first.clone()), sketch(second.clone())];
    generator.draw(&mut together).expect("inference works");
    for (seen, together) in [first, second].into_iter().zip(together) {
        let mut alone = [sketch(seen)];
        generator.draw(&mut alone).expect("inference works");
        assert!(worst(&alone[0].drawn, &together.drawn) < 1e-4);
    }
}

/// Traps: other windows; rows before the recording that are Whisper's of silence, or the first one again, and not
/// zeros; no places, or places of rows and not of tokens; the last layer before its normalisation; the
/// spectrum's floor left out; another place in the 30 s.
#[test]
fn what_is_heard_is_what_transformers_hears() {
    // All of the recording is in every piece.
    let lines = "[sound]\nfuture-ms = 4000\nlook-ahead-ms = 4152.5";
    let Some(mut generator) = opened(&model("heard", lines)) else {
        return;
    };
    let mut sound = speech();
    sound.push(SPEECH, 0, true);
    sound.finish();
    let frames = [0, 1_000_000_000, 2_960_000_000];
    let expected = floats(HEARD);
    for (time_ns, expected) in frames.into_iter().zip(expected.chunks(TOKENS * WIDTH)) {
        let found = hear(&mut *generator, &mut sound, time_ns);
        let worst = worst(&found, expected);
        println!("heard at {time_ns} ns: {worst}");
        assert!(worst < 1e-3, "{time_ns} ns: {worst}");
    }
}

#[test]
fn rows_are_the_same_however_the_sound_came() {
    check_however_it_comes(&model("chunks", ""), SPEECH, 152_500_000);
}

/// A face whose mesh fills the box, with the bridge of its nose in the middle.
fn face([x0, y0, x1, y1]: [f32; 4]) -> Face {
    let mut mesh = Mesh::default();
    mesh.points.fill([(x0 + x1) / 2.0, (y0 + y1) / 2.0]);
    mesh.points[234] = [x0, (y0 + y1) / 2.0];
    mesh.points[454] = [x1, (y0 + y1) / 2.0];
    mesh.points[152] = [(x0 + x1) / 2.0, y1];
    mesh.points[33] = [x0 + 10.0, y0 + 10.0];
    mesh.points[263] = [x1 - 10.0, y0 + 10.0];
    Face {
        id: 1,
        mesh,
        fresh: true,
        ..Face::default()
    }
}

/// Traps: the black half as grey; the margin as a share of the face, or in the middle of its height; B, G, R.
#[test]
fn the_lower_half_is_black_and_the_margin_is_below_the_chin() {
    // 1.5's is the family's; 1.0 has none.
    check_seen("", 104.0);
    check_seen("pads = [0, 0, 0, 0]", 114.0);
}

/// What is seen of a face that ends there, so that its box has 64 pixels and nothing is scaled.
fn check_seen(pads: &str, chin: f32) {
    let lines = format!("[blend]\nkind = \"reference\"\n[crop]\nscale = \"linear\"\n{pads}");
    let Some(generator) = opened(&model("seen", &lines)) else {
        return;
    };
    let mut random = fastrand::Rng::with_seed(7);
    let picture = Picture::filled(200, 200, || random.u8(..));
    let mut before = picture.clone();
    let mut brush = generator.brushes()();
    let (mut seen, mut spot) = (Vec::new(), Spot::default());
    let face = face([40.0, 50.0, 104.0, chin]);
    assert!(brush.sample(&before.view(), Some(&face), 0, true, &mut seen, &mut spot));
    assert_eq!(
        [spot.area.x, spot.area.y, spot.area.width, spot.area.height],
        [40, 50, 64, 64]
    );
    assert_eq!(seen.len(), 6 * SIZE * SIZE);
    for (at, value) in seen.iter().enumerate() {
        let (plane, row, column) = (at / SIZE / SIZE, at / SIZE % SIZE, at % SIZE);
        let level = picture.data[((50 + row) * 200 + 40 + column) * 3 + plane % 3];
        let expected = match plane < 3 && row >= SIZE / 2 {
            true => -1.0,
            false => f32::from(level) / 127.5 - 1.0,
        };
        assert!((value - expected).abs() < 1e-5, "{plane}, {row}, {column}");
    }
}

/// Trap: what is drawn cut to whole numbers, as the other families have it.
#[test]
fn what_is_drawn_is_rounded() {
    let lines = "[blend]\nkind = \"reference\"";
    let Some(generator) = opened(&model("rounded", lines)) else {
        return;
    };
    let mut picture = Picture::filled(200, 200, || 10);
    let mut brush = generator.brushes()();
    let (mut seen, mut spot) = (Vec::new(), Spot::default());
    let face = face([40.0, 50.0, 104.0, 104.0]);
    assert!(brush.sample(&picture.view(), Some(&face), 0, true, &mut seen, &mut spot));
    let drawn = vec![99.6 / 127.5 - 1.0; 3 * SIZE * SIZE];
    brush.paint(&mut picture.view(), Some(&face), &LOOK, &mut spot, &drawn);
    let pixel = |x: usize, y: usize| picture.data[(y * 200 + x) * 3];
    assert_eq!(pixel(70, 80), 100);
    assert_eq!(pixel(20, 20), 10);
}

#[test]
fn a_bare_network_is_recognised_and_says_what_is_missing() {
    let folder = model("bare", "");
    std::fs::remove_file(folder.join("manifest.toml")).expect("the manifest");
    let path = folder.join("unet.onnx");
    for missing in ["whisper", "vae_encoder", "vae_decoder"] {
        let file = folder.join(format!("{missing}.onnx"));
        let aside = folder.join("aside");
        std::fs::rename(&file, &aside).expect("a file");
        let message = refused(&path);
        std::fs::rename(&aside, &file).expect("a file");
        let Some(message) = message else {
            return;
        };
        for expected in [&*format!("`{missing}.onnx`"), "training/export_musetalk.py"] {
            assert!(message.contains(expected), "{message}");
        }
    }
    let generator = opened(&path).expect("it could be told before");
    assert_eq!(generator.name(), "musetalk (unet.onnx)");
    // The decoder in the encoder's place.
    std::fs::copy(
        folder.join("vae_decoder.onnx"),
        folder.join("vae_encoder.onnx"),
    )
    .expect("a file");
    let message = refused(&path).expect("it could be told before");
    assert!(
        message.contains("an image encoder: face [N, 3, S, S]"),
        "{message}"
    );
}

#[test]
fn manifests_that_do_not_fit_are_refused() {
    let lines = "[image]\nplanes = [\"masked\"]";
    let Some(message) = refused(&model("planes", lines)) else {
        return;
    };
    assert!(message.contains("planes has 1 entry"), "{message}");
    let lines = "[sound]\nfeatures = \"whisper\"\nframe-rate = 50";
    let folder = model("family", lines);
    let path = folder.join("manifest.toml");
    let text = std::fs::read_to_string(&path).expect("a manifest");
    std::fs::write(&path, text.replace("\"musetalk\"", "\"unet\"")).expect("a file");
    let message = refused(&folder).expect("it could be told before");
    assert!(message.contains("draw faces themselves"), "{message}");
}
