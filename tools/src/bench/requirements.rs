//! What the measured ratios must reach.

use lipsync_tools::numbers::Limit::{self, AtLeast, AtMost};
use serde::Serialize;

use crate::{
    results::{FrameTimes, Latency, Ratio, Results, Streams},
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
    let mut all = Vec::new();
    let model = |name: &str| results.models.iter().find(|times| times.model == name);
    let ratio = |name: &str, of, to| model(name)?.ratio((of, home), (to, home));
    for name in ["unet-328", "wav2lip-96"] {
        let on = home.name();
        let what = format!("engine / bare call, {name}, {on}, tracking included");
        let engine = ratio(name, Stack::Engine, Stack::BareCall);
        let engine = Requirement::of_ratio(what, AtMost(1.1), engine).goal(AtMost(1.03));
        all.push(engine.note(model(name).and_then(|times| parts(times, home))));
        let what = format!("element / engine, {name}, {on}");
        let element = ratio(name, Stack::Element, Stack::Engine);
        all.push(Requirement::of_ratio(what, AtMost(1.05), element));
    }
    for (name, bar, goal) in [("unet-328", 4.4, 9.0), ("wav2lip-96", 2.0, 4.0)] {
        let what = format!("Python + PyTorch / element, {name}, {}", home.name());
        let torch = ratio(name, Stack::PyTorch, Stack::Element);
        let torch = Requirement::of_ratio(what, AtLeast(bar), torch).goal(AtLeast(goal));
        let note = model(name).and_then(|it| headroom(it, (Stack::PyTorch, home), home));
        all.push(torch.note(note));
    }
    all.extend(results.models.iter().flat_map(|it| python_onnx(it, home)));
    all.extend(results.streams.iter().flat_map(streams));
    all.push(start(results));
    all.extend(results.latency.as_ref().map(latency));
    all
}

/// Against ONNX Runtime in Python.
fn python_onnx(times: &FrameTimes, home: Variant) -> Vec<Requirement> {
    if times.find(Stack::PythonOnnx, home).is_none() {
        return Vec::new();
    }
    let against = |words: &str, python: Stack, variant: Variant, bar: Limit| {
        let ratio = times.ratio((python, home), (Stack::Element, variant));
        let what = format!("{words}, {}, {}", times.model, variant.name());
        let requirement = Requirement::of_ratio(what, bar, ratio);
        requirement.note(headroom(times, (python, home), variant))
    };
    let same = "Python + ONNX Runtime / element";
    let faces = "the same where Python follows the face too";
    let mut all = vec![
        against(same, Stack::PythonOnnx, home, AtLeast(1.0)),
        against(faces, Stack::PythonFaces, home, AtLeast(1.0)),
    ];
    if let Some(fastest) = times.fastest_element().filter(|it| it.variant != home) {
        let fastest = against(same, Stack::PythonOnnx, fastest.variant, AtLeast(1.7));
        all.push(fastest.goal(AtLeast(2.5)));
    }
    all
}

/// Where a frame's time goes.
fn parts(times: &FrameTimes, home: Variant) -> Option<String> {
    let engine = times.find(Stack::Engine, home)?;
    let ms = |part| engine.part(part).unwrap_or_default();
    let [face, audio, network, pixels] = ["track", "features", "infer", "blend"].map(ms);
    Some(format!(
        "of a frame: face {face:.1}, audio {audio:.1}, network {network:.1}, pixels {pixels:.1} ms"
    ))
}

/// What even a frame that costs nothing but the network's call would reach.
fn headroom(times: &FrameTimes, python: (Stack, Variant), variant: Variant) -> Option<String> {
    let limit = times.ratio(python, (Stack::BareCall, variant))?;
    Some(format!("the bare call alone: {}", limit.text()))
}

fn streams(streams: &Streams) -> Vec<Requirement> {
    let mut all = Vec::new();
    let (Some(first), Some(most)) = (streams.counts.first(), streams.counts.last()) else {
        return all;
    };
    let (model, count) = (&streams.model, most.streams);
    let [less, ours, python] =
        [&first.ours, &most.ours, &most.python].map(|it| Some(it.as_ref()?.memory.pss_mib));
    if let Some((ours, python)) = ours.zip(python) {
        let ratio = ours / python;
        let text = format!("{ratio:.2} ({ours:.0} / {python:.0} MiB)");
        let what = format!("memory of {count} streams, ours / Python + ONNX Runtime, {model}");
        let memory = Requirement::new(what, AtMost(0.25), Some((ratio, text)));
        // Frames and tensors of its own.
        let note = less.map(|less| {
            let further = (ours - less) / (count - first.streams).max(1) as f64;
            format!("one stream {less:.0} MiB, each further one {further:.0}: weights and working memory are shared")
        });
        all.push(memory.note(note));
    }
    let ours = streams.counts.iter().filter_map(|it| it.ours.as_ref());
    let differ = ours.map(|it| it.streams_that_differ).reduce(|a, b| a + b);
    let what = format!("streams at once that draw other bytes than alone, {model}");
    let found = differ.map(|differ| (differ as f64, differ.to_string()));
    all.push(Requirement::new(what, AtMost(0.0), found));
    all
}

fn start(results: &Results) -> Requirement {
    let started = |stack| results.started(stack);
    let python = started(Stack::PythonOnnx);
    let ratio = python.and_then(|python| started(Stack::Element)?.over(python));
    let model = &results.start_model;
    let what = format!("start to first frame, element / Python + ONNX Runtime, {model}");
    let engine = started(Stack::Engine).and_then(|engine| engine.median());
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
