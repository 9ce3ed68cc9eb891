//! What the figures were taken on.

use std::process::Command;

use anyhow::{Context, Result};
use lipsync_tools::usage::field;
use serde::Serialize;

/// What decides how fast networks run on a CPU.
const VECTORS: [&str; 4] = ["avx2", "avx512f", "avx512_vnni", "avx512_bf16"];

/// As Linux describes it; what it does not say is left out.
#[derive(Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Machine {
    pub cpu: Option<String>,
    pub cpu_family_model: [Option<String>; 2],
    pub vector: Vec<String>,
    pub gpu: Option<String>,
    pub cpus: usize,
    pub memory_gib: Option<f64>,
    pub system: Option<String>,
    pub kernel: String,
    pub gstreamer: String,
}

impl Machine {
    pub fn describe() -> Self {
        const CPU: &str = "/proc/cpuinfo";
        let flags = field(CPU, "flags").unwrap_or_default();
        let has = |name: &&str| flags.split_whitespace().any(|flag| flag == *name);
        let memory = field("/proc/meminfo", "MemTotal");
        let system = read("/etc/os-release");
        let name = system
            .lines()
            .find_map(|line| line.strip_prefix("PRETTY_NAME="));
        let kib = memory.and_then(|text| text.trim_end_matches(" kB").parse::<f64>().ok());
        Self {
            cpu: field(CPU, "model name"),
            cpu_family_model: ["cpu family", "model"].map(|name| field(CPU, name)),
            vector: VECTORS.into_iter().filter(has).map(str::to_owned).collect(),
            gpu: gpu(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: kib.map(|kib| (kib / f64::from(1 << 20)).round()),
            system: name.map(|name| name.trim_matches('"').to_owned()),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            gstreamer: gst::version_string().into(),
        }
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// NVIDIA's, with the version of its driver.
fn gpu() -> Option<String> {
    let mut command = Command::new("nvidia-smi");
    command.args(["--query-gpu=name,driver_version", "--format=csv,noheader"]);
    let output = command.output().ok()?;
    let line = String::from_utf8_lossy(&output.stdout);
    let (name, driver) = line.lines().next()?.split_once(", ")?;
    Some(format!("{name}, driver {driver}"))
}

/// Processes that waited for a CPU in the last minute.
pub fn load() -> Option<f64> {
    read("/proc/loadavg")
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// `2026-11-22 13:05 UTC`
pub fn now() -> Result<String> {
    let now = gst::glib::DateTime::now_utc()?;
    Ok(now.format("%Y-%m-%d %H:%M UTC")?.into())
}

/// The commit that is measured, with a mark when files differ from it.
pub fn commit() -> Result<String> {
    let mut command = Command::new("git");
    command.args(["describe", "--always", "--dirty", "--abbrev=12"]);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = command.output().context("git tells the commit")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
