//! A chain of networks that say of each number what they made it of, and count their runs.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::*;
use crate::{
    families::musetalk::MUSETALK,
    inference::{ModelSource, Options, onnx},
};

/// Side of the latents, and of the faces.
const SIDE: usize = 2;
const SIZE: usize = 16;

/// Makes of each entry of a batch numbers that all are the sum of what it was given, and `plus`.
struct Sums {
    inputs: Vec<TensorInfo>,
    outputs: [TensorInfo; 1],
    given: Vec<Vec<f32>>,
    made: Vec<f32>,
    plus: f32,
    runs: Arc<AtomicUsize>,
}

fn sums(inputs: &[&[usize]], output: &[usize], plus: f32, runs: &Arc<AtomicUsize>) -> Box<Sums> {
    let info = |shape: &[usize]| TensorInfo {
        name: "a".into(),
        element: Element::F32,
        shape: shape.into(),
    };
    let length = |shape: &[usize]| shape.iter().product();
    Box::new(Sums {
        given: inputs
            .iter()
            .map(|shape| vec![0.0; length(shape)])
            .collect(),
        made: vec![0.0; length(output)],
        inputs: inputs.iter().map(|shape| info(shape)).collect(),
        outputs: [info(output)],
        plus,
        runs: runs.clone(),
    })
}

impl Network for Sums {
    fn name(&self) -> &str {
        "sums"
    }

    fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    fn input(&mut self, index: usize) -> &mut [f32] {
        &mut self.given[index]
    }

    fn set_integer(&mut self, _index: usize, _value: i64) {}

    fn run(&mut self) -> Result<(), Error> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let batch = self.outputs[0].shape[0];
        let length = self.made.len() / batch;
        for (index, made) in self.made.chunks_exact_mut(length).enumerate() {
            let part = |given: &Vec<f32>| {
                let length = given.len() / batch;
                given[index * length..][..length].iter().sum::<f32>()
            };
            made.fill(self.plus + self.given.iter().map(part).sum::<f32>());
        }
        Ok(())
    }

    fn output(&self, _index: usize) -> &[f32] {
        &self.made
    }
}

/// For so many faces at once, of whose views the encoder takes so many at once.
fn chain(faces: usize, views: usize, encoded: &Arc<AtomicUsize>) -> Box<dyn Drawing> {
    let others = Arc::default();
    let latents = [faces, 4, SIDE, SIDE];
    let networks = Networks {
        generator: sums(
            &[&[faces, 8, SIDE, SIDE], &[faces, 50, 1]],
            &latents,
            0.0,
            &others,
        ),
        image: Some([
            sums(
                &[&[views, 3, SIZE, SIZE]],
                &[views, 4, SIDE, SIDE],
                0.0,
                encoded,
            ),
            sums(&[&latents], &[faces, 3, SIZE, SIZE], 1.0, &others),
        ]),
    };
    networks
        .drawing(&MUSETALK, &Tensors::default())
        .expect("it fits")
}

fn see(drawing: &mut dyn Drawing, index: usize, number: f32) {
    let views = vec![number; VIEWS * 3 * SIZE * SIZE];
    drawing.see(index, &views);
}

/// What is drawn of a face with that number in both views.
fn expected(number: f32) -> f32 {
    let latent = number * (3 * SIZE * SIZE) as f32;
    // Numbers of latents of two views, and of those that are drawn.
    let drawn = latent * (8 * SIDE * SIDE) as f32;
    1.0 + drawn * (4 * SIDE * SIDE) as f32
}

#[test]
fn a_picture_that_stands_still_is_encoded_once() {
    let encoded = Arc::default();
    let mut drawing = chain(1, 2, &encoded);
    for (number, runs) in [(1.0, 1), (1.0, 1), (1.0, 1), (2.0, 2), (1.0, 3)] {
        see(&mut *drawing, 0, number);
        drawing.run(1).expect("it runs");
        assert_eq!(drawing.drawn(0)[0], expected(number));
        assert_eq!(encoded.load(Ordering::Relaxed), runs);
    }
}

#[test]
fn every_face_is_drawn_of_its_own_latents_however_many_views_are_encoded_at_once() {
    for (views, runs) in [(1, 6), (2, 3), (3, 2), (6, 1), (8, 1)] {
        let encoded = Arc::default();
        let mut drawing = chain(3, views, &encoded);
        assert_eq!(drawing.batch(), 3);
        (0..3).for_each(|index| see(&mut *drawing, index, index as f32));
        drawing.run(3).expect("it runs");
        for index in 0..3 {
            assert_eq!(drawing.drawn(index)[0], expected(index as f32), "{views}");
        }
        assert_eq!(encoded.load(Ordering::Relaxed), runs, "{views}");
        // A face more than there are latents of.
        see(&mut *drawing, 0, 5.0);
        drawing.run(1).expect("it runs");
        drawing.run(3).expect("it runs");
        assert_eq!(drawing.drawn(2)[0], expected(2.0), "{views}");
    }
}

/// Nothing of MuseTalk's latents is copied between its networks.
#[test]
fn networks_of_one_runtime_share_their_latents() {
    let open = |data: &[u8], batch| {
        let options = Options {
            batch,
            ..Options::default()
        };
        let opened = onnx::open(ModelSource::Bytes { name: "a", data }, &options, &[]);
        opened.expect("a network").network
    };
    macro_rules! file {
        ($name:literal) => {
            include_bytes!(concat!(
                "../../../../../tests/data/musetalk/",
                $name,
                ".onnx"
            ))
        };
    }
    for (faces, views, expected) in [(1, 2, [true; 2]), (2, 4, [true; 2]), (2, 1, [false, true])] {
        let [unet, decoder] =
            [&file!("unet")[..], file!("vae_decoder")].map(|data| open(data, faces));
        let encoder = open(file!("vae_encoder"), views);
        let ports = (MUSETALK.ports)(&*unet, &Tensors::default()).expect("a U-Net");
        let drawing = InLatents::new(unet, ports, encoder, decoder).expect("they fit");
        assert_eq!(drawing.feeds, expected);
    }
}
