//! What this process uses, as Linux tells it.

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
            let text = field(&read(file), name);
            let first = text
                .as_deref()
                .and_then(|text| text.split_whitespace().next());
            let number = first.and_then(|number| number.parse().ok());
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

/// A file of `/proc` or the like; empty where there is none.
pub fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The value behind `name:` at the start of a line.
pub fn field(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
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
    }

    #[test]
    fn this_process_uses_something() {
        let usage = Usage::now().unwrap();
        assert!(usage.rss_mib > 1.0 && usage.peak_rss_mib >= usage.rss_mib && usage.pss_mib > 0.0);
        assert!(usage.threads > 0 && usage.files > 2);
    }
}
