//! A region of a frame as an RGB tensor, whatever the frame's format.
//!
//! Must not know who reads the tensor.
//!
//! Each component is averaged at its own resolution over the area that a tensor pixel covers,
//! those together that lie side by side, and the colour matrix is applied once a tensor pixel.
//! Nothing is converted that is not asked for. How the means are found, `window.rs` says.

use crate::pixels::{
    Affine, View,
    frame::layout::Model,
    read::window::{self, Window},
};

/// Fills `out` (planes R, G, B, each `[size, size]`) with `rgb * scale + bias`, rgb being 0..1 up
/// to what the frame's range leaves beyond black and white. Of a high dynamic range, what is
/// brighter than white of standard range becomes that.
///
/// `to_frame` maps tensor pixels to frame pixels; turned, mirrored and stretched as it likes.
/// The frame's edge pixels go on for ever. When the region shrinks, each value is the mean of
/// the area that it covers, up to 15 samples across; otherwise it is bilinear. With a
/// map that is not finite the tensor is black.
pub fn sample(
    view: &View,
    to_frame: &Affine,
    size: usize,
    scale: f32,
    bias: f32,
    out: [&mut [f32]; 3],
) {
    let area = size * size;
    let fits = out.iter().all(|plane| plane.len() >= area);
    debug_assert!(fits);
    if area == 0 || !fits || !to_frame.is_finite() || !view.is_whole() {
        for plane in out {
            plane.fill(bias);
        }
        return;
    }
    let mut out = out.map(|plane| &mut plane[..area]);
    let layout = view.format.layout();
    for grid in layout.grids {
        let window = Window::new(&view.frame_to_grid(grid).after(to_frame));
        for samples in view.bundles(grid).flatten() {
            window::means(&window, &samples, size, &mut out);
        }
    }
    if layout.model == Model::Grey {
        // Whatever is there may be no number.
        out[1..].iter_mut().for_each(|plane| plane.fill(0.0));
    }
    view.colour.decoder(&layout, scale, bias).apply(out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixels::{Colour, Format, Plane, Rows};
    use proptest::prelude::*;

    /// A picture of one plane.
    struct Bytes {
        format: Format,
        width: usize,
        height: usize,
        stride: usize,
        data: Vec<u8>,
    }

    impl Bytes {
        fn new(
            format: Format,
            width: usize,
            height: usize,
            padding: usize,
            byte: impl FnMut(usize) -> u8,
        ) -> Self {
            let channels = match format {
                Format::Gray8 => 1,
                Format::Rgb => 3,
                _ => 4,
            };
            let stride = width * channels + padding;
            Self {
                format,
                width,
                height,
                stride,
                data: (0..stride * height).map(byte).collect(),
            }
        }

        /// The planes of its tensor, one after the other.
        fn seen(&mut self, map: &Affine, size: usize, scale: f32) -> Vec<f32> {
            let none = || Plane {
                data: &mut [],
                stride: 0,
            };
            let plane = Plane {
                data: &mut self.data,
                stride: self.stride,
            };
            let view = View {
                format: self.format,
                width: self.width,
                height: self.height,
                colour: Colour::default(),
                rows: Rows::All,
                planes: [plane, none(), none()],
            };
            let mut rgb = [(); 3].map(|()| vec![0.0; size * size]);
            let [red, green, blue] = &mut rgb;
            sample(&view, map, size, scale, 0.0, [red, green, blue]);
            rgb.concat()
        }
    }

    /// The mean under a window at a tensor pixel, sample by sample.
    fn mean(picture: &Bytes, lane: usize, map: &Affine, [x, y]: [f64; 2]) -> f64 {
        let step = match picture.format {
            Format::Gray8 => 1,
            Format::Rgb => 3,
            _ => 4,
        };
        let [a, b, c, d, tx, ty] = [map.a, map.b, map.c, map.d, map.tx, map.ty].map(f64::from);
        let ends = |along: f64, across: f64, middle: f64| {
            let half = along.hypot(across).round().clamp(1.0, 15.0) / 2.0;
            [middle + 0.5 - half, middle + 0.5 + half]
        };
        let columns = ends(a, b, a * x + b * y + tx);
        let rows = ends(c, d, c * x + d * y + ty);
        let covered = |[start, end]: [f64; 2]| {
            (start.floor() as i64..end.ceil() as i64).map(move |at| {
                let part = (at as f64 + 1.0).min(end) - (at as f64).max(start);
                (at, part / (end - start))
            })
        };
        let within = |at: i64, length: usize| at.clamp(0, length as i64 - 1) as usize;
        let sum: f64 = covered(rows)
            .flat_map(|row| covered(columns).map(move |column| (row, column)))
            .map(|((y, down), (x, across))| {
                let row = within(y, picture.height) * picture.stride;
                let value = picture.data[row + within(x, picture.width) * step + lane];
                f64::from(value) * down * across
            })
            .sum();
        sum / 255.0
    }

    proptest! {
        #[test]
        fn every_value_is_the_mean_under_its_window(
            format in prop::sample::select(vec![Format::Rgba, Format::Rgb]),
            (width, height) in (1usize..90, 1usize..90),
            scale in prop_oneof![0.2f32..3.0, 3.0f32..30.0],
            stretch in 0.5f32..2.0,
            angle in prop_oneof![-4f32..4.0, Just(0.0)],
            (x, y) in (-20f32..110.0, -20f32..110.0),
            size in 1usize..40,
            seed in any::<u64>(),
        ) {
            let mut random = fastrand::Rng::with_seed(seed);
            let byte = |_| random.u8(..);
            let mut picture = Bytes::new(format, width, height, 3, byte);
            let (sin, cos) = angle.sin_cos();
            let half = (size - 1) as f32 / 2.0 * scale;
            let map = Affine {
                a: scale * cos,
                b: -scale * stretch * sin,
                c: scale * sin,
                d: scale * stretch * cos,
                tx: x - half,
                ty: y - half,
            };
            let seen = picture.seen(&map, size, 1.0);
            for (index, value) in seen.into_iter().enumerate() {
                let (lane, pixel) = (index / (size * size), index % (size * size));
                let place = [pixel % size, pixel / size].map(|at| at as f64);
                let expected = mean(&picture, lane, &map, place);
                prop_assert!((f64::from(value) - expected).abs() < 1e-3, "{value} {expected}");
            }
        }

        /// A map that is turned by next to nothing takes the other way to the same values.
        #[test]
        fn an_upright_region_is_what_a_turned_one_is(
            format in prop::sample::select(vec![Format::Gray8, Format::Bgra, Format::Rgb]),
            (width, height) in (1usize..700, 1usize..60),
            (a, d) in prop_oneof![(1.5f32..40.0, 0.4f32..40.0), (0.2f32..1.49, 0.2f32..1.49)],
            (tx, ty) in (-50f32..400.0, -50f32..80.0),
            seed in any::<u64>(),
        ) {
            let mut random = fastrand::Rng::with_seed(seed);
            let byte = |_| random.u8(..);
            let mut picture = Bytes::new(format, width, height, 5, byte);
            let mut see = |b: f32| picture.seen(&Affine { a, b, c: 0.0, d, tx, ty }, 9, 1.0);
            // Two units of the fixed point a row.
            let turned = see(2f32.powi(-23));
            for (upright, turned) in see(0.0).iter().zip(turned) {
                prop_assert!((upright - turned).abs() < 1e-4, "{upright} {turned}");
            }
        }

        /// Whole samples are copied, and a map beside them by next to nothing takes the other way
        /// to the same values.
        #[test]
        fn whole_samples_are_what_those_next_to_them_are(
            format in prop::sample::select(vec![Format::Gray8, Format::Bgra, Format::Rgb]),
            (width, height) in (1usize..30, 1usize..30),
            (tx, ty) in (-40i8..40, -40i8..40),
            seed in any::<u8>(),
        ) {
            let byte = |at| (at as u8).wrapping_mul(37) ^ seed;
            let mut picture = Bytes::new(format, width, height, 0, byte);
            let mut see = |b: f32| {
                let map = Affine { b, tx: tx.into(), ty: ty.into(), ..Affine::IDENTITY };
                picture.seen(&map, 13, 255.0)
            };
            for (copied, other) in see(0.0).iter().zip(see(2f32.powi(-23))) {
                prop_assert!((copied - other).abs() < 1e-3, "{copied} {other}");
            }
        }
    }
}
