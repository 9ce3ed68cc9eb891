//! Whether there is a face where somebody says so, and which way up it is.
//!
//! The mesh network believes in most faces that it is shown, also upside down, with the mouth on
//! the forehead; the detector takes a mouth for eyes. They do not agree in their mistakes: the
//! mesh says how the head is turned, and in a square turned so the detector has to find the same
//! points. Must not know where faces were before.

use std::f32::consts::{FRAC_PI_2, PI};

use crate::{
    Error,
    face::{
        detector::{Detection, Detector, KEYPOINTS},
        geometry::{self, Region},
        mesh::{MARGIN, Mesh, MeshNetwork, appearance},
        shot::Thumbnail,
    },
    inference::Network,
    pixels::View,
    rect::Rect,
};

/// Smaller faces are not followed: side of the square round them, in frame pixels.
const MIN_SIDE: f32 = 24.0;
/// How far the mesh may wander in its square before the square follows: shares of the side, and
/// radians. Keeps a still face bit-exactly still.
const REST: [f32; 3] = [0.012, 0.02, 0.015];
/// A new face is looked at so often at most before its first mesh counts.
const FIRST_LOOKS: usize = 4;
/// Which way up a face may be, beside what the detector says.
const TURNS: [f32; 4] = [0.0, PI, FRAC_PI_2, -FRAC_PI_2];
/// The detector's square is larger than the mesh's by this.
const WIDER: f32 = 1.2;
/// Less sure detections do not speak for a mesh.
const LEAST_SCORE: f32 = 0.3;
/// What a distance of one face's height between the points of detector and mesh costs in trust.
const DISTANCE: f32 = 2.0;
/// Mesh points nearest to what the detector finds; see [`KEYPOINTS`].
const MESH_POINTS: [usize; KEYPOINTS] = [33, 263, 1, 13, 234, 454];
/// From this trust on no other way up is tried. Of 17 people, photographed and painted, at 24
/// angles: 0.76 to 0.85 the right way up; at most 0.71 another way, and less than the right one.
const SURE: f32 = 0.7;
/// Less trust than this share of the least confidence is none. Faces turned aside by 55 degrees:
/// 0.52 and more; 18 pixels wide: 0.2 and more.
const LEAST_TRUST: f32 = 0.4;

/// A face that was looked at.
#[derive(Clone, Debug)]
pub struct Sighting {
    pub mesh: Mesh,
    /// Where to look for it next.
    pub region: Region,
    /// What the face looks like.
    pub seen: Thumbnail,
    pub looked: Looked,
    /// How far both networks agree, at most 1.
    trust: f32,
}

impl Default for Sighting {
    fn default() -> Self {
        Self {
            mesh: Mesh::default(),
            region: Region::default(),
            seen: Thumbnail::flat(),
            looked: Looked::default(),
            trust: f32::MIN,
        }
    }
}

/// The square that the mesh was found in, and what was seen there.
#[derive(Clone, Debug)]
pub struct Looked {
    region: Region,
    seen: Thumbnail,
}

impl Default for Looked {
    fn default() -> Self {
        Self {
            region: Region::default(),
            seen: Thumbnail::flat(),
        }
    }
}

/// What becomes of a face that is followed.
pub enum Followed<'a> {
    /// It looks as it did when its mesh was found.
    Unchanged,
    Seen(&'a mut Sighting),
    /// It is none any more.
    Lost,
}

/// The networks that find faces.
pub struct Examiner {
    detector: Detector,
    mesh: MeshNetwork,
    now: Sighting,
    best: Sighting,
    /// How often somebody looked for faces.
    looks: u64,
}

impl Examiner {
    /// # Errors
    /// [`Error::ModelMismatch`] when the networks are not a face detector and a face mesh.
    pub fn new(detector: Box<dyn Network>, mesh: Box<dyn Network>) -> Result<Self, Error> {
        Ok(Self {
            detector: Detector::new(detector)?,
            mesh: MeshNetwork::new(mesh)?,
            now: Sighting::default(),
            best: Sighting::default(),
            looks: 0,
        })
    }

    /// Each goes on with the networks of the other.
    pub fn exchange_networks(&mut self, other: &mut Self) {
        self.detector.exchange_networks(&mut other.detector);
        std::mem::swap(&mut self.mesh, &mut other.mesh);
    }

    /// What may be faces in the square that was looked at last, less surely than was asked for.
    pub fn glimpses(&self) -> &[Detection] {
        self.detector.glimpses()
    }

    /// How often [`Self::detect`] has looked.
    pub fn looks(&self) -> u64 {
        self.looks
    }

    /// See [`Detector::detect`].
    ///
    /// # Errors
    /// [`Error::Inference`].
    pub fn detect(
        &mut self,
        view: &View,
        square: Region,
        min_confidence: f32,
    ) -> Result<&[Detection], Error> {
        self.looks += 1;
        self.detector.detect(view, square, min_confidence)
    }

    /// Looks once at a face that is followed, and for its mesh unless it looks as it did when it was
    /// `looked` at.
    ///
    /// # Errors
    /// [`Error::Inference`].
    pub fn follow(
        &mut self,
        view: &View,
        region: Region,
        looked: &Looked,
        min_confidence: f32,
    ) -> Result<Followed<'_>, Error> {
        let now = &mut self.now;
        self.mesh.look(view, &region);
        let seen = self.mesh.seen();
        if looked.region == region && looked.seen.is_same(&seen) {
            return Ok(Followed::Unchanged);
        }
        self.mesh.find(&region, &mut now.mesh)?;
        if !is_face(&now.mesh, view, min_confidence) {
            return Ok(Followed::Lost);
        }
        now.region = settled(region, now.mesh.region());
        now.seen = appearance(&seen, &region, &now.mesh);
        now.looked = Looked { region, seen };
        Ok(Followed::Seen(now))
    }

    /// Looks for the face that `region` is said to hold, the way up that it says and others. Those
    /// are tried for a region without any face only where there is time for it (`has_time`). Both networks have to
    /// agree, and more so where nobody is sure that there is one (`is_sure`).
    ///
    /// # Errors
    /// [`Error::Inference`].
    pub fn examine(
        &mut self,
        view: &View,
        region: Region,
        min_confidence: f32,
        is_sure: bool,
        has_time: bool,
    ) -> Result<Option<&mut Sighting>, Error> {
        self.best.trust = f32::MIN;
        for turn in TURNS {
            let is_face = self.settle(view, region.turned(turn), min_confidence)?;
            if is_face {
                self.now.trust = self.trust(view)?;
                if self.now.trust > self.best.trust {
                    std::mem::swap(&mut self.now, &mut self.best);
                }
            }
            if self.best.trust >= SURE || !is_face && !has_time {
                break;
            }
        }
        let least = if is_sure { LEAST_TRUST } else { 1.0 };
        let is_trusted = self.best.trust >= least * min_confidence;
        Ok(is_trusted.then_some(&mut self.best))
    }

    /// Each mesh gives a better square for the next, until they agree. False where there is no
    /// face.
    fn settle(
        &mut self,
        view: &View,
        mut region: Region,
        min_confidence: f32,
    ) -> Result<bool, Error> {
        let now = &mut self.now;
        let mut looked = region;
        for _ in 0..FIRST_LOOKS {
            looked = region;
            self.mesh.run(view, &region, &mut now.mesh)?;
            if !is_face(&now.mesh, view, min_confidence) {
                return Ok(false);
            }
            let wanted = settled(region, now.mesh.region());
            if wanted == region {
                break;
            }
            region = wanted;
        }
        let seen = self.mesh.seen();
        now.region = region;
        now.seen = appearance(&seen, &looked, &now.mesh);
        now.looked = Looked {
            region: looked,
            seen,
        };
        Ok(true)
    }

    /// How far the detector agrees with the mesh that was seen last.
    fn trust(&mut self, view: &View) -> Result<f32, Error> {
        let mesh = &self.now.mesh;
        let region = mesh.region();
        let square = Region {
            side: region.side * WIDER,
            ..region
        };
        let [[top_x, top_y], [chin_x, chin_y]] = [10, 152].map(|point| mesh.points[point]);
        let height = (chin_x - top_x).hypot(chin_y - top_y);
        let agreement = |detection: &Detection| {
            let pairs = detection.points.iter().zip(MESH_POINTS);
            let apart = pairs.map(|([x, y], point)| {
                let [u, v] = mesh.points[point];
                (x - u).hypot(y - v)
            });
            detection.score - DISTANCE * apart.sum::<f32>() / KEYPOINTS as f32 / height
        };
        let found = self.detector.detect(view, square, LEAST_SCORE)?;
        let best = found.iter().map(agreement).fold(f32::MIN, f32::max);
        Ok(mesh.score * best)
    }
}

fn is_face(mesh: &Mesh, view: &View, min_confidence: f32) -> bool {
    let frame = Rect::new([0.0, 0.0, view.width as f32, view.height as f32]);
    let bbox = mesh.bbox();
    mesh.score >= min_confidence
        && mesh.points.iter().flatten().all(|v| v.is_finite())
        && frame.contains(bbox.centre())
        && bbox.side() * MARGIN >= MIN_SIDE
}

/// The square to look at next: the last one, unless the face has moved in it.
fn settled(last: Region, wanted: Region) -> Region {
    let [x, y] = [0, 1].map(|i| wanted.centre[i] - last.centre[i]);
    let moved = x.hypot(y) > REST[0] * last.side
        || (wanted.side - last.side).abs() > REST[1] * last.side
        || geometry::turn_between(wanted.angle, last.angle) > REST[2];
    if moved { wanted } else { last }
}
