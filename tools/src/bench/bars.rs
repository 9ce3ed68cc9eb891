//! The bars that the measured ratios must reach.

use crate::{
    contest::Contest,
    figures::{Ratio, Series},
    report::Figures,
    roster::Stack,
};

/// Which side of the bar is the good one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    AtMost,
    AtLeast,
}

pub struct Bar {
    pub what: String,
    pub bar: String,
    pub goal: &'static str,
    /// As measured, and whether that is good enough; `None` where it was not measured.
    pub found: Option<(String, bool)>,
    /// What stands in the way.
    pub note: String,
}

fn bar(what: String, side: Side, limit: f64, goal: &'static str, found: Option<Ratio>) -> Bar {
    Bar {
        what,
        bar: match side {
            Side::AtMost => format!("at most {limit:.2}"),
            Side::AtLeast => format!("at least {limit:.1}"),
        },
        goal,
        found: found.map(|ratio| {
            let met = match side {
                Side::AtMost => ratio.median <= limit,
                Side::AtLeast => ratio.median >= limit,
            };
            (ratio.text(), met)
        }),
        note: String::new(),
    }
}

/// All of them, in the order of the issue that set them.
pub fn all(figures: &Figures) -> Vec<Bar> {
    let mut bars = Vec::new();
    let home = figures.home;
    let contest = |name: &str| figures.contests.iter().find(|c| c.model == name);
    for model in ["unet-328", "wav2lip-96"] {
        let found = contest(model).and_then(|c| c.at_home(Stack::Engine, Stack::Bare));
        let mut engine = bar(
            format!("engine / bare call, {model}, {home}, tracking included"),
            Side::AtMost,
            1.10,
            "1.03",
            found,
        );
        engine.note = contest(model).map_or(String::new(), parts);
        bars.push(engine);
        let found = contest(model).and_then(|c| c.at_home(Stack::Element, Stack::Engine));
        bars.push(bar(
            format!("element / engine, {model}, {home}"),
            Side::AtMost,
            1.05,
            "",
            found,
        ));
    }
    for (model, limit, goal) in [("unet-328", 4.4, "9"), ("wav2lip-96", 2.0, "4")] {
        let found = contest(model).and_then(|c| c.at_home(Stack::PyTorch, Stack::Element));
        let mut torch = bar(
            format!("Python + PyTorch / element, {model}, {home}"),
            Side::AtLeast,
            limit,
            goal,
            found,
        );
        torch.note = contest(model).map_or(String::new(), |c| headroom(c, Stack::PyTorch, home));
        bars.push(torch);
    }
    for contest in figures
        .contests
        .iter()
        .filter(|c| c.find(Stack::PythonOnnx, home).is_some())
    {
        let mut same = bar(
            format!("Python + ONNX Runtime / element, {}, {home}", contest.model),
            Side::AtLeast,
            1.0,
            "",
            contest.at_home(Stack::PythonOnnx, Stack::Element),
        );
        same.note = headroom(contest, Stack::PythonOnnx, home);
        bars.push(same);
        let mut same_work = bar(
            format!(
                "the same where Python follows the face too, {}, {home}",
                contest.model
            ),
            Side::AtLeast,
            1.0,
            "",
            contest.at_home(Stack::PythonFaces, Stack::Element),
        );
        same_work.note = headroom(contest, Stack::PythonFaces, home);
        bars.push(same_work);
        let best = contest.best().filter(|best| best.variant.name != home);
        let Some(best) = best else {
            continue;
        };
        let name = best.variant.name;
        let mut fastest = bar(
            format!("Python + ONNX Runtime / element, {}, {name}", contest.model),
            Side::AtLeast,
            1.7,
            "2.5",
            contest.ratio((Stack::PythonOnnx, home), (Stack::Element, name)),
        );
        fastest.note = headroom(contest, Stack::PythonOnnx, name);
        bars.push(fastest);
    }
    bars.extend(figures.crowds.iter().flat_map(crowd));
    let mut first = bar(
        format!(
            "start to first frame, element / Python + ONNX Runtime, {}",
            figures.start_model
        ),
        Side::AtMost,
        0.2,
        "",
        start(&figures.starts),
    );
    first.note = started(&figures.starts, Stack::Engine).map_or(String::new(), |engine| {
        let seconds = engine.median().unwrap_or_default();
        format!("the engine alone, without GStreamer: {seconds:.2} s")
    });
    bars.push(first);
    bars.extend(figures.latency.as_ref().map(|latency| {
        let added = latency.added();
        Bar {
            what: "latency beyond look-ahead and processing-deadline, built-in, live, p95".into(),
            bar: "under a frame, 40 ms".into(),
            goal: "",
            found: added.map(|added| (format!("{added:.1} ms"), added < 40.0)),
            note: String::new(),
        }
    }));
    bars
}

fn start(starts: &[(Stack, Series)]) -> Option<Ratio> {
    let python = started(starts, Stack::PythonOnnx)?;
    started(starts, Stack::Element)?.over(python)
}

fn started(starts: &[(Stack, Series)], stack: Stack) -> Option<&Series> {
    let mut starts = starts.iter();
    starts.find(|(of, _)| *of == stack).map(|(_, times)| times)
}

/// Where a frame's time goes.
fn parts(contest: &Contest) -> String {
    let Some(engine) = contest.find(Stack::Engine, contest.home) else {
        return String::new();
    };
    let of = |name| engine.part(name).unwrap_or_default();
    format!(
        "of a frame: face {:.1}, sound {:.1}, network {:.1}, pixels {:.1} ms",
        of("track"),
        of("features"),
        of("infer"),
        of("blend")
    )
}

/// What even a frame that costs nothing but the network's call would reach.
fn headroom(contest: &Contest, stack: Stack, variant: &str) -> String {
    match contest.ratio((stack, contest.home), (Stack::Bare, variant)) {
        Some(limit) => format!("the bare call alone: {}", limit.text()),
        None => String::new(),
    }
}

/// What every further stream of ours adds: frames and tensors of its own.
fn a_stream(crowd: &crate::crowd::Crowd) -> String {
    let memory =
        |size: &crate::crowd::Size| Some((size.streams as f64, size.ours.as_ref()?.pss_mib));
    let first = crowd.sizes.first().and_then(memory);
    let last = crowd.sizes.last().and_then(memory);
    match first.zip(last) {
        Some(((few, less), (many, more))) if many > few => format!(
            "one stream {less:.0} MiB, each further one {:.0}: weights and working memory are shared",
            (more - less) / (many - few)
        ),
        _ => String::new(),
    }
}

/// Most streams at once.
fn crowd(crowd: &crate::crowd::Crowd) -> Vec<Bar> {
    let Some(most) = crowd.sizes.last() else {
        return Vec::new();
    };
    let memory = most.memory();
    let mut bars = Vec::new();
    if let Some((ours, theirs)) = memory {
        bars.push(Bar {
            what: format!(
                "memory of {} streams, ours / Python + ONNX Runtime, {}",
                most.streams, crowd.model
            ),
            bar: "at most 0.25".into(),
            goal: "",
            found: Some((
                format!("{:.2} ({ours:.0} / {theirs:.0} MiB)", ours / theirs),
                ours / theirs <= 0.25,
            )),
            note: a_stream(crowd),
        });
    }
    let differ: u64 = crowd.sizes.iter().map(|size| size.differ).sum();
    bars.push(Bar {
        what: format!(
            "streams at once that draw other bytes than alone, {}",
            crowd.model
        ),
        bar: "0".into(),
        goal: "",
        found: Some((differ.to_string(), differ == 0)),
        note: String::new(),
    });
    bars
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_met_on_its_good_side() {
        let ratio = Ratio::of(&[1.07]);
        let met = |side, limit| bar(String::new(), side, limit, "", ratio).found.unwrap().1;
        assert!(met(Side::AtMost, 1.10) && !met(Side::AtMost, 1.05));
        assert!(met(Side::AtLeast, 1.0) && !met(Side::AtLeast, 1.7));
        assert!(
            bar(String::new(), Side::AtMost, 1.0, "", None)
                .found
                .is_none()
        );
    }
}
