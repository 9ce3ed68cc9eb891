//! How a network that hears a whole recording both ways, without end, is run on a stream: on piece after
//! piece of it.

use crate::sound::BANDS;

/// Milliseconds from a row of such a network to the next: HuBERT's and Whisper's alike.
pub const ROW_MS: usize = 20;
/// The same in samples.
pub const ROW_HOP: i64 = 320;
const ROWS_PER_SECOND: f64 = 1_000.0 / ROW_MS as f64;
/// Samples that a row of HuBERT's is made of, before others have a say in it.
pub const HUBERT_SPAN: usize = 400;
/// Rows of cepstra on each side that DeepSpeech hears with a row.
pub const CONTEXT: usize = 9;
/// Numbers of cepstra in such a row.
const DEEPSPEECH_NUMBERS: usize = 26 * (2 * CONTEXT + 1);
/// Columns of Whisper's spectrum for a row.
pub const WHISPER_COLUMNS: usize = 2;
/// Rows that Whisper always makes: of 30 s.
pub const WHISPER_ROWS: usize = 1500;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    Deepspeech,
    Hubert,
    Whisper,
}

impl Listener {
    /// What is heard before the rows that are kept of a piece, these, and what is heard after, in
    /// milliseconds, where a manifest says nothing.
    const fn usual_ms(self) -> [usize; 3] {
        match self {
            Self::Deepspeech | Self::Hubert => [2_000, 200, 500],
            Self::Whisper => [15_000, 40, 0],
        }
    }

    /// The longest piece. HuBERT's originals cut a recording every 20 s.
    const fn longest_ms(self) -> usize {
        match self {
            Self::Deepspeech | Self::Hubert => 20_000,
            Self::Whisper => WHISPER_ROWS * ROW_MS,
        }
    }

    /// Where the sound ends that a row is made of, from the row's time.
    const fn reach_ms(self) -> f64 {
        match self {
            Self::Deepspeech => (CONTEXT * ROW_MS) as f64 + 25.0,
            Self::Hubert => 25.0,
            // Two layers reach over two columns of 25 ms that are centred.
            Self::Whisper => 32.5,
        }
    }

    /// Numbers in a row of what it is given, of one that is given rows.
    pub const fn row_numbers(self) -> Option<usize> {
        match self {
            Self::Deepspeech => Some(DEEPSPEECH_NUMBERS),
            Self::Hubert | Self::Whisper => None,
        }
    }
}

/// In rows of the network's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pieces {
    pub listener: Listener,
    /// What is heard before the rows that are kept of a piece.
    pub past: usize,
    /// The rows that are kept, and so from a piece to the next.
    pub step: usize,
    /// What is heard after them.
    pub future: usize,
    /// So many make one row of what the network that draws hears.
    pub per_row: usize,
}

impl Pieces {
    /// `said_ms` is as [`Listener::usual_ms`], where a manifest says it.
    pub fn new(listener: Listener, said_ms: [Option<usize>; 3], frame_rate: f64) -> Self {
        let ms = lengths(listener, said_ms);
        let [past, step, future] = ms.map(|ms| ms / ROW_MS);
        Self {
            listener,
            past,
            step,
            future,
            per_row: (ROWS_PER_SECOND / frame_rate) as usize,
        }
    }

    pub fn rows(self) -> usize {
        self.past + self.step + self.future
    }

    /// Rows that are heard of those that make one row of what the network that draws hears.
    pub fn heard_per_row(self) -> usize {
        match self.listener {
            Listener::Deepspeech => 1,
            Listener::Hubert | Listener::Whisper => self.per_row,
        }
    }

    /// Samples of a piece of HuBERT's.
    pub fn samples(self) -> usize {
        (self.rows() - 1) * ROW_HOP as usize + HUBERT_SPAN
    }

    /// Columns of the spectrum that have to be there for a frame that hears so many rows of a table:
    /// from the first piece that has one of them to the last, and one row for frames between two.
    pub fn columns(self, rows: usize) -> usize {
        let rows = self.rows() + self.step + rows * self.per_row;
        match self.listener {
            // With the context, and the sample before.
            Listener::Deepspeech => {
                ((rows + 2 * CONTEXT) * ROW_HOP as usize + HUBERT_SPAN).div_ceil(BANDS) + 1
            }
            Listener::Hubert => (rows * ROW_HOP as usize + HUBERT_SPAN).div_ceil(BANDS),
            Listener::Whisper => WHISPER_COLUMNS * (rows + 2),
        }
    }

    /// Where the sound ends of the piece of a table's row, at the latest, from the row's time in ms: that
    /// row may be the first that is kept of its piece.
    pub fn reach_ms(self) -> f64 {
        let rows = self.step - 1 + self.future;
        (rows * ROW_MS) as f64 + self.listener.reach_ms()
    }

    pub fn check(
        listener: Listener,
        said_ms: [Option<usize>; 3],
        frame_rate: f64,
    ) -> Result<(), String> {
        let per_row = ROWS_PER_SECOND / frame_rate;
        if per_row < 1.0 || per_row.fract() != 0.0 {
            return Err(format!(
                "[sound] frame-rate is {frame_rate}; with these features a row has a whole number \
                 of the encoder's {ROWS_PER_SECOND} rows a second"
            ));
        }
        let row_ms = ROW_MS * per_row as usize;
        let lengths = lengths(listener, said_ms);
        let [past_ms, step_ms, future_ms] = lengths;
        let is_whole = lengths.iter().all(|ms| ms % ROW_MS == 0) && step_ms % row_ms == 0;
        let together = lengths.iter().copied().fold(0, usize::saturating_add);
        let longest_ms = listener.longest_ms();
        if !is_whole || step_ms == 0 || together > longest_ms {
            return Err(format!(
                "[sound] past-ms is {past_ms}, step-ms {step_ms}, future-ms {future_ms}; multiples \
                 of {ROW_MS} with at most {longest_ms} together are expected, of {row_ms} and not \
                 0 for step-ms"
            ));
        }
        Ok(())
    }
}

fn lengths(listener: Listener, said_ms: [Option<usize>; 3]) -> [usize; 3] {
    let usual_ms = listener.usual_ms();
    std::array::from_fn(|at| said_ms[at].unwrap_or(usual_ms[at]))
}
