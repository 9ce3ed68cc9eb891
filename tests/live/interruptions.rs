//! What live sources and players do to a stream: they go away and come back, jump, drift, change
//! their format and play backwards. Frames go on and mouths find back to their sound.

use std::sync::mpsc::Receiver;

use crate::{
    common::*,
    live_source::{CHUNK_MS, Live},
};
use gst::prelude::*;

const FRAME_MS: u64 = 40;
/// How long one of the sources stays away.
const AWAY_MS: u64 = 120_000;

/// A live stream and what it has come to.
struct OnAir {
    live: Live,
    now_ms: u64,
    /// The frames that were pushed and have not come out.
    due: std::collections::VecDeque<u64>,
    out: Vec<gst::Buffer>,
}

impl OnAir {
    fn new() -> Self {
        let live = Live::new();
        // The clock goes in steps of a frame: by it each is late.
        live.rig.element.set_property("qos", false);
        Self {
            live,
            now_ms: 0,
            due: Default::default(),
            out: Vec::new(),
        }
    }

    /// Lets time pass until `to_ms`, with the sources that there are. The sound's stamps are
    /// `sound_off_ms` behind the time.
    fn pass(&mut self, to_ms: u64, has_frames: bool, has_sound: bool, sound_off_ms: u64) {
        while self.now_ms < to_ms {
            for ms in (self.now_ms..self.now_ms + FRAME_MS).step_by(CHUNK_MS as usize) {
                if has_sound {
                    self.live.push_sound_at(ms.saturating_sub(sound_off_ms));
                }
            }
            if has_frames {
                let index = self.now_ms / FRAME_MS;
                self.live.push_frame(index);
                self.due.push_back(index);
            }
            self.now_ms += FRAME_MS;
            self.live.set_time(self.now_ms);
            self.live.settle();
            let latency = self.live.latency().1.mseconds();
            // At its deadline a frame leaves, whatever has become of its sound.
            while let Some(index) = self.due.front().copied()
                && index * FRAME_MS + latency <= self.now_ms
            {
                let frame = self.live.frame();
                assert_eq!(frame.offset(), index, "at {} ms", self.now_ms);
                self.due.pop_front();
                self.out.push(frame);
            }
        }
    }

    fn late(&self) -> u64 {
        self.live.rig.stat("frames-late")
    }

    fn last_shown(&self) -> u8 {
        shown(self.out.last().unwrap())
    }
}

#[test]
fn sound_that_stays_away_for_minutes_holds_up_no_frame_and_is_heard_when_it_comes_back() {
    let mut air = OnAir::new();
    air.pass(2_000, true, true, 0);
    assert!(air.last_shown() > 100);
    let late = air.late();
    air.pass(2_000 + AWAY_MS, true, false, 0);
    assert_eq!(air.last_shown(), 0, "nobody speaks");
    assert!(air.late() > late + AWAY_MS / FRAME_MS - 20);
    air.pass(3_000 + AWAY_MS, true, true, 0);
    let late = air.late();
    air.pass(5_000 + AWAY_MS, true, true, 0);
    assert!(air.last_shown() > 100);
    assert_eq!(air.late(), late, "frames have their sound again");
    assert!(air.out.len() as u64 > (4_500 + AWAY_MS) / FRAME_MS);
}

#[test]
fn frames_that_stay_away_for_minutes_do_not_hold_up_the_sound_and_move_when_they_come_back() {
    let mut air = OnAir::new();
    air.pass(2_000, true, true, 0);
    // What the microphone gives is taken all the time: `settle` sees to that.
    air.pass(2_000 + AWAY_MS, false, true, 0);
    let samples = air.live.rig.stat("audio-samples-in");
    assert!(samples > AWAY_MS * 48, "{samples}");
    let (late, came) = (air.late(), air.out.len());
    air.pass(4_000 + AWAY_MS, true, true, 0);
    assert!(air.out[came + 10..].iter().all(|frame| shown(frame) > 100));
    assert_eq!(air.late(), late);
}

#[test]
fn both_may_stay_away() {
    let mut air = OnAir::new();
    air.pass(2_000, true, true, 0);
    air.pass(2_000 + AWAY_MS, false, false, 0);
    let came = air.out.len();
    air.pass(4_000 + AWAY_MS, true, true, 0);
    assert!(air.out.len() > came + 30);
    assert!(air.last_shown() > 100);
}

#[test]
fn sound_whose_stamps_jump_back_and_forth_is_heard_again() {
    let mut air = OnAir::new();
    air.pass(2_000, true, true, 0);
    for (seconds, off_ms) in [(3, 1_500), (5, 0), (7, 4_000), (9, 0)] {
        air.pass(seconds * 1_000, true, true, off_ms);
        assert_eq!(air.last_shown() > 100, off_ms == 0, "{off_ms} ms off");
    }
    assert_eq!(air.live.rig.stat("frames-error"), 0);
}

/// Frames about each pulse, few between, of a source without fixed rate.
const PULSE_EVERY_S: u64 = 120;
const HOURS: u64 = 2;
const PULSE_MS: u64 = 400;

/// When the frames are shown.
fn frame_times() -> impl Iterator<Item = u64> {
    let dense = |pulse: u64| (0..60).map(move |n| pulse * PULSE_EVERY_S * 1_000 - 1_000 + n * 40);
    (1..HOURS * 3_600 / PULSE_EVERY_S).flat_map(dense)
}

#[test]
fn a_sound_card_that_runs_slow_does_not_come_apart_from_the_picture_for_hours() {
    const RATE: u64 = 8_000;
    const PPM: f64 = 100.0;
    let rig = Rig::new();
    let mut pictures = Pictures::at(25, 1);
    pictures.width = 16;
    let info = gst_video::VideoInfo::builder(pictures.format, pictures.width, pictures.height)
        .fps(gst::Fraction::new(0, 1));
    let caps = info.build().unwrap().to_caps().unwrap();
    let mut items = begin("video", &caps, &segment_from(0));
    items.extend(frame_times().map(|ms| {
        let mut frame = pictures.frame(0);
        let writable = frame.make_mut();
        writable.set_pts(gst::ClockTime::from_mseconds(ms));
        writable.set_duration(gst::ClockTime::from_mseconds(40));
        frame.into()
    }));
    items.push(end());
    let feeding = feed(&rig.video, items);

    let tones = Tones {
        rate: RATE as u32,
        channels: 1,
        ..Tones::silent(0)
    };
    let pad = rig.audio.clone().unwrap();
    let hearing = std::thread::spawn(move || {
        for item in begin("audio", &tones.caps(), &segment_from(0)) {
            if let Item::Event(event) = item {
                pad.push_event(event);
            }
        }
        // Buffers of 100 ms by the audio device's own count; the stamps are the pipeline's clock.
        let pulse = |sample: u64| {
            let true_ms = (sample as f64 / RATE as f64 * (1.0 + PPM / 1e6) * 1e3) as u64;
            let since = (true_ms + PULSE_MS / 2) % (PULSE_EVERY_S * 1_000);
            match since < PULSE_MS {
                true => 0.5 * (sample as f32 * std::f32::consts::FRAC_PI_4).sin(),
                false => 0.0,
            }
        };
        for first in (0..HOURS * 3_600 * RATE).step_by(RATE as usize / 10) {
            let samples = (first..first + RATE / 10).map(pulse);
            let bytes: Vec<u8> = samples.flat_map(f32::to_le_bytes).collect();
            let mut buffer = gst::Buffer::from_mut_slice(bytes);
            let stamp = first as f64 / RATE as f64 * (1.0 + PPM / 1e6) * 1e9;
            let pts = gst::ClockTime::from_nseconds(stamp as u64);
            buffer.make_mut().set_pts(pts);
            if pad.push(buffer).is_err() {
                return;
            }
        }
        pad.push_event(gst::event::Eos::new());
    });
    let (mut weighed, mut weights, mut pulses) = (0.0, 0.0, 0);
    for ms in frame_times() {
        let frame = rig.next_buffer();
        assert_eq!(frame.pts(), Some(gst::ClockTime::from_mseconds(ms)));
        let weight = f64::from(shown(&frame));
        weighed += weight * ms as f64;
        weights += weight;
        // 1.4 s after the pulse.
        if ms % (PULSE_EVERY_S * 1_000) == 1_360 {
            let off_ms = weighed / weights - (ms - 1_360) as f64;
            assert!(off_ms.abs() < 20.0, "{off_ms} ms off after {ms} ms");
            (weighed, weights) = (0.0, 0.0);
            pulses += 1;
        }
    }
    assert_eq!(pulses, HOURS * 3_600 / PULSE_EVERY_S - 1);
    feeding.join().unwrap();
    hearing.join().unwrap();
}

/// A segment from 0 on, and the same for both pads.
fn segment(rate: f64, flags: gst::SegmentFlags) -> gst::Segment {
    let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
    segment.set_rate(rate);
    segment.set_flags(flags);
    segment.set_stop(10 * gst::ClockTime::SECOND);
    segment.upcast()
}

#[test]
fn frames_that_are_not_played_as_they_were_recorded_pass_untouched() {
    let pictures = Pictures::at(25, 1);
    let tones = Tones::of(2_300 * MS, 0..2_300 * MS);
    let none = gst::SegmentFlags::empty();
    for (rate, flags, is_touched) in [
        (1.0, none, true),
        (2.0, none, false),
        (0.5, none, false),
        (-1.0, none, false),
        (-4.0, gst::SegmentFlags::TRICKMODE, false),
        (1.0, gst::SegmentFlags::TRICKMODE_KEY_UNITS, false),
        (1.0, none, true),
    ] {
        let rig = Rig::new();
        let segment = segment(rate, flags);
        let mut frames: Vec<_> = (0..50).map(|index| pictures.frame(index)).collect();
        let mut sound = tones.buffers();
        if rate < 0.0 {
            frames.reverse();
            sound.reverse();
        }
        let expected: Vec<_> = frames.iter().map(|frame| frame.offset()).collect();
        let stream = |name, caps: &gst::Caps, buffers: Vec<gst::Buffer>| {
            let mut items = begin(name, caps, &segment);
            items.extend(buffers.into_iter().map(Item::from));
            items.push(end());
            items
        };
        let feeding = rig.feed(
            stream("video", &pictures.caps(), frames),
            stream("audio", &tones.caps(), sound),
        );
        let came = rig.frames_until_eos();
        feeding.join();
        let order: Vec<_> = came.iter().map(|frame| frame.offset()).collect();
        assert_eq!(order, expected, "rate {rate}");
        for frame in &came {
            let is_untouched = is_untouched(frame, frame.offset());
            assert_eq!(is_untouched, !is_touched, "rate {rate}, {flags:?}");
        }
        let passed = if is_touched { 0 } else { 50 };
        assert_eq!(rig.stat("frames-bypassed"), passed, "rate {rate}");
    }
}

#[test]
fn a_player_may_go_through_a_segment_again_and_again() {
    let rig = Rig::new();
    let pictures = Pictures::at(25, 1);
    let tones = Tones::of(1_000 * MS, 0..1_000 * MS);
    for round in 0..4 {
        let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
        segment.set_flags(gst::SegmentFlags::SEGMENT);
        segment.set_stop(gst::ClockTime::SECOND);
        segment.set_base(round * gst::ClockTime::SECOND);
        let stream = |name, caps: &gst::Caps, buffers: Vec<gst::Buffer>| {
            let mut items = begin(name, caps, segment.upcast_ref());
            // A stream begins once.
            items.drain(..if round > 0 { 2 } else { 0 });
            items.extend(buffers.into_iter().map(Item::from));
            items.push(gst::event::SegmentDone::new(gst::ClockTime::SECOND).into());
            items
        };
        let frames = (0..25).map(|index| pictures.frame(index)).collect();
        let feeding = rig.feed(
            stream("video", &pictures.caps(), frames),
            stream("audio", &tones.caps(), tones.buffers()),
        );
        let mut frames = Vec::new();
        loop {
            match rig.next() {
                Out::Buffer(frame) => frames.push(frame),
                Out::Event(event) if event.type_() == gst::EventType::SegmentDone => break,
                Out::Event(_) => (),
            }
        }
        feeding.join();
        assert_eq!(frames.len(), 25, "round {round}");
        let speaking = frames.iter().filter(|frame| shown(frame) > 100).count();
        assert!(speaking >= 24, "{speaking} frames of round {round}");
    }
    let feeding = rig.feed(vec![end()], vec![end()]);
    assert!(rig.frames_until_eos().is_empty());
    feeding.join();
}

fn force_key_unit(count: u32) -> gst::Event {
    gst_video::DownstreamForceKeyUnitEvent::builder()
        .all_headers(true)
        .count(count)
        .build()
}

fn own(name: &str) -> gst::Event {
    gst::event::CustomDownstream::new(gst::Structure::new_empty(name))
}

#[test]
fn events_of_others_keep_their_place_between_the_frames() {
    let rig = Rig::new();
    rig.element.set_property("tag-altered", false);
    let pictures = Pictures::at(25, 1);
    let mut items = begin("video", &pictures.caps(), &segment_from(0));
    let mut tags = gst::TagList::new();
    tags.make_mut()
        .add::<gst::tags::Title>(&"evening news", gst::TagMergeMode::Append);
    for index in 0..30 {
        match index {
            5 => items.push(force_key_unit(7).into()),
            10 => items.push(gst::event::Tag::new(tags.clone()).into()),
            15 => items.push(own("of-somebody").into()),
            20 => items.push(
                gst::event::CustomDownstreamSticky::new(gst::Structure::new_empty("sticky")).into(),
            ),
            _ => (),
        }
        items.push(pictures.frame(index).into());
    }
    items.push(end());
    // Those of the sound are not for the picture.
    let mut sound = Tones::silent(2_000 * MS).stream();
    sound.insert(10, own("of-the-sound").into());
    let feeding = rig.feed(items, sound);
    let (mut frames, mut seen) = (0, Vec::new());
    for out in rig.until_eos() {
        use gst::EventType::{CustomDownstream, CustomDownstreamSticky, Tag};
        match out {
            Out::Buffer(_) => frames += 1,
            Out::Event(event) => match event.type_() {
                Tag => seen.push((frames, "tag".to_owned())),
                CustomDownstream | CustomDownstreamSticky => {
                    seen.push((frames, event.structure().unwrap().name().to_string()));
                }
                _ => (),
            },
        }
    }
    feeding.join();
    let seen: Vec<_> = seen.iter().map(|(at, name)| (*at, name.as_str())).collect();
    assert_eq!(
        seen,
        [
            (5, "GstForceKeyUnit"),
            (10, "tag"),
            (15, "of-somebody"),
            (20, "sticky")
        ]
    );
}

/// A pad that tells of the upstream events it is sent.
fn listening(name: &str) -> (gst::Pad, Receiver<gst::Event>) {
    let (sender, events) = std::sync::mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    let pad = gst::Pad::builder(gst::PadDirection::Src)
        .name(name)
        .event_function(move |_, _, event| {
            let _ = sender.lock().unwrap().send(event);
            true
        })
        .build();
    pad.set_active(true).unwrap();
    (pad, events)
}

#[test]
fn an_encoder_that_wants_a_key_frame_is_heard_by_the_camera() {
    let element = element();
    let (video, wishes) = listening("video");
    video.link(&element.static_pad("video").unwrap()).unwrap();
    element.set_state(gst::State::Paused).unwrap();
    let wish = gst_video::UpstreamForceKeyUnitEvent::builder()
        .all_headers(true)
        .build();
    assert!(element.static_pad("src").unwrap().send_event(wish));
    let is_wish = |event: &gst::Event| gst_video::UpstreamForceKeyUnitEvent::parse(event).is_ok();
    while !is_wish(&wishes.recv_timeout(PATIENCE).unwrap()) {}
    element.set_state(gst::State::Null).unwrap();
    video.set_active(false).unwrap();
}

#[test]
fn everything_may_change_at_once_in_mid_stream() {
    let rig = Rig::new();
    let mut at_ns = 0;
    let (mut video, mut audio) = (Vec::new(), Vec::new());
    let parts = [
        (gst_video::VideoFormat::Gray8, 32, 32, 25, 48_000, 2),
        (gst_video::VideoFormat::I420, 64, 48, 50, 8_000, 1),
        (gst_video::VideoFormat::Rgb, 16, 90, 30, 96_000, 6),
        (gst_video::VideoFormat::Nv12, 320, 240, 60, 44_100, 1),
    ];
    let mut expected = Vec::new();
    for (format, width, height, fps, rate, channels) in parts {
        let pictures = Pictures {
            format,
            width,
            height,
            start_ns: at_ns,
            ..Pictures::at(fps, 1)
        };
        let tones = Tones {
            rate,
            channels,
            start_ns: at_ns,
            ..Tones::of(1_000 * MS, 0..1_000 * MS)
        };
        if at_ns == 0 {
            video.extend(begin("video", &pictures.caps(), &segment_from(0)));
            audio.extend(begin("audio", &tones.caps(), &segment_from(0)));
        }
        video.push(gst::event::Caps::new(&pictures.caps()).into());
        audio.push(gst::event::Caps::new(&tones.caps()).into());
        for index in 0..fps as u64 {
            let frame = pictures.frame(index);
            expected.push((frame.pts(), pictures.info().size(), index));
            video.push(frame.into());
        }
        audio.extend(tones.buffers().into_iter().map(Item::from));
        at_ns += 1_000 * MS;
    }
    video.push(end());
    audio.push(end());
    let feeding = rig.feed(video, audio);
    let frames = rig.frames_until_eos();
    feeding.join();
    assert_eq!(frames.len(), expected.len());
    for (frame, (pts, size, index)) in frames.iter().zip(&expected) {
        assert_eq!((frame.pts(), frame.size()), (*pts, *size));
        // The sound has no hole where it changes; the last of it is followed by silence.
        if pts.unwrap() < gst::ClockTime::from_mseconds(3_800) {
            assert!(shown(frame) > 100, "frame {index} at {pts:?}");
        }
    }
    assert_eq!(rig.stat("frames-synced") + rig.stat("frames-silent"), 165);
    assert!(rig.warnings().is_empty());
}

#[test]
fn the_pad_for_sound_may_go_and_come_on_air() {
    let mut air = OnAir::new();
    air.pass(2_000, true, true, 0);
    assert!(air.last_shown() > 100);
    let latency = air.live.latency().1;
    air.live.rig.remove_audio();
    assert!(air.live.latency().1 < latency);
    // Frames that waited have left.
    air.now_ms = 2_000;
    air.pass(4_000, true, false, 0);
    let last = air.out.last().unwrap();
    assert!(is_untouched(last, last.offset()));
    air.live.rig.add_audio(crate::live_source::LIVE);
    let pad = air.live.rig.audio.clone().unwrap();
    let caps = Tones::silent(0).caps();
    for item in begin("audio", &caps, &segment_from(0)) {
        if let Item::Event(event) = item {
            assert!(pad.push_event(event));
        }
    }
    air.live.audio = crate::live_source::Source::new(&pad);
    air.pass(6_000, true, true, 0);
    assert!(air.last_shown() > 100);
    assert_eq!(air.live.rig.stat("frames-error"), 0);
}
