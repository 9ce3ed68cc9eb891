//! Which tensors a session has, and the shapes that they are given.
//!
//! Must not know providers.

use ort::session::{RunOptions, Session};
use ort::value::{Outlet, TensorElementType};

use crate::{
    Error,
    inference::{Element, TensorInfo, model_file::Model, onnx::host_tensors, onnx_contents},
};

/// No tensor of a lip-sync model comes near (1 GiB); a corrupt model may ask for anything.
const MAX_TENSOR_ELEMENTS: usize = 1 << 28;

/// What open dimensions become.
pub(super) struct Sizes<'a> {
    /// Whole shapes by the names of inputs.
    pub shapes: &'a [(&'a str, &'a [usize])],
    /// The first dimension of other inputs.
    pub batch: usize,
}

impl Sizes<'_> {
    fn shape(&self, input: &str) -> Option<&[usize]> {
        let named = self.shapes.iter().find(|(name, _)| *name == input);
        named.map(|(_, shape)| *shape)
    }

    /// Of a dimension that neither the model nor a shape fixes.
    fn open(&self, axis: usize) -> usize {
        match axis {
            0 => self.batch,
            _ => 1,
        }
    }
}

impl Element {
    const ALL: [Self; 3] = [Self::F32, Self::I32, Self::I64];

    pub(super) fn data_type(self) -> TensorElementType {
        match self {
            Self::F32 => TensorElementType::Float32,
            Self::I32 => TensorElementType::Int32,
            Self::I64 => TensorElementType::Int64,
        }
    }

    fn of(outlet: &Outlet) -> Option<Self> {
        let found = outlet.dtype().tensor_type()?;
        Self::ALL
            .into_iter()
            .find(|element| element.data_type() == found)
    }
}

/// Every input is of floats or integers and every output of floats, or the network does not fit
/// this room.
pub(super) fn check_types(model: &Model, session: &Session) -> Result<(), Error> {
    let (inputs, outputs) = (session.inputs(), session.outputs());
    let are_known = inputs.iter().all(|input| Element::of(input).is_some());
    let is_float = |output| Element::of(output) == Some(Element::F32);
    if are_known && !outputs.is_empty() && outputs.iter().all(is_float) {
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
        "inputs of 32-bit floats (f32) or integers (i32, i64), and outputs, at least one, of \
         32-bit floats"
            .into(),
    ))
}

pub(super) fn inputs(
    model: &Model,
    inputs: &[Outlet],
    sizes: &Sizes,
) -> Result<Vec<TensorInfo>, Error> {
    if let Some((unknown, _)) = sizes
        .shapes
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
        let shape = input_shape(input, sizes).ok_or_else(|| {
            let wanted = match sizes.shape(input.name()) {
                Some(shape) => format!("{shape:?}"),
                None => format!("at most {MAX_TENSOR_ELEMENTS} elements"),
            };
            model.mismatch(
                format!("input {} {}", input.name(), input.dtype()),
                format!("input {} {wanted}", input.name()),
            )
        })?;
        Ok(TensorInfo {
            name: input.name().into(),
            element: Element::of(input).unwrap_or(Element::F32),
            shape,
        })
    });
    infos.collect()
}

/// `None` when a wanted shape contradicts the model or the tensor is too large.
fn input_shape(input: &Outlet, sizes: &Sizes) -> Option<Vec<usize>> {
    let fixed = sizes.shape(input.name());
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
            Err(_) => asked.unwrap_or(sizes.open(i)),
        });
    }
    let elements = shape
        .iter()
        .try_fold(1usize, |n, &dim| n.checked_mul(dim))?;
    (1..=MAX_TENSOR_ELEMENTS)
        .contains(&elements)
        .then_some(shape)
}

/// The open dimensions of a model that have a name, with the sizes they get: known before there is
/// a session, which then is built only once.
pub(super) fn open_dimensions(model: &Model, sizes: &Sizes) -> Vec<(String, usize)> {
    let open = onnx_contents::open_dimensions(&model.bytes).into_iter();
    open.map(|open| {
        let fixed = sizes.shape(&open.input);
        let size = fixed.and_then(|shape| shape.get(open.axis).copied());
        (open.symbol, size.unwrap_or(sizes.open(open.axis)))
    })
    .collect()
}

/// Shapes of the outputs as a run on zeros makes them: models need not declare them.
pub(super) fn outputs(
    session: &mut Session,
    inputs: &[TensorInfo],
) -> ort::Result<Vec<TensorInfo>> {
    let allocator = host_tensors::pageable();
    let mut values = Vec::with_capacity(inputs.len());
    for info in inputs {
        let zeros = host_tensors::tensor(&allocator, info.element, &info.shape)?;
        values.push((info.name.as_str(), zeros));
    }
    let mut options = RunOptions::new()?;
    // Of CUDA graphs: this run is not to be recorded, its tensors do not stay.
    options.set("gpu_graph_id", "-1")?;
    let outputs = session.run_with_options(values, &options)?;
    let infos = outputs.iter().map(|(name, value)| {
        let (shape, _) = value.try_extract_tensor::<f32>()?;
        Ok(TensorInfo {
            name: name.into(),
            element: Element::F32,
            shape: shape.iter().map(|&dim| dim.max(0) as usize).collect(),
        })
    });
    infos.collect()
}
