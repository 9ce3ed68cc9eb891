//! `docs/benchmarks.md` out of what was measured.

use lipsync_tools::table::Table;

use crate::{
    child::{CPU, PARTS, WHOLE},
    measure::STREAMED,
    results::{Latency, Ratio, Results, START, Series, Sizes},
    stack::Stack,
};

/// The page, with `{name}` where a part comes.
const PAGE: &str = include_str!("benchmarks.md.in");

/// More processes than this waited for a CPU before the run: the machine had other work.
const IDLE: f64 = 0.5;
const BUSY: &str = "\n\n**The machine was busy with other work**: milliseconds are longer than on an idle one, and rounds differ.";

pub fn markdown(results: &Results) -> String {
    let models = results.models.iter();
    let models = models.map(|model| format!("### {model}\n\n{}", stacks(results, model)));
    let latency = results.latency.as_ref().map(latency);
    let parts = [
        ("preface", preface(results)),
        ("frame", results.frame.clone()),
        ("threads", results.threads.to_string()),
        ("models", models.collect::<Vec<_>>().join("\n")),
        ("parts", engine_parts(results)),
        ("streams", streams(results)),
        ("start-model", results.start_model.clone()),
        ("home", results.home.name().to_owned()),
        ("starts", starts(results)),
        ("latency", latency.unwrap_or_default()),
        ("sizes", sizes(&results.deploy_bytes)),
        ("original", original(results)),
        ("left-out", left_out(&results.left_out)),
    ];
    let fill = |page: String, (name, text): (&str, String)| {
        page.replace(&format!("{{{name}}}"), text.trim_end())
    };
    let page = parts.into_iter().fold(PAGE.to_owned(), fill);
    page.trim_end().to_owned() + "\n"
}

/// Begins the part about another version, which is measured by itself and stays until it is again.
const VERSIONS: &str = "## Against an earlier version\n";
/// In front of this.
const NEXT: &str = "## A frame\n";

/// The part of a page about another version.
pub fn versions_of(page: &str) -> Option<&str> {
    let start = page.find(VERSIONS)?;
    let length = page[start..].find(NEXT)?;
    Some(&page[start..start + length])
}

/// The page with another part about another version; that part alone where there is no page.
pub fn with_versions(page: &str, part: &str) -> String {
    match versions_of(page) {
        Some(old) => page.replace(old, part),
        None if page.contains(NEXT) => page.replacen(NEXT, &format!("{part}{NEXT}"), 1),
        None => page.to_owned() + part,
    }
}

/// What this version and another take for a frame of the built-in model.
pub fn versions(results: &Results, other: &str, series: &[Series; 2]) -> Option<String> {
    let mut table = Table::new("lrrr", ["ms a frame", "median", "least", "most"]);
    let [this, earlier] = series;
    for (it, name) in [(this, &*results.commit), (earlier, other)] {
        for (what, unit) in [(CPU, "CPU time"), (WHOLE, "until it is out")] {
            let times = [0.5, 0.0, 1.0].map(|q| ms(it.quantile(what, q)));
            table.row([format!("{name}, {unit}")].into_iter().chain(times));
        }
    }
    let (cpu, whole) = (this.over(earlier, CPU)?, this.over(earlier, WHOLE)?);
    Some(format!(
        "{VERSIONS}\n{}\n\nBoth elements in processes of their own, in turns of as many frames: built-in model, {} I420, a painting that pans \
         a little. CPU time is all that the process takes, user and system, with feeding the pipeline. This version's share of the other's, turn by turn, \
         median and range of {} pairs: **CPU time {}**, time {}.\n\n{}\n",
        preface(results),
        results.frame,
        this.count(CPU),
        cpu.text(),
        whole.text(),
        table.markdown(),
    ))
}

fn preface(results: &Results) -> String {
    let (machine, [before, after]) = (&results.machine, results.load);
    let load = |load: Option<f64>| load.map_or("?".into(), |load| format!("{load:.1}"));
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "?".into());
    let gpu = machine.gpu.as_ref().map(|gpu| format!("{gpu}; "));
    let quick = match results.quick {
        true => "; quick run, for trying it out only",
        false => "",
    };
    let is_busy = before.is_some_and(|load| load > IDLE);
    format!(
        "`{}`, {}, commit {}: {}{} CPUs of {} ({}), {} GiB, {}, {}. Load average before the run {}, after it {}{quick}.{}",
        results.command,
        results.date,
        results.commit,
        gpu.unwrap_or_default(),
        machine.cpus,
        known(&machine.cpu),
        machine.vector.join(", "),
        machine.memory_gib.unwrap_or_default(),
        known(&machine.system),
        machine.gstreamer,
        load(before),
        load(after),
        if is_busy { BUSY } else { "" }
    )
}

fn stacks(results: &Results, model: &str) -> String {
    let head = ["", "on", "median", "p95", "frames", "/ bare call"];
    let python = ["Python + ONNX Runtime / this", "Python + PyTorch / this"];
    let mut table = Table::new("llrrrrrr", head.into_iter().chain(python));
    for it in results.stacks(model) {
        let this = (it.stack, it.variant);
        let bare = results.ratio(model, this, (Stack::BareCall, it.variant));
        let bare = bare.filter(|_| !it.stack.is_python() && it.stack != Stack::BareCall);
        let python = |stack| results.ratio(model, (stack, results.home), this);
        let text = |ratio: Option<Ratio>| ratio.map_or(String::new(), |ratio| ratio.text());
        table.row([
            it.stack.title().into(),
            it.variant.name().into(),
            ms(it.median(WHOLE)),
            ms(it.quantile(WHOLE, 0.95)),
            it.count(WHOLE).to_string(),
            text(bare),
            text(python(Stack::PythonOnnx)),
            text(python(Stack::PyTorch)),
        ]);
    }
    table.markdown()
}

fn engine_parts(results: &Results) -> String {
    let head = ["model", "on", "face", "audio", "network", "pixels"];
    let mut table = Table::new("llrrrr", head);
    for model in &results.models {
        for it in results.stacks(model).filter(|it| it.stack == Stack::Engine) {
            let names = [model.clone(), it.variant.name().into()];
            let parts = PARTS.map(|part| ms(it.median(part)));
            table.row(names.into_iter().chain(parts));
        }
    }
    table.markdown()
}

fn streams(results: &Results) -> String {
    let times = [
        "frames/s, all",
        "ms, median",
        "ms, p99",
        "MiB (peaks)",
        "differ",
    ];
    let head = ["model", "", "streams"].into_iter().chain(times);
    let mut table = Table::new("llrrrrrr", head);
    for (count, stack, it) in &results.streams {
        let differ = (!stack.is_python()).then(|| it.streams_that_differ.to_string());
        table.row([
            STREAMED.to_owned(),
            stack.owner().into(),
            count.to_string(),
            format!("{:.1}", it.frames_per_second),
            format!("{:.0}", it.ms(0.5)),
            format!("{:.0}", it.ms(0.99)),
            format!("{:.0} ({:.0})", it.memory.pss_mib, it.memory.peak_rss_mib),
            differ.unwrap_or_default(),
        ]);
    }
    table.markdown()
}

fn starts(results: &Results) -> String {
    let mut table = Table::new("lrrrr", ["", "median", "least", "most", "starts"]);
    for it in results.starts() {
        let seconds = [0.5, 0.0, 1.0].map(|q| it.quantile(START, q).unwrap_or_default());
        let [median, least, most] = seconds.map(|s| format!("{s:.2}"));
        let count = it.count(START).to_string();
        table.row([it.stack.title().into(), median, least, most, count]);
    }
    table.markdown()
}

fn latency(latency: &Latency) -> String {
    format!(
        "A live pipeline with the built-in model: the element listens {:.0} ms ahead and asks for {:.0} ms of `processing-deadline`; the \
         pipeline reports {:.0} ms. Frames came out {:.1} ms (median; p95 {:.1}) after the audio that they waited for.",
        latency.look_ahead_ms,
        latency.processing_deadline_ms,
        latency.reported_ms,
        latency.late(0.5),
        latency.late(0.95),
    )
}

fn sizes(sizes: &Sizes) -> String {
    let mut table = Table::new("lr", ["", "MiB"]);
    let mut row = |what: &str, bytes: u64| {
        let mib = bytes as f64 / f64::from(1 << 20);
        table.row([what.to_owned(), format!("{mib:.1}")]);
    };
    let plugin = "`libgstlipsync.so`, built-in model and face models in it";
    row(plugin, sizes.plugin);
    if let Some(bytes) = sizes.plugin_stripped {
        row("the same without what debuggers read", bytes);
    }
    row("`libonnxruntime.so`", sizes.onnxruntime);
    for (name, bytes) in &sizes.networks {
        row(&format!("networks of {name}, for everybody"), *bytes);
    }
    for (stack, size) in &sizes.python {
        let (stack, packages) = (stack.title(), size.packages);
        let site = format!("{stack}: {packages} packages in site-packages");
        row(&site, size.bytes);
        if size.nvidia_bytes > 0 {
            let nvidia = "of them NVIDIA's libraries, which a CPU build does without";
            row(nvidia, size.nvidia_bytes);
        }
    }
    table.markdown()
}

/// Rows below those of the original system's own table.
fn original(results: &Results) -> String {
    let rows = results.stacks(STREAMED).map(|it| {
        let (stack, variant, ms) = (it.stack.title(), it.variant.name(), ms(it.median(WHOLE)));
        format!("| {stack}, {variant} | this machine | {ms} | |\n")
    });
    rows.collect()
}

fn left_out(lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let lines = lines.iter().map(|line| line.replace('\n', " "));
    let lines: String = lines.map(|line| format!("- {line}\n")).collect();
    format!("## Left out\n\n{lines}")
}

fn ms(value: Option<f64>) -> String {
    value.map_or(String::new(), |ms| match ms < 10.0 {
        true => format!("{ms:.2}"),
        false => format!("{ms:.1}"),
    })
}

#[cfg(test)]
mod tests {
    use lipsync_tools::usage::Usage;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        results::{AtOnce, Series},
        stack::{Model, Variant},
    };

    fn results() -> Results {
        let series = |stack, what: &str, rounds: [f64; 2]| {
            let model = Model::Reference(format!("{STREAMED}.toml").into());
            let mut series = Series::new(&model, stack, Variant::Cpu, Value::Null);
            for value in rounds {
                series.take([(what.into(), vec![value])].into());
            }
            series
        };
        let at_once = |pss_mib| AtOnce {
            frames_per_second: 9.0,
            frame_ms: vec![1.0],
            memory: Usage {
                pss_mib,
                ..Usage::default()
            },
            streams_that_differ: 0,
        };
        Results {
            frame: "1280x720".into(),
            models: vec![STREAMED.into()],
            series: vec![
                series(Stack::PyTorch, WHOLE, [575.4, 690.48]),
                series(Stack::PythonOnnx, WHOLE, [110.0, 132.0]),
                series(Stack::BareCall, WHOLE, [83.3333, 100.0]),
                series(Stack::Engine, WHOLE, [100.0, 120.0]),
                series(Stack::Element, WHOLE, [105.0, 126.0]),
                series(Stack::Element, START, [0.5, 0.6]),
                series(Stack::PythonOnnx, START, [5.0, 6.0]),
            ],
            streams: vec![
                (10, Stack::Element, at_once(300.0)),
                (10, Stack::PythonOnnx, at_once(3000.0)),
            ],
            start_model: STREAMED.into(),
            latency: Some(Latency {
                look_ahead_ms: 160.0,
                processing_deadline_ms: 40.0,
                reported_ms: 203.0,
                after_look_ahead_ms: vec![29.0],
            }),
            left_out: vec!["cuda: no GPU".into()],
            ..Results::default()
        }
    }

    #[test]
    fn the_page_has_every_figure() {
        let text = markdown(&results());
        for line in [
            "| engine | cpu | 110.0 | 119.0 | 2 | 1.20 (1.20 to 1.20) | 1.10 (1.10 to 1.10) | 5.75 (5.75 to 5.75) |",
            "| unet-328 | ours | 10 | 9.0 | 1 | 1 | 300 (0) | 0 |",
            "| element in a pipeline | 0.55 | 0.50 | 0.60 | 2 |",
            "- cuda: no GPU",
        ] {
            assert!(text.contains(line), "no {line} in {text}");
        }
        assert!(
            text.contains("29.0 ms (median; p95 29.0)")
                && text.contains("Figures of another machine")
        );
        assert!(!text.contains('{') && !text.contains("\n\n\n"), "{text}");
    }

    #[test]
    fn a_part_about_another_version_is_put_in_once_and_never_lost() {
        let part = |text: &str| format!("{VERSIONS}\n{text}\n");
        let page = format!("# How fast\n\n{NEXT}\nrest\n");
        let first = with_versions(&page, &part("first"));
        assert_eq!(versions_of(&first), Some(&*part("first")));
        let second = with_versions(&first, &part("second"));
        assert_eq!(
            second,
            format!("# How fast\n\n{}{NEXT}\nrest\n", part("second"))
        );
        assert_eq!(with_versions("", &part("alone")), part("alone"));
    }

    #[test]
    fn the_json_has_every_time() {
        let json = serde_json::to_value(results()).unwrap();
        let rounds = |series: usize| &json["series"][series]["rounds"];
        assert_eq!(rounds(3)[WHOLE], json!([[100.0], [120.0]]));
        assert_eq!(rounds(5)[START], json!([[0.5], [0.6]]));
    }
}
