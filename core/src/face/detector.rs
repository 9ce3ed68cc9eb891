//! Finds faces in a frame that nothing is known about (MediaPipe BlazeFace, short range).
//!
//! Must not know where faces were before.

use crate::{
    Error,
    face::{
        geometry::{self, Region},
        mesh::MARGIN,
    },
    inference::Network,
    pixels::{View, sample},
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

/// A face found in a frame; all in frame pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// `[x0, y0, x1, y1]`, from the eyebrows to the chin.
    pub bbox: [f32; 4],
    /// The eye on the left and the one on the right of a picture that is not mirrored.
    pub eyes: [[f32; 2]; 2],
    /// Probability 0..1.
    pub score: f32,
}

impl Detection {
    /// The square for the mesh network.
    pub fn region(&self) -> Region {
        let [x0, y0, x1, y1] = self.bbox;
        let [right, left] = self.eyes;
        Region {
            centre: geometry::centre(self.bbox),
            side: (x1 - x0).max(y1 - y0) * MARGIN,
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
    runs: u64,
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
            runs: 0,
        })
    }

    /// Each goes on with the network of the other.
    pub fn exchange_networks(&mut self, other: &mut Self) {
        std::mem::swap(&mut self.network, &mut other.network);
    }

    /// How often the network ran.
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// Faces in the square `[left, top, side]` of the frame (edges, in frame pixels), the surest
    /// first. What of the square lies outside the frame is black. Finds faces between about an
    /// eighth and the whole of the square's side.
    ///
    /// # Errors
    /// [`Error::Inference`].
    pub fn detect(
        &mut self,
        view: &View,
        square: [f32; 3],
        min_confidence: f32,
    ) -> Result<&[Detection], Error> {
        self.fill(view, square);
        self.network.run()?;
        self.runs += 1;
        self.read(square, min_confidence);
        self.merge();
        Ok(&self.found)
    }

    fn fill(&mut self, view: &View, [left, top, side]: [f32; 3]) {
        let region = Region {
            centre: [left + side / 2.0, top + side / 2.0],
            side,
            angle: 0.0,
        };
        let to_frame = region.to_frame(SIZE);
        let input = self.network.input(0);
        let (red, rest) = input.split_at_mut(SIZE * SIZE);
        let (green, blue) = rest.split_at_mut(SIZE * SIZE);
        sample(view, &to_frame, SIZE, 2.0, -1.0, [red, green, blue]);
        // Without this the edge pixels would go on, and a face at the edge grow stripes.
        let inside = |position: f32, size: usize| position > -0.5 && position < size as f32 - 0.5;
        for plane in input.chunks_exact_mut(SIZE * SIZE) {
            for (y, row) in plane.chunks_exact_mut(SIZE).enumerate() {
                let frame_y = to_frame.ty + to_frame.d * y as f32;
                if !inside(frame_y, view.height) {
                    row.fill(-1.0);
                    continue;
                }
                for (x, value) in row.iter_mut().enumerate() {
                    if !inside(to_frame.tx + to_frame.a * x as f32, view.width) {
                        *value = -1.0;
                    }
                }
            }
        }
    }

    /// Collects the anchors that see a face.
    fn read(&mut self, [left, top, side]: [f32; 3], min_confidence: f32) {
        let boxes = self.network.output(0).chunks_exact(BOX_NUMBERS);
        let scores = self.network.output(1);
        self.candidates.clear();
        for ((numbers, &score), anchor) in boxes.zip(scores).zip(&self.anchors) {
            let is_sure = score.is_finite() && score >= min_confidence;
            if !is_sure || numbers.iter().any(|n| !n.is_finite()) {
                continue;
            }
            let scale = side / SIZE as f32;
            let place = |x: f32, y: f32| {
                [
                    left + anchor[0] * side + x * scale,
                    top + anchor[1] * side + y * scale,
                ]
            };
            let [x, y] = place(numbers[0], numbers[1]);
            let (w, h) = (numbers[2] * scale / 2.0, numbers[3] * scale / 2.0);
            self.candidates.push(Detection {
                bbox: [x - w, y - h, x + w, y + h],
                eyes: [place(numbers[4], numbers[5]), place(numbers[6], numbers[7])],
                score,
            });
        }
    }

    /// Makes one detection of all candidates for the same face: their mean, weighted by score.
    fn merge(&mut self) {
        self.found.clear();
        self.candidates
            .sort_unstable_by(|a, b| b.score.total_cmp(&a.score));
        while let Some(&best) = self.candidates.first() {
            let mut sum = [0.0; 8];
            let mut weight = 0.0;
            self.candidates.retain(|other| {
                let same = *other == best || geometry::overlap(best.bbox, other.bbox) > SAME_FACE;
                if same {
                    let [right, left] = other.eyes;
                    let [x0, y0, x1, y1] = other.bbox;
                    let numbers = [x0, y0, x1, y1, right[0], right[1], left[0], left[1]];
                    for (sum, number) in sum.iter_mut().zip(numbers) {
                        *sum += number * other.score;
                    }
                    weight += other.score;
                }
                !same
            });
            let [x0, y0, x1, y1, rx, ry, lx, ly] = sum.map(|number| number / weight);
            self.found.push(Detection {
                bbox: [x0, y0, x1, y1],
                eyes: [[rx, ry], [lx, ly]],
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
        wanted: list([inputs, outputs]),
    })
}
