//! How it is, as Prometheus reads it: base units, one name a metric.

use std::fmt::Write;

use serde_json::Value;

use super::room::Snapshot;

/// Of the text exposition format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Statistics of the times of a stage.
const STATISTICS: [&str; 5] = ["last", "mean", "p50", "p95", "p99"];
/// Fields of `stats` that are no counts which only grow.
const GAUGES: [&str; 9] = [
    "frames-held",
    "faces-last",
    "mouth-glimpses",
    "mouth-memory-share",
    "articulation",
    "articulation-spread",
    "remote-active",
    "audio-level",
    "gate",
];
/// Fields that are shown under other names, or not at all.
const OTHERS: [&str; 3] = ["av-offset-ns", "model-name", "active-execution-provider"];

/// A metric with one or more values, each with its labels.
struct Metric<'a> {
    name: &'a str,
    help: &'a str,
    kind: &'a str,
}

impl Metric<'_> {
    /// Writing to a text cannot fail.
    fn write(&self, text: &mut String, values: impl Iterator<Item = (String, f64)>) {
        let Self { name, help, kind } = self;
        let mut values = values.peekable();
        if values.peek().is_some() {
            let _ = writeln!(
                text,
                "# HELP lipsync_{name} {help}\n# TYPE lipsync_{name} {kind}"
            );
        }
        for (labels, value) in values {
            let _ = writeln!(text, "lipsync_{name}{labels} {value}");
        }
    }
}

pub fn text(now: &Snapshot) -> String {
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, values: Vec<(String, f64)>| {
        let kind = "gauge";
        Metric { name, help, kind }.write(&mut text, values.into_iter());
    };
    let one = |value: f64| vec![(String::new(), value)];
    let status = &now.status;
    let is_up = |health: &Value| f64::from(u8::from(health["state"] == "playing"));
    let outputs = status["outputs"].as_array().into_iter().flatten();
    let outputs = outputs.enumerate().map(|(number, output)| {
        let address = output["address"].as_str().unwrap_or_default();
        let address = address.replace('\\', "\\\\").replace('"', "\\\"");
        let labels = format!("{{number=\"{number}\",output=\"{address}\"}}");
        (labels, is_up(output))
    });
    gauge(
        "healthy",
        "Whether nothing is wrong.",
        one(f64::from(u8::from(now.faults.is_empty()))),
    );
    gauge(
        "input_up",
        "Whether the input plays.",
        one(is_up(&status["input"])),
    );
    gauge("output_up", "Whether an output is on.", outputs.collect());
    gauge(
        "viewers",
        "Who watches the preview.",
        one(status["viewers"].as_f64().unwrap_or(0.0)),
    );
    if let Some(latency) = status["latency-ms"].as_f64() {
        gauge(
            "latency_seconds",
            "From the input's pace to the outputs.",
            one(latency / 1e3),
        );
    }
    let attempts = status["input"]["attempts"].as_f64().unwrap_or(0.0);
    let begun = Metric {
        name: "input_attempts_total",
        help: "How often the input was begun.",
        kind: "counter",
    };
    begun.write(&mut text, one(attempts).into_iter());
    stats(&mut text, now);
    text
}

/// Every number of the element's.
fn stats(text: &mut String, now: &Snapshot) {
    let mut seconds = Vec::new();
    for (field, value) in &now.stats {
        let Some(number) = value.as_f64().filter(|_| !OTHERS.contains(&field.as_str())) else {
            continue;
        };
        let is_gauge = GAUGES.contains(&field.as_str());
        if let Some((stage, statistic)) = field.rsplit_once('-')
            && STATISTICS.contains(&statistic)
            && !is_gauge
        {
            let labels = format!("{{stage=\"{stage}\",statistic=\"{statistic}\"}}");
            seconds.push((labels, number / 1e6));
            continue;
        }
        let end = if is_gauge { "" } else { "_total" };
        let name = format!("{}{end}", field.replace('-', "_"));
        Metric {
            name: &name,
            help: &format!("{field} of the element's statistics."),
            kind: if is_gauge { "gauge" } else { "counter" },
        }
        .write(text, [(String::new(), number)].into_iter());
    }
    Metric {
        name: "stage_seconds",
        help: "Time that a stage takes of a frame.",
        kind: "gauge",
    }
    .write(text, seconds.into_iter());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_metric_has_one_name_and_one_type() {
        let Value::Object(stats) = json!({
            "frames-in": 7, "faces-last": 2, "total-p95": 4000, "remote-call-p95": 0, "gate": 0.5,
            "av-offset-ns": 5, "model-name": "x",
        }) else {
            unreachable!()
        };
        let now = Snapshot {
            status: json!({
                "input": {"state": "playing", "attempts": 2},
                "outputs": [{"address": "a\"b", "state": "lost"}],
                "viewers": 1, "latency-ms": 250.0,
            }),
            stats,
            ..Snapshot::default()
        };
        let text = text(&now);
        for line in [
            "lipsync_healthy 1",
            "lipsync_input_up 1",
            "lipsync_output_up{number=\"0\",output=\"a\\\"b\"} 0",
            "lipsync_latency_seconds 0.25",
            "lipsync_input_attempts_total 2",
            "lipsync_frames_in_total 7",
            "lipsync_faces_last 2",
            "lipsync_gate 0.5",
            "lipsync_stage_seconds{stage=\"total\",statistic=\"p95\"} 0.004",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "no `{line}` in {text}"
            );
        }
        let types = text.lines().filter(|line| line.starts_with("# TYPE"));
        let names: Vec<_> = types.map(|line| line.split(' ').nth(2)).collect();
        let mut once = names.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(names.len(), once.len(), "{text}");
    }
}
