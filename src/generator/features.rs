//! Sound as a network hears it that was trained on features: rows of numbers, each made of one
//! mel window by a second network, at the rate of the videos of the training.
//!
//! Must not know pictures.
//!
//! The rows lie on an absolute grid of running time, whatever the frame rate and however the
//! sound came: row *k* is made of the window that begins at column `floor(80 k / rate)`, as
//! SyncTalk_2D has it, and a row that is made is kept until its window changes. A frame between
//! two rows counts from the earlier one, so that nothing later than the look-ahead is heard.

use super::{
    Heard,
    recipe::{COLUMNS, ROW_OF_WINDOW, Sound, Tensors},
    registry::describe,
};
use crate::{
    Error,
    generator::finite,
    runtime::{Network, TensorInfo},
    sound::{BANDS, Bounds, COLUMNS_PER_SECOND, MEL_RANGE},
};

/// What an audio encoder looks like.
const SHAPES: &str = "mel [N, 1, 80, 16] -> features [N, F]";
const WINDOW: usize = BANDS * COLUMNS;

/// Of a row that is not made.
const NO_WINDOW: i64 = i64::MIN;

/// One row, and what it was made of.
struct Row {
    window: i64,
    mel: Vec<f32>,
    features: Vec<f32>,
}

pub struct Features {
    encoder: Box<dyn Network>,
    /// Tensors of the encoder.
    mel: usize,
    features: usize,
    /// Numbers in a row.
    length: usize,
    rate: f64,
    rows: usize,
    rows_before: i64,
    offset_ns: i64,
    /// The row of window *k* in slot *k* modulo their number.
    made: Vec<Row>,
    /// The window that is looked at.
    looked: Vec<f32>,
    silence: Vec<f32>,
}

/// A window of the table: its number, and the mel column it begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    number: i64,
    column: i64,
}

impl Features {
    /// Fails with [`Error::ModelMismatch`], or [`Error::Inference`] when the encoder fails on
    /// silence.
    pub fn open(
        mut encoder: Box<dyn Network>,
        names: &Tensors,
        sound: &Sound,
    ) -> Result<Self, Error> {
        let find = |tensors: &[TensorInfo], name: &Option<String>, fits: fn(&[usize]) -> bool| {
            tensors.iter().position(|tensor| {
                fits(&tensor.shape) && name.as_ref().is_none_or(|name| *name == tensor.name)
            })
        };
        let mel = find(encoder.inputs(), &names.mel, |shape| {
            matches!(*shape, [_, 1, BANDS, COLUMNS])
        });
        let features = find(
            encoder.outputs(),
            &names.features,
            |shape| matches!(*shape, [batch, .., _] if batch > 0),
        );
        let (Some(mel), Some(features), 1) = (mel, features, encoder.inputs().len()) else {
            return Err(Error::ModelMismatch {
                name: encoder.name().to_owned(),
                found: format!(
                    "{} -> {}",
                    describe(encoder.inputs()),
                    describe(encoder.outputs())
                ),
                wanted: format!(
                    "an audio encoder: {SHAPES}, named {} -> {}",
                    names.mel.as_deref().unwrap_or("anything"),
                    names.features.as_deref().unwrap_or("anything")
                ),
            });
        };
        let length = encoder.outputs()[features].shape[1..].iter().product();
        encoder.input(mel).fill(MEL_RANGE[0]);
        encoder.run()?;
        let silent = &encoder.output(features)[..length];
        finite(silent, encoder.name())?;
        Ok(Self {
            silence: silent.repeat(sound.rows),
            mel,
            features,
            length,
            rate: sound.frame_rate,
            rows: sound.rows,
            rows_before: sound.rows_before as i64,
            offset_ns: (sound.offset_ms * 1e6) as i64,
            made: std::iter::repeat_with(|| Row {
                window: NO_WINDOW,
                mel: vec![0.0; WINDOW],
                features: vec![0.0; length],
            })
            .take(sound.rows)
            .collect(),
            looked: vec![0.0; WINDOW],
            encoder,
        })
    }

    /// Mel columns that [`listen`](Self::listen) looks at: all rows, one row's length for frames
    /// between two, and two for the windows that the end of the sound moves back.
    pub fn columns(sound: &Sound) -> usize {
        let per_row = COLUMNS_PER_SECOND as f64 / sound.frame_rate;
        ((sound.rows + 3) as f64 * per_row).ceil() as usize + 2 + COLUMNS
    }

    /// What the network hears in a silence without end, as long as a window.
    pub fn silence(&self) -> &[f32] {
        &self.silence
    }

    /// Writes the rows of a frame into `out`; zeros where the table has none.
    pub fn listen(&mut self, heard: &Heard, out: &mut [f32]) -> Result<(), Error> {
        let first = step(heard.time_ns.saturating_add(self.offset_ns), self.rate)
            .saturating_sub(self.rows_before);
        for (index, out) in out
            .chunks_exact_mut(self.length)
            .take(self.rows)
            .enumerate()
        {
            let row = first.saturating_add(index as i64);
            match window(row, heard.bounds, self.rate) {
                Some(window) => self.row(window, heard, out)?,
                None => out.fill(0.0),
            }
        }
        Ok(())
    }

    pub fn reset(&mut self) {
        for row in &mut self.made {
            row.window = NO_WINDOW;
        }
    }

    fn row(&mut self, window: Window, heard: &Heard, out: &mut [f32]) -> Result<(), Error> {
        if !self.look_at(window.column, heard) {
            out.fill(0.0);
            return Ok(());
        }
        let slot = window.number.rem_euclid(self.made.len() as i64) as usize;
        let row = &mut self.made[slot];
        if row.window != window.number || row.mel != self.looked {
            // Whatever fails below, what the row holds is nobody's.
            row.window = NO_WINDOW;
            self.encoder.input(self.mel)[..WINDOW].copy_from_slice(&self.looked);
            self.encoder.run()?;
            let made = &self.encoder.output(self.features)[..self.length];
            finite(made, self.encoder.name())?;
            row.features.copy_from_slice(made);
            row.mel.copy_from_slice(&self.looked);
            row.window = window.number;
        }
        out.copy_from_slice(&row.features);
        Ok(())
    }

    /// Takes the window that begins at `column` out of what is heard. False when it is not there.
    fn look_at(&mut self, column: i64, heard: &Heard) -> bool {
        let columns = heard.mel.len() / BANDS;
        let first = heard.last_column.saturating_sub(columns as i64 - 1);
        let Ok(at) = usize::try_from(column.saturating_sub(first)) else {
            return false;
        };
        if at + COLUMNS > columns {
            return false;
        }
        let bands = heard.mel.chunks_exact(columns);
        for (out, band) in self.looked.chunks_exact_mut(COLUMNS).zip(bands) {
            out.copy_from_slice(&band[at..at + COLUMNS]);
        }
        true
    }
}

/// The last step of the training's videos that does not lie after `time_ns`.
fn step(time_ns: i64, rate: f64) -> i64 {
    // In thousandths of a frame, so that 25 frames a second stay exact for ever.
    let thousandths = (rate * 1_000.0).round() as i128;
    (i128::from(time_ns) * thousandths).div_euclid(1_000_000_000_000) as i64
}

/// The first column of window `number`, as SyncTalk_2D reckons it.
fn column(number: i64, rate: f64) -> i64 {
    (COLUMNS_PER_SECOND as f64 * (number as f64 / rate)).floor() as i64
}

/// Which window row `row` of the table is made of. The first and the last one are there twice;
/// windows that would run past the end become the last 16 columns. All as SyncTalk_2D has it.
fn window(row: i64, bounds: Bounds, rate: f64) -> Option<Window> {
    let first_column = bounds.first?;
    let mut first = (first_column as f64 * rate / COLUMNS_PER_SECOND as f64).floor() as i64;
    while column(first, rate) < first_column {
        first += 1;
    }
    let wanted = row.checked_sub(ROW_OF_WINDOW)?;
    let (last, end) = match bounds.end {
        None => (i64::MAX, i64::MAX),
        Some(end) => (window_count(end, rate) - 1, end),
    };
    if last < first || wanted < first - ROW_OF_WINDOW || wanted > last.saturating_add(ROW_OF_WINDOW)
    {
        return None;
    }
    let number = wanted.clamp(first, last);
    Some(Window {
        number,
        column: column(number, rate).min(end.saturating_sub(COLUMNS as i64)),
    })
}

/// How many windows there are in `columns` columns: in floating point on purpose, since whole
/// numbers give another count for some lengths (384: 117, not 116).
fn window_count(columns: i64, rate: f64) -> i64 {
    let whole = (columns - COLUMNS as i64) as f64 / COLUMNS_PER_SECOND as f64 * rate;
    whole as i64 + 2
}

#[cfg(test)]
mod tests;
