//! Steadies a face mesh without letting it fall behind a moving head.
//!
//! A mesh is taken apart into its pose (place, size, roll) and its shape in that pose, so that a
//! moving head does not blur the shape and moving lips do not hold back the pose. Both go through
//! the One-Euro filter (Casiez, Roussel, Vogel 2012), a low-pass whose cutoff rises with speed,
//! here with the latest peak of speed.
//! Must not know networks; all times are running time, so the frame rate does not matter.

use crate::face::{geometry::EYE_CORNERS, mesh::POINTS};

/// Cutoff of a face at rest, in Hz, at smoothing 1; inversely proportional to smoothing.
const REST_CUTOFF: f32 = 0.5;
/// How far a moving point may fall behind at smoothing 1, as a share of the distance between the
/// eyes; proportional to smoothing. The filter's lag at speed v is v / (2 pi cutoff), so a cutoff
/// of v / (2 pi lag) keeps to it at any speed.
const LAG: f32 = 0.006;
/// Cutoff of the speed estimate, in Hz.
const SPEED_CUTOFF: f32 = 8.0;
/// How slowly the filter believes that a move has ended, in seconds: at the turning points of a
/// nod the speed is nothing for a moment, and a filter that closed then would fall behind.
const MOVE_HOLD: f32 = 0.25;
/// Shortest and longest step of time that is believed, in seconds.
const STEP: [f32; 2] = [0.001, 1.0];

/// The One-Euro filter on any number of values that move independently.
#[derive(Clone, Debug, Default)]
pub struct OneEuro {
    values: Vec<f32>,
    speeds: Vec<Speed>,
}

/// How fast a value moves, in units a second.
#[derive(Clone, Copy, Debug, Default)]
struct Speed {
    now: f32,
    /// The latest peak, decaying.
    peak: f32,
}

impl OneEuro {
    /// Forgets the past: the next values pass unchanged.
    pub fn reset(&mut self) {
        self.values.clear();
    }

    /// Replaces each of `values` by its filtered value. `step` is the time since the last call in
    /// seconds, `unit` the length that counts as 1, `smoothing` 0 (none) to 1.
    pub fn filter(&mut self, values: &mut [f32], step: f32, unit: f32, smoothing: f32) {
        if self.values.len() != values.len() {
            self.values.clear();
            self.values.extend_from_slice(values);
            self.speeds.clear();
            self.speeds.resize(values.len(), Speed::default());
            return;
        }
        let smoothing = smoothing.clamp(1e-3, 1.0);
        let speed_gain = gain(SPEED_CUTOFF, step);
        let rest = REST_CUTOFF / smoothing;
        let per_speed = 1.0 / (std::f32::consts::TAU * LAG * smoothing * unit);
        let decay = (-step / MOVE_HOLD).exp();
        let states = self.values.iter_mut().zip(&mut self.speeds);
        for (value, (last, speed)) in values.iter_mut().zip(states) {
            speed.now += speed_gain * ((*value - *last) / step - speed.now);
            speed.peak = speed.now.abs().max(decay * speed.peak);
            let cutoff = rest + per_speed * speed.peak;
            *last += gain(cutoff, step) * (*value - *last);
            *value = *last;
        }
    }
}

/// Share of the way to the new value that a low-pass of `cutoff` Hz goes in `step` seconds.
fn gain(cutoff: f32, step: f32) -> f32 {
    let x = std::f32::consts::TAU * cutoff * step;
    x / (x + 1.0)
}

/// Place, size and roll of a face.
#[derive(Clone, Copy, Debug)]
struct Pose {
    centre: [f32; 2],
    /// Distance between the outer corners of the eyes.
    size: f32,
    angle: f32,
}

impl Pose {
    /// Points that hardly move with speech: corners of the eyes and the bridge of the nose. They
    /// only split a mesh for filtering; what a generator aligns by is its own affair.
    const STEADY: [usize; 8] = [33, 133, 362, 263, 168, 6, 197, 195];

    fn of(points: &[[f32; 2]; POINTS]) -> Self {
        let mut centre = [0.0; 2];
        for index in Self::STEADY {
            centre[0] += points[index][0] / Self::STEADY.len() as f32;
            centre[1] += points[index][1] / Self::STEADY.len() as f32;
        }
        let [right, left] = EYE_CORNERS.map(|index| points[index]);
        let (x, y) = (left[0] - right[0], left[1] - right[1]);
        Self {
            centre,
            size: x.hypot(y).max(1e-3),
            angle: y.atan2(x),
        }
    }

    fn to_local(self, [x, y]: [f32; 2]) -> [f32; 2] {
        let (sin, cos) = self.angle.sin_cos();
        let (x, y) = (x - self.centre[0], y - self.centre[1]);
        [
            (cos * x + sin * y) / self.size,
            (cos * y - sin * x) / self.size,
        ]
    }

    fn to_frame(self, [x, y]: [f32; 2]) -> [f32; 2] {
        let (sin, cos) = self.angle.sin_cos();
        [
            self.centre[0] + (cos * x - sin * y) * self.size,
            self.centre[1] + (sin * x + cos * y) * self.size,
        ]
    }
}

/// Filters the meshes of one face.
#[derive(Clone, Debug, Default)]
pub struct MeshFilter {
    place: OneEuro,
    /// Logarithm of the size, and the roll.
    turn: OneEuro,
    shape: OneEuro,
    /// Running time and roll of the last mesh; `None` at first.
    last: Option<(i64, f32)>,
    local: Vec<f32>,
}

impl MeshFilter {
    /// Forgets the past: the next mesh passes unchanged.
    pub fn reset(&mut self) {
        self.place.reset();
        self.turn.reset();
        self.shape.reset();
        self.last = None;
    }

    /// Filters `points` in place; `time_ns` is their running time, `smoothing` 0 (none) to 1.
    pub fn filter(&mut self, points: &mut [[f32; 2]; POINTS], time_ns: i64, smoothing: f32) {
        if smoothing <= 0.0 {
            self.reset();
            return;
        }
        if self.last.is_some_and(|(before, _)| time_ns < before) {
            self.reset();
        }
        let pose = Pose::of(points);
        self.local.clear();
        self.local
            .extend(points.iter().flat_map(|&point| pose.to_local(point)));

        let (before, roll) = self.last.unwrap_or((time_ns, pose.angle));
        let step = (time_ns.saturating_sub(before) as f64 / 1e9) as f32;
        let step = step.clamp(STEP[0], STEP[1]);
        // The same direction, told as the one nearest to the last roll.
        let angle = roll
            + (pose.angle - roll + std::f32::consts::PI).rem_euclid(std::f32::consts::TAU)
            - std::f32::consts::PI;
        self.last = Some((time_ns, angle));

        let mut centre = pose.centre;
        self.place.filter(&mut centre, step, pose.size, smoothing);
        let mut turn = [pose.size.ln(), angle];
        self.turn.filter(&mut turn, step, 1.0, smoothing);
        self.shape.filter(&mut self.local, step, 1.0, smoothing);

        let steady = Pose {
            centre,
            size: turn[0].exp(),
            angle: turn[1],
        };
        for (point, local) in points.iter_mut().zip(self.local.chunks_exact(2)) {
            *point = steady.to_frame([local[0], local[1]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The filter's answers to `signal` at a frame rate, over two seconds.
    fn answers(rate: f32, smoothing: f32, signal: impl Fn(f32) -> f32) -> Vec<(f32, f32)> {
        let mut filter = OneEuro::default();
        let count = (2.0 * rate) as usize;
        let answer = |i| {
            let time = i as f32 / rate;
            let mut value = [signal(time)];
            filter.filter(&mut value, 1.0 / rate, 1.0, smoothing);
            (signal(time), value[0])
        };
        (0..count).map(answer).collect()
    }

    #[test]
    fn a_steady_move_leaves_no_more_than_the_lag_behind() {
        for rate in [23.976, 25.0, 50.0, 60.0] {
            for smoothing in [0.2, 0.5, 1.0] {
                for speed in [0.02, 0.2, 2.0] {
                    let answers = answers(rate, smoothing, |time| speed * time);
                    let (wanted, got) = answers[answers.len() - 1];
                    let lag = wanted - got;
                    assert!(
                        lag >= 0.0 && lag <= LAG * smoothing,
                        "{rate} {smoothing}: {lag}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_nod_is_followed_through_its_turning_points() {
        for (size, per_second) in [(0.65, 1.0), (0.65, 0.5), (0.1, 2.0)] {
            let signal = |time: f32| size * (std::f32::consts::TAU * per_second * time).sin();
            let answers = answers(25.0, 0.5, signal);
            let late = answers
                .iter()
                .skip(10)
                .map(|(wanted, got)| (wanted - got).abs());
            let worst = late.fold(0.0, f32::max);
            assert!(worst < 1.5 * LAG * 0.5, "{size} {per_second}: {worst}");
        }
    }

    #[test]
    fn a_jitter_is_damped_the_same_at_any_rate() {
        for rate in [25.0, 50.0] {
            // Five hertz, a thousandth of the distance between the eyes.
            let signal = |time: f32| 1e-3 * (std::f32::consts::TAU * 5.0 * time + 0.3).sin();
            let answers = answers(rate, 0.5, signal);
            let late = &answers[answers.len() / 2..];
            let size =
                |values: &mut dyn Iterator<Item = f32>| values.map(f32::abs).fold(0.0, f32::max);
            let raw = size(&mut late.iter().map(|pair| pair.0));
            let left = size(&mut late.iter().map(|pair| pair.1)) / raw;
            assert!((0.1..0.6).contains(&left), "{rate}: {left}");
        }
    }

    #[test]
    fn a_jump_in_time_and_a_turn_past_the_half_circle_do_no_harm() {
        let mut points = [[0.0; 2]; POINTS];
        let circle = |turn: f32, points: &mut [[f32; 2]; POINTS]| {
            for (i, point) in points.iter_mut().enumerate() {
                let angle = i as f32 + turn;
                *point = [300.0 + 100.0 * angle.cos(), 200.0 + 100.0 * angle.sin()];
            }
        };
        let mut filter = MeshFilter::default();
        let mut time = 0;
        for i in 0..100 {
            circle(i as f32 * 0.1, &mut points);
            let raw = points;
            filter.filter(&mut points, time, 0.5);
            let error = raw.iter().zip(&points);
            let worst = error.map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1]));
            // Backwards in time is a new beginning.
            let allowed = if i == 51 { 0.01 } else { 2.0 };
            let worst = worst.fold(0.0, f32::max);
            assert!(worst < allowed, "step {i}: {worst}");
            time += if i == 50 { -5_000_000_000 } else { 40_000_000 };
        }
    }
}
