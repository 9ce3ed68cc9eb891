//! Who runs the networks: the caller's thread, or one of their own, so that frames need not wait
//! for them.
//!
//! A job goes there whole and comes back whole: nothing is shared, no lock is held while it is
//! worked on, and nothing is allocated on the way. Must not know frames.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{SendError, sync_channel},
    },
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    Error,
    generator::{Generator, Heard, Sketch},
    sound::Bounds,
};

/// What the networks do for one frame, or for several at once.
#[derive(Default)]
pub struct Job {
    /// Nothing that was heard before belongs to these frames.
    pub is_first: bool,
    /// The first `begun` count.
    moments: Vec<Moment>,
    begun: usize,
    /// One for each sketch.
    pub targets: Vec<Target>,
    pub sketches: Vec<Sketch>,
    /// Frames that were not drawn, or not whole.
    pub failed: Vec<(u64, Error)>,
    /// Time that hearing took, and drawing.
    pub features: Duration,
    pub infer: Duration,
    heard: Vec<f32>,
}

/// A frame and the sound around it: see [`Heard`].
#[derive(Default)]
pub struct Moment {
    /// Counts frames.
    pub frame: u64,
    pub mel: Vec<f32>,
    pub last_column: i64,
    pub heard_ns: i64,
    pub bounds: Bounds,
    /// So many of the sketches are of this frame.
    pub faces: usize,
}

/// What a sketch is of, for who sent it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub frame: u64,
    /// Running time of the frame.
    pub time_ns: i64,
    /// Which of the mouths that were sampled in it.
    pub place: usize,
    pub mouth: usize,
    pub owner: u64,
    pub is_drawn: bool,
}

impl Job {
    /// Adds a frame, of which all but its sketches is to be filled in.
    pub fn begin(&mut self) -> &mut Moment {
        if self.begun == self.moments.len() {
            self.moments.push(Moment::default());
        }
        self.begun += 1;
        let moment = &mut self.moments[self.begun - 1];
        moment.faces = 0;
        moment
    }

    /// Adds a face of the frame that was added last.
    pub fn add(&mut self, target: Target, sketch: Sketch) {
        self.targets.push(target);
        self.sketches.push(sketch);
        if let Some(moment) = self.begun.checked_sub(1) {
            self.moments[moment].faces += 1;
        }
    }

    /// Frames that were added.
    pub fn begun(&self) -> &[Moment] {
        &self.moments[..self.begun]
    }

    /// The last frame that was added.
    pub fn last(&self) -> Option<u64> {
        self.begun().last().map(|moment| moment.frame)
    }

    /// Forgets the frames, and what is left of their sketches.
    pub fn clear(&mut self) {
        self.begun = 0;
        self.targets.clear();
        self.sketches.clear();
        self.failed.clear();
        (self.features, self.infer) = (Duration::ZERO, Duration::ZERO);
    }

    fn run(&mut self, generator: &mut dyn Generator) {
        let started = Instant::now();
        if std::mem::take(&mut self.is_first) {
            generator.reset();
        }
        self.listen(generator);
        self.features = started.elapsed();
        self.draw(generator);
        self.infer = started.elapsed() - self.features;
    }

    fn listen(&mut self, generator: &mut dyn Generator) {
        let mut sketches = self.sketches.iter_mut();
        for moment in &self.moments[..self.begun] {
            let heard = Heard {
                mel: &moment.mel,
                last_column: moment.last_column,
                time_ns: moment.heard_ns,
                bounds: moment.bounds,
            };
            if let Err(err) = generator.listen(&heard, &mut self.heard) {
                self.failed.push((moment.frame, err));
            }
            for sketch in sketches.by_ref().take(moment.faces) {
                sketch.heard.clone_from(&self.heard);
            }
        }
    }

    fn draw(&mut self, generator: &mut dyn Generator) {
        let batch = generator.batch().max(1);
        let targets = self.targets.chunks_mut(batch);
        for (targets, sketches) in targets.zip(self.sketches.chunks_mut(batch)) {
            let has_failed = |failed: &[(u64, Error)], target: &Target| {
                failed.iter().any(|(frame, _)| *frame == target.frame)
            };
            let is_whole = targets.iter().all(|to| !has_failed(&self.failed, to));
            if sketches.len() > 1 && is_whole {
                match generator.draw(sketches) {
                    Ok(()) => {
                        targets.iter_mut().for_each(|target| target.is_drawn = true);
                        continue;
                    }
                    // As little as all can any of them be drawn.
                    Err(err @ Error::Unreachable { .. }) => {
                        let failed = targets.iter().map(|target| (target.frame, err.clone()));
                        self.failed.extend(failed);
                        continue;
                    }
                    Err(_) => (),
                }
            }
            // One frame's fault is not to cost the others'.
            for (target, sketch) in targets.iter_mut().zip(sketches) {
                if has_failed(&self.failed, target) {
                    continue;
                }
                match generator.draw(std::slice::from_mut(sketch)) {
                    Ok(()) => target.is_drawn = true,
                    Err(err) => self.failed.push((target.frame, err)),
                }
            }
        }
    }

    /// What was not drawn will not be.
    fn fail(&mut self, name: &str, reason: &str) {
        for moment in &self.moments[..self.begun] {
            let error = Error::Inference {
                name: name.to_owned(),
                reason: reason.into(),
            };
            self.failed.push((moment.frame, error));
        }
    }
}

/// Runs the networks.
pub struct Worker {
    /// `None` while a thread has it.
    generator: Option<Box<dyn Generator>>,
    thread: Option<Thread>,
    done: Arc<Mailbox>,
    /// The last frames of the jobs that are under way, in order.
    under_way: VecDeque<u64>,
}

/// Jobs that may be under way: one that is worked on, and one that is next.
const DEPTH: usize = 2;

impl Worker {
    pub fn new(generator: Box<dyn Generator>) -> Self {
        Self {
            generator: Some(generator),
            thread: None,
            done: Arc::default(),
            under_way: VecDeque::with_capacity(DEPTH),
        }
    }

    /// From here on it works in a thread of its own, unless none can be had.
    pub fn move_out(&mut self) {
        if let Some(generator) = self.generator.take() {
            match Thread::start(generator, self.done.clone()) {
                Ok(thread) => self.thread = Some(thread),
                Err(generator) => self.generator = Some(generator),
            }
        }
    }

    pub fn is_busy(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// Whether one more job may be submitted.
    pub fn has_room(&self) -> bool {
        self.under_way.len() < DEPTH
    }

    /// The last frames of the jobs that are under way, in order.
    pub fn under_way(&self) -> impl Iterator<Item = u64> {
        self.under_way.iter().copied()
    }

    /// Works on the job, now or in its thread.
    pub fn submit(&mut self, mut job: Job) {
        let last = job.last();
        match (&mut self.generator, &self.thread) {
            (Some(generator), _) => {
                job.run(&mut **generator);
                self.done.put(job);
            }
            (None, Some(thread)) => thread.given.put(job),
            (None, None) => return,
        }
        self.under_way.extend(last);
    }

    /// The job that was submitted first, if it is done within `wait`, or whenever it is.
    pub fn wait(&mut self, wait: Option<Duration>) -> Option<Job> {
        if !self.is_busy() {
            return None;
        }
        let job = self.done.take(wait)?;
        self.under_way.pop_front();
        Some(job)
    }
}

/// A thread that runs a generator. Dropped, it waits for the job that is worked on.
struct Thread {
    given: Arc<Mailbox>,
    handle: Option<JoinHandle<()>>,
}

impl Thread {
    /// Gives the generator back where no thread can be had.
    fn start(
        generator: Box<dyn Generator>,
        done: Arc<Mailbox>,
    ) -> Result<Self, Box<dyn Generator>> {
        let given = Arc::<Mailbox>::default();
        let from = given.clone();
        // What a thread is to begin with is lost when it cannot begin.
        let (hand_over, handed) = sync_channel::<Box<dyn Generator>>(1);
        let spawned = Builder::new().name("lipsync:net".into()).spawn(move || {
            let Ok(mut generator) = handed.recv() else {
                return;
            };
            while let Some(mut job) = from.take(None) {
                let run = AssertUnwindSafe(|| job.run(&mut *generator));
                // Who waits for the job would wait for ever.
                if catch_unwind(run).is_err() {
                    job.fail(generator.name(), "it has panicked");
                }
                done.put(job);
            }
        });
        let Ok(handle) = spawned else {
            return Err(generator);
        };
        match hand_over.send(generator) {
            Ok(()) => Ok(Self {
                given,
                handle: Some(handle),
            }),
            Err(SendError(generator)) => Err(generator),
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.given.close();
        if let Some(handle) = self.handle.take() {
            // It has panicked at worst, and said so.
            let _ = handle.join();
        }
    }
}

/// Where one thread puts jobs for another. The channels of the standard library allocate when
/// somebody first waits, which may be any time.
#[derive(Default)]
struct Mailbox {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    jobs: VecDeque<Job>,
    is_closed: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            jobs: VecDeque::with_capacity(DEPTH),
            is_closed: false,
        }
    }
}

impl Mailbox {
    fn put(&self, job: Job) {
        self.lock().jobs.push_back(job);
        self.changed.notify_one();
    }

    /// Waits, for so long or for ever, until there is a job or never will be.
    fn take(&self, wait: Option<Duration>) -> Option<Job> {
        let waits = |state: &mut State| state.jobs.is_empty() && !state.is_closed;
        let state = self.lock();
        let mut state = match wait {
            None => self.changed.wait_while(state, waits),
            Some(wait) => self
                .changed
                .wait_timeout_while(state, wait, waits)
                .map(|(state, _)| state)
                .map_err(|err| PoisonError::new(err.into_inner().0)),
        }
        .unwrap_or_else(PoisonError::into_inner);
        state.jobs.pop_front()
    }

    /// What was not taken yet never will be.
    fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.jobs.clear();
        drop(state);
        self.changed.notify_one();
    }

    /// Nothing that could panic is done under the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
