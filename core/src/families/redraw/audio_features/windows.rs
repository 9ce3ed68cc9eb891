//! Features of one window of a spectrum each, as AVE and WeNet make them.

use crate::{
    Error,
    families::redraw::{
        audio_features::{
            Features,
            encoder::Encoder,
            step,
            table::{Table, Window},
        },
        recipe::{Sound, Tensors},
    },
    generator::{Heard, Hearing},
    inference::Network,
    sound::BANDS,
};

/// Of a row that is not made.
const NO_WINDOW: i64 = i64::MIN;
/// Of silence, which is not in the table.
const SILENCE: i64 = i64::MIN;

/// One row, and what it was made of.
struct Row {
    window: i64,
    heard: Vec<f32>,
    features: Vec<f32>,
}

pub struct Windows {
    encoder: Encoder,
    table: Table,
    hearing: Hearing,
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

impl Windows {
    /// Fails with [`Error::ModelMismatch`], or [`Error::Inference`] when the encoder fails on
    /// silence.
    pub fn open(encoder: Box<dyn Network>, names: &Tensors, sound: &Sound) -> Result<Self, Error> {
        let mut encoder = Encoder::open(encoder, names, sound)?;
        let mut looked = vec![sound.spectrum().silence(); encoder.heard()];
        let silence = encoder.run(SILENCE, &looked)?.repeat(sound.rows);
        encoder.restart();
        looked.fill(0.0);
        Ok(Self {
            silence,
            table: Table::new(sound),
            hearing: sound.hearing(),
            rate: sound.frame_rate(),
            rows: sound.rows,
            rows_before: sound.rows_before as i64,
            offset_ns: (sound.offset_ms * 1e6) as i64,
            made: std::iter::repeat_with(|| Row {
                window: NO_WINDOW,
                heard: looked.clone(),
                features: vec![0.0; encoder.length()],
            })
            .take(sound.rows)
            .collect(),
            looked,
            encoder,
        })
    }

    fn row(&mut self, window: Window, heard: &Heard, out: &mut [f32]) -> Result<(), Error> {
        if !self.look_at(window, heard) {
            out.fill(0.0);
            return Ok(());
        }
        let slot = window.number.rem_euclid(self.made.len() as i64) as usize;
        let row = &mut self.made[slot];
        if row.window != window.number || row.heard != self.looked {
            // Whatever fails below, what the row holds is nobody's.
            row.window = NO_WINDOW;
            row.features
                .copy_from_slice(self.encoder.run(window.number, &self.looked)?);
            row.heard.copy_from_slice(&self.looked);
            row.window = window.number;
        }
        out.copy_from_slice(&row.features);
        Ok(())
    }

    /// Takes a window out of what is heard. False when it is not there.
    fn look_at(&mut self, window: Window, heard: &Heard) -> bool {
        let columns = self.hearing.columns;
        let first = heard.last_column.saturating_sub(columns as i64 - 1);
        let place = |column: i64| usize::try_from(column.saturating_sub(first));
        let Ok(at) = place(window.column) else {
            return false;
        };
        let length = self.looked.len() / BANDS;
        if at.saturating_add(length) > columns || heard.mel.len() != BANDS * columns {
            return false;
        }
        let end = place(window.end).unwrap_or(0);
        self.encoder
            .look(heard.mel, columns, at, end, &mut self.looked);
        true
    }
}

impl Features for Windows {
    fn silence(&self) -> &[f32] {
        &self.silence
    }

    fn listen(&mut self, heard: &Heard, out: &mut [f32]) -> Result<(), Error> {
        let first = step(heard.time_ns.saturating_add(self.offset_ns), self.rate)
            .saturating_sub(self.rows_before);
        for (index, out) in out
            .chunks_exact_mut(self.encoder.length())
            .take(self.rows)
            .enumerate()
        {
            let row = first.saturating_add(index as i64);
            match self.table.window(row, heard.bounds) {
                Some(window) => self.row(window, heard, out)?,
                None => out.fill(0.0),
            }
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.encoder.restart();
        for row in &mut self.made {
            row.window = NO_WINDOW;
        }
    }
}

#[cfg(test)]
mod tests;
