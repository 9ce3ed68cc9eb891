//! How many threads a network should use when nobody says, and how many runs keep the machine busy.

use std::collections::HashSet;

use crate::inference::Provider;

/// Physical cores that this process may use. ONNX Runtime has a default of its own, but with it
/// pins its threads to cores, so that two elements in one process would fight for the same ones.
pub(super) fn physical() -> usize {
    let usable = usable();
    let cores = std::fs::read_to_string("/proc/cpuinfo").map_or(0, |text| count(&text));
    if cores == 0 {
        usable
    } else {
        usable.min(cores)
    }
}

/// Logical CPUs that this process may use.
fn usable() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Whether something else can be done while networks run on this provider: on a GPU, or on one of
/// several CPUs. Two are enough, even where the networks have a thread for each.
pub(super) fn leaves_one(provider: Provider) -> bool {
    matches!(provider, Provider::Cuda | Provider::TensorRt) || usable() > 1
}

/// Cores that a run of some hundred operators keeps busy for sure, however many threads it has:
/// operators begin and end together, and not all of them can be divided.
const BUSY: usize = 2;

/// Runs of one session, each with `threads`, that keep all cores busy. Every run beyond takes
/// memory of its own (186 MiB with the U-Net of 328 pixels) and makes no frame come sooner.
pub(super) fn runs_at_once(threads: usize) -> usize {
    (usable() / threads.clamp(1, BUSY)).max(1)
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

    #[test]
    fn runs_at_once_fill_the_machine() {
        let cores = usable();
        assert_eq!(runs_at_once(1), cores);
        for threads in [0, 2, cores, 1000] {
            let runs = runs_at_once(threads);
            assert!((1..=cores).contains(&runs), "{threads} threads: {runs}");
        }
    }
}
