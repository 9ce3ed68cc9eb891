//! `examples/python/` and `examples/c/`, run as their readers run them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use gst::prelude::*;

use crate::{
    common::{have, init, onnxruntime},
    examples::{TO_MP4, a_clip, folder, painting_and_sound, play, printed},
};

/// What `examples/python/` imports, and the packages of Debian that bring it.
const MODULES: &str = "\
import gi
for name in ('Gst', 'GstApp', 'GstVideo'):
    gi.require_version(name, '1.0')
from gi.repository import Gst, GstApp, GstVideo
import numpy
";
const PACKAGES: &str = "python3-gi gir1.2-gst-plugins-base-1.0 python3-numpy";

/// Of the frames that go through Python; rows of 963 bytes are padded to 964.
const WIDTH: usize = 321;
const HEIGHT: usize = 400;

/// The distribution's Python, or the first in the path, with the modules; `None`, with the reason printed, without.
fn python() -> Option<Command> {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/python");
    for program in ["/usr/bin/python3", "python3"] {
        let mut has = Command::new(program);
        has.args(["-c", MODULES]).stderr(Stdio::null());
        if has.status().is_ok_and(|status| status.success()) {
            let mut python = Command::new(program);
            environment(&mut python)?
                .env("PYTHONPATH", example)
                .env("PYTHONDONTWRITEBYTECODE", "1");
            return Some(python);
        }
    }
    eprintln!("skipped: no Python with PyGObject and numpy, Debian's {PACKAGES}");
    None
}

fn environment(command: &mut Command) -> Option<&mut Command> {
    init();
    let library = onnxruntime()?;
    Some(
        command
            .env("GST_PLUGIN_PATH", crate::plugin::folder())
            .env("GST_REGISTRY", crate::plugin::registry("examples.bin"))
            .env("ORT_DYLIB_PATH", library),
    )
}

/// How many frames a file holds.
fn frames_in(file: &Path, demuxer: &str) -> u64 {
    let again = play(&format!(
        "filesrc location={} ! {demuxer} name=demux demux.video_0 ! fakesink name=video async=false \
         demux.audio_0 ! fakesink async=false",
        file.display()
    ));
    let stats: gst::Structure = again.by_name("video").unwrap().property("stats");
    stats.get::<u64>("rendered").unwrap()
}

#[test]
fn python_makes_a_file_of_a_file() {
    if !have(&TO_MP4) {
        return;
    }
    let Some(clip) = a_clip("python.mp4") else {
        return;
    };
    let nothing = PathBuf::from("nothing.wav");
    for words in [None, Some(clip.clone()), Some(nothing)] {
        let Some(mut python) = python() else { return };
        let out = folder().join("python-out.mp4");
        let _ = fs::remove_file(&out);
        python
            .args(["-m", "gst_lipsync.file_to_file"])
            .args([&clip, &out]);
        if let Some(words) = &words {
            python.arg("--words").arg(words);
        }
        if words.is_some_and(|words| !words.exists()) {
            let output = python.output().unwrap();
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{text}");
            assert_eq!(text, "file_to_file: nothing.wav is not a file\n");
            return;
        }
        let text = printed(python);
        let synced = text
            .strip_prefix("50 frames, ")
            .and_then(|rest| rest.split(' ').next());
        assert!(
            synced.is_some_and(|synced| synced.parse::<u64>().unwrap() > 25),
            "{text}"
        );
        assert_eq!(frames_in(&out, "qtdemux"), 50);
    }
}

#[test]
fn python_prints_what_a_live_pipeline_does() {
    let Some(mut python) = python() else { return };
    python.args(["-m", "gst_lipsync.live"]);
    for (name, words) in [
        (
            "--video",
            "videotestsrc is-live=true num-buffers=60 ! video/x-raw,width=320,height=240,framerate=25/1",
        ),
        (
            "--audio",
            "audiotestsrc is-live=true num-buffers=105 ! audio/x-raw,rate=44100",
        ),
        ("--window", "fakesink sync=true"),
        ("--loudspeakers", "fakesink sync=true"),
    ] {
        python.args([name, words]);
    }
    let text = printed(python);
    assert!(text.lines().count() > 0, "no statistics");
    for line in text.lines() {
        assert!(
            line.contains(" frames, 0 synced, ") && line.contains(" 0 faces, "),
            "{text}"
        );
    }
}

#[test]
fn python_takes_and_gives_arrays() {
    const PROGRAM: &str = "\
import sys, wave
import numpy
from gst_lipsync.frames import redraw
from gst_lipsync.pipeline import Failed

width, height, stride = (int(word) for word in sys.argv[3:])
painting = numpy.fromfile(sys.argv[1], numpy.uint8).reshape(height, stride)[:, : 3 * width].reshape(height, width, 3)
with wave.open(sys.argv[2]) as file:
    speech = numpy.frombuffer(file.readframes(32000), '<i2') / 32768

frames = list(redraw((painting for _ in range(50)), speech, rate=16000, max_faces=2))
changed = [(frame != painting).any(axis=2) for frame in frames]
print(len(frames), sum(place.any() for place in changed), sum(place[: height // 4].sum() for place in changed))

# The first frames only, of an endless video in stereo.
def endless():
    while True:
        yield painting
some = redraw(endless(), numpy.stack([speech, speech], axis=1), rate=16000)
print([next(some).shape for _ in range(3)] == 3 * [painting.shape])
some.close()

def fails(error, frames, **properties):
    try:
        list(redraw(frames, speech, 16000, **properties))
    except error as fault:
        return str(fault)

def breaking():
    yield painting
    raise KeyError('of the caller')

print(fails(KeyError, breaking()))
print(fails(ValueError, [painting[:, :, 0]]))
print(fails(Failed, [painting], model='/nowhere.toml'))
";
    if !have(&["jpegdec"]) {
        return;
    }
    let (Some(mut python), Some((picture, speech))) = (python(), painting_and_sound()) else {
        return;
    };
    let raw = folder().join("painting.rgb");
    play(&format!(
        "filesrc location={} ! jpegdec ! videoconvert ! videoscale \
         ! video/x-raw,format=RGB,width={WIDTH},height={HEIGHT},pixel-aspect-ratio=1/1 ! filesink location={}",
        picture.display(),
        raw.display()
    ));
    let sizes = [WIDTH, HEIGHT, (3 * WIDTH).next_multiple_of(4)].map(|size| size.to_string());
    python
        .args(["-c", PROGRAM])
        .args([&raw, &speech])
        .args(&sizes);
    let text = printed(python);
    let lines: Vec<_> = text.lines().collect();
    let [counts, shapes, callers, shape, model] = lines[..] else {
        panic!("{text}");
    };
    let counts: Vec<u64> = counts
        .split(' ')
        .map(|count| count.parse().unwrap())
        .collect();
    assert!(
        counts[0] == 50 && counts[1] > 25 && counts[2] == 0,
        "{text}"
    );
    assert_eq!(shapes, "True");
    assert!(callers.contains("of the caller"), "{text}");
    assert!(
        shape.contains("uint8 of shape (400, 321), expected"),
        "{text}"
    );
    assert!(model.contains("/nowhere.toml"), "{text}");
}

#[test]
fn c_redraws_between_two_moments() {
    for needed in ["meson", "ninja", "cc"] {
        let is_there = Command::new(needed)
            .arg("--version")
            .stdout(Stdio::null())
            .status();
        if is_there.is_err() {
            eprintln!("skipped: {needed} is not installed");
            return;
        }
    }
    if !have(&TO_MP4) || !have(&["matroskamux"]) {
        return;
    }
    let Some(clip) = a_clip("c.mp4") else { return };
    let build = folder().join("c-build");
    let _ = fs::remove_dir_all(&build);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/c");
    let mut setup = Command::new("meson");
    setup.arg("setup").args([&build, &source]);
    printed(setup);
    let mut ninja = Command::new("ninja");
    ninja.arg("-C").arg(&build);
    printed(ninja);
    let out = folder().join("c.mkv");
    let mut between = Command::new(build.join("lipsync-between"));
    if environment(&mut between).is_none() {
        return;
    }
    between.args([&clip, &out]).args(["0.4", "1.6"]);
    let text = printed(between);
    // 0.8 s of 2 s.
    let counts: Vec<u64> = text
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    let [frames, synced, untouched] = counts[..] else {
        panic!("{text}");
    };
    assert_eq!((frames, untouched), (50, 20), "{text}");
    assert!(synced > 15, "{text}");
    assert_eq!(frames_in(&out, "matroskademux"), 50);

    let mut between = Command::new(build.join("lipsync-between"));
    environment(&mut between);
    let refused = between
        .args(["nothing.mp4", "out.mkv", "0", "1"])
        .current_dir(&build)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && text.contains("nothing.mp4"),
        "{text}"
    );
}
