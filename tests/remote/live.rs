//! A live pipeline with a real face and real speech, whose network that draws runs on a server.

use std::time::Instant;

use gst::prelude::*;

use crate::common::*;

/// The built-in model's network that draws.
pub const RENDERER: &[u8] = include_bytes!("../../models/builtin/renderer.onnx");

/// A live pipeline with a real face and real speech.
pub struct Live {
    pub pipeline: Running,
    pub element: gst::Element,
    pub bus: gst::Bus,
    messages: Vec<gst::Message>,
}

impl Live {
    /// Drawn by what `server` names, however late on a busy machine; `None`, with the reason printed, where something is missing.
    pub fn start(server: &str, on_unreachable: &str) -> Option<Self> {
        let library = onnxruntime()?;
        if !have(&["jpegdec", "wavparse", "imagefreeze", "lipsyncbin"]) {
            return None;
        }
        let media = concat!(env!("CARGO_MANIFEST_DIR"), "/media");
        init();
        let pipeline = gst::parse::launch(&format!(
            "filesrc location={media}/young-woman-in-mauve.jpg ! jpegdec ! videoconvert \
             ! videoscale ! video/x-raw,width=446,height=552 ! imagefreeze is-live=true \
             ! video/x-raw,framerate=10/1 ! queue ! lipsync name=l onnxruntime-library={library} \
             execution-provider=remote server={} on-unreachable={on_unreachable} \
             remote-timeout=5000000000 intra-threads=1 qos=false \
             ! fakesink sync=true qos=false \
             filesrc location={media}/speech.wav ! wavparse ! audioconvert ! clocksync ! queue ! l.audio",
            server
        ));
        let pipeline = Running(pipeline.unwrap().downcast().unwrap());
        let element = pipeline.by_name("l").unwrap();
        let bus = pipeline.bus().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        Some(Self {
            pipeline,
            element,
            bus,
            messages: Vec::new(),
        })
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
