//! The table of all figures beside their bars.

use std::fmt::Write as _;

use lipsync_tools::numbers;

use crate::figures::Figures;

/// One figure, what it must reach and what it shall reach.
struct Row {
    name: &'static str,
    value: String,
    met: bool,
    bar: &'static str,
    goal: &'static str,
}

/// Every person counts the same, however many clips there are.
pub fn print(people: &[(String, Vec<Figures>)]) -> String {
    let mut text = format!(
        "{:<44} {:>18}  {:<24} {:<10}\n",
        "figure", "value", "bar now", "goal"
    );
    for row in rows(people) {
        let mark = if row.met { "" } else { "  BELOW THE BAR" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<44} {:>18}  {:<24} {:<10}{mark}",
            row.name, row.value, row.bar, row.goal
        );
    }
    text
}

fn rows(people: &[(String, Vec<Figures>)]) -> Vec<Row> {
    let mean = |figure: &dyn Fn(&Figures) -> f64| mean_of_people(people, figure);
    let all = || people.iter().flat_map(|(_, figures)| figures);

    let frozen = mean(&|f| f.frozen.correlation);
    let shifted = mean(&|f| f.shifted.correlation);
    let amplitude = mean(&|f| f.frozen.amplitude);
    let lags: Vec<i32> = all().flat_map(|f| [f.frozen.lag, f.shifted.lag]).collect();
    let (earliest, latest) = (
        lags.iter().min().copied().unwrap_or_default(),
        lags.iter().max().copied().unwrap_or_default(),
    );
    let landmarks = mean(&|f| f.landmarks);
    let silence = mean(&|f| f.silence) * 100.0;
    let outside: u64 = all().map(|f| f.outside).sum();
    let sharpness = mean(&|f| f.sharpness);
    let (jitter, tracker_jitter) = (mean(&|f| f.jitter), mean(&|f| f.tracker_jitter));
    let seam = mean(&|f| f.seam);
    let networks = mean(&|f| f.networks);

    vec![
        Row {
            name: "aperture correlation, first frame frozen",
            value: format!("{frozen:.2}"),
            met: frozen >= 0.70,
            bar: "0.70",
            goal: "0.90",
        },
        Row {
            name: "aperture correlation, source says other words",
            value: format!("{shifted:.2}"),
            met: shifted >= 0.65,
            bar: "0.65",
            goal: "0.85",
        },
        Row {
            name: "amplitude, output / real",
            value: format!("{amplitude:.2}"),
            met: (0.4..=1.6).contains(&amplitude),
            bar: "0.4 to 1.6",
            goal: "0.8 to 1.2",
        },
        Row {
            name: "lag in frames, all clips",
            value: format!("{earliest:+} to {latest:+}"),
            met: earliest >= -1 && latest <= 1,
            bar: "within 1",
            goal: "0",
        },
        Row {
            name: "landmark distance, output / frozen mouth",
            value: format!("{landmarks:.2}"),
            met: landmarks <= 0.75,
            bar: "0.75",
            goal: "0.40",
        },
        Row {
            name: "silence motion, frames with an open mouth",
            value: format!("{silence:.1} %"),
            met: silence <= 1.0,
            bar: "1 %",
            goal: "0 %",
        },
        Row {
            name: "outside the mask, pixels changed",
            value: outside.to_string(),
            met: outside == 0,
            bar: "0",
            goal: "0",
        },
        Row {
            name: "sharpness, output / input",
            value: format!("{sharpness:.2}"),
            met: sharpness >= 0.85,
            bar: "0.85",
            goal: "0.97",
        },
        Row {
            name: "jitter in a steady tone (tracker's), px of 96",
            value: format!("{jitter:.3} ({tracker_jitter:.3})"),
            met: jitter <= tracker_jitter,
            bar: "no more than the tracker's",
            goal: "none",
        },
        Row {
            name: "seam, output / input",
            value: format!("{seam:.3}"),
            met: seam <= 1.1,
            bar: "1.1",
            goal: "1.02",
        },
        Row {
            name: "cost, both networks, one core, ms a frame",
            value: format!("{networks:.1}"),
            met: networks <= 12.0,
            bar: "12",
            goal: "4",
        },
    ]
}

fn mean_of_people(people: &[(String, Vec<Figures>)], figure: &dyn Fn(&Figures) -> f64) -> f64 {
    let means: Vec<f64> = people
        .iter()
        .map(|(_, clips)| numbers::mean(&clips.iter().map(figure).collect::<Vec<_>>()))
        .collect();
    numbers::mean(&means)
}
