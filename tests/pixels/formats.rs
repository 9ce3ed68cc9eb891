//! The pixels room against slow, independent arithmetic: every format, odd sizes, padded rows,
//! regions anywhere.

use crate::frames::{
    COLOURS, FORMATS, Frame, around, around_oblong, gradient, is_grey, oval_mask, parts,
    round_mask, stored,
};
use lipsync_core::pixels::{
    Affine, Blender, Colour, Drawn, Format, Patch, Rows, Stamp,
    frame::{
        Transfer,
        colour::{Range, Siting},
    },
    read::{opencv_resize::Extent, sample},
    write::{debug_pen::Pen, stamp},
};
use proptest::prelude::*;

fn format() -> impl Strategy<Value = Format> {
    prop::sample::select(FORMATS.to_vec())
}

fn colour() -> impl Strategy<Value = Colour> {
    prop::sample::select(COLOURS.to_vec())
}

fn sizes(range: std::ops::Range<usize>) -> impl Strategy<Value = [usize; 2]> {
    [range.clone(), range]
}

/// A map of such a width and height, interpolated at patch place (u, v); beyond its outermost pixels it
/// goes on.
fn interpolated(map: &[f32], [width, height]: [usize; 2], u: f64, v: f64) -> f64 {
    let u = u.clamp(0.0, width as f64 - 1.0);
    let v = v.clamp(0.0, height as f64 - 1.0);
    let (x, y) = (u.floor() as usize, v.floor() as usize);
    let (right, down) = (u - x as f64, v - y as f64);
    let at = |x: usize, y: usize| f64::from(map[y.min(height - 1) * width + x.min(width - 1)]);
    let upper = at(x, y) * (1.0 - right) + at(x + 1, y) * right;
    let lower = at(x, y + 1) * (1.0 - right) + at(x + 1, y + 1) * right;
    upper * (1.0 - down) + lower * down
}

fn catmull_rom(t: f64) -> [f64; 4] {
    [
        ((-t + 2.0) * t - 1.0) * t / 2.0,
        ((3.0 * t - 5.0) * t * t + 2.0) / 2.0,
        ((-3.0 * t + 4.0) * t + 1.0) * t / 2.0,
        (t - 1.0) * t * t / 2.0,
    ]
}

/// Patch coordinates of a frame place.
fn in_patch(to_frame: &Affine, [x, y]: [f64; 2]) -> [f64; 2] {
    let [a, b, c, d] = [to_frame.a, to_frame.b, to_frame.c, to_frame.d].map(f64::from);
    let (x, y) = (x - f64::from(to_frame.tx), y - f64::from(to_frame.ty));
    let det = a * d - b * c;
    [(d * x - b * y) / det, (a * y - c * x) / det]
}

fn within(size: [usize; 2], place: [f64; 2], slack: f64) -> bool {
    let covered = size.map(|size| -0.5 - slack..=size as f64 - 0.5 + slack);
    covered
        .iter()
        .zip(place)
        .all(|(covered, at)| covered.contains(&at))
}

/// Bytes of `after` that differ from `before` where the mask leaves nothing, or in bits that belong
/// to no component at all.
fn changed_outside(before: &Frame, after: &Frame, patch: &Patch) -> usize {
    let mut taken = before.planes.clone().map(|plane| vec![0; plane.len()]);
    for part in parts(before.format) {
        let [columns, rows] = before.size(part);
        for (x, y) in (0..rows).flat_map(|y| (0..columns).map(move |x| (x, y))) {
            let place = in_patch(&patch.to_frame, before.centre(part, x, y));
            // Maps are evaluated in single precision: a place next to the mask may count as in it.
            let mut masked = 0.0_f64;
            for (du, dv) in [
                (0.0, 0.0),
                (1e-2, 0.0),
                (-1e-2, 0.0),
                (0.0, 1e-2),
                (0.0, -1e-2),
            ] {
                let place = [place[0] + du, place[1] + dv];
                if within(patch.size, place, 0.0) {
                    masked += interpolated(patch.mask, patch.size, place[0], place[1]);
                }
            }
            if masked > 0.0 {
                before.mark(part, x, y, &mut taken);
            }
        }
    }
    let bytes = before.planes.iter().zip(&after.planes).zip(&taken);
    bytes
        .flat_map(|((before, after), taken)| before.iter().zip(after).zip(taken))
        .filter(|((before, after), taken)| (*before ^ *after) & !*taken != 0)
        .count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_was_sampled_and_is_written_back_changes_nothing(
        format in format(),
        colour in colour(),
        frame_size in sizes(8..64),
        size in 4usize..40,
        scale in 0.75f32..1.3,
        degrees in -180.0f32..180.0,
        centre in [-5.0f32..70.0, -5.0f32..70.0],
    ) {
        let mut frame = Frame::painted(format, frame_size, colour, gradient);
        let before = frame.clone();
        let to_frame = around(scale, degrees, size, centre);
        let rgb = frame.sample(&to_frame, size).concat();
        let patch = Patch {
            size: [size; 2],
            to_frame,
            flow: None,
            drawn: Some(Drawn { rgb: &rgb, alpha: &vec![1.0; size * size] }),
            mask: &round_mask(size),
        };
        Blender::new().blend(&mut frame.view(), &patch);
        prop_assert_eq!(changed_outside(&before, &frame, &patch), 0);
        for part in parts(format) {
            let [columns, rows] = frame.size(part);
            for (x, y) in (0..rows as i64).flat_map(|y| (0..columns as i64).map(move |x| (x, y))) {
                let (was, is) = (before.get(part, x, y), frame.get(part, x, y));
                // At the frame's edge the gradient stops, so interpolation there is not exact.
                let inner = x > 1 && y > 1 && x + 2 < columns as i64 && y + 2 < rows as i64;
                // The patch is not read exactly where it ends: with 16 bits some twenty of 65,535.
                let allowed = if inner { 2.0 + part.step() / 8.0 } else { 6.0 * part.step() };
                prop_assert!((was - is).abs() <= allowed, "{} became {} at {}, {}", was, is, x, y);
            }
        }
    }

    #[test]
    fn no_flow_and_nothing_drawn_leaves_every_byte(
        format in format(),
        frame_size in sizes(1..40),
        padding in 0usize..9,
        seed in any::<u32>(),
        size in sizes(1..30),
        scale in 0.2f32..9.0,
        degrees in -180.0f32..180.0,
        centre in [-20.0f32..60.0, -20.0f32..60.0],
    ) {
        let mut frame = Frame::noise(format, frame_size, padding, seed);
        let before = frame.clone();
        let zeros = vec![0.0; 3 * size[0] * size[1]];
        let patch = Patch {
            size,
            to_frame: around_oblong(scale, degrees, size, centre),
            flow: Some(&zeros),
            drawn: Some(Drawn { rgb: &zeros, alpha: &zeros }),
            mask: &vec![1.0; size[0] * size[1]],
        };
        Blender::new().blend(&mut frame.view(), &patch);
        prop_assert!(before.planes == frame.planes);
    }

    /// Noise, random flow, drawing and mask against the same thing in slow double precision, at
    /// scales where the maps are used as they come.
    #[test]
    fn blending_does_what_its_formula_says(
        format in format(),
        colour in colour(),
        rows in prop::sample::select(vec![Rows::All, Rows::Top, Rows::Bottom]),
        frame_size in sizes(2..40),
        padding in 0usize..9,
        seed in any::<u32>(),
        size in sizes(2..16),
        scale in 0.72f32..4.0,
        degrees in -180.0f32..180.0,
        centre in [-5.0f32..45.0, -5.0f32..45.0],
        waves in [0.0f32..3.0, 0.0f32..3.0],
        strength in 0.0f32..1.0,
    ) {
        let mut frame = Frame::noise_in(rows, format, frame_size, padding, seed);
        frame.colour = colour;
        let before = frame.clone();
        let area = size[0] * size[1];
        let apart = if rows == Rows::All { 1 } else { 2 };
        let flow: Vec<f32> = (0..2 * area)
            .map(|index| waves[index / area] * (index as f32 * 0.7).sin())
            .collect();
        let rgb: Vec<f32> = (0..3 * area).map(|index| (index as f32 * 0.37).sin().abs()).collect();
        let alpha: Vec<f32> = (0..area)
            .map(|index| strength * (index as f32 * 0.21).cos().max(0.0))
            .collect();
        let mask = oval_mask(size);
        let to_frame = around_oblong(scale, degrees, size, centre);
        let patch = Patch {
            size,
            to_frame,
            flow: Some(&flow),
            drawn: Some(Drawn { rgb: &rgb, alpha: &alpha }),
            mask: &mask,
        };
        Blender::new().blend(&mut frame.view(), &patch);
        prop_assert_eq!(changed_outside(&before, &frame, &patch), 0);

        let inks: Vec<Vec<f32>> = (0..3)
            .map(|component| {
                (0..area)
                    .map(|index| {
                        let rgb = [0, 1, 2].map(|plane| f64::from(rgb[plane * area + index]));
                        stored(format, colour, rgb)[component] as f32 * alpha[index]
                    })
                    .collect()
            })
            .collect();
        for (component, part) in parts(format).into_iter().enumerate() {
            let [columns, rows] = frame.size(part);
            for (x, y) in (0..rows).flat_map(|y| (0..columns).map(move |x| (x, y))) {
                let [u, v] = in_patch(&to_frame, before.centre(part, x, y));
                if !within(size, [u, v], -1e-3) {
                    continue;
                }
                let map = |map: &[f32]| interpolated(map, size, u, v);
                let (fx, fy) = (map(&flow[..area]), map(&flow[area..]));
                let place = |at: usize, along: f64, cover: usize| at as f64 + along / cover as f64;
                let dx = f64::from(to_frame.a) * fx + f64::from(to_frame.b) * fy;
                let dy = f64::from(to_frame.c) * fx + f64::from(to_frame.d) * fy;
                let (px, py) = (place(x, dx, part.cover[0]), place(y, dy, apart * part.cover[1]));
                let (wx, wy) = (catmull_rom(px - px.floor()), catmull_rom(py - py.floor()));
                let mut moved = 0.0;
                for (row, wy) in wy.iter().enumerate() {
                    for (column, wx) in wx.iter().enumerate() {
                        let (x, y) = (px.floor() as i64, py.floor() as i64);
                        let value = before.get(part, x - 1 + column as i64, y - 1 + row as i64);
                        moved += value * wx * wy;
                    }
                }
                let was = before.get(part, x as i64, y as i64);
                let (mask, alpha) = (map(&mask), map(&alpha));
                let expected =
                    was * (1.0 - mask) + mask * (moved * (1.0 - alpha) + map(&inks[component]));
                let is = frame.get(part, x as i64, y as i64);
                // Displacements are rounded to 1/256 of a sample, which on noise shows.
                prop_assert!(
                    (expected.clamp(0.0, part.most()) - is).abs() <= 2.0 * part.step(),
                    "component {} at {}, {}: {} expected, {} found", component, x, y, expected, is
                );
            }
        }
    }

    #[test]
    fn a_stamp_is_a_patch_on_whole_pixels(
        format in format(),
        colour in colour(),
        frame_size in sizes(20..40),
        side in 1usize..20,
        at in sizes(0..20),
        strength in prop::sample::select(vec![0.0f32, 0.3, 1.0]),
        seed in any::<u32>(),
    ) {
        let at = [0, 1].map(|axis: usize| at[axis].min(frame_size[axis] - side));
        let before = Frame::noise(format, frame_size, 3, seed);
        // A stamp takes the mean of the pixels that share a sample, wherever it lies among them.
        let colour = Colour { siting: Siting::default(), ..colour };
        let before = Frame { colour, ..before };
        let picture: Vec<f32> = (0..3 * side * side)
            .map(|index| ((index as u32).wrapping_mul(seed | 1) >> 8 & 255) as f32)
            .collect();

        let mut stamped = before.clone();
        let planes: Vec<_> = picture.chunks(side * side).collect();
        stamp(&mut stamped.view(), &Stamp {
            rgb: [planes[0], planes[1], planes[2]],
            extent: Extent::square(side),
            at,
            strength,
        });
        let mut blended = before.clone();
        let rgb: Vec<_> = picture.iter().map(|value| value / 255.0).collect();
        let [tx, ty] = at.map(|at| at as f32);
        Blender::new().blend(&mut blended.view(), &Patch {
            size: [side; 2],
            to_frame: Affine { tx, ty, ..Affine::IDENTITY },
            flow: None,
            drawn: Some(Drawn { rgb: &rgb, alpha: &vec![1.0; side * side] }),
            mask: &vec![strength; side * side],
        });
        // Of four pixels a patch sees but the middle.
        for part in parts(format).into_iter().filter(|part| part.cover[0] <= 2) {
            let [columns, rows] = before.size(part);
            for (x, y) in (0..rows as i64).flat_map(|y| (0..columns as i64).map(move |x| (x, y))) {
                let (stamped, blended) = (stamped.get(part, x, y), blended.get(part, x, y));
                prop_assert!((stamped - blended).abs() <= 1.0, "{stamped} {blended} at {x}, {y}");
            }
        }
        if strength == 0.0 {
            prop_assert_eq!(stamped.planes, before.planes);
        }
    }

    #[test]
    fn a_gradient_is_sampled_exactly(
        format in format(),
        colour in colour(),
        size in 2usize..24,
        scale in 0.3f32..6.0,
        degrees in -180.0f32..180.0,
    ) {
        // Wide enough that the window never meets the frame's edge.
        let frame_size = [251, 249];
        let mut frame = Frame::painted(format, frame_size, colour, |x, y| gradient(x / 3.0, y / 3.0));
        let to_frame = around(scale, degrees, size, [125.0, 124.0]);
        let planes = frame.sample(&to_frame, size);
        for (index, row, column) in (0..size * size).map(|index| (index, index / size, index % size)) {
            let [x, y] = to_frame.apply([column as f32, row as f32]).map(f64::from);
            let mut expected = gradient(x / 3.0, y / 3.0);
            if is_grey(format) {
                let full = Colour { range: Range::Full, ..colour };
                expected = [stored(format, full, expected)[0] / parts(format)[0].most(); 3];
            }
            for (plane, expected) in planes.iter().zip(expected) {
                prop_assert!(
                    (f64::from(plane[index]) - expected).abs() < 2.0 / 255.0,
                    "{} at {}, {} instead of {}", plane[index], x, y, expected
                );
            }
        }
    }

    #[test]
    fn nothing_panics_and_samples_are_finite(
        format in format(),
        frame_size in sizes(1..24),
        padding in 0usize..4,
        size in sizes(0..12),
        map in prop::array::uniform6(wild()),
        values in prop::collection::vec(wild(), 7 * 12 * 12),
    ) {
        let mut frame = Frame::noise(format, frame_size, padding, 3);
        let before = frame.clone();
        let [a, b, c, d, tx, ty] = map;
        let to_frame = Affine { a, b, c, d, tx, ty };
        for plane in frame.sample(&to_frame, size[0]) {
            prop_assert!(plane.iter().all(|value| value.is_finite()));
        }
        prop_assert!(before.planes == frame.planes);
        let area = size[0] * size[1];
        let (flow, rest) = values.split_at(2 * area);
        let (rgb, rest) = rest.split_at(3 * area);
        let (alpha, mask) = rest.split_at(area);
        for short in [0, 1] {
            let patch = Patch {
                size,
                to_frame,
                flow: Some(flow),
                drawn: Some(Drawn { rgb, alpha: &alpha[..area.saturating_sub(short)] }),
                mask,
            };
            Blender::new().blend(&mut frame.view(), &patch);
        }
        let mut view = frame.view();
        let mut pen = Pen::new(&mut view, [a, b, c], 1 + size[0] as i32 / 3);
        pen.rectangle([tx, ty, a, b]);
        pen.line([a, b], [tx, ty]);
        pen.cross([c, d], size[0] as i32);
        pen.bar([tx as i32, ty as i32, a as i32, b as i32], c);
        pen.text(tx as i32, ty as i32, "AZ 0.9 \u{e9}");
    }
}

/// Any number, the awkward ones often.
fn wild() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => -30.0f32..30.0,
        1 => 0.0f32..1.0,
        1 => any::<f32>(),
        1 => prop::sample::select(vec![
            0.0, 1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN_POSITIVE, 1e-30,
        ]),
    ]
}

#[test]
fn whole_pixels_move_exactly() {
    for format in FORMATS {
        let mut frame = Frame::noise(format, [41, 33], 3, 7);
        let before = frame.clone();
        let size = 16;
        let (dx, dy) = (4.0, -2.0);
        let flow = [vec![dx / 1.5; size * size], vec![dy / 1.5; size * size]].concat();
        let to_frame = around(1.5, 0.0, size, [20.5, 16.0]);
        let patch = Patch {
            size: [size; 2],
            to_frame,
            flow: Some(&flow),
            drawn: None,
            mask: &vec![1.0; size * size],
        };
        Blender::new().blend(&mut frame.view(), &patch);
        let mut moved = 0;
        for part in parts(format) {
            let [columns, rows] = frame.size(part);
            for (x, y) in (0..rows).flat_map(|y| (0..columns).map(move |x| (x, y))) {
                if !within(
                    [size; 2],
                    in_patch(&to_frame, frame.centre(part, x, y)),
                    -0.01,
                ) {
                    continue;
                }
                let from = [
                    x as i64 + dx as i64 / part.cover[0] as i64,
                    y as i64 + dy as i64 / part.cover[1] as i64,
                ];
                let is = frame.get(part, x as i64, y as i64);
                assert_eq!(is, before.get(part, from[0], from[1]), "{format:?} {x} {y}");
                moved += 1;
            }
        }
        assert!(moved >= 400, "{format:?}: only {moved} samples moved");
    }
}

/// A ramp of one code a pixel, stretched to twice its width, has every code of what it shows.
#[test]
fn a_moved_ramp_keeps_all_its_levels() {
    let size = 64;
    for format in FORMATS {
        let part = parts(format)[0];
        let mut frame = Frame::noise(format, [160, 80], 0, 3);
        for (x, y) in (0..80).flat_map(|y| (0..160).map(move |x| (x, y))) {
            frame.set(part, x, y, 64 + x as u32);
        }
        let to_frame = around(2.0, 0.0, size, [80.0, 40.0]);
        let middle = (size as f32 - 1.0) / 2.0;
        let mut flow: Vec<f32> = (0..size * size)
            .map(|index| (middle - (index % size) as f32) / 2.0)
            .collect();
        flow.resize(2 * size * size, 0.0);
        let patch = Patch {
            size: [size; 2],
            to_frame,
            flow: Some(&flow),
            drawn: None,
            mask: &vec![1.0; size * size],
        };
        Blender::new().blend(&mut frame.view(), &patch);
        let row: Vec<f64> = (30..130).map(|x| frame.get(part, x, 40)).collect();
        let steps = row.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(
            steps.clone().all(|step| (0.0..=1.0).contains(&step)),
            "{format:?}"
        );
        assert_eq!(steps.sum::<f64>().round(), 49.0, "{format:?}");
    }
}

#[test]
fn high_dynamic_range_is_read_as_standard_and_written_back_as_it_was() {
    let size = 24;
    let dim = |x: f64, y: f64| gradient(x, y).map(|value| value / 2.0);
    for (format, transfer) in [Format::P01010le, Format::V210, Format::I42012le]
        .into_iter()
        .flat_map(|format| [Transfer::Pq, Transfer::Hlg].map(|transfer| (format, transfer)))
    {
        let colour = Colour {
            transfer,
            ..COLOURS[4]
        };
        let mut frame = Frame::painted(format, [64, 48], colour, dim);
        let before = frame.clone();
        let to_frame = around(1.1, 20.0, size, [32.0, 24.0]);
        let rgb = frame.sample(&to_frame, size).concat();
        let patch = |rgb| Patch {
            size: [size; 2],
            to_frame,
            flow: None,
            drawn: Some(Drawn {
                rgb,
                alpha: &[1.0; 24 * 24],
            }),
            mask: &[1.0; 24 * 24],
        };
        Blender::new().blend(&mut frame.view(), &patch(&rgb));
        for part in parts(format) {
            let [columns, rows] = frame.size(part);
            for (x, y) in (0..rows as i64).flat_map(|y| (0..columns as i64).map(move |x| (x, y))) {
                let (was, is) = (before.get(part, x, y), frame.get(part, x, y));
                assert!(
                    (was - is).abs() <= part.step() / 2.0,
                    "{format:?} {transfer:?}: {was} became {is}"
                );
            }
        }
        // White of standard range: 203 cd/m2.
        Blender::new().blend(&mut frame.view(), &patch(&vec![1.0; 3 * size * size]));
        let white = match transfer {
            Transfer::Pq => 0.58,
            _ => 0.75,
        };
        let part = parts(format)[0];
        let signal = (frame.get(part, 32, 24) / part.step() - 16.0) / 219.0;
        assert!((signal - white).abs() < 3e-3, "{transfer:?}: {signal}");
        let seen = frame.sample(&around(1.0, 0.0, 3, [32.0, 24.0]), 3);
        assert!(
            seen.iter().all(|plane| plane[4] > 0.98),
            "{transfer:?}: {seen:?}"
        );
    }
}

#[test]
fn a_field_is_every_second_row_of_its_frame() {
    for (format, rows) in FORMATS
        .into_iter()
        .flat_map(|f| [(f, Rows::Top), (f, Rows::Bottom)])
    {
        let mut field = Frame::noise_in(rows, format, [37, 30], 3, 5);
        let mut whole = Frame {
            rows: Rows::All,
            ..field.clone()
        };
        let patch = Patch {
            size: [12; 2],
            to_frame: around(2.0, 15.0, 12, [18.0, 15.0]),
            flow: Some(&[1.5; 2 * 144]),
            drawn: None,
            mask: &[1.0; 144],
        };
        Blender::new().blend(&mut field.view(), &patch);
        Blender::new().blend(&mut whole.view().field(rows), &patch);
        assert!(field.planes == whole.planes, "{format:?} {rows:?}");
    }
}

/// A frame magnified far more than the maps' resolution: they are made finer, and that changes
/// neither constants nor where the mask ends.
#[test]
fn large_and_small_faces_keep_their_mask() {
    for (scale, size) in [
        (0.2, [64, 64]),
        (0.2, [90, 48]),
        (0.45, [33, 21]),
        (5.0, [24, 30]),
        (13.0, [16, 14]),
    ] {
        let area = size[0] * size[1];
        for format in [Format::I420, Format::Rgb] {
            let mut frame = Frame::noise(format, [201, 190], 2, 11);
            let before = frame.clone();
            let rgb = vec![0.25; 3 * area];
            // An inner rectangle only, so that zeros are inside of the patch too.
            let mask: Vec<f32> = (0..area)
                .map(|index| {
                    let inner = size.map(|size| size / 4..size - size / 4);
                    let inside = inner[0].contains(&(index % size[0]))
                        && inner[1].contains(&(index / size[0]));
                    f32::from(u8::from(inside))
                })
                .collect();
            let patch = Patch {
                size,
                to_frame: around_oblong(scale, 17.0, size, [100.0, 95.0]),
                flow: None,
                drawn: Some(Drawn {
                    rgb: &rgb,
                    alpha: &vec![1.0; area],
                }),
                mask: &mask,
            };
            Blender::new().blend(&mut frame.view(), &patch);
            assert_eq!(changed_outside(&before, &frame, &patch), 0, "{scale}");
            let grey = stored(format, frame.colour, [0.25; 3])[0].round();
            assert_eq!(
                frame.get(parts(format)[0], 100, 95),
                grey,
                "{scale} {format:?}"
            );
        }
    }
}

#[test]
fn drawn_colours_have_their_standard_codes() {
    let size = 8;
    for (format, colour) in FORMATS.into_iter().flat_map(|f| COLOURS.map(|c| (f, c))) {
        for rgb in [
            [1.0, 0.0, 0.0],
            [0.0, 1.0, 0.0],
            [0.1, 0.2, 0.9],
            [1.0; 3],
            [0.0; 3],
        ] {
            let mut frame = Frame::noise(format, [15, 13], 1, 5);
            frame.colour = colour;
            let planes = rgb.map(|value| vec![value; size * size]).concat();
            let patch = Patch {
                size: [size; 2],
                to_frame: around(4.0, 30.0, size, [7.0, 6.0]),
                flow: None,
                drawn: Some(Drawn {
                    rgb: &planes,
                    alpha: &vec![1.0; size * size],
                }),
                mask: &vec![1.0; size * size],
            };
            Blender::new().blend(&mut frame.view(), &patch);
            let codes = stored(format, colour, rgb.map(f64::from));
            for (part, code) in parts(format).into_iter().zip(codes) {
                let found = frame.get(part, 3, 3);
                assert!((found - code).abs() <= 1.0, "{format:?} {colour:?} {rgb:?}");
            }
            let back = frame.sample(&around(1.0, 0.0, 3, [7.0, 6.0]), 3);
            if !is_grey(format) {
                for (plane, value) in back.iter().zip(rgb) {
                    assert!(
                        (plane[4] - value).abs() <= 2.0 / 255.0,
                        "{format:?} {colour:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn formats_agree_on_the_same_picture() {
    let picture = |x: f64, y: f64| {
        [
            0.5 + 0.3 * (x / 9.0).sin() * (y / 11.0).cos(),
            0.5 + 0.25 * (x / 13.0).cos(),
            0.45 + 0.3 * (y / 8.0).sin(),
        ]
    };
    for (scale, degrees) in [(0.7, 10.0), (1.0, 0.0), (1.7, -35.0), (3.4, 90.0)] {
        let to_frame = around(scale, degrees, 32, [60.0, 58.0]);
        let colour = COLOURS[2];
        let expected =
            Frame::painted(Format::Rgb, [121, 117], colour, picture).sample(&to_frame, 32);
        for format in FORMATS {
            let found = Frame::painted(format, [121, 117], colour, picture).sample(&to_frame, 32);
            for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
                if is_grey(format) {
                    continue;
                }
                for (found, expected) in found.iter().zip(expected) {
                    // Rounding of stored values, and chroma at half the resolution.
                    assert!(
                        (found - expected).abs() < 5.0 / 255.0,
                        "{format:?}, plane {index} at scale {scale}: {found} for {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn scale_bias_and_order_of_planes() {
    let mut frame = Frame::painted(Format::Bgrx, [9, 9], Colour::default(), |_, _| {
        [1.0, 0.5, 0.0]
    });
    let mut out = [[0.0_f32; 4]; 3];
    let [r, g, b] = &mut out;
    sample(&frame.view(), &Affine::IDENTITY, 2, 2.0, -1.0, [r, g, b]);
    assert!(out[0].iter().all(|value| (value - 1.0).abs() < 1e-5));
    assert!(out[1].iter().all(|value| value.abs() < 1e-2));
    assert!(out[2].iter().all(|value| (value + 1.0).abs() < 1e-5));
}

/// A fine checkerboard becomes grey when it shrinks, not a coarser checkerboard.
#[test]
fn shrinking_does_not_alias() {
    for (format, scale) in [
        (Format::Gray8, 4.0),
        (Format::Rgb, 3.7),
        (Format::I420, 12.3),
    ] {
        let board = |x: f64, y: f64| [f64::from((x as u32 + y as u32) % 2); 3];
        let mut frame = Frame::painted(format, [256, 256], COLOURS[1], board);
        let planes = frame.sample(&around(scale, 0.0, 16, [127.5; 2]), 16);
        for value in planes.iter().flatten() {
            assert!((value - 0.5).abs() < 0.07, "{format:?} at {scale}: {value}");
        }
    }
}

#[test]
fn a_stamp_is_cut_to_the_frame_and_keeps_to_its_size() {
    // 3 x 2 pixels in rows of 4 values.
    let plane = [10.0, 20.0, 30.0, -1.0, 40.0, 50.0, 60.0];
    let put = |at, length: usize| {
        let mut frame = Frame::painted(Format::Rgb, [4, 4], Colour::default(), |_, _| [0.0; 3]);
        let picture = Stamp {
            rgb: [&plane[..length]; 3],
            extent: Extent {
                width: 3,
                height: 2,
                stride: 4,
            },
            at,
            strength: 1.0,
        };
        stamp(&mut frame.view(), &picture);
        let row = |y| {
            (0..4)
                .map(|x| frame.get(parts(Format::Rgb)[1], x, y) as u8)
                .collect()
        };
        (0..4).map(row).collect::<Vec<Vec<u8>>>()
    };
    let nothing = vec![0; 4];
    let inside = [vec![0, 10, 20, 30], vec![0, 40, 50, 60]];
    assert_eq!(put([1, 2], 7)[2..], inside);
    assert_eq!(put([1, 2], 7)[..2], [nothing.clone(), nothing.clone()]);
    assert_eq!(put([2, 3], 7)[3], [0, 0, 10, 20]);
    for untouched in [put([4, 0], 7), put([0, usize::MAX], 7), put([0, 0], 6)] {
        assert!(untouched.iter().all(|row| *row == nothing));
    }
}

#[test]
fn smallest_frames_and_missing_memory() {
    for (format, size) in FORMATS.into_iter().flat_map(|f| [(f, [1, 1]), (f, [7, 5])]) {
        let patch_size = 6;
        let area = patch_size * patch_size;
        let patch = Patch {
            size: [patch_size; 2],
            to_frame: around(2.0, 20.0, patch_size, [1.0, 1.0]),
            flow: Some(&vec![1.5; 2 * area]),
            drawn: Some(Drawn {
                rgb: &vec![0.5; 3 * area],
                alpha: &vec![0.5; area],
            }),
            mask: &vec![1.0; area],
        };
        let mut frame = Frame::noise(format, size, 0, 2);
        let before = frame.clone();
        Blender::new().blend(&mut frame.view(), &patch);
        assert!(before.planes != frame.planes, "{format:?} {size:?}");

        let mut short = before.clone();
        for plane in short.planes.iter_mut() {
            // At least one byte of a component, not only of the last padding.
            plane.truncate(plane.len().saturating_sub(4));
        }
        let cut = short.clone();
        Blender::new().blend(&mut short.view(), &patch);
        Pen::new(&mut short.view(), [1.0; 3], 2).fill([0, 0, 9, 9]);
        assert!(cut.planes == short.planes, "{format:?} {size:?}");
        assert!(
            short.sample(&Affine::IDENTITY, 3)[0]
                .iter()
                .all(|value| *value == 0.0)
        );
    }
}

#[test]
fn far_away_patches_change_nothing() {
    let size = 8;
    for (format, centre) in FORMATS
        .into_iter()
        .flat_map(|f| [[-200.0, 10.0], [20.0, 9000.0], [1e20, 1e20]].map(|c| (f, c)))
    {
        let mut frame = Frame::noise(format, [31, 17], 2, 9);
        let before = frame.clone();
        let patch = Patch {
            size: [size; 2],
            to_frame: around(3.0, 45.0, size, centre),
            flow: Some(&vec![3.0; 2 * size * size]),
            drawn: None,
            mask: &vec![1.0; size * size],
        };
        Blender::new().blend(&mut frame.view(), &patch);
        assert!(before.planes == frame.planes);
    }
}

#[test]
fn overlays_paint_their_colour_inside_and_nothing_outside() {
    for format in FORMATS {
        let mut frame = Frame::noise(format, [40, 30], 4, 13);
        let before = frame.clone();
        Pen::new(&mut frame.view(), [1.0, 0.5, 0.0], 2).rectangle([10.0, 8.0, 29.0, 21.0]);
        let codes = stored(format, frame.colour, [1.0, 0.5, 0.0]);
        for (part, code) in parts(format).into_iter().zip(codes) {
            let at = |x: usize, y: usize| {
                let place = [(x / part.cover[0]) as i64, (y / part.cover[1]) as i64];
                (
                    frame.get(part, place[0], place[1]),
                    before.get(part, place[0], place[1]),
                )
            };
            for (x, y) in [(10, 8), (29, 8), (10, 21), (29, 21), (20, 8), (10, 14)] {
                assert!((at(x, y).0 - code).abs() <= 1.0, "{format:?} {x} {y}");
            }
            for (x, y) in [(20, 14), (6, 8), (34, 14), (20, 26), (0, 0), (39, 29)] {
                assert_eq!(at(x, y).0, at(x, y).1, "{format:?} {x} {y}");
            }
        }
    }
}

#[test]
fn text_is_legible_dots() {
    let mut frame = Frame::painted(Format::Gray8, [18, 9], COLOURS[1], |_, _| [0.0; 3]);
    Pen::new(&mut frame.view(), [1.0; 3], 1).text(1, 1, "1:z");
    let part = parts(Format::Gray8)[0];
    let rows: Vec<String> = (0..9)
        .map(|y| {
            (0..18)
                .map(|x| {
                    if frame.get(part, x, y) > 0.0 {
                        '#'
                    } else {
                        ' '
                    }
                })
                .collect()
        })
        .collect();
    assert_eq!(
        rows,
        [
            "                  ",
            "   #         #####",
            "  ##     ##      #",
            "   #     ##     # ",
            "   #           #  ",
            "   #     ##   #   ",
            "   #     ##  #    ",
            "  ###        #####",
            "                  ",
        ]
    );
}

/// `cargo test --release --test pixels -- --ignored --nocapture` prints what a frame costs.
#[test]
#[ignore = "measures, and judges nothing"]
fn cost() {
    use std::time::Instant;

    // The least of many: what it costs when nothing else runs.
    fn least_ms(mut work: impl FnMut()) -> f64 {
        let times = (0..40).map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64() * 1e3
        });
        times.fold(f64::INFINITY, f64::min)
    }

    let size = 96;
    let area = size * size;
    let wave = |index: usize| 2.0 * (index as f32 * 0.05).sin();
    let flow: Vec<f32> = (0..2 * area).map(wave).collect();
    let rgb = vec![0.5; 3 * area];
    let alpha: Vec<f32> = round_mask(size).iter().map(|mask| mask * 0.5).collect();
    let mask = round_mask(size);
    let mut plain_ms = None;
    for format in FORMATS {
        let mut frame = Frame::noise(format, [1920, 1080], 0, 1);
        let patch = Patch {
            size: [size; 2],
            to_frame: around(400.0 / size as f32, 5.0, size, [960.0, 530.0]),
            flow: Some(&flow),
            drawn: Some(Drawn {
                rgb: &rgb,
                alpha: &alpha,
            }),
            mask: &mask,
        };
        let mut blender = Blender::new();
        let write = least_ms(|| blender.blend(&mut frame.view(), &patch));
        let view = frame.view();
        let mut planes = [(); 3].map(|()| vec![0.0; 192 * 192]);
        let [near, far] = [350.0, 700.0].map(|from| {
            let to_frame = around(from / 192.0, 5.0, 192, [960.0, 530.0]);
            least_ms(|| {
                let [r, g, b] = &mut planes;
                sample(&view, &to_frame, 192, 1.0, 0.0, [r, g, b]);
            })
        });
        let all = write + near + far;
        let plain_ms = *plain_ms.get_or_insert(all);
        println!(
            "{format:?}: {write:.2} ms to write, {near:.2} and {far:.2} to read, {:.2} times I420",
            all / plain_ms
        );
    }
}
