//! What goes in, what comes out: timestamps, events, caps, gaps, ends and flushes, not live.

use std::time::Duration;

use crate::common::*;
use gst::prelude::*;
use gst_controller::prelude::*;

/// 2 s at 25 fps, and sound that is a little longer.
const FRAMES: u64 = 50;

fn silence() -> Tones {
    Tones::silent(2_300 * MS)
}

fn pictures() -> Pictures {
    Pictures::at(25, 1)
}

#[test]
fn frames_leave_as_they_came_but_for_their_pixels() {
    let rig = Rig::new();
    let pictures = pictures();
    let mut items = begin("video", &pictures.caps(), &segment_from(0));
    let mark = gst::Caps::new_empty_simple("timestamp/x-test");
    for index in 0..FRAMES {
        let mut buffer = pictures.frame(index);
        let writable = buffer.make_mut();
        writable.set_dts(writable.pts());
        writable.set_offset_end(1000 + index);
        if index % 2 == 1 {
            writable.set_flags(gst::BufferFlags::DISCONT | gst::BufferFlags::MARKER);
        }
        gst::ReferenceTimestampMeta::add(
            writable,
            &mark,
            gst::ClockTime::from_nseconds(index),
            gst::ClockTime::NONE,
        );
        items.push(buffer.into());
    }
    items.push(end());
    let feeding = rig.feed(items, silence().stream());
    let frames = rig.frames_until_eos();
    feeding.join();
    assert_eq!(frames.len() as u64, FRAMES);
    for (index, buffer) in (0..).zip(&frames) {
        let sent = pictures.frame(index);
        assert_eq!(buffer.pts(), sent.pts());
        assert_eq!(buffer.dts(), sent.pts());
        assert_eq!(buffer.duration(), sent.duration());
        assert_eq!(buffer.offset(), index);
        assert_eq!(buffer.offset_end(), 1000 + index);
        let marked = buffer.flags().contains(gst::BufferFlags::MARKER);
        assert_eq!(marked, index % 2 == 1);
        assert_eq!(
            buffer.flags().contains(gst::BufferFlags::DISCONT),
            index % 2 == 1
        );
        let meta = buffer.meta::<gst::ReferenceTimestampMeta>().unwrap();
        assert_eq!(meta.timestamp().nseconds(), index);
        assert_eq!(shown(buffer), 0, "silence is painted");
        assert_eq!(buffer.map_readable().unwrap()[31], index as u8);
    }
    assert_eq!(rig.stat("frames-in"), FRAMES);
    assert_eq!(rig.stat("frames-out"), FRAMES);
    assert_eq!(rig.stat("frames-late"), 0);
    // The last frame at 1.96 s has heard 200 ms more.
    assert!((103_680..=110_400).contains(&rig.stat("audio-samples-in")));
}

#[test]
fn bypass_and_strength_0_and_no_audio_pad_leave_every_byte() {
    for (name, value) in [
        ("bypass", Some(true.to_value())),
        ("strength", Some(0.0f64.to_value())),
        ("no audio", None),
    ] {
        let rig = Rig::stopped(element(), FILE, value.is_some());
        if let Some(value) = value {
            rig.element.set_property_from_value(name, &value);
        }
        rig.play();
        let tones = Tones::of(2_300 * MS, 0..2_000 * MS);
        let feeding = rig.feed(pictures().stream(FRAMES), tones.stream());
        let frames = rig.frames_until_eos();
        feeding.join();
        assert_eq!(frames.len() as u64, FRAMES, "{name}");
        for (index, buffer) in (0..).zip(&frames) {
            assert!(is_untouched(buffer, index), "{name}: frame {index}");
        }
        assert_eq!(rig.stat("frames-bypassed"), FRAMES, "{name}");
    }
}

#[test]
fn strength_follows_a_control_source() {
    let element = element();
    // Strength 0 in the first second, 1 from then on.
    let source = gst_controller::InterpolationControlSource::new();
    source.set_mode(gst_controller::InterpolationMode::None);
    assert!(source.set(gst::ClockTime::ZERO, 0.0));
    assert!(source.set(gst::ClockTime::SECOND, 1.0));
    let binding = gst_controller::DirectControlBinding::new_absolute(&element, "strength", &source);
    element.add_control_binding(&binding).unwrap();
    let rig = Rig::stopped(element, FILE, true);
    rig.play();
    let tones = Tones::of(2_300 * MS, 0..2_300 * MS);
    let feeding = rig.feed(pictures().stream(FRAMES), tones.stream());
    let frames = rig.frames_until_eos();
    feeding.join();
    for (index, buffer) in (0..).zip(&frames) {
        let bypassed = index < 25;
        assert_eq!(is_untouched(buffer, index), bypassed, "frame {index}");
    }
}

#[test]
fn all_that_may_change_on_air_follows_a_control_source() {
    let element = element();
    // Each with its values before 1 s and from then on.
    let curves = [
        ("strength", 0.25, 0.75),
        ("bypass", 0.0, 1.0),
        ("sync-offset", 40e6, -20e6),
        ("silence", 0.0, 2.0),
        ("feather", 0.125, 0.875),
        ("draw-debug", 0.0, 1.0),
    ];
    for (name, before, after) in curves {
        let source = gst_controller::InterpolationControlSource::new();
        source.set_mode(gst_controller::InterpolationMode::None);
        assert!(source.set(gst::ClockTime::ZERO, before));
        assert!(source.set(gst::ClockTime::SECOND, after));
        let binding = gst_controller::DirectControlBinding::new_absolute(&element, name, &source);
        element.add_control_binding(&binding).unwrap();
    }
    let values = |element: &gst::Element| {
        curves.map(|(name, ..)| {
            let value = element.property_value(name);
            value
                .transform::<String>()
                .unwrap()
                .get::<String>()
                .unwrap()
        })
    };
    let rig = Rig::stopped(element, FILE, true);
    rig.play();
    let mut video = pictures().stream(FRAMES);
    let rest = video.split_off(3 + 10);
    let feeding = rig.feed(video, silence().stream());
    for _ in 0..10 {
        rig.next_buffer();
    }
    let early = values(&rig.element);
    let rest = feed(&rig.video, rest);
    rig.frames_until_eos();
    rest.join().unwrap();
    feeding.join();
    let late = values(&rig.element);
    assert_eq!(early[..3], ["0.250000", "FALSE", "40000000"]);
    assert_eq!(late[..3], ["0.750000", "TRUE", "-20000000"]);
    for (index, (name, ..)) in curves.iter().enumerate() {
        assert_ne!(early[index], late[index], "{name}");
    }
}

#[test]
fn a_buffer_that_upstream_still_holds_is_not_written_to() {
    let rig = Rig::new();
    let pictures = pictures();
    let kept: Vec<_> = (0..FRAMES).map(|index| pictures.frame(index)).collect();
    let mut items = begin("video", &pictures.caps(), &segment_from(0));
    items.extend(kept.iter().map(|buffer| buffer.clone().into()));
    items.push(end());
    let feeding = rig.feed(items, silence().stream());
    let frames = rig.frames_until_eos();
    feeding.join();
    assert_eq!(frames.len(), kept.len());
    for (index, buffer) in (0..).zip(&kept) {
        assert!(is_untouched(buffer, index), "frame {index}");
    }
}

#[test]
fn a_buffer_that_nobody_else_holds_is_changed_in_place() {
    let rig = Rig::new();
    let pictures = pictures();
    let mut items = begin("video", &pictures.caps(), &segment_from(0));
    let mut memory = Vec::new();
    for index in 0..FRAMES {
        let buffer = pictures.frame(index);
        memory.push(buffer.map_readable().unwrap().as_ptr() as usize);
        items.push(buffer.into());
    }
    items.push(end());
    let feeding = rig.feed(items, silence().stream());
    let frames = rig.frames_until_eos();
    feeding.join();
    let came_out: Vec<_> = frames
        .iter()
        .map(|buffer| buffer.map_readable().unwrap().as_ptr() as usize)
        .collect();
    assert_eq!(came_out, memory);
}

#[test]
fn the_stream_is_named_after_the_video_and_its_tags_go_on() {
    let rig = Rig::new();
    let pictures = pictures();
    let tag = |title: &str| -> Item {
        let mut tags = gst::TagList::new();
        tags.make_mut()
            .add::<gst::tags::Title>(&title, gst::TagMergeMode::Append);
        gst::event::Tag::new(tags).into()
    };
    let mut video = begin("the-video", &pictures.caps(), &segment_from(0));
    video.push(tag("first"));
    for index in 0..FRAMES {
        if index == 30 {
            video.push(tag("second"));
        }
        video.push(pictures.frame(index).into());
    }
    video.push(end());
    let mut audio = silence().stream();
    audio.insert(3, tag("of the sound"));
    let feeding = rig.feed(video, audio);
    let outs = rig.until_eos();
    feeding.join();

    let starts = events(&outs, gst::EventType::StreamStart);
    assert_eq!(starts.len(), 1);
    assert_eq!(
        starts[0].structure().unwrap().get::<&str>("stream-id"),
        Ok("the-video")
    );
    let kinds: Vec<_> = outs
        .iter()
        .map(|out| match out {
            Out::Event(event) => event.type_().to_string(),
            Out::Buffer(_) => "buffer".into(),
        })
        .collect();
    let first = |kind: &str| kinds.iter().position(|other| other == kind).unwrap();
    assert!(first("stream-start") < first("caps"));
    assert!(first("caps") < first("segment"));
    assert!(first("segment") < first("buffer"));

    let titles: Vec<_> = events(&outs, gst::EventType::Tag)
        .into_iter()
        .map(|event| match event.view() {
            gst::EventView::Tag(tag) => {
                let title = tag.tag().get::<gst::tags::Title>();
                title.unwrap().get().to_owned()
            }
            _ => unreachable!(),
        })
        .collect();
    assert_eq!(titles, ["first", "second"]);
    let second = outs
        .iter()
        .rposition(|out| matches!(out, Out::Event(event) if event.type_() == gst::EventType::Tag))
        .unwrap();
    let before = outs[..second]
        .iter()
        .filter(|out| matches!(out, Out::Buffer(_)))
        .count();
    assert_eq!(before, 30, "the tag keeps its place");
}

#[test]
fn caps_that_change_in_mid_stream_change_before_their_own_frame() {
    let rig = Rig::new();
    let kinds = [
        pictures(),
        Pictures {
            width: 64,
            height: 48,
            ..pictures()
        },
        Pictures {
            format: gst_video::VideoFormat::I420,
            ..pictures()
        },
        Pictures {
            format: gst_video::VideoFormat::Rgb,
            width: 7,
            height: 5,
            ..Pictures::at(50, 1)
        },
    ];
    let mut video = begin("video", &kinds[0].caps(), &segment_from(0));
    for index in 0..FRAMES {
        let kind = &kinds[(index / 13) as usize];
        if index % 13 == 0 && index > 0 {
            video.push(gst::event::Caps::new(&kind.caps()).into());
        }
        let mut buffer = kind.frame(index);
        let writable = buffer.make_mut();
        writable.set_pts(gst::ClockTime::from_nseconds(pictures().time_ns(index)));
        video.push(buffer.into());
    }
    video.push(end());
    let feeding = rig.feed(video, silence().stream());
    let outs = rig.until_eos();
    feeding.join();
    let mut caps = None;
    let mut frames = 0;
    for out in &outs {
        match out {
            Out::Event(event) => {
                if let gst::EventView::Caps(event) = event.view() {
                    caps = Some(event.caps_owned());
                }
            }
            Out::Buffer(buffer) => {
                let kind = &kinds[frames / 13];
                assert_eq!(caps, Some(kind.caps()), "frame {frames}");
                assert_eq!(buffer.size(), kind.info().size(), "frame {frames}");
                frames += 1;
            }
        }
    }
    assert_eq!(frames as u64, FRAMES);
    assert_eq!(rig.stat("frames-error"), 0);
}

#[test]
fn sound_that_changes_rate_and_channels_in_mid_stream_is_heard_on() {
    let rig = Rig::new();
    let tone = 1_460 * MS..1_540 * MS;
    let first = Tones::silent(1_000 * MS);
    let second = Tones {
        rate: 22_050,
        channels: 1,
        start_ns: 1_000 * MS,
        length_ns: 1_300 * MS,
        tone: 460 * MS..540 * MS,
        ..first.clone()
    };
    let mut audio = begin("audio", &first.caps(), &segment_from(0));
    audio.extend(first.buffers().into_iter().map(Item::from));
    audio.push(gst::event::Caps::new(&second.caps()).into());
    audio.extend(second.buffers().into_iter().map(Item::from));
    audio.push(end());
    let feeding = rig.feed(pictures().stream(FRAMES), audio);
    let frames = rig.frames_until_eos();
    feeding.join();
    let brightest = (0..FRAMES)
        .max_by_key(|&index| shown(&frames[index as usize]))
        .unwrap();
    assert!(tone.contains(&pictures().time_ns(brightest)), "{brightest}");
    let before = frames[..30].iter().map(shown).max().unwrap();
    assert!(before < shown(&frames[brightest as usize]) / 4);
}

#[test]
fn a_gap_in_the_sound_is_silence_and_does_not_stop_the_frames() {
    for duration in [Some(1_000 * MS), None] {
        let rig = Rig::new();
        let first = Tones::silent(500 * MS);
        let second = Tones {
            start_ns: 1_500 * MS,
            length_ns: 800 * MS,
            ..first.clone()
        };
        let mut audio = begin("audio", &first.caps(), &segment_from(0));
        audio.extend(first.buffers().into_iter().map(Item::from));
        let gap = gst::event::Gap::builder(gst::ClockTime::from_mseconds(500))
            .duration(duration.map(gst::ClockTime::from_nseconds));
        audio.push(gap.build().into());
        audio.extend(second.buffers().into_iter().map(Item::from));
        audio.push(end());
        let feeding = rig.feed(pictures().stream(FRAMES), audio);
        let frames = rig.frames_until_eos();
        feeding.join();
        assert_eq!(frames.len() as u64, FRAMES, "{duration:?}");
        assert!(frames.iter().all(|buffer| shown(buffer) == 0));
        assert_eq!(rig.stat("audio-gaps"), 1);
    }
}

#[test]
fn only_gaps_where_sound_should_be_let_all_frames_through() {
    let rig = Rig::new();
    let mut audio = begin("audio", &silence().caps(), &segment_from(0));
    for index in 0..23 {
        let gap = gst::event::Gap::builder(index * 100 * gst::ClockTime::MSECOND)
            .duration(100 * gst::ClockTime::MSECOND);
        audio.push(gap.build().into());
    }
    audio.push(end());
    let feeding = rig.feed(pictures().stream(FRAMES), audio);
    assert_eq!(rig.frames_until_eos().len() as u64, FRAMES);
    feeding.join();
}

#[test]
fn a_gap_in_the_video_goes_on_as_a_gap() {
    let rig = Rig::new();
    let pictures = pictures();
    let mut video = begin("video", &pictures.caps(), &segment_from(0));
    for index in 0..FRAMES {
        if (20..30).contains(&index) {
            let gap = gst::event::Gap::builder(pictures.frame(index).pts().unwrap())
                .duration(pictures.frame(index).duration());
            video.push(gap.build().into());
        } else {
            video.push(pictures.frame(index).into());
        }
    }
    video.push(end());
    let feeding = rig.feed(video, silence().stream());
    let outs = rig.until_eos();
    feeding.join();
    assert_eq!(events(&outs, gst::EventType::Gap).len(), 10);
    assert_eq!(buffers(outs).len() as u64, FRAMES - 10);
}

#[test]
fn sound_that_ends_first_is_followed_by_silence() {
    let rig = Rig::new();
    let tones = Tones::of(1_000 * MS, 0..1_000 * MS);
    let feeding = rig.feed(pictures().stream(FRAMES), tones.stream());
    let frames = rig.frames_until_eos();
    feeding.join();
    assert_eq!(frames.len() as u64, FRAMES);
    assert!(shown(&frames[12]) > 100);
    assert!(frames[27..].iter().all(|buffer| shown(buffer) == 0));
}

#[test]
fn video_that_ends_first_ends_the_stream() {
    let rig = Rig::new();
    let mut sound = Tones::silent(60_000 * MS).stream();
    sound.pop();
    let feeding = rig.feed(pictures().stream(FRAMES), sound);
    assert_eq!(rig.frames_until_eos().len() as u64, FRAMES);
    // The sound goes on, and nobody is held up by it.
    let flows = feeding.join();
    assert!(flows[1].iter().all(Result::is_ok));
    let audio = rig.audio.as_ref().unwrap();
    audio.push_event(gst::event::Eos::new());
    assert!(rig.try_next(Duration::from_millis(100)).is_none());
}

#[test]
fn streams_of_one_frame_and_of_none_end() {
    for count in [0, 1] {
        for length_ns in [0, 10 * MS, 500 * MS] {
            for with_audio in [true, false] {
                let rig = Rig::stopped(element(), FILE, with_audio);
                rig.play();
                let feeding = rig.feed(pictures().stream(count), Tones::silent(length_ns).stream());
                assert_eq!(
                    rig.frames_until_eos().len() as u64,
                    count,
                    "{length_ns} ns of sound, {with_audio}"
                );
                feeding.join();
            }
        }
    }
}

#[test]
fn both_pads_may_end_before_anything_else() {
    let rig = Rig::new();
    let feeding = rig.feed(vec![end()], vec![end()]);
    assert!(rig.frames_until_eos().is_empty());
    feeding.join();
}

/// Found by `fuzz/fuzz_targets/pairing.rs`.
#[test]
fn a_frame_at_the_end_of_time_goes_through() {
    let rig = Rig::without_audio();
    let pictures = Pictures::at(25, 1);
    let mut video = begin("video", &pictures.caps(), &segment_from(0));
    let mut frame = pictures.frame(0);
    frame.make_mut().set_pts(gst::ClockTime::MAX);
    video.extend([frame.into(), end()]);
    let feeding = rig.feed(video, Vec::new());
    assert_eq!(rig.frames_until_eos().len(), 1);
    feeding.join();
    assert!(rig.errors().is_empty());
}

#[test]
fn tiny_pictures_go_through() {
    for format in [
        gst_video::VideoFormat::I420,
        gst_video::VideoFormat::Nv12,
        gst_video::VideoFormat::Y42b,
        gst_video::VideoFormat::Rgb,
        gst_video::VideoFormat::Xbgr,
    ] {
        for (width, height) in [(1, 1), (7, 5), (1, 9), (9, 1)] {
            let rig = Rig::new();
            let pictures = Pictures {
                format,
                width,
                height,
                ..pictures()
            };
            let feeding = rig.feed(pictures.stream(5), Tones::silent(500 * MS).stream());
            let frames = rig.frames_until_eos();
            feeding.join();
            assert_eq!(frames.len(), 5, "{format:?} {width}x{height}");
            assert_eq!(rig.stat("frames-error"), 0);
        }
    }
}

#[test]
fn buffers_of_no_length_do_no_harm() {
    let rig = Rig::new();
    let pictures = pictures();
    let empty = |pts: gst::ClockTime| {
        let mut buffer = gst::Buffer::new();
        buffer.make_mut().set_pts(pts);
        buffer
    };
    let mut video = begin("video", &pictures.caps(), &segment_from(0));
    let mut audio = begin("audio", &silence().caps(), &segment_from(0));
    for index in 0..FRAMES {
        let frame = pictures.frame(index);
        video.push(match index % 5 {
            4 => empty(frame.pts().unwrap()).into(),
            _ => frame.into(),
        });
    }
    video.push(end());
    for buffer in silence().buffers() {
        audio.push(empty(buffer.pts().unwrap()).into());
        audio.push(buffer.into());
    }
    audio.push(end());
    let feeding = rig.feed(video, audio);
    let frames = rig.frames_until_eos();
    feeding.join();
    assert_eq!(frames.len() as u64, FRAMES);
    assert_eq!(rig.stat("frames-error"), FRAMES / 5);
    assert_eq!(rig.errors(), [""; 0]);
}

#[test]
fn sound_that_is_no_number_or_far_too_loud_does_no_harm() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30] {
        let rig = Rig::new();
        let mut audio = begin("audio", &silence().caps(), &segment_from(0));
        for mut buffer in silence().buffers() {
            let writable = buffer.make_mut();
            let mut map = writable.map_writable().unwrap();
            for sample in map.chunks_exact_mut(4) {
                sample.copy_from_slice(&value.to_le_bytes());
            }
            drop(map);
            audio.push(buffer.into());
        }
        audio.push(end());
        let feeding = rig.feed(pictures().stream(FRAMES), audio);
        assert_eq!(rig.frames_until_eos().len() as u64, FRAMES, "{value}");
        feeding.join();
        assert_eq!(rig.stat("frames-error"), 0, "{value}");
    }
}

#[test]
fn sound_without_rate_is_refused() {
    let rig = Rig::new();
    let caps = gst::Caps::builder("audio/x-raw")
        .field("format", "F32LE")
        .field("layout", "interleaved")
        .field("channels", 2)
        .build();
    let audio = rig.audio.as_ref().unwrap();
    audio.push_event(gst::event::StreamStart::new("audio"));
    audio.push_event(gst::event::Caps::new(&caps));
    audio.push_event(gst::event::Segment::new(&segment_from(0)));
    assert_eq!(
        audio.push(silence().buffers().remove(0)),
        Err(gst::FlowError::NotNegotiated)
    );
    assert!(!audio.peer_query_accept_caps(&caps));
    let low = gst::Caps::builder("audio/x-raw")
        .field("format", "F32LE")
        .field("layout", "interleaved")
        .field("channels", 2)
        .field("rate", 400)
        .build();
    assert!(!audio.peer_query_accept_caps(&low));
}

#[test]
fn a_segment_that_counts_bytes_is_refused() {
    let rig = Rig::new();
    let pictures = pictures();
    let bytes = gst::FormattedSegment::<gst::format::Bytes>::new().upcast();
    let mut video = begin("video", &pictures.caps(), &bytes);
    video.push(pictures.frame(0).into());
    let feeding = rig.feed(video, silence().stream());
    let deadline = std::time::Instant::now() + PATIENCE;
    let mut errors = Vec::new();
    while errors.is_empty() {
        assert!(std::time::Instant::now() < deadline, "no error is posted");
        std::thread::sleep(std::time::Duration::from_millis(5));
        errors = rig.errors();
    }
    feeding.join();
    assert!(errors[0].contains("video"), "{errors:?}");
}

#[test]
fn an_audio_pad_that_is_given_back_is_freed() {
    let element = element();
    let pad = element.request_pad_simple("audio").unwrap();
    let weak = pad.downgrade();
    element.release_request_pad(&pad);
    drop(pad);
    assert!(weak.upgrade().is_none());
}

#[test]
fn there_is_one_audio_pad_at_most() {
    let rig = Rig::new();
    let template = rig.element.pad_template("audio").unwrap();
    assert!(rig.element.request_pad(&template, None, None).is_none());
    assert_eq!(rig.element.num_sink_pads(), 2);
}

#[test]
fn sound_may_come_and_go_while_frames_flow() {
    let mut rig = Rig::without_audio();
    let pictures = pictures();
    let video = rig.video.clone();
    let push = |items: Vec<Item>| {
        for item in items {
            match item {
                Item::Buffer(buffer) => {
                    video.push(buffer).unwrap();
                }
                Item::Event(event) => assert!(video.push_event(event)),
            }
        }
    };
    push(begin("video", &pictures.caps(), &segment_from(0)));
    push(vec![pictures.frame(0).into()]);
    assert!(is_untouched(&rig.next_buffer(), 0));
    for round in 0..20u64 {
        rig.add_audio(FILE);
        let tones = Tones {
            start_ns: (2 * round + 1) * 40 * MS,
            ..Tones::silent(400 * MS)
        };
        let audio = rig.audio.clone().unwrap();
        let feeding = {
            let items = tones.stream();
            std::thread::spawn(move || {
                for item in items {
                    match item {
                        Item::Buffer(buffer) => {
                            let _ = audio.push(buffer);
                        }
                        Item::Event(event) => {
                            audio.push_event(event);
                        }
                    }
                }
            })
        };
        push(vec![pictures.frame(2 * round + 1).into()]);
        assert_eq!(shown(&rig.next_buffer()), 0, "heard in round {round}");
        rig.remove_audio();
        feeding.join().unwrap();
        push(vec![pictures.frame(2 * round + 2).into()]);
        assert!(
            is_untouched(&rig.next_buffer(), 2 * round + 2),
            "round {round}"
        );
    }
}

#[test]
fn a_flush_of_both_pads_starts_anew() {
    let rig = Rig::new();
    for round in 0..10 {
        let tones = Tones::of(2_300 * MS, 0..2_300 * MS);
        // Only a part of the sound: frames are left waiting when the flush comes.
        let mut audio = tones.stream();
        if round % 2 == 0 {
            audio.truncate(40);
        }
        let mut video = pictures().stream(FRAMES);
        video.pop();
        let feeding = rig.feed(video, audio);
        assert!(shown(&rig.next_buffer()) > 0, "round {round}");
        let seqnum = gst::Seqnum::next();
        for pad in [&rig.video, rig.audio.as_ref().unwrap()] {
            assert!(pad.push_event(gst::event::FlushStart::builder().seqnum(seqnum).build()));
        }
        feeding.join();
        for pad in [&rig.video, rig.audio.as_ref().unwrap()] {
            let stop = gst::event::FlushStop::builder(true).seqnum(seqnum);
            assert!(pad.push_event(stop.build()));
        }
        let stopped = |out: &Out| matches!(out, Out::Event(event) if event.type_() == gst::EventType::FlushStop);
        while !stopped(&rig.next()) {}
    }
    let feeding = rig.feed(pictures().stream(FRAMES), silence().stream());
    let frames = rig.frames_until_eos();
    feeding.join();
    assert_eq!(frames.len() as u64, FRAMES, "nothing is left over");
    assert!(frames.iter().all(|buffer| shown(buffer) == 0));
}

#[test]
fn a_flush_of_one_pad_forgets_that_pad_only() {
    let flush = |pad: &gst::Pad, feeding: Feeding| {
        let seqnum = gst::Seqnum::next();
        pad.push_event(gst::event::FlushStart::builder().seqnum(seqnum).build());
        feeding.join();
        pad.push_event(gst::event::FlushStop::builder(false).seqnum(seqnum).build());
    };
    let pictures = pictures();

    // Sound that was loud is forgotten; the same time is heard again as silence.
    let rig = Rig::new();
    let loud = Tones::of(400 * MS, 0..400 * MS);
    let mut audio = begin("audio", &loud.caps(), &segment_from(0));
    audio.extend(loud.buffers().into_iter().map(Item::from));
    let mut video = begin("video", &pictures.caps(), &segment_from(0));
    video.push(pictures.frame(0).into());
    let feeding = rig.feed(video, audio);
    assert!(shown(&rig.next_buffer()) > 0);
    flush(rig.audio.as_ref().unwrap(), feeding);
    let mut video: Vec<Item> = (1..FRAMES)
        .map(|index| pictures.frame(index).into())
        .collect();
    video.push(end());
    let feeding = rig.feed(video, silence().stream());
    let frames = rig.frames_until_eos();
    feeding.join();
    assert_eq!(frames.len() as u64, FRAMES - 1);
    assert!(frames.iter().all(|buffer| shown(buffer) == 0));

    // Frames that wait are forgotten; the sound is not.
    let rig = Rig::new();
    let mut video = begin("video", &pictures.caps(), &segment_from(0));
    video.push(pictures.frame(0).into());
    let mut audio = begin("audio", &loud.caps(), &segment_from(0));
    audio.push(loud.buffers().remove(0).into());
    let feeding = rig.feed(video, audio);
    flush(&rig.video, feeding);
    let mut video = vec![gst::event::Segment::new(&segment_from(0)).into()];
    video.extend((1..FRAMES).map(|index| Item::from(pictures.frame(index))));
    video.push(end());
    let mut audio: Vec<Item> = loud.buffers().into_iter().skip(1).map(Item::from).collect();
    audio.push(end());
    let feeding = rig.feed(video, audio);
    let frames = rig.frames_until_eos();
    feeding.join();
    assert_eq!(frames.len() as u64, FRAMES - 1);
    assert_eq!(frames[0].offset(), 1);
    assert!(shown(&frames[2]) > 0);
}

#[test]
fn queries_about_the_stream_are_answered_by_the_video() {
    let rig = Rig::new();
    let mut seeking = gst::query::Seeking::new(gst::Format::Time);
    assert!(rig.sink.peer_query(&mut seeking));
    let (can_seek, from, to) = seeking.result();
    assert!(can_seek, "the video can, the sound cannot");
    let file = 10 * gst::ClockTime::SECOND;
    assert_eq!((from, to), (gst::ClockTime::ZERO.into(), file.into()));

    let rgb = gst::Caps::builder("video/x-raw")
        .field("format", "RGB")
        .build();
    let caps = rig.sink.peer_query_caps(Some(&rgb));
    assert!(caps.can_intersect(&rgb));
    let unknown = gst::Caps::builder("video/x-raw")
        .field("format", "UYVP")
        .build();
    assert!(rig.sink.peer_query_caps(Some(&unknown)).is_empty());
    assert!(rig.video.peer_query_caps(Some(&unknown)).is_empty());
}

#[test]
fn upstream_may_use_padded_frames_where_downstream_can() {
    let rig = Rig::new();
    rig.sink
        .add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, |_, info| {
            match info.query_mut().unwrap().view_mut() {
                gst::QueryViewMut::Allocation(allocation) => {
                    allocation.add_allocation_meta::<gst_video::VideoMeta>(None);
                    gst::PadProbeReturn::Handled
                }
                _ => gst::PadProbeReturn::Ok,
            }
        });
    let pictures = pictures();
    let mut video = begin("video", &pictures.caps(), &segment_from(0));
    video.truncate(3);
    for item in video {
        if let Item::Event(event) = item {
            assert!(rig.video.push_event(event));
        }
    }
    let mut allocation = gst::query::Allocation::new(Some(&pictures.caps()), false);
    assert!(rig.video.peer_query(&mut allocation));
    assert!(
        allocation
            .find_allocation_meta::<gst_video::VideoMeta>()
            .is_some()
    );

    // 32 pixels in rows of 48 bytes, behind 16 bytes of something else.
    let stride = 48;
    let mut buffer = gst::Buffer::from_mut_slice(vec![9u8; 16 + stride * 32]);
    let writable = buffer.make_mut();
    writable.set_pts(gst::ClockTime::ZERO);
    gst_video::VideoMeta::add_full(
        writable,
        gst_video::VideoFrameFlags::empty(),
        gst_video::VideoFormat::Gray8,
        32,
        32,
        &[16],
        &[stride as i32],
    )
    .unwrap();
    let feeding = rig.feed(vec![buffer.into(), end()], silence().stream());
    let frames = rig.frames_until_eos();
    feeding.join();
    let map = frames[0].map_readable().unwrap();
    for (at, &byte) in map.iter().enumerate() {
        let painted = at >= 16 && (at - 16) % stride < SQUARE && (at - 16) / stride < SQUARE;
        assert_eq!(byte, if painted { 0 } else { 9 }, "byte {at}");
    }
}

/// 5.1 in GStreamer's order: left, right, centre, low frequencies, rear left, rear right.
const SURROUND: &str = "channels=6,channel-mask=(bitmask)0x3f";

/// Sound of a second and a half in which each channel has its own 1 kHz tone: its amplitude.
fn chords(layout: &str, amplitudes: &[f32]) -> Vec<Item> {
    init();
    const RATE: usize = 48_000;
    let caps = format!("audio/x-raw,format=F32LE,rate={RATE},layout=interleaved,{layout}");
    let caps: gst::Caps = caps.parse().unwrap();
    let mut items = begin("audio", &caps, &segment_from(0));
    for first in (0..3 * RATE / 2).step_by(960) {
        let bytes: Vec<u8> = (first..first + 960)
            .map(|n| (n as f32 / 48.0 * std::f32::consts::TAU).sin())
            .flat_map(|tone| amplitudes.iter().map(move |amplitude| tone * amplitude))
            .flat_map(f32::to_le_bytes)
            .collect();
        let mut buffer = gst::Buffer::from_mut_slice(bytes);
        buffer
            .make_mut()
            .set_pts(gst::ClockTime::from_mseconds(first as u64 / 48));
        items.push(buffer.into());
    }
    items.push(end());
    items
}

/// How bright the frames are from 400 ms to 1 s.
fn shown_of(rig: &Rig, audio: Vec<Item>) -> Vec<u8> {
    let feeding = rig.feed(pictures().stream(25), audio);
    let frames = rig.frames_until_eos();
    feeding.join();
    frames[10..].iter().map(shown).collect()
}

#[test]
fn no_layout_hides_a_voice() {
    let alone = shown_of(&Rig::new(), chords("channels=1", &[0.25]));
    assert!(alone.iter().all(|&shown| shown > 100), "{alone:?}");
    for (layout, amplitudes) in [
        ("channels=2", &[0.25, 0.25][..]),
        ("channels=2", &[0.25, -0.25]),
        ("channels=2", &[0.25, 0.0]),
        ("channels=2", &[0.0, 0.25]),
        (SURROUND, &[0.0, 0.0, 0.25, 0.0, 0.0, 0.0]),
        (SURROUND, &[0.25, -0.25, 0.0, 0.0, 0.0, 0.0]),
        (SURROUND, &[0.0, 0.0, 0.0, 0.9, 0.25, 0.0]),
        (
            "channels=8,channel-mask=(bitmask)0xc3f",
            &[0.0, 0.0, 0.25, 0.9, 0.0, 0.0, 0.0, 0.0],
        ),
        (
            "channels=8,channel-mask=(bitmask)0",
            &[0.0, 0.0, 0.0, 0.0, 0.0, 0.25, 0.0, 0.0],
        ),
    ] {
        let heard = shown_of(&Rig::new(), chords(layout, amplitudes));
        for (heard, alone) in heard.iter().zip(&alone) {
            assert!(
                heard.abs_diff(*alone) <= 2,
                "{heard}, {alone} in mono: {layout} {amplitudes:?}"
            );
        }
    }
}

#[test]
fn the_channel_that_is_named_is_heard() {
    let centre = [0.0, 0.0, 0.25, 0.0, 0.0, 0.0];
    for (channel, is_heard) in [
        ("auto", true),
        ("mix", true),
        ("centre", true),
        ("2", true),
        ("left", false),
        ("right", false),
        ("5", false),
        // Not there: as auto.
        ("17", true),
    ] {
        let rig = Rig::stopped(element(), FILE, true);
        rig.element.set_property_from_str("audio-channel", channel);
        rig.play();
        let shown = shown_of(&rig, chords(SURROUND, &centre));
        assert!(
            shown.iter().all(|&shown| (shown > 0) == is_heard),
            "{channel}: {shown:?}"
        );
        let warnings = rig.warnings();
        assert_eq!(warnings.len(), usize::from(channel == "17"), "{warnings:?}");
        assert!(
            warnings
                .iter()
                .all(|text| text.contains("audio-channel=17")),
            "{warnings:?}"
        );
    }
}

#[test]
fn the_channel_may_change_while_frames_flow() {
    let rig = Rig::stopped(element(), FILE, true);
    rig.element.set_property("audio-channel", "left");
    rig.play();
    let mut items = pictures().stream(25);
    let later = items.split_off(items.len() - 13);
    let feeding = rig.feed(items, chords("channels=2", &[0.25, 0.0]));
    let mut seen: Vec<u8> = (0..12).map(|_| shown(&rig.next_buffer())).collect();
    rig.element.set_property("audio-channel", "right");
    assert_eq!(rig.element.property::<String>("audio-channel"), "right");
    let rest = feed(&rig.video, later);
    seen.extend(rig.frames_until_eos().iter().map(shown));
    feeding.join();
    rest.join().unwrap();
    assert!(seen[..12].iter().all(|&shown| shown > 0), "{seen:?}");
    // What was heard ahead of the twelfth frame is the left channel still.
    assert!(seen[19..].iter().all(|&shown| shown == 0), "{seen:?}");
}

#[test]
fn a_channel_that_is_no_channel_is_refused_with_a_warning() {
    let rig = Rig::stopped(element(), FILE, true);
    rig.element.set_property("audio-channel", "Center");
    assert_eq!(rig.element.property::<String>("audio-channel"), "centre");
    // Before there is a bus to hear it, and while frames flow.
    for state in [gst::State::Null, gst::State::Playing] {
        rig.element.set_state(state).unwrap();
        for wrong in ["middle", "-1", "1.5", ""] {
            rig.element.set_property("audio-channel", wrong);
            assert_eq!(rig.element.property::<String>("audio-channel"), "centre");
        }
        rig.play();
        let warnings = rig.warnings();
        assert!(!warnings.is_empty(), "{state:?}");
        for text in warnings {
            assert!(
                text.contains("expected: auto, mix, left, right, centre"),
                "{text}"
            );
        }
    }
}

#[test]
fn a_gap_comes_behind_the_segment_that_it_is_in() {
    let rig = Rig::new();
    let pictures = Pictures::at(25, 1);
    let mut video = pictures.stream(3);
    video.pop();
    let at = gst::ClockTime::from_seconds(10);
    let mut second = gst::FormattedSegment::<gst::ClockTime>::new();
    second.set_start(at);
    second.set_time(at);
    second.set_base(120 * gst::ClockTime::MSECOND);
    video.push(gst::event::Segment::new(&second).into());
    let gap = gst::event::Gap::builder(at).duration(40 * gst::ClockTime::MSECOND);
    video.push(gap.build().into());
    video.push(gst::event::Eos::new().into());
    let feeding = rig.feed(video, Tones::silent(2_000 * MS).stream());
    let mut segments = 0;
    let mut gaps = 0;
    for out in rig.until_eos() {
        match out {
            Out::Event(event) if event.type_() == gst::EventType::Segment => segments += 1,
            Out::Event(event) if event.type_() == gst::EventType::Gap => {
                gaps += 1;
                assert_eq!(segments, 2, "the gap comes before its segment");
            }
            _ => (),
        }
    }
    assert_eq!(gaps, 1);
    feeding.join();
}
