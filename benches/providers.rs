//! Networks on the CPU and on OpenVINO, run in turns: time of one run, and how far the results are
//! from the CPU's. `cargo bench --bench providers -- MODEL.onnx...`
//!
//! Wants `cargo xtask setup --provider openvino`. All runs use that library.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gstlipsync::runtime::{self, ModelSource, Network, Options, Precision, Provider};

const ROUNDS: usize = 30;
/// At first memory is touched for the first time.
const WARM_UP: usize = 3;

const VARIANTS: [(&str, Provider, Precision); 3] = [
    ("cpu", Provider::Cpu, Precision::Auto),
    ("openvino", Provider::OpenVino, Precision::Fp32),
    ("openvino bf16", Provider::OpenVino, Precision::Bf16),
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
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = root.join(".setup/openvino/libonnxruntime.so");
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
            .map(|variant| open(&model, &library, variant))
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

fn open(model: &Path, library: &Path, variant: &(&'static str, Provider, Precision)) -> Variant {
    let &(name, provider, precision) = variant;
    let options = Options {
        provider,
        precision,
        library: Some(library.to_owned()),
        ..Options::default()
    };
    let started = Instant::now();
    let opened = runtime::open(ModelSource::File(model), &options, &[]).expect("a network");
    Variant {
        name,
        started: started.elapsed(),
        network: opened.network,
        runs: Vec::with_capacity(ROUNDS),
    }
}

/// The same numbers in 0..1 for every variant, without a visible pattern.
fn fill(network: &mut dyn Network) {
    for input in 0..network.inputs().len() {
        for (at, value) in (1_u32..).zip(network.input(input)) {
            *value = (at.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 24) as f32;
        }
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
        "  {:14} median {:7.1} ms, best {:.1}, 90 % {:.1}; started in {:.0} ms; error {largest:.1e}, mean {mean:.1e}",
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
