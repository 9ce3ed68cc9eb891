//! People who talk: clips of the GRID corpus, where the media folder is there.

// Each test program uses its part.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

use gst::prelude::*;

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
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/media/grid");
    let path = folder.join(name).with_extension("mkv");
    if !path.is_file() {
        println!("skipped: no clip {name} of the GRID corpus in ../shared/media/grid");
        return None;
    }
    Some(path)
}

/// The first frames of a clip, at most `count`, as RGB pictures.
pub fn frames(name: &str, count: usize) -> Option<Vec<Picture>> {
    let path = clip(name)?;
    gst::init().unwrap();
    let line = "filesrc name=file ! decodebin ! videoconvert ! video/x-raw,format=RGB ! \
                appsink name=sink sync=false max-buffers=2";
    let pipeline = gst::parse::launch(line).unwrap();
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    let file = pipeline.by_name("file").unwrap();
    file.set_property("location", path.to_str().unwrap());
    let sink = pipeline.by_name("sink").unwrap();
    let sink = sink.downcast::<gst_app::AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let mut pictures = Vec::new();
    while pictures.len() < count
        && let Some(sample) = sink.try_pull_sample(gst::ClockTime::from_seconds(10))
    {
        let info = gst_video::VideoInfo::from_caps(sample.caps().unwrap()).unwrap();
        let map = sample.buffer().unwrap().map_readable().unwrap();
        let (width, stride) = (info.width() as usize, info.stride()[0] as usize);
        let rows = map.chunks(stride).take(info.height() as usize);
        pictures.push(Picture {
            width,
            height: info.height() as usize,
            data: rows.flat_map(|row| row[..width * 3].to_vec()).collect(),
        });
    }
    pipeline.set_state(gst::State::Null).unwrap();
    Some(pictures)
}

/// The first frame of a clip.
pub fn portrait(name: &str) -> Option<Picture> {
    Some(frames(name, 1)?.remove(0))
}
