//! Live streams while Triton is stopped, killed, started again, and loses its model: no frame is lost, and after two
//! seconds none shows the mouth of another one.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use lipsync_core::inference::OnUnreachable;

use crate::{
    common::onnxruntime,
    live::{Live, RATE},
    networks::options,
    real::{ONE, open, renderer, run},
    triton::Triton,
};

/// What is late for its frame is replaced, as live streams have it; a second is enough on a busy machine.
const SETTINGS: &str = "processing-deadline=1000000000 remote-timeout=2000000000";

/// The outage has cost one call, and soon every frame has its own mouth, for two seconds at least.
fn settles(live: &mut Live, outages: u64) {
    let lost = live.stat("frames-out");
    let state = |live: &Live| [live.stat("frames-repeated"), live.stat("frames-out")];
    let quiet_since = std::cell::Cell::new(state(live));
    live.until("no more are repeated", |live| {
        let [repeated, out] = state(live);
        if repeated != quiet_since.get()[0] {
            quiet_since.set([repeated, out]);
        }
        out >= quiet_since.get()[1] + 2 * RATE
    });
    let frames = quiet_since.get()[1] - lost;
    println!("the last one was repeated {frames} frames later, at {RATE} a second");
    assert_eq!(live.stat("remote-errors"), outages);
}

fn start(triton: &Triton) -> Option<Live> {
    let mut live = Live::start_with(&triton.address(), SETTINGS)?;
    live.until("the server draws", |live| {
        live.stat("remote-calls") > 2 * RATE
    });
    Some(live)
}

fn until_drawn_here(live: &mut Live, outages: u64) {
    live.until("it is lost", |live| live.stat("remote-active") == 0);
    settles(live, outages);
}

fn until_drawn_there(live: &mut Live, outages: u64) {
    live.until("it is found", |live| live.stat("remote-active") == 1);
    let calls = live.stat("remote-calls");
    live.until("it draws", |live| live.stat("remote-calls") > calls + RATE);
    settles(live, outages);
}

fn end(live: Live, outages: usize) {
    assert_eq!(live.server_states(), ["lost", "found"].repeat(outages));
    for lost in ["frames-dropped", "frames-error"] {
        assert_eq!(live.stat(lost), 0, "{lost}");
    }
    assert_eq!(live.stat("remote-reconnects"), outages as u64);
    live.stop_without_loss();
}

#[test]
fn a_live_stream_goes_on_when_triton_is_stopped_and_when_it_is_killed() {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let Some(mut triton) = Triton::start("live", &[renderer("renderer")], &[]) else {
        return;
    };
    let Some(mut live) = start(&triton) else {
        return;
    };
    triton.signal("STOP");
    until_drawn_here(&mut live, 1);
    triton.signal("CONT");
    until_drawn_there(&mut live, 1);

    triton.kill();
    until_drawn_here(&mut live, 2);
    triton.restart();
    until_drawn_there(&mut live, 2);
    end(live, 2);
}

#[test]
fn a_live_stream_goes_on_when_its_model_is_unloaded_and_loaded() {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let Some(triton) = Triton::start("reload", &[renderer("renderer")], &[]) else {
        return;
    };
    let Some(mut live) = start(&triton) else {
        return;
    };
    triton.unload("renderer");
    until_drawn_here(&mut live, 1);
    triton.load("renderer");
    until_drawn_there(&mut live, 1);
    end(live, 1);
}

#[test]
fn calls_in_flight_survive_that_their_model_is_unloaded() {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if onnxruntime().is_none() {
        return;
    }
    let Some(triton) = Triton::start("in-flight", &[renderer("renderer")], &[]) else {
        return;
    };
    let options = options(&triton.address(), OnUnreachable::Local);
    let mut network = open(&options).unwrap().network;
    let expected = run(&mut *network).unwrap();
    let ends = AtomicBool::new(false);
    thread::scope(|scope| {
        let drawing = scope.spawn(|| {
            let mut runs = 0;
            while !ends.load(Ordering::Relaxed) {
                assert!(run(&mut *network).unwrap() == expected, "run {runs}");
                runs += 1;
            }
            runs
        });
        for _ in 0..3 {
            thread::sleep(Duration::from_millis(300));
            triton.unload("renderer");
            thread::sleep(Duration::from_millis(300));
            triton.load("renderer");
        }
        ends.store(true, Ordering::Relaxed);
        println!("{} runs", drawing.join().unwrap());
    });
    // No more than the first call of each outage.
    assert!(options.calls.counts().errors <= 3);
}
