//! The demo's pipeline: written down once, printed for the user and run as printed.

use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use gst::prelude::*;
use lipsync_tools::pipeline::{Pipeline, Stats, running_time_on};

/// Frame rate given to a still picture.
pub const STILL_RATE: usize = 25;
/// Buffers a second of audio that is cut after a number of them.
pub const CUT_RATE: usize = 50;

/// Between a file and `lipsync`, which keeps frames as they are stored otherwise.
const UPRIGHT: &str = "videoconvert ! videoflip video-direction=auto";

/// What is to be made of what.
pub struct Job {
    pub video: PathBuf,
    pub frames: Frames,
    pub audio: Audio,
    pub width: usize,
    pub height: usize,
    pub muxer: &'static str,
    pub out: PathBuf,
}

/// Where the frames come from.
pub enum Frames {
    Video,
    /// A still picture, repeated to so many frames.
    Still(usize),
    /// A video whose last frame is shown until so many are there.
    Held(usize, gst::Fraction),
    /// A video of so long so many times.
    Looped(usize, gst::ClockTime),
}

/// Where the audio comes from.
pub struct Audio {
    /// Another file than the video's.
    pub file: Option<PathBuf>,
    /// decodebin's pad, where it is not the first with audio.
    pub pad: Option<String>,
    /// It ends after so many buffers of 1 / [`CUT_RATE`] seconds.
    pub cut: Option<usize>,
    /// Whether the video has audio of its own that goes nowhere.
    pub leaves_own: bool,
}

/// How it went.
pub struct Played {
    pub stats: Stats,
    /// From the first frame to the end of the last.
    pub media: Duration,
    /// From starting the pipeline, models and all, to its end.
    pub wall: Duration,
}

/// Which reading of the files a line is.
#[derive(Clone, Copy, PartialEq)]
enum Reading {
    /// Of a video first what it shows of mouths is learned.
    Learn,
    Draw,
}

impl Job {
    /// The readings of the files, the first one first.
    fn readings(&self) -> &'static [Reading] {
        match self.frames {
            Frames::Still(_) => &[Reading::Draw],
            _ => &[Reading::Learn, Reading::Draw],
        }
    }

    /// Where what was learned of mouths lies meanwhile.
    fn mouths(&self) -> PathBuf {
        self.out.with_extension("mouths")
    }

    /// A gst-launch-1.0 line: branches of words.
    fn branches(&self, reading: Reading) -> Vec<Vec<String>> {
        let mut line = Line::default();
        match self.frames {
            Frames::Video => {
                line.file(&self.video);
                line.add(&format!(
                    "! decodebin name=input ! {UPRIGHT} ! lipsync.video_sink"
                ));
            }
            Frames::Still(frames) => {
                line.file(&self.video);
                // Converted once, then repeated.
                line.add(&format!(
                    "! decodebin name=input ! {UPRIGHT} ! video/x-raw,format=I420,colorimetry=bt709 \
                     ! imagefreeze num-buffers={frames} ! video/x-raw,framerate={STILL_RATE}/1 ! lipsync.video_sink"
                ));
            }
            Frames::Held(frames, rate) => {
                let (width, height) = (self.width, self.height);
                let (numer, denom) = (rate.numer(), rate.denom());
                // What lies beneath ends when the audio does; the video's last frame covers it.
                line.branch(&format!(
                    "videotestsrc pattern=black num-buffers={frames} \
                     ! video/x-raw,format=I420,width={width},height={height},framerate={numer}/{denom} ! hold.sink_0"
                ));
                line.file(&self.video);
                line.add("! decodebin name=input ! videoconvert ! hold.sink_1");
                line.branch("compositor name=hold sink_1::zorder=1 sink_1::repeat-after-eos=true ! lipsync.video_sink");
            }
            Frames::Looped(times, _) => {
                for name in std::iter::once("name=input").chain(vec![""; times - 1]) {
                    line.file(&self.video);
                    line.add(&format!("! decodebin {name} ! {UPRIGHT} ! loop."));
                }
                line.branch("concat name=loop ! lipsync.video_sink");
            }
        }
        line.branch("lipsyncbin name=lipsync");
        if self.readings().len() > 1 {
            let (memory, mouths) = (reading.memory(), self.mouths());
            line.add(&format!("mouth-memory={memory}"));
            line.word(format!("mouth-memory-file={}", mouths.display()));
        }
        if reading == Reading::Learn {
            line.add("! fakesink sync=false");
            self.hear(&mut line);
            line.branch("lipsync.audio_src ! fakesink sync=false");
            return line.0;
        }
        // H.264 in 4:2:0 has even sizes only.
        let (right, bottom) = (self.width % 2, self.height % 2);
        if right + bottom > 0 {
            line.add(&format!("! videocrop right={right} bottom={bottom}"));
        }
        let (encoder, muxer) = (video_encoder(), self.muxer);
        line.add(&format!(
            "! videoconvert ! video/x-raw,format=I420 ! {encoder} ! h264parse ! {muxer} name=mux ! filesink"
        ));
        line.location(&self.out);
        self.hear(&mut line);
        line.branch(&format!(
            "lipsync.audio_src ! audioconvert ! audioresample ! audio/x-raw,rate=48000 ! {} ! aacparse ! mux.",
            audio_encoder()
        ));
        line.0
    }

    /// From the file with the words to `lipsync`.
    fn hear(&self, line: &mut Line) {
        let decoder = match &self.audio.file {
            Some(file) => {
                line.file(file);
                line.add("! decodebin name=speech");
                "speech"
            }
            None => "input",
        };
        let pad = self.audio.pad.as_deref().unwrap_or_default();
        line.branch(&format!("{decoder}.{pad} ! audioconvert ! audioresample !"));
        if let Some(buffers) = self.audio.cut {
            line.add(&format!(
                "audiobuffersplit output-buffer-duration=1/{CUT_RATE} ! identity eos-after={buffers} !"
            ));
        }
        line.add("lipsync.audio_sink");
        if self.audio.leaves_own {
            line.branch("input. ! audio/x-raw ! fakesink sync=false async=false");
        }
    }

    /// The lines as a person types them.
    pub fn lines(&self) -> String {
        let words = |branch: &Vec<String>| {
            let words: Vec<_> = branch.iter().map(|word| quoted(word)).collect();
            format!(" \\\n  {}", words.join(" "))
        };
        let line = |reading: &Reading| {
            let branches = self.branches(*reading);
            String::from("gst-launch-1.0") + &branches.iter().map(words).collect::<String>()
        };
        let lines: Vec<_> = self.readings().iter().map(line).collect();
        lines.join("\n")
    }

    /// Runs the lines to their end. How the last one went.
    pub fn run(&self) -> Result<Played> {
        let start = Instant::now();
        let mut readings = self.readings().iter();
        let played = readings.try_fold(None, |_, reading| self.read(*reading).map(Some));
        // Where nothing was learned there is none.
        let _ = std::fs::remove_file(self.mouths());
        let mut played = played?.context("the files are read once at least")?;
        played.wall = start.elapsed();
        Ok(played)
    }

    fn read(&self, reading: Reading) -> Result<Played> {
        let words = self.branches(reading).concat();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let pipeline = Pipeline::parse_words(&words)?;
        let lipsync: gst::Element = pipeline.element("lipsync")?;
        let seen = Seen::at(&pipeline.pad("lipsync", "video_src")?);
        let mut progress = Progress::default();

        let start = Instant::now();
        pipeline.play()?;
        let look = || {
            progress.show(seen.length(), self.length(&pipeline));
            Ok(())
        };
        pipeline.wait(|_| Ok(()), look)?;
        progress.end();
        Ok(Played {
            wall: start.elapsed(),
            stats: Stats::of(&lipsync),
            media: seen.length(),
        })
    }

    /// How long the result will be, where that is known.
    fn length(&self, pipeline: &gst::Pipeline) -> Option<Duration> {
        match self.frames {
            Frames::Still(frames) => {
                Some(Duration::from_secs_f64(frames as f64 / STILL_RATE as f64))
            }
            Frames::Looped(times, period) => Some((period * times as u64).into()),
            _ => pipeline.query_duration::<gst::ClockTime>().map(Into::into),
        }
    }
}

impl Reading {
    /// Value of `mouth-memory`.
    fn memory(self) -> &'static str {
        match self {
            Self::Learn => "learn",
            Self::Draw => "clip",
        }
    }
}

/// First and last running time that came out of a pad.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Option<(gst::ClockTime, gst::ClockTime)>>>);

impl Seen {
    fn at(pad: &gst::Pad) -> Self {
        let seen = Self::default();
        let shared = seen.clone();
        pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            if let Some(buffer) = info.buffer()
                && let Some(start) = running_time_on(pad, buffer)
            {
                let end = start + buffer.duration().unwrap_or_default();
                let mut seen = shared.lock();
                *seen = Some((seen.map_or(start, |(first, _)| first), end));
            }
            gst::PadProbeReturn::Ok
        });
        seen
    }

    fn lock(&self) -> MutexGuard<'_, Option<(gst::ClockTime, gst::ClockTime)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn length(&self) -> Duration {
        let length = self.lock().map(|(first, last)| last.saturating_sub(first));
        length.unwrap_or_default().into()
    }
}

/// One line that is written over on a terminal, one a quarter elsewhere.
#[derive(Default)]
struct Progress {
    shown: Option<u32>,
}

impl Progress {
    fn show(&mut self, done: Duration, of: Option<Duration>) {
        let Some(of) = of.filter(|of| !of.is_zero()) else {
            return;
        };
        let (done, of) = (done.as_secs_f64(), of.as_secs_f64());
        let percent = (done / of * 100.0).min(100.0) as u32;
        if std::io::stdout().is_terminal() {
            print!("\r{percent:3} %  {done:.1} of {of:.1} s");
            // A progress line that cannot be shown is no reason to stop.
            let _ = std::io::stdout().flush();
        } else if self.shown.is_none_or(|shown| percent / 25 > shown / 25) {
            println!("{percent:3} %  {done:.1} of {of:.1} s");
        } else {
            return;
        }
        self.shown = Some(percent);
    }

    fn end(&self) {
        if self.shown.is_some() && std::io::stdout().is_terminal() {
            println!();
        }
    }
}

fn video_encoder() -> &'static str {
    match gst::ElementFactory::find("x264enc") {
        Some(_) => "x264enc pass=qual quantizer=20 speed-preset=veryfast",
        None => "openh264enc bitrate=6000000 rate-control=bitrate",
    }
}

fn audio_encoder() -> &'static str {
    match gst::ElementFactory::find("avenc_aac") {
        Some(_) => "avenc_aac bitrate=128000",
        None => "voaacenc bitrate=128000",
    }
}

#[derive(Default)]
struct Line(Vec<Vec<String>>);

impl Line {
    /// Begins a branch.
    fn branch(&mut self, words: &str) {
        self.0.push(Vec::new());
        self.add(words);
    }

    /// Adds words to the branch begun last.
    fn add(&mut self, words: &str) {
        if let Some(branch) = self.0.last_mut() {
            branch.extend(words.split_whitespace().map(str::to_owned));
        }
    }

    /// Begins a branch with a source that reads a file.
    fn file(&mut self, path: &Path) {
        self.branch("filesrc");
        self.location(path);
    }

    /// A file, whose name may have blanks.
    fn location(&mut self, path: &Path) {
        self.word(format!("location={}", path.display()));
    }

    /// A word that may have blanks.
    fn word(&mut self, word: String) {
        if let Some(branch) = self.0.last_mut() {
            branch.push(word);
        }
    }
}

/// A word for a POSIX shell.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "!=./,-_+:".contains(c);
    if word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn still() -> Job {
        gst::init().unwrap();
        Job {
            video: "a painting.jpg".into(),
            frames: Frames::Still(50),
            audio: Audio {
                file: Some("words.wav".into()),
                pad: None,
                cut: None,
                leaves_own: false,
            },
            width: 892,
            height: 1103,
            muxer: "mp4mux",
            out: "out.mp4".into(),
        }
    }

    #[test]
    fn the_line_is_one_command_that_a_shell_understands() {
        let line = still().lines();
        assert!(line.contains("lipsyncbin name=lipsync ! videocrop right=0 bottom=1 !"));
        assert!(line.contains("'location=a painting.jpg'"));
        assert!(line.contains("imagefreeze num-buffers=50"));
        assert!(line.lines().rev().skip(1).all(|line| line.ends_with('\\')));

        // A video of even size with its own audio is neither cropped nor frozen.
        let mut job = still();
        (job.audio.file, job.frames, job.height) = (None, Frames::Video, 1104);
        let line = job.lines();
        assert!(!line.contains("videocrop") && !line.contains("imagefreeze"));
        assert!(line.contains("input. ! audioconvert"));
    }

    #[test]
    fn a_video_is_read_twice_and_a_picture_once() {
        let mut job = still();
        assert!(!job.lines().contains("mouth-memory"));
        (job.frames, job.out) = (Frames::Video, "the demo.mp4".into());
        let lines = job.lines();
        let lines: Vec<&str> = lines.split("gst-launch-1.0").skip(1).collect();
        let [learns, draws] = *lines else {
            panic!("{lines:?}");
        };
        let file = "'mouth-memory-file=the demo.mouths'";
        assert!(
            learns.contains("mouth-memory=learn") && learns.contains(file),
            "{learns}"
        );
        assert!(
            !learns.contains("mux") && learns.contains("! lipsync.audio_sink"),
            "{learns}"
        );
        assert!(
            draws.contains("mouth-memory=clip") && draws.contains(file),
            "{draws}"
        );
    }

    #[test]
    fn a_video_is_held_or_repeated_and_its_own_audio_put_aside() {
        let mut job = still();
        (job.audio.pad, job.audio.leaves_own) = (Some("src_2".into()), true);
        job.frames = Frames::Looped(3, gst::ClockTime::SECOND);
        let looped = job.lines();
        assert_eq!(looped.matches("'location=a painting.jpg'").count(), 2 * 3);
        assert_eq!(looped.matches("name=input").count(), 2);
        assert!(looped.contains("speech.src_2 ! audioconvert"), "{looped}");
        assert!(looped.contains("input. ! audio/x-raw ! fakesink"));
        job.frames = Frames::Held(99, gst::Fraction::new(30, 1));
        let held = job.lines();
        assert!(held.contains("num-buffers=99"), "{held}");
        assert!(held.contains("width=892,height=1103,framerate=30/1 !"));
    }
}
