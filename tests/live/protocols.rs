//! Sound and mouth over the protocols of broadcast and streaming, sent and received on the loopback
//! interface with GStreamer's own elements: what left together has to arrive together.
//!
//! A test is skipped where an element that it needs is not installed.

use std::{
    net::UdpSocket,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{arrival::Arrival, common::*};
use gst::prelude::*;
use gstlipsync::lipsync::Lipsync;

/// Sound before picture and picture before sound that nobody is to notice: EBU R 37.
const SOUND_EARLY_MS: i64 = 40;
const SOUND_LATE_MS: i64 = 60;
/// How well the mouth follows the sound when all packets arrive, and when one in twenty does not.
const WHOLE: f64 = 0.85;
const WITH_LOSSES: f64 = 0.6;
const LOSS: &str = "identity drop-probability=0.05";

const H264: &str = "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! h264parse";
const AAC: &str = "audioconvert ! avenc_aac ! aacparse";
const OPUS: &str = "audioconvert ! opusenc";

/// A camera, somebody who speaks in bursts that fall on no frame's time, and the bin between; its
/// outputs go through `video` and `audio`.
fn sender(video: &str, audio: &str, rest: &str) -> gst::Pipeline {
    let pipeline = launch(&format!(
        "lipsyncbin name=bin
         videotestsrc is-live=true pattern=black
            ! video/x-raw,format=I420,width=160,height=120,framerate=25/1 ! bin.video_sink
         audiotestsrc is-live=true wave=ticks freq=1000 sine-periods-per-tick=250 tick-interval=730000000
            ! audio/x-raw,rate=48000,channels=2 ! bin.audio_sink
         bin.video_src ! {video}
         bin.audio_src ! {audio}
         {rest}"
    ));
    let bin = pipeline
        .by_name("bin")
        .unwrap()
        .downcast::<gst::Bin>()
        .unwrap();
    bin.by_name("lipsync")
        .and_downcast::<Lipsync>()
        .unwrap()
        .set_generator(ShowsSound::source());
    pipeline
}

/// What comes out of `{video}` and `{audio}` is decoded already.
fn receiver(rest: &str, video: &str, audio: &str) -> gst::Pipeline {
    launch(&format!(
        "{rest}
         {video} ! videoconvert ! video/x-raw,format=GRAY8 ! appsink name=video
         {audio} ! audioconvert ! audioresample ! audio/x-raw,format=F32LE,rate=48000,channels=1,layout=interleaved
            ! appsink name=audio"
    ))
}

fn launch(description: &str) -> gst::Pipeline {
    gst::parse::launch(description)
        .unwrap_or_else(|err| panic!("{err}: {description}"))
        .downcast()
        .unwrap()
}

/// A pipeline that plays until the test has what it wants.
struct Playing(gst::Pipeline);

impl Playing {
    fn new(pipeline: gst::Pipeline) -> Self {
        pipeline.set_state(gst::State::Playing).unwrap();
        Self(pipeline)
    }

    /// What a program's main loop does with messages.
    fn check(&self) {
        let bus = self.0.bus().unwrap();
        while let Some(message) = bus.pop() {
            match message.view() {
                gst::MessageView::Error(err) => panic!("{err:?}"),
                gst::MessageView::Latency(_) => self.0.recalculate_latency().unwrap(),
                _ => (),
            }
        }
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        let _ = self.0.set_state(gst::State::Null);
    }
}

/// Waits until `LOOK` of what arrived last is together. Streams that come each for itself are
/// brought together only when the sender has reported their times, some seconds after the start.
fn arrives_together(pipelines: &[&Playing], arrival: &Arrival, least: f64) {
    const LOOK: Duration = Duration::from_secs(5);
    let deadline = Instant::now() + 2 * PATIENCE;
    let mut next = LOOK;
    loop {
        pipelines.iter().for_each(|playing| playing.check());
        let in_time = Instant::now() < deadline;
        if arrival.length() >= next {
            let found = arrival.offset(LOOK);
            println!(
                "sound {} ms after the mouth, correlation {:.2}, {} frames up to {:.1?}",
                found.sound_after_ms,
                found.correlation,
                found.frames,
                arrival.length()
            );
            let together = (-SOUND_EARLY_MS..=SOUND_LATE_MS).contains(&found.sound_after_ms);
            if together && found.correlation >= least {
                return;
            }
            assert!(in_time, "{found:?}");
            next = arrival.length() + Duration::from_secs(1);
        }
        assert!(in_time, "only {:?} arrived", arrival.length());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Four ports in a row that nobody uses.
fn ports() -> u16 {
    loop {
        let first = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        let others =
            (1..4).map(|next| UdpSocket::bind(("127.0.0.1", port.checked_add(next)?)).ok());
        if others.collect::<Option<Vec<_>>>().is_some() {
            return port;
        }
    }
}

/// Links what comes out of the element `rtp` with what takes it apart.
fn link_by_media(receiver: &gst::Pipeline) {
    let depays = ["video", "audio"].map(|name| receiver.by_name(&format!("{name}-rtp")).unwrap());
    let rtp = receiver.by_name("rtp").unwrap();
    rtp.connect_pad_added(move |_, pad| {
        let Some(caps) = pad
            .current_caps()
            .filter(|_| pad.direction() == gst::PadDirection::Src)
        else {
            return;
        };
        let index = match caps.structure(0).unwrap().get("media") {
            Ok("video") => 0,
            Ok("audio") => 1,
            _ => return,
        };
        pad.link(&depays[index].static_pad("sink").unwrap())
            .unwrap();
    });
}

/// Out of RTP.
const RTP: [&str; 2] = [
    "rtph264depay name=video-rtp ! avdec_h264",
    "rtpopusdepay name=audio-rtp ! opusdec",
];

/// RTP with RTCP, one session for the picture and one for the sound.
fn rtp(loss: &str, least: f64) {
    let needed = [
        "rtpbin",
        "udpsink",
        "x264enc",
        "rtph264pay",
        "opusenc",
        "avdec_h264",
    ];
    if !have(&needed) {
        return;
    }
    let port = ports();
    let [picture, picture_rtcp, sound, sound_rtcp] = [port, port + 1, port + 2, port + 3];
    let send = |stream: u16, rtp: u16, rtcp: u16| {
        format!(
            "rtp.send_rtp_src_{stream} ! {loss} ! udpsink host=127.0.0.1 port={rtp}
             rtp.send_rtcp_src_{stream} ! udpsink host=127.0.0.1 port={rtcp} sync=false async=false"
        )
    };
    let listen = |stream: u16, rtp: u16, rtcp: u16, caps: &str| {
        format!(
            "udpsrc address=127.0.0.1 port={rtp} caps=\"application/x-rtp,{caps}\" ! rtp.recv_rtp_sink_{stream}
             udpsrc address=127.0.0.1 port={rtcp} ! rtp.recv_rtcp_sink_{stream}"
        )
    };
    let receiver = receiver(
        &format!(
            "rtpbin name=rtp latency=200 {} {}",
            listen(
                0,
                picture,
                picture_rtcp,
                "media=video,clock-rate=90000,encoding-name=H264"
            ),
            listen(
                1,
                sound,
                sound_rtcp,
                "media=audio,clock-rate=48000,encoding-name=OPUS"
            ),
        ),
        RTP[0],
        RTP[1],
    );
    link_by_media(&receiver);
    let arrival = Arrival::at(&receiver);
    let receiver = Playing::new(receiver);
    let sender = Playing::new(sender(
        &format!("{H264} ! rtph264pay config-interval=1 ! rtp.send_rtp_sink_0"),
        &format!("{OPUS} ! rtpopuspay ! rtp.send_rtp_sink_1"),
        &format!(
            "rtpbin name=rtp {} {}",
            send(0, picture, picture_rtcp),
            send(1, sound, sound_rtcp)
        ),
    ));
    arrives_together(&[&sender, &receiver], &arrival, least);
}

#[test]
fn rtp_keeps_mouth_and_sound_together() {
    rtp("identity", WHOLE);
}

#[test]
fn rtp_that_loses_one_packet_in_twenty_goes_on() {
    rtp(LOSS, WITH_LOSSES);
}

/// Out of an MPEG transport stream.
const TS: [&str; 3] = [
    "tsdemux name=demux",
    "demux. ! queue ! h264parse ! avdec_h264",
    "demux. ! queue ! aacparse ! avdec_aac",
];

#[test]
fn srt_keeps_mouth_and_sound_together() {
    if !have(&[
        "srtsink",
        "mpegtsmux",
        "tsdemux",
        "x264enc",
        "avenc_aac",
        "avdec_h264",
    ]) {
        return;
    }
    let uri = format!("srt://127.0.0.1:{}", ports());
    let sender = Playing::new(sender(
        &format!("{H264} ! mux."),
        &format!("{AAC} ! mux."),
        &format!(
            "mpegtsmux name=mux alignment=7 ! srtsink uri={uri}?mode=listener wait-for-connection=false"
        ),
    ));
    let [demux, video, audio] = TS;
    let receiver = receiver(&format!("srtsrc uri={uri} ! {demux}"), video, audio);
    let arrival = Arrival::at(&receiver);
    let receiver = Playing::new(receiver);
    arrives_together(&[&sender, &receiver], &arrival, WHOLE);
}

#[test]
fn hls_keeps_mouth_and_sound_together() {
    if !have(&["hlssink2", "hlsdemux", "x264enc", "avenc_aac", "avdec_h264"]) {
        return;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("hls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let [segments, playlist] = ["%03d.ts", "list.m3u8"].map(|name| folder.join(name));
    let sender = Playing::new(sender(
        &format!("{H264} ! hls.video"),
        &format!("{AAC} ! hls.audio"),
        &format!(
            "hlssink2 name=hls target-duration=2 playlist-length=0 max-files=0 location={} playlist-location={}",
            segments.display(),
            playlist.display()
        ),
    ));
    std::thread::sleep(Duration::from_secs(7));
    sender.0.send_event(gst::event::Eos::new());
    let bus = sender.0.bus().unwrap();
    let end = bus.timed_pop_filtered(
        gst::ClockTime::from_seconds(PATIENCE.as_secs()),
        &[gst::MessageType::Eos, gst::MessageType::Error],
    );
    assert_eq!(
        end.map(|message| message.type_()),
        Some(gst::MessageType::Eos)
    );

    let receiver = receiver(
        &format!("uridecodebin name=in uri=file://{}", playlist.display()),
        "in.",
        "in.",
    );
    let arrival = Arrival::at(&receiver);
    let receiver = Playing::new(receiver);
    arrives_together(&[&receiver], &arrival, WHOLE);
    drop(receiver);
    let _ = std::fs::remove_dir_all(&folder);
}

/// A server for RTMP, which GStreamer has none of.
struct Nginx {
    process: Child,
    port: u16,
}

impl Nginx {
    const MODULE: &str = "/usr/lib/nginx/modules/ngx_rtmp_module.so";

    fn start() -> Option<Self> {
        let found = Path::new(Self::MODULE).exists();
        if !found {
            eprintln!(
                "skipped: nginx with its module for RTMP is not installed (Debian: nginx-light libnginx-mod-rtmp)"
            );
            return None;
        }
        let port = ports();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rtmp-{port}"));
        std::fs::create_dir_all(&folder).unwrap();
        let configuration = folder.join("nginx.conf");
        std::fs::write(
            &configuration,
            format!(
                "load_module {}; daemon off; pid {}; error_log stderr; events {{}}
                 rtmp {{ server {{ listen 127.0.0.1:{port}; application live {{ live on; }} }} }}",
                Self::MODULE,
                folder.join("pid").display()
            ),
        )
        .unwrap();
        let process = Command::new("nginx")
            .arg("-c")
            .arg(&configuration)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "nginx does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self { process, port })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its master process ends its workers when asked to, not when killed.
        let _ = Command::new("kill")
            .arg(self.process.id().to_string())
            .status();
        let _ = self.process.wait();
    }
}

#[test]
fn rtmp_keeps_mouth_and_sound_together() {
    if !have(&[
        "rtmp2sink",
        "rtmp2src",
        "flvmux",
        "flvdemux",
        "x264enc",
        "avenc_aac",
        "avdec_h264",
    ]) {
        return;
    }
    let Some(server) = Nginx::start() else {
        return;
    };
    let location = format!("rtmp://127.0.0.1:{}/live/mouth", server.port);
    let sender = Playing::new(sender(
        &format!("{H264} ! mux."),
        &format!("{AAC} ! mux."),
        &format!("flvmux name=mux streamable=true ! rtmp2sink location={location}"),
    ));
    let receiver = receiver(
        &format!("rtmp2src location={location} ! flvdemux name=demux"),
        "demux.video ! queue ! h264parse ! avdec_h264",
        "demux.audio ! queue ! aacparse ! avdec_aac",
    );
    let arrival = Arrival::at(&receiver);
    let receiver = Playing::new(receiver);
    arrives_together(&[&sender, &receiver], &arrival, WHOLE);
}

/// Makes two `webrtcbin`s call each other: `caller` offers, `callee` answers.
fn connect(caller: &gst::Element, callee: &gst::Element) {
    for (from, to) in [(caller, callee), (callee, caller)] {
        let to = to.downgrade();
        from.connect("on-ice-candidate", false, move |values| {
            if let Some(to) = to.upgrade() {
                to.emit_by_name_with_values("add-ice-candidate", &values[1..]);
            }
            None
        });
    }
    let callee = callee.downgrade();
    caller.connect("on-negotiation-needed", false, move |values| {
        let caller: gst::Element = values[0].get().unwrap();
        let callee = callee.upgrade()?;
        let offering = caller.clone();
        let offered = gst::Promise::with_change_func(move |reply| {
            let offer = reply.unwrap().unwrap().value("offer").unwrap().to_owned();
            describe(&offering, "set-local-description", &offer);
            describe(&callee, "set-remote-description", &offer);
            let answering = callee.clone();
            let answered = gst::Promise::with_change_func(move |reply| {
                let answer = reply.unwrap().unwrap().value("answer").unwrap().to_owned();
                describe(&answering, "set-local-description", &answer);
                describe(&offering, "set-remote-description", &answer);
            });
            callee.emit_by_name::<()>("create-answer", &[&None::<gst::Structure>, &answered]);
        });
        caller.emit_by_name::<()>("create-offer", &[&None::<gst::Structure>, &offered]);
        None
    });
}

fn describe(end: &gst::Element, signal: &str, description: &gst::glib::SendValue) {
    let values = [description.clone().into(), None::<gst::Promise>.to_value()];
    end.emit_by_name_with_values(signal, &values);
}

fn webrtc(loss: &str, least: f64) {
    let needed = [
        "webrtcbin",
        "nicesink",
        "dtlsenc",
        "srtpenc",
        "x264enc",
        "rtph264pay",
        "opusenc",
        "avdec_h264",
    ];
    if !have(&needed) {
        return;
    }
    let sender = sender(
        &format!(
            "{H264} ! rtph264pay config-interval=-1 aggregate-mode=zero-latency
             ! application/x-rtp,media=video,encoding-name=H264,payload=96 ! {loss} ! rtp."
        ),
        &format!(
            "{OPUS} ! rtpopuspay ! application/x-rtp,media=audio,encoding-name=OPUS,payload=97 ! {loss} ! rtp."
        ),
        "webrtcbin name=rtp bundle-policy=max-bundle",
    );
    let receiver = receiver(
        "webrtcbin name=rtp bundle-policy=max-bundle",
        RTP[0],
        RTP[1],
    );
    link_by_media(&receiver);
    connect(
        &sender.by_name("rtp").unwrap(),
        &receiver.by_name("rtp").unwrap(),
    );
    let arrival = Arrival::at(&receiver);
    let receiver = Playing::new(receiver);
    let sender = Playing::new(sender);
    arrives_together(&[&sender, &receiver], &arrival, least);
}

#[test]
fn webrtc_keeps_mouth_and_sound_together() {
    webrtc("identity", WHOLE);
}

#[test]
fn webrtc_that_loses_one_packet_in_twenty_goes_on() {
    webrtc(LOSS, WITH_LOSSES);
}
