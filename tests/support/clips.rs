//! People who talk: clips of the GRID corpus, where the media folder is there.

// Each test program uses its part.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

use crate::picture::Picture;

/// A clip each of ten people.
pub const TEN: [&str; 10] = [
    "s1_bbaf2n",
    "s4_bbaf2a",
    "s26_bgbsza",
    "s31_bgiq6p",
    "x00",
    "x02",
    "x04",
    "x05",
    "x12",
    "x15",
];

/// The file of a clip; `None`, with the reason printed, when it is not there.
pub fn clip(name: &str) -> Option<PathBuf> {
    let media = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/media");
    let places = [("grid", "mkv"), ("grid2", "mpg")];
    let mut paths = places
        .map(|(folder, kind)| media.join(folder).join(name).with_extension(kind))
        .into_iter();
    let path = paths.find(|path| path.is_file());
    if path.is_none() {
        println!("skipped: no clip {name} of the GRID corpus in ../shared/media");
    }
    path
}

/// The first frames of a clip, at most `count`, as RGB pictures.
pub fn frames(name: &str, count: usize) -> Option<Vec<Picture>> {
    let path = clip(name)?;
    Some(crate::picture::of_clip(&path, count))
}

/// The first frame of a clip.
pub fn portrait(name: &str) -> Option<Picture> {
    Some(frames(name, 1)?.remove(0))
}
