//! From the values of a high dynamic range to those that networks know, and back.
//!
//! Must not know matrices or how values are stored.

use std::sync::LazyLock;

/// How light became R, G and B.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transfer {
    /// Any of standard range: networks have learned from these.
    #[default]
    Sdr,
    /// SMPTE ST 2084.
    Pq,
    /// ARIB STD-B67, on a display of 1000 cd/m2.
    Hlg,
}

/// White of standard range in cd/m2: ITU-R BT.2408-7 2.2.
const WHITE: f64 = 203.0;
/// Of a display for standard range: ITU-R BT.1886.
const GAMMA: f64 = 2.4;

impl Transfer {
    /// Curves to and from standard range; `None` where there is nothing to do.
    pub(in crate::pixels) fn curves(self) -> Option<&'static Curves> {
        static PQ: LazyLock<Curves> = LazyLock::new(|| Curves::new(pq::light, pq::signal));
        static HLG: LazyLock<Curves> = LazyLock::new(|| Curves::new(hlg::light, hlg::signal));
        match self {
            Self::Sdr => None,
            Self::Pq => Some(&PQ),
            Self::Hlg => Some(&HLG),
        }
    }
}

/// Steps of a curve, which is straight between them.
const STEPS: usize = 4096;

/// Both ways between a signal 0..1 and one of standard range, 0..1. What is brighter than its white
/// becomes that.
pub(in crate::pixels) struct Curves {
    to_sdr: [f32; STEPS + 1],
    to_signal: [f32; STEPS + 1],
}

impl Curves {
    /// `light` is the light of a signal in cd/m2, `signal` its inverse.
    fn new(light: fn(f64) -> f64, signal: fn(f64) -> f64) -> Self {
        let steps = |curve: &dyn Fn(f64) -> f64| {
            std::array::from_fn(|step| curve(step as f64 / STEPS as f64) as f32)
        };
        Self {
            to_sdr: steps(&|value| (light(value) / WHITE).min(1.0).powf(1.0 / GAMMA)),
            to_signal: steps(&|value| signal(value.powf(GAMMA) * WHITE)),
        }
    }

    pub fn to_sdr(&self, value: f32) -> f32 {
        at(&self.to_sdr, value)
    }

    pub fn to_signal(&self, value: f32) -> f32 {
        at(&self.to_signal, value)
    }
}

fn at(curve: &[f32; STEPS + 1], value: f32) -> f32 {
    // What is no number becomes 0.
    let place = match value > 0.0 {
        true => value.min(1.0) * STEPS as f32,
        false => 0.0,
    };
    let first = (place as usize).min(STEPS - 1);
    let [from, to] = [curve[first], curve[first + 1]];
    from + (to - from) * (place - first as f32)
}

/// ITU-R BT.2100-2, table 4.
mod pq {
    const M1: f64 = 2610.0 / 16384.0;
    const M2: f64 = 2523.0 / 4096.0 * 128.0;
    const C1: f64 = 3424.0 / 4096.0;
    const C2: f64 = 2413.0 / 4096.0 * 32.0;
    const C3: f64 = 2392.0 / 4096.0 * 32.0;
    const BRIGHTEST: f64 = 10_000.0;

    pub fn light(signal: f64) -> f64 {
        let power = signal.powf(1.0 / M2);
        BRIGHTEST * ((power - C1).max(0.0) / (C2 - C3 * power)).powf(1.0 / M1)
    }

    pub fn signal(light: f64) -> f64 {
        let power = (light / BRIGHTEST).powf(M1);
        ((C1 + C2 * power) / (1.0 + C3 * power)).powf(M2)
    }
}

/// ITU-R BT.2100-2, table 5, with the gamma of the whole system on each of R, G and B.
mod hlg {
    const A: f64 = 0.178_832_77;
    const B: f64 = 1.0 - 4.0 * A;
    const BRIGHTEST: f64 = 1000.0;
    const SYSTEM_GAMMA: f64 = 1.2;

    fn c() -> f64 {
        0.5 - A * (4.0 * A).ln()
    }

    pub fn light(signal: f64) -> f64 {
        let scene = match signal <= 0.5 {
            true => signal * signal / 3.0,
            false => (((signal - c()) / A).exp() + B) / 12.0,
        };
        BRIGHTEST * scene.powf(SYSTEM_GAMMA)
    }

    pub fn signal(light: f64) -> f64 {
        let scene = (light / BRIGHTEST).powf(1.0 / SYSTEM_GAMMA);
        match scene <= 1.0 / 12.0 {
            true => (3.0 * scene).sqrt(),
            false => A * (12.0 * scene - B).ln() + c(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Signals of reference white as ITU-R BT.2408-7, table 1, has them.
    #[test]
    fn white_is_where_the_recommendation_has_it() {
        for (transfer, white) in [(Transfer::Pq, 0.58), (Transfer::Hlg, 0.75)] {
            let curves = transfer.curves().unwrap();
            assert!((curves.to_signal(1.0) - white).abs() < 2e-3, "{transfer:?}");
            assert!((curves.to_sdr(white) - 1.0).abs() < 1e-2, "{transfer:?}");
            assert_eq!(curves.to_sdr(0.95), 1.0);
        }
    }

    #[test]
    fn ten_bits_survive_there_and_back() {
        for transfer in [Transfer::Pq, Transfer::Hlg] {
            let curves = transfer.curves().unwrap();
            let white = curves.to_signal(1.0);
            let mut last = -1.0;
            for step in 0..=1000 {
                let signal = white * step as f32 / 1000.0;
                let sdr = curves.to_sdr(signal);
                assert!(sdr >= last, "{transfer:?}");
                last = sdr;
                let back = curves.to_signal(sdr);
                assert!(
                    (back - signal).abs() < 0.5 / 1023.0,
                    "{transfer:?} {signal} {back}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_signal_has_a_value() {
        let curves = Transfer::Pq.curves().unwrap();
        for value in [f32::NAN, f32::NEG_INFINITY, f32::INFINITY, -1.0, 2.0] {
            assert!((0.0..=1.0).contains(&curves.to_sdr(value)));
            assert!((0.0..=1.0).contains(&curves.to_signal(value)));
        }
    }
}
