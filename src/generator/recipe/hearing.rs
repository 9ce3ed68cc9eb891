//! What a network of somebody else's hears, and how long after its frame.

use serde::Deserialize;

use crate::sound;

/// Mel columns in a window of the whole Wav2Lip family, AVE included.
pub const COLUMNS: usize = 16;
/// Sound after the start of a window: the last column lies 15 columns after the first one and
/// reaches half a window further (see `sound`).
const REACH_MS: f64 = 212.5;
/// No network was ever trained on windows further away from their frames.
const MAX_OFFSET_MS: f64 = 1_000.0;
/// Rows of features in a window: SyncTalk_2D has 16, Ultralight 8.
const MAX_ROWS: usize = 64;
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
    Hubert,
    Wenet,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[allow(dead_code)]
pub struct Sound {
    pub features: Features,
    pub sample_rate: u32,
    pub columns_per_second: i64,
    pub window: usize,
    /// Of the training videos: rows of features a second. For people where there are none.
    pub frame_rate: f64,
    /// Rows of features in a window, and how many of them lie before the frame.
    pub rows: usize,
    pub rows_before: usize,
    /// Of the window, for people: the network's own shape counts.
    pub shape: Vec<usize>,
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
            columns_per_second: sound::COLUMNS_PER_SECOND,
            window: COLUMNS,
            frame_rate: 25.0,
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
    fn follows_ms(&self) -> f64 {
        let steps_after = match self.features {
            Features::Mel => 0,
            _ => self.rows as i64 - self.rows_before as i64 - 1 - ROW_OF_WINDOW,
        };
        REACH_MS + steps_after as f64 * 1_000.0 / self.frame_rate + self.offset_ms
    }

    pub fn look_ahead_ns(&self) -> i64 {
        (self.follows_ms() * 1e6).round() as i64
    }

    pub fn check(&self) -> Result<(), String> {
        match self.features {
            Features::Mel | Features::Ave => {}
            Features::Hubert => {
                return Err(
                    "[sound] features \"hubert\" cannot be made from a stream: HuBERT-large looks \
                     at the whole recording in both directions. Cut into pieces it is not the \
                     same and waits for about 1 s of sound. A network that was trained with \
                     \"ave\" is wanted"
                        .into(),
                );
            }
            Features::Wenet => {
                return Err(
                    "[sound] features \"wenet\" are not made by this plugin; \"mel\" or \"ave\" is \
                     wanted"
                        .into(),
                );
            }
        }
        if (self.sample_rate, self.columns_per_second, self.window)
            != (sound::RATE, sound::COLUMNS_PER_SECOND, COLUMNS)
        {
            return Err(format!(
                "[sound] is {} Hz, {} columns a second, window {}; {}, {} and {COLUMNS} are wanted",
                self.sample_rate,
                self.columns_per_second,
                self.window,
                sound::RATE,
                sound::COLUMNS_PER_SECOND
            ));
        }
        if !(1.0..=100.0).contains(&self.frame_rate) {
            return Err(format!(
                "[sound] frame-rate is {}, 1 to 100 is wanted",
                self.frame_rate
            ));
        }
        if !(1..=MAX_ROWS).contains(&self.rows) || self.rows_before > self.rows {
            return Err(format!(
                "[sound] rows is {}, rows-before {}; 1 to {MAX_ROWS} rows, no more of them before \
                 the frame, are wanted",
                self.rows, self.rows_before
            ));
        }
        if !(-MAX_OFFSET_MS..=MAX_OFFSET_MS).contains(&self.offset_ms) {
            return Err(format!(
                "[sound] offset-ms is {}, -{MAX_OFFSET_MS} to {MAX_OFFSET_MS} is wanted",
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
                "[sound] weight is {}, 0 to 10 is wanted",
                self.weight
            ));
        }
        Ok(())
    }
}
