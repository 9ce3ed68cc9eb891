//! `lipsync-demo` as `cargo xtask demo` starts it, with files that fit together and with files that do not:
//! what it says, and what it writes.

#[path = "../../tests/support/plugin.rs"]
mod plugin;

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use lipsync_tools::{
    media::{self, Frames, SPEECH_RATE},
    pipeline::Pipeline,
};

/// Seconds, far more than any of these runs takes; what exceeds it waits for what never comes.
const PATIENCE: u32 = 60;
/// Frames of the clip, 25 a second, and of the speech that is longer.
const CLIP_FRAMES: usize = 25;
/// Seconds of the speech: 19 buffers of 4096 bytes.
const SPEECH: f64 = 2.432;
/// How many frames last as long: AAC ends with a whole frame of its own.
const LONG_FRAMES: Range<usize> = 61..64;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A folder of this process' own: others that run beside it write files of the same names.
fn folder() -> PathBuf {
    let name = format!("demo-{}", std::process::id());
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn file(name: &str) -> PathBuf {
    folder().join(name)
}

/// Runs a pipeline to its end.
fn make(description: &str) {
    let pipeline = Pipeline::parse(description).unwrap();
    pipeline.play().unwrap();
    pipeline.wait(|_| Ok(()), || Ok(())).expect(description);
}

/// The files that the tests share, made once; `None`, with the reason printed, where that cannot be.
fn files() -> Option<&'static Files> {
    static FILES: LazyLock<Option<Files>> = LazyLock::new(Files::make);
    FILES.as_ref()
}

struct Files {
    picture: PathBuf,
    /// [`SPEECH`] seconds.
    speech: PathBuf,
    /// [`CLIP_FRAMES`] without audio.
    silent: PathBuf,
    /// The same with the whole speech.
    long_audio: PathBuf,
    /// Matroska with two audio tracks, in English and German, and subtitles.
    two_tracks: PathBuf,
}

impl Files {
    fn make() -> Option<Self> {
        gst::init().unwrap();
        let needed = [
            "x264enc",
            "avenc_aac",
            "mp4mux",
            "audiobuffersplit",
            "parsebin",
        ];
        let is_missing = |name: &&&str| gst::ElementFactory::find(name).is_none();
        if let Some(missing) = needed.iter().find(is_missing) {
            eprintln!("skipped: the element {missing} is not installed");
            return None;
        }
        if !root().join(".setup/onnxruntime/libonnxruntime.so").exists() {
            eprintln!("skipped: no ONNX Runtime, run `cargo xtask setup`");
            return None;
        }
        let files = Self {
            picture: root().join("media/young-woman-in-mauve.jpg"),
            speech: file("speech.wav"),
            silent: file("silent.mp4"),
            long_audio: file("long-audio.mp4"),
            two_tracks: file("two-tracks.mkv"),
        };
        make(&format!(
            "filesrc location={} ! wavparse ! identity eos-after=20 ! wavenc ! filesink location={}",
            root().join("media/speech.wav").display(),
            files.speech.display()
        ));
        make(&format!(
            "filesrc location={} ! jpegdec ! videoconvert ! videoscale ! imagefreeze num-buffers={CLIP_FRAMES} \
             ! video/x-raw,format=I420,width=320,height=400,framerate=25/1,pixel-aspect-ratio=1/1 \
             ! x264enc speed-preset=ultrafast ! h264parse ! mp4mux ! filesink location={}",
            files.picture.display(),
            files.silent.display()
        ));
        let (silent, speech) = (files.silent.display(), files.speech.display());
        let aac = "wavparse ! audioconvert ! audioresample ! avenc_aac ! aacparse";
        let whole = "queue max-size-time=0 max-size-bytes=0 max-size-buffers=0";
        make(&format!(
            "filesrc location={silent} ! qtdemux ! h264parse ! {whole} ! mux. \
             filesrc location={speech} ! {aac} ! {whole} ! mux. \
             mp4mux name=mux ! filesink location={}",
            files.long_audio.display()
        ));
        fs::write(
            file("words.srt"),
            "1\n00:00:00,000 --> 00:00:01,000\nUnless to be\n\n",
        )
        .unwrap();
        make(&format!(
            "filesrc location={silent} ! qtdemux ! h264parse ! {whole} ! mux.video_0 \
             filesrc location={speech} ! {aac} ! taginject tags=language-code=en ! {whole} ! mux.audio_0 \
             filesrc location={speech} ! wavparse ! identity eos-after=8 ! audioconvert ! audioresample ! avenc_aac \
             ! aacparse ! taginject tags=language-code=de ! {whole} ! mux.audio_1 \
             filesrc location={} ! subparse ! {whole} ! mux.subtitle_0 \
             matroskamux name=mux ! filesink location={}",
            file("words.srt").display(),
            files.two_tracks.display()
        ));
        Some(files)
    }
}

/// What the demo prints, and whether it succeeds.
fn demo(arguments: &[(&str, &Path)]) -> (bool, String) {
    let runtime = root().join(".setup/onnxruntime/libonnxruntime.so");
    let mut demo = Command::new("timeout");
    demo.arg(PATIENCE.to_string())
        .arg(env!("CARGO_BIN_EXE_lipsync-demo"))
        .arg("--speech")
        .arg(&files().unwrap().speech)
        .env("GST_PLUGIN_PATH", plugin::folder())
        .env("GST_REGISTRY", plugin::registry("demo.bin"))
        .env("ORT_DYLIB_PATH", runtime);
    for (name, value) in arguments {
        demo.arg(name).arg(value);
    }
    let output = demo.output().unwrap();
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert_ne!(output.status.code(), Some(124), "still running: {out}{err}");
    (output.status.success(), format!("{out}{err}"))
}

/// Runs the demo, which must refuse; what it says.
fn refused(name: &str, arguments: &[(&str, &Path)]) -> String {
    let (succeeded, text, out) = run(name, arguments);
    assert!(!succeeded, "{text}");
    assert!(!out.exists(), "{} was written: {text}", out.display());
    text
}

/// Runs the demo, which must succeed; what it says and what it wrote.
fn made(name: &str, arguments: &[(&str, &Path)]) -> (String, PathBuf) {
    let (succeeded, text, out) = run(name, arguments);
    assert!(succeeded, "{text}");
    says(&text, "  without a face        0\n");
    (text, out)
}

fn run(name: &str, arguments: &[(&str, &Path)]) -> (bool, String, PathBuf) {
    let out = file(name);
    let _ = fs::remove_file(&out);
    let (succeeded, text) = demo(&[arguments, &[("--out", &out)]].concat());
    (succeeded, text, out)
}

fn seconds_of_audio(path: &Path) -> f64 {
    media::speech(path).unwrap().len() as f64 / f64::from(SPEECH_RATE)
}

#[track_caller]
fn says(text: &str, part: &str) {
    assert!(text.contains(part), "no `{part}` in {text}");
}

#[test]
fn files_that_cannot_be_used_are_refused_with_the_reason() {
    let Some(files) = files() else { return };
    let (text, nothing) = (file("text.mp4"), file("nothing.mp4"));
    fs::write(&text, "Not a film, whatever its name says.\n".repeat(9)).unwrap();
    let video = |path| -> (&str, &Path) { ("--video", path) };
    let (silent, picture) = (video(&files.silent), ("--audio", files.picture.as_path()));
    let third = ("--audio-track", Path::new("3"));
    for (name, arguments, reason) in [
        ("of-text.mp4", &[video(&text)][..], "cannot read "),
        (
            "of-nothing.mp4",
            &[video(&nothing)],
            "nothing.mp4: No such file",
        ),
        (
            "of-sound.mp4",
            &[video(&files.speech)],
            "speech.wav has no video, only audio",
        ),
        (
            "of-picture.mp4",
            &[silent, picture],
            "young-woman-in-mauve.jpg has no audio",
        ),
        (
            "of-track.mp4",
            &[video(&files.two_tracks), third],
            "there is no audio track 3 in",
        ),
        ("film.avi", &[silent], "only .mp4 .m4v .mov .mkv"),
    ] {
        says(&refused(name, arguments), reason);
    }
    let (succeeded, text) = demo(&[silent, ("--out", &files.silent)]);
    assert!(!succeeded && files.silent.metadata().unwrap().len() > 0);
    says(&text, "silent.mp4 is one of the files to read");
}

#[test]
fn files_that_are_cut_off_show_what_is_missing() {
    let Some(files) = files() else { return };
    let cut = |whole: &Path, name: &str, share: f64| {
        let bytes = fs::read(whole).unwrap();
        let path = file(name);
        fs::write(&path, &bytes[..(bytes.len() as f64 * share) as usize]).unwrap();
        path
    };
    // The index of an MP4 is at its end.
    let video = cut(&files.long_audio, "cut.mp4", 0.5);
    says(
        &refused("of-cut.mp4", &[("--video", &video)]),
        "the file is cut off, it has ",
    );
    let video = cut(&files.two_tracks, "cut.mkv", 0.5);
    let (text, out) = made("of-cut.mkv", &[("--video", &video)]);
    says(&text, "cut.mkv is not whole: it ends after ");
    assert!(Frames::all(&out).unwrap().len() < CLIP_FRAMES);
    let speech = cut(&files.speech, "cut.wav", 0.3);
    let (text, _) = made(
        "of-cut-speech.mp4",
        &[("--video", &files.silent), ("--audio", &speech)],
    );
    says(&text, "cut.wav is not whole: the file is cut off");
}

#[test]
fn audio_that_is_longer_than_the_video_is_cut_or_the_video_goes_on() {
    let Some(files) = files() else { return };
    let frames = |out: &Path| Frames::all(out).unwrap().len();
    // Once the video's own audio, once another file's.
    for (name, video, audio) in [
        ("own.mp4", &files.long_audio, None),
        ("other.mp4", &files.long_audio, Some(&files.speech)),
        ("silent-video.mp4", &files.silent, None),
    ] {
        let mut arguments = vec![("--video", video.as_path())];
        arguments.extend(audio.map(|audio| ("--audio", audio.as_path())));
        let (text, out) = made(name, &arguments);
        says(&text, "s longer than the video and is cut there");
        says(&text, "--longer-audio hold");
        assert_eq!(frames(&out), CLIP_FRAMES);
        let seconds = seconds_of_audio(&out);
        assert!((0.95..1.15).contains(&seconds), "{seconds}");
        assert!(
            out.with_file_name(name.replace(".mp4", "-contact-sheet.png"))
                .exists()
        );
    }
    let figures = [("hold", LONG_FRAMES, "2."), ("loop", 75..76, "3.0 s ")];
    for (how, expected, shown) in figures {
        let arguments = [
            ("--video", files.long_audio.as_path()),
            ("--longer-audio", Path::new(how)),
        ];
        let (text, out) = made(&format!("{how}.mkv"), &arguments);
        says(&text, "s longer than the video");
        let (_, factor) = text.split_once("realtime factor").unwrap();
        let (_, length) = factor.split_once('(').unwrap();
        assert!(length.starts_with(shown), "{factor}");
        let frames = frames(&out);
        assert!(expected.contains(&frames), "{how}: {frames}");
        let seconds = seconds_of_audio(&out);
        assert!(
            (SPEECH - 0.05..SPEECH + 0.15).contains(&seconds),
            "{seconds}"
        );
    }
}

#[test]
fn one_of_several_audio_tracks_is_named_and_can_be_chosen() {
    let Some(files) = files() else { return };
    let picture = ("--video", files.picture.as_path());
    let tracks = ("--audio", files.two_tracks.as_path());
    let (text, out) = made("first-track.mov", &[picture, tracks]);
    says(&text, "uses audio track 1 of 2 (en)");
    let frames = Frames::all(&out).unwrap().len();
    assert!(LONG_FRAMES.contains(&frames), "{frames}");
    let (text, out) = made(
        "second-track.ts",
        &[picture, tracks, ("--audio-track", Path::new("2"))],
    );
    says(&text, "uses audio track 2 of 2 (de)");
    let seconds = seconds_of_audio(&out);
    assert!((0.9..1.3).contains(&seconds), "{seconds}");
    let (text, _) = made("subtitles.mkv", &[("--video", &files.two_tracks)]);
    says(&text, "subtitles are not carried over");
}
