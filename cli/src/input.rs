//! What is in a file, read to its end without decoding it: the streams, how long each is, and whether the file is
//! whole.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context, Result, bail};
use gst::prelude::*;

use crate::{
    interrupt,
    pipeline::{Pipeline, drain, running_time_on},
};

/// What a file may lack at its end and still count as whole: containers round, and audio is padded
/// to whole frames.
const TOLERANCE: gst::ClockTime = gst::ClockTime::from_mseconds(500);

/// A file and its streams, those of one kind in the order in which the container has them.
#[derive(Debug)]
pub struct Input {
    pub path: PathBuf,
    pub streams: Vec<Stream>,
    /// Its chapters.
    pub toc: Option<gst::Toc>,
    /// Where the file is not whole, what is missing.
    pub damage: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Stream {
    /// As GStreamer names it; the same each time the file is opened.
    pub id: String,
    pub kind: Kind,
    /// As the demuxer and a parser give it.
    pub caps: Option<gst::Caps>,
    /// Its language as the container names it, such as `en`.
    pub language: Option<String>,
    /// How a viewer is to turn the frames, as GStreamer names that.
    pub orientation: Option<String>,
    /// Running time at which the last of it ends; a still picture has none.
    pub end: gst::ClockTime,
    /// Of video: coded frames.
    pub packets: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Video,
    Audio,
    Subtitles,
    Other,
}

impl Stream {
    /// One picture: an image file, which comes in pieces without times, or a video of one frame.
    pub fn is_still(&self) -> bool {
        self.kind == Kind::Video && (self.packets == 1 || self.end.is_zero())
    }

    /// Frames a second, where the stream says so or is long enough to tell.
    pub fn rate(&self) -> Option<f64> {
        let structure = self.caps.as_ref().and_then(|caps| caps.structure(0));
        let stated =
            structure.and_then(|structure| structure.get::<gst::Fraction>("framerate").ok());
        let stated = stated.map(|rate| f64::from(rate.numer()) / f64::from(rate.denom()));
        let counted = (self.packets > 1 && !self.end.is_zero())
            .then(|| self.packets as f64 / self.end.seconds_f64());
        stated.filter(|rate| *rate > 0.0).or(counted)
    }
}

impl Input {
    /// Reads the file to its end.
    ///
    /// # Errors
    /// What the demuxer says, or that the file has no stream at all; with what is missing where the
    /// file is cut off.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display();
        if path.is_dir() {
            bail!("{name} is a folder, expected a file");
        }
        if let Err(error) = File::open(path) {
            bail!("cannot read {name}: {error}");
        }
        let cut = bytes_missing(path);
        let context = || match &cut {
            Some(cut) => format!("cannot read {name}: {cut}"),
            None => format!("cannot read {name}"),
        };
        let (mut streams, declared, toc, broken) = scan(path).with_context(context)?;
        streams.retain(|stream| stream.packets > 0);
        let Some(end) = streams.iter().map(|stream| stream.end).max() else {
            return Err(broken.unwrap_or_else(|| anyhow::anyhow!("it has neither video nor audio"))).with_context(context);
        };
        let short = declared.filter(|declared| *declared > end + TOLERANCE && !end.is_zero());
        let mut damage = short.map(|declared| {
            let rate = streams
                .iter()
                .find(|stream| stream.kind == Kind::Video)
                .and_then(Stream::rate);
            let frames = rate.map(|rate| ((declared - end).seconds_f64() * rate).round());
            let frames = frames.map_or_else(String::new, |frames| {
                format!(", {frames} frames are missing")
            });
            format!(
                "it ends after {:.1} of {:.1} s{frames}",
                end.seconds_f64(),
                declared.seconds_f64()
            )
        });
        damage = damage.or(cut).or(broken
            .map(|error| format!("it is damaged behind {:.1} s: {error:#}", end.seconds_f64())));
        Ok(Self {
            path: path.to_owned(),
            streams,
            toc,
            damage,
        })
    }

    /// Its streams of that kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Stream> {
        self.streams
            .iter()
            .filter(move |stream| stream.kind == kind)
    }
}

type Scanned = (
    Vec<Stream>,
    Option<gst::ClockTime>,
    Option<gst::Toc>,
    Option<anyhow::Error>,
);

/// Has all streams of a file run into nothing and watches them; also how long the container says that
/// it is, its chapters, and the error at which reading ended.
fn scan(path: &Path) -> Result<Scanned> {
    let pipeline = Pipeline::parse("filesrc name=file ! parsebin name=parse")?;
    let [file, parse] = ["file", "parse"].map(|name| pipeline.element::<gst::Element>(name));
    file?.set_property("location", path);
    let streams = Arc::new(Mutex::new(Vec::new()));
    let progress = Arc::new(AtomicU64::new(0));
    let weak = pipeline.downgrade();
    let (found, moved) = (streams.clone(), progress.clone());
    parse?.connect_pad_added(move |_, pad| {
        if let Some(pipeline) = weak.upgrade() {
            watch(pad, &found, &moved);
            drain(&pipeline, pad);
        }
    });
    let mut toc = None;
    let mut hang = pipeline.hang_guard();
    let ended = pipeline.play().and_then(|()| {
        pipeline.wait(
            |message| {
                if let gst::MessageView::Toc(message) = message.view() {
                    toc = Some(message.toc().0);
                }
                Ok(())
            },
            || {
                interrupt::check()?;
                hang(progress.load(Ordering::Relaxed))
            },
        )
    });
    interrupt::check()?;
    let declared = pipeline.query_duration::<gst::ClockTime>();
    let mut streams = lock(&streams).clone();
    // The sort keeps the order of those alike.
    streams.sort_by_key(|stream: &Stream| stream.kind as u8);
    Ok((streams, declared, toc, ended.err()))
}

/// Adds the stream of a new pad to the list and keeps it up to date.
fn watch(pad: &gst::Pad, streams: &Arc<Mutex<Vec<Stream>>>, progress: &Arc<AtomicU64>) {
    let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
    let (streams, progress) = (streams.clone(), progress.clone());
    let mut all = lock(&streams);
    let index = all.len();
    all.push(Stream {
        id: pad.stream_id().map(String::from).unwrap_or_default(),
        kind: kind_of(&caps),
        caps: None,
        language: None,
        orientation: None,
        end: gst::ClockTime::ZERO,
        packets: 0,
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
            stream.packets += 1;
        } else if let Some(event) = info.event() {
            stream.take_in(event);
        }
        gst::PadProbeReturn::Ok
    });
}

impl Stream {
    fn take_in(&mut self, event: &gst::EventRef) {
        match event.view() {
            gst::EventView::StreamStart(start) => self.id = start.stream_id().to_owned(),
            gst::EventView::Caps(caps) => self.caps = Some(caps.caps_owned()),
            gst::EventView::Tag(tags) => {
                let tags = tags.tag();
                if let Some(language) = tags.get::<gst::tags::LanguageCode>() {
                    self.language = Some(language.get().to_owned());
                }
                if let Some(orientation) = tags.get::<gst::tags::ImageOrientation>() {
                    self.orientation = Some(orientation.get().to_owned());
                }
            }
            _ => (),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn kind_of(caps: &gst::Caps) -> Kind {
    let name = caps.structure(0).map_or("", |structure| structure.name());
    match name.split_once('/') {
        Some(("video" | "image", _)) => Kind::Video,
        Some(("audio", _)) => Kind::Audio,
        Some(("text" | "subpicture" | "closedcaption" | "subtitle", _)) => Kind::Subtitles,
        _ if ["application/x-ssa", "application/x-ass"].contains(&name) => Kind::Subtitles,
        _ => Kind::Other,
    }
}

/// That the file is shorter than it says itself, in words: for containers that begin with their
/// size, RIFF (WAV, AVI), or whose parts do (MP4, MOV).
pub fn bytes_missing(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let declared = riff_size(&mut file)
        .or_else(|| boxes_size(&mut file, length))
        .filter(|declared| *declared > length)?;
    let [length, declared] = [length, declared].map(|bytes| bytes as f64 / 1e6);
    Some(format!(
        "the file is cut off, it has {length:.2} of {declared:.2} MB"
    ))
}

/// The size that a RIFF file states. Writers that could not go back left 0 or all ones.
fn riff_size(file: &mut File) -> Option<u64> {
    let mut head = [0; 8];
    file.rewind().ok()?;
    file.read_exact(&mut head).ok()?;
    let [tag @ .., a, b, c, d] = head;
    let size = u32::from_le_bytes([a, b, c, d]);
    (tag == *b"RIFF" && size != 0 && size < u32::MAX - 8).then(|| u64::from(size) + 8)
}

/// Where the last box of an ISO file ends; unknown where that is the end of the file.
fn boxes_size(file: &mut File, length: u64) -> Option<u64> {
    let mut at = 0;
    while at + 8 <= length {
        let mut head = [0; 16];
        file.seek(SeekFrom::Start(at)).ok()?;
        let read = file.read(&mut head).ok()?;
        if at == 0 && head[4..8] != *b"ftyp" {
            return None;
        }
        let [a, b, c, d, _, _, _, _, large @ ..] = head;
        let size = match u32::from_be_bytes([a, b, c, d]) {
            1 if read == 16 => u64::from_be_bytes(large),
            size => size.into(),
        };
        at = at.checked_add(Some(size).filter(|size| *size >= 8)?)?;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is missing of a file of these bytes.
    fn missing(bytes: &[u8]) -> Option<String> {
        let path = std::env::temp_dir().join(format!("gst-lipsync-{}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        let missing = bytes_missing(&path);
        std::fs::remove_file(path).unwrap();
        missing
    }

    #[test]
    fn files_that_state_their_size_show_what_is_missing() {
        let mut mp4 = b"\0\0\0\x10ftypisom\0\0\0\0\0\0\x10\0mdat".to_vec();
        mp4.resize(2000, 0);
        let cut = missing(&mp4).unwrap();
        assert!(cut.contains("0.00 of 0.00 MB"), "{cut}");
        mp4.resize(16 + 4096, 0);
        assert_eq!(missing(&mp4), None);

        let mut wav = b"RIFF\xf8\x0f\0\0WAVE".to_vec();
        assert!(missing(&wav).is_some());
        wav.resize(4096, 0);
        assert_eq!(missing(&wav), None);
        // As a recorder that was switched off leaves it.
        let open = b"RIFF\xff\xff\xff\xffWAVE";
        assert_eq!(missing(open), None);
        for other in [&b""[..], b"hello", b"\x1a\x45\xdf\xa3 a Matroska file"] {
            assert_eq!(missing(other), None);
        }
    }
}
