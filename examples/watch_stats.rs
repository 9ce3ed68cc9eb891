//! A program that runs `lipsync` on a file and prints every second what it is doing.
//!
//! ```text
//! GST_PLUGIN_PATH=$PWD/target/release cargo run --release --example watch_stats -- IN.mp4
//! ```

use std::error::Error;

use gst::prelude::*;

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("which file?")?;
    gst::init()?;
    let pipeline = gst::parse::launch(
        "lipsync name=lipsync ! fakesink \
         filesrc name=file ! decodebin name=input ! videoconvert ! videoflip video-direction=auto ! queue ! lipsync.video \
         input. ! audioconvert ! audioresample ! queue ! lipsync.audio",
    )?
    .downcast::<gst::Pipeline>()
    .map_err(|_| "not a pipeline")?;
    let element = |name| pipeline.by_name(name).ok_or("an element is missing");
    element("file")?.set_property("location", &file);
    let lipsync = element("lipsync")?;
    let bus = pipeline.bus().ok_or("a pipeline has a bus")?;

    pipeline.set_state(gst::State::Playing)?;
    loop {
        let kinds = [gst::MessageType::Error, gst::MessageType::Eos];
        let message = bus.timed_pop_filtered(gst::ClockTime::SECOND, &kinds);
        let stats = lipsync.property::<gst::Structure>("stats");
        println!(
            "{} frames, {} synced, {:.1} ms a frame (95 %: {:.1} ms)",
            stats.get::<u64>("frames-out")?,
            stats.get::<u64>("frames-synced")?,
            stats.get::<u64>("total-mean")? as f64 / 1000.0,
            stats.get::<u64>("total-p95")? as f64 / 1000.0,
        );
        match message.as_ref().map(|message| message.view()) {
            Some(gst::MessageView::Error(error)) => return Err(error.error().into()),
            Some(_) => break,
            None => {}
        }
    }
    pipeline.set_state(gst::State::Null)?;
    Ok(())
}
