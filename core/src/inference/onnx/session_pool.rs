//! Sessions that several networks share: the same model with the same options is in memory once.
//!
//! The pool holds no session alive: the last network that uses one frees it.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use crate::{
    Error,
    inference::{
        model_file::Digest,
        onnx::bound_network::Shared,
        options::{Precision, Provider, ProviderOptions},
    },
};

/// All that makes two sessions interchangeable.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub model: Digest,
    pub provider: Provider,
    pub device_id: u32,
    pub precision: Precision,
    pub provider_options: Option<ProviderOptions>,
    pub intra_threads: usize,
    pub batch: usize,
    pub shapes: Vec<(String, Vec<usize>)>,
}

type Slot = Arc<Mutex<Weak<Shared>>>;

static SLOTS: LazyLock<Mutex<HashMap<Key, Slot>>> = LazyLock::new(Default::default);

/// The session in use for `key`, or the one that `build` makes. Who asks for the same key in the
/// meantime waits for that one; other keys do not wait.
pub(super) fn get(
    key: Key,
    build: impl FnOnce() -> Result<Shared, Error>,
) -> Result<Arc<Shared>, Error> {
    let slot = slot(key);
    let mut session = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(shared) = session.upgrade() {
        return Ok(shared);
    }
    let shared = Arc::new(build()?);
    *session = Arc::downgrade(&shared);
    Ok(shared)
}

fn slot(key: Key) -> Slot {
    let mut slots = SLOTS.lock().unwrap_or_else(PoisonError::into_inner);
    // A slot that somebody else holds is in use even while it is empty or locked.
    slots.retain(|_, slot| {
        Arc::strong_count(slot) > 1
            || slot
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .strong_count()
                > 0
    });
    Arc::clone(slots.entry(key).or_default())
}
