//! Filter banks on Slaney's mel scale, as librosa and networks that were trained with it have them.

use crate::sound::{
    RATE,
    spectrum_cache::{BANDS, Triangle},
};

/// Triangles equally wide on this scale, each of the same area (librosa's defaults), from the lowest
/// to the highest of these frequencies, over the bins of `window` samples.
pub fn filter_bank([lowest, highest]: [f64; 2], window: usize) -> Vec<Triangle> {
    let (lowest, highest) = (hz_to_mel(lowest), hz_to_mel(highest));
    let edge = |n: usize| mel_to_hz(lowest + (highest - lowest) * n as f64 / (BANDS + 1) as f64);
    (0..BANDS)
        .map(|band| {
            let [left, centre, right] = [edge(band), edge(band + 1), edge(band + 2)];
            let area = 2.0 / (right - left);
            Triangle::new(window / 2 + 1, [left, centre, right], area, |bin| {
                bin as f64 * f64::from(RATE) / window as f64
            })
        })
        .collect()
}

/// Slaney's scale: linear up to 1000 Hz, where 15 mel are, then 27 mel for a factor of 6.4.
const LINEAR_HZ_PER_MEL: f64 = 200.0 / 3.0;
const LOG_FROM_HZ: f64 = 1000.0;
const LOG_FROM_MEL: f64 = 15.0;

fn log_step() -> f64 {
    6.4f64.ln() / 27.0
}

fn hz_to_mel(hz: f64) -> f64 {
    if hz < LOG_FROM_HZ {
        hz / LINEAR_HZ_PER_MEL
    } else {
        LOG_FROM_MEL + (hz / LOG_FROM_HZ).ln() / log_step()
    }
}

fn mel_to_hz(mel: f64) -> f64 {
    if mel < LOG_FROM_MEL {
        mel * LINEAR_HZ_PER_MEL
    } else {
        LOG_FROM_HZ * ((mel - LOG_FROM_MEL) * log_step()).exp()
    }
}
