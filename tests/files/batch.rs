//! `batch-size`: frames that are drawn at once come out as if each were drawn alone, in order,
//! whatever happens between them.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{common::*, live_source::Live};
use gst::prelude::*;
use lipsync_core::{catalogue::Source, generator::Generator};
use proptest::prelude::*;

const FRAME_MS: u64 = 40;

/// How many faces were drawn at once, each time.
type Runs = Arc<Mutex<Vec<usize>>>;

/// Shows the sound, the frame it was sampled from and the one it is painted on; draws so many at
/// once, and fails on a frame of the level that it `refuses`.
fn together(batch: usize, refuses: Option<u8>) -> (Source, Runs) {
    let runs = Runs::default();
    let copy = runs.clone();
    let make = move || {
        Box::new(StandIn {
            name: "together",
            batch,
            state: (copy.clone(), refuses.map(f32::from)),
            listen: |_, heard| Ok(ShowsSound::brightness(heard)),
            draw: |(runs, refuses), sketches| {
                runs.lock().unwrap().push(sketches.len());
                fail_if(
                    sketches
                        .iter()
                        .any(|sketch| Some(sketch.seen[0]) == *refuses),
                )
            },
            sample: |_| (),
            paint: |_, view, spot, [heard, seen]| {
                ShowsSound::fill_square(view, heard);
                view.planes[0].data[1] = seen as u8;
                view.planes[0].data[2] = spot.pixels[0] as u8;
            },
        }) as Box<dyn Generator>
    };
    (Source::Custom(Arc::new(make)), runs)
}

fn lipsync(source: Source, batch_size: u32) -> gst::Element {
    let element = element_with(source);
    element.set_property("batch-size", batch_size);
    element.set_property_from_str("silence", "animate");
    element
}

/// What comes out: PTS and bytes of frames, types of events.
#[derive(Debug, PartialEq)]
enum Seen {
    Frame(Option<gst::ClockTime>, Vec<u8>),
    Event(gst::EventType),
}

fn seen(outs: Vec<Out>) -> Vec<Seen> {
    outs.into_iter()
        .map(|out| match out {
            Out::Buffer(buffer) => {
                Seen::Frame(buffer.pts(), buffer.map_readable().unwrap().to_vec())
            }
            Out::Event(event) => Seen::Event(event.type_()),
        })
        .collect()
}

fn tones() -> Tones {
    Tones::of(4_000 * MS, 300 * MS..900 * MS)
}

/// What the element makes of these items, and how many were drawn at once.
fn through(batch: u32, video: Vec<Item>, sound: Vec<Item>) -> (Vec<Seen>, Vec<usize>, Rig) {
    let (source, runs) = together(batch as usize, None);
    let rig = Rig::stopped(lipsync(source, batch), FILE, true);
    rig.play();
    let feeding = rig.feed(video, sound);
    let outs = seen(rig.until_eos());
    feeding.join();
    let runs = runs.lock().unwrap().clone();
    (outs, runs, rig)
}

#[test]
fn frames_come_out_as_if_each_were_drawn_alone() {
    let pictures = Pictures::at(25, 1);
    let alone = through(1, pictures.stream(33), tones().stream()).0;
    for (batch, expected) in [
        (2, [[2; 16].as_slice(), &[1]].concat()),
        (10, vec![10, 10, 10, 3]),
        (64, vec![33]),
    ] {
        let (outs, runs, rig) = through(batch, pictures.stream(33), tones().stream());
        assert!(outs == alone, "{batch} at once");
        assert_eq!(runs, expected);
        assert_eq!(rig.stat("frames-in"), 33);
        assert_eq!(rig.stat("frames-out"), 33);
        assert_eq!(rig.stat("frames-held"), 0);
    }
}

#[test]
fn a_generator_that_takes_fewer_is_said_and_collects_no_more() {
    for (takes, expected) in [(1, "draws 1 at once"), (3, "draws 3 at once")] {
        let (source, runs) = together(takes, None);
        let rig = Rig::stopped(lipsync(source, 8), FILE, true);
        rig.play();
        let feeding = rig.feed(Pictures::at(25, 1).stream(6), tones().stream());
        assert_eq!(rig.frames_until_eos().len(), 6);
        feeding.join();
        assert!(runs.lock().unwrap().iter().all(|run| *run == takes));
        let warnings = rig.warnings();
        assert!(
            matches!(&warnings[..], [warning] if warning.contains("batch-size is 8") && warning.contains(expected)),
            "{warnings:?}"
        );
        // It may take more than are collected.
        let (source, runs) = together(8, None);
        let rig = Rig::stopped(lipsync(source, 3), FILE, true);
        rig.play();
        let feeding = rig.feed(Pictures::at(25, 1).stream(6), tones().stream());
        assert_eq!(rig.frames_until_eos().len(), 6);
        feeding.join();
        assert_eq!(*runs.lock().unwrap(), [3, 3]);
        assert!(rig.warnings().is_empty());
    }
}

#[test]
fn a_fault_of_one_frame_is_not_the_others() {
    let (source, _) = together(5, Some(12));
    let rig = Rig::stopped(lipsync(source, 5), FILE, true);
    rig.play();
    let feeding = rig.feed(Pictures::at(25, 1).stream(20), tones().stream());
    let frames = rig.frames_until_eos();
    feeding.join();
    assert_eq!(frames.len(), 20);
    for (index, frame) in frames.iter().enumerate() {
        assert_eq!(frame.offset(), index as u64);
        let index = index as u64;
        // Before, there is nothing to be seen of the sound.
        if index >= 10 {
            assert_eq!(is_untouched(frame, index), index == 12, "frame {index}");
        }
    }
    assert_eq!(rig.stat("frames-error"), 1);
    assert_eq!(rig.stat("frames-synced"), 19);
}

/// Frames of which some are still with upstream when the first are drawn.
const MORE_THAN_WAIT: u64 = 200;

#[test]
fn with_on_error_the_frames_before_the_fault_go_out_and_no_others() {
    let (source, _) = together(5, Some(7));
    let element = lipsync(source, 5);
    element.set_property_from_str("on-error", "error");
    let rig = Rig::stopped(element, FILE, true);
    rig.play();
    let feeding = rig.feed(Pictures::at(25, 1).stream(MORE_THAN_WAIT), tones().stream());
    let video = &feeding.join()[0];
    assert!(video.contains(&Err(gst::FlowError::Error)), "{video:?}");
    let mut frames = 0;
    while let Some(out) = rig.try_next(Duration::ZERO) {
        frames += u32::from(matches!(out, Out::Buffer(_)));
    }
    assert_eq!(frames, 7);
    assert_eq!(rig.errors().len(), 1);
    assert_eq!(rig.stat("frames-held"), 0);
}

/// What may come between frames.
#[derive(Clone, Debug)]
enum Step {
    Frames(u64),
    Gap,
    Tag,
    Custom,
    /// Frames of this width from here on.
    Caps(u32),
    Segment,
    /// A frame without timestamp.
    Unstamped,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..7u64).prop_map(Step::Frames),
        1 => Just(Step::Gap),
        1 => Just(Step::Tag),
        1 => Just(Step::Custom),
        1 => prop_oneof![Just(16u32), Just(32), Just(48)].prop_map(Step::Caps),
        1 => Just(Step::Segment),
        1 => Just(Step::Unstamped),
    ];
    prop::collection::vec(step, 1..12)
}

fn items(steps: &[Step]) -> Vec<Item> {
    let mut pictures = Pictures::at(25, 1);
    let mut items = begin("video", &pictures.caps(), &segment_from(0));
    let mut index = 0;
    for step in steps {
        match *step {
            Step::Frames(count) => {
                items.extend((index..index + count).map(|index| pictures.frame(index).into()));
                index += count;
            }
            Step::Gap => {
                let at = gst::ClockTime::from_mseconds(index * FRAME_MS);
                let lasts = gst::ClockTime::from_mseconds(FRAME_MS);
                items.push(gst::event::Gap::builder(at).duration(lasts).build().into());
                index += 1;
            }
            Step::Tag => items.push(gst::event::Tag::new(gst::TagList::new()).into()),
            Step::Custom => {
                let structure = gst::Structure::new_empty("between-frames");
                items.push(gst::event::CustomDownstream::new(structure).into());
            }
            Step::Caps(width) => {
                pictures.width = width;
                items.push(gst::event::Caps::new(&pictures.caps()).into());
            }
            Step::Segment => items.push(gst::event::Segment::new(&segment_from(0)).into()),
            Step::Unstamped => {
                let mut frame = pictures.frame(index);
                frame.make_mut().set_pts(gst::ClockTime::NONE);
                items.push(frame.into());
                index += 1;
            }
        }
    }
    items.push(end());
    items
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn nothing_is_lost_moved_or_changed_by_what_comes_between_frames(
        steps in steps(),
        batch in 2..12u32,
    ) {
        let alone = through(1, items(&steps), tones().stream()).0;
        let (together, _, rig) = through(batch, items(&steps), tones().stream());
        prop_assert_eq!(&together, &alone);
        prop_assert_eq!(rig.stat("frames-in"), rig.stat("frames-out"));
    }
}

/// Frames that were collected are out before the pipeline is told that a segment has been played:
/// nothing may come after it for ever.
#[test]
fn an_event_that_nothing_follows_sends_what_was_collected() {
    let (source, _) = together(10, None);
    let rig = Rig::stopped(lipsync(source, 10), FILE, true);
    rig.play();
    let pictures = Pictures::at(25, 1);
    let mut video = begin("video", &pictures.caps(), &segment_from(0));
    video.extend((0..4).map(|index| pictures.frame(index).into()));
    video.push(gst::event::SegmentDone::new(gst::ClockTime::SECOND).into());
    let mut sound = tones().stream();
    sound.pop();
    let sound = sound.into_iter().take(40).collect();
    let feeding = rig.feed(video, sound);
    let mut frames = 0;
    loop {
        match rig.next() {
            Out::Buffer(_) => frames += 1,
            Out::Event(event) if event.type_() == gst::EventType::SegmentDone => break,
            Out::Event(_) => (),
        }
    }
    assert_eq!(frames, 4);
    rig.element.set_state(gst::State::Null).unwrap();
    feeding.join();
}

#[test]
fn a_flush_drops_what_was_collected_and_counts_it() {
    let (source, runs) = together(10, None);
    let rig = Rig::stopped(lipsync(source, 10), FILE, true);
    rig.play();
    let pictures = Pictures::at(25, 1);
    let mut video = begin("video", &pictures.caps(), &segment_from(0));
    video.extend((0..14).map(|index| pictures.frame(index).into()));
    let mut sound = tones().stream();
    sound.truncate(60);
    let first = rig.feed(video, sound);
    let mut frames: Vec<_> = (0..10).map(|_| rig.next_buffer()).collect();
    while rig.stat("frames-in") < 14 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let audio = rig.audio.as_ref().unwrap();
    for pad in [&rig.video, audio] {
        pad.push_event(gst::event::FlushStart::new());
    }
    first.join(); // what it pushed after the flush would have no segment
    for pad in [&rig.video, audio] {
        pad.push_event(gst::event::FlushStop::new(true));
    }
    let feeding = rig.feed(pictures.stream(3), tones().stream());
    frames.extend(rig.frames_until_eos());
    feeding.join();
    let offsets: Vec<_> = frames.iter().map(|frame| frame.offset()).collect();
    let expected: Vec<u64> = (0..10).chain(0..3).collect();
    assert_eq!(offsets, expected);
    assert_eq!(*runs.lock().unwrap(), [10, 3]);
    let (came, went) = (rig.stat("frames-in"), rig.stat("frames-out"));
    assert_eq!(
        (came - went, rig.stat("frames-held")),
        (rig.stat("frames-dropped"), 0)
    );
    assert_eq!(went, 13);
}

/// Also: another engine takes over, which draws what comes then.
#[test]
fn batch_size_may_change_while_frames_flow() {
    let (source, runs) = together(10, None);
    let rig = Rig::stopped(lipsync(source, 1), FILE, true);
    rig.play();
    let pictures = Pictures::at(25, 1);
    let sound = tones().stream();
    let mut video = begin("video", &pictures.caps(), &segment_from(0));
    video.extend((0..5).map(|index| pictures.frame(index).into()));
    let audio = feed(rig.audio.as_ref().unwrap(), sound);
    feed(&rig.video, video).join().unwrap();
    let mut frames: Vec<_> = (0..4).map(|_| rig.next_buffer().offset()).collect();
    rig.element.set_property("batch-size", 4u32);
    let mut more: Vec<Item> = (5..17).map(|index| pictures.frame(index).into()).collect();
    more.push(end());
    let video = feed(&rig.video, more);
    frames.extend(rig.frames_until_eos().iter().map(|frame| frame.offset()));
    video.join().unwrap();
    audio.join().unwrap();
    assert!(frames.into_iter().eq(0..17));
    let runs = runs.lock().unwrap();
    assert_eq!(runs.iter().sum::<usize>(), 17);
    assert!(runs.contains(&4), "{runs:?}");
}

fn latency(rig: &Rig) -> gst::ClockTime {
    let mut query = gst::query::Latency::new();
    assert!(rig.sink.peer_query(&mut query));
    query.result().1
}

#[test]
fn the_latency_grows_by_all_frames_but_one() {
    let told = |takes: usize, batch: u32, fps: (i32, i32)| {
        let (source, _) = together(takes, None);
        let rig = Rig::stopped(lipsync(source, batch), crate::live_source::LIVE, true);
        rig.play();
        let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::Gray8, 32, 32)
            .fps(gst::Fraction::new(fps.0, fps.1))
            .build()
            .unwrap();
        let mut video = begin("video", &info.to_caps().unwrap(), &segment_from(0));
        video.push(end());
        let sound = begin("audio", &tones().caps(), &segment_from(0));
        rig.feed(video, sound).join();
        // Caps are seen in the element's own thread.
        let mut last = latency(&rig);
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(10));
            last = latency(&rig);
        }
        last
    };
    let alone = told(10, 1, (25, 1));
    assert_eq!(told(10, 5, (25, 1)), alone + 160 * gst::ClockTime::MSECOND);
    assert_eq!(told(10, 5, (50, 1)), alone + 80 * gst::ClockTime::MSECOND);
    // At a variable rate a frame counts as 40 ms; a generator that takes 2 collects 2.
    assert_eq!(told(10, 5, (0, 1)), alone + 160 * gst::ClockTime::MSECOND);
    assert_eq!(told(2, 5, (25, 1)), alone + 40 * gst::ClockTime::MSECOND);
    assert_eq!(told(1, 5, (25, 1)), alone);
}

/// In a live pipeline the first frame of a batch does not wait for longer than was said.
#[test]
fn a_live_batch_goes_when_its_first_frame_is_due() {
    let (source, runs) = together(4, None);
    let live = Live::with(lipsync(source, 4));
    // The clock goes in steps: by it frames are late.
    live.rig.element.set_property("qos", false);
    for frame in 0..3 {
        live.push_frame(frame);
    }
    for chunk in 0..30 {
        live.push_sound(chunk);
    }
    while live.rig.stat("frames-in") < 3 {
        live.wake_due();
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(live.try_frame(Duration::from_millis(100)).is_none());
    let latency = live.latency().1.mseconds();
    assert!(latency >= 200 + 3 * FRAME_MS, "{latency}");
    live.set_time(latency + 1);
    let offsets: Vec<_> = (0..3).map(|_| live.frame().offset()).collect();
    assert_eq!(offsets, [0, 1, 2]);
    assert_eq!(*runs.lock().unwrap(), [3]);
    // With all of its frames it goes at once.
    for frame in 3..7 {
        live.push_frame(frame);
    }
    for chunk in 30..60 {
        live.push_sound(chunk);
    }
    let offsets: Vec<_> = (0..4).map(|_| live.frame().offset()).collect();
    assert_eq!(offsets, [3, 4, 5, 6]);
    assert_eq!(*runs.lock().unwrap(), [3, 4]);
}

/// A model of the family `wav2lip` whose network is linear, in a fixed box.
fn model(name: &str, batch: crate::onnx::Dim) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join("batch")
        .join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let network = crate::onnx::Linear {
        size: 96,
        batch,
        names: ["mel_spectrogram", "video_frames", "predicted_frames"],
        channels: [
            crate::onnx::only(3),
            crate::onnx::only(4),
            crate::onnx::only(5),
        ],
        hears: [1, 80, 16],
        window: vec![1e-4; 3 * 80 * 16],
        bias: [0.1; 3],
    };
    std::fs::write(folder.join("net.onnx"), network.bytes()).unwrap();
    let manifest = "version = 1\nfamily = \"wav2lip\"\nname = \"linear\"\nlicence = \"MPL-2.0\"\n\
                    source = \"a test\"\nfiles.generator = { path = \"net.onnx\", sha256 = \"\" }\n\
                    crop.box = [16, 16, 96, 96]\ncrop.pads = [0, 0, 0, 0]\n\
                    blend.kind = \"reference\"\n";
    std::fs::write(folder.join("manifest.toml"), manifest).unwrap();
    folder
}

/// What the element makes of 11 grey frames, and its warnings.
fn drawn(source: Source, batch: u32) -> (Vec<Seen>, Vec<String>) {
    let element = lipsync(source, batch);
    element.set_property("onnxruntime-library", onnxruntime());
    let rig = Rig::stopped(element, FILE, true);
    rig.play();
    let pictures = Pictures::rgb(128, 128);
    let feeding = rig.feed(pictures.stream(11), tones().stream());
    let frames = rig.frames_until_eos();
    feeding.join();
    assert_eq!(rig.stat("frames-synced"), 11, "{:?}", rig.warnings());
    let outs = frames.into_iter().map(Out::Buffer).collect();
    (seen(outs), rig.warnings())
}

#[test]
fn real_networks_draw_as_many_as_their_first_dimension_lets_them() {
    if onnxruntime().is_none() {
        return;
    }
    let open = model("open", crate::onnx::Dim::Open("batch"));
    let (alone, warnings) = drawn(Source::Path(open.clone()), 1);
    assert!(warnings.is_empty(), "{warnings:?}");
    for batch in [2, 4, 10] {
        let (together, warnings) = drawn(Source::Path(open.clone()), batch);
        assert!(together == alone, "{batch} at once");
        assert!(warnings.is_empty(), "{warnings:?}");
    }
    for (fixed, warns) in [(1, true), (3, true), (4, false), (6, false)] {
        let path = model(&format!("fixed-{fixed}"), crate::onnx::Dim::Fixed(fixed));
        let (together, warnings) = drawn(Source::Path(path), 4);
        assert!(together == alone, "a network for {fixed}");
        assert_eq!(!warnings.is_empty(), warns, "{warnings:?}");
    }
}

/// The batched kernels of ONNX Runtime may add in another order.
const MOST_LEVELS_APART: u8 = 1;

#[test]
fn the_built_in_model_draws_the_same_mouths_at_once() {
    let (Some(library), Some(picture)) = (
        onnxruntime(),
        crate::picture::Picture::load("young-woman-in-mauve.jpg"),
    ) else {
        return;
    };
    let pictures = Pictures::rgb(picture.width as u32, picture.height as u32);
    let frames = |batch: u32| {
        let element = gst::ElementFactory::make("lipsync")
            .property("onnxruntime-library", &library)
            .property("batch-size", batch)
            .build()
            .unwrap();
        let rig = Rig::stopped(element, FILE, true);
        rig.play();
        let mut video = begin("video", &pictures.caps(), &segment_from(0));
        for index in 0..10 {
            let mut frame = pictures.frame(index);
            let writable = frame.make_mut();
            writable
                .map_writable()
                .unwrap()
                .copy_from_slice(&picture.data);
            video.push(frame.into());
        }
        video.push(end());
        let feeding = rig.feed(video, Tones::of(1_000 * MS, 0..1_000 * MS).stream());
        let frames = rig.frames_until_eos();
        feeding.join();
        assert_eq!(rig.stat("frames-synced"), 10);
        assert!(rig.warnings().is_empty());
        frames
    };
    let alone = frames(1);
    let together = frames(4);
    let mut worst = 0;
    for (a, b) in alone.iter().zip(&together) {
        assert_eq!(a.pts(), b.pts());
        let (a, b) = (a.map_readable().unwrap(), b.map_readable().unwrap());
        assert!(a[..] != picture.data[..], "nothing was drawn");
        let apart = a.iter().zip(&b[..]).map(|(a, b)| a.abs_diff(*b));
        worst = worst.max(apart.max().unwrap_or(0));
    }
    println!("at most {worst} of 255 apart");
    assert!(worst <= MOST_LEVELS_APART, "{worst}");
}
