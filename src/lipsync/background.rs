//! Makes things in the background, one at a time as far as anybody can see: the newest order
//! counts, what older ones make is dropped.
//!
//! Plain threads. Must not know what is made, nor GStreamer.

use std::{
    io, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

/// Work on an order cannot be stopped from outside, it may go on for minutes after nobody wants it
/// any more. One such thread does not keep the next order waiting; more are not let loose.
const THREADS_MAX: usize = 2;
/// The kernel keeps 15 letters.
const THREAD_NAME: &str = "lipsync-loader";

/// How it stands with the newest order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadState {
    /// There is none, or what it was for has been made.
    Idle,
    Busy,
    Failed,
}

type Job<T> = Box<dyn FnOnce(Order<T>) + Send>;

struct State<T> {
    /// Number of the newest order.
    newest: u64,
    course: LoadState,
    /// What was made last and nobody has taken yet.
    made: Option<T>,
    /// Orders that find no thread: the newest.
    waiting: Option<(u64, Job<T>)>,
    threads: usize,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        // Nothing in here panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See the module.
pub struct Loader<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Default for Loader<T> {
    fn default() -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    newest: 0,
                    course: LoadState::Idle,
                    made: None,
                    waiting: None,
                    threads: 0,
                }),
                changed: Condvar::new(),
            }),
        }
    }
}

impl<T: Send + 'static> Loader<T> {
    /// Has `job` done in the background, in place of what is being done. What was made before stays
    /// until the job delivers.
    ///
    /// # Errors
    /// Where the system has no more threads; the order has failed then.
    pub fn load(&self, job: impl FnOnce(Order<T>) + Send + 'static) -> io::Result<()> {
        let mut state = self.shared.state();
        state.newest += 1;
        state.course = LoadState::Busy;
        state.waiting = Some((state.newest, Box::new(job)));
        if state.threads == THREADS_MAX {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        let started = thread::Builder::new()
            .name(THREAD_NAME.into())
            .spawn(move || work_off(&shared));
        match started {
            Ok(_) => state.threads += 1,
            // One that is at work takes the order when it is done.
            Err(_) if state.threads > 0 => (),
            Err(err) => {
                state.waiting = None;
                state.course = LoadState::Failed;
                return Err(err);
            }
        }
        Ok(())
    }

    /// As if an order had been delivered at once.
    pub fn put(&self, made: T) {
        let mut state = self.shared.state();
        state.newest += 1;
        state.waiting = None;
        state.course = LoadState::Idle;
        let old = state.made.replace(made);
        drop(state);
        drop(old);
        self.shared.changed.notify_all();
    }

    /// Nobody wants the newest order any more. Whether it was still being worked on.
    pub fn cancel(&self) -> bool {
        let mut state = self.shared.state();
        state.newest += 1;
        let job = state.waiting.take();
        let was_busy = mem::replace(&mut state.course, LoadState::Idle) == LoadState::Busy;
        drop(state);
        drop(job);
        self.shared.changed.notify_all();
        was_busy
    }

    /// What was made last, once.
    pub fn take(&self) -> Option<T> {
        self.shared.state().made.take()
    }

    pub fn load_state(&self) -> LoadState {
        self.shared.state().course
    }

    /// Waits while the newest order is worked on and nothing is there to be taken, as long as
    /// `patient` says so. It is asked anew at every [`wake`](Self::wake).
    pub fn wait(&self, mut patient: impl FnMut() -> bool) {
        let mut state = self.shared.state();
        while state.course == LoadState::Busy && state.made.is_none() && patient() {
            state = self
                .shared
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Has who waits look again whether it still wants to.
    pub fn wake(&self) {
        // Not between the question and the wait.
        drop(self.shared.state());
        self.shared.changed.notify_all();
    }
}

impl<T> Drop for Loader<T> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.newest += 1;
        let (job, made) = (state.waiting.take(), state.made.take());
        drop(state);
        drop((job, made));
    }
}

/// Does in a thread of its own what nobody waits for. Where there is none to be had, `job` is
/// dropped undone.
pub fn aside(job: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().name(THREAD_NAME.into());
    let _ = thread.spawn(job);
}

/// Does what is ordered until nothing is.
fn work_off<T>(shared: &Arc<Shared<T>>) {
    loop {
        let (number, job) = {
            let mut state = shared.state();
            match state.waiting.take() {
                Some(order) => order,
                None => {
                    state.threads -= 1;
                    return;
                }
            }
        };
        let order = Order {
            number,
            shared: Arc::clone(shared),
            is_settled: false,
        };
        // An order that is dropped on the way has failed; the thread goes on.
        let _ = catch_unwind(AssertUnwindSafe(|| job(order)));
    }
}

/// One order while it is worked on. Dropped without an answer it has failed.
pub struct Order<T> {
    number: u64,
    shared: Arc<Shared<T>>,
    is_settled: bool,
}

impl<T> Order<T> {
    /// Whether no newer order has come and nobody has called it off.
    pub fn is_wanted(&self) -> bool {
        self.shared.state().newest == self.number
    }

    /// Hands over what was ordered. Gives it back where nobody wants it any more.
    pub fn deliver(self, made: T) -> Result<(), T> {
        let mut rest = Some(made);
        let mut old = None;
        self.settle(|state| {
            state.course = LoadState::Idle;
            old = mem::replace(&mut state.made, rest.take());
        });
        drop(old);
        rest.map_or(Ok(()), Err)
    }

    /// It cannot be made. Whether anybody still wants it.
    pub fn fail(self) -> bool {
        self.settle(|state| state.course = LoadState::Failed)
    }

    /// As [`fail`](Self::fail), where what there was before serves as well.
    pub fn withdraw(self) -> bool {
        self.settle(|state| state.course = LoadState::Idle)
    }

    fn settle(mut self, answer: impl FnOnce(&mut State<T>)) -> bool {
        self.is_settled = true;
        self.answer(answer)
    }

    fn answer(&self, answer: impl FnOnce(&mut State<T>)) -> bool {
        let mut state = self.shared.state();
        let is_wanted = state.newest == self.number;
        if is_wanted {
            answer(&mut state);
        }
        drop(state);
        self.shared.changed.notify_all();
        is_wanted
    }
}

impl<T> Drop for Order<T> {
    fn drop(&mut self) {
        if !self.is_settled {
            self.answer(|state| state.course = LoadState::Failed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            atomic::{AtomicUsize, Ordering},
            mpsc::{Receiver, Sender, channel},
        },
        time::{Duration, Instant},
    };

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A job that begins, waits to be told to go on, and delivers its number.
    fn slow(number: u32) -> (impl FnOnce(Order<u32>) + Send, Receiver<()>, Sender<()>) {
        let (begun, has_begun) = channel();
        let (go, may_go) = channel();
        let job = move |order: Order<u32>| {
            let _ = begun.send(());
            let _ = may_go.recv_timeout(PATIENCE);
            let _ = order.deliver(number);
        };
        (job, has_begun, go)
    }

    fn until(mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < deadline, "it never comes");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn threads<T>(loader: &Loader<T>) -> usize {
        loader.shared.state().threads
    }

    #[test]
    fn what_is_ordered_is_made_and_taken_once() {
        let loader = Loader::default();
        assert_eq!(loader.load_state(), LoadState::Idle);
        loader
            .load(|order| assert!(order.deliver(7).is_ok()))
            .unwrap();
        loader.wait(|| true);
        assert_eq!(loader.take(), Some(7));
        assert_eq!(loader.take(), None);
        assert_eq!(loader.load_state(), LoadState::Idle);
        until(|| threads(&loader) == 0);
    }

    #[test]
    fn the_newest_order_wins_whichever_is_done_first() {
        let loader = Loader::default();
        let (first, first_begun, finish_first) = slow(1);
        let (second, second_begun, finish_second) = slow(2);
        loader.load(first).unwrap();
        first_begun.recv_timeout(PATIENCE).unwrap();
        loader.load(second).unwrap();
        second_begun.recv_timeout(PATIENCE).unwrap();
        finish_second.send(()).unwrap();
        loader.wait(|| true);
        finish_first.send(()).unwrap();
        until(|| threads(&loader) == 0);
        assert_eq!(loader.take(), Some(2));
        assert_eq!(loader.take(), None);
    }

    #[test]
    fn what_was_made_before_stays_while_the_next_is_made_and_when_that_fails() {
        let loader = Loader::default();
        loader.put(1);
        let (go, may_go) = channel();
        loader
            .load(move |order| {
                let _ = may_go.recv_timeout(PATIENCE);
                assert!(order.fail());
            })
            .unwrap();
        // There is something to be taken: nobody has to wait.
        loader.wait(|| panic!("waits"));
        go.send(()).unwrap();
        until(|| loader.load_state() == LoadState::Failed);
        assert_eq!(loader.take(), Some(1));
    }

    #[test]
    fn a_job_that_is_called_off_finds_out_and_what_it_makes_is_dropped() {
        let loader = Loader::<Arc<()>>::default();
        let made = Arc::new(());
        let copy = made.clone();
        let (begun, has_begun) = channel();
        let (go, may_go) = channel();
        loader
            .load(move |order| {
                assert!(order.is_wanted());
                begun.send(()).unwrap();
                let _ = may_go.recv_timeout(PATIENCE);
                assert!(!order.is_wanted());
                assert!(order.deliver(copy).is_err());
            })
            .unwrap();
        has_begun.recv_timeout(PATIENCE).unwrap();
        assert!(loader.cancel());
        assert!(!loader.cancel(), "twice");
        assert_eq!(loader.load_state(), LoadState::Idle);
        go.send(()).unwrap();
        until(|| Arc::strong_count(&made) == 1);
        assert!(loader.take().is_none());
    }

    #[test]
    fn who_waits_can_be_called_away() {
        let loader = Arc::new(Loader::default());
        let (job, begun, finish) = slow(1);
        loader.load(job).unwrap();
        begun.recv_timeout(PATIENCE).unwrap();
        let away = Arc::new(AtomicUsize::new(0));
        let waiting = {
            let (loader, away) = (loader.clone(), away.clone());
            thread::spawn(move || loader.wait(|| away.load(Ordering::SeqCst) == 0))
        };
        away.store(1, Ordering::SeqCst);
        loader.wake();
        until(|| waiting.is_finished());
        assert_eq!(loader.load_state(), LoadState::Busy);
        finish.send(()).unwrap();
        loader.wait(|| true);
        assert_eq!(loader.take(), Some(1));
    }

    #[test]
    fn a_job_that_panics_or_forgets_its_order_has_failed_and_the_next_is_done() {
        let loader = Loader::default();
        loader.load(|_| panic!("the test wants it")).unwrap();
        loader.wait(|| true);
        assert_eq!(loader.load_state(), LoadState::Failed);
        loader.load(drop).unwrap();
        loader.wait(|| true);
        assert_eq!(loader.load_state(), LoadState::Failed);
        loader
            .load(|order| order.deliver(3).expect("wanted"))
            .unwrap();
        loader.wait(|| true);
        assert_eq!(loader.take(), Some(3));
        until(|| threads(&loader) == 0);
    }

    #[test]
    fn a_thousand_orders_keep_two_threads_busy_at_most() {
        let loader = Loader::default();
        let (at_work, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        for number in 0..1000 {
            let (at_work, most) = (at_work.clone(), most.clone());
            loader
                .load(move |order| {
                    let now = at_work.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(1));
                    at_work.fetch_sub(1, Ordering::SeqCst);
                    let _ = order.deliver(number);
                })
                .unwrap();
            if number % 3 == 0 {
                loader.cancel();
            }
        }
        loader.load(|order| order.deliver(1000).unwrap()).unwrap();
        loader.wait(|| true);
        assert_eq!(loader.take(), Some(1000));
        assert!(most.load(Ordering::SeqCst) <= THREADS_MAX);
        until(|| threads(&loader) == 0);
    }

    #[test]
    fn a_loader_that_goes_does_not_wait_for_its_jobs() {
        let loader = Loader::default();
        let (job, begun, finish) = slow(1);
        loader.load(job).unwrap();
        begun.recv_timeout(PATIENCE).unwrap();
        let shared = Arc::downgrade(&loader.shared);
        drop(loader);
        assert!(shared.upgrade().is_some(), "the job has it");
        finish.send(()).unwrap();
        until(|| shared.upgrade().is_none());
    }
}
