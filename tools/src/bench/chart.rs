//! Bar charts.

use anyhow::Result;
use image::RgbImage;
use lipsync_core::pixels::{Colour, Format, Plane, View, write::draw::Pen};

use crate::{contest::Contest, crowd::Crowd, roster::Stack};

const WIDTH: usize = 1000;
const MARGIN: usize = 16;
const ROW: usize = 22;
/// Where bars begin, and how much room their numbers want behind them.
const LABELS: usize = 400;
const NUMBERS: usize = 110;
/// Size of a dot of the 5x7 letters, in titles too.
const DOT: i32 = 2;
const PAPER: u8 = 250;
const INK: [f32; 3] = [0.1; 3];
const PYTHON: [f32; 3] = [0.75, 0.55, 0.30];
const BARE: [f32; 3] = [0.65, 0.65, 0.65];
const OURS: [f32; 3] = [0.20, 0.45, 0.70];

struct Row {
    label: String,
    value: f64,
    colour: [f32; 3],
}

/// Rows that share a scale.
struct Group {
    title: String,
    rows: Vec<Row>,
}

/// Milliseconds of a frame, one group a model.
pub fn frames(contests: &[Contest]) -> Result<RgbImage> {
    let groups = contests.iter().map(|contest| Group {
        title: format!("{}: ms a frame", contest.model),
        rows: contest
            .lanes
            .iter()
            .filter_map(|lane| {
                Some(Row {
                    label: format!("{} {}", short(lane.stack), lane.variant.name),
                    value: lane.whole.median()?,
                    colour: colour(lane.stack),
                })
            })
            .collect(),
    });
    chart(&groups.collect::<Vec<_>>())
}

/// Frames a second of all streams together, one group a model.
pub fn streams(crowds: &[Crowd]) -> Result<RgbImage> {
    let groups = crowds.iter().map(|crowd| Group {
        title: format!("{}: frames a second, all streams", crowd.model),
        rows: crowd
            .sizes
            .iter()
            .flat_map(|size| {
                let ours = size.ours.iter().map(|found| ("element", OURS, found));
                let python = size
                    .python
                    .iter()
                    .map(|found| ("Python+ORT", PYTHON, found));
                ours.chain(python).map(|(name, colour, found)| Row {
                    label: format!("{name} x{}", size.streams),
                    value: found.frames_per_second,
                    colour,
                })
            })
            .collect(),
    });
    chart(&groups.collect::<Vec<_>>())
}

fn short(stack: Stack) -> &'static str {
    match stack {
        Stack::PyTorch => "Python+PyTorch",
        Stack::PythonOnnx => "Python+ORT",
        Stack::PythonFaces => "with faces",
        Stack::Bare => "bare call",
        Stack::Engine => "engine",
        Stack::Element => "element",
    }
}

fn colour(stack: Stack) -> [f32; 3] {
    match stack {
        Stack::PyTorch | Stack::PythonOnnx | Stack::PythonFaces => PYTHON,
        Stack::Bare => BARE,
        Stack::Engine | Stack::Element => OURS,
    }
}

fn chart(groups: &[Group]) -> Result<RgbImage> {
    let rows: usize = groups.iter().map(|group| group.rows.len() + 2).sum();
    let height = rows * ROW + 2 * MARGIN;
    let mut picture = RgbImage::from_pixel(WIDTH as u32, height as u32, image::Rgb([PAPER; 3]));
    let none = || Plane {
        data: &mut [],
        stride: 0,
    };
    let mut view = View {
        format: Format::Rgb,
        width: WIDTH,
        height,
        colour: Colour::default(),
        planes: [
            Plane {
                data: &mut picture,
                stride: WIDTH * 3,
            },
            none(),
            none(),
        ],
    };
    let mut top = MARGIN;
    for group in groups {
        write(&mut view, MARGIN, top, &group.title)?;
        top += ROW;
        let most = group.rows.iter().map(|row| row.value).fold(0.0, f64::max);
        for row in &group.rows {
            write(&mut view, 2 * MARGIN, top, &row.label)?;
            let room = (WIDTH - LABELS - NUMBERS - MARGIN) as f64;
            let length = (room * row.value / most.max(f64::EPSILON)).round() as usize;
            let right = LABELS + length.max(1);
            let corners = [LABELS, top, right, top + ROW - 6].map(i32::try_from);
            let [x0, y0, x1, y1] = corners;
            Pen::new(&mut view, row.colour, 1).fill([x0?, y0?, x1?, y1?]);
            write(&mut view, right + 8, top, &format!("{:.1}", row.value))?;
            top += ROW;
        }
        top += ROW;
    }
    Ok(picture)
}

fn write(view: &mut View, x: usize, y: usize, text: &str) -> Result<()> {
    Pen::new(view, INK, DOT).text(i32::try_from(x)?, i32::try_from(y)?, text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_values() {
        let row = |value, colour| Row {
            label: "a".into(),
            value,
            colour,
        };
        let group = Group {
            title: "t".into(),
            rows: vec![row(10.0, OURS), row(5.0, PYTHON)],
        };
        let picture = chart(&[group]).unwrap();
        let length = |row: usize| {
            let y = (MARGIN + (row + 1) * ROW + 4) as u32;
            (LABELS as u32..WIDTH as u32)
                .take_while(|x| picture.get_pixel(*x, y).0 != [PAPER; 3])
                .count() as i64
        };
        assert!(
            (length(0) - 2 * length(1)).abs() <= 2,
            "{} {}",
            length(0),
            length(1)
        );
        assert!(length(1) > 100);
        assert!(chart(&[]).is_ok());
    }
}
