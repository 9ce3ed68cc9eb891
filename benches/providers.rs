//! Networks on the CPU and on what else starts, run in turns: time of one run, and how far the
//! results are from the CPU's. `cargo bench --bench providers -- MODEL.onnx...`
//!
//! All runs use one library: what `ORT_DYLIB_PATH` names, or else what
//! `cargo xtask setup --provider openvino` has fetched.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lipsync_core::{
    Error,
    inference::{self, ModelSource, Network, Options, Precision, Provider, ProviderOptions},
};

const ROUNDS: usize = 30;
/// At first memory is touched for the first time.
const WARM_UP: usize = 3;

type Kind = (
    &'static str,
    Provider,
    Precision,
    &'static [(&'static str, &'static str)],
);

const VARIANTS: [Kind; 5] = [
    ("cpu", Provider::Cpu, Precision::Auto, &[]),
    ("openvino", Provider::OpenVino, Precision::Fp32, &[]),
    ("openvino bf16", Provider::OpenVino, Precision::Bf16, &[]),
    ("cuda", Provider::Cuda, Precision::Auto, &[]),
    (
        "cuda tf32",
        Provider::Cuda,
        Precision::Auto,
        &[("use_tf32", "1")],
    ),
];

struct Variant {
    name: &'static str,
    started: Duration,
    network: Box<dyn Network>,
    runs: Vec<Duration>,
}

fn main() {
    let models: Vec<PathBuf> = std::env::args_os()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .map(PathBuf::from)
        .collect();
    let library = std::env::var_os("ORT_DYLIB_PATH").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join(".setup/openvino/libonnxruntime.so"),
        PathBuf::from,
    );
    if models.is_empty() || !library.exists() {
        println!(
            "skipped: name models, and run `cargo xtask setup --provider openvino` before.\n\
             `training/reference_models.py` makes models of the usual sizes"
        );
        return;
    }
    for model in models {
        let mut variants: Vec<_> = VARIANTS
            .iter()
            .filter_map(|variant| open(&model, &library, variant))
            .collect();
        for variant in &mut variants {
            fill(&mut *variant.network);
        }
        for round in 0..WARM_UP + ROUNDS {
            for variant in &mut variants {
                let started = Instant::now();
                variant.network.run().expect("it runs");
                if round >= WARM_UP {
                    variant.runs.push(started.elapsed());
                }
            }
        }
        println!("{}", model.display());
        let reference: Vec<_> = values(&*variants[0].network);
        for variant in &mut variants {
            report(variant, &reference);
        }
    }
}

/// `None` where it does not start, but for the CPU.
fn open(model: &Path, library: &Path, variant: &Kind) -> Option<Variant> {
    let &(name, provider, precision, values) = variant;
    let values = values
        .iter()
        .map(|&(key, value)| (key.into(), value.into()));
    let options = Options {
        provider,
        precision,
        library: Some(library.to_owned()),
        provider_options: Some(ProviderOptions {
            provider: provider.name().into(),
            values: values.collect(),
        }),
        ..Options::default()
    };
    let started = Instant::now();
    let opened = match inference::onnx::open(ModelSource::File(model), &options, &[]) {
        Ok(opened) => opened,
        Err(Error::ProviderUnavailable { .. }) if provider != Provider::Cpu => return None,
        Err(error) => panic!("{error}"),
    };
    Some(Variant {
        name,
        started: started.elapsed(),
        network: opened.network,
        runs: Vec::with_capacity(ROUNDS),
    })
}

/// The same numbers in 0..1 for every variant, without a visible pattern.
fn fill(network: &mut dyn Network) {
    let mut random = fastrand::Rng::with_seed(1);
    for input in 0..network.inputs().len() {
        network.input(input).fill_with(|| random.f32());
    }
}

fn values(network: &dyn Network) -> Vec<f32> {
    (0..network.outputs().len())
        .flat_map(|output| network.output(output).to_vec())
        .collect()
}

fn report(variant: &mut Variant, reference: &[f32]) {
    variant.runs.sort();
    let quantile = |q: usize| ms(variant.runs[variant.runs.len() * q / 100]);
    let values = values(&*variant.network);
    let errors: Vec<f32> = values
        .iter()
        .zip(reference)
        .map(|(a, b)| (a - b).abs())
        .collect();
    let largest = errors.iter().copied().fold(0.0, f32::max);
    let mean = errors.iter().map(|&e| f64::from(e)).sum::<f64>() / errors.len() as f64;
    println!(
        "  {:14} median {:8.2} ms, best {:.2}, 90 % {:.2}; started in {:.0} ms; error {largest:.1e}, mean {mean:.1e}",
        variant.name,
        quantile(50),
        quantile(0),
        quantile(90),
        ms(variant.started),
    );
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
