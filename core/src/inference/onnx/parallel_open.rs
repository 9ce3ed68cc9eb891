//! Opening networks at the same time.
//!
//! Must not know how a network is opened.

use std::{panic, thread};

use crate::inference::{
    onnx::{library, providers},
    options::{Options, Provider},
};

/// Does both, on two threads where that makes it faster. What they do opens networks with
/// `options`.
pub fn together<A: Send, B>(
    options: &Options,
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B,
) -> (A, B) {
    if !is_faster(options) {
        return (first(), second());
    }
    thread::scope(|scope| {
        let first = scope.spawn(first);
        let second = second();
        let first = first.join();
        (
            first.unwrap_or_else(|panic| panic::resume_unwind(panic)),
            second,
        )
    })
}

/// Most of it is one thread's work. Not so where a card may be used: TensorRT chooses what is
/// fastest by trying, undisturbed.
fn is_faster(options: &Options) -> bool {
    match options.provider {
        Provider::Cpu | Provider::OpenVino => true,
        Provider::Cuda | Provider::TensorRt => false,
        Provider::Auto => {
            library::load(options.library.as_deref(), options.provider).is_ok_and(|_| {
                ![Provider::Cuda, Provider::TensorRt]
                    .map(providers::is_compiled_in)
                    .contains(&true)
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_done_whatever_they_run_on() {
        for provider in [Provider::Auto, Provider::Cpu, Provider::Cuda] {
            let options = Options {
                provider,
                ..Options::default()
            };
            assert_eq!(together(&options, || 1, || "two"), (1, "two"));
        }
    }
}
