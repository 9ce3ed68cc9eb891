//! Networks that are late: what the engine makes of a frame without them, without GStreamer.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use lipsync_core::{
    Error,
    assembly::Config,
    catalogue::Source,
    face::Face,
    generator::{Brush, Brushes, Generator, Heard, Hearing, Look, Sketch, Spot},
    pixels::{Colour, Format, Plane, Rows, View},
    render::{Controls, Engine, Late, Networks, Outcome, Silence},
    sound::Sound,
};

const FRAME_NS: i64 = 40_000_000;

/// What the test lets a run of the network come to.
enum Run {
    Draws(u8),
    Fails,
    Panics,
}

/// Waits in each frame until the test lets it go on.
struct Slow {
    /// Told when it waits.
    begun: Sender<()>,
    runs: Receiver<Run>,
    resets: Arc<AtomicUsize>,
}

impl Generator for Slow {
    fn name(&self) -> &str {
        "slow"
    }

    fn hearing(&self) -> Hearing {
        Hearing {
            spectrum: lipsync_core::sound::Spectrum::Mel,
            columns: 16,
            look_ahead_ns: 0,
            raises_voice: false,
        }
    }

    fn needs_face(&self) -> bool {
        false
    }

    fn brushes(&self) -> Brushes {
        Box::new(|| Box::new(Fill))
    }

    fn reset(&mut self) {
        self.resets.fetch_add(1, Ordering::Relaxed);
    }

    fn listen(&mut self, _heard: &Heard, _out: &mut Vec<f32>) -> Result<(), Error> {
        Ok(())
    }

    fn draw(&mut self, sketches: &mut [Sketch]) -> Result<(), Error> {
        let _ = self.begun.send(());
        match self.runs.recv() {
            Ok(Run::Draws(level)) => sketches[0].drawn = vec![f32::from(level)],
            Ok(Run::Panics) => panic!("the test wants it"),
            Ok(Run::Fails) | Err(_) => {
                return Err(Error::Inference {
                    name: "slow".into(),
                    reason: "the test wants it".into(),
                });
            }
        }
        Ok(())
    }
}

/// Fills the frame with what was drawn.
struct Fill;

impl Brush for Fill {
    fn paint(
        &mut self,
        view: &mut View,
        _face: Option<&Face>,
        _look: &Look,
        _spot: &mut Spot,
        drawn: &[f32],
    ) {
        view.planes[0].data.fill(drawn[0] as u8);
    }
}

/// An engine whose network the test lets run.
struct Rig {
    /// Goes before the engine, which waits for a run that is under way.
    runs: Sender<Run>,
    begun: Receiver<()>,
    resets: Arc<AtomicUsize>,
    engine: Engine,
    sound: Sound,
    controls: Controls,
    frames: i64,
}

/// What the frame was before.
const BEFORE: u8 = 7;
const NO_TIME: Duration = Duration::ZERO;
/// More than a thread needs on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(20);

/// A frame of 4 x 4 grey pixels.
fn grey(pixels: &mut [u8; 16]) -> View<'_> {
    let plane = |data| Plane { data, stride: 4 };
    View {
        format: Format::Gray8,
        width: 4,
        height: 4,
        colour: Colour::default(),
        rows: Rows::All,
        planes: [plane(pixels), plane(&mut []), plane(&mut [])],
    }
}

impl Rig {
    fn new() -> Self {
        let (runs, receiver) = channel();
        let (begins, begun) = channel();
        let resets = Arc::<AtomicUsize>::default();
        let network = Mutex::new(Some(Slow {
            begun: begins,
            runs: receiver,
            resets: resets.clone(),
        }));
        let config = Config {
            generator: Source::Custom(Arc::new(move || {
                Box::new(network.lock().unwrap().take().unwrap())
            })),
            ..Config::default()
        };
        let mut sound = Sound::new();
        sound.finish();
        Self {
            engine: Engine::new(&config).unwrap().0,
            runs,
            begun,
            resets,
            sound,
            controls: Controls {
                silence: Silence::Animate,
                ..Controls::default()
            },
            frames: 0,
        }
    }

    /// The next frame, whose networks have so long.
    fn frame(&mut self, wait: Duration) -> Result<(Outcome, u8), Error> {
        let mut pixels = [BEFORE; 16];
        let mut view = grey(&mut pixels);
        let time_ns = self.frames * FRAME_NS;
        self.frames += 1;
        let (engine, sound, controls) = (&mut self.engine, &mut self.sound, &self.controls);
        engine.track(&view, time_ns, &[], controls)?;
        engine.begin(&view, time_ns, sound, controls, Networks::DrawInTime)?;
        engine.submit();
        let outcome = engine.finish(&mut view, Some(&mut || wait))?;
        assert!(pixels.iter().all(|&pixel| pixel == pixels[0]));
        Ok((outcome, pixels[0]))
    }

    /// Begins a frame while others may be drawn.
    fn submit(&mut self, frame: i64, networks: Networks) {
        let mut pixels = [BEFORE; 16];
        let view = grey(&mut pixels);
        let time_ns = frame * FRAME_NS;
        let (engine, sound, controls) = (&mut self.engine, &mut self.sound, &self.controls);
        engine.track(&view, time_ns, &[], controls).unwrap();
        engine
            .begin(&view, time_ns, sound, controls, networks)
            .unwrap();
        engine.submit();
    }

    /// Waits for the first of them.
    fn finish(&mut self) -> (Outcome, u8) {
        let mut pixels = [BEFORE; 16];
        let outcome = self.engine.finish(&mut grey(&mut pixels), None).unwrap();
        (outcome, pixels[0])
    }

    fn run(&self, run: Run) {
        self.runs.send(run).unwrap();
    }

    /// Lets the network end a run that is under way, and waits until the engine has it back.
    fn end_run(&mut self, run: Run) -> Result<(), Error> {
        self.run(run);
        // Frames that are left alone take it in.
        let bypass = Controls {
            bypass: true,
            ..self.controls
        };
        let asked = std::mem::replace(&mut self.controls, bypass);
        let mut result = Ok(());
        for _ in 0..200 {
            result = self.frame(NO_TIME).map(|_| ());
            self.frames -= 1;
            if result.is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.controls = asked;
        result
    }
}

#[test]
fn in_time_it_is_as_if_there_were_no_thread() {
    let mut rig = Rig::new();
    for level in [100, 150] {
        rig.run(Run::Draws(level));
        assert_eq!(rig.frame(PATIENCE).unwrap(), (Outcome::Synced, level));
    }
}

#[test]
fn a_late_frame_shows_the_last_mouth_and_the_first_in_time_a_new_one() {
    let mut rig = Rig::new();
    assert_eq!(rig.frame(NO_TIME).unwrap(), (Outcome::Late, BEFORE));
    rig.end_run(Run::Draws(100)).unwrap();
    for _ in 0..10 {
        assert_eq!(rig.frame(NO_TIME).unwrap(), (Outcome::Repeated, 100));
    }
    // Of these ten, the network has been given the first alone.
    rig.end_run(Run::Draws(120)).unwrap();
    rig.run(Run::Draws(130));
    assert_eq!(rig.frame(PATIENCE).unwrap(), (Outcome::Synced, 130));
}

#[test]
fn the_original_shows_where_that_is_wanted() {
    let mut rig = Rig::new();
    rig.controls.late = Late::Original;
    rig.run(Run::Draws(100));
    assert_eq!(rig.frame(PATIENCE).unwrap(), (Outcome::Synced, 100));
    for _ in 0..3 {
        assert_eq!(rig.frame(NO_TIME).unwrap(), (Outcome::Late, BEFORE));
    }
}

#[test]
fn a_mouth_of_long_ago_is_not_painted_again() {
    let mut rig = Rig::new();
    rig.run(Run::Draws(100));
    rig.frame(PATIENCE).unwrap();
    assert_eq!(rig.frame(NO_TIME).unwrap().0, Outcome::Repeated);
    rig.frames += 60;
    assert_eq!(rig.frame(NO_TIME).unwrap(), (Outcome::Late, BEFORE));
}

#[test]
fn what_was_drawn_before_a_reset_is_not_shown_after_it() {
    let mut rig = Rig::new();
    rig.run(Run::Draws(100));
    rig.frame(PATIENCE).unwrap();
    assert_eq!(rig.frame(NO_TIME).unwrap().0, Outcome::Repeated);
    rig.engine.reset();
    rig.end_run(Run::Draws(110)).unwrap();
    assert_eq!(rig.frame(NO_TIME).unwrap(), (Outcome::Late, BEFORE));
    rig.end_run(Run::Draws(120)).unwrap();
    assert_eq!(rig.frame(NO_TIME).unwrap(), (Outcome::Repeated, 120));
}

#[test]
fn an_error_that_comes_late_is_an_error_of_the_frame_at_which_it_comes() {
    let mut rig = Rig::new();
    assert_eq!(rig.frame(NO_TIME).unwrap().0, Outcome::Late);
    assert!(matches!(
        rig.end_run(Run::Fails),
        Err(Error::Inference { .. })
    ));
    // One after a reset is nobody's.
    assert_eq!(rig.frame(NO_TIME).unwrap().0, Outcome::Late);
    rig.engine.reset();
    rig.end_run(Run::Fails).unwrap();
    rig.run(Run::Draws(100));
    assert_eq!(rig.frame(PATIENCE).unwrap(), (Outcome::Synced, 100));
}

#[test]
fn a_generator_that_panics_costs_its_frame_only() {
    let mut rig = Rig::new();
    rig.run(Run::Panics);
    let err = rig.frame(PATIENCE).unwrap_err();
    assert!(matches!(err, Error::Inference { .. }), "{err}");
    rig.run(Run::Draws(100));
    assert_eq!(rig.frame(PATIENCE).unwrap(), (Outcome::Synced, 100));
}

#[test]
fn the_next_frame_is_begun_while_the_network_runs_and_no_more() {
    let mut rig = Rig::new();
    for frame in 0..3 {
        rig.submit(frame, Networks::DrawInTime);
    }
    for level in [100, 110] {
        rig.run(Run::Draws(level));
        assert_eq!(rig.finish(), (Outcome::Synced, level));
    }
    assert_eq!(rig.finish(), (Outcome::Repeated, 110));
    rig.submit(3, Networks::DrawInTime);
    for frame in 4..9 {
        rig.submit(frame, Networks::DrawInTime);
        let level = 10 * frame as u8;
        rig.run(Run::Draws(level));
        assert_eq!(rig.finish(), (Outcome::Synced, level));
    }
}

#[test]
fn a_frame_that_can_wait_is_drawn_after_those_that_are_forgotten() {
    let mut rig = Rig::new();
    rig.submit(0, Networks::Draw);
    rig.submit(1, Networks::Draw);
    rig.engine.reset();
    for level in [100, 110, 120] {
        rig.run(Run::Draws(level));
    }
    rig.submit(2, Networks::Draw);
    assert_eq!(rig.finish(), (Outcome::Synced, 120));
    // It is not waited for where nothing is drawn.
    rig.submit(3, Networks::Draw);
    rig.engine.abandon();
    rig.controls.bypass = true;
    rig.submit(4, Networks::Draw);
    assert_eq!(rig.finish(), (Outcome::Bypassed, BEFORE));
}

#[test]
fn the_generator_forgets_before_the_first_frame_after_a_reset() {
    let mut rig = Rig::new();
    let resets = |rig: &Rig| rig.resets.load(Ordering::Relaxed);
    for (frame, expected) in [(0, 0), (1, 1), (2, 1)] {
        if frame == 1 {
            rig.engine.reset();
            rig.engine.abandon();
        }
        rig.submit(frame, Networks::Draw);
        rig.run(Run::Draws(100));
        assert_eq!(rig.finish(), (Outcome::Synced, 100));
        assert_eq!(resets(&rig), expected);
    }
}

#[test]
fn an_engine_that_goes_while_the_network_runs_waits_for_it() {
    let mut rig = Rig::new();
    assert_eq!(rig.frame(NO_TIME).unwrap().0, Outcome::Late);
    let Rig {
        runs,
        begun,
        engine,
        ..
    } = rig;
    begun.recv().unwrap();
    let going = std::thread::spawn(move || drop(engine));
    runs.send(Run::Draws(1)).unwrap();
    going.join().unwrap();
    assert!(runs.send(Run::Draws(2)).is_err(), "the generator has gone");
}
