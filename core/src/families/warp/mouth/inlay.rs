//! The drawn inside of a mouth: a square of pixels as fine as the frame's.
//!
//! Must not know what is remembered, or why it is drawn.

use super::{
    SIZE,
    carry::{Carried, Carrier, Wanted},
    glimpse::{FINEST, Glimpse, scaled},
    scene::Scene,
    teeth::{Palette, Place, Teeth},
};
use crate::{
    generator::smoothstep,
    pixels::{Affine, Drawn, Patch},
};

/// Canonical pixels beyond the mouth that the square reaches.
const MARGIN: f32 = 1.5;
/// Widest mouth, in canonical pixels, and widest one for which there is room from the first on.
const WIDEST: f32 = 80.0;
const ROOM: f32 = 60.0;
/// Least softness of the edge in canonical pixels, and its share of the frame's blur.
const SOFT: f32 = 0.18;
const SOFT_BY_BLUR: f32 = 0.45;
/// A gap of so many canonical pixels is one.
const OPEN: f32 = 1.2;

/// Its memory is kept.
#[derive(Default)]
pub struct Inlay {
    size: usize,
    to_canonical: Affine,
    /// `[3, size, size]`: R, G, B, 0..1.
    rgb: Vec<f32>,
    /// `[size, size]`, 0..1: what is inside the mouth.
    alpha: Vec<f32>,
    /// `[size, size]`, 0..1: where the frame may change.
    mask: Vec<f32>,
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
        let [upper, lower] = contours.midst();
        let side = (contours.width() + 2.0 * MARGIN).clamp(4.0, WIDEST);
        let middle = [contours.middle(), 0.5 * (upper + lower)];
        let is_finite = [side, middle[0], middle[1]].iter().all(|at| at.is_finite());
        if !(style.strength > 0.0 && is_finite) {
            return false;
        }
        let size = (side * scale).ceil() as usize;
        let origin = middle.map(|at| at - 0.5 * (size - 1) as f32 / scale);
        self.size = size;
        self.to_canonical = scaled(scale.recip(), origin);
        let area = size * size;
        // Mouths that open wider later are to find room.
        let room = ((ROOM * scale.ceil()) as usize).max(size);
        for (values, planes) in [
            (&mut self.rgb, 3),
            (&mut self.alpha, 1),
            (&mut self.mask, 1),
        ] {
            values.clear();
            values.reserve(planes * room * room);
            values.resize(planes * area, 0.0);
        }
        let xs = || (0..size).map(|column| origin[0] + column as f32 / scale);
        for (carrier, (glimpse, _)) in self.carriers.iter_mut().zip(&style.parts) {
            if let Some(glimpse) = glimpse {
                carrier.aim(glimpse, wanted, scene, xs());
            }
        }
        self.teeth.prepare(scale.round(), scene.blur);
        let palette = Palette::new(scene, style.teeth);
        let place = Place::new(contours, wanted.shape.skull(), wanted.shape.jaw, scene);

        let soft = 2.0 * (SOFT_BY_BLUR * scene.blur).max(SOFT);
        let reach = soft + 1.5 / scale;
        let row_at = |y: f32| ((y - origin[1]) * scale).clamp(0.0, size as f32) as usize;
        for (column, x) in xs().enumerate() {
            let lips = contours.at(x);
            let beside = (x - contours.left).min(contours.right - x);
            let open = ((lips[1] - lips[0]) / OPEN).clamp(0.0, 1.0);
            let there = style.strength * open * smoothstep([-soft, soft], beside);
            if beside < -reach || open <= 0.0 {
                continue;
            }
            for row in row_at(lips[0] - reach)..row_at(lips[1] + reach) {
                let y = origin[1] + row as f32 / scale;
                let at = row * size + column;
                self.mask[at] = masked(style.mask, [x, y]);
                let within = (y - lips[0]).min(lips[1] - y);
                let alpha = there * smoothstep([-soft, soft], within);
                if !(alpha > 0.0 && self.mask[at] > 0.0) {
                    continue;
                }
                let (mut colour, mut by_rule, mut behind) = ([0.0; 3], 0.0, 0.0);
                for (carrier, (glimpse, share)) in self.carriers.iter().zip(&style.parts) {
                    let Some(glimpse) = glimpse.filter(|_| *share > 0.0) else {
                        by_rule += share;
                        continue;
                    };
                    let Carried {
                        colour: carried,
                        missing,
                        torn,
                    } = carrier.at(glimpse, column, y);
                    by_rule += share * missing;
                    behind += share * (1.0 - missing) * torn;
                    let shown = share * (1.0 - missing) * (1.0 - torn);
                    for (sum, value) in colour.iter_mut().zip(carried) {
                        *sum += shown * value;
                    }
                }
                if by_rule > 0.0 {
                    let drawn = self.teeth.at(&place, &palette, [x, y], lips);
                    for (sum, value) in colour.iter_mut().zip(drawn) {
                        *sum += by_rule * value;
                    }
                }
                if behind > 0.0 {
                    let drawn = place.behind(&palette, [x, y], lips);
                    for (sum, value) in colour.iter_mut().zip(drawn) {
                        *sum += behind * value;
                    }
                }
                self.alpha[at] = alpha;
                for (channel, value) in colour.into_iter().enumerate() {
                    self.rgb[channel * area + at] = value;
                }
            }
        }
        true
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
