//! What is harder than the contract's table: other people's sound, paintings, turning heads, noise
//! and music, other languages. Each protocol is a function; one clip a person goes through them.

use anyhow::Result;
use lipsync_tools::{
    faces::{Mouth, Watcher},
    judge::{Judge, Judgement},
    picture::Picture,
    sheet::Column,
};

use crate::{
    Setting,
    clip::Clip,
    figures::drive,
    follow::{self, Speech, speech},
    languages::{self, Lips},
    sounds, strip, surface,
    turn::{self, Swing},
};

/// Ratios of voice and what lies under it, in decibels.
pub const RATIOS: [f32; 3] = [20.0, 10.0, 0.0];

pub struct Extra {
    /// To another person's sound; missing where there is no other person.
    pub dubbed: Option<Shown<Dubbed>>,
    /// A painting to this person's sound.
    pub portrait: Option<Shown<Portrait>>,
    pub leaning: Shown<Turned>,
    pub looking: Shown<Turned>,
    /// Correlations with pink noise under the voice, for each of [`RATIOS`].
    pub noise: [f64; 3],
    /// The same with music.
    pub music: [f64; 3],
    /// Share of frames with an open mouth, in music without a voice.
    pub music_alone: f64,
    /// Synthetic voices, by language.
    pub languages: Vec<(String, Lips)>,
}

/// Figures with a moment to look at: that in which the real mouth is open widest.
pub struct Shown<T> {
    pub figures: T,
    pub moment: Column,
}

pub struct Dubbed {
    /// With the real opening of the person whose sound it is.
    pub speech: Speech,
    pub judged: Judgement,
    /// What the judge says before: of the picture as it was and that sound.
    pub mismatched: Judgement,
}

pub struct Portrait {
    pub speech: Speech,
    /// As of a person's still picture, in canonical pixels.
    pub jitter: f64,
}

/// A head that turns while it speaks.
pub struct Turned {
    pub correlation: f64,
    pub seam: f64,
    /// Movement of the lips from frame to frame in a steady tone, output / input.
    pub jitter: f64,
    /// Share of frames that the element let pass because it saw no face.
    pub lost: f64,
}

impl Extra {
    pub fn moments(&self) -> Vec<&Column> {
        let moments = [
            Some(&self.leaning.moment),
            Some(&self.looking.moment),
            self.dubbed.as_ref().map(|shown| &shown.moment),
            self.portrait.as_ref().map(|shown| &shown.moment),
        ];
        moments.into_iter().flatten().collect()
    }
}

pub fn measure(clip: &Clip, other: Option<&Clip>, setting: &Setting) -> Result<Extra> {
    let count = clip.sound.len();
    let (alone, _) = drive(&clip.frozen(), &sounds::music(count), setting)?;
    let portrait = setting.portrait.as_ref();
    Ok(Extra {
        dubbed: other.map(|other| dub(clip, other, setting)).transpose()?,
        portrait: portrait.map(|it| paint(clip, it, setting)).transpose()?,
        leaning: turn("LEANING", clip, turn::LEANING, setting)?,
        looking: turn("LOOKING", clip, turn::LOOKING, setting)?,
        noise: under(clip, &sounds::pink_noise(count), setting)?,
        music: under(clip, &sounds::music(count), setting)?,
        music_alone: follow::open_share(&Watcher::watch_all(&alone)?),
        languages: languages::measure(clip, setting)?,
    })
}

/// The clip's moving picture to another person's sound: the mouth must do what that other one's did.
fn dub(clip: &Clip, other: &Clip, setting: &Setting) -> Result<Shown<Dubbed>> {
    let frames = &clip.frames[..clip.frames.len().min(other.frames.len())];
    let (dubbed, _) = drive(frames, &other.sound, setting)?;
    let mouths = Watcher::watch_all(&dubbed)?;
    let output = follow::openings(&mouths);
    let wanted: Vec<f64> = frames
        .iter()
        .map(|frame| other.opening_at(frame.seconds()))
        .collect();
    let (open, _) = strip::moments(&wanted);
    let rows = [
        (&frames[open], clip.mouths[open].head()),
        (&dubbed[open], clip.mouths[open].head()),
        (&other.frames[open], other.mouths[open].head()),
    ];
    let mut judge = Judge::open()?;
    Ok(Shown {
        figures: Dubbed {
            speech: speech(&wanted, &output, clip.rate())?,
            judged: judge.judge(&dubbed, &mouths, &other.sound)?,
            mismatched: judge.judge(frames, &clip.mouths[..frames.len()], &other.sound)?,
        },
        moment: strip::column("DUBBED", rows)?,
    })
}

/// A still picture of somebody else to the clip's sound, and to a steady tone.
fn paint(clip: &Clip, portrait: &Picture, setting: &Setting) -> Result<Shown<Portrait>> {
    let frames = portrait.held(&clip.frames)?;
    let (spoken, _) = drive(&frames, &clip.sound, setting)?;
    let seen = Watcher::watch_all(&spoken)?;
    let (toned, _) = drive(&frames, &sounds::steady_tone(clip.sound.len()), setting)?;
    let (real, output) = (follow::openings(&clip.mouths), follow::openings(&seen));
    let (open, _) = strip::moments(&real);
    let rows = [
        (portrait, seen[open].head()),
        (&spoken[open], seen[open].head()),
        (&clip.frames[open], clip.mouths[open].head()),
    ];
    Ok(Shown {
        figures: Portrait {
            speech: speech(&real, &output, clip.rate())?,
            jitter: follow::jitter(&Watcher::watch_all(&toned)?),
        },
        moment: strip::column("PAINTING", rows)?,
    })
}

/// The first frame throughout, its head swinging.
fn turn(caption: &str, clip: &Clip, swing: Swing, setting: &Setting) -> Result<Shown<Turned>> {
    let frames = turn::swung(&clip.frozen(), &clip.mouths[0], swing)?;
    let (spoken, stats) = drive(&frames, &clip.sound, setting)?;
    let (toned, _) = drive(&frames, &sounds::steady_tone(clip.sound.len()), setting)?;
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
    let (open, _) = strip::moments(&follow::openings(&clip.mouths));
    let head = clip.mouths[0].head();
    let rows = [&frames[open], &spoken[open], &clip.frames[open]];
    Ok(Shown {
        figures: Turned {
            correlation: speech(&real, &output, clip.rate())?.correlation,
            seam: surface::compare(&frames, &spoken)?.seam,
            jitter: jitter(&toned)? / jitter(&frames)?.max(f64::EPSILON),
            lost: stats.count("frames-no-face") as f64 / frames.len() as f64,
        },
        moment: strip::column(caption, rows.map(|picture| (picture, head)))?,
    })
}

/// The first frame throughout, the true sound over something else at each of [`RATIOS`].
fn under(clip: &Clip, under: &[f32], setting: &Setting) -> Result<[f64; 3]> {
    let real = follow::openings(&clip.mouths);
    let mut correlations = [0.0; RATIOS.len()];
    for (correlation, decibels) in correlations.iter_mut().zip(RATIOS) {
        let sound = sounds::over(&clip.sound, under, decibels);
        let (frames, _) = drive(&clip.frozen(), &sound, setting)?;
        let output = follow::openings(&Watcher::watch_all(&frames)?);
        *correlation = speech(&real, &output, clip.rate())?.correlation;
    }
    Ok(correlations)
}
