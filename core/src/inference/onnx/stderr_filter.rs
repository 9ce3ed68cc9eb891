//! Keeps from the user what a library prints to standard error and nobody has to know.
//!
//! Must not know which library.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, Write as _},
    os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
};

/// Runs `work`, and afterwards prints what was printed to standard error meanwhile, but for the
/// lines that begin with `noise` and the empty ones that follow these. Returns how many there were.
///
/// Standard error is the whole process's: what other threads print there meanwhile comes later, and
/// what a program prints that one of them starts meanwhile is lost. Where it cannot be had, `work`
/// just runs.
pub(super) fn without_lines<T>(noise: &str, work: impl FnOnce() -> T) -> (T, usize) {
    let Ok(caught) = Caught::begin() else {
        return (work(), 0);
    };
    let result = work();
    let dropped = caught.end(noise.as_bytes()).unwrap_or(0);
    (result, dropped)
}

/// Standard error while it goes to memory. Dropped, it is as it was before.
struct Caught {
    memory: File,
    before: OwnedFd,
}

impl Caught {
    fn begin() -> io::Result<Self> {
        // SAFETY: a name that ends with 0; what is returned is checked.
        let memory = unsafe { libc::memfd_create(c"lipsync-stderr".as_ptr(), libc::MFD_CLOEXEC) };
        if memory < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new descriptor that nobody else has.
        let memory = unsafe { File::from_raw_fd(memory) };
        let before = io::stderr().as_fd().try_clone_to_owned()?;
        replace_stderr(memory.as_raw_fd())?;
        Ok(Self { memory, before })
    }

    fn end(self, noise: &[u8]) -> io::Result<usize> {
        let mut memory = self.memory.try_clone()?;
        drop(self);
        let mut text = Vec::new();
        memory.rewind()?;
        memory.read_to_end(&mut text)?;
        let (kept, dropped) = filtered(&text, noise);
        io::stderr().write_all(&kept)?;
        Ok(dropped)
    }
}

impl Drop for Caught {
    fn drop(&mut self) {
        // Two descriptors that are open: it cannot fail.
        let _ = replace_stderr(self.before.as_raw_fd());
    }
}

fn replace_stderr(by: RawFd) -> io::Result<()> {
    // SAFETY: both are descriptors; that the second one stands for another file from now on is what
    // whoever prints there does not notice.
    match unsafe { libc::dup2(by, libc::STDERR_FILENO) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// What is left, and how many lines began with `noise`.
fn filtered(text: &[u8], noise: &[u8]) -> (Vec<u8>, usize) {
    let mut kept = Vec::new();
    let mut dropped = 0;
    let mut follows_noise = false;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let is_noise = line.starts_with(noise);
        if is_noise {
            dropped += 1;
        } else if !(follows_noise && line == b"\n") {
            kept.extend_from_slice(line);
        }
        follows_noise = is_noise;
    }
    (kept, dropped)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn only_noise_and_its_empty_lines_are_dropped() {
        let text = b"first\n\nNoise: one\n\nNoise: two\nlast Noise: \n\nNoise: three\n\n\nend";
        let (kept, dropped) = filtered(text, b"Noise: ");
        assert_eq!(kept, b"first\n\nlast Noise: \n\n\nend");
        assert_eq!(dropped, 3);
    }

    /// What [`noise_does_not_reach_standard_error`] runs.
    #[test]
    #[ignore = "prints to standard error"]
    fn prints_noise() {
        let say = |text: &str| {
            let written = File::from(io::stderr().as_fd().try_clone_to_owned().unwrap())
                .write_all(text.as_bytes());
            written.unwrap();
        };
        say("before\n");
        let (result, dropped) = without_lines("Noise: ", || {
            say("Noise: is heard\n\nsomebody else\n");
            7
        });
        assert_eq!((result, dropped), (7, 1));
        say("after\n");
    }

    #[test]
    fn noise_does_not_reach_standard_error() {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["prints_noise", "--ignored", "--quiet"])
            .output()
            .unwrap();
        assert!(output.status.success());
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("before\nsomebody else\nafter\n"), "{text}");
    }
}
