//! Any picture, any map, any patch: nothing is written where no component lies, nothing panics.
#![no_main]

use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};
use lipsync_core::pixels::{
    Affine, Blender, Drawn, Patch, Rows,
    read::{
        opencv_resize::{Extent, Resizer, Scale},
        sample,
    },
    write::draw::Pen,
};

#[path = "../../tests/support/frames.rs"]
#[allow(dead_code)]
mod frames;

use frames::{COLOURS, FORMATS, Frame, parts};

/// Largest sides, so that a run stays short.
const FRAME: usize = 160;
const PATCH: usize = 40;

#[derive(Arbitrary, Debug)]
struct Picture {
    format: u8,
    colour: u8,
    width: u8,
    height: u8,
    padding: u8,
    seed: u32,
    rows: u8,
    /// Bytes that a plane lacks at its end, and of which one.
    lacks: Option<(u8, u8)>,
}

#[derive(Arbitrary, Debug)]
enum Work {
    Sample {
        size: u8,
        map: Map,
        scale: f32,
        bias: f32,
    },
    Blend {
        size: u8,
        map: Map,
        flow: Option<Wave>,
        drawn: Option<(Wave, Wave)>,
        mask: Wave,
        /// Values that the maps lack.
        short: u8,
    },
    Draw(Vec<Stroke>),
    Resize {
        from: [u8; 2],
        to: [u8; 2],
        apart: [u8; 2],
        scale: u8,
        values: Wave,
    },
}

/// Near a real one, or of any bits.
#[derive(Arbitrary, Debug)]
enum Map {
    Near { scale: u8, turn: u8, at: [i8; 2] },
    Any([f32; 6]),
}

impl Map {
    fn affine(&self) -> Affine {
        match *self {
            Self::Near {
                scale,
                turn,
                at: [x, y],
            } => {
                let (sin, cos) = (f32::from(turn) / 40.0).sin_cos();
                let scale = f32::from(scale) / 32.0;
                Affine {
                    a: scale * cos,
                    b: -scale * sin,
                    c: scale * sin,
                    d: scale * cos,
                    tx: f32::from(x),
                    ty: f32::from(y),
                }
            }
            Self::Any([a, b, c, d, tx, ty]) => Affine { a, b, c, d, tx, ty },
        }
    }
}

/// Values of a map: a wave, with one of any bits in it.
#[derive(Arbitrary, Debug)]
struct Wave {
    height: f32,
    length: u8,
    strange: Option<(u16, f32)>,
}

impl Wave {
    fn values(&self, count: usize) -> Vec<f32> {
        let length = f32::from(self.length.max(1)) / 16.0;
        let mut values: Vec<f32> = (0..count)
            .map(|index| self.height * (index as f32 / length).sin())
            .collect();
        if let Some((at, value)) = self.strange
            && count > 0
        {
            values[usize::from(at) % count] = value;
        }
        values
    }
}

#[derive(Arbitrary, Debug)]
enum Stroke {
    Fill([i32; 4]),
    Rectangle([f32; 4]),
    Points(Vec<[f32; 2]>),
    Line([f32; 2], [f32; 2]),
    Cross([f32; 2], i32),
    Bar([i32; 4], f32),
    Text(i32, i32, String),
}

fuzz_target!(|input: (Picture, u8, Vec<Work>)| {
    let (picture, width, works) = input;
    let side = |value: u8| usize::from(value) % FRAME + 1;
    let rows = [Rows::All, Rows::Top, Rows::Bottom][usize::from(picture.rows) % 3];
    let mut frame = Frame::noise_in(
        rows,
        FORMATS[usize::from(picture.format) % FORMATS.len()],
        [side(picture.width), side(picture.height)],
        usize::from(picture.padding),
        picture.seed,
    );
    frame.colour = COLOURS[usize::from(picture.colour) % COLOURS.len()];
    if let Some((plane, lacks)) = picture.lacks {
        let plane = &mut frame.planes[usize::from(plane) % 3];
        plane.truncate(plane.len().saturating_sub(usize::from(lacks)));
    }
    let before = frame.clone();
    for work in works.iter().take(4) {
        work_on(&mut frame, work, width);
    }
    assert!(unused(&before).eq(unused(&frame)), "between the samples");
});

fn work_on(frame: &mut Frame, work: &Work, width: u8) {
    match work {
        Work::Sample {
            size,
            map,
            scale,
            bias,
        } => {
            let size = usize::from(*size) % (PATCH + 1);
            let mut out = [(); 3].map(|()| vec![0.0; size * size]);
            let [red, green, blue] = &mut out;
            let map = map.affine();
            sample(&frame.view(), &map, size, *scale, *bias, [red, green, blue]);
        }
        Work::Blend {
            size,
            map,
            flow,
            drawn,
            mask,
            short,
        } => {
            let size = usize::from(*size) % (PATCH + 1);
            let area = (size * size).saturating_sub(usize::from(*short));
            let flow = flow.as_ref().map(|flow| flow.values(2 * area));
            let drawn = drawn
                .as_ref()
                .map(|(rgb, alpha)| (rgb.values(3 * area), alpha.values(area)));
            let patch = Patch {
                size: [size; 2],
                to_frame: map.affine(),
                flow: flow.as_deref(),
                drawn: drawn.as_ref().map(|(rgb, alpha)| Drawn { rgb, alpha }),
                mask: &mask.values(area),
            };
            Blender::new().blend(&mut frame.view(), &patch);
        }
        Work::Draw(strokes) => {
            let mut view = frame.view();
            let mut pen = Pen::new(&mut view, [1.0, 0.5, 0.0], i32::from(width));
            for stroke in strokes.iter().take(8) {
                match stroke {
                    Stroke::Fill(corners) => pen.fill(*corners),
                    Stroke::Rectangle(corners) => pen.rectangle(*corners),
                    Stroke::Points(points) => pen.points(points),
                    Stroke::Line(from, to) => pen.line(*from, *to),
                    Stroke::Cross(at, arm) => pen.cross(*at, *arm),
                    Stroke::Bar(corners, level) => pen.bar(*corners, *level),
                    Stroke::Text(x, y, text) => pen.text(*x, *y, text),
                }
            }
        }
        Work::Resize {
            from,
            to,
            apart,
            scale,
            values,
        } => {
            let extent = |[width, height]: [u8; 2], apart: u8| Extent {
                width: usize::from(width),
                height: usize::from(height),
                stride: usize::from(width) + usize::from(apart),
            };
            let (from, to) = (extent(*from, apart[0]), extent(*to, apart[1]));
            let room = |extent: &Extent| extent.stride * extent.height;
            let scale = [Scale::Linear, Scale::Cubic, Scale::Area][usize::from(*scale) % 3];
            let mut target = vec![0.0; room(&to)];
            let mut resizer = Resizer::default();
            resizer.prepare(&from, &to, scale);
            let values: Vec<f32> = values
                .values(room(&from))
                .iter()
                .map(|value| value.clamp(0.0, 255.0))
                .collect();
            resizer.plane(&values, &from, &mut target, &to);
        }
    }
}

/// Planes with zeros in the bits that belong to a component that is looked at.
fn unused(frame: &Frame) -> impl Iterator<Item = u8> {
    let mut taken = frame.planes.clone().map(|plane| vec![0; plane.len()]);
    for part in parts(frame.format) {
        let [columns, rows] = frame.size(part);
        for y in 0..rows {
            for x in 0..columns {
                frame.mark(part, x, y, &mut taken);
            }
        }
    }
    let planes = frame.planes.clone().into_iter().zip(taken);
    planes.flat_map(|(plane, taken)| {
        let bytes = plane.into_iter().zip(taken);
        bytes.map(|(byte, taken)| byte & !taken)
    })
}
