//! Keeps something going that can fail: an input, an output.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use gst::prelude::*;

use super::{
    input::{self, Secret},
    log::Log,
};
use crate::interrupt;

/// Between a fault and the next attempt, at first and at most: twice as long after each.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(5)];
/// What has gone on for longer may have failed by chance.
const STABLE: Duration = Duration::from_secs(10);
/// Between two looks at whether it is over.
const LOOK: Duration = Duration::from_millis(20);

/// That everything is to end: noticed by whoever waits.
#[derive(Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    pub fn stop(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether somebody said so, or a signal came.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire) || interrupt::received().is_some()
    }

    /// Waits, but not beyond the end.
    pub fn wait(&self, time: Duration) {
        let begun = Instant::now();
        while !self.is_set() && begun.elapsed() < time {
            thread::sleep(LOOK.min(time));
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Connecting,
    Playing,
    /// It failed and is tried again.
    Lost,
    /// Nothing more comes, as it should be.
    Ended,
    /// It failed for good.
    Failed,
}

/// How something is, for whoever looks.
pub struct Health {
    /// What it is, as it may be shown.
    pub name: String,
    kind: &'static str,
    /// What may not be shown.
    secrets: Vec<Secret>,
    inner: Mutex<Inner>,
}

struct Inner {
    state: State,
    reason: Option<String>,
    since: Instant,
    attempts: u64,
}

impl Health {
    /// `kind` is what the log calls it; `secrets` are taken out of reasons.
    pub fn new(kind: &'static str, name: String, secrets: Vec<Secret>) -> Arc<Self> {
        Arc::new(Self {
            name,
            kind,
            secrets,
            inner: Mutex::new(Inner {
                state: State::Connecting,
                reason: None,
                since: Instant::now(),
                attempts: 0,
            }),
        })
    }

    /// A text as it may be shown.
    pub fn hide(&self, text: String) -> String {
        input::hide(text, &self.secrets)
    }

    pub fn set(&self, state: State, reason: Option<String>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.state != state {
            inner.since = Instant::now();
        }
        inner.attempts += u64::from(state == State::Connecting);
        // While it is tried again it is good to know why.
        if reason.is_some() || state != State::Connecting {
            inner.reason = reason;
        }
        inner.state = state;
    }

    pub fn state(&self) -> State {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.state
    }

    /// That it failed for good, and why.
    pub fn failure(&self) -> Option<anyhow::Error> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let reason = inner.reason.as_deref().unwrap_or_default();
        (inner.state == State::Failed)
            .then(|| anyhow::anyhow!("{} {} failed: {reason}", self.kind, self.name))
    }

    pub fn json(&self) -> serde_json::Value {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::json!({
            "address": self.name,
            "state": inner.state,
            "reason": inner.reason,
            "seconds": inner.since.elapsed().as_secs(),
            "attempts": inner.attempts,
        })
    }
}

/// Has a pipeline reckon its latency anew. A sink that is not linked yet, of a stream that may never come, has it fail; what
/// the others have stays right.
pub fn renew_latency(pipeline: &gst::Pipeline) {
    if pipeline.recalculate_latency().is_err() {
        gst::debug!(gst::CAT_DEFAULT, obj = pipeline, "no new latency");
    }
}

/// Does it again and again until it ends as it should, fails for good, or all ends. An attempt says
/// [`State::Playing`] itself.
pub fn keep_going(
    health: &Health,
    log: &Log,
    stop: &Stop,
    is_worth_trying: bool,
    mut attempt: impl FnMut() -> Result<()>,
) {
    let [first, longest] = PAUSES;
    let mut pause = first;
    let mut known = None;
    while !stop.is_set() {
        let begun = Instant::now();
        health.set(State::Connecting, None);
        let ended = attempt();
        // What ends with all else fails only where something is lost by it.
        if stop.is_set() && (ended.is_ok() || is_worth_trying) {
            return;
        }
        let Err(error) = ended else {
            health.set(State::Ended, None);
            log.info(format!("{} {} has ended", health.kind, health.name));
            return;
        };
        let (kind, name, reason) = (health.kind, &health.name, health.hide(format!("{error:#}")));
        if !is_worth_trying {
            log.error(format!("{kind} {name} failed: {reason}"));
            health.set(State::Failed, Some(reason));
            return;
        }
        let has_played = health.state() == State::Playing;
        if has_played && begun.elapsed() > STABLE {
            pause = first;
        }
        // What fails again and again for the same reason is said once.
        if has_played || known.as_ref() != Some(&reason) {
            log.warning(format!("{kind} {name} is lost: {reason}; trying again"));
        }
        known = Some(reason.clone());
        health.set(State::Lost, Some(reason));
        stop.wait(pause);
        pause = longest.min(2 * pause);
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn what_fails_is_tried_again_until_it_ends() {
        let (health, log, stop) = (
            Health::new("input", "x".into(), Vec::new()),
            Log::new(),
            Stop::default(),
        );
        let mut left = 2;
        keep_going(&health, &log, &stop, true, || {
            left -= 1;
            if left >= 0 {
                Err(anyhow!("gone"))
            } else {
                Ok(())
            }
        });
        assert_eq!(health.state(), State::Ended);
        assert_eq!(health.json()["attempts"], 3);
        let texts: Vec<_> = log.entries().into_iter().map(|entry| entry.text).collect();
        assert_eq!(
            texts,
            ["input x is lost: gone; trying again", "input x has ended"]
        );
    }

    #[test]
    fn what_cannot_be_tried_again_has_failed() {
        let (health, log, stop) = (
            Health::new("output", "x".into(), input::secrets("rtmp://x/live/key")),
            Log::new(),
            Stop::default(),
        );
        keep_going(&health, &log, &stop, false, || {
            Err(anyhow!("live/key is refused"))
        });
        assert_eq!(health.state(), State::Failed);
        assert_eq!(health.json()["reason"], "live/... is refused");
    }
}
