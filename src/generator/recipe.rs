//! What a network of somebody else's says about itself: how it sees, hears and is pasted back.
//!
//! Must not know how a network is run. `docs/models.md` explains every key.

use std::path::Path;

use serde::Deserialize;

use super::{
    crop::{self, Finder},
    manifest::{self, Family, File},
};
use crate::{Error, pixels::resize::Scale, sound};

/// Mel columns that these networks hear.
pub const COLUMNS: usize = 16;
/// Sound after the start of a frame that its window needs: the last column lies 15 columns after
/// the first one and reaches half a window further (see `sound`).
const REACH_MS: f64 = 212.5;
/// No network was ever trained on windows further away from their frames.
const MAX_OFFSET_MS: f64 = 1_000.0;
/// Pixels or faces that a box can be larger: beyond the largest frame.
const MAX_PIXELS: f32 = 16_384.0;
/// Largest side of a network's picture.
const MAX_SIZE: usize = 1024;

/// The manifest of such a network. What is not said has Wav2Lip's values.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[allow(dead_code)] // some of it is for people and for other readers of the manifest
pub struct Recipe {
    version: u32,
    family: Family,
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
}

/// Names of tensors; those not named are found by their shapes.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[allow(dead_code)]
pub struct Tensors {
    pub image: Option<String>,
    pub sound: Option<String>,
    pub output: Option<String>,
    /// A number or "any", for people: the network's own shape counts.
    batch: Option<toml::Value>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    #[default]
    Bgr,
    Rgb,
}

/// What three of the six channels hold.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Planes {
    /// The picture as it is.
    Reference,
    /// The picture with a black rectangle.
    Masked,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Image {
    /// Side in pixels; the network's own where it says one.
    pub size: Option<usize>,
    pub order: Order,
    /// Values of black and white, in and out.
    pub range: [f32; 2],
    pub planes: [Planes; 2],
    /// x, y, width, height of the black rectangle; the lower half where absent.
    pub mask: Option<[usize; 4]>,
}

impl Default for Image {
    fn default() -> Self {
        Self {
            size: None,
            order: Order::Bgr,
            range: [0.0, 1.0],
            planes: [Planes::Masked, Planes::Reference],
            mask: None,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Crop {
    #[serde(rename = "box")]
    pub finder: Finder,
    pub margins: [f32; 4],
    pub pads: [f32; 4],
    /// The box is scaled to this side; that of the network and both borders where absent.
    pub size: Option<usize>,
    /// Pixels on each side that the network does not see.
    pub border: usize,
    pub scale: Scale,
}

impl Default for Crop {
    fn default() -> Self {
        Self {
            finder: Finder::S3fd,
            margins: [0.0; 4],
            // Wav2Lip's `--pads`: 10 pixels below the chin.
            pads: [0.0, 10.0, 0.0, 0.0],
            size: None,
            border: 0,
            scale: Scale::Linear,
        }
    }
}

impl Crop {
    pub fn recipe(&self) -> crop::Recipe {
        crop::Recipe {
            finder: self.finder,
            margins: self.margins,
            pads: self.pads,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Features {
    /// The generator hears the mel window itself.
    #[default]
    Mel,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[allow(dead_code)]
pub struct Sound {
    pub features: Features,
    pub sample_rate: u32,
    pub columns_per_second: i64,
    pub window: usize,
    /// Of the training videos, for people.
    frame_rate: f64,
    /// Of the window, for people: the network's own shape counts.
    shape: Vec<usize>,
    /// Where the window begins, from the frame's time. Wav2Lip's inference has 0; its training
    /// had one frame of 25 a second before, -40.
    pub offset_ms: f64,
    /// Must be what follows from the window, where it is said.
    pub look_ahead_ms: Option<f64>,
}

impl Default for Sound {
    fn default() -> Self {
        Self {
            features: Features::Mel,
            sample_rate: sound::RATE,
            columns_per_second: sound::COLUMNS_PER_SECOND,
            window: COLUMNS,
            frame_rate: 25.0,
            shape: vec![1, sound::BANDS, COLUMNS],
            offset_ms: 0.0,
            look_ahead_ms: None,
        }
    }
}

impl Sound {
    pub fn look_ahead_ns(&self) -> i64 {
        ((REACH_MS + self.offset_ms) * 1e6).round() as i64
    }
}

/// How the drawn picture is put back.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Mouth and jaw only, with a soft edge.
    #[default]
    Soft,
    /// The whole box, with hard edges, as the original pipelines do it.
    Reference,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Blend {
    pub kind: Kind,
    /// Back to the box, with [`Kind::Reference`].
    pub scale: Scale,
}

impl Recipe {
    /// `path` is for messages only.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let recipe: Self = manifest::parse(text, path)?;
        recipe.check().map_err(|reason| Error::ModelUnreadable {
            path: path.to_owned(),
            reason,
        })?;
        Ok(recipe)
    }

    /// For a bare network in the file `path`: everything as Wav2Lip has it.
    pub fn bare(path: &Path, name: String) -> Self {
        Self {
            version: manifest::VERSION,
            family: Family::Wav2lip,
            name,
            licence: String::new(),
            source: String::new(),
            files: Files {
                generator: File {
                    path: path.to_owned(),
                    sha256: String::new(),
                },
            },
            tensors: Tensors::default(),
            image: Image::default(),
            crop: Crop::default(),
            sound: Sound::default(),
            blend: Blend::default(),
        }
    }

    fn check(&self) -> Result<(), String> {
        let sound = &self.sound;
        if (sound.sample_rate, sound.columns_per_second, sound.window)
            != (sound::RATE, sound::COLUMNS_PER_SECOND, COLUMNS)
        {
            return Err(format!(
                "[sound] is {} Hz, {} columns a second, window {}; {}, {} and {COLUMNS} are wanted",
                sound.sample_rate,
                sound.columns_per_second,
                sound.window,
                sound::RATE,
                sound::COLUMNS_PER_SECOND
            ));
        }
        if !(-MAX_OFFSET_MS..=MAX_OFFSET_MS).contains(&sound.offset_ms) {
            return Err(format!(
                "[sound] offset-ms is {}, -{MAX_OFFSET_MS} to {MAX_OFFSET_MS} is wanted",
                sound.offset_ms
            ));
        }
        let follows = REACH_MS + sound.offset_ms;
        if let Some(said) = sound.look_ahead_ms
            && (said - follows).abs() > 1e-6
        {
            return Err(format!(
                "[sound] look-ahead-ms is {said}, {follows} follows from window and offset-ms"
            ));
        }
        let [black, white] = self.image.range;
        if !(black.is_finite() && white.is_finite() && black < white) {
            return Err(format!(
                "[image] range is {black} to {white}, two numbers, the smaller first, are wanted"
            ));
        }
        let numbers = self.crop.margins.iter().chain(&self.crop.pads);
        if let Some(number) = numbers
            .into_iter()
            .find(|n| n.is_nan() || n.abs() > MAX_PIXELS)
        {
            return Err(format!(
                "[crop] margins or pads has {number}, -{MAX_PIXELS} to {MAX_PIXELS} is wanted"
            ));
        }
        Ok(())
    }
}

impl Image {
    /// The black rectangle x, y, width, height in a picture of `size`.
    pub fn rectangle(&self, size: usize) -> [usize; 4] {
        self.mask.unwrap_or([0, size / 2, size, size - size / 2])
    }
}

/// Checks the numbers that hang on the network's own size, and gives the side of the crop.
pub fn crop_side(image: &Image, crop: &Crop, size: usize) -> Result<usize, String> {
    if !(16..=MAX_SIZE).contains(&size) {
        return Err(format!(
            "pictures of {size} pixels, 16 to {MAX_SIZE} are wanted"
        ));
    }
    if let Some(said) = image.size.filter(|&said| said != size) {
        return Err(format!("[image] size {said}, the network has {size}"));
    }
    let [x, y, width, height] = image.rectangle(size);
    let inside = |from: usize, length: usize| from.checked_add(length).is_some_and(|to| to <= size);
    if !(inside(x, width) && inside(y, height)) {
        return Err(format!(
            "[image] mask [{x}, {y}, {width}, {height}] beyond {size} pixels"
        ));
    }
    let side = crop
        .border
        .checked_mul(2)
        .and_then(|both| both.checked_add(size));
    match (side, crop.size) {
        (Some(side), None) => Ok(side),
        (Some(side), Some(said)) if side == said => Ok(side),
        (_, said) => Err(format!(
            "[crop] size {} with a border of {}, {size} and twice the border is wanted",
            said.unwrap_or(size),
            crop.border
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: &str = r#"
        version = 1
        family = "wav2lip"
        name = "a"
        licence = "b"
        source = "c"
        files.generator = { path = "a.onnx", sha256 = "" }
    "#;

    fn parse(text: &str) -> Result<Recipe, String> {
        Recipe::parse(text, Path::new("a/model.toml")).map_err(|err| err.to_string())
    }

    #[test]
    fn what_is_not_said_is_wav2lips() {
        let recipe = parse(SHORT).expect("a good manifest");
        assert_eq!(recipe.sound.look_ahead_ns(), 212_500_000);
        assert_eq!(recipe.image.rectangle(96), [0, 48, 96, 48]);
        assert_eq!(recipe.image.order, Order::Bgr);
        assert_eq!(recipe.crop.pads, [0.0, 10.0, 0.0, 0.0]);
        assert_eq!(recipe.blend.kind, Kind::Soft);
        assert_eq!(crop_side(&recipe.image, &recipe.crop, 96), Ok(96));
    }

    #[test]
    fn training_heard_one_frame_earlier() {
        let recipe = parse(&format!("{SHORT}\nsound.offset-ms = -40.0")).expect("good");
        assert_eq!(recipe.sound.look_ahead_ns(), 172_500_000);
    }

    #[test]
    fn faults_say_what_was_found_and_wanted() {
        for (line, wanted) in [
            ("crop.pad = [0, 0, 0, 0]", "Did you mean `pads`?"),
            ("image.ordre = \"bgr\"", "Did you mean `order`?"),
            ("blnd.kind = \"soft\"", "Did you mean `blend`?"),
            ("image.order = \"grb\"", "unknown variant `grb`"),
            ("image.range = [1, 0]", "range is 1 to 0"),
            ("image.range = [0, nan]", "range is 0 to NaN"),
            ("sound.window = 5", "window 5"),
            ("sound.offset-ms = 1e9", "offset-ms is 1000000000"),
            ("sound.look-ahead-ms = 200.0", "212.5 follows"),
            ("crop.pads = [0, inf, 0, 0]", "pads has inf"),
        ] {
            let message = parse(&format!("{SHORT}\n{line}")).expect_err(line);
            assert!(message.contains(wanted), "{line}: {message}");
        }
    }

    #[test]
    fn sizes_must_agree_with_the_network() {
        let (image, crop) = (Image::default(), Crop::default());
        assert!(crop_side(&image, &crop, 15).is_err());
        assert!(crop_side(&image, &crop, 4000).is_err());
        let said = Image {
            size: Some(128),
            ..Image::default()
        };
        assert!(crop_side(&said, &crop, 96).is_err());
        let mask = Image {
            mask: Some([5, 5, 92, 10]),
            ..Image::default()
        };
        assert!(crop_side(&mask, &crop, 96).is_err());
        let border = Crop {
            size: Some(103),
            border: 4,
            ..Crop::default()
        };
        assert!(crop_side(&image, &border, 96).is_err());
        let border = Crop {
            size: Some(104),
            border: usize::MAX,
            ..Crop::default()
        };
        assert!(crop_side(&image, &border, 96).is_err());
    }
}
