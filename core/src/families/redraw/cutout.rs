//! The picture that a third-party network redraws: cut out of the frame, masked, put back.
//!
//! Must not know sound or how the network is run.
//!
//! With [`Kind::Reference`] the steps are those of the original pipelines, in whole numbers
//! 0..255: the box in whole pixels, scaled as OpenCV scales, what is drawn cut to whole numbers,
//! scaled back, hard edges. With [`Kind::Soft`] the box is where the mesh is, to fractions of a
//! pixel, so that it does not tremble, and only mouth and jaw are replaced.

use std::sync::Arc;

use crate::{
    face::Face,
    families::redraw::{
        face_box, jaw_mask,
        recipe::{self, Blend, Crop, Image, Kind, Order, Planes},
        tone_match,
    },
    generator::{Brush, Look, Spot},
    pixels::{
        Affine, Blender, Drawn, Patch, Stamp, View,
        read::opencv_resize::{Extent, Resizer},
        sample, stamp,
    },
    rect::Area,
};

/// Largest value of a sample.
const WHITE: f32 = 255.0;

/// How faces are cut out and put back; the same for all of a model.
pub struct Plan {
    image: Image,
    blend: Blend,
    recipe: face_box::Recipe,
    scale: crate::pixels::read::opencv_resize::Scale,
    /// Side of what the network sees, and of the crop round it.
    size: usize,
    side: usize,
}

impl Plan {
    /// For a network that sees `size` x `size` pixels. The error says what does not fit.
    pub fn new(image: &Image, crop: &Crop, blend: Blend, size: usize) -> Result<Self, String> {
        let side = recipe::crop_side(image, crop, size)?;
        Ok(Self {
            image: image.clone(),
            blend,
            recipe: crop.recipe(),
            scale: crop.scale,
            size,
            side,
        })
    }

    /// Whether faces have to be found: for the box, or for where mouth and jaw are.
    pub fn needs_face(&self) -> bool {
        self.blend.kind == Kind::Soft || !self.recipe.is_fixed()
    }

    /// Numbers in what the network sees, `[3 or 6, size, size]`.
    fn seen(&self) -> usize {
        3 * self.image.planes.len() * self.size * self.size
    }

    /// Which of R, G, B the network's channel is.
    fn channel(&self, index: usize) -> usize {
        match self.image.order {
            Order::Bgr => 2 - index,
            Order::Rgb => index,
        }
    }
}

/// Cuts out one face of each frame. [`Spot::pixels`] is the crop, `[3, side, side]`: R, G, B,
/// 0..255.
pub struct Cutout {
    plan: Arc<Plan>,
    resizer: Resizer,
    blender: Blender,
    /// The crop before the network drew into it, where colours are matched.
    before: Vec<f32>,
    /// `[3, n, n]`: the box in the frame's own pixels, in the upper left corner.
    native: Vec<f32>,
    alpha: Vec<f32>,
    mask: Vec<f32>,
}

impl Cutout {
    pub fn new(plan: Arc<Plan>) -> Self {
        let side = plan.side;
        Self {
            plan,
            resizer: Resizer::default(),
            blender: Blender::new(),
            before: Vec::new(),
            native: Vec::new(),
            alpha: vec![1.0; side * side],
            mask: vec![0.0; side * side],
        }
    }

    fn cut_soft(&mut self, view: &View, face: Option<&Face>, spot: &mut Spot) -> bool {
        let frame = [view.width, view.height];
        let Some(map) = self.plan.recipe.map(face, self.plan.side, frame) else {
            return false;
        };
        spot.to_frame = map;
        let planes = planes(&mut spot.pixels, self.plan.side);
        sample(view, &map, self.plan.side, WHITE, 0.0, planes);
        true
    }

    fn cut_whole(&mut self, view: &View, face: Option<&Face>, spot: &mut Spot) -> bool {
        let frame = [view.width, view.height];
        let Some(area) = self.plan.recipe.whole(face, frame) else {
            return false;
        };
        spot.area = area;
        let native = extent(spot.area);
        let stride = native.stride;
        let to_frame = Affine {
            tx: area.x as f32,
            ty: area.y as f32,
            ..Affine::IDENTITY
        };
        self.native.resize(3 * stride * stride, 0.0);
        let whole_planes = planes(&mut self.native, stride);
        sample(view, &to_frame, stride, WHITE, 0.0, whole_planes);
        for value in &mut self.native {
            *value = whole(*value + 0.5);
        }
        let to = Extent::square(self.plan.side);
        self.resizer.prepare(&native, &to, self.plan.scale);
        let sources = self.native.chunks_exact(stride * stride);
        let targets = spot
            .pixels
            .chunks_exact_mut(self.plan.side * self.plan.side);
        for (source, target) in sources.zip(targets) {
            self.resizer.plane(source, &native, target, &to);
        }
        true
    }

    /// The network's views of the crop.
    fn fill(&self, crop: &[f32], tensor: &mut [f32]) {
        let (size, side) = (self.plan.size, self.plan.side);
        let border = (side - size) / 2;
        let [black, white] = self.plan.image.range;
        let black_area = self.plan.image.rectangle(size);
        let black_rows = black_area.y..black_area.y + black_area.height;
        for (index, plane) in tensor.chunks_exact_mut(size * size).enumerate() {
            let source = &crop[self.plan.channel(index % 3) * side * side..];
            let masked = self.plan.image.planes[index / 3] == Planes::Masked;
            for (row, out) in plane.chunks_exact_mut(size).enumerate() {
                let source = &source[(row + border) * side + border..][..size];
                for (out, value) in out.iter_mut().zip(source) {
                    *out = black + value / WHITE * (white - black);
                }
                if masked && black_rows.contains(&row) {
                    out[black_area.x..][..black_area.width].fill(black);
                }
            }
        }
    }

    /// Writes what the network drew into the crop; its border stays.
    fn draw(&self, output: &[f32], crop: &mut [f32]) {
        let (size, side) = (self.plan.size, self.plan.side);
        let border = (side - size) / 2;
        let [black, white] = self.plan.image.range;
        let exact = self.plan.blend.kind == Kind::Reference;
        let rounding = if self.plan.blend.rounds { 0.5 } else { 0.0 };
        for (index, plane) in output.chunks_exact(size * size).take(3).enumerate() {
            let channel = self.plan.channel(index);
            let target = &mut crop[channel * side * side..];
            for (row, values) in plane.chunks_exact(size).enumerate() {
                let target = &mut target[(row + border) * side + border..][..size];
                for (out, value) in target.iter_mut().zip(values) {
                    let level = (value - black) / (white - black) * WHITE;
                    // Most original pipelines cut, they do not round.
                    *out = match exact {
                        true => whole(level + rounding),
                        false => level.clamp(0.0, WHITE),
                    };
                }
            }
        }
    }

    fn paint_soft(
        &mut self,
        view: &mut View,
        face: &Face,
        look: &Look,
        spot: &mut Spot,
        drawn: &[f32],
    ) {
        let strength = strength_of(look);
        let side = self.plan.side;
        let Spot {
            to_frame: map,
            pixels: crop,
            ..
        } = spot;
        let mask = &mut self.mask;
        jaw_mask::mask(&face.mesh, map, side, look.feather, strength, mask);
        face.cover.cut_out_of(mask, side, map);
        if self.plan.blend.match_colour {
            self.before.clone_from(crop);
        }
        self.draw(drawn, crop);
        if self.plan.blend.match_colour {
            tone_match::match_ring(&self.before, crop, &self.mask, strength, side);
        }
        for value in crop.iter_mut() {
            *value /= WHITE;
        }
        self.blender.blend(
            view,
            &Patch {
                size: [side; 2],
                to_frame: *map,
                flow: None,
                drawn: Some(Drawn {
                    rgb: crop,
                    alpha: &self.alpha,
                }),
                mask: &self.mask,
            },
        );
    }

    fn paint_whole(&mut self, view: &mut View, look: &Look, spot: &mut Spot, drawn: &[f32]) {
        self.draw(drawn, &mut spot.pixels);
        let (from, to) = (Extent::square(self.plan.side), extent(spot.area));
        self.resizer.prepare(&from, &to, self.plan.blend.scale);
        self.native.resize(3 * to.stride * to.stride, 0.0);
        let sources = spot.pixels.chunks_exact(self.plan.side * self.plan.side);
        let targets = self.native.chunks_exact_mut(to.stride * to.stride);
        for (source, target) in sources.zip(targets) {
            self.resizer.plane(source, &from, target, &to);
        }
        let [red, green, blue] = planes(&mut self.native, to.stride);
        let picture = Stamp {
            rgb: [red, green, blue],
            extent: to,
            at: [spot.area.x, spot.area.y],
            strength: strength_of(look),
        };
        stamp(view, &picture);
    }
}

impl Brush for Cutout {
    /// `seen` is `[3 or 6, size, size]`. False when no part of the face lies in the frame.
    fn sample(
        &mut self,
        view: &View,
        face: Option<&Face>,
        _time_ns: i64,
        _is_speech: bool,
        seen: &mut Vec<f32>,
        spot: &mut Spot,
    ) -> bool {
        spot.pixels.resize(3 * self.plan.side * self.plan.side, 0.0);
        let found = match self.plan.blend.kind {
            Kind::Soft => self.cut_soft(view, face, spot),
            Kind::Reference => self.cut_whole(view, face, spot),
        };
        if found {
            seen.resize(self.plan.seen(), 0.0);
            self.fill(&spot.pixels, seen);
        }
        found
    }

    /// `drawn` is `[3, size, size]`.
    fn paint(
        &mut self,
        view: &mut View,
        face: Option<&Face>,
        look: &Look,
        spot: &mut Spot,
        drawn: &[f32],
    ) {
        match (self.plan.blend.kind, face) {
            (Kind::Soft, None) => {}
            (Kind::Soft, Some(face)) => self.paint_soft(view, face, look, spot, drawn),
            (Kind::Reference, _) => self.paint_whole(view, look, spot, drawn),
        }
    }
}

/// Of the box in whole pixels, in planes as wide as they are high.
fn extent(area: Area) -> Extent {
    Extent {
        width: area.width,
        height: area.height,
        stride: area.width.max(area.height),
    }
}

/// A network cannot exaggerate its own mouth: more than all of it is all of it.
fn strength_of(look: &Look) -> f32 {
    look.strength.clamp(0.0, 1.0)
}

/// The whole number below, 0..255.
fn whole(level: f32) -> f32 {
    f32::from(level as u8)
}

/// Three planes of `side` x `side`.
fn planes(all: &mut [f32], side: usize) -> [&mut [f32]; 3] {
    let (first, others) = all.split_at_mut(side * side);
    let (second, third) = others.split_at_mut(side * side);
    [first, second, third]
}
