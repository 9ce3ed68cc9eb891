//! Any rate to 16 kHz: a windowed sinc at exact rational positions, with no delay of its own.
//!
//! Must not know channels, formats or running time. `rubato` is not used because it works in
//! fixed chunks, cannot start between two output samples and rounds its delay to whole samples.
//!
//! Output sample *j* is the input at `start + j * rate / 16000` input samples, kept as an integer
//! in units of 1/16000 input sample, so that nothing accumulates over hours.

use crate::sound::RATE;
use std::f64::consts::PI;

/// Units of an input sample that positions are counted in.
const UNITS: i64 = RATE as i64;

/// Nanoseconds of one output sample; positions convert to time by `NANOSECONDS / rate` a unit.
const SAMPLE_NS: i64 = super::SAMPLE_NS;

/// Half length of the kernel in seconds: 50 samples of 16 kHz. With the window below the passband
/// ends 400 Hz under the lower of both Nyquist frequencies, at 7600 Hz where the mel bands end.
const HALF_SECONDS: f64 = 50.0 / RATE as f64;

/// 80 dB of stopband: 0.1102 (80 - 8.7), Kaiser's formula.
const KAISER_BETA: f64 = 7.857;

/// Kernels tabulated per output sample's time; those between are interpolated (error below -110 dB).
const PHASES: f64 = 512.0;

/// Corrections change the speed by one part in this: 0.2 %, a thirtieth of a semitone.
const SLEW_DIVISOR: i64 = 512;

/// Mono input of any rate, 16 kHz output.
pub struct Resampler {
    rate: i64,
    /// Input samples needed on either side of a position.
    half: usize,
    phases: usize,
    /// `phases + 1` kernels of `2 * half` taps.
    kernels: Vec<f32>,
    /// Input that is still needed; the first `half` samples of a fresh start are silence.
    history: Vec<f32>,
    /// Where in `history` the next output sample lies, in [`UNITS`].
    position: i64,
    /// Units by which the output shall still be delayed (or, below zero, advanced).
    slew: i64,
}

impl Resampler {
    /// `rate` in Hz, within [`super::RATES`].
    pub fn new(rate: u32) -> Self {
        let half = (f64::from(rate) * HALF_SECONDS).ceil() as usize;
        let phases = (PHASES * f64::from(RATE) / f64::from(rate.max(RATE))).ceil() as usize;
        let cutoff = (f64::from(RATE) / f64::from(rate)).min(1.0);
        let kernels = (0..=phases)
            .flat_map(|phase| kernel(half, phase as f64 / phases as f64, cutoff))
            .collect();
        let mut resampler = Self {
            rate: i64::from(rate),
            half,
            phases,
            kernels,
            history: Vec::new(),
            position: 0,
            slew: 0,
        };
        resampler.start(0);
        resampler
    }

    pub fn is_passthrough_rate(&self) -> bool {
        self.rate == UNITS
    }

    /// The next sample pushed is the first of new sound; the first output sample lies `offset_ns`
    /// (0 up to one output sample) after it.
    pub fn start(&mut self, offset_ns: i64) {
        self.history.clear();
        self.history.resize(self.half, 0.0);
        self.position = self.half as i64 * UNITS + offset_ns * self.rate / SAMPLE_NS;
        self.slew = 0;
    }

    /// Time from the next output sample to the end of the input, in nanoseconds.
    pub fn ahead_ns(&self) -> i64 {
        self.units_to_ns(self.history.len() as i64 * UNITS - self.position)
    }

    /// Correction that is still to come, in nanoseconds.
    pub fn pending_delay_ns(&self) -> i64 {
        self.units_to_ns(self.slew)
    }

    /// Lets the output slide `ns` later (or earlier) against the input, slowly.
    pub fn delay(&mut self, ns: i64) {
        let units = ns * self.rate / SAMPLE_NS;
        // At 16 kHz by whole samples, so that the input is passed through again afterwards.
        self.slew += if self.is_passthrough_rate() {
            (units + UNITS / 2).div_euclid(UNITS) * UNITS
        } else {
            units
        };
    }

    /// Takes input and appends to `out` what can be computed: all output up to `half / rate`
    /// seconds before the end of the input; at 16 kHz all of it, bit-exact.
    pub fn push(&mut self, input: &[f32], out: &mut Vec<f32>) {
        self.history.extend_from_slice(input);
        self.produce(out, self.history.len() as i64 * UNITS);
        let used = (self.position / UNITS + 1 - self.half as i64).max(0) as usize;
        let used = used.min(self.history.len());
        self.history.drain(..used);
        self.position -= used as i64 * UNITS;
    }

    /// Appends to `out` the rest of the output up to the end of the input, as if silence followed.
    /// Only [`start`](Self::start) may follow.
    pub fn finish(&mut self, out: &mut Vec<f32>) {
        let end = self.history.len() as i64 * UNITS;
        self.history.resize(self.history.len() + self.half + 1, 0.0);
        self.produce(out, end);
    }

    /// Output at positions before `end` for which `history` reaches far enough.
    fn produce(&mut self, out: &mut Vec<f32>, end: i64) {
        let most = (self.rate / SLEW_DIVISOR).max(1);
        while self.position < end {
            let index = (self.position / UNITS) as usize;
            let fraction = self.position % UNITS;
            if self.is_passthrough_rate() && fraction == 0 && self.slew == 0 {
                out.extend_from_slice(&self.history[index..(end / UNITS) as usize]);
                self.position = end;
                return;
            }
            let first = index + 1 - self.half;
            let Some(input) = self.history.get(first..first + 2 * self.half) else {
                return;
            };
            out.push(self.interpolate(input, fraction));
            let slew = self.slew.clamp(-most, most);
            self.slew -= slew;
            self.position += self.rate - slew;
        }
    }

    fn interpolate(&self, input: &[f32], fraction: i64) -> f32 {
        let phase = fraction * self.phases as i64;
        let (row, between) = (
            (phase / UNITS) as usize,
            (phase % UNITS) as f32 / UNITS as f32,
        );
        let taps = 2 * self.half;
        let kernels = &self.kernels[row * taps..(row + 2) * taps];
        let (near, next) = kernels.split_at(taps);
        let near = dot(input, near);
        if between == 0.0 {
            near
        } else {
            near + between * (dot(input, next) - near)
        }
    }

    fn units_to_ns(&self, units: i64) -> i64 {
        units * SAMPLE_NS / self.rate
    }
}

/// Windowed sinc for a position `phase` (0..=1) after the middle input sample, its sum one.
fn kernel(half: usize, phase: f64, cutoff: f64) -> Vec<f32> {
    let width = half as f64;
    let taps: Vec<f64> = (0..2 * half)
        .map(|tap| tap as f64 + 1.0 - width - phase)
        .map(|distance| {
            let window = 1.0 - (distance / width).powi(2);
            sinc(cutoff * distance) * bessel_i0(KAISER_BETA * window.max(0.0).sqrt())
        })
        .collect();
    let sum: f64 = taps.iter().sum();
    taps.iter().map(|tap| (tap / sum) as f32).collect()
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        1.0
    } else {
        (PI * x).sin() / (PI * x)
    }
}

/// Modified Bessel function of the first kind, order 0, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..40 {
        term *= quarter / f64::from(k * k);
        sum += term;
    }
    sum
}

/// In eight lanes, so that the compiler can use vector instructions; the order of the sum is fixed.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_lanes, a_rest) = a.as_chunks::<8>();
    let (b_lanes, b_rest) = b.as_chunks::<8>();
    let mut lanes = [0.0f32; 8];
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f32>() + rest
}
