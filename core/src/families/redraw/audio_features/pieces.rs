//! Features of a network that hears a recording both ways, without end: made in pieces, each with
//! some of the sound before and after, on the grid of running time.
//!
//! Must not know what such a network is given: that is its [`Front`]'s.

use std::ops::Range;

use crate::{
    Error,
    families::redraw::{
        audio_features::{Features, deepspeech, hubert, step, whisper},
        recipe::{self, Listener, Sound, Tensors},
    },
    generator::{Heard, finite},
    inference::Network,
    sound::{BANDS, Bounds},
};

/// Of one that is not made.
const NO_PIECE: i64 = i64::MIN;

/// Copies what was heard from a sample on, of a window of samples; whether the window has all of it.
pub fn copy_samples(heard: &Heard, from: i64, out: &mut [f32]) -> bool {
    let columns = (heard.mel.len() / BANDS) as i64;
    let first = heard
        .last_column
        .saturating_sub(columns - 1)
        .saturating_mul(BANDS as i64);
    let at = usize::try_from(from.saturating_sub(first));
    let samples = at.ok().and_then(|at| heard.mel.get(at..)?.get(..out.len()));
    if let Some(samples) = samples {
        out.copy_from_slice(samples);
    }
    samples.is_some()
}

/// What lies before such a network, and its tensors.
pub struct Opened {
    pub front: Box<dyn Front>,
    /// Numbers in the sound of a piece.
    pub heard: usize,
    /// The network's output, and numbers in a row of it.
    pub features: usize,
    pub width: usize,
    /// What is added to the rows of a frame; nothing where there is none.
    pub places: Vec<f32>,
    pub reading: Reading,
}

/// How a frame hears the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// All of them, row after row; zeros where there are none.
    EachRow,
    /// The first of those that lie in one row of the training's videos, number after number of all; the
    /// last one again where there are none.
    OneForFrame,
}

/// Makes of sound what such a network hears.
pub trait Front: Send {
    /// The rows that an original's table has of a recording.
    fn table(&self, bounds: Bounds) -> Range<i64>;

    /// Writes the sound of the piece that begins with row `first` to `out`. False where not all of it
    /// is heard.
    fn look(&self, heard: &Heard, first: i64, out: &mut [f32]) -> bool;

    /// Gives it to the network, with what there is of the recording.
    fn feed(&mut self, piece: &[f32], place: &Place, network: &mut dyn Network);

    /// Rows of the piece before the first that the network is given.
    fn left_out(&self, place: &Place) -> usize {
        let _ = place;
        0
    }

    fn reset(&mut self) {}
}

/// Where a piece lies.
pub struct Place {
    /// Its first row.
    pub first: i64,
    /// The rows of the recording that it has.
    pub known: Range<i64>,
    /// The recording.
    pub bounds: Bounds,
}

/// What one run of the encoder made, and of what.
struct Piece {
    number: i64,
    /// The rows that there are of the recording.
    known: Range<i64>,
    heard: Vec<f32>,
    /// Its rows between what is heard before and after them.
    rows: Vec<f32>,
}

pub struct Pieces {
    network: Box<dyn Network>,
    opened: Opened,
    plan: recipe::Pieces,
    rate: f64,
    /// Rows of the encoder that a frame hears, from one to the next of these, and rows of the table before
    /// the frame.
    rows: usize,
    stride: usize,
    rows_before: i64,
    offset_ns: i64,
    /// Piece *k* in slot *k* modulo their number.
    made: Vec<Piece>,
    looked: Vec<f32>,
    silence: Vec<f32>,
}

impl Pieces {
    /// # Errors
    /// [`Error::ModelMismatch`], or [`Error::Inference`] when the encoder fails on silence.
    pub fn open(
        mut network: Box<dyn Network>,
        names: &Tensors,
        sound: &Sound,
        plan: recipe::Pieces,
    ) -> Result<Self, Error> {
        let rows = sound.rows * plan.heard_per_row();
        let stride = plan.per_row / plan.heard_per_row();
        let mut opened = match plan.listener {
            Listener::Deepspeech => deepspeech::open(&*network, names, plan)?,
            Listener::Hubert => hubert::open(&*network, names, plan)?,
            Listener::Whisper => whisper::open(&*network, names, plan, rows)?,
        };
        let looked = vec![sound.spectrum().silence(); opened.heard];
        let place = Place {
            first: 0,
            known: 0..plan.rows() as i64,
            bounds: Bounds::default(),
        };
        opened.front.feed(&looked, &place, &mut *network);
        opened.front.reset();
        network.run()?;
        let made = network.output(opened.features);
        finite(made, network.name())?;
        let last = plan.past + plan.step - 1;
        let row = &made[last * opened.width..][..opened.width];
        let mut silence = vec![0.0; rows * opened.width];
        (0..rows).for_each(|at| put(row, at, opened.reading, &mut silence));
        add(&mut silence, &opened.places);
        Ok(Self {
            made: std::iter::repeat_with(|| Piece {
                number: NO_PIECE,
                known: 0..0,
                heard: looked.clone(),
                rows: vec![0.0; plan.step * opened.width],
            })
            .take(rows * stride / plan.step + 2)
            .collect(),
            network,
            opened,
            plan,
            rate: sound.frame_rate(),
            rows,
            stride,
            rows_before: sound.rows_before as i64,
            offset_ns: (sound.offset_ms * 1e6) as i64,
            looked,
            silence,
        })
    }

    /// Makes piece `number`, unless it is there. False where its sound is not heard.
    fn make(&mut self, number: i64, table: &Range<i64>, heard: &Heard) -> Result<bool, Error> {
        let plan = self.plan;
        let first = number * plan.step as i64 - plan.past as i64;
        let last = first + plan.rows() as i64;
        let known = table.start.clamp(first, last)..table.end.clamp(first, last);
        let Opened {
            front,
            features,
            width,
            ..
        } = &mut self.opened;
        if !front.look(heard, first, &mut self.looked) {
            return Ok(false);
        }
        let slot = number.rem_euclid(self.made.len() as i64) as usize;
        let piece = &mut self.made[slot];
        if piece.number == number && piece.known == known && piece.heard == self.looked {
            return Ok(true);
        }
        // Whatever fails below, what it holds is nobody's.
        piece.number = NO_PIECE;
        piece.heard.copy_from_slice(&self.looked);
        let place = Place {
            first,
            known,
            bounds: heard.bounds,
        };
        front.feed(&self.looked, &place, &mut *self.network);
        self.network.run()?;
        let made = self.network.output(*features);
        let left_out = front.left_out(&place);
        for (row, out) in (plan.past..).zip(piece.rows.chunks_exact_mut(*width)) {
            // Those that were left out nobody hears.
            let at = row.saturating_sub(left_out);
            out.copy_from_slice(&made[at * *width..][..*width]);
        }
        finite(&piece.rows, self.network.name())?;
        (piece.number, piece.known) = (number, place.known);
        Ok(true)
    }
}

impl Features for Pieces {
    fn silence(&self) -> &[f32] {
        &self.silence
    }

    fn listen(&mut self, heard: &Heard, out: &mut [f32]) -> Result<(), Error> {
        let kept = self.plan.step as i64;
        let width = self.opened.width;
        let first = step(heard.time_ns.saturating_add(self.offset_ns), self.rate)
            .saturating_sub(self.rows_before)
            .saturating_mul(self.plan.per_row as i64);
        let table = self.opened.front.table(heard.bounds);
        let reading = self.opened.reading;
        let mut ready = (NO_PIECE, false);
        out.fill(0.0);
        for at in 0..self.rows {
            let mut row = first.saturating_add((at * self.stride) as i64);
            if reading == Reading::OneForFrame && !table.is_empty() {
                row = last_in(&table, row, self.stride as i64);
            }
            if !table.contains(&row) {
                continue;
            }
            let number = row.div_euclid(kept);
            if ready.0 != number {
                ready = (number, self.make(number, &table, heard)?);
            }
            if ready.1 {
                let slot = number.rem_euclid(self.made.len() as i64) as usize;
                let from = row.rem_euclid(kept) as usize * width;
                put(&self.made[slot].rows[from..][..width], at, reading, out);
            }
        }
        add(out, &self.opened.places);
        Ok(())
    }

    fn reset(&mut self) {
        self.opened.front.reset();
        for piece in &mut self.made {
            piece.number = NO_PIECE;
        }
    }
}

/// The row itself, or the nearest one of the table that lies whole strides away.
fn last_in(table: &Range<i64>, row: i64, stride: i64) -> i64 {
    let first = -table.start.saturating_neg().div_euclid(stride) * stride;
    let last = (table.end - 1).div_euclid(stride) * stride;
    row.clamp(first.min(last), last)
}

/// Writes row `at` of what a frame hears.
fn put(row: &[f32], at: usize, reading: Reading, out: &mut [f32]) {
    match reading {
        Reading::EachRow => out[at * row.len()..][..row.len()].copy_from_slice(row),
        Reading::OneForFrame => {
            let rows = out.len() / row.len();
            for (out, number) in out[at..].iter_mut().step_by(rows).zip(row) {
                *out = *number;
            }
        }
    }
}

fn add(rows: &mut [f32], places: &[f32]) {
    for (number, place) in rows.iter_mut().zip(places) {
        *number += place;
    }
}

#[cfg(test)]
mod tests;
