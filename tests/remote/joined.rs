//! Frames of several streams of one process in one call: each gets what it would get alone.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
        mpsc::channel,
    },
    thread,
    time::{Duration, Instant},
};

use lipsync_core::inference::{Network, OnUnreachable, Options};

use crate::{
    common::{PATIENCE, onnxruntime},
    networks::{doubled, open, options, run, serve, with},
    real::{self, ONE, renderer},
    stand_in_server::{Reply, StandIn},
    triton::{Served, Triton},
};

const STREAMS: usize = 6;
const FRAMES: usize = 10;

/// A server that takes so many rows at once and says so where `says`, and options of streams that go together.
fn server(rows: usize, says: bool) -> Option<(StandIn, Options)> {
    let server = serve(rows)?;
    let mut metadata = server.script.metadata.lock().unwrap();
    metadata.inputs[0].shape[0] = -1;
    metadata.outputs[0].shape[0] = -1;
    drop(metadata);
    *server.script.max_batch.lock().unwrap() = says.then_some(rows as i32);
    let options = options(&server.address(), OnUnreachable::Passthrough);
    Some((server, with(options, &[("batching", "8")])))
}

/// Has each take long enough for others to come meanwhile. Most rows that came in one call.
fn slowly(server: &StandIn) -> Arc<AtomicI64> {
    let most = Arc::new(AtomicI64::new(0));
    let seen = most.clone();
    server.answer(move |request, answer| {
        seen.fetch_max(request.inputs[0].shape[0], Ordering::SeqCst);
        Reply::After(Duration::from_millis(10), answer)
    });
    most
}

fn networks(options: &Options) -> Vec<Box<dyn Network>> {
    (0..STREAMS)
        .map(|_| open(options).unwrap().network)
        .collect()
}

/// Each stream has numbers of its own.
fn draw_all(networks: Vec<Box<dyn Network>>) {
    thread::scope(|scope| {
        for (stream, mut network) in networks.into_iter().enumerate() {
            scope.spawn(move || {
                for frame in 0..FRAMES {
                    let first = (100 * stream + frame) as f32;
                    assert_eq!(run(&mut *network, first).unwrap(), doubled(first));
                }
            });
        }
    });
}

#[test]
fn frames_that_come_meanwhile_go_together_in_the_next_call() {
    let Some((server, options)) = server(4, true) else {
        return;
    };
    let networks = networks(&options);
    let most = slowly(&server);
    let probes = server.calls();
    draw_all(networks);
    let calls = server.calls() - probes;
    println!("{calls} calls of at most {most:?} rows");
    assert!(calls < STREAMS * FRAMES);
    assert!((2..=4).contains(&most.load(Ordering::SeqCst)));
    let counts = options.calls.counts();
    assert_eq!(
        (counts.calls, counts.errors),
        ((STREAMS * FRAMES) as u64, 0)
    );
}

#[test]
fn a_server_that_refuses_so_many_gets_fewer() {
    let Some((server, options)) = server(2, false) else {
        return;
    };
    let networks = networks(&options);
    let most = slowly(&server);
    draw_all(networks);
    // Larger ones do not come so far.
    assert_eq!(most.load(Ordering::SeqCst), 2);
    assert_eq!(options.calls.counts().errors, 0);
}

#[test]
fn a_model_of_one_row_is_never_asked_for_more() {
    let Some(server) = serve(1) else {
        return;
    };
    let options = options(&server.address(), OnUnreachable::Passthrough);
    let options = with(options, &[("batching", "8")]);
    let networks = networks(&options);
    let most = slowly(&server);
    let probes = server.calls();
    draw_all(networks);
    assert_eq!(most.load(Ordering::SeqCst), 1);
    assert_eq!(server.calls() - probes, STREAMS * FRAMES);
}

#[test]
fn one_that_waits_no_longer_costs_the_others_nothing() {
    let Some((server, options)) = server(4, true) else {
        return;
    };
    let alone = Options {
        interrupt: Default::default(),
        ..options.clone()
    };
    let (mut given_up, networks) = (open(&alone).unwrap().network, networks(&options));
    let (begins, begun) = channel();
    server.answer(move |_, answer| {
        let _ = begins.send(());
        Reply::After(Duration::from_millis(100), answer)
    });
    let waiting = thread::spawn(move || run(&mut *given_up, 1.0).map(|_| ()));
    begun.recv_timeout(PATIENCE).unwrap();
    alone.interrupt.set();
    assert!(waiting.join().unwrap().is_err());
    draw_all(networks);
}

#[test]
fn a_server_that_dies_is_lost_to_all() {
    let Some((mut server, options)) = server(4, true) else {
        return;
    };
    let options = Options {
        server: lipsync_core::inference::Server {
            on_unreachable: OnUnreachable::Local,
            timeout: PATIENCE,
            ..options.server
        },
        ..options
    };
    let networks = networks(&options);
    let (begins, begun) = channel();
    server.answer(move |_, _| {
        let _ = begins.send(());
        Reply::Never
    });
    let drawing = thread::spawn(move || draw_all(networks));
    begun.recv_timeout(PATIENCE).unwrap();
    server.kill();
    drawing.join().unwrap();
    assert_eq!(options.calls.counts().active, 0);
    server.answer_well();
    server.restart();
    let start = Instant::now();
    let mut again = open(&options).unwrap().network;
    while options.calls.counts().active == 0 {
        assert!(start.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(run(&mut *again, 1.0).unwrap(), doubled(1.0));
}

/// What a network makes of a row does not depend on what others are in the call, whoever puts them together.
#[test]
fn triton_draws_the_same_bytes_for_several_streams_at_once() {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if onnxruntime().is_none() {
        return;
    }
    let queued = Served {
        config: "dynamic_batching { max_queue_delay_microseconds: 20000 }\n",
        ..renderer("queued")
    };
    let Some(triton) = Triton::start("joined", &[renderer("renderer"), queued], &[]) else {
        return;
    };
    let fill = |network: &mut dyn Network, stream: usize| {
        for input in 0..network.inputs().len() {
            for (index, value) in network.input(input).iter_mut().enumerate() {
                *value = ((index * 37 + 11 * input + 5 * stream) % 256) as f32 / 255.0;
            }
        }
        network.run().unwrap();
        let outputs = 0..network.outputs().len();
        let outputs = outputs.flat_map(|index| network.output(index).to_vec());
        outputs.collect::<Vec<f32>>()
    };
    let with = |values: &[(&str, &str)]| {
        let options = options(&triton.address(), OnUnreachable::Error);
        real::open(&with(options, values)).unwrap().network
    };
    let mut alone = with(&[("shared-memory", "no")]);
    let expected: Vec<_> = (0..STREAMS)
        .map(|stream| fill(&mut *alone, stream))
        .collect();
    assert!(expected[0] != expected[1]);
    // Together from here, and put together there.
    for (model, values) in [
        ("renderer", [("batching", "8"), ("model", "renderer")]),
        ("queued", [("shared-memory", "no"), ("model", "queued")]),
    ] {
        let networks: Vec<_> = (0..STREAMS).map(|_| with(&values)).collect();
        let before = triton.executions(model);
        thread::scope(|scope| {
            for (stream, mut network) in networks.into_iter().enumerate() {
                let (expected, fill) = (&expected[stream], &fill);
                scope.spawn(move || {
                    for _ in 0..20 {
                        assert!(fill(&mut *network, stream) == *expected, "{stream}");
                    }
                });
            }
        });
        let runs = triton.executions(model) - before;
        println!("{model}: {} frames in {runs} runs", 20 * STREAMS);
        assert!(runs < 20 * STREAMS as u64);
    }
}
