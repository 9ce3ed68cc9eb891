//! Faces with the real networks: found any way up and of any size, who is who, and who speaks.

#[path = "../support/clips.rs"]
mod clips;
#[path = "../support/picture.rs"]
mod picture;
#[path = "../support/running.rs"]
mod running;

mod articulation;
mod finding;
mod mouth_memory;
mod people;
mod repeated;
mod speaking;
mod stream;

use lipsync_core::{
    assembly,
    face::{self, Effort, Face, Outlook, Settings, Tracker},
    inference::Options,
};
use picture::Picture;

const FRAME_NS: i64 = 40_000_000;

fn tracker(settings: Settings, effort: Effort) -> Tracker {
    let options = Options {
        intra_threads: 1,
        ..Options::default()
    };
    let opener = assembly::opener(&options);
    let detector = face::open_detector(&opener).expect("`cargo xtask setup` provides ONNX Runtime");
    let mesh = face::open_mesh(&opener).unwrap();
    let cover = face::open_cover(&opener).unwrap();
    let mut tracker =
        Tracker::new(detector.network, mesh.network, cover.network, settings).unwrap();
    tracker.set_outlook(Outlook {
        effort,
        ..Outlook::default()
    });
    tracker
}

/// Faces in frame `index` of a stream at 25 frames a second.
fn see(tracker: &mut Tracker, picture: &mut Picture, index: i64) -> Vec<Face> {
    let view = picture.view();
    tracker
        .track(&view, index * FRAME_NS, &[])
        .unwrap()
        .to_vec()
}

/// The only face of a picture that is the right way up.
fn upright(picture: &mut Picture) -> Face {
    let mut faces = see(
        &mut tracker(Settings::default(), Effort::OneLook),
        picture,
        0,
    );
    assert_eq!(faces.len(), 1);
    let face = faces.remove(0);
    let [eye, mouth, chin] = [33, 13, 152].map(|point| face.mesh.points[point][1]);
    assert!(eye < mouth && mouth < chin);
    face
}

fn width(face: &Face) -> f32 {
    let [x0, _, x1, _] = face.mesh.bbox().edges();
    x1 - x0
}
