//! Sound and picture belong together: the alignment at all frame rates and segments, and the pace
//! of a live pipeline under a clock that the test turns.

use std::time::Duration;

use crate::{
    common::*,
    live_source::{CHUNK_MS, LIVE, LIVE_LATENCY, Live},
};
use gst::prelude::*;

/// Rates of television and the web.
const RATES: [(i32, i32); 8] = [
    (24_000, 1001),
    (24, 1),
    (25, 1),
    (30_000, 1001),
    (30, 1),
    (50, 1),
    (60_000, 1001),
    (60, 1),
];

/// A tone of this length about a frame's time.
const TONE_NS: u64 = 100 * MS;

/// When the brightness of the painted square has its centre, as running time of the frames.
fn centre_of_brightness(frames: &[gst::Buffer], running_ns: impl Fn(&gst::Buffer) -> i64) -> f64 {
    let (mut sum, mut weights) = (0.0, 0.0);
    for frame in frames {
        let weight = f64::from(shown(frame));
        sum += weight * running_ns(frame) as f64;
        weights += weight;
    }
    assert!(weights > 0.0, "the tone is not seen at all");
    sum / weights
}

/// A tone about the time of one frame lights up the square about that frame: within half a frame.
fn assert_aligned(
    rig: &Rig,
    pictures: &Pictures,
    video: Vec<Item>,
    tones: &Tones,
    flash: u64,
    offset_ns: i64,
) {
    rig.element.set_property("sync-offset", offset_ns);
    rig.play();
    let feeding = rig.feed(video, tones.stream());
    let frames = rig.frames_until_eos();
    feeding.join();
    let start_ns = pictures.start_ns as i64;
    let seen = centre_of_brightness(&frames, |frame| {
        frame.pts().unwrap().nseconds() as i64 - start_ns
    });
    let expected = (pictures.time_ns(flash) as i64 + offset_ns) as f64;
    let half_a_frame = pictures.time_ns(1) as f64 / 2.0;
    assert!(
        (seen - expected).abs() <= half_a_frame,
        "{:?}, offset {offset_ns} ns: {:.1} ms off, half a frame is {:.1} ms",
        pictures.fps,
        (seen - expected) / 1e6,
        half_a_frame / 1e6
    );
    assert_eq!(rig.stat("frames-late"), 0);
}

/// The frame nearest to 1 s, and a tone about its time.
fn flash_and_tone(pictures: &Pictures, start_ns: u64) -> (u64, Tones) {
    let flash = 1_000_000_000 / pictures.time_ns(1);
    let at = pictures.time_ns(flash);
    let tone = at - TONE_NS / 2..at + TONE_NS / 2;
    let tones = Tones {
        start_ns,
        ..Tones::of(2_500 * MS, tone)
    };
    (flash, tones)
}

fn frames_of_two_seconds(pictures: &Pictures) -> u64 {
    2_000_000_000 / pictures.time_ns(1)
}

#[test]
fn flash_and_beep_come_together_at_every_rate_and_offset() {
    for (numer, denom) in RATES {
        let pictures = Pictures::at(numer, denom);
        let (flash, tones) = flash_and_tone(&pictures, 0);
        for offset_ms in [0, 120, -120] {
            let rig = Rig::stopped(element(), FILE, true);
            let video = pictures.stream(frames_of_two_seconds(&pictures));
            assert_aligned(&rig, &pictures, video, &tones, flash, offset_ms * MS as i64);
        }
    }
}

#[test]
fn flash_and_beep_come_together_in_segments_that_start_elsewhere() {
    for (numer, denom) in [(25, 1), (30_000, 1001), (60, 1)] {
        for (video_start, audio_start) in [
            (10_000 * MS, 10_000 * MS),
            (3_600_000 * MS, 0),
            (0, 77_777 * MS),
        ] {
            let pictures = Pictures {
                start_ns: video_start,
                ..Pictures::at(numer, denom)
            };
            let (flash, tones) = flash_and_tone(&pictures, audio_start);
            let rig = Rig::stopped(element(), FILE, true);
            let video = pictures.stream(frames_of_two_seconds(&pictures));
            assert_aligned(&rig, &pictures, video, &tones, flash, 0);
        }
    }
}

#[test]
fn flash_and_beep_come_together_at_a_variable_rate() {
    // 0/1 in the caps, frames of 20, 40 and 60 ms without duration.
    let pictures = Pictures::at(25, 1);
    let caps = gst_video::VideoInfo::builder(gst_video::VideoFormat::Gray8, 32, 32)
        .fps(gst::Fraction::new(0, 1))
        .build()
        .unwrap()
        .to_caps()
        .unwrap();
    let mut video = begin("video", &caps, &segment_from(0));
    let mut at = 0;
    for index in 0..50u64 {
        let mut buffer = pictures.frame(index);
        let writable = buffer.make_mut();
        writable.set_pts(gst::ClockTime::from_nseconds(at));
        writable.set_duration(gst::ClockTime::NONE);
        video.push(buffer.into());
        at += [20, 40, 60][(index % 3) as usize] * MS;
    }
    video.push(end());
    let (flash, tones) = flash_and_tone(&pictures, 0);
    let rig = Rig::stopped(element(), FILE, true);
    rig.play();
    let feeding = rig.feed(video, tones.stream());
    let frames = rig.frames_until_eos();
    feeding.join();
    assert_eq!(frames.len(), 50);
    assert!(frames.iter().all(|frame| frame.duration().is_none()));
    // Each frame shows the sound of its own time.
    let expected = pictures.time_ns(flash);
    for frame in &frames {
        let distance = frame.pts().unwrap().nseconds().abs_diff(expected);
        let brightness = shown(frame);
        if distance + 25 * MS < TONE_NS / 2 {
            assert!(brightness > 150, "{distance} ns away: {brightness}");
        } else if distance > TONE_NS / 2 + 50 * MS {
            assert!(brightness < 50, "{distance} ns away: {brightness}");
        }
    }
}

#[test]
fn frames_before_the_segment_hear_what_came_before_it() {
    // The video's segment starts 400 ms after its first frame, the sound's does not.
    let pictures = Pictures::at(25, 1);
    let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
    segment.set_start(400 * gst::ClockTime::MSECOND);
    let mut video = begin("video", &pictures.caps(), &segment.upcast());
    video.extend((0..50).map(|index| Item::from(pictures.frame(index))));
    video.push(end());
    // Running time 600 ms is PTS 1000 ms, frame 25.
    let tones = Tones::of(2_500 * MS, 550 * MS..650 * MS);
    let rig = Rig::new();
    let feeding = rig.feed(video, tones.stream());
    let frames = rig.frames_until_eos();
    feeding.join();
    assert_eq!(frames.len(), 50, "also those before the segment");
    let seen = centre_of_brightness(&frames, |frame| frame.pts().unwrap().nseconds() as i64);
    assert!((seen / 1e6 - 1000.0).abs() < 20.0, "{} ms", seen / 1e6);
}

#[test]
fn frames_without_timestamp_are_not_lost() {
    let pictures = Pictures::at(25, 1);
    let mut video = begin("video", &pictures.caps(), &segment_from(0));
    for index in 0..50 {
        let mut buffer = pictures.frame(index);
        if index % 3 > 0 {
            buffer.make_mut().set_pts(gst::ClockTime::NONE);
        }
        video.push(buffer.into());
    }
    video.push(end());
    let (flash, tones) = flash_and_tone(&pictures, 0);
    let rig = Rig::new();
    let feeding = rig.feed(video, tones.stream());
    let frames = rig.frames_until_eos();
    feeding.join();
    assert_eq!(frames.len(), 50);
    let brightest = (0..50).max_by_key(|&index| shown(&frames[index])).unwrap();
    assert!((brightest as i64 - flash as i64).abs() <= 1, "{brightest}");
}

#[test]
fn the_latency_is_look_ahead_and_resampling_and_work() {
    let live = Live::new();
    // The caps of the sound have been seen once its first buffer was taken.
    live.push_frame(0);
    live.push_sound(0);
    live.settle();
    let (is_live, min, max) = live.latency();
    assert!(is_live);
    assert_eq!(max, None, "upstream may be held up as long as it likes");
    let own = min - LIVE_LATENCY;
    let without_resampling =
        gst::ClockTime::from_nseconds(LOOK_AHEAD_NS as u64) + 40 * gst::ClockTime::MSECOND;
    assert!(own >= without_resampling, "{own}");
    assert!(
        own < without_resampling + 20 * gst::ClockTime::MSECOND,
        "{own}"
    );

    live.rig
        .element
        .set_property("processing-deadline", 90 * MS);
    assert_eq!(live.latency().1, min + 50 * gst::ClockTime::MSECOND);
    live.rig
        .element
        .set_property("sync-offset", 100 * MS as i64);
    assert_eq!(
        live.latency().1,
        min + 50 * gst::ClockTime::MSECOND,
        "a mouth that moves later needs no more sound"
    );
    live.rig
        .element
        .set_property("sync-offset", -(100 * MS as i64));
    assert_eq!(live.latency().1, min + 150 * gst::ClockTime::MSECOND);
    assert!(
        live.rig
            .bus
            .pop_filtered(&[gst::MessageType::Latency])
            .is_some(),
        "the pipeline is told"
    );
}

#[test]
fn without_sound_there_is_only_the_time_for_work() {
    let rig = Rig::stopped(element(), LIVE, false);
    rig.play();
    let mut query = gst::query::Latency::new();
    assert!(rig.sink.peer_query(&mut query));
    assert_eq!(
        query.result().1,
        LIVE_LATENCY + 40 * gst::ClockTime::MSECOND
    );
}

#[test]
fn a_live_frame_leaves_as_soon_as_its_sound_is_there_and_before_its_deadline() {
    let live = Live::new();
    let mut frames = 0;
    let mut expected = 0;
    for now_ms in (0..2_000).step_by(CHUNK_MS as usize) {
        live.set_time(now_ms);
        if now_ms % 40 == 0 {
            live.push_frame(now_ms / 40);
        }
        if now_ms > 0 {
            live.push_sound(now_ms / CHUNK_MS - 1);
        }
        live.settle();
        // The clock stands while the element works. By its own account of the latency, frames of
        // this time leave now or before.
        let (_, latency, _) = live.latency();
        let work = 40;
        while expected * 40 + latency.mseconds() - work <= now_ms {
            let buffer = live.frame();
            assert_eq!(buffer.offset(), expected);
            assert!(now_ms <= expected * 40 + latency.mseconds(), "late");
            expected += 1;
        }
        frames = now_ms / 40 + 1;
    }
    assert!(expected >= frames - 8, "{expected} of {frames} frames");
    assert_eq!(live.rig.stat("frames-late"), 0);
}

/// Found by `fuzz/fuzz_targets/pairing.rs`.
#[test]
fn a_live_frame_of_another_age_holds_nothing_up() {
    let rig = Rig::stopped(element(), LIVE, true);
    let clock = gst::SystemClock::obtain();
    rig.element.set_clock(Some(&clock)).unwrap();
    // The furthest that the clock takes for the future at all.
    let began = clock.time() - 60 * gst::ClockTime::SECOND;
    rig.element.set_base_time(began);
    rig.element.set_property("sync-offset", -9_000_000_000i64);
    rig.play();
    let pictures = Pictures::at(25, 1);
    let mut video = begin("video", &pictures.caps(), &segment_from(0));
    let mut frame = pictures.frame(0);
    let pts = gst::ClockTime::from_nseconds(9_507_110_955_440_023_516);
    frame.make_mut().set_pts(pts);
    video.extend([frame.into(), end()]);
    let caps = Tones::silent(0).caps();
    let feeding = rig.feed(video, begin("audio", &caps, &segment_from(0)));
    // Long enough for the element to wait for the sound of that frame.
    std::thread::sleep(Duration::from_millis(300));
    let ending = feed(rig.audio.as_ref().unwrap(), vec![end()]);
    assert_eq!(rig.frames_until_eos().len(), 1);
    feeding.join();
    ending.join().unwrap();
}

#[test]
fn a_live_frame_whose_sound_does_not_come_leaves_at_its_deadline() {
    let live = Live::new();
    // The sound ends after 600 ms, when frames 0 to 9 have heard all of theirs.
    for now_ms in (0..960).step_by(CHUNK_MS as usize) {
        live.set_time(now_ms);
        if now_ms % 40 == 0 {
            live.push_frame(now_ms / 40);
        }
        if (1..=600).contains(&now_ms) {
            live.push_sound(now_ms / CHUNK_MS - 1);
        }
        live.settle();
    }
    let (_, latency, _) = live.latency();
    let mut index = 0;
    while let Some(buffer) = live.try_frame(Duration::from_millis(200)) {
        assert_eq!(buffer.offset(), index);
        index += 1;
    }
    let early = index;
    assert!((10..20).contains(&early), "{early} frames have left");
    for index in early..24 {
        // Half of the time for work is left then.
        let leaves =
            gst::ClockTime::from_mseconds(index * 40) + latency - 20 * gst::ClockTime::MSECOND;
        live.clock.set_time(leaves - gst::ClockTime::MSECOND);
        assert!(
            live.try_frame(Duration::from_millis(20)).is_none(),
            "frame {index} left early"
        );
        live.clock.set_time(leaves);
        assert_eq!(live.frame().offset(), index);
    }
    assert!(live.rig.stat("frames-late") >= 24 - early);
}

#[test]
fn events_keep_their_place_among_live_frames_that_wait() {
    let live = Live::new();
    live.rig.element.set_property("tag-altered", false);
    let larger = Pictures {
        width: 64,
        height: 48,
        ..live.pictures.clone()
    };
    let mut outs = Vec::new();
    for now_ms in (0..1_500).step_by(CHUNK_MS as usize) {
        live.set_time(now_ms);
        let index = now_ms / 40;
        if now_ms == 400 {
            live.video.push(gst::event::Caps::new(&larger.caps()));
            live.video.push(gst::event::Tag::new(gst::TagList::new()));
        }
        if now_ms % 40 == 0 {
            live.video.push(match index {
                0..10 => live.pictures.frame(index),
                _ => larger.frame(index),
            });
        }
        if now_ms > 0 {
            live.push_sound(now_ms / CHUNK_MS - 1);
        }
        live.settle();
        outs.extend(std::iter::from_fn(|| {
            live.rig.try_next(Duration::from_millis(1))
        }));
    }
    let mut size = 0;
    let mut frames = 0;
    for out in &outs {
        match out {
            Out::Event(event) => match event.view() {
                gst::EventView::Caps(caps) => {
                    size = gst_video::VideoInfo::from_caps(caps.caps()).unwrap().size();
                }
                gst::EventView::Tag(_) => assert_eq!(frames, 10, "the tag keeps its place"),
                _ => (),
            },
            Out::Buffer(buffer) => {
                assert_eq!(buffer.offset(), frames);
                assert_eq!(buffer.size(), size, "frame {frames}");
                frames += 1;
            }
        }
    }
    assert!(frames > 20, "{frames} frames");
    assert_eq!(events(&outs, gst::EventType::Tag).len(), 1);
    assert_eq!(live.rig.stat("frames-error"), 0);
}

#[test]
fn sound_that_comes_late_is_heard_from_then_on() {
    let live = Live::new();
    let mut last = None;
    let mut received = 0;
    // The sound stops for half a second and then arrives all at once.
    for now_ms in (0..2_000).step_by(CHUNK_MS as usize) {
        live.set_time(now_ms);
        if now_ms % 40 == 0 {
            live.push_frame(now_ms / 40);
        }
        match now_ms / CHUNK_MS {
            0 | 50..100 => (),
            100 => (49..100).for_each(|chunk| live.push_sound(chunk)),
            chunk => live.push_sound(chunk - 1),
        }
        live.settle();
        while let Some(buffer) = live.try_frame(Duration::from_millis(2)) {
            received += 1;
            last = Some(buffer);
        }
    }
    assert!(received >= 40, "{received} frames");
    let late = live.rig.stat("frames-late");
    assert!((5..=14).contains(&late), "{late} frames were late");
    assert!(shown(&last.unwrap()) > 100, "the tone is heard again");
}

/// What a thread that waits may use of a second.
const LITTLE: Duration = Duration::from_millis(100);

#[test]
fn nothing_spins_while_a_pad_has_nothing() {
    let pictures = Pictures::at(25, 1);

    // Frames without sound.
    let rig = Rig::new();
    for item in pictures.stream(1).into_iter().take(4) {
        match item {
            Item::Buffer(buffer) => rig.video.push(buffer).map(|_| ()).unwrap(),
            Item::Event(event) => assert!(rig.video.push_event(event)),
        }
    }
    let spent = spent_in_a_second(&rig.element);
    assert!(spent < LITTLE, "frames without sound: {spent:?}");
    drop(rig);

    // Sound without frames.
    let rig = Rig::new();
    let feeding = rig.feed(Vec::new(), Tones::silent(500 * MS).stream());
    let spent = spent_in_a_second(&rig.element);
    assert!(spent < LITTLE, "sound without frames: {spent:?}");
    drop(rig);
    feeding.join();

    // Live: frames that wait, and a clock that stands.
    let live = Live::new();
    live.set_time(300);
    for index in 0..4 {
        live.push_frame(index);
    }
    live.push_sound(0);
    live.settle();
    let spent = spent_in_a_second(&live.rig.element);
    assert!(spent < LITTLE, "live: {spent:?}");

    // Live: a deadline that has long passed, without frames.
    live.set_time(60_000);
    for _ in 0..4 {
        live.frame();
    }
    let spent = spent_in_a_second(&live.rig.element);
    assert!(spent < LITTLE, "live and late: {spent:?}");
}
