//! Models that are loaded while a pipeline goes on: nobody waits for them who need not, and one
//! takes over from another between two frames.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::{
    common::*,
    onnx::{Dim, Linear},
    picture::Picture,
};
use gst::{ProgressType, prelude::*};

/// Side of the frames; all of it is redrawn.
const SIDE: u32 = 32;
/// What the stand-ins draw, as red, green, blue.
const CORAL: [u8; 3] = [255, 127, 80];
const TEAL: [u8; 3] = [0, 128, 128];
const PLUM: [u8; 3] = [142, 69, 133];
/// Look-ahead of the family `wav2lip`.
const LOOK_AHEAD_MS: u64 = 212;
/// Products of large matrices, which take about a second altogether on the machines of today.
const SLOW: usize = 24;
/// Several times as long.
const SLOWER: usize = 100;

/// A model that fills the frame with one colour.
struct Stand {
    colour: [u8; 3],
    offset_ms: i32,
    products: usize,
}

impl Stand {
    fn of(colour: [u8; 3]) -> Self {
        Self {
            colour,
            offset_ms: 0,
            products: 0,
        }
    }

    fn slow(colour: [u8; 3]) -> Self {
        Self {
            products: SLOW,
            ..Self::of(colour)
        }
    }

    fn network(&self) -> Vec<u8> {
        match self.products {
            0 => self.linear().bytes(),
            products => self.linear().slow_to_load(products),
        }
    }

    fn linear(&self) -> Linear<'static> {
        let [red, green, blue] = self.colour.map(|value| f32::from(value) / 255.0);
        Linear {
            size: u64::from(SIDE),
            batch: Dim::Fixed(1),
            names: ["mel", "face", "drawn"],
            channels: [[0.0; 6]; 3],
            hears: [1, 80, 16],
            window: vec![0.0; 3 * 80 * 16],
            // The family draws blue first. Half a step: what it draws is cut, not rounded.
            bias: [blue, green, red].map(|value| value + 0.5 / 255.0),
        }
    }

    /// Its folder with the weights in a file of their own, `net.onnx.data`.
    fn folder_with_data(&self, test: &str) -> String {
        let folder = self.folder(test);
        self.write_data(&folder);
        folder
    }

    /// Puts the network in the place of the one in `folder`, as careful programs do it.
    fn write_data(&self, folder: &str) {
        let [network, data] = self.linear().with_weights_in("net.onnx.data");
        let folder = Path::new(folder);
        for (name, content) in [("net.onnx", network), ("net.onnx.data", data)] {
            let new = folder.join("new");
            std::fs::write(&new, content).unwrap();
            std::fs::rename(new, folder.join(name)).unwrap();
        }
    }

    /// Its folder, which no other test uses.
    fn folder(&self, test: &str) -> String {
        let [red, green, blue] = self.colour;
        let name = format!("{red}-{green}-{blue}");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("loading")
            .join(test)
            .join(&name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("net.onnx"), self.network()).unwrap();
        let manifest = format!(
            "version = 1\nfamily = \"wav2lip\"\nname = \"{name}\"\nlicence = \"MPL-2.0\"\n\
             source = \"a test\"\nfiles.generator = {{ path = \"net.onnx\", sha256 = \"\" }}\n\
             crop.box = [0, 0, {SIDE}, {SIDE}]\ncrop.pads = [0, 0, 0, 0]\n\
             blend.kind = \"reference\"\nsound.offset-ms = {}\n",
            self.offset_ms
        );
        std::fs::write(folder.join("manifest.toml"), manifest).unwrap();
        folder.to_str().unwrap().to_owned()
    }
}

/// An element with a model, or `None` where there is no ONNX Runtime.
fn element_of(model: &str) -> Option<gst::Element> {
    let library = onnxruntime()?;
    init();
    let element = gst::ElementFactory::make("lipsync")
        .property("onnxruntime-library", library)
        .property_from_str("execution-provider", "cpu")
        .property("model", model)
        // ONNX Runtime's own threads inherit the loader's name.
        .property("intra-threads", 1u32)
        .build();
    Some(element.unwrap())
}

/// The one colour of the whole frame.
fn colour(frame: &gst::Buffer) -> [u8; 3] {
    let map = frame.map_readable().unwrap();
    let pixels = map.as_chunks::<3>().0;
    assert!(pixels.iter().all(|pixel| *pixel == pixels[0]), "two models");
    pixels[0]
}

/// What a bus has told of models, as it came.
#[derive(Debug, PartialEq)]
enum Told {
    Progress(ProgressType),
    Latency,
    Warning(String),
    Error(String),
}

fn told(message: &gst::Message) -> Option<Told> {
    Some(match message.view() {
        gst::MessageView::Progress(progress) => {
            let (kind, code, text) = progress.get();
            assert_eq!(code, "open-model");
            assert!(!text.is_empty());
            Told::Progress(kind)
        }
        gst::MessageView::Latency(_) => Told::Latency,
        gst::MessageView::Warning(warning) => Told::Warning(warning.error().to_string()),
        gst::MessageView::Error(error) => Told::Error(error.error().to_string()),
        _ => return None,
    })
}

fn told_so_far(bus: &gst::Bus) -> Vec<Told> {
    std::iter::from_fn(|| bus.pop())
        .filter_map(|message| told(&message))
        .collect()
}

/// Without the messages that come whenever the latency is told anew.
fn of_models(mut told: Vec<Told>) -> Vec<Told> {
    told.retain(|told| *told != Told::Latency);
    told
}

/// All until one that ends a load.
fn told_until_done(bus: &gst::Bus) -> Vec<Told> {
    let deadline = Instant::now() + PATIENCE;
    let mut all = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let message = bus.timed_pop(gst::ClockTime::try_from(left).unwrap());
        let message = message.unwrap_or_else(|| panic!("no end: {all:?}"));
        let Some(told) = told(&message) else { continue };
        all.push(told);
        // What is said of a failure follows it.
        use Told::{Error, Progress, Warning};
        let is_end = |told: &Told| {
            matches!(
                told,
                Progress(ProgressType::Complete) | Warning(_) | Error(_)
            )
        };
        if all.last().is_some_and(is_end) {
            return all;
        }
    }
}

fn complete(bus: &gst::Bus) {
    let told = told_until_done(bus);
    let end = Some(&Told::Progress(ProgressType::Complete));
    assert_eq!(told.last(), end, "{told:?}");
}

/// Goes to PAUSED and waits until ONNX Runtime is at work on the networks.
fn load(element: &gst::Element) {
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    element.set_state(gst::State::Paused).unwrap();
    let patience = gst::ClockTime::try_from(PATIENCE).unwrap();
    loop {
        let message = bus.timed_pop(patience).expect("a load that goes on");
        if told(&message) == Some(Told::Progress(ProgressType::Continue)) {
            break;
        }
    }
    element.set_bus(None);
}

/// Threads that load, by the name they have.
fn loaders() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim() == "lipsync-loader").count()
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn model(element: &gst::Element) -> String {
    element.property::<Option<String>>("model").unwrap()
}

fn reported_latency_ms(rig: &Rig) -> u64 {
    let mut query = gst::query::Latency::new();
    assert!(rig.sink.peer_query(&mut query));
    query.result().1.mseconds()
}

/// A stream whose frames a test feeds piece by piece. The sound is all there, as much of it as the
/// element takes.
struct Stream {
    rig: Rig,
    hearing: JoinHandle<Vec<Result<gst::FlowSuccess, gst::FlowError>>>,
    frames: u64,
}

impl Stream {
    fn begin(rig: Rig) -> Self {
        let tones = Tones::of(8_000 * MS, 0..8_000 * MS);
        for item in begin("video", &Pictures::rgb(SIDE, SIDE).caps(), &segment_from(0)) {
            if let Item::Event(event) = item {
                assert!(rig.video.push_event(event));
            }
        }
        Self {
            hearing: feed(rig.audio.as_ref().unwrap(), tones.stream()),
            rig,
            frames: 0,
        }
    }

    /// From READY, where nothing of what was fed is left.
    fn again(self) -> Self {
        let rig = self.let_go();
        rig.play();
        Self::begin(rig)
    }

    fn let_go(self) -> Rig {
        until("the sound is let go", || self.hearing.is_finished());
        self.rig
    }

    fn feed(&mut self, count: u64) -> JoinHandle<Vec<Result<gst::FlowSuccess, gst::FlowError>>> {
        let frames = (self.frames..self.frames + count)
            .map(|index| Pictures::rgb(SIDE, SIDE).frame(index).into());
        self.frames += count;
        feed(&self.rig.video, frames.collect())
    }

    /// Feeds frames and takes them out again: their colours.
    fn pass(&mut self, count: u64) -> Vec<[u8; 3]> {
        let feeding = self.feed(count);
        let colours = (0..count)
            .map(|_| colour(&self.rig.next_buffer()))
            .collect();
        feeding.join().unwrap();
        colours
    }

    fn flush(self) -> Self {
        let pads = [self.rig.video.clone(), self.rig.audio.clone().unwrap()];
        for pad in &pads {
            assert!(pad.push_event(gst::event::FlushStart::new()));
        }
        let rig = self.let_go();
        for pad in &pads {
            assert!(pad.push_event(gst::event::FlushStop::new(true)));
        }
        Self::begin(rig)
    }
}

/// An element that plays, with the model loaded.
fn loaded_with(model: &str) -> Option<Rig> {
    let rig = Rig::stopped(element_of(model)?, FILE, true);
    rig.play();
    complete(&rig.bus);
    Some(rig)
}

fn playing(model: &str) -> Option<Stream> {
    loaded_with(model).map(Stream::begin)
}

#[test]
fn no_change_of_state_waits_for_the_networks() {
    use Told::Progress;
    let test = "no_change_of_state";
    let Some(element) = element_of(&Stand::slow(CORAL).folder(test)) else {
        return;
    };
    let rig = Rig::stopped(element, FILE, true);
    for state in [gst::State::Ready, gst::State::Paused, gst::State::Playing] {
        assert_eq!(
            rig.element.set_state(state),
            Ok(gst::StateChangeSuccess::Success)
        );
    }
    let so_far = of_models(told_so_far(&rig.bus));
    assert_eq!(so_far[0], Progress(ProgressType::Start));
    assert!(!so_far.contains(&Progress(ProgressType::Complete)));
    // The manifest says it all along.
    assert_eq!(reported_latency_ms(&rig), 40 + LOOK_AHEAD_MS);
    until("a loader is at work", || loaders() > 0);
    rig.element.set_state(gst::State::Null).unwrap();
    assert!(loaders() > 0, "it goes on for itself");
    let last = told_so_far(&rig.bus);
    assert_eq!(last.last(), Some(&Progress(ProgressType::Canceled)));
    until("the loader ends", || loaders() == 0);
    assert!(told_so_far(&rig.bus).is_empty(), "nobody is told of it");
}

#[test]
fn the_first_frame_of_a_file_waits_for_the_networks() {
    let test = "the_first_frame";
    let Some(element) = element_of(&Stand::slow(CORAL).folder(test)) else {
        return;
    };
    let rig = Rig::stopped(element, FILE, true);
    rig.play();
    let mut stream = Stream::begin(rig);
    assert_eq!(stream.pass(25), [CORAL; 25]);
    assert_eq!(stream.rig.stat("frames-loading"), 0);
    assert_eq!(stream.rig.stat("frames-synced"), 25);
    complete(&stream.rig.bus);
}

#[test]
fn a_frame_that_waits_for_the_networks_gives_way() {
    let test = "a_frame_gives_way";
    let slower = Stand {
        products: SLOWER,
        ..Stand::of(CORAL)
    };
    let Some(element) = element_of(&slower.folder(test)) else {
        return;
    };
    let rig = Rig::stopped(element, FILE, true);
    // To READY. One frame finds room on the pad, where it waits.
    rig.play();
    let mut stream = Stream::begin(rig);
    stream.feed(1).join().unwrap();
    stream.rig.element.set_state(gst::State::Ready).unwrap();
    until("a loader is at work", || loaders() > 0);
    // To a flush of both pads.
    let mut stream = stream.again();
    stream.feed(1).join().unwrap();
    let mut stream = stream.flush();
    // To `bypass`: there is nothing to wait for.
    let feeding = stream.feed(1);
    stream.rig.element.set_property("bypass", true);
    assert_eq!(colour(&stream.rig.next_buffer()), [0; 3]);
    feeding.join().unwrap();
    stream.rig.element.set_property("bypass", false);
    // To a pad for sound that goes.
    let feeding = stream.feed(1);
    stream.rig.remove_audio();
    assert_eq!(colour(&stream.rig.next_buffer()), [1; 3]);
    feeding.join().unwrap();
    let mut rig = stream.let_go();
    // To NULL.
    rig.add_audio(FILE);
    let tones = Tones::silent(1_000 * MS);
    let feeding = rig.feed(
        vec![Pictures::rgb(SIDE, SIDE).frame(2).into()],
        tones.stream(),
    );
    rig.element.set_state(gst::State::Null).unwrap();
    feeding.join();
    assert!(loaders() > 0, "the test was too slow for its model");
}

/// What [`a_process_may_end_while_networks_are_loaded`] runs.
#[test]
#[ignore = "ends the process"]
fn a_process_ends_while_networks_are_loaded() {
    let test = "a_process_ends";
    let Some(element) = element_of(&Stand::slow(CORAL).folder(test)) else {
        return;
    };
    load(&element);
    element.set_state(gst::State::Null).unwrap();
    std::process::exit(0);
}

#[test]
fn a_process_may_end_while_networks_are_loaded() {
    for _ in 0..3 {
        let test = std::env::current_exe().expect("this test has a file");
        let status = Command::new(test)
            .args([
                "--exact",
                "loading::a_process_ends_while_networks_are_loaded",
            ])
            .args(["--ignored", "--quiet"])
            .status()
            .expect("this test starts again");
        assert!(status.success(), "{status}");
    }
}

#[test]
fn live_frames_pass_untouched_until_the_networks_are_there() {
    let test = "live_frames_pass";
    let Some(element) = element_of(&Stand::slow(CORAL).folder(test)) else {
        return;
    };
    let upstream = Upstream {
        live: true,
        latency: gst::ClockTime::ZERO,
    };
    // The frames come faster than they are shown, or late on a busy machine.
    element.set_property("qos", false);
    element.set_property("fade-time", 0u64);
    let rig = Rig::stopped(element, upstream, true);
    let clock = gst::SystemClock::obtain();
    rig.element.set_clock(Some(&clock)).unwrap();
    rig.element.set_base_time(clock.time());
    rig.play();
    let mut stream = Stream::begin(rig);
    let early = stream.pass(5);
    assert_eq!(early, [[0; 3], [1; 3], [2; 3], [3; 3], [4; 3]]);
    assert_eq!(stream.rig.stat("frames-loading"), 5);
    complete(&stream.rig.bus);
    assert_eq!(stream.pass(5), [CORAL; 5]);
    assert_eq!(stream.rig.stat("frames-loading"), 5);
    assert_eq!(stream.rig.stat("frames-synced"), 5);
    until("all are counted", || stream.rig.stat("frames-out") == 10);
}

#[test]
fn a_look_ahead_that_only_the_network_tells_is_told_when_it_is_there() {
    let test = "a_look_ahead";
    let bare = PathBuf::from(Stand::slow(CORAL).folder(test)).join("net.onnx");
    let Some(element) = element_of(bare.to_str().unwrap()) else {
        return;
    };
    let rig = Rig::stopped(element, FILE, true);
    rig.play();
    assert_eq!(reported_latency_ms(&rig), 40);
    told_so_far(&rig.bus);
    let told = told_until_done(&rig.bus);
    assert!(told.contains(&Told::Latency), "{told:?}");
    assert_eq!(reported_latency_ms(&rig), 40 + LOOK_AHEAD_MS);
}

#[test]
fn networks_that_cannot_be_loaded_are_one_error_and_the_next_start_tries_again() {
    let test = "networks_that_cannot";
    let folder = Stand::of(CORAL).folder(test);
    let Some(element) = element_of(&folder) else {
        return;
    };
    let network = Path::new(&folder).join("net.onnx");
    std::fs::write(&network, "no network").unwrap();
    let rig = Rig::stopped(element, FILE, true);
    for _ in 0..2 {
        rig.play();
        let told = told_until_done(&rig.bus);
        assert!(told.contains(&Told::Progress(ProgressType::Error)));
        let Some(Told::Error(text)) = told.last() else {
            panic!("{told:?}")
        };
        assert!(text.contains("net.onnx"), "{text}");
        let feeding = rig.feed(
            Pictures::rgb(SIDE, SIDE).stream(3),
            Tones::of(1_000 * MS, 0..1_000 * MS).stream(),
        );
        assert!(rig.frames_until_eos().is_empty());
        feeding.join();
        assert!(rig.errors().is_empty(), "it was told already");
        rig.element.set_state(gst::State::Ready).unwrap();
    }
    std::fs::write(&network, Stand::of(CORAL).network()).unwrap();
    rig.play();
    complete(&rig.bus);
    let mut stream = Stream::begin(rig);
    assert_eq!(stream.pass(3), [CORAL; 3]);
}

#[test]
fn a_thousand_quick_starts_pile_up_no_loaders() {
    let test = "a_thousand_quick_starts";
    let Some(element) = element_of(&Stand::of(CORAL).folder(test)) else {
        return;
    };
    // ONNX Runtime and GStreamer keep threads of their own.
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    element.set_state(gst::State::Paused).unwrap();
    complete(&bus);
    element.set_state(gst::State::Null).unwrap();
    bus.set_flushing(true);
    until("the loader ends", || loaders() == 0);
    let before = threads();
    let mut most = 0;
    for round in 0..1_000 {
        let state = [gst::State::Ready, gst::State::Paused][round % 2];
        element.set_state(state).unwrap();
        element.set_state(gst::State::Null).unwrap();
        most = most.max(loaders());
    }
    // Two at work, and those that are on their way out.
    assert!(most <= 10, "{most} at once");
    until("the loaders end", || loaders() == 0);
    until("their sessions end", || threads() <= before);
    element.set_bus(None);
}

#[test]
fn an_element_that_goes_leaves_no_loader_behind() {
    let test = "an_element_that_goes";
    let Some(element) = element_of(&Stand::slow(CORAL).folder(test)) else {
        return;
    };
    load(&element);
    let weak = element.downgrade();
    element.set_state(gst::State::Null).unwrap();
    drop(element);
    assert!(weak.upgrade().is_none(), "the loader does not hold it");
    assert!(loaders() > 0);
    until("the loader ends", || loaders() == 0);
}

#[test]
fn a_model_takes_over_between_two_frames_and_gives_way_again() {
    let test = "a_model_takes_over";
    let (coral, teal) = (Stand::of(CORAL).folder(test), Stand::of(TEAL).folder(test));
    let Some(mut stream) = playing(&coral) else {
        return;
    };
    assert_eq!(stream.pass(10), [CORAL; 10]);
    for (next, expected) in [(&teal, TEAL), (&coral, CORAL), (&teal, TEAL)] {
        stream.rig.element.set_property("model", next);
        let told = of_models(told_until_done(&stream.rig.bus));
        use ProgressType::{Complete, Continue, Start};
        let course = [Start, Continue, Complete].map(Told::Progress);
        assert_eq!(told, course);
        assert_eq!(stream.pass(5), [expected; 5]);
        let name = expected.map(|value| value.to_string()).join("-");
        let stats = stream.rig.element.property::<gst::Structure>("stats");
        assert_eq!(stats.get::<&str>("model-name"), Ok(name.as_str()));
    }
    assert_eq!(stream.rig.stat("frames-synced"), 25);
    until("all are counted", || stream.rig.stat("frames-out") == 25);
    assert!(stream.rig.warnings().is_empty());
}

#[test]
fn frames_that_flow_while_models_change_are_each_of_one_model_and_all_there() {
    let test = "frames_that_flow";
    let (coral, teal) = (Stand::of(CORAL).folder(test), Stand::of(TEAL).folder(test));
    let Some(mut stream) = playing(&coral) else {
        return;
    };
    let count = 180;
    let (mut seen, mut last) = (Vec::new(), None);
    for index in 0..count {
        let colour = stream.pass(1)[0];
        if last.replace(colour) != Some(colour) {
            seen.push(colour);
        }
        // Frames flow between the two, and while the model is loaded.
        if index % 45 == 5 {
            let next = [&teal, &coral][index as usize / 45 % 2];
            stream.rig.element.set_property("model", next);
        }
        if index % 45 == 35 {
            complete(&stream.rig.bus);
        }
    }
    assert_eq!(seen, [CORAL, TEAL, CORAL, TEAL, CORAL]);
    assert_eq!(stream.rig.stat("frames-synced"), count);
    assert_eq!(stream.rig.stat("frames-dropped"), 0);
}

/// However many networks draw, and however far they hear.
#[test]
fn families_give_way_to_each_other_while_frames_flow() {
    let wav2lip = Stand::of(CORAL).folder("families");
    let place = format!("box = [0, 0, {SIDE}, {SIDE}]");
    let lines = format!("[crop]\n{place}\n[blend]\nkind = \"reference\"");
    let musetalk = crate::musetalk::model("swapped", &lines);
    let lines = format!("crop.{place}\nblend.kind = \"reference\"");
    let hubert = crate::hubert::model("swapped", &lines);
    let tables = format!("[crop]\n{place}\n[blend]\nkind = \"reference\"");
    let dinet = crate::dinet::model("swapped", &tables);
    let edtalk = crate::opening::folder("loading", "edtalk");
    std::fs::write(edtalk.join("net.onnx"), crate::onnx::edtalk(64, 0, 0)).expect("a file");
    crate::opening::write_manifest(&edtalk, "edtalk", "EDTalk's shape", &lines);
    let Some(mut stream) = playing(&wav2lip) else {
        return;
    };
    let wav2lip = (Path::new(&wav2lip), "255-127-80");
    let musetalk = (musetalk.as_path(), "MuseTalk, tiny, random");
    let hubert = (hubert.as_path(), "swapped");
    let dinet = (dinet.as_path(), "DINet, tiny, random");
    let edtalk = (edtalk.as_path(), "EDTalk's shape");
    let models = [
        musetalk, hubert, wav2lip, dinet, edtalk, hubert, dinet, musetalk, edtalk, wav2lip,
    ];
    for (path, name) in models {
        stream.rig.element.set_property("model", path.to_str());
        complete(&stream.rig.bus);
        let feeding = stream.feed(4);
        for _ in 0..4 {
            stream.rig.next_buffer();
        }
        feeding.join().unwrap();
        let stats = stream.rig.element.property::<gst::Structure>("stats");
        assert_eq!(stats.get::<&str>("model-name"), Ok(name));
    }
    until("all are counted", || stream.rig.stat("frames-out") == 40);
    assert_eq!(stream.rig.stat("frames-synced"), 40);
    assert!(stream.rig.warnings().is_empty());
}

#[test]
fn a_model_that_cannot_take_over_is_a_warning_and_the_old_one_goes_on() {
    let test = "a_model_that_cannot";
    let coral = Stand::of(CORAL).folder(test);
    let broken = Stand::of(PLUM).folder(test);
    std::fs::write(Path::new(&broken).join("net.onnx"), "no network").unwrap();
    let Some(mut stream) = playing(&coral) else {
        return;
    };
    for (wrong, said) in [
        ("/nowhere/model.toml", "/nowhere/model.toml"),
        (broken.as_str(), "net.onnx"),
    ] {
        let element = stream.rig.element.clone();
        let notified = Arc::new(AtomicUsize::new(0));
        let watch = {
            let notified = notified.clone();
            element.connect_notify(Some("model"), move |_, _| {
                notified.fetch_add(1, Ordering::SeqCst);
            })
        };
        element.set_property("model", wrong);
        let told = told_until_done(&stream.rig.bus);
        assert!(told.contains(&Told::Progress(ProgressType::Error)));
        let Some(Told::Warning(text)) = told.last() else {
            panic!("{told:?}")
        };
        assert!(text.contains(said), "{text}");
        assert_eq!(model(&element), coral);
        until("both changes are told", || {
            notified.load(Ordering::SeqCst) == 2
        });
        element.disconnect(watch);
        assert_eq!(stream.pass(5), [CORAL; 5]);
    }
    // The same where what cannot be had is a provider.
    let element = stream.rig.element.clone();
    element.set_property_from_str("execution-provider", "tensorrt");
    let told = told_until_done(&stream.rig.bus);
    assert!(matches!(told.last(), Some(Told::Warning(text)) if text.contains("tensorrt")));
    until("the property says what runs", || {
        let provider = element.property_value("execution-provider");
        provider.transform::<i32>().unwrap().get() == Ok(1)
    });
    assert_eq!(stream.pass(5), [CORAL; 5]);
    assert!(stream.rig.errors().is_empty());
    // And the next start is none that fails.
    element.set_state(gst::State::Null).unwrap();
    element.set_state(gst::State::Ready).unwrap();
}

#[test]
fn of_several_models_the_last_one_counts() {
    let test = "of_several_models";
    let coral = Stand::of(CORAL).folder(test);
    let (plum, teal) = (Stand::slow(PLUM).folder(test), Stand::of(TEAL).folder(test));
    let Some(mut stream) = playing(&coral) else {
        return;
    };
    let element = stream.rig.element.clone();
    for name in [&plum, &teal, &plum, &teal] {
        element.set_property("model", name);
    }
    let mut told = of_models(told_until_done(&stream.rig.bus));
    told.retain(|told| *told != Told::Progress(ProgressType::Continue));
    use ProgressType::{Canceled, Complete, Start};
    let once = [Start, Canceled];
    let course: Vec<_> = once
        .repeat(3)
        .into_iter()
        .chain([Start, Complete])
        .collect();
    assert_eq!(
        told,
        course.into_iter().map(Told::Progress).collect::<Vec<_>>()
    );
    assert_eq!(stream.pass(5), [TEAL; 5]);
    until("what nobody wants is dropped", || loaders() == 0);
    assert_eq!(stream.pass(5), [TEAL; 5]);

    // Back to what runs: nothing is loaded.
    element.set_property("model", &plum);
    element.set_property("model", &teal);
    let told = of_models(told_so_far(&stream.rig.bus));
    assert_eq!(told.first(), Some(&Told::Progress(Start)));
    assert_eq!(told.last(), Some(&Told::Progress(Canceled)));
    assert_eq!(stream.pass(5), [TEAL; 5]);
}

#[test]
fn a_model_may_be_set_while_the_stream_is_flushed_ends_or_stops() {
    let test = "a_model_may_be_set";
    let coral = Stand::of(CORAL).folder(test);
    let (plum, teal) = (Stand::slow(PLUM).folder(test), Stand::of(TEAL).folder(test));
    let Some(mut stream) = playing(&coral) else {
        return;
    };
    let element = stream.rig.element.clone();
    assert_eq!(stream.pass(5), [CORAL; 5]);
    // A flush while it is loaded; it takes over behind it.
    element.set_property("model", &plum);
    let mut stream = stream.flush();
    assert_eq!(stream.pass(5), [CORAL; 5]);
    complete(&stream.rig.bus);
    assert_eq!(stream.pass(5), [PLUM; 5]);
    // The end of the stream while it is loaded; it is there for the next.
    element.set_property("model", &teal);
    assert!(stream.rig.video.push_event(gst::event::Eos::new()));
    assert!(stream.rig.frames_until_eos().is_empty());
    complete(&stream.rig.bus);
    element.set_state(gst::State::Ready).unwrap();
    let mut stream = stream.again();
    assert_eq!(stream.pass(5), [TEAL; 5]);
    // READY while it is loaded: it goes on, and the next stream has the old one until it is there.
    element.set_property("model", &plum);
    element.set_state(gst::State::Ready).unwrap();
    let mut stream = stream.again();
    complete(&stream.rig.bus);
    assert_eq!(stream.pass(5), [PLUM; 5]);
    // NULL while it is loaded.
    element.set_property("model", &coral);
    element.set_state(gst::State::Null).unwrap();
    assert_eq!(model(&element), coral);
    until("the loader ends", || loaders() == 0);
}

#[test]
fn another_look_ahead_is_another_latency() {
    let test = "another_look_ahead";
    let coral = Stand::of(CORAL).folder(test);
    let teal = Stand {
        offset_ms: 100,
        ..Stand::of(TEAL)
    };
    let plum = Stand {
        offset_ms: -100,
        ..Stand::of(PLUM)
    };
    let (teal, plum) = (teal.folder(test), plum.folder(test));
    let Some(mut stream) = playing(&coral) else {
        return;
    };
    assert_eq!(stream.pass(5), [CORAL; 5]);
    let resampled = reported_latency_ms(&stream.rig) - LOOK_AHEAD_MS;
    for (next, expected, look_ahead_ms) in [
        (&teal, TEAL, LOOK_AHEAD_MS + 100),
        (&plum, PLUM, LOOK_AHEAD_MS - 100),
        (&coral, CORAL, LOOK_AHEAD_MS),
    ] {
        stream.rig.element.set_property("model", next);
        complete(&stream.rig.bus);
        assert_eq!(stream.pass(5), [expected; 5]);
        assert!(told_so_far(&stream.rig.bus).contains(&Told::Latency));
        assert_eq!(reported_latency_ms(&stream.rig), resampled + look_ahead_ms);
    }
}

#[test]
fn the_next_model_goes_on_with_the_faces_of_the_last() {
    let test = "the_next_model";
    let Some(picture) = Picture::load("young-woman-in-mauve.jpg") else {
        return;
    };
    let Some(element) = element_of("") else {
        return;
    };
    // A stand-in that wants a face.
    let folder = Stand::of(TEAL).folder(test);
    let manifest = Path::new(&folder).join("manifest.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let boxed = format!("crop.box = [0, 0, {SIDE}, {SIDE}]\n");
    std::fs::write(&manifest, text.replace(&boxed, "")).unwrap();

    element.set_property("attach-meta", true);
    let rig = Rig::stopped(element, FILE, true);
    rig.play();
    complete(&rig.bus);
    let frames = Pictures::rgb(picture.width as u32, picture.height as u32);
    let tones = Tones::of(3_000 * MS, 0..3_000 * MS);
    let portrait = |index| {
        let mut frame = frames.frame(index);
        let mut map = frame.make_mut().map_writable().unwrap();
        map.copy_from_slice(&picture.data);
        drop(map);
        Item::from(frame)
    };
    let mut sound = begin("audio", &tones.caps(), &segment_from(0));
    sound.extend(tones.buffers().into_iter().map(Item::from));
    let mut first = begin("video", &frames.caps(), &segment_from(0));
    first.extend((0..4).map(portrait));
    let face = |frame: &gst::Buffer| {
        let metas = frame.iter_meta::<gst_video::VideoRegionOfInterestMeta>();
        let faces: Vec<_> = metas
            .map(|meta| {
                let about = meta.param("lipsync-face").unwrap();
                (about.get::<u64>("id").unwrap(), meta.rect())
            })
            .collect();
        assert_eq!(faces.len(), 1);
        faces[0]
    };
    let _feeding = rig.feed(first, sound);
    let before: Vec<_> = (0..4).map(|_| face(&rig.next_buffer())).collect();
    let runs = rig.stat("detect-runs");
    rig.element.set_property("model", &folder);
    complete(&rig.bus);
    let feeding = feed(&rig.video, (4..8).map(portrait).collect());
    let after: Vec<_> = (0..4).map(|_| face(&rig.next_buffer())).collect();
    feeding.join().unwrap();
    assert!(
        after.iter().all(|face| *face == before[3]),
        "{before:?} {after:?}"
    );
    assert_eq!(
        rig.stat("detect-runs"),
        runs,
        "nobody looked for faces anew"
    );
    let stats = rig.element.property::<gst::Structure>("stats");
    assert_eq!(stats.get::<&str>("model-name"), Ok("0-128-128"));
}

#[test]
fn the_same_model_again_is_no_change() {
    let test = "the_same_model";
    let coral = Stand::of(CORAL).folder(test);
    let Some(mut stream) = playing(&coral) else {
        return;
    };
    stream.rig.element.set_property("model", &coral);
    assert_eq!(stream.pass(5), [CORAL; 5]);
    assert_eq!(of_models(told_so_far(&stream.rig.bus)), []);
}

/// Sets `model` to what it is.
fn set_again(element: &gst::Element) {
    element.set_property("model", model(element));
}

#[test]
fn files_that_have_changed_are_taken_up_when_the_model_is_set_again() {
    use ProgressType::{Complete, Continue, Start};
    let test = "files_that_have_changed";
    let folder = Stand::of(CORAL).folder_with_data(test);
    let Some(mut stream) = playing(&folder) else {
        return;
    };
    let element = stream.rig.element.clone();
    let course = [Start, Continue, Complete].map(Told::Progress);
    assert_eq!(stream.pass(5), [CORAL; 5]);
    // Weights alone: the network that draws goes on with its own.
    Stand::of(TEAL).write_data(&folder);
    assert_eq!(stream.pass(5), [CORAL; 5]);
    set_again(&element);
    assert_eq!(of_models(told_until_done(&stream.rig.bus)), course);
    assert_eq!(stream.pass(5), [TEAL; 5]);
    set_again(&element);
    assert_eq!(
        of_models(told_so_far(&stream.rig.bus)),
        [],
        "nothing is new"
    );
    // The manifest alone.
    let manifest = Path::new(&folder).join("manifest.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let renamed = text.replace("name = \"255-127-80\"", "name = \"renamed\"");
    std::fs::write(&manifest, renamed).unwrap();
    set_again(&element);
    assert_eq!(of_models(told_until_done(&stream.rig.bus)), course);
    assert_eq!(stream.pass(5), [TEAL; 5]);
    let stats = element.property::<gst::Structure>("stats");
    assert_eq!(stats.get::<&str>("model-name"), Ok("renamed"));
    // While it is being loaded: what is there at last counts.
    Stand::of(PLUM).write_data(&folder);
    set_again(&element);
    Stand::of(CORAL).write_data(&folder);
    set_again(&element);
    complete(&stream.rig.bus);
    if stream.pass(1) == [PLUM] {
        complete(&stream.rig.bus);
    }
    assert_eq!(stream.pass(5), [CORAL; 5]);
    // In READY it is the next start that takes it up.
    element.set_state(gst::State::Ready).unwrap();
    Stand::of(TEAL).write_data(&folder);
    set_again(&element);
    let mut stream = stream.again();
    complete(&stream.rig.bus);
    assert_eq!(stream.pass(5), [TEAL; 5]);
}

#[test]
fn a_bare_network_that_has_changed_is_taken_up_too() {
    let test = "a_bare_network";
    let folder = Stand::of(CORAL).folder(test);
    let bare = Path::new(&folder).join("net.onnx");
    let Some(element) = element_of(bare.to_str().unwrap()) else {
        return;
    };
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    element.set_state(gst::State::Paused).unwrap();
    complete(&bus);
    set_again(&element);
    assert_eq!(of_models(told_so_far(&bus)), []);
    // Another file under the same name.
    let other = Path::new(&folder).join("new.onnx");
    std::fs::write(&other, Stand::of(TEAL).network()).unwrap();
    std::fs::rename(&other, &bare).unwrap();
    set_again(&element);
    complete(&bus);
    element.set_state(gst::State::Null).unwrap();
}

#[test]
fn files_that_have_become_worse_leave_the_model_that_was_there() {
    let test = "files_that_have_become_worse";
    let folder = Stand::of(CORAL).folder_with_data(test);
    let Some(mut stream) = playing(&folder) else {
        return;
    };
    let element = stream.rig.element.clone();
    std::fs::write(Path::new(&folder).join("net.onnx.data"), "cut off").unwrap();
    for _ in 0..2 {
        set_again(&element);
        let told = told_until_done(&stream.rig.bus);
        let Some(Told::Warning(text)) = told.last() else {
            panic!("{told:?}")
        };
        assert!(text.contains("net.onnx.data"), "{text}");
        assert_eq!(stream.pass(5), [CORAL; 5]);
        // Nobody asks for it again.
        element.set_property("feather", 0.25);
        assert_eq!(stream.pass(1), [CORAL]);
        assert_eq!(of_models(told_so_far(&stream.rig.bus)), []);
    }
    Stand::of(TEAL).write_data(&folder);
    set_again(&element);
    complete(&stream.rig.bus);
    assert_eq!(stream.pass(5), [TEAL; 5]);
    assert!(stream.rig.errors().is_empty());
}
