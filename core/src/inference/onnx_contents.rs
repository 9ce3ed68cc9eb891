//! What an ONNX file says by itself: what it asks for beyond its own bytes (weights in other files,
//! parts compiled for one execution provider), and which dimensions of its inputs are open.
//!
//! ONNX Runtime checks the former itself only since 1.24. Must not know ONNX Runtime.

use std::path::{Component, Path};

/// Messages of onnx.proto in which other messages of interest lie.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Model,
    Training,
    Function,
    Graph,
    Node,
    Attribute,
    Sparse,
    Tensor,
    /// A key and a value of a tensor that lies in another file.
    Entry,
}

/// What field `number` of a message holds.
fn child(kind: Kind, number: u64) -> Option<Kind> {
    Some(match (kind, number) {
        (Kind::Model, 7) | (Kind::Training, 1 | 2) | (Kind::Attribute, 6 | 11) => Kind::Graph,
        (Kind::Model, 20) => Kind::Training,
        (Kind::Model, 25) => Kind::Function,
        (Kind::Graph, 1) | (Kind::Function, 7) => Kind::Node,
        (Kind::Node, 5) => Kind::Attribute,
        (Kind::Graph, 15) | (Kind::Attribute, 22 | 23) => Kind::Sparse,
        (Kind::Graph, 5) | (Kind::Attribute, 5 | 10) | (Kind::Sparse, 1 | 2) => Kind::Tensor,
        (Kind::Tensor, 13) => Kind::Entry,
        _ => return None,
    })
}

/// NodeProto.op_type, and the operator that holds a provider's own compiled code or its file.
const OP_TYPE: u64 = 4;
const COMPILED: &[u8] = b"EPContext";
/// StringStringEntryProto.
const KEY: u64 = 1;
const VALUE: u64 = 2;
/// Graphs in graphs: real ones have two or three levels, of four messages each.
const MAX_DEPTH: usize = 64;

/// Refuses a model that reads outside `folder`, the real folder of its file, or runs code that was
/// compiled elsewhere. A model without a folder may not have files at all. What is no valid model
/// is left to ONNX Runtime to refuse.
pub(super) fn check(model: &[u8], folder: Option<&Path>) -> Result<(), String> {
    walk(Kind::Model, model, folder, 0)
}

fn walk(kind: Kind, message: &[u8], folder: Option<&Path>, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("its graphs lie more than {MAX_DEPTH} deep"));
    }
    if kind == Kind::Entry {
        return check_entry(message, folder);
    }
    for (number, content) in Fields(message) {
        if kind == Kind::Node && number == OP_TYPE && content == COMPILED {
            return Err(
                "it holds parts compiled for one execution provider; the model that they \
                        were made of is wanted"
                    .into(),
            );
        }
        if let Some(kind) = child(kind, number) {
            walk(kind, content, folder, depth + 1)?;
        }
    }
    Ok(())
}

fn check_entry(entry: &[u8], folder: Option<&Path>) -> Result<(), String> {
    // As everywhere in protocol buffers the last one counts.
    let last = |wanted| each(entry, wanted).last().unwrap_or_default();
    if last(KEY) != b"location" {
        return Ok(());
    }
    let location = String::from_utf8_lossy(last(VALUE));
    let refused = |why: &str| Err(format!("it keeps weights in `{location}`, {why}"));
    let Some(folder) = folder else {
        return refused("and a model in memory has no other files");
    };
    if !is_below(Path::new(&*location)) {
        return refused("a path outside its own folder");
    }
    match folder.join(&*location).canonicalize() {
        Ok(file) if file.starts_with(folder) => Ok(()),
        Ok(_) => refused("which leads outside its own folder"),
        Err(error) => refused(&format!("which cannot be read: {error}")),
    }
}

/// Fields on the way from a model to a dimension of an input that has a name instead of a size:
/// ModelProto.graph, GraphProto.input, and of ValueInfoProto name and type, TypeProto.tensor_type,
/// TypeProto.Tensor.shape, TensorShapeProto.dim, Dimension.dim_param.
const GRAPH: u64 = 7;
const INPUT: u64 = 11;
const INPUT_NAME: u64 = 1;
const INPUT_TYPE: u64 = 2;
const TENSOR_TYPE: u64 = 1;
const SHAPE: u64 = 2;
const DIMENSION: u64 = 1;
const SYMBOL: u64 = 2;

/// A dimension that a model leaves open, under a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OpenDimension {
    pub input: String,
    /// Which dimension of the input.
    pub axis: usize,
    /// One name stands for one size wherever it is used.
    pub symbol: String,
}

/// All of them, in their order. Of what is no valid model, those that can be read.
pub(super) fn open_dimensions(model: &[u8]) -> Vec<OpenDimension> {
    let mut found = Vec::new();
    for input in each(model, GRAPH).flat_map(|graph| each(graph, INPUT)) {
        let name = each(input, INPUT_NAME).last().unwrap_or_default();
        let dimensions = each(input, INPUT_TYPE)
            .flat_map(|of| each(of, TENSOR_TYPE))
            .flat_map(|tensor| each(tensor, SHAPE))
            .flat_map(|shape| each(shape, DIMENSION));
        for (axis, dimension) in dimensions.enumerate() {
            let symbol = each(dimension, SYMBOL).last().unwrap_or_default();
            if let (Ok(input), Ok(symbol)) = (str::from_utf8(name), str::from_utf8(symbol))
                && !symbol.is_empty()
            {
                found.push(OpenDimension {
                    input: input.to_owned(),
                    axis,
                    symbol: symbol.to_owned(),
                });
            }
        }
    }
    found
}

/// The contents of all fields of that number.
fn each(message: &[u8], wanted: u64) -> impl Iterator<Item = &[u8]> {
    let fields = Fields(message).filter(move |(number, _)| *number == wanted);
    fields.map(|(_, content)| content)
}

/// Whether a path names something in its folder or in a folder of it; links are not looked at.
fn is_below(path: &Path) -> bool {
    let mut parts = path.components().peekable();
    parts.peek().is_some()
        && parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// The fields of a message that hold bytes; ends where the message is broken.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let tag = self.varint()?;
            // Wire types of protocol buffers.
            match tag & 7 {
                0 => drop(self.varint()?),
                1 => drop(self.take(8)?),
                2 => {
                    let length = usize::try_from(self.varint()?).ok()?;
                    return Some((tag >> 3, self.take(length)?));
                }
                5 => drop(self.take(4)?),
                _ => return None,
            }
        }
    }
}

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1)?.first()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
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
    fn weights_outside_the_folder_are_refused() {
        let folder = std::env::temp_dir().join(format!("lipsync-weights-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("inner")).unwrap();
        let folder = folder.canonicalize().unwrap();
        let inner = folder.join("inner");
        for place in [&folder, &inner] {
            std::fs::write(place.join("weights.bin"), "weights").unwrap();
        }
        std::os::unix::fs::symlink("../weights.bin", inner.join("link.bin")).unwrap();
        let check = |location: &str| check(&model(location), Some(&inner));
        check("weights.bin").unwrap();
        check("./weights.bin").unwrap();
        let absolute = folder.join("weights.bin").display().to_string();
        for location in ["../weights.bin", "a/../../weights.bin", &absolute, ""] {
            let reason = check(location).unwrap_err();
            assert!(reason.contains("outside its own folder"), "{reason}");
        }
        assert!(check("link.bin").unwrap_err().contains("leads outside"));
        assert!(check("none.bin").unwrap_err().contains("cannot be read"));
        assert!(super::check(&model("weights.bin"), None).is_err());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn weights_are_found_in_graphs_within_graphs() {
        let graph = &model("../weights.bin")[3..];
        // Model, graph, node, attribute, graph.
        let nested = message(7, &message(1, &message(5, &message(6, graph))));
        assert!(check(&nested, Some(Path::new("/tmp"))).is_err());
        let function = message(25, &message(7, &message(5, &message(6, graph))));
        assert!(check(&function, Some(Path::new("/tmp"))).is_err());
    }

    #[test]
    fn compiled_parts_are_refused() {
        let node = message(4, b"EPContext");
        let reason = check(&message(7, &message(1, &node)), None).unwrap_err();
        assert!(reason.contains("compiled"), "{reason}");
        check(&message(7, &message(1, &message(4, b"Conv"))), None).unwrap();
    }

    #[test]
    fn open_dimensions_have_names() {
        let shape = [
            message(1, &message(2, b"N")),
            // A size: field 1, a number.
            message(1, &[0x08, 3]),
            message(1, &message(2, b"width")),
        ];
        let tensor = message(1, &message(2, &shape.concat()));
        let input = [message(1, b"image"), message(2, &tensor)].concat();
        let found = open_dimensions(&message(7, &message(11, &input)));
        let found: Vec<_> = found
            .iter()
            .map(|open| (&*open.input, open.axis, &*open.symbol))
            .collect();
        assert_eq!(found, [("image", 0, "N"), ("image", 2, "width")]);
        let renderer = include_bytes!("../../../models/builtin/renderer.onnx");
        let axes: Vec<_> = open_dimensions(renderer).iter().map(|o| o.axis).collect();
        assert_eq!(axes, [0, 0, 0]);
        assert!(open_dimensions(include_bytes!("../../../models/face_mesh.onnx")).is_empty());
    }

    #[test]
    fn the_models_that_come_along_are_allowed() {
        check(include_bytes!("../../../models/face_mesh.onnx"), None).unwrap();
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = check(&bytes, None);
            let _ = open_dimensions(&bytes);
        }
    }
}
