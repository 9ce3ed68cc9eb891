//! `lipsyncbin`: sound and picture in, both out, whatever upstream does.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{around::*, common::*};
use gst::prelude::*;
use gst_controller::prelude::*;
use gstlipsync::lipsync::Lipsync;

#[test]
fn sound_leaves_as_it_came_and_the_picture_shows_it() {
    let around = Around::new(FILE);
    around.play();
    let pictures = Pictures::at(25, 1);
    let tones = Tones::of(2_300 * MS, 1_000 * MS..1_200 * MS);
    let items = interleaved(pictures.stream(50), tones.stream(), 0);
    let feeding = feed_both(around.source("video"), around.source("audio"), items);
    let (frames, sound) = (until_eos(&around.video), until_eos(&around.audio));
    feeding.join().unwrap();

    assert_eq!(bytes(&sound), bytes(&tones.buffers()));
    let times = |buffers: &[gst::Buffer]| -> Vec<_> { buffers.iter().map(|b| b.pts()).collect() };
    assert_eq!(times(&sound), times(&tones.buffers()));
    assert_eq!(frames.len(), 50);
    for (index, frame) in (0..).zip(&frames) {
        assert_eq!(frame.pts(), pictures.frame(index).pts());
        let sounds = (26..29).contains(&index);
        let silent = !(24..31).contains(&index);
        assert!(!sounds || shown(frame) > 128, "frame {index} of the tone");
        assert!(!silent || shown(frame) == 0, "frame {index} of silence");
    }
}

#[test]
fn a_muxer_gets_both_however_badly_they_interleave() {
    for (sound_late_ms, sync_offset_ms) in [
        (0, 0),
        (-2_500, 0),
        (-900, 0),
        (900, 0),
        (2_500, 0),
        (0, 1_500),
        (0, -1_500),
    ] {
        let bin = bin();
        bin.set_property("sync-offset", sync_offset_ms * MS as i64);
        let pipeline = gst::Pipeline::new();
        let muxer = gst::ElementFactory::make("matroskamux").build().unwrap();
        let sink = gst::ElementFactory::make("fakesink").build().unwrap();
        pipeline
            .add_many([bin.upcast_ref(), &muxer, &sink])
            .unwrap();
        bin.link_pads(Some("video_src"), &muxer, Some("video_0"))
            .unwrap();
        bin.link_pads(Some("audio_src"), &muxer, Some("audio_0"))
            .unwrap();
        muxer.link(&sink).unwrap();
        let [video, audio] = ["video", "audio"].map(|name| {
            let pad = src_pad(name, FILE);
            let sink = bin.static_pad(&format!("{name}_sink")).unwrap();
            pad.link(&sink).unwrap();
            pad
        });
        pipeline.set_state(gst::State::Playing).unwrap();

        let (pictures, tones) = (Pictures::at(25, 1), Tones::silent(5_000 * MS));
        let items = interleaved(pictures.stream(125), tones.stream(), sound_late_ms);
        let feeding = feed_both(&video, &audio, items);
        let end = pipeline.bus().unwrap().timed_pop_filtered(
            gst::ClockTime::try_from(PATIENCE).unwrap(),
            &[gst::MessageType::Eos, gst::MessageType::Error],
        );
        let case = format!("sound {sound_late_ms} ms late, offset {sync_offset_ms} ms");
        let end = end.unwrap_or_else(|| panic!("{case}: stalls"));
        assert_eq!(end.type_(), gst::MessageType::Eos, "{case}: {end:?}");
        feeding.join().unwrap();
        let stats = bin.property::<gst::Structure>("stats");
        assert_eq!(stats.get::<u64>("frames-out").unwrap(), 125, "{case}");
        assert_eq!(stats.get::<u64>("frames-late").unwrap(), 0, "{case}");
        pipeline.set_state(gst::State::Null).unwrap();
        for pad in [video, audio] {
            pad.set_active(false).unwrap();
        }
    }
}

#[test]
fn what_comes_alone_goes_through_and_the_other_output_gets_a_placeholder() {
    let mut around = Around::new(FILE);
    around.unlink("audio");
    around.play();
    let feeding = feed(around.source("video"), Pictures::at(25, 1).stream(50));
    let placeholder = until_eos(&around.audio);
    assert_eq!(placeholder.len(), 1);
    assert_eq!(
        placeholder[0].duration(),
        Some(gst::ClockTime::from_mseconds(100))
    );
    assert!(bytes(&placeholder).iter().all(|&byte| byte == 0));
    let frames = until_eos(&around.video);
    assert_eq!(frames.len(), 50);
    assert!((0..).zip(&frames).all(|(i, frame)| is_untouched(frame, i)));
    feeding.join().unwrap();
    let warnings = around.warnings();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("audio_sink"), "{warnings:?}");

    let mut around = Around::new(FILE);
    around.unlink("video");
    around.play();
    let tones = Tones::silent(5_000 * MS);
    let feeding = feed(around.source("audio"), tones.stream());
    let placeholder = until_eos(&around.video);
    assert_eq!(placeholder.len(), 1);
    assert!(
        bytes(&placeholder)
            .iter()
            .all(|byte| [16, 128].contains(byte))
    );
    let sound = until_eos(&around.audio);
    assert_eq!(bytes(&sound).len(), bytes(&tones.buffers()).len());
    feeding.join().unwrap();
}

/// Runs a pipeline to its end, and returns what warnings say.
fn run(description: &str) -> Vec<String> {
    let pipeline = gst::parse::launch(description).unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let bus = pipeline.bus().unwrap();
    let mut warnings = Vec::new();
    loop {
        let kinds = [
            gst::MessageType::Eos,
            gst::MessageType::Error,
            gst::MessageType::Warning,
        ];
        let patience = gst::ClockTime::try_from(PATIENCE).unwrap();
        let message = bus.timed_pop_filtered(patience, &kinds);
        match message.expect("the pipeline ends").view() {
            gst::MessageView::Warning(warning) => warnings.push(warning.error().to_string()),
            gst::MessageView::Error(error) => panic!("{}: {:?}", error.error(), error.debug()),
            _ => break,
        }
    }
    pipeline.set_state(gst::State::Null).unwrap();
    warnings
}

#[test]
fn of_one_stream_alone_a_muxer_makes_a_file_that_can_be_read() {
    init();
    if !have(&[
        "x264enc",
        "avenc_aac",
        "mp4mux",
        "qtdemux",
        "avdec_h264",
        "avdec_aac",
    ]) {
        return;
    }
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let video = "videotestsrc num-buffers=50 ! video/x-raw,width=320,height=240,framerate=25/1 ! l.video_sink";
    let audio = "audiotestsrc num-buffers=50 samplesperbuffer=882 ! l.audio_sink";
    for (name, input, decoder) in [
        ("video", video, "h264parse ! avdec_h264"),
        ("audio", audio, "aacparse ! avdec_aac"),
    ] {
        let file = folder.join(format!("only-{name}.mp4"));
        let warnings = run(&format!(
            "{input} lipsyncbin name=l bypass=true ! videoconvert ! x264enc ! h264parse ! mp4mux name=m
             ! filesink location={file} l.audio_src ! audioconvert ! avenc_aac ! aacparse ! m.",
            file = file.display()
        ));
        assert_eq!(warnings.len(), 1, "{name}: {warnings:?}");
        run(&format!(
            "filesrc location={} ! qtdemux name=d d.{name}_0 ! queue ! {decoder} ! fakesink",
            file.display()
        ));
    }
}

#[test]
fn an_input_that_nobody_links_is_warned_of_once_and_by_its_name() {
    init();
    for output in ["", "l.audio_src ! fakesink"] {
        let warnings = run(&format!(
            "videotestsrc num-buffers=100 ! video/x-raw,width=320,height=240,framerate=25/1 ! l.video_sink
             lipsyncbin name=l ! fakesink {output}"
        ));
        let [warning] = &warnings[..] else {
            panic!("{output}: {warnings:?}");
        };
        assert!(
            warning.contains("nothing is linked to `audio_sink`"),
            "{warning}"
        );
    }
}

/// As a player does that has room for a filter with one output.
#[test]
fn video_leaves_by_a_pad_src_while_somebody_asks_for_it() {
    for is_kept in [true, false] {
        let bin = bin();
        let (sender, out) = std::sync::mpsc::channel();
        let sink = sink_pad(sender);
        let video_src = bin.static_pad("video_src").unwrap();
        video_src.link(&sink).unwrap();
        assert!(bin.request_pad_simple("src").is_none());
        video_src.unlink(&sink).unwrap();
        let src = bin.request_pad_simple("src").unwrap();
        if !is_kept {
            bin.release_request_pad(&src);
            assert!(bin.static_pad("src").is_none());
        }
        let output = if is_kept { src } else { video_src };
        output.link(&sink).unwrap();

        let video = src_pad("video", FILE);
        video.link(&bin.static_pad("video_sink").unwrap()).unwrap();
        bin.set_state(gst::State::Playing).unwrap();
        let feeding = feed(&video, Pictures::at(25, 1).stream(50));
        assert_eq!(until_eos(&out).len(), 50, "{}", output.name());
        feeding.join().unwrap();
        bin.set_state(gst::State::Null).unwrap();
        for pad in [video, sink] {
            pad.set_active(false).unwrap();
        }
    }
}

#[test]
fn what_comes_alone_does_not_wait_where_nothing_else_is_to_go_out() {
    let mut around = Around::new(FILE);
    around.unlink("audio");
    let audio_src = around.bin.static_pad("audio_src").unwrap();
    audio_src.unlink(&around.sinks[1]).unwrap();
    around.play();
    let feeding = feed(around.source("video"), Pictures::at(25, 1).stream(50));
    assert_eq!(until_eos(&around.video).len(), 50);
    feeding.join().unwrap();
    assert!(around.warnings().is_empty());
}

#[test]
fn an_input_that_a_demuxer_links_later_misses_nothing() {
    for (first, second) in [("audio", "video"), ("video", "audio")] {
        let mut around = Around::new(FILE);
        around.unlink(second);
        around.play();
        let pictures = Pictures::at(25, 1);
        let tones = Tones::of(2_300 * MS, 0..2_300 * MS);
        let stream = |name| match name {
            "video" => pictures.stream(50),
            _ => tones.stream(),
        };
        // All of it is there before the other is.
        let feeding = feed(around.source(first), stream(first));
        let out = if first == "video" {
            &around.video
        } else {
            &around.audio
        };
        while let Ok(early) = out.recv_timeout(Duration::from_millis(300)) {
            assert!(matches!(early, Out::Event(_)), "{first} first: {early:?}");
        }

        around.link(second, FILE);
        let other = feed(around.source(second), stream(second));
        let (frames, sound) = (until_eos(&around.video), until_eos(&around.audio));
        feeding.join().unwrap();
        other.join().unwrap();
        assert_eq!(frames.len(), 50, "{first} first");
        let spoken = frames.iter().skip(2).take(46);
        assert!(spoken.clone().all(|f| shown(f) > 128), "{first} first");
        assert_eq!(bytes(&sound), bytes(&tones.buffers()), "{first} first");
    }
}

#[test]
fn what_comes_between_a_link_and_its_signal_is_heard() {
    let mut around = Around::new(FILE);
    around.unlink("video");
    around.play();
    let (audio, end) = (around.source("audio").clone(), eos_flag(&around));
    let tones = Tones::of(2_300 * MS, 0..2_300 * MS);
    let video = src_pad("video", FILE);
    // The source's signal comes before that of the bin's pad.
    video.connect_linked(move |_, _| {
        feed(&audio, tones.stream()).join().unwrap();
        await_flag(&end);
    });
    let sink = around.bin.static_pad("video_sink").unwrap();
    video.link(&sink).unwrap();
    around.sources.push(video);

    let feeding = feed(around.source("video"), Pictures::at(25, 1).stream(50));
    let frames = until_eos(&around.video);
    feeding.join().unwrap();
    assert_eq!(frames.len(), 50);
    assert!(frames.iter().skip(2).take(46).all(|f| shown(f) > 128));
}

#[test]
fn frames_that_come_after_the_end_of_the_audio_go_through() {
    let mut around = Around::new(FILE);
    around.unlink("video");
    let video_src = around.bin.static_pad("video_src").unwrap();
    video_src.unlink(&around.sinks[0]).unwrap();
    around.play();
    let end = eos_flag(&around);
    let speech = Tones::of(400 * MS, 0..400 * MS).stream();
    feed(around.source("audio"), speech).join().unwrap();
    await_flag(&end);

    video_src.link(&around.sinks[0]).unwrap();
    around.link("video", FILE);
    let feeding = feed(around.source("video"), Pictures::at(25, 1).stream(50));
    assert_eq!(until_eos(&around.video).len(), 50);
    feeding.join().unwrap();
}

#[test]
fn audio_that_waits_for_no_frames_is_not_collected() {
    // Of 60 s: nobody hears any, or there are frames for the first two.
    for frames in [None, Some(50)] {
        let mut around = Around::new(FILE);
        if frames.is_none() {
            around.unlink("video");
            let video_src = around.bin.static_pad("video_src").unwrap();
            video_src.unlink(&around.sinks[0]).unwrap();
        }
        let audio_src = around.bin.static_pad("audio_src").unwrap();
        let kind = gst::PadProbeType::BLOCK | gst::PadProbeType::BUFFER;
        audio_src.add_probe(kind, |_, _| gst::PadProbeReturn::Ok);
        around.play();
        let hearing = feed(around.source("audio"), Tones::silent(60_000 * MS).stream());
        if let Some(count) = frames {
            let video = Pictures::at(25, 1).stream(count);
            feed(around.source("video"), video).join().unwrap();
            assert_eq!(until_eos(&around.video).len(), count as usize);
        }
        let played = around.bin.by_name("played").unwrap();
        let level = || played.property::<u64>("current-level-time");
        let most = 6_000 * MS;
        // All of it would come within this.
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(2) {
            assert!(level() < most, "{frames:?}: {} ms wait", level() / MS);
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(level() >= 2_000 * MS, "{frames:?}");
        drop(around);
        hearing.join().unwrap();
    }
}

#[test]
fn an_output_without_an_input_ends_once() {
    let mut around = Around::new(FILE);
    around.unlink("audio");
    around.play();
    let mut video = Pictures::at(25, 1).stream(50);
    video.pop();
    // As after a seek.
    video.extend(Pictures::at(25, 1).stream(50).into_iter().skip(1));
    let feeding = feed(around.source("video"), video);
    assert_eq!(until_eos(&around.video).len(), 100);
    feeding.join().unwrap();
    let warnings = around.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
}

#[test]
fn audio_that_is_taken_away_is_missed_aloud() {
    let mut around = Around::new(FILE);
    around.play();
    let mut speech = Tones::of(400 * MS, 0..400 * MS).stream();
    speech.pop();
    let mut frames = Pictures::at(25, 1).stream(200);
    let rest = frames.split_off(3 + 5);
    let hearing = feed(around.source("audio"), speech);
    let feeding = feed(around.source("video"), frames);
    next_buffer(&around.video);
    hearing.join().unwrap();
    around.unlink("audio");
    feeding.join().unwrap();
    let feeding = feed(around.source("video"), rest);
    until_eos(&around.video);
    feeding.join().unwrap();
    let warnings = around.warnings();
    let is_it = |warning: &String| warning.contains("nothing is linked to `audio_sink`");
    assert!(warnings.iter().any(is_it), "{warnings:?}");
}

#[test]
fn there_is_one_pad_src_whoever_asks_for_another_and_when() {
    init();
    let bin = bin();
    bin.connect_pad_added(|bin, pad| {
        let template = pad.pad_template().unwrap();
        assert!(bin.request_pad(&template, None, None).is_none());
    });
    let pad = bin.request_pad_simple("src").unwrap();
    bin.release_request_pad(&pad);
    assert!(bin.static_pad("src").is_none());
    assert!(bin.request_pad_simple("src").is_some());
}

/// Is raised when the audio has ended at the bin's output.
fn eos_flag(around: &Around) -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let raise = flag.clone();
    let out = around.bin.static_pad("audio_src").unwrap();
    out.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if info
            .event()
            .is_some_and(|event| event.type_() == gst::EventType::Eos)
        {
            raise.store(true, Ordering::Release);
        }
        gst::PadProbeReturn::Ok
    });
    flag
}

fn await_flag(flag: &AtomicBool) {
    let since = Instant::now();
    while !flag.load(Ordering::Acquire) {
        assert!(since.elapsed() < PATIENCE, "the audio does not end");
        std::thread::yield_now();
    }
}

#[test]
fn sound_may_be_unlinked_and_linked_while_frames_flow() {
    let mut around = Around::new(FILE);
    around.play();
    let pictures = Pictures::at(25, 1);
    let tones = Tones::of(400 * MS, 0..400 * MS);
    let mut sound = tones.stream();
    sound.pop();
    let hearing = feed(around.source("audio"), sound);
    let mut frames = pictures.stream(200);
    let rest = frames.split_off(3 + 100);
    let feeding = feed(around.source("video"), frames);
    assert!(shown(&next_buffer(&around.video)) > 128);
    // The sound stops: frames wait until its pad has gone.
    while lipsync_stat(&around, "frames-out") < 4 {
        std::thread::yield_now();
    }
    hearing.join().unwrap();
    around.unlink("audio");
    for _ in 1..100 {
        next_buffer(&around.video);
    }
    feeding.join().unwrap();

    around.link("audio", FILE);
    let tones = Tones {
        start_ns: 4_000 * MS,
        ..Tones::of(4_300 * MS, 0..4_300 * MS)
    };
    let mut sound = tones.stream();
    // Running time goes on, it does not start anew.
    sound[2] = gst::event::Segment::new(&segment_from(0)).into();
    let hearing = feed(around.source("audio"), sound);
    let feeding = feed(around.source("video"), rest);
    let frames = until_eos(&around.video);
    assert_eq!(frames.len(), 100);
    assert!(frames.iter().skip(3).take(90).all(|f| shown(f) > 128));
    feeding.join().unwrap();
    hearing.join().unwrap();
}

fn lipsync_stat(around: &Around, field: &str) -> u64 {
    let stats = around.bin.property::<gst::Structure>("stats");
    stats.get(field).unwrap()
}

#[test]
fn formats_that_lipsync_does_not_know_are_converted_on_the_way_in() {
    init();
    let pipeline = gst::parse::launch(
        "videotestsrc num-buffers=10 ! video/x-raw,format=UYVP,width=64,height=48 ! bin.video_sink \
         audiotestsrc num-buffers=60 ! audio/x-raw,format=S24BE,rate=44100 ! bin.audio_sink \
         lipsyncbin name=bin ! fakesink name=video bin.audio_src ! fakesink name=audio",
    );
    let pipeline = pipeline.unwrap().downcast::<gst::Pipeline>().unwrap();
    let bin = pipeline.by_name("bin").unwrap();
    lipsync(bin.downcast_ref().unwrap())
        .downcast_ref::<Lipsync>()
        .unwrap()
        .set_generator(ShowsSound::source());
    pipeline.set_state(gst::State::Playing).unwrap();
    let end = pipeline.bus().unwrap().timed_pop_filtered(
        gst::ClockTime::try_from(PATIENCE).unwrap(),
        &[gst::MessageType::Eos, gst::MessageType::Error],
    );
    assert_eq!(end.unwrap().type_(), gst::MessageType::Eos);
    let format = |name: &str| {
        let pad = pipeline.by_name(name).unwrap().static_pad("sink").unwrap();
        let caps = pad.current_caps().unwrap();
        caps.structure(0).unwrap().get::<String>("format").unwrap()
    };
    assert_eq!(format("audio"), "S24BE");
    assert_ne!(format("video"), "UYVP");
    let stats = bin.property::<gst::Structure>("stats");
    assert_eq!(stats.get::<u64>("frames-synced").unwrap(), 10);
    pipeline.set_state(gst::State::Null).unwrap();
}

#[test]
fn every_property_of_lipsync_is_here_and_reaches_it() {
    let bin = bin();
    let lipsync = lipsync(&bin);
    let of_lipsync = lipsync.list_properties();
    let own = of_lipsync
        .iter()
        .filter(|spec| spec.owner_type() == Lipsync::static_type());
    let mut count = 0;
    for spec in own {
        let here = bin
            .find_property(spec.name())
            .unwrap_or_else(|| panic!("{} is missing", spec.name()));
        assert_eq!(here.value_type(), spec.value_type());
        assert_eq!(here.flags(), spec.flags());
        assert_eq!(here.blurb(), spec.blurb());
        count += 1;
    }
    assert!(count > 20, "{count}");
    bin.set_property("strength", 0.25);
    bin.set_property_from_str("silence", "original");
    assert_eq!(lipsync.property::<f64>("strength"), 0.25);
    assert_eq!(bin.property::<f64>("strength"), 0.25);
    let (there, here) = (
        lipsync.property_value("silence"),
        bin.property_value("silence"),
    );
    assert_eq!(format!("{there:?}"), format!("{here:?}"));
}

#[test]
fn strength_under_control_moves_that_of_lipsync() {
    let around = Around::new(FILE);
    let source = gst_controller::InterpolationControlSource::new();
    source.set_mode(gst_controller::InterpolationMode::None);
    // 0 until 1 s, then half of the range, which is 1.
    assert!(source.set(gst::ClockTime::ZERO, 0.0));
    assert!(source.set(gst::ClockTime::SECOND, 0.5));
    let binding = gst_controller::DirectControlBinding::new(&around.bin, "strength", &source);
    around.bin.add_control_binding(&binding).unwrap();
    around.play();
    let pictures = Pictures::at(25, 1);
    let tones = Tones::of(2_300 * MS, 0..2_300 * MS);
    let items = interleaved(pictures.stream(50), tones.stream(), 0);
    let feeding = feed_both(around.source("video"), around.source("audio"), items);
    let frames = until_eos(&around.video);
    feeding.join().unwrap();
    for (index, frame) in (0..).zip(&frames) {
        assert_eq!(is_untouched(frame, index), index < 25, "frame {index}");
    }
}

#[test]
fn the_latency_of_the_picture_is_lipsyncs_and_the_sound_has_none() {
    let upstream = Upstream {
        live: true,
        latency: gst::ClockTime::from_mseconds(30),
    };
    let around = Around::new(upstream);
    around.play();
    let latency = |index: usize| {
        let mut query = gst::query::Latency::new();
        assert!(around.sinks[index].peer_query(&mut query));
        let (live, min, _) = query.result();
        assert!(live);
        min.mseconds()
    };
    // 30 of upstream, 200 of look-ahead, 40 of processing-deadline.
    assert_eq!(latency(0), 270);
    assert_eq!(latency(1), 30);
}

/// Runs a pipeline with a `lipsyncbin` that is called `l` to its end.
fn runs(description: &str) -> gst::Structure {
    let pipeline = gst::parse::launch(description).unwrap();
    let pipeline = Running(pipeline.downcast::<gst::Pipeline>().unwrap());
    let bin = pipeline.by_name("l").unwrap();
    lipsync(bin.downcast_ref().unwrap())
        .downcast_ref::<Lipsync>()
        .unwrap()
        .set_generator(ShowsSound::source());
    pipeline.set_state(gst::State::Playing).unwrap();
    let end = pipeline.bus().unwrap().timed_pop_filtered(
        gst::ClockTime::try_from(PATIENCE).unwrap(),
        &[gst::MessageType::Eos, gst::MessageType::Error],
    );
    let end = end.unwrap_or_else(|| panic!("{description}: stalls"));
    assert_eq!(end.type_(), gst::MessageType::Eos, "{description}: {end:?}");
    bin.property("stats")
}

#[test]
fn sound_of_any_rate_is_heard() {
    init();
    for rate in [
        100, 1_000, 3_999, 4_000, 6_000, 7_350, 384_001, 705_600, 768_000, 1_536_000, 2_822_400,
    ] {
        let stats = runs(&format!(
            "videotestsrc num-buffers=20 ! video/x-raw,width=32,height=32,framerate=25/1 ! l.video_sink
             audiotestsrc num-buffers=15 samplesperbuffer={} ! audio/x-raw,rate={rate} ! l.audio_sink
             lipsyncbin name=l ! fakesink l.audio_src ! fakesink",
            rate / 10
        ));
        assert_eq!(stats.get::<u64>("frames-synced"), Ok(20), "{rate} Hz");
    }
}

#[test]
fn an_output_that_nobody_wants_is_no_error() {
    init();
    let inputs = "videotestsrc num-buffers=100 ! video/x-raw,width=32,height=32,framerate=25/1 ! l.video_sink
        audiotestsrc num-buffers=220 ! audio/x-raw,rate=48000 ! l.audio_sink lipsyncbin name=l";
    let stats = runs(&format!("{inputs} l.video_src ! fakesink"));
    assert_eq!(stats.get::<u64>("frames-synced"), Ok(100));
    runs(&format!("{inputs} l.audio_src ! fakesink"));
}

/// An output that leads out of another bin, and no further, is not wanted either.
#[test]
fn an_output_that_ends_at_the_wall_of_another_bin_is_no_error() {
    let inner = bin();
    let outer = gst::Bin::new();
    outer.add(&inner).unwrap();
    for pad in inner.pads() {
        let ghost = gst::GhostPad::builder_with_target(&pad).unwrap();
        outer.add_pad(&ghost.name(pad.name()).build()).unwrap();
    }
    let bus = gst::Bus::new();
    outer.set_bus(Some(&bus));
    let (sender, out) = std::sync::mpsc::channel();
    let sink = sink_pad(sender);
    outer.static_pad("video_src").unwrap().link(&sink).unwrap();
    let [video, audio] = ["video", "audio"].map(|name| {
        let pad = src_pad(name, FILE);
        let sink = outer.static_pad(&format!("{name}_sink")).unwrap();
        pad.link(&sink).unwrap();
        pad
    });
    outer.set_state(gst::State::Playing).unwrap();
    let (pictures, tones) = (Pictures::at(25, 1), Tones::silent(2_300 * MS));
    let items = interleaved(pictures.stream(50), tones.stream(), 0);
    let feeding = feed_both(&video, &audio, items);
    let frames = until_eos(&out).len();
    feeding.join().unwrap();
    let error = bus.pop_filtered(&[gst::MessageType::Error]);
    outer.set_state(gst::State::Null).unwrap();
    outer.set_bus(None);
    for pad in [video, audio, sink] {
        pad.set_active(false).unwrap();
    }
    assert_eq!(frames, 50);
    assert!(error.is_none(), "{error:?}");
}

#[test]
fn what_keeps_the_bin_from_listening_is_told_and_leaves_nothing_behind() {
    let mut around = Around::new(FILE);
    around.unlink("audio");
    around.play();
    // Somebody has taken the only pad.
    let lipsync = lipsync(&around.bin);
    let taken = lipsync.request_pad_simple("audio").unwrap();
    let error = |around: &Around| {
        let message = around.bus.pop_filtered(&[gst::MessageType::Error])?;
        match message.view() {
            gst::MessageView::Error(error) => Some(error.error().to_string()),
            _ => unreachable!("only errors were asked for"),
        }
    };
    let tee = around.bin.by_name("sound").unwrap();
    let branches = tee.num_src_pads();
    around.link("audio", FILE);
    let text = error(&around).expect("there is an error");
    assert!(text.contains("audio"), "{text}");
    assert_eq!(tee.num_src_pads(), branches);
    assert_eq!(lipsync.num_sink_pads(), 2);

    // Once it is free again, all is as if nothing had been.
    lipsync.release_request_pad(&taken);
    around.unlink("audio");
    around.link("audio", FILE);
    assert_eq!(error(&around), None);
    let tones = Tones::of(2_300 * MS, 0..2_300 * MS);
    let items = interleaved(Pictures::at(25, 1).stream(50), tones.stream(), 0);
    let feeding = feed_both(around.source("video"), around.source("audio"), items);
    let frames = until_eos(&around.video);
    feeding.join().unwrap();
    assert!(frames[2..].iter().all(|frame| shown(frame) > 128));

    // Before it is started, the start fails with it.
    let bin = bin();
    let bus = gst::Bus::new();
    bin.set_bus(Some(&bus));
    let of_bin = crate::around::lipsync(&bin);
    let _taken = of_bin.request_pad_simple("audio").unwrap();
    let pads = ["video", "audio"].map(|name| {
        let pad = src_pad(name, FILE);
        let sink = bin.static_pad(&format!("{name}_sink")).unwrap();
        pad.link(&sink).unwrap();
        pad
    });
    assert!(bin.set_state(gst::State::Ready).is_err());
    assert!(bus.pop_filtered(&[gst::MessageType::Error]).is_some());
    bin.set_state(gst::State::Null).unwrap();
    bin.set_bus(None);
    for pad in pads {
        pad.set_active(false).unwrap();
    }
}

/// Left and right cancel each other out, in a format that has to be converted.
#[test]
fn lipsync_hears_the_channels_as_they_came_in() {
    init();
    let stats = runs(
        "videotestsrc num-buffers=25 ! video/x-raw,width=64,height=48,framerate=25/1 ! l.video_sink
         audiotestsrc num-buffers=90 ! audio/x-raw,rate=48000,channels=1
           ! audioconvert mix-matrix=<<(float)0.5>,<(float)-0.5>> ! audio/x-raw,channels=2
           ! audioconvert ! audio/x-raw,format=S24LE ! l.audio_sink
         lipsyncbin name=l ! fakesink l.audio_src ! fakesink",
    );
    assert_eq!(stats.get::<u64>("frames-synced"), Ok(25));
}
