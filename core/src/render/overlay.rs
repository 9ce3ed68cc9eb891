//! What the engine knows, drawn into the picture: for the property `draw-debug`.

use std::fmt::Write as _;

use crate::{
    face::geometry::{LIPS_INNER, LIPS_OUTER},
    generator::Articulation,
    pixels::{View, write::debug_pen::Pen},
    render::frame_begin::Frame,
};

const FACE: [f32; 3] = [0.1, 0.9, 0.2];
const LIPS: [f32; 3] = [1.0, 0.9, 0.1];
const TEXT: [f32; 3] = [1.0, 1.0, 1.0];
/// Whatever the picture shows there.
const BEHIND_TEXT: [f32; 3] = [0.0, 0.0, 0.0];

/// Quietest level that the bar shows, in dBFS.
const FLOOR_DB: f32 = -60.0;
/// Lines and letters grow with the picture: one pixel for each this many of its shorter side.
/// Letters are 1/51 of that high then, and the longest line still fits where it is the width.
const SIDE_PER_PIXEL: usize = 360;

/// Draws faces (box, mesh, lips), the sound level, what mouths are changed by, and the frame's timings.
pub(super) fn draw(view: &mut View, frame: &Frame) {
    let Frame {
        faces,
        timings,
        level_db,
        articulation,
        ..
    } = frame;
    let level_db = *level_db;
    let side = view.height.min(view.width);
    let width = (side / SIDE_PER_PIXEL).max(1) as i32;
    for face in faces {
        let points = &face.mesh.points;
        let mut pen = Pen::new(view, FACE, width);
        pen.rectangle(face.mesh.bbox().edges());
        // The face is to be seen between its points.
        let mut pen = Pen::new(view, FACE, width - width / 2);
        pen.points(&points[..]);
        let mut pen = Pen::new(view, LIPS, width);
        for contour in [&LIPS_OUTER, &LIPS_INNER] {
            for (i, &point) in contour.iter().enumerate() {
                pen.line(points[point], points[contour[(i + 1) % contour.len()]]);
            }
        }
    }

    let mut lines = [Line::default(), Line::default()];
    let ms = |time: std::time::Duration| time.as_secs_f32() * 1e3;
    // A line that is cut at the buffer's end is still worth showing.
    let _ = write!(lines[0], "{level_db:.0} DBFS  FACES {}", faces.len());
    if let Some(Articulation { opening, spread }) = articulation {
        let _ = write!(lines[0], "  OPENING X{opening:.2}  SPREAD {spread:+.2}");
    }
    let _ = write!(
        lines[1],
        "TRACK {:.1} FEAT {:.1} INFER {:.1} BLEND {:.1} TOTAL {:.1} MS",
        ms(timings.track),
        ms(timings.features),
        ms(timings.infer),
        ms(timings.blend),
        ms(timings.total)
    );
    let (margin, line, bar) = (8 * width, 10 * width, [100 * width, 6 * width]);
    let mut pen = Pen::new(view, BEHIND_TEXT, width);
    let widths = lines.each_ref().map(|line| pen.width_of(line.as_str()));
    let widest = widths.into_iter().fold(bar[0], i32::max);
    pen.fill([0, 0, widest + 2 * margin, 3 * line + margin]);
    let mut pen = Pen::new(view, TEXT, width);
    pen.bar(
        [margin, margin, margin + bar[0], margin + bar[1]],
        1.0 - level_db.max(FLOOR_DB) / FLOOR_DB,
    );
    for (text, top) in lines.iter().zip([1, 2]) {
        pen.text(margin, margin + top * line, text.as_str());
    }
}

/// A short text without the heap.
struct Line {
    bytes: [u8; 96],
    length: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            bytes: [0; 96],
            length: 0,
        }
    }
}

impl Line {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl std::fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        let room = self
            .bytes
            .get_mut(self.length..end)
            .ok_or(std::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pixels::{Colour, Format, Plane, Rows},
        render::Timings,
    };

    fn plane(data: &mut [u8], stride: usize) -> Plane<'_> {
        Plane { data, stride }
    }

    #[test]
    fn letters_are_large_enough_and_stand_out_on_any_picture() {
        let millis = std::time::Duration::from_micros(12_300);
        let timings = Timings {
            track: millis,
            features: millis,
            infer: millis,
            blend: millis,
            total: 4 * millis,
        };
        for [width, height] in [[1280, 720], [1920, 1080], [3840, 2160], [1080, 1920]] {
            for background in [128, 255] {
                let mut grey = vec![background; width * height];
                let mut view = View {
                    format: Format::Gray8,
                    width,
                    height,
                    colour: Colour::default(),
                    rows: Rows::All,
                    planes: [
                        plane(&mut grey, width),
                        plane(&mut [], 0),
                        plane(&mut [], 0),
                    ],
                };
                let frame = Frame {
                    timings,
                    level_db: -23.0,
                    articulation: Some(Articulation::USUAL),
                    ..Frame::default()
                };
                draw(&mut view, &frame);
                let size = format!("{width}x{height} on {background}");
                let is_letter = |byte: &u8| *byte > 230;
                let is_behind = |byte: &u8| *byte < 20;
                // The rows of the last line: from its first letter to its last.
                let unit = height.min(width) / 360;
                let rows = (28 * unit..35 * unit).map(|y| &grey[y * width..(y + 1) * width]);
                // Of the usual distance a person reads 1/60 of the picture's height.
                assert!(7 * unit * 60 >= height.min(width), "{size}");
                for row in rows {
                    let end = row.iter().rposition(is_behind).expect("what is behind");
                    assert!(end + unit < width, "{size}: it is cut");
                    let panel = &row[..end];
                    assert!(panel.iter().any(is_letter), "{size}");
                    assert!(panel.iter().all(|b| is_letter(b) || is_behind(b)), "{size}");
                }
                assert_eq!(grey[width * height - 1], background, "{size}");
            }
        }
    }
}
