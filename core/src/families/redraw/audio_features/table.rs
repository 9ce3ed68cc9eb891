//! Which row of an original's table of features is made of which columns.
//!
//! Must not know networks.

use crate::{
    families::redraw::recipe::{self, COLUMNS, ROW_OF_WINDOW, Sound},
    sound::{Bounds, COLUMNS_PER_SECOND, HOP, Spectrum},
};

/// Ultralight's `wenet_infer.py` puts this many columns of silence behind the sound.
const WENET_SILENCE: i64 = 35;

/// One window: its number, and the column it begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub number: i64,
    pub column: i64,
    /// Columns from this one on are not in the original's spectrum: zeros.
    pub end: i64,
}

#[derive(Clone, Copy, Debug)]
pub enum Table {
    /// SyncTalk_2D's of AVE, at this many rows a second.
    Ave { rate: f64 },
    /// Ultralight-Digital-Human's of WeNet, with `step` columns from a row to the next and windows
    /// that begin `before` columns before their rows and have `columns`.
    Wenet {
        step: i64,
        before: i64,
        columns: i64,
    },
}

impl Table {
    pub fn new(sound: &Sound) -> Self {
        match sound.features {
            recipe::Features::Wenet => Self::Wenet {
                step: sound.step(),
                before: sound.columns_before as i64,
                columns: sound.window() as i64,
            },
            _ => Self::Ave {
                rate: sound.frame_rate(),
            },
        }
    }

    /// Which window row `row` of the table is made of; `None` where the table has no such row.
    pub fn window(self, row: i64, bounds: Bounds) -> Option<Window> {
        match self {
            Self::Ave { rate } => ave_window(row, bounds, rate),
            Self::Wenet {
                step,
                before,
                columns,
            } => wenet_window(row, bounds, [step, before, columns]),
        }
    }
}

/// The first column of window `number`, as SyncTalk_2D reckons it.
pub fn ave_column(number: i64, rate: f64) -> i64 {
    (COLUMNS_PER_SECOND as f64 * (number as f64 / rate)).floor() as i64
}

/// The first and the last one are there twice; windows that would run past the end become the
/// last 16 columns. All as SyncTalk_2D has it.
fn ave_window(row: i64, bounds: Bounds, rate: f64) -> Option<Window> {
    // Columns that are centred on sound.
    let first_column = -bounds.begin?.saturating_neg().div_euclid(HOP);
    let end_column = bounds.end.map(|end| end.div_euclid(HOP) + 1);
    let mut first = (first_column as f64 * rate / COLUMNS_PER_SECOND as f64).floor() as i64;
    while ave_column(first, rate) < first_column {
        first += 1;
    }
    let expected = row.checked_sub(ROW_OF_WINDOW)?;
    let (last, end) = match end_column {
        None => (i64::MAX, i64::MAX),
        Some(end) => (ave_window_count(end, rate) - 1, end),
    };
    if last < first
        || expected < first - ROW_OF_WINDOW
        || expected > last.saturating_add(ROW_OF_WINDOW)
    {
        return None;
    }
    let number = expected.clamp(first, last);
    let column = ave_column(number, rate).min(end.saturating_sub(COLUMNS as i64));
    Some(Window {
        number,
        column,
        end: i64::MAX,
    })
}

/// How many windows there are in `columns` columns: in floating point on purpose, since whole
/// numbers give another count for some lengths (384: 117, not 116).
fn ave_window_count(columns: i64, rate: f64) -> i64 {
    let whole = (columns - COLUMNS as i64) as f64 / COLUMNS_PER_SECOND as f64 * rate;
    whole as i64 + 2
}

/// A row for each step from the first that does not lie before the sound, until a window has
/// reached the last column: as Ultralight's `wenet_infer.py` cuts the silence, the sound and the
/// silence behind it.
fn wenet_window(row: i64, bounds: Bounds, [step, before, columns]: [i64; 3]) -> Option<Window> {
    let hop = Spectrum::Fbank.hop();
    let first_row = -bounds.begin?.saturating_neg().div_euclid(step * hop);
    let column = row.checked_mul(step)?.checked_sub(before)?;
    let end = match bounds.end {
        None => i64::MAX,
        Some(end) => {
            let last = end.saturating_add(WENET_SILENCE * hop - Spectrum::Fbank.window());
            last.div_euclid(hop) + 1
        }
    };
    let is_reached = row > first_row && column - step + columns >= end;
    (row >= first_row && !is_reached).then_some(Window {
        number: row,
        column,
        end,
    })
}
