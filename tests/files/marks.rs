//! The tag that says that the picture was altered: when it comes, that it stays, that muxers write it.

use std::path::Path;

use crate::common::*;
use gst::prelude::*;

const MARK: &str = "mouths-altered-by-lipsync";
const FRAMES: u64 = 50;

fn pictures() -> Pictures {
    Pictures::at(25, 1)
}

/// As long as the frames, and loud from this time on.
fn sound(from_ms: u64) -> Tones {
    Tones::of(2_300 * MS, from_ms * MS..2_300 * MS)
}

/// Speech is drawn at once, pauses show the picture's own mouth.
fn rig(properties: &[(&str, &str)]) -> Rig {
    let element = element();
    element.set_property_from_str("silence", "original");
    element.set_property_from_str("fade-time", "0");
    for (name, value) in properties {
        element.set_property_from_str(name, value);
    }
    let rig = Rig::stopped(element, FILE, true);
    rig.play();
    rig
}

fn tag(title: &str, comment: Option<&str>) -> Item {
    let mut tags = gst::TagList::new();
    let list = tags.make_mut();
    list.add::<gst::tags::Title>(&title, gst::TagMergeMode::Append);
    if let Some(comment) = comment {
        list.add::<gst::tags::Comment>(&comment, gst::TagMergeMode::Append);
    }
    gst::event::Tag::new(tags).into()
}

/// Title and comment.
fn said(event: &gst::EventRef) -> Option<(Option<String>, Option<String>)> {
    let gst::EventView::Tag(tag) = event.view() else {
        return None;
    };
    assert_eq!(tag.tag().scope(), gst::TagScope::Stream);
    let title = tag.tag().get::<gst::tags::Title>();
    let comment = tag.tag().get::<gst::tags::Comment>();
    Some((
        title.map(|title| title.get().to_owned()),
        comment.map(|comment| comment.get().to_owned()),
    ))
}

/// What all tags said, and before how many frames.
fn all_said(outs: &[Out]) -> Vec<(Option<String>, Option<String>, usize)> {
    let mut frames = 0;
    let mut all = Vec::new();
    for out in outs {
        match out {
            Out::Buffer(_) => frames += 1,
            Out::Event(event) => {
                all.extend(said(event).map(|(title, comment)| (title, comment, frames)));
            }
        }
    }
    all
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn the_mark_comes_right_before_the_first_altered_frame() {
    for from_ms in [0, 1_000] {
        let rig = rig(&[]);
        let feeding = rig.feed(pictures().stream(FRAMES), sound(from_ms).stream());
        let outs = rig.until_eos();
        feeding.join();
        let segment = outs.iter().position(
            |out| matches!(out, Out::Event(event) if event.type_() == gst::EventType::Segment),
        );
        let tag = outs
            .iter()
            .position(|out| matches!(out, Out::Event(event) if said(event).is_some()));
        assert!(segment.unwrap() < tag.unwrap());
        let all = all_said(&outs);
        assert_eq!(all.len(), 1, "{all:?}");
        let (_, comment, before) = &all[0];
        assert_eq!(comment.as_deref(), Some(MARK));
        let frames = buffers(outs);
        let untouched = (0..)
            .zip(&frames)
            .take_while(|(index, frame)| is_untouched(frame, *index));
        assert_eq!(untouched.count(), *before, "loud from {from_ms} ms on");
        assert_eq!(*before == 0, from_ms == 0);
    }
}

#[test]
fn pictures_that_stay_as_they_are_are_not_marked() {
    for property in [
        ("tag-altered", "false"),
        ("bypass", "true"),
        ("strength", "0"),
    ] {
        let rig = rig(&[property]);
        let mut video = pictures().stream(FRAMES);
        video.insert(3, tag("news", Some("take 2")));
        let feeding = rig.feed(video, sound(0).stream());
        let outs = rig.until_eos();
        feeding.join();
        assert_eq!(
            all_said(&outs),
            [(some("news"), some("take 2"), 0)],
            "{property:?}"
        );
    }
}

#[test]
fn tags_of_upstream_and_the_mark_go_together() {
    let rig = rig(&[]);
    let mut video = begin("video", &pictures().caps(), &segment_from(0));
    video.push(tag("news", Some("take 2")));
    for index in 0..FRAMES {
        match index {
            // Sound begins at frame 25.
            10 => video.push(tag("news", None)),
            40 => video.push(tag("weather", Some("take 3"))),
            45 => video.push(tag("sport", None)),
            _ => (),
        }
        video.push(pictures().frame(index).into());
    }
    video.push(end());
    let feeding = rig.feed(video, sound(1_000).stream());
    let outs = rig.until_eos();
    feeding.join();
    let all = all_said(&outs);
    let both = format!("take 3; {MARK}");
    let (_, _, marked_at) = all[2];
    assert!((10..40).contains(&marked_at), "{marked_at}");
    assert_eq!(
        all,
        [
            (some("news"), some("take 2"), 0),
            (some("news"), None, 10),
            (some("news"), some(MARK), marked_at),
            (some("weather"), Some(both), 40),
            (some("sport"), some(MARK), 45),
        ]
    );
}

#[test]
fn the_mark_outlives_flushes_and_ends_with_its_stream() {
    let rig = rig(&[]);
    let begun = |name: &str, loud: bool| {
        let mut video = begin(name, &pictures().caps(), &segment_from(0));
        video.extend((0..FRAMES).map(|index| Item::from(pictures().frame(index))));
        let audio = if loud {
            sound(0)
        } else {
            Tones::silent(2_300 * MS)
        };
        (video, audio.stream())
    };
    let (video, audio) = begun("first", true);
    let feeding = rig.feed(video, audio);
    rig.next_buffer();
    let seqnum = gst::Seqnum::next();
    for pad in [&rig.video, rig.audio.as_ref().unwrap()] {
        assert!(pad.push_event(gst::event::FlushStart::builder().seqnum(seqnum).build()));
    }
    feeding.join();
    for pad in [&rig.video, rig.audio.as_ref().unwrap()] {
        let stop = gst::event::FlushStop::builder(true).seqnum(seqnum);
        assert!(pad.push_event(stop.build()));
    }
    let stopped =
        |out: &Out| matches!(out, Out::Event(event) if event.type_() == gst::EventType::FlushStop);
    while !stopped(&rig.next()) {}
    let sticky = || {
        let event = rig.sink.sticky_event::<gst::event::Tag>(0);
        event
            .and_then(|event| said(&event))
            .and_then(|(_, comment)| comment)
    };
    assert_eq!(sticky().as_deref(), Some(MARK), "downstream still knows");

    // The same stream, from another place: said once is enough. Then another, whose pictures stay as they
    // are, and one more.
    let mut video = Vec::new();
    for (part, name) in (0u64..).zip(["first", "second", "third"]) {
        let pictures = Pictures {
            start_ns: part * 2_000 * MS,
            ..pictures()
        };
        video.extend(begin(name, &pictures.caps(), &segment_from(0)));
        if part > 0 {
            video.push(tag(name, None));
        }
        video.extend((0..FRAMES).map(|index| Item::from(pictures.frame(index))));
    }
    video.push(end());
    let mut tones = Tones::of(6_300 * MS, 0..1_500 * MS);
    let mut audio = begin("audio", &tones.caps(), &segment_from(0));
    audio.extend(tones.buffers().into_iter().take(210).map(Item::from));
    tones.tone = 4_500 * MS..6_300 * MS;
    audio.extend(tones.buffers().into_iter().skip(210).map(Item::from));
    audio.push(end());
    let feeding = rig.feed(video, audio);
    let outs = rig.until_eos();
    feeding.join();
    let all = all_said(&outs);
    assert_eq!(
        all[..2],
        [
            (some("second"), None, FRAMES as usize),
            (some("third"), None, 2 * FRAMES as usize)
        ]
    );
    let (title, comment, before) = &all[2];
    assert_eq!((title, comment), (&some("third"), &some(MARK)));
    assert!(*before > 2 * FRAMES as usize);
    assert_eq!(all.len(), 3);
    assert_eq!(buffers(outs).len() as u64, 3 * FRAMES);
}

/// Runs to its end; the comments of the streams on the way.
fn comments(pipeline: &gst::Pipeline) -> Vec<String> {
    pipeline.set_state(gst::State::Playing).unwrap();
    let bus = pipeline.bus().unwrap();
    let mut found = Vec::new();
    loop {
        let wait = gst::ClockTime::try_from(PATIENCE).unwrap();
        let message = bus.timed_pop(wait).expect("the pipeline ends");
        match message.view() {
            gst::MessageView::Eos(_) => break,
            gst::MessageView::Error(err) => panic!("{err:?}"),
            gst::MessageView::Tag(tag) => {
                let tags = tag.tags();
                let comments = tags.iter_tag::<gst::tags::Comment>();
                found.extend(comments.map(|comment| comment.get().to_owned()));
            }
            _ => (),
        }
    }
    pipeline.set_state(gst::State::Null).unwrap();
    found
}

fn launch(description: &str) -> gst::Pipeline {
    let pipeline = gst::parse::launch(description);
    let pipeline = pipeline.unwrap_or_else(|err| panic!("{err}: {description}"));
    pipeline.downcast().unwrap()
}

fn mux_and_read_back(encoder: &str, muxer: &str, demuxer: &str) {
    if !have(&["jpegenc", encoder, muxer, demuxer]) {
        return;
    }
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("mark-{encoder}-{muxer}"));
    let file = file.to_str().unwrap();
    for comment in ["", "take-2"] {
        for marks in [true, false] {
            let inject = match comment {
                "" => String::new(),
                comment => format!("! taginject tags=\"comment={comment}\""),
            };
            let pipeline = launch(&format!(
                "videotestsrc num-buffers=25 ! video/x-raw,format=I420,framerate=25/1,width=64,height=64 {inject}
                    ! identity name=before ! queue name=behind ! {encoder} ! {muxer} ! filesink location={file}
                 audiotestsrc num-buffers=60 ! audio/x-raw,format=F32LE,rate=48000,channels=1 ! identity name=sound"
            ));
            let lipsync = element();
            lipsync.set_property("tag-altered", marks);
            pipeline.add(&lipsync).unwrap();
            let [before, behind, sound] =
                ["before", "behind", "sound"].map(|name| pipeline.by_name(name).unwrap());
            before.unlink(&behind);
            before.link_pads(None, &lipsync, Some("video")).unwrap();
            sound.link_pads(None, &lipsync, Some("audio")).unwrap();
            lipsync.link(&behind).unwrap();
            comments(&pipeline);

            let read = launch(&format!("filesrc location={file} ! {demuxer} ! fakesink"));
            let expected = match (comment, marks) {
                ("", true) => Some(MARK.to_owned()),
                ("", false) => None,
                (comment, true) => Some(format!("{comment}; {MARK}")),
                (comment, false) => Some(comment.to_owned()),
            };
            let found = comments(&read);
            assert_eq!(found.first(), expected.as_ref(), "{muxer}: {found:?}");
        }
    }
    std::fs::remove_file(file).unwrap();
}

#[test]
fn matroska_files_say_it() {
    mux_and_read_back("jpegenc", "matroskamux", "matroskademux");
}

#[test]
fn quicktime_files_say_it() {
    mux_and_read_back("jpegenc", "qtmux", "qtdemux");
}

#[test]
fn mp4_files_say_it() {
    mux_and_read_back("x264enc", "mp4mux", "qtdemux");
}

#[test]
fn avi_files_say_it() {
    mux_and_read_back("jpegenc", "avimux", "avidemux");
}
