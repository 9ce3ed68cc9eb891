//! The element with a server that comes and goes.

use std::time::{Duration, Instant};

use gst::prelude::*;

use crate::{
    common::*,
    live::{Live, RENDERER},
    stand_in_server::{Reply, StandIn},
};

#[test]
fn a_live_stream_goes_on_when_its_server_dies_and_goes_back_when_it_is_there() {
    if onnxruntime().is_none() {
        return;
    }
    let mut server = StandIn::start(RENDERER, 1);
    let Some(mut live) = Live::start(&server.address(), "local") else {
        return;
    };
    live.until("the server draws", |live| {
        live.stat("remote-calls") > 10 && live.stat("frames-synced") > 10
    });
    assert_eq!(live.stat("remote-active"), 1);
    let provider = live.element.property::<String>("active-execution-provider");
    assert_eq!(provider, "remote");

    // In the middle of a call.
    server.answer(|_, _| Reply::Never);
    let calls = server.calls();
    live.until("a call hangs", |_| server.calls() > calls);
    server.kill();
    live.until("the model draws here", |live| {
        live.stat("remote-active") == 0
    });
    let synced = live.stat("frames-synced");
    live.until("mouths are drawn", |live| {
        live.stat("frames-synced") > synced + 10
    });
    assert_eq!(live.stat("remote-errors"), 1);

    server.answer_well();
    server.restart();
    live.until("the server draws again", |live| {
        live.stat("remote-active") == 1
    });
    let calls = live.stat("remote-calls");
    live.until("calls are made", |live| {
        live.stat("remote-calls") > calls + 5
    });

    assert_eq!(live.server_states(), ["lost", "found"]);
    let texts = live.texts();
    assert!(
        texts
            .iter()
            .any(|text| text.contains("the model draws in this process")),
        "{texts:?}"
    );
    assert!(
        texts.iter().any(|text| text.contains("draws again")),
        "{texts:?}"
    );
    for lost in ["frames-dropped", "frames-error"] {
        assert_eq!(live.stat(lost), 0, "{lost}");
    }
    assert_eq!(live.stat("remote-reconnects"), 1);
    assert!(live.stat("remote-bytes-out") > live.stat("remote-bytes-in") / 4);
    assert!(live.stat("remote-call-p99") >= live.stat("remote-call-p50"));
    live.pipeline.set_state(gst::State::Null).unwrap();
}

#[test]
fn frames_pass_through_unchanged_or_end_where_that_is_asked_for() {
    if onnxruntime().is_none() {
        return;
    }
    let mut server = StandIn::start(RENDERER, 1);
    let Some(mut live) = Live::start(&server.address(), "passthrough") else {
        return;
    };
    live.until("the server draws", |live| live.stat("frames-synced") > 5);
    server.kill();
    live.until("frames pass", |live| live.stat("frames-error") > 10);
    let texts = live.texts();
    assert!(
        texts
            .iter()
            .any(|text| text.contains("pass through unchanged")),
        "{texts:?}"
    );
    assert_eq!(texts.len(), 1, "{texts:?}");
    server.restart();
    live.until("the server draws again", |live| {
        live.stat("remote-active") == 1
    });
    drop(live);

    let Some(mut live) = Live::start(&server.address(), "error") else {
        return;
    };
    live.until("the server draws", |live| live.stat("frames-synced") > 5);
    server.kill();
    let error = live.bus.timed_pop_filtered(
        gst::ClockTime::from_nseconds(PATIENCE.as_nanos() as u64),
        &[gst::MessageType::Error],
    );
    let error = error.expect("an error");
    let gst::MessageView::Error(error) = error.view() else {
        unreachable!();
    };
    assert!(
        error.error().matches(gst::ResourceError::OpenReadWrite),
        "{error:?}"
    );
    assert!(
        error.error().to_string().contains(&server.address()),
        "{error:?}"
    );
}

#[test]
fn an_element_stops_at_once_while_a_call_is_under_way() {
    if onnxruntime().is_none() {
        return;
    }
    let server = StandIn::start(RENDERER, 1);
    let Some(mut live) = Live::start(&server.address(), "local") else {
        return;
    };
    live.element
        .set_property("remote-timeout", 600_000_000_000u64);
    live.until("the server draws", |live| live.stat("frames-synced") > 5);
    live.until("with the new timeout", |live| live.stat("remote-calls") > 5);
    server.answer(|_, _| Reply::Never);
    let calls = server.calls();
    live.until("a call hangs", |_| server.calls() > calls);
    let begun = Instant::now();
    live.pipeline.set_state(gst::State::Null).unwrap();
    println!("stopped in {:?}", begun.elapsed());
    // The call would take ten minutes.
    assert!(begun.elapsed() < PATIENCE + Duration::from_secs(10));
}
