//! Real pictures for tests, and ways to move them.

// Each test program uses its part.
#![allow(dead_code)]

use std::path::Path;

use gst::prelude::*;

use lipsync_core::{
    Error,
    face::Face,
    generator::{Generator, Look, Sketch, Spot},
    pixels::{Affine, Colour, Format, Plane, Rows, View},
};

/// A picture of RGB bytes without padding.
#[derive(Clone)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    pub data: Vec<u8>,
}

impl Picture {
    /// One of the demo's media; `None`, with the reason printed, when it is not there.
    pub fn load(name: &str) -> Option<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("media")
            .join(name);
        if !path.is_file() {
            println!("skipped: no {}", path.display());
            return None;
        }
        let image = image::open(&path).expect("a picture").into_rgb8();
        Some(Self {
            width: image.width() as usize,
            height: image.height() as usize,
            data: image.into_raw(),
        })
    }

    pub fn filled(width: usize, height: usize, mut value: impl FnMut() -> u8) -> Self {
        Self {
            width,
            height,
            data: (0..width * height * 3).map(|_| value()).collect(),
        }
    }

    pub fn view(&mut self) -> View<'_> {
        View {
            format: Format::Rgb,
            width: self.width,
            height: self.height,
            colour: Colour::default(),
            rows: Rows::All,
            planes: [
                Plane {
                    data: &mut self.data,
                    stride: self.width * 3,
                },
                Plane {
                    data: &mut [],
                    stride: 0,
                },
                Plane {
                    data: &mut [],
                    stride: 0,
                },
            ],
        }
    }

    /// A picture of another size in which this one lies as `to_here` says: from the new
    /// picture's pixels to this one's. Bilinear, averaged when it shrinks; grey around.
    pub fn moved(&self, width: usize, height: usize, to_here: &Affine) -> Self {
        let samples = (to_here.scale().ceil() as usize).clamp(1, 8);
        let mut data = Vec::with_capacity(width * height * 3);
        for y in 0..height {
            for x in 0..width {
                let mut sum = [0.0; 3];
                for i in 0..samples * samples {
                    let offset = |i: usize| (i as f32 + 0.5) / samples as f32 - 0.5;
                    let (dx, dy) = (offset(i % samples), offset(i / samples));
                    let place = to_here.apply([x as f32 + dx, y as f32 + dy]);
                    for (sum, value) in sum.iter_mut().zip(self.at(place)) {
                        *sum += value / (samples * samples) as f32;
                    }
                }
                data.extend(sum.map(|value| value.round() as u8));
            }
        }
        Self {
            width,
            height,
            data,
        }
    }

    /// Puts another picture into this one, its top left corner at `left`, `top`; what reaches out is
    /// cut off.
    pub fn paste(&mut self, other: &Self, left: usize, top: usize) {
        let columns = other.width.min(self.width.saturating_sub(left));
        let rows = other.data.chunks_exact(other.width * 3);
        for (y, row) in rows.enumerate().take(self.height.saturating_sub(top)) {
            let start = ((top + y) * self.width + left) * 3;
            self.data[start..start + columns * 3].copy_from_slice(&row[..columns * 3]);
        }
    }

    fn at(&self, [x, y]: [f32; 2]) -> [f32; 3] {
        let (left, top) = (x.floor(), y.floor());
        let (fx, fy) = (x - left, y - top);
        let pixel = |x: f32, y: f32| {
            let inside = x >= 0.0 && y >= 0.0 && x < self.width as f32 && y < self.height as f32;
            let start = inside.then(|| (y as usize * self.width + x as usize) * 3);
            std::array::from_fn::<f32, 3, _>(|i| start.map_or(128.0, |s| self.data[s + i].into()))
        };
        let corners = [
            (pixel(left, top), (1.0 - fx) * (1.0 - fy)),
            (pixel(left + 1.0, top), fx * (1.0 - fy)),
            (pixel(left, top + 1.0), (1.0 - fx) * fy),
            (pixel(left + 1.0, top + 1.0), fx * fy),
        ];
        std::array::from_fn(|i| {
            corners
                .iter()
                .map(|(pixel, weight)| pixel[i] * weight)
                .sum()
        })
    }

    /// For eyes: a PNG.
    pub fn save(&self, path: &Path) {
        let (width, height) = (self.width as u32, self.height as u32);
        image::RgbImage::from_raw(width, height, self.data.clone())
            .expect("bytes for all pixels")
            .save(path)
            .expect("a place to write to");
    }
}

/// Redraws one face for what is `heard`, with a brush that has seen no frame before.
pub fn redraw(
    generator: &mut dyn Generator,
    picture: &mut Picture,
    face: Option<&Face>,
    look: &Look,
    heard: &[f32],
) -> Result<(), Error> {
    let mut brush = generator.brushes()();
    let mut sketch = Sketch {
        look: *look,
        heard: heard.to_vec(),
        ..Sketch::default()
    };
    let mut spot = Spot::default();
    if brush.sample(&picture.view(), face, 0, true, &mut sketch.seen, &mut spot) {
        generator.draw(std::slice::from_mut(&mut sketch))?;
        brush.paint(&mut picture.view(), face, look, &mut spot, &sketch.drawn);
    }
    Ok(())
}

/// The first frames of a video file, at most `count`, as RGB.
pub fn of_clip(path: &Path, count: usize) -> Vec<Picture> {
    gst::init().unwrap();
    let line = "filesrc name=file ! decodebin ! videoconvert ! video/x-raw,format=RGB ! \
                appsink name=sink sync=false max-buffers=2";
    let pipeline = gst::parse::launch(line).unwrap();
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    let file = pipeline.by_name("file").unwrap();
    file.set_property("location", path.to_str().unwrap());
    let sink = pipeline.by_name("sink").unwrap();
    let sink = sink.downcast::<gst_app::AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let mut pictures = Vec::new();
    while pictures.len() < count
        && let Some(sample) = sink.try_pull_sample(gst::ClockTime::from_seconds(10))
    {
        let info = gst_video::VideoInfo::from_caps(sample.caps().unwrap()).unwrap();
        let map = sample.buffer().unwrap().map_readable().unwrap();
        let (width, stride) = (info.width() as usize, info.stride()[0] as usize);
        let rows = map.chunks(stride).take(info.height() as usize);
        pictures.push(Picture {
            width,
            height: info.height() as usize,
            data: rows.flat_map(|row| row[..width * 3].to_vec()).collect(),
        });
    }
    pipeline.set_state(gst::State::Null).unwrap();
    pictures
}
