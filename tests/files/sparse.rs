//! Much sound in one item, or nothing for a long time: whatever can go on goes on, and what cannot is told.

use crate::{around::*, common::*};
use gst::prelude::*;

/// 9 s at 25 fps.
const FRAMES: u64 = 225;

fn gap(at_ms: u64, duration_ms: Option<u64>) -> Item {
    gst::event::Gap::builder(gst::ClockTime::from_mseconds(at_ms))
        .duration(duration_ms.map(gst::ClockTime::from_mseconds))
        .build()
        .into()
}

/// A buffer that says how long it is silent, and holds nothing.
fn pause(at_ms: u64, duration_ms: u64) -> gst::Buffer {
    let mut pause = gst::Buffer::new();
    let buffer = pause.make_mut();
    buffer.set_pts(gst::ClockTime::from_mseconds(at_ms));
    buffer.set_duration(gst::ClockTime::from_mseconds(duration_ms));
    pause
}

/// Sound that holds 20 s in one item and does not end: a sentence of a speech synthesizer, a whole file, a gap that
/// an element makes for a stream that has ended.
fn covering() -> Vec<(&'static str, Vec<Item>)> {
    let tones = Tones {
        samples_per_buffer: 20 * 48_000,
        ..Tones::silent(20_000 * MS)
    };
    let begin = || begin("audio", &tones.caps(), &segment_from(0));
    let with = |items: Vec<Item>| begin().into_iter().chain(items).collect();
    let buffers = tones.buffers().into_iter().map(Item::from).collect();
    vec![
        ("a buffer", with(buffers)),
        (
            "a pause without samples",
            with(vec![pause(0, 20_000).into()]),
        ),
        ("a gap", with(vec![gap(0, Some(20_000))])),
        ("a gap without end", with(vec![gap(0, None)])),
        (
            "gaps without end",
            with((0..5).map(|second| gap(1_000 * second, None)).collect()),
        ),
        (
            "a gap outside the segment",
            with(vec![
                gst::event::Segment::new(&segment_from(100 * MS)).into(),
                gap(100, None),
                gap(0, Some(50)),
            ]),
        ),
    ]
}

#[test]
fn all_frames_leave_whose_sound_came_in_one_item() {
    for (item, audio) in covering() {
        let rig = Rig::new();
        let feeding = rig.feed(Pictures::at(25, 1).stream(FRAMES), audio);
        assert_eq!(rig.frames_until_eos().len() as u64, FRAMES, "{item}");
        rig.audio
            .as_ref()
            .unwrap()
            .push_event(gst::event::Eos::new());
        feeding.join();
        assert_eq!(rig.stat("frames-late"), 0, "{item}");
    }
}

#[test]
fn all_frames_leave_the_bin_whose_sound_came_in_one_item() {
    for (item, audio) in covering() {
        let around = Around::new(FILE);
        around.play();
        let hearing = feed(around.source("audio"), audio);
        let feeding = feed(around.source("video"), Pictures::at(25, 1).stream(FRAMES));
        assert_eq!(until_eos(&around.video).len() as u64, FRAMES, "{item}");
        feeding.join().unwrap();
        hearing.join().unwrap();
    }
}

#[test]
fn sound_behind_a_gap_without_end_is_heard() {
    let rig = Rig::new();
    let pictures = Pictures::at(25, 1);
    let tones = Tones {
        start_ns: 1_000 * MS,
        samples_per_buffer: 48_000,
        ..Tones::of(2_000 * MS, 0..2_000 * MS)
    };
    let mut audio = begin("audio", &tones.caps(), &segment_from(0));
    audio.extend([gap(0, None), gap(200, None)]);
    let early = rig.feed(pictures.stream(0).into_iter().take(3).collect(), audio);
    early.join();
    let frames = |range: std::ops::Range<u64>| -> Vec<Item> {
        range.map(|index| pictures.frame(index).into()).collect()
    };
    let feeding = rig.feed(frames(0..20), Vec::new());
    for index in 0..20 {
        assert_eq!(shown(&rig.next_buffer()), 0, "frame {index}");
    }
    feeding.join();
    // The gap still has the only place on the pad: sound waits before it.
    let (sender, has_come) = std::sync::mpsc::channel();
    let pad = rig.audio.as_ref().and_then(|pad| pad.peer()).unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        let _ = sender.send(());
        gst::PadProbeReturn::Ok
    });
    let mut audio: Vec<Item> = tones.buffers().into_iter().map(Item::from).collect();
    audio.push(end());
    let hearing = rig.feed(Vec::new(), audio);
    has_come.recv_timeout(PATIENCE).unwrap();
    let mut video = frames(20..60);
    video.push(end());
    let feeding = rig.feed(video, Vec::new());
    let frames = rig.frames_until_eos();
    feeding.join();
    hearing.join();
    assert_eq!(frames.len(), 40);
    assert!(frames[8..].iter().all(|frame| shown(frame) > 128));
}

#[test]
fn one_buffer_of_live_sound_lets_its_frames_leave_before_their_deadline() {
    let live = Upstream {
        live: true,
        latency: gst::ClockTime::ZERO,
    };
    let rig = Rig::stopped(element(), live, true);
    rig.play();
    let (item, mut audio) = covering().remove(0);
    audio.push(gap(20_000, None));
    let feeding = rig.feed(Pictures::at(25, 1).stream(50), audio);
    assert_eq!(rig.frames_until_eos().len(), 50, "{item}");
    feeding.join();
    assert_eq!(rig.stat("frames-late"), 0);
}

/// Frames or sound with long pauses, in the order in which a demuxer with one thread gives them; what ends first is
/// said to have ended only with the file.
fn pauses() -> Vec<(&'static str, Vec<Item>, Vec<Item>)> {
    let slides = |seconds: i32| Pictures::at(1, seconds).stream(5);
    let sound = |from_ms: u64, to_ms: u64| Tones {
        start_ns: from_ms * MS,
        ..Tones::silent((to_ms - from_ms) * MS)
    };
    let whole = |tones: &Tones| {
        let mut items = begin("audio", &tones.caps(), &segment_from(0));
        items.extend(tones.buffers().into_iter().map(Item::from));
        items.push(end());
        items
    };
    let from = |start_ms: u64, frames: u64| {
        let pictures = Pictures {
            start_ns: start_ms * MS,
            ..Pictures::at(25, 1)
        };
        let mut items = begin("video", &pictures.caps(), &segment_from(0));
        items.extend((0..frames).map(|index| pictures.frame(index).into()));
        items.push(end());
        items
    };
    let mut sentences = begin("audio", &sound(0, 1).caps(), &segment_from(0));
    for at_ms in [0, 8_000, 16_000, 24_000] {
        let buffers = sound(at_ms, at_ms + 300).buffers();
        sentences.extend(buffers.into_iter().map(Item::from));
    }
    sentences.push(end());
    vec![
        ("slides every 8 s", slides(8), whole(&sound(0, 41_000))),
        ("slides every 30 s", slides(30), whole(&sound(0, 151_000))),
        ("a sentence every 8 s", from(0, 625), sentences),
        (
            "sound from 10 s on",
            from(0, 400),
            whole(&sound(10_000, 17_000)),
        ),
        ("sound up to 4 s", from(0, 400), whole(&sound(0, 4_000))),
        (
            "frames from 10 s on",
            from(10_000, 150),
            whole(&sound(0, 17_000)),
        ),
        ("frames up to 4 s", from(0, 100), whole(&sound(0, 17_000))),
    ]
}

/// Puts what says that a stream has ended behind everything else.
fn ends_last(mut items: Vec<(bool, Item)>) -> Vec<(bool, Item)> {
    let is_end =
        |item: &Item| matches!(item, Item::Event(event) if event.type_() == gst::EventType::Eos);
    items.sort_by_key(|(_, item)| is_end(item));
    items
}

fn count_buffers(items: &[Item]) -> usize {
    items
        .iter()
        .filter(|item| matches!(item, Item::Buffer(_)))
        .count()
}

#[test]
fn long_pauses_in_one_input_do_not_stop_the_bin() {
    for (pause, video, audio) in pauses() {
        let around = Around::new(FILE);
        around.play();
        let counts = (count_buffers(&video), count_buffers(&audio));
        let items = ends_last(interleaved(video, audio, 0));
        let feeding = feed_both(around.source("video"), around.source("audio"), items);
        let came = (
            until_eos(&around.video).len(),
            until_eos(&around.audio).len(),
        );
        assert_eq!(came, counts, "{pause}");
        feeding.join().unwrap();
        assert!(around.warnings().is_empty(), "{pause}");
    }
}

#[test]
fn a_mouth_may_move_10_s_earlier_or_later_than_its_sound() {
    for offset_ms in [-10_000, 10_000] {
        let around = Around::new(FILE);
        around
            .bin
            .set_property("sync-offset", offset_ms * MS as i64);
        around.play();
        let (pictures, tones) = (Pictures::at(25, 1), Tones::silent(20_000 * MS));
        let items = interleaved(pictures.stream(500), tones.stream(), 0);
        let feeding = feed_both(around.source("video"), around.source("audio"), items);
        let came = (
            until_eos(&around.video).len(),
            until_eos(&around.audio).len(),
        );
        assert_eq!(came, (500, tones.buffers().len()), "{offset_ms} ms");
        feeding.join().unwrap();
    }
}

/// As behind a muxer, which takes neither before it has the other.
#[test]
fn a_full_input_is_told_of_with_the_property_that_lets_it_grow() {
    let around = Around::new(FILE);
    around.bin.set_property("max-size-bytes", 20u32 << 10);
    around.play();
    let pictures = Pictures::at(25, 1);
    let tones = Tones {
        start_ns: 4_000 * MS,
        ..Tones::silent(1_000 * MS)
    };
    let mut audio = begin("audio", &tones.caps(), &segment_from(0));
    audio.extend(tones.buffers().into_iter().map(Item::from));
    audio.push(end());
    let items = interleaved(pictures.stream(150), audio, 0);
    let feeding = feed_both(around.source("video"), around.source("audio"), items);
    let warning = next_warning(&around.bus);
    assert!(warning.contains("max-size-bytes=20480"), "{warning}");
    assert!(warning.contains("`video_sink`"), "{warning}");
    // Set higher while it stands still, it goes on.
    around.bin.set_property("max-size-bytes", 20u32 << 20);
    assert_eq!(until_eos(&around.video).len(), 150);
    feeding.join().unwrap();
}

fn next_warning(bus: &gst::Bus) -> String {
    let patience = gst::ClockTime::try_from(PATIENCE).unwrap();
    let message = bus.timed_pop_filtered(patience, &[gst::MessageType::Warning]);
    match message.expect("there is a warning").view() {
        gst::MessageView::Warning(warning) => warning.error().to_string(),
        _ => unreachable!("only warnings were asked for"),
    }
}
