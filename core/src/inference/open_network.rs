//! What opening a network brings.

use super::{Fallback, Network, Provider};

/// A network ready to run, and what it runs on.
pub struct OpenNetwork {
    pub network: Box<dyn Network>,
    pub active: Provider,
    /// What [`Provider::Auto`] would have preferred.
    pub fallbacks: Vec<Fallback>,
}
