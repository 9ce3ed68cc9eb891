//! What a third-party network says about itself: how it sees, hears and is pasted back.
//!
//! Must not know how a network is run. `docs/models.md` explains every key.

mod hearing;
mod picture;
mod pieces;

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use toml::{Table, Value};

use crate::{
    Error,
    manifest::{self, File},
};

pub use hearing::{COLUMNS, Features, ROW_OF_WINDOW, Sound};
pub use picture::{Blend, Crop, Cuts, Image, Kind, Order, Planes, crop_size};
pub use pieces::{
    CONTEXT, HUBERT_SPAN, Listener, Pieces, ROW_HOP, ROW_MS, WHISPER_COLUMNS, WHISPER_ROWS,
};

/// The manifest of such a network. What is not said has the values of its family.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Recipe {
    #[allow(dead_code)] // `manifest::family` has read both
    version: u32,
    #[allow(dead_code)]
    family: String,
    pub name: String,
    licence: String,
    source: String,
    pub files: Files,
    #[serde(default)]
    pub tensors: Tensors,
    #[serde(default)]
    pub image: Image,
    #[serde(default)]
    pub crop: Crop,
    #[serde(default)]
    pub sound: Sound,
    #[serde(default)]
    pub blend: Blend,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Files {
    pub generator: File,
    /// Makes features of mel windows, where the generator wants them.
    pub audio_encoder: Option<File>,
    /// From a face to the latents that the generator draws in, where it does, and back.
    pub image_encoder: Option<File>,
    pub image_decoder: Option<File>,
    /// Pictures of the face in other frames, where the generator sees such and they shall not come from
    /// the stream.
    #[serde(default)]
    pub others: Vec<File>,
}

/// Names of tensors; those not named are found by their shapes.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[allow(dead_code)]
pub struct Tensors {
    pub image: Option<String>,
    pub sound: Option<String>,
    pub weight: Option<String>,
    pub output: Option<String>,
    /// In the audio encoder.
    pub mel: Option<String>,
    pub features: Option<String>,
    /// Its inputs that take what an output was in the run before, and these outputs.
    #[serde(default)]
    pub caches: BTreeMap<String, String>,
    /// A number or "any", for people: the network's own shape counts.
    batch: Option<Value>,
}

impl Recipe {
    /// `defaults` is what the family has where the manifest says nothing: a manifest's tables.
    /// `path` is for messages only.
    pub fn parse(text: &str, defaults: &str, path: &Path) -> Result<Self, Error> {
        // Alone first: its faults are said with their lines.
        let _: Self = manifest::parse(text, path)?;
        Self::from_table(manifest::parse(text, path)?, defaults, path)
    }

    /// For a network without a manifest: everything as its family has it, but for what is `said`.
    pub fn bare(family: &str, said: Table, defaults: &str, path: &Path) -> Result<Self, Error> {
        let name = path.file_name().unwrap_or(path.as_os_str()).display();
        let mut bare = table([
            ("version", i64::from(manifest::VERSION).into()),
            ("family", family.into()),
            ("name", format!("{family} ({name})").into()),
            ("licence", "".into()),
            ("source", "".into()),
            ("files", table([("generator", file(path).into())]).into()),
        ]);
        complete(&mut bare, said);
        Self::from_table(bare, defaults, path)
    }

    fn from_table(mut table: Table, defaults: &str, path: &Path) -> Result<Self, Error> {
        complete(&mut table, manifest::parse(defaults, path)?);
        let unreadable = |reason: String| Error::ModelUnreadable {
            path: path.to_owned(),
            reason,
        };
        let recipe: Self = table
            .try_into()
            .map_err(|err: toml::de::Error| unreadable(err.to_string()))?;
        recipe.check().map_err(unreadable)?;
        Ok(recipe)
    }

    /// Name, licence and source, for logs.
    pub fn about(&self) -> String {
        match self.licence.as_str() {
            // A bare network.
            "" => format!("{}, licence and source unknown", self.name),
            licence => manifest::about(&self.name, licence, &self.source),
        }
    }

    fn check(&self) -> Result<(), String> {
        picture::check(&self.image, &self.crop, &self.blend)?;
        self.sound.check()?;
        match (self.sound.features, &self.files.audio_encoder) {
            (Features::Mel, Some(_)) => Err(
                "[files] audio-encoder is named, but [sound] features is \"mel\": the network \
                 hears the mel itself"
                    .into(),
            ),
            (Features::Ave, None) => Err(
                "[sound] features is \"ave\": the network hears what an audio encoder makes of \
                 the mel; an encoder is expected, as [files] audio-encoder or, for a bare network, \
                 as `audio_encoder.onnx` or `NAME-ave.onnx` beside `NAME.onnx`"
                    .into(),
            ),
            (Features::Wenet, None) => Err(
                "[sound] features is \"wenet\": the network hears what WeNet's encoder makes of \
                 the sound; an encoder is expected, as [files] audio-encoder or, for a bare \
                 network, as `encoder.onnx` or `NAME-wenet.onnx` beside `NAME.onnx`"
                    .into(),
            ),
            (Features::Hubert, None) => Err(
                "[sound] features is \"hubert\": the network hears what HuBERT makes of the sound; \
                 HuBERT is expected, as [files] audio-encoder or, for a bare network, as \
                 `hubert.onnx` or `NAME-hubert.onnx` beside `NAME.onnx`; training/export_hubert.py \
                 writes it from facebook/hubert-large-ls960-ft"
                    .into(),
            ),
            (Features::Deepspeech, None) => Err(
                "[sound] features is \"deepspeech\": the network hears what DeepSpeech 0.1.0 makes of \
                 the sound; it is expected as an ONNX file, as [files] audio-encoder or, for a bare \
                 network, as `deepspeech.onnx` or `NAME-deepspeech.onnx` beside `NAME.onnx`; \
                 training/export_dinet.py says how to make it of `output_graph.pb`"
                    .into(),
            ),
            (Features::Whisper, None) => Err(
                "[sound] features is \"whisper\": the network hears what Whisper makes of the sound; \
                 its encoder is expected, as [files] audio-encoder or, for a bare network, as \
                 `whisper.onnx` or `NAME-whisper.onnx` beside `NAME.onnx`; \
                 training/export_musetalk.py writes it"
                    .into(),
            ),
            _ => Ok(()),
        }
    }
}

pub fn table<const N: usize>(entries: [(&str, Value); N]) -> Table {
    entries
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

/// A file as a manifest names it.
pub fn file(path: &Path) -> Table {
    let path = path.to_string_lossy().into_owned();
    table([("path", path.into()), ("sha256", "".into())])
}

/// Adds what `table` does not say.
fn complete(table: &mut Table, defaults: Table) {
    for (key, default) in defaults {
        match (table.get_mut(&key), default) {
            (Some(Value::Table(table)), Value::Table(defaults)) => complete(table, defaults),
            (Some(_), _) => {}
            (None, default) => {
                table.insert(key, default);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rect::Size;

    const SHORT: &str = r#"
        version = 1
        family = "wav2lip"
        name = "a"
        licence = "b"
        source = "c"
        files.generator = { path = "a.onnx", sha256 = "" }
    "#;
    const DEFAULTS: &str = "[sound]\nrows = 8\n[crop]\nborder = 4\n";

    fn parse(text: &str) -> Result<Recipe, String> {
        Recipe::parse(text, "", Path::new("a/model.toml")).map_err(|err| err.to_string())
    }

    #[test]
    fn what_is_not_said_is_wav2lips() {
        let recipe = parse(SHORT).expect("a good manifest");
        assert_eq!(recipe.sound.look_ahead_ns(), 212_500_000);
        assert_eq!(
            recipe.image.rectangle(Size::square(96)),
            [0, 48, 96, 48].into()
        );
        assert_eq!(recipe.image.order, Order::Bgr);
        assert_eq!(recipe.crop.pads, [0.0, 10.0, 0.0, 0.0].into());
        assert_eq!(recipe.blend.kind, Kind::Soft);
    }

    #[test]
    fn what_is_not_said_is_the_familys() {
        let parse = |text: &str| Recipe::parse(text, DEFAULTS, Path::new("a/model.toml"));
        let recipe = parse(SHORT).expect("a good manifest");
        assert_eq!(recipe.sound.rows, 8);
        assert_eq!(recipe.crop.border, 4);
        let recipe = parse(&format!("{SHORT}\ncrop.border = 2")).expect("a good manifest");
        assert_eq!(recipe.crop.border, 2);
        let said = "sound.rows = 9".parse().expect("a table");
        let recipe = Recipe::bare("wav2lip", said, DEFAULTS, Path::new("a/\"b\".onnx"))
            .expect("a name with quotes");
        assert_eq!(recipe.name, "wav2lip (\"b\".onnx)");
        assert_eq!((recipe.sound.rows, recipe.crop.border), (9, 4));
    }

    #[test]
    fn the_schema_for_editors_knows_every_key() {
        let schema = include_str!("../../../../../docs/model.schema.json");
        for table in [
            "",
            "files.",
            "tensors.",
            "image.",
            "crop.",
            "sound.",
            "blend.",
            "files.audio-encoder.",
        ] {
            let message = parse(&format!("{SHORT}\n{table}no-such-key = 1")).expect_err(table);
            let (_, known) = message.split_once("expected ").expect("what is known");
            let (known, _) = known.split_once('\n').expect("one line");
            let keys: Vec<_> = known.split('`').skip(1).step_by(2).collect();
            assert!(keys.len() > 1, "{message}");
            for key in keys {
                assert!(schema.contains(&format!("\"{key}\": {{")), "{table}{key}");
            }
        }
    }

    #[test]
    fn features_are_heard_in_rows_and_wait_for_the_last_ones_window() {
        let ave = "sound.features = \"ave\"\n\
                   files.audio-encoder = { path = \"e.onnx\", sha256 = \"\" }";
        for (line, expected) in [
            // 6 frames of 40 ms after its own begins the last window, and reaches 212.5 ms.
            ("", 452_500_000),
            ("sound.look-ahead-ms = 452.5", 452_500_000),
            ("sound.rows = 8\nsound.rows-before = 4", 292_500_000),
            ("sound.frame-rate = 20", 512_500_000),
            ("sound.offset-ms = 20", 472_500_000),
        ] {
            let recipe = parse(&format!("{SHORT}\n{ave}\n{line}")).expect(line);
            assert_eq!(recipe.sound.look_ahead_ns(), expected, "{line}");
        }
        let wenet = ave.replace("ave", "wenet");
        for (line, expected) in [
            // 34 columns after its own begins the last column of a row, and is 25 ms long.
            ("sound.rows = 1\nsound.rows-before = 0", 365_000_000),
            ("sound.rows = 8\nsound.rows-before = 4", 515_000_000),
            ("sound.columns-per-second = 100", 715_000_000),
            ("sound.frame-rate = 25", 645_000_000),
            ("sound.window = 72\nsound.columns-before = 0", 1_085_000_000),
        ] {
            let recipe = parse(&format!("{SHORT}\n{wenet}\n{line}")).expect(line);
            assert_eq!(recipe.sound.look_ahead_ns(), expected, "{line}");
        }
    }

    #[test]
    fn hubert_waits_for_the_piece_of_its_last_row_and_what_is_heard_after() {
        let hubert = "sound.features = \"hubert\"\n\
                      files.audio-encoder = { path = \"e.onnx\", sha256 = \"\" }";
        let ultralight = "sound.rows = 8\nsound.rows-before = 4";
        for (lines, expected) in [
            // 7 frames after its own begins the last one's first row: 300 + 25 ms, and the piece.
            ("sound.step-ms = 40\nsound.future-ms = 0", 325_000_000),
            ("sound.step-ms = 200\nsound.future-ms = 0", 485_000_000),
            ("", 985_000_000),
            (ultralight, 825_000_000),
            (
                &format!("{ultralight}\nsound.step-ms = 40\nsound.future-ms = 0"),
                165_000_000,
            ),
            ("sound.frame-rate = 50\nsound.step-ms = 20", 665_000_000),
        ] {
            let recipe = parse(&format!("{SHORT}\n{hubert}\n{lines}")).expect(lines);
            assert_eq!(recipe.sound.look_ahead_ns(), expected, "{lines}");
        }
    }

    #[test]
    fn deepspeech_waits_for_the_context_of_its_pieces_last_row() {
        let deepspeech = "sound.features = \"deepspeech\"\nsound.rows = 5\nsound.rows-before = 2\n\
                          files.audio-encoder = { path = \"e.onnx\", sha256 = \"\" }";
        for (lines, expected) in [
            // Two frames, nine rows and 25 ms after the row that lies 20 ms after it in its piece.
            ("sound.step-ms = 40\nsound.future-ms = 0", 305_000_000),
            ("", 965_000_000),
        ] {
            let recipe = parse(&format!("{SHORT}\n{deepspeech}\n{lines}")).expect(lines);
            assert_eq!(recipe.sound.look_ahead_ns(), expected, "{lines}");
        }
    }

    #[test]
    fn training_heard_one_frame_earlier() {
        let recipe = parse(&format!("{SHORT}\nsound.offset-ms = -40.0")).expect("good");
        assert_eq!(recipe.sound.look_ahead_ns(), 172_500_000);
    }

    #[test]
    fn faults_say_what_was_found_and_wanted() {
        for (line, expected) in [
            ("crop.pad = [0, 0, 0, 0]", "Did you mean `pads`?"),
            ("image.ordre = \"bgr\"", "Did you mean `order`?"),
            ("blnd.kind = \"soft\"", "Did you mean `blend`?"),
            ("image.order = \"grb\"", "unknown variant `grb`"),
            ("image.range = [1, 0]", "range is 1 to 0"),
            ("image.range = [0, nan]", "range is 0 to NaN"),
            ("image.planes = []", "planes has 0"),
            ("sound.window = 5", "window 5"),
            ("sound.offset-ms = 1e9", "offset-ms is 1000000000"),
            ("sound.look-ahead-ms = 200.0", "212.5 follows"),
            ("sound.frame-rate = nan", "frame-rate is NaN"),
            ("sound.rows = 0", "rows is 0"),
            ("sound.rows-before = 17", "rows-before 17"),
            ("sound.weight = -1", "weight is -1"),
            ("sound.features = \"hubert\"", "training/export_hubert.py"),
            (
                "sound.features = \"hubert\"\nsound.step-ms = 60",
                "of 40 and not 0 for step-ms",
            ),
            (
                "sound.features = \"hubert\"\nsound.past-ms = 19980",
                "at most 20000 together",
            ),
            (
                "sound.features = \"hubert\"\nsound.frame-rate = 30",
                "frame-rate is 30; with these features",
            ),
            (
                "sound.features = \"hubert\"\nsound.window = 16",
                "window 16; 16000, 200 and none",
            ),
            ("sound.features = \"wenet\"", "`NAME-wenet.onnx`"),
            (
                "sound.features = \"wenet\"\nsound.columns-per-second = 80",
                "80 columns a second, window 67; 16000, 100 and 1 to 300",
            ),
            (
                "sound.features = \"wenet\"\nsound.window = 32",
                "columns-before is 32, fewer than the 32",
            ),
            (
                "sound.features = \"wenet\"\nsound.frame-rate = 30",
                "frame-rate is 30; with \"wenet\"",
            ),
            ("sound.features = \"ave\"", "an encoder is expected"),
            ("crop.pads = [0, inf, 0, 0]", "pads has inf"),
            ("crop.box = \"s3df\"", "\"s3fd\", \"landmarks-110\""),
            ("crop.box = [0, 0, 0, 5]", "a box of 0 x 5 pixels"),
            ("crop.box = [0, 0, inf, 5]", "a box of inf x 5 pixels"),
            (
                "crop.box = \"ffhq\"\nblend.kind = \"reference\"",
                "turns with the face",
            ),
            (
                "files.audio-encoder = { path = \"b.onnx\", sha256 = \"\" }",
                "features is \"mel\"",
            ),
        ] {
            let message = parse(&format!("{SHORT}\n{line}")).expect_err(line);
            assert!(message.contains(expected), "{line}: {message}");
        }
    }
}
