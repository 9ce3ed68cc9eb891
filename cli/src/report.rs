//! What a job has done, for people as a page, for programs as JSON.

use std::path::Path;

use anyhow::{Result, bail};
use serde_json::{Map, Value, json};

use crate::{arguments::Arguments, media, offset, plan::Inputs, playing::Played};

/// Moments on the contact sheet, and the height of its frames.
const MOMENTS: u64 = 8;
const HEIGHT: i32 = 240;
const STAGES: [&str; 5] = ["track", "features", "infer", "blend", "total"];
const COUNTERS: [(&str, &str); 9] = [
    ("in", "frames-in"),
    ("out", "frames-out"),
    ("synced", "frames-synced"),
    ("in silence", "frames-silent"),
    ("without a face", "frames-no-face"),
    ("before anyone spoke", "frames-no-speaker"),
    ("with a hidden mouth", "frames-occluded"),
    ("late", "frames-late"),
    ("failed", "frames-error"),
];

pub struct Report {
    facts: Value,
    /// Time, and the frame before and after as JPEG.
    sheet: Vec<(gst::ClockTime, [Vec<u8>; 2])>,
}

/// For whom a report is.
pub enum Form {
    Json,
    Html,
}

impl Form {
    /// # Errors
    /// For names that end otherwise.
    pub fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => Ok(Self::Json),
            Some("html") => Ok(Self::Html),
            _ => bail!("{}: reports are .json or .html", path.display()),
        }
    }
}

impl Report {
    /// Of a result that lies in `file`.
    pub fn new(
        arguments: &Arguments,
        inputs: &Inputs,
        played: &Played,
        file: &Path,
        notes: &[String],
    ) -> Result<Self> {
        let moments = (0..MOMENTS).map(|index| played.media * (2 * index + 1) / (2 * MOMENTS));
        let moments: Vec<_> = moments.collect();
        let start = arguments.start.unwrap_or_default();
        let in_input: Vec<_> = moments.iter().map(|time| *time + start).collect();
        let before = media::frames_at(&inputs.video.path, &in_input, HEIGHT)?;
        let after = media::frames_at(file, &moments, HEIGHT)?;
        let frames = before
            .into_iter()
            .zip(after)
            .map(|(before, after)| [before, after]);
        Ok(Self {
            facts: facts(arguments, inputs, played, file, notes),
            sheet: moments.into_iter().zip(frames).collect(),
        })
    }

    /// In the form that the file's extension names.
    ///
    /// # Errors
    /// For others.
    pub fn text(&self, path: &Path) -> Result<String> {
        Ok(match Form::of(path)? {
            Form::Json => format!("{:#}\n", self.facts),
            Form::Html => self.page(),
        })
    }

    fn page(&self) -> String {
        let mut rows = String::new();
        list(&self.facts, "", &mut rows);
        let mut cells = String::new();
        for (time, frames) in &self.sheet {
            let frames = frames
                .each_ref()
                .map(|frame| gst::glib::base64_encode(frame));
            let images =
                frames.map(|data| format!("<img src=\"data:image/jpeg;base64,{data}\" alt=\"\">"));
            let seconds = time.seconds_f64();
            cells += &format!(
                "<figure>{}<figcaption>{seconds:.2} s</figcaption></figure>\n",
                images.concat()
            );
        }
        let title = escaped(self.facts["output"].as_str().unwrap_or_default());
        format!(
            include_str!("report.html.in"),
            title = title,
            cells = cells,
            rows = rows
        )
    }
}

fn facts(
    arguments: &Arguments,
    inputs: &Inputs,
    played: &Played,
    file: &Path,
    notes: &[String],
) -> Value {
    let count = |name: &str| played.stats.get::<u64>(name).unwrap_or_default();
    let text = |name: &str| played.stats.get::<String>(name).unwrap_or_default();
    let frames: Map<_, _> = COUNTERS
        .iter()
        .map(|(name, counter)| ((*name).into(), count(counter).into()))
        .collect();
    let stages = STAGES.iter().map(|stage| {
        let milliseconds = |figure| count(&format!("{stage}-{figure}")) as f64 / 1e3;
        (
            (*stage).into(),
            json!({"mean": milliseconds("mean"), "p95": milliseconds("p95")}),
        )
    });
    let path = |path: &Path| path.display().to_string();
    let offset = match offset::measure(file) {
        Ok(offset) => json!({
            "milliseconds": (offset.milliseconds * 10.0).round() / 10.0,
            "correlation": (offset.correlation * 100.0).round() / 100.0,
        }),
        Err(error) => json!({"not measured": format!("{error:#}")}),
    };
    let (media, wall) = (played.media.seconds_f64(), played.wall.as_secs_f64());
    json!({
        "video": path(&inputs.video.path),
        "audio": path(&inputs.speech.as_ref().unwrap_or(&inputs.video).path),
        "output": arguments.output.as_deref().map(path),
        "model": text("model-name"),
        "runs on": text("active-execution-provider"),
        "frames": frames,
        "share of mouths from memory": played.stats.get::<f64>("mouth-memory-share").unwrap_or_default(),
        "faces in the last frame": count("faces-last"),
        "mouth after speech": offset,
        "milliseconds a frame": stages.collect::<Map<_, _>>(),
        "seconds of video": media,
        "seconds taken": wall,
        "times real time": media / wall.max(1e-3),
        "notes": notes,
    })
}

/// Rows of a table, one for each value that is no table itself.
fn list(value: &Value, name: &str, rows: &mut String) {
    let shown = match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let name = if name.is_empty() {
                    field.clone()
                } else {
                    format!("{name}: {field}")
                };
                list(value, &name, rows);
            }
            return;
        }
        Value::Array(items) => {
            items.iter().for_each(|item| list(item, name, rows));
            return;
        }
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => {
            format!("{:.2}", number.as_f64().unwrap_or_default())
        }
        other => other.to_string(),
    };
    *rows += &format!("<tr><th>{}<td>{}\n", escaped(name), escaped(&shown));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_name_what_they_are_part_of() {
        let mut rows = String::new();
        list(
            &json!({"frames": {"in": 3}, "notes": ["a < b"], "media": 1.25}),
            "",
            &mut rows,
        );
        assert!(rows.contains("<tr><th>frames: in<td>3"));
        assert!(rows.contains("<tr><th>notes<td>a &lt; b"));
        assert!(rows.contains("<td>1.25"));
    }
}
