//! Several servers: the one with the fewest calls draws, and one that dies costs nothing.

use std::{
    thread,
    time::{Duration, Instant},
};

use lipsync_core::inference::{OnUnreachable, Options, ServerEvent};

use crate::{
    common::PATIENCE,
    networks::{doubled, open, options, run, serve},
    stand_in_server::{Reply, StandIn},
};

fn two() -> Option<(StandIn, StandIn, Options)> {
    let (one, other) = (serve(1)?, serve(1)?);
    let servers = format!("{},{}", one.address(), other.address());
    Some((one, other, options(&servers, OnUnreachable::Passthrough)))
}

#[test]
fn the_one_with_fewest_calls_under_way_draws() {
    let Some((one, other, options)) = two() else {
        return;
    };
    let slowly = |server: &StandIn| {
        server.answer(|_, answer| Reply::After(Duration::from_millis(20), answer));
    };
    slowly(&one);
    slowly(&other);
    let before = [one.calls(), other.calls()];
    let networks: Vec<_> = (0..4).map(|_| open(&options).unwrap().network).collect();
    let probes = [one.calls(), other.calls()];
    assert_eq!(
        probes[0] - before[0],
        probes[1] - before[1],
        "all look at both"
    );
    let running: Vec<_> = networks
        .into_iter()
        .map(|mut network| {
            thread::spawn(move || {
                for first in 0..10 {
                    assert_eq!(
                        run(&mut *network, first as f32).unwrap(),
                        doubled(first as f32)
                    );
                }
            })
        })
        .collect();
    running
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    let drawn = [one.calls() - probes[0], other.calls() - probes[1]];
    assert_eq!(drawn[0] + drawn[1], 40);
    assert!(drawn.iter().all(|drawn| *drawn >= 10), "{drawn:?}");
}

#[test]
fn one_that_dies_costs_no_run_and_is_taken_again() {
    let Some((mut one, other, options)) = two() else {
        return;
    };
    let mut network = open(&options).unwrap().network;
    one.kill();
    for first in 0..20 {
        assert_eq!(
            run(&mut *network, first as f32).unwrap(),
            doubled(first as f32)
        );
    }
    let counts = options.calls.counts();
    assert_eq!((counts.calls, counts.active), (20, 1));
    let lost = options.calls.next_event();
    assert!(
        matches!(&lost, Some(ServerEvent::Lost { server, left: 1, .. }) if *server == one.address()),
        "{lost:?}"
    );
    one.restart();
    let start = Instant::now();
    while options.calls.counts().active < 2 {
        assert!(start.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(5));
    }
    let found = options.calls.next_event();
    assert_eq!(
        found,
        Some(ServerEvent::Found {
            server: one.address()
        })
    );
    drop(other);
    assert_eq!(run(&mut *network, 1.0).unwrap(), doubled(1.0));
}

#[test]
fn one_that_was_never_there_is_taken_when_it_comes() {
    let Some(mut late) = serve(1) else {
        return;
    };
    late.kill();
    let Some(other) = serve(1) else {
        return;
    };
    let servers = format!("{},{}", late.address(), other.address());
    let options = options(&servers, OnUnreachable::Error);
    let mut network = open(&options).unwrap().network;
    assert_eq!(run(&mut *network, 1.0).unwrap(), doubled(1.0));
    assert_eq!(options.calls.counts().active, 1);
    let lost = options.calls.next_event();
    assert!(
        matches!(&lost, Some(ServerEvent::Lost { server, left: 1, .. }) if *server == late.address()),
        "{lost:?}"
    );
    late.restart();
    let start = Instant::now();
    while options.calls.counts().active < 2 {
        assert!(start.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(5));
    }
}
