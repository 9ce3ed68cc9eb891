//! Answers as servers may give them: in another order, with more or less than was asked for, with
//! every status. None costs a frame where the model may draw here.

use lipsync_core::{Error, inference::OnUnreachable};
use tonic::{Code, Status};

use crate::{
    common::onnxruntime,
    networks::{doubled, open, open_model, options, run, serve},
    onnx::{Dim, FLOAT, doubling},
    stand_in_server::{Reply, StandIn},
};

use lipsync_core::inference::remote::messages::{InferTensor, ModelInferResponse};

fn other_output(answer: &ModelInferResponse) -> InferTensor {
    InferTensor {
        name: "other".into(),
        ..answer.outputs[0].clone()
    }
}

#[test]
fn outputs_are_known_by_their_names() {
    let Some(server) = serve(1) else {
        return;
    };
    // Before and after the one that was asked for, with values of their own.
    for place in [0, 1] {
        server.change(move |answer| {
            let other = other_output(answer);
            answer.outputs.insert(place, other);
            answer.raw_output_contents.insert(place, vec![9; 16].into());
        });
        let options = options(&server.address(), OnUnreachable::Error);
        let mut network = open(&options).unwrap().network;
        assert_eq!(run(&mut *network, 1.0).unwrap(), doubled(1.0));
    }
}

#[test]
fn contents_may_be_typed() {
    let Some(server) = serve(1) else {
        return;
    };
    server.change(|answer| {
        let raw = std::mem::take(&mut answer.raw_output_contents);
        let values = raw[0]
            .as_chunks()
            .0
            .iter()
            .map(|raw| f32::from_le_bytes(*raw));
        answer.outputs[0].contents =
            Some(lipsync_core::inference::remote::messages::TypedContents {
                fp32_contents: values.collect(),
                ..Default::default()
            });
    });
    let options = options(&server.address(), OnUnreachable::Error);
    let mut network = open(&options).unwrap().network;
    assert_eq!(run(&mut *network, 1.0).unwrap(), doubled(1.0));
}

/// A change of an answer, and what is said of it.
type Fault = (fn(&mut ModelInferResponse), &'static str);

#[test]
fn an_answer_that_cannot_be_used_says_what_was_found_and_expected() {
    let Some(server) = serve(1) else {
        return;
    };
    let faults: [Fault; 7] = [
        (
            |answer| answer.outputs[0].name = "z".into(),
            "no output `y`; found: z",
        ),
        (|answer| answer.outputs.clear(), "no output `y`"),
        (
            |answer| answer.raw_output_contents[0].truncate(15),
            "output `y` has 15 bytes, expected 16",
        ),
        (
            |answer| answer.raw_output_contents[0] = vec![0; 4000].into(),
            "output `y` has 4000 bytes, expected 16",
        ),
        (
            |answer| answer.raw_output_contents.clear(),
            "output `y` has no contents",
        ),
        (
            |answer| answer.outputs[0].datatype = "INT32".into(),
            "output `y` is INT32 [1, 4], expected FP32 [1, 4]",
        ),
        (
            |answer| answer.outputs[0].shape = vec![4, 1],
            "output `y` is FP32 [4, 1], expected FP32 [1, 4]",
        ),
    ];
    for (change, expected) in faults {
        server.answer_well();
        let options = options(&server.address(), OnUnreachable::Passthrough);
        let mut network = open(&options).unwrap().network;
        server.change(change);
        match run(&mut *network, 1.0) {
            Err(Error::Unreachable { reason }) => {
                assert!(reason.contains(expected), "{reason}");
                assert!(reason.contains(&server.address()), "{reason}");
            }
            other => panic!("{other:?}"),
        }
        let counts = options.calls.counts();
        assert_eq!((counts.errors, counts.timeouts, counts.active), (1, 0, 0));
    }
}

/// What networks make is not judged here: frames with it fail as they do with a network of this
/// process.
#[test]
fn nan_is_passed_on() {
    let Some(server) = serve(1) else {
        return;
    };
    let options = options(&server.address(), OnUnreachable::Local);
    let mut network = open(&options).unwrap().network;
    server.change(|answer| {
        answer.raw_output_contents[0] = f32::NAN.to_le_bytes().repeat(4).into();
    });
    assert!(run(&mut *network, 1.0).unwrap()[0].is_nan());
}

#[test]
fn every_status_has_the_model_draw_here() {
    let Some(server) = serve(1) else {
        return;
    };
    for code in (1..=16).map(Code::from_i32) {
        server.answer_well();
        let options = options(&server.address(), OnUnreachable::Local);
        let mut network = open(&options).unwrap().network;
        server.answer(move |_, _| Reply::Refuse(Status::new(code, "the test wants it")));
        assert_eq!(run(&mut *network, 1.0).unwrap(), doubled(1.0), "{code:?}");
        let counts = options.calls.counts();
        assert_eq!((counts.calls, counts.errors, counts.active), (0, 1, 0));
        // A server says in either way that a call took too long.
        let is_timeout = matches!(code, Code::DeadlineExceeded | Code::Cancelled);
        assert_eq!(counts.timeouts, u64::from(is_timeout), "{code:?}");
    }
}

/// gRPC's usual limit is 4 MiB.
#[test]
fn large_tensors_come_through_and_endless_ones_do_not() {
    if onnxruntime().is_none() {
        return;
    }
    const VALUES: u64 = 3 << 20;
    let model = doubling(FLOAT, &[Dim::Fixed(1), Dim::Fixed(VALUES)]);
    let server = StandIn::start(&model, 1);
    let options = options(&server.address(), OnUnreachable::Passthrough);
    let mut network = open_model(&model, &options).unwrap().network;
    network.input(0).fill(0.75);
    network.run().unwrap();
    assert!(network.output(0).iter().all(|value| *value == 1.5));
    server.change(|answer| {
        let more = vec![0; 4 * 4 * VALUES as usize];
        answer.raw_output_contents.push(more.into());
    });
    let error = network.run().unwrap_err().to_string();
    assert!(error.contains("OutOfRange"), "{error}");
}
