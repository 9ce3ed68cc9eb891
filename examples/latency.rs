//! A program that runs `lipsync` between live test sources and prints what it says of its latency
//! and what that is.
//!
//! ```text
//! GST_PLUGIN_PATH=$PWD/target/release cargo run --release --example latency -- [MODEL]
//! ```
//!
//! The sources have no face, so networks that draw have nothing to do here: what is measured is how
//! long frames wait for their sound. Add `total-p95` of `stats` with faces like yours.

use std::{
    error::Error,
    sync::{Arc, Mutex},
};

use gst::prelude::*;

/// How long frames are measured.
const SECONDS: u64 = 10;

/// Delays of frames, in milliseconds.
#[derive(Default)]
struct Delays {
    each: Vec<f64>,
}

impl Delays {
    fn print(&mut self) {
        self.each.sort_by(f64::total_cmp);
        let of_hundred = |percent: usize| self.each.get((self.each.len() - 1) * percent / 100);
        match (of_hundred(0), of_hundred(50), of_hundred(100)) {
            (Some(least), Some(median), Some(most)) => println!(
                "measured from a frame's own time to its leaving lipsync, {} frames: \
                 least {least:.1} ms, median {median:.1} ms, most {most:.1} ms",
                self.each.len()
            ),
            _ => println!("no frames"),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    gst::init()?;
    let pipeline = gst::parse::launch(
        "videotestsrc is-live=true ! video/x-raw,format=I420,width=640,height=360,framerate=25/1 \
         ! queue ! lipsync name=lipsync ! fakesink name=sink sync=true \
         audiotestsrc is-live=true samplesperbuffer=480 wave=ticks ! audioconvert ! queue \
         ! lipsync.audio",
    )?
    .downcast::<gst::Pipeline>()
    .map_err(|_| "not a pipeline")?;
    let element = |name| pipeline.by_name(name).ok_or("an element is missing");
    let (lipsync, sink) = (element("lipsync")?, element("sink")?);
    if let Some(model) = std::env::args().nth(1) {
        lipsync.set_property("model", model);
    }

    let delays = Arc::new(Mutex::new(Delays::default()));
    let src = lipsync.static_pad("src").ok_or("lipsync has a pad")?;
    {
        let (delays, lipsync) = (delays.clone(), lipsync.downgrade());
        src.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            let now = lipsync.upgrade().and_then(|l| l.current_running_time());
            let segment = pad.sticky_event::<gst::event::Segment>(0);
            if let (Some(now), Some(segment), Some(buffer)) = (now, segment, info.buffer())
                && let Some(segment) = segment.segment().downcast_ref::<gst::ClockTime>()
                && let Some(shown) = segment.to_running_time(buffer.pts())
                && let Ok(mut delays) = delays.lock()
            {
                let ms = |time: gst::ClockTime| time.nseconds() as f64 / 1e6;
                delays.each.push(ms(now) - ms(shown));
            }
            gst::PadProbeReturn::Ok
        });
    }

    let bus = pipeline.bus().ok_or("a pipeline has a bus")?;
    pipeline.set_state(gst::State::Playing)?;
    println!("waiting for the model");
    let mut end = None;
    loop {
        let left = match (end, pipeline.current_running_time()) {
            (Some(end), Some(now)) if now >= end => break,
            (Some(end), Some(now)) => end - now,
            _ => gst::ClockTime::SECOND,
        };
        let Some(message) = bus.timed_pop(left) else {
            continue;
        };
        match message.view() {
            gst::MessageView::Error(error) => return Err(error.error().into()),
            // A model listens as far ahead as it must: the sinks wait accordingly.
            gst::MessageView::Latency(_) => pipeline.recalculate_latency()?,
            gst::MessageView::Progress(progress) => {
                let (kind, _, text) = progress.get();
                println!("{kind:?}: {text}");
                if kind == gst::ProgressType::Complete {
                    let now = pipeline.current_running_time().unwrap_or_default();
                    end = Some(now + gst::ClockTime::from_seconds(SECONDS));
                    if let Ok(mut delays) = delays.lock() {
                        delays.each.clear();
                    }
                }
            }
            _ => {}
        }
    }
    // A sink that has no frame yet does not know.
    let mut query = gst::query::Latency::new();
    let is_known = sink.query(&mut query);
    pipeline.set_state(gst::State::Null)?;
    if !is_known {
        return Err("nobody knows the latency".into());
    }
    let (live, least, most) = query.result();
    let most = most.map_or("none".to_owned(), |most| most.to_string());
    println!("the LATENCY query says: live {live}, least {least}, most {most}");
    if let Ok(mut delays) = delays.lock() {
        delays.print();
    }
    println!("{}", lipsync.property::<gst::Structure>("stats"));
    Ok(())
}
