//! Inputs that go and come back, and files that end.

use std::path::Path;

use gst_lipsync::pipeline::Pipeline;

use crate::{
    server::Server,
    support::{self, folder, written},
};

/// A sender of the painting and its speech, over and over, as far away as another program.
pub fn sender(sink: &str) -> Pipeline {
    let words = format!(
        "{} ! clocksync ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=12 ! h264parse ! mux. \
         multifilesrc location={} loop=true ! wavparse ignore-length=true ! audioconvert ! audioresample \
         ! audio/x-raw,rate=48000 ! clocksync ! avenc_aac ! aacparse ! mux. mpegtsmux name=mux alignment=7 ! {sink}",
        support::frames(support::SMALL).replace(&format!("num-buffers={}", support::FRAMES), ""),
        support::root().join("media/speech.wav").display()
    );
    let sender = Pipeline::parse(&words).unwrap();
    sender.play().unwrap();
    sender
}

/// A port that nobody uses.
pub fn port() -> u16 {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

fn goes_and_comes_back(folder: &Path, input: &str, sink: &str) {
    let server = Server::start(folder, &["--input", input, "--output", "out.ts", "--force"]);
    // Nobody sends yet: the programme is on air all the same.
    server.wait_for_frames(10);
    assert_eq!(server.get("/health").status, 503);
    let sending = sender(sink);
    server.wait("playing", |status| status["input"]["state"] == "playing");
    server.wait("a face", |status| {
        status["meters"]["faces"]
            .as_array()
            .is_some_and(|faces| !faces.is_empty())
    });
    drop(sending);
    let status = server.wait("lost", |status| status["input"]["state"] != "playing");
    assert!(
        status["faults"][0].as_str().unwrap().contains("input"),
        "{status:#}"
    );
    assert!(status["input"]["reason"].is_string(), "{status:#}");
    assert_eq!(server.get("/health").status, 503);
    let status = server.wait_for_frames(25);
    assert_eq!(status["outputs"][0]["state"], "playing");
    let _sending = sender(sink);
    server.wait("back", |status| {
        status["input"]["state"] == "playing" && status["faults"] == serde_json::json!([])
    });
    server.wait_for_frames(25);
    let log = server.get("/api/log").body;
    assert!(
        log.contains("is lost") && log.matches(" plays").count() == 2,
        "{log}"
    );
    assert_eq!(server.end(), Some(0));
    let (_, frames) = written(&folder.join("out.ts"));
    assert!(frames > 60, "{frames}");
}

#[test]
fn packets_that_stop_and_come_again() {
    let Some(folder) = folder("udp") else { return };
    let port = port();
    goes_and_comes_back(
        &folder,
        &format!("udp://127.0.0.1:{port}"),
        &format!("udpsink host=127.0.0.1 port={port}"),
    );
}

#[test]
fn a_connection_that_breaks_and_is_made_again() {
    let Some(folder) = folder("srt") else { return };
    let port = port();
    goes_and_comes_back(
        &folder,
        &format!("srt://127.0.0.1:{port}"),
        &format!("srtsink uri=srt://127.0.0.1:{port}?mode=listener wait-for-connection=false"),
    );
}

#[test]
fn a_file_is_played_over_and_over_or_once() {
    let Some(folder) = folder("looped") else {
        return;
    };
    support::video(
        support::SMALL,
        support::H264,
        "mp4mux",
        &folder.join("in.mp4"),
    );
    let server = Server::start(&folder, &["--input", "in.mp4"]);
    server.wait("its third beginning", |status| {
        status["stats"]["frames-out"].as_u64() > Some(3 * support::FRAMES)
    });
    assert_eq!(server.status()["faults"], serde_json::json!([]));
    drop(server);
    support::run(
        &folder,
        "serve --input in.mp4 --once --listen 127.0.0.1:0 --size 240x300 --output once.mkv",
    )
    .ends(0);
    let (_, frames) = written(&folder.join("once.mkv"));
    assert!(
        (support::FRAMES - 3..support::FRAMES + 40).contains(&frames),
        "{frames}"
    );
}
