//! What the engine knows, drawn into the picture: for the property `draw-debug`.

use std::fmt::Write as _;

use super::Timings;
use crate::{
    face::{
        Face,
        geometry::{LIPS_INNER, LIPS_OUTER},
    },
    pixels::{View, draw::Pen},
};

const FACE: [f32; 3] = [0.1, 0.9, 0.2];
const LIPS: [f32; 3] = [1.0, 0.9, 0.1];
const TEXT: [f32; 3] = [1.0, 1.0, 1.0];

/// Quietest level that the bar shows, in dBFS.
const FLOOR_DB: f32 = -60.0;
/// Lines and letters grow with the picture: one pixel for each this many lines.
const LINES_PER_PIXEL: usize = 360;

/// Draws faces (box, mesh, lips), the sound level and the frame's timings.
pub fn draw(view: &mut View, faces: &[Face], timings: &Timings, level_db: f32) {
    let width = (view.height / LINES_PER_PIXEL).max(1) as i32;
    for face in faces {
        let points = &face.mesh.points;
        let mut pen = Pen::new(view, FACE, width);
        pen.rectangle(face.mesh.bbox());
        pen.points(&points[..]);
        let mut pen = Pen::new(view, LIPS, width);
        for contour in [&LIPS_OUTER, &LIPS_INNER] {
            for (i, &point) in contour.iter().enumerate() {
                pen.line(points[point], points[contour[(i + 1) % contour.len()]]);
            }
        }
    }

    let (margin, line) = (8 * width, 10 * width);
    let mut pen = Pen::new(view, TEXT, width);
    pen.bar(
        [margin, margin, margin + 100 * width, margin + 6 * width],
        1.0 - level_db.max(FLOOR_DB) / FLOOR_DB,
    );
    let mut text = Line::default();
    let ms = |time: std::time::Duration| time.as_secs_f32() * 1e3;
    // A line that is cut at the buffer's end is still worth showing.
    let _ = write!(text, "{level_db:.0} DBFS  {} FACES", faces.len());
    pen.text(margin, margin + line, text.as_str());
    text.clear();
    let _ = write!(
        text,
        "TRACK {:.1} FEAT {:.1} INFER {:.1} BLEND {:.1} TOTAL {:.1} MS",
        ms(timings.track),
        ms(timings.features),
        ms(timings.infer),
        ms(timings.blend),
        ms(timings.total)
    );
    pen.text(margin, margin + 2 * line, text.as_str());
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
    fn clear(&mut self) {
        self.length = 0;
    }

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
