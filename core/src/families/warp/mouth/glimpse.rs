//! One look at a person's open mouth: whether it is worth remembering, and its pixels.
//!
//! Must not know other looks.

use super::{
    contours::Contours,
    points::Points,
    scene::{Scene, luma},
    sharpness::Gauge,
    trace::{Traced, Tracer, inside, quantile},
};
use crate::{
    generator::smoothstep,
    pixels::{Affine, View, sample},
};

/// Side of the square that is looked at closely, in canonical pixels, and in samples.
pub const CLOSE_SIDE: f32 = 64.0;
pub const CLOSE_SIZE: usize = 128;

/// Width and height of what is kept at most, in canonical pixels, and how far it goes beyond the opening.
const KEPT: [f32; 2] = [52.0, 34.0];
const BEYOND: f32 = 1.5;
/// Most frame pixels for each canonical one that are kept.
pub const FINEST: f32 = 6.0;
/// Teeth are not much redder (ln R/G) than the skin in the same light; what is, is lip or tongue.
const REDDEST: f32 = 0.12;
/// A contour less clear than this is none.
const LEAST_CERTAINTY: f32 = 0.45;

/// The square round a mouth, two samples for each canonical pixel.
pub struct CloseUp {
    /// R, G, B, 0..1.
    pub planes: [Vec<f32>; 3],
    /// Place of the first sample in the canonical picture.
    origin: [f32; 2],
}

impl CloseUp {
    pub fn new() -> Self {
        let plane = || vec![0.0; CLOSE_SIZE * CLOSE_SIZE];
        Self {
            planes: [plane(), plane(), plane()],
            origin: [0.0; 2],
        }
    }

    /// Looks at the square round `centre`.
    pub fn look(&mut self, view: &View, to_frame: &Affine, centre: [f32; 2]) {
        self.origin = centre.map(|at| at - 0.5 * CLOSE_SIDE);
        let map = to_frame.after(&scaled(CLOSE_SIDE / CLOSE_SIZE as f32, self.origin));
        let [red, green, blue] = &mut self.planes;
        sample(view, &map, CLOSE_SIZE, 1.0, 0.0, [red, green, blue]);
    }

    /// Canonical x of a column of samples, and back.
    pub fn x(&self, column: f32) -> f32 {
        self.origin[0] + column * CLOSE_SIDE / CLOSE_SIZE as f32
    }

    pub fn column(&self, x: f32) -> f32 {
        (x - self.origin[0]) * CLOSE_SIZE as f32 / CLOSE_SIDE
    }

    fn y(&self, row: f32) -> f32 {
        self.origin[1] + row * CLOSE_SIDE / CLOSE_SIZE as f32
    }

    /// A value of a plane of samples at a column and a canonical height.
    pub fn at(&self, plane: &[f32], column: usize, y: f32) -> f32 {
        let row = (y - self.origin[1]) * CLOSE_SIZE as f32 / CLOSE_SIDE;
        let row = row.clamp(0.0, (CLOSE_SIZE - 1) as f32);
        let first = (row as usize).min(CLOSE_SIZE - 2);
        let share = row - first as f32;
        let [upper, lower] = [first, first + 1].map(|row| plane[row * CLOSE_SIZE + column]);
        upper + share * (lower - upper)
    }
}

/// From pixels `step` canonical ones apart, the first at `origin`, to canonical ones.
pub fn scaled(step: f32, origin: [f32; 2]) -> Affine {
    Affine {
        a: step,
        d: step,
        tx: origin[0],
        ty: origin[1],
        ..Affine::IDENTITY
    }
}

/// How a mouth is open, so that looks at it can be compared: lips from the skull, from the jaw,
/// width, how far the jaw is down, how the head is turned.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shape {
    pub upper: f32,
    pub lower: f32,
    pub width: f32,
    pub jaw: f32,
    pub nose: [f32; 2],
}

impl Shape {
    /// `jaw` is how much lower than at rest it is ([`Points::jaw`]).
    pub fn new(contours: &Contours, jaw: f32, nose: [f32; 2]) -> Self {
        let [upper, lower] = contours.midst();
        let skull = skull(nose)[1];
        Self {
            upper: upper - skull,
            lower: lower - skull - jaw,
            width: contours.width(),
            jaw,
            nose,
        }
    }

    /// Where the skull has taken its teeth, as far as the face's alignment does not follow it.
    pub fn skull(&self) -> [f32; 2] {
        skull(self.nose)
    }
}

/// Teeth go with a share of the nose's way: its tip is further before the axis of the head.
fn skull([x, y]: [f32; 2]) -> [f32; 2] {
    /// The tip of a nose that points to the camera.
    const AHEAD: [f32; 2] = [47.5, 3.8];
    [0.28 * (x - AHEAD[0]), 0.55 * (y - AHEAD[1])]
}

/// A look that is remembered.
#[derive(Clone, Default)]
pub struct Glimpse {
    /// R, G, B of each pixel, 0 = black .. 65535 = white, and a 0 that makes it quick to read.
    pub pixels: Vec<[u16; 4]>,
    pub size: [usize; 2],
    /// Pixels for each canonical one, and the canonical place of the first.
    pub scale: f32,
    pub origin: [f32; 2],
    pub contours: Contours,
    pub shape: Shape,
    /// Of lit skin.
    pub light: [f32; 3],
    /// Of the teeth, as shares of `light`.
    pub teeth: [f32; 3],
    /// How sharp, still and frontal it is.
    pub quality: f32,
    /// Tells it from all others.
    pub number: u64,
}

/// Takes glimpses. Its memory is kept.
pub struct Looker {
    close: CloseUp,
    gauge: Gauge,
    tracer: Tracer,
    values: Vec<f32>,
    planes: [Vec<f32>; 3],
}

/// What is looked at.
pub struct Sight<'a, 'v> {
    pub view: &'a View<'v>,
    pub to_frame: &'a Affine,
    /// Canonical landmarks of the frame's own mouth.
    pub source: &'a [[f32; 2]],
    pub scene: &'a Scene,
    /// By how many pixels lips move from one frame to the next.
    pub speed: f32,
}

impl Looker {
    pub fn new() -> Self {
        Self {
            close: CloseUp::new(),
            gauge: Gauge::new(),
            tracer: Tracer::new(),
            values: Vec::with_capacity(CLOSE_SIZE * CLOSE_SIZE),
            planes: [Vec::new(), Vec::new(), Vec::new()],
        }
    }

    /// Looks closely at a mouth with these contours, as the mesh has them.
    pub fn look(&mut self, sight: &Sight, contours: &Contours) {
        let [upper, lower] = contours.midst();
        let centre = [contours.middle(), 0.5 * (upper + lower)];
        self.close.look(sight.view, sight.to_frame, centre);
    }

    /// How blurred what was looked at is: see [`Gauge::blur`].
    pub fn blur(&mut self) -> Option<f32> {
        self.gauge.blur(&self.close)
    }

    /// The contours of an open mouth, looked at, as its colours have them.
    pub fn trace(&mut self, sight: &Sight, points: &Points) -> Option<Traced> {
        let traced = self.tracer.trace(&self.close, sight.source, points)?;
        (traced.certainty >= LEAST_CERTAINTY).then_some(traced)
    }

    /// Takes a glimpse of what was looked at into `out`. False where there is nothing to remember: no clear contour, no
    /// teeth.
    pub fn take(&mut self, sight: &Sight, points: &Points, out: &mut Glimpse) -> bool {
        let Some(traced) = self.trace(sight, points) else {
            return false;
        };
        let Some([sharpness, teeth @ ..]) = self.judge(&traced) else {
            return false;
        };
        let scene = sight.scene;
        let teeth = [0, 1, 2].map(|i| teeth[i] / scene.skin[i].max(0.016));
        if teeth[0] > teeth[1] * REDDEST.exp() {
            return false;
        }
        let jaw = points.jaw(sight.source) - scene.jaw;
        out.shape = Shape::new(&traced.contours, jaw, scene.nose);
        out.light = scene.skin;
        out.teeth = teeth;
        out.quality = sharpness * traced.certainty / (1.0 + sight.speed);
        out.contours = traced.contours;
        self.copy(sight, out);
        true
    }

    /// How sharp the teeth are, and their colour. `None` where there are none.
    fn judge(&mut self, traced: &Traced) -> Option<[f32; 4]> {
        let Self { close, values, .. } = self;
        const MARGIN: f32 = 0.8;
        let tones = |at: usize| {
            let colour = [0, 1, 2].map(|channel| close.planes[channel][at]);
            let red = ((colour[0] + 4.0 / 255.0) / (colour[1] + 4.0 / 255.0)).ln();
            (luma(colour), red)
        };
        let places = || {
            (CLOSE_SIZE..CLOSE_SIZE * (CLOSE_SIZE - 1)).filter(|at| {
                let [column, row] = [at % CLOSE_SIZE, at / CLOSE_SIZE].map(|at| at as f32);
                inside(
                    &traced.contours,
                    [close.x(column), close.y(row)],
                    MARGIN,
                    0.5,
                ) > 0.5
            })
        };
        values.clear();
        values.extend(places().map(|at| tones(at).0));
        const LEAST_AREA: usize = 48;
        if values.len() < LEAST_AREA {
            return None;
        }
        let bright = quantile(values, 0.93);
        values.clear();
        values.extend(
            places()
                .map(tones)
                .filter(|(luma, _)| *luma > 0.75 * bright)
                .map(|(_, red)| red),
        );
        let red = quantile(values, 0.3);
        if traced.lip_red - red < 0.12 || bright < 0.55 * traced.lip_luma {
            return None;
        }
        let (middle, way) = (
            red + 0.45 * (traced.lip_red - red),
            0.25 * (traced.lip_red - red),
        );
        let (mut edges, mut area) = (0.0, 0.0);
        let (mut colour, mut weights) = ([0.0; 3], 0.0);
        for at in places() {
            let (light, red) = tones(at);
            let pale = 1.0 - smoothstep([middle - way, middle + way], red);
            let tooth = pale * smoothstep([0.42 * bright, 0.68 * bright], light);
            if tooth > 0.3 {
                let green = &close.planes[1];
                let [right, left] = [green[at + 1], green[at - 1]];
                let [below, above] = [green[at + CLOSE_SIZE], green[at - CLOSE_SIZE]];
                edges += (right - left) * (right - left) + (below - above) * (below - above);
                area += 1.0;
            }
            // The brighter half tells the colour.
            let weight = tooth * smoothstep([0.6 * bright, bright], light);
            for (sum, plane) in colour.iter_mut().zip(&close.planes) {
                *sum += weight * plane[at];
            }
            weights += weight;
        }
        if area < 12.0 || weights < 4.0 {
            return None;
        }
        let [red, green, blue] = colour.map(|sum| sum / weights);
        Some([(edges / area).sqrt(), red, green, blue])
    }

    /// Copies the pixels.
    fn copy(&mut self, sight: &Sight, out: &mut Glimpse) {
        let scale = sight.scene.scale.clamp(1.0, FINEST);
        let room = KEPT.map(|length| (length * scale.ceil()) as usize + 1);
        let contours = &out.contours;
        let [top, bottom] = contours.span();
        let length = |length: f32, most: f32| {
            ((length + 2.0 * BEYOND).clamp(4.0, most) * scale).ceil() as usize
        };
        let rows = length(bottom - top, KEPT[1]);
        let side = length(contours.width(), KEPT[0]).max(rows);
        let middle = [contours.middle(), 0.5 * (top + bottom)];
        let half = 0.5 * (side - 1) as f32 / scale;
        let origin = middle.map(|at| at - half);
        // A mouth that is seen wider open is to find room.
        for plane in &mut self.planes {
            plane.reserve((room[0] * room[0]).saturating_sub(plane.len()));
            plane.resize(side * side, 0.0);
        }
        let map = sight.to_frame.after(&scaled(scale.recip(), origin));
        let [red, green, blue] = &mut self.planes;
        sample(sight.view, &map, side, 1.0, 0.0, [red, green, blue]);
        let skipped = (side - rows) / 2;
        let kept = skipped * side..(skipped + rows) * side;
        let [red, green, blue] = &self.planes;
        let pixel = |value: f32| (value.clamp(0.0, 1.0) * 65535.0) as u16;
        out.pixels.clear();
        out.pixels.reserve(room[0] * room[1]);
        out.pixels
            .extend(kept.map(|at| [pixel(red[at]), pixel(green[at]), pixel(blue[at]), 0]));
        out.size = [side, rows];
        out.scale = scale;
        out.origin = [origin[0], origin[1] + skipped as f32 / scale];
    }
}

#[cfg(test)]
mod tests {
    use super::{super::points::tests::face, *};
    use crate::pixels::{Colour, Format, Plane, Rows};

    const SCALE: f32 = 3.0;
    const SIDE: usize = 300;
    const SKIN: [u8; 3] = [200, 150, 120];
    const LIPS: [u8; 3] = [170, 90, 90];
    const TEETH: [u8; 3] = [210, 200, 180];

    /// A mouth of flat colours with such a gap, `SCALE` pixels for each canonical one, and between
    /// its lips what `inside` says for the height below the upper one.
    fn picture(gap: f32, inside: impl Fn(f32) -> [u8; 3]) -> Vec<u8> {
        let (landmarks, points) = face(gap);
        let inner = Contours::through(&landmarks, &points.inner);
        let outer = Contours::through(&landmarks, &points.outer);
        let mut data = Vec::with_capacity(3 * SIDE * SIDE);
        for at in 0..SIDE * SIDE {
            let [x, y] = [at % SIDE, at / SIDE].map(|at| at as f32 / SCALE);
            let within = |contours: &Contours| {
                let [upper, lower] = contours.at(x);
                x > contours.left && x < contours.right && y > upper && y < lower
            };
            data.extend(match (within(&inner), within(&outer)) {
                (true, _) => inside(y - inner.at(x)[0]),
                (_, true) => LIPS,
                _ => SKIN,
            });
        }
        data
    }

    /// Takes a glimpse of the picture where the mesh sees the gap `mesh_gap`.
    fn take(data: &mut [u8], mesh_gap: f32) -> Option<Glimpse> {
        let (landmarks, points) = face(mesh_gap);
        let none = || Plane {
            data: &mut [],
            stride: 0,
        };
        let view = View {
            format: Format::Rgb,
            width: SIDE,
            height: SIDE,
            colour: Colour::default(),
            rows: Rows::default(),
            planes: [
                Plane {
                    data,
                    stride: 3 * SIDE,
                },
                none(),
                none(),
            ],
        };
        let scene = Scene {
            scale: SCALE,
            nose: [47.5, 3.8],
            skin: SKIN.map(|value| f32::from(value) / 255.0),
            ..Scene::default()
        };
        let sight = Sight {
            view: &view,
            to_frame: &scaled(SCALE, [0.0; 2]),
            source: &landmarks,
            scene: &scene,
            speed: 0.0,
        };
        let mut looker = Looker::new();
        looker.look(&sight, &Contours::through(&landmarks, &points.inner));
        let mut glimpse = Glimpse::default();
        looker
            .take(&sight, &points, &mut glimpse)
            .then_some(glimpse)
    }

    fn teeth_and_dark(below: f32) -> [u8; 3] {
        match (below < 5.0, below as usize % 4 == 3) {
            (true, false) => TEETH,
            (true, true) => TEETH.map(|value| value - 40),
            _ => [60, 25, 25],
        }
    }

    #[test]
    fn an_open_mouth_is_seen_as_it_is_where_the_mesh_takes_teeth_for_lips() {
        for mesh_gap in [8.0, 10.0, 11.5] {
            let glimpse = take(&mut picture(10.0, teeth_and_dark), mesh_gap).expect("teeth");
            let gap = glimpse.contours.gap();
            assert!(
                (gap - 9.6).abs() < 1.0,
                "{gap} where the mesh sees {mesh_gap}"
            );
            let [red, green, _] = glimpse.teeth;
            assert!(
                (red - 1.05).abs() < 0.1 && (green - 1.33).abs() < 0.15,
                "{red} {green}"
            );
        }
    }

    #[test]
    fn its_pixels_are_the_frames() {
        let data = picture(10.0, teeth_and_dark);
        let glimpse = take(&mut data.clone(), 10.0).expect("teeth");
        assert_eq!(glimpse.scale, SCALE);
        let [width, height] = glimpse.size;
        assert_eq!(glimpse.pixels.len(), width * height);
        for (at, pixel) in glimpse.pixels.iter().enumerate().step_by(701) {
            let place = [at % width, at / width];
            let [x, y] = [0, 1].map(|axis| {
                let canonical = glimpse.origin[axis] + place[axis] as f32 / SCALE;
                canonical * SCALE
            });
            let corner = (y as usize * SIDE + x as usize) * 3;
            let near = [corner, corner + 3, corner + 3 * SIDE, corner + 3 * SIDE + 3];
            for channel in 0..3 {
                let values = near.map(|at| data[at + channel]);
                let [least, most] = [values.iter().min(), values.iter().max()];
                let found = f32::from(pixel[channel]) / 257.0;
                assert!(least.is_some_and(|least| found >= f32::from(*least) - 1.0));
                assert!(most.is_some_and(|most| found <= f32::from(*most) + 1.0));
            }
        }
    }

    #[test]
    fn without_teeth_there_is_nothing_to_remember() {
        assert!(take(&mut picture(10.0, |_| [60, 25, 25]), 10.0).is_none());
        assert!(take(&mut picture(10.0, |_| LIPS), 10.0).is_none());
        assert!(take(&mut vec![128; 3 * SIDE * SIDE], 10.0).is_none());
    }
}
