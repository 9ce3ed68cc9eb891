//! Networks are left alone where what they would be given is what they were given last.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use lipsync_core::{
    Error, assembly, catalogue,
    face::{self, Settings, Tracker},
    generator::{Heard, Look, Sketch},
    inference::{Backend, Model, Network, OpenNetwork, Opener, Options, Provider, TensorInfo},
    pixels::Affine,
    sound::{BANDS, Bounds},
};

use super::{see, upright};
use crate::{clips::portrait, picture::Picture};

/// Numbers of what the built-in model samples: a crop, and after it two lists of landmarks and how they
/// move.
const CROP: usize = 3 * 96 * 96;
const OTHERS: usize = 4 * 87 + 3;

/// Opens networks as another backend does, and counts how often they run.
struct Counting<'a> {
    backend: &'a dyn Backend,
    runs: Arc<AtomicU64>,
}

struct Counted {
    network: Box<dyn Network>,
    runs: Arc<AtomicU64>,
}

impl Backend for Counting<'_> {
    fn check(&self, options: &Options) -> Result<(), Error> {
        self.backend.check(options)
    }

    fn open(
        &self,
        model: &Model,
        options: &Options,
        shapes: &[(&str, &[usize])],
    ) -> Result<OpenNetwork, Error> {
        let opened = self.backend.open(model, options, shapes)?;
        let network = Box::new(Counted {
            network: opened.network,
            runs: self.runs.clone(),
        });
        Ok(OpenNetwork { network, ..opened })
    }

    fn opens_in_parallel(&self, options: &Options) -> bool {
        self.backend.opens_in_parallel(options)
    }

    fn leaves_a_cpu(&self, provider: Provider) -> bool {
        self.backend.leaves_a_cpu(provider)
    }
}

impl Network for Counted {
    fn name(&self) -> &str {
        self.network.name()
    }

    fn inputs(&self) -> &[TensorInfo] {
        self.network.inputs()
    }

    fn outputs(&self) -> &[TensorInfo] {
        self.network.outputs()
    }

    fn input(&mut self, index: usize) -> &mut [f32] {
        self.network.input(index)
    }

    fn set_integer(&mut self, index: usize, value: i64) {
        self.network.set_integer(index, value);
    }

    fn run(&mut self) -> Result<(), Error> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.network.run()
    }

    fn output(&self, index: usize) -> &[f32] {
        self.network.output(index)
    }
}

/// A tracker, and how often its mesh network has run.
fn tracker(options: &Options) -> (Tracker, Arc<AtomicU64>) {
    let opener = assembly::opener(options);
    let counting = Counting {
        backend: opener.local,
        runs: Arc::default(),
    };
    let counter = Opener {
        local: &counting,
        drawing: &counting,
        options,
    };
    let detector = face::open_detector(&opener).expect("`cargo xtask setup` provides ONNX Runtime");
    let mesh = face::open_mesh(&counter).unwrap().network;
    let cover = face::open_cover(&opener).unwrap().network;
    let tracker = Tracker::new(detector.network, mesh, cover, Settings::default()).unwrap();
    (tracker, counting.runs)
}

#[test]
fn a_face_is_measured_again_where_it_has_changed() {
    let Some(mut picture) = portrait("s1_bbaf2n") else {
        return;
    };
    let (mut tracker, runs) = tracker(&Options::default());
    let mut index = 0;
    let mut next = |picture: &mut Picture| {
        index += 1;
        let before = runs.load(Ordering::Relaxed);
        let face = see(&mut tracker, picture, index).remove(0);
        (face, runs.load(Ordering::Relaxed) - before)
    };
    // It is found, and its square settles.
    for _ in 0..3 {
        next(&mut picture);
    }
    let (still, _) = next(&mut picture);
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..9 {
        let mut frame = picture.clone();
        for value in &mut frame.data {
            *value = value.saturating_add(random.u8(..2));
        }
        let (face, runs) = next(&mut frame);
        assert_eq!((runs, face.id, face.fresh), (0, still.id, false));
        assert_eq!(face.mesh.points, still.mesh.points);
    }

    // A mouth that opens a little, and a head that moves by a pixel.
    let [[left, y], [right, _]] = [61, 291].map(|corner| still.mesh.points[corner]);
    let mut open = picture.clone();
    for row in y as usize..y as usize + 3 {
        open.data[(row * picture.width + left as usize) * 3..][..(right - left) as usize * 3]
            .fill(10);
    }
    assert_eq!(next(&mut open).1, 1);
    assert_eq!(next(&mut picture).1, 1);
    let by_one = Affine {
        tx: -1.0,
        ..Affine::IDENTITY
    };
    let mut moved = picture.moved(picture.width, picture.height, &by_one);
    let (_, runs) = next(&mut moved);
    assert_eq!(runs, 1);
    for _ in 0..9 {
        next(&mut moved);
    }
    let (face, expected) = (next(&mut moved).0, upright(&mut moved));
    let points = face.mesh.points.iter().zip(&*expected.mesh.points);
    let apart = points.map(|([x, y], [u, v])| (x - u).hypot(y - v));
    let apart = apart.fold(0.0, f32::max);
    assert!(apart < 1.0, "{apart}");
}

#[test]
fn what_is_heard_and_drawn_is_computed_where_it_is_new() {
    let options = Options::default();
    let counting = Counting {
        backend: assembly::opener(&options).local,
        runs: Arc::default(),
    };
    let opener = Opener {
        local: &counting,
        drawing: &counting,
        options: &options,
    };
    let found = catalogue::find(&catalogue::Source::BuiltIn).unwrap();
    let mut generator = found.open(&opener).unwrap().generator;
    let runs = || counting.runs.swap(0, Ordering::Relaxed);
    runs();

    let mut mel = vec![0.5; BANDS * generator.hearing().columns];
    let mut listen = |mel: &[f32]| {
        let heard = Heard {
            mel,
            last_column: 0,
            time_ns: 0,
            bounds: Bounds::default(),
        };
        let mut out = Vec::new();
        generator.listen(&heard, &mut out).unwrap();
        out
    };
    let first = listen(&mel);
    assert_eq!(listen(&mel), first);
    assert_eq!(runs(), 1);
    mel[7] = 0.6;
    listen(&mel);
    assert_eq!(runs(), 1);
    mel[7] = 0.5;
    assert_eq!(listen(&mel), first);
    assert_eq!(runs(), 1);

    let mut random = fastrand::Rng::with_seed(1);
    let crop = (0..CROP).map(|_| random.f32());
    let mut seen: Vec<f32> = crop.collect();
    seen.extend((0..OTHERS).map(|_| 20.0 + 56.0 * random.f32()));
    let mut sketch = Sketch {
        seen,
        heard: first,
        look: Look {
            strength: 1.0,
            activity: 1.0,
            ..Look::default()
        },
        ..Sketch::default()
    };
    let mut draw = |sketch: &mut Sketch| {
        generator.draw(std::slice::from_mut(sketch)).unwrap();
        sketch.drawn.clone()
    };
    let first = draw(&mut sketch);
    assert_eq!(draw(&mut sketch), first);
    assert_eq!(runs(), 1);
    sketch.seen[0] = 0.6;
    draw(&mut sketch);
    assert_eq!(runs(), 1);
    sketch.look = Look {
        strength: 0.5,
        ..sketch.look
    };
    assert_ne!(draw(&mut sketch), first);
    assert_eq!(runs(), 1);
}
