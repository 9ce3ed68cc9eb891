//! The figures of one clip: what the contract's table wants, and what else can be seen on the way.

use anyhow::{Result, bail};
use lipsync_tools::{
    drive::{Drive, Driven},
    faces::{Mouth, Watcher},
    judge::{Judge, Judgement},
    picture::Picture,
    stats::Stats,
};

use crate::{
    Setting,
    clip::Clip,
    extra::Extra,
    follow::{self, Speech, speech},
    sounds, strip, surface,
};

/// Everything that one clip shows.
pub struct Figures {
    /// First frame frozen.
    pub frozen: Speech,
    /// Frames that say other words.
    pub shifted: Speech,
    /// First frame frozen, talkers under the voice.
    pub talkers: Speech,
    /// What the judge of sync says of the real clip, and of the first two drives.
    pub judged: Judged,
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
    /// Both networks and the spectrum they hear, milliseconds a frame on one core, with nothing
    /// else running. Measured on one clip a person, as is what follows.
    pub networks: Option<f64>,
    pub extra: Option<Extra>,
    pub trace: Trace,
}

#[derive(Clone, Copy)]
pub struct Judged {
    pub real: Judgement,
    pub frozen: Judgement,
    pub shifted: Judgement,
}

/// Openings over time, for plots.
pub struct Trace {
    pub rate: f64,
    pub real: Vec<f64>,
    pub frozen: Vec<f64>,
    pub shifted: Vec<f64>,
    /// Pictures of telling moments.
    pub strip: image::RgbImage,
}

impl Figures {
    pub fn line(&self) -> String {
        format!(
            "frozen {:.2} lag {:+} amplitude {:.2} landmarks {:.2} | shifted {:.2} lag {:+} amplitude {:.2} | \
             silence {:.0} % room {:.0} % talkers {:.2} sharp {:.2}",
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
        )
    }
}

pub fn measure(clip: &Clip, setting: &Setting) -> Result<Figures> {
    let run = |frames: &[Picture], sound: &[f32]| drive(frames, sound, setting);
    let length = clip.sound.len();

    let (still, _) = run(&clip.frozen(), &clip.sound)?;
    let frozen_mouths = Watcher::watch_all(&still)?;

    let scrambled = clip.shifted();
    let (moving, _) = run(&scrambled, &clip.sound)?;
    let moving_mouths = Watcher::watch_all(&moving)?;
    let surface = surface::compare(&scrambled, &moving)?;

    let (silent, _) = run(&clip.frames, &sounds::silence(length))?;
    let (room, _) = run(&clip.frames, &sounds::room_tone(length))?;
    let (crowded, _) = run(&clip.frozen(), &sounds::among_talkers(&clip.sound))?;
    let (toned, _) = run(&clip.frozen(), &sounds::steady_tone(length))?;

    let real = follow::openings(&clip.mouths);
    let watched = |frames: &[Picture]| anyhow::Ok(follow::openings(&Watcher::watch_all(frames)?));
    let frozen = follow::openings(&frozen_mouths);
    let shifted = follow::openings(&moving_mouths);
    let mut judge = Judge::open()?;
    let mut judged =
        |frames: &[Picture], mouths: &[Mouth]| judge.judge(frames, mouths, &clip.sound);
    let strip = strip::draw(clip, &still, &scrambled, &moving, &silent)?;
    Ok(Figures {
        frozen: speech(&real, &frozen, clip.rate())?,
        shifted: speech(&real, &shifted, clip.rate())?,
        talkers: speech(&real, &watched(&crowded)?, clip.rate())?,
        judged: Judged {
            real: judged(&clip.frames, &clip.mouths)?,
            frozen: judged(&still, &frozen_mouths)?,
            shifted: judged(&moving, &moving_mouths)?,
        },
        landmarks: follow::landmark_distance(&clip.mouths, &frozen_mouths),
        silence: follow::open_share(&Watcher::watch_all(&silent)?),
        room: follow::open_share(&Watcher::watch_all(&room)?),
        outside: surface.outside,
        sharpness: surface.sharpness,
        seam: surface.seam,
        jitter: follow::jitter(&Watcher::watch_all(&toned)?),
        tracker_jitter: follow::jitter(&Watcher::watch_all(&clip.frozen_with_noise()?)?),
        networks: None,
        extra: None,
        trace: Trace {
            rate: clip.rate(),
            real,
            frozen,
            shifted,
            strip,
        },
    })
}

/// Milliseconds a frame of both networks and the spectrum they hear, on one core.
pub fn cost(clip: &Clip, setting: &Setting) -> Result<f64> {
    let (_, stats) = drive(&clip.frozen(), &clip.sound, setting)?;
    Ok(stats.milliseconds("features", "p50") + stats.milliseconds("infer", "p50"))
}

/// The frames as the element gives them back.
pub fn drive(
    frames: &[Picture],
    sound: &[f32],
    setting: &Setting,
) -> Result<(Vec<Picture>, Stats)> {
    let mut properties = vec![("intra-threads", "1".to_owned())];
    if let Some(model) = &setting.model {
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
