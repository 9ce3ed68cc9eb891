//! The family `wav2lip` against the Python reference pipeline on the same frames, boxes and sound.
//!
//! Needs `LIPSYNC_PARITY_PYTHON`: a Python that has what `bench/python/requirements.txt` names.
//! Skips with the reason printed otherwise.

mod picture;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use gstlipsync::{
    Error,
    face::{Face, Mesh},
    generator::{self, Heard, Look, Source},
    runtime,
    sound::{SampleFormat, Sound},
};
use picture::Picture;

const WIDTH: usize = 320;
const HEIGHT: usize = 240;
const FRAMES: usize = 8;
const RATE: u32 = 16_000;
/// A second of sound: at its end the reference repeats its last window, which a stream cannot.
const SAMPLES: usize = RATE as usize;
/// Boxes larger and smaller than the network's picture, and not square.
const BOXES: [[usize; 4]; 4] = [
    [60, 20, 230, 235],
    [61, 22, 229, 230],
    [100, 50, 170, 140],
    [0, 0, 96, 96],
];

/// One `.npy`: what follows its header, which holds the shape for people.
fn npy(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).expect("the reference has written it");
    let header = u16::from_le_bytes([bytes[8], bytes[9]]);
    bytes[10 + usize::from(header)..].to_vec()
}

fn run(python: &str, arguments: &[&str]) {
    let status = Command::new(python)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdout(std::process::Stdio::null())
        .status()
        .expect("LIPSYNC_PARITY_PYTHON can be run");
    assert!(status.success(), "{arguments:?}");
}

/// Something like a face, and something like a voice: smooth, with edges, and different each time.
fn frame(index: usize) -> Picture {
    let mut at = 0;
    Picture::filled(WIDTH, HEIGHT, || {
        let (channel, x, y) = (at % 3, at / 3 % WIDTH, at / 3 / WIDTH);
        at += 1;
        let (u, v) = (x as f32 / 40.0 + index as f32, y as f32 / 30.0);
        let edge = if (x / 16 + y / 16) % 2 == 0 {
            20.0
        } else {
            0.0
        };
        (110.0 + 60.0 * (u + channel as f32).sin() * v.cos() + edge) as u8
    })
}

fn voice() -> Vec<u8> {
    (0..SAMPLES)
        .flat_map(|n| {
            let t = n as f32 / RATE as f32;
            let loud = (t * 9.0).sin().abs();
            let value = loud * ((t * 900.0).sin() + 0.5 * (t * 3_100.0).sin()) * 8_000.0;
            (value as i16).to_le_bytes()
        })
        .collect()
}

/// A mono WAVE file.
fn wave(samples: &[u8]) -> Vec<u8> {
    let length = samples.len() as u32;
    let mut bytes = Vec::from(*b"RIFF");
    bytes.extend((36 + length).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    bytes.extend(RATE.to_le_bytes());
    bytes.extend((2 * RATE).to_le_bytes());
    bytes.extend(b"\x02\0\x10\0data");
    bytes.extend(length.to_le_bytes());
    bytes.extend(samples);
    bytes
}

/// A face whose box is `place`, with the 10 pixels below that the manifest adds.
fn face([x0, y0, x1, y1]: [usize; 4]) -> Face {
    let mut mesh = Mesh::default();
    mesh.points.fill([x0 as f32, y0 as f32]);
    mesh.points[152] = [x1 as f32, (y1 - 10) as f32];
    Face {
        id: 1,
        mesh,
        fresh: true,
    }
}

fn compare(name: &str) {
    let Ok(python) = std::env::var("LIPSYNC_PARITY_PYTHON") else {
        println!("skipped: LIPSYNC_PARITY_PYTHON names no Python");
        return;
    };
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join("parity")
        .join(name);
    std::fs::create_dir_all(&folder).expect("a folder to write to");
    let path = |file: &str| folder.join(file).display().to_string();
    let manifest = path(&format!("{name}.toml"));
    if !Path::new(&manifest).exists() {
        run(&python, &["training/reference_models.py", &path(""), name]);
    }

    let mut bgr = Vec::new();
    let mut frames: Vec<Picture> = (0..FRAMES).map(frame).collect();
    for frame in &frames {
        bgr.extend(
            frame
                .data
                .as_chunks::<3>()
                .0
                .iter()
                .flat_map(|&[r, g, b]| [b, g, r]),
        );
    }
    let boxes: Vec<_> = (0..FRAMES).map(|i| BOXES[i % BOXES.len()]).collect();
    std::fs::write(folder.join("frames.bgr"), bgr).expect("a file");
    std::fs::write(folder.join("boxes.json"), format!("{boxes:?}")).expect("a file");
    std::fs::write(folder.join("voice.wav"), wave(&voice())).expect("a file");
    let size = format!("{WIDTH}x{HEIGHT}");
    run(
        &python,
        &[
            "tests/parity/reference.py",
            &manifest,
            "--frames",
            &path("frames.bgr"),
            "--frame-size",
            &size,
            "--boxes",
            &path("boxes.json"),
            "--sound",
            &path("voice.wav"),
            "--out",
            &path("out"),
        ],
    );
    let wanted = npy(&folder.join("out/frames.npy"));
    assert_eq!(wanted.len(), FRAMES * WIDTH * HEIGHT * 3);

    let source = Source::Path(manifest.into());
    let mut generator = match generator::open(&source, &runtime::Options::default()) {
        Ok(opened) => opened.generator,
        Err(err @ Error::RuntimeMissing { .. }) => {
            println!("skipped: {err}");
            return;
        }
        Err(err) => panic!("{err}"),
    };
    let mut sound = Sound::new();
    sound
        .configure(SampleFormat::S16, RATE, 1)
        .expect("16 kHz mono is usable");
    sound.push(&voice(), 0, true);
    sound.finish();
    let hearing = generator.hearing();
    let mut mel = vec![0.0; 80 * hearing.columns];
    let look = Look {
        strength: 1.0,
        activity: 1.0,
        feather: 0.5,
    };
    let (mut most, mut sum, mut count) = (0, 0_u64, 0_u64);
    let wanted = wanted.chunks_exact(WIDTH * HEIGHT * 3);
    for (index, (picture, wanted)) in frames.iter_mut().zip(wanted).enumerate() {
        let before = picture.clone();
        let time_ns = index as i64 * 40_000_000;
        let last = Sound::column_for(time_ns + hearing.look_ahead_ns);
        sound.window(last, &mut mel, hearing.columns);
        let heard = Heard {
            mel: &mel,
            last_column: last,
            time_ns,
            bounds: sound.bounds(),
        };
        generator
            .listen(&heard)
            .expect("a window of the right size");
        generator
            .draw(
                &mut picture.view(),
                Some(&face(boxes[index])),
                time_ns,
                &look,
            )
            .expect("inference works");
        let [x0, y0, x1, y1] = boxes[index];
        for at in 0..WIDTH * HEIGHT * 3 {
            let (x, y) = (at / 3 % WIDTH, at / 3 / WIDTH);
            let found = picture.data[at];
            if (x0..x1).contains(&x) && (y0..y1).contains(&y) {
                let difference = found.abs_diff(wanted[at - at % 3 + 2 - at % 3]);
                most = most.max(difference);
                sum += u64::from(difference);
                count += 1;
            } else {
                assert_eq!(found, before.data[at], "frame {index}, {x}, {y}");
            }
        }
    }
    let mean = sum as f64 / count as f64;
    println!("{name}: most {most}, mean {mean:.4} of 255, {count} values");
    assert!(most <= 2 && mean <= 0.1, "{name}: most {most}, mean {mean}");
}

#[test]
fn nota_96_draws_what_the_reference_draws() {
    compare("nota-96");
}

#[test]
fn wav2lip_96_draws_what_the_reference_draws() {
    compare("wav2lip-96");
}
