//! The demo's pipeline: written down once, printed for the user and run as printed.

use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use gst::prelude::*;
use lipsync_tools::{drive, media, stats::Stats};

/// Frame rate given to a still picture.
pub const STILL_RATE: usize = 25;
/// Buffers a second of audio that is cut after a number of them.
pub const CUT_RATE: usize = 50;

/// What a branch of the line begins with.
const BRANCHES: [&str; 8] = [
    "filesrc",
    "videotestsrc",
    "compositor",
    "concat",
    "input.",
    "speech.",
    "lipsyncbin",
    "lipsync.audio_src",
];
/// Time between two looks at the pipeline.
const POLL: gst::ClockTime = gst::ClockTime::from_mseconds(250);

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

impl Job {
    /// The words of the gst-launch-1.0 line.
    fn words(&self) -> Vec<String> {
        let mut words = Words::default();
        match self.frames {
            Frames::Video => {
                words.file(&self.video);
                words.add("! decodebin name=input ! videoconvert ! videoflip video-direction=auto ! lipsync.video_sink");
            }
            Frames::Still(frames) => {
                words.file(&self.video);
                // Converted once, then repeated.
                words.add(&format!(
                    "! decodebin name=input ! videoconvert ! videoflip video-direction=auto \
                     ! video/x-raw,format=I420,colorimetry=bt709 \
                     ! imagefreeze num-buffers={frames} ! video/x-raw,framerate={STILL_RATE}/1 ! lipsync.video_sink"
                ));
            }
            Frames::Held(frames, rate) => {
                let (width, height) = (self.width, self.height);
                let rate = format!("{}/{}", rate.numer(), rate.denom());
                // What lies beneath ends when the audio does; the video's last frame covers it.
                words.add(&format!(
                    "videotestsrc pattern=black num-buffers={frames} \
                     ! video/x-raw,format=I420,width={width},height={height},framerate={rate} ! hold.sink_0"
                ));
                words.file(&self.video);
                words.add("! decodebin name=input ! videoconvert ! hold.sink_1");
                words.add(
                    "compositor name=hold sink_1::zorder=1 sink_1::repeat-after-eos=true ! lipsync.video_sink",
                );
            }
            Frames::Looped(times, _) => {
                for time in 0..times {
                    words.file(&self.video);
                    words.add(match time {
                        0 => "! decodebin name=input ! videoconvert ! videoflip video-direction=auto ! loop.",
                        _ => "! decodebin ! videoconvert ! videoflip video-direction=auto ! loop.",
                    });
                }
                words.add("concat name=loop ! lipsync.video_sink");
            }
        }
        words.add("lipsyncbin name=lipsync");
        // H.264 in 4:2:0 has even sizes only.
        let (right, bottom) = (self.width % 2, self.height % 2);
        if right + bottom > 0 {
            words.add(&format!("! videocrop right={right} bottom={bottom}"));
        }
        words.add("! videoconvert ! video/x-raw,format=I420 !");
        words.add(video_encoder());
        words.add(&format!("! h264parse ! {} name=mux ! filesink", self.muxer));
        words.location(&self.out);

        let decoder = match &self.audio.file {
            Some(file) => {
                words.file(file);
                words.add("! decodebin name=speech");
                "speech"
            }
            None => "input",
        };
        words.add(&format!(
            "{decoder}.{}",
            self.audio.pad.as_deref().unwrap_or_default()
        ));
        words.add("! audioconvert ! audioresample !");
        if let Some(buffers) = self.audio.cut {
            words.add(&format!(
                "audiobuffersplit output-buffer-duration=1/{CUT_RATE} ! identity eos-after={buffers} !"
            ));
        }
        words.add("lipsync.audio_sink");
        if self.audio.leaves_own {
            words.add("input. ! audio/x-raw ! fakesink sync=false async=false");
        }
        words.add("lipsync.audio_src ! audioconvert ! audioresample ! audio/x-raw,rate=48000 !");
        words.add(audio_encoder());
        words.add("! aacparse ! mux.");
        words.0
    }

    /// The line as a person types it.
    pub fn line(&self) -> String {
        let mut line = String::from("gst-launch-1.0");
        for word in self.words() {
            // A new line for each branch.
            let begins = BRANCHES.iter().any(|branch| word.starts_with(branch));
            line.push_str(if begins { " \\\n  " } else { " " });
            line.push_str(&quoted(&word));
        }
        line
    }

    /// Runs the line to its end.
    pub fn run(&self) -> Result<Played> {
        let words = self.words();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let pipeline = gst::parse::launchv(&words)
            .context("cannot build the pipeline")?
            .downcast::<gst::Pipeline>()
            .map_err(|_| anyhow!("the line is not a pipeline"))?;
        let lipsync = media::element(&pipeline, "lipsync")?;
        let seen = watch_times(&lipsync)?;

        let start = Instant::now();
        let outcome = drive::play(&pipeline).and_then(|()| self.wait(&pipeline, &seen));
        let played = Played {
            wall: start.elapsed(),
            stats: Stats::of(&lipsync),
            media: seen.length(),
        };
        pipeline.set_state(gst::State::Null)?;
        outcome.map(|()| played)
    }

    fn wait(&self, pipeline: &gst::Pipeline, seen: &Seen) -> Result<()> {
        let bus = pipeline.bus().context("a pipeline has a bus")?;
        let kinds = [gst::MessageType::Error, gst::MessageType::Eos];
        let mut progress = Progress::default();
        loop {
            let message = bus.timed_pop_filtered(POLL, &kinds);
            match message.as_ref().map(|message| message.view()) {
                Some(gst::MessageView::Error(error)) => return Err(media::describe(error)),
                Some(_) => {
                    progress.end();
                    return Ok(());
                }
                None => progress.show(seen.length(), self.length(pipeline)),
            }
        }
    }

    /// How long the result will be, where that is known.
    fn length(&self, pipeline: &gst::Pipeline) -> Option<Duration> {
        match self.frames {
            Frames::Still(frames) => {
                Some(Duration::from_secs_f64(frames as f64 / STILL_RATE as f64))
            }
            _ => pipeline
                .query_duration::<gst::ClockTime>()
                .map(|length| Duration::from_nanos(length.nseconds())),
        }
    }
}

/// First and last moment that came out of an element.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Option<(gst::ClockTime, gst::ClockTime)>>>);

impl Seen {
    fn length(&self) -> Duration {
        let seen = self
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        seen.map_or(Duration::ZERO, |(first, last)| {
            Duration::from_nanos(last.saturating_sub(first).nseconds())
        })
    }
}

fn watch_times(element: &gst::Element) -> Result<Seen> {
    let seen = Seen::default();
    let pad = element
        .static_pad("video_src")
        .context("lipsyncbin has this pad")?;
    pad.add_probe(gst::PadProbeType::BUFFER, {
        let seen = seen.clone();
        move |_, info| {
            if let Some(buffer) = info.buffer()
                && let Some(start) = buffer.pts()
            {
                let end = start + buffer.duration().unwrap_or_default();
                let mut seen = seen
                    .0
                    .lock()
                    .unwrap_or_else(|poisoned| poisoned.into_inner());
                let first = seen.map_or(start, |(first, _)| first);
                *seen = Some((first, end));
            }
            gst::PadProbeReturn::Ok
        }
    });
    Ok(seen)
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
        let percent = (done.as_secs_f64() / of.as_secs_f64() * 100.0).min(100.0) as u32;
        let (done, of) = (done.as_secs_f64(), of.as_secs_f64());
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

fn exists(factory: &str) -> bool {
    gst::ElementFactory::find(factory).is_some()
}

fn video_encoder() -> &'static str {
    if exists("x264enc") {
        "x264enc pass=qual quantizer=20 speed-preset=veryfast"
    } else {
        "openh264enc bitrate=6000000 rate-control=bitrate"
    }
}

fn audio_encoder() -> &'static str {
    if exists("avenc_aac") {
        "avenc_aac bitrate=128000"
    } else {
        "voaacenc bitrate=128000"
    }
}

#[derive(Default)]
struct Words(Vec<String>);

impl Words {
    fn add(&mut self, text: &str) {
        self.0.extend(text.split_whitespace().map(str::to_owned));
    }

    /// A source that reads a file.
    fn file(&mut self, path: &Path) {
        self.add("filesrc");
        self.location(path);
    }

    /// A file, whose name may have blanks.
    fn location(&mut self, path: &Path) {
        self.0.push(format!("location={}", path.display()));
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
        let line = still().line();
        assert!(line.contains("lipsyncbin name=lipsync ! videocrop right=0 bottom=1 !"));
        assert!(line.contains("'location=a painting.jpg'"));
        assert!(line.contains("imagefreeze num-buffers=50"));
        assert!(line.lines().rev().skip(1).all(|line| line.ends_with('\\')));
    }

    #[test]
    fn a_video_of_even_size_with_its_own_audio_is_neither_cropped_nor_frozen() {
        let line = Job {
            audio: Audio {
                file: None,
                ..still().audio
            },
            frames: Frames::Video,
            height: 1104,
            ..still()
        }
        .line();
        assert!(!line.contains("videocrop") && !line.contains("imagefreeze"));
        assert!(line.contains("input. ! audioconvert"));
    }

    #[test]
    fn a_video_is_held_or_repeated_and_its_own_audio_put_aside() {
        let job = |frames| Job {
            frames,
            audio: Audio {
                pad: Some("src_2".into()),
                leaves_own: true,
                ..still().audio
            },
            ..still()
        };
        let looped = job(Frames::Looped(3, gst::ClockTime::SECOND)).line();
        assert_eq!(looped.matches("'location=a painting.jpg'").count(), 3);
        assert_eq!(looped.matches("name=input").count(), 1);
        assert!(looped.contains("speech.src_2 ! audioconvert"), "{looped}");
        assert!(looped.contains("input. ! audio/x-raw ! fakesink"));
        let held = job(Frames::Held(99, gst::Fraction::new(30, 1))).line();
        assert!(held.contains("num-buffers=99"), "{held}");
        assert!(held.contains("width=892,height=1103,framerate=30/1 !"));
    }
}
