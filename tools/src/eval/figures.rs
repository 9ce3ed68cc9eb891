//! The figures of one clip.

use std::path::Path;

use anyhow::{Context, Result, bail};
use lipsync_tools::{
    drive::{Drive, Driven},
    faces::{Mouth, Watcher},
    numbers::{self, Match},
    picture::Picture,
    stats::Stats,
};

use crate::{clip::Clip, surface};

/// Frames by which an output may be late or early and still be recognised.
const REACH: i32 = 10;
/// Inner-lip gap in canonical pixels from which a mouth counts as open: 2.5 % of the face's width.
/// The mesh sees the closed lips of real people up to 2.9 px apart (the first frames, before a word,
/// of ten clips of one held-out speaker).
const OPEN: f64 = 3.0;
/// Frames after which a still picture with a steady tone has settled.
const SETTLED: usize = 25;

/// Everything that one clip shows.
pub struct Figures {
    /// First frame frozen.
    pub frozen: Speech,
    /// Frames that say other words.
    pub shifted: Speech,
    /// First frame frozen, talkers under the voice.
    pub talkers: Speech,
    /// Mean distance of lip landmarks from the real ones, output / frozen mouth.
    pub landmarks: f64,
    /// Share of frames with an open mouth in digital silence.
    pub silence: f64,
    /// The same in the noise of a room.
    pub room: f64,
    /// Pixels changed outside the mouth region.
    pub outside: u64,
    /// Gradient energy of the mouth region, output / input.
    pub sharpness: f64,
    /// Jump across the edge of what was changed, output / input.
    pub seam: f64,
    /// Movement of the lips from frame to frame in canonical pixels, on a still picture in a
    /// steady tone.
    pub jitter: f64,
    /// The same as the face mesh alone sees it on a still picture with a camera's noise.
    pub tracker_jitter: f64,
    /// Both networks and the spectrum they hear, milliseconds a frame on one core.
    pub networks: f64,
    /// The whole element, milliseconds a frame.
    pub total: f64,
}

/// How a mouth follows the true sound.
pub struct Speech {
    /// Of the opening with the real one.
    pub correlation: f64,
    /// Frames that the opening comes after the real one.
    pub lag: i32,
    /// Standard deviation of the opening, output / real.
    pub amplitude: f64,
}

impl Figures {
    pub fn line(&self) -> String {
        format!(
            "frozen {:.2} lag {:+} amplitude {:.2} landmarks {:.2} | shifted {:.2} lag {:+} amplitude {:.2} | \
             silence {:.0} % room {:.0} % talkers {:.2} sharp {:.2} | {:.1} ms",
            self.frozen.correlation,
            self.frozen.lag,
            self.frozen.amplitude,
            self.landmarks,
            self.shifted.correlation,
            self.shifted.lag,
            self.shifted.amplitude,
            self.silence * 100.0,
            self.room * 100.0,
            self.talkers.correlation,
            self.sharpness,
            self.total
        )
    }
}

pub fn measure(clip: &Clip, model: Option<&Path>) -> Result<Figures> {
    let run = |frames: &[Picture], sound: &[f32]| drive(frames, sound, model);

    let (still, still_stats) = run(&clip.frozen(), &clip.sound)?;
    let frozen_mouths = Watcher::watch_all(&still)?;

    let scrambled = clip.shifted();
    let (moving, _) = run(&scrambled, &clip.sound)?;
    let surface = surface::compare(&scrambled, &moving)?;

    let (silent, _) = run(&clip.frames, &clip.digital_silence())?;
    let (room, _) = run(&clip.frames, &clip.room_tone())?;
    let (crowded, _) = run(&clip.frozen(), &clip.among_talkers())?;
    let (toned, _) = run(&clip.frozen(), &clip.steady_tone())?;

    Ok(Figures {
        frozen: speech(&clip.mouths, &frozen_mouths)?,
        shifted: speech(&clip.mouths, &Watcher::watch_all(&moving)?)?,
        talkers: speech(&clip.mouths, &Watcher::watch_all(&crowded)?)?,
        landmarks: landmark_distance(&clip.mouths, &frozen_mouths),
        silence: open_share(&Watcher::watch_all(&silent)?),
        room: open_share(&Watcher::watch_all(&room)?),
        outside: surface.outside,
        sharpness: surface.sharpness,
        seam: surface.seam,
        jitter: jitter(&Watcher::watch_all(&toned)?),
        tracker_jitter: jitter(&Watcher::watch_all(&clip.frozen_with_noise()?)?),
        networks: still_stats.milliseconds("features", "p50")
            + still_stats.milliseconds("infer", "p50"),
        total: still_stats.milliseconds("total", "p50"),
    })
}

fn drive(frames: &[Picture], sound: &[f32], model: Option<&Path>) -> Result<(Vec<Picture>, Stats)> {
    let mut properties = vec![("intra-threads", "1".to_owned())];
    if let Some(model) = model {
        properties.push(("model", model.display().to_string()));
    }
    let Driven {
        frames: output,
        stats,
    } = Drive {
        frames,
        sound,
        properties: &properties,
    }
    .run()?;
    if output.len() != frames.len() {
        bail!("{} frames became {}", frames.len(), output.len());
    }
    Ok((output, stats))
}

fn openings(mouths: &[Mouth]) -> Vec<f64> {
    mouths.iter().map(Mouth::opening).collect()
}

fn speech(real: &[Mouth], output: &[Mouth]) -> Result<Speech> {
    let (real, output) = (openings(real), openings(output));
    let Match { lag, .. } =
        numbers::best_lag(&real, &output, REACH).context("too few frames for a lag")?;
    Ok(Speech {
        correlation: numbers::correlation(&real, &output),
        lag,
        amplitude: numbers::deviation(&output) / numbers::deviation(&real).max(f64::EPSILON),
    })
}

/// How much closer the lips come to the real ones than those of a mouth that does not move.
fn landmark_distance(real: &[Mouth], output: &[Mouth]) -> f64 {
    let mean_to_real = |lips: &dyn Fn(usize) -> Vec<[f32; 2]>| {
        let distances: Vec<f64> = real
            .iter()
            .enumerate()
            .map(|(index, mouth)| distance(&mouth.lips(), &lips(index)) / mouth.width())
            .collect();
        numbers::mean(&distances)
    };
    let drawn = mean_to_real(&|index| output[index].lips());
    let frozen = mean_to_real(&|_| real[0].lips());
    drawn / frozen.max(f64::EPSILON)
}

fn distance(a: &[[f32; 2]], b: &[[f32; 2]]) -> f64 {
    let distances: Vec<f64> = a
        .iter()
        .zip(b)
        .map(|(a, b)| f64::from((a[0] - b[0]).hypot(a[1] - b[1])))
        .collect();
    numbers::mean(&distances)
}

fn open_share(mouths: &[Mouth]) -> f64 {
    let open = openings(mouths).iter().filter(|gap| **gap > OPEN).count();
    open as f64 / mouths.len().max(1) as f64
}

fn jitter(mouths: &[Mouth]) -> f64 {
    let lips: Vec<_> = mouths.iter().skip(SETTLED).map(Mouth::lips).collect();
    let steps: Vec<f64> = lips
        .windows(2)
        .map(|pair| distance(&pair[0], &pair[1]))
        .collect();
    numbers::mean(&steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIP: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../shared/media/grid/x12.mkv"
    );

    #[test]
    fn a_video_measured_against_itself_is_perfect() {
        let path = Path::new(CLIP);
        if !path.exists() {
            println!("skipped: no {CLIP}");
            return;
        }
        gst::init().unwrap();
        let clip = Clip::load(path).unwrap();
        let same = speech(&clip.mouths, &clip.mouths).unwrap();
        assert!((same.correlation - 1.0).abs() < 1e-9 && same.lag == 0);
        assert!((same.amplitude - 1.0).abs() < 1e-9);
        assert_eq!(landmark_distance(&clip.mouths, &clip.mouths), 0.0);

        let mut late = clip.mouths.clone();
        late.rotate_right(3);
        assert_eq!(speech(&clip.mouths, &late).unwrap().lag, 3);

        let still = vec![clip.mouths[0].clone(); clip.mouths.len()];
        assert_eq!(jitter(&still), 0.0);
        assert!((landmark_distance(&clip.mouths, &still) - 1.0).abs() < 1e-9);

        let surface = surface::compare(&clip.frames, &clip.frames).unwrap();
        assert_eq!(surface.outside, 0);
        assert_eq!((surface.sharpness, surface.seam), (1.0, 1.0));
    }
}
