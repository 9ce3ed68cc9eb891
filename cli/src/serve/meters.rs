//! What moves: the level of the audio, and the faces in the frames that go out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gst::{glib, prelude::*};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::programme::Programme;

/// Quieter is shown as this, in dBFS: there is no number for silence in JSON.
const QUIETEST: f64 = -120.0;
/// Type of the metas with which `lipsync` marks faces.
const FACE: &str = "lipsync-face";

#[derive(Default)]
pub struct Meters {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// dBFS of each channel: mean and peak.
    level: Vec<f64>,
    peak: Vec<f64>,
    faces: Vec<Face>,
}

/// A face in the last frame; places and sizes are shares of the frame's.
#[derive(Clone, Debug, Serialize)]
struct Face {
    id: u64,
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    confidence: f64,
    /// Of the mouth, as the frame came in.
    openness: f64,
    /// Whether its mouth is redrawn.
    drawn: bool,
}

impl Meters {
    /// Watches the frames that leave the programme.
    pub fn new(programme: &Programme) -> Arc<Self> {
        let meters = Arc::new(Self::default());
        let pad = programme.lipsync().static_pad("video_src");
        let watching = meters.clone();
        if let Some(pad) = pad {
            pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
                if let Some(buffer) = info.buffer() {
                    watching.see(pad, buffer);
                }
                gst::PadProbeReturn::Ok
            });
        }
        meters
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn see(&self, pad: &gst::Pad, buffer: &gst::BufferRef) {
        let caps = pad.current_caps();
        let size = caps.and_then(|caps| {
            let structure = caps.structure(0)?;
            let [width, height] =
                ["width", "height"].map(|side| structure.get::<i32>(side).ok().map(f64::from));
            width.zip(height)
        });
        let Some((width, height)) = size else {
            return;
        };
        let mut inner = self.lock();
        inner.faces.clear();
        for meta in buffer.iter_meta::<gst_video::VideoRegionOfInterestMeta>() {
            if meta.roi_type() != FACE {
                continue;
            }
            let params = meta.params().next();
            let number = |name: &str| -> f64 {
                let params = params.as_ref();
                params
                    .and_then(|params| params.get(name).ok())
                    .unwrap_or(0.0)
            };
            let id = params.as_ref().and_then(|params| params.get("id").ok());
            let drawn = params.as_ref().and_then(|params| params.get("drawn").ok());
            let (x, y, w, h) = meta.rect();
            inner.faces.push(Face {
                id: id.unwrap_or(0),
                x: f64::from(x) / width,
                y: f64::from(y) / height,
                width: f64::from(w) / width,
                height: f64::from(h) / height,
                confidence: number("confidence"),
                openness: number("openness"),
                drawn: drawn.unwrap_or(true),
            });
        }
    }

    /// Takes what the element `level` says.
    pub fn hear(&self, structure: &gst::StructureRef) {
        let channels = |name: &str| -> Option<Vec<f64>> {
            let values = structure.get::<glib::ValueArray>(name).ok()?;
            let decibels = values.iter().map(|value| value.get::<f64>());
            let decibels = decibels.map(|value| value.unwrap_or(QUIETEST).max(QUIETEST));
            Some(decibels.collect())
        };
        if let (Some(level), Some(peak)) = (channels("rms"), channels("peak")) {
            let mut inner = self.lock();
            (inner.level, inner.peak) = (level, peak);
        }
    }

    pub fn json(&self, stats: &Map<String, Value>) -> Value {
        let inner = self.lock();
        json!({
            "level": inner.level,
            "peak": inner.peak,
            "heard": stats.get("audio-level"),
            "gate": stats.get("gate"),
            "faces": inner.faces,
        })
    }
}
