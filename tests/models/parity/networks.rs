//! Models of several networks, whose architectures diffusers, transformers and PyTorch have: MuseTalk, HuBERT with
//! Ultralight's U-Net, DINet. Small ones; of their full size with `LIPSYNC_PARITY_FULL=1`, which takes minutes.

use super::*;

/// Enough sound for its level to be the whole recording's, all of it in every piece that is heard.
const SECONDS: usize = 3;

fn is_full() -> bool {
    std::env::var_os("LIPSYNC_PARITY_FULL").is_some()
}

fn musetalk() -> Case {
    Case {
        // MuseTalk's own U-Net is larger than a file may be in fp32.
        name: if is_full() {
            "musetalk-full32"
        } else {
            "musetalk-tiny"
        },
        face: face_of_nose,
        frames: if is_full() { 4 } else { 8 },
        seconds: SECONDS,
        provider: Provider::Cpu,
        ..WAV2LIP
    }
}

/// MuseTalk's box ends 10 pixels below the chin; the bridge of the nose is in the middle of the rest.
fn face_of_nose([x0, y0, x1, y1]: [usize; 4]) -> Face {
    let [left, top, right, chin] = [x0, y0, x1, y1 - 10].map(|at| at as f32);
    let middle = (top + chin) / 2.0;
    let mut mesh = Mesh::default();
    mesh.points.fill([(left + right) / 2.0, middle]);
    mesh.points[234] = [left, middle];
    mesh.points[454] = [right, middle];
    mesh.points[152] = [(left + right) / 2.0, chin];
    face(mesh)
}

/// 2.5 radii by 3.25.
const TALL: Case = Case {
    boxes: &[
        [60, 20, 210, 215],
        [62, 22, 212, 217],
        [100, 50, 170, 141],
        [40, 10, 340, 400],
    ],
    face: face_of_radius,
    seconds: SECONDS,
    provider: Provider::Cpu,
    ..WAV2LIP
};

fn dinet() -> Case {
    Case {
        name: if is_full() {
            "dinet-full"
        } else {
            "dinet-tiny"
        },
        frames: if is_full() { 4 } else { 8 },
        ..TALL
    }
}

/// A face of which DINet measures that radius: half of 1.05 times its height, and the next multiple of 4 above.
fn face_of_radius([x0, y0, x1, _]: [usize; 4]) -> Face {
    let radius = (x1 - x0) as f32 / 2.5;
    let (x, nose) = (x0 as f32 + 1.25 * radius, y0 as f32 + radius);
    let mut mesh = Mesh::default();
    mesh.points.fill([x, nose]);
    mesh.points[152] = [x, nose + (2.0 * (radius - 2.0) / 1.05).ceil()];
    face(mesh)
}

fn hubert() -> Case {
    Case {
        name: match is_full() {
            true => "ultralight-160-hubert-large",
            false => "ultralight-160-hubert-thin",
        },
        frames: 8,
        seconds: SECONDS,
        provider: Provider::Cpu,
        ..UNET
    }
}

#[test]
fn musetalk_is_the_reference() {
    let case = musetalk();
    case.check();
    latents_are_the_reference(&case);
}

/// What lies between the networks: latents of both views, and those that are drawn.
fn latents_are_the_reference(case: &Case) {
    let of_torch = |name: &str| case.model().join(case.folder).join("torch").join(name);
    if !of_torch("latents.npy").exists() {
        return println!("skipped: no latents, see above");
    }
    let read = |name: &str| floats(&npy(&of_torch(name)));
    let (views, heard, expected) = (read("image.npy"), read("sound.npy"), read("latents.npy"));
    let open = |file: &str| {
        let path = case.model().join(file);
        let options = inference::Options::default();
        let opened = inference::onnx::open(inference::ModelSource::File(&path), &options, &[]);
        opened.expect("as before").network
    };
    let (mut encoder, mut unet) = (open("vae_encoder.onnx"), open("unet.onnx"));
    let per_frame = |values: &[f32]| values.len() / case.frames;
    let [views_of, heard_of] = [&views, &heard].map(|values| values.chunks(per_frame(values)));
    let (mut of_views, mut of_drawn) = (0f32, 0f32);
    for ((views, heard), expected) in views_of
        .zip(heard_of)
        .zip(expected.chunks(per_frame(&expected)))
    {
        let mut latents = Vec::new();
        for view in views.chunks(views.len() / 2) {
            encoder.input(0).copy_from_slice(view);
            encoder.run().expect("inference works");
            latents.extend_from_slice(encoder.output(0));
        }
        let (expected, drawn) = expected.split_at(latents.len());
        of_views = of_views.max(furthest(&latents, expected));
        unet.input(0).copy_from_slice(&latents);
        unet.input(1).copy_from_slice(heard);
        unet.run().expect("inference works");
        of_drawn = of_drawn.max(furthest(unet.output(0), drawn));
    }
    println!(
        "{}: latents within {of_views:.1e}, drawn ones within {of_drawn:.1e}",
        case.name
    );
    assert!(of_views <= 1e-3, "{of_views}");
    assert!(of_drawn <= 1e-3, "{of_drawn}");
}

#[test]
fn musetalk_through_the_element_is_the_reference() {
    Case {
        folder: "element",
        boxes: &[[61, 22, 229, 230]],
        ..musetalk()
    }
    .check_element();
}

#[test]
fn dinet_is_the_reference() {
    dinet().check();
}

#[test]
fn dinet_through_the_element_is_the_reference() {
    Case {
        folder: "element",
        boxes: &[[62, 22, 212, 217]],
        ..dinet()
    }
    .check_element();
}

#[test]
fn ultralight_with_hubert_is_the_reference() {
    hubert().check();
}

#[test]
fn ultralight_with_hubert_through_the_element_is_the_reference() {
    Case {
        folder: "element",
        boxes: &[[61, 22, 243, 204]],
        ..hubert()
    }
    .check_element();
}
