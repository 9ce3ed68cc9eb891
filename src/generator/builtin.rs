//! The plugin's own generator: sound to mouth shape, mouth shape to a warp of the frame's own
//! pixels, with paint only for what no pixel of the frame can show.
//!
//! Method, data and training: `models/builtin/README.md` and `training/`.

use std::time::Instant;

use super::{
    Cost, Generator, Heard, Hearing, Look, finite,
    manifest::Manifest,
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

/// What is remembered of one face.
struct Person {
    face: u64,
    rest: RestMouth,
}

pub struct BuiltIn {
    name: String,
    hearing: Hearing,
    audio2mouth: Box<dyn Network>,
    renderer: Box<dyn Network>,
    geometry: Geometry,
    people: Vec<Person>,
    blender: Blender,
    /// Displacement of each landmark from the rest mouth, as last heard.
    displacement: Vec<[f32; 2]>,
    source: Vec<[f32; 2]>,
    rest: Vec<[f32; 2]>,
    rigid: Vec<[f32; 2]>,
    mask: Vec<f32>,
    mask_feather: f32,
}

/// Faces that are remembered; the one not seen for longest is dropped first.
const MOST_PEOPLE: usize = 32;

/// The estimate of this face's rest mouth, made when the face is new. The most recently seen face
/// is last.
fn rest_mouth<'a>(
    people: &'a mut Vec<Person>,
    face: &Face,
    geometry: &Geometry,
) -> &'a mut RestMouth {
    match people.iter().position(|person| person.face == face.id) {
        Some(index) => people[index..].rotate_left(1),
        None => {
            if people.len() == MOST_PEOPLE {
                people.remove(0);
            }
            people.push(Person {
                face: face.id,
                rest: RestMouth::new(geometry.landmarks.len(), &geometry.closing),
            });
        }
    }
    let last = people.len() - 1;
    let rest = &mut people[last].rest;
    if face.fresh {
        rest.forget();
    }
    rest
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

        let audio2mouth = runtime::open_model(&networks.audio2mouth, options, &[])?;
        let renderer = runtime::open_model(&networks.renderer, options, &[])?;
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
                people: Vec::with_capacity(MOST_PEOPLE),
                blender: Blender::new(),
                displacement: vec![[0.0; 2]; count],
                source: vec![[0.0; 2]; count],
                rest: vec![[0.0; 2]; count],
                rigid: vec![[0.0; 2]; geometry.rigid.len()],
                mask: vec![0.0; size * size],
                mask_feather: f32::NAN,
                geometry,
            }),
        })
    }

    /// Writes the wanted landmarks of this frame into the renderer.
    fn aim(&mut self, look: &Look) {
        // Up to 1 the strength leads from the mouth as filmed to the mouth as heard, beyond it
        // exaggerates the movement.
        let (share, gain) = (look.strength.clamp(0.0, 1.0), look.strength.max(1.0));
        let target = self.renderer.input(TARGET);
        let rest = self.rest.iter().flatten();
        let displacement = self.displacement.iter().flatten();
        let source = self.source.iter().flatten();
        for (((out, source), rest), displacement) in
            target.iter_mut().zip(source).zip(rest).zip(displacement)
        {
            let heard = rest + gain * look.activity * displacement;
            *out = source + share * (heard - source);
        }
    }

    /// Rebuilds the soft-edged mask when the feather has changed.
    fn feather(&mut self, feather: f32) {
        if feather == self.mask_feather {
            return;
        }
        self.mask_feather = feather;
        let size = self.geometry.size;
        // At the edge itself the mask is always 0, so even without a feather no line shows.
        let width = (feather.clamp(0.0, 1.0) * WIDEST_FEATHER * size as f32).max(1.0);
        let fade = |i: usize| {
            let t = (i.min(size - 1 - i) as f32 / width).min(1.0);
            t * t * (3.0 - 2.0 * t)
        };
        for (i, value) in self.mask.iter_mut().enumerate() {
            *value = fade(i % size) * fade(i / size);
        }
    }
}

impl Generator for BuiltIn {
    fn name(&self) -> &str {
        &self.name
    }

    fn hearing(&self) -> Hearing {
        self.hearing
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

    fn draw(
        &mut self,
        view: &mut View,
        face: Option<&Face>,
        time_ns: i64,
        look: &Look,
    ) -> Result<Cost, Error> {
        let started = Instant::now();
        let geometry = &self.geometry;
        let Some(face) = face else {
            return Ok(Cost::default());
        };
        for (point, &index) in self.rigid.iter_mut().zip(&geometry.rigid) {
            *point = face.mesh.points[index];
        }
        // A face so small or so degenerate that it has no alignment has no mouth to draw either.
        let Some((to_canonical, to_frame)) = geometry::similarity(&self.rigid, &geometry.rigid_xy)
            .and_then(|map: Affine| Some((map, map.inverse()?)))
        else {
            return Ok(Cost::default());
        };
        for (point, &index) in self.source.iter_mut().zip(&geometry.landmarks) {
            *point = to_canonical.apply(face.mesh.points[index]);
        }

        rest_mouth(&mut self.people, face, geometry).update(
            &self.source,
            time_ns,
            &geometry.closing,
            geometry.corners,
            &geometry.nose_base,
            &mut self.rest,
        );

        let size = geometry.size;
        let plane = size * size;
        let crop = self.renderer.input(CROP);
        let (red, others) = crop.split_at_mut(plane);
        let (green, blue) = others.split_at_mut(plane);
        sample(view, &to_frame, size, 1.0, 0.0, [red, green, blue]);
        let landmarks = self.renderer.input(SOURCE);
        for (out, point) in landmarks.chunks_exact_mut(2).zip(&self.source) {
            out.copy_from_slice(point);
        }
        self.aim(look);
        self.feather(look.feather);

        let sampled = Instant::now();
        self.renderer.run()?;
        let inferred = Instant::now();

        let flow = self.renderer.output(FLOW);
        let alpha = self.renderer.output(ALPHA);
        let rgb = self.renderer.output(RGB);
        for tensor in [flow, alpha, rgb] {
            finite(tensor, self.renderer.name())?;
        }
        self.blender.blend(
            view,
            &Patch {
                size,
                to_frame,
                flow: Some(flow),
                drawn: Some(Drawn { rgb, alpha }),
                mask: &self.mask,
            },
        );
        let infer = inferred - sampled;
        Ok(Cost {
            infer,
            blend: started.elapsed().saturating_sub(infer),
        })
    }

    fn reset(&mut self) {
        self.people.clear();
        self.displacement.fill([0.0; 2]);
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
