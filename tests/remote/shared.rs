//! Memory that the element and a server of the same machine share: the same numbers, and none of them goes over
//! the network. A server that does not take part costs nothing.

use std::{
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

use lipsync_core::inference::{ModelSource, OnUnreachable, Options, ServerEvent, onnx};
use tonic::Status;

use crate::{
    common::{PATIENCE, onnxruntime},
    live::RENDERER,
    networks::{doubled, open, options, run, serve, with},
    real::{self, ONE, renderer},
    stand_in_server::{Reply, StandIn},
    triton::{STARTING, Triton},
};

fn sharing(server: &StandIn) -> Options {
    let options = options(&server.address(), OnUnreachable::Passthrough);
    with(options, &[("shared-memory", "auto")])
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn tensors_do_not_go_over_the_network() {
    let Some(server) = serve(1) else {
        return;
    };
    server.script.shares.store(true, Ordering::SeqCst);
    let options = sharing(&server);
    let mut network = open(&options).unwrap().network;
    for first in 0..5 {
        assert_eq!(
            run(&mut *network, first as f32).unwrap(),
            doubled(first as f32)
        );
    }
    let counts = options.calls.counts();
    assert_eq!((counts.calls, counts.bytes_in, counts.bytes_out), (5, 0, 0));
    assert_eq!(options.calls.next_event(), None);
    // Nothing is left of it, on either side.
    let name = server.script.regions.lock().unwrap().keys().next().cloned();
    let name = name.expect("a region");
    assert!(!std::path::Path::new("/dev/shm").join(name).exists());
    drop(network);
    until("the server lets go of it", || {
        server.script.regions.lock().unwrap().is_empty()
    });
}

#[test]
fn a_server_that_wants_none_is_sent_them() {
    let Some(server) = serve(1) else {
        return;
    };
    let options = sharing(&server);
    let mut network = open(&options).unwrap().network;
    assert_eq!(run(&mut *network, 1.0).unwrap(), doubled(1.0));
    let counts = options.calls.counts();
    assert_eq!(
        (counts.errors, counts.bytes_in, counts.bytes_out),
        (0, 16, 16)
    );
    match options.calls.next_event() {
        Some(ServerEvent::NotShared { server: at, reason }) => {
            assert_eq!(at, server.address());
            assert!(reason.contains("no shared memory"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

/// A proxy in front of several: one has opened the memory, and another gets the call.
#[test]
fn a_server_that_has_not_opened_it_is_sent_them() {
    let Some(server) = serve(1) else {
        return;
    };
    server.script.shares.store(true, Ordering::SeqCst);
    let options = sharing(&server);
    let mut network = open(&options).unwrap().network;
    assert_eq!(run(&mut *network, 1.0).unwrap(), doubled(1.0));
    server.script.regions.lock().unwrap().clear();
    for first in 0..3 {
        assert_eq!(
            run(&mut *network, first as f32).unwrap(),
            doubled(first as f32)
        );
    }
    let counts = options.calls.counts();
    assert_eq!((counts.calls, counts.errors, counts.active), (4, 0, 1));
    assert_eq!(counts.bytes_out, 3 * 16);
    let event = options.calls.next_event();
    assert!(
        matches!(event, Some(ServerEvent::NotShared { .. })),
        "{event:?}"
    );
    assert_eq!(options.calls.next_event(), None, "it is said once");
}

#[test]
fn a_late_answer_is_not_taken_for_that_of_the_next_call() {
    let Some(server) = serve(1) else {
        return;
    };
    server.script.shares.store(true, Ordering::SeqCst);
    let options = sharing(&server);
    let mut network = open(&options).unwrap().network;
    let (begins, begun) = std::sync::mpsc::channel();
    server.answer(move |request, answer| {
        let late =
            f32::from_le_bytes(*request.raw_input_contents[0].as_chunks().0.first().unwrap());
        let _ = begins.send(());
        match late == 1.0 {
            true => Reply::After(Duration::from_millis(300), answer),
            false => Reply::Answer(answer),
        }
    });
    let running = thread::spawn(move || (run(&mut *network, 1.0).map(|_| ()), network));
    begun.recv_timeout(PATIENCE).unwrap();
    options.interrupt.set();
    let (result, mut network) = running.join().unwrap();
    assert!(result.is_err());
    options.interrupt.clear();
    // The server may still write to the memory: these do not use it.
    let drawn_at_once = run(&mut *network, 2.0).unwrap();
    assert_eq!(drawn_at_once, doubled(2.0));
    assert_eq!(options.calls.counts().bytes_out, 16);
    thread::sleep(Duration::from_millis(600));
    assert_eq!(run(&mut *network, 3.0).unwrap(), doubled(3.0));
    assert_eq!(options.calls.counts().bytes_out, 16, "from then on they do");
}

#[test]
fn a_call_that_is_refused_for_another_reason_loses_the_server() {
    let Some(server) = serve(1) else {
        return;
    };
    server.script.shares.store(true, Ordering::SeqCst);
    let options = sharing(&server);
    let mut network = open(&options).unwrap().network;
    server.answer(|_, _| Reply::Refuse(Status::not_found("no such model")));
    assert!(run(&mut *network, 1.0).is_err());
    assert_eq!(options.calls.counts().active, 0);
}

#[test]
fn triton_shares_memory_and_gives_it_back() {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if onnxruntime().is_none() {
        return;
    }
    let Some(mut triton) = Triton::start("shared", &[renderer("renderer")], &[]) else {
        return;
    };
    let options = with(
        options(&triton.address(), OnUnreachable::Local),
        &[("shared-memory", "yes")],
    );
    let source = ModelSource::Bytes {
        name: "renderer",
        data: RENDERER,
    };
    let mut here = onnx::open(source, &options.local(), &[]).unwrap().network;
    let expected = real::run(&mut *here).unwrap();
    let mut network = real::open(&options).unwrap().network;
    for _ in 0..5 {
        assert!(real::run(&mut *network).unwrap() == expected);
    }
    let counts = options.calls.counts();
    assert_eq!((counts.calls, counts.bytes_out, counts.bytes_in), (5, 0, 0));
    assert_eq!((triton.regions(), options.calls.next_event()), (1, None));

    // One that comes back is given memory anew.
    triton.kill();
    assert!(real::run(&mut *network).unwrap() == expected);
    triton.restart();
    let start = Instant::now();
    while options.calls.counts().active == 0 {
        assert!(start.elapsed() < STARTING);
        thread::sleep(Duration::from_millis(20));
    }
    assert!(real::run(&mut *network).unwrap() == expected);
    let counts = options.calls.counts();
    assert_eq!(
        (counts.calls, counts.bytes_out, triton.regions()),
        (6, 0, 1)
    );
    drop(network);
    until("it lets go of it", || triton.regions() == 0);
}
