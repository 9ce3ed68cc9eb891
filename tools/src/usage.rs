//! What this process and machine use, as Linux reports it.

use std::fs;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// What this process uses now.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Usage {
    /// Resident memory, in MiB: now, and the most that ever was.
    pub rss_mib: f64,
    pub peak_rss_mib: f64,
    /// The same now, with pages that several processes share counted once.
    pub pss_mib: f64,
    pub threads: u64,
    /// Open file descriptors.
    pub files: u64,
}

impl Usage {
    pub fn now() -> Result<Self> {
        let number = |file: &str, name: &str| -> Result<f64> {
            let text = field(file, name).unwrap_or_default();
            let number = text
                .split_whitespace()
                .next()
                .and_then(|text| text.parse().ok());
            number.with_context(|| format!("no {name} in {file}"))
        };
        const STATUS: &str = "/proc/self/status";
        Ok(Self {
            rss_mib: number(STATUS, "VmRSS")? / 1024.0,
            peak_rss_mib: number(STATUS, "VmHWM")? / 1024.0,
            pss_mib: number("/proc/self/smaps_rollup", "Pss")? / 1024.0,
            threads: number(STATUS, "Threads")? as u64,
            files: fs::read_dir("/proc/self/fd")?.count() as u64,
        })
    }
}

/// CPU time of this process so far, of its own and of the kernel's for it, in milliseconds.
pub fn cpu_ms() -> Result<f64> {
    /// Linux tells programs times in hundredths of a second.
    const TICK_MS: f64 = 10.0;
    let stat = fs::read_to_string("/proc/self/stat")?;
    // Behind the name, which may hold anything, and eleven others.
    let fields = stat.rsplit_once(") ").map(|(_, fields)| fields.split(' '));
    let times = fields.into_iter().flatten().skip(11).take(2);
    let ticks: Vec<f64> = times.map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() * TICK_MS)
}

/// The value behind `name:` at the start of a line of a file of `/proc`.
pub fn field(file: &str, name: &str) -> Option<String> {
    fs::read_to_string(file).ok()?.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let usage = Usage::now().unwrap();
        assert!(usage.rss_mib > 1.0 && usage.peak_rss_mib >= usage.rss_mib && usage.pss_mib > 0.0);
        assert!(usage.threads > 0 && usage.files > 2);
        let before = cpu_ms().unwrap();
        let busy = std::time::Instant::now();
        while cpu_ms().unwrap() == before {
            assert!(busy.elapsed().as_secs() < 60);
        }
        // By the whole name only: there are also VmRSS, VmData.
        assert_eq!(field("/proc/self/status", "Vm"), None);
    }
}
