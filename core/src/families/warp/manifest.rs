//! The manifest of the family `builtin`: its networks and the geometry they were trained in.
//!
//! Must not know how a network is run.

use std::path::Path;

use serde::Deserialize;

use super::rest_mouth::Relaxing;
use crate::{
    Error, face,
    manifest::{self, File},
};

/// Longest mel window: 4 s of sound, more than any generator listens to.
const MAX_COLUMNS: usize = 320;

/// A model of the family `builtin`: two networks and the geometry they were trained in.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Manifest {
    #[allow(dead_code)] // `family` has read both
    pub version: u32,
    #[allow(dead_code)]
    pub family: String,
    pub name: String,
    licence: String,
    source: String,
    /// What draws the inside of a mouth that is opened.
    #[serde(default)]
    pub inside: Inside,
    pub files: Files,
    pub sound: Sound,
    pub canonical: Canonical,
    pub closing: Closing,
    /// Without it a glimpse tells nothing of the mouth at rest but that its lips are closed.
    pub rest: Option<Relaxing>,
    /// Without it a mouth spreads as the network says, whatever the person's own does.
    pub articulation: Option<Articulation>,
}

/// How a person's own mouth moves beside what any audio tells.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Articulation {
    /// For each landmark: x and y by which it moves for each pixel that a mouth spreads.
    pub spread: Vec<[f32; 2]>,
}

/// What draws the inside of a mouth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inside {
    #[default]
    Renderer,
    /// The frame's resolution: as the stream has shown the person's own mouth, or single teeth by
    /// rule; the renderer in small faces.
    Remembered,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    pub audio2mouth: File,
    pub renderer: File,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Sound {
    pub sample_rate: u32,
    pub columns_per_second: i64,
    /// Mel columns in a window.
    pub window: usize,
    /// How long after a frame's time the last sample of its window lies.
    pub look_ahead_ms: u32,
}

/// The space in which the networks see a mouth. All `points` are indices into the face mesh, all
/// `landmarks` indices into `landmarks`, coordinates are pixels of the canonical picture.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Canonical {
    /// Width and height of the picture.
    pub size: usize,
    /// Mesh points that do not move with speech, and where they lie.
    pub rigid: Vec<usize>,
    pub rigid_xy: Vec<[f32; 2]>,
    /// Mesh points that the networks know, in their order.
    pub landmarks: Vec<usize>,
    pub lips_outer: Vec<usize>,
    pub lips_inner: Vec<usize>,
}

/// How a mouth closes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closing {
    /// Mesh points of the inner lips that touch in a closed mouth: (upper, lower).
    pub pairs: Vec<[usize; 2]>,
    /// For each landmark: the index of the pair whose gap moves it, and by what share, downwards.
    pub pair: Vec<usize>,
    pub weight: Vec<f32>,
}

impl Manifest {
    /// `path` is for messages only.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let unreadable = |reason: String| Error::ModelUnreadable {
            path: path.to_owned(),
            reason,
        };
        let manifest: Self = manifest::parse(text, path)?;
        manifest.check().map_err(unreadable)?;
        Ok(manifest)
    }

    /// Name, licence and source, for logs.
    pub fn about(&self) -> String {
        manifest::about(&self.name, &self.licence, &self.source)
    }

    /// Everything that later code indexes with is in range.
    fn check(&self) -> Result<(), String> {
        let Canonical {
            size,
            rigid,
            rigid_xy,
            landmarks,
            lips_outer,
            lips_inner,
        } = &self.canonical;
        let Closing {
            pairs,
            pair,
            weight,
        } = &self.closing;

        if self.sound.sample_rate != crate::sound::RATE
            || self.sound.columns_per_second != crate::sound::COLUMNS_PER_SECOND
        {
            return Err(format!(
                "[sound] is {} Hz and {} columns a second, {} and {} are expected",
                self.sound.sample_rate,
                self.sound.columns_per_second,
                crate::sound::RATE,
                crate::sound::COLUMNS_PER_SECOND
            ));
        }
        if !(1..=MAX_COLUMNS).contains(&self.sound.window) {
            return Err(format!(
                "[sound] window is {} columns, 1 to {} are expected",
                self.sound.window, MAX_COLUMNS
            ));
        }
        if self.sound.look_ahead_ms > 2_000 {
            return Err(format!(
                "[sound] look-ahead-ms is {}, at most 2000 is expected",
                self.sound.look_ahead_ms
            ));
        }
        if !(16..=512).contains(size) {
            return Err(format!("[canonical] size is {size}, 16 to 512 is expected"));
        }
        let mut same_length = vec![
            ("[canonical] rigid-xy", rigid_xy.len(), "rigid", rigid.len()),
            ("[closing] pair", pair.len(), "landmarks", landmarks.len()),
            (
                "[closing] weight",
                weight.len(),
                "landmarks",
                landmarks.len(),
            ),
        ];
        if let Some(Relaxing { width, height, .. }) = &self.rest {
            for (name, found) in [("[rest] width", width), ("[rest] height", height)] {
                same_length.push((name, found.len(), "landmarks", landmarks.len()));
            }
        }
        if let Some(Articulation { spread }) = &self.articulation {
            let name = "[articulation] spread";
            same_length.push((name, spread.len(), "landmarks", landmarks.len()));
        }
        for (name, found, like, expected) in same_length {
            if found != expected {
                return Err(format!(
                    "{name} has {found} entries, {expected} are expected, as many as in [canonical] {like}"
                ));
            }
        }
        if rigid.len() < 3 || landmarks.is_empty() || pairs.is_empty() {
            return Err(
                "at least 3 rigid points, a landmark and a closing pair are expected".into(),
            );
        }
        if let Some(point) = [rigid, landmarks, lips_outer, lips_inner]
            .into_iter()
            .flatten()
            .chain(pairs.iter().flatten())
            .find(|&&point| point >= face::POINTS)
        {
            return Err(format!(
                "mesh point {point} is named, the mesh has 0 to {}",
                face::POINTS - 1
            ));
        }
        if let Some(pair) = pair.iter().find(|&&pair| pair >= pairs.len()) {
            return Err(format!(
                "[closing] pair names pair {pair}, pairs has {}",
                pairs.len()
            ));
        }
        Ok(())
    }
}

impl Sound {
    pub fn look_ahead_ns(&self) -> i64 {
        i64::from(self.look_ahead_ms) * 1_000_000
    }
}

impl Canonical {
    /// Where mesh point `point` stands in the landmark list.
    pub fn landmark(&self, point: usize) -> Result<usize, Error> {
        self.landmarks
            .iter()
            .position(|&p| p == point)
            .ok_or_else(|| Error::ModelMismatch {
                name: "manifest".into(),
                found: format!(
                    "{} landmarks without mesh point {point}",
                    self.landmarks.len()
                ),
                expected: format!("mesh point {point} among [canonical] landmarks"),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILTIN: &str = include_str!("../../../../models/builtin/manifest.toml");

    fn parse(text: &str) -> Result<Manifest, String> {
        let path = Path::new("a/model.toml");
        manifest::family(text, path)
            .and_then(|_| Manifest::parse(text, path))
            .map_err(|err| err.to_string())
    }

    /// The built-in manifest with one passage replaced, which must be there.
    fn with(passage: &str, other: &str) -> Result<Manifest, String> {
        assert!(BUILTIN.contains(passage), "no {passage} in the manifest");
        parse(&BUILTIN.replacen(passage, other, 1))
    }

    #[test]
    fn the_built_in_manifest_is_read() {
        let manifest = parse(BUILTIN).expect("a good manifest");
        assert_eq!(manifest.family, "builtin");
        assert_eq!(
            manifest.canonical.landmarks.len(),
            manifest.closing.pair.len()
        );
        assert_eq!(manifest.canonical.landmark(61).expect("a corner"), 0);
        assert!(manifest.canonical.landmark(467).is_err());
    }

    #[test]
    fn faults_are_named_with_file_found_and_wanted() {
        let cases = [
            (
                "version = 1",
                "version = 7",
                "manifest version 7 was found, 1 is expected",
            ),
            ("name = ", "nmae = ", "unknown field `nmae`"),
            (
                "look-ahead-ms",
                "lookahead-ms",
                "Did you mean `look-ahead-ms`?",
            ),
            ("sample-rate = 16000", "sample-rate = 48000", "48000 Hz"),
            ("window = 32", "window = 0", "window is 0 columns"),
            ("window = 32", "window = 99999", "window is 99999 columns"),
            (
                "look-ahead-ms = 160",
                "look-ahead-ms = 90000",
                "look-ahead-ms is 90000",
            ),
            ("size = 96", "size = 4000000000", "size is 4000000000"),
            ("[[191, 95]", "[[191, 468]", "mesh point 468 is named"),
            (
                "rigid = [\n  33, ",
                "rigid = [\n  ",
                "rigid-xy has 17 entries, 16 are expected",
            ),
            (
                "pair = [\n  4",
                "pair = [\n  9",
                "pair names pair 9, pairs has 9",
            ),
            (
                "width = [\n  [",
                "width = [\n  [0.0, 0.0], [",
                "[rest] width has 88 entries, 87 are expected",
            ),
            (
                "height = [\n  [",
                "height = [\n  [0.0, 0.0], [",
                "[rest] height has 88 entries, 87 are expected",
            ),
            ("mean = [", "mean = 1.0 # [", "invalid type: floating point"),
            ("range = [", "width = 1 # [", "duplicate key"),
            (
                "spread = [\n  [",
                "spread = [\n  [0.0, 0.0], [",
                "[articulation] spread has 88 entries, 87 are expected",
            ),
            ("[rest]\n", "[rest]\ndepth = 1\n", "unknown field `depth`"),
        ];
        for (passage, other, expected) in cases {
            let message = with(passage, other).expect_err(other);
            assert!(message.contains(expected), "{other}: {message}");
            assert!(message.contains("a/model.toml"), "{other}: {message}");
        }
    }

    #[test]
    fn the_rest_mouth_need_not_be_told_of() {
        let (without, _) = BUILTIN.split_once("[rest]").expect("the table is the last");
        let manifest = parse(without).expect("a good manifest");
        assert!(manifest.rest.is_none() && manifest.articulation.is_none());
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        for text in ["", "\0\0\0", "[files]", "version = 1", &"[".repeat(100_000)] {
            assert!(parse(text).is_err());
        }
    }
}
