//! Heads that turn, made out of frames of a head that does not.

use std::f32::consts::TAU;

use anyhow::Result;
use lipsync_tools::{faces::Mouth, picture::Picture};

/// How far a head turns to either side in time.
#[derive(Clone, Copy)]
pub struct Swing {
    /// In the plane of the picture, radians.
    roll: f32,
    /// To the sides and up and down, radians.
    yaw: f32,
    pitch: f32,
    /// Share by which it comes nearer and goes away.
    zoom: f32,
}

/// Leaning from side to side, coming and going.
pub const LEANING: Swing = Swing {
    roll: TAU / 8.0,
    yaw: 0.0,
    pitch: 0.0,
    zoom: 0.2,
};

/// Looking around, 25 degrees to the sides and 12 up and down.
pub const LOOKING: Swing = Swing {
    roll: 0.0,
    yaw: 25.0 / 360.0 * TAU,
    pitch: 12.0 / 360.0 * TAU,
    zoom: 0.0,
};

/// Seconds from one side to the other and back, per movement, so that they meet in many ways.
const ROLL_PERIOD: f32 = 3.0;
const YAW_PERIOD: f32 = 2.5;
const PITCH_PERIOD: f32 = 1.9;
const ZOOM_PERIOD: f32 = 2.3;

/// How far the hill that a head is taken for reaches, in half widths of the face.
const FOOT: f32 = 1.7;
/// Its height, in the same.
const HEIGHT: f32 = 1.0;

/// The same frames with a head that swings. `mouth` says where the head is in all of them.
pub fn swung(frames: &[Picture], mouth: &Mouth, swing: Swing) -> Result<Vec<Picture>> {
    let (centre, radius) = mouth.middle();
    let swung = frames.iter().map(|frame| {
        let pose = swing.at(frame.seconds() as f32);
        let planes = frame.planes()?.warped(|at| {
            let seen = [0, 1].map(|axis| (at[axis] - centre[axis]) / radius);
            let [x, y] = pose.source(seen);
            [centre[0] + x * radius, centre[1] + y * radius]
        });
        frame.with_planes(&planes)
    });
    swung.collect()
}

impl Swing {
    fn at(self, seconds: f32) -> Self {
        let wave = |period: f32| (seconds / period * TAU).sin();
        Self {
            roll: self.roll * wave(ROLL_PERIOD),
            yaw: self.yaw * wave(YAW_PERIOD),
            pitch: self.pitch * wave(PITCH_PERIOD),
            zoom: self.zoom * wave(ZOOM_PERIOD),
        }
    }

    /// Where in the unturned picture that is what is seen at a place in the turned one; in half
    /// widths of the face, from its middle.
    fn source(self, [x, y]: [f32; 2]) -> [f32; 2] {
        /// The displacement changes slowly, so that each step comes much closer.
        const STEPS: usize = 6;
        let (sin, cos) = self.roll.sin_cos();
        let zoom = 1.0 + self.zoom;
        let upright = [(x * cos + y * sin) / zoom, (y * cos - x * sin) / zoom];
        if self.yaw == 0.0 && self.pitch == 0.0 {
            return upright;
        }
        let mut source = upright;
        for _ in 0..STEPS {
            let moved = self.moved(source);
            source = [upright[0] - moved[0], upright[1] - moved[1]];
        }
        source
    }

    /// How far the point of the hill above this place goes when the hill turns about its foot.
    /// What lies beyond the foot stays.
    fn moved(self, [x, y]: [f32; 2]) -> [f32; 2] {
        let slope = (1.0 - (x * x + y * y) / (FOOT * FOOT)).max(0.0);
        let height = slope * slope;
        [
            HEIGHT * height * self.yaw.sin() - x * height * (1.0 - self.yaw.cos()),
            HEIGHT * height * self.pitch.sin() - y * height * (1.0 - self.pitch.cos()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_comes_from_where_it_went() {
        for swing in [LOOKING, LEANING] {
            for tenth in 0..30 {
                let pose = swing.at(tenth as f32 / 10.0);
                for (x, y) in [(0.0, 0.0), (0.4, 0.6), (-0.9, 0.2), (1.4, -1.0), (3.0, 3.0)] {
                    let [sx, sy] = pose.source([x, y]);
                    let [mx, my] = pose.moved([sx, sy]);
                    let (sin, cos) = pose.roll.sin_cos();
                    let [u, v] = [sx + mx, sy + my].map(|value| value * (1.0 + pose.zoom));
                    let back = [u * cos - v * sin, u * sin + v * cos];
                    let error = (back[0] - x).hypot(back[1] - y);
                    assert!(error < 0.01, "{error} at {x} {y}");
                }
            }
        }
    }

    #[test]
    fn the_background_stays_when_a_head_looks_around() {
        let pose = LOOKING.at(0.6);
        assert_eq!(pose.source([2.0, 0.0]), [2.0, 0.0]);
        assert!(pose.source([0.0, 0.0])[0] < -0.3);
    }
}
