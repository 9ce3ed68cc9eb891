//! `gst-lipsync-1.0` with files of many kinds: what it keeps, what it says of the rest, and what it leaves behind.

use std::{fs, path::Path, process::Command, time::Duration};

use crate::support::{
    FRAMES, H264, SMALL, WHOLE, field, folder, frames, make, names, picture, program, run, speech,
    video, written,
};
use gst_lipsync::input::Kind;

#[test]
fn a_picture_speaks() {
    let Some(folder) = folder("picture") else {
        return;
    };
    fs::copy(picture(), folder.join("ein Gemälde.jpg")).unwrap();
    fs::copy(
        crate::support::root().join("media/speech.wav"),
        folder.join("speech.wav"),
    )
    .unwrap();
    let output = program(&folder)
        .args([
            "ein Gemälde.jpg",
            "--audio",
            "speech.wav",
            "-o",
            "spricht schön.mp4",
            "--end",
            "6.6",
            "--report",
            "r.json",
        ])
        .args(["--compare", "beside.mp4"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("even sizes only"), "{text}");
    assert_eq!(
        names(&folder),
        [
            "beside.mp4",
            "ein Gemälde.jpg",
            "r.json",
            "speech.wav",
            "spricht schön.mp4"
        ]
    );
    let (input, frames) = written(&folder.join("spricht schön.mp4"));
    assert_eq!((frames, input.of(Kind::Audio).count()), (165, 1));
    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.join("r.json")).unwrap()).unwrap();
    assert_eq!(report["frames"]["out"], 165);
    assert_eq!(report["frames"]["without a face"], 0);
    assert_eq!(report["faces in the last frame"], 1);
    assert!(
        report["frames"]["synced"].as_u64().unwrap() > 100,
        "{report:#}"
    );
    let offset = report["mouth after speech"]["milliseconds"].as_f64();
    assert!(
        offset.is_some_and(|offset| offset.abs() < 120.0),
        "{report:#}"
    );
    let beside = folder.join("beside.mp4");
    assert_eq!(field(&beside, "width").as_deref(), Some("1784"));
    assert!(written(&beside).1 >= 165);
}

#[test]
fn what_the_video_is_like_is_kept() {
    let Some(folder) = folder("kept") else { return };
    let pq = "format=I420_10LE,width=240,height=300,pixel-aspect-ratio=1/1,colorimetry=bt2100-pq";
    let x265 = "x265enc speed-preset=ultrafast option-string=log-level=none ! h265parse";
    let varying = format!("identity drop-probability=0.4 ! {H264}");
    let woven = format!("interlace field-pattern=1:1 top-field-first=true ! {H264}");
    for (name, caps, encoder, mux, out) in [
        (
            "wide.mp4",
            "format=I420,width=240,height=192,pixel-aspect-ratio=16/15,colorimetry=bt601",
            H264,
            "mp4mux",
            "wide.ts",
        ),
        ("hdr.mp4", pq, x265, "mp4mux", "hdr.out.mp4"),
        ("varying.mkv", SMALL, &varying, "matroskamux", "varying.mp4"),
        ("woven.ts", SMALL, &woven, "mpegtsmux", "woven.mkv"),
    ] {
        let (from, to) = (folder.join(name), folder.join(out));
        video(caps, encoder, mux, &from);
        run(&folder, &format!("{name} -o {out}")).ends(0);
        for same in [
            "width",
            "height",
            "pixel-aspect-ratio",
            "colorimetry",
            "interlace-mode",
        ] {
            assert_eq!(field(&to, same), field(&from, same), "{same} of {name}");
        }
        let ((before, many), (after, as_many)) = (written(&from), written(&to));
        assert_eq!(many, as_many, "{name}");
        let [before, after] =
            [&before, &after].map(|input| input.of(Kind::Video).next().unwrap().clone());
        assert!(
            before.end.seconds_f64() - after.end.seconds_f64() < 0.15,
            "{name}"
        );
    }
    // As a phone that is held upright records: the frames lie on their side, and the header says so.
    let mut bytes = fs::read(folder.join("wide.mp4")).unwrap();
    let header = bytes.windows(4).position(|name| name == b"tkhd").unwrap();
    let (one, minus) = (1u32 << 16, -(1i32 << 16));
    let quarter = [0, one, 0, minus as u32, 0, 0, 0, 0, 1 << 30].map(u32::to_be_bytes);
    bytes[header + 44..header + 80].copy_from_slice(&quarter.concat());
    fs::write(folder.join("turned.mp4"), bytes).unwrap();
    run(&folder, "turned.mp4 -o upright.mp4").ends(0);
    let upright = folder.join("upright.mp4");
    assert_eq!(field(&upright, "width").as_deref(), Some("192"));
    assert_eq!(
        field(&upright, "pixel-aspect-ratio").as_deref(),
        Some("15/16")
    );
}

#[test]
fn tracks_are_copied_or_named_as_lost() {
    let Some(folder) = folder("tracks") else {
        return;
    };
    fs::write(
        folder.join("words.srt"),
        "1\n00:00:00,000 --> 00:00:01,000\n<i>Unless</i> to be\n\n",
    )
    .unwrap();
    make(&format!(
        "{} ! {H264} ! {WHOLE} ! mux.video_0 \
         {} ! avenc_aac ! aacparse ! taginject tags=language-code=en ! {WHOLE} ! mux.audio_0 \
         {} ! avenc_aac ! aacparse ! taginject tags=language-code=de ! {WHOLE} ! mux.audio_1 \
         filesrc location={} ! subparse ! {WHOLE} ! mux.subtitle_0 \
         matroskamux name=mux ! filesink location={}",
        frames(SMALL),
        speech(),
        speech(),
        folder.join("words.srt").display(),
        folder.join("two.mkv").display()
    ));
    let tracks = |name: &str| {
        let (input, frames) = written(&folder.join(name));
        assert_eq!(frames, FRAMES);
        let audio: Vec<_> = input
            .of(Kind::Audio)
            .map(|stream| stream.language.clone().unwrap_or_default())
            .collect();
        (audio.join(" "), input.of(Kind::Subtitles).count())
    };
    for (out, expected) in [("a.mkv", ("en de", 1)), ("a.mp4", ("en de", 1))] {
        run(&folder, &format!("two.mkv -o {out}")).ends(0);
        assert_eq!(tracks(out), (expected.0.to_owned(), expected.1), "{out}");
    }
    run(&folder, "two.mkv -o a.ts")
        .ends(0)
        .says("subtitle track 1")
        .says("is lost: .ts files cannot take it");
    assert_eq!(tracks("a.ts").1, 0);
    run(&folder, "two.mkv -o b.mkv --audio two.mkv --audio-track 2").ends(0);
    assert_eq!(tracks("b.mkv").0, "de en");
    let speech = crate::support::root().join("media/speech.wav");
    run(
        &folder,
        &format!("two.mkv -o c.mkv --audio {}", speech.display()),
    )
    .ends(0)
    .says("audio track 1 (en) of the video is replaced")
    .says("longer than the video and is cut there");
    // Up to here neither is longer.
    let part = format!("two.mkv -o d.mkv --end 1 --audio {}", speech.display());
    let said = run(&folder, &part);
    said.ends(0);
    assert!(!said.text.contains("longer"), "{}", said.text);
    let (input, _) = written(&folder.join("c.mkv"));
    assert!(
        input
            .streams
            .iter()
            .all(|stream| stream.end.seconds_f64() < 1.5)
    );
    run(&folder, "two.mkv -o part.mkv --start 0.4 --end 0.8").ends(0);
    assert_eq!(written(&folder.join("part.mkv")).1, 10);
    run(&folder, "two.mkv -o x.mkv --start 9")
        .ends(2)
        .says("nothing lies between");
}

#[test]
fn a_video_is_read_twice_for_its_peoples_teeth() {
    let clip = crate::support::root().join("../shared/media/grid/s4_bbaf2a.mkv");
    if !clip.exists() {
        println!("skipped: no clips of the GRID corpus in ../shared/media/grid");
        return;
    }
    let Some(folder) = folder("twice") else {
        return;
    };
    fs::copy(clip, folder.join("in.mkv")).unwrap();
    let (_, frames) = written(&folder.join("in.mkv"));
    let share = |options: &str| {
        let words = format!("in.mkv -o out.mkv --report r.json --force {options}");
        let said = run(&folder, &words);
        assert!(!said.ends(0).text.contains("is not known"), "{}", said.text);
        assert_eq!(names(&folder), ["in.mkv", "out.mkv", "r.json"]);
        let report = fs::read(folder.join("r.json")).unwrap();
        let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
        assert_eq!(report["frames"]["out"], frames);
        report["share of mouths from memory"].as_f64().unwrap()
    };
    let [twice, once] = ["", "--passes 1"].map(share);
    assert!(twice > once + 0.05, "{twice} {once}");
    assert_eq!(share("--set mouth-memory=off"), 0.0);
    run(&folder, "in.mkv -o out.mkv --force --set mouth-memory=live").ends(0);
    // From 1 s to 2.5 s, at 25 frames a second; its only keyframe is the first.
    for _ in 0..3 {
        run(
            &folder,
            "in.mkv -o out.mkv --force --passes 1 --start 1 --end 2.5",
        )
        .ends(0);
        assert_eq!(written(&folder.join("out.mkv")).1, 38);
    }
}

#[test]
fn codecs_are_those_that_are_asked_for() {
    let Some(folder) = folder("codecs") else {
        return;
    };
    let prores = "format=I422_10LE,width=241,height=301,pixel-aspect-ratio=1/1,colorimetry=bt601";
    video(prores, "avenc_prores_ks", "qtmux", &folder.join("odd.mov"));
    for (words, media_type, format) in [
        (
            "-o a.mov --video-codec prores",
            "video/x-prores",
            "I422_10LE",
        ),
        ("-o a.mkv --video-codec ffv1", "video/x-ffv", "I422_10LE"),
        ("-o a.mp4", "video/x-h265", "I420_10LE"),
        (
            "-o b.mp4 --video-codec h264 --crf 30",
            "video/x-h264",
            "I420_10LE",
        ),
        ("-o a.webm", "video/x-vp9", "I420"),
    ] {
        run(&folder, &format!("odd.mov {words}")).ends(0);
        let path = folder.join(words.split(' ').nth(1).unwrap());
        let (input, _) = written(&path);
        let caps = input.of(Kind::Video).next().unwrap().caps.clone().unwrap();
        assert_eq!(caps.structure(0).unwrap().name(), media_type);
        assert_eq!(field(&path, "format").as_deref(), Some(format), "{words}");
        let width = if media_type.ends_with("prores") || media_type.ends_with("ffv") {
            "241"
        } else {
            "240"
        };
        assert_eq!(field(&path, "width").as_deref(), Some(width), "{words}");
    }
    for (words, says) in [
        (
            "-o x.webm --video-codec h264",
            ".webm files do not take h264",
        ),
        (
            "-o x.mov --video-codec prores --crf 3",
            "says nothing to prores",
        ),
        ("-o x.avi", "only .mp4 .m4v .mov .mkv"),
        ("-o x.mp4 --set dance=1", "no property dance"),
        ("-o x.mp4 --set max-faces=many", "max-faces=many is no"),
    ] {
        let said = run(&folder, &format!("odd.mov {words}"));
        assert!(
            said.code.is_some_and(|code| [2, 6].contains(&code)),
            "{words}: {}",
            said.text
        );
        said.says(says);
    }
    assert!(
        names(&folder)
            .iter()
            .all(|name| !name.starts_with('x') && !name.starts_with('.'))
    );
}

#[test]
fn files_that_cannot_be_used_are_refused_and_nothing_is_left() {
    let Some(folder) = folder("refused") else {
        return;
    };
    video(SMALL, H264, "mp4mux", &folder.join("good.mp4"));
    video(SMALL, H264, "matroskamux", &folder.join("good.mkv"));
    make(&format!(
        "{} ! {H264} ! mp4mux ! filesink location={}",
        frames(SMALL),
        folder.join("mute.mp4").display()
    ));
    make(&format!(
        "{} ! wavenc ! filesink location={}",
        speech(),
        folder.join("only.wav").display()
    ));
    fs::write(
        folder.join("text.mp4"),
        "Not a film, whatever its name says.\n".repeat(9),
    )
    .unwrap();
    fs::write(folder.join("empty.mp4"), "").unwrap();
    fs::copy(picture(), folder.join("still.jpg")).unwrap();
    for (cut, whole) in [("cut.mp4", "good.mp4"), ("cut.mkv", "good.mkv")] {
        let bytes = fs::read(folder.join(whole)).unwrap();
        fs::write(folder.join(cut), &bytes[..bytes.len() / 2]).unwrap();
    }
    fs::create_dir(folder.join("folder.mp4")).unwrap();
    let before = names(&folder);
    for (words, code, says) in [
        ("nothing.mp4 -o x.mp4", 3, "cannot read nothing.mp4"),
        ("text.mp4 -o x.mp4", 3, "cannot read text.mp4"),
        ("empty.mp4 -o x.mp4", 3, "cannot read empty.mp4"),
        ("cut.mp4 -o x.mp4", 3, "the file is cut off, it has "),
        ("mute.mp4 -o x.mp4", 3, "mute.mp4 has no audio"),
        ("only.wav -o x.mp4", 3, "only.wav has no video"),
        (
            "mute.mp4 --audio mute.mp4 -o x.mp4",
            3,
            "mute.mp4 has no audio",
        ),
        (
            "good.mp4 --audio still.jpg -o x.mp4",
            3,
            "still.jpg is a still picture: --audio takes a file with the speech",
        ),
        ("good.mp4 --audio-track 2 -o x.mp4", 3, "no audio track 2"),
        ("folder.mp4 -o x.mp4", 3, "is a folder"),
        ("good.mp4 -o folder.mp4", 4, "is a folder"),
        ("good.mp4 -o nowhere/x.mp4", 4, "there is no folder nowhere"),
        ("good.mp4 -o mute.mp4", 4, "exists already; --force"),
        (
            "good.mp4 -o good.mp4 --force",
            2,
            "one of the files to read",
        ),
        (
            "good.mp4 -o x.mp4 --compare good.mp4 --force",
            2,
            "one of the files to read",
        ),
        (
            "good.mp4 -o x.mp4 --compare x.mp4",
            2,
            "is to be written twice",
        ),
        (
            "good.mp4 -o x.mp4 --report x.txt",
            2,
            "reports are .json or .html",
        ),
        (
            "good.mp4 -o x.mp4 --compare x.mkv",
            2,
            "expected the same extension",
        ),
        (
            "good.mp4 -o x.mp4 --strength 3",
            2,
            "strength=3 is no value",
        ),
        ("good.mp4 -o x.mp4 --set face-select=middle", 2, "largest"),
        (
            "good.mp4 -o x.mp4 --model nowhere.toml",
            3,
            "cannot read the model nowhere.toml",
        ),
        ("good.mp4", 2, "--output"),
    ] {
        run(&folder, words).ends(code).says(says);
    }
    assert_eq!(names(&folder), before);
    run(&folder, "cut.mkv -o cut.out.mkv")
        .ends(0)
        .says("cut.mkv is not whole: it ends after")
        .says("frames are missing");
    assert!((1..FRAMES).contains(&written(&folder.join("cut.out.mkv")).1));
    run(&folder, "good.mp4 -o mute.mp4 --force").ends(0);
    assert_eq!(
        written(&folder.join("mute.mp4")).0.of(Kind::Audio).count(),
        1
    );
}

#[test]
fn signals_leave_nothing_behind() {
    let Some(folder) = folder("signals") else {
        return;
    };
    let speech = crate::support::root().join("media/speech.wav");
    for (signal, code, after) in [
        ("INT", 130, 0),
        ("INT", 130, 400),
        ("TERM", 143, 900),
        ("INT", 130, 1600),
    ] {
        // The program itself, so that the signal reaches it and nobody else.
        let mut child = Command::new("env");
        child
            .arg(env!("CARGO_BIN_EXE_gst-lipsync"))
            .arg(picture())
            .arg("--audio")
            .arg(&speech);
        let ended = signalled(&folder, child, signal, after);
        assert_eq!(ended, Some(code), "{signal} after {after} ms");
        assert!(names(&folder).is_empty(), "{:?}", names(&folder));
    }
    // As nohup starts it.
    let mut child = Command::new("sh");
    child
        .args(["-c", "trap '' HUP; exec \"$@\"", "-"])
        .arg(env!("CARGO_BIN_EXE_gst-lipsync"))
        .arg(picture())
        .args(["--end", "1", "--audio"])
        .arg(&speech);
    assert_eq!(signalled(&folder, child, "HUP", 0), Some(0));
    assert_eq!(names(&folder), ["x.mp4"]);
}

/// Sends a signal some milliseconds after the program has begun its file. The exit code.
fn signalled(folder: &Path, mut child: Command, signal: &str, after: u64) -> Option<i32> {
    let settings = program(folder);
    for (name, value) in settings.get_envs() {
        child.env(name, value.unwrap());
    }
    let child = child.args(["-o", "x.mp4"]).current_dir(folder).spawn();
    let mut child = child.unwrap();
    // Signals before the program watches for them end it at once.
    while !folder_has_part(folder) && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(after));
    let killed = Command::new("kill")
        .arg(format!("-{signal}"))
        .arg(child.id().to_string())
        .status();
    assert!(killed.unwrap().success());
    child.wait().unwrap().code()
}

fn folder_has_part(folder: &Path) -> bool {
    names(folder).iter().any(|name| name.ends_with(".part"))
}

#[test]
fn the_manual_and_completions_know_all_options() {
    let folder = std::env::temp_dir();
    let man = run(&folder, "--generate man");
    man.ends(0)
        .says("\\-\\-audio")
        .says("EXIT STATUS")
        .says("EXAMPLES")
        .says(".B 130, 143");
    for shell in ["bash", "zsh", "fish"] {
        run(&folder, &format!("--generate {shell}"))
            .ends(0)
            .says("audio-track");
    }
    run(&folder, "--help")
        .ends(0)
        .says("gst-lipsync-1.0 interview.mp4");
    run(&folder, "a.mp4 --dance").ends(2).says("'--dance'");
}
