//! What is seen in the demo's result: mouths, how they fit the sound, pictures for the sheet.

use std::path::Path;

use anyhow::{Context, Result};
use gst_lipsync::offset::{self, Offset};
use lipsync_core::rect::Rect;
use lipsync_tools::{
    faces::{Mouth, Watcher},
    media::Frames,
    picture::{Picture, Square},
    sheet::Column,
};

/// Longer videos are looked at this far.
const LONGEST: gst::ClockTime = gst::ClockTime::from_seconds(60);
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
    /// How far the mouth comes after the speech, mono at 16 kHz, or why that cannot be said.
    pub fn offset(&self, speech: &[f32]) -> Result<Offset> {
        let openings = self.0.iter().map(|seen| {
            let mouth = seen.mouth.as_ref().context("no face in some frames")?;
            Ok((seen.time.seconds_f64(), mouth.opening()))
        });
        offset::between(speech, &openings.collect::<Result<Vec<_>>>()?)
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
}
