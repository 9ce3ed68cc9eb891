//! How many items wait on a pad of the element: an Aggregator's pad says only whether there is one.
//!
//! Must not know pads or items.

use std::sync::atomic::{AtomicI64, Ordering};

/// Items that have come to a pad and were not taken yet. An item is counted before it is there.
#[derive(Default)]
pub struct Level(AtomicI64);

impl Level {
    pub fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// An item has come, and is on the pad in a moment.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// An item has been taken.
    pub fn remove(&self) {
        let less = |count: i64| Some((count - 1).max(0));
        let _ = (self.0).fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// The pad was found empty: no more than one item is on its way.
    pub fn found_empty(&self) {
        self.0.fetch_min(1, Ordering::Relaxed);
    }

    /// Whether another item waits behind the first.
    pub fn has_more(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_one_item_is_more_and_none_is_never_less_than_none() {
        let level = Level::default();
        level.remove();
        level.add();
        assert!(!level.has_more());
        level.add();
        level.add();
        assert!(level.has_more());
        level.found_empty();
        assert!(!level.has_more());
    }
}
