//! Writes tiny ONNX models, so that tests need no files: protocol buffers by hand.
//!
//! Not every test file uses everything here.
#![allow(dead_code)]

/// `TensorProto.DataType` of onnx.proto.
pub const FLOAT: u64 = 1;
pub const INT64: u64 = 7;

#[derive(Clone, Copy)]
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

/// A network of Wav2Lip's shape that is linear: its output channels are sums of the face's six
/// channels (`channels[out][in]`), of the mel window (`window`, `[3, 80, 16]`) and of `bias`.
///
/// `face`, `sound` and `drawn` are the tensors' names, `batch` is their first dimension.
pub struct Linear<'a> {
    pub size: u64,
    pub batch: Dim,
    pub names: [&'a str; 3],
    pub channels: [[f32; 6]; 3],
    pub window: Vec<f32>,
    pub bias: [f32; 3],
}

impl Linear<'_> {
    pub fn bytes(&self) -> Vec<u8> {
        let [sound, face, drawn] = self.names;
        let size = self.size;
        let shape = |channels, height, width| {
            [
                self.batch,
                Dim::Fixed(channels),
                Dim::Fixed(height),
                Dim::Fixed(width),
            ]
        };
        let node = |inputs: &[&str], output: &str, operator: &str| {
            let inputs: Vec<u8> = inputs.iter().flat_map(|name| text(1, name)).collect();
            message(1, &[inputs, text(2, output), text(4, operator)].concat())
        };
        let graph = [
            node(&[face, "channels", "bias"], "seen", "Conv"),
            node(&[sound, "window"], "heard", "Conv"),
            node(&["seen", "heard"], drawn, "Add"),
            text(2, "linear"),
            tensor("channels", &[3, 6, 1, 1], self.channels.as_flattened()),
            tensor("window", &[3, 1, 80, 16], &self.window),
            tensor("bias", &[3], &self.bias),
            message(11, &value(sound, FLOAT, &shape(1, 80, 16))),
            message(11, &value(face, FLOAT, &shape(6, size, size))),
            message(12, &value(drawn, FLOAT, &shape(3, size, size))),
        ]
        .concat();
        [number(1, 8), message(7, &graph), message(8, &number(2, 17))].concat()
    }
}

/// GraphProto.initializer: TensorProto with dims, data_type, name and raw_data.
fn tensor(name: &str, dims: &[u64], values: &[f32]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|&dim| number(1, dim)).collect();
    let raw: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let tensor = [dims, number(2, FLOAT), text(8, name), message(9, &raw)].concat();
    message(5, &tensor)
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
