//! What the demo makes of the files it is given, and what it says about that.

use std::path::Path;

use anyhow::{Context, Result, bail};
use gst_lipsync::{
    input::{Input, Kind, Stream},
    output::is_same,
};
use lipsync_tools::media;

use crate::{
    Arguments,
    launch::{Audio, CUT_RATE, Frames, Job, STILL_RATE},
};

/// What to do where the audio is longer than the video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LongerAudio {
    /// Cut the audio
    Shorten,
    /// Show the last frame until the audio ends
    Hold,
    /// Repeat the video
    Loop,
}

/// What one may be longer than the other without a word: less than anybody notices.
const ALIKE: gst::ClockTime = gst::ClockTime::from_mseconds(200);
/// Frame rate of a held video that has none of its own.
const USUAL_RATE: i32 = 25;
/// Each repetition is a decoder of its own.
const MOST_LOOPS: u64 = 100;
/// Muxers by the extension of their files.
const MUXERS: [(&str, &str); 6] = [
    ("mp4", "mp4mux"),
    ("m4v", "mp4mux"),
    ("mov", "qtmux"),
    ("mkv", "matroskamux"),
    ("ts", "mpegtsmux"),
    ("mts", "mpegtsmux"),
];

/// What to make of the files. Prints what the user should know of it.
///
/// # Errors
/// What is wrong with the files or the choices, in words.
pub fn job(arguments: &Arguments) -> Result<Job> {
    let out = &arguments.out;
    let muxer = muxer(out)?;
    let video = read(&arguments.video)?;
    let path = video.path.display();
    let Some(stream) = video.of(Kind::Video).next() else {
        bail!(
            "{path} has no video, only audio: give it with --audio, and a still picture or a video with --video"
        );
    };
    let found = media::video(&video.path)?;
    let count = |kind| video.of(kind).count();
    if count(Kind::Video) > 1 {
        note(&format!("uses video track 1 of {}", count(Kind::Video)));
    }
    if count(Kind::Subtitles) > 0 {
        note("subtitles are not carried over");
    }

    // The file with the words, where they are not the video's own.
    let has_audio = count(Kind::Audio) > 0;
    let default = (!has_audio).then_some(&arguments.speech);
    let file = arguments.audio.as_ref().or(default);
    let speech = file.map(|file| read(file)).transpose()?;
    for input in speech.iter().chain([&video]) {
        if is_same(&input.path, out) {
            bail!("--out {} is one of the files to read", out.display());
        }
    }
    let (track, pad) = track(speech.as_ref().unwrap_or(&video), arguments.audio_track)?;

    let (mut frames, mut cut) = (Frames::Video, None);
    let longer = track.end.seconds_f64() - stream.end.seconds_f64();
    let said = format!("the audio is {longer:.1} s longer than the video");
    if found.still {
        frames = Frames::Still(units(track.end, STILL_RATE));
    } else if stream.end > track.end + ALIKE {
        let longer = -longer;
        note(&format!(
            "the video is {longer:.1} s longer than the audio: mouths are shut from there on"
        ));
    } else if track.end > stream.end + ALIKE {
        match arguments.longer_audio {
            None | Some(LongerAudio::Shorten) => {
                cut = Some(units(stream.end, CUT_RATE));
                note(&format!(
                    "{said} and is cut there; --longer-audio hold keeps the last frame, loop repeats the video"
                ));
            }
            Some(LongerAudio::Hold) => {
                frames = held(track.end, found.rate);
                note(&format!("{said}; the last frame is held"));
            }
            Some(LongerAudio::Loop) => {
                let times = track.end.nseconds().div_ceil(stream.end.nseconds().max(1));
                if times > MOST_LOOPS {
                    bail!(
                        "{said}, which would repeat it {times} times, {MOST_LOOPS} at most: \
                         give a longer video, or hold its last frame"
                    );
                }
                frames = Frames::Looped(times as usize, stream.end);
                note(&format!("{said}, which runs {times} times"));
            }
        }
    }
    Ok(Job {
        frames,
        audio: Audio {
            file: file.cloned(),
            pad,
            cut,
            leaves_own: file.is_some() && has_audio,
        },
        video: video.path,
        width: found.width,
        height: found.height,
        muxer,
        out: out.clone(),
    })
}

/// Says what the user should know.
pub fn note(text: &str) {
    println!("demo: {text}");
}

fn read(path: &Path) -> Result<Input> {
    let input = Input::read(path)?;
    if let Some(damage) = &input.damage {
        note(&format!("{} is not whole: {damage}", path.display()));
    }
    Ok(input)
}

/// The audio track to use, and decodebin's pad for it where it is not the first.
fn track(input: &Input, chosen: Option<usize>) -> Result<(&Stream, Option<String>)> {
    let tracks: Vec<&Stream> = input.of(Kind::Audio).collect();
    let (path, count, number) = (input.path.display(), tracks.len(), chosen.unwrap_or(1));
    if tracks.is_empty() {
        bail!("{path} has no audio");
    }
    let Some(track) = number.checked_sub(1).and_then(|index| tracks.get(index)) else {
        bail!("there is no audio track {number} in {path}, which has {count}");
    };
    if count > 1 {
        let language = track.language.as_ref().map(|code| format!(" ({code})"));
        let language = language.unwrap_or_default();
        note(&format!(
            "uses audio track {number} of {count}{language} of {path}; --audio-track takes another"
        ));
    }
    if track.end.is_zero() {
        bail!("the audio of {path} is empty");
    }
    // decodebin numbers its pads, those with video first.
    let before = input.of(Kind::Video).count();
    let pad = (number > 1).then(|| format!("src_{}", before + number - 1));
    Ok((track, pad))
}

fn held(length: gst::ClockTime, rate: gst::Fraction) -> Frames {
    let rate = match rate.numer() {
        0 => gst::Fraction::new(USUAL_RATE, 1),
        _ => rate,
    };
    let frames = length.seconds_f64() * f64::from(rate.numer()) / f64::from(rate.denom());
    Frames::Held(frames.ceil() as usize, rate)
}

/// So many units, `rate` of which are a second, are not shorter than `length`.
fn units(length: gst::ClockTime, rate: usize) -> usize {
    (length.seconds_f64() * rate as f64 - 1e-6).ceil() as usize
}

fn muxer(out: &Path) -> Result<&'static str> {
    let extension = out.extension().map(|end| end.to_ascii_lowercase());
    let is_it = |(known, _): &(&str, _)| extension.as_deref().is_some_and(|end| end == *known);
    let muxer = MUXERS.into_iter().find(is_it).map(|(_, muxer)| muxer);
    muxer.with_context(|| {
        let known = MUXERS
            .map(|(extension, _)| format!(".{extension}"))
            .join(" ");
        let out = out.display();
        format!("--out {out}: files of this name are not written, only {known}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_chooses_the_muxer() {
        assert_eq!(muxer(Path::new("a/b.MKV")).unwrap(), "matroskamux");
        assert_eq!(muxer(Path::new("b.mp4")).unwrap(), "mp4mux");
        for unknown in ["b.avi", "b", ".mp4", "mp4"] {
            let refused = muxer(Path::new(unknown)).unwrap_err().to_string();
            assert!(refused.contains(".mp4 .m4v .mov .mkv"), "{refused}");
        }
    }

    #[test]
    fn lengths_are_rounded_up_to_whole_units() {
        assert_eq!(units(gst::ClockTime::from_mseconds(1000), 50), 50);
        assert_eq!(units(gst::ClockTime::from_mseconds(1001), 50), 51);
        for (rate, expected) in [((30_000, 1001), (30, 30_000)), ((0, 1), (26, USUAL_RATE))] {
            let rate = gst::Fraction::new(rate.0, rate.1);
            let Frames::Held(frames, rate) = held(gst::ClockTime::from_mseconds(1001), rate) else {
                panic!("held");
            };
            assert_eq!((frames, rate.numer()), expected);
        }
    }
}
