//! What opens networks: ONNX Runtime in this process, or another engine beside it.

use super::{Model, OpenNetwork, Options, Provider};
use crate::Error;

/// Opens networks. A second engine is one folder beside `onnx/` that implements this.
pub trait Backend: Send + Sync {
    /// Whether networks may run with these options, as far as that can be told without one.
    ///
    /// # Errors
    /// [`Error::RuntimeMissing`], [`Error::ProviderUnavailable`].
    fn check(&self, options: &Options) -> Result<(), Error>;

    /// Opens `model`, ready for its first run. `shapes` gives shapes of inputs by name, with 0
    /// for a dimension that is as the model has it; one that the model leaves open and that no shape
    /// fixes becomes 1, the first one [`Options::batch`].
    ///
    /// # Errors
    /// Those of [`check`](Self::check); [`Error::ModelUnreadable`]; [`Error::ModelMismatch`] when a
    /// tensor is of another type than [`Element`](super::Element)s or `shapes` contradicts the
    /// model; [`Error::Inference`] when a trial run fails.
    fn open(
        &self,
        model: &Model,
        options: &Options,
        shapes: &[(&str, &[usize])],
    ) -> Result<OpenNetwork, Error>;

    /// Whether two networks are open sooner when they are opened at the same time.
    fn opens_in_parallel(&self, options: &Options) -> bool;

    /// Whether something else can be computed while networks run on `provider`.
    fn leaves_a_cpu(&self, provider: Provider) -> bool;
}
