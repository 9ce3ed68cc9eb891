//! What HuBERT hears: samples, of the level that recordings had which it was trained with.
//!
//! Where the recording begins or ends within a piece, the network is told which of its rows there
//! are: it hears no silence that nobody recorded.

use std::ops::Range;

use crate::{
    Error,
    families::redraw::{
        audio_features::{
            encoder::find,
            level::{Level, Usual},
            mismatch,
            pieces::{Front, Opened, Place, Reading, copy_samples},
        },
        recipe::{HUBERT_SPAN, Pieces, ROW_HOP, ROW_MS, Tensors},
    },
    generator::Heard,
    inference::Network,
    sound::{Bounds, RATE},
};

/// A voice of -26 dBFS, and what is softer than -60.
const USUAL: Usual = Usual {
    memory: 60.0 * RATE as f64,
    enough: 2.0 * RATE as f64,
    mean: 0.0,
    deviation: 0.05,
    least: 0.001,
};

struct Hubert {
    /// Inputs of the network.
    samples: usize,
    known: usize,
    level: Level,
}

/// # Errors
/// [`Error::ModelMismatch`].
pub fn open(network: &dyn Network, names: &Tensors, plan: Pieces) -> Result<Opened, Error> {
    let (inputs, rows) = (network.inputs(), plan.rows());
    let samples = find(inputs, &names.mel, |shape| *shape == [1, plan.samples()]);
    let known = find(inputs, &None, |shape| *shape == [1, rows]);
    let features = find(
        network.outputs(),
        &names.features,
        |shape| matches!(*shape, [1, made, width] if made == rows && width > 0),
    );
    if let (Some(samples), Some(known), Some(features), 2) =
        (samples, known, features, inputs.len())
    {
        let front = Hubert {
            samples,
            known,
            level: Level::new(USUAL),
        };
        return Ok(Opened {
            front: Box::new(front),
            heard: plan.samples(),
            features,
            width: network.outputs()[features].shape[2],
            places: Vec::new(),
            reading: Reading::EachRow,
        });
    }
    let expected = format!(
        "an audio encoder as training/export_hubert.py writes it: samples [1, {}], known \
         [1, {rows}] -> features [1, {rows}, F], for past-ms, step-ms and future-ms of {} ms \
         together",
        plan.samples(),
        rows * ROW_MS,
    );
    Err(mismatch(network, expected))
}

impl Front for Hubert {
    /// Those of which it has all samples.
    fn table(&self, bounds: Bounds) -> Range<i64> {
        let Some(begin) = bounds.begin else {
            return 0..0;
        };
        let first = -begin.saturating_neg().div_euclid(ROW_HOP);
        let end = match bounds.end {
            None => i64::MAX,
            Some(end) => end.saturating_sub(HUBERT_SPAN as i64).div_euclid(ROW_HOP) + 1,
        };
        first..end
    }

    fn look(&self, heard: &Heard, first: i64, out: &mut [f32]) -> bool {
        copy_samples(heard, first * ROW_HOP, out)
    }

    fn feed(&mut self, piece: &[f32], place: &Place, network: &mut dyn Network) {
        let Place {
            first,
            known,
            bounds,
        } = place;
        // Also what is recorded before the first whole row and after the last.
        let length = piece.len() as i64;
        let [from, to] = [bounds.begin.unwrap_or(0), bounds.end.unwrap_or(i64::MAX)]
            .map(|at| at.saturating_sub(first * ROW_HOP).clamp(0, length));
        let recorded = piece.get(from as usize..to as usize).unwrap_or_default();
        self.level.hear(first * ROW_HOP + from, recorded);
        self.level.apply(piece, network.input(self.samples));
        let [from, to] = [known.start, known.end].map(|row| (row - first) as usize);
        let flags = network.input(self.known);
        flags.fill(0.0);
        flags[from..to].fill(1.0);
    }

    fn reset(&mut self) {
        self.level = Level::new(USUAL);
    }
}
