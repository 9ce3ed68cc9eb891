//! What the figures were taken on.

use std::{fs, process::Command};

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Of Linux; what it does not say is left out.
pub fn describe() -> Value {
    let cpuinfo = read("/proc/cpuinfo");
    let kib = field(&read("/proc/meminfo"), "MemTotal").and_then(|text| {
        let number = text.split_whitespace().next()?;
        number.parse::<f64>().ok()
    });
    json!({
        "processor": field(&cpuinfo, "model name"),
        "family-model": [field(&cpuinfo, "cpu family"), field(&cpuinfo, "model")],
        "vector": VECTORS.iter().filter(|name| has_flag(&cpuinfo, name)).collect::<Vec<_>>(),
        "card": card(),
        "processors": std::thread::available_parallelism().map_or(1, usize::from),
        "memory-gib": kib.map(|kib| (kib / f64::from(1 << 20)).round()),
        "system": field(&read("/etc/os-release").replace('=', ":"), "PRETTY_NAME")
            .map(|name| name.trim_matches('"').to_owned()),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "gstreamer": gst::version_string().as_str(),
    })
}

/// What decides how fast networks run on a processor.
const VECTORS: [&str; 4] = ["avx2", "avx512f", "avx512_vnni", "avx512_bf16"];

/// NVIDIA's, with the version of its driver.
fn card() -> Option<String> {
    let output = Command::new("nvidia-smi")
        .args(["--query-gpu=name,driver_version", "--format=csv,noheader"])
        .output()
        .ok()?;
    let line = String::from_utf8_lossy(&output.stdout);
    let (name, driver) = line.lines().next()?.split_once(", ")?;
    Some(format!("{name}, driver {driver}"))
}

/// Processes that wanted a processor in the last minute.
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
    let output = Command::new("git")
        .args(["describe", "--always", "--dirty", "--abbrev=12"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .context("git tells the commit")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn field(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

fn has_flag(cpuinfo: &str, flag: &str) -> bool {
    field(cpuinfo, "flags").is_some_and(|flags| flags.split_whitespace().any(|f| f == flag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_names() {
        let text = "model\t\t: 17\nmodel name\t: AMD EPYC\nflags : avx avx2\n";
        assert_eq!(field(text, "model name").as_deref(), Some("AMD EPYC"));
        assert_eq!(field(text, "model").as_deref(), Some("17"));
        assert_eq!(field(text, "cache"), None);
        assert!(has_flag(text, "avx2") && !has_flag(text, "avx512f"));
    }
}
