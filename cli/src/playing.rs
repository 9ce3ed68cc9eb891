//! A plan as a running pipeline: each stream led to where it goes, the wanted part of each file, the element's properties,
//! and what is counted on the way.

use std::{
    cell::Cell,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use gst::prelude::*;

use crate::{
    arguments::Arguments,
    exit::{Exit, Failure, Reason},
    gate::Gate,
    interrupt,
    pipeline::{Pipeline, drain, running_time_on},
    plan::{Plan, Source},
    progress::Progress,
    property, relabel,
};

/// What `lipsync` calls the opening of a model in its PROGRESS messages.
const OPENING: &str = "open-model";

/// How a pipeline went.
pub struct Played {
    /// The element's own counters and timings.
    pub stats: gst::Structure,
    /// Frames that came out of the decoder, and out of `lipsync`.
    pub decoded: u64,
    pub redrawn: u64,
    pub media: gst::ClockTime,
    pub wall: Duration,
    /// What elements warned of.
    pub warnings: Vec<String>,
}

/// What came out of the pipeline, as it is counted while it runs.
#[derive(Default)]
struct Seen {
    decoded: AtomicU64,
    redrawn: AtomicU64,
    time: AtomicU64,
    /// Buffers of the file: an encoder may give them long after it has taken the last frame.
    written: AtomicU64,
}

/// Runs a plan to its end; `files` are those to write, the result and the one for comparison, `properties` those of
/// `lipsync` besides what the arguments say.
pub fn play(
    arguments: &Arguments,
    plan: &Plan,
    files: &[&Path],
    properties: &[(&str, String)],
) -> Result<Played, Failure> {
    let sources = (0..plan.sources.len())
        .map(|index| format!("filesrc name=file{index} ! parsebin name=parse{index}"));
    let words: Vec<_> = sources.chain([plan.words.clone()]).collect();
    let pipeline = Pipeline::parse(&words.join(" "))?;
    let lipsync: gst::Element = pipeline.element("lipsync")?;
    set_properties(&lipsync, arguments, properties).exit(Exit::Usage)?;
    if !files.is_empty() {
        let mux: gst::Element = pipeline.element("mux")?;
        if let (Some(toc), Some(setter)) = (&plan.toc, mux.dynamic_cast_ref::<gst::TocSetter>()) {
            setter.set_toc(Some(toc));
        }
    }
    let seen = Arc::new(Seen::default());
    let shared = seen.clone();
    pipeline
        .pad("lipsync", "video_sink")?
        .add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            shared.decoded.fetch_add(1, Ordering::Relaxed);
            gst::PadProbeReturn::Ok
        });
    let shared = seen.clone();
    pipeline
        .pad("lipsync", "video_src")?
        .add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            if let Some(buffer) = info.buffer() {
                shared.redrawn.fetch_add(1, Ordering::Relaxed);
                let end = running_time_on(pad, buffer)
                    .map(|time| time + buffer.duration().unwrap_or_default());
                shared
                    .time
                    .fetch_max(end.unwrap_or_default().nseconds(), Ordering::Relaxed);
            }
            gst::PadProbeReturn::Ok
        });
    for (name, file) in ["out", "side-out"].into_iter().zip(files) {
        let sink: gst::Element = pipeline.element(name)?;
        sink.set_property("location", *file);
        let shared = seen.clone();
        pipeline
            .pad(name, "sink")?
            .add_probe(gst::PadProbeType::BUFFER, move |_, _| {
                shared.written.fetch_add(1, Ordering::Relaxed);
                gst::PadProbeReturn::Ok
            });
    }
    let mut gates = Vec::new();
    for (index, source) in plan.sources.iter().enumerate() {
        gates.push(connect(&pipeline, index, source)?);
    }

    let begun = Instant::now();
    let mut progress = Progress::new(arguments.quiet);
    let mut warnings = Vec::new();
    let mut hang = pipeline.hang_guard();
    let opening = Cell::new(false);
    let mut looks = 0;
    pipeline.play()?;
    let ended = pipeline.wait(
        |message| {
            if let gst::MessageView::Progress(progress) = message.view()
                && progress.get().1 == OPENING
            {
                opening.set(matches!(
                    progress.get().0,
                    gst::ProgressType::Start | gst::ProgressType::Continue
                ));
            }
            if let gst::MessageView::Warning(warning) = message.view() {
                let text = warning.error().to_string();
                if !warnings.contains(&text) {
                    warnings.push(text);
                }
            }
            Ok(())
        },
        || {
            let time = gst::ClockTime::from_nseconds(seen.time.load(Ordering::Relaxed));
            progress.show(time, plan.length);
            interrupt::check()?;
            gates.iter().try_for_each(Gate::open)?;
            // A GPU's compiler takes minutes for a model, in which nothing else moves.
            looks += u64::from(opening.get());
            hang(
                looks
                    + seen.decoded.load(Ordering::Relaxed)
                    + seen.redrawn.load(Ordering::Relaxed)
                    + seen.written.load(Ordering::Relaxed)
                    + time.nseconds(),
            )
        },
    );
    drop(progress);
    interrupt::check()?;
    match ended {
        // Whoever closes the preview's window has seen enough.
        Err(error) if files.is_empty() && error.to_string().contains("window was closed") => (),
        ended => ended?,
    }
    Ok(Played {
        stats: lipsync.property("stats"),
        decoded: seen.decoded.load(Ordering::Relaxed),
        redrawn: seen.redrawn.load(Ordering::Relaxed),
        media: gst::ClockTime::from_nseconds(seen.time.load(Ordering::Relaxed)),
        wall: begun.elapsed(),
        warnings,
    })
}

fn set_properties(
    lipsync: &gst::Element,
    arguments: &Arguments,
    more: &[(&str, String)],
) -> Result<()> {
    let model = arguments
        .model
        .as_ref()
        .map(|model| model.display().to_string());
    let named = [
        ("model", model),
        (
            "strength",
            arguments.strength.map(|strength| strength.to_string()),
        ),
        ("max-faces", arguments.faces.map(|faces| faces.to_string())),
    ];
    let named = named
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let more = more
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    for (name, value) in named.chain(more).chain(arguments.set.iter().cloned()) {
        let parsed = property::parse(lipsync, &name, &value)?;
        lipsync.set_property_from_value(&name, &parsed);
    }
    Ok(())
}

/// Leads a file's streams to where they go.
fn connect(pipeline: &Pipeline, index: usize, source: &Source) -> Result<Gate> {
    let file: gst::Element = pipeline.element(&format!("file{index}"))?;
    file.set_property("location", &source.path);
    let parse: gst::Element = pipeline.element(&format!("parse{index}"))?;
    let gate = Gate::new(&source.path, source.range);
    let (weak, routes, holder) = (pipeline.downgrade(), source.routes.clone(), gate.clone());
    parse.connect_pad_added(move |_, pad| {
        let Some(pipeline) = weak.upgrade() else {
            return;
        };
        holder.hold(pad);
        let id = pad.stream_id();
        let route = routes
            .iter()
            .find(|(known, _)| id.as_deref() == Some(known));
        let Some((_, element)) = route else {
            return drain(&pipeline, pad);
        };
        let sink = pipeline.by_name(element);
        let sink = sink.and_then(|element| element.static_pad("sink"));
        // What it brings is mended on the way, so that its caps need not fit.
        if let Some(sink) = &sink {
            relabel::mend(sink);
        }
        if sink.is_none_or(|sink| pad.link_full(&sink, gst::PadLinkCheck::empty()).is_err()) {
            let text = format!("a stream cannot be led to `{element}`");
            gst::element_error!(pipeline, gst::CoreError::Pad, ("{text}"));
        }
    });
    Ok(gate)
}
