//! What an ONNX file says by itself: what it asks for beyond its own bytes (weights in other files,
//! parts compiled for one execution provider), and which dimensions of its inputs are open.
//!
//! Must not know ONNX Runtime.

use crate::inference::protobuf::{self, Fields, Value, each};

/// Messages of onnx.proto in which other messages of interest lie.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Model,
    Training,
    Function,
    Graph,
    Node,
    Attribute,
    Sparse,
    Tensor,
}

impl Kind {
    /// What field `number` of such a message holds.
    pub fn child(self, number: u64) -> Option<Self> {
        Some(match (self, number) {
            (Self::Model, GRAPH) | (Self::Training, 1 | 2) | (Self::Attribute, 6 | 11) => {
                Self::Graph
            }
            (Self::Model, 20) => Self::Training,
            (Self::Model, 25) => Self::Function,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Node, 5) => Self::Attribute,
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Self::Sparse,
            (Self::Graph, INITIALIZER) | (Self::Attribute, 5 | 10) | (Self::Sparse, 1 | 2) => {
                Self::Tensor
            }
            _ => return None,
        })
    }
}

/// NodeProto.op_type, and the operator that holds a provider's own compiled code or its file.
const OP_TYPE: u64 = 4;
const COMPILED: &[u8] = b"EPContext";
/// TensorProto: where in another file its values lie, and whether they do.
pub(super) const EXTERNAL_DATA: u64 = 13;
pub(super) const DATA_LOCATION: u64 = 14;
pub(super) const EXTERNAL: u64 = 1;
/// StringStringEntryProto.
const KEY: u64 = 1;
const VALUE: u64 = 2;
/// Graphs in graphs: real ones have two or three levels, of four messages each.
const MAX_DEPTH: usize = 64;

/// The files in which a model keeps weights, each once, as it names them. Refuses one that runs
/// code that was compiled elsewhere. What is no valid model is left to ONNX Runtime to refuse.
pub(super) fn data_files(model: &[u8]) -> Result<Vec<String>, String> {
    let mut files = Vec::new();
    walk(Kind::Model, model, &mut files, 0)?;
    Ok(files)
}

fn walk(kind: Kind, message: &[u8], files: &mut Vec<String>, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("its graphs lie more than {MAX_DEPTH} deep"));
    }
    if kind == Kind::Tensor
        && let Some(location) = external(message, "location")
    {
        let location = String::from_utf8_lossy(location).into_owned();
        if !files.contains(&location) {
            files.push(location);
        }
    }
    for field in Fields(message) {
        let Value::Bytes(content) = field.value else {
            continue;
        };
        if kind == Kind::Node && field.number == OP_TYPE && content == COMPILED {
            return Err(
                "it holds parts compiled for one execution provider; the model that they \
                        were made of is expected"
                    .into(),
            );
        }
        if let Some(kind) = kind.child(field.number) {
            walk(kind, content, files, depth + 1)?;
        }
    }
    Ok(())
}

/// Whether a model has a node of this operator, at any depth.
pub(super) fn has_operator(model: &[u8], operator: &str) -> bool {
    holds(Kind::Model, model, operator.as_bytes(), 0)
}

fn holds(kind: Kind, message: &[u8], operator: &[u8], depth: usize) -> bool {
    let mut fields = Fields(message);
    kind != Kind::Tensor
        && depth <= MAX_DEPTH
        && fields.any(|field| {
            let Value::Bytes(content) = field.value else {
                return false;
            };
            let is_it = kind == Kind::Node && field.number == OP_TYPE && content == operator;
            let inner = || kind.child(field.number);
            is_it || inner().is_some_and(|kind| holds(kind, content, operator, depth + 1))
        })
}

/// What a tensor says under `key` of its values in another file. As everywhere in protocol buffers
/// the last one counts.
pub(super) fn external<'a>(tensor: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let mut found = None;
    for entry in each(tensor, EXTERNAL_DATA) {
        if protobuf::bytes(entry, KEY).unwrap_or_default() == key.as_bytes() {
            found = Some(protobuf::bytes(entry, VALUE).unwrap_or_default());
        }
    }
    found
}

/// Fields on the way from a model to the sizes of its inputs: ModelProto.graph, GraphProto.input,
/// and of ValueInfoProto name and type, TypeProto.tensor_type, TypeProto.Tensor.shape,
/// TensorShapeProto.dim, Dimension.dim_value and dim_param.
const GRAPH: u64 = 7;
const INPUT: u64 = 11;
const INPUT_NAME: u64 = 1;
const INPUT_TYPE: u64 = 2;
const TENSOR_TYPE: u64 = 1;
const SHAPE: u64 = 2;
const DIMENSION: u64 = 1;
const SIZE: u64 = 1;
const SYMBOL: u64 = 2;
/// GraphProto.initializer, TensorProto.name: old exports list weights among the inputs too.
const INITIALIZER: u64 = 5;
pub(super) const TENSOR_NAME: u64 = 8;

/// One dimension of an input, as a model declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dimension {
    Fixed(usize),
    /// Left open, under a name that stands for one size wherever it is used.
    Named(String),
    Open,
}

impl Dimension {
    pub fn is_open(&self) -> bool {
        !matches!(self, Self::Fixed(_))
    }
}

/// An input as a model declares it, which may be less than ONNX Runtime finds out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredInput {
    pub name: String,
    pub shape: Vec<Dimension>,
}

/// All of them, in their order. Of what is no valid model, those that can be read.
pub(super) fn inputs(model: &[u8]) -> Vec<DeclaredInput> {
    let graphs = || each(model, GRAPH);
    let weights: Vec<_> = graphs()
        .flat_map(|graph| each(graph, INITIALIZER))
        .filter_map(|tensor| protobuf::bytes(tensor, TENSOR_NAME))
        .collect();
    graphs()
        .flat_map(|graph| each(graph, INPUT))
        .filter_map(|input| {
            let name = protobuf::bytes(input, INPUT_NAME).unwrap_or_default();
            let shape = each(input, INPUT_TYPE)
                .flat_map(|of| each(of, TENSOR_TYPE))
                .flat_map(|tensor| each(tensor, SHAPE))
                .flat_map(|shape| each(shape, DIMENSION))
                .map(dimension);
            (!weights.contains(&name)).then_some(DeclaredInput {
                name: str::from_utf8(name).ok()?.to_owned(),
                shape: shape.collect(),
            })
        })
        .collect()
}

fn dimension(message: &[u8]) -> Dimension {
    let symbol = protobuf::bytes(message, SYMBOL).unwrap_or_default();
    // Negative ones, which stand for open ones too, are no sizes.
    let size = protobuf::integer(message, SIZE).and_then(|size| i64::try_from(size).ok());
    match (str::from_utf8(symbol), size.map(usize::try_from)) {
        (Ok(symbol), _) if !symbol.is_empty() => Dimension::Named(symbol.to_owned()),
        (_, Some(Ok(size))) => Dimension::Fixed(size),
        _ => Dimension::Open,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(number: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).unwrap();
        assert!(length < 0x80);
        let tag = u16::from(number) << 3 | 2;
        // Two bytes even where one would do.
        let head = [(tag & 0x7f) as u8 | 0x80, (tag >> 7) as u8, length];
        [&head, content].concat()
    }

    /// A model whose one weight lies in the file `location`; the value comes before the key.
    fn model(location: &str) -> Vec<u8> {
        let entry = [message(2, location.as_bytes()), message(1, b"location")].concat();
        message(7, &message(5, &message(13, &entry)))
    }

    #[test]
    fn files_with_weights_are_found_once_each() {
        let [first, second] = ["a.data", "b.data"].map(|location| model(location)[3..].to_vec());
        // Several graphs are one.
        let both = [&first, &second, &first].map(|graph| message(7, graph));
        assert_eq!(data_files(&both.concat()).unwrap(), ["a.data", "b.data"]);
        assert_eq!(data_files(&model("")).unwrap(), [""]);
    }

    #[test]
    fn operators_are_found_in_nodes_and_nowhere_else() {
        let node = message(1, &message(4, b"GroupNormalization"));
        let graph = message(7, &node);
        assert!(has_operator(&graph, "GroupNormalization"));
        assert!(!has_operator(&graph, "LayerNormalization"));
        let within = message(7, &message(1, &message(5, &message(6, &node))));
        assert!(has_operator(&within, "GroupNormalization"));
        // A tensor of that name.
        let named = message(7, &message(5, &message(8, b"GroupNormalization")));
        assert!(!has_operator(&named, "GroupNormalization"));
    }

    #[test]
    fn weights_are_found_in_graphs_within_graphs() {
        let graph = &model("../weights.bin")[3..];
        // Model, graph, node, attribute, graph.
        let nested = message(7, &message(1, &message(5, &message(6, graph))));
        assert_eq!(data_files(&nested).unwrap(), ["../weights.bin"]);
        let function = message(25, &message(7, &message(5, &message(6, graph))));
        assert_eq!(data_files(&function).unwrap(), ["../weights.bin"]);
    }

    #[test]
    fn compiled_parts_are_refused() {
        let node = message(4, b"EPContext");
        let reason = data_files(&message(7, &message(1, &node))).unwrap_err();
        assert!(reason.contains("compiled"), "{reason}");
        data_files(&message(7, &message(1, &message(4, b"Conv")))).unwrap();
    }

    #[test]
    fn inputs_say_what_they_leave_open() {
        let shape = [
            message(1, &message(2, b"N")),
            // Sizes: field 1, a number.
            message(1, &[0x08, 3]),
            message(1, &message(2, b"width")),
            message(1, b""),
            // -1, as some converters have it.
            message(1, &[&[0x08][..], &[0xff; 9], &[1]].concat()),
        ];
        let tensor = message(1, &message(2, &shape.concat()));
        let input = [message(1, b"image"), message(2, &tensor)].concat();
        let weight = message(1, b"weight");
        let graph = [
            message(11, &input),
            message(11, &weight),
            message(5, &message(8, b"weight")),
        ];
        use Dimension::{Fixed, Named, Open};
        let expected = DeclaredInput {
            name: "image".into(),
            shape: vec![
                Named("N".into()),
                Fixed(3),
                Named("width".into()),
                Open,
                Open,
            ],
        };
        assert_eq!(inputs(&message(7, &graph.concat())), [expected]);
        let open = |model| {
            let inputs = inputs(model).into_iter();
            let shapes = inputs.map(|input| input.shape.iter().position(Dimension::is_open));
            shapes.collect::<Vec<_>>()
        };
        let renderer = include_bytes!("../../../models/builtin/renderer.onnx");
        assert_eq!(open(renderer), [Some(0); 3]);
        assert_eq!(
            open(include_bytes!("../../../models/face_mesh.onnx")),
            [None]
        );
    }

    #[test]
    fn the_models_that_come_along_are_whole() {
        let files = data_files(include_bytes!("../../../models/face_mesh.onnx"));
        assert!(files.unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = data_files(&bytes);
            let _ = inputs(&bytes);
        }
    }
}
