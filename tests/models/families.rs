//! Networks of somebody else: what they are given, and where what they draw ends up, byte by byte.
//!
//! The networks are real ones that ONNX Runtime runs, linear and tiny, so that every output pixel
//! is known beforehand.

use std::path::{Path, PathBuf};

use crate::{
    onnx::{self, Dim, Linear, NOTHING, only},
    opening::{LOOK, opened, refused, write_manifest},
    picture::{Picture, redraw},
};
use lipsync_core::{
    Error,
    face::{Face, Mesh},
    generator::{Generator, Heard, Look, Spot},
    sound::Bounds,
};

const SIZE: usize = 96;
/// The box of the face in all frames here, as large as the network's picture.
const LEFT: usize = 37;
const TOP: usize = 21;
const SILENCE: f32 = -4.0;
fn linear(channels: [[f32; 6]; 3]) -> Linear<'static> {
    Linear {
        size: SIZE as u64,
        batch: Dim::Fixed(1),
        names: ["mel_spectrogram", "video_frames", "predicted_frames"],
        channels,
        hears: [1, 80, 16],
        window: vec![0.0; 3 * 80 * 16],
        bias: [0.0; 3],
    }
}

fn folder(name: &str) -> PathBuf {
    crate::opening::folder("families", name)
}

/// Opens `network` with a manifest that has these lines, or says why that is not possible here.
fn open(name: &str, network: &Linear, lines: &str) -> Option<Box<dyn Generator>> {
    let folder = folder(name);
    std::fs::write(folder.join("net.onnx"), network.bytes()).expect("a file");
    let lines = format!("crop.pads = [0, 0, 0, 0]\n{lines}");
    write_manifest(&folder, "wav2lip", name, &lines);
    opened(&folder)
}

/// A face whose mesh fills a box of `width` x `height` at (LEFT, TOP).
fn face(width: usize, height: usize) -> Face {
    let (x, y) = (LEFT as f32, TOP as f32);
    let (width, height) = (width as f32, height as f32);
    let mut mesh = Mesh::default();
    mesh.points.fill([x + width / 2.0, y + height / 2.0]);
    mesh.points[10] = [x + width / 2.0, y];
    mesh.points[152] = [x + width / 2.0, y + height];
    mesh.points[234] = [x, y + height / 2.0];
    mesh.points[454] = [x + width, y + height / 2.0];
    mesh.points[2] = [x + width / 2.0, y + 0.55 * height];
    mesh.points[172] = [x + 0.1 * width, y + 0.7 * height];
    mesh.points[397] = [x + 0.9 * width, y + 0.7 * height];
    Face {
        id: 1,
        mesh,
        fresh: true,
        ..Face::default()
    }
}

fn noise() -> Picture {
    let mut random = fastrand::Rng::with_seed(7);
    Picture::filled(200, 160, || random.u8(..))
}

fn heard(mel: &[f32]) -> Heard<'_> {
    Heard {
        mel,
        last_column: 15,
        time_ns: 0,
        bounds: Bounds::default(),
    }
}

/// What the network hears of it.
fn listen(generator: &mut dyn Generator, mel: &[f32]) -> Vec<f32> {
    let mut out = Vec::new();
    generator
        .listen(&heard(mel), &mut out)
        .expect("a window of the right size");
    out
}

/// `picture` redrawn for `mel`.
fn redrawn(generator: &mut dyn Generator, picture: &Picture, mel: &[f32], look: &Look) -> Picture {
    let mut after = picture.clone();
    let heard = listen(generator, mel);
    redraw(generator, &mut after, Some(&face(SIZE, SIZE)), look, &heard).expect("inference works");
    after
}

/// Checks every byte: inside the box `wanted(row of the box, R G B before)`, outside as before.
fn check(before: &Picture, after: &Picture, expected: impl Fn(usize, [u8; 3]) -> [u8; 3]) {
    for (index, (a, b)) in before
        .data
        .as_chunks::<3>()
        .0
        .iter()
        .zip(after.data.as_chunks::<3>().0)
        .enumerate()
    {
        let (x, y) = (index % before.width, index / before.width);
        let inside = (LEFT..LEFT + SIZE).contains(&x) && (TOP..TOP + SIZE).contains(&y);
        let expected = if inside { expected(y - TOP, *a) } else { *a };
        assert_eq!(*b, expected, "{x}, {y}");
    }
}

const EXACT: &str = "blend.kind = \"reference\"";
const QUIET: [f32; 80 * 16] = [SILENCE; 80 * 16];

#[test]
fn the_reference_comes_back_where_it_was() {
    let network = linear([only(3), only(4), only(5)]);
    let Some(mut generator) = open("identity", &network, EXACT) else {
        return;
    };
    let before = noise();
    let after = redrawn(&mut *generator, &before, &QUIET, &LOOK);
    check(&before, &after, |_, rgb| rgb);
}

#[test]
fn first_comes_the_picture_with_its_lower_half_black_in_bgr() {
    // Out: blue = nothing, green = nothing, red = the masked picture's blue.
    let network = linear([NOTHING, NOTHING, only(0)]);
    let Some(mut generator) = open("masked", &network, EXACT) else {
        return;
    };
    let before = noise();
    let after = redrawn(&mut *generator, &before, &QUIET, &LOOK);
    check(&before, &after, |row, [_, _, blue]| match row < SIZE / 2 {
        true => [blue, 0, 0],
        false => [0, 0, 0],
    });
}

#[test]
fn then_comes_the_whole_picture() {
    // Out: blue = the whole picture's red, green = its green.
    let network = linear([only(5), only(4), NOTHING]);
    let Some(mut generator) = open("whole", &network, EXACT) else {
        return;
    };
    let before = noise();
    let after = redrawn(&mut *generator, &before, &QUIET, &LOOK);
    check(&before, &after, |_, [red, green, _]| [0, green, red]);
}

#[test]
fn order_planes_range_and_mask_are_the_manifests() {
    // Channels 0 to 2 are the whole picture, R first, -1..1; 3 to 5 have the mask.
    let lines = format!(
        "{EXACT}\nimage.order = \"rgb\"\nimage.range = [-1, 1]\n\
         image.planes = [\"reference\", \"masked\"]\nimage.mask = [0, 10, 96, 20]"
    );
    let network = linear([only(1), only(0), only(5)]);
    let Some(mut generator) = open("other", &network, &lines) else {
        return;
    };
    let before = noise();
    let after = redrawn(&mut *generator, &before, &QUIET, &LOOK);
    for (index, (a, b)) in before.data.iter().zip(&after.data).enumerate() {
        let pixel = index / 3;
        let (x, y) = (pixel % before.width, pixel / before.width);
        let inside = (LEFT..LEFT + SIZE).contains(&x) && (TOP..TOP + SIZE).contains(&y);
        let expected = match (inside, index % 3) {
            (false, _) => *a,
            (true, 0) => before.data[index + 1],
            (true, 1) => before.data[index - 1],
            (true, _) if (TOP + 10..TOP + 30).contains(&y) => 0,
            (true, _) => *a,
        };
        // -1..1 does not hold every level exactly, and what is drawn is cut, not rounded.
        assert!(
            b.abs_diff(expected) <= 1,
            "{x}, {y}: {b}, expected {expected}"
        );
    }
}

#[test]
fn each_place_of_the_window_is_heard_and_silence_when_nobody_speaks() {
    const BAND: usize = 23;
    const COLUMN: usize = 11;
    let mut network = linear([NOTHING; 3]);
    // Green = (mel + 4) / 8 of one band in one column.
    network.window[80 * 16 + BAND * 16 + COLUMN] = 0.125;
    network.bias = [0.0, 0.5, 0.0];
    let Some(mut generator) = open("window", &network, EXACT) else {
        return;
    };
    let before = noise();
    let mut mel = QUIET;
    mel[BAND * 16 + COLUMN] = 4.0;
    let mut green = |mel: &[f32], activity: f32| {
        let look = Look { activity, ..LOOK };
        let after = redrawn(&mut *generator, &before, mel, &look);
        after.data[(TOP * before.width + LEFT) * 3 + 1]
    };
    assert_eq!(green(&mel, 1.0), 255);
    assert_eq!(green(&mel, 0.5), 127);
    assert_eq!(green(&mel, 0.0), 0);
    for other in [
        BAND * 16 + COLUMN - 1,
        BAND * 16 + COLUMN + 1,
        (BAND + 1) * 16 + COLUMN,
    ] {
        let mut mel = QUIET;
        mel[other] = 4.0;
        assert_eq!(green(&mel, 1.0), 0);
    }
}

#[test]
fn the_window_begins_at_the_frame() {
    let Some(generator) = open("begins", &linear([NOTHING; 3]), EXACT) else {
        return;
    };
    let hearing = generator.hearing();
    assert_eq!(hearing.look_ahead_ns, 212_500_000);
    for (numerator, denominator) in [(25, 1), (24, 1), (30, 1), (30_000, 1_001), (50, 1), (60, 1)] {
        for frame in 0..10_000_i64 {
            let time_ns = frame * 1_000_000_000 * denominator / numerator;
            let last = hearing.spectrum.column_for(time_ns + hearing.look_ahead_ns);
            let first = last + 1 - hearing.columns as i64;
            assert_eq!(
                first,
                time_ns * 80 / 1_000_000_000,
                "frame {frame} of {numerator}"
            );
            // 25 frames a second are whole nanoseconds: exactly Wav2Lip's int(i * 80 / fps).
            if numerator == 25 {
                assert_eq!(first, frame * 16 / 5);
            }
        }
    }
}

#[test]
fn any_names_any_batch_any_size_are_recognised_in_a_bare_file() {
    let folder = folder("bare");
    let before = noise();
    for (size, batch, names) in [
        (96, Dim::Open("batch"), ["source", "target", "output"]),
        (96, Dim::Fixed(3), ["audio", "input", "x"]),
        (288, Dim::Fixed(1), ["z", "a", "b"]),
    ] {
        // White, so that it shows where it is put.
        let network = Linear {
            size,
            batch,
            names,
            bias: [1.0; 3],
            ..linear([NOTHING; 3])
        };
        let path = folder.join(format!("{}.onnx", names[0]));
        std::fs::write(&path, network.bytes()).expect("a file");
        let Some(mut generator) = opened(&path) else {
            return;
        };
        assert_eq!(generator.name(), format!("wav2lip ({}.onnx)", names[0]));
        let after = redrawn(&mut *generator, &before, &QUIET, &LOOK);
        let at = |x: usize, y: usize| ((TOP + y) * before.width + LEFT + x) * 3;
        // The default is soft: white on the mouth, darkened towards the skin round it as far as
        // colours are matched; the frame's own bytes on eyes and cheeks.
        assert_eq!(after.data[at(48, 74)..][..3], [223; 3]);
        for (x, y) in [(48, 30), (2, 70), (94, 70), (48, 47), (0, 0)] {
            assert_eq!(
                after.data[at(x, y)..][..3],
                before.data[at(x, y)..][..3],
                "{x}, {y}"
            );
        }
    }
}

#[test]
fn strength_fades_and_nothing_is_drawn_beside_the_frame() {
    let network = Linear {
        bias: [1.0; 3],
        ..linear([NOTHING; 3])
    };
    for lines in ["blend.match-colour = false", EXACT] {
        let Some(mut generator) = open("fades", &network, lines) else {
            return;
        };
        let before = Picture::filled(200, 160, || 55);
        let mouth = ((TOP + 74) * before.width + LEFT + 48) * 3;
        for (strength, expected) in [(0.5, 155), (1.0, 255), (2.0, 255)] {
            let look = Look { strength, ..LOOK };
            let after = redrawn(&mut *generator, &before, &QUIET, &look);
            assert_eq!(after.data[mouth], expected);
        }
        for shift in [[-400.0, 0.0], [0.0, 500.0], [f32::NAN, 0.0]] {
            let mut face = face(SIZE, SIZE);
            for point in face.mesh.points.iter_mut() {
                *point = [point[0] + shift[0], point[1] + shift[1]];
            }
            let mut after = before.clone();
            redraw(&mut *generator, &mut after, Some(&face), &LOOK, &[])
                .expect("nothing to draw is no error");
            assert!(after.data == before.data, "{shift:?}");
        }
    }
}

#[test]
fn a_network_that_returns_nan_leaves_the_frame_alone() {
    let network = Linear {
        bias: [f32::NAN; 3],
        ..linear([NOTHING; 3])
    };
    let Some(mut generator) = open("nan", &network, EXACT) else {
        return;
    };
    let before = noise();
    let mut after = before.clone();
    let heard = listen(&mut *generator, &QUIET);
    let one = face(SIZE, SIZE);
    let err =
        redraw(&mut *generator, &mut after, Some(&one), &LOOK, &heard).expect_err("not numbers");
    assert!(matches!(err, Error::Inference { .. }), "{err}");
    assert!(after.data == before.data);
}

/// The network in `net.onnx` of that folder, alone and with a manifest that has these lines: what it
/// draws of a picture and a mel window with one loud spot.
fn drawn_from_file(folder: &Path, network: &[u8], lines: &str) -> Option<Picture> {
    let file = folder.join("net.onnx");
    std::fs::write(&file, network).expect("a file");
    assert_eq!(opened(&file)?.name(), "wav2lip (net.onnx)");
    let lines = format!("crop.pads = [0, 0, 0, 0]\n{EXACT}\n{lines}");
    write_manifest(folder, "wav2lip", "a test", &lines);
    let mut mel = QUIET;
    mel[LOUD] = 2.0;
    Some(redrawn(&mut *opened(folder)?, &noise(), &mel, &LOOK))
}

/// A network that shows the picture's red and green, and as blue a half and a share of what it
/// hears there.
fn listening() -> Linear<'static> {
    let mut network = linear([NOTHING, only(4), only(5)]);
    network.window[LOUD] = 0.125;
    network.bias[0] = 0.5;
    network
}

/// A place in the mel window: band 40, column 3.
const LOUD: usize = 40 * 16 + 3;

/// GPU exports have fp16 in and out.
#[test]
fn networks_of_other_floats_draw_the_same_but_for_their_rounding() {
    let plain = drawn_from_file(&folder("fp32"), &listening().bytes(), "");
    let Some(plain) = plain else {
        return;
    };
    let before = noise();
    check(&before, &plain, |_, [red, green, _]| [red, green, 191]);
    for (name, numbers, most) in [
        ("fp16", onnx::FLOAT16, 1),
        ("bf16", onnx::BFLOAT16, 2),
        ("double", onnx::DOUBLE, 0),
    ] {
        let network = listening().with_numbers(numbers);
        let drawn = drawn_from_file(&folder(name), &network, "").expect("as before");
        let differences = plain.data.iter().zip(&drawn.data);
        let worst = differences.map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst <= Some(most), "{name}: {worst:?}");
    }
}

/// Exports that leave height and width open take the manifest's size, or the family's.
#[test]
fn open_sizes_are_the_manifests_or_the_familys() {
    let network = listening().with_open_sizes();
    let folder = folder("open");
    let Some(drawn) = drawn_from_file(&folder, &network, "") else {
        return;
    };
    check(&noise(), &drawn, |_, [red, green, _]| [red, green, 191]);
    let seen = |lines: &str| {
        write_manifest(&folder, "wav2lip", "a test", lines);
        let generator = opened(&folder).expect("as before");
        let (mut seen, mut spot) = (Vec::new(), Spot::default());
        let mut picture = noise();
        let face = face(SIZE, SIZE);
        let mut brush = generator.brushes()();
        assert!(brush.sample(&picture.view(), Some(&face), 0, true, &mut seen, &mut spot));
        seen.len()
    };
    assert_eq!(seen(""), 6 * 96 * 96);
    assert_eq!(seen("image.size = 128"), 6 * 128 * 128);
    let names = "tensors.sound = \"mel_spectrogram\"\ntensors.image = \"video_frames\"";
    assert_eq!(seen(&format!("{names}\nimage.size = 64")), 6 * 64 * 64);
}

#[test]
fn what_does_not_fit_is_said() {
    let folder = folder("misfits");
    let path = folder.join("doubling.onnx");
    let network = crate::onnx::doubling(crate::onnx::FLOAT, &[Dim::Fixed(1), Dim::Fixed(6)]);
    std::fs::write(&path, network).expect("a file");
    let cases = [
        (path, "x [1, 6] -> y [1, 6]"),
        (misfit("named", "tensors.image = \"face\""), "named face"),
        (misfit("sized", "image.size = 128"), "the network has 96"),
        (misfit("keyed", "image.sise = 96"), "Did you mean `size`?"),
        (
            misfit("outside", "crop.border = 4\ncrop.size = 100"),
            "border of 4",
        ),
    ];
    for (path, expected) in cases {
        if let Some(message) = refused(&path) {
            assert!(message.contains(expected), "{message}\nexpected {expected}");
        }
    }
}

/// A model folder whose manifest has a line that does not fit.
fn misfit(name: &str, line: &str) -> PathBuf {
    let folder = folder(name);
    std::fs::write(folder.join("net.onnx"), linear([NOTHING; 3]).bytes()).expect("a file");
    write_manifest(&folder, "wav2lip", name, line);
    folder
}

#[test]
fn edtalk_sees_the_aligned_face_in_rgb_and_is_told_how_strongly() {
    const BAND: usize = 40;
    const COLUMN: usize = 3;
    const SIDE: usize = 64;
    let folder = folder("edtalk");
    let network = crate::onnx::edtalk(SIDE as u64, BAND, COLUMN);
    std::fs::write(folder.join("net.onnx"), network).expect("a file");
    let Some(bare) = opened(&folder.join("net.onnx")) else {
        return;
    };
    assert_eq!(bare.name(), "edtalk (net.onnx)");
    assert_eq!(bare.hearing().look_ahead_ns, 212_500_000);
    let manifest = "version = 1\nfamily = \"edtalk\"\nname = \"a\"\nlicence = \"b\"\nsource = \"c\"\n\
                    files.generator = { path = \"net.onnx\", sha256 = \"\" }\n\
                    blend.match-colour = false\n";
    std::fs::write(folder.join("manifest.toml"), manifest).expect("a file");
    let Some(mut generator) = opened(&folder) else {
        return;
    };
    let before = Picture::filled(200, 160, || 40);
    // FFHQ's square of 128 pixels at 30, 10; the mouth's mask is taken from other points.
    let mut face = face(SIZE, SIZE);
    for (points, [x, y]) in [
        (&[33, 133][..], [0.376_917, 0.468_647]),
        (&[362, 263], [0.622_857, 0.469_128]),
        (&[4], [0.501_239, 0.613_319]),
        (&[61], [0.393_088, 0.725_411]),
        (&[291], [0.611_502, 0.724_905]),
    ] {
        for &point in points {
            face.mesh.points[point] = [30.0 + 128.0 * x, 10.0 + 128.0 * y];
        }
    }
    let mut mel = QUIET;
    mel[BAND * 16 + COLUMN] = 0.0;
    for (strength, expected) in [
        (1.0, [103, 40, 127]),
        (1.6, [142, 40, 127]),
        (2.0, [167, 40, 127]),
    ] {
        let mut after = before.clone();
        let look = Look { strength, ..LOOK };
        let heard = listen(&mut *generator, &mel);
        redraw(&mut *generator, &mut after, Some(&face), &look, &heard).expect("inference works");
        // Red = 40 + 255 / 2 of the weight, which is half the strength.
        let mouth = ((TOP + 74) * before.width + LEFT + 48) * 3;
        let found = &after.data[mouth..][..3];
        let close = found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 1);
        assert!(close, "{strength}: {found:?}, expected {expected:?}");
        assert_eq!(after.data[..600], before.data[..600]);
    }
}

#[test]
fn a_tint_of_the_whole_picture_is_taken_off_with_a_soft_edge_only() {
    // The picture as it is, but 20 levels redder and bluish by 10.
    let network = Linear {
        bias: [10.0 / 255.0, 0.0, 20.0 / 255.0],
        ..linear([only(3), only(4), only(5)])
    };
    let mut at = 0;
    let before = Picture::filled(200, 160, || {
        at += 1;
        (60 + at % 3 * 30 + at / 3 % 200 / 4) as u8
    });
    for (lines, most) in [("", 1), ("blend.match-colour = false", 20), (EXACT, 20)] {
        let Some(mut generator) = open("tint", &network, lines) else {
            return;
        };
        let after = redrawn(&mut *generator, &before, &QUIET, &LOOK);
        let differences = before.data.iter().zip(&after.data);
        let worst = differences.map(|(a, b)| a.abs_diff(*b)).max();
        assert!(
            worst.is_some_and(|worst| worst.abs_diff(most) <= 1),
            "{lines}: {worst:?}"
        );
    }
}
