//! What networks ask of servers: how often, how long that takes, and when servers are lost and
//! found.
//!
//! Must not know the protocol.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::Durations;

/// Events that nobody has asked for yet; the oldest are forgotten.
#[cfg(feature = "remote")]
const EVENTS_MAX: usize = 64;

/// Shared by the networks that were opened with it and by who reports on them.
#[derive(Clone, Default)]
pub struct Calls(Arc<Mutex<Record>>);

#[derive(Default)]
struct Record {
    counts: CallCounts,
    durations: Durations,
    events: VecDeque<ServerEvent>,
}

/// What has been counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// Calls that were answered as expected.
    pub calls: u64,
    /// Those that were not, timeouts among them.
    pub errors: u64,
    pub timeouts: u64,
    /// How often a server that was lost was found again.
    pub reconnects: u64,
    /// Servers that draw now.
    pub active: u64,
    /// Bytes of tensors that were received and sent; not of those in shared memory.
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Time of a call: p50, p95, p99, in microseconds.
    pub percentiles: [u64; 3],
}

/// A server that comes or goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerEvent {
    /// Runs go elsewhere from here on: to the servers that are left or, where `left` is 0, as
    /// [`OnUnreachable`](super::OnUnreachable) says.
    Lost {
        server: String,
        reason: String,
        left: u64,
    },
    /// It is ready and agrees with the network that was read.
    Found { server: String },
    /// Tensors go there over the network, and not in shared memory.
    NotShared { server: String, reason: String },
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.record().counts.fmt(f)
    }
}

impl Calls {
    pub fn counts(&self) -> CallCounts {
        let record = self.record();
        let percentile = |percent| record.durations.percentile(percent);
        CallCounts {
            percentiles: [50, 95, 99].map(percentile),
            ..record.counts
        }
    }

    /// The event that came first, once.
    pub fn next_event(&self) -> Option<ServerEvent> {
        self.record().events.pop_front()
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        // Nothing in here panics half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(feature = "remote")]
impl Calls {
    pub(super) fn answered(&self, took: std::time::Duration, bytes_out: usize, bytes_in: usize) {
        let mut record = self.record();
        record.counts.calls += 1;
        record.counts.bytes_out += bytes_out as u64;
        record.counts.bytes_in += bytes_in as u64;
        record.durations.record(took);
    }

    pub(super) fn failed(&self, is_timeout: bool) {
        let mut record = self.record();
        record.counts.errors += 1;
        record.counts.timeouts += u64::from(is_timeout);
    }

    /// A server draws, for the first time where it was not `lost` before.
    pub(super) fn gained(&self, server: &str, was_lost: bool) {
        let mut record = self.record();
        record.counts.active += 1;
        if was_lost {
            record.counts.reconnects += 1;
            record.push(ServerEvent::Found {
                server: server.to_owned(),
            });
        }
    }

    /// A server cannot draw; `drew` where it did until now.
    pub(super) fn lost(&self, server: &str, reason: &str, drew: bool) {
        let mut record = self.record();
        record.counts.active -= u64::from(drew).min(record.counts.active);
        let left = record.counts.active;
        record.push(ServerEvent::Lost {
            server: server.to_owned(),
            reason: reason.to_owned(),
            left,
        });
    }

    /// A server does not see or does not want this machine's memory.
    pub(super) fn not_shared(&self, server: &str, reason: &str) {
        self.record().push(ServerEvent::NotShared {
            server: server.to_owned(),
            reason: reason.to_owned(),
        });
    }

    /// A network that a server drew is closed.
    pub(super) fn closed(&self) {
        let mut record = self.record();
        record.counts.active = record.counts.active.saturating_sub(1);
    }
}

#[cfg(feature = "remote")]
impl Record {
    fn push(&mut self, event: ServerEvent) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}
