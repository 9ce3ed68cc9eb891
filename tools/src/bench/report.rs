//! `docs/benchmarks.md` and `docs/benchmarks.json` out of what was measured.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{
    bars::{self, Bar},
    child::numbers,
    contest::Contest,
    crowd::{Crowd, Together},
    figures::{Series, quantile},
    roster::Stack,
};

/// All that was measured.
pub struct Figures {
    pub command: String,
    pub date: String,
    pub commit: String,
    pub machine: Value,
    /// Processes that wanted a processor before and after.
    pub load: [Option<f64>; 2],
    pub threads: usize,
    /// Name of the variant that Python runs on.
    pub home: &'static str,
    pub frame: String,
    pub quick: bool,
    pub contests: Vec<Contest>,
    pub crowds: Vec<Crowd>,
    pub start_model: String,
    pub starts: Vec<(Stack, Series)>,
    pub deploy: Value,
    pub latency: Option<Latency>,
    pub skipped: Vec<String>,
}

/// Of a live pipeline.
pub struct Latency(pub Value);

impl Latency {
    /// How much later than look-ahead and `processing-deadline` allow the 95th of 100 frames is,
    /// in milliseconds; below 0 it is earlier.
    pub fn added(&self) -> Option<f64> {
        let late = quantile(&numbers(&self.0, "after-look-ahead-ms"), 0.95)?;
        Some(late - self.0["processing-deadline-ms"].as_f64()?)
    }
}

/// More processes than this wanted a processor before the run: the machine had other work.
const IDLE: f64 = 0.5;
const BUSY: &str = "**The machine was busy with other work**: milliseconds are longer than on an idle one, and rounds differ.\n\n";

/// The rows of the original system's own table, and what they are worth.
const ORIGINAL: [[&str; 3]; 5] = [
    [
        "PyTorch, CUDA",
        "8.784",
        "inputs already on the card, no copies; mean of 500 runs on random numbers",
    ],
    [
        "Python + ONNX Runtime, CUDA",
        "3.164",
        "with the copies to the card and back",
    ],
    [
        "Go + ONNX Runtime, CUDA",
        "~2.0",
        "promised, never measured",
    ],
    [
        "Go + ONNX Runtime, CUDA",
        "5.44",
        "measured later, by the same project",
    ],
    [
        "Go + ONNX Runtime, CUDA",
        "4.969",
        "measured with sound as long as real sound: median; mean 11.103",
    ],
];

/// A table in Markdown; the columns behind the first `left` ones are aligned to the right.
pub fn table(head: &[&str], left: usize, rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(head.to_vec());
    let rule = |column| if column < left { "---" } else { "---:" };
    text += &line((0..head.len()).map(rule).collect());
    for row in rows {
        text += &line(row.iter().map(String::as_str).collect());
    }
    text
}

pub fn markdown(figures: &Figures) -> String {
    let mut text = String::from("# How fast\n\n");
    text += &preface(figures);
    text += "\n## Bars\n\n";
    text += &bar_table(&bars::all(figures));
    text += "\n## A frame\n\n![Milliseconds of a frame](benchmarks.png)\n\n";
    text += "Milliseconds; ratios are medians over the rounds, with the lowest and the highest round.\n";
    for contest in &figures.contests {
        let _ = write!(
            text,
            "\n### {}\n\n{}",
            contest.model,
            contest_table(contest)
        );
    }
    text += "\nWhere the engine's time goes, medians in milliseconds:\n\n";
    text += &parts_table(&figures.contests);
    text += "\n## Streams at once\n\n";
    if !figures.crowds.is_empty() {
        text += "![Frames a second](benchmarks-streams.png)\n\n";
    }
    text += &crowd_table(&figures.crowds);
    text += "\nOurs are elements in pipelines of one process, Python's are processes of their own. Memory: pages that processes share \
             counted once (PSS) while all streams are there; in brackets the sum of the processes' peaks (VmHWM). The frames that are kept \
             for measuring are in both.\n";
    text += "\n## From nothing to the first frame\n\n";
    text += &start_table(&figures.start_model, figures.home, &figures.starts);
    text += &latency(figures.latency.as_ref());
    text += "\n## What must be deployed\n\n";
    text += &deploy_table(&figures.deploy);
    text += "\n## The original system's table\n\nMilliseconds of a frame as its authors published them for its UNet-328 on an NVIDIA card \
             (RTX 4090). **Figures of another machine**: they say nothing about the ones above, which were taken on what is named at \
             the top.\n\n";
    text += &original_table(figures);
    if !figures.skipped.is_empty() {
        text += "\n## Left out\n\n";
        for line in &figures.skipped {
            let _ = writeln!(text, "- {}", line.replace('\n', " "));
        }
    }
    text
}

fn preface(figures: &Figures) -> String {
    let of = |name: &str| match &figures.machine[name] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let vector = figures.machine["vector"].as_array().into_iter().flatten();
    let vector: Vec<&str> = vector.filter_map(Value::as_str).collect();
    let load = figures
        .load
        .map(|load| load.map_or("?".into(), |load| format!("{load:.1}")));
    let mut text = format!(
        "`{}`, {}, commit {}: {}{} processors of {} ({}), {} GiB, {}, {}. Load average before the run {}, after it {}{}.\n\n",
        figures.command,
        figures.date,
        figures.commit,
        figures.machine["card"]
            .as_str()
            .map_or(String::new(), |card| format!("{card}; ")),
        of("processors"),
        of("processor"),
        vector.join(", "),
        of("memory-gib"),
        of("system"),
        of("gstreamer"),
        load[0],
        load[1],
        if figures.quick {
            "; quick run, for trying it out only"
        } else {
            ""
        },
    );
    if figures.load[0].is_some_and(|load| load > IDLE) {
        text += BUSY;
    }
    let _ = write!(
        text,
        "All contenders run the same networks on the same {} frames (BGR: a painting that pans a little) with {} threads for each \
         network. Each is a process of its own; all are alive and warm, and take turns of half a second, so that whatever else the \
         machine does hits all alike: ratios of one round can be trusted more than milliseconds.\n\n\
         - *Python*: the original pipelines with OpenCV as `tests/parity` has them, their sound prepared and their boxes given \
         beforehand. A frame is crop, tensor, network, paste.\n\
         - *following the face*: the same with the boxes found in the frames, by the networks that the engine has for it \
         (`bench/python/follow.py`).\n\
         - *ONNX Runtime's call alone*: the network that draws, on tensors that were filled once, from Rust.\n\
         - *engine*: finding and following the face, hearing (with the network for the sound), crop, tensor, network, paste; output \
         as the reference has it.\n\
         - *element*: the same in a GStreamer pipeline, `appsrc ! lipsync ! fakesink`, as fast as it takes frames.\n\n\
         So Python is given for nothing what the engine and the element do in every frame: the sound, and but for the one row the \
         face.\n",
        figures.frame, figures.threads
    );
    text
}

fn bar_table(bars: &[Bar]) -> String {
    let rows: Vec<Vec<String>> = bars
        .iter()
        .map(|bar| {
            let (found, met) = match &bar.found {
                Some((found, true)) => (found.clone(), "met"),
                Some((found, false)) => (found.clone(), "**not met**"),
                None => ("not measured".into(), ""),
            };
            vec![
                bar.what.clone(),
                bar.bar.clone(),
                bar.goal.into(),
                found,
                met.into(),
                bar.note.clone(),
            ]
        })
        .collect();
    table(&["what", "bar", "goal", "measured", "", "limit"], 6, &rows)
}

fn contest_table(contest: &Contest) -> String {
    let rows: Vec<Vec<String>> = contest
        .lanes
        .iter()
        .map(|lane| {
            let bare = contest.ratio(
                (lane.stack, lane.variant.name),
                (Stack::Bare, lane.variant.name),
            );
            let bare = bare.filter(|_| !lane.stack.is_python() && lane.stack != Stack::Bare);
            let python = contest.ratio(
                (Stack::PythonOnnx, contest.home),
                (lane.stack, lane.variant.name),
            );
            let torch = contest.ratio(
                (Stack::PyTorch, contest.home),
                (lane.stack, lane.variant.name),
            );
            let text =
                |ratio: Option<crate::figures::Ratio>| ratio.map_or(String::new(), |r| r.text());
            vec![
                lane.stack.title().into(),
                lane.variant.name.into(),
                ms(lane.whole.median()),
                ms(lane.whole.quantile(0.95)),
                lane.whole.frames().to_string(),
                text(bare),
                text(python),
                text(torch),
            ]
        })
        .collect();
    table(
        &[
            "",
            "on",
            "median",
            "p95",
            "frames",
            "/ bare call",
            "Python + ONNX Runtime / this",
            "Python + PyTorch / this",
        ],
        2,
        &rows,
    )
}

fn parts_table(contests: &[Contest]) -> String {
    let mut rows = Vec::new();
    for contest in contests {
        for lane in contest
            .lanes
            .iter()
            .filter(|lane| lane.stack == Stack::Engine)
        {
            let mut row = vec![contest.model.clone(), lane.variant.name.into()];
            row.extend(["track", "features", "infer", "blend"].map(|name| ms(lane.part(name))));
            rows.push(row);
        }
    }
    table(
        &["model", "on", "face", "sound", "network", "pixels"],
        2,
        &rows,
    )
}

fn crowd_table(crowds: &[Crowd]) -> String {
    let mut rows = Vec::new();
    for crowd in crowds {
        for size in &crowd.sizes {
            for (name, together) in [
                ("ours", &size.ours),
                ("Python + ONNX Runtime", &size.python),
            ] {
                let Some(found) = together else {
                    continue;
                };
                rows.push(crowd_row(&crowd.model, size.streams, name, found));
            }
        }
    }
    table(
        &[
            "model",
            "",
            "streams",
            "frames/s, all",
            "ms, median",
            "ms, p99",
            "MiB (peaks)",
        ],
        2,
        &rows,
    )
}

fn crowd_row(model: &str, streams: usize, name: &str, found: &Together) -> Vec<String> {
    vec![
        model.into(),
        name.into(),
        streams.to_string(),
        format!("{:.1}", found.frames_per_second),
        format!("{:.0}", found.median_ms),
        format!("{:.0}", found.p99_ms),
        format!("{:.0} ({:.0})", found.pss_mib, found.peak_mib),
    ]
}

fn start_table(model: &str, home: &str, starts: &[(Stack, Series)]) -> String {
    let rows: Vec<Vec<String>> = starts
        .iter()
        .map(|(stack, times)| {
            let seconds = |q| {
                times
                    .quantile(q)
                    .map_or(String::new(), |s| format!("{s:.2}"))
            };
            vec![
                stack.title().into(),
                seconds(0.5),
                seconds(0.0),
                seconds(1.0),
                times.frames().to_string(),
            ]
        })
        .collect();
    format!(
        "Seconds from starting a process to its first finished frame, {model} on {home}; reading the files is in it, and they are in the \
         system's cache.\n\n{}",
        table(&["", "median", "least", "most", "starts"], 1, &rows)
    )
}

fn latency(latency: Option<&Latency>) -> String {
    let Some(latency) = latency else {
        return String::new();
    };
    let of = |name: &str| latency.0[name].as_f64().unwrap_or_default();
    let late = numbers(&latency.0, "after-look-ahead-ms");
    format!(
        "\nA live pipeline with the built-in model: the element hears {:.0} ms ahead and asks for {:.0} ms of `processing-deadline`; the \
         pipeline reports {:.0} ms. Frames came out {:.1} ms (median; p95 {:.1}) after the sound that they waited for.\n",
        of("look-ahead-ms"),
        of("processing-deadline-ms"),
        of("reported-ms"),
        quantile(&late, 0.5).unwrap_or_default(),
        quantile(&late, 0.95).unwrap_or_default(),
    )
}

fn deploy_table(deploy: &Value) -> String {
    let mib = |value: &Value| {
        value
            .as_f64()
            .map_or(String::new(), |b| format!("{:.1}", b / f64::from(1 << 20)))
    };
    let mut rows = vec![vec![
        "`libgstlipsync.so`, built-in model and face models in it".to_owned(),
        mib(&deploy["plugin"]),
    ]];
    if deploy["plugin-stripped"].is_number() {
        rows.push(vec![
            "the same without what debuggers read".into(),
            mib(&deploy["plugin-stripped"]),
        ]);
    }
    rows.push(vec![
        "`libonnxruntime.so`".into(),
        mib(&deploy["onnxruntime"]),
    ]);
    for (name, size) in deploy["networks"].as_object().into_iter().flatten() {
        rows.push(vec![
            format!("networks of {name}, for everybody"),
            mib(size),
        ]);
    }
    for stack in [Stack::PythonOnnx, Stack::PyTorch] {
        let size = &deploy["python"][stack.name()];
        if size.is_object() {
            rows.push(vec![
                format!(
                    "{}: {} packages in site-packages",
                    stack.title(),
                    size["packages"]
                ),
                mib(&size["bytes"]),
            ]);
            if size["nvidia-bytes"]
                .as_f64()
                .is_some_and(|bytes| bytes > 0.0)
            {
                rows.push(vec![
                    "of them NVIDIA's libraries, which a CPU build does without".into(),
                    mib(&size["nvidia-bytes"]),
                ]);
            }
        }
    }
    table(&["", "MiB"], 1, &rows)
}

fn original_table(figures: &Figures) -> String {
    let mut rows: Vec<Vec<String>> = ORIGINAL
        .iter()
        .map(|[stack, ms, note]| {
            vec![
                (*stack).into(),
                "its authors' machine".into(),
                (*ms).into(),
                (*note).into(),
            ]
        })
        .collect();
    let unet = figures
        .contests
        .iter()
        .find(|contest| contest.model == "unet-328");
    for lane in unet.into_iter().flat_map(|contest| &contest.lanes) {
        rows.push(vec![
            format!("{}, {}", lane.stack.title(), lane.variant.name),
            "this machine".into(),
            ms(lane.whole.median()),
            String::new(),
        ]);
    }
    table(&["stack", "where", "ms", "note"], 2, &rows)
}

fn ms(value: Option<f64>) -> String {
    value.map_or(String::new(), |ms| match ms < 10.0 {
        true => format!("{ms:.2}"),
        false => format!("{ms:.1}"),
    })
}

/// Everything, with the single times, for programs.
pub fn json(figures: &Figures) -> Value {
    let lanes = |contest: &Contest| -> Vec<Value> {
        let lanes = contest.lanes.iter();
        lanes
            .map(|lane| {
                json!({
                    "stack": lane.stack.name(),
                    "variant": lane.variant.name,
                    "about": lane.about,
                    "rounds-ms": rounded(&lane.whole),
                    "parts-ms": lane.parts.keys().map(|name| (name.clone(), json!(lane.part(name)))).collect::<serde_json::Map<_, _>>(),
                })
            })
            .collect()
    };
    let together = |found: &Option<Together>| {
        found.as_ref().map(|found| {
            json!({
                "frames-per-second": found.frames_per_second,
                "median-ms": found.median_ms,
                "p99-ms": found.p99_ms,
                "pss-mib": found.pss_mib,
                "peak-rss-mib": found.peak_mib,
            })
        })
    };
    json!({
        "command": figures.command,
        "date": figures.date,
        "commit": figures.commit,
        "machine": figures.machine,
        "load": figures.load,
        "threads": figures.threads,
        "home": figures.home,
        "frame": figures.frame,
        "quick": figures.quick,
        "bars": bars::all(figures).iter().map(|bar| json!({
            "what": bar.what,
            "bar": bar.bar,
            "goal": bar.goal,
            "measured": bar.found.as_ref().map(|(found, _)| found),
            "met": bar.found.as_ref().map(|(_, met)| met),
            "note": bar.note,
        })).collect::<Vec<_>>(),
        "models": figures.contests.iter().map(|contest| json!({
            "model": contest.model,
            "contenders": lanes(contest),
        })).collect::<Vec<_>>(),
        "streams": figures.crowds.iter().map(|crowd| json!({
            "model": crowd.model,
            "sizes": crowd.sizes.iter().map(|size| json!({
                "streams": size.streams,
                "ours": together(&size.ours),
                "python": together(&size.python),
                "streams-that-differ": size.differ,
            })).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "start-s": figures.starts.iter().map(|(stack, times)| (stack.name().to_owned(), json!(times.0.concat()))).collect::<serde_json::Map<_, _>>(),
        "latency": figures.latency.as_ref().map(|latency| &latency.0),
        "deploy-bytes": figures.deploy,
        "left-out": figures.skipped,
    })
}

/// To microseconds.
fn rounded(series: &Series) -> Vec<Vec<f64>> {
    let round = |ms: &f64| (ms * 1e3).round() / 1e3;
    series
        .0
        .iter()
        .map(|round_| round_.iter().map(round).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{contest::Lane, crowd::Size, roster::CPU};

    fn lane(stack: Stack, times: &[f64]) -> Lane {
        Lane {
            stack,
            variant: CPU,
            whole: Series(times.iter().map(|ms| vec![*ms]).collect()),
            parts: Default::default(),
            about: Value::Null,
        }
    }

    fn figures() -> Figures {
        let together = |pss_mib| {
            Some(Together {
                frames_per_second: 9.0,
                median_ms: 1.0,
                p99_ms: 2.0,
                pss_mib,
                peak_mib: 9.0,
            })
        };
        Figures {
            command: "cargo xtask bench".into(),
            date: "2026-01-02 03:04 UTC".into(),
            commit: "abc".into(),
            machine: json!({"processor": "P", "processors": 2, "vector": ["avx2"]}),
            load: [Some(0.5), None],
            threads: 2,
            home: "cpu",
            frame: "1280x720".into(),
            quick: false,
            contests: vec![Contest {
                model: "unet-328".into(),
                home: "cpu",
                lanes: vec![
                    lane(Stack::PyTorch, &[400.0, 480.0]),
                    lane(Stack::PythonOnnx, &[80.0, 96.0]),
                    lane(Stack::Bare, &[60.0, 72.0]),
                    lane(Stack::Engine, &[72.0, 86.4]),
                    lane(Stack::Element, &[73.0, 87.6]),
                ],
            }],
            crowds: vec![Crowd {
                model: "unet-328".into(),
                sizes: vec![Size {
                    streams: 10,
                    ours: together(300.0),
                    python: together(3000.0),
                    differ: 0,
                }],
            }],
            start_model: "unet-328".into(),
            starts: vec![
                (Stack::Element, Series(vec![vec![0.5], vec![0.6]])),
                (Stack::PythonOnnx, Series(vec![vec![2.5], vec![3.0]])),
            ],
            deploy: json!({"plugin": 1 << 20}),
            latency: Some(Latency(
                json!({"processing-deadline-ms": 40.0, "after-look-ahead-ms": [10.0, 30.0]}),
            )),
            skipped: vec!["cuda: no card".into()],
        }
    }

    #[test]
    fn every_row_of_a_table_is_a_line() {
        let rows = [vec!["a".into(), "1".into()], vec!["b".into(), "2".into()]];
        assert_eq!(
            table(&["", "ms"], 1, &rows),
            "|  | ms |\n| --- | ---: |\n| a | 1 |\n| b | 2 |\n"
        );
    }

    #[test]
    fn the_report_says_which_bars_are_met() {
        let text = markdown(&figures());
        let line = |what: &str| {
            text.lines()
                .find(|line| line.contains(what))
                .unwrap()
                .to_owned()
        };
        assert!(
            line("engine / bare call, unet-328").contains("| 1.20 (1.20 to 1.20) | **not met** |")
        );
        assert!(line("element / engine, unet-328").contains("| met |"));
        assert!(line("engine / bare call, wav2lip-96").contains("not measured"));
        assert!(line("PyTorch / element, unet-328").contains("| 5.48 (5.48 to 5.48) | met |"));
        assert!(line("memory of 10 streams").contains("0.10 (300 / 3000 MiB) | met |"));
        assert!(line("start to first frame").contains("| met |"));
        assert!(line("latency beyond").contains("| -11.0 ms | met |"));
        assert!(text.contains("- cuda: no card"));
        assert!(text.contains("Figures of another machine"));
    }

    #[test]
    fn the_json_has_every_time() {
        let json = json(&figures());
        assert_eq!(
            json["models"][0]["contenders"][0]["rounds-ms"],
            json!([[400.0], [480.0]])
        );
        assert_eq!(json["start-s"]["element"], json!([0.5, 0.6]));
        assert_eq!(json["bars"][0]["met"], false);
    }
}
