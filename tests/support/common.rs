//! A `lipsync` element alone between pads that the test drives, and a generator that shows what it
//! hears.
//!
//! Not every test file uses everything here.
#![allow(dead_code)]

use std::{
    collections::HashMap,
    ffi::OsString,
    ops::{Deref, Range},
    path::Path,
    sync::{
        Arc, Mutex, Once,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use gst::{glib, prelude::*};
use gstlipsync::lipsync::Lipsync;
use lipsync_core::{
    Error,
    catalogue::Source,
    face::Face,
    generator::{Brush, Brushes, Generator, Heard, Hearing, Look, Sketch, Spot},
    pixels::View,
};

/// Longer than any step of any test takes on a busy machine; what exceeds it hangs.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub const MS: u64 = 1_000_000;

/// Initialises GStreamer with the plugin; from then on every warning aborts, as
/// `G_DEBUG=fatal_warnings` has it.
pub fn init() {
    static INIT: Once = Once::new();
    INIT.call_once(|| {
        gst::init().unwrap();
        glib::log_set_always_fatal(
            glib::LogLevels::LEVEL_ERROR
                | glib::LogLevels::LEVEL_CRITICAL
                | glib::LogLevels::LEVEL_WARNING,
        );
        gstlipsync::plugin_register_static().unwrap();
    });
}

/// ONNX Runtime as `cargo xtask setup` leaves it.
pub fn onnxruntime() -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".setup/onnxruntime/libonnxruntime.so");
    if !path.exists() {
        eprintln!(
            "skipped: {} is not there, run `cargo xtask setup`",
            path.display()
        );
        return None;
    }
    Some(path.to_str().unwrap().to_owned())
}

/// Whether all these elements are installed.
pub fn have(elements: &[&str]) -> bool {
    init();
    let missing = elements
        .iter()
        .find(|name| gst::ElementFactory::find(name).is_none());
    if let Some(name) = missing {
        eprintln!("skipped: the element {name} is not installed");
    }
    missing.is_none()
}

/// A side of the square that [`ShowsSound`] paints into the upper left corner.
pub const SQUARE: usize = 8;
/// Mel columns that [`ShowsSound`] hears, and where among them the frame's own time is: with this
/// look-ahead the last column is 14 columns, 175 ms, after the frame.
pub const COLUMNS: usize = 32;
pub const LOOK_AHEAD_NS: i64 = 200_000_000;
const COLUMNS_AHEAD: usize = 14;

/// A generator without networks that needs no face: it sees a frame's first byte, and draws what
/// it heard and saw.
pub struct StandIn<S> {
    pub name: &'static str,
    pub batch: usize,
    pub state: S,
    /// What it hears is one number.
    pub listen: fn(&mut S, &Heard) -> Result<f32, Error>,
    /// Is told what is drawn at once, and may refuse.
    pub draw: fn(&mut S, &[Sketch]) -> Result<(), Error>,
    /// Is told of each frame that is seen. It and `paint` have a copy of the state.
    pub sample: fn(&mut S),
    /// Gets what was heard and seen.
    pub paint: fn(&mut S, &mut View, &Spot, [f32; 2]),
}

impl<S: Clone + Send + 'static> Generator for StandIn<S> {
    fn name(&self) -> &str {
        self.name
    }

    fn hearing(&self) -> Hearing {
        Hearing {
            spectrum: lipsync_core::sound::Spectrum::Mel,
            columns: COLUMNS,
            look_ahead_ns: LOOK_AHEAD_NS,
            raises_voice: false,
        }
    }

    fn needs_face(&self) -> bool {
        false
    }

    fn brushes(&self) -> Brushes {
        let (state, sample, paint) = (self.state.clone(), self.sample, self.paint);
        Box::new(move || {
            Box::new(StandInBrush {
                state: state.clone(),
                sample,
                paint,
            })
        })
    }

    fn batch(&self) -> usize {
        self.batch
    }

    fn listen(&mut self, heard: &Heard, out: &mut Vec<f32>) -> Result<(), Error> {
        out.clear();
        out.push((self.listen)(&mut self.state, heard)?);
        Ok(())
    }

    fn draw(&mut self, sketches: &mut [Sketch]) -> Result<(), Error> {
        assert!(sketches.len() <= self.batch);
        (self.draw)(&mut self.state, sketches)?;
        for sketch in sketches {
            sketch.drawn.clear();
            sketch.drawn.extend([sketch.heard[0], sketch.seen[0]]);
        }
        Ok(())
    }
}

struct StandInBrush<S> {
    state: S,
    sample: fn(&mut S),
    paint: fn(&mut S, &mut View, &Spot, [f32; 2]),
}

impl<S: Send> Brush for StandInBrush<S> {
    fn sample(
        &mut self,
        view: &View,
        _face: Option<&Face>,
        _time_ns: i64,
        _is_speech: bool,
        seen: &mut Vec<f32>,
        spot: &mut Spot,
    ) -> bool {
        let level = f32::from(view.planes[0].data[0]);
        seen.clear();
        seen.push(level);
        spot.pixels.clear();
        spot.pixels.push(level);
        (self.sample)(&mut self.state);
        true
    }

    fn paint(
        &mut self,
        view: &mut View,
        _face: Option<&Face>,
        _look: &Look,
        spot: &mut Spot,
        drawn: &[f32],
    ) {
        (self.paint)(&mut self.state, view, spot, [drawn[0], drawn[1]]);
    }
}

/// Fails as networks do, where the test wants it.
pub fn fail_if(fails: bool) -> Result<(), Error> {
    match fails {
        true => Err(Error::Inference {
            name: "fails".into(),
            reason: "the test wants it".into(),
        }),
        false => Ok(()),
    }
}

/// Paints how loud the loudest band is at the time of the frame: 0 = silence .. 255.
pub struct ShowsSound;

impl ShowsSound {
    pub fn source() -> Source {
        Self::at_once(1)
    }

    /// Draws so many frames at once.
    pub fn at_once(batch: usize) -> Source {
        Source::Custom(Arc::new(move || {
            Box::new(StandIn {
                name: "shows sound",
                batch,
                state: (),
                listen: |_, heard| Ok(Self::brightness(heard)),
                draw: |_, _| Ok(()),
                sample: |_| (),
                paint: |_, view, _, [heard, _]| Self::fill_square(view, heard),
            })
        }))
    }

    pub fn brightness(heard: &Heard) -> f32 {
        // The frame's time lies somewhere between these two columns.
        let now = COLUMNS - 1 - COLUMNS_AHEAD;
        let loudest = |column: usize| {
            (0..80)
                .map(|band| heard.mel[band * COLUMNS + column])
                .fold(-4.0, f32::max)
        };
        let level = (loudest(now) + loudest(now + 1)) / 2.0;
        (level + 4.0) / 8.0 * 255.0
    }

    pub fn fill_square(view: &mut View, brightness: f32) {
        let side = SQUARE.min(view.width).min(view.height);
        let plane = &mut view.planes[0];
        for row in 0..side {
            plane.data[row * plane.stride..][..side].fill(brightness as u8);
        }
    }
}

/// A new element whose generator is [`ShowsSound`].
pub fn element() -> gst::Element {
    element_with(ShowsSound::source())
}

pub fn element_with(source: Source) -> gst::Element {
    init();
    let element = gst::ElementFactory::make("lipsync").build().unwrap();
    element
        .downcast_ref::<Lipsync>()
        .unwrap()
        .set_generator(source);
    element
}

/// Waits until the model is there: what is said of it, or the error. Takes all messages before.
pub fn loaded(bus: &gst::Bus) -> Result<String, glib::Error> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let message = bus
            .timed_pop(gst::ClockTime::try_from(left).unwrap())
            .expect("the model is loaded in time");
        match message.view() {
            gst::MessageView::Error(err) => return Err(err.error()),
            gst::MessageView::Progress(progress) => {
                if let (gst::ProgressType::Complete, _, text) = progress.get() {
                    return Ok(text.to_string());
                }
            }
            _ => (),
        }
    }
}

/// A pipeline that stops when a test is over, also when it fails.
pub struct Running(pub gst::Pipeline);

impl Running {
    /// A pipeline with an element `l` that draws with [`ShowsSound`].
    pub fn launch(description: &str) -> Self {
        init();
        let pipeline = gst::parse::launch(description).unwrap();
        let running = Self(pipeline.downcast().unwrap());
        let element = running.by_name("l").unwrap();
        let lipsync: &Lipsync = element.downcast_ref().unwrap();
        lipsync.set_generator(ShowsSound::source());
        running
    }
}

impl Deref for Running {
    type Target = gst::Pipeline;

    fn deref(&self) -> &gst::Pipeline {
        &self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.set_state(gst::State::Null);
    }
}

/// What a pad is fed with.
pub enum Item {
    Buffer(gst::Buffer),
    Event(gst::Event),
}

impl From<gst::Buffer> for Item {
    fn from(buffer: gst::Buffer) -> Self {
        Self::Buffer(buffer)
    }
}

impl From<gst::Event> for Item {
    fn from(event: gst::Event) -> Self {
        Self::Event(event)
    }
}

/// What came out of the element.
#[derive(Debug)]
pub enum Out {
    Buffer(gst::Buffer),
    Event(gst::Event),
}

/// An element with a pad of the test before each of its sink pads and one behind it.
pub struct Rig {
    pub element: gst::Element,
    pub bus: gst::Bus,
    pub video: gst::Pad,
    pub audio: Option<gst::Pad>,
    pub sink: gst::Pad,
    out: Receiver<Out>,
}

/// How upstream answers a LATENCY query: live or not, least latency.
#[derive(Clone, Copy)]
pub struct Upstream {
    pub live: bool,
    pub latency: gst::ClockTime,
}

pub const FILE: Upstream = Upstream {
    live: false,
    latency: gst::ClockTime::ZERO,
};

impl Rig {
    /// Both pads, not live, playing.
    pub fn new() -> Self {
        let rig = Self::stopped(element(), FILE, true);
        rig.play();
        rig
    }

    pub fn without_audio() -> Self {
        let rig = Self::stopped(element(), FILE, false);
        rig.play();
        rig
    }

    pub fn stopped(element: gst::Element, upstream: Upstream, with_audio: bool) -> Self {
        init();
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        let (sender, out) = channel();
        let sink = sink_pad(sender);
        element.static_pad("src").unwrap().link(&sink).unwrap();
        let video = src_pad("video", upstream);
        video.link(&element.static_pad("video").unwrap()).unwrap();
        let mut rig = Self {
            element,
            bus,
            video,
            audio: None,
            sink,
            out,
        };
        if with_audio {
            rig.add_audio(upstream);
        }
        rig
    }

    pub fn add_audio(&mut self, upstream: Upstream) {
        let pad = self.element.request_pad_simple("audio").unwrap();
        let audio = src_pad("audio", upstream);
        audio.link(&pad).unwrap();
        self.audio = Some(audio);
    }

    pub fn remove_audio(&mut self) {
        if let Some(audio) = self.audio.take() {
            let pad = audio.peer().unwrap();
            self.element.release_request_pad(&pad);
            audio.set_active(false).unwrap();
        }
    }

    pub fn play(&self) {
        self.element.set_state(gst::State::Playing).unwrap();
    }

    /// Feeds both pads, each from a thread of its own as upstream would.
    pub fn feed(&self, video: Vec<Item>, audio: Vec<Item>) -> Feeding {
        let mut threads = vec![feed(&self.video, video)];
        if let Some(pad) = &self.audio {
            threads.push(feed(pad, audio));
        }
        Feeding { threads }
    }

    /// The next that comes out.
    pub fn next(&self) -> Out {
        match self.out.recv_timeout(PATIENCE) {
            Ok(out) => out,
            Err(RecvTimeoutError::Timeout) => panic!("nothing comes out: {:?}", self.errors()),
            Err(RecvTimeoutError::Disconnected) => panic!("the sink pad has gone"),
        }
    }

    pub fn next_buffer(&self) -> gst::Buffer {
        loop {
            if let Out::Buffer(buffer) = self.next() {
                return buffer;
            }
        }
    }

    /// What has come out and is not read yet, without waiting longer than `wait`.
    pub fn try_next(&self, wait: Duration) -> Option<Out> {
        self.out.recv_timeout(wait).ok()
    }

    /// Everything up to EOS, which is the last.
    pub fn until_eos(&self) -> Vec<Out> {
        let mut outs = Vec::new();
        loop {
            let out = self.next();
            let end = matches!(&out, Out::Event(event) if event.type_() == gst::EventType::Eos);
            outs.push(out);
            if end {
                return outs;
            }
        }
    }

    /// The frames up to EOS.
    pub fn frames_until_eos(&self) -> Vec<gst::Buffer> {
        buffers(self.until_eos())
    }

    pub fn errors(&self) -> Vec<String> {
        self.messages(gst::MessageType::Error)
    }

    pub fn warnings(&self) -> Vec<String> {
        self.messages(gst::MessageType::Warning)
    }

    fn messages(&self, kind: gst::MessageType) -> Vec<String> {
        let mut texts = Vec::new();
        while let Some(message) = self.bus.pop_filtered(&[kind]) {
            match message.view() {
                gst::MessageView::Error(err) => texts.push(err.error().to_string()),
                gst::MessageView::Warning(warning) => texts.push(warning.error().to_string()),
                _ => (),
            }
        }
        texts
    }

    pub fn stat(&self, field: &str) -> u64 {
        self.element
            .property::<gst::Structure>("stats")
            .get(field)
            .unwrap()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = self.element.set_state(gst::State::Null);
        for pad in [&self.video, &self.sink].into_iter().chain(&self.audio) {
            let _ = pad.set_active(false);
        }
        self.element.set_bus(None);
    }
}

/// Threads that feed pads.
pub struct Feeding {
    threads: Vec<JoinHandle<Vec<Result<gst::FlowSuccess, gst::FlowError>>>>,
}

impl Feeding {
    /// The results of all buffers, first those of the video. Waits until all was taken.
    pub fn join(self) -> Vec<Vec<Result<gst::FlowSuccess, gst::FlowError>>> {
        let deadline = Instant::now() + PATIENCE;
        self.threads
            .into_iter()
            .map(|thread| {
                while !thread.is_finished() {
                    assert!(Instant::now() < deadline, "a pad takes no more");
                    std::thread::sleep(Duration::from_millis(1));
                }
                thread.join().unwrap()
            })
            .collect()
    }
}

/// A thread that pushes the items and returns what the pad said to each buffer.
pub fn feed(
    pad: &gst::Pad,
    items: Vec<Item>,
) -> JoinHandle<Vec<Result<gst::FlowSuccess, gst::FlowError>>> {
    let pad = pad.clone();
    std::thread::spawn(move || {
        let mut flows = Vec::new();
        for item in items {
            match item {
                Item::Buffer(buffer) => flows.push(pad.push(buffer)),
                Item::Event(event) => {
                    pad.push_event(event);
                }
            }
        }
        flows
    })
}

/// A pad of the test that feeds the element.
pub fn src_pad(name: &str, upstream: Upstream) -> gst::Pad {
    let pad = gst::Pad::builder(gst::PadDirection::Src)
        .name(name)
        .query_function(move |pad, parent, query| match query.view_mut() {
            gst::QueryViewMut::Latency(latency) => {
                latency.set(upstream.live, upstream.latency, gst::ClockTime::NONE);
                true
            }
            // A file of 10 s, and a microphone.
            gst::QueryViewMut::Seeking(seeking) => {
                let can_seek = pad.name() == "video";
                seeking.set(can_seek, gst::ClockTime::ZERO, 10 * gst::ClockTime::SECOND);
                true
            }
            _ => gst::Pad::query_default(pad, parent, query),
        })
        .build();
    pad.set_active(true).unwrap();
    pad
}

/// A pad of the test that takes what comes out.
pub fn sink_pad(sender: Sender<Out>) -> gst::Pad {
    let sender = Mutex::new(sender);
    let of_events = sender.lock().unwrap().clone();
    let of_events = Mutex::new(of_events);
    // Takes whatever comes, also after it took something else.
    let template = gst::PadTemplate::new(
        "sink",
        gst::PadDirection::Sink,
        gst::PadPresence::Always,
        &gst::Caps::new_any(),
    )
    .unwrap();
    let pad = gst::Pad::builder_from_template(&template)
        .chain_function(move |_, _, buffer| {
            let _ = sender.lock().unwrap().send(Out::Buffer(buffer));
            Ok(gst::FlowSuccess::Ok)
        })
        .event_function(move |_, _, event| {
            let _ = of_events.lock().unwrap().send(Out::Event(event));
            true
        })
        .build();
    pad.set_active(true).unwrap();
    pad
}

pub fn buffers(outs: Vec<Out>) -> Vec<gst::Buffer> {
    outs.into_iter()
        .filter_map(|out| match out {
            Out::Buffer(buffer) => Some(buffer),
            Out::Event(_) => None,
        })
        .collect()
}

/// STREAM_START, CAPS and SEGMENT.
pub fn begin(name: &str, caps: &gst::Caps, segment: &gst::Segment) -> Vec<Item> {
    vec![
        gst::event::StreamStart::builder(name)
            .group_id(gst::GroupId::next())
            .build()
            .into(),
        gst::event::Caps::new(caps).into(),
        gst::event::Segment::new(segment).into(),
    ]
}

pub fn end() -> Item {
    gst::event::Eos::new().into()
}

pub fn segment_from(start_ns: u64) -> gst::Segment {
    let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
    segment.set_start(gst::ClockTime::from_nseconds(start_ns));
    segment.set_time(gst::ClockTime::from_nseconds(start_ns));
    segment.upcast()
}

/// Grey frames with a number in every byte.
#[derive(Clone)]
pub struct Pictures {
    pub format: gst_video::VideoFormat,
    pub width: u32,
    pub height: u32,
    pub fps: gst::Fraction,
    /// PTS of the first.
    pub start_ns: u64,
}

impl Pictures {
    pub fn at(numer: i32, denom: i32) -> Self {
        init();
        Self {
            format: gst_video::VideoFormat::Gray8,
            width: 32,
            height: 32,
            fps: gst::Fraction::new(numer, denom),
            start_ns: 0,
        }
    }

    /// RGB, 25 of them a second.
    pub fn rgb(width: u32, height: u32) -> Self {
        Self {
            format: gst_video::VideoFormat::Rgb,
            width,
            height,
            ..Self::at(25, 1)
        }
    }

    pub fn info(&self) -> gst_video::VideoInfo {
        gst_video::VideoInfo::builder(self.format, self.width, self.height)
            .fps(self.fps)
            .build()
            .unwrap()
    }

    pub fn caps(&self) -> gst::Caps {
        self.info().to_caps().unwrap()
    }

    /// Time from the first frame to frame `index`.
    pub fn time_ns(&self, index: u64) -> u64 {
        index * 1_000_000_000 * self.fps.denom() as u64 / self.fps.numer() as u64
    }

    /// Frame `index`: every byte says which it is.
    pub fn frame(&self, index: u64) -> gst::Buffer {
        let mut buffer = gst::Buffer::from_mut_slice(vec![index as u8; self.info().size()]);
        let writable = buffer.make_mut();
        let start_ns = self.start_ns + self.time_ns(index);
        writable.set_pts(gst::ClockTime::from_nseconds(start_ns));
        writable.set_duration(gst::ClockTime::from_nseconds(
            self.time_ns(index + 1) - self.time_ns(index),
        ));
        writable.set_offset(index);
        buffer
    }

    /// A whole stream of so many frames.
    pub fn stream(&self, count: u64) -> Vec<Item> {
        let mut items = begin("video", &self.caps(), &segment_from(self.start_ns));
        items.extend((0..count).map(|index| self.frame(index).into()));
        items.push(end());
        items
    }
}

/// Sound: one 1 kHz tone, silence before and after.
#[derive(Clone)]
pub struct Tones {
    pub rate: u32,
    pub channels: u32,
    pub start_ns: u64,
    pub length_ns: u64,
    /// When the tone sounds, from the start on.
    pub tone: Range<u64>,
    pub samples_per_buffer: usize,
}

impl Tones {
    pub fn silent(length_ns: u64) -> Self {
        Self::of(length_ns, 0..0)
    }

    pub fn of(length_ns: u64, tone: Range<u64>) -> Self {
        init();
        Self {
            rate: 48_000,
            channels: 2,
            start_ns: 0,
            length_ns,
            tone,
            samples_per_buffer: 1024,
        }
    }

    pub fn caps(&self) -> gst::Caps {
        gst_audio::AudioInfo::builder(gst_audio::AudioFormat::F32le, self.rate, self.channels)
            .build()
            .unwrap()
            .to_caps()
            .unwrap()
    }

    pub fn buffers(&self) -> Vec<gst::Buffer> {
        let samples = (self.length_ns as u128 * self.rate as u128 / 1_000_000_000) as usize;
        let ns = |sample: usize| sample as u64 * 1_000_000_000 / u64::from(self.rate);
        (0..samples)
            .step_by(self.samples_per_buffer)
            .map(|first| {
                let last = (first + self.samples_per_buffer).min(samples);
                let mut bytes = Vec::new();
                for sample in first..last {
                    let at = ns(sample);
                    let sounds = self.tone.contains(&at);
                    let phase = at as f64 / 1e6 * std::f64::consts::TAU;
                    let value = if sounds {
                        0.5 * phase.sin() as f32
                    } else {
                        0.0
                    };
                    for _ in 0..self.channels {
                        bytes.extend(value.to_le_bytes());
                    }
                }
                let mut buffer = gst::Buffer::from_mut_slice(bytes);
                let writable = buffer.make_mut();
                writable.set_pts(gst::ClockTime::from_nseconds(self.start_ns + ns(first)));
                writable.set_duration(gst::ClockTime::from_nseconds(ns(last) - ns(first)));
                buffer
            })
            .collect()
    }

    pub fn stream(&self) -> Vec<Item> {
        let mut items = begin("audio", &self.caps(), &segment_from(self.start_ns));
        items.extend(self.buffers().into_iter().map(Item::from));
        items.push(end());
        items
    }
}

/// Brightness of the square that [`ShowsSound`] paints.
pub fn shown(buffer: &gst::Buffer) -> u8 {
    buffer.map_readable().unwrap()[0]
}

/// Whether the frame's bytes are all as [`Pictures`] made them.
pub fn is_untouched(buffer: &gst::Buffer, index: u64) -> bool {
    buffer
        .map_readable()
        .unwrap()
        .iter()
        .all(|&byte| byte == index as u8)
}

/// Processor time that the element's own thread uses while the test sleeps for a second.
pub fn spent_in_a_second(element: &gst::Element) -> Duration {
    // The kernel keeps 15 letters of the name that the pad gives its thread.
    let name: String = format!("{}:src", element.name()).chars().take(15).collect();
    // A thread of the pool has worked for others under other names.
    let before = thread_times();
    std::thread::sleep(Duration::from_secs(1));
    thread_times()
        .into_iter()
        .filter(|(_, (of, _))| *of == name)
        .map(|(id, (_, time))| {
            let earlier = before.get(&id).map_or(Duration::ZERO, |(_, time)| *time);
            time.saturating_sub(earlier)
        })
        .sum()
}

/// Name and CPU time so far of each thread.
fn thread_times() -> HashMap<OsString, (String, Duration)> {
    let mut times = HashMap::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let Ok(stat) = std::fs::read_to_string(task.path().join("stat")) else {
            continue;
        };
        let (before, after) = stat.rsplit_once(')').unwrap();
        let name = before.split_once('(').unwrap().1.to_owned();
        // State is field 3, utime 14, stime 15; in ticks of 10 ms.
        let fields: Vec<&str> = after.split_whitespace().collect();
        let ticks: u64 = [11, 12]
            .map(|field| fields[field].parse::<u64>().unwrap())
            .iter()
            .sum();
        times.insert(task.file_name(), (name, Duration::from_millis(ticks * 10)));
    }
    times
}

/// Events of a kind, in order.
pub fn events(outs: &[Out], kind: gst::EventType) -> Vec<&gst::Event> {
    outs.iter()
        .filter_map(|out| match out {
            Out::Event(event) if event.type_() == kind => Some(event),
            _ => None,
        })
        .collect()
}
