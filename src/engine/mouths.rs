//! What is remembered of each mouth from frame to frame: its brush, and what was last drawn.
//!
//! Must not know networks or time limits.

use super::worker::{Drawing, Job};
use crate::{
    face::Face,
    generator::{Brush, Generator, Look, Sketch},
    pixels::View,
};

/// A mouth that was drawn longer ago is not painted again: what was said then is long over.
const LAST_MOUTH_NS: i64 = 2_000_000_000;

/// In place of a face's id where the whole frame is drawn.
const WHOLE_FRAME: u64 = 0;

struct Mouth {
    face: u64,
    brush: Box<dyn Brush>,
    /// What was drawn last; what it saw is not of interest any more.
    last: Sketch,
    /// What goes to the networks next; they have it while there is none.
    next: Option<Sketch>,
    /// Running time of the frame that `last` was drawn for, if it was drawn.
    drawn_ns: Option<i64>,
    /// What was sampled before says nothing of this face.
    since_ns: i64,
}

/// The mouths of a stream.
#[derive(Default)]
pub struct Mouths {
    all: Vec<Mouth>,
}

fn id(face: Option<&Face>) -> u64 {
    face.map_or(WHOLE_FRAME, |face| face.id)
}

fn blank() -> Sketch {
    Sketch {
        look: Look::default(),
        seen: Vec::new(),
        drawn: Vec::new(),
    }
}

impl Mouths {
    /// The mouth of this face, made or taken over from a face that is not in the frame where it
    /// is new.
    pub fn of(
        &mut self,
        face: Option<&Face>,
        in_frame: &[Face],
        generator: &dyn Generator,
    ) -> usize {
        if let Some(known) = self.known(face) {
            return known;
        }
        let is_free = |mouth: &Mouth| {
            mouth.next.is_some() && in_frame.iter().all(|other| other.id != mouth.face)
        };
        let index = match self.all.iter().position(is_free) {
            Some(free) => free,
            None => {
                self.all.push(Mouth {
                    face: WHOLE_FRAME,
                    brush: generator.brush(),
                    last: blank(),
                    next: Some(blank()),
                    drawn_ns: None,
                    since_ns: i64::MIN,
                });
                self.all.len() - 1
            }
        };
        let mouth = &mut self.all[index];
        mouth.face = id(face);
        mouth.brush.reset();
        mouth.drawn_ns = None;
        index
    }

    /// The mouth of this face, if it has one.
    pub fn known(&self, face: Option<&Face>) -> Option<usize> {
        self.all.iter().position(|mouth| mouth.face == id(face))
    }

    /// Samples the face for the networks. `None` where there is nothing to draw.
    pub fn sample(
        &mut self,
        mouth: usize,
        view: &View,
        face: Option<&Face>,
        time_ns: i64,
        look: Look,
    ) -> Option<Drawing> {
        let this = &mut self.all[mouth];
        this.meet(face, time_ns);
        let mut sketch = this.next.take()?;
        sketch.look = look;
        if !this.brush.sample(view, face, time_ns, &mut sketch.seen) {
            this.next = Some(sketch);
            return None;
        }
        Some(Drawing {
            mouth,
            face: this.face,
            sketch,
        })
    }

    /// Only finds where the mouth is, to paint the last one there. False where there is nothing to
    /// draw.
    pub fn locate(&mut self, mouth: usize, view: &View, face: Option<&Face>, time_ns: i64) -> bool {
        let this = &mut self.all[mouth];
        this.meet(face, time_ns);
        this.brush.sample(view, face, time_ns, &mut this.last.seen)
    }

    /// Keeps what the networks drew, unless it is of no use any more.
    pub fn keep(&mut self, job: &mut Job, is_void: bool) {
        let drawn = job.done.drawn;
        for (index, drawing) in job.drawings.drain(..).enumerate() {
            let mouth = &mut self.all[drawing.mouth];
            let is_its_own = drawing.face == mouth.face && job.time_ns >= mouth.since_ns;
            let next = mouth.next.insert(drawing.sketch);
            if index < drawn && is_its_own && !is_void {
                std::mem::swap(&mut mouth.last, next);
                mouth.drawn_ns = Some(job.time_ns);
            }
        }
    }

    /// Paints what was last drawn, where the mouth was last sampled. False where that is nothing,
    /// or too old at `time_ns`.
    pub fn paint(
        &mut self,
        mouth: usize,
        view: &mut View,
        face: Option<&Face>,
        time_ns: i64,
        look: &Look,
    ) -> bool {
        let this = &mut self.all[mouth];
        let is_young = |drawn_ns| time_ns.abs_diff(drawn_ns) <= LAST_MOUTH_NS as u64;
        let has_one = this.drawn_ns.is_some_and(is_young);
        if has_one {
            this.brush.paint(view, face, look, &this.last.drawn);
        }
        has_one
    }

    /// Forgets all faces and what was drawn.
    pub fn reset(&mut self) {
        for mouth in &mut self.all {
            mouth.face = WHOLE_FRAME;
            mouth.brush.reset();
            mouth.drawn_ns = None;
            mouth.since_ns = i64::MIN;
        }
    }
}

impl Mouth {
    fn meet(&mut self, face: Option<&Face>, time_ns: i64) {
        if face.is_some_and(|face| face.fresh) {
            self.drawn_ns = None;
            self.since_ns = time_ns;
        }
    }
}
