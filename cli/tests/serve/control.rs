//! What is asked and changed while it plays, and who may.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
};

use crate::{
    server::Server,
    support::{folder, root, run, written},
};

#[test]
fn a_programme_plays_and_is_controlled() {
    let Some(folder) = folder("control") else {
        return;
    };
    let server = Server::start(
        &folder,
        &[
            "--input",
            "test",
            "--output",
            "out.mkv",
            "--output",
            "live.m3u8",
            "--output",
            "out.mp4",
        ],
    );
    let status = server.wait("a face and all outputs on", |status| {
        let outputs = status["outputs"].as_array().unwrap();
        status["meters"]["faces"]
            .as_array()
            .is_some_and(|faces| faces.len() == 1)
            && outputs.iter().all(|output| output["state"] == "playing")
            && status["faults"] == serde_json::json!([])
    });
    assert_eq!(status["input"]["address"], "test");
    assert_eq!(status["format"]["width"], 240);
    let face = &status["meters"]["faces"][0];
    let share = |name: &str| face[name].as_f64().unwrap();
    assert!(
        (0.1..0.9).contains(&(share("x") + share("width") / 2.0)),
        "{face}"
    );
    server.wait("speech", |status| {
        status["meters"]["gate"].as_f64() > Some(0.9)
    });
    assert!(
        status["meters"]["level"]
            .as_array()
            .is_some_and(|level| level.len() == 2)
    );
    assert!(
        status["latency-ms"]
            .as_f64()
            .is_some_and(|latency| latency > 200.0),
        "{status:#}"
    );
    server.wait_for_frames(25);
    assert_eq!(server.get("/health").status, 200);

    let changed =
        server.change(r#"{"strength": 0.5, "sync-offset": 40000000, "silence": "original"}"#);
    assert_eq!(
        (changed.status, &changed.json()["strength"]),
        (200, &0.5.into())
    );
    // All or none.
    for wrong in [
        r#"{"strength": 1.5, "bypass": 7}"#,
        r#"{"strength": 3}"#,
        r#"{"sync-offset": -2000000000}"#,
        r#"{"strength": 1.5, "model": "/etc/passwd"}"#,
        r#"{"strength": 1.5, "max-faces": 2}"#,
        r#"{"silence": "shout"}"#,
        "[]",
        "",
    ] {
        let refused = server.change(wrong);
        assert_eq!(refused.status, 422, "{wrong}");
        assert!(!refused.json()["error"].as_str().unwrap().is_empty());
    }
    let status = server.wait_for_frames(10);
    assert_eq!(status["settings"]["strength"], 0.5);
    assert_eq!(status["stats"]["av-offset-ns"], 40_000_000);

    let metrics = server.get("/metrics").body;
    for line in [
        "lipsync_healthy 1",
        "lipsync_input_up 1",
        "lipsync_viewers 0",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "no {line} in {metrics}"
        );
    }
    assert!(metrics.contains("\nlipsync_frames_out_total "), "{metrics}");
    let page = server.get("/");
    assert!(page.body.contains("<video") && page.head.contains("content-security-policy"));
    assert_eq!(server.get("/openapi.json").json()["openapi"], "3.1.0");
    let log = server.get("/api/log").json();
    let texts: Vec<_> = log
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["text"])
        .collect();
    assert!(texts.contains(&&"input test plays".into()), "{texts:?}");
    assert_eq!(server.get("/nowhere").status, 404);
    assert_eq!(server.ask("POST", "/api/preview", &[], "v=0").status, 400);
    assert_eq!(server.ask("DELETE", "/api/preview/1", &[], "").status, 404);
    assert!(hears_events(&server));

    assert_eq!(server.end(), Some(0));
    for file in ["out.mkv", "out.mp4"] {
        assert!(written(&folder.join(file)).1 > 30, "{file}");
        let bytes = fs::read(folder.join(file)).unwrap();
        let mark = b"mouths-altered-by-lipsync";
        assert!(bytes.windows(mark.len()).any(|at| at == mark), "{file}");
    }
    let playlist = fs::read_to_string(folder.join("live.m3u8")).unwrap();
    assert!(playlist.contains("live-00000.ts"), "{playlist}");
}

/// Whether meters come over a WebSocket, and settings are taken there.
fn hears_events(server: &Server) -> bool {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    write!(
        stream,
        "GET /api/events HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: lipsync\r\n\r\n",
        server.address
    )
    .unwrap();
    // A text that is masked with nothing.
    let text = br#"{"strength": 0.25}"#;
    stream
        .write_all(&[0x81, 0x80 | text.len() as u8, 0, 0, 0, 0])
        .unwrap();
    stream.write_all(text).unwrap();
    let mut heard = Vec::new();
    let mut piece = [0; 4096];
    while heard.len() < 1 << 20 {
        let length = stream.read(&mut piece).unwrap();
        heard.extend_from_slice(&piece[..length]);
        let text = String::from_utf8_lossy(&heard);
        if text.contains("sec-websocket-protocol: lipsync")
            && text.contains(r#""type":"meters""#)
            && text.contains(r#""strength":0.25"#)
        {
            return true;
        }
    }
    false
}

#[test]
fn bypass_cuts_out_what_is_drawn() {
    let Some(folder) = folder("bypass") else {
        return;
    };
    let words = [
        "--input",
        "test",
        "--output",
        "out.mkv",
        "--bitrate",
        "8000",
        "--set",
        "fade-time=0",
        "--set",
        "bypass=true",
    ];
    let server = Server::start(&folder, &words);
    server.wait("an output", |status| {
        status["outputs"][0]["state"] == "playing"
    });
    server.wait_for_frames(40);
    assert_eq!(server.status()["stats"]["frames-synced"], 0);
    assert_eq!(server.change(r#"{"bypass": false}"#).status, 200);
    server.wait("mouths", |status| {
        status["stats"]["frames-synced"].as_u64() > Some(50)
    });
    assert_eq!(server.end(), Some(0));
    let frames = grey(&folder.join("out.mkv"));
    // The painting itself does not move, its mouth does.
    let most = |from: usize| {
        let differences = frames[from..from + 20].iter().map(|frame| {
            let pairs = frame.iter().zip(&frames[from]);
            pairs
                .map(|(one, other)| one.abs_diff(*other))
                .max()
                .unwrap()
        });
        differences.max().unwrap()
    };
    let (bypassed, drawn) = (most(10), most(frames.len() - 25));
    println!("greatest difference: {bypassed} while bypassed, {drawn} afterwards");
    assert!(drawn > 3 * bypassed.max(5), "{bypassed} {drawn}");
}

#[test]
fn a_model_takes_over_while_it_plays() {
    let Some(folder) = folder("swap") else { return };
    let model = root().join("models/builtin").display().to_string();
    let server = Server::start(&folder, &["--input", "test", "--model", &model]);
    let status = server.wait("mouths", |status| {
        status["stats"]["frames-synced"].as_u64() > Some(10)
    });
    assert_eq!(status["settings"]["model"], *model);
    assert_eq!(status["models"], serde_json::json!(["", model]));
    let opened = |server: &Server| {
        server
            .get("/api/log")
            .body
            .matches("Opening the model")
            .count()
    };
    assert_eq!(opened(&server), 1);
    assert_eq!(server.change(r#"{"model": ""}"#).status, 200);
    server.wait("another model", |_| opened(&server) == 2);
    let status = server.wait_for_frames(40);
    assert_eq!(status["settings"]["model"], "");
    assert_eq!(status["faults"], serde_json::json!([]));
    assert_eq!(status["stats"]["frames-error"], 0);
}

/// The frames of a file.
fn grey(path: &Path) -> Vec<Vec<u8>> {
    let words = format!(
        "filesrc location={} ! decodebin ! videoconvert ! video/x-raw,format=GRAY8 ! appsink name=sink sync=false",
        path.display()
    );
    let pipeline = gst_lipsync::pipeline::Pipeline::parse(&words).unwrap();
    let sink = pipeline.element("sink").unwrap();
    pipeline.play().unwrap();
    std::iter::from_fn(|| pipeline.next_sample(&sink))
        .map(|sample| {
            let sample = sample.unwrap();
            let map = sample.buffer().unwrap().map_readable().unwrap();
            map.to_vec()
        })
        .collect()
}

#[test]
fn a_wrong_token_is_refused() {
    let Some(folder) = folder("token") else {
        return;
    };
    fs::write(folder.join("token"), "correct-horse-battery\n").unwrap();
    let server = Server::start(&folder, &["--input", "test", "--token-file", "token"]);
    let with = |path: &str, value: &str| {
        server
            .ask("GET", path, &[("Authorization", value)], "")
            .status
    };
    for path in [
        "/api/status",
        "/api/settings",
        "/api/log",
        "/metrics",
        "/api/events",
    ] {
        assert_eq!(server.get(path).status, 401, "{path}");
        assert_eq!(with(path, "Bearer correct-horse-batterz"), 401, "{path}");
    }
    assert_eq!(with("/api/status", "Bearer correct-horse-battery"), 200);
    assert_eq!(server.change(r#"{"bypass": true}"#).status, 401);
    assert_eq!(server.ask("POST", "/api/preview", &[], "v=0").status, 401);
    for path in ["/", "/health", "/openapi.json"] {
        assert_ne!(server.get(path).status, 401, "{path}");
    }
    drop(server);

    fs::write(folder.join("short"), "guess-me").unwrap();
    for (words, said) in [
        ("serve --input test --listen 0.0.0.0:0", "--token-file"),
        ("serve --input test --token-file short", "8 characters"),
        ("serve --input test --token-file nowhere", "cannot read"),
    ] {
        run(&folder, words).ends(2).says(said);
    }
    // Without a token no foreign page is answered, by whatever name it calls this machine.
    let server = Server::start(&folder, &["--input", "test"]);
    for origin in ["https://elsewhere.example", "null"] {
        let headers = [("Origin", origin)];
        let answer = server.ask("PATCH", "/api/settings", &headers, "{}");
        assert_eq!(answer.status, 403, "{origin}");
    }
    assert_eq!(server.get("/api/status").status, 200);
}

#[test]
fn what_cannot_be_is_said_at_once() {
    let Some(folder) = folder("serve-mistakes") else {
        return;
    };
    fs::write(folder.join("there.mkv"), "").unwrap();
    fs::write(folder.join("words.mp4"), "no video, but words").unwrap();
    for (words, code, said) in [
        ("serve --input nowhere.mp4", 3, "is not a file"),
        ("serve --input ftp://host/x", 3, "expected srt"),
        ("serve --input test --output there.mkv", 4, "--force"),
        ("serve --input test --output x.doc", 4, ".mkv"),
        (
            "serve --input test --output nowhere/x.mkv",
            4,
            "no folder nowhere",
        ),
        ("serve --input test --output rtmp://", 4, "has no host"),
        ("serve --input srt://:7000", 3, "mode=listener"),
        ("serve --input srt://host", 3, "srt://HOST:PORT"),
        ("serve --input udp://:5000", 3, "udp://ADDRESS:PORT"),
        ("serve --input test --set strength=9", 2, "strength=9"),
        ("serve --input test --size 3x3", 2, "WIDTHxHEIGHT"),
        (
            "serve --input words.mp4 --once --listen 127.0.0.1:0",
            3,
            "words.mp4 failed",
        ),
        ("serve", 2, "--input"),
    ] {
        run(&folder, words).ends(code).says(said);
    }
}
