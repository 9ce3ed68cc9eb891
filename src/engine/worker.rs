//! A thread that runs networks, so that frames need not wait for them.
//!
//! A job goes there whole, with the generator and all that it needs, and comes back whole: nothing
//! is shared, no lock is held while it is worked on, and nothing is allocated on the way. Must not
//! know frames.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    Error,
    generator::{Generator, Heard, Sketch},
    sound::Bounds,
};

/// What the networks do for one frame.
pub struct Job {
    pub generator: Box<dyn Generator>,
    /// Running time of the frame.
    pub time_ns: i64,
    /// The sound around it: see [`Heard`].
    pub mel: Vec<f32>,
    pub last_column: i64,
    pub heard_ns: i64,
    pub bounds: Bounds,
    /// One for each face.
    pub drawings: Vec<Drawing>,
    pub done: Done,
}

/// One face on its way through the networks.
pub struct Drawing {
    /// Whose it is, for who sent it.
    pub mouth: usize,
    pub face: u64,
    pub sketch: Sketch,
}

/// What became of a job.
pub struct Done {
    /// So many of the drawings, from the first on.
    pub drawn: usize,
    pub result: Result<(), Error>,
    /// Time that hearing took, and drawing.
    pub features: Duration,
    pub infer: Duration,
}

impl Default for Done {
    fn default() -> Self {
        Self {
            drawn: 0,
            result: Ok(()),
            features: Duration::ZERO,
            infer: Duration::ZERO,
        }
    }
}

impl Job {
    pub fn new(generator: Box<dyn Generator>, mel: Vec<f32>) -> Self {
        Self {
            generator,
            time_ns: 0,
            mel,
            last_column: 0,
            heard_ns: 0,
            bounds: Bounds::default(),
            drawings: Vec::new(),
            done: Done::default(),
        }
    }

    pub fn run(&mut self) {
        self.done = Done::default();
        self.done.result = self.listen_and_draw();
    }

    fn listen_and_draw(&mut self) -> Result<(), Error> {
        let (generator, done) = (&mut self.generator, &mut self.done);
        let started = Instant::now();
        let heard = generator.listen(&Heard {
            mel: &self.mel,
            last_column: self.last_column,
            time_ns: self.heard_ns,
            bounds: self.bounds,
        });
        done.features = started.elapsed();
        heard?;
        for drawing in &mut self.drawings {
            let started = Instant::now();
            let drawn = generator.draw(&mut drawing.sketch);
            done.infer += started.elapsed();
            drawn?;
            done.drawn += 1;
        }
        Ok(())
    }
}

/// The thread; there is one job at most. Dropped, it waits for the job that is under way.
pub struct Worker {
    given: Arc<Place>,
    back: Arc<Place>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub fn start() -> io::Result<Self> {
        let (given, back) = <(Arc<Place>, Arc<Place>)>::default();
        let (from, to) = (given.clone(), back.clone());
        let thread = Builder::new().name("lipsync:net".into()).spawn(move || {
            while let Some(mut job) = from.take(None) {
                // A job that is not given back would take the generator with it.
                if catch_unwind(AssertUnwindSafe(|| job.run())).is_err() {
                    job.done.result = Err(Error::Inference {
                        name: job.generator.name().to_owned(),
                        reason: "it has panicked".into(),
                    });
                }
                to.put(job);
            }
        })?;
        Ok(Self {
            given,
            back,
            thread: Some(thread),
        })
    }

    pub fn submit(&self, job: Box<Job>) {
        self.given.put(job);
    }

    /// The job, if it is done within `wait`, or whenever it is. Nobody may wait for a job that was
    /// not submitted.
    pub fn wait(&self, wait: Option<Duration>) -> Option<Box<Job>> {
        self.back.take(wait)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.given.close();
        if let Some(thread) = self.thread.take() {
            // It has panicked at worst, and said so.
            let _ = thread.join();
        }
    }
}

/// Where one thread puts a job for another. The channels of the standard library allocate when
/// somebody first waits, which may be any time.
#[derive(Default)]
struct Place {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    job: Option<Box<Job>>,
    is_closed: bool,
}

impl Place {
    fn put(&self, job: Box<Job>) {
        self.lock().job = Some(job);
        self.changed.notify_one();
    }

    /// Waits, for so long or for ever, until there is a job or never will be.
    fn take(&self, wait: Option<Duration>) -> Option<Box<Job>> {
        let waits = |state: &mut State| state.job.is_none() && !state.is_closed;
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
        state.job.take()
    }

    fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_one();
    }

    /// Nothing that could panic is done under the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
