//! A served model beside the network that was read: whether their tensors agree, requests in the
//! served model's numbers, answers by name.
//!
//! Must not know connections.

use super::{
    messages::{
        InferTensor, ModelInferRequest, ModelInferResponse, ModelMetadataResponse, RequestedOutput,
        TensorMetadata,
    },
    tensors::{self, Datatype, Values},
};
use crate::inference::TensorInfo;

/// Room in an answer for all that is not raw values, and for outputs that nobody asked for.
const BESIDES: usize = 1 << 20;

/// The tensors of the network that was read.
#[derive(Clone, Debug)]
pub(super) struct Signature {
    pub inputs: Vec<TensorInfo>,
    pub outputs: Vec<TensorInfo>,
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
            inputs: ports("input", &metadata.inputs, &signature.inputs)?,
            outputs: ports("output", &metadata.outputs, &signature.outputs)?,
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
                })
                .collect(),
            raw_input_contents: raw
                .map(|(port, values)| values.encode(port.datatype))
                .collect(),
        }
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
            contents: None,
        }
    }

    fn bytes(&self) -> usize {
        let length: i64 = self.shape.iter().product();
        usize::try_from(length).unwrap_or(0) * self.datatype.bytes()
    }
}

/// The served tensors for those that were read. A server that describes none is believed to have
/// them as they are.
fn ports(kind: &str, served: &[TensorMetadata], read: &[TensorInfo]) -> Result<Vec<Port>, Misfit> {
    let port = |tensor: &TensorInfo| {
        let shape = tensor.shape.iter();
        let shape: Vec<_> = shape
            .map(|&size| i64::try_from(size).unwrap_or(i64::MAX))
            .collect();
        let name = tensor.name.clone();
        let found = served.iter().find(|found| found.name == name);
        let datatype = match found {
            None if served.is_empty() => Some(usual(tensor)),
            None => None,
            Some(found) => Datatype::named(&found.datatype)
                .filter(|datatype| datatype.carries(tensor.element) && fits(&found.shape, &shape)),
        };
        let Some(datatype) = datatype else {
            return Err(Misfit {
                found: match found {
                    Some(found) => format!("{kind} {}", shown(found)),
                    None => {
                        let all: Vec<_> = served.iter().map(shown).collect();
                        format!("{kind}s {}", all.join(", "))
                    }
                },
                expected: format!("{kind} {}", list(std::slice::from_ref(tensor))),
            });
        };
        Ok(Port {
            name,
            datatype,
            shape,
        })
    };
    read.iter().map(port).collect()
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
