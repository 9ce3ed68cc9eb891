//! Finds faces in a frame that nothing is known about (MediaPipe BlazeFace, short range).
//!
//! Must not know where faces were before.

use ndarray::{Axis, Ix2, Ix3};

use crate::{
    Error,
    face::{geometry::Region, mesh::MARGIN},
    inference::Network,
    pixels::{Affine, View, sample},
    rect::Rect,
};

/// Side of the network's picture.
const SIZE: usize = 128;
/// Places where the network looks for a face.
const ANCHORS: usize = 896;
/// Grids of anchors: cells along a side, anchors a cell (MediaPipe `SsdAnchorsCalculator` with
/// strides 8, 16, 16, 16).
const GRIDS: [(usize, usize); 2] = [(16, 2), (8, 6)];
/// Numbers the network says about an anchor: a box, then six points.
const BOX_NUMBERS: usize = 16;
/// Boxes that overlap by more belong to one face (MediaPipe `min_suppression_threshold`).
const SAME_FACE: f32 = 0.3;

/// What has a lower score is no glimpse of a face.
const LEAST: f32 = 0.03;

/// Points that the network finds in a face: the eyes, the tip of the nose, the middle of the mouth
/// and the ears; of eyes and ears first the one on the left of an upright face.
pub const KEYPOINTS: usize = 6;

/// A face found in a frame; all in frame pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// From the eyebrows to the chin.
    pub bbox: Rect,
    /// See [`KEYPOINTS`].
    pub points: [[f32; 2]; KEYPOINTS],
    /// Probability 0..1.
    pub score: f32,
}

impl Detection {
    /// The square for the mesh network.
    pub fn region(&self) -> Region {
        let [right, left, ..] = self.points;
        Region {
            centre: self.bbox.centre(),
            side: self.bbox.side() * MARGIN,
            angle: (left[1] - right[1]).atan2(left[0] - right[0]),
        }
    }
}

/// The detection network.
pub struct Detector {
    network: Box<dyn Network>,
    /// Centres, 0..1.
    anchors: Vec<[f32; 2]>,
    candidates: Vec<Detection>,
    found: Vec<Detection>,
    glimpses: Vec<Detection>,
}

impl Detector {
    /// # Errors
    /// [`Error::ModelMismatch`] when the network's tensors are not `[1,3,128,128]` in,
    /// `[1,896,16]` and `[1,896]` out.
    pub fn new(network: Box<dyn Network>) -> Result<Self, Error> {
        let inputs: &[&[usize]] = &[&[1, 3, SIZE, SIZE]];
        let outputs: &[&[usize]] = &[&[1, ANCHORS, BOX_NUMBERS], &[1, ANCHORS]];
        check(&*network, inputs, outputs)?;
        Ok(Self {
            network,
            anchors: anchors(),
            candidates: Vec::with_capacity(ANCHORS),
            found: Vec::with_capacity(ANCHORS),
            glimpses: Vec::with_capacity(ANCHORS),
        })
    }

    /// Each goes on with the network of the other.
    pub fn exchange_networks(&mut self, other: &mut Self) {
        std::mem::swap(&mut self.network, &mut other.network);
    }

    /// Faces in the square of the frame, the surest first. What of the square lies outside the frame
    /// is black. Finds faces between about an eighth and the whole of the square's side, and tells
    /// how they are turned where that is less than about 90 degrees from the square; of others it
    /// may take the mouth for an eye.
    ///
    /// # Errors
    /// [`Error::Inference`].
    pub fn detect(
        &mut self,
        view: &View,
        square: Region,
        min_confidence: f32,
    ) -> Result<&[Detection], Error> {
        let to_frame = square.to_frame(SIZE);
        self.fill(view, &to_frame);
        self.network.run()?;
        self.read(&to_frame, min_confidence);
        self.merge();
        Ok(&self.found)
    }

    /// What may be faces in the square that was looked at last, less surely than was asked for.
    pub fn glimpses(&self) -> &[Detection] {
        &self.glimpses
    }

    fn fill(&mut self, view: &View, to_frame: &Affine) {
        let mut planes = self.network.input_planes(0);
        sample(
            view,
            to_frame,
            SIZE,
            2.0,
            -1.0,
            planes.each_mut().map(|plane| &mut **plane),
        );
        let inside = |[x, y]: [f32; 2]| {
            let within = |v: f32, size: usize| v > -0.5 && v < size as f32 - 0.5;
            within(x, view.width) && within(y, view.height)
        };
        let last = (SIZE - 1) as f32;
        let corners = [[0.0, 0.0], [last, 0.0], [0.0, last], [last, last]];
        if corners.iter().all(|&corner| inside(to_frame.apply(corner))) {
            return;
        }
        // Without this the edge pixels would go on, and a face at the edge grow stripes.
        for index in 0..SIZE * SIZE {
            let place = [(index % SIZE) as f32, (index / SIZE) as f32];
            if !inside(to_frame.apply(place)) {
                for plane in &mut planes {
                    plane[index] = -1.0;
                }
            }
        }
    }

    /// Collects the anchors that see a face.
    fn read(&mut self, to_frame: &Affine, min_confidence: f32) {
        let boxes = self.network.output_array::<Ix3>(0);
        let scores = self.network.output_array::<Ix2>(1);
        self.candidates.clear();
        self.glimpses.clear();
        let seen = boxes.index_axis(Axis(0), 0);
        let seen = seen.outer_iter().zip(scores.row(0)).zip(&self.anchors);
        for ((numbers, &score), anchor) in seen {
            let may_be = score.is_finite() && score >= min_confidence.min(LEAST);
            if !may_be || numbers.iter().any(|n| !n.is_finite()) {
                continue;
            }
            // The anchors count from the square's edge, maps from the centre of its first pixel.
            let [across, down] = anchor.map(|share| share * SIZE as f32 - 0.5);
            let place = |x: f32, y: f32| to_frame.apply([across + x, down + y]);
            let [x, y, w, h] = [0, 1, 2, 3].map(|i| numbers[i]);
            let corners = [[-w, -h], [w, -h], [-w, h], [w, h]];
            let corners = corners.map(|[dx, dy]| place(x + dx / 2.0, y + dy / 2.0));
            let detection = Detection {
                bbox: Rect::around(corners),
                points: std::array::from_fn(|i| place(numbers[4 + 2 * i], numbers[5 + 2 * i])),
                score,
            };
            match score >= min_confidence {
                true => self.candidates.push(detection),
                false => self.glimpses.push(detection),
            }
        }
    }

    /// Makes one detection of all candidates for the same face: their mean, weighted by score.
    fn merge(&mut self) {
        self.found.clear();
        self.candidates
            .sort_unstable_by(|a, b| b.score.total_cmp(&a.score));
        while let Some(&best) = self.candidates.first() {
            let mut bbox = [0.0; 4];
            let mut points = [[0.0; 2]; KEYPOINTS];
            let mut weight = 0.0;
            self.candidates.retain(|other| {
                let same = *other == best || best.bbox.overlap(other.bbox) > SAME_FACE;
                if same {
                    let sums = bbox.iter_mut().chain(points.as_flattened_mut());
                    let edges = other.bbox.edges();
                    let numbers = edges.iter().chain(other.points.as_flattened());
                    for (sum, number) in sums.zip(numbers) {
                        *sum += number * other.score;
                    }
                    weight += other.score;
                }
                !same
            });
            self.found.push(Detection {
                bbox: Rect::new(bbox.map(|number| number / weight)),
                points: points.map(|point| point.map(|number| number / weight)),
                score: best.score,
            });
        }
    }
}

fn anchors() -> Vec<[f32; 2]> {
    let mut anchors = Vec::with_capacity(ANCHORS);
    for (cells, count) in GRIDS {
        for y in 0..cells {
            for x in 0..cells {
                let centre = [x, y].map(|cell| (cell as f32 + 0.5) / cells as f32);
                anchors.extend(std::iter::repeat_n(centre, count));
            }
        }
    }
    anchors
}

/// Compares a network's tensors with what a room expects of it.
pub(super) fn check(
    network: &dyn Network,
    inputs: &[&[usize]],
    outputs: &[&[usize]],
) -> Result<(), Error> {
    let found = [network.inputs(), network.outputs()].map(|infos| {
        let shapes = infos.iter().map(|info| info.shape.as_slice());
        shapes.collect::<Vec<_>>()
    });
    if found == [inputs, outputs] {
        return Ok(());
    }
    let list =
        |[inputs, outputs]: [&[&[usize]]; 2]| format!("inputs {inputs:?}, outputs {outputs:?}");
    Err(Error::ModelMismatch {
        name: network.name().into(),
        found: list([&found[0], &found[1]]),
        expected: list([inputs, outputs]),
    })
}
