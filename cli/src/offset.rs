//! How far mouths come after the speech, seen in the file that was written: `lipsync` itself says how open the mouths
//! are that come in.

use std::path::Path;

use anyhow::{Context, Result};

use crate::{
    media::{self, SPEECH_RATE, Samples},
    series::best_lag,
};

/// Longer videos are looked at this far.
const LONGEST: f64 = 60.0;
/// Frames by which speech and mouth may be apart and still be recognised.
const REACH: i32 = 10;
/// In fewer seconds the loudness of words and the opening of mouths agree by chance.
const SHORTEST: f64 = 6.0;
/// Below this correlation the two do not belong together and an offset means nothing.
const LEAST_CORRELATION: f64 = 0.3;

/// How far the mouth comes after the speech.
#[derive(Clone, Copy, Debug)]
pub struct Offset {
    pub milliseconds: f64,
    pub correlation: f64,
}

/// # Errors
/// Why the file says nothing about it.
pub fn measure(file: &Path) -> Result<Offset> {
    let speech = media::speech(file)?;
    // So weak that what is drawn is not seen: only frames that are drawn are marked.
    let look = "video/x-raw ! lipsyncbin name=look strength=0.001 silence=animate attach-meta=true on-error=error";
    let more = "decode. ! queue ! look.audio_sink look.audio_src ! fakesink sync=false async=false";
    let mut openings = Vec::new();
    for sample in Samples::open(file, look, more)? {
        let sample = sample?;
        let time = media::running_time(&sample).seconds_f64();
        if time > LONGEST {
            break;
        }
        let open = sample.buffer().and_then(openness);
        openings.push((time, open.context("no face in some frames")?));
    }
    between(&speech, &openings)
}

/// The opening of a mouth, of each frame its time in seconds and how open it is, against the loudness of its speech, mono
/// at [`SPEECH_RATE`].
///
/// # Errors
/// Why the two say nothing about it.
pub fn between(speech: &[f32], openings: &[(f64, f64)]) -> Result<Offset> {
    let (times, openings): (Vec<f64>, Vec<f64>) = openings.iter().copied().unzip();
    let seconds = times
        .last()
        .zip(times.first())
        .map_or(0.0, |(last, first)| last - first);
    anyhow::ensure!(seconds >= SHORTEST, "less than {SHORTEST} s");
    let loudness: Vec<f64> = times.iter().map(|time| loudness(speech, *time)).collect();
    let found = best_lag(&loudness, &openings, REACH).context("too few frames")?;
    anyhow::ensure!(
        found.correlation >= LEAST_CORRELATION,
        "the mouth does not follow the speech"
    );
    let frame = seconds * 1e3 / (times.len() - 1) as f64;
    Ok(Offset {
        milliseconds: found.fine_lag * frame,
        correlation: found.correlation,
    })
}

/// Of the largest face that is marked.
fn openness(buffer: &gst::BufferRef) -> Option<f64> {
    let faces = buffer.iter_meta::<gst_video::VideoRegionOfInterestMeta>();
    let faces = faces.filter(|face| face.roi_type() == "lipsync-face");
    let largest = faces.max_by_key(|face| {
        let (_, _, width, height) = face.rect();
        width * height
    })?;
    largest.params().find_map(|face| face.get("openness").ok())
}

/// Level of the speech around a moment in dB below full scale, as an ear hears it in a frame's time.
fn loudness(speech: &[f32], time: f64) -> f64 {
    /// Either way: two frames at 25 a second in all.
    const HALF_WINDOW: usize = SPEECH_RATE as usize / 25;
    /// Room noise is as good as silence.
    const FLOOR: f64 = 1e-5;
    let centre = (time * f64::from(SPEECH_RATE)) as usize;
    let from = centre.saturating_sub(HALF_WINDOW).min(speech.len());
    let to = (centre + HALF_WINDOW).min(speech.len());
    let power: f64 = speech[from..to]
        .iter()
        .map(|value| f64::from(*value).powi(2))
        .sum();
    10.0 * (power / (to - from).max(1) as f64).max(FLOOR).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loudness_is_the_level_around_the_moment() {
        let second = SPEECH_RATE as usize;
        let mut speech = vec![0.0; second];
        speech.resize(2 * second, 0.5);
        for (time, expected) in [(0.5, -50.0), (1.5, -6.02), (1.0, -9.03), (9.0, -50.0)] {
            assert!((loudness(&speech, time) - expected).abs() < 0.01);
        }
    }
}
