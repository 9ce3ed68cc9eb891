//! The family `unet`, and the mistakes that others made with it: each has a test here that fails
//! if it comes back.
//!
//! The networks are real ones that ONNX Runtime runs, linear and tiny, so that every output pixel
//! is known beforehand.

use std::path::PathBuf;

use crate::{
    onnx::{Dim, Linear, NOTHING, only},
    opening::{LOOK, opened, refused, write_manifest},
    picture::{Picture, redraw},
};
use lipsync_core::{
    face::{Face, Mesh},
    generator::{Generator, Heard, Look},
    rect::Rect,
    sound::Bounds,
};

/// The network's picture, and the crop round it.
const SIZE: usize = 320;
const SIDE: usize = 328;
const BORDER: usize = 4;
const LEFT: usize = 41;
const TOP: usize = 23;
/// As SyncTalk_2D has it.
const ROWS: usize = 16;
const LENGTH: usize = 512;
const SILENCE: f32 = -4.0;
const EXACT: &str = "blend.kind = \"reference\"";

fn linear(channels: [[f32; 6]; 3]) -> Linear<'static> {
    Linear {
        size: SIZE as u64,
        batch: Dim::Fixed(1),
        names: ["audio", "input", "output"],
        channels,
        hears: [32, 16, 16],
        window: vec![0.0; 3 * ROWS * LENGTH],
        bias: [0.0; 3],
    }
}

/// White wherever it draws.
fn white() -> Linear<'static> {
    Linear {
        bias: [1.0; 3],
        ..linear([NOTHING; 3])
    }
}

fn folder(name: &str) -> PathBuf {
    crate::opening::folder("unet", name)
}

/// A model folder of its own for each test, with a manifest that has these lines.
fn model(name: &str, network: &Linear, lines: &str) -> PathBuf {
    let folder = folder(name);
    std::fs::write(folder.join("net.onnx"), network.bytes()).expect("a file");
    let encoder = crate::onnx::encoder(["mel_spectrogram", "audio_features"], LENGTH);
    std::fs::write(folder.join("ave.onnx"), encoder).expect("a file");
    let encoder = "files.audio-encoder = { path = \"ave.onnx\", sha256 = \"\" }";
    write_manifest(&folder, "unet", name, &format!("{encoder}\n{lines}"));
    folder
}

/// A face whose landmarks 1, 31 and 52 make a square of `side` at `x`, `y`.
fn face(x: usize, y: usize, side: usize) -> Face {
    let (left, top, side) = (x as f32, y as f32, side as f32);
    let mut mesh = Mesh::default();
    mesh.points.fill([left + side / 2.0, top + side / 2.0]);
    mesh.points[127] = [left, top - 5.0];
    mesh.points[356] = [left + side, top - 5.0];
    mesh.points[5] = [left + side / 2.0, top];
    mesh.points[195] = [left + side / 2.0, top];
    mesh.points[2] = [left + side / 2.0, top + 0.2 * side];
    mesh.points[152] = [left + side / 2.0, top + 0.65 * side];
    mesh.points[172] = [left + 0.15 * side, top + 0.45 * side];
    mesh.points[397] = [left + 0.85 * side, top + 0.45 * side];
    Face {
        id: 1,
        mesh,
        fresh: true,
        ..Face::default()
    }
}

fn noise() -> Picture {
    let mut random = fastrand::Rng::with_seed(7);
    Picture::filled(440, 400, || random.u8(..))
}

fn smooth() -> Picture {
    let mut at = 0;
    Picture::filled(440, 400, || {
        let (channel, x, y) = (at % 3, at / 3 % 440, at / 3 / 440);
        at += 1;
        (40 + x / 3 + y / 8 + 10 * channel) as u8
    })
}

/// What the network hears where `level` is everywhere in the frame at `time_ns`.
fn hear(
    generator: &mut dyn Generator,
    time_ns: i64,
    level: impl Fn(usize, i64) -> f32,
) -> Vec<f32> {
    let hearing = generator.hearing();
    let last_column = hearing.spectrum.column_for(time_ns + hearing.look_ahead_ns);
    let first = last_column + 1 - hearing.columns as i64;
    let mel: Vec<f32> = (0..80 * hearing.columns)
        .map(|at| level(at / hearing.columns, first + (at % hearing.columns) as i64))
        .collect();
    let bounds = Bounds {
        begin: Some(0),
        end: None,
    };
    let heard = Heard {
        mel: &mel,
        last_column,
        time_ns,
        bounds,
    };
    let mut out = Vec::new();
    generator.listen(&heard, &mut out).expect("inference works");
    out
}

fn draw(generator: &mut dyn Generator, before: &Picture, face: Option<&Face>) -> Picture {
    draw_to(generator, before, face, &[])
}

fn draw_to(
    generator: &mut dyn Generator,
    before: &Picture,
    face: Option<&Face>,
    heard: &[f32],
) -> Picture {
    let mut after = before.clone();
    redraw(generator, &mut after, face, &LOOK, heard).expect("inference works");
    after
}

/// Checks every byte of a frame with a crop of [`SIDE`] at (LEFT, TOP): `wanted(x, y, R G B
/// before)` in the network's picture, as before on the border and outside.
fn check(before: &Picture, after: &Picture, expected: impl Fn(usize, usize, [u8; 3]) -> [u8; 3]) {
    let pixels = before.data.as_chunks::<3>().0.iter();
    for (index, (a, b)) in pixels.zip(after.data.as_chunks::<3>().0).enumerate() {
        let (x, y) = (index % before.width, index / before.width);
        let (left, top) = (LEFT + BORDER, TOP + BORDER);
        let inside = (left..left + SIZE).contains(&x) && (top..top + SIZE).contains(&y);
        let expected = match inside {
            true => expected(x - left, y - top, *a),
            false => *a,
        };
        assert_eq!(*b, expected, "{x}, {y}");
    }
}

fn pixel(picture: &Picture, x: usize, y: usize) -> [u8; 3] {
    picture.data.as_chunks::<3>().0[y * picture.width + x]
}

/// Traps: red for blue; rows and columns for channels; -1..1 for 0..1; three channels for six.
#[test]
fn first_comes_the_face_as_it_is_in_bgr_and_comes_back_in_place() {
    let Some(mut generator) = opened(&model("whole", &linear([only(0), only(1), only(2)]), EXACT))
    else {
        return;
    };
    let before = noise();
    let after = draw(&mut *generator, &before, Some(&face(LEFT, TOP, SIDE)));
    check(&before, &after, |_, _, rgb| rgb);

    // Out: blue = nothing, green = nothing, red = the face's blue.
    let network = linear([NOTHING, NOTHING, only(0)]);
    let Some(mut generator) = opened(&model("blue", &network, EXACT)) else {
        return;
    };
    let after = draw(&mut *generator, &before, Some(&face(LEFT, TOP, SIDE)));
    check(&before, &after, |_, _, [_, _, blue]| [blue, 0, 0]);
}

/// Traps: the masked picture never sent, or first; another rectangle.
#[test]
fn then_comes_the_face_with_columns_5_to_314_of_rows_5_to_309_black() {
    let network = linear([NOTHING, NOTHING, only(3)]);
    let Some(mut generator) = opened(&model("masked", &network, EXACT)) else {
        return;
    };
    let before = noise();
    let after = draw(&mut *generator, &before, Some(&face(LEFT, TOP, SIDE)));
    check(&before, &after, |x, y, [_, _, blue]| {
        let black = (5..=314).contains(&x) && (5..=309).contains(&y);
        [if black { 0 } else { blue }, 0, 0]
    });
}

/// Traps: 320 pixels stretched over the whole box; the border lost.
#[test]
fn four_pixels_round_what_is_drawn_stay_as_they_were() {
    let Some(mut generator) = opened(&model("border", &white(), EXACT)) else {
        return;
    };
    let before = noise();
    let after = draw(&mut *generator, &before, Some(&face(LEFT, TOP, SIDE)));
    check(&before, &after, |_, _, _| [255; 3]);
}

/// Traps: the crop not scaled back to the box; scaled without half-pixel centres.
#[test]
fn the_crop_is_scaled_to_the_network_and_back_to_the_box() {
    let network = linear([only(0), only(1), only(2)]);
    let Some(mut generator) = opened(&model("scaled", &network, EXACT)) else {
        return;
    };
    let before = smooth();
    for side in [182, 77, 350] {
        let after = draw(&mut *generator, &before, Some(&face(30, 20, side)));
        let worst = before.data.iter().zip(&after.data);
        let worst = worst.map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst <= Some(2), "{side}: {worst:?}");
    }
    let Some(mut generator) = opened(&model("place", &white(), EXACT)) else {
        return;
    };
    let after = draw(&mut *generator, &before, Some(&face(30, 20, 164)));
    // Half of 328: the border is two pixels wide, and a sample of the cubic reaches one further.
    for (x, y) in [(30, 100), (193, 100), (100, 20), (100, 183)] {
        let differences = pixel(&before, x, y).into_iter().zip(pixel(&after, x, y));
        let worst = differences.map(|(a, b)| a.abs_diff(b)).max();
        assert!(worst <= Some(12), "{x}, {y}: {worst:?}");
    }
    for (x, y) in [(33, 100), (190, 100), (100, 23), (100, 180)] {
        assert_eq!(pixel(&after, x, y), [255; 3], "{x}, {y}");
    }
    for (x, y) in [(29, 100), (194, 100), (100, 19), (100, 184)] {
        assert_eq!(pixel(&after, x, y), pixel(&before, x, y), "{x}, {y}");
    }
}

/// Trap: rounding where the original cuts.
#[test]
fn what_is_drawn_is_cut_to_whole_numbers() {
    let network = Linear {
        bias: [254.9 / 255.0, 0.99 / 255.0, 1.01 / 255.0],
        ..linear([NOTHING; 3])
    };
    let Some(mut generator) = opened(&model("cut", &network, EXACT)) else {
        return;
    };
    let before = noise();
    let after = draw(&mut *generator, &before, Some(&face(LEFT, TOP, SIDE)));
    check(&before, &after, |_, _, _| [1, 0, 254]);
}

/// Traps: one box for all frames; all crops put on the first frame.
#[test]
fn every_frame_has_its_own_box_and_its_own_pixels() {
    let network = linear([only(2), only(1), only(0)]);
    let Some(mut generator) = opened(&model("moves", &network, EXACT)) else {
        return;
    };
    let mut before = noise();
    for (x, y) in [(LEFT, TOP), (LEFT + 60, TOP + 40), (LEFT + 3, TOP)] {
        before.data.rotate_left(3 * 17);
        let after = draw(&mut *generator, &before, Some(&face(x, y, SIDE)));
        let (inside, outside) = ((x + BORDER, y + BORDER), (x + BORDER - 1, y + BORDER));
        let [red, green, blue] = pixel(&before, inside.0, inside.1);
        assert_eq!(pixel(&after, inside.0, inside.1), [blue, green, red]);
        assert_eq!(
            pixel(&after, outside.0, outside.1),
            pixel(&before, outside.0, outside.1)
        );
    }
}

/// Traps: one row sixteen times; rows a mel column apart; only whole chunks of sound heard.
#[test]
fn sixteen_rows_lie_one_frame_of_25_apart_from_eight_before_the_frame() {
    let Some(mut generator) = opened(&model("rows", &linear([NOTHING; 3]), EXACT)) else {
        return;
    };
    assert_eq!(generator.hearing().look_ahead_ns, 452_500_000);
    for frame in [40_i64, 41, 42, 43, 44, 1_000_003] {
        // Every value of the mel says where it stands.
        let level = |band: usize, column: i64| (column % 997) as f32 / 200.0 + band as f32;
        let features = hear(&mut *generator, frame * 40_000_000, level);
        assert_eq!(features.len(), ROWS * LENGTH);
        for (row, features) in features.chunks_exact(LENGTH).enumerate() {
            // Row r of the table belongs to window r - 1, which begins at column 16 (r - 1) / 5.
            let start = 16 * (frame - 8 + row as i64 - 1) / 5;
            for (feature, found) in features.iter().enumerate() {
                let expected = level(feature % 80, start + (feature / 80 % 16) as i64);
                assert!((found - expected).abs() < 1e-4, "frame {frame}, row {row}");
            }
        }
    }
}

/// Traps: rows repeated at the beginning; the window as channels last.
#[test]
fn the_rows_are_the_networks_channels_and_zeros_where_there_is_no_sound() {
    // Feature 5 of row 11: 5632 values into the window.
    let mut network = linear([NOTHING; 3]);
    network.window[ROWS * LENGTH + 11 * LENGTH + 5] = 0.1;
    let Some(mut generator) = opened(&model("layout", &network, EXACT)) else {
        return;
    };
    let before = noise();
    let one = face(LEFT, TOP, SIDE);
    let green = |generator: &mut dyn Generator, frame: i64| {
        let heard = hear(generator, frame * 40_000_000, |band, column| {
            f32::from(u8::from(band == 5)) * (column % 10) as f32
        });
        let after = draw_to(generator, &before, Some(&one), &heard);
        pixel(&after, LEFT + 90, TOP + 90)[1]
    };
    for frame in [20, 21, 22, 23] {
        let level = (16 * (frame + 2) / 5 % 10) as f32 * 0.1;
        let expected = (level * 255.0) as u8;
        let found = green(&mut *generator, frame);
        assert!(
            found.abs_diff(expected) <= 1,
            "frame {frame}: {found}, {expected}"
        );
    }
    // Rows -8 to 7 of frame 0: nothing before row 0; rows 0 and 1 are window 0.
    let heard = hear(&mut *generator, 0, |_, column| column as f32);
    let rows: Vec<_> = heard.chunks_exact(LENGTH).collect();
    assert!(rows[..8].iter().all(|row| row.iter().all(|v| *v == 0.0)));
    let begins: Vec<f32> = rows[8..].iter().map(|row| row[0]).collect();
    assert_eq!(begins, [0.0, 0.0, 3.0, 6.0, 9.0, 12.0, 16.0, 19.0]);
    assert_eq!(rows[8][80], 1.0);
    assert_eq!(rows[8], rows[9]);
}

/// Trap: a mouth that goes on moving when nobody speaks.
#[test]
fn in_silence_the_network_hears_silence() {
    let mut network = linear([NOTHING; 3]);
    // Green = (feature 0 of row 3 + 4) / 8.
    network.window[ROWS * LENGTH + 3 * LENGTH] = 0.125;
    network.bias = [0.0, 0.5, 0.0];
    let Some(mut generator) = opened(&model("silence", &network, EXACT)) else {
        return;
    };
    let before = noise();
    for (activity, expected) in [(1.0, 255), (0.5, 127), (0.0, 0)] {
        let heard = hear(&mut *generator, 1_000_000_000, |_, _| -SILENCE);
        let mut after = before.clone();
        let look = Look { activity, ..LOOK };
        redraw(
            &mut *generator,
            &mut after,
            Some(&face(LEFT, TOP, SIDE)),
            &look,
            &heard,
        )
        .expect("inference works");
        assert_eq!(pixel(&after, LEFT + 90, TOP + 90)[1], expected);
    }
}

/// Trap: tensors found by one export's names only.
#[test]
fn any_names_and_any_batch_are_recognised_in_a_bare_file_with_its_encoder_beside() {
    let before = noise();
    for (name, names, batch, encoder) in [
        (
            "usual",
            ["audio", "input", "output"],
            Dim::Fixed(1),
            "net-ave.onnx",
        ),
        (
            "script",
            ["audio_input", "visual_input", "x"],
            Dim::Open("batch"),
            "audio_encoder.onnx",
        ),
        ("other", ["z", "a", "b"], Dim::Fixed(3), "net-ave.onnx"),
    ] {
        let folder = folder(&format!("bare-{name}"));
        let network = Linear {
            names,
            batch,
            ..white()
        };
        let path = folder.join("net.onnx");
        std::fs::write(&path, network.bytes()).expect("a file");
        if name == "usual" {
            let _ = std::fs::remove_file(folder.join(encoder));
            let Some(message) = refused(&path) else {
                return;
            };
            assert!(message.contains("`NAME-ave.onnx`"), "{message}");
        }
        std::fs::write(
            folder.join(encoder),
            crate::onnx::encoder(["m", "f"], LENGTH),
        )
        .expect("a file");
        let Some(mut generator) = opened(&path) else {
            return;
        };
        assert_eq!(generator.name(), "unet (net.onnx)");
        assert!(generator.needs_face());
        let heard = hear(&mut *generator, 0, |_, _| SILENCE);
        // The default is soft: white on the mouth, darkened towards the skin round it as far as
        // colours are matched; the frame's own bytes on eyes and cheeks.
        let after = draw_to(
            &mut *generator,
            &before,
            Some(&face(LEFT, TOP, SIDE)),
            &heard,
        );
        let mouth = (LEFT + SIDE / 2, TOP + SIDE * 9 / 20);
        assert_eq!(pixel(&after, mouth.0, mouth.1), [223; 3]);
        for (x, y) in [(LEFT + 10, TOP + 150), (LEFT + 164, TOP + 20), (0, 0)] {
            assert_eq!(pixel(&after, x, y), pixel(&before, x, y), "{x}, {y}");
        }
    }
}

#[test]
fn an_encoder_beside_is_not_read_from_elsewhere() {
    let folder = folder("bare-outside");
    let inner = folder.join("inner");
    let _ = std::fs::remove_dir_all(&inner);
    std::fs::create_dir(&inner).expect("a folder");
    let path = inner.join("net.onnx");
    std::fs::write(&path, white().bytes()).expect("a file");
    let encoder = crate::onnx::encoder(["m", "f"], LENGTH);
    std::fs::write(folder.join("secret.onnx"), &encoder).expect("a file");
    let link = inner.join("net-ave.onnx");
    std::os::unix::fs::symlink("../secret.onnx", &link).expect("a link");
    let Some(message) = refused(&path) else {
        return;
    };
    assert!(message.contains("outside its own folder"), "{message}");
    // One that leads nowhere else is as good as the file.
    std::fs::remove_file(&link).expect("the link");
    std::fs::write(inner.join("encoder-1.onnx"), &encoder).expect("a file");
    std::os::unix::fs::symlink("encoder-1.onnx", &link).expect("a link");
    assert!(opened(&path).is_some());
}

#[test]
fn tensors_that_shapes_do_not_tell_apart_are_told_by_name() {
    let lines = format!(
        "{EXACT}\ntensors = {{ image = \"input\", sound = \"audio\", output = \"output\", \
         mel = \"mel_spectrogram\", features = \"audio_features\" }}"
    );
    let Some(mut generator) = opened(&model("named", &white(), &lines)) else {
        return;
    };
    let before = noise();
    let after = draw(&mut *generator, &before, Some(&face(LEFT, TOP, SIDE)));
    check(&before, &after, |_, _, _| [255; 3]);
    for (name, line, expected) in [
        ("misnamed", "tensors.sound = \"sound\"", "named sound"),
        ("unheard", "tensors.mel = \"mel\"", "named mel"),
        (
            "few",
            "sound.rows = 8\nsound.rows-before = 4",
            "has 4096 numbers, 8 rows",
        ),
        (
            "hubert",
            "sound.features = \"hubert\"",
            "training/export_hubert.py",
        ),
        ("sized", "image.size = 160", "the network has 320"),
        (
            "turned",
            "crop.box = \"ffhq\"\nblend.kind = \"reference\"",
            "turns with the face",
        ),
    ] {
        let Some(message) = refused(&model(name, &white(), line)) else {
            return;
        };
        assert!(message.contains(expected), "{message}\nexpected {expected}");
    }
}

/// Ultralight and Duix have 160 pixels in a crop of 168, Duix in R G B from -1 to 1.
#[test]
fn networks_of_160_pixels_have_their_own_rectangle_and_range() {
    let lines = format!(
        "{EXACT}\nimage.order = \"rgb\"\nimage.range = [-1, 1]\ncrop.scale = \"area\"\n\
         blend.scale = \"area\""
    );
    let network = Linear {
        size: 160,
        ..linear([only(3), only(1), only(2)])
    };
    let Some(mut generator) = opened(&model("duix", &network, &lines)) else {
        return;
    };
    let before = noise();
    let after = draw(&mut *generator, &before, Some(&face(LEFT, TOP, 168)));
    for (index, (a, b)) in before.data.iter().zip(&after.data).enumerate() {
        let (x, y) = (index / 3 % before.width, index / 3 / before.width);
        let inside = (LEFT + 9..LEFT + 159).contains(&x) && (TOP + 9..TOP + 154).contains(&y);
        let expected = if inside && index % 3 == 0 { 0 } else { *a };
        // -1..1 does not hold every level exactly, and what is drawn is cut, not rounded.
        assert!(
            b.abs_diff(expected) <= 1,
            "{x}, {y}: {b}, expected {expected}"
        );
    }
}

#[test]
fn a_fixed_box_needs_no_face() {
    let place = format!("{EXACT}\ncrop.box = [{LEFT}, {TOP}, {SIDE}, {SIDE}]");
    let Some(mut generator) = opened(&model("fixed", &white(), &place)) else {
        return;
    };
    assert!(!generator.needs_face());
    let before = noise();
    let after = draw(&mut *generator, &before, None);
    check(&before, &after, |_, _, _| [255; 3]);
    // With a soft edge, mouth and jaw have to be found.
    let place = format!("crop.box = [{LEFT}, {TOP}, {SIDE}, {SIDE}]");
    let Some(mut generator) = opened(&model("fixed-soft", &white(), &place)) else {
        return;
    };
    assert!(generator.needs_face());
    let after = draw(&mut *generator, &before, None);
    assert!(after.data == before.data);
}

#[test]
fn a_region_of_upstream_replaces_the_box() {
    let Some(mut generator) = opened(&model(
        "roi",
        &white(),
        &format!("{EXACT}\ncrop.roi = true"),
    )) else {
        return;
    };
    let before = noise();
    let corners = [LEFT, TOP, LEFT + SIDE, TOP + SIDE].map(|v| v as f32);
    let face = Face {
        region: Some(Rect::new(corners)),
        ..face(100, 100, 50)
    };
    let after = draw(&mut *generator, &before, Some(&face));
    check(&before, &after, |_, _, _| [255; 3]);
}

/// Trap: one session's tensors used from several threads at once.
#[test]
fn generators_that_share_a_session_do_not_disturb_each_other() {
    let mut network = linear([only(0), only(1), only(2)]);
    network.window[7 * LENGTH] = 0.05;
    let path = model("shared", &network, EXACT);
    let Some(mut alone) = opened(&path) else {
        return;
    };
    let drawn = |generator: &mut dyn Generator, stream: usize| {
        let before = noise();
        let frames = (0..6).map(|frame| {
            let level =
                |_: usize, column: i64| (column * (stream as i64 + 3)).rem_euclid(9) as f32 - 4.0;
            let heard = hear(generator, frame * 33_366_700, level);
            let one = face(LEFT + stream, TOP, SIDE - 10 * stream);
            draw_to(generator, &before, Some(&one), &heard).data
        });
        frames.collect::<Vec<_>>()
    };
    let expected: Vec<_> = (0..3)
        .map(|stream| {
            alone.reset();
            drawn(&mut *alone, stream)
        })
        .collect();
    std::thread::scope(|scope| {
        for (stream, expected) in expected.iter().enumerate() {
            let (path, drawn) = (&path, &drawn);
            scope.spawn(move || {
                let mut generator = opened(path).expect("it opened before");
                assert!(
                    drawn(&mut *generator, stream) == *expected,
                    "stream {stream}"
                );
            });
        }
    });
}

/// Exports that leave height and width open, of the network's window too, have the family's.
#[test]
fn open_sizes_are_the_familys() {
    let folder = folder("open");
    let network = folder.join("net.onnx");
    std::fs::write(&network, white().with_open_sizes()).expect("a file");
    let encoder = crate::onnx::encoder(["mel_spectrogram", "audio_features"], LENGTH);
    std::fs::write(folder.join("net-ave.onnx"), encoder).expect("a file");
    let Some(mut generator) = opened(&network) else {
        return;
    };
    assert_eq!(generator.name(), "unet (net.onnx)");
    let before = noise();
    let after = draw(&mut *generator, &before, Some(&face(LEFT, TOP, SIDE)));
    assert!(after.data != before.data);
    let encoder = "files.audio-encoder = { path = \"net-ave.onnx\", sha256 = \"\" }";
    write_manifest(&folder, "unet", "open", &format!("{encoder}\n{EXACT}"));
    let Some(mut generator) = opened(&folder) else {
        return;
    };
    let after = draw(&mut *generator, &before, Some(&face(LEFT, TOP, SIDE)));
    check(&before, &after, |_, _, _| [255; 3]);
}
