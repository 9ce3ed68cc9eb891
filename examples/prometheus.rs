//! A program that runs a pipeline with `lipsync` and serves what `stats` shows to Prometheus.
//!
//! ```text
//! GST_PLUGIN_PATH=$PWD/target/release cargo run --release --example prometheus -- [PORT [PIPELINE]]
//! curl http://localhost:9464/metrics
//! ```
//!
//! PIPELINE is what `gst-launch-1.0` takes, with a `lipsync` or `lipsyncbin` named `lipsync`; without
//! it there are test sources. Only programs of this machine are answered.

use std::{
    error::Error,
    fmt::Write as _,
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    time::Duration,
};

use gst::prelude::*;

const PORT: u16 = 9464;
const TEST_SOURCES: &str = "videotestsrc is-live=true ! video/x-raw,framerate=25/1 ! queue \
    ! lipsync name=lipsync ! fakesink sync=true audiotestsrc is-live=true ! queue ! lipsync.audio";
/// Of Prometheus' text exposition format.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Who asks has this long to say what for.
const PATIENCE: Duration = Duration::from_secs(2);

/// What became of frames that were looked at: each is one of these.
const OUTCOMES: [&str; 10] = [
    "synced",
    "silent",
    "no-face",
    "no-speaker",
    "occluded",
    "bypassed",
    "repeated",
    "skipped",
    "error",
    "loading",
];
const STAGES: [&str; 5] = ["track", "features", "infer", "blend", "total"];
const STATISTICS: [&str; 5] = ["last", "mean", "p50", "p95", "p99"];

/// Field of `stats`, name and type of the metric, and what it is.
const NUMBERS: [(&str, &str, &str, &str); 16] = [
    (
        "frames-in",
        "frames_in_total",
        "counter",
        "Frames that came in",
    ),
    (
        "frames-out",
        "frames_out_total",
        "counter",
        "Frames that went out",
    ),
    (
        "frames-dropped",
        "frames_dropped_total",
        "counter",
        "Frames that were given up",
    ),
    (
        "frames-held",
        "frames_held",
        "gauge",
        "Frames that wait for their sound or are worked on",
    ),
    (
        "frames-late",
        "frames_without_all_sound_total",
        "counter",
        "Frames whose sound had not come when they had to go on",
    ),
    (
        "audio-samples-in",
        "audio_samples_total",
        "counter",
        "Samples of each channel that were heard",
    ),
    (
        "audio-gaps",
        "audio_gaps_total",
        "counter",
        "Gaps in the sound",
    ),
    (
        "detect-runs",
        "detector_runs_total",
        "counter",
        "Runs of the face detector",
    ),
    ("faces-last", "faces", "gauge", "Faces in the last frame"),
    (
        "remote-active",
        "remote_servers",
        "gauge",
        "Servers that draw; 0 with execution-provider=remote means that none can",
    ),
    (
        "remote-calls",
        "remote_calls_total",
        "counter",
        "Calls of servers that were answered as expected",
    ),
    (
        "remote-errors",
        "remote_errors_total",
        "counter",
        "Calls of servers that were not, timeouts among them",
    ),
    (
        "remote-timeouts",
        "remote_timeouts_total",
        "counter",
        "Calls of servers that took too long",
    ),
    (
        "remote-reconnects",
        "remote_reconnects_total",
        "counter",
        "Servers that were lost and found again",
    ),
    (
        "remote-bytes-in",
        "remote_received_bytes_total",
        "counter",
        "Bytes of tensors that servers sent",
    ),
    (
        "remote-bytes-out",
        "remote_sent_bytes_total",
        "counter",
        "Bytes of tensors that were sent to servers",
    ),
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().map_or(Ok(PORT), |port| port.parse())?;
    let description: Vec<String> = arguments.collect();
    let description = match description.is_empty() {
        true => TEST_SOURCES.to_owned(),
        false => description.join(" "),
    };
    gst::init()?;
    let pipeline = gst::parse::launch(&description)?
        .downcast::<gst::Pipeline>()
        .map_err(|_| "not a pipeline")?;
    let lipsync = pipeline
        .by_name("lipsync")
        .ok_or("no element is named lipsync")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    println!("http://{}/metrics", listener.local_addr()?);

    let asked = lipsync.downgrade();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let Some(lipsync) = asked.upgrade() else {
                return;
            };
            // Who went away before the answer has none.
            let _ = answer(stream, &lipsync);
        }
    });

    let bus = pipeline.bus().ok_or("a pipeline has a bus")?;
    pipeline.set_state(gst::State::Playing)?;
    for message in bus.iter_timed(gst::ClockTime::NONE) {
        match message.view() {
            gst::MessageView::Error(error) => return Err(error.error().into()),
            gst::MessageView::Latency(_) => pipeline.recalculate_latency()?,
            gst::MessageView::Eos(_) => break,
            _ => {}
        }
    }
    pipeline.set_state(gst::State::Null)?;
    Ok(())
}

fn answer(mut stream: TcpStream, lipsync: &gst::Element) -> Result<(), Box<dyn Error>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(&stream).lines();
    let request = lines.next().ok_or("no request")??;
    // A connection that is closed before all was read is one that failed.
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let (status, body) = match request.split(' ').nth(1) {
        Some("/metrics") => {
            let stats = lipsync.property::<gst::Structure>("stats");
            ("200 OK", metrics(&stats)?)
        }
        _ => ("404 Not Found", "the metrics are at /metrics\n".to_owned()),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )?;
    Ok(())
}

/// `stats` as Prometheus reads it: base units, one name a metric.
fn metrics(stats: &gst::StructureRef) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    let head = |text: &mut String, name: &str, kind: &str, help: &str| {
        writeln!(
            text,
            "# HELP lipsync_{name} {help}.\n# TYPE lipsync_{name} {kind}"
        )
    };
    let number = |field: &str| stats.get::<u64>(field);

    head(
        &mut text,
        "frames_total",
        "counter",
        "Frames by what became of them",
    )?;
    for outcome in OUTCOMES {
        let count = number(&format!("frames-{outcome}"))?;
        writeln!(
            text,
            "lipsync_frames_total{{outcome=\"{outcome}\"}} {count}"
        )?;
    }
    for (field, name, kind, help) in NUMBERS {
        head(&mut text, name, kind, help)?;
        writeln!(text, "lipsync_{name} {}", number(field)?)?;
    }
    head(
        &mut text,
        "av_offset_seconds",
        "gauge",
        "How much later mouths move than they sound",
    )?;
    let offset = stats.get::<i64>("av-offset-ns")? as f64 / 1e9;
    writeln!(text, "lipsync_av_offset_seconds {offset}")?;

    head(
        &mut text,
        "stage_seconds",
        "gauge",
        "Time that a frame takes, since the stream began",
    )?;
    for stage in STAGES {
        for statistic in STATISTICS {
            let seconds = number(&format!("{stage}-{statistic}"))? as f64 / 1e6;
            writeln!(
                text,
                "lipsync_stage_seconds{{stage=\"{stage}\",statistic=\"{statistic}\"}} {seconds}"
            )?;
        }
    }
    head(
        &mut text,
        "remote_call_seconds",
        "gauge",
        "Time that a call of a server takes, since the model was loaded",
    )?;
    for statistic in ["p50", "p95", "p99"] {
        let seconds = number(&format!("remote-call-{statistic}"))? as f64 / 1e6;
        writeln!(
            text,
            "lipsync_remote_call_seconds{{statistic=\"{statistic}\"}} {seconds}"
        )?;
    }
    head(&mut text, "info", "gauge", "What draws, and what runs it")?;
    let label = |field: &str| -> Result<String, Box<dyn Error>> {
        let value = stats.get::<Option<&str>>(field)?.unwrap_or("none");
        Ok(value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n"))
    };
    writeln!(
        text,
        "lipsync_info{{model=\"{}\",provider=\"{}\"}} 1",
        label("model-name")?,
        label("active-execution-provider")?
    )?;
    Ok(text)
}
