//! A `lipsyncbin` between pads that the test drives, as a demuxer and a muxer would.
//!
//! Not every test file uses everything here.
#![allow(dead_code)]

use std::sync::mpsc::Receiver;

use gst::prelude::*;
use gstlipsync::lipsync::Lipsync;

use crate::common::*;

/// A bin whose generator is [`ShowsSound`].
pub fn bin() -> gst::Bin {
    init();
    let bin = gst::ElementFactory::make("lipsyncbin").build().unwrap();
    let bin = bin.downcast::<gst::Bin>().unwrap();
    lipsync(&bin)
        .downcast_ref::<Lipsync>()
        .unwrap()
        .set_generator(ShowsSound::source());
    bin
}

pub fn lipsync(bin: &gst::Bin) -> gst::Element {
    bin.by_name("lipsync").unwrap()
}

/// A bin between pads of the test.
pub struct Around {
    pub bin: gst::Bin,
    pub bus: gst::Bus,
    pub sources: Vec<gst::Pad>,
    pub sinks: Vec<gst::Pad>,
    pub video: Receiver<Out>,
    pub audio: Receiver<Out>,
}

impl Around {
    pub fn new(upstream: Upstream) -> Self {
        let bin = bin();
        let bus = gst::Bus::new();
        bin.set_bus(Some(&bus));
        let sink = |name: &str| {
            let (sender, receiver) = std::sync::mpsc::channel();
            let pad = sink_pad(sender);
            bin.static_pad(name).unwrap().link(&pad).unwrap();
            (pad, receiver)
        };
        let (video_pad, video) = sink("video_src");
        let (audio_pad, audio) = sink("audio_src");
        let mut around = Self {
            bin,
            bus,
            sources: Vec::new(),
            sinks: vec![video_pad, audio_pad],
            video,
            audio,
        };
        around.link("video", upstream);
        around.link("audio", upstream);
        around
    }

    /// Links a pad of the test to `video_sink` or `audio_sink`.
    pub fn link(&mut self, name: &str, upstream: Upstream) {
        let pad = src_pad(name, upstream);
        let sink = self.bin.static_pad(&format!("{name}_sink")).unwrap();
        pad.link(&sink).unwrap();
        self.sources.push(pad);
    }

    pub fn unlink(&mut self, name: &str) {
        let index = self.sources.iter().position(|pad| pad.name() == name);
        let pad = self.sources.remove(index.unwrap());
        pad.unlink(&pad.peer().unwrap()).unwrap();
        pad.set_active(false).unwrap();
    }

    pub fn source(&self, name: &str) -> &gst::Pad {
        self.sources.iter().find(|pad| pad.name() == name).unwrap()
    }

    pub fn play(&self) {
        self.bin.set_state(gst::State::Playing).unwrap();
    }

    pub fn warnings(&self) -> Vec<String> {
        std::iter::from_fn(|| self.bus.pop_filtered(&[gst::MessageType::Warning]))
            .map(|message| match message.view() {
                gst::MessageView::Warning(warning) => warning.error().to_string(),
                _ => unreachable!("only warnings were asked for"),
            })
            .collect()
    }
}

impl Drop for Around {
    fn drop(&mut self) {
        let _ = self.bin.set_state(gst::State::Null);
        for pad in self.sources.iter().chain(&self.sinks) {
            let _ = pad.set_active(false);
        }
        self.bin.set_bus(None);
    }
}

/// All that comes until EOS.
pub fn until_eos(out: &Receiver<Out>) -> Vec<gst::Buffer> {
    let mut buffers = Vec::new();
    loop {
        match out.recv_timeout(PATIENCE).expect("something comes out") {
            Out::Buffer(buffer) => buffers.push(buffer),
            Out::Event(event) if event.type_() == gst::EventType::Eos => return buffers,
            Out::Event(_) => (),
        }
    }
}

pub fn next_buffer(out: &Receiver<Out>) -> gst::Buffer {
    loop {
        if let Out::Buffer(buffer) = out.recv_timeout(PATIENCE).expect("something comes out") {
            return buffer;
        }
    }
}

pub fn bytes(buffers: &[gst::Buffer]) -> Vec<u8> {
    let maps = buffers.iter().map(|buffer| buffer.map_readable().unwrap());
    maps.flat_map(|map| map.to_vec()).collect()
}

/// Both streams in the order in which a demuxer gives them whose sound comes `sound_late_ms` after
/// the picture.
pub fn interleaved(video: Vec<Item>, audio: Vec<Item>, sound_late_ms: i64) -> Vec<(bool, Item)> {
    let due = |item: &Item, last: i64| match item {
        Item::Buffer(buffer) => (buffer.pts().unwrap().nseconds() / MS) as i64,
        Item::Event(_) => last,
    };
    let timed = |items: Vec<Item>, is_video: bool, late: i64| {
        let mut last = i64::MIN / 2;
        items
            .into_iter()
            .map(move |item| {
                last = last.max(due(&item, last) + late);
                (last, is_video, item)
            })
            .collect::<Vec<_>>()
    };
    let mut all = timed(video, true, 0);
    all.extend(timed(audio, false, sound_late_ms));
    all.sort_by_key(|&(due, ..)| due);
    all.into_iter()
        .map(|(_, is_video, item)| (is_video, item))
        .collect()
}

/// Pushes everything from one thread, as a demuxer without queues does.
pub fn feed_both(
    video: &gst::Pad,
    audio: &gst::Pad,
    items: Vec<(bool, Item)>,
) -> std::thread::JoinHandle<()> {
    let (video, audio) = (video.clone(), audio.clone());
    std::thread::spawn(move || {
        for (is_video, item) in items {
            let pad = if is_video { &video } else { &audio };
            match item {
                Item::Buffer(buffer) => {
                    pad.push(buffer).unwrap();
                }
                Item::Event(event) => {
                    pad.push_event(event);
                }
            }
        }
    })
}
