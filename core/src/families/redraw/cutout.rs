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
        other_frames::OtherFrames,
        recipe::{self, Blend, Crop, Cuts, Image, Kind, Order, Planes},
        tone_match,
    },
    generator::{Brush, Look, Spot},
    pixels::{
        Affine, Blender, Drawn, Patch, Stamp, View,
        read::opencv_resize::{Extent, Resizer},
        sample, stamp,
    },
    rect::{Area, Margins, Size},
};

/// Largest value of a sample.
const WHITE: f32 = 255.0;

/// How faces are cut out and put back; the same for all of a model.
pub struct Plan {
    image: Image,
    blend: Blend,
    recipe: face_box::Recipe,
    scale: crate::pixels::read::opencv_resize::Scale,
    /// What the network sees, and the crop round it.
    size: Size,
    crop: Size,
    /// So many pictures of the face in other frames are seen, too.
    others: usize,
    /// These, where they do not come from the stream, as the network sees them.
    given: Option<Vec<f32>>,
}

impl Plan {
    /// For a network that sees pictures of that size, `others` of other frames among them. The error
    /// says what does not fit.
    pub fn new(
        image: &Image,
        crop: &Crop,
        blend: Blend,
        size: Size,
        others: usize,
    ) -> Result<Self, String> {
        Ok(Self {
            image: image.clone(),
            blend,
            recipe: crop.recipe(),
            scale: crop.scale,
            size,
            crop: recipe::crop_size(image, crop, size)?,
            others,
            given: None,
        })
    }

    /// Has other frames' pictures of the face come from files and not from the stream.
    pub fn give(&mut self, pictures: &[Rgb]) {
        let plane = self.size.area();
        let to = Extent::of(self.size);
        let mut resizer = Resizer::default();
        let [black, white] = self.image.range;
        let mut given = Vec::with_capacity(3 * self.others * plane);
        let mut scaled = vec![0.0; plane];
        for picture in pictures {
            let from = Extent::of(picture.size);
            resizer.prepare(&from, &to, self.scale);
            for index in 0..3 {
                let levels = picture.bytes.iter().skip(self.channel(index)).step_by(3);
                let levels: Vec<_> = levels.map(|&level| f32::from(level)).collect();
                resizer.plane(&levels, &from, &mut scaled, &to);
                let values = scaled.iter().map(|v| black + v / WHITE * (white - black));
                given.extend(values);
            }
        }
        self.given = Some(given);
    }

    /// Whether faces have to be found: for the box, or for where mouth and jaw are.
    pub fn needs_face(&self) -> bool {
        self.blend.kind == Kind::Soft || !self.recipe.is_fixed()
    }

    /// Numbers in the views of the face in this frame, and in those in other frames.
    fn seen(&self) -> [usize; 2] {
        [self.image.planes.len(), self.others].map(|pictures| 3 * pictures * self.size.area())
    }

    /// The network's views of a crop.
    fn view(&self, crop: &[f32], planes: &[Planes], tensor: &mut [f32]) {
        let (size, whole) = (self.size, self.crop);
        let border = (whole.width - size.width) / 2;
        let [black, white] = self.image.range;
        let black_area = self.image.rectangle(size);
        let black_rows = black_area.y..black_area.y + black_area.height;
        for (index, plane) in tensor.chunks_exact_mut(size.area()).enumerate() {
            let source = &crop[self.channel(index % 3) * whole.area()..];
            let masked = planes[index / 3] == Planes::Masked;
            for (row, out) in plane.chunks_exact_mut(size.width).enumerate() {
                let source = &source[(row + border) * whole.width + border..][..size.width];
                for (out, value) in out.iter_mut().zip(source) {
                    *out = black + value / WHITE * (white - black);
                }
                if masked && black_rows.contains(&row) {
                    out[black_area.x..][..black_area.width].fill(black);
                }
            }
        }
    }

    /// Which of R, G, B the network's channel is.
    fn channel(&self, index: usize) -> usize {
        match self.image.order {
            Order::Bgr => 2 - index,
            Order::Rgb => index,
        }
    }
}

/// A picture of bytes, R, G, B.
pub struct Rgb {
    pub size: Size,
    pub bytes: Vec<u8>,
}

/// Cuts out one face of each frame. [`Spot::pixels`] is the crop, `[3, height, width]`: R, G, B,
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
    others: OtherFrames,
}

impl Cutout {
    pub fn new(plan: Arc<Plan>) -> Self {
        let area = plan.crop.area();
        Self {
            others: OtherFrames::new(
                // Those that are given need no place.
                if plan.given.is_some() { 0 } else { plan.others },
                3 * plan.size.area(),
            ),
            plan,
            resizer: Resizer::default(),
            blender: Blender::new(),
            before: Vec::new(),
            native: Vec::new(),
            alpha: vec![1.0; area],
            mask: vec![0.0; area],
        }
    }

    fn cut_soft(&mut self, view: &View, face: Option<&Face>, spot: &mut Spot) -> bool {
        let frame = [view.width, view.height];
        let size = self.plan.crop;
        let Some(map) = self.plan.recipe.map(face, size, frame) else {
            return false;
        };
        spot.to_frame = map;
        let side = size.side();
        if size == Size::square(side) {
            let planes = planes(&mut spot.pixels, side * side);
            sample(view, &map, side, WHITE, 0.0, planes);
            return true;
        }
        self.native.resize(3 * side * side, 0.0);
        let square = planes(&mut self.native, side * side);
        sample(view, &map, side, WHITE, 0.0, square);
        let planes = spot.pixels.chunks_exact_mut(size.area());
        for (plane, square) in planes.zip(self.native.chunks_exact(side * side)) {
            let rows = plane.chunks_exact_mut(size.width);
            for (row, square) in rows.zip(square.chunks_exact(side)) {
                row.copy_from_slice(&square[..size.width]);
            }
        }
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
        let whole_planes = planes(&mut self.native, stride * stride);
        sample(view, &to_frame, stride, WHITE, 0.0, whole_planes);
        for value in &mut self.native {
            *value = whole(*value + 0.5);
        }
        let to = Extent::of(self.plan.crop);
        self.resizer.prepare(&native, &to, self.plan.scale);
        let sources = self.native.chunks_exact(stride * stride);
        let targets = spot.pixels.chunks_exact_mut(self.plan.crop.area());
        for (source, target) in sources.zip(targets) {
            self.resizer.plane(source, &native, target, &to);
        }
        true
    }

    /// The face in other frames: those given, or of the stream, which this one may be of.
    fn see_others(&mut self, crop: &[f32], face: Option<&Face>, time_ns: i64, out: &mut [f32]) {
        if let Some(given) = &self.plan.given {
            out.copy_from_slice(given);
            return;
        }
        let openness = face.map_or(0.0, |face| face.mesh.openness());
        // What lies over a mouth now must not come back in later frames.
        let is_bare = face.is_none_or(|face| face.cover.is_bare());
        if (is_bare || self.others.is_empty())
            && let Some(places) = self.others.take(time_ns, openness)
        {
            for place in places.chunks_exact_mut(3 * self.plan.size.area()) {
                self.plan.view(crop, &[Planes::Reference], place);
            }
        }
        out.copy_from_slice(self.others.pictures());
    }

    /// Writes what the network drew into the crop; its border stays.
    fn draw(&self, output: &[f32], crop: &mut [f32]) {
        let (size, all) = (self.plan.size, self.plan.crop);
        let border = (all.width - size.width) / 2;
        let [black, white] = self.plan.image.range;
        let blend = &self.plan.blend;
        let is_cut = blend.kind == Kind::Reference && blend.cuts == Cuts::BeforeScaling;
        let rounding = if blend.rounds { 0.5 } else { 0.0 };
        for (index, plane) in output.chunks_exact(size.area()).take(3).enumerate() {
            let channel = self.plan.channel(index);
            let target = &mut crop[channel * all.area()..];
            for (row, values) in plane.chunks_exact(size.width).enumerate() {
                let target = &mut target[(row + border) * all.width + border..][..size.width];
                for (out, value) in target.iter_mut().zip(values) {
                    let level = (value - black) / (white - black) * WHITE;
                    // Most original pipelines cut, they do not round.
                    *out = match is_cut {
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
        let size = self.plan.crop;
        let Spot {
            to_frame: map,
            pixels: crop,
            ..
        } = spot;
        let mask = &mut self.mask;
        jaw_mask::mask(&face.mesh, map, size, look.feather, strength, mask);
        face.cover.cut_out_of(mask, size.width, map);
        if self.plan.blend.match_colour {
            self.before.clone_from(crop);
        }
        self.draw(drawn, crop);
        if self.plan.blend.match_colour {
            tone_match::match_ring(&self.before, crop, &self.mask, strength, size);
        }
        for value in crop.iter_mut() {
            *value /= WHITE;
        }
        self.blender.blend(
            view,
            &Patch {
                size: [size.width, size.height],
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
        let blend = self.plan.blend;
        let (from, to) = (Extent::of(self.plan.crop), extent(spot.area));
        match blend.cuts {
            Cuts::BeforeScaling => self.resizer.prepare(&from, &to, blend.scale),
            Cuts::AfterScaling => self.resizer.prepare_fractions(&from, &to, blend.scale),
        }
        self.native.resize(3 * to.stride * to.stride, 0.0);
        let sources = spot.pixels.chunks_exact(self.plan.crop.area());
        let targets = self.native.chunks_exact_mut(to.stride * to.stride);
        for (source, target) in sources.zip(targets) {
            self.resizer.plane(source, &from, target, &to);
        }
        if blend.cuts == Cuts::AfterScaling {
            let rounding = if blend.rounds { 0.5 } else { 0.0 };
            for value in &mut self.native {
                *value = whole(*value + rounding);
            }
        }
        let put = inside(spot.area, blend.keeps);
        let first = put.y * to.stride + put.x;
        let planes = planes(&mut self.native, to.stride * to.stride);
        let picture = Stamp {
            rgb: planes.map(|plane| &plane[first..]),
            extent: Extent {
                width: put.width,
                height: put.height,
                stride: to.stride,
            },
            at: [spot.area.x + put.x, spot.area.y + put.y],
            strength: strength_of(look),
        };
        stamp(view, &picture);
    }
}

impl Brush for Cutout {
    /// `seen` is `[3 * views, height, width]`, and then `[3 * others, height, width]`. False when no part
    /// of the face lies in the frame.
    fn sample(
        &mut self,
        view: &View,
        face: Option<&Face>,
        time_ns: i64,
        _is_speech: bool,
        seen: &mut Vec<f32>,
        spot: &mut Spot,
    ) -> bool {
        spot.pixels.resize(3 * self.plan.crop.area(), 0.0);
        let found = match self.plan.blend.kind {
            Kind::Soft => self.cut_soft(view, face, spot),
            Kind::Reference => self.cut_whole(view, face, spot),
        };
        if !found {
            return false;
        }
        let [views, others] = self.plan.seen();
        seen.resize(views + others, 0.0);
        let (views, others) = seen.split_at_mut(views);
        self.plan.view(&spot.pixels, &self.plan.image.planes, views);
        self.see_others(&spot.pixels, face, time_ns, others);
        true
    }

    /// `drawn` is `[3, height, width]`.
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

    fn reset(&mut self) {
        self.others.forget();
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

/// The part of the box, from its own corner, that is replaced.
fn inside(area: Area, keeps: Margins) -> Area {
    let part = |share: f32, of: usize| (f64::from(share) * of as f64).round() as usize;
    let (x, y) = (part(keeps.left, area.width), part(keeps.top, area.height));
    let right = part(keeps.right, area.width);
    let bottom = part(keeps.bottom, area.height);
    Area {
        x,
        y,
        width: area.width.saturating_sub(x + right),
        height: area.height.saturating_sub(y + bottom),
    }
}

/// Three planes of so many values.
fn planes(all: &mut [f32], length: usize) -> [&mut [f32]; 3] {
    let (first, others) = all.split_at_mut(length);
    let (second, third) = others.split_at_mut(length);
    [first, second, third]
}
