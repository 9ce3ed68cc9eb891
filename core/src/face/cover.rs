//! What lies over a face's mouth and jaw: lettering, masks, microphones. Nothing must be drawn
//! there, and nothing moved.
//!
//! A network looks at each frame by itself, so that what is there from the first frame on is found
//! too; time only keeps what it says from flickering. Must not know how the face was found or what
//! is drawn on it.

use crate::{
    Error,
    face::{
        detector,
        geometry::{self, FACE_OVAL, LIPS_OUTER},
        mesh::Mesh,
    },
    inference::Network,
    pixels::{
        Affine, View,
        geometry::cells::{self, blur, fill, grow},
        sample,
    },
};

/// Cells along each side of the square that is looked at, from the eyes to below the chin.
const SIDE: usize = 64;
const CELLS: usize = SIDE * SIDE;
const BLOCKS: usize = CELLS / BLOCK / BLOCK;
/// Planes of the network's input: R, G, B, what the mesh takes for lips, and for the face.
const PLANES: usize = 5;
/// Points of the mesh that tell where the square lies, whatever covers the mouth, and where they
/// are in it: corners of the eyes, bridge and tip of the nose, temples.
const ALIGNED: [(usize, [f32; 2]); 6] = [
    (33, [12.0, -0.8]),
    (263, [51.0, -0.8]),
    (168, [31.5, -2.54]),
    (4, [31.5, 13.97]),
    (234, [1.71, 7.215]),
    (454, [61.29, 7.215]),
];

/// Share of a cell, with its neighbours, from which it is covered, and down to which it is where it was
/// a moment ago, or where a cell beside it is.
const COVERED: f32 = 0.5;
const STAYS: f32 = 0.35;
/// How often that leads on from one cell to the next.
const STEPS: usize = 4;
/// Where no more than so many cells are covered by more than that, nothing is: what is there is a
/// freckle, a shadow, or a mistake.
const SURE: f32 = 0.75;
const LEAST: usize = 6;
/// Cells round what is covered that are left alone: outlines, shadows, and what is read from there.
const ROUND: usize = 3;
/// In which what has gone away is still taken into account, in seconds.
const RELEASE: f32 = 0.2;
/// Covered by less than this counts as not covered.
const BARELY: f32 = 0.05;
/// A bare face is looked at again where something has changed, and else in every so many frames.
const LOOKS: u32 = 4;
/// Cells along each side of the blocks whose mean colour tells of a change.
const BLOCK: usize = 4;
/// Change of a block's mean, 0..1, that lettering brings and a moving face does not.
const CHANGE: f32 = 0.05;
/// Share of the lips that is covered from which no mouth is to be seen, and below which one is again, after
/// so many seconds: one that comes and goes would be worse than none.
const HIDDEN: f32 = 0.5;
const SHOWN: f32 = 0.35;
const SHOWN_FOR: f32 = 0.2;

/// What lies over one face in one frame.
#[derive(Clone, Debug, Default)]
pub struct Cover {
    /// From frame pixels to cells.
    to_cells: Affine,
    /// `[SIDE, SIDE]`: 0 = bare .. 1 = covered; empty where all is bare.
    cells: Vec<f32>,
    /// Whether so much of the mouth is covered that there is none to be redrawn.
    hides_mouth: bool,
}

impl Cover {
    /// Whether so much of the mouth is covered that there is none to be redrawn.
    pub fn hides_mouth(&self) -> bool {
        self.hides_mouth
    }

    /// Whether anything lies anywhere over mouth, jaw and what is round them.
    pub fn is_bare(&self) -> bool {
        self.cells.is_empty()
    }

    /// Takes what is covered out of a mask, `[size, size]`, whose pixels `to_frame` maps to the
    /// frame's.
    pub fn cut_out_of(&self, mask: &mut [f32], size: usize, to_frame: &Affine) {
        if self.is_bare() {
            return;
        }
        let to_cells = self.to_cells.after(to_frame);
        cells::multiply::<SIDE>(mask, size, &to_cells, |covered| 1.0 - covered, &self.cells);
    }

    fn clear(&mut self) {
        self.cells.clear();
        self.hides_mouth = false;
    }
}

/// The network that tells what lies over a face.
pub struct CoverNetwork {
    network: Box<dyn Network>,
    covered: Vec<f32>,
    perhaps: Vec<f32>,
    spare: Vec<f32>,
}

impl CoverNetwork {
    /// # Errors
    /// [`Error::ModelMismatch`] when the network's tensors are not `[1,5,64,64]` in and
    /// `[1,1,64,64]` out.
    pub fn new(network: Box<dyn Network>) -> Result<Self, Error> {
        let inputs: &[&[usize]] = &[&[1, PLANES, SIDE, SIDE]];
        let outputs: &[&[usize]] = &[&[1, 1, SIDE, SIDE]];
        detector::check(&*network, inputs, outputs)?;
        Ok(Self {
            network,
            covered: vec![0.0; CELLS],
            perhaps: vec![0.0; CELLS],
            spare: vec![0.0; CELLS],
        })
    }

    /// Looks at the face of `mesh` in the frame at running time `time_ns`, and fills `cover`.
    /// `memory` is that of the face.
    ///
    /// # Errors
    /// [`Error::Inference`].
    pub fn run(
        &mut self,
        view: &View,
        mesh: &Mesh,
        time_ns: i64,
        memory: &mut Memory,
        cover: &mut Cover,
    ) -> Result<(), Error> {
        cover.clear();
        let Some((to_cells, to_frame)) = align(mesh) else {
            return Ok(());
        };
        cover.to_cells = to_cells;
        let planes = self.network.input(0);
        let (colours, contours) = planes.split_at_mut(3 * CELLS);
        let (red, others) = colours.split_at_mut(CELLS);
        let (green, blue) = others.split_at_mut(CELLS);
        sample(view, &to_frame, SIDE, 1.0, 0.0, [red, green, blue]);
        let (lips, oval) = contours.split_at_mut(CELLS);
        let contour = |points: &[usize], plane: &mut [f32]| {
            let places = points.iter().map(|&point| mesh.points[point]);
            fill::<SIDE>(places.map(|place| to_cells.apply(place)), plane);
        };
        contour(&LIPS_OUTER, lips);
        if !memory.needs_look(colours, lips) {
            memory.last_ns = Some(time_ns);
            return Ok(());
        }
        contour(&FACE_OVAL, oval);
        self.network.run()?;

        let covered = &mut self.covered;
        covered.copy_from_slice(self.network.output(0));
        blur::<SIDE>(covered, 1, &mut self.spare);
        memory.steady(covered, &mut self.perhaps, &mut self.spare);
        let lips = &self.network.input(0)[3 * CELLS..][..CELLS];
        memory.look_for_mouth(covered, lips, time_ns);
        cover.hides_mouth = memory.hides_mouth;
        grow::<SIDE>(covered, ROUND, &mut self.spare);
        if memory.keep(covered, time_ns) {
            cover.cells.extend_from_slice(covered);
            blur::<SIDE>(&mut cover.cells, 1, &mut self.spare);
        }
        Ok(())
    }
}

/// All of a cell, or nothing.
fn share_of(is_covered: bool) -> f32 {
    f32::from(u8::from(is_covered))
}

/// Mean values of the blocks of planes, `[.., SIDE, SIDE]`.
fn blocks(planes: &[f32]) -> impl Iterator<Item = f32> {
    planes.chunks_exact(SIDE * BLOCK).flat_map(|rows| {
        (0..SIDE / BLOCK).map(|column| {
            let rows = rows.chunks_exact(SIDE);
            let sums = rows.map(|row| row[column * BLOCK..][..BLOCK].iter().sum::<f32>());
            sums.sum::<f32>() / (BLOCK * BLOCK) as f32
        })
    })
}

/// Whether the colours of a block differ that has no part of the lips.
fn has_changed(now: &[f32; 3 * BLOCKS], before: &[f32; 3 * BLOCKS], lips: &[f32]) -> bool {
    let mut on_lips = blocks(lips);
    let on_lips: [bool; BLOCKS] =
        std::array::from_fn(|_| on_lips.next().is_some_and(|mean| mean > 0.0));
    let pairs = now.iter().zip(before).zip(on_lips.iter().cycle());
    let mut changes = pairs.filter(|(_, on_lips)| !**on_lips);
    changes.any(|((now, before), _)| (now - before).abs() > CHANGE)
}

/// The maps from the frame to the cells and back; `None` for a face without extent.
fn align(mesh: &Mesh) -> Option<(Affine, Affine)> {
    let from = ALIGNED.map(|(point, _)| mesh.points[point]);
    let to_cells = geometry::similarity(&from, &ALIGNED.map(|(_, place)| place))?;
    Some((to_cells, to_cells.inverse()?))
}

/// What was over a face a moment ago.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// As in [`Cover`].
    cells: Vec<f32>,
    hides_mouth: bool,
    /// Since when a mouth is to be seen that was hidden.
    shown_ns: Option<i64>,
    last_ns: Option<i64>,
    /// Mean colours of the blocks when the network last looked.
    blocks: Option<[f32; 3 * BLOCKS]>,
    /// Frames since then.
    unseen: u32,
}

impl Memory {
    /// Whether the network has to look: not at a bare face that looks as it did, but for the mouth. `colours` is
    /// `[3, SIDE, SIDE]`, 0..1; `lips` `[SIDE, SIDE]`.
    fn needs_look(&mut self, colours: &[f32], lips: &[f32]) -> bool {
        self.unseen += 1;
        let is_bare = self.cells.iter().all(|&covered| covered == 0.0) && !self.hides_mouth;
        let mut means = blocks(colours);
        let now: [f32; 3 * BLOCKS] = std::array::from_fn(|_| means.next().unwrap_or_default());
        if let Some(before) = &self.blocks
            && is_bare
            && self.unseen < LOOKS
            && !has_changed(&now, before, lips)
        {
            return false;
        }
        self.blocks = Some(now);
        self.unseen = 0;
        true
    }

    /// Makes 0 or 1 of each share: what is or was covered stays so until it clearly is not, and reaches as
    /// far as that.
    fn steady(&mut self, covered: &mut [f32], perhaps: &mut [f32], spare: &mut [f32]) {
        self.cells.resize(CELLS, 0.0);
        let mut sure = 0;
        let cells = covered.iter_mut().zip(perhaps.iter_mut());
        for ((covered, perhaps), before) in cells.zip(&self.cells) {
            *perhaps = share_of(*covered > STAYS);
            let limit = if *before > COVERED { STAYS } else { COVERED };
            // What is no number covers nothing.
            let is_covered = *covered > limit;
            let is_sure = *covered > SURE || *before > COVERED;
            sure += usize::from(is_covered && is_sure);
            *covered = share_of(is_covered);
        }
        if sure <= LEAST {
            covered.fill(0.0);
            return;
        }
        for _ in 0..STEPS {
            grow::<SIDE>(covered, 1, spare);
            let cells = covered.iter_mut().zip(&*perhaps);
            cells.for_each(|(covered, perhaps)| *covered *= perhaps);
        }
    }

    /// Whether a mouth is to be seen.
    fn look_for_mouth(&mut self, covered: &[f32], lips: &[f32], time_ns: i64) {
        let [mut on_lips, mut all] = [0.0, 0.0];
        for (covered, lips) in covered.iter().zip(lips) {
            on_lips += covered * lips;
            all += lips;
        }
        if !self.hides_mouth {
            self.hides_mouth = on_lips > HIDDEN * all;
            self.shown_ns = None;
        } else if on_lips > SHOWN * all {
            self.shown_ns = None;
        } else {
            let since = *self.shown_ns.get_or_insert(time_ns);
            self.hides_mouth = ((time_ns - since) as f32) < SHOWN_FOR * 1e9;
        }
    }

    /// Lets what has gone away fade. False where all is bare.
    fn keep(&mut self, covered: &mut [f32], time_ns: i64) -> bool {
        let passed = self.last_ns.map(|last| (time_ns - last) as f32 * 1e-9);
        self.last_ns = Some(time_ns);
        let kept = match passed {
            Some(passed) if passed >= 0.0 => (-passed / RELEASE).exp(),
            _ => 0.0,
        };
        let mut is_any = false;
        for (covered, before) in covered.iter_mut().zip(&mut self.cells) {
            let faded = *before * kept;
            *covered = covered.max(if faded > BARELY { faded } else { 0.0 });
            *before = *covered;
            is_any |= *covered > 0.0;
        }
        is_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_face_is_looked_at_again_where_it_changes_beside_the_mouth() {
        let mut memory = Memory {
            cells: vec![0.0; CELLS],
            ..Memory::default()
        };
        let mut lips = vec![0.0; CELLS];
        lips[32 * SIDE..][30..34].fill(1.0);
        let grey = vec![0.5; 3 * CELLS];
        let looks: Vec<_> = (0..6).map(|_| memory.needs_look(&grey, &lips)).collect();
        assert_eq!(looks, [true, false, false, false, true, false]);

        let mut open = grey.clone();
        open[32 * SIDE..][30..34].fill(0.0);
        assert!(!memory.needs_look(&open, &lips));
        // Two letters' strokes, one cell wide.
        let mut captioned = grey.clone();
        for row in 40..48 {
            captioned[row * SIDE + 20] = 1.0;
            captioned[row * SIDE + 22] = 1.0;
        }
        assert!(memory.needs_look(&captioned, &lips));
    }

    #[test]
    fn a_hidden_mouth_is_to_be_seen_again_when_it_stays_so() {
        let mut memory = Memory::default();
        let [mut lips, bare] = [(); 2].map(|()| vec![0.0; CELLS]);
        lips[..40].fill(1.0);
        let mut hides = |covered: &[f32], frame: i64| {
            memory.look_for_mouth(covered, &lips, frame * 40_000_000);
            memory.hides_mouth
        };
        let half = [vec![1.0; 16], vec![0.0; CELLS - 16]].concat();
        let whole = vec![1.0; CELLS];
        assert!(!hides(&half, 0) && hides(&whole, 1) && hides(&half, 2));
        assert!((3..8).all(|frame| hides(&bare, frame)) && hides(&half, 8));
        assert!((9..14).all(|frame| hides(&bare, frame)) && !hides(&bare, 14));
    }

    #[test]
    fn what_lies_over_a_face_is_looked_at_in_every_frame() {
        let mut memory = Memory {
            cells: vec![0.0; CELLS],
            ..Memory::default()
        };
        memory.cells[7] = 1.0;
        let (grey, lips) = (vec![0.5; 3 * CELLS], vec![0.0; CELLS]);
        assert!((0..9).all(|_| memory.needs_look(&grey, &lips)));
    }
}
