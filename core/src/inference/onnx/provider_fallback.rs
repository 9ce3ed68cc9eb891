//! Opening a model on the execution provider that was asked for or, with `auto`, on the first one that
//! runs it; what was passed over is reported.

use super::{
    bound_network::{self, Shapes},
    library,
    providers::candidates,
};
use crate::{
    Error,
    inference::{Fallback, Model, OpenNetwork, Options, Provider},
};

/// Whether networks may run with these options, as far as that can be told without one: loads
/// ONNX Runtime and sees whether it was built with the provider.
///
/// # Errors
/// [`Error::RuntimeMissing`], [`Error::ProviderUnavailable`].
pub(super) fn check(options: &Options) -> Result<(), Error> {
    let runtime = library::load(options.library.as_deref(), options.provider)?;
    candidates(options, runtime).map(|_| ())
}

/// Opens a model, or shares the session of a network that is open with the same options. The
/// network has been run once on zeros when this returns, so that the first frame is no slower than
/// the others, and a provider that cannot run it is found out. Errors: see
/// [`Backend::open`](crate::inference::Backend::open).
pub(super) fn open(
    model: &Model,
    options: &Options,
    shapes: &Shapes,
) -> Result<OpenNetwork, Error> {
    let runtime = library::load(options.library.as_deref(), options.provider)?;
    let mut refused = Vec::new();
    for provider in candidates(options, runtime)? {
        match bound_network::bind(model, runtime, provider, options, shapes) {
            Ok(network) => {
                let fallbacks = refused.into_iter().map(|(requested, reason)| Fallback {
                    requested,
                    taken: provider,
                    reason,
                });
                return Ok(OpenNetwork {
                    network: Box::new(network),
                    active: provider,
                    fallbacks: fallbacks.collect(),
                });
            }
            Err(Error::ProviderUnavailable { provider, reason })
                if options.provider == Provider::Auto =>
            {
                refused.push((provider, reason));
            }
            Err(error) => return Err(error),
        }
    }
    // Even the CPU could not do what was asked for.
    let reasons = refused
        .iter()
        .map(|(provider, reason)| format!("{provider}: {reason}"));
    Err(options
        .provider
        .unavailable(reasons.collect::<Vec<_>>().join("; ")))
}
