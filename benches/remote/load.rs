//! A load generator: the same calls over and over, one after the other in each stream, whose answers nobody reads. It is the
//! most that a server gives to who does nothing else.

use std::time::{Duration, Instant};

use lipsync_core::inference::{
    Network,
    remote::messages::{
        InferTensor, MODEL_INFER, MODEL_METADATA, ModelInferRequest, ModelInferResponse,
        ModelMetadataResponse, ModelRequest, RequestedOutput,
    },
};
use prost::Message;
use tokio::runtime::{Builder, Runtime};
use tonic::{
    Request, Status,
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

/// As the plugin has it.
const THREADS: usize = 2;
const MOST: usize = 64 << 20;

pub struct Load {
    runtime: Runtime,
    channel: Channel,
    request: ModelInferRequest,
}

impl Load {
    /// Calls of a model that a server has; the shapes are those of the network, as far as the server leaves them open.
    pub fn new(address: &str, model: &str, network: &dyn Network) -> Option<Self> {
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(THREADS).enable_all().build().ok()?;
        let address = address.replace("grpc://", "http://");
        let inside = runtime.enter();
        let channel = Endpoint::from_shared(address).ok()?.connect_lazy();
        drop(inside);
        let ask = ModelRequest {
            name: model.into(),
            version: String::new(),
        };
        let metadata = call(channel.clone(), MODEL_METADATA, ask);
        let metadata: ModelMetadataResponse = runtime.block_on(metadata).ok()?;
        let mut raw = Vec::new();
        let inputs = metadata.inputs.iter().map(|input| {
            let read = network.inputs().iter().find(|read| read.name == input.name);
            let read = read.map_or(&[][..], |read| &read.shape);
            let sizes = input.shape.iter().zip(read);
            let shape: Vec<i64> = sizes
                .map(|(&served, &read)| if served < 0 { read as i64 } else { served })
                .collect();
            let bytes = match input.datatype.as_str() {
                "UINT8" => 1,
                "FP16" => 2,
                _ => 4,
            };
            raw.push(vec![0; bytes * shape.iter().product::<i64>() as usize].into());
            InferTensor {
                name: input.name.clone(),
                datatype: input.datatype.clone(),
                shape,
                ..InferTensor::default()
            }
        });
        let inputs = inputs.collect();
        let outputs = metadata.outputs.iter().map(|output| RequestedOutput {
            name: output.name.clone(),
            ..RequestedOutput::default()
        });
        Some(Self {
            request: ModelInferRequest {
                model_name: model.into(),
                model_version: String::new(),
                inputs,
                outputs: outputs.collect(),
                raw_input_contents: raw,
            },
            runtime,
            channel,
        })
    }

    /// How many calls so many streams have made.
    pub fn run(&self, streams: usize, lasts: Duration) -> usize {
        let started = Instant::now();
        let calls: Vec<_> = (0..streams)
            .map(|_| {
                let (channel, request) = (self.channel.clone(), self.request.clone());
                self.runtime.spawn(async move {
                    let mut calls = 0;
                    while started.elapsed() < lasts {
                        let answer = call(channel.clone(), MODEL_INFER, request.clone());
                        let answer: Result<ModelInferResponse, _> = answer.await;
                        answer.expect("it runs");
                        calls += 1;
                    }
                    calls
                })
            })
            .collect();
        let counts = calls.into_iter();
        counts
            .map(|calls| self.runtime.block_on(calls).expect("it ends"))
            .sum()
    }
}

async fn call<Q, A>(channel: Channel, method: &'static str, ask: Q) -> Result<A, Status>
where
    Q: Message + 'static,
    A: Message + Default + 'static,
{
    let mut client = Grpc::new(channel).max_decoding_message_size(MOST);
    let ready = client.ready().await;
    ready.map_err(|error| Status::unknown(error.to_string()))?;
    let path = PathAndQuery::from_static(method);
    let answer = client.unary(Request::new(ask), path, ProstCodec::default());
    Ok(answer.await?.into_inner())
}
