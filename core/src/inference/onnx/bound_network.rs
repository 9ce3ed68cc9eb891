//! A model on one execution provider: a session, and tensors that stay bound to it.
//!
//! Must not know what the networks compute.

use std::any::Any;
use std::ffi::{CString, c_char};
use std::sync::{Arc, PoisonError};

use ort::AsPointer as _;
use ort::memory::Allocator;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::DynTensor;

use crate::{
    Error,
    inference::{
        Element, Interrupt, Network, Options, Provider, TensorInfo,
        model_file::Model,
        onnx::{
            chain::{self, Memory, Turn},
            compile_cache, cpu_cores,
            cuda_copy::Gpu,
            fair_queue::Turns,
            host_tensors::{self, Numbers},
            library::Runtime,
            nvidia_libraries,
            provider_options::{Accelerator, is_worth_caching, replays},
            runtime_log, session_pool,
            tensor_shapes::{self, Bindable, Sizes},
        },
        onnx_contents,
    },
};

/// Shapes by the names of inputs.
pub(super) type Shapes<'a> = [(&'a str, &'a [usize])];

/// A network with tensors of its own on a session that may be shared.
pub(super) fn bind(
    model: &Model,
    runtime: &Runtime,
    provider: Provider,
    options: &Options,
    shapes: &Shapes,
) -> Result<BoundNetwork, Error> {
    let threads = match options.intra_threads {
        0 => cpu_cores::physical(),
        threads => threads,
    };
    let key = session_pool::Key {
        model: model.digest,
        provider,
        device_id: options.device_id,
        precision: options.precision,
        provider_options: options.provider_options.clone(),
        intra_threads: threads,
        batch: options.batch.max(1),
        shapes: shapes
            .iter()
            .map(|&(name, shape)| (name.into(), shape.into()))
            .collect(),
    };
    let batch = key.batch;
    let replays = replays(provider, options);
    if replays && !runtime.is_at_least(GRAPHS) {
        return Err(provider.unavailable(format!(
            "CUDA graphs want ONNX Runtime 1.{GRAPHS} or newer, this is {}",
            runtime.version()
        )));
    }
    let build = || {
        let entry =
            compile_cache::entry(provider, options, runtime.version(), &model.digest, shapes);
        let entry = entry.filter(|_| is_worth_caching(provider, options));
        compile_cache::with(entry.as_deref(), |folder| {
            let accelerator = Accelerator::new(provider, options, threads, folder)?;
            Shared::build(
                model,
                runtime,
                provider,
                accelerator,
                threads,
                &Sizes { shapes, batch },
            )
        })
    };
    let shared = match replays {
        // What was recorded belongs to the tensors of one network.
        true => Arc::new(build()?),
        false => session_pool::get(key, build)?,
    };
    let name = model.name.clone();
    BoundNetwork::new(shared, name, options, replays)
}

/// The minor version of ONNX Runtime from which on a run can be kept from being recorded.
const GRAPHS: u32 = 18;

/// A session with the shapes it will be run with.
pub(super) struct Shared {
    provider: Provider,
    session: Session,
    inputs: Tensors,
    outputs: Tensors,
    /// Fair use by the networks that share it.
    turns: Turns,
}

/// All inputs or all outputs of a session, in its order.
struct Tensors {
    infos: Vec<TensorInfo>,
    numbers: Vec<Numbers>,
    names: Vec<CString>,
}

impl Tensors {
    fn new(model: &Model, tensors: Vec<Bindable>) -> Result<Self, Error> {
        let names = tensors
            .iter()
            .map(|tensor| CString::new(tensor.info.name.as_str()))
            .collect::<Result<_, _>>()
            .map_err(|error| model.unreadable(format!("a tensor's name: {error}")))?;
        let (infos, numbers) = tensors
            .into_iter()
            .map(|tensor| (tensor.info, tensor.numbers))
            .unzip();
        Ok(Self {
            infos,
            numbers,
            names,
        })
    }

    fn iter(&self) -> impl Iterator<Item = (&TensorInfo, Numbers)> {
        self.infos.iter().zip(self.numbers.iter().copied())
    }

    fn tensor(&self, index: usize) -> (&TensorInfo, Numbers) {
        (&self.infos[index], self.numbers[index])
    }

    fn names(&self) -> Vec<*const c_char> {
        self.names.iter().map(|name| name.as_ptr()).collect()
    }
}

impl Shared {
    pub fn provider(&self) -> Provider {
        self.provider
    }

    pub fn session(&self) -> &Session {
        &self.session
    }

    /// What an input or an output is, and of which numbers.
    pub fn input(&self, index: usize) -> (&TensorInfo, Numbers) {
        self.inputs.tensor(index)
    }

    pub fn output(&self, index: usize) -> (&TensorInfo, Numbers) {
        self.outputs.tensor(index)
    }

    /// Fails with [`Error::ProviderUnavailable`] where the accelerator is to blame.
    fn build(
        model: &Model,
        runtime: &Runtime,
        provider: Provider,
        accelerator: Option<Accelerator>,
        threads: usize,
        sizes: &Sizes,
    ) -> Result<Self, Error> {
        if onnx_contents::has_operator(&model.bytes, INEXACT) {
            runtime_log::say(
                runtime_log::Level::Warning,
                &format!(
                    "{} has {INEXACT}, which ONNX Runtime computes wrongly for values that lie far \
                     from 0: export it at opset 17 to 20 (docs/providers.md)",
                    model.name
                ),
            );
        }
        // Fixed shapes let ONNX Runtime simplify the network before anything runs.
        let dimensions = tensor_shapes::open_dimensions(model, sizes);
        let on_cpu = |level| {
            builder(model, runtime, level, &dimensions)
                .and_then(|builder| Ok(builder.with_intra_threads(threads)?))
                .and_then(|mut builder| builder.commit_from_memory(&model.bytes))
                .map_err(|error| model.unreadable(reason(&error.to_string())))
        };
        // An accelerator may take minutes to compile: the CPU tells the shapes, and what is wrong
        // with the model.
        let mut session = match &accelerator {
            None => on_cpu(GraphOptimizationLevel::All)?,
            Some(_) => on_cpu(GraphOptimizationLevel::Disable)?,
        };
        tensor_shapes::check_types(model, &session)?;
        let inputs = tensor_shapes::inputs(model, session.inputs(), sizes)?;
        let outputs = match &accelerator {
            Some(accelerator) => {
                if provider.is_nvidia() {
                    nvidia_libraries::preload(runtime.path());
                }
                let (result, heard) = runtime_log::overhear(|| {
                    session = accelerate(model, runtime, accelerator, &dimensions)?;
                    tensor_shapes::outputs(&mut session, &inputs)
                });
                result.map_err(|error: ort::Error| {
                    provider.unavailable(told(&error.to_string(), &heard))
                })?
            }
            None => tensor_shapes::outputs(&mut session, &inputs)
                .map_err(|error| failed(&model.name, error))?,
        };
        Ok(Self {
            provider,
            session,
            inputs: Tensors::new(model, inputs)?,
            outputs: Tensors::new(model, outputs)?,
            turns: Turns::new(match provider.is_nvidia() {
                // A GPU has a queue of its own.
                true => usize::MAX,
                false => cpu_cores::runs_at_once(threads),
            }),
        })
    }
}

/// See `docs/providers.md`.
const INEXACT: &str = "GroupNormalization";

/// Why ONNX Runtime cannot read a model.
fn reason(error: &str) -> String {
    let error = error.trim().trim_end_matches('.');
    match error.contains("protobuf parsing failed") {
        true => format!("it is no ONNX file, or a part of one ({error}); export or copy it again"),
        false => error.to_owned(),
    }
}

fn failed(name: &str, reason: impl ToString) -> Error {
    Error::Inference {
        name: name.to_owned(),
        reason: reason.to_string(),
    }
}

/// What ONNX Runtime says when a provider leaves nodes of a network to the CPU, which is disabled.
const INCOMPLETE: &str = "fallback to CPU EP has been explicitly disabled";

/// An error with what was logged about it: the error of a provider that does not start says no
/// more than that.
fn told(error: &str, heard: &[String]) -> String {
    if error.contains(INCOMPLETE) {
        return "it cannot run all of this network, and the rest would go to the CPU unseen".into();
    }
    let lines = heard.iter().map(|line| line.trim());
    let news = lines.filter(|line| !line.is_empty() && !error.contains(line));
    let mut told = error.trim().to_owned();
    for line in news {
        told = format!("{told}. {line}");
    }
    told
}

fn builder(
    model: &Model,
    runtime: &Runtime,
    level: GraphOptimizationLevel,
    dimensions: &[(String, usize)],
) -> ort::Result<SessionBuilder> {
    let mut builder = Session::builder(&runtime.environment)?
        .with_log_id(&model.name)?
        .with_log_level(runtime_log::threshold())?
        .with_optimization_level(level)?
        .with_inter_threads(1)?
        // Between two frames there is nothing to do: threads sleep then.
        .with_intra_op_spinning(false)?
        // A plan makes of the second run one block of memory, and what the first one took stays
        // beside it unused: with the U-Net of 328 pixels half as much again, and no faster.
        .with_memory_pattern(false)?;
    for (symbol, size) in dimensions {
        builder = builder.with_dimension_override(symbol, *size as i64)?;
    }
    Ok(builder)
}

/// A session that runs on the accelerator and nowhere else.
fn accelerate(
    model: &Model,
    runtime: &Runtime,
    accelerator: &Accelerator,
    dimensions: &[(String, usize)],
) -> ort::Result<Session> {
    let level = GraphOptimizationLevel::All;
    let mut builder = builder(model, runtime, level, dimensions)?
        // ONNX Runtime's own threads have nothing to do.
        .with_intra_threads(1)?
        // Otherwise a provider may take none of the network and still count as running it.
        .with_disable_cpu_fallback()?
        .with_execution_providers([accelerator.dispatch()])?;
    builder.commit_from_memory(&model.bytes)
}

/// One user's view of a session: the tensors are its own.
pub(super) struct BoundNetwork {
    name: String,
    pub(super) inputs: Vec<Bound>,
    pub(super) outputs: Vec<Bound>,
    /// Where runs are replayed.
    pub(super) gpu: Option<Gpu>,
    pub(super) device_id: u32,
    pub(super) pointers: Pointers,
    /// Of networks that share memory with others.
    pub(super) turn: Option<Turn>,
    interrupt: Interrupt,
    pub(super) shared: Arc<Shared>,
}

/// A tensor of one network.
pub(super) struct Bound {
    /// What the session is given where that is not `host`. Dropped before the memory that it may
    /// share.
    pub(super) given: Option<DynTensor>,
    /// What another network writes or reads: `host` is of no use then.
    pub(super) memory: Option<Arc<Memory>>,
    /// What is filled and read here.
    host: DynTensor,
    numbers: Numbers,
    /// What is filled and read instead, where `host` is of other floats: cast with each run.
    floats: Option<Box<[f32]>>,
}

impl Bound {
    fn new(info: &TensorInfo, numbers: Numbers, host: DynTensor) -> Self {
        let is_cast = info.element == Element::F32 && numbers != Numbers::F32;
        let length = info.shape.iter().product();
        Self {
            given: None,
            memory: None,
            host,
            numbers,
            floats: is_cast.then(|| vec![0.0; length].into()),
        }
    }

    fn pageable(info: &TensorInfo, numbers: Numbers) -> ort::Result<Self> {
        let host = host_tensors::tensor(&host_tensors::pageable(), numbers, &info.shape)?;
        Ok(Self::new(info, numbers, host))
    }

    /// In memory that a GPU reads without a copy by the CPU.
    fn pinned(info: &TensorInfo, numbers: Numbers, allocator: &Allocator) -> ort::Result<Self> {
        let mut host = host_tensors::tensor(allocator, numbers, &info.shape)?;
        // SAFETY: both are kept together, and this one is dropped first.
        let given = unsafe { host_tensors::as_pageable(&mut host, numbers)? };
        Ok(Self {
            given: Some(given),
            ..Self::new(info, numbers, host)
        })
    }

    /// On the host in `allocator`'s memory and, for good, on the GPU.
    fn doubled(
        info: &TensorInfo,
        numbers: Numbers,
        allocator: &Allocator,
        gpu: &Allocator,
    ) -> ort::Result<Self> {
        let host = host_tensors::tensor(allocator, numbers, &info.shape)?;
        Ok(Self {
            given: Some(host_tensors::uninitialized(gpu, numbers, &info.shape)?),
            ..Self::new(info, numbers, host)
        })
    }

    fn values(&self) -> &[f32] {
        match &self.floats {
            Some(floats) => floats,
            None => host_tensors::values(&self.host),
        }
    }

    fn values_mut(&mut self) -> &mut [f32] {
        match &mut self.floats {
            Some(floats) => floats,
            None => host_tensors::values_mut(&mut self.host),
        }
    }

    fn set_integer(&mut self, value: i64) {
        match self.numbers {
            Numbers::I32 => {
                let value = value.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
                host_tensors::values_mut(&mut self.host).fill(value);
            }
            // Panics, as promised, where these are floats.
            _ => host_tensors::values_mut(&mut self.host).fill(value),
        }
    }

    /// Before a run.
    fn cast_in(&mut self) {
        if let (Some(floats), None) = (&self.floats, &self.memory) {
            host_tensors::cast_in(self.numbers, floats, &mut self.host);
        }
    }

    /// After a run.
    fn cast_out(&mut self) {
        if let (Some(floats), None) = (&mut self.floats, &self.memory) {
            host_tensors::cast_out(self.numbers, &self.host, floats);
        }
    }

    fn ptr(&self) -> *const ort::sys::OrtValue {
        self.given.as_ref().unwrap_or(&self.host).ptr()
    }

    pub(super) fn ptr_mut(&mut self) -> *mut ort::sys::OrtValue {
        self.given.as_mut().unwrap_or(&mut self.host).ptr_mut()
    }

    /// Fails with what the CUDA runtime says.
    fn upload(&mut self, gpu: &Gpu) -> Result<(), String> {
        match &mut self.given {
            Some(given) => gpu.copy(&self.host, given),
            None => Ok(()),
        }
    }

    /// Fails with what the CUDA runtime says.
    fn download(&mut self, gpu: &Gpu) -> Result<(), String> {
        match &self.given {
            Some(given) => gpu.copy(given, &mut self.host),
            None => Ok(()),
        }
    }
}

/// The arrays that one call of ONNX Runtime's `Run` takes, made once: the safe wrapper of `ort`
/// makes them, and the outputs, anew for each run.
pub(super) struct Pointers {
    input_names: Vec<*const c_char>,
    pub(super) inputs: Vec<*const ort::sys::OrtValue>,
    output_names: Vec<*const c_char>,
    pub(super) outputs: Vec<*mut ort::sys::OrtValue>,
}

// SAFETY: the pointers lead to heap memory that `BoundNetwork` owns (tensors) or keeps alive
// (names in `Shared`), none of it tied to a thread, and they are used through `&mut` only.
unsafe impl Send for Pointers {}

impl BoundNetwork {
    fn new(
        shared: Arc<Shared>,
        name: String,
        options: &Options,
        replays: bool,
    ) -> Result<Self, Error> {
        let failed = |error: ort::Error| failed(&name, error);
        let gpu = match replays {
            true => Some(Gpu::open(options.device_id).ok_or_else(|| {
                shared
                    .provider
                    .unavailable("CUDA graphs want the CUDA runtime as a library of its own")
            })?),
            false => None,
        };
        let on_gpu = gpu.as_ref().map(|gpu| gpu.allocator(&shared.session));
        let on_gpu = on_gpu.transpose().map_err(failed)?;
        let pinned = shared.provider.is_nvidia();
        let pinned = pinned.then(|| host_tensors::pinned(&shared.session, options.device_id));
        let tensors = |tensors: &Tensors| {
            let tensors = tensors
                .iter()
                .map(|(info, numbers)| match (&pinned, &on_gpu) {
                    (Some(pinned), Some(gpu)) => Bound::doubled(info, numbers, pinned, gpu),
                    (Some(pinned), None) => Bound::pinned(info, numbers, pinned),
                    (None, _) => Bound::pageable(info, numbers),
                });
            tensors.collect::<ort::Result<Vec<_>>>().map_err(failed)
        };
        let inputs = tensors(&shared.inputs)?;
        let mut outputs = tensors(&shared.outputs)?;
        let pointers = Pointers {
            input_names: shared.inputs.names(),
            inputs: inputs.iter().map(|tensor| tensor.ptr()).collect(),
            output_names: shared.outputs.names(),
            outputs: outputs.iter_mut().map(|tensor| tensor.ptr_mut()).collect(),
        };
        // Makes them, so that the first run need not.
        options.interrupt.run_options();
        Ok(Self {
            name,
            inputs,
            outputs,
            gpu,
            device_id: options.device_id,
            pointers,
            turn: None,
            interrupt: options.interrupt.clone(),
            shared,
        })
    }
}

impl Network for BoundNetwork {
    fn name(&self) -> &str {
        &self.name
    }

    fn inputs(&self) -> &[TensorInfo] {
        &self.shared.inputs.infos
    }

    fn outputs(&self) -> &[TensorInfo] {
        &self.shared.outputs.infos
    }

    fn input(&mut self, index: usize) -> &mut [f32] {
        self.inputs[index].values_mut()
    }

    fn set_integer(&mut self, index: usize, value: i64) {
        self.inputs[index].set_integer(value);
    }

    fn run(&mut self) -> Result<(), Error> {
        for input in &mut self.inputs {
            input.cast_in();
            if let Some(gpu) = &self.gpu {
                input
                    .upload(gpu)
                    .map_err(|reason| failed(&self.name, reason))?;
            }
        }
        let alone = self.turn.as_ref();
        let alone = alone.map(|turn| turn.lock().unwrap_or_else(PoisonError::into_inner));
        let pointers = &mut self.pointers;
        let options = self.interrupt.run_options();
        let turn = self.shared.turns.take();
        // SAFETY: names and values are as many as the lengths say and outlive the call, since
        // `self` owns or shares them. The values are of the types and shapes of the session's
        // tensors, in host memory, which every provider takes: one for a GPU copies inputs to it
        // and outputs back, and has done so when `Run` returns; or on its GPU. `&mut self` keeps Rust from
        // touching them meanwhile, and `alone` networks that share some of this memory. Other networks may run the same session at the same time on
        // their own tensors: `Run` of one session may be called from several threads (its C API
        // documentation); `InferenceSession::Run` itself takes a lock around the run where a
        // provider does not support that (`IExecutionProvider::ConcurrentRunSupported`). CUDA graphs
        // rely on tensors staying where they are between runs, and these do as long as the session,
        // which is theirs alone then. The options live as long as `self.interrupt`, and null ones
        // mean the default; that other threads may terminate them meanwhile is what they are for.
        let result = unsafe {
            ort::Error::result_from_status((ort::api().Run)(
                self.shared.session.ptr().cast_mut(),
                options,
                pointers.input_names.as_ptr(),
                pointers.inputs.as_ptr(),
                pointers.inputs.len(),
                pointers.output_names.as_ptr(),
                pointers.output_names.len(),
                pointers.outputs.as_mut_ptr(),
            ))
        };
        drop(turn);
        drop(alone);
        result.map_err(|error| failed(&self.name, error))?;
        for output in &mut self.outputs {
            if let Some(gpu) = &self.gpu {
                output
                    .download(gpu)
                    .map_err(|reason| failed(&self.name, reason))?;
            }
            output.cast_out();
        }
        Ok(())
    }

    fn output(&self, index: usize) -> &[f32] {
        self.outputs[index].values()
    }

    fn feed(&mut self, index: usize, next: &mut dyn Network, input: usize) -> bool {
        let next = next.as_any().and_then(|next| next.downcast_mut::<Self>());
        // Without memory for both, values are copied.
        next.is_some_and(|next| chain::feed(self, index, next, input).unwrap_or(false))
    }

    fn as_any(&mut self) -> Option<&mut dyn Any> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::ModelSource;
    use crate::inference::onnx::library;

    const DETECTOR: &[u8] = include_bytes!("../../../../models/face_detector.onnx");

    fn bound(intra_threads: usize) -> BoundNetwork {
        let options = Options {
            intra_threads,
            ..Options::default()
        };
        let model = Model::read(ModelSource::Bytes {
            name: "detector",
            data: DETECTOR,
        });
        let runtime = library::load(None, Provider::Cpu).unwrap();
        bind(&model.unwrap(), runtime, Provider::Cpu, &options, &[]).unwrap()
    }

    #[test]
    fn weights_are_in_memory_once_and_leave_with_the_last_user() {
        // A number of threads that no other test asks for.
        let (first, second) = (bound(3), bound(3));
        assert!(Arc::ptr_eq(&first.shared, &second.shared));
        assert!(!Arc::ptr_eq(&first.shared, &bound(4).shared));
        let session = Arc::downgrade(&first.shared);
        drop(first);
        assert!(session.upgrade().is_some());
        drop(second);
        assert!(session.upgrade().is_none());
        assert_eq!(bound(3).inputs().len(), 1);
    }

    #[test]
    fn memory_for_a_card_is_ordinary_where_there_is_none() {
        let network = bound(2);
        let allocator = host_tensors::pinned(&network.shared.session, 0);
        let mut tensor = host_tensors::tensor(&allocator, Numbers::F32, &[2, 3]).unwrap();
        assert_eq!(host_tensors::values::<f32>(&tensor), [0.0; 6]);
        host_tensors::values_mut(&mut tensor).fill(1.5f32);
        assert_eq!(host_tensors::values::<f32>(&tensor), [1.5; 6]);
        // SAFETY: `tensor` outlives it.
        let once_more = unsafe { host_tensors::as_pageable(&mut tensor, Numbers::F32).unwrap() };
        assert!(once_more.memory_info().is_cpu_accessible());
        assert_eq!(host_tensors::values::<f32>(&once_more), [1.5; 6]);
        host_tensors::values_mut(&mut tensor).fill(2.5f32);
        assert_eq!(host_tensors::values::<f32>(&once_more), [2.5; 6]);
        drop(once_more);
        let nothing = host_tensors::tensor(&allocator, Numbers::I64, &[2, 0]).unwrap();
        assert!(host_tensors::values::<i64>(&nothing).is_empty());
    }

    #[test]
    fn what_was_logged_is_told_once() {
        let heard = ["Failed to start".into(), "no such option\n".into()];
        assert_eq!(
            told("Failed to start", &heard),
            "Failed to start. no such option"
        );
        assert!(told(INCOMPLETE, &[]).contains("all of this network"));
    }
}
