//! What every clip goes through.

use anyhow::Result;
use lipsync_tools::{
    faces::{Mouth, Watcher},
    judge::Judge,
    numbers,
    picture::Picture,
    sheet::Column,
};

use crate::{
    audio,
    clip::Clip,
    figures::Figures,
    follow::{self, Speech, openings, speech},
    languages::Lips,
    moments,
    setting::Setting,
    surface,
};

/// Everything that one clip shows.
pub struct Measured {
    pub figures: Figures,
    /// In one line.
    pub summary: String,
    pub trace: Trace,
    /// Telling moments of the drives here, and of the hard cases.
    pub moments: Vec<Column>,
    pub hard_moments: Vec<Column>,
    /// Synthetic voices, by language; measured on one clip a person.
    pub languages: Vec<(String, Lips)>,
}

/// Times that the element sees a clip until it knows how this mouth moves.
const KNOWN_AFTER: usize = 3;

/// Openings over time, for plots.
pub struct Trace {
    /// Frames a second.
    pub rate: f64,
    pub real: Vec<f64>,
    /// First frame frozen.
    pub frozen: Vec<f64>,
    /// Frames that say other words.
    pub shifted: Vec<f64>,
}

pub fn measure(clip: &Clip, setting: &Setting) -> Result<Measured> {
    let real = openings(&clip.mouths);
    let spoken = |mouths: &[Mouth]| speech(&real, &openings(mouths), clip.rate());
    let count = clip.sound.len();
    let (still, scrambled) = (clip.frozen(), clip.shifted());
    let mut figures = Figures::default();

    let (frozen, frozen_mouths) = setting.watch(&still, &clip.sound)?;
    let followed = spoken(&frozen_mouths)?;
    figures.put(
        "aperture correlation, first frame frozen",
        followed.correlation,
    );
    figures.put("amplitude, output / real", followed.amplitude);
    figures.put(
        "amplitude off, log of the ratio",
        followed.amplitude.ln().abs(),
    );
    let real_widths = follow::spreads(&clip.mouths);
    let width = |mouths: &[Mouth]| numbers::correlation(&real_widths, &follow::spreads(mouths));
    figures.put(
        "width correlation, first frame frozen",
        width(&frozen_mouths),
    );
    figures.put("lag, frozen, frames", followed.fine_lag);
    figures.put("fast motion, frozen, output / real", followed.fast);
    let distance = follow::landmark_distance(&clip.mouths, &frozen_mouths);
    figures.put("landmark distance, output / frozen mouth", distance);

    let (shifted, shifted_mouths) = setting.watch(&scrambled, &clip.sound)?;
    let other_words = spoken(&shifted_mouths)?;
    figures.put(
        "aperture correlation, source says other words",
        other_words.correlation,
    );
    figures.put("amplitude, other words", other_words.amplitude);
    figures.put(
        "width correlation, source says other words",
        width(&shifted_mouths),
    );
    let source = openings(&Watcher::watch_all(&scrambled)?);
    figures.put(
        "share of the source's own opening, other words",
        follow::shows_through(&openings(&shifted_mouths), &real, &source),
    );
    figures.put("lag, other words, frames", other_words.fine_lag);
    let (seen, heard) = clip.repeated(&scrambled, KNOWN_AFTER);
    let (_, known_mouths) = setting.watch(&seen, &heard)?;
    let known_mouths = &known_mouths[seen.len() - scrambled.len()..];
    let known = spoken(known_mouths)?;
    figures.put(
        "aperture correlation, once the mouth is known",
        known.correlation,
    );
    figures.put("amplitude, once the mouth is known", known.amplitude);
    let off = known.amplitude.ln().abs();
    figures.put("amplitude off, once the mouth is known", off);
    figures.put(
        "width correlation, once the mouth is known",
        width(known_mouths),
    );
    figures.put("fast motion, other words, output / real", other_words.fast);
    figures.put(
        "lag in frames, all clips",
        worst_lag(&followed, &other_words),
    );
    let surface = surface::compare(&scrambled, &shifted)?;
    figures.put("outside the mask, pixels changed", surface.outside as f64);
    figures.put("sharpness, output / input", surface.sharpness);
    figures.put("seam, output / input", surface.seam);

    let mut judge = Judge::open()?;
    let drives = [
        ("real", &clip.frames, &clip.mouths),
        ("frozen", &frozen, &frozen_mouths),
        ("other words", &shifted, &shifted_mouths),
    ];
    for (drive, frames, mouths) in drives {
        figures.put_judgement(drive, &judge.judge(frames, mouths, &clip.sound)?);
    }

    let (silent, silent_mouths) = setting.watch(&clip.frames, &audio::silence(count))?;
    let silence = follow::open_share(&silent_mouths);
    figures.put_percent("silence motion, % of frames with an open mouth", silence);
    let (_, room) = setting.watch(&clip.frames, &audio::room_tone(count))?;
    let room = follow::open_share(&room);
    figures.put_percent("room tone, % of frames open", room);
    let (_, talkers) = setting.watch(&still, &audio::among_talkers(&clip.sound))?;
    let talkers = spoken(&talkers)?.correlation;
    figures.put("correlation, talkers 10 dB below", talkers);
    let (_, toned) = setting.watch(&still, &audio::steady_tone(count))?;
    let jitter = follow::jitter(&toned);
    let tracker = follow::jitter(&Watcher::watch_all(&clip.frozen_with_noise()?)?);
    figures.put("jitter, px of 96", jitter);
    figures.put("the tracker's jitter, px of 96", tracker);
    let jitter = jitter / tracker.max(f64::EPSILON);
    figures.put("jitter in a steady tone / the tracker's", jitter);

    let summary = format!(
        "frozen {} landmarks {distance:.2} | shifted {} | silence {:.0} % room {:.0} % talkers {talkers:.2} sharp {:.2}",
        summary(&followed),
        summary(&other_words),
        silence * 100.0,
        room * 100.0,
        surface.sharpness,
    );
    let (open, shut) = moments::telling(&real);
    let head = clip.mouths[0].head();
    let moments: [(&str, usize, &[Picture], &[Picture]); 5] = [
        ("FROZEN OPEN", open, &still, &frozen),
        ("FROZEN SHUT", shut, &still, &frozen),
        ("OTHER WORDS OPEN", open, &scrambled, &shifted),
        ("OTHER WORDS SHUT", shut, &scrambled, &shifted),
        ("IN SILENCE", open, &clip.frames, &silent),
    ];
    let column = |(caption, at, input, output): (&str, usize, &[Picture], &[Picture])| {
        let rows = [&input[at], &output[at], &clip.frames[at]];
        Column::new(caption, rows.map(|picture| (picture, head)))
    };
    Ok(Measured {
        figures,
        summary,
        moments: moments.into_iter().map(column).collect::<Result<_>>()?,
        hard_moments: Vec::new(),
        languages: Vec::new(),
        trace: Trace {
            rate: clip.rate(),
            real,
            frozen: openings(&frozen_mouths),
            shifted: openings(&shifted_mouths),
        },
    })
}

/// Milliseconds a frame of both networks and the spectrum they hear, on one core, with nothing else
/// running.
pub fn cost(clip: &Clip, setting: &Setting) -> Result<f64> {
    let (_, stats) = setting.drive(&clip.frozen(), &clip.sound)?;
    Ok(stats.milliseconds("features", "p50") + stats.milliseconds("infer", "p50"))
}

/// Of the one of both drives that is further off.
fn worst_lag(a: &Speech, b: &Speech) -> f64 {
    let lags = [a.lag, b.lag];
    lags.into_iter()
        .max_by_key(|lag| lag.abs())
        .map_or(0.0, f64::from)
}

fn summary(speech: &Speech) -> String {
    let Speech {
        correlation,
        lag,
        amplitude,
        ..
    } = speech;
    format!("{correlation:.2} lag {lag:+} amplitude {amplitude:.2}")
}
