//! Of a file only the part that is wanted: its streams are held back until the demuxer has gone there.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Result, bail};
use gst::prelude::*;

use crate::plan::Range;

/// Holds nothing where there is no range.
#[derive(Clone)]
pub struct Gate {
    range: Option<Range>,
    path: PathBuf,
    held: Arc<Mutex<Vec<Held>>>,
    /// The first stream has come, and so all are known.
    is_waiting: Arc<AtomicBool>,
}

struct Held {
    pad: gst::Pad,
    probes: [Option<gst::PadProbeId>; 2],
}

impl Gate {
    pub fn new(path: &Path, range: Option<Range>) -> Self {
        Self {
            range,
            path: path.to_owned(),
            held: Arc::default(),
            is_waiting: Arc::default(),
        }
    }

    /// No data passes that pad any more, and what is behind it does not hear of the seek.
    pub fn hold(&self, pad: &gst::Pad) {
        if self.range.is_none() || self.is_waiting.load(Ordering::Acquire) {
            return;
        }
        let is_waiting = self.is_waiting.clone();
        // Not before there is data: until then matroskademux puts a seek off, and says afterwards that it goes from the
        // beginning (findings/matroskademux-forgets-where-a-seek-went.sh).
        let data = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
        let block = pad.add_probe(gst::PadProbeType::BLOCK | data, move |_, _| {
            is_waiting.store(true, Ordering::Release);
            gst::PadProbeReturn::Ok
        });
        // Dropped, GStreamer 1.22 would free it twice.
        let flush = pad.add_probe(gst::PadProbeType::EVENT_FLUSH, |_, info| {
            info.data = None;
            gst::PadProbeReturn::Handled
        });
        let probes = [block, flush];
        self.lock().push(Held {
            pad: pad.clone(),
            probes,
        });
    }

    /// Goes to the part and lets the streams pass, once they have come; to be called again and again.
    ///
    /// # Errors
    /// Where the demuxer cannot go there.
    pub fn open(&self) -> Result<()> {
        let Some(range) = self
            .range
            .filter(|_| self.is_waiting.load(Ordering::Acquire))
        else {
            return Ok(());
        };
        let held = std::mem::take(&mut *self.lock());
        let Some(first) = held.first() else {
            return Ok(());
        };
        let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE;
        let (from, to) = (gst::SeekType::Set, gst::SeekType::Set);
        let seek = gst::event::Seek::new(1.0, flags, from, range.start, to, range.stop);
        let sought = first.pad.send_event(seek);
        for Held { pad, probes } in held {
            let probes = probes.into_iter().flatten();
            probes.for_each(|probe| pad.remove_probe(probe));
        }
        if !sought {
            let (path, start) = (self.path.display(), range.start.seconds_f64());
            bail!("no part can be taken of {path}: its demuxer cannot go to {start:.2} s");
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
