//! The examples do what their first lines say: each is run as a user runs it, and what it prints
//! or writes is looked at. What needs a camera, a screen or loudspeakers is not among them.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::common::*;
use gst::prelude::*;

/// A program of `examples/` as cargo has built it with the tests, or a script.
fn example(name: &str) -> Option<Command> {
    let library = onnxruntime()?;
    let mut command = if name.ends_with(".sh") {
        Command::new(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("examples")
                .join(name),
        )
    } else {
        let test = std::env::current_exe().unwrap();
        let built = test.parent().unwrap().parent().unwrap();
        let program = built.join("examples").join(name);
        if !program.exists() {
            eprintln!("skipped: {} is not built", program.display());
            return None;
        }
        Command::new(program)
    };
    command
        .env("GST_PLUGIN_PATH", crate::plugin::folder())
        .env("GST_REGISTRY", crate::plugin::registry("examples.bin"))
        .env("ORT_DYLIB_PATH", library);
    Some(command)
}

/// A program that ends with its test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the example prints to its end, which is a good one.
pub fn printed(mut command: Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    text
}

pub fn folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("examples");
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Plays a pipeline to its end.
pub fn play(description: &str) -> Running {
    let pipeline = gst::parse::launch(description).unwrap();
    let pipeline = Running(pipeline.downcast::<gst::Pipeline>().unwrap());
    pipeline.set_state(gst::State::Playing).unwrap();
    let patience = gst::ClockTime::try_from(PATIENCE).unwrap();
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let end = pipeline.bus().unwrap().timed_pop_filtered(patience, &ends);
    let end = end.expect("the end");
    assert_eq!(end.type_(), gst::MessageType::Eos, "{end:?}");
    pipeline
}

/// The demo's painting and sound.
pub fn painting_and_sound() -> Option<(PathBuf, PathBuf)> {
    let media = Path::new(env!("CARGO_MANIFEST_DIR")).join("media");
    let picture = media.join("young-woman-in-mauve.jpg");
    if !picture.exists() {
        eprintln!("skipped: no {}", picture.display());
        return None;
    }
    Some((picture, media.join("speech.wav")))
}

/// A file with 2 s of them.
pub fn a_clip(name: &str) -> Option<PathBuf> {
    let (picture, sound) = painting_and_sound()?;
    let clip = folder().join(name);
    play(&format!(
        "filesrc location={} ! jpegdec ! videoconvert ! videoscale ! imagefreeze num-buffers=50 \
         ! video/x-raw,format=I420,width=320,height=400,framerate=25/1,pixel-aspect-ratio=1/1 \
         ! x264enc speed-preset=ultrafast ! h264parse ! queue ! mux. \
         filesrc location={} ! wavparse ! identity eos-after=18 ! audioconvert ! audioresample \
         ! audio/x-raw,rate=48000,channels=1 ! avenc_aac ! aacparse ! queue ! mux. \
         mp4mux name=mux ! filesink location={}",
        picture.display(),
        sound.display(),
        clip.display()
    ));
    Some(clip)
}

pub const TO_MP4: [&str; 6] = [
    "jpegdec",
    "imagefreeze",
    "x264enc",
    "avenc_aac",
    "mp4mux",
    "avdec_h264",
];

#[test]
fn latency_prints_what_is_said_and_what_is_measured() {
    let Some(command) = example("latency") else {
        return;
    };
    let text = printed(command);
    let line = |part: &str| {
        let line = text.lines().find(|line| line.contains(part));
        line.unwrap_or_else(|| panic!("no `{part}` in {text}"))
    };
    let said = line("the LATENCY query says: live true, least 0:00:00.2");
    assert!(said.ends_with("most none"), "{said}");
    // What a busy machine takes is no matter of this test.
    let measured = line("measured from a frame's own time to its leaving lipsync");
    for part in ["frames: least ", "median ", "most "] {
        assert!(measured.contains(part), "{measured}");
    }
    assert!(line("lipsync-stats").contains("frames-no-face"), "{text}");
}

/// The answer to a request for this path.
fn get(port: &str, path: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port.parse().unwrap())).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn prometheus_serves_what_stats_shows() {
    let Some(mut command) = example("prometheus") else {
        return;
    };
    // Any port that is free.
    let child = command.arg("0").stdout(Stdio::piped()).spawn().unwrap();
    let mut program = Program(child);
    let mut lines = BufReader::new(program.0.stdout.take().unwrap()).lines();
    let address = lines.next().unwrap().unwrap();
    let port = address
        .strip_prefix("http://127.0.0.1:")
        .and_then(|rest| rest.strip_suffix("/metrics"))
        .unwrap_or_else(|| panic!("{address}"));

    let metric = |answer: &str, name: &str| -> f64 {
        let line = answer.lines().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("no {name} in {answer}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let begun = Instant::now();
    let answer = loop {
        let answer = get(port, "/metrics");
        if metric(&answer, "lipsync_frames_total{outcome=\"no-face\"}") > 5.0 {
            break answer;
        }
        assert!(begun.elapsed() < PATIENCE, "{answer}");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(metric(&answer, "lipsync_frames_in_total ") > 5.0);
    assert!(
        metric(
            &answer,
            "lipsync_stage_seconds{stage=\"track\",statistic=\"p95\"}"
        ) > 0.0
    );
    assert_eq!(metric(&answer, "lipsync_faces "), 0.0);
    assert_eq!(metric(&answer, "lipsync_remote_servers "), 0.0);
    assert_eq!(
        metric(&answer, "lipsync_remote_call_seconds{statistic=\"p95\"}"),
        0.0
    );
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())));
    // Each metric has its type before it, and each line is one that Prometheus reads.
    let mut known = "";
    for line in body.lines() {
        if let Some(about) = line.strip_prefix("# TYPE ") {
            known = about.split(' ').next().unwrap();
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with(known), "{line} after the type of {known}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    assert!(get(port, "/").starts_with("HTTP/1.1 404"));
}

#[test]
fn a_file_goes_to_a_file_and_its_statistics_are_told() {
    if !have(&TO_MP4) {
        return;
    }
    let (Some(mut to_file), Some(mut watch)) = (example("file-to-file.sh"), example("watch_stats"))
    else {
        return;
    };
    let Some(clip) = a_clip("in.mp4") else {
        return;
    };
    let out = folder().join("out.mp4");
    to_file.args([&clip, &out]);
    printed(to_file);
    let again = play(&format!(
        "filesrc location={} ! qtdemux name=demux demux.video_0 ! queue ! fakesink name=video \
         demux.audio_0 ! queue ! fakesink name=audio",
        out.display()
    ));
    let rendered = |name: &str| {
        let stats: gst::Structure = again.by_name(name).unwrap().property("stats");
        stats.get::<u64>("rendered").unwrap()
    };
    assert_eq!(rendered("video"), 50);
    assert!(rendered("audio") > 90, "AAC of 1024 samples each");

    watch.arg(&clip);
    let text = printed(watch);
    let last = text.lines().last().unwrap_or_default();
    assert!(last.starts_with("50 frames, "), "{text}");
    let synced = last.split(' ').nth(2).unwrap().parse::<u64>().unwrap();
    assert!(synced > 25, "{text}");
}

#[test]
fn how_fast_times_both_sizes() {
    if !have(&["jpegdec", "imagefreeze"]) {
        return;
    }
    let (Some(mut command), Some((picture, sound))) =
        (example("how-fast.sh"), painting_and_sound())
    else {
        return;
    };
    command.arg(picture).arg(sound).arg("1");
    let text = printed(command);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    for (line, size) in lines.iter().zip(["1920x1080", "3840x2160"]) {
        let start = format!("{size} on CPU 0");
        assert!(line.starts_with(&start), "{text}");
        assert!(line.ends_with("times real time"), "{text}");
    }
}

#[test]
fn a_file_goes_on_air_over_srt() {
    if !have(&TO_MP4) || !have(&["srtsink", "tsdemux", "mpegtsmux", "clocksync"]) {
        return;
    }
    let Some(mut command) = example("file-to-stream.sh") else {
        return;
    };
    let Some(clip) = a_clip("on-air.mp4") else {
        return;
    };
    // A port that was free a moment ago.
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    drop(socket);
    command.arg(&clip);
    command.arg(format!("srt://127.0.0.1:{port}?mode=caller"));
    let receiver = gst::parse::launch(&format!(
        "srtsrc uri=srt://127.0.0.1:{port}?mode=listener ! tsdemux name=demux \
         demux. ! h264parse ! fakesink name=video async=false \
         demux. ! aacparse ! fakesink name=audio async=false"
    ));
    let receiver = Running(receiver.unwrap().downcast::<gst::Pipeline>().unwrap());
    receiver.set_state(gst::State::Playing).unwrap();
    let _program = Program(command.stdout(Stdio::null()).spawn().unwrap());
    let rendered = |name: &str| {
        let stats: gst::Structure = receiver.by_name(name).unwrap().property("stats");
        stats.get::<u64>("rendered").unwrap()
    };
    let begun = Instant::now();
    while rendered("video") < 20 || rendered("audio") < 20 {
        assert!(begun.elapsed() < 3 * PATIENCE, "{}", rendered("video"));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What a script says when it refuses.
fn refusal(name: &str, arguments: &[&Path]) -> Option<String> {
    let output = example(name)?.args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    Some(text)
}

#[test]
fn a_script_says_what_a_file_lacks() {
    if !have(&TO_MP4) {
        return;
    }
    let (Some(clip), Some((picture, sound))) = (a_clip("whole.mp4"), painting_and_sound()) else {
        return;
    };
    let silent = folder().join("silent.mp4");
    play(&format!(
        "filesrc location={} ! qtdemux ! h264parse ! mp4mux ! filesink location={}",
        clip.display(),
        silent.display()
    ));
    let text = folder().join("text.mp4");
    fs::write(&text, "Not a film, whatever its name says.").unwrap();
    let out = folder().join("refused.mp4");
    let nowhere = Path::new("nonsense");
    for (script, arguments, expected) in [
        (
            "file-to-file.sh",
            [&silent, &out].map(PathBuf::as_path),
            "silent.mp4 has no audio",
        ),
        ("file-to-file.sh", [&sound, &out], "speech.wav has no video"),
        ("file-to-file.sh", [&text, &out], "text.mp4 has no video"),
        (
            "file-to-file.sh",
            [&picture, &out],
            "is a still picture: cargo xtask demo --video",
        ),
        (
            "file-to-stream.sh",
            [&clip, nowhere],
            "nonsense is no address",
        ),
        (
            "file-to-stream.sh",
            [&silent, Path::new("srt://:1")],
            "silent.mp4 has no audio",
        ),
        (
            "how-fast.sh",
            [&picture, &silent],
            "silent.mp4 has no audio",
        ),
    ] {
        let Some(text) = refusal(script, &arguments) else {
            return;
        };
        assert!(text.contains(expected), "no `{expected}` in {text}");
        assert!(!out.exists());
    }
}

#[test]
fn other_words_and_an_odd_size_make_a_file_too() {
    if !have(&TO_MP4) || !have(&["jpegenc", "matroskamux"]) {
        return;
    }
    let (Some(mut to_file), Some(clip)) = (example("file-to-file.sh"), a_clip("words.mp4")) else {
        return;
    };
    let Some((picture, _)) = painting_and_sound() else {
        return;
    };
    let odd = folder().join("odd.mkv");
    play(&format!(
        "filesrc location={} ! jpegdec ! videoconvert ! videoscale ! imagefreeze num-buffers=50 \
         ! video/x-raw,width=321,height=401,framerate=25/1,pixel-aspect-ratio=1/1 ! jpegenc ! mux. \
         audiotestsrc num-buffers=100 ! vorbisenc ! mux. matroskamux name=mux ! filesink location={}",
        picture.display(),
        odd.display()
    ));
    let out = folder().join("odd.mp4");
    to_file.args([&odd, &out, &clip]);
    printed(to_file);
    let again = play(&format!(
        "filesrc location={} ! qtdemux name=demux demux.video_0 ! fakesink name=video \
         demux.audio_0 ! queue ! fakesink",
        out.display()
    ));
    let sink = again.by_name("video").unwrap();
    let caps = sink.static_pad("sink").unwrap().current_caps().unwrap();
    let size = |name: &str| caps.structure(0).unwrap().get::<i32>(name).unwrap();
    assert_eq!((size("width") % 2, size("height") % 2), (0, 0), "{caps}");
}

#[test]
fn the_scripts_say_how_they_are_used() {
    for (name, first) in [
        ("file-to-file.sh", "IN.mp4"),
        ("file-to-stream.sh", "IN.mp4"),
        ("how-fast.sh", "PICTURE"),
    ] {
        let Some(mut command) = example(name) else {
            return;
        };
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains(&format!("examples/{name} {first}")), "{text}");
    }
}
