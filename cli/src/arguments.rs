//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueHint};

use crate::{codec::VideoCodec, generate::Generated, serve};

const EXAMPLES: &str = "\
Examples:
  gst-lipsync-1.0 interview.mp4 --audio german.wav -o interview.de.mp4
  gst-lipsync-1.0 painting.jpg --audio speech.wav -o painting.mp4 --report painting.html
  gst-lipsync-1.0 interview.mp4 --audio german.wav --preview
  gst-lipsync-1.0 --list jobs.tsv --jobs 4
  gst-lipsync-1.0 serve --input test

Notes on standard error name all that the output lacks of the input.";

/// Redraws the mouths of a video to match its speech, or another file's
#[derive(Clone, Debug, Parser)]
#[command(name = "gst-lipsync-1.0", bin_name = "gst-lipsync-1.0", version, after_help = EXAMPLES,
    args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, disable_help_subcommand = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Video or still picture with the faces
    #[arg(required_unless_present_any = ["list", "generate"], value_hint = ValueHint::FilePath)]
    pub video: Option<PathBuf>,
    /// File with the speech; it replaces the audio track that the video has [default: the video's own]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub audio: Option<PathBuf>,
    /// Which of that file's audio tracks, counted from 1
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub audio_track: usize,
    /// File to write: .mp4 .m4v .mov .mkv .webm .ts
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath,
        required_unless_present_any = ["list", "preview", "generate"])]
    pub output: Option<PathBuf>,
    /// Overwrite the output where it exists
    #[arg(short, long)]
    pub force: bool,

    /// Begin here: seconds, M:SS or H:MM:SS
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub start: Option<gst::ClockTime>,
    /// End here
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub end: Option<gst::ClockTime>,

    /// Manifest, folder or .onnx of another model than the built-in one
    #[arg(short, long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub model: Option<PathBuf>,
    /// 0 is the original mouth, 1 as the model draws it, 2 exaggerated
    #[arg(short, long, value_name = "0..2")]
    pub strength: Option<f64>,
    /// How many faces speak at once, the largest first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=16))]
    pub faces: Option<u32>,
    /// Read a video twice: teeth and tongues are then those that its people show anywhere in it; 1 takes
    /// half the time, and shows them once they have been seen [default: 2, with other models than the built-in one 1]
    #[arg(long, value_name = "1|2", value_parser = clap::value_parser!(u8).range(1..=2))]
    pub passes: Option<u8>,
    /// Another property of the element lipsync, as gst-inspect-1.0 lists them; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = property)]
    pub set: Vec<(String, String)>,

    /// How the video is encoded [default: h264, h265 above 8 bits, vp9 in .webm]
    #[arg(long, value_name = "CODEC")]
    pub video_codec: Option<VideoCodec>,
    /// Quality: lower is better and larger; 18 is hard to tell from the original for h264
    #[arg(long, value_name = "N")]
    pub crf: Option<u32>,

    /// Play the result in a window instead of writing it
    #[arg(long, conflicts_with_all = ["output", "list", "compare", "report"])]
    pub preview: bool,
    /// Also write a video with input and output side by side
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub compare: Option<PathBuf>,
    /// Also write a report: .json, or .html with a contact sheet
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub report: Option<PathBuf>,
    /// No progress bar
    #[arg(short, long)]
    pub quiet: bool,

    /// Do the jobs of a table instead: one a line, tabs between columns, in the first line the names
    /// of the columns: video, and options without their dashes
    #[arg(long, value_name = "TSV", value_hint = ValueHint::FilePath, conflicts_with_all = ["video", "output"])]
    pub list: Option<PathBuf>,
    /// How many jobs of the list run at once
    #[arg(long, value_name = "N", requires = "list", default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub jobs: u32,
    /// Only this job of the list, counted from 0; without N the one that SLURM_ARRAY_TASK_ID or
    /// JOB_COMPLETION_INDEX names
    #[arg(long, value_name = "N", requires = "list", num_args = 0..=1, conflicts_with = "jobs")]
    pub index: Option<Option<usize>>,
    /// End when the process that started this one ends
    #[arg(long)]
    pub die_with_parent: bool,

    /// Print the manual page, or completions for a shell
    #[arg(long, value_name = "WHAT", hide = true)]
    pub generate: Option<Generated>,
}

/// What else there is to do than files.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    Serve(serve::Options),
}

/// Seconds, minutes and seconds, or hours, minutes and seconds.
fn time(text: &str) -> Result<gst::ClockTime, String> {
    let seconds = text.split(':').try_fold(0.0, |sum, part| {
        let part: f64 = part.parse().ok().filter(|part| *part >= 0.0)?;
        Some(sum * 60.0 + part)
    });
    seconds
        .filter(|_| text.split(':').count() <= 3)
        .and_then(|seconds| gst::ClockTime::try_from_seconds_f64(seconds).ok())
        .ok_or_else(|| "expected seconds, M:SS or H:MM:SS, as in 75.5 or 1:15.5".to_owned())
}

pub fn property(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn times_are_seconds_or_have_colons() {
        for (text, milliseconds) in [
            ("75.5", 75_500),
            ("1:15.5", 75_500),
            ("0:01:15.5", 75_500),
            ("0", 0),
        ] {
            assert_eq!(time(text).unwrap().mseconds(), milliseconds);
        }
        for text in ["", "x", "-1", "1:2:3:4", "1:", "inf", "nan"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
