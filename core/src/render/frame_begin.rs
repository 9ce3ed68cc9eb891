//! The beginning of a frame: what is heard, and what its mouths look like.
//!
//! Must not know threads or time limits.

use std::time::Instant;

use crate::{
    face::{self, Face, Select, Tracker},
    generator::{Articulation, Hearing, Look, Remembered, Sketch},
    pixels::View,
    render::{
        Engine, Timings,
        controls::{Controls, Late, Networks, Outcome, Silence},
        mouths::Sampled,
        network_thread::{Job, Target},
    },
    sound::{self, Sound},
};

/// A frame that is worked on.
#[derive(Default)]
pub(super) struct Frame {
    pub number: u64,
    pub time_ns: i64,
    pub faces: Vec<Face>,
    /// Faces that are followed and not drawn, where a choice is made among them.
    pub others: Vec<Face>,
    pub look: Look,
    pub stage: Stage,
    /// What it is when nothing is late.
    pub outcome: Outcome,
    pub late: Late,
    pub draw_debug: bool,
    pub level_db: f32,
    pub sampled: Vec<Sampled>,
    /// Of the mouths that were painted.
    pub remembered: Remembered,
    /// Of the first mouth that was painted.
    pub articulation: Option<Articulation>,
    /// How far the gate of the voice is open.
    pub activity: f32,
    /// Whether a voice is heard.
    pub is_speech: bool,
    pub timings: Timings,
}

/// How far the frame is.
#[derive(Clone, Copy, Default, PartialEq)]
pub(super) enum Stage {
    /// There is nothing to draw.
    #[default]
    Settled,
    /// A job has it.
    Sampled,
    /// Its job is done.
    Drawn,
    /// The networks are left out, or busy with earlier frames.
    Outrun,
}

/// Sound this close around a frame decides whether somebody speaks.
const GATE_BEFORE_NS: i64 = 40_000_000;
const GATE_AFTER_NS: i64 = 60_000_000;

impl Engine {
    /// Begins a frame: hears and samples it, for networks that draw it or, where they skip it, only
    /// to find the mouths.
    pub(super) fn sample(
        &mut self,
        view: &View,
        time_ns: i64,
        sound: &mut Sound,
        controls: &Controls,
        networks: Networks,
    ) {
        let started = Instant::now();
        let mut frame = self.spare.pop().unwrap_or_default();
        self.count += 1;
        frame.number = self.count;
        frame.time_ns = time_ns;
        frame.late = controls.late;
        frame.draw_debug = controls.draw_debug;
        frame.timings = std::mem::take(&mut self.late);
        frame.remembered = Remembered::default();
        frame.articulation = None;
        frame.others.clear();
        (frame.stage, frame.outcome) = (Stage::Settled, Outcome::Bypassed);
        if controls.draws() {
            self.sample_faces(&mut frame, view, sound, controls, networks);
            frame.timings.track += self.tracking;
            frame.timings.blend += started.elapsed();
            frame.timings.total += self.tracking + started.elapsed();
        } else {
            frame.faces.clear();
        }
        frame.level_db = self.level_db;
        self.frames.push_back(frame);
    }

    fn sample_faces(
        &mut self,
        frame: &mut Frame,
        view: &View,
        sound: &mut Sound,
        controls: &Controls,
        networks: Networks,
    ) {
        let heard_ns = frame.time_ns.saturating_sub(controls.sync_offset_ns);
        let activity = self.listen_for_voice(frame.time_ns, heard_ns, sound, controls);
        let mut is_any_face = true;
        let found = match &mut self.tracker {
            Some(tracker) => {
                tracker.take_faces(&mut frame.faces);
                is_any_face = !frame.faces.is_empty();
                let &face::Settings {
                    select, max_faces, ..
                } = tracker.settings();
                if select == Select::Point {
                    let size = [view.width as f32, view.height as f32];
                    let point = controls.point.map(|[x, y]| [x * size[0], y * size[1]]);
                    let (faces, others) = (&mut frame.faces, &mut frame.others);
                    self.pointed
                        .choose(faces, others, max_faces, point, frame.time_ns);
                }
                if select == Select::Speaking {
                    let (level_db, time_ns) = (self.level_db, frame.time_ns);
                    let is_voice = activity > 0.0;
                    self.speakers
                        .choose(&mut frame.faces, max_faces, time_ns, level_db, is_voice);
                }
                !frame.faces.is_empty()
            }
            None => true,
        };
        let hidden = !frame.faces.is_empty() && frame.faces.iter().all(is_hidden);
        let strength = match controls.silence {
            // The original mouth fades in as the voice fades out.
            Silence::Original => controls.strength * activity,
            Silence::Close | Silence::Animate => controls.strength,
        };
        frame.outcome = match activity <= 0.0 {
            _ if !is_any_face => Outcome::NoFace,
            _ if !found => Outcome::NoSpeaker,
            _ if hidden => Outcome::Occluded,
            true => Outcome::Silent,
            false => Outcome::Synced,
        };
        frame.look = Look {
            strength,
            activity: match controls.silence {
                Silence::Close => activity,
                Silence::Original | Silence::Animate => 1.0,
            },
            feather: controls.feather,
            remembers: controls.mouth_memory,
            articulation: controls.articulation,
        };
        frame.activity = activity;
        frame.is_speech = activity > 0.0;
        if controls.learns_mouths {
            self.learn_mouths(frame, view);
            frame.outcome = Outcome::Bypassed;
            return;
        }
        if found && !hidden && strength > 0.0 {
            match networks == Networks::Skip || self.is_behind() {
                true => self.locate_mouths(frame, view),
                false => self.sample_mouths(frame, view, heard_ns, sound),
            }
        }
    }

    fn sample_mouths(&mut self, frame: &mut Frame, view: &View, heard_ns: i64, sound: &mut Sound) {
        for index in 0..faces_or_one(&self.tracker, &frame.faces) {
            let Some((mouth, sampled, mut sketch)) = self.sample_mouth(frame, view, index) else {
                continue;
            };
            if frame.sampled.is_empty() {
                hear(&mut self.job, self.hearing, frame.number, heard_ns, sound);
            }
            sketch.look = frame.look;
            let target = Target {
                frame: frame.number,
                time_ns: frame.time_ns,
                place: frame.sampled.len(),
                mouth,
                owner: sampled.owner,
                is_drawn: false,
            };
            self.job.add(target, sketch);
            frame.sampled.push(sampled);
        }
        match frame.sampled.is_empty() {
            true => frame.outcome = Outcome::Occluded,
            false => frame.stage = Stage::Sampled,
        }
    }

    /// Whose mouth the face at `index` has, and what the frame shows of it; `None` where it is hidden.
    fn sample_mouth(
        &mut self,
        frame: &Frame,
        view: &View,
        index: usize,
    ) -> Option<(usize, Sampled, Sketch)> {
        let face = frame.faces.get(index);
        if face.is_some_and(is_hidden) {
            return None;
        }
        let mouth = self.mouths.of(face, &frame.faces);
        let (time_ns, is_speech) = (frame.time_ns, frame.is_speech);
        let (sampled, sketch) = self
            .mouths
            .sample(mouth, view, index, face, time_ns, is_speech)?;
        Some((mouth, sampled, sketch))
    }

    /// Takes in what the frame shows of mouths, and nothing more.
    fn learn_mouths(&mut self, frame: &Frame, view: &View) {
        let Some(memory) = &self.mouth_memory else {
            return;
        };
        memory.learn();
        for index in 0..faces_or_one(&self.tracker, &frame.faces) {
            if let Some((_, sampled, sketch)) = self.sample_mouth(frame, view, index) {
                self.mouths.drop(sketch);
                self.mouths.take_back(sampled, frame.time_ns);
            }
        }
    }

    fn locate_mouths(&mut self, frame: &mut Frame, view: &View) {
        frame.stage = Stage::Outrun;
        if frame.late == Late::Original {
            return;
        }
        for index in 0..faces_or_one(&self.tracker, &frame.faces) {
            let face = frame.faces.get(index);
            let Some(mouth) = self
                .mouths
                .known(face)
                .filter(|_| !face.is_some_and(is_hidden))
            else {
                continue;
            };
            let (time_ns, is_speech) = (frame.time_ns, frame.is_speech);
            let found = self
                .mouths
                .sample(mouth, view, index, face, time_ns, is_speech);
            if let Some((sampled, sketch)) = found {
                self.mouths.drop(sketch);
                frame.sampled.push(sampled);
            }
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
        let (from_ns, to_ns) = (
            heard_ns.saturating_sub(GATE_BEFORE_NS),
            heard_ns.saturating_add(GATE_AFTER_NS),
        );
        self.level_db = sound.loudness(from_ns, to_ns);
        let (level_db, threshold_db) = match controls.silence_threshold_db {
            Some(threshold_db) => (self.level_db, threshold_db),
            None if self.level_db >= sound::LOUD_DB => (self.level_db, sound::LOUD_DB),
            None => {
                let until_ns = heard_ns.saturating_add(self.hearing.look_ahead_ns);
                let threshold_db = sound.levels(until_ns).threshold_db();
                (sound.voice_loudness(from_ns, to_ns), threshold_db)
            }
        };
        self.gate.threshold_db = threshold_db;
        self.gate.hold_ns = controls.silence_hold_ns;
        let activity = self.gate.update(time_ns, level_db);
        match controls.silence {
            Silence::Animate => 1.0,
            Silence::Close | Silence::Original => activity,
        }
    }
}

/// Begins the part of the job that is this frame's: the audio around it.
fn hear(job: &mut Job, hearing: Hearing, frame: u64, heard_ns: i64, sound: &mut Sound) {
    let Hearing {
        spectrum,
        columns,
        raises_voice,
        look_ahead_ns,
    } = hearing;
    let moment = job.begin();
    moment.frame = frame;
    moment.heard_ns = heard_ns;
    let until_ns = heard_ns.saturating_add(look_ahead_ns);
    moment.last_column = spectrum.column_for(until_ns);
    moment.bounds = sound.bounds();
    moment.mel.resize(sound::BANDS * columns, 0.0);
    let gain_db = match raises_voice {
        true => sound.levels(until_ns).gain_db(),
        false => 0.0,
    };
    let (last, mel) = (moment.last_column, &mut moment.mel);
    sound.raised_window(spectrum, gain_db, last, mel, columns);
}

fn is_hidden(face: &Face) -> bool {
    face.cover.hides_mouth()
}

/// One for the whole frame where faces are of no concern.
fn faces_or_one(tracker: &Option<Tracker>, faces: &[Face]) -> usize {
    match tracker {
        Some(_) => faces.len(),
        None => 1,
    }
}
