//! Speech, light, hands and microphones before a drawn face.

use crate::{
    face::{
        Mesh,
        geometry::{FACE_OVAL, LIPS_INNER, LIPS_OUTER},
    },
    families::warp::occlusion::{memory::LIGHTS, *},
};

const SIZE: usize = 96;
const FRAME_NS: i64 = 40_000_000;
const SKIN: [f32; 3] = [0.7, 0.5, 0.4];
const LIPS: [f32; 3] = [0.7, 0.35, 0.32];

/// A contour's points on an ellipse.
fn ring(mesh: &mut Mesh, contour: &[usize], centre: [f32; 2], radius: [f32; 2]) {
    for (nth, &index) in contour.iter().enumerate() {
        let angle = nth as f32 / contour.len() as f32 * std::f32::consts::TAU;
        let (sine, cosine) = angle.sin_cos();
        mesh.points[index] = [centre[0] + radius[0] * cosine, centre[1] + radius[1] * sine];
    }
}

fn mesh() -> Mesh {
    let mut mesh = Mesh::default();
    ring(&mut mesh, &FACE_OVAL, [48.0, 20.0], [46.0, 66.0]);
    ring(&mut mesh, &LIPS_OUTER, [48.0, 42.0], [22.0, 9.0]);
    ring(&mut mesh, &LIPS_INNER, [48.0, 42.0], [14.0, 3.0]);
    mesh
}

/// Skin with a little texture, and lips whose gap is so many pixels high.
fn crop(gap: f32, light: f32) -> Vec<f32> {
    let mut crop = vec![0.0; 3 * SIZE * SIZE];
    for at in 0..SIZE * SIZE {
        let [x, y] = [at % SIZE, at / SIZE].map(|v| v as f32);
        let within = |w: f32, h: f32| ((x - 48.0) / w).powi(2) + ((y - 42.0) / h).powi(2) < 1.0;
        let texture = 0.01 * (x * 1.7 + y * 0.9).sin();
        let colour = match (within(14.0, gap), within(22.0, 9.0)) {
            (true, _) => [0.1; 3],
            (_, true) => LIPS,
            _ => SKIN,
        };
        for channel in 0..3 {
            crop[channel * SIZE * SIZE + at] = light * (colour[channel] + texture);
        }
    }
    crop
}

fn cover(crop: &mut [f32], rows: std::ops::Range<usize>, colour: [f32; 3]) {
    for (plane, colour) in crop.chunks_exact_mut(SIZE * SIZE).zip(colour) {
        plane[rows.start * SIZE..rows.end * SIZE].fill(colour);
    }
}

fn show(occlusion: &mut Occlusion, crop: &[f32], light: f32, frame: i64) {
    let lights: Vec<f32> = SKIN
        .iter()
        .flat_map(|&skin| [skin * light; LIGHTS])
        .collect();
    occlusion.update(&Sight {
        crop,
        size: SIZE,
        light: &lights,
        mesh: &mesh(),
        to_crop: &Affine::IDENTITY,
        is_fresh: frame == 0,
        time_ns: frame * FRAME_NS,
    });
}

/// What remains of a whole mask, and how much of it.
fn remains(occlusion: &Occlusion) -> (Vec<f32>, f32) {
    let mut mask = vec![1.0; SIZE * SIZE];
    occlusion.cut_out_of(&mut mask, SIZE);
    let mean = mask.iter().sum::<f32>() / mask.len() as f32;
    (mask, mean)
}

/// Half a second of speech.
fn known() -> Occlusion {
    let mut occlusion = Occlusion::new();
    for frame in 0..12 {
        show(&mut occlusion, &crop((frame % 4) as f32, 1.0), 1.0, frame);
        assert_eq!(remains(&occlusion).1, 1.0, "frame {frame}");
    }
    occlusion
}

#[test]
fn a_dark_thing_before_the_chin_is_left_and_nothing_else() {
    let mut occlusion = known();
    let mut seen = crop(2.0, 1.0);
    cover(&mut seen, 60..90, [0.12; 3]);
    show(&mut occlusion, &seen, 1.0, 12);
    let (mask, _) = remains(&occlusion);
    assert!(mask[75 * SIZE + 48] < 0.05, "{}", mask[75 * SIZE + 48]);
    assert!(mask[30 * SIZE + 48] > 0.95, "{}", mask[30 * SIZE + 48]);
}

#[test]
fn a_hand_of_the_skins_own_colour_shows_by_the_lips_that_are_gone() {
    let mut occlusion = known();
    let mut seen = crop(0.0, 1.0);
    cover(&mut seen, 20..80, SKIN);
    for frame in 12..20 {
        show(&mut occlusion, &seen, 1.0, frame);
    }
    assert!(occlusion.of_mouth() > 0.75, "{}", occlusion.of_mouth());
    assert!(remains(&occlusion).1 < 0.01);
    for frame in 20..40 {
        show(&mut occlusion, &crop(2.0, 1.0), 1.0, frame);
    }
    assert_eq!(remains(&occlusion).1, 1.0);
}

#[test]
fn light_that_reaches_all_of_the_face_covers_nothing() {
    let mut occlusion = known();
    for frame in 12..40 {
        let light = if frame % 7 < 2 { 1.35 } else { 0.75 };
        show(
            &mut occlusion,
            &crop((frame % 5) as f32, light),
            light,
            frame,
        );
        assert_eq!(remains(&occlusion).1, 1.0, "frame {frame}");
    }
}

#[test]
fn another_face_is_learned_anew() {
    let mut occlusion = known();
    let mut seen = crop(2.0, 1.0);
    cover(&mut seen, 60..90, [0.12; 3]);
    // Above the mouth, too, it is somebody else.
    let mut lights = vec![0.2; 3 * LIGHTS];
    for (i, light) in lights.iter_mut().enumerate() {
        *light += 0.3 * (i % 2) as f32;
    }
    occlusion.update(&Sight {
        crop: &seen,
        size: SIZE,
        light: &lights,
        mesh: &mesh(),
        to_crop: &Affine::IDENTITY,
        is_fresh: false,
        time_ns: 12 * FRAME_NS,
    });
    assert_eq!(remains(&occlusion).1, 1.0);
}

#[test]
fn a_face_lost_behind_a_hand_is_still_behind_it_when_it_is_found() {
    let mut occlusion = known();
    let mut seen = crop(0.0, 1.0);
    cover(&mut seen, 10..96, [0.2, 0.15, 0.1]);
    show(&mut occlusion, &seen, 1.0, 12);
    assert!(occlusion.of_mouth() > 0.9);
    let lights: Vec<f32> = SKIN.iter().flat_map(|&skin| [skin; LIGHTS]).collect();
    occlusion.update(&Sight {
        crop: &seen,
        size: SIZE,
        light: &lights,
        mesh: &mesh(),
        to_crop: &Affine::IDENTITY,
        is_fresh: true,
        time_ns: 20 * FRAME_NS,
    });
    assert!(occlusion.of_mouth() > 0.9);
}

#[test]
fn what_is_no_number_does_no_harm() {
    let mut occlusion = known();
    show(&mut occlusion, &[f32::NAN; 3 * SIZE * SIZE], f32::NAN, 12);
    show(&mut occlusion, &crop(1.0, 1.0), 1.0, 13);
    let (mask, _) = remains(&occlusion);
    assert!(mask.iter().all(|value| (0.0..=1.0).contains(value)));
}
