//! Line plots as SVG.

use std::fmt::Write as _;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 220.0;
/// Room for numbers and names of the axes.
const LEFT: f64 = 56.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 28.0;
const BOTTOM: f64 = 40.0;
/// About as many numbers at an axis.
const TICKS: f64 = 6.0;

pub struct Plot<'a> {
    pub title: &'a str,
    pub across: &'a str,
    pub up: &'a str,
    pub series: &'a [Series<'a>],
}

pub struct Series<'a> {
    pub name: &'a str,
    /// As CSS names it.
    pub colour: &'a str,
    pub points: Vec<(f64, f64)>,
}

/// What an axis shows, and where.
struct Axis {
    least: f64,
    most: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (least, most) = values
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), it| {
                (least.min(it), most.max(it))
            });
        let (least, most) = if least < most {
            (least, most)
        } else if least.is_finite() {
            (least - 1.0, least + 1.0)
        } else {
            (0.0, 1.0)
        };
        Self {
            least,
            most,
            from,
            to,
        }
    }

    fn place(&self, value: f64) -> f64 {
        self.from + (value - self.least) / (self.most - self.least) * (self.to - self.from)
    }

    /// Round numbers, and how many digits behind the point they need.
    fn ticks(&self) -> (Vec<f64>, usize) {
        let rough = (self.most - self.least) / TICKS;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .map(|factor| factor * power)
            .into_iter()
            .find(|step| *step >= rough)
            .unwrap_or(rough);
        let first = (self.least / step).ceil() as i64;
        let last = (self.most / step).floor() as i64;
        let digits = (-step.log10().floor()).max(0.0) as usize;
        ((first..=last).map(|k| k as f64 * step).collect(), digits)
    }
}

impl Plot<'_> {
    // Writing to a string cannot fail.
    pub fn svg(&self) -> String {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let across = Axis::of(points().map(|point| point.0), LEFT, WIDTH - RIGHT);
        let up = Axis::of(points().map(|point| point.1), HEIGHT - BOTTOM, TOP);
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\"><text x=\"{LEFT}\" y=\"16\" class=\"title\">{}</text>",
            self.title
        );
        self.draw_axes(&across, &up, &mut svg);
        for (index, series) in self.series.iter().enumerate() {
            let mut line = String::new();
            for (x, y) in series.points.iter().filter(|point| point.1.is_finite()) {
                let _ = write!(line, "{:.1},{:.1} ", across.place(*x), up.place(*y));
            }
            let _ = write!(
                svg,
                "<polyline points=\"{line}\" style=\"stroke:{colour}\"/><text x=\"{}\" y=\"16\" style=\"fill:{colour}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT - 110.0 * (self.series.len() - 1 - index) as f64,
                series.name,
                colour = series.colour,
            );
        }
        svg + "</svg>\n"
    }

    fn draw_axes(&self, across: &Axis, up: &Axis, svg: &mut String) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        let (ticks, digits) = across.ticks();
        for tick in ticks {
            let x = across.place(tick);
            let _ = write!(
                svg,
                "<path d=\"M{x:.1} {TOP}V{bottom}\"/><text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{tick:.digits$}</text>",
                bottom + 14.0
            );
        }
        let (ticks, digits) = up.ticks();
        for tick in ticks {
            let y = up.place(tick);
            let _ = write!(
                svg,
                "<path d=\"M{LEFT} {y:.1}H{right}\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{tick:.digits$}</text>",
                LEFT - 5.0,
                y + 4.0
            );
        }
        let _ = write!(
            svg,
            "<text x=\"{right}\" y=\"{}\" text-anchor=\"end\">{}</text><text transform=\"translate(12 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            HEIGHT - 8.0,
            self.across,
            (TOP + bottom) / 2.0,
            self.up
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_at_axes_are_round_and_inside() {
        let axis = |least, most| Axis::of([least, most].into_iter(), 0.0, 100.0);
        let (ticks, digits) = axis(-0.13, 1.02).ticks();
        assert_eq!((ticks.len(), digits), (6, 1));
        assert!((ticks[1] - 0.2).abs() < 1e-12 && ticks[0] == 0.0);
        assert_eq!(axis(0.0, 12.5).ticks(), (vec![0.0, 5.0, 10.0], 0));
        assert_eq!(axis(3.0, 3.0).place(3.0), 50.0);
        assert_eq!(Axis::of(std::iter::empty(), 0.0, 9.0).place(0.5), 4.5);
    }

    #[test]
    fn a_line_goes_through_its_points() {
        let series = [Series {
            name: "a",
            colour: "red",
            points: vec![(0.0, 0.0), (1.0, f64::NAN), (2.0, 4.0)],
        }];
        let plot = Plot {
            title: "t",
            across: "x",
            up: "y",
            series: &series,
        };
        let bottom = HEIGHT - BOTTOM;
        let line = format!(
            "points=\"{LEFT:.1},{bottom:.1} {:.1},{TOP:.1} \"",
            WIDTH - RIGHT
        );
        assert!(plot.svg().contains(&line), "{}", plot.svg());
    }
}
