//! The plugin's own generator: sound to mouth shape, mouth shape to a warp of the frame's own
//! pixels, with paint only for what no pixel of the frame can show.
//!
//! Method, data and training: `models/builtin/README.md` and `training/`.

use std::sync::Arc;

use super::{
    Brush, Generator, Heard, Hearing, Look, Sketch, finite,
    manifest::Manifest,
    occlusion::{LIGHT_SIDE, Occlusion, Sight},
    registry::{Opened, describe},
    rest::{Closing, RestMouth},
};
use crate::{
    Error,
    face::{Face, geometry},
    pixels::{Affine, Blender, Drawn, Patch, View, sample},
    runtime::{self, Model, Network},
    sound::{self, Spectrum},
};

/// Corners of the mouth in the face mesh.
const CORNERS: [usize; 2] = [61, 291];
/// Base of the nose in the face mesh: moves with the head, hardly with speech.
const NOSE_BASE: [usize; 2] = [2, 164];
/// A mouth of which more is covered tells nothing about how it is at rest.
const HIDDEN: f32 = 0.3;
/// A feather of 1 fades over this share of the patch, from each edge.
const WIDEST_FEATHER: f32 = 0.35;

/// The files of a model.
pub struct Networks {
    pub audio2mouth: Model<'static>,
    pub renderer: Model<'static>,
}

/// What never changes once the model is open.
struct Geometry {
    size: usize,
    rigid: Vec<usize>,
    rigid_xy: Vec<[f32; 2]>,
    landmarks: Vec<usize>,
    closing: Closing,
    corners: [usize; 2],
    nose_base: [usize; 2],
}

pub struct BuiltIn {
    name: String,
    hearing: Hearing,
    audio2mouth: Box<dyn Network>,
    renderer: Box<dyn Network>,
    geometry: Arc<Geometry>,
    /// Displacement of each landmark from the rest mouth, as last heard.
    displacement: Vec<[f32; 2]>,
}

/// Parts of [`Sketch::seen`].
struct Seen<S> {
    /// `[3, size, size]`: R, G, B, 0..1.
    crop: S,
    /// Landmarks as they are, x, y in canonical pixels.
    source: S,
    /// Landmarks of the mouth at rest.
    rest: S,
}

/// Parts of [`Sketch::drawn`], each a tensor of the renderer.
struct Rendered<'a> {
    flow: &'a [f32],
    alpha: &'a [f32],
    rgb: &'a [f32],
}

impl Geometry {
    /// Numbers of a crop, and of a list of landmarks.
    fn lengths(&self) -> [usize; 2] {
        [3 * self.size * self.size, 2 * self.landmarks.len()]
    }

    fn seen<'a>(&self, all: &'a [f32]) -> Seen<&'a [f32]> {
        let [crop, landmarks] = self.lengths();
        let (crop, all) = all.split_at(crop);
        let (source, rest) = all.split_at(landmarks);
        Seen { crop, source, rest }
    }

    fn seen_mut<'a>(&self, all: &'a mut Vec<f32>) -> Seen<&'a mut [f32]> {
        let [crop, landmarks] = self.lengths();
        all.resize(crop + 2 * landmarks, 0.0);
        let (crop, all) = all.split_at_mut(crop);
        let (source, rest) = all.split_at_mut(landmarks);
        Seen { crop, source, rest }
    }

    fn rendered<'a>(&self, all: &'a [f32]) -> Rendered<'a> {
        let plane = self.size * self.size;
        let (flow, all) = all.split_at(2 * plane);
        let (alpha, rgb) = all.split_at(plane);
        Rendered { flow, alpha, rgb }
    }
}

// Tensor order of the renderer, fixed by `tensors()`.
const CROP: usize = 0;
const SOURCE: usize = 1;
const TARGET: usize = 2;
const FLOW: usize = 0;
const ALPHA: usize = 1;
const RGB: usize = 2;
// And of audio2mouth.
const MEL: usize = 0;
const DISPLACEMENT: usize = 1;

impl BuiltIn {
    pub fn open(
        manifest: Manifest,
        networks: &Networks,
        options: &runtime::Options,
    ) -> Result<Opened, Error> {
        let about = manifest.about();
        let canonical = &manifest.canonical;
        let (size, count) = (canonical.size, canonical.landmarks.len());
        let window = manifest.sound.window;

        let (audio2mouth, renderer) = runtime::together(
            options,
            || runtime::open_model(&networks.audio2mouth, options, &[]),
            || runtime::open_model(&networks.renderer, options, &[]),
        );
        let (audio2mouth, renderer) = (audio2mouth?, renderer?);
        tensors(
            &*audio2mouth.network,
            &[("mel", &[1, 1, sound::BANDS, window])],
            &[("coefficients", &[]), ("displacement", &[1, count, 2])],
        )?;
        tensors(
            &*renderer.network,
            &[
                ("crop", &[1, 3, size, size]),
                ("source", &[1, count, 2]),
                ("target", &[1, count, 2]),
            ],
            &[
                ("flow", &[1, 2, size, size]),
                ("alpha", &[1, 1, size, size]),
                ("rgb", &[1, 3, size, size]),
            ],
        )?;

        let mut pairs = Vec::with_capacity(manifest.closing.pairs.len());
        for [upper, lower] in &manifest.closing.pairs {
            pairs.push([canonical.landmark(*upper)?, canonical.landmark(*lower)?]);
        }
        let geometry = Geometry {
            size,
            corners: [
                canonical.landmark(CORNERS[0])?,
                canonical.landmark(CORNERS[1])?,
            ],
            nose_base: [
                canonical.landmark(NOSE_BASE[0])?,
                canonical.landmark(NOSE_BASE[1])?,
            ],
            closing: Closing {
                pairs,
                pair: manifest.closing.pair,
                weight: manifest.closing.weight,
            },
            rigid: manifest.canonical.rigid,
            rigid_xy: manifest.canonical.rigid_xy,
            landmarks: manifest.canonical.landmarks,
        };

        let mut fallbacks = audio2mouth.fallbacks;
        for fallback in renderer.fallbacks {
            if !fallbacks.contains(&fallback) {
                fallbacks.push(fallback);
            }
        }
        Ok(Opened {
            about,
            active: Some(renderer.active),
            fallbacks,
            generator: Box::new(Self {
                name: manifest.name,
                hearing: Hearing {
                    spectrum: Spectrum::Mel,
                    columns: window,
                    look_ahead_ns: manifest.sound.look_ahead_ns(),
                },
                audio2mouth: audio2mouth.network,
                renderer: renderer.network,
                displacement: vec![[0.0; 2]; count],
                geometry: Arc::new(geometry),
            }),
        })
    }
}

impl Generator for BuiltIn {
    fn name(&self) -> &str {
        &self.name
    }

    fn hearing(&self) -> Hearing {
        self.hearing
    }

    fn brush(&self) -> Box<dyn Brush> {
        Box::new(Aligned::new(self.geometry.clone()))
    }

    fn listen(&mut self, heard: &Heard) -> Result<(), Error> {
        self.audio2mouth.input(MEL).copy_from_slice(heard.mel);
        self.audio2mouth.run()?;
        let heard = self.audio2mouth.output(DISPLACEMENT);
        finite(heard, self.audio2mouth.name())?;
        for (displacement, heard) in self.displacement.iter_mut().zip(heard.chunks_exact(2)) {
            displacement.copy_from_slice(heard);
        }
        Ok(())
    }

    fn draw(&mut self, sketch: &mut Sketch) -> Result<(), Error> {
        let seen = self.geometry.seen(&sketch.seen);
        self.renderer.input(CROP).copy_from_slice(seen.crop);
        self.renderer.input(SOURCE).copy_from_slice(seen.source);
        let displacement = self.displacement.as_flattened();
        aim(
            &sketch.look,
            &seen,
            displacement,
            self.renderer.input(TARGET),
        );
        self.renderer.run()?;
        sketch.drawn.clear();
        for tensor in [FLOW, ALPHA, RGB] {
            let drawn = self.renderer.output(tensor);
            finite(drawn, self.renderer.name())?;
            sketch.drawn.extend_from_slice(drawn);
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.displacement.fill([0.0; 2]);
    }
}

/// Writes the wanted landmarks.
fn aim(look: &Look, seen: &Seen<&[f32]>, displacement: &[f32], target: &mut [f32]) {
    // Up to 1 the strength leads from the mouth as filmed to the mouth as heard, beyond it
    // exaggerates the movement.
    let (share, gain) = (look.strength.clamp(0.0, 1.0), look.strength.max(1.0));
    let parts = seen.source.iter().zip(seen.rest).zip(displacement);
    for (out, ((source, rest), displacement)) in target.iter_mut().zip(parts) {
        let heard = rest + gain * look.activity * displacement;
        *out = source + share * (heard - source);
    }
}

/// One face, aligned with the canonical one.
struct Aligned {
    geometry: Arc<Geometry>,
    rest_mouth: RestMouth,
    /// From the canonical picture to the frame.
    to_frame: Affine,
    source: Vec<[f32; 2]>,
    rest: Vec<[f32; 2]>,
    rigid: Vec<[f32; 2]>,
    occlusion: Occlusion,
    /// R, G, B above the mouth, for `occlusion`.
    light: Vec<f32>,
    blender: Blender,
    /// Soft towards the edges of the crop.
    frame: Vec<f32>,
    frame_feather: f32,
    /// `frame` without what is in front of the mouth.
    mask: Vec<f32>,
}

impl Aligned {
    fn new(geometry: Arc<Geometry>) -> Self {
        let count = geometry.landmarks.len();
        Self {
            rest_mouth: RestMouth::new(count, &geometry.closing),
            to_frame: Affine::IDENTITY,
            source: vec![[0.0; 2]; count],
            rest: vec![[0.0; 2]; count],
            rigid: vec![[0.0; 2]; geometry.rigid.len()],
            occlusion: Occlusion::new(),
            light: vec![0.0; 3 * LIGHT_SIDE * LIGHT_SIDE],
            blender: Blender::new(),
            frame: vec![0.0; geometry.size * geometry.size],
            frame_feather: f32::NAN,
            mask: vec![0.0; geometry.size * geometry.size],
            geometry,
        }
    }

    /// Rebuilds the soft edges when the feather has changed.
    fn feather(&mut self, feather: f32) {
        if feather == self.frame_feather {
            return;
        }
        self.frame_feather = feather;
        let size = self.geometry.size;
        // At the edge itself the mask is always 0, so even without a feather no line shows.
        let width = (feather.clamp(0.0, 1.0) * WIDEST_FEATHER * size as f32).max(1.0);
        let fade = |i: usize| {
            let t = (i.min(size - 1 - i) as f32 / width).min(1.0);
            t * t * (3.0 - 2.0 * t)
        };
        for (i, value) in self.frame.iter_mut().enumerate() {
            *value = fade(i % size) * fade(i / size);
        }
    }
}

impl Brush for Aligned {
    fn sample(
        &mut self,
        view: &View,
        face: Option<&Face>,
        time_ns: i64,
        seen: &mut Vec<f32>,
    ) -> bool {
        let Some(face) = face else {
            return false;
        };
        let geometry = &*self.geometry;
        for (point, &index) in self.rigid.iter_mut().zip(&geometry.rigid) {
            *point = face.mesh.points[index];
        }
        // A face so small or so degenerate that it has no alignment has no mouth to draw either.
        let Some((to_canonical, to_frame)) = geometry::similarity(&self.rigid, &geometry.rigid_xy)
            .and_then(|map: Affine| Some((map, map.inverse()?)))
        else {
            return false;
        };
        self.to_frame = to_frame;
        for (point, &index) in self.source.iter_mut().zip(&geometry.landmarks) {
            *point = to_canonical.apply(face.mesh.points[index]);
        }
        let size = geometry.size;
        let seen = geometry.seen_mut(seen);
        let (red, others) = seen.crop.split_at_mut(size * size);
        let (green, blue) = others.split_at_mut(size * size);
        sample(view, &to_frame, size, 1.0, 0.0, [red, green, blue]);
        let (red, others) = self.light.split_at_mut(LIGHT_SIDE * LIGHT_SIDE);
        let (green, blue) = others.split_at_mut(LIGHT_SIDE * LIGHT_SIDE);
        let light_to_frame = to_frame.after(&Occlusion::light_to_crop(size));
        sample(
            view,
            &light_to_frame,
            LIGHT_SIDE,
            1.0,
            0.0,
            [red, green, blue],
        );
        self.occlusion.update(&Sight {
            crop: seen.crop,
            size,
            light: &self.light,
            mesh: &face.mesh,
            to_crop: &to_canonical,
            is_fresh: face.fresh,
            time_ns,
        });

        if face.fresh {
            self.rest_mouth.forget();
        }
        if face.fresh || self.occlusion.of_mouth() < HIDDEN {
            self.rest_mouth.update(
                &self.source,
                time_ns,
                &geometry.closing,
                geometry.corners,
                &geometry.nose_base,
                &mut self.rest,
            );
        }
        seen.source.copy_from_slice(self.source.as_flattened());
        seen.rest.copy_from_slice(self.rest.as_flattened());
        true
    }

    fn paint(&mut self, view: &mut View, _face: Option<&Face>, look: &Look, drawn: &[f32]) {
        self.feather(look.feather);
        self.mask.copy_from_slice(&self.frame);
        self.occlusion
            .cut_out_of(&mut self.mask, self.geometry.size);
        let Rendered { flow, alpha, rgb } = self.geometry.rendered(drawn);
        self.blender.blend(
            view,
            &Patch {
                size: self.geometry.size,
                to_frame: self.to_frame,
                flow: Some(flow),
                drawn: Some(Drawn { rgb, alpha }),
                mask: &self.mask,
            },
        );
    }

    fn reset(&mut self) {
        self.rest_mouth.forget();
        self.occlusion.forget();
    }
}

type Wanted<'a> = (&'a str, &'a [usize]);

/// Checks names, order and shapes. An empty shape stands for any.
fn tensors(network: &dyn Network, inputs: &[Wanted], outputs: &[Wanted]) -> Result<(), Error> {
    let fits = |found: &[runtime::TensorInfo], wanted: &[Wanted]| {
        found.len() == wanted.len()
            && found.iter().zip(wanted).all(|(found, (name, shape))| {
                found.name == *name
                    && found.element == runtime::Element::F32
                    && (shape.is_empty() || found.shape == *shape)
            })
    };
    if fits(network.inputs(), inputs) && fits(network.outputs(), outputs) {
        return Ok(());
    }
    let wanted = |tensors: &[Wanted]| {
        tensors
            .iter()
            .map(|(name, shape)| match shape.is_empty() {
                true => format!("{name} [any]"),
                false => format!("{name} {shape:?}"),
            })
            .collect::<Vec<_>>()
            .join(", ")
    };
    Err(Error::ModelMismatch {
        name: network.name().to_owned(),
        found: format!(
            "{} -> {}",
            describe(network.inputs()),
            describe(network.outputs())
        ),
        wanted: format!("{} -> {}", wanted(inputs), wanted(outputs)),
    })
}
