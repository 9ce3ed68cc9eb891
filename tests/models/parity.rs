//! Networks of somebody else against the Python reference pipelines on the same frames, boxes and
//! sound: what is heard, and what is drawn.
//!
//! Needs `LIPSYNC_PARITY_PYTHON`: a Python that has what `bench/python/requirements.txt` names.
//! Skips with the reason printed otherwise.

mod networks;

use std::{
    f64::consts::TAU,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use crate::picture::{Picture, redraw};
use gst::prelude::*;
use lipsync_core::{
    Error, assembly,
    catalogue::Source,
    face::{Face, Mesh},
    generator::{Generator, Heard, Look},
    inference::{self, Provider},
    sound::{BANDS, MONO, SampleFormat, Sound, Spectrum},
};

const WIDTH: usize = 480;
const HEIGHT: usize = 400;
const RATE: u32 = 16_000;

/// What a model's parity is measured with.
struct Case {
    name: &'static str,
    /// Folder for what it writes: tests run at the same time.
    folder: &'static str,
    /// Boxes larger and smaller than the network's picture.
    boxes: &'static [[usize; 4]],
    face: fn([usize; 4]) -> Face,
    frames: usize,
    frame_ns: i64,
    /// Of the sound, which ends in mid-word.
    seconds: usize,
    provider: Provider,
}

/// Wav2Lip's are not square. Near the end of the sound its original repeats the last window,
/// which a stream cannot: fewer frames than there is sound for.
const WAV2LIP: Case = Case {
    name: "",
    folder: "frames",
    boxes: &[
        [60, 20, 230, 235],
        [61, 22, 229, 230],
        [100, 50, 170, 140],
        [0, 0, 96, 96],
    ],
    face: face_in_box,
    frames: 8,
    frame_ns: 40_000_000,
    seconds: 1,
    provider: Provider::Auto,
};

/// Squares. All frames that the reference has: 22 windows, the first and the last row twice.
const UNET: Case = Case {
    name: "",
    folder: "frames",
    boxes: &[
        [60, 20, 242, 202],
        [61, 22, 240, 201],
        [100, 50, 170, 120],
        [40, 10, 428, 398],
        [0, 0, 328, 328],
    ],
    face: face_of_landmarks,
    frames: 24,
    frame_ns: 40_000_000,
    seconds: 1,
    provider: Provider::Auto,
};

/// A face whose mesh fills the box, with the 10 pixels below that the manifest adds.
fn face_in_box([x0, y0, x1, y1]: [usize; 4]) -> Face {
    let mut mesh = Mesh::default();
    mesh.points.fill([x0 as f32, y0 as f32]);
    mesh.points[152] = [x1 as f32, (y1 - 10) as f32];
    face(mesh)
}

/// A face whose mesh has the points beside the eyes and on the nose where the landmarks 1, 31 and
/// 52 of this square are. Their fractions are cut off.
fn face_of_landmarks([x0, y0, x1, _]: [usize; 4]) -> Face {
    let mut mesh = Mesh::default();
    mesh.points.fill([x0 as f32, y0 as f32]);
    mesh.points[127] = [x0 as f32 + 0.9, 0.0];
    mesh.points[356] = [x1 as f32 + 0.1, 0.0];
    mesh.points[5] = [0.0, y0 as f32 + 0.9];
    mesh.points[195] = [0.0, y0 as f32 + 0.3];
    face(mesh)
}

fn face(mesh: Mesh) -> Face {
    Face {
        id: 1,
        mesh,
        fresh: true,
        ..Face::default()
    }
}

/// One `.npy`: what follows its header, which holds the shape for people.
fn npy(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).expect("the reference has written it");
    let header = u16::from_le_bytes([bytes[8], bytes[9]]);
    bytes[10 + usize::from(header)..].to_vec()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let (values, []) = bytes.as_chunks::<4>() else {
        panic!("{} bytes are no 32-bit floats", bytes.len());
    };
    values.iter().map(|v| f32::from_le_bytes(*v)).collect()
}

fn doubles(bytes: &[u8]) -> Vec<f64> {
    let (values, []) = bytes.as_chunks::<8>() else {
        panic!("{} bytes are no 64-bit floats", bytes.len());
    };
    values.iter().map(|v| f64::from_le_bytes(*v)).collect()
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

/// Something like the lower half of a face in the box, with a little noise: what the networks'
/// random weights were calibrated with. A wall with waves and tiles behind it.
fn frame(index: usize, [x0, y0, x1, y1]: [usize; 4]) -> Picture {
    let mut random = fastrand::Rng::with_seed(index as u64 + 1);
    let mut at = 0;
    let skin = [190.0, 150.0, 120.0];
    let (lips, mouth) = ([165.0, 75.0, 90.0], [50.0, 20.0, 25.0]);
    let open = 0.03 + 0.015 * (index % 4) as f32;
    let inside = |x: f32, y: f32, wide: f32, high: f32| (x / wide).hypot(y / high) < 1.0;
    Picture::filled(WIDTH, HEIGHT, || {
        let (channel, x, y) = (at % 3, at / 3 % WIDTH, at / 3 / WIDTH);
        at += 1;
        let noise = random.f32() * 10.0 - 5.0;
        let (u, v) = (
            (x as f32 - x0 as f32) / (x1 - x0) as f32 - 0.5,
            (y as f32 - y0 as f32) / (y1 - y0) as f32,
        );
        let shade = 1.0 - 0.1 * u + 0.08 * v - 0.5 * (u * u + (v - 0.4).powi(2));
        let level = if inside(u, v - 0.58, 0.14, open) {
            mouth[channel]
        } else if inside(u, v - 0.58, 0.18, open + 0.04) {
            lips[channel]
        } else if inside(u, v - 0.35, 0.47, 0.6) {
            let nose = (-(u / 0.06).powi(2) - ((v - 0.3) / 0.03).powi(2)).exp();
            skin[channel] * shade - 60.0 * nose
        } else {
            let tile = ((x / 16 + y / 16) % 2) as f32 * 20.0;
            let wave = (x as f32 / 40.0 + (index + channel) as f32).sin() * (y as f32 / 30.0).cos();
            110.0 + 60.0 * wave + tile
        };
        (level + noise).clamp(0.0, 255.0) as u8
    })
}

/// Something like a voice: pulses at a gliding pitch with a gliding formant, louder and softer.
fn voice(seconds: usize) -> Vec<u8> {
    let mut phase = 0.0;
    let mut random = fastrand::Rng::with_seed(1);
    (0..seconds * RATE as usize)
        .flat_map(|n| {
            let t = n as f64 / f64::from(RATE);
            let pitch = 120.0 + 30.0 * (TAU * 0.7 * t).sin() + 20.0 * (TAU * 2.3 * t).sin();
            phase += TAU * pitch / f64::from(RATE);
            let formant = 500.0 + 250.0 * (TAU * 1.9 * t).sin();
            let pulses: f64 = (1..40)
                .map(|k| {
                    let hz = f64::from(k) * pitch;
                    let first = (-((hz - formant) / 200.0).powi(2)).exp();
                    let second = (-((hz - 3.0 * formant) / 400.0).powi(2)).exp();
                    (first + 0.5 * second + 0.02) * (f64::from(k) * phase).sin()
                })
                .sum();
            let loud = 0.2 + (TAU * 3.1 * t).sin().max(0.0);
            let noise = random.f64() - 0.5;
            let value = 4_000.0 * pulses * loud + 1_000.0 * noise;
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

impl Case {
    /// A folder with what the references are given; `None` without Python. Makes the model, once.
    fn prepare(&self) -> Option<(PathBuf, String)> {
        let Ok(python) = std::env::var("LIPSYNC_PARITY_PYTHON") else {
            println!("skipped: LIPSYNC_PARITY_PYTHON names no Python");
            return None;
        };
        let folder = self.model().join(self.folder);
        std::fs::create_dir_all(&folder).expect("a folder to write to");
        static MAKING: Mutex<()> = Mutex::new(());
        let making = MAKING.lock();
        if !self.manifest().exists() {
            let model = self.model().display().to_string();
            run(
                &python,
                &["training/reference_models.py", &model, self.name],
            );
        }
        drop(making);
        let mut bgr = Vec::new();
        for index in 0..self.frames {
            let frame = frame(index, self.place(index));
            let pixels = frame.data.as_chunks::<3>().0;
            bgr.extend(pixels.iter().flat_map(|&[r, g, b]| [b, g, r]));
        }
        let boxes: Vec<_> = (0..self.frames).map(|index| self.place(index)).collect();
        std::fs::write(folder.join("frames.bgr"), bgr).expect("a file");
        std::fs::write(folder.join("boxes.json"), format!("{boxes:?}")).expect("a file");
        std::fs::write(folder.join("voice.wav"), wave(&voice(self.seconds))).expect("a file");
        Some((folder, python))
    }

    fn model(&self) -> PathBuf {
        Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("parity")
            .join(self.name)
    }

    fn manifest(&self) -> PathBuf {
        self.model().join(format!("{}.toml", self.name))
    }

    fn place(&self, index: usize) -> [usize; 4] {
        self.boxes[index % self.boxes.len()]
    }

    /// Runs the Python pipeline; gives the folder of what it writes.
    fn reference(&self, folder: &Path, python: &str, backend: &str) -> PathBuf {
        let path = |file: &str| folder.join(file).display().to_string();
        let size = format!("{WIDTH}x{HEIGHT}");
        run(
            python,
            &[
                "tests/parity/reference.py",
                &self.manifest().display().to_string(),
                "--frames",
                &path("frames.bgr"),
                "--frame-size",
                &size,
                "--boxes",
                &path("boxes.json"),
                "--sound",
                &path("voice.wav"),
                "--backend",
                backend,
                "--out",
                &path(backend),
            ],
        );
        folder.join(backend)
    }

    /// What the generator makes of all frames: the pictures, and what the network heard.
    fn drawn(&self, generator: &mut dyn Generator) -> (Vec<Picture>, Vec<f32>) {
        let mut sound = Sound::new();
        sound
            .configure(SampleFormat::S16, RATE, MONO)
            .expect("16 kHz mono is usable");
        sound.push(&voice(self.seconds), 0, true);
        sound.finish();
        let hearing = generator.hearing();
        let mut mel = vec![0.0; BANDS * hearing.columns];
        let look = Look {
            strength: 1.0,
            activity: 1.0,
            feather: 0.5,
            remembers: true,
            articulation: None,
        };
        let mut pictures = Vec::new();
        let mut features = Vec::new();
        for index in 0..self.frames {
            let time_ns = index as i64 * self.frame_ns;
            let last_column = hearing.spectrum.column_for(time_ns + hearing.look_ahead_ns);
            sound.window(hearing.spectrum, last_column, &mut mel, hearing.columns);
            let heard = Heard {
                mel: &mel,
                last_column,
                time_ns,
                bounds: sound.bounds(),
            };
            let mut window = Vec::new();
            generator
                .listen(&heard, &mut window)
                .expect("inference works");
            let mut picture = frame(index, self.place(index));
            let face = (self.face)(self.place(index));
            redraw(generator, &mut picture, Some(&face), &look, &window).expect("inference works");
            features.extend(window);
            pictures.push(picture);
        }
        (pictures, features)
    }

    /// What comes out of the element between its pads, with sound in buffers of 441 samples.
    fn through_the_element(&self, manifest: PathBuf) -> Vec<Picture> {
        let element = crate::common::element_with(Source::Path(manifest));
        element.set_property_from_str("silence", "animate");
        let rig = crate::common::Rig::stopped(element, crate::common::FILE, true);
        rig.play();
        let stamped = |bytes: Vec<u8>, time_ns: u64, duration_ns: u64| {
            let mut buffer = gst::Buffer::from_mut_slice(bytes);
            let writable = buffer.make_mut();
            writable.set_pts(gst::ClockTime::from_nseconds(time_ns));
            writable.set_duration(gst::ClockTime::from_nseconds(duration_ns));
            buffer.into()
        };
        let caps = gst::Caps::builder("video/x-raw")
            .field("format", "RGB")
            .field("width", WIDTH as i32)
            .field("height", HEIGHT as i32)
            .field("framerate", gst::Fraction::new(25, 1))
            .build();
        let mut video = crate::common::begin("video", &caps, &crate::common::segment_from(0));
        video.extend((0..self.frames).map(|index| {
            let frame = frame(index, self.place(index));
            stamped(frame.data, index as u64 * 40_000_000, 40_000_000)
        }));
        let caps = gst::Caps::builder("audio/x-raw")
            .field("format", "S16LE")
            .field("layout", "interleaved")
            .field("rate", RATE as i32)
            .field("channels", 1)
            .build();
        let mut audio = crate::common::begin("audio", &caps, &crate::common::segment_from(0));
        audio.extend(
            voice(self.seconds)
                .chunks(2 * 441)
                .enumerate()
                .map(|(index, samples)| {
                    let duration_ns = samples.len() as u64 / 2 * 62_500;
                    stamped(samples.to_vec(), index as u64 * 441 * 62_500, duration_ns)
                }),
        );
        video.push(crate::common::end());
        audio.push(crate::common::end());
        let feeding = rig.feed(video, audio);
        let frames = rig.frames_until_eos();
        feeding.join();
        assert_eq!(frames.len(), self.frames, "{:?}", rig.errors());
        let pictures = frames.iter().map(|buffer| {
            let map = buffer.map_readable().expect("a frame in memory");
            let mut bytes = map.iter().copied();
            Picture::filled(WIDTH, HEIGHT, || bytes.next().unwrap_or_default())
        });
        pictures.collect()
    }

    /// The same with the element and a box that the manifest fixes.
    fn check_element(&self) {
        let Some((folder, python)) = self.prepare() else {
            return;
        };
        if let Err(err @ Error::RuntimeMissing { .. }) = inference::onnx::load(None, Provider::Cpu)
        {
            println!("skipped: {err}");
            return;
        }
        let &[[x0, y0, x1, y1]] = self.boxes else {
            panic!("one box");
        };
        let text = std::fs::read_to_string(self.manifest()).expect("a manifest");
        let lines = text.lines().map(|line| match line.starts_with("box = ") {
            true => format!("box = [{x0}, {y0}, {}, {}]\n", x1 - x0, y1 - y0),
            false => format!("{line}\n"),
        });
        let manifest = self.model().join("fixed.toml");
        std::fs::write(&manifest, lines.collect::<String>()).expect("a file");
        let pictures = self.through_the_element(manifest);
        let expected = self.reference(&folder, &python, "onnxruntime");
        let (most, mean) = self.compare(&pictures, &npy(&expected.join("frames.npy")));
        println!(
            "{}: through the element most {most}, mean {mean:.4} of 255",
            self.name
        );
        assert!(most <= 2 && mean <= 0.1, "most {most}, mean {mean}");
    }

    /// The largest and the mean difference in the boxes; beside them not one byte may differ.
    fn compare(&self, pictures: &[Picture], expected: &[u8]) -> (u8, f64) {
        assert_eq!(expected.len(), self.frames * WIDTH * HEIGHT * 3);
        let (mut most, mut sum, mut count) = (0, 0_u64, 0_u64);
        let expected = expected.chunks_exact(WIDTH * HEIGHT * 3);
        for (index, (picture, expected)) in pictures.iter().zip(expected).enumerate() {
            let before = frame(index, self.place(index));
            let [x0, y0, x1, y1] = self.place(index);
            for at in 0..WIDTH * HEIGHT * 3 {
                let (x, y) = (at / 3 % WIDTH, at / 3 / WIDTH);
                let found = picture.data[at];
                if (x0..x1).contains(&x) && (y0..y1).contains(&y) {
                    let difference = found.abs_diff(expected[at - at % 3 + 2 - at % 3]);
                    most = most.max(difference);
                    sum += u64::from(difference);
                    count += 1;
                } else {
                    assert_eq!(found, before.data[at], "frame {index}, {x}, {y}");
                }
            }
        }
        (most, sum as f64 / count as f64)
    }

    fn check(&self) {
        let Some((folder, python)) = self.prepare() else {
            return;
        };
        let source = Source::Path(self.manifest());
        let options = inference::Options {
            provider: self.provider,
            ..inference::Options::default()
        };
        let mut generator = match assembly::open_generator(&source, &options) {
            Ok(opened) => opened.generator,
            Err(err @ Error::RuntimeMissing { .. }) => {
                println!("skipped: {err}");
                return;
            }
            Err(err) => panic!("{err}"),
        };
        let (pictures, features) = self.drawn(&mut *generator);

        let onnxruntime = self.reference(&folder, &python, "onnxruntime");
        let output = floats(&npy(&onnxruntime.join("output.npy")));
        let spread = deviation(&output);
        let heard = furthest(&features, &floats(&npy(&onnxruntime.join("sound.npy"))));
        let drawn = npy(&onnxruntime.join("frames.npy"));
        let (most, mean) = self.compare(&pictures, &drawn);
        let torch = self.reference(&folder, &python, "torch");
        let (torch_most, torch_mean) = self.compare(&pictures, &npy(&torch.join("frames.npy")));
        println!(
            "{}: heard within {heard:.1e}; drawn with deviation {spread:.3}; ONNX Runtime: most {most}, mean {mean:.4} of 255; \
             PyTorch: most {torch_most}, mean {torch_mean:.4}",
            self.name
        );
        assert!(heard <= 1e-3, "{heard}");
        // All black or white would be no comparison.
        assert!(spread > 0.02, "{spread}");
        assert!(most <= 2 && mean <= 0.1, "most {most}, mean {mean}");
        assert!(torch_most <= 3, "most {torch_most}");
    }
}

fn deviation(values: &[f32]) -> f64 {
    let mean = |of: &dyn Fn(f64) -> f64| {
        let sum: f64 = values.iter().map(|v| of(f64::from(*v))).sum();
        sum / values.len() as f64
    };
    let middle = mean(&|v| v);
    mean(&|v| (v - middle).powi(2)).sqrt()
}

/// The largest difference between two lists.
fn furthest(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

#[test]
fn nota_96_is_the_reference() {
    let name = "nota-96";
    Case { name, ..WAV2LIP }.check();
}

#[test]
fn wav2lip_96_is_the_reference() {
    let name = "wav2lip-96";
    Case { name, ..WAV2LIP }.check();
}

#[test]
fn wav2lip_256_is_the_reference() {
    let name = "wav2lip-256";
    Case { name, ..WAV2LIP }.check();
}

#[test]
fn unet_328_with_ave_is_the_reference() {
    let name = "unet-328";
    Case { name, ..UNET }.check();
}

#[test]
fn unet_160_with_ave_is_the_reference() {
    let name = "synctalk-160-ave";
    Case { name, ..UNET }.check();
}

/// All frames that the reference has: 165 columns with the silence round the sound, 5 to a row.
/// The encoder's LayerNormalization is too rough in the ONNX Runtime that brings OpenVINO (`docs/providers.md`).
#[test]
fn ultralight_160_with_wenet_is_the_reference() {
    Case {
        name: "ultralight-160-wenet",
        frames: 21,
        frame_ns: 50_000_000,
        provider: Provider::Cpu,
        ..UNET
    }
    .check();
}

#[test]
fn wav2lip_96_through_the_element_is_the_reference() {
    Case {
        name: "wav2lip-96",
        folder: "element",
        boxes: &[[61, 22, 229, 230]],
        ..WAV2LIP
    }
    .check_element();
}

#[test]
fn unet_328_with_ave_through_the_element_is_the_reference() {
    Case {
        name: "unet-328",
        folder: "element",
        boxes: &[[61, 22, 243, 204]],
        ..UNET
    }
    .check_element();
}

#[test]
fn the_whole_spectrum_is_librosas() {
    let case = Case {
        name: "nota-96",
        folder: "spectrum",
        ..WAV2LIP
    };
    let Some((folder, python)) = case.prepare() else {
        return;
    };
    let out = case.reference(&folder, &python, "onnxruntime");
    let expected = doubles(&npy(&out.join("mel.npy")));
    let columns = expected.len() / BANDS;
    let mut sound = Sound::new();
    sound
        .configure(SampleFormat::S16, RATE, MONO)
        .expect("16 kHz mono is usable");
    sound.push(&voice(1), 0, true);
    sound.finish();
    assert_eq!(
        1 + sound.bounds().end.expect("it has ended") / 200,
        columns as i64
    );
    let mut mel = vec![0.0; expected.len()];
    sound.window(Spectrum::Mel, columns as i64 - 1, &mut mel, columns);
    for (at, (found, expected)) in mel.iter().zip(expected).enumerate() {
        let difference = (f64::from(*found) - expected).abs();
        let (band, column) = (at / columns, at % columns);
        assert!(difference <= 1e-3, "{band}, {column}: {difference}");
    }
}
