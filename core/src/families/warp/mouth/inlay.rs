//! The drawn inside of a mouth: a rectangle of pixels as fine as the frame's.
//!
//! Must not know what is remembered, or why it is drawn.

use std::ops::Range;

use super::{
    SIZE,
    carry::{Carrier, Wanted},
    glimpse::{FINEST, Glimpse, scaled},
    scene::Scene,
    teeth::{Palette, Place, Teeth},
};
use crate::{
    generator::smoothstep,
    pixels::{Affine, Drawn, Patch},
};

/// Canonical pixels beyond its corners that the rectangle reaches.
const MARGIN: f32 = 1.5;
/// Widest and highest mouth, in canonical pixels, and the largest one for which there is room from the first on.
const LARGEST: f32 = 80.0;
const ROOM: [f32; 2] = [60.0, 40.0];
/// Least softness of the edge in canonical pixels, and its share of the frame's blur.
const SOFT: f32 = 0.18;
const SOFT_BY_BLUR: f32 = 0.45;
/// A gap of so many canonical pixels is one.
const OPEN: f32 = 1.2;

/// Its memory is kept.
#[derive(Default)]
pub struct Inlay {
    /// Width and height in pixels.
    size: [usize; 2],
    to_canonical: Affine,
    /// `[3, height, width]`: R, G, B, 0..1.
    rgb: Vec<f32>,
    /// `[height, width]`, 0..1: what is inside the mouth.
    alpha: Vec<f32>,
    /// `[height, width]`, 0..1: where the frame may change.
    mask: Vec<f32>,
    columns: Vec<Column>,
    carriers: [Carrier; 2],
    teeth: Teeth,
}

/// A glimpse to draw from, and its share; without one it is drawn by rule.
pub type Part<'a> = (Option<&'a Glimpse>, f32);

/// How to draw.
pub struct Style<'a> {
    pub parts: [Part<'a>; 2],
    /// Colour of the teeth as shares of lit skin's, where it was seen.
    pub teeth: Option<[f32; 3]>,
    /// How much hides what the frame shows, 0..1.
    pub strength: f32,
    /// `[SIZE, SIZE]`: where the canonical picture may change, 0..1.
    pub mask: &'a [f32],
}

impl Inlay {
    /// What is drawn, for a frame that has the canonical picture at `to_frame`.
    pub fn patch(&self, to_frame: &Affine) -> Patch<'_> {
        Patch {
            size: self.size,
            to_frame: to_frame.after(&self.to_canonical),
            flow: None,
            drawn: Some(Drawn {
                rgb: &self.rgb,
                alpha: &self.alpha,
            }),
            mask: &self.mask,
        }
    }

    /// Draws the inside of a mouth. False where that is nothing.
    pub fn draw(&mut self, wanted: &Wanted, scene: &Scene, style: &Style) -> bool {
        let contours = &wanted.contours;
        let scale = scene.scale.clamp(1.0, FINEST);
        let width = (contours.width() + 2.0 * MARGIN).clamp(4.0, LARGEST);
        let is_finite = width.is_finite() && contours.middle().is_finite();
        if !(style.strength > 0.0 && is_finite) {
            return false;
        }
        let width = (width * scale).ceil() as usize;
        let room = ROOM.map(|length| (length * scale.ceil()) as usize);
        let left = contours.middle() - 0.5 * (width - 1) as f32 / scale;
        let xs = || (0..width).map(|column| left + column as f32 / scale);
        let soft = 2.0 * (SOFT_BY_BLUR * scene.blur).max(SOFT);
        let reach = soft + 1.5 / scale;
        self.columns.clear();
        self.columns.reserve(room[0]);
        self.columns.extend(xs().map(|x| {
            let lips = contours.at(x);
            let beside = (x - contours.left).min(contours.right - x);
            let open = ((lips[1] - lips[0]) / OPEN).clamp(0.0, 1.0);
            Column {
                x,
                lips,
                there: style.strength * open * smoothstep([-soft, soft], beside),
                rows: 0..0,
            }
        }));
        let used = || self.columns.iter().filter(|column| column.there > 0.0);
        let top = used()
            .map(|column| column.lips[0])
            .fold(f32::INFINITY, f32::min)
            - reach;
        let bottom = used()
            .map(|column| column.lips[1])
            .fold(f32::NEG_INFINITY, f32::max)
            + reach;
        if !(top < bottom && bottom - top < LARGEST) {
            return false;
        }
        let height = ((bottom - top) * scale).ceil() as usize;
        for column in self.columns.iter_mut().filter(|column| column.there > 0.0) {
            let [start, end] = [column.lips[0] - reach, column.lips[1] + reach]
                .map(|y| ((y - top) * scale).clamp(0.0, height as f32) as usize);
            column.rows = start..end;
        }
        self.size = [width, height];
        self.to_canonical = scaled(scale.recip(), [left, top]);
        for (values, planes) in [
            (&mut self.rgb, 3),
            (&mut self.alpha, 1),
            (&mut self.mask, 1),
        ] {
            values.clear();
            // Mouths that open wider later are to find room.
            values.reserve(planes * (room[0] * room[1]).max(width * height));
            values.resize(planes * width * height, 0.0);
        }
        for (carrier, (glimpse, _)) in self.carriers.iter_mut().zip(&style.parts) {
            if let Some(glimpse) = glimpse {
                carrier.aim(glimpse, wanted, scene, xs());
            }
        }
        self.teeth.prepare(scale.round(), scene.blur);
        let inside = Inside {
            carriers: &self.carriers,
            parts: &style.parts,
            teeth: &self.teeth,
            palette: Palette::new(scene, style.teeth),
            place: Place::new(contours, wanted.shape.skull(), wanted.shape.jaw, scene),
        };
        let [red, green, blue] = planes(&mut self.rgb, width * height);
        for row in 0..height {
            let y = top + row as f32 / scale;
            for (nth, column) in self.columns.iter().enumerate() {
                if !column.rows.contains(&row) {
                    continue;
                }
                let at = row * width + nth;
                self.mask[at] = masked(style.mask, [column.x, y]);
                let within = (y - column.lips[0]).min(column.lips[1] - y);
                let alpha = column.there * smoothstep([-soft, soft], within);
                if alpha > 0.0 && self.mask[at] > 0.0 {
                    self.alpha[at] = alpha;
                    [red[at], green[at], blue[at]] = inside.colour(nth, column, y);
                }
            }
        }
        true
    }
}

/// R, G and B of a picture.
fn planes(rgb: &mut [f32], area: usize) -> [&mut [f32]; 3] {
    let (red, others) = rgb.split_at_mut(area);
    let (green, blue) = others.split_at_mut(area);
    [red, green, blue]
}

/// A column of the rectangle.
struct Column {
    x: f32,
    /// Heights of the contours.
    lips: [f32; 2],
    /// How much of a mouth there is, 0..1.
    there: f32,
    /// Where it may show.
    rows: Range<usize>,
}

/// What colours the inside of one mouth.
struct Inside<'a> {
    carriers: &'a [Carrier; 2],
    parts: &'a [Part<'a>; 2],
    teeth: &'a Teeth,
    palette: Palette,
    place: Place,
}

impl Inside<'_> {
    /// R, G, B, 0..1 at a height of the `nth` column.
    fn colour(&self, nth: usize, column: &Column, y: f32) -> [f32; 3] {
        let (mut colour, mut by_rule, mut behind) = ([0.0; 3], 0.0, 0.0);
        for (carrier, (glimpse, share)) in self.carriers.iter().zip(self.parts) {
            let Some(glimpse) = glimpse.filter(|_| *share > 0.0) else {
                by_rule += share;
                continue;
            };
            let carried = carrier.at(glimpse, nth, y);
            let seen = share * (1.0 - carried.missing);
            by_rule += share * carried.missing;
            behind += seen * carried.torn;
            add(&mut colour, seen * (1.0 - carried.torn), carried.colour);
        }
        let (place, lips) = ([column.x, y], column.lips);
        if by_rule > 0.0 {
            let drawn = self.teeth.at(&self.place, &self.palette, place, lips);
            add(&mut colour, by_rule, drawn);
        }
        if behind > 0.0 {
            add(
                &mut colour,
                behind,
                self.place.behind(&self.palette, place, lips),
            );
        }
        colour
    }
}

fn add(sum: &mut [f32; 3], share: f32, colour: [f32; 3]) {
    for (sum, value) in sum.iter_mut().zip(colour) {
        *sum += share * value;
    }
}

/// The mask at a place, bilinear; nothing beyond its edges.
fn masked(mask: &[f32], [x, y]: [f32; 2]) -> f32 {
    let last = (SIZE - 1) as f32;
    if !((0.0..last).contains(&x) && (0.0..last).contains(&y)) {
        return 0.0;
    }
    let (column, row) = (x as usize, y as usize);
    let (right, down) = (x - column as f32, y - row as f32);
    let at = row * SIZE + column;
    let upper = mask[at] + right * (mask[at + 1] - mask[at]);
    let lower = mask[at + SIZE] + right * (mask[at + SIZE + 1] - mask[at + SIZE]);
    upper + down * (lower - upper)
}
