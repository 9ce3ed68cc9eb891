//! What is harder: other people's speech, paintings, turning heads, noise and music, other
//! languages. Each case is a function; one clip a person goes through them.

use anyhow::Result;
use lipsync_tools::{
    faces::{Mouth, Watcher},
    judge::Judge,
    picture::Picture,
    sheet::Column,
};

use crate::{
    audio,
    clip::Clip,
    follow::{self, openings, speech},
    inside, languages,
    measure::Measured,
    moments,
    setting::Setting,
    surface,
    swing::{self, Swing},
};

/// Ratios of voice and what lies under it, in decibels, and what they are called.
const RATIOS: [(f32, &str); 3] = [
    (20.0, "20 dB below"),
    (10.0, "10 dB below"),
    (0.0, "as loud"),
];

/// Adds the figures and moments of one clip. `other` is a clip of another person.
pub fn measure(
    clip: &Clip,
    other: Option<&Clip>,
    setting: &Setting,
    measured: &mut Measured,
) -> Result<()> {
    let mut case = Case {
        clip,
        setting,
        measured,
    };
    let count = clip.sound.len();
    case.turn("leaning", "leaning to 45 degrees", swing::LEANING)?;
    case.turn("looking", "looking to 25 degrees", swing::LOOKING)?;
    if let Some(other) = other {
        case.dub(other)?;
    }
    if let Some(portrait) = &setting.portrait {
        case.paint(portrait)?;
    }
    case.under("pink noise", &audio::pink_noise(count))?;
    case.under("music", &audio::music(count))?;
    let (_, alone) = setting.watch(&clip.frozen(), &audio::music(count))?;
    let alone = follow::open_share(&alone);
    let figures = &mut measured.figures;
    figures.put_percent("music alone, % of frames open", alone);
    let widest = inside::measure(clip, setting, figures)?;
    measured.hard_moments.extend(widest);
    measured.languages = languages::measure(clip, setting)?;
    let lips = &measured.languages;
    if !lips.is_empty() {
        let lips = languages::Lips::mean(lips.iter().map(|(_, lips)| lips));
        let figures = &mut measured.figures;
        figures.put_percent("other languages, p b m shut, %", lips.shut);
        figures.put_percent("other languages, f v near the teeth, %", lips.teeth);
        figures.put("other languages, open vowels, px of 96", lips.wide);
        figures.put(
            "other languages, rounded narrower than spread, px of 96",
            lips.rounded,
        );
    }
    Ok(())
}

/// A clip that goes through the cases, each with a moment to look at: that in which the real mouth
/// is open widest.
struct Case<'a> {
    clip: &'a Clip,
    setting: &'a Setting,
    measured: &'a mut Measured,
}

impl Case<'_> {
    /// The clip's moving frames to another person's speech: the mouth must do what that other one's
    /// did.
    fn dub(&mut self, other: &Clip) -> Result<()> {
        let clip = self.clip;
        let count = clip.frames.len().min(other.frames.len());
        let (frames, real_mouths) = (&clip.frames[..count], &clip.mouths[..count]);
        let (dubbed, mouths) = self.setting.watch(frames, &other.sound)?;
        let times = frames.iter().map(Picture::seconds);
        let expected: Vec<f64> = times.map(|time| other.opening_at(time)).collect();
        let speech = speech(&expected, &openings(&mouths), clip.rate())?;
        let figures = &mut self.measured.figures;
        figures.put("dubbed, correlation with the other", speech.correlation);
        figures.put("dubbed, amplitude", speech.amplitude);
        figures.put("dubbed, lag, frames", speech.fine_lag);
        let mut judge = Judge::open()?;
        figures.put_judgement("dubbed", &judge.judge(&dubbed, &mouths, &other.sound)?);
        // The real frames with that speech.
        figures.put_judgement(
            "mismatched",
            &judge.judge(frames, real_mouths, &other.sound)?,
        );
        let (open, _) = moments::telling(&expected);
        let head = clip.mouths[open].head();
        let rows = [
            (&frames[open], head),
            (&dubbed[open], head),
            (&other.frames[open], other.mouths[open].head()),
        ];
        self.measured
            .hard_moments
            .push(Column::new("DUBBED", rows)?);
        Ok(())
    }

    /// A still picture of somebody else to the clip's speech, and to a steady tone.
    fn paint(&mut self, portrait: &Picture) -> Result<()> {
        let clip = self.clip;
        let frames = portrait.held(&clip.frames)?;
        let (spoken, seen) = self.setting.watch(&frames, &clip.sound)?;
        let tone = audio::steady_tone(clip.sound.len());
        let (_, toned) = self.setting.watch(&frames, &tone)?;
        let real = openings(&clip.mouths);
        let speech = speech(&real, &openings(&seen), clip.rate())?;
        let figures = &mut self.measured.figures;
        figures.put("painting, correlation", speech.correlation);
        figures.put("painting, amplitude", speech.amplitude);
        figures.put("painting, jitter, px of 96", follow::jitter(&toned));
        let (open, _) = moments::telling(&real);
        let head = seen[open].head();
        let rows = [
            (portrait, head),
            (&spoken[open], head),
            (&clip.frames[open], clip.mouths[open].head()),
        ];
        self.measured
            .hard_moments
            .push(Column::new("PAINTING", rows)?);
        Ok(())
    }

    /// The first frame throughout, its head swinging.
    fn turn(&mut self, name: &str, range: &str, swing: Swing) -> Result<()> {
        let clip = self.clip;
        let frames = swing::swung(&clip.frozen(), &clip.mouths[0], swing)?;
        let (spoken, stats) = self.setting.drive(&frames, &clip.sound)?;
        let tone = audio::steady_tone(clip.sound.len());
        let (toned, _) = self.setting.drive(&frames, &tone)?;
        // Where the mesh sees no face there is nothing to compare.
        let seen = Watcher::watch_each(&spoken)?;
        let (real, output): (Vec<_>, Vec<_>) = clip
            .mouths
            .iter()
            .zip(&seen)
            .filter_map(|(real, output)| Some((real.opening(), output.as_ref()?.opening())))
            .unzip();
        let jitter = |frames: &[Picture]| {
            let seen: Vec<Mouth> = Watcher::watch_each(frames)?.into_iter().flatten().collect();
            anyhow::Ok(follow::jitter(&seen))
        };
        let jitter = jitter(&toned)? / jitter(&frames)?.max(f64::EPSILON);
        let correlation = speech(&real, &output, clip.rate())?.correlation;
        let lost = stats.count("frames-no-face") as f64 / frames.len() as f64;
        let figures = &mut self.measured.figures;
        figures.put(&format!("{range}, correlation"), correlation);
        figures.put(
            &format!("{name}, seam"),
            surface::compare(&frames, &spoken)?.seam,
        );
        figures.put(&format!("{name}, jitter, output / input"), jitter);
        figures.put_percent(&format!("{name}, % of frames without a face"), lost);
        let (open, _) = moments::telling(&openings(&clip.mouths));
        let head = clip.mouths[0].head();
        let rows = [&frames[open], &spoken[open], &clip.frames[open]];
        let column = Column::new(name.to_uppercase(), rows.map(|picture| (picture, head)))?;
        self.measured.hard_moments.push(column);
        Ok(())
    }

    /// The first frame throughout, the true speech over something else at each of [`RATIOS`].
    fn under(&mut self, name: &str, under: &[f32]) -> Result<()> {
        let clip = self.clip;
        for (decibels, ratio) in RATIOS {
            let mixed = audio::over(&clip.sound, under, decibels);
            let (_, mouths) = self.setting.watch(&clip.frozen(), &mixed)?;
            let speech = speech(&openings(&clip.mouths), &openings(&mouths), clip.rate())?;
            let line = format!("correlation, {name} {ratio}");
            self.measured.figures.put(&line, speech.correlation);
        }
        Ok(())
    }
}
