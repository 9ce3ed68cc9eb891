//! Two stages: the next frame is begun while the networks draw the one before. In order, one ahead
//! at most, and never for a frame that has not come.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::Duration,
};

use crate::common::*;
use gst::prelude::*;
use lipsync_core::catalogue::Source;

/// How far the stream is.
#[derive(Default)]
struct Counts {
    sampled: u64,
    drawn: u64,
    painted: u64,
    /// There will be so many.
    frames: u64,
    /// Frames that were drawn without the next one being sampled meanwhile, but for the last.
    alone: u64,
    /// The most frames that were sampled and not painted.
    most: u64,
    /// No frame is drawn meanwhile.
    is_shut: bool,
}

/// A generator that counts, and whose network can be held up.
#[derive(Clone, Default)]
struct Watched {
    shared: Arc<(Mutex<Counts>, Condvar)>,
    /// How long drawing waits for the next frame to be sampled.
    waits: Duration,
}

impl Watched {
    fn waiting(waits: Duration) -> Self {
        Self {
            waits,
            ..Self::default()
        }
    }

    fn source(&self) -> Source {
        let this = self.clone();
        Source::Custom(Arc::new(move || {
            Box::new(StandIn {
                name: "watched",
                batch: 1,
                state: this.clone(),
                listen: |_, _| Ok(0.0),
                draw: |this, _| {
                    this.draw();
                    Ok(())
                },
                sample: Self::sampled,
                paint: |this, view, _, [_, seen]| {
                    view.planes[0].data[0] = (seen + DRAWN) as u8;
                    this.change(|counts| counts.painted += 1);
                },
            })
        }))
    }

    fn rig(&self) -> Rig {
        let element = element_with(self.source());
        element.set_property_from_str("silence", "animate");
        let rig = Rig::stopped(element, FILE, true);
        rig.play();
        rig
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.shared.0.lock().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts());
        self.shared.1.notify_all();
    }

    /// Waits while that holds, for so long. Whether it holds still.
    fn wait_while(&self, holds: impl Fn(&Counts) -> bool, patience: Duration) -> bool {
        let waited = self
            .shared
            .1
            .wait_timeout_while(self.counts(), patience, |counts| holds(counts));
        waited.unwrap().1.timed_out()
    }

    fn sampled(&mut self) {
        self.change(|counts| {
            counts.sampled += 1;
            counts.most = counts.most.max(counts.sampled - counts.painted);
        });
    }

    fn draw(&mut self) {
        let drawn = self.counts().drawn;
        self.wait_while(|counts| counts.is_shut, PATIENCE);
        let is_alone = |counts: &Counts| counts.sampled < (drawn + 2).min(counts.frames);
        let is_late = self.wait_while(is_alone, self.waits);
        self.change(|counts| {
            counts.drawn += 1;
            counts.alone += u64::from(is_late);
        });
    }
}

/// What drawing adds to a frame's level.
const DRAWN: f32 = 100.0;

/// Frames can only be begun meanwhile where there is another CPU.
fn has_processors() -> bool {
    let has = thread::available_parallelism().is_ok_and(|count| count.get() > 1);
    if !has {
        eprintln!("skipped: there is one processor");
    }
    has
}

fn pictures() -> Pictures {
    Pictures::at(25, 1)
}

/// The frame of this number, as it was drawn.
fn assert_drawn(buffer: &gst::Buffer, index: u64) {
    assert_eq!(buffer.offset(), index);
    let before = pictures().frame(index).map_readable().unwrap()[0];
    assert_eq!(buffer.map_readable().unwrap()[0], before + DRAWN as u8);
}

#[test]
fn the_next_frame_is_begun_while_one_is_drawn() {
    if !has_processors() {
        return;
    }
    let watched = Watched::waiting(PATIENCE);
    let rig = watched.rig();
    let frames = 12;
    watched.counts().frames = frames;
    let feeding = rig.feed(
        pictures().stream(frames),
        Tones::silent(2_000 * MS).stream(),
    );
    let outs = rig.frames_until_eos();
    feeding.join();
    assert_eq!(outs.len() as u64, frames);
    for (index, buffer) in outs.iter().enumerate() {
        assert_drawn(buffer, index as u64);
    }
    let counts = watched.counts();
    assert_eq!((counts.alone, counts.most), (0, 2));
}

#[test]
fn no_frame_waits_for_one_that_has_not_come() {
    let watched = Watched::default();
    let rig = watched.rig();
    let pictures = pictures();
    let sound = Tones::silent(2_000 * MS).stream();
    let hearing = feed(rig.audio.as_ref().unwrap(), sound);
    let begun = begin("video", &pictures.caps(), &segment_from(0));
    feed(&rig.video, begun).join().unwrap();
    for index in 0..5 {
        let frame = pictures.frame(index).into();
        feed(&rig.video, vec![frame]).join().unwrap();
        assert_drawn(&rig.next_buffer(), index);
    }
    feed(&rig.video, vec![end()]).join().unwrap();
    assert!(rig.frames_until_eos().is_empty());
    hearing.join().unwrap();
    assert_eq!(rig.stat("frames-held"), 0);
}

#[test]
fn a_flush_drops_the_frame_that_is_drawn_and_the_one_that_is_begun() {
    if !has_processors() {
        return;
    }
    let watched = Watched::default();
    watched.change(|counts| counts.is_shut = true);
    let rig = watched.rig();
    let pictures = pictures();
    let mut video = begin("video", &pictures.caps(), &segment_from(0));
    video.extend((0..6).map(|index| pictures.frame(index).into()));
    let mut sound = Tones::silent(2_000 * MS).stream();
    sound.pop();
    let first = rig.feed(video, sound);
    assert!(!watched.wait_while(|counts| counts.sampled < 2, PATIENCE));
    let pads = [rig.video.clone(), rig.audio.clone().unwrap()];
    let flushed = pads.clone();
    let flushing = thread::spawn(move || {
        for pad in &flushed {
            pad.push_event(gst::event::FlushStart::new());
        }
    });
    let peer = rig.video.peer().unwrap();
    while !peer.pad_flags().contains(gst::PadFlags::FLUSHING) {
        thread::sleep(Duration::from_millis(1));
    }
    watched.change(|counts| counts.is_shut = false);
    flushing.join().unwrap();
    first.join(); // what it pushed after the flush would have no segment
    for pad in &pads {
        pad.push_event(gst::event::FlushStop::new(true));
    }
    let feeding = rig.feed(pictures.stream(3), Tones::silent(2_000 * MS).stream());
    let outs = rig.frames_until_eos();
    feeding.join();
    // The pad flushes before the element hears of it: the first may have gone out meanwhile.
    let (before, after) = outs.split_at(outs.len() - 3);
    for frames in [before, after] {
        for (index, buffer) in frames.iter().enumerate() {
            assert_drawn(buffer, index as u64);
        }
    }
    let (came, went) = (rig.stat("frames-in"), rig.stat("frames-out"));
    assert!(came > went);
    assert_eq!(rig.stat("frames-dropped"), came - went);
    assert_eq!(rig.stat("frames-held"), 0);
}

#[test]
fn a_frame_is_judged_by_the_settings_that_it_was_begun_with() {
    let watched = Watched::default();
    watched.change(|counts| counts.is_shut = true);
    let rig = watched.rig();
    // In silence the mouth is shut, which alters the frame.
    rig.element.set_property_from_str("silence", "close");
    let feeding = rig.feed(pictures().stream(1), Tones::silent(2_000 * MS).stream());
    assert!(!watched.wait_while(|counts| counts.sampled < 1, PATIENCE));
    // Frames that are begun from here on show their own mouth.
    rig.element.set_property_from_str("silence", "original");
    watched.change(|counts| counts.is_shut = false);
    let outs = rig.until_eos();
    feeding.join();
    let is_tagged = |event: &&gst::Event| match event.view() {
        gst::EventView::Tag(tag) => tag.tag().get::<gst::tags::Comment>().is_some(),
        _ => false,
    };
    let tags = events(&outs, gst::EventType::Tag);
    assert_eq!(tags.iter().filter(|event| is_tagged(event)).count(), 1);
    assert_drawn(&buffers(outs)[0], 0);
}
