//! How many threads a network should use when nobody says.

use std::collections::HashSet;

/// Physical cores that this process may use. ONNX Runtime has a default of its own, but with it
/// pins its threads to cores, so that two elements in one process would fight for the same ones.
pub(super) fn physical() -> usize {
    let usable = std::thread::available_parallelism().map_or(1, usize::from);
    let cores = std::fs::read_to_string("/proc/cpuinfo").map_or(0, |text| count(&text));
    if cores == 0 {
        usable
    } else {
        usable.min(cores)
    }
}

/// Distinct (socket, core) pairs of a `/proc/cpuinfo`; 0 when it does not name them.
fn count(cpuinfo: &str) -> usize {
    let mut cores = HashSet::new();
    let mut socket = "";
    for line in cpuinfo.lines() {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        match key.trim() {
            "physical id" => socket = value.trim(),
            "core id" => {
                cores.insert((socket, value.trim()));
            }
            _ => {}
        }
    }
    cores.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hyperthreads_share_a_core() {
        let thread = |socket, core| format!("physical id\t: {socket}\ncore id\t\t: {core}\n\n");
        let text: String = [(0, 0), (0, 0), (0, 1), (0, 1), (1, 0), (1, 0)]
            .map(|(s, c)| thread(s, c))
            .concat();
        assert_eq!(count(&text), 3);
        assert_eq!(count("processor : 0\nBogoMIPS : 50\n"), 0);
        assert!(physical() >= 1);
    }
}
