//! What becomes of the streams of the files: which are decoded, redrawn, copied, encoded or lost.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::{
    arguments::Arguments,
    codec::{self, VideoCodec},
    container::Container,
    exit::{Exit, Failure, Reason},
    frame::Frame,
    input::{Input, Kind, Stream},
    media,
};

/// Frame rate given to a still picture.
const STILL_RATE: u64 = 25;
/// What one may be longer than the other without a word: less than anybody notices.
const ALIKE: gst::ClockTime = gst::ClockTime::from_mseconds(200);
/// A stream waits here for those that come later in their file.
const QUEUE: &str = "queue max-size-time=0 max-size-buffers=0 max-size-bytes=268435456";
/// Frames wait here for those that `lipsync` holds.
const FRAMES: &str = "queue max-size-time=0 max-size-buffers=0 max-size-bytes=1073741824";
const NOWHERE: &str = "fakesink sync=false async=false";
const UPRIGHT: &str = "videoflip video-direction=auto";
/// Of the names of what writes the file for comparison.
const SIDE: &str = "side-";

/// What to run.
pub struct Plan {
    pub sources: Vec<Source>,
    /// All behind the demuxers, in the words of gst-launch-1.0.
    pub words: String,
    /// How long the result will be.
    pub length: gst::ClockTime,
    /// Frames that the decoder is to give, where that is known.
    pub coded_frames: Option<u64>,
    pub toc: Option<gst::Toc>,
    /// What the user should know of it.
    pub notes: Vec<String>,
}

/// A file and where its streams go.
pub struct Source {
    pub path: PathBuf,
    /// Only this part of it.
    pub range: Option<Range>,
    /// Streams by their ids, and the names of the elements that take them.
    pub routes: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub start: gst::ClockTime,
    pub stop: gst::ClockTime,
}

/// Where the result goes.
pub enum Target {
    File(Container),
    Window,
    /// Only what it shows is of interest.
    Nowhere,
}

/// The files of a job, read.
pub struct Inputs {
    pub video: Input,
    /// The file with the speech, where it is not the video's.
    pub speech: Option<Input>,
}

impl Inputs {
    /// # Errors
    /// [`Exit::Input`]: what cannot be read.
    pub fn read(video: &Path, speech: Option<&Path>) -> Result<Self, Failure> {
        let speech = speech.filter(|speech| *speech != video);
        Ok(Self {
            video: Input::read(video).exit(Exit::Input)?,
            speech: speech.map(Input::read).transpose().exit(Exit::Input)?,
        })
    }
}

/// Builds the words of a plan.
struct Planner<'a> {
    arguments: &'a Arguments,
    target: &'a Target,
    words: Vec<String>,
    routes: [Vec<(String, String)>; 2],
    notes: Vec<String>,
    audio_tracks: usize,
    subtitle_tracks: usize,
}

/// # Errors
/// What is wrong with the files or the choices, in words.
pub fn make(arguments: &Arguments, inputs: &Inputs, target: &Target) -> Result<Plan, Failure> {
    let (video, speech) = (&inputs.video, inputs.speech.as_ref());
    let name = video.path.display();
    let picture = video.of(Kind::Video).next();
    let picture = picture
        .with_context(|| format!("{name} has no video, only audio: name a video or still picture first, this file with --audio"))
        .exit(Exit::Input)?;
    let track = track(speech.unwrap_or(video), arguments).exit(Exit::Input)?;
    let frame = media::frame_caps(&video.path)
        .with_context(|| format!("cannot decode the video of {name}"))
        .exit(Exit::Input)?;

    let mut planner = Planner {
        arguments,
        target,
        words: Vec::new(),
        routes: [Vec::new(), Vec::new()],
        notes: Vec::new(),
        audio_tracks: 0,
        subtitle_tracks: 0,
    };
    for input in [Some(video), speech].into_iter().flatten() {
        if let Some(damage) = &input.damage {
            planner
                .notes
                .push(format!("{} is not whole: {damage}", input.path.display()));
        }
    }
    let whole = planner.range(picture, track).exit(Exit::Usage)?;
    let frame = Frame::of(&frame, picture);
    planner.video(picture, &frame, whole)?;
    planner.speech(speech.is_some(), track)?;
    planner.others(video, speech.is_some(), track)?;
    planner.chapters(video);

    let is_cut = arguments.start.is_some() || arguments.end.is_some();
    let is_longer = track.end > picture.end + ALIKE && !picture.is_still();
    let video_range = (is_cut || (is_longer && speech.is_none())).then_some(whole);
    let speech_range = (is_cut || is_longer).then_some(whole);
    let [video_routes, speech_routes] = planner.routes;
    let mut sources = vec![Source {
        path: video.path.clone(),
        range: video_range.filter(|_| !picture.is_still()),
        routes: video_routes,
    }];
    sources.extend(speech.map(|speech| Source {
        path: speech.path.clone(),
        range: speech_range,
        routes: speech_routes,
    }));
    let counts = !is_cut && !picture.is_still();
    Ok(Plan {
        sources,
        words: planner.words.join(" "),
        length: whole.stop - whole.start,
        coded_frames: counts.then_some(picture.packets),
        toc: video.toc.clone().filter(|_| !is_cut),
        notes: planner.notes,
    })
}

/// The audio track with the speech.
fn track<'a>(input: &'a Input, arguments: &Arguments) -> Result<&'a Stream> {
    let (path, number, count) = (
        input.path.display(),
        arguments.audio_track,
        input.of(Kind::Audio).count(),
    );
    if count == 0 {
        let is_still = input.of(Kind::Video).any(Stream::is_still);
        if arguments.audio.is_some() && is_still {
            bail!("{path} is a still picture: --audio takes a file with the speech");
        }
        bail!("{path} has no audio: name a file with the speech with --audio");
    }
    let track = number
        .checked_sub(1)
        .and_then(|index| input.of(Kind::Audio).nth(index));
    track.with_context(|| format!("there is no audio track {number} in {path}, which has {count}"))
}

impl Planner<'_> {
    /// The part of the files that is used.
    fn range(&mut self, picture: &Stream, track: &Stream) -> Result<Range> {
        let (start, end) = (self.arguments.start.unwrap_or_default(), self.arguments.end);
        let last = match picture.is_still() {
            true => track.end,
            false => picture.end,
        };
        let stop = end.unwrap_or(last).min(last);
        if start >= stop {
            let (start, stop) = (start.seconds_f64(), stop.seconds_f64());
            bail!("nothing lies between --start {start} and the end at {stop:.2} s");
        }
        if end.is_some_and(|end| end > last + ALIKE) {
            self.notes
                .push(format!("the end is at {:.2} s already", last.seconds_f64()));
        }
        // What lies behind the end is of no interest.
        let used = |stream: &Stream| stream.end.min(end.unwrap_or(stream.end)).seconds_f64();
        let longer = used(track) - used(picture);
        if !picture.is_still() && longer.abs() > ALIKE.seconds_f64() {
            self.notes.push(match longer > 0.0 {
                true => {
                    format!("the audio is {longer:.1} s longer than the video and is cut there")
                }
                false => format!(
                    "the video is {:.1} s longer than the audio: mouths are shut from there on",
                    -longer
                ),
            });
        }
        Ok(Range { start, stop })
    }

    /// From the video's demuxer through `lipsync` to where the result goes.
    fn video(&mut self, picture: &Stream, frame: &Frame, whole: Range) -> Result<(), Failure> {
        let mut before = format!("{QUEUE} name=video ! {}", decoder(picture));
        self.routes[0].push((picture.id.clone(), "video".into()));
        if frame.is_turned {
            before += &format!("videoconvert dither=none ! {UPRIGHT} ! ");
        }
        if picture.is_still() {
            let keeps_chroma = self
                .arguments
                .video_codec
                .is_some_and(|codec| !codec.needs_even_size());
            let format = if keeps_chroma { "Y444" } else { "I420" };
            let frames = (whole.stop - whole.start).nseconds() * STILL_RATE;
            let frames = frames.div_ceil(gst::ClockTime::SECOND.nseconds());
            // Converted once, then repeated.
            before += &format!(
                "videoconvert ! video/x-raw,format={format},colorimetry=bt709 \
                 ! imagefreeze num-buffers={frames} ! video/x-raw,framerate={STILL_RATE}/1 ! "
            );
        }
        let container = match self.target {
            Target::File(container) => container,
            Target::Window => return self.redraw(before, "queue ! videoconvert ! autovideosink"),
            Target::Nowhere => return self.redraw(before, NOWHERE),
        };
        let encoder = self.encoder(container, frame)?;
        let (pad, file) = (container.pad("", Kind::Video, 0), container.words(""));
        if self.arguments.compare.is_none() {
            return self.redraw(before, &format!("{encoder} ! {QUEUE} ! {pad} {file}"));
        }
        self.words.push(format!(
            "{before} tee name=before ! {FRAMES} ! lipsync.video_sink"
        ));
        self.words.push(format!("lipsyncbin name=lipsync ! tee name=after ! {FRAMES} ! {encoder} ! {QUEUE} ! {pad} {file}"));
        let [width, height] = frame.shown();
        let (pad, file) = (container.pad(SIDE, Kind::Video, 0), container.words(SIDE));
        for (index, from) in ["before", "after"].into_iter().enumerate() {
            self.words.push(format!(
                "{from}. ! {FRAMES} ! videoconvert ! videoscale \
                 ! video/x-raw,width={width},height={height},pixel-aspect-ratio=1/1 ! beside.sink_{index}"
            ));
        }
        let encoder = self
            .codec(container, frame)
            .words(container, self.arguments.crf, false)
            .exit(Exit::Installation)?;
        self.words.push(format!(
            "compositor name=beside sink_1::xpos={width} ! {encoder} ! {QUEUE} ! {pad} {file}"
        ));
        Ok(())
    }

    /// Through `lipsync`, from what is before it to what is behind it.
    fn redraw(&mut self, before: String, behind: &str) -> Result<(), Failure> {
        self.words.push(before + "lipsync.video_sink");
        self.words
            .push(format!("lipsyncbin name=lipsync ! {behind}"));
        Ok(())
    }

    fn codec(&self, container: &Container, frame: &Frame) -> VideoCodec {
        let usual = || VideoCodec::usual(container, frame.is_deep);
        self.arguments.video_codec.unwrap_or_else(usual)
    }

    fn encoder(&mut self, container: &Container, frame: &Frame) -> Result<String, Failure> {
        let codec = self.codec(container, frame);
        let encoder = codec
            .words(container, self.arguments.crf, frame.is_deep)
            .exit(Exit::Installation)?;
        let mut words = String::new();
        if frame.is_interlaced && !codec.keeps_interlaced() {
            self.notes
                .push("interlaced frames are made whole frames: this codec has no fields".into());
            words += "deinterlace fields=top ! ";
        }
        let [right, bottom] = frame.size.map(|side| side % 2);
        if codec.needs_even_size() && right + bottom > 0 {
            self.notes
                .push("the last row or column is cut: this codec takes even sizes only".into());
            words += &format!("videocrop right={right} bottom={bottom} ! ");
        }
        Ok(words + &encoder)
    }

    /// From the speech's demuxer to `lipsync`, and into the result.
    fn speech(&mut self, is_other_file: bool, track: &Stream) -> Result<(), Failure> {
        self.routes[usize::from(is_other_file)].push((track.id.clone(), "speech".into()));
        let decode = format!(
            "{}audioconvert ! audioresample ! lipsync.audio_sink",
            decoder(track)
        );
        let copy = match self.target {
            Target::File(container) => self.copy(container, track, Kind::Audio),
            Target::Window | Target::Nowhere => None,
        };
        match (copy, self.target) {
            (Some(copy), _) => {
                self.words.push(format!(
                    "{QUEUE} name=speech ! tee name=words words. ! {QUEUE} ! {copy}"
                ));
                self.words.push(format!("words. ! {QUEUE} ! {decode}"));
                self.words.push(format!("lipsync.audio_src ! {NOWHERE}"));
            }
            (None, Target::Nowhere) => {
                self.words.push(format!("{QUEUE} name=speech ! {decode}"));
                self.words.push(format!("lipsync.audio_src ! {NOWHERE}"));
            }
            (None, Target::Window) => {
                self.words.push(format!("{QUEUE} name=speech ! {decode}"));
                self.words.push(
                    "lipsync.audio_src ! queue ! audioconvert ! audioresample ! autoaudiosink"
                        .into(),
                );
            }
            (None, Target::File(container)) => {
                let encode = self.encode(container, track)?;
                self.words.push(format!("lipsync.audio_src ! {encode}"));
                self.words.push(format!("{QUEUE} name=speech ! {decode}"));
            }
        }
        Ok(())
    }

    /// The other tracks of the video's file.
    fn others(&mut self, video: &Input, is_replaced: bool, track: &Stream) -> Result<(), Failure> {
        let Target::File(container) = self.target else {
            return Ok(());
        };
        let mut numbers = [0; 4];
        for stream in &video.streams {
            let number = &mut numbers[stream.kind as usize];
            *number += 1;
            let language = stream
                .language
                .as_ref()
                .map(|code| format!(" ({code})"))
                .unwrap_or_default();
            let name = format!("{} track {number}{language}", stream.kind.name());
            let element = format!("other{}_{number}", stream.kind as usize);
            match stream.kind {
                Kind::Video if *number == 1 => continue,
                Kind::Audio if is_replaced && *number == 1 => {
                    self.notes.push(format!(
                        "{name} of the video is replaced by the other file's"
                    ));
                    continue;
                }
                Kind::Audio if !is_replaced && stream.id == track.id => continue,
                Kind::Audio => match self.copy(container, stream, Kind::Audio) {
                    Some(copy) => self.words.push(format!("{QUEUE} name={element} ! {copy}")),
                    None => {
                        let encode = self.encode(container, stream)?;
                        self.words.push(format!(
                            "{QUEUE} name={element} ! {}{encode}",
                            decoder(stream)
                        ));
                    }
                },
                Kind::Subtitles => match self.copy(container, stream, Kind::Subtitles) {
                    Some(copy) => self.words.push(format!("{QUEUE} name={element} ! {copy}")),
                    None => {
                        self.lost(&name, container);
                        continue;
                    }
                },
                Kind::Video => {
                    self.notes
                        .push(format!("{name} is lost: only the first is written"));
                    continue;
                }
                Kind::Other => {
                    self.lost(&name, container);
                    continue;
                }
            }
            self.routes[0].push((stream.id.clone(), element));
        }
        Ok(())
    }

    fn lost(&mut self, what: &str, container: &Container) {
        self.notes.push(format!(
            "{what} is lost: .{} files cannot take it",
            container.extension()
        ));
    }

    /// A stream into the file as it is, where that can be.
    fn copy(&mut self, container: &Container, stream: &Stream, kind: Kind) -> Option<String> {
        let parser = container.copies(stream.caps.as_ref()?, kind)?;
        Some(format!("{parser}{}", self.tracks_of_files(container, kind)))
    }

    fn encode(&mut self, container: &Container, stream: &Stream) -> Result<String, Failure> {
        let encoder = codec::audio_words(container).exit(Exit::Installation)?;
        let format = stream
            .caps
            .as_ref()
            .and_then(|caps| caps.structure(0).map(|caps| caps.name().to_string()));
        let format = format.unwrap_or_default();
        let is_lossy = format != "audio/x-raw";
        if is_lossy {
            let extension = container.extension();
            self.notes.push(format!(
                "audio is encoded anew: .{extension} files cannot take {}",
                format_name(&format)
            ));
        }
        let files = self.tracks_of_files(container, Kind::Audio);
        Ok(format!(
            "audioconvert ! audioresample ! {encoder} ! {files}"
        ))
    }

    /// A track's way into the file; the first one's also into the file for comparison.
    fn tracks_of_files(&mut self, container: &Container, kind: Kind) -> String {
        let index = self.next(kind);
        let pad = container.pad("", kind, index);
        if self.arguments.compare.is_none() || kind != Kind::Audio || index > 0 {
            return format!("{QUEUE} ! {pad}");
        }
        let beside = container.pad(SIDE, kind, 0);
        format!("tee name=track ! {QUEUE} ! {pad} track. ! {QUEUE} ! {beside}")
    }

    /// The number of the next track of that kind.
    fn next(&mut self, kind: Kind) -> usize {
        let count = match kind {
            Kind::Audio => &mut self.audio_tracks,
            _ => &mut self.subtitle_tracks,
        };
        *count += 1;
        *count - 1
    }

    fn chapters(&mut self, video: &Input) {
        let (Target::File(container), Some(_)) = (self.target, &video.toc) else {
            return;
        };
        if !container.has_chapters() {
            self.lost("the list of chapters", container);
        } else if self.arguments.start.is_some() || self.arguments.end.is_some() {
            self.notes
                .push("the list of chapters is lost: it counts from another beginning".into());
        }
    }
}

/// What people call a format of audio that GStreamer calls so, as far as that is the same: `FLAC`.
fn format_name(media_type: &str) -> String {
    let name = media_type.trim_start_matches("audio/");
    name.trim_start_matches("x-").to_uppercase()
}

/// What a stream needs to be raw, as words of a pipeline.
fn decoder(stream: &Stream) -> &'static str {
    let name = stream
        .caps
        .as_ref()
        .and_then(|caps| caps.structure(0))
        .map(|caps| caps.name());
    match name.is_some_and(|name| name.ends_with("/x-raw")) {
        true => "",
        false => "decodebin ! ",
    }
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Subtitles => "subtitle",
            Self::Other => "data",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_of_audio_are_called_as_people_call_them() {
        let names = ["audio/x-flac", "audio/x-opus", "audio/mpeg"].map(format_name);
        assert_eq!(names, ["FLAC", "OPUS", "MPEG"]);
    }
}
