//! What is in a file that the demo is given, read without decoding it: the streams, how long each
//! is, and whether the file is whole.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use anyhow::{Context, Result, bail};
use gst::prelude::*;
use gst_lipsync::input::bytes_missing;
use lipsync_tools::pipeline::{PATIENCE, Pipeline, drain, running_time_on};

/// What a file may lack at its end and still count as whole: containers round, and audio is padded
/// to whole frames.
const TOLERANCE: gst::ClockTime = gst::ClockTime::from_mseconds(500);

/// A file and its streams, those of one kind in the order in which decodebin shows them.
pub struct Input {
    pub path: PathBuf,
    pub streams: Vec<Stream>,
}

/// Says what the user should know.
pub fn note(text: &str) {
    println!("demo: {text}");
}

#[derive(Clone)]
pub struct Stream {
    pub kind: Kind,
    /// Its language as the container names it, such as `en`.
    pub language: Option<String>,
    /// Running time at which the last of it ends; a still picture has none.
    pub end: gst::ClockTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Video,
    Audio,
    Subtitles,
    Other,
}

impl Input {
    /// Reads the file to its end, and says where that is missing.
    ///
    /// # Errors
    /// What the demuxer says, or that the file has no stream at all; with what is missing where the
    /// file is cut off.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display();
        if !path.is_file() {
            bail!("{name} is not a file");
        }
        let cut = bytes_missing(path);
        let (streams, declared) = scan(path).with_context(|| match &cut {
            Some(cut) => format!("cannot read {name}: {cut}"),
            None => format!("cannot read {name}"),
        })?;
        let Some(end) = streams.iter().map(|stream| stream.end).max() else {
            bail!("{name} has neither video nor audio");
        };
        let is_short = |declared: &gst::ClockTime| *declared > end + TOLERANCE && !end.is_zero();
        let cut_time = declared.filter(is_short).map(|declared| {
            let [end, declared] = [end, declared].map(seconds);
            format!("it ends after {end:.1} of {declared:.1} s")
        });
        if let Some(cut) = cut_time.or(cut) {
            note(&format!("{name} is not whole: {cut}"));
        }
        let path = path.to_owned();
        Ok(Self { path, streams })
    }

    /// Its streams of that kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Stream> {
        self.streams
            .iter()
            .filter(move |stream| stream.kind == kind)
    }
}

pub fn seconds(time: gst::ClockTime) -> f64 {
    time.nseconds() as f64 / 1e9
}

/// Has all streams of a file run into nothing and watches them; also how long the container says that
/// it is.
fn scan(path: &Path) -> Result<(Vec<Stream>, Option<gst::ClockTime>)> {
    let pipeline = Pipeline::parse("filesrc name=file ! parsebin name=parse")?;
    let [file, parse]: [gst::Element; 2] = [pipeline.element("file")?, pipeline.element("parse")?];
    file.set_property("location", path);
    let streams = Arc::new(Mutex::new(Vec::new()));
    let progress = Arc::new(AtomicU64::new(0));
    let weak = pipeline.downgrade();
    let (found, moved) = (streams.clone(), progress.clone());
    parse.connect_pad_added(move |_, pad| {
        if let Some(pipeline) = weak.upgrade() {
            watch(pad, &found, &moved);
            drain(&pipeline, pad);
        }
    });
    pipeline.play()?;
    let (mut last, mut since) = (0, Instant::now());
    pipeline.wait(|| {
        let now = progress.load(Ordering::Relaxed);
        if now != last {
            (last, since) = (now, Instant::now());
        } else if since.elapsed() > PATIENCE.into() {
            bail!("nothing came for {PATIENCE:.0}");
        }
        Ok(())
    })?;
    let declared = pipeline.query_duration::<gst::ClockTime>();
    let mut streams = lock(&streams).clone();
    // decodebin shows video first, then audio; the sort keeps the order of those alike.
    streams.sort_by_key(|stream: &Stream| stream.kind as u8);
    Ok((streams, declared))
}

/// Adds the stream of a new pad to the list and keeps it up to date.
fn watch(pad: &gst::Pad, streams: &Arc<Mutex<Vec<Stream>>>, progress: &Arc<AtomicU64>) {
    let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
    let (streams, progress) = (streams.clone(), progress.clone());
    let mut all = lock(&streams);
    let index = all.len();
    all.push(Stream {
        kind: kind_of(&caps),
        language: None,
        end: gst::ClockTime::ZERO,
    });
    drop(all);
    let kinds = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
    pad.add_probe(kinds, move |pad, info| {
        progress.fetch_add(1, Ordering::Relaxed);
        let stream = &mut lock(&streams)[index];
        if let Some(buffer) = info.buffer() {
            let begin = running_time_on(pad, buffer);
            let end = begin.map(|begin| begin + buffer.duration().unwrap_or_default());
            stream.end = stream.end.max(end.unwrap_or_default());
        } else if let Some(event) = info.event()
            && let gst::EventView::Tag(tags) = event.view()
            && let Some(language) = tags.tag().get::<gst::tags::LanguageCode>()
        {
            stream.language = Some(language.get().to_owned());
        }
        gst::PadProbeReturn::Ok
    });
}

fn lock(streams: &Mutex<Vec<Stream>>) -> MutexGuard<'_, Vec<Stream>> {
    streams.lock().unwrap_or_else(PoisonError::into_inner)
}

fn kind_of(caps: &gst::Caps) -> Kind {
    let name = caps.structure(0).map_or("", |structure| structure.name());
    match name.split_once('/') {
        Some(("video" | "image", _)) => Kind::Video,
        Some(("audio", _)) => Kind::Audio,
        Some(("text" | "subpicture" | "closedcaption", _)) => Kind::Subtitles,
        _ => Kind::Other,
    }
}
