//! A live pipeline with a real face and real speech, whose network that draws runs on a server.

use std::{
    sync::{Arc, LazyLock, Mutex},
    time::Instant,
};

use gst::prelude::*;

use crate::common::*;

/// Frames a second.
pub const RATE: u64 = 10;

/// The built-in model's network that draws.
pub const RENDERER: &[u8] = include_bytes!("../../models/builtin/renderer.onnx");

/// A live pipeline with a real face and real speech.
pub struct Live {
    pub pipeline: Running,
    pub element: gst::Element,
    pub bus: gst::Bus,
    messages: Vec<gst::Message>,
    /// Timestamps of the frames that went in and came out.
    frames: [Arc<Mutex<Vec<gst::ClockTime>>>; 2],
}

impl Live {
    /// Drawn by what `server` names, however late on a busy machine; `None`, with the reason printed, where something is missing.
    pub fn start(server: &str, on_unreachable: &str) -> Option<Self> {
        let besides = format!(
            "qos=false remote-timeout=5000000000 on-unreachable={on_unreachable} provider-options=remote,shared-memory=no"
        );
        Self::start_with(server, &besides)
    }

    /// The same with other settings.
    pub fn start_with(server: &str, settings: &str) -> Option<Self> {
        let library = onnxruntime()?;
        if !have(&["jpegdec", "wavparse", "imagefreeze", "lipsyncbin"]) {
            return None;
        }
        let media = concat!(env!("CARGO_MANIFEST_DIR"), "/media");
        let speech = LONG_SPEECH.as_ref()?;
        init();
        let pipeline = gst::parse::launch(&format!(
            "filesrc location={media}/young-woman-in-mauve.jpg ! jpegdec ! videoconvert \
             ! videoscale ! video/x-raw,width=446,height=552 ! imagefreeze is-live=true \
             ! video/x-raw,framerate={RATE}/1 ! queue ! lipsync name=l onnxruntime-library={library} \
             execution-provider=remote server={server} intra-threads=1 {settings} \
             ! fakesink sync=true qos=false \
             filesrc location={speech} ! wavparse ! audioconvert ! clocksync ! queue ! l.audio"
        ));
        let pipeline = Running(pipeline.unwrap().downcast().unwrap());
        let element = pipeline.by_name("l").unwrap();
        let bus = pipeline.bus().unwrap();
        let frames = ["video", "src"].map(|pad| {
            let times = Arc::<Mutex<Vec<_>>>::default();
            let seen = times.clone();
            let pad = element.static_pad(pad).unwrap();
            pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
                seen.lock()
                    .unwrap()
                    .extend(info.buffer().and_then(|frame| frame.pts()));
                gst::PadProbeReturn::Ok
            });
            times
        });
        pipeline.set_state(gst::State::Playing).unwrap();
        Some(Self {
            pipeline,
            element,
            bus,
            messages: Vec::new(),
            frames,
        })
    }

    /// Stops it. Whatever went in came out, in order, but for what was under way at the end.
    pub fn stop_without_loss(self) {
        self.pipeline.set_state(gst::State::Null).unwrap();
        let [before, after] = self.frames.map(|times| times.lock().unwrap().clone());
        assert!(after.len() > RATE as usize);
        assert_eq!(before[..after.len()], after);
    }

    pub fn stat(&self, field: &str) -> u64 {
        let stats = self.element.property::<gst::Structure>("stats");
        stats.get(field).unwrap()
    }

    /// Waits until it holds; keeps the messages that come meanwhile.
    pub fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            let stats = self.element.property::<gst::Structure>("stats");
            assert!(start.elapsed() < PATIENCE, "{what}: {stats}");
            let message = self.bus.timed_pop(gst::ClockTime::from_mseconds(20));
            if let Some(message) = message {
                match message.view() {
                    gst::MessageView::Error(error) => panic!("{what}: {error:?}"),
                    gst::MessageView::Latency(_) => self.pipeline.recalculate_latency().unwrap(),
                    _ => (),
                }
                self.messages.push(message);
            }
        }
    }

    /// What the bus was told of servers.
    pub fn server_states(&self) -> Vec<String> {
        let structures = self
            .messages
            .iter()
            .filter_map(|message| message.structure());
        let of_servers = structures.filter(|structure| structure.name() == "lipsync-server");
        of_servers
            .map(|structure| structure.get::<String>("state").unwrap())
            .collect()
    }

    pub fn texts(&self) -> Vec<String> {
        let texts = self
            .messages
            .iter()
            .filter_map(|message| match message.view() {
                gst::MessageView::Warning(warning) => Some(warning.error().to_string()),
                gst::MessageView::Info(info) => Some(info.error().to_string()),
                _ => None,
            });
        texts.collect()
    }
}

static LONG_SPEECH: LazyLock<Option<String>> = LazyLock::new(long_speech);

/// A file with the demo's speech again and again: what is not heard is not drawn.
fn long_speech() -> Option<String> {
    const HEADER: usize = 44;
    const TIMES: usize = 8;
    let media = concat!(env!("CARGO_MANIFEST_DIR"), "/media/speech.wav");
    let Ok(once) = std::fs::read(media) else {
        println!("skipped: no {media}");
        return None;
    };
    let (header, samples) = once.split_at(HEADER);
    let length = (samples.len() * TIMES) as u32;
    let mut long = [header, &samples.repeat(TIMES)].concat();
    // Of all that follows, and of the samples.
    long[4..8].copy_from_slice(&(length + HEADER as u32 - 8).to_le_bytes());
    long[40..44].copy_from_slice(&length.to_le_bytes());
    let path = crate::opening::folder("remote", "speech").join("long.wav");
    std::fs::write(&path, long).ok()?;
    Some(path.display().to_string())
}
