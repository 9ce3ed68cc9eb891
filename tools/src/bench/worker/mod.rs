//! The contenders of ours, each a process of its own, as those in Python are.
//!
//! A contender says `{"first-frame": ...}` as soon as its first frame has come out and
//! `{"ready": ...}` once it is warm. Then it draws N frames for each line "N" that it reads, and
//! answers with a line of their milliseconds.

pub mod bare;
pub mod element;
pub mod engine;
pub mod latency;
pub mod streams;

use std::io::{BufRead as _, Write as _};

use anyhow::{Context, Result, bail};
use lipsync_core::inference::{Options, Precision, Provider, ProviderOptions};
use lipsync_tools::arguments::Arguments;
use serde_json::{Value, json};

use crate::{
    job::{Amount, Job},
    models::Model,
    roster::Variant,
};

/// Frames before it counts as warm.
const WARM_UP: usize = 3;

/// What a contender is told on its command line.
pub struct Order {
    pub model: Model,
    pub variant: Variant,
    pub threads: usize,
    pub job: Job,
    pub amount: Amount,
    /// Streams at once and frames of each, where that is measured.
    pub streams: usize,
    pub count: usize,
}

/// Draws frames and says how long each took.
pub trait Contender {
    /// Milliseconds of each frame, and of its parts by name.
    fn draw(&mut self, count: usize) -> Result<Times>;
}

/// Milliseconds by name; `frame` is the whole.
pub type Times = Vec<(&'static str, Vec<f64>)>;

pub const WHOLE: &str = "frame";

pub fn run(kind: &str, arguments: &Arguments) -> Result<()> {
    let order = Order::read(arguments)?;
    let contender: Box<dyn Contender> = match kind {
        "bare" => Box::new(bare::Bare::open(&order)?),
        "engine" => Box::new(engine::Drawing::open(&order)?),
        "element" => Box::new(element::Pipe::open(&order)?),
        "streams" => return say(&streams::measure(&order)?),
        "latency" => return say(&latency::measure(&order)?),
        _ => bail!("no contender is called {kind}"),
    };
    serve(contender)
}

fn serve(mut contender: Box<dyn Contender>) -> Result<()> {
    contender.draw(1)?;
    say(&json!({"first-frame": true}))?;
    contender.draw(WARM_UP)?;
    say(&json!({"ready": memory()?}))?;
    for line in std::io::stdin().lock().lines() {
        let count = line?.trim().parse().context("a number of frames")?;
        let times = contender.draw(count)?;
        let times = times
            .into_iter()
            .map(|(name, ms)| (format!("{name}-ms"), json!(ms)));
        say(&Value::Object(times.collect()))?;
    }
    Ok(())
}

fn say(answer: &Value) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{answer}")?;
    Ok(out.flush()?)
}

/// Of this process, in MiB: the most that was ever resident, and its fair share of what is now.
pub fn memory() -> Result<Value> {
    let find = |file: &str, name: &str| -> Result<f64> {
        let text = std::fs::read_to_string(file)?;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next());
        let kib: f64 = number
            .with_context(|| format!("{file} says {name}"))?
            .parse()?;
        Ok(kib / 1024.0)
    };
    Ok(json!({
        "peak-rss-mib": find("/proc/self/status", "VmHWM:")?,
        "pss-mib": find("/proc/self/smaps_rollup", "Pss:")?,
    }))
}

impl Order {
    /// The names of all arguments that contenders take.
    pub const ARGUMENTS: [&str; 9] = [
        "--worker",
        "--model",
        "--variant",
        "--threads",
        "--folder",
        "--size",
        "--amount",
        "--streams",
        "--count",
    ];

    fn read(arguments: &Arguments) -> Result<Self> {
        let number = |name| -> Result<usize> {
            match arguments.text(name) {
                Some(text) => text
                    .parse()
                    .with_context(|| format!("{name} wants a number")),
                None => Ok(0),
            }
        };
        let text = |name| {
            arguments
                .text(name)
                .with_context(|| format!("{name} is missing"))
        };
        let size = text("--size")?;
        let (width, height) = size.split_once('x').context("--size wants WIDTHxHEIGHT")?;
        Ok(Self {
            model: Model::at(&arguments.required_path("--model")?),
            variant: Variant::named(&text("--variant")?)?,
            threads: number("--threads")?,
            job: Job {
                folder: arguments.required_path("--folder")?,
                width: width.parse()?,
                height: height.parse()?,
            },
            amount: match text("--amount")?.as_str() {
                "few" => Amount::Few,
                _ => Amount::All,
            },
            streams: number("--streams")?,
            count: number("--count")?,
        })
    }

    pub fn options(&self) -> Options {
        Options {
            provider: self.variant.provider,
            precision: self.variant.precision,
            intra_threads: self.threads,
            provider_options: self.provider_options(),
            ..Options::default()
        }
    }

    /// `None` where there are no settings: not every provider takes some.
    fn provider_options(&self) -> Option<ProviderOptions> {
        let settings = self.variant.settings.iter();
        let values: Vec<_> = settings
            .map(|&(key, value)| (key.into(), value.into()))
            .collect();
        (!values.is_empty()).then(|| ProviderOptions {
            provider: self.variant.provider.name().into(),
            values,
        })
    }

    /// The same for the element, as properties.
    pub fn properties(&self) -> Vec<(&'static str, String)> {
        let mut properties = vec![
            (
                "execution-provider",
                Provider::name(self.variant.provider).into(),
            ),
            ("precision", Precision::name(self.variant.precision).into()),
            ("intra-threads", self.threads.to_string()),
            // The Python pipelines draw every frame, whether somebody speaks or not.
            ("silence", "animate".into()),
        ];
        if !self.variant.settings.is_empty() {
            let settings = self.variant.settings.iter();
            let settings = settings.map(|(key, value)| format!(",{key}={value}"));
            let provider = self.variant.provider.name();
            properties.push((
                "provider-options",
                format!("{provider}{}", settings.collect::<String>()),
            ));
        }
        if let Some(manifest) = self.model.manifest() {
            properties.push(("model", manifest.display().to_string()));
        }
        properties
    }
}
