//! Which tensors a session has, and the shapes that they are given.
//!
//! Must not know providers.

use ort::session::{RunOptions, Session};
use ort::value::Outlet;

use crate::{
    Error,
    inference::{
        Element, TensorInfo,
        model_file::Model,
        onnx::host_tensors::{self, Numbers},
        onnx_contents::{self, Dimension},
    },
};

/// No tensor of a lip-sync model comes near (1 GiB); a corrupt model may ask for anything.
const MAX_TENSOR_ELEMENTS: usize = 1 << 28;

/// What open dimensions become.
pub(super) struct Sizes<'a> {
    /// Shapes by the names of inputs; 0 in one leaves that dimension as it is.
    pub shapes: &'a [(&'a str, &'a [usize])],
    /// The first dimension of other inputs.
    pub batch: usize,
}

impl Sizes<'_> {
    fn shape(&self, input: &str) -> Option<&[usize]> {
        let named = self.shapes.iter().find(|(name, _)| *name == input);
        named.map(|(_, shape)| *shape)
    }

    /// Of one dimension of an input, where a shape fixes it.
    fn fixed(&self, input: &str, axis: usize) -> Option<usize> {
        let size = self.shape(input)?.get(axis).copied();
        size.filter(|size| *size > 0)
    }

    /// Of a dimension that neither the model nor a shape fixes.
    fn open(&self, axis: usize) -> usize {
        match axis {
            0 => self.batch,
            _ => 1,
        }
    }
}

/// Every input is of floats or integers and every output of floats, or the network does not fit
/// this room.
pub(super) fn check_types(model: &Model, session: &Session) -> Result<(), Error> {
    let (inputs, outputs) = (session.inputs(), session.outputs());
    let are_known = inputs.iter().all(|input| Numbers::of(input).is_some());
    let is_float = |output| Numbers::of(output).map(Numbers::element) == Some(Element::F32);
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
        "inputs of floats (f16, bf16, f32, f64) or integers (i32, i64), and outputs, at least \
         one, of floats"
            .into(),
    ))
}

/// A tensor of a session, and the numbers that it is made of there.
#[derive(Clone, Debug)]
pub(super) struct Bindable {
    pub info: TensorInfo,
    pub numbers: Numbers,
}

impl Bindable {
    fn new(name: &str, numbers: Numbers, shape: Vec<usize>) -> Self {
        Self {
            info: TensorInfo {
                name: name.into(),
                element: numbers.element(),
                shape,
            },
            numbers,
        }
    }
}

pub(super) fn inputs(
    model: &Model,
    inputs: &[Outlet],
    sizes: &Sizes,
) -> Result<Vec<Bindable>, Error> {
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
            let expected = match sizes.shape(input.name()) {
                Some(shape) => format!("{shape:?}"),
                None => format!("at most {MAX_TENSOR_ELEMENTS} elements"),
            };
            model.mismatch(
                format!("input {} {}", input.name(), input.dtype()),
                format!("input {} {expected}", input.name()),
            )
        })?;
        let numbers = Numbers::of(input).unwrap_or(Numbers::F32);
        Ok(Bindable::new(input.name(), numbers, shape))
    });
    infos.collect()
}

/// `None` when a wanted shape contradicts the model or the tensor is too large.
fn input_shape(input: &Outlet, sizes: &Sizes) -> Option<Vec<usize>> {
    let dims = input.dtype().tensor_shape()?;
    if sizes
        .shape(input.name())
        .is_some_and(|shape| shape.len() != dims.len())
    {
        return None;
    }
    let mut shape = Vec::with_capacity(dims.len());
    for (i, &dim) in dims.iter().enumerate() {
        let asked = sizes.fixed(input.name(), i);
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
    let mut open = Vec::new();
    for input in onnx_contents::inputs(&model.bytes) {
        for (axis, dimension) in input.shape.into_iter().enumerate() {
            if let Dimension::Named(symbol) = dimension {
                let fixed = sizes.fixed(&input.name, axis);
                open.push((symbol, fixed.unwrap_or(sizes.open(axis))));
            }
        }
    }
    open
}

/// Shapes of the outputs as a run on zeros makes them: models need not declare them.
pub(super) fn outputs(session: &mut Session, inputs: &[Bindable]) -> ort::Result<Vec<Bindable>> {
    let allocator = host_tensors::pageable();
    let mut values = Vec::with_capacity(inputs.len());
    for Bindable { info, numbers } in inputs {
        let zeros = host_tensors::tensor(&allocator, *numbers, &info.shape)?;
        values.push((info.name.as_str(), zeros));
    }
    let numbers: Vec<_> = session
        .outputs()
        .iter()
        .map(|output| Numbers::of(output).unwrap_or(Numbers::F32))
        .collect();
    let mut options = RunOptions::new()?;
    // Of CUDA graphs: this run is not to be recorded, its tensors do not stay.
    options.set("gpu_graph_id", "-1")?;
    let outputs = session.run_with_options(values, &options)?;
    let made = outputs.iter().zip(numbers).map(|((name, value), numbers)| {
        let shape = value.dtype().tensor_shape();
        let shape = shape.map_or(Vec::new(), |shape| {
            shape.iter().map(|&dim| dim.max(0) as usize).collect()
        });
        Bindable::new(name, numbers, shape)
    });
    Ok(made.collect())
}
