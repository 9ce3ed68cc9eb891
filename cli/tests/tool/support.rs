//! Files for the tests, the program, and what it has written.

#[path = "../../../tests/support/plugin.rs"]
mod plugin;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use gst::prelude::GstValueExt;
use gst_lipsync::input::{Input, Kind};

/// Seconds, far more than any of these runs takes.
const PATIENCE: u32 = 110;
/// Of the videos here.
pub const FRAMES: u64 = 30;

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

pub fn picture() -> PathBuf {
    root().join("media/young-woman-in-mauve.jpg")
}

/// A folder of a test's own, empty; `None`, with the reason printed, where the tests cannot run.
pub fn folder(test: &str) -> Option<PathBuf> {
    gst::init().unwrap();
    if !root().join(".setup/onnxruntime/libonnxruntime.so").exists() {
        eprintln!("skipped: no ONNX Runtime, run `cargo xtask setup`");
        return None;
    }
    for needed in ["x264enc", "x265enc", "avenc_aac", "avenc_prores_ks"] {
        if gst::ElementFactory::find(needed).is_none() {
            eprintln!("skipped: the element {needed} is not installed");
            return None;
        }
    }
    let folder =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    Some(folder)
}

/// Runs a pipeline to its end.
pub fn make(description: &str) {
    let pipeline = gst_lipsync::pipeline::Pipeline::parse(description).unwrap();
    pipeline.play().unwrap();
    pipeline.wait(|_| Ok(()), || Ok(())).expect(description);
}

pub const WHOLE: &str = "queue max-size-time=0 max-size-bytes=0 max-size-buffers=0";

/// The painting as a video with these caps, in the words of a pipeline.
pub fn frames(caps: &str) -> String {
    format!(
        "filesrc location={} ! jpegdec ! videoconvert ! videoscale ! imagefreeze num-buffers={FRAMES} \
         ! video/x-raw,framerate=25/1,{caps} ",
        picture().display()
    )
}

/// Rather more than a second of the speech.
pub fn speech() -> String {
    let file = root().join("media/speech.wav");
    format!(
        "filesrc location={} ! wavparse ! identity eos-after=11 ! audioconvert ! audioresample ",
        file.display()
    )
}

pub const SMALL: &str = "format=I420,width=240,height=300,pixel-aspect-ratio=1/1,colorimetry=bt601";
pub const H264: &str = "x264enc speed-preset=ultrafast ! h264parse";

/// A video with the speech, written by `mux`.
pub fn video(caps: &str, encoder: &str, mux: &str, path: &Path) {
    // No word of a pipeline has a blank.
    let unnamed = path.with_file_name("unnamed");
    make(&format!(
        "{} ! {encoder} ! {WHOLE} ! mux. {} ! avenc_aac ! aacparse ! {WHOLE} ! mux. {mux} name=mux ! filesink location={}",
        frames(caps),
        speech(),
        unnamed.display()
    ));
    fs::rename(unnamed, path).unwrap();
}

pub struct Said {
    pub code: Option<i32>,
    pub text: String,
}

impl Said {
    #[track_caller]
    pub fn says(&self, part: &str) -> &Self {
        assert!(self.text.contains(part), "no `{part}` in {}", self.text);
        self
    }

    #[track_caller]
    pub fn ends(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{}", self.text);
        self
    }
}

/// The program in a folder, ready to start.
pub fn program(folder: &Path) -> Command {
    program_for(PATIENCE, folder)
}

/// The same, which may take so many seconds.
pub fn program_for(seconds: u32, folder: &Path) -> Command {
    let mut program = Command::new("timeout");
    program
        .arg(seconds.to_string())
        .arg(env!("CARGO_BIN_EXE_gst-lipsync"))
        .current_dir(folder)
        .stdin(Stdio::null())
        .env("GST_PLUGIN_PATH", plugin::folder())
        .env("GST_REGISTRY", plugin::registry("cli.bin"))
        .env(
            "ORT_DYLIB_PATH",
            root().join(".setup/onnxruntime/libonnxruntime.so"),
        );
    program
}

/// Runs it with words that blanks part, and paths behind them.
pub fn run(folder: &Path, words: &str) -> Said {
    let output = program(folder)
        .args(words.split_whitespace())
        .output()
        .unwrap();
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert_ne!(output.status.code(), Some(124), "still running: {out}{err}");
    Said {
        code: output.status.code(),
        text: format!("{out}{err}"),
    }
}

/// A file that was written; how many frames it has.
pub fn written(path: &Path) -> (Input, u64) {
    let input = Input::read(path).unwrap();
    let frames = input.of(Kind::Video).next().unwrap().packets;
    (input, frames)
}

/// A field of the caps of the first decoded frame.
pub fn field(path: &Path, name: &str) -> Option<String> {
    let caps = gst_lipsync::media::frame_caps(path).unwrap();
    let value = caps.structure(0)?.value(name).ok()?;
    Some(value.serialize().ok()?.to_string())
}

/// Names in a folder, sorted, hidden ones too.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
