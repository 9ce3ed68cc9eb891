//! Networks here and on Triton, in turns in one run: time of a call, and calls a second of several streams at once.
//! `cargo bench --bench remote -- MODEL.onnx...`; without models the built-in renderer.
//!
//! The server runs each network with one thread, as the runs here do, and one at a time.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use lipsync_core::inference::{
    Backend, Model, ModelSource, Network, OnUnreachable, Options, Provider, ProviderOptions,
    Server, onnx::OnnxRuntime, remote::Remote,
};

#[path = "../tests/support/opening.rs"]
mod opening;
#[path = "../tests/support/stand_in_server.rs"]
mod stand_in_server;
#[path = "../tests/support/triton.rs"]
mod triton;

use triton::{Served, Triton};

const ROUNDS: usize = 40;
const WARM_UP: usize = 4;
/// Streams at once, and for how long.
const STREAMS: [usize; 3] = [1, 4, 10];
const LASTS: Duration = Duration::from_secs(4);
/// The server's names for a network and for the same with pictures as bytes.
const PLAIN: &str = "plain";
const BYTES: &str = "bytes";

fn main() {
    let models = std::env::args_os().skip(1);
    let mut models: Vec<_> = models
        .filter(|argument| argument != "--bench")
        .map(PathBuf::from)
        .collect();
    if models.is_empty() {
        models.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/builtin/renderer.onnx"));
    }
    for model in models {
        measure(&model);
    }
}

fn measure(path: &Path) {
    let network = std::fs::read(path).expect("a model");
    let served = |name, parameters| Served {
        name,
        network: &network,
        parameters,
    };
    let models = [served(PLAIN, &[]), served(BYTES, &[("bytes", "yes")])];
    let Some(triton) = Triton::start("bench", &models, &[]) else {
        return;
    };
    let open = |name: Option<&str>| {
        let options = options(name, &triton.address());
        let source = ModelSource::Bytes {
            name: "network",
            data: &network,
        };
        let model = Model::read(source).expect("a model");
        let opened = match name {
            None => OnnxRuntime.open(&model, &options, &[]),
            Some(_) => Remote.open(&model, &options, &[]),
        };
        let mut network = opened.expect("it opens").network;
        fill(&mut *network);
        (network, options)
    };
    let variants = [
        ("here", None),
        ("gRPC", Some(PLAIN)),
        ("gRPC, bytes", Some(BYTES)),
    ];
    let mut open_variants = variants.map(|(_, name)| open(name));
    let mut times = [const { Vec::new() }; 3];
    for round in 0..WARM_UP + ROUNDS {
        for ((network, _), times) in open_variants.iter_mut().zip(&mut times) {
            let started = Instant::now();
            network.run().expect("it runs");
            if round >= WARM_UP {
                times.push(started.elapsed());
            }
        }
    }
    println!("{}", path.display());
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        times[times.len() / 2].as_secs_f64() * 1e3
    };
    let times = times.each_mut().map(median);
    let here = times[0];
    for (((name, _), time), (_, options)) in variants.iter().zip(times).zip(&open_variants) {
        let counts = options.calls.counts();
        let megabits = (counts.bytes_in + counts.bytes_out) as f64 / counts.calls.max(1) as f64;
        println!(
            "  {name:12} {time:7.2} ms, {:+.2} ms, x{:.2}; {:.0} Mbit/s at 25 frames/s",
            time - here,
            time / here,
            megabits * 25.0 * 8.0 / 1e6
        );
    }
    drop(open_variants);
    for streams in STREAMS {
        let rates = variants.map(|(name, variant)| {
            let networks = (0..streams).map(|_| open(variant).0).collect();
            format!("{name} {:.1}", calls_a_second(networks))
        });
        println!("  {streams:2} streams: {} calls/s", rates.join(", "));
    }
}

/// Of all networks, each in a thread of its own.
fn calls_a_second(networks: Vec<Box<dyn Network>>) -> f64 {
    let started = Instant::now();
    let threads: Vec<_> = networks
        .into_iter()
        .map(|mut network| {
            std::thread::spawn(move || {
                let mut calls = 0;
                while started.elapsed() < LASTS {
                    network.run().expect("it runs");
                    calls += 1;
                }
                calls
            })
        })
        .collect();
    let calls: usize = threads
        .into_iter()
        .map(|thread| thread.join().expect("it ends"))
        .sum();
    calls as f64 / started.elapsed().as_secs_f64()
}

fn options(served_as: Option<&str>, server: &str) -> Options {
    Options {
        provider: match served_as {
            None => Provider::Cpu,
            Some(_) => Provider::Remote,
        },
        intra_threads: 1,
        library: std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from),
        provider_options: served_as.map(|name| ProviderOptions {
            provider: "remote".into(),
            values: vec![("model".into(), name.into())],
        }),
        server: Server {
            addresses: server.into(),
            timeout: Duration::from_secs(60),
            on_unreachable: OnUnreachable::Error,
        },
        ..Options::default()
    }
}

fn fill(network: &mut dyn Network) {
    for input in 0..network.inputs().len() {
        for (index, value) in network.input(input).iter_mut().enumerate() {
            *value = (index % 256) as f32 / 255.0;
        }
    }
}
