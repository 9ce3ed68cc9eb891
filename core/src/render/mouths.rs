//! What is remembered of each mouth from frame to frame: its brush, and what was last drawn.
//!
//! Must not know networks or time limits.

use crate::{
    face::Face,
    generator::{Articulation, Brush, Brushes, Look, Remembered, Sketch, Spot},
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
    /// Running time of the frame that `last` was drawn for, if it was drawn.
    drawn_ns: Option<i64>,
    /// What was sampled before says nothing of this face.
    since_ns: i64,
}

/// The mouths of a stream.
pub struct Mouths {
    brushes: Brushes,
    all: Vec<Mouth>,
    /// Memory that nobody uses.
    sketches: Vec<Sketch>,
    spots: Vec<Spot>,
}

/// A mouth that was found in a frame that is not painted yet.
pub struct Sampled {
    /// Which of the frame's faces has it.
    pub face: usize,
    pub mouth: usize,
    /// Whose mouth it was then.
    pub owner: u64,
    spot: Spot,
    /// What was drawn for it.
    pub drawn: Option<Sketch>,
}

fn id(face: Option<&Face>) -> u64 {
    face.map_or(WHOLE_FRAME, |face| face.id)
}

impl Mouths {
    pub fn new(brushes: Brushes) -> Self {
        Self {
            brushes,
            all: Vec::new(),
            sketches: Vec::new(),
            spots: Vec::new(),
        }
    }

    /// The mouth of this face, made or taken over from a face that is not in the frame where it
    /// is new.
    pub fn of(&mut self, face: Option<&Face>, in_frame: &[Face]) -> usize {
        if let Some(known) = self.known(face) {
            return known;
        }
        let is_free = |mouth: &Mouth| in_frame.iter().all(|other| other.id != mouth.face);
        let index = match self.all.iter().position(is_free) {
            Some(free) => free,
            None => {
                self.all.push(Mouth {
                    face: WHOLE_FRAME,
                    brush: (self.brushes)(),
                    last: Sketch::default(),
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

    /// Samples the mouth of the `index`-th face, for the networks and to be painted. `None` where
    /// there is nothing to draw. [`Brush::sample`] tells what the arguments are.
    pub fn sample(
        &mut self,
        mouth: usize,
        view: &View,
        index: usize,
        face: Option<&Face>,
        time_ns: i64,
        is_speech: bool,
    ) -> Option<(Sampled, Sketch)> {
        let this = &mut self.all[mouth];
        if face.is_some_and(|face| face.fresh) {
            this.drawn_ns = None;
            this.since_ns = time_ns;
        }
        let mut sketch = self.sketches.pop().unwrap_or_default();
        let mut spot = self.spots.pop().unwrap_or_default();
        let (brush, seen) = (&mut this.brush, &mut sketch.seen);
        if !brush.sample(view, face, time_ns, is_speech, seen, &mut spot) {
            self.sketches.push(sketch);
            self.spots.push(spot);
            return None;
        }
        let sampled = Sampled {
            face: index,
            mouth,
            owner: this.face,
            spot,
            drawn: None,
        };
        Some((sampled, sketch))
    }

    /// Paints what was drawn for it, or, where `stands_in`, what was drawn last, unless that is too
    /// old. False where that is nothing. `time_ns` is the frame's running time.
    pub fn paint(
        &mut self,
        sampled: &mut Sampled,
        view: &mut View,
        face: Option<&Face>,
        time_ns: i64,
        look: &Look,
        stands_in: bool,
    ) -> bool {
        let this = &mut self.all[sampled.mouth];
        let is_young = |drawn_ns| time_ns.abs_diff(drawn_ns) <= LAST_MOUTH_NS as u64;
        let last = match stands_in && this.drawn_ns.is_some_and(is_young) {
            true => Some(&this.last),
            false => None,
        };
        let Some(sketch) = sampled.drawn.as_ref().or(last) else {
            return false;
        };
        this.brush
            .paint(view, face, look, &mut sampled.spot, &sketch.drawn);
        true
    }

    /// What is remembered of the mouth that was sampled.
    pub fn remembered(&self, sampled: &Sampled) -> Remembered {
        self.all[sampled.mouth].brush.remembered()
    }

    /// How the movement of the mouth that was sampled was changed.
    pub fn articulation(&self, sampled: &Sampled) -> Option<Articulation> {
        self.all[sampled.mouth].brush.articulation()
    }

    /// Takes back what was found in a frame that is done with at `time_ns`, and keeps what was drawn
    /// for it.
    pub fn take_back(&mut self, sampled: Sampled, time_ns: i64) {
        self.spots.push(sampled.spot);
        if let Some(sketch) = sampled.drawn {
            self.keep(sampled.mouth, sampled.owner, time_ns, sketch);
        }
    }

    /// Keeps what was drawn for the frame at `time_ns`, unless it is of no use any more.
    pub fn keep(&mut self, mouth: usize, owner: u64, time_ns: i64, mut sketch: Sketch) {
        let mouth = &mut self.all[mouth];
        if owner == mouth.face && time_ns >= mouth.since_ns {
            std::mem::swap(&mut mouth.last, &mut sketch);
            mouth.drawn_ns = Some(time_ns);
        }
        self.drop(sketch);
    }

    /// Keeps no more than the memory.
    pub fn drop(&mut self, sketch: Sketch) {
        self.sketches.push(sketch);
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
