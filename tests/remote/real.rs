//! The same with Triton, where `cargo xtask setup --server` has put it.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use lipsync_core::{
    Error,
    assembly::{self, Config},
    catalogue::Source,
    generator::Sketch,
    inference::{
        Backend, Model, ModelSource, Network, OnUnreachable, OpenNetwork, Options, onnx,
        remote::Remote,
    },
    render::{Controls, Engine, Outcome},
};

use crate::{
    common::onnxruntime,
    live::RENDERER,
    networks::{options, with},
    onnx::{Dim, Linear, NOTHING, only},
    opening::{LOOK, folder, write_manifest},
    picture::Picture,
    running::speech,
    stand_in_server::unused_port,
    triton::{STARTING, Served, Triton, certificates},
};

/// One server at a time: each takes memory and a core while it starts.
pub static ONE: Mutex<()> = Mutex::new(());

pub fn renderer(name: &str) -> Served<'_> {
    Served {
        name,
        network: RENDERER,
        parameters: &[],
        config: "",
    }
}

pub fn open(options: &Options) -> Result<OpenNetwork, Error> {
    let source = ModelSource::Bytes {
        name: "builtin/renderer",
        data: RENDERER,
    };
    Remote.check(options)?;
    Remote.open(&Model::read(source)?, options, &[])
}

/// Fills with whole 255ths of 0..1, runs, and gives all outputs.
pub fn run(network: &mut dyn Network) -> Result<Vec<Vec<f32>>, Error> {
    for input in 0..network.inputs().len() {
        for (index, value) in network.input(input).iter_mut().enumerate() {
            *value = ((index * 37 + input) % 256) as f32 / 255.0;
        }
    }
    network.run()?;
    let outputs = 0..network.outputs().len();
    Ok(outputs
        .map(|index| network.output(index).to_vec())
        .collect())
}

/// Frames of a painting that speaks, redrawn by an engine.
pub fn frames(config: &Config, count: i64) -> Option<Vec<Vec<u8>>> {
    let picture = Picture::load("young-woman-in-mauve.jpg")?;
    let mut sound = speech(0, 0.0)?;
    let (mut engine, _) = Engine::new(config).unwrap();
    let controls = Controls::default();
    let frames = (0..count).map(|index| {
        let mut frame = picture.clone();
        // Where the speech has begun.
        let time_ns = 1_000_000_000 + index * 40_000_000;
        let outcome = engine.process(&mut frame.view(), time_ns, &mut sound, &[], &controls);
        assert!(
            matches!(outcome, Ok(Outcome::Synced | Outcome::Silent)),
            "{outcome:?}"
        );
        frame.data
    });
    Some(frames.collect())
}

#[test]
fn triton_draws_the_same_bytes() {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if onnxruntime().is_none() {
        return;
    }
    let models = [
        renderer("renderer"),
        Served {
            parameters: &[("bytes", "yes")],
            ..renderer("small")
        },
        Served {
            parameters: &[("half", "yes")],
            ..renderer("half")
        },
    ];
    let Some(triton) = Triton::start("parity", &models, &[]) else {
        return;
    };
    let remote = options(&triton.address(), OnUnreachable::Error);
    let local = remote.local();

    // Whole frames of the built-in model.
    let draw = |runtime: &Options| {
        let config = Config {
            runtime: runtime.clone(),
            ..Config::default()
        };
        frames(&config, 12)
    };
    if let (Some(drawn), Some(expected)) = (draw(&remote), draw(&local)) {
        assert!(drawn == expected, "frames differ");
        assert!(expected.windows(2).any(|pair| pair[0] != pair[1]));
        assert_eq!(remote.calls.counts().calls, 12);
    }

    // Networks alone, of one face and of three; eight are what the server takes.
    for (batch, taken) in [(1, 1), (3, 3), (20, 8)] {
        let of = |options: &Options, batch| Options {
            batch,
            ..options.clone()
        };
        let mut network = open(&of(&remote, batch)).unwrap().network;
        assert_eq!(network.inputs()[0].shape[0], taken);
        let source = ModelSource::Bytes {
            name: "renderer",
            data: RENDERER,
        };
        let mut here = onnx::open(source, &of(&local, taken), &[]).unwrap().network;
        assert!(
            run(&mut *network).unwrap() == run(&mut *here).unwrap(),
            "{batch}"
        );
    }

    // A quarter of the bytes, and rounded to them.
    let small = with(
        options(&triton.address(), OnUnreachable::Error),
        &[("model", "small"), ("shared-memory", "no")],
    );
    let mut network = open(&small).unwrap().network;
    let drawn = run(&mut *network).unwrap();
    let mut exact = open(&remote).unwrap().network;
    let expected = run(&mut *exact).unwrap();
    let names: Vec<_> = network
        .outputs()
        .iter()
        .map(|output| output.name.clone())
        .collect();
    let rgb = names.iter().position(|name| name == "rgb").unwrap();
    let off = drawn[rgb]
        .iter()
        .zip(&expected[rgb])
        .map(|(a, b)| (a - b.clamp(0.0, 1.0)).abs());
    let off = off.fold(0.0f32, f32::max);
    assert!(off <= 0.5 / 255.0 + 1e-5, "{off}");
    let (small, exact) = (small.calls.counts(), remote.calls.counts());
    assert!(
        small.bytes_out * 3 < exact.bytes_out / exact.calls,
        "{small:?} {exact:?}"
    );

    // Half of them.
    let half = with(
        options(&triton.address(), OnUnreachable::Error),
        &[("model", "half"), ("shared-memory", "no")],
    );
    let drawn = run(&mut *open(&half).unwrap().network).unwrap();
    for (drawn, expected) in drawn.concat().iter().zip(expected.concat()) {
        // Inputs were rounded as well.
        assert!((drawn - expected).abs() <= 0.01 * expected.abs().max(1.0));
    }
    let values: usize = network
        .inputs()
        .iter()
        .map(|input| input.shape.iter().product::<usize>())
        .sum();
    assert_eq!(half.calls.counts().bytes_out, 2 * values as u64);
}

/// Side of the faces of [`two_views`].
const SIDE: usize = 32;

/// A network of Wav2Lip's shape: red shows the face's red, green that of the view with the black rectangle.
fn two_views() -> Vec<u8> {
    let network = Linear {
        size: SIDE as u64,
        batch: Dim::Open("batch"),
        names: ["mel", "face", "drawn"],
        channels: [only(3), only(0), NOTHING],
        hears: [1, 80, 16],
        window: vec![0.0; 3 * 80 * 16],
        bias: [0.0, 0.0, 0.5],
    };
    network.bytes()
}

#[test]
fn a_server_that_makes_the_second_view_is_sent_one() {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if onnxruntime().is_none() {
        return;
    }
    let network = two_views();
    let parameters = [
        ("bytes", "yes"),
        ("views", "masked,reference"),
        ("mask", "wav2lip"),
    ];
    let served = Served {
        name: "face",
        network: &network,
        parameters: &parameters,
        config: "",
    };
    let Some(triton) = Triton::start("views", &[served], &[]) else {
        return;
    };
    let files = folder("remote", "views");
    std::fs::write(files.join("net.onnx"), &network).unwrap();
    let lines = format!("crop.box = [0, 0, {SIDE}, {SIDE}]\ncrop.pads = [0, 0, 0, 0]");
    write_manifest(&files, "wav2lip", "views", &lines);
    // The manifest may say the name, and nothing else of servers.
    let manifest = std::fs::read_to_string(files.join("manifest.toml")).unwrap();
    let manifest = manifest.replace("sha256 = \"\"", "sha256 = \"\", served-as = \"face\"");
    std::fs::write(files.join("manifest.toml"), manifest).unwrap();

    let remote = options(&triton.address(), OnUnreachable::Error);
    let draw = |options: &Options| {
        let source = Source::Path(files.clone());
        let mut generator = assembly::open_generator(&source, options)
            .unwrap()
            .generator;
        let mut sketch = Sketch {
            look: LOOK,
            heard: vec![0.0; 80 * 16],
            ..Sketch::default()
        };
        let plane = SIDE * SIDE;
        let whole: Vec<_> = (0..3 * plane)
            .map(|index| (index * 7 % 256) as f32 / 255.0)
            .collect();
        let mut masked = whole.clone();
        for rows in masked.chunks_exact_mut(plane) {
            rows[plane / 2..].fill(0.0);
        }
        sketch.seen = [masked, whole].concat();
        generator.draw(std::slice::from_mut(&mut sketch)).unwrap();
        sketch.drawn
    };
    let (drawn, expected) = (draw(&remote), draw(&remote.local()));
    let off = drawn.iter().zip(&expected).map(|(a, b)| (a - b).abs());
    assert!(off.fold(0.0f32, f32::max) <= 0.5 / 255.0 + 1e-5);
    assert!(expected[..SIDE * SIDE] != expected[SIDE * SIDE..2 * SIDE * SIDE]);
    let counts = remote.calls.counts();
    // Three bytes a pixel, and the sound in floats.
    assert_eq!(counts.bytes_out, 3 * (SIDE * SIDE) as u64 + 4 * 80 * 16);
    assert_eq!(counts.bytes_in, 3 * (SIDE * SIDE) as u64);
}

#[test]
fn of_two_tritons_one_is_enough() {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if onnxruntime().is_none() {
        return;
    }
    let start = |name| Triton::start(name, &[renderer("renderer")], &[]);
    let (Some(mut one), Some(other)) = (start("one"), start("other")) else {
        return;
    };
    let servers = format!("{},{}", one.address(), other.address());
    let options = options(&servers, OnUnreachable::Error);
    let mut network = open(&options).unwrap().network;
    let expected = run(&mut *network).unwrap();
    for call in 0..60 {
        if call == 20 {
            one.kill();
        }
        assert!(run(&mut *network).unwrap() == expected, "call {call}");
    }
    let counts = options.calls.counts();
    assert_eq!((counts.calls, counts.active), (61, 1));
}

#[test]
fn certificates_and_tokens_are_checked() {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if onnxruntime().is_none() {
        return;
    }
    let files = folder("triton", "certificates");
    if certificates(&files).is_none() {
        return;
    }
    std::fs::write(files.join("token"), "secret\n").unwrap();
    std::fs::write(files.join("stale"), "stale\n").unwrap();
    let path = |name: &str| files.join(name).to_str().unwrap().to_owned();
    let [cert, key, root] = ["server.pem", "server.key", "ca.pem"].map(path);
    let arguments = [
        "--grpc-use-ssl=true".to_owned(),
        format!("--grpc-server-cert={cert}"),
        format!("--grpc-server-key={key}"),
        format!("--grpc-root-cert={root}"),
        "--grpc-restricted-protocol=inference:authorization=secret".to_owned(),
    ];
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let Some(triton) = Triton::start("tls", &[renderer("renderer")], &arguments) else {
        return;
    };
    let header = ("token-header", "triton-grpc-protocol-authorization");
    let open_with = |address: &str, ca: &str, token: &str| {
        let (ca, token) = (path(ca), path(token));
        let values = [("ca", ca.as_str()), ("token-file", token.as_str()), header];
        open(&with(options(address, OnUnreachable::Error), &values)).map(|opened| opened.network)
    };
    let (tls, plain) = (triton.tls_address(), triton.address());
    let mut network = open_with(&tls, "ca.pem", "token").unwrap();
    assert!(run(&mut *network).is_ok());
    for (address, ca, token, expected) in [
        (tls.as_str(), "other.pem", "token", "certificate"),
        (tls.as_str(), "ca.pem", "stale", "restricted"),
        // It closes the connection, which is seen before or after the call is sent.
        (plain.as_str(), "ca.pem", "token", plain.as_str()),
    ] {
        match open_with(address, ca, token).map(|_| ()) {
            Err(Error::Unreachable { reason }) => {
                println!("{reason}");
                assert!(reason.contains(expected), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Another server, in a dialect of its own: MLServer, where `LIPSYNC_MLSERVER` names the program.
#[test]
fn mlserver_draws_the_same_bytes() {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let Some(program) = std::env::var_os("LIPSYNC_MLSERVER") else {
        println!("skipped: LIPSYNC_MLSERVER does not name MLServer's `mlserver`");
        return;
    };
    if onnxruntime().is_none() {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/server/mlserver");
    let [grpc, http, metrics] = [unused_port(), unused_port(), unused_port()];
    let mut server = Command::new(program)
        .args(["start", "."])
        .current_dir(&folder)
        .env("PYTHONPATH", folder.join("renderer"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("MLSERVER_HOST", "127.0.0.1")
        .env("MLSERVER_GRPC_PORT", grpc.to_string())
        .env("MLSERVER_HTTP_PORT", http.to_string())
        .env("MLSERVER_METRICS_PORT", metrics.to_string())
        .env("MLSERVER_PARALLEL_WORKERS", "0")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let options = options(&format!("grpc://127.0.0.1:{grpc}"), OnUnreachable::Error);
    let start = Instant::now();
    let result = loop {
        match open(&options) {
            Err(Error::Unreachable { .. }) if start.elapsed() < STARTING => {
                std::thread::sleep(Duration::from_millis(200));
            }
            opened => break opened.and_then(|mut opened| run(&mut *opened.network)),
        }
    };
    let _ = server.kill();
    let _ = server.wait();
    let source = ModelSource::Bytes {
        name: "renderer",
        data: RENDERER,
    };
    let mut here = onnx::open(source, &options.local(), &[]).unwrap().network;
    assert!(result.unwrap() == run(&mut *here).unwrap());
}
