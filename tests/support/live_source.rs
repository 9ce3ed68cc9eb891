//! A live element under a clock that stands still until the test moves it.
//!
//! Not every test file uses everything here.
#![allow(dead_code)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Sender, channel},
    },
    time::{Duration, Instant},
};

use gst::prelude::*;

use crate::common::*;

pub const LIVE_LATENCY: gst::ClockTime = gst::ClockTime::from_mseconds(30);
pub const LIVE: Upstream = Upstream {
    live: true,
    latency: LIVE_LATENCY,
};
/// Length of a piece of sound.
pub const CHUNK_MS: u64 = 10;

/// A live element under a clock that stands still until the test moves it.
pub struct Live {
    pub rig: Rig,
    pub clock: gst_check::TestClock,
    pub pictures: Pictures,
    /// As long as whole periods of the tone.
    sound: gst::Buffer,
    pub video: Source,
    pub audio: Source,
}

/// A thread that pushes what it is given, as a live source does.
pub struct Source {
    items: Sender<Item>,
    /// Given and not yet taken by the element.
    pending: Arc<AtomicUsize>,
}

impl Source {
    pub fn new(pad: &gst::Pad) -> Self {
        let pad = pad.clone();
        let (items, given) = channel();
        let pending = Arc::new(AtomicUsize::new(0));
        let left = pending.clone();
        std::thread::spawn(move || {
            for item in given {
                match item {
                    Item::Buffer(buffer) => {
                        let _ = pad.push(buffer);
                    }
                    Item::Event(event) => {
                        pad.push_event(event);
                    }
                }
                left.fetch_sub(1, Ordering::SeqCst);
            }
        });
        Self { items, pending }
    }

    pub fn push(&self, item: impl Into<Item>) {
        self.pending.fetch_add(1, Ordering::SeqCst);
        self.items.send(item.into()).unwrap();
    }

    pub fn is_held_up(&self) -> bool {
        self.pending.load(Ordering::SeqCst) > 0
    }
}

impl Live {
    pub fn new() -> Self {
        Self::with(element())
    }

    pub fn with(element: gst::Element) -> Self {
        let rig = Rig::stopped(element, LIVE, true);
        let clock = gst_check::TestClock::new();
        rig.element.set_clock(Some(&clock)).unwrap();
        rig.element.set_base_time(gst::ClockTime::ZERO);
        rig.play();
        let pictures = Pictures::at(25, 1);
        let tones = Tones {
            samples_per_buffer: 480,
            ..Tones::of(CHUNK_MS * MS, 0..CHUNK_MS * MS)
        };
        for (pad, items) in [
            (
                &rig.video,
                begin("video", &pictures.caps(), &segment_from(0)),
            ),
            (
                rig.audio.as_ref().unwrap(),
                begin("audio", &tones.caps(), &segment_from(0)),
            ),
        ] {
            for item in items {
                if let Item::Event(event) = item {
                    assert!(pad.push_event(event));
                }
            }
        }
        Self {
            video: Source::new(&rig.video),
            audio: Source::new(rig.audio.as_ref().unwrap()),
            rig,
            clock,
            pictures,
            sound: tones.buffers().remove(0),
        }
    }

    pub fn latency(&self) -> (bool, gst::ClockTime, Option<gst::ClockTime>) {
        let mut query = gst::query::Latency::new();
        assert!(self.rig.sink.peer_query(&mut query));
        query.result()
    }

    pub fn push_frame(&self, index: u64) {
        self.video.push(self.pictures.frame(index));
    }

    pub fn push_sound(&self, chunk: u64) {
        self.push_sound_at(chunk * CHUNK_MS);
    }

    /// A piece of the tone with another timestamp: all of them are alike.
    pub fn push_sound_at(&self, ms: u64) {
        let mut sound = self.sound.clone();
        let writable = sound.make_mut();
        writable.set_pts(gst::ClockTime::from_mseconds(ms));
        self.audio.push(sound);
    }

    /// Waits until the element has taken everything, as the clock stands: a live source must not
    /// be held up.
    pub fn settle(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.video.is_held_up() || self.audio.is_held_up() {
            assert!(Instant::now() < deadline, "upstream is held up");
            self.wake_due();
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    pub fn set_time(&self, ms: u64) {
        self.clock.set_time(gst::ClockTime::from_mseconds(ms));
    }

    /// Ends the waits whose time has come, which this clock does not do by itself.
    pub fn wake_due(&self) {
        let now = self.clock.time();
        while let Some(id) = self.clock.peek_next_pending_id() {
            if id.time() > now {
                break;
            }
            self.clock.process_next_clock_id();
        }
    }

    /// What comes out within `wait` while the clock stands.
    pub fn try_frame(&self, wait: Duration) -> Option<gst::Buffer> {
        let end = Instant::now() + wait;
        loop {
            self.wake_due();
            match self.rig.try_next(Duration::from_millis(1)) {
                Some(Out::Buffer(buffer)) => return Some(buffer),
                Some(Out::Event(_)) => (),
                None if Instant::now() > end => return None,
                None => (),
            }
        }
    }

    pub fn frame(&self) -> gst::Buffer {
        self.try_frame(PATIENCE)
            .unwrap_or_else(|| panic!("no frame"))
    }
}
