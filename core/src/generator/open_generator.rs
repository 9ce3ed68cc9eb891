//! What opening a generator brings.

use super::Generator;
use crate::inference;

/// A generator, ready to draw.
pub struct OpenGenerator {
    pub generator: Box<dyn Generator>,
    /// Name, licence and source of the model, for logs.
    pub about: String,
    /// What runs its networks; `None` when it has none.
    pub active: Option<inference::Provider>,
    pub fallbacks: Vec<inference::Fallback>,
    /// What it was read from.
    pub files: inference::Snapshot,
}
