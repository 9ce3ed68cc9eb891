//! What DeepSpeech 0.1.0 hears: every second row of cepstra, each with those of nine rows before and after,
//! of the level that recordings had.
//!
//! Where the recording begins or ends within a piece, the network is given those of its rows that there
//! are, and how many.

use std::ops::Range;

use crate::{
    Error,
    families::redraw::{
        audio_features::{
            encoder::find,
            level::{Level, Usual},
            mfcc::{CEPSTRA, Mfcc, WINDOW},
            mismatch,
            pieces::{Front, Opened, Place, Reading, copy_samples},
        },
        recipe::{CONTEXT, Pieces, ROW_HOP, Tensors},
    },
    generator::Heard,
    inference::{Element, Network},
    sound::Bounds,
};

/// Numbers of a row with its context.
const NUMBERS: usize = (2 * CONTEXT + 1) * CEPSTRA;
/// Numbers a second.
const RATE: f64 = (50 * NUMBERS) as f64;
/// What a usual voice has.
const USUAL: Usual = Usual {
    memory: 60.0 * RATE,
    enough: 2.0 * RATE,
    mean: 0.3,
    deviation: 12.6,
    least: 1.0,
};

struct DeepSpeech {
    /// Inputs of the network.
    rows: usize,
    length: usize,
    mfcc: Mfcc,
    level: Level,
    /// `[rows + 2 CONTEXT, CEPSTRA]`
    cepstra: Vec<f32>,
}

/// # Errors
/// [`Error::ModelMismatch`].
pub fn open(network: &dyn Network, names: &Tensors, plan: Pieces) -> Result<Opened, Error> {
    let (inputs, rows) = (network.inputs(), plan.rows());
    let input = find(inputs, &names.mel, |shape| *shape == [1, rows, NUMBERS]);
    let length = inputs.iter().position(|input| {
        input.element != Element::F32 && input.shape.iter().product::<usize>() == 1
    });
    let features = find(
        network.outputs(),
        &names.features,
        |shape| matches!(*shape, [made, 1, width] | [1, made, width] if made == rows && width > 0),
    );
    if let (Some(input), Some(length), Some(features), 2) = (input, length, features, inputs.len())
    {
        let around = rows + 2 * CONTEXT;
        let front = DeepSpeech {
            rows: input,
            length,
            mfcc: Mfcc::new(),
            level: Level::new(USUAL),
            cepstra: vec![0.0; around * CEPSTRA],
        };
        return Ok(Opened {
            front: Box::new(front),
            // And the sample before the first.
            heard: 1 + (around - 1) * ROW_HOP as usize + WINDOW,
            features,
            width: network.outputs()[features].shape[2],
            places: Vec::new(),
            reading: Reading::OneForFrame,
        });
    }
    let expected = format!(
        "DeepSpeech 0.1.0, as training/export_dinet.py says: rows [1, {rows}, {NUMBERS}], their number [1] \
         -> logits [{rows}, 1, F]"
    );
    Err(mismatch(network, expected))
}

impl Front for DeepSpeech {
    /// As many as begin before the end, of which the last may lack samples.
    fn table(&self, bounds: Bounds) -> Range<i64> {
        let Some(begin) = bounds.begin else {
            return 0..0;
        };
        let first = -begin.saturating_neg().div_euclid(ROW_HOP);
        let end = match bounds.end {
            None => i64::MAX,
            Some(end) => {
                // Rows follow each other after 10 ms, and every second one counts.
                let reached = end.saturating_sub(WINDOW as i64).max(0);
                let last = -reached.saturating_neg().div_euclid(ROW_HOP / 2);
                (last.div_euclid(2) + 1).max(first)
            }
        };
        first..end
    }

    fn look(&self, heard: &Heard, first: i64, out: &mut [f32]) -> bool {
        copy_samples(heard, (first - CONTEXT as i64) * ROW_HOP - 1, out)
    }

    fn feed(&mut self, piece: &[f32], place: &Place, network: &mut dyn Network) {
        let before = place.first - CONTEXT as i64;
        let table = match place.bounds.begin {
            Some(_) => self.table(place.bounds),
            // Silence without end.
            None => i64::MIN..i64::MAX,
        };
        let hop = ROW_HOP as usize;
        let end = place.bounds.end.unwrap_or(i64::MAX);
        for (index, out) in self.cepstra.chunks_exact_mut(CEPSTRA).enumerate() {
            let row = before + index as i64;
            if !table.contains(&row) {
                out.fill(0.0);
                continue;
            }
            let recorded = end.saturating_sub(row * ROW_HOP).clamp(0, WINDOW as i64);
            let samples = &piece[index * hop..][..WINDOW + 1];
            self.mfcc.row(samples, recorded as usize, out);
        }
        let known =
            (place.known.start - place.first) as usize..(place.known.end - place.first) as usize;
        let with_context = |row: usize| row * CEPSTRA..row * CEPSTRA + NUMBERS;
        for row in known.clone() {
            let number = (place.first + row as i64) * NUMBERS as i64;
            self.level.hear(number, &self.cepstra[with_context(row)]);
        }
        let input = network.input(self.rows);
        input.fill(0.0);
        for (row, out) in known.clone().zip(input.chunks_exact_mut(NUMBERS)) {
            self.level.apply(&self.cepstra[with_context(row)], out);
        }
        network.set_integer(self.length, known.len().max(1) as i64);
    }

    fn left_out(&self, place: &Place) -> usize {
        (place.known.start - place.first) as usize
    }

    fn reset(&mut self) {
        self.level = Level::new(USUAL);
    }
}
