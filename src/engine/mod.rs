//! One frame and the sound around it in, the same frame redrawn.
//!
//! Must not know GStreamer or ONNX Runtime's types.
//!
//! A frame is *tracked* (where are the faces?), *begun* (what is heard, what do the faces look
//! like? off to the networks with it) and *finished* (paint what they drew).
//! [`Engine::process`] does all of it in the caller's thread. [`Engine::begin`] lets the networks
//! work in a thread of their own, so that [`Engine::finish`] need not wait for them longer than
//! the frame can, and the next frame can be tracked meanwhile.

mod controls;
mod debug;
mod fade;
mod loading;
mod mouths;
mod worker;

use std::time::{Duration, Instant};

pub use controls::{Controls, Late, Outcome, Silence};
pub use fade::Fade;
use mouths::Mouths;
use worker::{Done, Job, Worker};

use crate::{
    Error,
    face::{self, Face, Tracker},
    generator::{self, Hearing, Look},
    pixels::View,
    runtime,
    sound::{self, Sound, VoiceGate},
};

pub use loading::{Prepared, Step};

/// What has to be known before the first frame.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub generator: generator::Source,
    pub runtime: runtime::Options,
    pub tracking: face::Settings,
}

/// Where the time of the last frame went. Networks that were late count with the frame at which
/// they came back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Finding faces.
    pub track: Duration,
    /// Hearing: mel window and the networks that take only sound.
    pub features: Duration,
    /// Networks that draw.
    pub infer: Duration,
    /// Reading, warping and writing pixels.
    pub blend: Duration,
    /// From the caller's side, waiting included.
    pub total: Duration,
}

/// Redraws the mouths of one stream.
pub struct Engine {
    name: String,
    hearing: Hearing,
    /// `None` when the generator needs no faces.
    tracker: Option<Tracker>,
    /// The generator and what it works on; `None` while the worker has it.
    job: Option<Box<Job>>,
    /// There from the first frame on that was begun.
    worker: Option<Worker>,
    /// What the worker works on belongs to frames that are forgotten.
    is_void: bool,
    mouths: Mouths,
    frame: Frame,
    gate: VoiceGate,
    /// Level around the last frame, in dBFS.
    level_db: f32,
    /// Of the frame that was tracked last.
    tracking: Duration,
    timings: Timings,
    active: Option<runtime::Provider>,
    about: String,
}

/// The frame that is worked on.
#[derive(Default)]
struct Frame {
    time_ns: i64,
    faces: Vec<Face>,
    look: Look,
    stage: Stage,
    /// What it is when nothing is late.
    outcome: Outcome,
    late: Late,
    draw_debug: bool,
    /// Mouths that were sampled: which of the faces, and which of the mouths.
    sampled: Vec<(usize, usize)>,
}

/// How far the frame is.
#[derive(Clone, Copy, Default)]
enum Stage {
    /// There is nothing to draw.
    #[default]
    Settled,
    /// The job is ready to run.
    Sampled,
    /// The worker has it.
    Submitted,
    /// The networks are left out, or busy with an earlier frame.
    Outrun,
}

/// How often the time that is left is looked at while the networks work: a clock need not run as
/// this machine's does.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Sound this close around a frame decides whether somebody speaks.
const GATE_BEFORE_NS: i64 = 40_000_000;
const GATE_AFTER_NS: i64 = 60_000_000;

impl Engine {
    fn assemble(generator: generator::Opened, tracker: Option<Tracker>) -> Self {
        let hearing = generator.generator.hearing();
        let mel = vec![0.0; sound::BANDS * hearing.columns];
        Self {
            name: generator.generator.name().to_owned(),
            hearing,
            tracker,
            job: Some(Box::new(Job::new(generator.generator, mel))),
            worker: None,
            is_void: false,
            mouths: Mouths::default(),
            frame: Frame::default(),
            gate: VoiceGate::new(f32::NEG_INFINITY, 0),
            level_db: f32::NEG_INFINITY,
            tracking: Duration::ZERO,
            timings: Timings::default(),
            active: generator.active,
            about: generator.about,
        }
    }

    pub fn model_name(&self) -> &str {
        &self.name
    }

    /// Name, licence and source of the model, for logs.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// What runs the networks; `None` when there are none.
    pub fn active_provider(&self) -> Option<runtime::Provider> {
        self.active
    }

    pub fn hearing(&self) -> Hearing {
        self.hearing
    }

    pub fn timings(&self) -> Timings {
        self.timings
    }

    /// Faces of the frame that was begun last.
    pub fn faces(&self) -> &[Face] {
        &self.frame.faces
    }

    /// How often the face detector has run.
    pub fn detector_runs(&self) -> u64 {
        self.tracker.as_ref().map_or(0, Tracker::detector_runs)
    }

    pub fn set_tracking(&mut self, settings: face::Settings) {
        if let Some(tracker) = &mut self.tracker {
            tracker.set_settings(settings);
        }
    }

    /// Forgets everything about earlier frames: after a flush, a seek or a new stream. Does not
    /// wait for networks that are still at work.
    pub fn reset(&mut self) {
        if let Some(tracker) = &mut self.tracker {
            tracker.reset();
        }
        match &mut self.job {
            Some(job) => job.generator.reset(),
            None => self.is_void = true,
        }
        self.mouths.reset();
        self.frame.faces.clear();
        self.frame.stage = Stage::Settled;
        self.gate.reset();
        self.timings = Timings::default();
    }

    /// Redraws the mouths of the frame at running time `time_ns`, in place and at once: tracks,
    /// begins and finishes it in this thread, however long the networks take.
    ///
    /// `sound` should be covered until `time_ns - sync_offset_ns + hearing().look_ahead_ns`; what
    /// is missing counts as silence. `regions` are faces that upstream found, as x0, y0, x1, y1
    /// in pixels, and replace detection when there are any. After an error the frame may be
    /// partly redrawn only if several faces were drawn; each face is drawn whole or not at all.
    pub fn process(
        &mut self,
        view: &mut View,
        time_ns: i64,
        sound: &mut Sound,
        regions: &[[f32; 4]],
        controls: &Controls,
    ) -> Result<Outcome, Error> {
        if let Err(err) = self.track(view, time_ns, regions, controls) {
            self.frame.faces.clear();
            self.frame.draw_debug = controls.draw_debug;
            self.show(view);
            return Err(err);
        }
        self.take_in(None)?;
        self.sample(view, time_ns, sound, controls, true);
        self.finish(view, None)
    }

    /// As [`process`](Self::process), but without the networks that draw: as if they were late.
    pub fn repeat(
        &mut self,
        view: &mut View,
        time_ns: i64,
        sound: &mut Sound,
        regions: &[[f32; 4]],
        controls: &Controls,
    ) -> Result<Outcome, Error> {
        self.track(view, time_ns, regions, controls)?;
        self.take_in(Some(Duration::ZERO))?;
        self.sample(view, time_ns, sound, controls, false);
        self.finish(view, None)
    }

    /// Finds the faces of the frame that is begun next. The one before may be unfinished.
    ///
    /// Fails with [`Error::Inference`]; the frame is to go on as it is then.
    pub fn track(
        &mut self,
        view: &View,
        time_ns: i64,
        regions: &[[f32; 4]],
        controls: &Controls,
    ) -> Result<(), Error> {
        self.tracking = Duration::ZERO;
        if !controls.draws() {
            return Ok(());
        }
        let started = Instant::now();
        if let Some(tracker) = &mut self.tracker {
            tracker.track(view, time_ns, regions)?;
        }
        self.tracking = started.elapsed();
        Ok(())
    }

    /// Begins the frame that was tracked last: samples its mouths and gives them to the networks,
    /// unless these are still busy with an earlier frame. [`process`](Self::process) tells what
    /// the arguments are.
    ///
    /// Fails with the error of networks that came back late, too; the frame is to go on as it is
    /// then.
    pub fn begin(
        &mut self,
        view: &View,
        time_ns: i64,
        sound: &mut Sound,
        controls: &Controls,
    ) -> Result<(), Error> {
        self.take_in(Some(Duration::ZERO))?;
        self.sample(view, time_ns, sound, controls, true);
        self.submit();
        Ok(())
    }

    /// Finishes the frame that was begun: waits for the networks as long as `left` says that there
    /// is time, or as long as they take, and paints. Where they are late, the frame becomes what
    /// [`Controls::late`] says, and what they draw is of use to a later one.
    ///
    /// Fails with the networks' error; several faces may be partly drawn then.
    pub fn finish(
        &mut self,
        view: &mut View,
        left: Option<&mut dyn FnMut() -> Duration>,
    ) -> Result<Outcome, Error> {
        let started = Instant::now();
        let stage = std::mem::take(&mut self.frame.stage);
        let done = match stage {
            Stage::Settled | Stage::Outrun => None,
            Stage::Sampled => self.run_here(),
            Stage::Submitted => self.wait(left),
        };
        let waited = started.elapsed();
        let result = match (stage, done) {
            (Stage::Settled, _) => Ok(self.frame.outcome),
            (_, Some(done)) => {
                self.add(&done);
                self.paint(view, done.drawn);
                done.result.map(|()| self.frame.outcome)
            }
            (_, None) => Ok(self.paint_last(view)),
        };
        self.timings.blend += started.elapsed() - waited;
        self.timings.total += started.elapsed();
        self.show(view);
        result
    }

    /// Hears and samples the frame, for networks that draw it or, where they have no time for it,
    /// only to find the mouths.
    fn sample(
        &mut self,
        view: &View,
        time_ns: i64,
        sound: &mut Sound,
        controls: &Controls,
        in_time: bool,
    ) {
        let started = Instant::now();
        self.frame.time_ns = time_ns;
        self.frame.late = controls.late;
        self.frame.draw_debug = controls.draw_debug;
        self.frame.sampled.clear();
        (self.frame.stage, self.frame.outcome) = (Stage::Settled, Outcome::Bypassed);
        if !controls.draws() {
            return;
        }
        let found = match &mut self.tracker {
            Some(tracker) => {
                tracker.take_faces(&mut self.frame.faces);
                !self.frame.faces.is_empty()
            }
            None => true,
        };
        let heard_ns = time_ns.saturating_sub(controls.sync_offset_ns);
        let activity = self.listen_for_voice(time_ns, heard_ns, sound, controls);
        let strength = match controls.silence {
            // The original mouth fades in as the voice fades out.
            Silence::Original => controls.strength * activity,
            Silence::Close | Silence::Animate => controls.strength,
        };
        self.frame.outcome = match activity <= 0.0 {
            _ if !found => Outcome::NoFace,
            true => Outcome::Silent,
            false => Outcome::Synced,
        };
        self.frame.look = Look {
            strength,
            activity: match controls.silence {
                Silence::Close => activity,
                Silence::Original | Silence::Animate => 1.0,
            },
            feather: controls.feather,
        };
        if found && strength > 0.0 {
            match in_time && self.job.is_some() {
                true => self.sample_mouths(view, heard_ns, sound),
                false => self.locate_mouths(view),
            }
        }
        self.timings.track = self.tracking;
        self.timings.blend += started.elapsed();
        self.timings.total += self.tracking + started.elapsed();
    }

    fn sample_mouths(&mut self, view: &View, heard_ns: i64, sound: &mut Sound) {
        let Some(job) = &mut self.job else {
            return;
        };
        job.time_ns = self.frame.time_ns;
        job.heard_ns = heard_ns;
        let Hearing {
            spectrum, columns, ..
        } = self.hearing;
        job.last_column = spectrum.column_for(heard_ns.saturating_add(self.hearing.look_ahead_ns));
        job.bounds = sound.bounds();
        sound.window(spectrum, job.last_column, &mut job.mel, columns);
        let frame = &mut self.frame;
        for index in 0..faces_or_one(&self.tracker, &frame.faces) {
            let face = frame.faces.get(index);
            let mouth = self.mouths.of(face, &frame.faces, &*job.generator);
            let drawing = self
                .mouths
                .sample(mouth, view, face, frame.time_ns, frame.look);
            if let Some(drawing) = drawing {
                job.drawings.push(drawing);
                frame.sampled.push((index, mouth));
            }
        }
        frame.stage = Stage::Sampled;
    }

    fn locate_mouths(&mut self, view: &View) {
        let frame = &mut self.frame;
        frame.stage = Stage::Outrun;
        if frame.late == Late::Original {
            return;
        }
        for index in 0..faces_or_one(&self.tracker, &frame.faces) {
            let face = frame.faces.get(index);
            if let Some(mouth) = self.mouths.known(face)
                && self.mouths.locate(mouth, view, face, frame.time_ns)
            {
                frame.sampled.push((index, mouth));
            }
        }
    }

    /// Gives the job to the worker. Where no thread can be had, it waits to be run here.
    fn submit(&mut self) {
        let Stage::Sampled = self.frame.stage else {
            return;
        };
        if self.worker.is_none() {
            self.worker = Worker::start().ok();
        }
        let Some(worker) = &self.worker else {
            return;
        };
        if let Some(job) = self.job.take() {
            worker.submit(job);
            self.frame.stage = Stage::Submitted;
        }
    }

    fn run_here(&mut self) -> Option<Done> {
        let mut job = self.job.take()?;
        job.run();
        self.put_back(job)
    }

    fn wait(&mut self, mut left: Option<&mut dyn FnMut() -> Duration>) -> Option<Done> {
        let worker = self.worker.as_ref()?;
        let job = loop {
            let left = left.as_mut().map(|left| left());
            match worker.wait(left.map(|left| left.min(LOOK_AGAIN))) {
                Some(job) => break job,
                None if left.is_none_or(|left| left.is_zero()) => return None,
                None => (),
            }
        };
        self.put_back(job)
    }

    /// Takes in what the worker did too late, if that is done within `wait`, or at all.
    ///
    /// Fails with the networks' error.
    fn take_in(&mut self, wait: Option<Duration>) -> Result<(), Error> {
        self.timings = Timings::default();
        let worker = self.worker.as_ref().filter(|_| self.job.is_none());
        let Some(job) = worker.and_then(|worker| worker.wait(wait)) else {
            return Ok(());
        };
        match self.put_back(job) {
            None => Ok(()),
            Some(done) => {
                self.add(&done);
                done.result
            }
        }
    }

    /// Keeps what the job has brought. `None` when that belongs to frames that are forgotten.
    fn put_back(&mut self, mut job: Box<Job>) -> Option<Done> {
        let is_void = std::mem::take(&mut self.is_void);
        self.mouths.keep(&mut job, is_void);
        if is_void {
            job.generator.reset();
        }
        let done = std::mem::take(&mut job.done);
        self.job = Some(job);
        (!is_void).then_some(done)
    }

    fn show(&mut self, view: &mut View) {
        if self.frame.draw_debug {
            debug::draw(view, &self.frame.faces, &self.timings, self.level_db);
        }
    }

    fn add(&mut self, done: &Done) {
        self.timings.features += done.features;
        self.timings.infer += done.infer;
    }

    /// Paints the first `count` mouths that were sampled. How many of them had something to paint.
    fn paint(&mut self, view: &mut View, count: usize) -> usize {
        let frame = &self.frame;
        let mut painted = 0;
        for &(index, mouth) in frame.sampled.iter().take(count) {
            let face = frame.faces.get(index);
            let (time_ns, look) = (frame.time_ns, &frame.look);
            painted += usize::from(self.mouths.paint(mouth, view, face, time_ns, look));
        }
        painted
    }

    fn paint_last(&mut self, view: &mut View) -> Outcome {
        let painted = match self.frame.late {
            Late::LastMouth => self.paint(view, usize::MAX),
            Late::Original => 0,
        };
        match painted {
            0 => Outcome::Late,
            _ => Outcome::Repeated,
        }
    }

    /// 0 = silence .. 1 = speech around the moment that is heard.
    fn listen_for_voice(
        &mut self,
        time_ns: i64,
        heard_ns: i64,
        sound: &Sound,
        controls: &Controls,
    ) -> f32 {
        self.level_db = sound.loudness(
            heard_ns.saturating_sub(GATE_BEFORE_NS),
            heard_ns.saturating_add(GATE_AFTER_NS),
        );
        self.gate.threshold_db = controls.silence_threshold_db;
        self.gate.hold_ns = controls.silence_hold_ns;
        let activity = self.gate.update(time_ns, self.level_db);
        match controls.silence {
            Silence::Animate => 1.0,
            Silence::Close | Silence::Original => activity,
        }
    }
}

/// One for the whole frame where faces are of no concern.
fn faces_or_one(tracker: &Option<Tracker>, faces: &[Face]) -> usize {
    match tracker {
        Some(_) => faces.len(),
        None => 1,
    }
}
