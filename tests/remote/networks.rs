//! Opening a network on a server: whether it is the same, and how many it takes at once.

use std::time::Duration;

use lipsync_core::{
    Error,
    inference::{
        Backend, Model, ModelSource, Network, OnUnreachable, OpenNetwork, Options, Provider,
        ProviderOptions, Server, onnx, remote::Remote,
    },
};

use crate::{
    common::onnxruntime,
    onnx::{Dim, FLOAT, doubling},
    stand_in_server::{Reply, StandIn, unused_port},
};

/// `y = x + x`, of any number of rows of four.
pub fn model() -> Vec<u8> {
    doubling(FLOAT, &[Dim::Open("batch"), Dim::Fixed(4)])
}

/// A stand-in server of that model, for so many rows at once; `None` where ONNX Runtime is missing.
pub fn serve(batch: usize) -> Option<StandIn> {
    onnxruntime()?;
    Some(StandIn::start(&model(), batch))
}

pub fn options(servers: &str, on_unreachable: OnUnreachable) -> Options {
    Options {
        provider: Provider::Remote,
        library: onnxruntime().map(Into::into),
        intra_threads: 1,
        server: Server {
            addresses: servers.into(),
            on_unreachable,
            ..Server::default()
        },
        ..with(Options::default(), &[("shared-memory", "no")])
    }
}

/// The same with other `provider-options`.
pub fn with(options: Options, values: &[(&str, &str)]) -> Options {
    let values = values.iter();
    Options {
        provider_options: Some(ProviderOptions {
            provider: "remote".into(),
            values: values
                .map(|(key, value)| (key.to_string(), value.to_string()))
                .collect(),
        }),
        ..options
    }
}

pub fn with_timeout(options: Options, timeout: Duration) -> Options {
    Options {
        server: Server {
            timeout,
            ..options.server
        },
        ..options
    }
}

pub fn open(options: &Options) -> Result<OpenNetwork, Error> {
    open_model(&model(), options)
}

pub fn open_model(bytes: &[u8], options: &Options) -> Result<OpenNetwork, Error> {
    let source = ModelSource::Bytes {
        name: "models/double.onnx",
        data: bytes,
    };
    Remote.check(options)?;
    Remote.open(&Model::read(source)?, options, &[])
}

/// Fills, runs, and gives what comes out.
pub fn run(network: &mut dyn Network, first: f32) -> Result<Vec<f32>, Error> {
    for (index, value) in network.input(0).iter_mut().enumerate() {
        *value = first + index as f32;
    }
    network.run()?;
    Ok(network.output(0).to_vec())
}

/// What [`run`] gives of a batch of one.
pub fn doubled(first: f32) -> Vec<f32> {
    (0..4).map(|index| 2.0 * (first + index as f32)).collect()
}

#[test]
fn a_server_draws_what_the_network_here_would() {
    let Some(server) = serve(1) else {
        return;
    };
    let options = options(&server.address(), OnUnreachable::Local);
    let opened = open(&options).unwrap();
    assert_eq!(opened.active, Provider::Remote);
    let mut network = opened.network;
    let probes = server.calls();
    for first in 0..10 {
        let first = first as f32 / 3.0;
        assert_eq!(run(&mut *network, first).unwrap(), doubled(first));
    }
    assert_eq!(server.calls(), probes + 10);
    let counts = options.calls.counts();
    assert_eq!((counts.calls, counts.errors, counts.active), (10, 0, 1));
    assert_eq!((counts.bytes_out, counts.bytes_in), (160, 160));
    assert!(counts.percentiles[0] > 0);
    assert!(options.calls.next_event().is_none());
    drop(network);
    assert_eq!(options.calls.counts().active, 0);
}

#[test]
fn the_name_and_the_token_are_what_the_user_says() {
    let Some(server) = serve(1) else {
        return;
    };
    let token = crate::opening::folder("remote", "token").join("token");
    std::fs::write(&token, "secret\n").unwrap();
    let token = token.to_str().unwrap();
    for (values, name, header, value) in [
        (
            vec![("token-file", token)],
            "double",
            "authorization",
            "Bearer secret",
        ),
        (
            vec![
                ("token-file", token),
                ("token-header", "triton-grpc-protocol-authorization"),
                ("model", "face"),
                ("model-version", "3"),
            ],
            "face",
            "triton-grpc-protocol-authorization",
            "secret",
        ),
    ] {
        server.answer(|request, mut answer| {
            answer.model_name.clone_from(&request.model_name);
            Reply::Answer(answer)
        });
        let options = with(options(&server.address(), OnUnreachable::Error), &values);
        let mut network = open(&options).unwrap().network;
        let (asked, seen) = std::sync::mpsc::channel();
        server.answer(move |request, answer| {
            asked.send(request.model_name.clone()).unwrap();
            Reply::Answer(answer)
        });
        run(&mut *network, 1.0).unwrap();
        assert_eq!(seen.recv().unwrap(), name);
        let headers = server.script.headers.lock().unwrap();
        assert_eq!(headers[header], value);
    }
}

#[test]
fn another_model_is_refused_with_what_differs() {
    let Some(server) = serve(1) else {
        return;
    };
    let options = options(&server.address(), OnUnreachable::Local);
    let refused = || match open(&options) {
        Err(Error::ModelMismatch {
            name,
            found,
            expected,
        }) => {
            assert!(name.starts_with("double on grpc://"), "{name}");
            (found, expected)
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("opened"),
    };
    let good = server.script.metadata.lock().unwrap().clone();
    type Change = fn(&mut lipsync_core::inference::remote::messages::ModelMetadataResponse);
    let changes: [(Change, &str, &str); 5] = [
        (
            |metadata| metadata.outputs[0].name = "z".into(),
            "outputs z FP32 [1, 4]",
            "output y FP32 [1, 4]",
        ),
        (
            |metadata| metadata.inputs[0].datatype = "BYTES".into(),
            "input x BYTES",
            "input x FP32",
        ),
        (
            |metadata| metadata.inputs[0].datatype = "INT64".into(),
            "input x INT64",
            "input x FP32",
        ),
        (
            |metadata| metadata.inputs[0].shape = vec![-1, 5],
            "input x FP32 [-1, 5]",
            "input x FP32 [1, 4]",
        ),
        (
            |metadata| {
                let mut more = metadata.inputs[0].clone();
                more.name = "strength".into();
                metadata.inputs.push(more);
            },
            "input strength FP32",
            "inputs x FP32",
        ),
    ];
    for (change, is_found, is_expected) in changes {
        let mut metadata = good.clone();
        change(&mut metadata);
        *server.script.metadata.lock().unwrap() = metadata;
        let (found, expected) = refused();
        assert!(found.contains(is_found), "{found}");
        assert!(expected.contains(is_expected), "{expected}");
    }
    // Its tensors are the same, what it makes is not.
    *server.script.metadata.lock().unwrap() = good;
    for constant in [0.5f32, f32::NAN] {
        server.change(move |answer| {
            answer.raw_output_contents[0] = constant.to_le_bytes().repeat(4).into();
        });
        let (found, expected) = refused();
        assert!(found.contains("output y is"), "{found}");
        assert!(found.contains("run on zeros"), "{found}");
        assert!(expected.contains("at most"), "{expected}");
    }
}

#[test]
fn a_server_that_is_not_there_is_an_error_only_where_that_is_asked_for() {
    if onnxruntime().is_none() {
        return;
    }
    let address = format!("grpc://127.0.0.1:{}", unused_port());
    match open(&options(&address, OnUnreachable::Error)).map(|_| ()) {
        Err(Error::Unreachable { reason }) => {
            assert!(reason.contains(&address), "{reason}");
            assert!(reason.contains("refused"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    let mut local = open(&options(&address, OnUnreachable::Local))
        .unwrap()
        .network;
    assert_eq!(run(&mut *local, 2.0).unwrap(), doubled(2.0));
    let options = options(&address, OnUnreachable::Passthrough);
    let mut none = open(&options).unwrap().network;
    let error = run(&mut *none, 2.0).unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert_eq!(options.calls.counts().calls, 0);
    assert_eq!(options.calls.counts().active, 0);
}

#[test]
fn settings_that_cannot_be_used_are_refused_before_anything_is_opened() {
    if onnxruntime().is_none() {
        return;
    }
    for servers in ["", "127.0.0.1:8001", "http://127.0.0.1"] {
        let error = open(&options(servers, OnUnreachable::Local)).map(|_| ());
        let message = error.unwrap_err().to_string();
        assert!(message.contains("`remote` cannot run"), "{message}");
        assert!(message.contains("grpc://HOST:PORT"), "{message}");
    }
    let of_another = Options {
        provider_options: Some(ProviderOptions {
            provider: "cuda".into(),
            values: Vec::new(),
        }),
        ..options("grpc://127.0.0.1", OnUnreachable::Local)
    };
    let message = open(&of_another).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("are for `cuda`"), "{message}");
}

#[test]
fn no_more_are_sent_at_once_than_the_server_takes() {
    let Some(server) = serve(2) else {
        return;
    };
    let of_four = Options {
        batch: 4,
        ..options(&server.address(), OnUnreachable::Error)
    };
    // As its configuration says; -1 in the description.
    {
        let mut metadata = server.script.metadata.lock().unwrap();
        metadata.inputs[0].shape[0] = -1;
        metadata.outputs[0].shape[0] = -1;
    }
    *server.script.max_batch.lock().unwrap() = Some(2);
    let network = open(&of_four).unwrap().network;
    assert_eq!(network.inputs()[0].shape, [2, 4]);
    // Where it has none, by trying: the caller then takes one at a time.
    *server.script.max_batch.lock().unwrap() = None;
    match open(&of_four).map(|_| ()) {
        Err(Error::Inference { reason, .. }) => assert!(reason.contains("[4, 4]"), "{reason}"),
        other => panic!("{other:?}"),
    }
    let network = open(&Options {
        batch: 2,
        ..of_four
    });
    assert_eq!(network.unwrap().network.outputs()[0].shape, [2, 4]);
}

/// Numbers of the server's own: fewer bytes.
#[test]
fn numbers_are_sent_as_the_server_has_them() {
    let Some(server) = serve(1) else {
        return;
    };
    {
        let mut metadata = server.script.metadata.lock().unwrap();
        metadata.inputs[0].datatype = "UINT8".into();
        metadata.outputs[0].datatype = "FP16".into();
    }
    let half = |value: f32| half_bits(value).to_le_bytes();
    server.answer(move |request, mut answer| {
        assert_eq!(request.inputs[0].datatype, "UINT8");
        let raw = &request.raw_input_contents[0];
        let doubled = raw
            .iter()
            .flat_map(|byte| half(f32::from(*byte) / 255.0 * 2.0));
        answer.raw_output_contents[0] = doubled.collect::<Vec<_>>().into();
        answer.outputs[0].datatype = "FP16".into();
        Reply::Answer(answer)
    });
    let options = options(&server.address(), OnUnreachable::Error);
    let mut network = open(&options).unwrap().network;
    network.input(0).copy_from_slice(&[0.0, 0.2, 0.4, 1.0]);
    network.run().unwrap();
    for (found, expected) in network.output(0).iter().zip([0.0, 0.4, 0.8, 2.0]) {
        assert!((found - expected).abs() < 0.001, "{found} {expected}");
    }
    let counts = options.calls.counts();
    assert_eq!((counts.bytes_out, counts.bytes_in), (4, 8));
}

/// Of numbers that a half holds exactly or nearly.
fn half_bits(value: f32) -> u16 {
    let bits = value.to_bits();
    match value {
        0.0 => 0,
        _ => (((bits >> 23) as u16 - 112) << 10) | ((bits >> 13) & 0x3ff) as u16,
    }
}

/// The network that runs here is the same one.
#[test]
fn the_local_network_gives_the_same_bytes() {
    let Some(server) = serve(1) else {
        return;
    };
    let options = options(&server.address(), OnUnreachable::Local);
    let mut remote = open(&options).unwrap().network;
    let bytes = model();
    let source = ModelSource::Bytes {
        name: "double",
        data: &bytes,
    };
    let mut local = onnx::open(source, &options.local(), &[]).unwrap().network;
    for first in [0.1, -7.3, 1e-20, 3e30] {
        let drawn = run(&mut *remote, first).unwrap();
        let expected = run(&mut *local, first).unwrap();
        let bits = |values: &[f32]| {
            values
                .iter()
                .map(|value| value.to_bits())
                .collect::<Vec<_>>()
        };
        assert_eq!(bits(&drawn), bits(&expected));
    }
}
