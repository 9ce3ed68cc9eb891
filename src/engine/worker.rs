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

/// What the networks do for one frame, or for several at once.
pub struct Job {
    pub generator: Box<dyn Generator>,
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
    pub fn new(generator: Box<dyn Generator>) -> Self {
        Self {
            generator,
            moments: Vec::new(),
            begun: 0,
            targets: Vec::new(),
            sketches: Vec::new(),
            failed: Vec::new(),
            features: Duration::ZERO,
            infer: Duration::ZERO,
            heard: Vec::new(),
        }
    }

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

    /// Forgets the frames, and what is left of their sketches.
    pub fn clear(&mut self) {
        self.begun = 0;
        self.targets.clear();
        self.sketches.clear();
        self.failed.clear();
        (self.features, self.infer) = (Duration::ZERO, Duration::ZERO);
    }

    pub fn run(&mut self) {
        let started = Instant::now();
        self.listen();
        self.features = started.elapsed();
        self.draw();
        self.infer = started.elapsed() - self.features;
    }

    fn listen(&mut self) {
        let mut sketches = self.sketches.iter_mut();
        for moment in &self.moments[..self.begun] {
            let heard = Heard {
                mel: &moment.mel,
                last_column: moment.last_column,
                time_ns: moment.heard_ns,
                bounds: moment.bounds,
            };
            if let Err(err) = self.generator.listen(&heard, &mut self.heard) {
                self.failed.push((moment.frame, err));
            }
            for sketch in sketches.by_ref().take(moment.faces) {
                sketch.heard.clone_from(&self.heard);
            }
        }
    }

    fn draw(&mut self) {
        let batch = self.generator.batch().max(1);
        let targets = self.targets.chunks_mut(batch);
        for (targets, sketches) in targets.zip(self.sketches.chunks_mut(batch)) {
            let has_failed = |failed: &[(u64, Error)], target: &Target| {
                failed.iter().any(|(frame, _)| *frame == target.frame)
            };
            let is_whole = targets.iter().all(|to| !has_failed(&self.failed, to));
            if sketches.len() > 1 && is_whole && self.generator.draw(sketches).is_ok() {
                targets.iter_mut().for_each(|target| target.is_drawn = true);
                continue;
            }
            // One frame's fault is not to cost the others'.
            for (target, sketch) in targets.iter_mut().zip(sketches) {
                if has_failed(&self.failed, target) {
                    continue;
                }
                match self.generator.draw(std::slice::from_mut(sketch)) {
                    Ok(()) => target.is_drawn = true,
                    Err(err) => self.failed.push((target.frame, err)),
                }
            }
        }
    }

    /// What was not drawn will not be.
    fn fail(&mut self, reason: &str) {
        for moment in &self.moments[..self.begun] {
            let error = Error::Inference {
                name: self.generator.name().to_owned(),
                reason: reason.into(),
            };
            self.failed.push((moment.frame, error));
        }
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
                    job.fail("it has panicked");
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
