//! Charts as SVG.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

pub use plotters::style::RGBColor as Colour;

use crate::numbers::extremes;

const FONT: (&str, i32) = ("sans-serif", 15);

/// Name, colour and points of a curve, from left to right.
pub type Curve = (&'static str, RGBColor, Vec<(f64, f64)>);

/// Curves over the same axes, whose names are `across` and `up`; points without a value are left out.
pub fn curves(title: &str, across: &str, up: &str, mut curves: Vec<Curve>) -> Result<String> {
    for (_, _, points) in &mut curves {
        points.retain(|point| point.1.is_finite());
    }
    let points = || curves.iter().flat_map(|(_, _, points)| points);
    let x = range(points().map(|point| point.0));
    let y = range(points().map(|point| point.1));
    draw(640, 220, |area| {
        let mut chart = ChartBuilder::on(area)
            .caption(title, FONT)
            .margin(6)
            .x_label_area_size(34)
            .y_label_area_size(44)
            .build_cartesian_2d(x.clone(), y.clone())?;
        let mut mesh = chart.configure_mesh();
        mesh.x_desc(across)
            .y_desc(up)
            .light_line_style(WHITE)
            .draw()?;
        for &(name, colour, ref points) in &curves {
            chart
                .draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
        }
        let mut names = chart.configure_series_labels();
        names.background_style(WHITE.mix(0.8)).draw()
    })
}

/// From the least to the most; of a single value its neighbourhood.
fn range(values: impl Iterator<Item = f64>) -> std::ops::Range<f64> {
    match extremes(values) {
        (least, most) if least < most => least..most,
        (value, _) if value.is_finite() => value - 1.0..value + 1.0,
        _ => 0.0..1.0,
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

fn draw(width: u32, height: u32, chart: impl FnOnce(&Area) -> Drawn) -> Result<String> {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
    let drawn = area.fill(&WHITE).and_then(|()| chart(&area));
    drawn
        .and_then(|()| area.present())
        .map_err(|error| anyhow!("cannot draw a chart: {error}"))?;
    drop(area);
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_leaves_out_what_has_no_value() {
        let curve = ("real", BLACK, vec![(0.0, 0.0), (1.0, f64::NAN), (2.0, 4.0)]);
        let svg = curves("t", "x", "y", vec![curve]).unwrap();
        assert!(svg.contains("polyline") && svg.contains("real") && !svg.contains("NaN"));
        assert!(curves("t", "x", "y", vec![]).is_ok());
        assert_eq!(range([3.0].into_iter()), 2.0..4.0);
    }
}
