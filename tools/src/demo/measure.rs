//! What is seen in the demo's result: mouths, how they fit the sound, pictures for the sheet.

use std::path::Path;

use anyhow::{Context, Result};
use lipsync_core::rect::Rect;
use lipsync_tools::{
    faces::{Mouth, Watcher},
    media::{Frames, SOUND_RATE},
    numbers,
    picture::{Picture, Square},
    sheet::Column,
};

/// Longer videos are looked at this far.
const LONGEST: gst::ClockTime = gst::ClockTime::from_seconds(60);
/// Frames by which sound and mouth may be apart and still be recognised.
const REACH: i32 = 10;
/// In less than this many seconds of speech the loudness of words and the opening of mouths agree by chance.
const SHORTEST: f64 = 6.0;
/// Below this correlation the two do not belong together and an offset means nothing.
const LEAST_CORRELATION: f64 = 0.3;
/// Moments on the contact sheet.
const COLUMNS: usize = 8;
/// How open each of them shows the mouth, as a share of the frames that are less so.
const SHARES: [f64; COLUMNS] = [0.98, 0.3, 0.8, 0.02, 0.6, 0.95, 0.15, 0.7];

/// One frame of the result.
struct Seen {
    time: gst::ClockTime,
    mouth: Option<Mouth>,
}

pub struct Watched(Vec<Seen>);

/// How far the mouth comes after the sound.
#[derive(Clone, Copy)]
pub struct Offset {
    pub milliseconds: f64,
    pub correlation: f64,
}

pub fn watch(video: &Path) -> Result<Watched> {
    let mut watcher = Watcher::new()?;
    let mut seen = Vec::new();
    for picture in Frames::open(video)? {
        let picture = picture?;
        if picture.time > LONGEST {
            break;
        }
        let mouth = watcher.watch(&picture)?;
        seen.push(Seen {
            time: picture.time,
            mouth,
        });
    }
    Ok(Watched(seen))
}

impl Watched {
    /// The opening of the mouth against the loudness of the sound, or why that says nothing.
    pub fn offset(&self, sound: &[f32]) -> Result<Offset, &'static str> {
        let (Some(first), Some(last)) = (self.0.first(), self.0.last()) else {
            return Err("no frames");
        };
        let seconds = last.time.saturating_sub(first.time).nseconds() as f64 / 1e9;
        if seconds < SHORTEST {
            return Err("too short");
        }
        let openings = self
            .0
            .iter()
            .map(|seen| Some(seen.mouth.as_ref()?.opening()));
        let openings: Option<Vec<f64>> = openings.collect();
        let openings = openings.ok_or("no face in some frames")?;
        let loudness = self.0.iter().map(|seen| loudness(sound, seen.time));
        let loudness: Vec<f64> = loudness.collect();
        let found = numbers::best_lag(&loudness, &openings, REACH).ok_or("too few frames")?;
        if found.correlation < LEAST_CORRELATION {
            return Err("the mouth does not follow the sound");
        }
        let frame = seconds * 1e3 / (self.0.len() - 1) as f64;
        Ok(Offset {
            milliseconds: found.fine_lag * frame,
            correlation: found.correlation,
        })
    }

    /// Moments spread over the video, and over how far the mouth opens in it: of each stretch the
    /// one whose opening is nearest to the stretch's share of all of them.
    fn moments(&self) -> Vec<&Seen> {
        let opening = |seen: &Seen| seen.mouth.as_ref().map_or(0.0, Mouth::opening);
        let mut openings: Vec<f64> = self.0.iter().map(opening).collect();
        openings.sort_by(f64::total_cmp);
        let stretch = self.0.len().div_ceil(COLUMNS).max(1);
        self.0
            .chunks(stretch)
            .zip(SHARES)
            .filter_map(|(stretch, share)| {
                let sought = openings[((openings.len() - 1) as f64 * share).round() as usize];
                let distance = |seen: &Seen| (opening(seen) - sought).abs();
                stretch
                    .iter()
                    .min_by(|a, b| distance(a).total_cmp(&distance(b)))
            })
            .collect()
    }
}

/// Level of the sound around a moment in dB below full scale, as an ear hears it in a frame's time.
fn loudness(sound: &[f32], time: gst::ClockTime) -> f64 {
    /// Either way: two frames at 25 fps in all.
    const HALF_WINDOW: usize = SOUND_RATE as usize / 25;
    /// Room noise is as good as silence.
    const FLOOR: f64 = 1e-5;
    let centre = (time.nseconds() as f64 / 1e9 * f64::from(SOUND_RATE)) as usize;
    let from = centre.saturating_sub(HALF_WINDOW).min(sound.len());
    let to = (centre + HALF_WINDOW).min(sound.len());
    let squares = sound[from..to]
        .iter()
        .map(|value| f64::from(*value).powi(2));
    10.0 * numbers::mean(&squares.collect::<Vec<_>>())
        .max(FLOOR)
        .log10()
}

/// The pictures of the contact sheet: what went in and what came out at the same moments.
/// A video that was repeated has a `period`.
pub fn columns(
    input: &Path,
    period: Option<gst::ClockTime>,
    output: &Path,
    watched: &Watched,
) -> Result<Vec<Column>> {
    let moments = watched.moments();
    let times: Vec<_> = moments.iter().map(|seen| seen.time).collect();
    let after = pictures_at(output, &times)?;
    let before = match period {
        Some(period) => {
            let within = times.iter().map(|time| {
                let time = time.nseconds() % period.nseconds();
                Ok(pictures_at(input, &[gst::ClockTime::from_nseconds(time)])?.remove(0))
            });
            within.collect::<Result<_>>()?
        }
        None => pictures_at(input, &times)?,
    };
    let pictures = before.iter().zip(&after);
    let columns = moments.iter().zip(pictures).map(|(seen, (before, after))| {
        let mouth = seen.mouth.as_ref();
        let whole = Rect::new([0.0, 0.0, after.width() as f32, after.height() as f32]);
        let region = mouth.map_or_else(|| Square::around(whole, 1.0), Mouth::head);
        Column::new(caption(seen.time), [(before, region), (after, region)])
    });
    columns.collect()
}

/// Minutes, seconds and hundredths.
fn caption(time: gst::ClockTime) -> String {
    let hundredths = (time.nseconds() + 5_000_000) / 10_000_000;
    let (seconds, hundredths) = (hundredths / 100, hundredths % 100);
    format!("{}:{:02}.{hundredths:02}", seconds / 60, seconds % 60)
}

/// The frames of a video that are seen at these times, which must rise. A still picture is seen
/// at any time.
fn pictures_at(video: &Path, times: &[gst::ClockTime]) -> Result<Vec<Picture>> {
    let mut found = Vec::with_capacity(times.len());
    let mut shown: Option<Picture> = None;
    for next in Frames::open(video)? {
        let next = next?;
        if let Some(shown) = &shown {
            while found.len() < times.len() && times[found.len()] < next.time {
                found.push(shown.clone());
            }
            if found.len() == times.len() {
                return Ok(found);
            }
        }
        shown = Some(next);
    }
    let last = shown.with_context(|| format!("no frames in {}", video.display()))?;
    found.resize(times.len(), last);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_are_minutes_and_seconds() {
        let at = |ms| caption(gst::ClockTime::from_mseconds(ms));
        assert_eq!(at(1200), "0:01.20");
        assert_eq!(at(59_999), "1:00.00");
    }

    #[test]
    fn loudness_is_the_level_around_the_moment() {
        let second = SOUND_RATE as usize;
        let mut sound = vec![0.0; second];
        sound.resize(2 * second, 0.5);
        let at = |ms| loudness(&sound, gst::ClockTime::from_mseconds(ms));
        assert!((at(500) - -50.0).abs() < 0.01);
        assert!((at(1500) - -6.02).abs() < 0.01);
        assert!((at(1000) - -9.03).abs() < 0.01);
        // Past the end there is nothing to hear.
        assert!((at(9000) - -50.0).abs() < 0.01);
    }
}
