//! What `batch-size` brings: milliseconds a frame of the whole engine, faces tracked, with so many
//! frames drawn at once, and one by one with the next frame begun meanwhile; in turns, and as
//! shares of one by one. `cargo bench --bench batch -- MODEL...`, or the built-in model alone.
//!
//! Wants `cargo xtask setup`, and models that take any number of faces:
//! `training/reference_models.py --any-batch`.

use std::time::{Duration, Instant};

use lipsync_core::{
    assembly::Config,
    catalogue::Source,
    inference::Options,
    render::{Controls, Engine, Networks, Outcome, Silence},
    sound::Sound,
};

#[path = "../tests/support/picture.rs"]
mod picture;

use picture::Picture;

/// Frames in a turn: whole batches of every size.
const FRAMES: usize = 20;
const TURNS: usize = 9;
const WARM_UP: usize = 2;
const FRAME_NS: i64 = 40_000_000;

/// How frames are drawn: so many at once, or one while the next one is begun.
const WAYS: [Way; 5] = [
    Way::AtOnce(1),
    Way::AtOnce(2),
    Way::AtOnce(4),
    Way::AtOnce(10),
    Way::Overlapped,
];

#[derive(Clone, Copy, Debug)]
enum Way {
    AtOnce(usize),
    Overlapped,
}

struct Contender {
    way: Way,
    engine: Engine,
    frames: Vec<Picture>,
    next: i64,
    turns: Vec<Duration>,
}

fn main() {
    let Some(portrait) = Picture::load("young-woman-in-mauve.jpg") else {
        return;
    };
    let mut sources: Vec<_> = std::env::args_os()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .map(|path| Source::Path(path.into()))
        .collect();
    if sources.is_empty() {
        sources.push(Source::BuiltIn);
    }
    for source in sources {
        let mut contenders = WAYS.map(|way| Contender::open(way, &source, &portrait));
        for turn in 0..WARM_UP + TURNS {
            for contender in &mut contenders {
                let took = contender.turn(&portrait);
                if turn >= WARM_UP {
                    contender.turns.push(took);
                }
            }
        }
        println!("{source:?}, milliseconds a frame:");
        let alone = contenders[0].turns.clone();
        for contender in &mut contenders {
            let mut shares: Vec<_> = std::iter::zip(&contender.turns, &alone)
                .map(|(took, alone)| took.as_secs_f64() / alone.as_secs_f64())
                .collect();
            shares.sort_by(f64::total_cmp);
            contender.turns.sort();
            let ms = |turn: Duration| turn.as_secs_f64() * 1e3 / FRAMES as f64;
            println!(
                "  {:12} median {:6.1}, least {:6.1}; of one by one {:.2} ({:.2} to {:.2})",
                format!("{:?}", contender.way),
                ms(contender.turns[TURNS / 2]),
                ms(contender.turns[0]),
                shares[TURNS / 2],
                shares[TURNS / 4],
                shares[TURNS * 3 / 4],
            );
        }
    }
}

impl Contender {
    fn open(way: Way, source: &Source, portrait: &Picture) -> Self {
        let batch = match way {
            Way::AtOnce(batch) => batch,
            Way::Overlapped => 1,
        };
        let config = Config {
            generator: source.clone(),
            runtime: Options {
                batch,
                ..Options::default()
            },
            ..Config::default()
        };
        let (engine, _) = Engine::new(&config).expect("the model opens");
        assert_eq!(engine.batch(), batch, "faces that the network takes");
        Self {
            way,
            engine,
            frames: vec![portrait.clone(); batch.max(2)],
            next: 0,
            turns: Vec::with_capacity(TURNS),
        }
    }

    /// Time that the frames of a turn take, without that for handing them over.
    fn turn(&mut self, portrait: &Picture) -> Duration {
        match self.way {
            Way::AtOnce(batch) => (0..FRAMES / batch)
                .map(|_| self.at_once(batch, portrait))
                .sum(),
            Way::Overlapped => self.overlapped(portrait),
        }
    }

    fn at_once(&mut self, batch: usize, portrait: &Picture) -> Duration {
        let Self { engine, frames, .. } = self;
        let (controls, mut sound) = (controls(), Sound::new());
        for frame in frames.iter_mut() {
            frame.data.copy_from_slice(&portrait.data);
        }
        let started = Instant::now();
        for frame in &mut frames[..batch] {
            let (view, time_ns) = (&frame.view(), self.next * FRAME_NS);
            self.next += 1;
            engine.track(view, time_ns, &[], &controls).expect("a run");
            let begun = engine.begin(view, time_ns, &mut sound, &controls, Networks::Draw);
            begun.expect("a run");
        }
        for frame in &mut frames[..batch] {
            let outcome = engine.finish(&mut frame.view(), None).expect("a run");
            assert!(outcome == Outcome::Synced || self.next < 10, "{outcome:?}");
        }
        started.elapsed()
    }

    fn overlapped(&mut self, portrait: &Picture) -> Duration {
        let Self { engine, frames, .. } = self;
        let (controls, mut sound) = (controls(), Sound::new());
        let mut took = Duration::ZERO;
        for frame in 0..=FRAMES {
            let begun = &mut frames[frame % 2];
            begun.data.copy_from_slice(&portrait.data);
            let started = Instant::now();
            if frame < FRAMES {
                let (view, time_ns) = (&begun.view(), self.next * FRAME_NS);
                self.next += 1;
                engine.track(view, time_ns, &[], &controls).expect("a run");
                let begun = engine.begin(view, time_ns, &mut sound, &controls, Networks::Draw);
                begun.expect("a run");
                engine.submit();
            }
            if frame > 0 {
                let drawn = &mut frames[(frame - 1) % 2].view();
                engine.finish(drawn, None).expect("a run");
            }
            took += started.elapsed();
        }
        took
    }
}

/// Every frame is drawn, whatever is heard.
fn controls() -> Controls {
    Controls {
        silence: Silence::Animate,
        ..Controls::default()
    }
}
