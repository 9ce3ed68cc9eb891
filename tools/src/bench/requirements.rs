//! What the measured ratios must reach.

use lipsync_tools::numbers::Limit::{self, AtLeast, AtMost};
use serde::Serialize;

use crate::{
    child::{PARTS, WHOLE},
    measure::STREAMED,
    results::{Latency, Ratio, Results, START, Series},
    stack::{Stack, Variant},
};

#[derive(Serialize)]
pub struct Requirement {
    pub what: String,
    pub bar: String,
    pub goal: String,
    pub measured: Option<String>,
    /// `None` where it was not measured.
    pub met: Option<bool>,
    /// What stands in the way.
    pub note: String,
}

impl Requirement {
    /// `found`: the value that counts, and how it is written.
    fn new(what: String, bar: Limit, found: Option<(f64, String)>) -> Self {
        Self {
            what,
            bar: bar.text(),
            goal: String::new(),
            met: found.as_ref().map(|(value, _)| bar.is_met(*value)),
            measured: found.map(|(_, text)| text),
            note: String::new(),
        }
    }

    fn of_ratio(what: String, bar: Limit, ratio: Option<Ratio>) -> Self {
        Self::new(what, bar, ratio.map(|ratio| (ratio.median, ratio.text())))
    }

    fn goal(self, goal: Limit) -> Self {
        let goal = goal.text();
        Self { goal, ..self }
    }

    fn note(self, note: Option<String>) -> Self {
        let note = note.unwrap_or_default();
        Self { note, ..self }
    }
}

/// All of them.
pub fn all(results: &Results) -> Vec<Requirement> {
    let home = results.home;
    let on = home.name();
    let ratio = |model: &str, of, to| results.ratio(model, (of, home), (to, home));
    let mut all = Vec::new();
    for name in ["unet-328", "wav2lip-96"] {
        let what = format!("engine / bare call, {name}, {on}, tracking included");
        let engine = ratio(name, Stack::Engine, Stack::BareCall);
        let engine = Requirement::of_ratio(what, AtMost(1.1), engine).goal(AtMost(1.03));
        all.push(engine.note(results.find(name, (Stack::Engine, home)).map(parts)));
        let what = format!("element / engine, {name}, {on}");
        let element = ratio(name, Stack::Element, Stack::Engine);
        all.push(Requirement::of_ratio(what, AtMost(1.05), element));
    }
    // Against Python, with what even a frame that costs nothing but the network's call would reach.
    let against = |words: &str, name: &str, python: Stack, variant: Variant, bar: Limit| {
        let ours = |stack| results.ratio(name, (python, home), (stack, variant));
        let what = format!("{words}, {name}, {}", variant.name());
        let bare = ours(Stack::BareCall).map(|it| format!("the bare call alone: {}", it.text()));
        Requirement::of_ratio(what, bar, ours(Stack::Element)).note(bare)
    };
    for (name, bar, goal) in [("unet-328", 4.4, 9.0), ("wav2lip-96", 2.0, 4.0)] {
        let words = "Python + PyTorch / element";
        let torch = against(words, name, Stack::PyTorch, home, AtLeast(bar));
        all.push(torch.goal(AtLeast(goal)));
    }
    for name in &results.models {
        if results.find(name, (Stack::PythonOnnx, home)).is_none() {
            continue;
        }
        let same = "Python + ONNX Runtime / element";
        let faces = "the same where Python follows the face too";
        all.push(against(same, name, Stack::PythonOnnx, home, AtLeast(1.0)));
        all.push(against(faces, name, Stack::PythonFaces, home, AtLeast(1.0)));
        let elements = results.stacks(name).filter(|it| it.stack == Stack::Element);
        let time = |it: &&Series| it.median(WHOLE).unwrap_or(f64::INFINITY);
        let fastest = elements.min_by(|a, b| time(a).total_cmp(&time(b)));
        if let Some(Series { variant, .. }) = fastest.filter(|it| it.variant != home) {
            let fastest = against(same, name, Stack::PythonOnnx, *variant, AtLeast(1.7));
            all.push(fastest.goal(AtLeast(2.5)));
        }
    }
    if !results.streams.is_empty() {
        all.extend(streams(results));
    }
    all.push(start(results));
    all.extend(results.latency.as_ref().map(latency));
    all
}

/// Where a frame's time goes.
fn parts(engine: &Series) -> String {
    let [face, audio, network, pixels] = PARTS.map(|part| engine.median(part).unwrap_or_default());
    format!(
        "of a frame: face {face:.1}, audio {audio:.1}, network {network:.1}, pixels {pixels:.1} ms"
    )
}

fn streams(results: &Results) -> Vec<Requirement> {
    let ours = || results.streams_at_once(Stack::Element);
    let mut all = Vec::new();
    let python = results.streams_at_once(Stack::PythonOnnx).next_back();
    if let (Some((one, first)), Some((count, most)), Some((_, python))) =
        (ours().next(), ours().next_back(), python)
    {
        let [less, ours, python] = [first, most, python].map(|it| it.memory.pss_mib);
        let ratio = ours / python;
        let text = format!("{ratio:.2} ({ours:.0} / {python:.0} MiB)");
        let what = format!("memory of {count} streams, ours / Python + ONNX Runtime, {STREAMED}");
        // Frames and tensors of its own.
        let further = (ours - less) / (count - one).max(1) as f64;
        let note = format!(
            "one stream {less:.0} MiB, each further one {further:.0}: weights and working memory are shared"
        );
        let memory = Requirement::new(what, AtMost(0.25), Some((ratio, text)));
        all.push(memory.note(Some(note)));
    }
    let differ = ours().map(|(_, it)| it.streams_that_differ);
    let differ = differ.reduce(|a, b| a + b);
    let what = format!("streams at once that draw other bytes than alone, {STREAMED}");
    let found = differ.map(|differ| (differ as f64, differ.to_string()));
    all.push(Requirement::new(what, AtMost(0.0), found));
    all
}

fn start(results: &Results) -> Requirement {
    let started = |stack| results.starts().find(|it| it.stack == stack);
    let python = started(Stack::PythonOnnx);
    let ratio = python.and_then(|python| started(Stack::Element)?.over(python, START));
    let model = &results.start_model;
    let what = format!("start to first frame, element / Python + ONNX Runtime, {model}");
    let engine = started(Stack::Engine).and_then(|engine| engine.median(START));
    let note = engine.map(|s| format!("the engine alone, without GStreamer: {s:.2} s"));
    Requirement::of_ratio(what, AtMost(0.2), ratio).note(note)
}

/// How much later than look-ahead and `processing-deadline` allow; below 0 it is earlier.
fn latency(latency: &Latency) -> Requirement {
    let added = latency.late(0.95) - latency.processing_deadline_ms;
    let what = "latency beyond look-ahead and processing-deadline, built-in, live, p95, ms";
    let found = Some((added, format!("{added:.1}")));
    // Less than a frame.
    Requirement::new(what.into(), AtMost(40.0), found)
}
