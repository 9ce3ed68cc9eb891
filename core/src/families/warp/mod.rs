//! The plugin's own generator: sound to mouth shape, mouth shape to a warp of the frame's own
//! pixels, with paint only for what no pixel of the frame can show.
//!
//! Method, data and training: `models/builtin/README.md` and `training/`.

mod articulation;
mod contour;
pub mod manifest;
mod mouth;
mod occlusion;
mod rest_mouth;

use std::{path::Path, sync::Arc};

use crate::{
    Error,
    face::{Face, geometry},
    families::{Family, ModelFiles},
    generator::{
        Articulation, Brush, Brushes, Generator, Heard, Hearing, Look, MouthMemory, OpenGenerator,
        Remembered, Sketch, Spot, finite, smoothstep,
    },
    inference::{self, Model, ModelSource, Network, Opener, Snapshot, add_fallbacks, describe},
    manifest::Named,
    pixels::{Affine, Blender, Drawn, Patch, View, sample},
    sound::{self, Spectrum},
};
use articulation::{Learner, Manner, Opening, SourceLips};
use contour::Contour;
use manifest::{Inside, Manifest};
use mouth::{Album, InnerMouth, NOSE_TIP, Points, Scene};
use occlusion::{LIGHT_SIDE, Occlusion, Sight};
use rest_mouth::{Anatomy, Closing, RestMouth};

/// Corners of the mouth in the face mesh.
const CORNERS: [usize; 2] = [61, 291];
/// Base of the nose in the face mesh: moves with the head, hardly with speech.
const NOSE_BASE: [usize; 2] = [2, 164];
/// A mouth of which more is covered tells nothing about how it is at rest.
const HIDDEN: f32 = 0.3;
/// A feather of 1 fades over this share of the patch, from each edge.
const WIDEST_FEATHER: f32 = 0.35;

/// The family `builtin`.
pub const FAMILY: Warp = Warp;

pub struct Warp;

impl Family for Warp {
    fn name(&self) -> &'static str {
        "builtin"
    }

    fn read(&self, text: &str, path: &Path) -> Result<Box<dyn ModelFiles>, Error> {
        let manifest = Manifest::parse(text, path)?;
        let read = |file| Named::find(path, file)?.read();
        Ok(Box::new(Files {
            audio2mouth: read(&manifest.files.audio2mouth)?,
            renderer: read(&manifest.files.renderer)?,
            manifest,
        }))
    }
}

/// The model that is part of the library. Fails as [`Family::read`] does.
pub fn embedded() -> Result<Box<dyn ModelFiles>, Error> {
    let read = |name, data| Model::read(ModelSource::Bytes { name, data });
    Ok(Box::new(Files {
        manifest: Manifest::parse(
            include_str!("../../../../models/builtin/manifest.toml"),
            Path::new("models/builtin/manifest.toml"),
        )?,
        audio2mouth: read(
            "builtin/audio2mouth",
            include_bytes!("../../../../models/builtin/audio2mouth.onnx"),
        )?,
        renderer: read(
            "builtin/renderer",
            include_bytes!("../../../../models/builtin/renderer.onnx"),
        )?,
    }))
}

struct Files {
    manifest: Manifest,
    audio2mouth: Model<'static>,
    renderer: Model<'static>,
}

impl ModelFiles for Files {
    fn look_ahead_ns(&self) -> i64 {
        self.manifest.sound.look_ahead_ns()
    }

    fn snapshot(&self) -> Snapshot {
        let mut files = self.audio2mouth.files().clone();
        files.extend(self.renderer.files().clone());
        files
    }

    fn open(self: Box<Self>, opener: &Opener) -> Result<OpenGenerator, Error> {
        BuiltIn::open(*self, opener)
    }
}

/// What never changes once the model is open.
struct Geometry {
    size: usize,
    rigid: Vec<usize>,
    rigid_xy: Vec<[f32; 2]>,
    landmarks: Vec<usize>,
    anatomy: Anatomy,
    /// Where the inside of mouths is remembered, the landmarks that tell of it.
    inner_mouth: Option<Points>,
}

pub struct BuiltIn {
    name: String,
    hearing: Hearing,
    audio2mouth: Box<dyn Network>,
    renderer: Box<dyn Network>,
    geometry: Arc<Geometry>,
    /// What is known of mouths beyond the stream.
    album: Arc<Album>,
    /// Faces that the renderer draws at once.
    batch: usize,
    /// Whether the networks' outputs are those of their inputs.
    has_heard: bool,
    has_drawn: bool,
    /// How the voice moves mouths.
    voice: Learner,
    /// Memory: displacements, and gaps between lips.
    moved: Vec<[f32; 2]>,
    gaps: Vec<f32>,
}

/// Parts of [`Sketch::seen`].
struct Seen<S> {
    /// `[3, size, size]`: R, G, B, 0..1.
    crop: S,
    /// Landmarks as they are, x, y in canonical pixels.
    source: S,
    /// Landmarks of the mouth at rest.
    rest: S,
    /// How the person's own mouth moves: a [`Manner`].
    manner: S,
}

/// Parts of [`Sketch::drawn`]: tensors of the renderer, the landmarks that it aimed at, and what their
/// movement was changed by.
struct Rendered<'a> {
    flow: &'a [f32],
    alpha: &'a [f32],
    rgb: &'a [f32],
    target: &'a [f32],
    articulation: &'a [f32],
}

impl Geometry {
    /// Numbers of a crop, and of a list of landmarks.
    fn lengths(&self) -> [usize; 2] {
        [3 * self.size * self.size, 2 * self.landmarks.len()]
    }

    fn seen<'a>(&self, all: &'a [f32]) -> Seen<&'a [f32]> {
        let [crop, landmarks] = self.lengths();
        let (crop, all) = all.split_at(crop);
        let (source, all) = all.split_at(landmarks);
        let (rest, manner) = all.split_at(landmarks);
        Seen {
            crop,
            source,
            rest,
            manner,
        }
    }

    fn seen_mut<'a>(&self, all: &'a mut Vec<f32>) -> Seen<&'a mut [f32]> {
        let [crop, landmarks] = self.lengths();
        all.resize(crop + 2 * landmarks + articulation::NUMBERS, 0.0);
        let (crop, all) = all.split_at_mut(crop);
        let (source, all) = all.split_at_mut(landmarks);
        let (rest, manner) = all.split_at_mut(landmarks);
        Seen {
            crop,
            source,
            rest,
            manner,
        }
    }

    fn rendered<'a>(&self, all: &'a [f32]) -> Rendered<'a> {
        let plane = self.size * self.size;
        let (flow, all) = all.split_at(2 * plane);
        let (alpha, all) = all.split_at(plane);
        let (rgb, all) = all.split_at(3 * plane);
        let (target, articulation) = all.split_at(2 * self.landmarks.len());
        Rendered {
            flow,
            alpha,
            rgb,
            target,
            articulation,
        }
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
    fn open(files: Files, opener: &Opener) -> Result<OpenGenerator, Error> {
        let Files {
            manifest,
            audio2mouth,
            renderer,
        } = files;
        let about = manifest.about();
        let canonical = &manifest.canonical;
        let (size, count) = (canonical.size, canonical.landmarks.len());
        let window = manifest.sound.window;

        let options = small(opener.options);
        let opener = Opener {
            options: &options,
            ..*opener
        };
        let (audio2mouth, renderer) = opener.both(
            || opener.single(&audio2mouth, &[]),
            || opener.batched(&renderer, &[]),
        );
        let (audio2mouth, renderer) = (audio2mouth?, renderer?);
        let batch = renderer.network.inputs().first();
        let batch = batch.and_then(|crop| crop.shape.first().copied());
        let batch = batch.unwrap_or(1);
        tensors(
            &*audio2mouth.network,
            &[("mel", &[1, 1, sound::BANDS, window])],
            &[("coefficients", &[]), ("displacement", &[1, count, 2])],
        )?;
        tensors(
            &*renderer.network,
            &[
                ("crop", &[batch, 3, size, size]),
                ("source", &[batch, count, 2]),
                ("target", &[batch, count, 2]),
            ],
            &[
                ("flow", &[batch, 2, size, size]),
                ("alpha", &[batch, 1, size, size]),
                ("rgb", &[batch, 3, size, size]),
            ],
        )?;

        let mut pairs = Vec::with_capacity(manifest.closing.pairs.len());
        for [upper, lower] in &manifest.closing.pairs {
            pairs.push([canonical.landmark(*upper)?, canonical.landmark(*lower)?]);
        }
        let geometry = Geometry {
            size,
            anatomy: Anatomy {
                closing: Closing {
                    pairs,
                    pair: manifest.closing.pair,
                    weight: manifest.closing.weight,
                },
                relaxing: manifest.rest,
                spread: manifest
                    .articulation
                    .map_or_else(Vec::new, |articulation| articulation.spread),
                corners: [
                    canonical.landmark(CORNERS[0])?,
                    canonical.landmark(CORNERS[1])?,
                ],
                nose_base: [
                    canonical.landmark(NOSE_BASE[0])?,
                    canonical.landmark(NOSE_BASE[1])?,
                ],
            },
            inner_mouth: match manifest.inside {
                Inside::Remembered if size == mouth::SIZE => {
                    Points::find(|point| canonical.landmark(point).ok())
                }
                _ => None,
            },
            rigid: manifest.canonical.rigid,
            rigid_xy: manifest.canonical.rigid_xy,
            landmarks: manifest.canonical.landmarks,
        };

        let mut fallbacks = audio2mouth.fallbacks;
        add_fallbacks(&mut fallbacks, renderer.fallbacks);
        Ok(OpenGenerator {
            about,
            active: Some(renderer.active),
            fallbacks,
            files: Snapshot::default(),
            generator: Box::new(Self {
                name: manifest.name,
                hearing: Hearing {
                    spectrum: Spectrum::Mel,
                    columns: window,
                    look_ahead_ns: manifest.sound.look_ahead_ns(),
                    raises_voice: true,
                },
                audio2mouth: audio2mouth.network,
                renderer: renderer.network,
                batch,
                has_heard: false,
                has_drawn: false,
                geometry: Arc::new(geometry),
                album: Arc::default(),
                voice: Learner::default(),
                moved: Vec::with_capacity(count),
                gaps: Vec::new(),
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

    fn brushes(&self) -> Brushes {
        let (geometry, album) = (self.geometry.clone(), self.album.clone());
        Box::new(move || Box::new(Aligned::new(geometry.clone(), album.clone())))
    }

    fn mouth_memory(&self) -> Option<Arc<dyn MouthMemory>> {
        let remembers = self.geometry.inner_mouth.is_some();
        remembers.then(|| self.album.clone() as Arc<dyn MouthMemory>)
    }

    fn batch(&self) -> usize {
        self.batch
    }

    /// `out` is the displacement of each landmark from the rest mouth, x, y, and how the voice moves
    /// mouths: a [`Manner`].
    fn listen(&mut self, heard: &Heard, out: &mut Vec<f32>) -> Result<(), Error> {
        let is_new = feed(self.audio2mouth.input(MEL), heard.mel);
        if is_new || !std::mem::take(&mut self.has_heard) {
            self.audio2mouth.run()?;
        }
        self.has_heard = true;
        let displacement = self.audio2mouth.output(DISPLACEMENT);
        finite(displacement, self.audio2mouth.name())?;
        out.clear();
        out.extend_from_slice(displacement);
        let (moved, _) = displacement.as_chunks();
        let mouth = Opening::of(moved, &self.geometry.anatomy);
        self.voice.watch(mouth, heard.time_ns);
        out.extend(self.voice.manner().to_array());
        Ok(())
    }

    fn draw(&mut self, sketches: &mut [Sketch]) -> Result<(), Error> {
        let [_, landmarks] = self.geometry.lengths();
        let mut is_new = !std::mem::take(&mut self.has_drawn);
        // Where there are fewer faces than the network takes, the others are anybody's.
        for (index, sketch) in sketches.iter().enumerate() {
            let seen = self.geometry.seen(&sketch.seen);
            for (tensor, values) in [(CROP, seen.crop), (SOURCE, seen.source)] {
                is_new |= feed(self.renderer.input_entry(tensor, index), values);
            }
            self.moved.clear();
            let (displacement, voice) = heard_parts(&sketch.heard, landmarks);
            self.moved.extend_from_slice(displacement);
            let articulation = articulated(&sketch.look, seen.manner, voice);
            let anatomy = &self.geometry.anatomy;
            let source = match sketch.look.articulation {
                Some(_) => SourceLips::default(),
                None => Manner::from_slice(seen.manner)
                    .over(anatomy.closing.gap(seen.source.as_chunks().0)),
            };
            let (moved, gaps) = (&mut self.moved, &mut self.gaps);
            articulation::apply(&articulation, &source, anatomy, moved, gaps);
            let target = self.renderer.input_entry(TARGET, index);
            is_new |= aim(&sketch.look, &seen, self.moved.as_flattened(), target);
        }
        if is_new {
            self.renderer.run()?;
        }
        self.has_drawn = true;
        for (index, sketch) in sketches.iter_mut().enumerate() {
            sketch.drawn.clear();
            for tensor in [FLOW, ALPHA, RGB] {
                let drawn = self.renderer.output_entry(tensor, index);
                finite(drawn, self.renderer.name())?;
                sketch.drawn.extend_from_slice(drawn);
            }
            let target = self.renderer.input_entry(TARGET, index);
            sketch.drawn.extend_from_slice(target);
            let manner = self.geometry.seen(&sketch.seen).manner;
            let (_, voice) = heard_parts(&sketch.heard, landmarks);
            let Articulation { opening, spread } = articulated(&sketch.look, manner, voice);
            sketch.drawn.extend([opening, spread]);
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.voice.forget();
    }
}

/// Parts of [`Sketch::heard`]: displacements, and how the voice moves mouths.
fn heard_parts(heard: &[f32], landmarks: usize) -> (&[[f32; 2]], Manner) {
    let (displacement, voice) = heard.split_at(landmarks.min(heard.len()));
    (displacement.as_chunks().0, Manner::from_slice(voice))
}

/// What the movement of a mouth is changed by whose own moves in this `manner`.
fn articulated(look: &Look, manner: &[f32], voice: Manner) -> Articulation {
    match look.articulation {
        Some(opening) => Articulation {
            opening,
            ..Articulation::USUAL
        },
        None => articulation::between(Manner::from_slice(manner), voice),
    }
}

/// Fills the input of a network. Whether anything has changed.
fn feed(input: &mut [f32], values: &[f32]) -> bool {
    let is_new = input != values;
    if is_new {
        input.copy_from_slice(values);
    }
    is_new
}

/// Writes the wanted landmarks. Whether any has changed.
fn aim(look: &Look, seen: &Seen<&[f32]>, displacement: &[f32], target: &mut [f32]) -> bool {
    // Up to 1 the strength leads from the mouth as filmed to the mouth as heard, beyond it
    // exaggerates the movement.
    let (share, gain) = (look.strength.clamp(0.0, 1.0), look.strength.max(1.0));
    let parts = seen.source.iter().zip(seen.rest).zip(displacement);
    let mut is_new = false;
    for (out, ((source, rest), displacement)) in target.iter_mut().zip(parts) {
        let heard = rest + gain * look.activity * displacement;
        let aimed = source + share * (heard - source);
        is_new |= *out != aimed;
        *out = aimed;
    }
    is_new
}

/// One face, aligned with the canonical one. [`Spot::pixels`] is `[3, size, size]`: the share of each
/// canonical pixel that nothing is in front of, the same where it belongs to the face, and how far it
/// may follow the mouth; then, where the inside of mouths is remembered, a [`Scene`].
struct Aligned {
    geometry: Arc<Geometry>,
    rest_mouth: RestMouth,
    /// How the person's own mouth moves.
    own: Learner,
    source: Vec<[f32; 2]>,
    rest: Vec<[f32; 2]>,
    rigid: Vec<[f32; 2]>,
    occlusion: Occlusion,
    contour: Contour,
    /// R, G, B above the mouth, for `occlusion`.
    light: Vec<f32>,
    blender: Blender,
    /// Soft towards the edges of the crop.
    frame: Vec<f32>,
    frame_feather: f32,
    /// `frame` without what is in front of the mouth and behind the face.
    mask: Vec<f32>,
    flow: Vec<f32>,
    /// What the renderer drew and nothing else stands for.
    alpha: Vec<f32>,
    inner_mouth: Option<InnerMouth>,
    /// Whether glimpses are taken, and whether the last mouth was drawn from one.
    remembers: bool,
    is_remembered: bool,
    /// What the last mouth's movement was changed by.
    articulation: Option<Articulation>,
}

impl Aligned {
    fn new(geometry: Arc<Geometry>, album: Arc<Album>) -> Self {
        let count = geometry.landmarks.len();
        Self {
            rest_mouth: RestMouth::new(count, &geometry.anatomy),
            own: Learner::default(),
            source: vec![[0.0; 2]; count],
            rest: vec![[0.0; 2]; count],
            rigid: vec![[0.0; 2]; geometry.rigid.len()],
            occlusion: Occlusion::new(),
            contour: Contour::new(geometry.size),
            light: vec![0.0; 3 * LIGHT_SIDE * LIGHT_SIDE],
            blender: Blender::new(),
            frame: vec![0.0; geometry.size * geometry.size],
            frame_feather: f32::NAN,
            mask: vec![0.0; geometry.size * geometry.size],
            flow: vec![0.0; 2 * geometry.size * geometry.size],
            alpha: vec![0.0; geometry.size * geometry.size],
            inner_mouth: geometry
                .inner_mouth
                .as_ref()
                .map(|_| InnerMouth::new(album)),
            remembers: true,
            is_remembered: false,
            articulation: None,
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
        // A narrow fade shows as a seam and a wide one costs little movement, so the first half of
        // the way to the widest counts for three quarters of it.
        let feather = feather.clamp(0.0, 1.0);
        let share = feather * (2.0 - feather) * WIDEST_FEATHER;
        // At the edge itself the mask is always 0, so even without a feather no line shows.
        let width = (share * size as f32).max(1.0);
        let fade = |i: usize| smoothstep([0.0, width], i.min(size - 1 - i) as f32);
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
        is_speech: bool,
        seen: &mut Vec<f32>,
        spot: &mut Spot,
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
        spot.to_frame = to_frame;
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

        spot.pixels.clear();
        spot.pixels.resize(3 * size * size, 1.0);
        let (bare, others) = spot.pixels.split_at_mut(size * size);
        self.occlusion.cut_out_of(bare, size);
        face.cover.cut_out_of(bare, size, &to_frame);
        let (mask, freedom) = others.split_at_mut(size * size);
        mask.copy_from_slice(bare);
        self.contour
            .apply(&face.mesh, &to_canonical, size, mask, freedom);

        if face.fresh {
            self.rest_mouth.forget();
        }
        if face.fresh || self.occlusion.of_mouth() < HIDDEN {
            self.rest_mouth
                .update(&self.source, time_ns, &geometry.anatomy, &mut self.rest);
        }
        // A face found anew may be another one, unless it was lost behind what is in front of it.
        let is_known = self.occlusion.has_recognised();
        if !is_known {
            self.own.forget();
        }
        if is_speech && self.occlusion.of_mouth() < HIDDEN {
            let mouth = Opening::of(&self.source, &geometry.anatomy);
            self.own.watch(mouth, time_ns);
        }
        seen.manner.copy_from_slice(&self.own.manner().to_array());
        seen.source.copy_from_slice(self.source.as_flattened());
        seen.rest.copy_from_slice(self.rest.as_flattened());
        if let (Some(inner_mouth), Some(points)) = (&mut self.inner_mouth, &geometry.inner_mouth) {
            if !is_known {
                inner_mouth.meet();
            }
            let frame = mouth::Frame {
                view,
                to_frame: &to_frame,
                crop: seen.crop,
                source: &self.source,
                rest: &self.rest,
                nose: mouth::mean(
                    NOSE_TIP.map(|point| to_canonical.apply(face.mesh.points[point])),
                ),
                bare: &spot.pixels[..size * size],
                time_ns,
            };
            let scene = inner_mouth.look(&frame, points, self.remembers);
            spot.pixels.extend(scene.to_array());
        }
        !self.occlusion.hides_mouth()
    }

    fn paint(
        &mut self,
        view: &mut View,
        _face: Option<&Face>,
        look: &Look,
        spot: &mut Spot,
        drawn: &[f32],
    ) {
        self.feather(look.feather);
        let size = self.geometry.size;
        let Rendered {
            flow,
            alpha,
            rgb,
            target,
            articulation,
        } = self.geometry.rendered(drawn);
        self.articulation = match *articulation {
            [opening, spread] => Some(Articulation { opening, spread }),
            _ => None,
        };
        let (bare, others) = spot.pixels.split_at(size * size);
        let (mask, others) = others.split_at(size * size);
        let (freedom, scene) = others.split_at(size * size);
        for (out, (frame, mask)) in self.mask.iter_mut().zip(self.frame.iter().zip(mask)) {
            *out = frame * mask;
        }
        for (out, flow) in self
            .flow
            .chunks_exact_mut(size * size)
            .zip(flow.chunks_exact(size * size))
        {
            for (out, (flow, freedom)) in out.iter_mut().zip(flow.iter().zip(freedom)) {
                *out = flow * freedom;
            }
        }
        leave_out(bare, &self.flow, size, &mut self.mask);

        self.remembers = look.remembers;
        let mask = &self.mask;
        let inlay = match (&mut self.inner_mouth, &self.geometry.inner_mouth) {
            (Some(inner_mouth), Some(points)) => Scene::from_slice(scene)
                .and_then(|scene| inner_mouth.draw(&scene, &spot.to_frame, target, points, mask)),
            _ => None,
        };
        self.is_remembered = inlay.as_ref().is_some_and(|inlay| inlay.is_remembered);
        // What the inlay stands for is not drawn by the renderer too.
        let left = 1.0 - inlay.as_ref().map_or(0.0, |inlay| inlay.instead);
        for (out, alpha) in self.alpha.iter_mut().zip(alpha) {
            *out = left * alpha;
        }
        let moved = Patch {
            size: [size; 2],
            to_frame: spot.to_frame,
            flow: Some(&self.flow),
            drawn: Some(Drawn {
                rgb,
                alpha: &self.alpha,
            }),
            mask,
        };
        self.blender.blend(view, &moved);
        if let Some(inlay) = inlay {
            self.blender.blend(view, &inlay.patch);
        }
    }

    fn remembered(&self) -> Remembered {
        Remembered {
            glimpses: self.inner_mouth.as_ref().map_or(0, InnerMouth::kept),
            is_drawn: self.is_remembered,
        }
    }

    fn articulation(&self) -> Option<Articulation> {
        self.articulation
    }

    fn reset(&mut self) {
        self.rest_mouth.forget();
        self.own.forget();
        self.occlusion.forget();
        if let Some(inner_mouth) = &mut self.inner_mouth {
            inner_mouth.forget();
        }
    }
}

/// Takes out of the mask what the flow would read from where the face is not `bare`: else what lies
/// over it would be seen twice.
fn leave_out(bare: &[f32], flow: &[f32], size: usize, mask: &mut [f32]) {
    if bare.iter().all(|&bare| bare == 1.0) {
        return;
    }
    let (across, down) = flow.split_at(size * size);
    for (at, mask) in mask.iter_mut().enumerate() {
        let read = [(at % size, across[at]), (at / size, down[at])];
        let [x, y] = read.map(|(at, by)| {
            let nearest = (at as f32 + by + 0.5).max(0.0) as usize;
            nearest.min(size - 1)
        });
        *mask *= bare[y * size + x];
    }
}

/// Of networks whose many operators are done before a sleeping thread is awake: one thread, where
/// nothing else is asked for.
fn small(options: &inference::Options) -> inference::Options {
    inference::Options {
        intra_threads: options.intra_threads.max(1),
        ..options.clone()
    }
}

type Expected<'a> = (&'a str, &'a [usize]);

/// Checks names, order and shapes. An empty shape stands for any.
fn tensors(network: &dyn Network, inputs: &[Expected], outputs: &[Expected]) -> Result<(), Error> {
    let fits = |found: &[inference::TensorInfo], expected: &[Expected]| {
        found.len() == expected.len()
            && found.iter().zip(expected).all(|(found, (name, shape))| {
                found.name == *name
                    && found.element == inference::Element::F32
                    && (shape.is_empty() || found.shape == *shape)
            })
    };
    if fits(network.inputs(), inputs) && fits(network.outputs(), outputs) {
        return Ok(());
    }
    let expected = |tensors: &[Expected]| {
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
        expected: format!("{} -> {}", expected(inputs), expected(outputs)),
    })
}
