//! What finding and following a face costs: time on one core, whatever else the machine does.

use std::time::Duration;

use lipsync_core::{
    assembly,
    face::{self, Detector, Settings, Tracker, geometry::Region},
    inference::Options,
    pixels::Affine,
};

#[path = "../tests/support/picture.rs"]
mod picture;

use picture::Picture;

const WARM_UP: i64 = 60;
const RUNS: i64 = 200;

fn main() {
    let Some(portrait) = Picture::load("young-woman-in-mauve.jpg") else {
        return;
    };
    let frames = [
        ("892x1103", portrait.clone()),
        ("1920x1080", portrait.moved(1920, 1080, &Affine::IDENTITY)),
    ];
    let options = Options {
        intra_threads: 1,
        ..Options::default()
    };
    let open = |opened: Result<lipsync_core::inference::OpenNetwork, _>| {
        opened.expect("a network").network
    };
    for (name, mut frame) in frames {
        let view = frame.view();
        let side = view.width.max(view.height) as f32;
        let square = Region {
            centre: [(side - 1.0) / 2.0; 2],
            side,
            angle: 0.0,
        };
        let mut detector = Detector::new(open(face::open_detector(&assembly::opener(&options))))
            .expect("a detector");
        let detecting = cost(|_| {
            let found = detector.detect(&view, square, 0.5);
            found.expect("a run");
        });
        // So that the detector has nothing to do with it.
        let settings = Settings {
            detect_interval: u32::MAX,
            ..Settings::default()
        };
        let networks = (
            open(face::open_detector(&assembly::opener(&options))),
            open(face::open_mesh(&assembly::opener(&options))),
            open(face::open_cover(&assembly::opener(&options))),
        );
        let mut tracker =
            Tracker::new(networks.0, networks.1, networks.2, settings).expect("a tracker");
        let tracking = cost(|i| {
            let faces = tracker.track(&view, i * 40_000_000, &[]);
            // A face that is small in its frame takes a while to be found.
            assert!(faces.expect("a run").len() == 1 || i < WARM_UP);
        });
        println!("{name}: detector {detecting:.1?}, one tracked face {tracking:.1?} a frame");
    }
}

/// Time on the CPU for one call, the first calls left out.
fn cost(mut call: impl FnMut(i64)) -> Duration {
    (0..WARM_UP).for_each(&mut call);
    let before = on_cpu();
    (WARM_UP..WARM_UP + RUNS).for_each(&mut call);
    (on_cpu() - before) / RUNS as u32
}

/// Time that this thread has spent on a CPU.
fn on_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanoseconds = stat.split_whitespace().next().and_then(|n| n.parse().ok());
    Duration::from_nanos(nanoseconds.expect("a number"))
}
