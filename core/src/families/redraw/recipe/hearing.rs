//! What a third-party network hears, and how long after its frame.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    families::redraw::recipe::pieces::{Listener, Pieces},
    generator::Hearing,
    sound::{self, Spectrum},
};

/// Mel columns in a window of the whole Wav2Lip family, AVE included.
pub const COLUMNS: usize = 16;
/// Sound after the start of a window: the last column lies 15 columns after the first one and
/// reaches half a window further (see `sound`).
const REACH_MS: f64 = 212.5;
/// The same of a column of 25 ms that begins with its place.
const FBANK_REACH_MS: f64 = 25.0;
/// Columns in a window of Ultralight's WeNet: 16 of the encoder's steps, of 4 columns each, and 3
/// more that its first layers reach over.
const WENET_COLUMNS: usize = 67;
/// Longest window of a streaming encoder: 3 s.
const MAX_COLUMNS: usize = 300;
/// No network was ever trained on windows further away from their frames.
const MAX_OFFSET_MS: f64 = 1_000.0;
/// Rows of features in a window: SyncTalk_2D has 16, Ultralight 8.
const MAX_ROWS: usize = 64;
/// Letters and signs that DeepSpeech tells.
const LETTERS: usize = 29;
/// In an encoder's table the row of a window is one after its number: SyncTalk_2D doubles the
/// first row.
pub const ROW_OF_WINDOW: i64 = 1;

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Features {
    /// The generator hears the mel window itself.
    #[default]
    Mel,
    /// It hears rows that a second network makes of one mel window each.
    Ave,
    /// It hears rows that a second network makes of the samples, hearing both ways without end.
    Hubert,
    /// The same of cepstra: how likely each letter is.
    Deepspeech,
    /// Rows of one window of filter-bank energies each.
    Wenet,
    /// Rows of Whisper's spectrum, hearing both ways as far as 30 s, and their places.
    Whisper,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[allow(dead_code)]
pub struct Sound {
    pub features: Features,
    pub sample_rate: u32,
    columns_per_second: Option<i64>,
    window: Option<usize>,
    /// Columns of the window that lie before its row's time, for WeNet.
    pub columns_before: usize,
    /// HuBERT's, DeepSpeech's and Whisper's pieces: what is heard before the rows that are kept, these, and what is
    /// heard after.
    past_ms: Option<usize>,
    step_ms: Option<usize>,
    future_ms: Option<usize>,
    /// Values of a streaming encoder's integer inputs.
    pub integers: BTreeMap<String, i64>,
    /// Of the training videos: rows of features a second. For people where there are none.
    frame_rate: Option<f64>,
    /// Rows of features in a window, and how many of them lie before the frame.
    pub rows: usize,
    pub rows_before: usize,
    /// Of the window, where the network leaves it open; its own counts otherwise.
    shape: Vec<usize>,
    /// Where the window begins, from the frame's time. Wav2Lip's inference has 0; its training
    /// had one frame of 25 a second before, -40.
    pub offset_ms: f64,
    /// Must be what follows from the window, where it is said.
    pub look_ahead_ms: Option<f64>,
    /// What a network with an input for it is told about how strongly to move the lips.
    pub weight: f32,
}

impl Default for Sound {
    fn default() -> Self {
        Self {
            features: Features::Mel,
            sample_rate: sound::RATE,
            columns_per_second: None,
            window: None,
            // `wenet_infer.py` puts as much silence before the sound.
            columns_before: 32,
            past_ms: None,
            step_ms: None,
            future_ms: None,
            integers: BTreeMap::new(),
            frame_rate: None,
            rows: 16,
            rows_before: 8,
            shape: Vec::new(),
            offset_ms: 0.0,
            look_ahead_ms: None,
            weight: 0.5,
        }
    }
}

impl Sound {
    /// What is not said of a network that hears so many rows of these features.
    pub fn of(features: Features, rows: usize) -> Self {
        Self {
            features,
            rows,
            ..Self::default()
        }
    }

    pub fn spectrum(&self) -> Spectrum {
        match self.features {
            Features::Wenet => Spectrum::Fbank,
            Features::Deepspeech | Features::Hubert => Spectrum::Samples,
            Features::Whisper => Spectrum::Whisper,
            Features::Mel | Features::Ave => Spectrum::Mel,
        }
    }

    /// What the network that draws hears of one face, as networks with these features have it.
    pub fn shape(&self) -> Vec<usize> {
        match self.features {
            _ if !self.shape.is_empty() => self.shape.clone(),
            Features::Mel => vec![1, sound::BANDS, self.window()],
            // Rows of 512 numbers, of 2 times 1024, and of 16 times 512.
            Features::Ave => vec![2 * self.rows, 16, 16],
            Features::Hubert => vec![2 * self.rows, 32, 32],
            Features::Deepspeech => vec![LETTERS, self.rows],
            Features::Wenet => vec![16 * self.rows, 16, 32],
            // Of five layers each.
            Features::Whisper => vec![5 * self.rows, 384],
        }
    }

    /// Columns in a window of the network that hears them.
    pub fn window(&self) -> usize {
        self.window.unwrap_or(match self.features {
            Features::Wenet => WENET_COLUMNS,
            _ => COLUMNS,
        })
    }

    pub fn frame_rate(&self) -> f64 {
        self.frame_rate.unwrap_or(match self.features {
            // Ultralight's videos for WeNet have 20.
            Features::Wenet => 20.0,
            _ => 25.0,
        })
    }

    /// The encoder, if it is one that hears a whole recording.
    fn listener(&self) -> Option<Listener> {
        match self.features {
            Features::Deepspeech => Some(Listener::Deepspeech),
            Features::Hubert => Some(Listener::Hubert),
            Features::Whisper => Some(Listener::Whisper),
            Features::Mel | Features::Ave | Features::Wenet => None,
        }
    }

    fn said_ms(&self) -> [Option<usize>; 3] {
        [self.past_ms, self.step_ms, self.future_ms]
    }

    /// How such an encoder hears a stream.
    pub fn pieces(&self) -> Option<Pieces> {
        let listener = self.listener()?;
        Some(Pieces::new(listener, self.said_ms(), self.frame_rate()))
    }

    /// Columns from a row to the next, where they are a whole number.
    pub fn step(&self) -> i64 {
        (self.spectrum().columns_per_second() as f64 / self.frame_rate()) as i64
    }

    /// What has to be heard for a frame.
    pub fn hearing(&self) -> Hearing {
        let per_row = self.spectrum().columns_per_second() as f64 / self.frame_rate();
        // All rows, one row's length for frames between two, and for AVE two for the windows that
        // the end of the sound moves back.
        let columns = match (self.features, self.pieces()) {
            (Features::Mel, _) => self.window(),
            (_, Some(pieces)) => pieces.columns(self.rows),
            (_, None) => ((self.rows + 3) as f64 * per_row).ceil() as usize + 2 + self.window(),
        };
        Hearing {
            spectrum: self.spectrum(),
            columns,
            look_ahead_ns: self.look_ahead_ns(),
            raises_voice: false,
        }
    }

    fn follows_ms(&self) -> f64 {
        let rows_after = self.rows as i64 - self.rows_before as i64 - 1;
        let (reach, rows_after) = match self.features {
            Features::Mel => (REACH_MS, 0),
            Features::Ave => (REACH_MS, rows_after - ROW_OF_WINDOW),
            Features::Deepspeech | Features::Hubert | Features::Whisper => {
                (self.pieces().map_or(0.0, Pieces::reach_ms), rows_after)
            }
            Features::Wenet => {
                let columns = self.window() as i64 - 1 - self.columns_before as i64;
                let column_ms = 1_000.0 / self.spectrum().columns_per_second() as f64;
                (columns as f64 * column_ms + FBANK_REACH_MS, rows_after)
            }
        };
        reach + rows_after as f64 * 1_000.0 / self.frame_rate() + self.offset_ms
    }

    pub fn look_ahead_ns(&self) -> i64 {
        (self.follows_ms() * 1e6).round() as i64
    }

    pub fn check(&self) -> Result<(), String> {
        let per_second = self.spectrum().columns_per_second();
        let fits = match self.features {
            Features::Wenet => (1..=MAX_COLUMNS).contains(&self.window()),
            Features::Deepspeech | Features::Hubert | Features::Whisper => self.window.is_none(),
            Features::Mel | Features::Ave => self.window() == COLUMNS,
        };
        let said_per_second = self.columns_per_second.unwrap_or(per_second);
        if !fits || (self.sample_rate, said_per_second) != (sound::RATE, per_second) {
            let expected = match self.features {
                Features::Wenet => format!("1 to {MAX_COLUMNS}"),
                Features::Deepspeech | Features::Hubert | Features::Whisper => "none".to_owned(),
                Features::Mel | Features::Ave => COLUMNS.to_string(),
            };
            return Err(format!(
                "[sound] is {} Hz, {said_per_second} columns a second, window {}; {}, \
                 {per_second} and {expected} are expected",
                self.sample_rate,
                self.window(),
                sound::RATE,
            ));
        }
        if self.columns_before >= self.window() && self.features == Features::Wenet {
            return Err(format!(
                "[sound] columns-before is {}, fewer than the {} of the window are expected",
                self.columns_before,
                self.window()
            ));
        }
        let rate = self.frame_rate();
        if !(1.0..=100.0).contains(&rate) {
            return Err(format!(
                "[sound] frame-rate is {rate}, 1 to 100 is expected"
            ));
        }
        if self.features == Features::Wenet && self.step() as f64 * rate != per_second as f64 {
            return Err(format!(
                "[sound] frame-rate is {rate}; with \"wenet\" a row has a whole number of its \
                 {per_second} columns a second"
            ));
        }
        if let Some(listener) = self.listener() {
            Pieces::check(listener, self.said_ms(), rate)?;
        }
        if !(1..=MAX_ROWS).contains(&self.rows) || self.rows_before > self.rows {
            return Err(format!(
                "[sound] rows is {}, rows-before {}; 1 to {MAX_ROWS} rows, no more of them before \
                 the frame, are expected",
                self.rows, self.rows_before
            ));
        }
        if !(-MAX_OFFSET_MS..=MAX_OFFSET_MS).contains(&self.offset_ms) {
            return Err(format!(
                "[sound] offset-ms is {}, -{MAX_OFFSET_MS} to {MAX_OFFSET_MS} is expected",
                self.offset_ms
            ));
        }
        let follows = self.follows_ms();
        if let Some(said) = self.look_ahead_ms
            && (said - follows).abs() > 1e-6
        {
            return Err(format!(
                "[sound] look-ahead-ms is {said}, {follows} follows from the other numbers"
            ));
        }
        if !(0.0..=10.0).contains(&self.weight) {
            return Err(format!(
                "[sound] weight is {}, 0 to 10 is expected",
                self.weight
            ));
        }
        Ok(())
    }
}
