//! An inference server in this process, which stands in for real ones: it runs a network with ONNX
//! Runtime and answers as the test says.
//!
//! Not every test file uses everything here.
#![allow(dead_code)]

use std::{
    collections::HashMap,
    convert::Infallible,
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::FileExt as _,
    pin::Pin,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use lipsync_core::inference::{
    Element, ModelSource, Network, Options, Provider, onnx,
    remote::messages::{
        Choice, Empty, InferTensor, MODEL_CONFIG, MODEL_INFER, MODEL_METADATA, MODEL_READY,
        ModelConfig, ModelConfigResponse, ModelInferRequest, ModelInferResponse,
        ModelMetadataResponse, ModelReadyResponse, ModelRequest, Parameter, SHARED_MEMORY_REGISTER,
        SHARED_MEMORY_UNREGISTER, SharedMemoryRegisterRequest, SharedMemoryUnregisterRequest,
        TensorMetadata,
    },
};
use prost::Message;
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::{BoxFuture, Service, http},
    server::{Grpc, UnaryService},
    transport::server::TcpIncoming,
};
use tonic_prost::ProstCodec;

/// What comes of a call.
pub enum Reply {
    Answer(ModelInferResponse),
    Refuse(Status),
    After(Duration, ModelInferResponse),
    Never,
}

type Answerer = dyn Fn(&ModelInferRequest, ModelInferResponse) -> Reply + Send + Sync;

/// What the server serves, and how it answers.
pub struct Script {
    network: Mutex<Box<dyn Network>>,
    pub metadata: Mutex<ModelMetadataResponse>,
    /// `None`: the server knows no `ModelConfig`.
    pub max_batch: Mutex<Option<i32>>,
    pub is_ready: AtomicBool,
    answerer: Mutex<Arc<Answerer>>,
    /// Calls of `ModelInfer`.
    pub calls: AtomicUsize,
    /// Headers of the last call.
    pub headers: Mutex<http::HeaderMap>,
    /// Whether it opens memory of this machine, and what it has open by name.
    pub shares: AtomicBool,
    pub regions: Mutex<HashMap<String, File>>,
}

/// See the module. Dropped, it is killed.
pub struct StandIn {
    pub script: Arc<Script>,
    port: u16,
    runtime: Option<tokio::runtime::Runtime>,
    frozen: Arc<(Mutex<bool>, Condvar)>,
}

impl StandIn {
    /// Serves a network as any name; of the first dimensions that are open `batch` at most is taken.
    pub fn start(model: &[u8], batch: usize) -> Self {
        let options = Options {
            provider: Provider::Cpu,
            batch,
            intra_threads: 1,
            ..Options::default()
        };
        let source = ModelSource::Bytes {
            name: "served",
            data: model,
        };
        let network = onnx::open(source, &options, &[]).unwrap().network;
        let tensors = |tensors: &[lipsync_core::inference::TensorInfo]| {
            let tensors = tensors.iter();
            tensors
                .map(|tensor| TensorMetadata {
                    name: tensor.name.clone(),
                    datatype: match tensor.element {
                        Element::F32 => "FP32".into(),
                        Element::I32 => "INT32".into(),
                        Element::I64 => "INT64".into(),
                    },
                    shape: tensor.shape.iter().map(|&size| size as i64).collect(),
                })
                .collect()
        };
        let metadata = ModelMetadataResponse {
            name: "served".into(),
            versions: vec!["1".into()],
            platform: "stand-in".into(),
            inputs: tensors(network.inputs()),
            outputs: tensors(network.outputs()),
        };
        let mut server = Self {
            script: Arc::new(Script {
                network: Mutex::new(network),
                metadata: Mutex::new(metadata),
                max_batch: Mutex::new(None),
                is_ready: AtomicBool::new(true),
                answerer: Mutex::new(Arc::new(|_, answer| Reply::Answer(answer))),
                calls: AtomicUsize::new(0),
                headers: Mutex::default(),
                shares: AtomicBool::new(false),
                regions: Mutex::default(),
            }),
            port: 0,
            runtime: None,
            frozen: Arc::default(),
        };
        server.restart();
        server
    }

    pub fn address(&self) -> String {
        format!("grpc://127.0.0.1:{}", self.port)
    }

    /// From here on calls are answered so.
    pub fn answer(
        &self,
        how: impl Fn(&ModelInferRequest, ModelInferResponse) -> Reply + Send + Sync + 'static,
    ) {
        *self.script.answerer.lock().unwrap() = Arc::new(how);
    }

    /// From here on calls are answered as they should be.
    pub fn answer_well(&self) {
        self.answer(|_, answer| Reply::Answer(answer));
    }

    /// Answers once the test's change was made to each answer.
    pub fn change(&self, change: impl Fn(&mut ModelInferResponse) + Send + Sync + 'static) {
        self.answer(move |_, mut answer| {
            change(&mut answer);
            Reply::Answer(answer)
        });
    }

    pub fn calls(&self) -> usize {
        self.script.calls.load(Ordering::SeqCst)
    }

    /// Its connections break, and nobody listens any more.
    pub fn kill(&mut self) {
        self.thaw();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Listens again where it did before.
    pub fn restart(&mut self) {
        // One thread, which can be frozen.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let inside = runtime.enter();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let incoming = loop {
            match TcpIncoming::bind(address) {
                Ok(incoming) => break incoming.with_nodelay(Some(true)),
                // The one before is about to let go of it.
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        self.port = incoming.local_addr().unwrap().port();
        let service = Calls(self.script.clone());
        runtime.spawn(tonic::transport::Server::builder().serve_with_incoming(service, incoming));
        drop(inside);
        self.runtime = Some(runtime);
    }

    /// It does nothing any more, as a stopped process; its connections stay.
    pub fn freeze(&self) {
        let frozen = self.frozen.clone();
        *frozen.0.lock().unwrap() = true;
        let (stands, standing) = std::sync::mpsc::channel();
        self.runtime.as_ref().unwrap().spawn(async move {
            let (is_frozen, changed) = &*frozen;
            let is_frozen = is_frozen.lock().unwrap();
            let _ = stands.send(());
            let _thawed = changed.wait_while(is_frozen, |frozen| *frozen);
        });
        standing.recv().unwrap();
    }

    pub fn thaw(&self) {
        *self.frozen.0.lock().unwrap() = false;
        self.frozen.1.notify_all();
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port on which nobody listens.
pub fn unused_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// The service that the server offers.
#[derive(Clone)]
struct Calls(Arc<Script>);

impl Service<http::Request<Body>> for Calls {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let script = self.0.clone();
        Box::pin(async move {
            let path = request.uri().path().to_owned();
            Ok(match path.as_str() {
                MODEL_READY => {
                    let answer = |script: Arc<Script>, _: ModelRequest| async move {
                        let ready = script.is_ready.load(Ordering::SeqCst);
                        Ok(ModelReadyResponse { ready })
                    };
                    unary(request, script, answer).await
                }
                MODEL_METADATA => {
                    let answer = |script: Arc<Script>, _: ModelRequest| async move {
                        Ok(script.metadata.lock().unwrap().clone())
                    };
                    unary(request, script, answer).await
                }
                MODEL_CONFIG => {
                    let answer = |script: Arc<Script>, _: ModelRequest| async move {
                        let most = *script.max_batch.lock().unwrap();
                        let most = most.ok_or_else(|| Status::unimplemented("no config"))?;
                        let config = ModelConfig {
                            name: "served".into(),
                            max_batch_size: most,
                        };
                        Ok(ModelConfigResponse {
                            config: Some(config),
                        })
                    };
                    unary(request, script, answer).await
                }
                SHARED_MEMORY_REGISTER => unary(request, script, open_memory).await,
                SHARED_MEMORY_UNREGISTER => {
                    let answer = |script: Arc<Script>, ask: SharedMemoryUnregisterRequest| async move {
                        script.regions.lock().unwrap().remove(&ask.name);
                        Ok(Empty {})
                    };
                    unary(request, script, answer).await
                }
                MODEL_INFER => {
                    *script.headers.lock().unwrap() = request.headers().clone();
                    unary(request, script, infer).await
                }
                _ => Status::unimplemented(path).into_http(),
            })
        })
    }
}

async fn infer(
    script: Arc<Script>,
    mut request: ModelInferRequest,
) -> Result<ModelInferResponse, Status> {
    script.calls.fetch_add(1, Ordering::SeqCst);
    script.take_in(&mut request)?;
    let answer = script.run(&request)?;
    let answerer = script.answerer.lock().unwrap().clone();
    let answer = match answerer(&request, answer) {
        Reply::Answer(answer) => answer,
        Reply::Refuse(status) => return Err(status),
        Reply::After(wait, answer) => {
            tokio::time::sleep(wait).await;
            answer
        }
        Reply::Never => std::future::pending().await,
    };
    script.put_out(&request, answer)
}

async fn open_memory(
    script: Arc<Script>,
    ask: SharedMemoryRegisterRequest,
) -> Result<Empty, Status> {
    if !script.shares.load(Ordering::SeqCst) {
        return Err(Status::unimplemented("no shared memory"));
    }
    let mut options = File::options();
    let memory = options
        .read(true)
        .write(true)
        .open(format!("/dev/shm{}", ask.key))
        .map_err(|error| Status::invalid_argument(error.to_string()))?;
    assert_eq!(memory.metadata().unwrap().len(), ask.byte_size);
    script.regions.lock().unwrap().insert(ask.name, memory);
    Ok(Empty {})
}

/// Region, first byte and number of bytes of a tensor that lies in shared memory.
fn place(parameters: &HashMap<String, Parameter>) -> Option<(String, u64, usize)> {
    let choice = |name: &str| parameters.get(name)?.choice.clone();
    let number = |name| match choice(name)? {
        Choice::Integer(number) => Some(number),
        Choice::Text(_) => None,
    };
    let Some(Choice::Text(region)) = choice("shared_memory_region") else {
        return None;
    };
    let length = number("shared_memory_byte_size")? as usize;
    Some((region, number("shared_memory_offset")? as u64, length))
}

impl Script {
    /// Has inputs that lie in shared memory in the request.
    fn take_in(&self, request: &mut ModelInferRequest) -> Result<(), Status> {
        for input in &request.inputs {
            if let Some((region, start, length)) = place(&input.parameters) {
                let regions = self.regions.lock().unwrap();
                let unknown = || Status::invalid_argument(format!("no region {region}"));
                let mut raw = vec![0; length];
                let memory = regions.get(&region).ok_or_else(unknown)?;
                memory.read_exact_at(&mut raw, start).unwrap();
                request.raw_input_contents.push(raw.into());
            }
        }
        Ok(())
    }

    /// Has outputs in shared memory where that is asked for.
    fn put_out(
        &self,
        request: &ModelInferRequest,
        mut answer: ModelInferResponse,
    ) -> Result<ModelInferResponse, Status> {
        for asked in &request.outputs {
            if let Some((region, start, length)) = place(&asked.parameters) {
                let index = answer.outputs.iter().position(|out| out.name == asked.name);
                let raw = &answer.raw_output_contents[index.unwrap()];
                assert_eq!(raw.len(), length);
                self.regions.lock().unwrap()[&region]
                    .write_all_at(raw, start)
                    .unwrap();
            }
        }
        if request
            .outputs
            .iter()
            .any(|out| place(&out.parameters).is_some())
        {
            answer.raw_output_contents.clear();
        }
        Ok(answer)
    }

    /// What the network makes of it. A larger batch is refused.
    fn run(&self, request: &ModelInferRequest) -> Result<ModelInferResponse, Status> {
        let mut network = self.network.lock().unwrap();
        let rows = request.inputs[0].shape[0];
        for (index, raw) in request.raw_input_contents.iter().enumerate() {
            let info = &network.inputs()[index];
            let mut shape: Vec<_> = info.shape.iter().map(|&size| size as i64).collect();
            shape[0] = shape[0].min(rows);
            if shape != request.inputs[index].shape {
                return Err(Status::invalid_argument(format!(
                    "{:?} was found, {:?} is expected",
                    request.inputs[index].shape, info.shape
                )));
            }
            let values = raw.as_chunks().0.iter().map(|raw| f32::from_le_bytes(*raw));
            for (to, value) in network.input(index).iter_mut().zip(values) {
                *to = value;
            }
        }
        network
            .run()
            .map_err(|error| Status::internal(error.to_string()))?;
        let outputs = network.outputs().to_vec();
        let raw = (0..outputs.len()).map(|index| {
            let row = network.output(index).len() / outputs[index].shape[0];
            let bytes = network.output(index)[..rows as usize * row]
                .iter()
                .flat_map(|value| value.to_le_bytes());
            bytes.collect::<Vec<u8>>().into()
        });
        Ok(ModelInferResponse {
            model_name: request.model_name.clone(),
            model_version: "1".into(),
            raw_output_contents: raw.collect(),
            outputs: outputs
                .iter()
                .map(|tensor| InferTensor {
                    name: tensor.name.clone(),
                    datatype: "FP32".into(),
                    shape: std::iter::once(rows)
                        .chain(tensor.shape[1..].iter().map(|&size| size as i64))
                        .collect(),
                    ..InferTensor::default()
                })
                .collect(),
        })
    }
}

/// Answers a call of one message with another.
async fn unary<Q, A, F>(
    request: http::Request<Body>,
    script: Arc<Script>,
    answer: impl Fn(Arc<Script>, Q) -> F + Send,
) -> http::Response<Body>
where
    Q: Message + Default + Send + 'static,
    A: Message + Default + Send + 'static,
    F: Future<Output = Result<A, Status>> + Send + 'static,
{
    struct Handler<H>(Arc<Script>, H);
    impl<Q, A, F, H> UnaryService<Q> for Handler<H>
    where
        H: Fn(Arc<Script>, Q) -> F,
        A: Send + 'static,
        F: Future<Output = Result<A, Status>> + Send + 'static,
    {
        type Response = A;
        type Future = Pin<Box<dyn Future<Output = Result<Response<A>, Status>> + Send>>;

        fn call(&mut self, request: Request<Q>) -> Self::Future {
            let answer = (self.1)(self.0.clone(), request.into_inner());
            Box::pin(async { answer.await.map(Response::new) })
        }
    }
    let mut grpc = Grpc::new(ProstCodec::<A, Q>::default()).max_decoding_message_size(64 << 20);
    grpc.unary(Handler(script, answer), request).await
}
