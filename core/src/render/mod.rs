//! One frame and the sound around it in, the same frame redrawn.
//!
//! Must not know GStreamer or ONNX Runtime's types.
//!
//! A frame is *tracked* (where are the faces?), *begun* (what is heard, what do the faces look
//! like?) and *finished* (paint what the networks drew). [`Engine::process`] does all of it.
//! Several frames may be begun before the first of them is finished: the networks then draw them
//! at once. [`Engine::submit`] lets the networks work in a thread of their own, so that
//! [`Engine::finish`] need not wait for them longer than the frame can, and the frames that come
//! next can be begun meanwhile.

mod controls;
mod fade;
mod frame_begin;
mod mouths;
mod network_thread;
mod overlay;
mod pointed;
mod speakers;

use std::{
    collections::VecDeque,
    ops::AddAssign,
    sync::Arc,
    time::{Duration, Instant},
};

pub use controls::{Controls, Late, Networks, Outcome, Silence};
pub use fade::Fade;
use frame_begin::{Frame, Stage};
use mouths::Mouths;
use network_thread::{Job, Target, Worker};
use pointed::Pointed;
use speakers::Speakers;

use crate::{
    Error,
    face::{self, Face, Tracker},
    generator::{Articulation, Hearing, MouthMemory, OpenGenerator, Remembered},
    inference,
    pixels::View,
    rect::Rect,
    sound::{Sound, VoiceGate},
};

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

impl AddAssign for Timings {
    fn add_assign(&mut self, other: Self) {
        self.track += other.track;
        self.features += other.features;
        self.infer += other.infer;
        self.blend += other.blend;
        self.total += other.total;
    }
}

/// What is heard around a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heard {
    /// In dBFS.
    pub level_db: f32,
    /// 0 where nobody speaks .. 1.
    pub gate: f32,
}

/// Redraws the mouths of one stream.
pub struct Engine {
    name: String,
    hearing: Hearing,
    batch: usize,
    /// `None` when the generator needs no faces.
    tracker: Option<Tracker>,
    worker: Worker,
    /// What the networks draw next.
    job: Job,
    /// Jobs that nobody uses.
    idle: Vec<Job>,
    /// What was drawn for frames up to this one is of no use any more.
    void: u64,
    mouths: Mouths,
    mouth_memory: Option<Arc<dyn MouthMemory>>,
    /// Those that were begun and are not finished, in order.
    frames: VecDeque<Frame>,
    /// The one that was finished last, or could not be tracked.
    shown: Frame,
    /// Memory that nobody uses.
    spare: Vec<Frame>,
    /// Frames that were begun ever.
    count: u64,
    /// Errors of frames, until these are finished or somebody is told of a late one.
    failed: Vec<(u64, Error)>,
    /// Times of networks that were late for their frames.
    late: Timings,
    gate: VoiceGate,
    speakers: Speakers,
    pointed: Pointed,
    /// Level around the frame that was begun last, in dBFS.
    level_db: f32,
    /// Of the frame that was tracked last.
    tracking: Duration,
    active: Option<inference::Provider>,
    files: inference::Snapshot,
    overlaps: bool,
    about: String,
    interrupt: inference::Interrupt,
    calls: inference::Calls,
}

/// How often the time that is left is looked at while the networks work: a clock need not run as
/// this machine's does.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Engine {
    /// Of an open generator and, where it needs faces, what follows them.
    pub(crate) fn assemble(
        generator: OpenGenerator,
        tracker: Option<Tracker>,
        overlaps: bool,
        options: inference::Options,
    ) -> Self {
        let hearing = generator.generator.hearing();
        Self {
            name: generator.generator.name().to_owned(),
            hearing,
            batch: generator.generator.batch().max(1),
            tracker,
            mouths: Mouths::new(generator.generator.brushes()),
            mouth_memory: generator.generator.mouth_memory(),
            worker: Worker::new(generator.generator),
            job: Job::default(),
            idle: Vec::new(),
            void: 0,
            frames: VecDeque::new(),
            shown: Frame::default(),
            spare: Vec::new(),
            count: 0,
            failed: Vec::new(),
            late: Timings::default(),
            speakers: Speakers::default(),
            pointed: Pointed::default(),
            gate: VoiceGate::new(f32::NEG_INFINITY, 0),
            level_db: f32::NEG_INFINITY,
            tracking: Duration::ZERO,
            active: generator.active,
            files: generator.files,
            overlaps,
            about: generator.about,
            interrupt: options.interrupt,
            calls: options.calls,
        }
    }

    /// Goes on with the stream of `old`: the faces that it follows and the voice that it hears.
    /// Gives back what is left of it.
    pub fn take_over(&mut self, mut old: Engine) -> Engine {
        if let (Some(tracker), Some(followed)) = (&mut self.tracker, &mut old.tracker) {
            tracker.take_over(followed);
        }
        std::mem::swap(&mut self.gate, &mut old.gate);
        std::mem::swap(&mut self.speakers, &mut old.speakers);
        std::mem::swap(&mut self.pointed, &mut old.pointed);
        self.level_db = old.level_db;
        old
    }

    /// Has its networks give up the run that is under way.
    pub fn interrupt(&self) -> inference::Interrupt {
        self.interrupt.clone()
    }

    /// What its networks ask of servers.
    pub fn calls(&self) -> &inference::Calls {
        &self.calls
    }

    pub fn model_name(&self) -> &str {
        &self.name
    }

    /// The files that its model was read from.
    pub fn files(&self) -> &inference::Snapshot {
        &self.files
    }

    /// Name, licence and source of the model, for logs.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// What runs the networks; `None` when there are none.
    pub fn active_provider(&self) -> Option<inference::Provider> {
        self.active
    }

    pub fn hearing(&self) -> Hearing {
        self.hearing
    }

    /// Faces that are drawn at once where so many are there: as many frames with one face each are
    /// worth beginning before the first is finished.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Whether it is worth submitting frames to begin others meanwhile: not where the networks need
    /// the only CPU.
    pub fn overlaps(&self) -> bool {
        self.overlaps
    }

    /// Of the frame that was finished last.
    pub fn timings(&self) -> Timings {
        self.shown.timings
    }

    /// Faces of the frame that was finished last.
    pub fn faces(&self) -> &[Face] {
        &self.shown.faces
    }

    /// Faces in it that are followed and not drawn, where a choice is made among them.
    pub fn others(&self) -> &[Face] {
        &self.shown.others
    }

    /// What was heard around it.
    pub fn heard(&self) -> Heard {
        Heard {
            level_db: self.shown.level_db,
            gate: self.shown.activity,
        }
    }

    /// What is remembered of the mouths in the frame that was finished last.
    pub fn remembered(&self) -> Remembered {
        self.shown.remembered
    }

    /// From here on mouths are known that [`learned_mouths`](Self::learned_mouths) gave another time, and no
    /// others. Nothing where the generator remembers none.
    ///
    /// # Errors
    /// [`Error::MouthMemory`].
    pub fn know_mouths(&mut self, known: Option<&[u8]>) -> Result<(), Error> {
        let begun = self.mouth_memory.as_ref().map(|memory| memory.begin(known));
        begun.unwrap_or(Ok(())).map_err(Error::MouthMemory)
    }

    /// Forgets all faces, and gives what was learned of their mouths
    /// ([`Controls::learns_mouths`]); `None` where the generator remembers none.
    pub fn learned_mouths(&mut self) -> Option<Vec<u8>> {
        self.mouths.reset();
        Some(self.mouth_memory.as_ref()?.to_bytes())
    }

    /// How the movement of a mouth in that frame was changed: of the first one, if there are several.
    pub fn articulation(&self) -> Option<Articulation> {
        self.shown.articulation
    }

    /// How often the face detector has run.
    pub fn detector_runs(&self) -> u64 {
        self.tracker.as_ref().map_or(0, Tracker::detector_runs)
    }

    /// How often the shot has changed, or the size of the frames, up to the frame that was begun last.
    pub fn shots(&self) -> u64 {
        self.tracker.as_ref().map_or(0, Tracker::shots)
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
        self.abandon();
        self.late = Timings::default();
        self.void = self.count;
        self.job.is_first = true;
        self.mouths.reset();
        self.shown.faces.clear();
        self.shown.others.clear();
        self.shown.timings = Timings::default();
        self.gate.reset();
        self.speakers.reset();
        self.pointed.reset();
    }

    /// Forgets the frames that were begun and are not finished.
    pub fn abandon(&mut self) {
        for sketch in self.job.sketches.drain(..) {
            self.mouths.drop(sketch);
        }
        self.job.clear();
        while let Some(mut frame) = self.frames.pop_front() {
            for sampled in frame.sampled.drain(..) {
                self.mouths.take_back(sampled, frame.time_ns);
            }
            self.spare.push(frame);
        }
        self.failed.clear();
    }

    /// Forgets the frame that was begun last; what networks already draw of it is of no use.
    pub fn retract(&mut self) {
        if let Some(mut frame) = self.frames.pop_back() {
            for sampled in frame.sampled.drain(..) {
                self.mouths.take_back(sampled, frame.time_ns);
            }
            self.spare.push(frame);
        }
    }

    /// Redraws the mouths of the frame at running time `time_ns`, in place and at once: tracks,
    /// begins and finishes it in this thread, however long the networks take. No other frame may be
    /// begun and unfinished.
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
        regions: &[Rect],
        controls: &Controls,
    ) -> Result<Outcome, Error> {
        if let Err(err) = self.track(view, time_ns, regions, controls) {
            self.shown.faces.clear();
            self.shown.timings = Timings::default();
            self.shown.articulation = None;
            self.shown.draw_debug = controls.draw_debug;
            self.show(view);
            return Err(err);
        }
        self.begin(view, time_ns, sound, controls, Networks::Draw)?;
        self.finish(view, None)
    }

    /// Finds the faces of the frame that is begun next. Those before may be unfinished.
    ///
    /// Fails with [`Error::Inference`]; the frame is to go on as it is then.
    pub fn track(
        &mut self,
        view: &View,
        time_ns: i64,
        regions: &[Rect],
        controls: &Controls,
    ) -> Result<(), Error> {
        self.tracking = Duration::ZERO;
        if !controls.draws() {
            return Ok(());
        }
        let started = Instant::now();
        if let Some(tracker) = &mut self.tracker {
            tracker.set_outlook(controls.outlook);
            tracker.track(view, time_ns, regions)?;
        }
        self.tracking = started.elapsed();
        Ok(())
    }

    /// Begins the frame that was tracked last: samples its mouths for the networks, where these are
    /// to draw it. [`process`](Self::process) tells what the arguments are.
    ///
    /// Fails with the error of networks that came back late, too; the frame is to go on as it is
    /// then.
    pub fn begin(
        &mut self,
        view: &View,
        time_ns: i64,
        sound: &mut Sound,
        controls: &Controls,
        networks: Networks,
    ) -> Result<(), Error> {
        let waits = networks == Networks::Draw && controls.draws();
        self.take_in(waits)?;
        self.sample(view, time_ns, sound, controls, networks);
        Ok(())
    }

    /// Has the networks draw all frames that were begun, in a thread of their own and behind those
    /// that were submitted before. Where no thread can be had, they are drawn at once; where this
    /// is not called, [`finish`](Self::finish) does it.
    pub fn submit(&mut self) {
        self.worker.move_out();
        self.send();
    }

    /// Whether the first of the frames that were begun can be finished without waiting for the
    /// networks. Gives these so long.
    pub fn is_drawn(&mut self, wait: Duration) -> bool {
        if self.awaits_networks() {
            let started = Instant::now();
            match self.worker.wait(Some(wait)) {
                Some(job) => self.put_back(job, started),
                None => return !self.worker.is_busy(),
            }
        }
        true
    }

    /// Finishes the first of the frames that were begun, which `view` has to be: paints what the
    /// networks drew. Where these work in a thread of their own it waits as long as `left` says
    /// that there is time, or as long as they take. Where they are late, the frame becomes what
    /// [`Controls::late`] says, and what they draw is of use to a later one.
    ///
    /// Fails with the networks' error; several faces may be partly drawn then.
    pub fn finish(
        &mut self,
        view: &mut View,
        left: Option<&mut dyn FnMut() -> Duration>,
    ) -> Result<Outcome, Error> {
        let started = Instant::now();
        if self.awaits_networks() {
            self.send();
            self.wait(started, left);
        }
        let Some(frame) = self.frames.pop_front() else {
            return Ok(Outcome::Bypassed);
        };
        let last = std::mem::replace(&mut self.shown, frame);
        self.spare.push(last);
        let started = Instant::now();
        let number = self.shown.number;
        let failed = self.failed.iter().position(|(frame, _)| *frame == number);
        let error = failed.map(|failed| self.failed.swap_remove(failed).1);
        let result = match (self.shown.stage, error) {
            (_, Some(error)) => {
                self.paint(view, false);
                Err(error)
            }
            (Stage::Settled, _) => Ok(self.shown.outcome),
            (Stage::Drawn, _) => {
                self.paint(view, false);
                Ok(self.shown.outcome)
            }
            (Stage::Sampled | Stage::Outrun, _) => Ok(self.paint_last(view)),
        };
        let frame = &mut self.shown;
        for sampled in frame.sampled.drain(..) {
            self.mouths.take_back(sampled, frame.time_ns);
        }
        frame.timings.blend += started.elapsed();
        frame.timings.total += started.elapsed();
        self.show(view);
        result
    }

    /// Whether the first of the frames that were begun is not drawn yet.
    fn awaits_networks(&self) -> bool {
        let first = self.frames.front();
        first.is_some_and(|frame| frame.stage == Stage::Sampled)
    }

    /// Whether the networks have enough to do, or are at work for a frame that nobody waits for any
    /// more: another one would be late, too.
    fn is_behind(&self) -> bool {
        let first = self.frames.front().map_or(u64::MAX, |frame| frame.number);
        !self.worker.has_room() || self.worker.under_way().any(|last| last < first)
    }

    /// Gives away the job, if there is one.
    fn send(&mut self) {
        if !self.job.begun().is_empty() && self.worker.has_room() {
            let next = self.idle.pop().unwrap_or_default();
            self.worker.submit(std::mem::replace(&mut self.job, next));
        }
    }

    /// Waits since `started` for the first frame to be drawn, as long as there is time `left`.
    fn wait(&mut self, started: Instant, mut left: Option<&mut dyn FnMut() -> Duration>) {
        while self.awaits_networks() {
            let left = left.as_mut().map(|left| left());
            match self.worker.wait(left.map(|left| left.min(LOOK_AGAIN))) {
                Some(job) => self.put_back(job, started),
                None if left.is_none_or(|left| left.is_zero()) => return,
                None => (),
            }
        }
    }

    /// Takes in what was drawn too late, or before it was waited for; where it `waits`, until the
    /// networks can have another frame.
    ///
    /// Fails with the networks' error where that was too late.
    fn take_in(&mut self, waits: bool) -> Result<(), Error> {
        let started = Instant::now();
        loop {
            let wait = match waits && self.is_behind() {
                true => None,
                false => Some(Duration::ZERO),
            };
            match self.worker.wait(wait) {
                Some(job) => self.put_back(job, started),
                None => break,
            }
        }
        let is_late =
            |frames: &VecDeque<Frame>, number| frames.iter().all(|frame| frame.number != number);
        let mut result = Ok(());
        while let Some(late) = self
            .failed
            .iter()
            .position(|(number, _)| is_late(&self.frames, *number))
        {
            result = Err(self.failed.swap_remove(late).1);
        }
        result
    }

    /// Keeps what the job has brought, which was waited for since `waited`.
    fn put_back(&mut self, mut job: Job, waited: Instant) {
        let is_void = job.last().is_none_or(|last| last <= self.void);
        if !is_void {
            self.share_times(&job, waited.elapsed());
            self.failed.append(&mut job.failed);
        }
        let Job {
            targets, sketches, ..
        } = &mut job;
        for (target, sketch) in targets.drain(..).zip(sketches.drain(..)) {
            if is_void || !target.is_drawn {
                self.mouths.drop(sketch);
                continue;
            }
            let mut frames = self.frames.iter_mut();
            match frames.find(|frame| frame.number == target.frame) {
                Some(frame) => frame.sampled[target.place].drawn = Some(sketch),
                None => {
                    let Target { mouth, owner, .. } = target;
                    self.mouths.keep(mouth, owner, target.time_ns, sketch);
                }
            }
        }
        job.clear();
        self.idle.push(job);
    }

    /// Every frame of the job has its share of what the networks took; a late one's is the next
    /// one's. The frames of the job have been drawn.
    fn share_times(&mut self, job: &Job, waited: Duration) {
        let begun = job.begun();
        let parts = u32::try_from(begun.len()).unwrap_or(u32::MAX).max(1);
        for moment in begun {
            let mut frames = self.frames.iter_mut();
            let timings = match frames.find(|frame| frame.number == moment.frame) {
                Some(frame) => {
                    frame.stage = Stage::Drawn;
                    &mut frame.timings
                }
                None => &mut self.late,
            };
            timings.features += job.features / parts;
            timings.infer += job.infer / parts;
            timings.total += waited / parts;
        }
    }

    fn show(&mut self, view: &mut View) {
        let shown = &self.shown;
        if shown.draw_debug {
            overlay::draw(view, shown);
        }
    }

    /// Paints the mouths that were sampled and drawn, where `stands_in` others as they were drawn
    /// last. How many of them had something to paint.
    fn paint(&mut self, view: &mut View, stands_in: bool) -> usize {
        let frame = &mut self.shown;
        let mut painted = 0;
        for sampled in &mut frame.sampled {
            let face = frame.faces.get(sampled.face);
            let (time_ns, look) = (frame.time_ns, &frame.look);
            let mouths = &mut self.mouths;
            let is_painted = mouths.paint(sampled, view, face, time_ns, look, stands_in);
            painted += usize::from(is_painted);
            if is_painted {
                let of_mouth = mouths.remembered(sampled);
                frame.remembered.glimpses += of_mouth.glimpses;
                frame.remembered.is_drawn |= of_mouth.is_drawn;
                frame.articulation = frame.articulation.or(mouths.articulation(sampled));
            }
        }
        painted
    }

    fn paint_last(&mut self, view: &mut View) -> Outcome {
        let painted = match self.shown.late {
            Late::LastMouth => self.paint(view, true),
            Late::Original => 0,
        };
        match painted {
            0 => Outcome::Late,
            _ => Outcome::Repeated,
        }
    }
}
