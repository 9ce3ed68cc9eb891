//! Writes tiny ONNX models, so that tests need no files: protocol buffers by hand.

/// `TensorProto.DataType` of onnx.proto.
pub const FLOAT: u64 = 1;
pub const INT64: u64 = 7;

pub enum Dim {
    Fixed(u64),
    Open(&'static str),
}

/// A model with input `x`, output `y` of one shape and type, and `y = x + x`.
pub fn doubling(element: u64, shape: &[Dim]) -> Vec<u8> {
    let node = [text(1, "x"), text(1, "x"), text(2, "y"), text(4, "Add")].concat();
    let graph = [
        message(1, &node),
        text(2, "doubling"),
        message(11, &value("x", element, shape)),
        message(12, &value("y", element, shape)),
    ]
    .concat();
    // ir_version 8, opset 17.
    [number(1, 8), message(7, &graph), message(8, &number(2, 17))].concat()
}

/// ValueInfoProto: name, type.tensor_type{elem_type, shape.dim}.
fn value(name: &str, element: u64, shape: &[Dim]) -> Vec<u8> {
    let dims: Vec<u8> = shape
        .iter()
        .flat_map(|dim| match dim {
            Dim::Fixed(size) => message(1, &number(1, *size)),
            Dim::Open(symbol) => message(1, &text(2, symbol)),
        })
        .collect();
    let tensor = [number(1, element), message(2, &dims)].concat();
    [text(1, name), message(2, &message(1, &tensor))].concat()
}

fn text(field: u64, text: &str) -> Vec<u8> {
    message(field, text.as_bytes())
}

fn message(field: u64, bytes: &[u8]) -> Vec<u8> {
    let head = [varint(field << 3 | 2), varint(bytes.len() as u64)].concat();
    [head.as_slice(), bytes].concat()
}

fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
