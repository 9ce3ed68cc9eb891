//! The mesh of a face: 468 points, from a square that holds the face.
//!
//! Must not know how the face was found or where it was before.

use ndarray::{Axis, Ix3};

use crate::{
    Error,
    face::{
        geometry::{EYE_CORNERS, INNER_MIDDLES, Region},
        shot::{self, Thumbnail},
    },
    inference::Network,
    pixels::{View, sample},
    rect::Rect,
};

/// Points of the mesh.
pub const POINTS: usize = 468;
/// Side of the network's picture.
const SIZE: usize = 192;
/// The network looks at a square of this many times the face (MediaPipe face_landmark_front).
pub const MARGIN: f32 = 1.5;
/// Corners of the inner lips.
const INNER_CORNERS: [usize; 2] = [78, 308];

/// A face in frame pixels.
#[derive(Clone, Debug)]
pub struct Mesh {
    /// Numbered as in MediaPipe's canonical face model.
    pub points: Box<[[f32; 2]; POINTS]>,
    /// Probability 0..1 that this is a face.
    pub score: f32,
}

impl Default for Mesh {
    fn default() -> Self {
        Self {
            points: Box::new([[0.0; 2]; POINTS]),
            score: 0.0,
        }
    }
}

impl Mesh {
    /// Round all points.
    pub fn bbox(&self) -> Rect {
        Rect::around(self.points.iter().copied())
    }

    /// How far the mouth is open: the gap between the middles of the inner lips, in distances of
    /// their corners. 0 for a mesh without extent.
    pub fn openness(&self) -> f32 {
        let between = |[a, b]: [usize; 2]| {
            let ([ax, ay], [bx, by]) = (self.points[a], self.points[b]);
            (ax - bx).hypot(ay - by)
        };
        let width = between(INNER_CORNERS);
        if width > 0.0 {
            between(INNER_MIDDLES) / width
        } else {
            0.0
        }
    }

    /// Where to look for this face in the next frame: the square round the mesh, turned with the
    /// eyes, and [`MARGIN`].
    pub fn region(&self) -> Region {
        let [right, left] = EYE_CORNERS.map(|index| self.points[index]);
        let angle = (left[1] - right[1]).atan2(left[0] - right[0]);
        let (sin, cos) = angle.sin_cos();
        let upright = |&[x, y]: &[f32; 2]| [cos * x + sin * y, cos * y - sin * x];
        let around = Rect::around(self.points.iter().map(upright));
        let [x, y] = around.centre();
        Region {
            centre: [cos * x - sin * y, sin * x + cos * y],
            side: around.side() * MARGIN,
            angle,
        }
    }
}

/// The mesh network.
pub struct MeshNetwork {
    network: Box<dyn Network>,
}

impl MeshNetwork {
    /// # Errors
    /// [`Error::ModelMismatch`] when the network's tensors are not `[1,3,192,192]` in,
    /// `[1,468,3]` and `[1]` out.
    pub fn new(network: Box<dyn Network>) -> Result<Self, Error> {
        let inputs: &[&[usize]] = &[&[1, 3, SIZE, SIZE]];
        let outputs: &[&[usize]] = &[&[1, POINTS, 3], &[1]];
        super::detector::check(&*network, inputs, outputs)?;
        Ok(Self { network })
    }

    /// Looks at `region` of the frame and fills `mesh`.
    ///
    /// # Errors
    /// [`Error::Inference`].
    pub fn run(&mut self, view: &View, region: &Region, mesh: &mut Mesh) -> Result<(), Error> {
        self.look(view, region);
        self.find(region, mesh)
    }

    /// Takes in what is to be seen in `region` of the frame.
    pub(super) fn look(&mut self, view: &View, region: &Region) {
        let to_frame = region.to_frame(SIZE);
        let planes = self.network.input_planes(0);
        sample(view, &to_frame, SIZE, 1.0, 0.0, planes);
    }

    /// What was looked at last.
    pub(super) fn seen(&mut self) -> Thumbnail {
        Thumbnail::of(self.network.input(0), SIZE)
    }

    /// Fills `mesh` from what was looked at last, in `region`.
    ///
    /// # Errors
    /// [`Error::Inference`].
    pub(super) fn find(&mut self, region: &Region, mesh: &mut Mesh) -> Result<(), Error> {
        self.network.run()?;
        let to_frame = region.to_frame(SIZE);
        let points = self.network.output_array::<Ix3>(0);
        let points = points.index_axis(Axis(0), 0);
        for (point, xyz) in mesh.points.iter_mut().zip(points.outer_iter()) {
            *point = to_frame.apply([xyz[0], xyz[1]]);
        }
        mesh.score = self.network.output(1)[0];
        Ok(())
    }
}

/// What a face looks like that was `seen` in `region`, cut out as its mesh says, so that a face that
/// moves stays the same picture.
pub(super) fn appearance(seen: &Thumbnail, region: &Region, mesh: &Mesh) -> Thumbnail {
    match region.to_frame(shot::SIZE).inverse() {
        Some(to_seen) => seen.moved(&to_seen.after(&mesh.region().to_frame(shot::SIZE))),
        None => seen.clone(),
    }
}
