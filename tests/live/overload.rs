//! Networks that are too slow, live and not, and sinks that fall behind: which frames lose what,
//! and what the bus is told.

use std::{
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    time::{Duration, Instant},
};

use crate::common::*;
use gst::prelude::*;
use lipsync_core::catalogue::Source;

const FRAME_MS: u64 = 40;
const LATENCY_UPSTREAM: gst::ClockTime = gst::ClockTime::from_mseconds(30);

/// Draws which frame it heard last. Tells the test of each run, and waits for it to let it end.
#[derive(Clone)]
struct Numbers {
    begun: Sender<u64>,
    /// Where the test lets runs take their time.
    ends: Arc<Mutex<Option<Receiver<()>>>>,
}

/// What the mouth of this frame looks like.
fn level(index: u64) -> u8 {
    100 + (index % 100) as u8
}

impl Numbers {
    fn generator(begun: Sender<u64>, ends: Arc<Mutex<Option<Receiver<()>>>>) -> Box<StandIn<Self>> {
        Box::new(StandIn {
            name: "numbers",
            batch: 1,
            state: Self { begun, ends },
            listen: |numbers, heard| {
                let index = heard.time_ns as u64 / (FRAME_MS * MS);
                let _ = numbers.begun.send(index);
                Ok(f32::from(level(index)))
            },
            draw: |numbers, _| {
                if let Some(ends) = &*numbers.ends.lock().unwrap() {
                    let _ = ends.recv();
                }
                Ok(())
            },
            sample: |_| (),
            paint: |_, view, _, [level, _]| view.planes[0].data[..SQUARE].fill(level as u8),
        })
    }
}

/// A live element, whose network runs as long as the test likes, under a clock that stands still
/// until the test moves it.
struct Live {
    end: Sender<()>,
    slow: Arc<Mutex<Option<Receiver<()>>>>,
    ends: Option<Receiver<()>>,
    begun: Receiver<u64>,
    rig: Rig,
    clock: gst_check::TestClock,
    pictures: Pictures,
    latency: gst::ClockTime,
    sound: Option<Feeding>,
}

/// Frames of a test.
const FRAMES: u64 = 60;

impl Live {
    fn new(late_policy: &str) -> Self {
        let (end, ends) = channel();
        let (begins, begun) = channel();
        let slow = Arc::new(Mutex::new(None));
        let source = {
            let slow = slow.clone();
            Source::Custom(Arc::new(move || {
                Numbers::generator(begins.clone(), slow.clone())
            }))
        };
        let element = element_with(source);
        element.set_property_from_str("late-policy", late_policy);
        element.set_property_from_str("silence", "animate");
        let upstream = Upstream {
            live: true,
            latency: LATENCY_UPSTREAM,
        };
        let rig = Rig::stopped(element, upstream, true);
        let clock = gst_check::TestClock::new();
        rig.element.set_clock(Some(&clock)).unwrap();
        rig.element.set_base_time(gst::ClockTime::ZERO);
        rig.play();
        let pictures = Pictures::at(25, 1);
        for item in begin("video", &pictures.caps(), &segment_from(0)) {
            if let Item::Event(event) = item {
                assert!(rig.video.push_event(event));
            }
        }
        let mut live = Self {
            end,
            slow,
            ends: Some(ends),
            begun,
            clock,
            pictures,
            latency: gst::ClockTime::ZERO,
            sound: None,
            rig,
        };
        // All the sound is there from the start: frames need not wait for it.
        let sound = Tones::silent((FRAMES + 10) * FRAME_MS * MS).stream();
        live.sound = Some(live.rig.feed(Vec::new(), sound));
        // The caps of the sound have been seen when the first frame has gone.
        assert_eq!(live.frame(0, Run::Ends), level(0));
        let mut query = gst::query::Latency::new();
        assert!(live.rig.sink.peer_query(&mut query));
        live.latency = query.result().1;
        live
    }

    fn set_time(&self, time: gst::ClockTime) {
        if time > self.clock.time() {
            self.clock.set_time(time);
        }
        while let Some(id) = self.clock.peek_next_pending_id() {
            if id.time() > self.clock.time() {
                break;
            }
            self.clock.process_next_clock_id();
        }
    }

    /// When frame `index` has to be out.
    fn deadline(&self, index: u64) -> gst::ClockTime {
        gst::ClockTime::from_mseconds(index * FRAME_MS) + self.latency
    }

    /// Sends the frame when there is as much time left as there is in all for work, and gives what
    /// it shows when it comes out, while the clock stands no later than where it is due.
    fn frame(&self, index: u64, run: Run) -> u8 {
        let all = gst::ClockTime::from_mseconds(40);
        self.set_time(self.deadline(index).saturating_sub(all));
        self.rig.video.push(self.pictures.frame(index)).unwrap();
        let is_begun = || self.begun.try_iter().any(|begun| begun == index);
        let start = Instant::now();
        let mut waits = false;
        loop {
            match self.rig.try_next(Duration::from_millis(1)) {
                Some(Out::Buffer(buffer)) => {
                    assert_eq!(buffer.offset(), index, "in order, and none is missing");
                    assert_eq!(buffer.pts(), self.pictures.frame(index).pts());
                    return shown(&buffer);
                }
                Some(Out::Event(_)) => (),
                None => assert!(start.elapsed() < PATIENCE, "frame {index} does not come"),
            }
            // The network has begun, and is not done when the frame has to be out.
            if run == Run::Lasts && !waits && is_begun() {
                waits = true;
                self.set_time(self.deadline(index));
            }
        }
    }

    fn be_slow(&mut self) {
        *self.slow.lock().unwrap() = self.ends.take();
    }

    /// The run that is under way ends, and the next ones take no time.
    fn be_fast(&mut self) {
        self.end.send(()).unwrap();
        *self.slow.lock().unwrap() = None;
    }

    fn losses(&self) -> Vec<gst::Message> {
        let bus = &self.rig.bus;
        std::iter::from_fn(|| bus.pop_filtered(&[gst::MessageType::Qos])).collect()
    }

    fn stat(&self, field: &str) -> u64 {
        self.rig.stat(field)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // Lets go of a run that is under way, and of what waits for the clock.
        let (end, _) = channel();
        self.end = end;
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Run {
    /// Before the frame is due.
    Ends,
    /// Beyond it.
    Lasts,
}

/// A network that takes ten frames' time.
const SLOWNESS: u64 = 10;

#[test]
fn a_network_ten_times_too_slow_holds_the_rate_and_recovers() {
    for (late_policy, is_untouched) in [("last-mouth", false), ("original", true)] {
        let mut live = Live::new(late_policy);
        for index in 1..10 {
            assert_eq!(live.frame(index, Run::Ends), level(index), "in time");
        }
        assert!(live.losses().is_empty());

        live.be_slow();
        for index in 10..40 {
            let shows = live.frame(index, Run::Lasts);
            if is_untouched {
                assert_eq!(shows, index as u8, "its own mouth");
            } else {
                // One run is under way, and the one before has been painted since.
                let drawn = (index.saturating_sub(2 * SLOWNESS + 1)..index).map(level);
                assert!(drawn.clone().any(|mouth| mouth == shows), "frame {index}");
            }
            if index % SLOWNESS == 9 {
                live.end.send(()).unwrap();
            }
        }
        let losses = live.losses();
        assert_eq!(losses.len(), 30, "each is told of");
        for (index, message) in (10..).zip(&losses) {
            let gst::MessageView::Qos(qos) = message.view() else {
                panic!("{message:?}");
            };
            let time = gst::ClockTime::from_mseconds(index * FRAME_MS);
            let lasts = gst::ClockTime::from_mseconds(FRAME_MS);
            assert_eq!(
                qos.get(),
                (true, Some(time), Some(time), Some(time), Some(lasts))
            );
            let (_, proportion, _) = qos.values();
            assert_eq!(proportion, 1.0, "downstream does not complain");
            let (processed, lost) = qos.stats();
            assert_eq!(processed.format(), gst::Format::Buffers);
            assert_eq!((processed.value(), lost.value()), (10, index as i64 - 9));
        }

        live.be_fast();
        let synced: Vec<_> = (40..FRAMES)
            .map(|index| live.frame(index, Run::Ends) == level(index))
            .collect();
        // Within a second, and for good.
        let late = synced.iter().filter(|&&synced| !synced).count();
        assert!(
            late < 20 && synced[late..].iter().all(|&synced| synced),
            "{synced:?}"
        );

        // The last frame counts when it has been taken.
        let start = Instant::now();
        while live.stat("frames-out") < FRAMES {
            assert!(start.elapsed() < PATIENCE, "{}", live.stat("frames-out"));
        }
        assert_eq!(live.stat("frames-in"), FRAMES);
        assert_eq!(live.stat("frames-dropped"), 0);
        assert_eq!(live.stat("frames-late"), 0, "all the sound was there");
        let (repeated, skipped) = (live.stat("frames-repeated"), live.stat("frames-skipped"));
        assert_eq!(live.stat("frames-synced") + repeated + skipped, FRAMES);
        match is_untouched {
            true => assert_eq!((repeated, skipped), (0, 30 + late as u64)),
            false => assert_eq!((repeated, skipped), (30 + late as u64, 0)),
        }
        live.rig.element.set_state(gst::State::Null).unwrap();
    }
}

#[test]
fn a_live_frame_that_comes_when_it_should_be_out_goes_on_as_it_is() {
    let live = Live::new("last-mouth");
    assert_eq!(live.frame(1, Run::Ends), level(1));
    live.set_time(live.deadline(2));
    assert_eq!(live.frame(2, Run::Ends), 2);
    assert_eq!(live.stat("frames-skipped"), 1);
    assert_eq!(live.losses().len(), 1);
    assert_eq!(live.frame(3, Run::Ends), level(3));

    live.rig.element.set_property("qos", false);
    live.set_time(live.deadline(4) + gst::ClockTime::SECOND);
    assert_eq!(live.frame(4, Run::Ends), level(4), "however late");
}

/// Frames one by one through an element that is not live, with a sink that complains.
fn complain(qos: bool) -> (Vec<u64>, Rig, usize) {
    let (begins, _begun) = channel();
    let source = Source::Custom(Arc::new(move || {
        Numbers::generator(begins.clone(), Arc::default())
    }));
    let element = element_with(source);
    element.set_property("qos", qos);
    element.set_property_from_str("silence", "animate");
    let rig = Rig::stopped(element, FILE, true);
    rig.play();
    let (seen, upstream) = channel();
    rig.video
        .add_probe(gst::PadProbeType::EVENT_UPSTREAM, move |_, info| {
            if let Some(event) = info.event()
                && event.type_() == gst::EventType::Qos
            {
                let _ = seen.send(());
            }
            gst::PadProbeReturn::Ok
        });
    let pictures = Pictures::at(25, 1);
    let mut items = begin("video", &pictures.caps(), &segment_from(0));
    items.extend((0..25).map(|index| pictures.frame(index).into()));
    let sound = rig.feed(items, Tones::silent(2_300 * MS).stream());
    for index in 0..25 {
        assert_eq!(shown(&rig.next_buffer()), level(index));
    }
    // The frame of 960 ms was 200 ms late.
    let event = gst::event::Qos::new(
        gst::QOSType::Underflow,
        2.0,
        200 * MS as i64,
        960 * gst::ClockTime::MSECOND,
    );
    assert!(rig.sink.push_event(event));
    let mut items: Vec<Item> = (25..50).map(|index| pictures.frame(index).into()).collect();
    items.push(end());
    let rest = feed(&rig.video, items);
    let frames = rig.frames_until_eos();
    rest.join().unwrap();
    sound.join();
    for pair in frames.windows(2) {
        assert_eq!(pair[0].offset() + 1, pair[1].offset(), "one gap at most");
    }
    let is_discont = frames[0].flags().contains(gst::BufferFlags::DISCONT);
    assert_eq!(is_discont, frames[0].offset() > 25);
    let synced = frames
        .iter()
        .filter(|buffer| shown(buffer) == level(buffer.offset()))
        .map(|buffer| buffer.offset())
        .collect();
    (synced, rig, upstream.try_iter().count())
}

#[test]
fn a_sink_that_falls_behind_is_given_time_to_catch_up() {
    let (synced, rig, upstream) = complain(true);
    assert_eq!(upstream, 1, "a decoder may skip frames, too");
    // At 1160 ms there, twice that and a frame to catch up.
    assert_eq!(synced, (35..50).collect::<Vec<_>>());
    assert_eq!(rig.stat("frames-dropped"), 3);
    assert_eq!(rig.stat("frames-skipped"), 1);
    assert_eq!(rig.stat("frames-repeated"), 6);
    assert_eq!(rig.stat("frames-in"), 50);
    assert_eq!(rig.stat("frames-out"), 47);
    let bus = &rig.bus;
    let losses: Vec<_> =
        std::iter::from_fn(|| bus.pop_filtered(&[gst::MessageType::Qos])).collect();
    assert_eq!(losses.len(), 10);
    let gst::MessageView::Qos(first) = losses[0].view() else {
        panic!("{:?}", losses[0]);
    };
    assert!(!first.live());
    assert_eq!(first.running_time(), Some(gst::ClockTime::SECOND));
    assert_eq!(first.values().0, 160 * MS as i64);
    assert_eq!(first.values().1, 2.0);
    assert_eq!(
        (first.processed().value(), first.dropped().value()),
        (25, 1)
    );
}

#[test]
fn nothing_is_lost_to_a_sink_where_that_is_not_wanted() {
    let (synced, rig, upstream) = complain(false);
    assert_eq!(upstream, 1);
    assert_eq!(synced, (25..50).collect::<Vec<_>>());
    assert_eq!(rig.stat("frames-out"), 50);
    assert_eq!(rig.stat("frames-synced"), 50);
}
