//! What MuseTalk hears of Whisper: a piece of its spectrum, always at the same place of the 30 s that
//! it takes, and of five layers their rows, with the places that the network that draws knows them by.

use std::ops::Range;

use crate::{
    Error,
    families::redraw::{
        audio_features::{
            encoder::find,
            mismatch,
            pieces::{Front, Opened, Place, Reading},
        },
        recipe::{Pieces, ROW_HOP, Tensors, WHISPER_COLUMNS, WHISPER_ROWS},
    },
    generator::Heard,
    inference::Network,
    sound::{BANDS, Bounds, Spectrum},
};

/// Of the spectrum that Whisper takes: 30 s.
const COLUMNS: usize = WHISPER_COLUMNS * WHISPER_ROWS;
/// Layers whose rows are heard: the inputs of four, and the output of the last one.
const LAYERS: usize = 5;
/// Below the loudest value of a piece by more than this is silence.
const RANGE: f32 = 8.0;
/// Of the transformer's sines and cosines.
const BASE: f64 = 10_000.0;

struct Whisper {
    /// Input of the network.
    mel: usize,
    /// Columns in a piece.
    columns: usize,
}

/// For a network that hears so many rows.
///
/// # Errors
/// [`Error::ModelMismatch`].
pub fn open(
    network: &dyn Network,
    names: &Tensors,
    plan: Pieces,
    rows: usize,
) -> Result<Opened, Error> {
    let mel = find(network.inputs(), &names.mel, |shape| {
        *shape == [1, BANDS, COLUMNS]
    });
    let features = find(
        network.outputs(),
        &names.features,
        |shape| matches!(*shape, [1, WHISPER_ROWS, LAYERS, width] if width > 0),
    );
    let (Some(mel), Some(features), 1) = (mel, features, network.inputs().len()) else {
        let expected = format!(
            "an audio encoder as training/export_musetalk.py writes it: mel [1, {BANDS}, {COLUMNS}] \
             -> features [1, {WHISPER_ROWS}, {LAYERS}, F]"
        );
        return Err(mismatch(network, expected));
    };
    let numbers = network.outputs()[features].shape[3];
    // The first two layers reach over one column more.
    let columns = (WHISPER_COLUMNS * plan.rows() + 1).min(COLUMNS);
    Ok(Opened {
        heard: BANDS * columns,
        front: Box::new(Whisper { mel, columns }),
        features,
        width: LAYERS * numbers,
        places: places(LAYERS * rows, numbers),
        reading: Reading::EachRow,
    })
}

impl Front for Whisper {
    /// Whole rows; what a row is made of beyond the ends is silence, as in the original.
    fn table(&self, bounds: Bounds) -> Range<i64> {
        let Some(begin) = bounds.begin else {
            return 0..0;
        };
        let end = bounds.end.map_or(i64::MAX, |end| end.div_euclid(ROW_HOP));
        -begin.saturating_neg().div_euclid(ROW_HOP)..end
    }

    fn look(&self, heard: &Heard, first: i64, out: &mut [f32]) -> bool {
        let columns = heard.mel.len() / BANDS;
        let heard_first = heard.last_column.saturating_sub(columns as i64 - 1);
        let at = (WHISPER_COLUMNS as i64 * first).saturating_sub(heard_first);
        let Ok(at) = usize::try_from(at) else {
            return false;
        };
        if at.saturating_add(self.columns) > columns {
            return false;
        }
        let bands = heard.mel.chunks_exact(columns);
        for (out, band) in out.chunks_exact_mut(self.columns).zip(bands) {
            out.copy_from_slice(&band[at..][..self.columns]);
        }
        true
    }

    fn feed(&mut self, piece: &[f32], _place: &Place, network: &mut dyn Network) {
        let silence = Spectrum::Whisper.silence();
        let loudest = piece.iter().copied().fold(silence, f32::max);
        let scaled = |value: f32| (value.max(loudest - RANGE) + 4.0) / 4.0;
        let input = network.input(self.mel);
        input.fill(scaled(silence));
        let bands = input.chunks_exact_mut(COLUMNS);
        for (out, band) in bands.zip(piece.chunks_exact(self.columns)) {
            for (out, &value) in out.iter_mut().zip(band) {
                *out = scaled(value);
            }
        }
    }
}

/// The transformer's encoding of places: sines in even columns, cosines in odd ones.
fn places(tokens: usize, numbers: usize) -> Vec<f32> {
    let place = |at: usize| {
        let (token, column) = (at / numbers, at % numbers);
        let exponent = (column - column % 2) as f64 / numbers as f64;
        let angle = token as f64 / BASE.powf(exponent);
        match column % 2 {
            0 => angle.sin() as f32,
            _ => angle.cos() as f32,
        }
    };
    (0..tokens * numbers).map(place).collect()
}
