//! A served model beside the network that was read: whether their tensors agree, requests in the
//! served model's numbers, answers by name.
//!
//! Must not know connections.

use prost::bytes::Bytes;

use super::{
    messages::{
        InferTensor, ModelInferRequest, ModelInferResponse, ModelMetadataResponse, RequestedOutput,
        TensorMetadata,
    },
    tensors::{self, Datatype, Values},
};
use crate::inference::{TensorInfo, Views};

/// Room in an answer for all that is not raw values, and for outputs that nobody asked for.
const BESIDES: usize = 1 << 20;

/// The tensors of the network that was read.
#[derive(Clone, Debug)]
pub(super) struct Signature {
    pub inputs: Vec<TensorInfo>,
    pub outputs: Vec<TensorInfo>,
    pub views: Option<Views>,
}

/// What differs, ready to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    pub found: String,
    pub expected: String,
}

/// A tensor of the served model.
#[derive(Clone, Debug)]
struct Port {
    name: String,
    datatype: Datatype,
    shape: Vec<i64>,
    /// Which half of each item is sent, where that is one of two views.
    half: Option<usize>,
}

/// See the module. Ports are in the order of the network that was read.
#[derive(Clone, Debug)]
pub(super) struct Served {
    model: String,
    version: String,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

impl Served {
    /// Fails where a tensor is missing, of other numbers, or of another shape.
    pub fn new(
        metadata: &ModelMetadataResponse,
        version: &str,
        signature: &Signature,
    ) -> Result<Self, Misfit> {
        let served = Self {
            model: metadata.name.clone(),
            version: version.to_owned(),
            inputs: ports(
                "input",
                &metadata.inputs,
                &signature.inputs,
                signature.views,
            )?,
            outputs: ports("output", &metadata.outputs, &signature.outputs, None)?,
        };
        let is_known = |found: &&TensorMetadata| {
            let mut known = signature.inputs.iter();
            known.any(|tensor| tensor.name == found.name)
        };
        match metadata.inputs.iter().find(|found| !is_known(found)) {
            None => Ok(served),
            Some(more) => Err(Misfit {
                found: format!("input {}", shown(more)),
                expected: format!("inputs {}", list(&signature.inputs)),
            }),
        }
    }

    pub fn request(&self, inputs: &[Values]) -> ModelInferRequest {
        let raw = self.inputs.iter().zip(inputs);
        ModelInferRequest {
            model_name: self.model.clone(),
            model_version: self.version.clone(),
            inputs: self.inputs.iter().map(Port::header).collect(),
            outputs: (self.outputs.iter())
                .map(|port| RequestedOutput {
                    name: port.name.clone(),
                    ..RequestedOutput::default()
                })
                .collect(),
            raw_input_contents: raw.map(|(port, values)| port.encode(values)).collect(),
        }
    }

    /// The first dimension of all tensors, where that is one number.
    pub fn rows(&self) -> Option<usize> {
        let mut firsts = (self.inputs.iter().chain(&self.outputs)).map(|port| port.shape.first());
        let first = *firsts.next()??;
        let is_same = firsts.all(|other| other == Some(&first));
        is_same.then(|| usize::try_from(first).ok())?
    }

    /// Bytes of each input and each output.
    pub fn lengths(&self) -> [Vec<usize>; 2] {
        [&self.inputs, &self.outputs].map(|ports| ports.iter().map(Port::bytes).collect())
    }

    /// Bytes that an answer may have.
    pub fn most(&self) -> usize {
        2 * self.outputs.iter().map(Port::bytes).sum::<usize>() + BESIDES
    }

    /// Reads the outputs, each as long as its tensor, whatever order they come in. Gives the bytes
    /// of all tensors. The error says what was found and expected.
    pub fn read(
        &self,
        answer: &ModelInferResponse,
        outputs: &mut [Vec<f32>],
    ) -> Result<usize, String> {
        for (port, to) in self.outputs.iter().zip(outputs) {
            let Some(index) = (answer.outputs.iter()).position(|found| found.name == port.name)
            else {
                let names: Vec<_> = answer.outputs.iter().map(|found| &*found.name).collect();
                return Err(format!(
                    "the answer has no output `{}`; found: {}",
                    port.name,
                    names.join(", ")
                ));
            };
            let found = &answer.outputs[index];
            if found.datatype != port.datatype.name() || found.shape != port.shape {
                return Err(format!(
                    "output `{}` is {} {:?}, expected {} {:?}",
                    port.name,
                    found.datatype,
                    found.shape,
                    port.datatype.name(),
                    port.shape
                ));
            }
            let values = match (answer.raw_output_contents.get(index), &found.contents) {
                (Some(raw), _) => tensors::decode(raw, port.datatype, to),
                (None, Some(typed)) => tensors::decode_typed(typed, port.datatype, to),
                (None, None) => Err("no contents".into()),
            };
            values.map_err(|what| format!("output `{}` has {what}", port.name))?;
        }
        let raw = answer.raw_output_contents.iter();
        Ok(raw.map(|raw| raw.len()).sum())
    }
}

impl Port {
    fn header(&self) -> InferTensor {
        InferTensor {
            name: self.name.clone(),
            datatype: self.datatype.name().to_owned(),
            shape: self.shape.clone(),
            ..InferTensor::default()
        }
    }

    fn encode(&self, values: &Values) -> Bytes {
        match (values, self.half) {
            (Values::Floats(values), Some(half)) => {
                let items = self
                    .shape
                    .first()
                    .map_or(1, |items| (*items).max(1) as usize);
                let length = values.len() / items;
                let items = values.chunks_exact(length.max(1));
                let halves = items.map(|item| &item[half * length / 2..][..length / 2]);
                Values::Floats(halves.collect::<Vec<_>>().concat()).encode(self.datatype)
            }
            _ => values.encode(self.datatype),
        }
    }

    fn bytes(&self) -> usize {
        let length: i64 = self.shape.iter().product();
        usize::try_from(length).unwrap_or(0) * self.datatype.bytes()
    }
}

/// The served tensors for those that were read. A server that describes none is believed to have
/// them as they are.
fn ports(
    kind: &str,
    served: &[TensorMetadata],
    read: &[TensorInfo],
    views: Option<Views>,
) -> Result<Vec<Port>, Misfit> {
    let port = |tensor: &TensorInfo| {
        let port = |datatype, shape, half| Port {
            name: tensor.name.clone(),
            datatype,
            shape,
            half,
        };
        let shape = shape(tensor);
        if served.is_empty() {
            return Ok(port(usual(tensor), shape, None));
        }
        let Some(found) = served.iter().find(|found| found.name == tensor.name) else {
            let all: Vec<_> = served.iter().map(shown).collect();
            return Err(misfit(kind, format!("{kind}s {}", all.join(", ")), tensor));
        };
        let datatype = Datatype::named(&found.datatype);
        let datatype = datatype.filter(|datatype| datatype.carries(tensor.element));
        let view = views.and_then(|views| Some((views.whole, one_view(&shape)?)));
        match (datatype, view) {
            (Some(datatype), _) if fits(&found.shape, &shape) => Ok(port(datatype, shape, None)),
            (Some(datatype), Some((whole, shape))) if fits(&found.shape, &shape) => {
                Ok(port(datatype, shape, Some(whole)))
            }
            _ => Err(misfit(kind, format!("{kind} {}", shown(found)), tensor)),
        }
    };
    read.iter().map(port).collect()
}

fn misfit(kind: &str, found: String, expected: &TensorInfo) -> Misfit {
    Misfit {
        found,
        expected: format!("{kind} {}", list(std::slice::from_ref(expected))),
    }
}

fn shape(tensor: &TensorInfo) -> Vec<i64> {
    let sizes = tensor.shape.iter();
    sizes
        .map(|&size| i64::try_from(size).unwrap_or(i64::MAX))
        .collect()
}

/// Of two views of a picture, `[N, 6, S, S]`, one.
fn one_view(shape: &[i64]) -> Option<Vec<i64>> {
    match *shape {
        [batch, 6, height, width] if height == width => Some(vec![batch, 3, height, width]),
        _ => None,
    }
}

/// How many things a served model takes at once, as its description says; `None`: any number.
pub(super) fn first_dimension(metadata: &ModelMetadataResponse) -> Option<usize> {
    let tensors = metadata.inputs.iter().chain(&metadata.outputs);
    let fixed = tensors.filter_map(|tensor| tensor.shape.first().copied());
    let fixed = fixed.filter_map(|size| usize::try_from(size).ok());
    fixed.min()
}

/// Whether a served tensor, which may leave sizes open, can be of that shape.
fn fits(served: &[i64], shape: &[i64]) -> bool {
    let agree = |(served, size): (&i64, &i64)| *served < 0 || served == size;
    served.len() == shape.len() && served.iter().zip(shape).all(agree)
}

fn usual(tensor: &TensorInfo) -> Datatype {
    use crate::inference::Element;
    match tensor.element {
        Element::F32 => Datatype::Fp32,
        Element::I32 => Datatype::Int32,
        Element::I64 => Datatype::Int64,
    }
}

fn shown(tensor: &TensorMetadata) -> String {
    format!("{} {} {:?}", tensor.name, tensor.datatype, tensor.shape)
}

fn list(tensors: &[TensorInfo]) -> String {
    let shown = tensors.iter().map(|tensor| {
        let numbers = usual(tensor).name();
        format!("{} {numbers} {:?}", tensor.name, tensor.shape)
    });
    shown.collect::<Vec<_>>().join(", ")
}
