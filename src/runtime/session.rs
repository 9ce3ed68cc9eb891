//! Opens models and runs them on tensors that stay bound.
//!
//! Must not know what the networks compute.

use std::ffi::{CString, c_char};
use std::path::Path;
use std::sync::Arc;

use ort::AsPointer as _;
use ort::environment::Environment;
use ort::memory::Allocator;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::{Outlet, Tensor, TensorElementType, TensorRef, ValueType};

use super::model::{Model, ModelSource};
use super::provider::{self, Fallback, Options, Provider};
use super::{Network, TensorInfo, cores, library, log, pool};
use crate::Error;

/// No tensor of a lip-sync model comes near (1 GiB); a corrupt model may ask for anything.
const MAX_TENSOR_ELEMENTS: usize = 1 << 28;

/// A network ready to run, and what it runs on.
pub struct Opened {
    pub network: Box<dyn Network>,
    pub active: Provider,
    /// What [`Provider::Auto`] would have preferred.
    pub fallbacks: Vec<Fallback>,
}

/// Opens a model, or shares the session of a network that is open with the same options.
///
/// `shapes` gives whole shapes of inputs by name; a dimension that the model leaves open and that
/// no shape fixes becomes 1. The network has been run once on zeros when this returns, so that
/// the first frame is no slower than the others.
///
/// # Errors
/// [`Error::RuntimeMissing`], [`Error::ProviderUnavailable`], [`Error::ModelNotFound`],
/// [`Error::ModelUnreadable`]; [`Error::ModelMismatch`] when a tensor is not of 32-bit floats or
/// `shapes` contradicts the model; [`Error::Inference`] when the trial run fails.
pub fn open(
    source: ModelSource,
    options: &Options,
    shapes: &[(&str, &[usize])],
) -> Result<Opened, Error> {
    let runtime = library::load(options.library.as_deref())?;
    let (active, fallbacks) = provider::choose(options.provider, runtime)?;
    let model = Model::read(source)?;
    let network = bind(model, &runtime.environment, active, options, shapes)?;
    Ok(Opened {
        network: Box::new(network),
        active,
        fallbacks,
    })
}

/// A network with tensors of its own on a session that may be shared.
fn bind(
    model: Model,
    environment: &Environment,
    provider: Provider,
    options: &Options,
    shapes: &[(&str, &[usize])],
) -> Result<BoundNetwork, Error> {
    let intra_threads = match options.intra_threads {
        0 => cores::physical(),
        threads => threads,
    };
    let key = pool::Key {
        model: pool::Digest::of(&model.bytes),
        folder: model.folder.clone(),
        provider,
        device_id: options.device_id,
        intra_threads,
        shapes: shapes
            .iter()
            .map(|&(name, shape)| (name.into(), shape.into()))
            .collect(),
    };
    let shared = pool::get(key, || {
        Shared::build(&model, environment, intra_threads, shapes)
    })?;
    BoundNetwork::new(shared, model.name)
}

/// A session with the shapes it will be run with.
pub(super) struct Shared {
    session: Session,
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
    input_names: Vec<CString>,
    output_names: Vec<CString>,
}

impl Shared {
    fn build(
        model: &Model,
        environment: &Environment,
        intra_threads: usize,
        shapes: &[(&str, &[usize])],
    ) -> Result<Self, Error> {
        let commit = |dimensions: &[(String, usize)]| {
            builder(model, environment, intra_threads, dimensions)
                .and_then(|mut builder| builder.commit_from_memory(&model.bytes))
                .map_err(|error| model.unreadable(error.to_string()))
        };
        let mut session = commit(&[])?;
        check_types(model, &session)?;
        let inputs = input_shapes(model, session.inputs(), shapes)?;
        let dimensions = open_dimensions(session.inputs(), &inputs);
        if !dimensions.is_empty() {
            // Fixed shapes let ONNX Runtime plan its memory once and for all.
            session = commit(&dimensions)?;
        }
        let outputs = output_shapes(model, &mut session, &inputs)?;
        let names = |infos: &[TensorInfo]| {
            let names = infos.iter().map(|info| CString::new(info.name.as_str()));
            names
                .collect::<Result<_, _>>()
                .map_err(|error| model.unreadable(format!("a tensor's name: {error}")))
        };
        Ok(Self {
            input_names: names(&inputs)?,
            output_names: names(&outputs)?,
            session,
            inputs,
            outputs,
        })
    }
}

fn builder(
    model: &Model,
    environment: &Environment,
    intra_threads: usize,
    dimensions: &[(String, usize)],
) -> ort::Result<SessionBuilder> {
    let mut builder = Session::builder(environment)?
        .with_log_id(&model.name)?
        .with_log_level(log::threshold())?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(intra_threads)?
        .with_inter_threads(1)?
        // Between two frames there is nothing to do: threads sleep then.
        .with_intra_op_spinning(false)?;
    if let Some(folder) = model.folder.as_deref().and_then(Path::to_str) {
        builder = builder.with_config_entry(
            "session.model_external_initializers_file_folder_path",
            folder,
        )?;
    }
    for (symbol, size) in dimensions {
        builder = builder.with_dimension_override(symbol, *size as i64)?;
    }
    Ok(builder)
}

/// All tensors hold 32-bit floats, or the network does not fit this room.
fn check_types(model: &Model, session: &Session) -> Result<(), Error> {
    let is_float =
        |outlet: &Outlet| outlet.dtype().tensor_type() == Some(TensorElementType::Float32);
    let (inputs, outputs) = (session.inputs(), session.outputs());
    if !outputs.is_empty() && inputs.iter().chain(outputs).all(is_float) {
        return Ok(());
    }
    let list = |outlets: &[Outlet]| {
        let items = outlets
            .iter()
            .map(|o| format!("{} {}", o.name(), o.dtype()));
        items.collect::<Vec<_>>().join(", ")
    };
    Err(model.mismatch(
        format!("inputs {}; outputs {}", list(inputs), list(outputs)),
        "tensors of 32-bit floats (f32) only, at least one output".into(),
    ))
}

fn input_shapes(
    model: &Model,
    inputs: &[Outlet],
    shapes: &[(&str, &[usize])],
) -> Result<Vec<TensorInfo>, Error> {
    if let Some((unknown, _)) = shapes
        .iter()
        .find(|(name, _)| inputs.iter().all(|input| input.name() != *name))
    {
        let names: Vec<_> = inputs.iter().map(Outlet::name).collect();
        return Err(model.mismatch(
            format!("inputs {}", names.join(", ")),
            format!("an input {unknown}"),
        ));
    }
    let infos = inputs.iter().map(|input| {
        let fixed = shapes.iter().find(|(name, _)| *name == input.name());
        let shape = input_shape(input, fixed.map(|(_, shape)| *shape)).ok_or_else(|| {
            let wanted = match fixed {
                Some((_, shape)) => format!("{shape:?}"),
                None => format!("at most {MAX_TENSOR_ELEMENTS} elements"),
            };
            model.mismatch(
                format!("input {} {}", input.name(), input.dtype()),
                format!("input {} {wanted}", input.name()),
            )
        })?;
        Ok(TensorInfo {
            name: input.name().into(),
            shape,
        })
    });
    infos.collect()
}

/// `None` when `fixed` contradicts the model or the tensor is too large.
fn input_shape(input: &Outlet, fixed: Option<&[usize]>) -> Option<Vec<usize>> {
    let dims = input.dtype().tensor_shape()?;
    if fixed.is_some_and(|fixed| fixed.len() != dims.len()) {
        return None;
    }
    let mut shape = Vec::with_capacity(dims.len());
    for (i, &dim) in dims.iter().enumerate() {
        let asked = fixed.map(|fixed| fixed[i]);
        shape.push(match usize::try_from(dim) {
            Ok(known) if asked.is_none_or(|asked| asked == known) => known,
            Ok(_) => return None,
            Err(_) => asked.unwrap_or(1),
        });
    }
    let elements = shape
        .iter()
        .try_fold(1usize, |n, &dim| n.checked_mul(dim))?;
    (1..=MAX_TENSOR_ELEMENTS)
        .contains(&elements)
        .then_some(shape)
}

/// The open dimensions that have a name, with the sizes they get.
fn open_dimensions(inputs: &[Outlet], infos: &[TensorInfo]) -> Vec<(String, usize)> {
    let mut dimensions = Vec::new();
    for (input, info) in inputs.iter().zip(infos) {
        let ValueType::Tensor {
            shape,
            dimension_symbols,
            ..
        } = input.dtype()
        else {
            continue;
        };
        for ((&dim, symbol), &size) in shape.iter().zip(dimension_symbols.iter()).zip(&info.shape) {
            if dim < 0 && !symbol.is_empty() {
                dimensions.push((symbol.to_string(), size));
            }
        }
    }
    dimensions
}

/// Shapes of the outputs as a run on zeros makes them: models need not declare them.
fn output_shapes(
    model: &Model,
    session: &mut Session,
    inputs: &[TensorInfo],
) -> Result<Vec<TensorInfo>, Error> {
    let failed = |error: ort::Error| Error::Inference {
        name: model.name.clone(),
        reason: error.to_string(),
    };
    let zeros: Vec<Vec<f32>> = inputs
        .iter()
        .map(|info| vec![0.0; info.shape.iter().product()])
        .collect();
    let mut values = Vec::with_capacity(inputs.len());
    for (info, zeros) in inputs.iter().zip(&zeros) {
        let tensor = TensorRef::from_array_view((info.shape.as_slice(), zeros.as_slice()));
        values.push((info.name.as_str(), tensor.map_err(failed)?));
    }
    let outputs = session.run(values).map_err(failed)?;
    let infos = outputs.iter().map(|(name, value)| {
        let (shape, _) = value.try_extract_tensor::<f32>().map_err(failed)?;
        Ok(TensorInfo {
            name: name.into(),
            shape: shape.iter().map(|&dim| dim.max(0) as usize).collect(),
        })
    });
    infos.collect()
}

/// One user's view of a session: the tensors are its own.
struct BoundNetwork {
    name: String,
    inputs: Vec<Tensor<f32>>,
    outputs: Vec<Tensor<f32>>,
    pointers: Pointers,
    shared: Arc<Shared>,
}

/// The arrays that one call of ONNX Runtime's `Run` takes, made once: the safe wrapper of `ort`
/// makes them, and the outputs, anew for each run.
struct Pointers {
    input_names: Vec<*const c_char>,
    inputs: Vec<*const ort::sys::OrtValue>,
    output_names: Vec<*const c_char>,
    outputs: Vec<*mut ort::sys::OrtValue>,
}

// SAFETY: the pointers lead to heap memory that `BoundNetwork` owns (tensors) or keeps alive
// (names in `Shared`), none of it tied to a thread, and they are used through `&mut` only.
unsafe impl Send for Pointers {}

impl BoundNetwork {
    fn new(shared: Arc<Shared>, name: String) -> Result<Self, Error> {
        let allocator = Allocator::default();
        let tensors = |infos: &[TensorInfo]| {
            let tensors = infos.iter().map(|info| {
                let mut tensor = Tensor::<f32>::new(&allocator, info.shape.as_slice())?;
                tensor.extract_tensor_mut().1.fill(0.0);
                Ok(tensor)
            });
            tensors
                .collect::<ort::Result<Vec<_>>>()
                .map_err(|error| Error::Inference {
                    name: name.clone(),
                    reason: error.to_string(),
                })
        };
        let inputs = tensors(&shared.inputs)?;
        let mut outputs = tensors(&shared.outputs)?;
        let pointers = Pointers {
            input_names: shared
                .input_names
                .iter()
                .map(|name| name.as_ptr())
                .collect(),
            inputs: inputs.iter().map(|tensor| tensor.ptr()).collect(),
            output_names: shared
                .output_names
                .iter()
                .map(|name| name.as_ptr())
                .collect(),
            outputs: outputs.iter_mut().map(|tensor| tensor.ptr_mut()).collect(),
        };
        Ok(Self {
            name,
            inputs,
            outputs,
            pointers,
            shared,
        })
    }
}

impl Network for BoundNetwork {
    fn name(&self) -> &str {
        &self.name
    }

    fn inputs(&self) -> &[TensorInfo] {
        &self.shared.inputs
    }

    fn outputs(&self) -> &[TensorInfo] {
        &self.shared.outputs
    }

    fn input(&mut self, index: usize) -> &mut [f32] {
        self.inputs[index].extract_tensor_mut().1
    }

    fn run(&mut self) -> Result<(), Error> {
        let pointers = &mut self.pointers;
        // SAFETY: names and values are as many as the lengths say and outlive the call, since
        // `self` owns or shares them. The values are of the types and shapes of the session's
        // tensors. `&mut self` keeps Rust from touching them meanwhile. Other networks may run
        // the same session at the same time on their own tensors: ONNX Runtime allows concurrent
        // `Run` of one session (its C API documentation and `InferenceSession::Run`); on the
        // CPU, the only provider driven here, nothing in a run is shared but read-only weights,
        // the thread pool and locked allocators. Null options mean the default ones.
        let result = unsafe {
            ort::Error::result_from_status((ort::api().Run)(
                self.shared.session.ptr().cast_mut(),
                std::ptr::null(),
                pointers.input_names.as_ptr(),
                pointers.inputs.as_ptr(),
                pointers.inputs.len(),
                pointers.output_names.as_ptr(),
                pointers.output_names.len(),
                pointers.outputs.as_mut_ptr(),
            ))
        };
        result.map_err(|error| Error::Inference {
            name: self.name.clone(),
            reason: error.to_string(),
        })
    }

    fn output(&self, index: usize) -> &[f32] {
        self.outputs[index].extract_tensor().1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DETECTOR: &[u8] = include_bytes!("../../models/face_detector.onnx");

    fn bound(intra_threads: usize) -> BoundNetwork {
        let options = Options {
            intra_threads,
            ..Options::default()
        };
        let model = Model::read(ModelSource::Bytes {
            name: "detector",
            data: DETECTOR,
        });
        let runtime = library::load(None).unwrap();
        let environment = &runtime.environment;
        bind(model.unwrap(), environment, Provider::Cpu, &options, &[]).unwrap()
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
}
