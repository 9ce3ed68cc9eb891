//! Lines, boxes and text for `draw-debug`, in any format, clipped to the frame.
//!
//! Must not know what they mean.
//!
//! All of it is made of filled rectangles. Of subsampled chroma every sample that a rectangle
//! touches is painted.

use crate::pixels::{
    View,
    frame::element::{Store, with_store},
};

/// Where and in what colour to draw.
pub struct Pen<'v, 'd> {
    view: &'v mut View<'d>,
    /// Stored values of the colour, or `None` when the frame's planes are too short for it.
    stored: Option<[f32; 3]>,
    /// Width of lines and size of a text dot in pixels, at least 1.
    width: i32,
}

impl<'v, 'd> Pen<'v, 'd> {
    /// A pen for `rgb`, 0..1, with lines `width` pixels wide.
    pub fn new(view: &'v mut View<'d>, rgb: [f32; 3], width: i32) -> Self {
        let encode = view.colour.encoder(&view.format.layout());
        let stored = view.is_whole().then(|| encode.apply(rgb));
        Self {
            view,
            stored,
            width: width.max(1),
        }
    }

    /// A filled box from `x0, y0` to before `x1, y1`, in pixels.
    pub fn fill(&mut self, [x0, y0, x1, y1]: [i32; 4]) {
        let Some(stored) = self.stored else {
            return;
        };
        let (width, height) = (self.view.width, self.view.height);
        let clip = |from: i32, to: i32, length: usize| {
            let to = usize::try_from(to).unwrap_or(0).min(length);
            (usize::try_from(from).unwrap_or(0).min(to), to)
        };
        let ((x0, x1), (y0, y1)) = (clip(x0, x1, width), clip(y0, y1, height));
        let rows = self.view.rows.within(&(y0..y1));
        if x0 == x1 || rows.is_empty() {
            return;
        }
        let layout = self.view.format.layout();
        for grid in layout.grids {
            let [across, down] = grid.shift;
            let columns = (x0 >> across)..((x1 - 1) >> across) + 1;
            let lines = (rows.start >> down)..((rows.end - 1) >> down) + 1;
            for index in grid.components() {
                let channel = layout.channels[index];
                let plane = &mut self.view.planes[channel.plane];
                with_store!(layout.element, store => {
                    let code = store.code(stored[index]);
                    for y in lines.clone() {
                        let row = &mut plane.data[y * plane.stride..];
                        for x in columns.clone() {
                            store.set(row, channel.element(x as u32), code);
                        }
                    }
                });
            }
        }
    }

    /// The outline of a box between the corners `[x0, y0, x1, y1]`.
    pub fn rectangle(&mut self, [x0, y0, x1, y1]: [f32; 4]) {
        let [upper_left, lower_right] = [[x0.min(x1), y0.min(y1)], [x0.max(x1), y0.max(y1)]];
        let ([left, top], [right, bottom]) = (self.dot(upper_left), self.dot(lower_right));
        let w = self.width;
        let (right, bottom) = (right.saturating_add(w), bottom.saturating_add(w));
        self.fill([left, top, right, top.saturating_add(w)]);
        self.fill([left, bottom.saturating_sub(w), right, bottom]);
        self.fill([left, top, left.saturating_add(w), bottom]);
        self.fill([right.saturating_sub(w), top, right, bottom]);
    }

    /// A dot at each of `points`.
    pub fn points(&mut self, points: &[[f32; 2]]) {
        for point in points.iter().filter(|point| is_finite(point)) {
            let [x, y] = self.dot(*point);
            let end = [x.saturating_add(self.width), y.saturating_add(self.width)];
            self.fill([x, y, end[0], end[1]]);
        }
    }

    /// An upright cross whose arms are `arm` pixels long.
    pub fn cross(&mut self, point: [f32; 2], arm: i32) {
        if !is_finite(&point) {
            return;
        }
        let [x, y] = self.dot(point);
        let (arm, w) = (arm.max(0), self.width);
        let before = |at: i32| at.saturating_sub(arm);
        let after = |at: i32| at.saturating_add(arm).saturating_add(w);
        self.fill([before(x), y, after(x), y.saturating_add(w)]);
        self.fill([x, before(y), x.saturating_add(w), after(y)]);
    }

    /// Lines from each of `points` to the next.
    pub fn polyline(&mut self, points: &[[f32; 2]]) {
        for pair in points.windows(2) {
            self.line(pair[0], pair[1]);
        }
    }

    /// A line; of one that leaves the frame only what is in it is walked.
    pub fn line(&mut self, from: [f32; 2], to: [f32; 2]) {
        if !is_finite(&from) || !is_finite(&to) {
            return;
        }
        let Some([from, to]) = self.clip_line(from, to) else {
            return;
        };
        let [dx, dy] = [to[0] - from[0], to[1] - from[1]];
        let steps = dx.abs().max(dy.abs()).ceil().max(1.0);
        for step in 0..=steps as i32 {
            let part = step as f32 / steps;
            self.points(&[[from[0] + dx * part, from[1] + dy * part]]);
        }
    }

    /// The part of a line that may be seen (Liang and Barsky 1984).
    fn clip_line(&self, from: [f32; 2], to: [f32; 2]) -> Option<[[f32; 2]; 2]> {
        let margin = self.width as f32;
        let size = [self.view.width, self.view.height].map(|size| size as f32);
        let (mut enter, mut leave) = (0.0_f32, 1.0_f32);
        for axis in [0, 1] {
            let delta = to[axis] - from[axis];
            let (low, high) = (-margin - from[axis], size[axis] + margin - from[axis]);
            if delta == 0.0 {
                if low > 0.0 || high < 0.0 {
                    return None;
                }
                continue;
            }
            let (first, last) = (low / delta, high / delta);
            enter = enter.max(first.min(last));
            leave = leave.min(first.max(last));
        }
        let at = |part: f32| [0, 1].map(|axis| from[axis] + (to[axis] - from[axis]) * part);
        (enter <= leave).then(|| [at(enter), at(leave)])
    }

    /// A horizontal gauge in the box `[x0, y0, x1, y1]`: outline, and filled up to `level` 0..1.
    pub fn bar(&mut self, corners: [i32; 4], level: f32) {
        let [x0, y0, x1, y1] = corners;
        self.rectangle(
            [x0, y0, x1.saturating_sub(1), y1.saturating_sub(1)].map(|corner| corner as f32),
        );
        let level = if level.is_nan() {
            0.0
        } else {
            level.clamp(0.0, 1.0)
        };
        let length = x1.saturating_sub(x0).max(0) as f32 * level;
        self.fill([x0, y0, x0.saturating_add(length as i32), y1]);
    }

    /// How far [`text`](Self::text) goes.
    pub fn width_of(&self, text: &str) -> i32 {
        let characters = i32::try_from(text.chars().count()).unwrap_or(i32::MAX);
        characters
            .saturating_mul(ADVANCE as i32)
            .saturating_mul(self.width)
    }

    /// Text whose upper left corner is at `x, y`: digits, letters (as capitals) and `.:-+/%=()`;
    /// anything else is a gap. A character is 6 by 8 dots of the pen's width.
    pub fn text(&mut self, x: i32, y: i32, text: &str) {
        let dot = self.width;
        let place = |origin: i32, dots: i32| origin.saturating_add(dots.saturating_mul(dot));
        for (character, column) in text.chars().zip((0..i32::MAX).step_by(ADVANCE)) {
            for (row, bits) in glyph(character).into_iter().enumerate() {
                for bit in (0..GLYPH_WIDTH).filter(|bit| bits >> (GLYPH_WIDTH - 1 - bit) & 1 == 1) {
                    let (left, top) = (place(x, column + bit), place(y, row as i32));
                    self.fill([left, top, left.saturating_add(dot), top.saturating_add(dot)]);
                }
            }
        }
    }

    /// Upper left pixel of a dot around a point.
    fn dot(&self, point: [f32; 2]) -> [i32; 2] {
        point.map(|at| (at - (self.width - 1) as f32 / 2.0).round() as i32)
    }
}

fn is_finite(point: &[f32; 2]) -> bool {
    point.iter().all(|value| value.is_finite())
}

const GLYPH_WIDTH: i32 = 5;
/// Dots from a character to the next.
const ADVANCE: usize = 6;

/// Seven rows of five dots, the leftmost in the highest bit.
#[rustfmt::skip]
fn glyph(character: char) -> [u8; 7] {
    match character.to_ascii_uppercase() {
        '0' => [0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110],
        '1' => [0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
        '2' => [0b01110, 0b10001, 0b00001, 0b00110, 0b01000, 0b10000, 0b11111],
        '3' => [0b01110, 0b10001, 0b00001, 0b00110, 0b00001, 0b10001, 0b01110],
        '4' => [0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010],
        '5' => [0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110],
        '6' => [0b00110, 0b01000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110],
        '7' => [0b11111, 0b00001, 0b00010, 0b00100, 0b00100, 0b01000, 0b01000],
        '8' => [0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110],
        '9' => [0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00010, 0b01100],
        'A' => [0b00100, 0b01010, 0b10001, 0b10001, 0b11111, 0b10001, 0b10001],
        'B' => [0b11110, 0b10001, 0b10001, 0b11110, 0b10001, 0b10001, 0b11110],
        'C' => [0b01111, 0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b01111],
        'D' => [0b11110, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b11110],
        'E' => [0b11111, 0b10000, 0b10000, 0b11110, 0b10000, 0b10000, 0b11111],
        'F' => [0b11111, 0b10000, 0b10000, 0b11110, 0b10000, 0b10000, 0b10000],
        'G' => [0b01111, 0b10000, 0b10000, 0b10011, 0b10001, 0b10001, 0b01111],
        'H' => [0b10001, 0b10001, 0b10001, 0b11111, 0b10001, 0b10001, 0b10001],
        'I' => [0b01110, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
        'J' => [0b00111, 0b00010, 0b00010, 0b00010, 0b00010, 0b10010, 0b01100],
        'K' => [0b10001, 0b10010, 0b10100, 0b11000, 0b10100, 0b10010, 0b10001],
        'L' => [0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b11111],
        'M' => [0b10001, 0b11011, 0b10101, 0b10101, 0b10001, 0b10001, 0b10001],
        'N' => [0b10001, 0b11001, 0b10101, 0b10101, 0b10011, 0b10001, 0b10001],
        'O' => [0b01110, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110],
        'P' => [0b11110, 0b10001, 0b10001, 0b11110, 0b10000, 0b10000, 0b10000],
        'Q' => [0b01110, 0b10001, 0b10001, 0b10001, 0b10101, 0b10010, 0b01101],
        'R' => [0b11110, 0b10001, 0b10001, 0b11110, 0b10100, 0b10010, 0b10001],
        'S' => [0b01111, 0b10000, 0b10000, 0b01110, 0b00001, 0b00001, 0b11110],
        'T' => [0b11111, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100],
        'U' => [0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110],
        'V' => [0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01010, 0b00100],
        'W' => [0b10001, 0b10001, 0b10001, 0b10101, 0b10101, 0b11011, 0b10001],
        'X' => [0b10001, 0b10001, 0b01010, 0b00100, 0b01010, 0b10001, 0b10001],
        'Y' => [0b10001, 0b10001, 0b01010, 0b00100, 0b00100, 0b00100, 0b00100],
        'Z' => [0b11111, 0b00001, 0b00010, 0b00100, 0b01000, 0b10000, 0b11111],
        '.' => [0b00000, 0b00000, 0b00000, 0b00000, 0b00000, 0b00110, 0b00110],
        ':' => [0b00000, 0b00110, 0b00110, 0b00000, 0b00110, 0b00110, 0b00000],
        '-' => [0b00000, 0b00000, 0b00000, 0b11111, 0b00000, 0b00000, 0b00000],
        '+' => [0b00000, 0b00100, 0b00100, 0b11111, 0b00100, 0b00100, 0b00000],
        '=' => [0b00000, 0b00000, 0b11111, 0b00000, 0b11111, 0b00000, 0b00000],
        '/' => [0b00001, 0b00001, 0b00010, 0b00100, 0b01000, 0b10000, 0b10000],
        '%' => [0b11001, 0b11001, 0b00010, 0b00100, 0b01000, 0b10011, 0b10011],
        '(' => [0b00010, 0b00100, 0b01000, 0b01000, 0b01000, 0b00100, 0b00010],
        ')' => [0b01000, 0b00100, 0b00010, 0b00010, 0b00010, 0b00100, 0b01000],
        _ => [0; 7],
    }
}
