//! Networks here and on Triton, in turns in one run: time of a call, what of it is not the server's, CPU time of the client, and
//! calls a second of several streams at once, beside what the server gives to a load generator.
//! `cargo bench --bench remote -- MODEL.onnx...`; without models the built-in renderer.
//!
//! The server runs each network with one thread, as the runs here do, and one at a time. Networks that see a picture twice are
//! known by the beginning of their names, `unet`, `wav2lip` or `nota`: as bytes they are sent one.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use lipsync_core::{
    inference::{
        Backend, Model, ModelSource, Network, OnUnreachable, Options, Provider, ProviderOptions,
        Server, Views, onnx::OnnxRuntime, remote::Remote,
    },
    rect::{Area, Size},
};

#[path = "remote/load.rs"]
mod load;
#[path = "../tests/support/opening.rs"]
mod opening;
#[path = "../tests/support/stand_in_server.rs"]
mod stand_in_server;
#[path = "../tests/support/triton.rs"]
mod triton;

use triton::{Served, Triton, certificates};

/// Calls in a row of one variant, and how often each has its turn.
const CALLS: usize = 8;
const TURNS: usize = 6;
/// Streams at once; how long each variant draws with them, and how often.
const STREAMS: [usize; 3] = [1, 4, 10];
const LASTS: Duration = Duration::from_millis(1500);
const STREAM_TURNS: usize = 2;
/// The server's names for a network and for the same with pictures as bytes.
const PLAIN: &str = "plain";
const BYTES: &str = "bytes";

/// A way to run a network.
struct Variant {
    name: &'static str,
    /// Of the server; here where there is none.
    address: Option<String>,
    options: Vec<(&'static str, String)>,
}

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
    let network = fs::read(path).expect("a model");
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let views = two_views(&stem);
    let mut as_bytes = vec![("bytes", "yes")];
    if let Some((_, parameters)) = &views {
        as_bytes.extend(*parameters);
    }
    let served = |name, parameters| Served {
        name,
        network: &network,
        parameters,
        config: "",
    };
    let models = [served(PLAIN, &[]), served(BYTES, &as_bytes)];
    let Some(triton) = Triton::start("bench", &models, &[]) else {
        return;
    };
    let files = opening::folder("bench", "certificates");
    let tls = certificates(&files).and_then(|()| {
        let file = |name: &str| files.join(name).display().to_string();
        let arguments = [
            "--grpc-use-ssl=true".to_owned(),
            format!("--grpc-server-cert={}", file("server.pem")),
            format!("--grpc-server-key={}", file("server.key")),
            format!("--grpc-root-cert={}", file("ca.pem")),
        ];
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let triton = Triton::start("bench-tls", &models, &arguments)?;
        Some((triton, file("ca.pem")))
    });

    let option = |name, value: &str| (name, value.to_owned());
    let remote = |name, model, shared| Variant {
        name,
        address: Some(triton.address()),
        options: vec![option("model", model), option("shared-memory", shared)],
    };
    let mut variants = vec![
        Variant {
            name: "here",
            address: None,
            options: Vec::new(),
        },
        remote("gRPC", PLAIN, "no"),
        remote("gRPC, bytes", BYTES, "no"),
    ];
    if let Some((tls, ca)) = &tls {
        variants.extend(
            [("TLS", PLAIN), ("TLS, bytes", BYTES)].map(|(name, model)| Variant {
                name,
                address: Some(tls.tls_address()),
                options: vec![
                    option("model", model),
                    option("shared-memory", "no"),
                    option("ca", ca),
                ],
            }),
        );
    }
    variants.extend([
        remote("shared memory", PLAIN, "yes"),
        remote("shared memory, bytes", BYTES, "yes"),
    ]);
    let open = |variant: &Variant| {
        let options = options(variant);
        let source = ModelSource::Bytes {
            name: "network",
            data: &network,
        };
        let model = Model::read(source).expect("a model");
        let model = model.views(views.map(|(views, _)| views));
        let opened = match variant.address {
            None => OnnxRuntime.open(&model, &options, &[]),
            Some(_) => Remote.open(&model, &options, &[]),
        };
        let mut network = opened.expect("it opens").network;
        fill(&mut *network, views.map(|(views, _)| views));
        (network, options)
    };
    println!("\n{stem}\n");
    calls(&triton, &variants, &open);
    streams(&triton, &variants, &open);
}

type Opened = (Box<dyn Network>, Options);

/// What one call after the other takes.
fn calls(triton: &Triton, variants: &[Variant], open: &impl Fn(&Variant) -> Opened) {
    let mut networks: Vec<_> = variants.iter().map(open).collect();
    for (network, _) in &mut networks {
        (0..CALLS).for_each(|_| network.run().expect("it runs"));
    }
    // Of each variant: calls; of each turn: the mean of what was not the server's, the server's, and CPU time.
    let mut measured = vec![<[Vec<f64>; 4]>::default(); variants.len()];
    for _ in 0..TURNS {
        for ((variant, (network, _)), measured) in
            variants.iter().zip(&mut networks).zip(&mut measured)
        {
            // The one with TLS is not asked.
            let is_asked = variant.address == Some(triton.address());
            let model = variant.options.first().map_or("", |(_, model)| model);
            let server_ns = || match is_asked {
                true => triton.statistics(model).success_ns(),
                false => 0,
            };
            let (before, cpu_before) = (server_ns(), cpu_seconds());
            let mut total = 0.0;
            for _ in 0..CALLS {
                let started = Instant::now();
                network.run().expect("it runs");
                let took = started.elapsed().as_secs_f64();
                total += took;
                measured[0].push(took * 1e3);
            }
            let cpu = cpu_seconds() - cpu_before;
            let there = (server_ns() - before) as f64 / 1e9;
            let mean = |seconds: f64| seconds / CALLS as f64 * 1e3;
            measured[1].push(mean(total - there));
            measured[2].push(mean(there));
            measured[3].push(mean(cpu));
        }
    }
    println!(
        "| | ms a call | x here | of it server | the rest | CPU here, ms | Mbit/s at 25/s | same bytes |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |");
    let outputs = |network: &dyn Network| -> Vec<Vec<f32>> {
        let outputs = 0..network.outputs().len();
        outputs
            .map(|index| network.output(index).to_vec())
            .collect()
    };
    let expected = outputs(&*networks[0].0);
    let here = median(&mut measured[0][0]);
    for ((variant, measured), (network, options)) in
        variants.iter().zip(&mut measured).zip(&networks)
    {
        let [time, rest, server, cpu] = measured.each_mut().map(|values| median(values));
        let counts = options.calls.counts();
        let bytes = (counts.bytes_in + counts.bytes_out) as f64 / counts.calls.max(1) as f64;
        let of_server = |value: f64| match server > 0.0 {
            true => format!("{value:.2}"),
            false => String::new(),
        };
        println!(
            "| {} | {time:.2} | {:.2} | {} | {} | {cpu:.2} | {:.0} | {} |",
            variant.name,
            time / here,
            of_server(server),
            of_server(rest),
            bytes * 25.0 * 8.0 / 1e6,
            if outputs(&**network) == expected {
                "yes"
            } else {
                "no"
            },
        );
    }
}

/// Calls a second of several streams at once.
fn streams(triton: &Triton, variants: &[Variant], open: &impl Fn(&Variant) -> Opened) {
    let names: Vec<_> = variants.iter().map(|variant| variant.name).collect();
    println!(
        "\n| streams | {} | load generator | gRPC / it | load generator, bytes | gRPC, bytes / it |",
        names.join(" | ")
    );
    println!("| ---: |{}", " ---: |".repeat(names.len() + 4));
    for streams in STREAMS {
        let mut networks: Vec<Vec<_>> = variants
            .iter()
            .map(|variant| (0..streams).map(|_| open(variant).0).collect())
            .collect();
        let loads =
            [PLAIN, BYTES].map(|model| load::Load::new(&triton.address(), model, &*networks[0][0]));
        let mut calls = vec![0; variants.len()];
        let mut of_load = [0, 0];
        for _ in 0..STREAM_TURNS {
            for (networks, calls) in networks.iter_mut().zip(&mut calls) {
                *calls += run_all(networks);
            }
            for (load, calls) in loads.iter().zip(&mut of_load) {
                *calls += load.as_ref().map_or(0, |load| load.run(streams, LASTS));
            }
        }
        let rate = |calls: usize| calls as f64 / (STREAM_TURNS as f64 * LASTS.as_secs_f64());
        let rates: Vec<_> = calls
            .iter()
            .map(|calls| format!("{:.1}", rate(*calls)))
            .collect();
        let [plain, bytes] = of_load.map(rate);
        println!(
            "| {streams} | {} | {plain:.1} | {:.2} | {bytes:.1} | {:.2} |",
            rates.join(" | "),
            rate(calls[1]) / plain,
            rate(calls[2]) / bytes,
        );
    }
}

/// Calls of all networks, each in a thread of its own.
fn run_all(networks: &mut [Box<dyn Network>]) -> usize {
    let started = Instant::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> = networks
            .iter_mut()
            .map(|network| {
                scope.spawn(move || {
                    let mut calls = 0;
                    while started.elapsed() < LASTS {
                        network.run().expect("it runs");
                        calls += 1;
                    }
                    calls
                })
            })
            .collect();
        let calls = threads
            .into_iter()
            .map(|thread| thread.join().expect("it ends"));
        calls.sum()
    })
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// That the threads of this process have had.
fn cpu_seconds() -> f64 {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux");
    let nanoseconds = tasks.flatten().filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    nanoseconds.sum::<u64>() as f64 / 1e9
}

fn options(variant: &Variant) -> Options {
    let values = variant.options.iter();
    let values = values.map(|(key, value)| (key.to_string(), value.clone()));
    Options {
        provider: match variant.address {
            None => Provider::Cpu,
            Some(_) => Provider::Remote,
        },
        intra_threads: 1,
        library: std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from),
        provider_options: variant.address.is_some().then(|| ProviderOptions {
            provider: "remote".into(),
            values: values.collect(),
        }),
        server: Server {
            addresses: variant.address.clone().unwrap_or_default(),
            timeout: Duration::from_secs(60),
            on_unreachable: OnUnreachable::Error,
        },
        ..Options::default()
    }
}

/// Of a network that sees a picture twice; and what its server is told of that.
fn two_views(name: &str) -> Option<(Views, [(&'static str, &'static str); 2])> {
    let (whole, rectangle, parameters): (_, fn(Size) -> Area, _) = if name.starts_with("unet") {
        let rectangle = |size: Size| [5, 5, size.width - 10, size.height - 15].into();
        (
            0,
            rectangle,
            [("views", "reference,masked"), ("mask", "unet")],
        )
    } else if name.starts_with("wav2lip") || name.starts_with("nota") {
        let rectangle = |size: Size| {
            let (side, half) = (size.width, size.height / 2);
            [0, half, side, size.height - half].into()
        };
        (
            1,
            rectangle,
            [("views", "masked,reference"), ("mask", "wav2lip")],
        )
    } else {
        return None;
    };
    let views = Views {
        whole,
        rectangle,
        fixed: None,
    };
    Some((views, parameters))
}

/// Whole 255ths of 0..1, which bytes carry.
fn fill(network: &mut dyn Network, views: Option<Views>) {
    for input in 0..network.inputs().len() {
        let shape = network.inputs()[input].shape.clone();
        let values = network.input(input);
        for (index, value) in values.iter_mut().enumerate() {
            *value = (index % 256) as f32 / 255.0;
        }
        if let (Some(views), &[_, 6, side, _]) = (&views, &shape[..]) {
            let (first, second) = values.split_at_mut(3 * side * side);
            let (whole, masked) = if views.whole == 0 {
                (first, second)
            } else {
                (second, first)
            };
            masked.copy_from_slice(whole);
            let zeros = (views.rectangle)(Size::square(side));
            for (index, row) in masked.chunks_exact_mut(side).enumerate() {
                if (zeros.y..zeros.y + zeros.height).contains(&(index % side)) {
                    row[zeros.x..zeros.x + zeros.width].fill(0.0);
                }
            }
        }
    }
}
