//! Where a mouth is in a picture and how it is formed, seen by the plugin's own face mesh.

use anyhow::{Context, Result, bail};
use lipsync_core::{
    assembly,
    face::{self, Face, Select, Settings, Tracker, geometry},
    inference::Options,
    pixels::Affine,
    rect::Rect,
};

use crate::picture::{Picture, Square};

/// Side of the canonical lower face in its own pixels.
pub const CANONICAL_SIZE: usize = 96;

/// Middle of the inner lips in the face mesh, upper and lower.
const UPPER_LIP: usize = 13;
const LOWER_LIP: usize = 14;
const CORNERS: [usize; 2] = [61, 291];
/// Sides of the face in the mesh, where its width is measured.
const SIDES: [usize; 2] = [234, 454];

/// Mesh points that hardly move with speech, and where they lie in the canonical lower face. The
/// same as `RIGID` in `training/geometry.py`; here for the measuring not to depend on a model.
const RIGID: [(usize, [f32; 2]); 17] = [
    (33, [8.50, -25.10]),
    (263, [86.50, -25.10]),
    (133, [32.39, -23.71]),
    (362, [62.61, -23.71]),
    (168, [47.50, -28.58]),
    (6, [47.50, -21.84]),
    (197, [47.50, -15.52]),
    (195, [47.50, -9.62]),
    (5, [47.50, -3.27]),
    (4, [47.50, 4.44]),
    (1, [47.50, 10.29]),
    (98, [33.03, 13.58]),
    (327, [61.97, 13.58]),
    (127, [-12.94, -21.46]),
    (356, [107.94, -21.46]),
    (234, [-12.08, -9.07]),
    (454, [107.08, -9.07]),
];

/// The plugin's own face detector and mesh.
pub fn tracker(settings: Settings) -> Result<Tracker> {
    let options = Options::default();
    let opener = assembly::opener(&options);
    let detector = face::open_detector(&opener)?.network;
    let mesh = face::open_mesh(&opener)?.network;
    let cover = face::open_cover(&opener)?.network;
    Ok(Tracker::new(detector, mesh, cover, settings)?)
}

/// Watches one face through the frames of one video.
pub struct Watcher {
    tracker: Tracker,
}

/// One face in one frame.
#[derive(Clone)]
pub struct Mouth {
    /// The 468 points of the mesh, in frame pixels.
    pub points: Vec<[f32; 2]>,
    /// From frame pixels to the canonical face, where heads of any size, place and turn are alike.
    pub to_canonical: Affine,
}

impl Watcher {
    pub fn new() -> Result<Self> {
        let settings = Settings {
            max_faces: 1,
            select: Select::Largest,
            // A face that is followed well need not be searched again.
            detect_interval: 50,
            min_confidence: 0.5,
            // Measured, not made pleasant.
            smoothing: 0.0,
        };
        Ok(Self {
            tracker: tracker(settings)?,
        })
    }

    /// The largest face in the next frame, or `None` when there is none.
    pub fn watch(&mut self, picture: &Picture) -> Result<Option<Mouth>> {
        let time = i64::try_from(picture.time.nseconds())?;
        let faces = self.tracker.track(&picture.planes()?.view(), time, &[])?;
        faces.first().map(Mouth::of).transpose()
    }

    /// The face in each frame of a video.
    pub fn watch_each(pictures: &[Picture]) -> Result<Vec<Option<Mouth>>> {
        let mut watcher = Self::new()?;
        let pictures = pictures.iter();
        pictures.map(|picture| watcher.watch(picture)).collect()
    }

    /// The face in every frame of a video, which must show one throughout.
    pub fn watch_all(pictures: &[Picture]) -> Result<Vec<Mouth>> {
        let seen = Self::watch_each(pictures)?.into_iter().enumerate();
        seen.map(|(index, mouth)| mouth.with_context(|| format!("no face in frame {index}")))
            .collect()
    }
}

impl Mouth {
    fn of(face: &Face) -> Result<Self> {
        let points = face.mesh.points.to_vec();
        let rigid = RIGID.map(|(point, _)| points[point]);
        let canonical = RIGID.map(|(_, place)| place);
        let Some(to_canonical) = geometry::similarity(&rigid, &canonical) else {
            bail!("the mesh of the face has collapsed");
        };
        Ok(Self {
            points,
            to_canonical,
        })
    }

    /// Gap between the inner lips, in canonical pixels (78 between the outer corners of the eyes).
    pub fn opening(&self) -> f64 {
        f64::from(self.canonical(LOWER_LIP)[1] - self.canonical(UPPER_LIP)[1])
    }

    /// Distance between the corners of the mouth, in canonical pixels.
    pub fn spread(&self) -> f64 {
        let [right, left] = CORNERS.map(|corner| self.canonical(corner));
        f64::from((left[0] - right[0]).hypot(left[1] - right[1]))
    }

    /// The points of both lip contours, in canonical pixels.
    pub fn lips(&self) -> Vec<[f32; 2]> {
        lip_points().map(|point| self.canonical(point)).collect()
    }

    /// Width of the face in canonical pixels.
    pub fn width(&self) -> f64 {
        let [right, left] = SIDES.map(|side| self.canonical(side));
        f64::from((left[0] - right[0]).hypot(left[1] - right[1]))
    }

    /// The middle of the whole face in frame pixels, and half its width.
    pub fn middle(&self) -> ([f32; 2], f32) {
        let face = Rect::around(self.points.iter().copied());
        (face.centre(), face.width() / 2.0)
    }

    /// The square of frame pixels that holds the whole head.
    pub fn head(&self) -> Square {
        /// Of the larger side of the mesh, which ends at the chin and below the hair.
        const MARGIN: f32 = 1.2;
        Square::around(Rect::around(self.points.iter().copied()), MARGIN)
    }

    /// The square of frame pixels round the lips.
    pub fn mouth(&self) -> Square {
        /// Of the lips' width: what moves with them.
        const MARGIN: f32 = 1.4;
        let lips = lip_points().map(|point| self.points[point]);
        Square::around(Rect::around(lips), MARGIN)
    }

    fn canonical(&self, point: usize) -> [f32; 2] {
        self.to_canonical.apply(self.points[point])
    }
}

fn lip_points() -> impl Iterator<Item = usize> {
    let outer = geometry::LIPS_OUTER.iter();
    outer.chain(&geometry::LIPS_INNER).copied()
}
