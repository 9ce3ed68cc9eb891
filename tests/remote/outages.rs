//! Servers that hang, freeze, die and come back: no run is lost, and none waits longer than a call
//! may take.

use std::{
    sync::mpsc::channel,
    thread,
    time::{Duration, Instant},
};

use lipsync_core::{
    Error,
    inference::{CallCounts, Calls, OnUnreachable, ServerEvent},
};

use crate::{
    common::PATIENCE,
    networks::{doubled, open, options, run, serve, with_timeout},
    stand_in_server::Reply,
};

/// Waits until the counts are as they should be.
fn until(calls: &Calls, holds: impl Fn(&CallCounts) -> bool) {
    let start = Instant::now();
    while !holds(&calls.counts()) {
        assert!(start.elapsed() < PATIENCE, "{calls:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn events(calls: &Calls) -> Vec<ServerEvent> {
    std::iter::from_fn(|| calls.next_event()).collect()
}

#[test]
fn a_server_that_hangs_is_left_until_it_is_back() {
    let Some(server) = serve(1) else {
        return;
    };
    let options = options(&server.address(), OnUnreachable::Local);
    let options = with_timeout(options, Duration::from_millis(100));
    let mut network = open(&options).unwrap().network;
    server.answer(|_, answer| Reply::After(Duration::from_millis(400), answer));
    let before = server.calls();
    for first in 0..20 {
        assert_eq!(
            run(&mut *network, first as f32).unwrap(),
            doubled(first as f32)
        );
    }
    let counts = options.calls.counts();
    assert_eq!((counts.errors, counts.timeouts, counts.active), (1, 1, 0));
    assert_eq!(server.calls(), before + 1, "nothing more is sent meanwhile");
    server.answer_well();
    until(&options.calls, |counts| counts.active == 1);
    assert_eq!(run(&mut *network, 5.0).unwrap(), doubled(5.0));
    assert_eq!(options.calls.counts().calls, 1);
    match events(&options.calls).as_slice() {
        [
            ServerEvent::Lost {
                server: lost,
                reason,
                left: 0,
            },
            ServerEvent::Found { server: found },
        ] => {
            assert_eq!((lost, found), (&server.address(), &server.address()));
            assert!(reason.contains("no answer within 100ms"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_that_its_server_dies_of_is_done_here() {
    let Some(mut server) = serve(1) else {
        return;
    };
    let options = options(&server.address(), OnUnreachable::Local);
    let options = with_timeout(options, PATIENCE);
    let mut network = open(&options).unwrap().network;
    let (begins, begun) = channel();
    server.answer(move |_, _| {
        let _ = begins.send(());
        Reply::Never
    });
    let running = thread::spawn(move || {
        let drawn = run(&mut *network, 3.0);
        (network, drawn)
    });
    begun.recv_timeout(PATIENCE).unwrap();
    server.kill();
    let (mut network, drawn) = running.join().unwrap();
    assert_eq!(drawn.unwrap(), doubled(3.0));
    // Nobody waits for a server that is not there.
    for _ in 0..3 {
        assert_eq!(run(&mut *network, 4.0).unwrap(), doubled(4.0));
    }
    assert_eq!(options.calls.counts().errors, 1);
    server.answer_well();
    server.restart();
    until(&options.calls, |counts| counts.reconnects == 1);
    assert_eq!(run(&mut *network, 5.0).unwrap(), doubled(5.0));
    assert_eq!(options.calls.counts().calls, 1);
}

/// What is back has to be the same model.
#[test]
fn a_server_that_is_back_with_another_model_is_not_taken() {
    let Some(mut server) = serve(1) else {
        return;
    };
    let options = options(&server.address(), OnUnreachable::Passthrough);
    let mut network = open(&options).unwrap().network;
    server.kill();
    assert!(matches!(
        run(&mut *network, 1.0),
        Err(Error::Unreachable { .. })
    ));
    server.change(|answer| answer.raw_output_contents[0] = vec![0x3f; 16].into());
    server.restart();
    let (before, start) = (server.calls(), Instant::now());
    while server.calls() < before + 2 {
        assert!(start.elapsed() < PATIENCE, "it is looked at");
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(options.calls.counts().active, 0);
    server.answer_well();
    until(&options.calls, |counts| counts.active == 1);
    assert_eq!(run(&mut *network, 1.0).unwrap(), doubled(1.0));
}

#[test]
fn a_model_that_is_not_ready_is_waited_for() {
    let Some(mut server) = serve(1) else {
        return;
    };
    let options = options(&server.address(), OnUnreachable::Local);
    let mut network = open(&options).unwrap().network;
    server.kill();
    assert_eq!(run(&mut *network, 1.0).unwrap(), doubled(1.0));
    let is_ready = server.script.clone();
    is_ready
        .is_ready
        .store(false, std::sync::atomic::Ordering::SeqCst);
    let before = server.calls();
    server.restart();
    thread::sleep(Duration::from_millis(700));
    assert_eq!((server.calls(), options.calls.counts().active), (before, 0));
    is_ready
        .is_ready
        .store(true, std::sync::atomic::Ordering::SeqCst);
    until(&options.calls, |counts| counts.active == 1);
}

/// A process that was stopped keeps its connections, and a call may take long: pings find it.
#[test]
fn a_frozen_server_is_found_by_keepalive() {
    let Some(server) = serve(1) else {
        return;
    };
    let options = options(&server.address(), OnUnreachable::Local);
    // Longer than keepalive takes, shorter than what would be a hang.
    let options = with_timeout(options, Duration::from_secs(12));
    let mut network = open(&options).unwrap().network;
    assert_eq!(run(&mut *network, 1.0).unwrap(), doubled(1.0));
    server.freeze();
    assert_eq!(run(&mut *network, 2.0).unwrap(), doubled(2.0));
    let counts = options.calls.counts();
    assert_eq!((counts.errors, counts.timeouts), (1, 0), "not the timeout");
    server.thaw();
    until(&options.calls, |counts| counts.active == 1);
    assert_eq!(run(&mut *network, 3.0).unwrap(), doubled(3.0));
}

#[test]
fn a_call_ends_when_nobody_waits_any_more() {
    let Some(server) = serve(1) else {
        return;
    };
    let options = options(&server.address(), OnUnreachable::Local);
    let options = with_timeout(options, Duration::from_secs(600));
    let mut network = open(&options).unwrap().network;
    let (begins, begun) = channel();
    server.answer(move |_, _| {
        let _ = begins.send(());
        Reply::Never
    });
    let running = thread::spawn(move || (run(&mut *network, 3.0).map(|_| ()), network));
    begun.recv_timeout(PATIENCE).unwrap();
    options.interrupt.set();
    let (result, mut network) = running.join().unwrap();
    assert!(matches!(result, Err(Error::Inference { .. })), "{result:?}");
    assert_eq!(options.calls.counts().errors, 0, "it is nobody's fault");
    options.interrupt.clear();
    server.answer_well();
    assert_eq!(run(&mut *network, 3.0).unwrap(), doubled(3.0));
}
