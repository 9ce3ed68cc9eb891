//! Taking turns: at most so many at a time, first come, first served.
//!
//! Must not know what is done in a turn.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A queue for something that only so many may use at a time.
pub(super) struct Turns {
    most: u64,
    tickets: Mutex<Tickets>,
    /// Somebody has ended a turn.
    ended: Condvar,
}

#[derive(Default)]
struct Tickets {
    /// Given out, and of those handed back.
    drawn: u64,
    done: u64,
}

impl Turns {
    /// For at most `most` at a time.
    pub fn new(most: usize) -> Self {
        Self {
            most: most as u64,
            tickets: Mutex::default(),
            ended: Condvar::new(),
        }
    }

    /// Waits for a turn, which lasts as long as what is returned. Nothing is locked meanwhile.
    pub fn take(&self) -> Turn<'_> {
        let mut tickets = self.lock();
        let mine = tickets.drawn;
        tickets.drawn += 1;
        // All before this one have begun, and all but fewer than `most` of them have ended.
        while mine - tickets.done.min(mine) >= self.most {
            tickets = self
                .ended
                .wait(tickets)
                .unwrap_or_else(PoisonError::into_inner);
        }
        Turn(self)
    }

    fn lock(&self) -> MutexGuard<'_, Tickets> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A turn, until it is dropped.
#[must_use]
pub(super) struct Turn<'a>(&'a Turns);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().done += 1;
        self.0.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

    use super::*;

    #[test]
    fn never_more_than_are_allowed_and_everybody_comes_on() {
        const THREADS: usize = 8;
        const ROUNDS: usize = 200;
        for most in 1..4 {
            let turns = Turns::new(most);
            let (inside, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
            thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        for _ in 0..ROUNDS {
                            let turn = turns.take();
                            assert!(inside.fetch_add(1, Ordering::SeqCst) < most);
                            thread::yield_now();
                            inside.fetch_sub(1, Ordering::SeqCst);
                            drop(turn);
                            ended.fetch_add(1, Ordering::SeqCst);
                        }
                    });
                }
            });
            assert_eq!(ended.into_inner(), THREADS * ROUNDS);
        }
    }

    #[test]
    fn first_come_first_served() {
        const THREADS: usize = 6;
        let turns = Turns::new(1);
        let served = Mutex::new(Vec::new());
        thread::scope(|scope| {
            let first = turns.take();
            for index in 0..THREADS {
                let (turns, served) = (&turns, &served);
                scope.spawn(move || {
                    let _turn = turns.take();
                    served.lock().unwrap().push(index);
                });
                // The next one comes when this one waits.
                while turns.lock().drawn < index as u64 + 2 {
                    thread::yield_now();
                }
            }
            drop(first);
        });
        assert_eq!(served.into_inner().unwrap(), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_turn_that_ends_in_a_panic_has_ended() {
        let turns = Turns::new(1);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _turn = turns.take();
            panic!("in the middle of a turn");
        }));
        assert!(panicked.is_err());
        drop(turns.take());
    }
}
