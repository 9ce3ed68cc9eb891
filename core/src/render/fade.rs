//! Changes of strength and bypass that are seen as a movement, not as a jump.
//!
//! Must not know what strength does to a picture.

use crate::render::Controls;

/// The strength that shows, on its way to the one that is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fade {
    strength: f32,
    /// Running time of the last frame.
    last_ns: Option<i64>,
}

/// So close to its end a fade is over.
const ROUNDING: f32 = 1e-5;

impl Fade {
    /// What the frame at `time_ns` is to be drawn with: `controls`, but no further from the frame
    /// before than `fade_ns` allows, in which strength moves by 1. Changes that are slower, such as
    /// a curve that a program lays down, are followed exactly.
    ///
    /// The first frame has all that is wanted at once, and so has one of an earlier time.
    pub fn follow(&mut self, controls: Controls, time_ns: i64, fade_ns: i64) -> Controls {
        let wanted = match controls.draws() {
            true => controls.strength,
            false => 0.0,
        };
        let passed = self.last_ns.map(|last| time_ns.saturating_sub(last));
        self.strength = match passed {
            Some(passed_ns) if passed_ns >= 0 && fade_ns > 0 => {
                let most = passed_ns as f32 / fade_ns as f32;
                let way = wanted - self.strength;
                match way.abs() <= most + ROUNDING {
                    true => wanted,
                    false => self.strength + most.copysign(way),
                }
            }
            _ => wanted,
        };
        self.last_ns = Some(time_ns);
        Controls {
            strength: self.strength,
            bypass: controls.bypass && self.strength <= 0.0,
            ..controls
        }
    }

    /// The frame at `time_ns` shows its own mouth, whatever is wanted: what comes next fades in.
    pub fn show_nothing(&mut self, time_ns: i64) {
        self.strength = 0.0;
        self.last_ns = Some(time_ns);
    }

    /// The next frame is the first.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;
    const FADE: i64 = 200 * MS;

    fn at(strength: f32) -> Controls {
        Controls {
            strength,
            ..Controls::default()
        }
    }

    fn bypass() -> Controls {
        Controls {
            bypass: true,
            ..Controls::default()
        }
    }

    fn strengths(fade: &mut Fade, controls: Controls, times: &[i64]) -> Vec<f32> {
        times
            .iter()
            .map(|time| (fade.follow(controls, time * MS, FADE).strength * 1e3).round() / 1e3)
            .collect()
    }

    #[test]
    fn a_stream_begins_as_it_is_wanted() {
        for wanted in [0.0, 0.3, 2.0] {
            let mut fade = Fade::default();
            assert_eq!(strengths(&mut fade, at(wanted), &[40]), [wanted]);
            fade.reset();
            assert_eq!(strengths(&mut fade, at(1.0), &[0]), [1.0]);
        }
    }

    #[test]
    fn strength_moves_by_1_in_the_time_of_a_fade_whatever_the_frame_rate() {
        let mut fade = Fade::default();
        strengths(&mut fade, at(0.0), &[0]);
        assert_eq!(
            strengths(&mut fade, at(1.0), &[40, 80, 120, 160, 200, 240]),
            [0.2, 0.4, 0.6, 0.8, 1.0, 1.0]
        );
        assert_eq!(
            strengths(&mut fade, at(0.5), &[260, 280, 340, 400]),
            [0.9, 0.8, 0.5, 0.5]
        );
        // The same frame once more is no later.
        assert_eq!(
            strengths(&mut fade, at(1.0), &[400, 400, 420]),
            [0.5, 0.5, 0.6]
        );
    }

    #[test]
    fn bypass_is_reached_by_way_of_strength_0() {
        let mut fade = Fade::default();
        strengths(&mut fade, at(1.0), &[0]);
        for (time, strength) in [(40, 0.8), (80, 0.6), (120, 0.4), (160, 0.2)] {
            let now = fade.follow(bypass(), time * MS, FADE);
            assert!((now.strength - strength).abs() < 1e-5 && !now.bypass);
            assert!(now.draws());
        }
        assert!(!fade.follow(bypass(), 200 * MS, FADE).draws());
        assert!(fade.follow(bypass(), 240 * MS, FADE).bypass);
        assert_eq!(strengths(&mut fade, at(1.0), &[280]), [0.2]);
    }

    #[test]
    fn what_changes_slowly_is_followed_exactly() {
        let mut fade = Fade::default();
        for frame in 0..50 {
            let wanted = (frame as f32 * 0.2).sin().abs();
            let now = fade.follow(at(wanted), frame * 40 * MS, FADE);
            assert!((now.strength - wanted).abs() < 1e-6, "frame {frame}");
        }
    }

    #[test]
    fn without_time_to_fade_and_for_time_that_runs_back_it_is_a_jump() {
        let mut fade = Fade::default();
        assert_eq!(fade.follow(at(0.0), 0, 0).strength, 0.0);
        assert_eq!(fade.follow(at(1.0), 40 * MS, 0).strength, 1.0);
        assert_eq!(strengths(&mut fade, at(0.0), &[20]), [0.0]);
        fade.follow(at(1.0), i64::MIN, FADE);
        fade.follow(at(1.0), i64::MAX, FADE);
    }

    #[test]
    fn a_mouth_that_could_not_be_drawn_fades_in() {
        let mut fade = Fade::default();
        fade.show_nothing(0);
        assert_eq!(strengths(&mut fade, at(1.0), &[40, 80]), [0.2, 0.4]);
    }

    #[test]
    fn no_strength_is_for_ever() {
        let mut fade = Fade::default();
        strengths(&mut fade, at(1.0), &[0]);
        assert!(!fade.follow(at(f32::NAN), 400 * MS, FADE).draws());
        assert_eq!(strengths(&mut fade, at(1.0), &[800]), [1.0]);
    }
}
