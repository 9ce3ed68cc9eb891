//! The mouth that a person has when silent: a running estimate from what the stream shows.
//!
//! Must not know networks or pixels: landmarks in, landmarks out, in canonical pixels.

use serde::Deserialize;

/// How the lips of a landmark list close. Tables come from the model's manifest.
#[derive(Clone, Debug)]
pub struct Closing {
    /// Pairs of inner-lip landmarks (upper, lower) that touch when the mouth is closed, from one
    /// corner to the other.
    pub pairs: Vec<[usize; 2]>,
    /// For each landmark, the pair whose gap moves it down by `weight` of that gap.
    pub pair: Vec<usize>,
    pub weight: Vec<f32>,
}

impl Closing {
    /// Closes the lips in place. Only y changes.
    fn close(&self, points: &mut [[f32; 2]], gaps: &mut [f32]) {
        for (gap, &[upper, lower]) in gaps.iter_mut().zip(&self.pairs) {
            *gap = (points[lower][1] - points[upper][1]).max(0.0);
        }
        self.move_by(points, gaps, 1.0);
    }

    /// Multiplies the gaps between the lips, in place, skin and jaw following. `gaps` is memory.
    pub fn scale(&self, points: &mut [[f32; 2]], gaps: &mut Vec<f32>, factor: f32) {
        gaps.clear();
        let between = |&[upper, lower]: &[usize; 2]| points[lower][1] - points[upper][1];
        gaps.extend(self.pairs.iter().map(|pair| between(pair).max(0.0)));
        self.move_by(points, gaps, 1.0 - factor);
    }

    /// The gap in the middle of the lips; less than 0 where they cross.
    pub fn gap(&self, points: &[[f32; 2]]) -> f32 {
        let middle = self.pairs.get(self.pairs.len() / 2);
        middle.map_or(0.0, |&[upper, lower]| points[lower][1] - points[upper][1])
    }

    /// Closes lips with such gaps by a share of them.
    fn move_by(&self, points: &mut [[f32; 2]], gaps: &[f32], share: f32) {
        for ((point, &pair), &weight) in points.iter_mut().zip(&self.pair).zip(&self.weight) {
            point[1] += weight * share * gaps[pair];
        }
    }
}

/// What a glimpse of a mouth tells about the same mouth at rest: one pulled wide was smiling or
/// speaking. A regression over people, in canonical pixels, as the model's manifest has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relaxing {
    /// Width of a mouth (from corner to corner along x) and y of its corners that tell nothing.
    pub mean: [f32; 2],
    /// Least and most of both; values beyond are taken for these, since nobody showed what they tell.
    pub range: [[f32; 2]; 2],
    /// For each landmark: x and y by which it moves for each pixel that a mouth is wider.
    pub width: Vec<[f32; 2]>,
    /// And that its corners are lower.
    pub height: Vec<[f32; 2]>,
}

impl Relaxing {
    /// Moves the landmarks in place, of a mouth whose corners were seen at `corners`.
    fn relax(&self, points: &mut [[f32; 2]], corners: [[f32; 2]; 2]) {
        let [right, left] = corners;
        let usual = |value: f32, [least, most]: [f32; 2]| value.max(least).min(most);
        let wider = usual(left[0] - right[0], self.range[0]) - self.mean[0];
        let lower = usual(0.5 * (left[1] + right[1]), self.range[1]) - self.mean[1];
        for ((point, width), height) in points.iter_mut().zip(&self.width).zip(&self.height) {
            for axis in 0..2 {
                point[axis] += wider * width[axis] + lower * height[axis];
            }
        }
    }
}

/// What the estimate knows of all mouths.
#[derive(Clone, Debug)]
pub struct Anatomy {
    pub closing: Closing,
    pub relaxing: Option<Relaxing>,
    /// For each landmark: x and y by which it moves for each pixel that a mouth spreads. May be empty.
    pub spread: Vec<[f32; 2]>,
    /// Landmarks of the right and the left corner of the mouth.
    pub corners: [usize; 2],
    /// Landmarks at the base of the nose.
    pub nose_base: [usize; 2],
}

impl Anatomy {
    /// Distance of the corners along x.
    pub fn width(&self, points: &[[f32; 2]]) -> f32 {
        let [right, left] = self.corners;
        points[left][0] - points[right][0]
    }
}

/// How long the estimate takes to follow a mouth that is closed, in seconds.
const FOLLOW_CLOSED: f32 = 1.0;
/// A wide open mouth says little of the closed one: it is followed this much more slowly.
const OPEN_WEIGHT: f32 = 0.05;
/// Inner-lip gap, as a share of the mouth's width, at which a mouth no longer counts as closed.
const OPEN_GAP: f32 = 0.08;
/// A gap in the observations after which the old estimate is worth no more than a new one.
const FORGET_AFTER: f32 = 2.0;

/// Running estimate of one person's rest mouth.
///
/// A single frame is enough for a first answer: what it tells about the mouth at rest is taken into
/// account and its lips are closed by geometry, so a still picture works and so does a smile with
/// its teeth showing. The shape is kept relative to the
/// base of the nose, so that a turning head, which shifts all of the mouth in the canonical
/// picture, does not drag the estimate behind it.
pub struct RestMouth {
    shape: Vec<[f32; 2]>,
    observed: Vec<[f32; 2]>,
    gaps: Vec<f32>,
    last_ns: Option<i64>,
}

impl RestMouth {
    pub fn new(landmarks: usize, anatomy: &Anatomy) -> Self {
        Self {
            shape: vec![[0.0; 2]; landmarks],
            observed: vec![[0.0; 2]; landmarks],
            gaps: vec![0.0; anatomy.closing.pairs.len()],
            last_ns: None,
        }
    }

    pub fn forget(&mut self) {
        self.last_ns = None;
    }

    /// Takes the mouth as seen at `time_ns` and writes the mouth at rest to `rest`.
    pub fn update(
        &mut self,
        seen: &[[f32; 2]],
        time_ns: i64,
        anatomy: &Anatomy,
        rest: &mut [[f32; 2]],
    ) {
        let anchor = mean(seen, &anatomy.nose_base);
        let corners = anatomy.corners.map(|corner| seen[corner]);
        for (point, seen) in self.observed.iter_mut().zip(seen) {
            *point = [seen[0] - anchor[0], seen[1] - anchor[1]];
        }
        if let Some(relaxing) = &anatomy.relaxing {
            relaxing.relax(&mut self.observed, corners);
        }
        anatomy.closing.close(&mut self.observed, &mut self.gaps);

        let follow = match self.last_ns {
            None => 1.0,
            Some(last) => {
                let seconds = (time_ns - last) as f32 * 1e-9;
                if (0.0..FORGET_AFTER).contains(&seconds) {
                    let width = distance(corners[0], corners[1]).max(1.0);
                    let gap = self.gaps.iter().sum::<f32>() / self.gaps.len().max(1) as f32 / width;
                    let weight =
                        OPEN_WEIGHT + (1.0 - OPEN_WEIGHT) * (-(gap / OPEN_GAP).powi(2)).exp();
                    1.0 - (-seconds * weight / FOLLOW_CLOSED).exp()
                } else {
                    1.0
                }
            }
        };
        self.last_ns = Some(time_ns);

        for ((shape, observed), rest) in self.shape.iter_mut().zip(&self.observed).zip(rest) {
            for axis in 0..2 {
                shape[axis] += follow * (observed[axis] - shape[axis]);
                rest[axis] = shape[axis] + anchor[axis];
            }
        }
    }
}

fn mean(points: &[[f32; 2]], which: &[usize]) -> [f32; 2] {
    let n = which.len().max(1) as f32;
    let sum = which.iter().fold([0.0; 2], |sum, &i| {
        [sum[0] + points[i][0], sum[1] + points[i][1]]
    });
    [sum[0] / n, sum[1] / n]
}

fn distance(a: [f32; 2], b: [f32; 2]) -> f32 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    // Upper lip, lower lip, chin, right and left corner, base of the nose.
    const UPPER: usize = 0;
    const LOWER: usize = 1;
    const RIGHT: usize = 3;
    const LEFT: usize = 4;
    const NOSE: usize = 5;

    fn anatomy() -> Anatomy {
        Anatomy {
            closing: Closing {
                pairs: vec![[UPPER, LOWER]],
                pair: vec![0; 6],
                weight: vec![0.25, -0.75, -0.5, 0.0, 0.0, 0.0],
            },
            relaxing: None,
            spread: Vec::new(),
            corners: [RIGHT, LEFT],
            nose_base: [NOSE, NOSE],
        }
    }

    /// A mouth as wide as `mouth` with its corners as high tells nothing. Lips part, so that
    /// closing has something to do.
    fn relaxing() -> Anatomy {
        let mut width = vec![[0.0; 2]; 6];
        (width[RIGHT], width[LEFT]) = ([0.25, 0.125], [-0.25, 0.125]);
        let mut height = vec![[0.0, -0.125]; 6];
        height[LOWER] = [0.0, 0.125];
        height[NOSE] = [0.0; 2];
        Anatomy {
            relaxing: Some(Relaxing {
                mean: [36.0, 50.0],
                range: [[32.0, 44.0], [42.0, 58.0]],
                width,
                height,
            }),
            ..anatomy()
        }
    }

    fn mouth(gap: f32) -> Vec<[f32; 2]> {
        let (upper, lower) = (50.0 - 0.25 * gap, 50.0 + 0.75 * gap);
        vec![
            [48.0, upper],
            [48.0, lower],
            [48.0, 80.0 + 0.5 * gap],
            [30.0, 50.0],
            [66.0, 50.0],
            [48.0, 30.0],
        ]
    }

    fn moved(points: &[[f32; 2]], [x, y]: [f32; 2]) -> Vec<[f32; 2]> {
        points.iter().map(|p| [p[0] + x, p[1] + y]).collect()
    }

    fn gap(points: &[[f32; 2]]) -> f32 {
        points[LOWER][1] - points[UPPER][1]
    }

    fn step(rest: &mut RestMouth, seen: &[[f32; 2]], time_ns: i64) -> Vec<[f32; 2]> {
        step_of(&anatomy(), rest, seen, time_ns)
    }

    fn step_of(
        anatomy: &Anatomy,
        rest: &mut RestMouth,
        seen: &[[f32; 2]],
        time_ns: i64,
    ) -> Vec<[f32; 2]> {
        let mut out = vec![[0.0; 2]; seen.len()];
        rest.update(seen, time_ns, anatomy, &mut out);
        out
    }

    fn assert_near(found: &[[f32; 2]], expected: &[[f32; 2]]) {
        for (found, expected) in found.iter().zip(expected) {
            let off = distance(*found, *expected);
            assert!(off < 1e-3, "{found:?} instead of {expected:?}");
        }
    }

    #[test]
    fn a_mouth_pulled_wide_comes_back() {
        let mut smile = mouth(0.0);
        (smile[RIGHT], smile[LEFT]) = ([26.0, 50.0], [70.0, 50.0]);
        let mut expected = mouth(0.0);
        (expected[RIGHT], expected[LEFT]) = ([28.0, 51.0], [68.0, 51.0]);
        let anatomy = relaxing();
        let mut rest = RestMouth::new(6, &anatomy);
        assert_near(&step_of(&anatomy, &mut rest, &smile, 0), &expected);
        // And stays there, however long it is looked at.
        for frame in 1..100 {
            let out = step_of(&anatomy, &mut rest, &smile, frame * 40_000_000);
            assert_near(&out, &expected);
        }
    }

    #[test]
    fn what_nobody_showed_is_taken_for_the_nearest_that_somebody_did() {
        let anatomy = relaxing();
        let at_rest = |right: [f32; 2], left: [f32; 2]| {
            let mut seen = mouth(0.0);
            (seen[RIGHT], seen[LEFT]) = (right, left);
            let mut rest = RestMouth::new(6, &anatomy);
            let out = step_of(&anatomy, &mut rest, &seen, 0);
            [RIGHT, LEFT, UPPER].map(|i| [out[i][0] - seen[i][0], out[i][1] - seen[i][1]])
        };
        let most = at_rest([26.0, 58.0], [70.0, 58.0]);
        assert_near(&at_rest([16.0, 68.0], [80.0, 68.0]), &most);
        let least = at_rest([32.0, 42.0], [64.0, 42.0]);
        assert_near(&at_rest([40.0, 32.0], [50.0, 32.0]), &least);
    }

    #[test]
    fn the_mean_mouth_is_left_as_it_is() {
        let anatomy = relaxing();
        for open in [0.0, 6.0] {
            let mut rest = RestMouth::new(6, &anatomy);
            let out = step_of(&anatomy, &mut rest, &mouth(open), 0);
            assert_near(&out, &mouth(0.0));
        }
    }

    #[test]
    fn lips_that_are_parted_by_the_regression_are_closed_again() {
        let anatomy = relaxing();
        for open in [0.0, 6.0] {
            let mut rest = RestMouth::new(6, &anatomy);
            let low = moved(&mouth(open), [0.0, 8.0]);
            let out = step_of(&anatomy, &mut rest, &low, 0);
            assert!(gap(&out).abs() < 1e-4);
            assert!(out[RIGHT][1] < low[RIGHT][1]);
        }
    }

    #[test]
    fn a_head_that_moves_sideways_takes_the_relaxed_mouth_along() {
        let anatomy = relaxing();
        let mut smile = mouth(4.0);
        (smile[RIGHT], smile[LEFT]) = ([26.0, 50.0], [70.0, 50.0]);
        let mut rest = RestMouth::new(6, &anatomy);
        let before = step_of(&anatomy, &mut rest, &smile, 0);
        let turned = moved(&smile, [9.0, 0.0]);
        let after = step_of(&anatomy, &mut rest, &turned, 40_000_000);
        assert_near(&after, &moved(&before, [9.0, 0.0]));
    }

    #[test]
    fn one_open_frame_closes() {
        let mut rest = RestMouth::new(6, &anatomy());
        let out = step(&mut rest, &mouth(12.0), 0);
        assert!(gap(&out).abs() < 1e-4);
        for (out, expected) in out.iter().zip(mouth(0.0)) {
            assert!((out[0] - expected[0]).abs() < 1e-4 && (out[1] - expected[1]).abs() < 1e-4);
        }
    }

    #[test]
    fn speech_does_not_open_the_rest_mouth() {
        let mut rest = RestMouth::new(6, &anatomy());
        for frame in 0..250 {
            let open = 8.0 * (frame as f32 * 0.7).sin().max(0.0);
            let out = step(&mut rest, &mouth(open), frame * 40_000_000);
            assert!(gap(&out).abs() < 1e-3, "frame {frame}: {}", gap(&out));
        }
    }

    #[test]
    fn follows_a_turning_head_at_once() {
        let mut rest = RestMouth::new(6, &anatomy());
        step(&mut rest, &mouth(0.0), 0);
        let out = step(&mut rest, &moved(&mouth(0.0), [9.0, -4.0]), 40_000_000);
        for (out, expected) in out.iter().zip(moved(&mouth(0.0), [9.0, -4.0])) {
            assert!((out[0] - expected[0]).abs() < 1e-3 && (out[1] - expected[1]).abs() < 1e-3);
        }
    }

    #[test]
    fn a_long_gap_or_time_running_back_starts_anew() {
        for later in [3_000_000_000, -1] {
            let mut rest = RestMouth::new(6, &anatomy());
            step(&mut rest, &mouth(0.0), 0);
            let mut other = mouth(0.0);
            other[2][1] += 10.0;
            let out = step(&mut rest, &other, later);
            assert!((out[2][1] - other[2][1]).abs() < 1e-3);
        }
    }

    #[test]
    fn the_frame_rate_does_not_matter() {
        let drift = |fps: i64| {
            let mut rest = RestMouth::new(6, &anatomy());
            step(&mut rest, &mouth(0.0), 0);
            let mut other = mouth(0.0);
            other[2][1] += 10.0;
            (1..=fps)
                .map(|frame| step(&mut rest, &other, frame * 1_000_000_000 / fps))
                .last()
                .expect("at least one frame")[2][1]
        };
        assert!((drift(25) - drift(60)).abs() < 0.05);
    }
}
