//! Writes tiny ONNX models, so that tests need no files: protocol buffers by hand.
//!
//! Not every test file uses everything here.
#![allow(dead_code)]

/// `TensorProto.DataType` of onnx.proto.
pub const FLOAT: u64 = 1;
pub const INT64: u64 = 7;
pub const FLOAT16: u64 = 10;
pub const DOUBLE: u64 = 11;
pub const BFLOAT16: u64 = 16;

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

/// `y = x + weights`, four floats each; the weights are the first 16 bytes of another file.
pub fn with_weights_in(location: &str) -> Vec<u8> {
    with_weights(location, 4, "0", "16")
}

/// The same, with so many weights, which claim to lie at `offset` and to have `length` bytes.
pub fn with_weights(location: &str, count: u64, offset: &str, length: &str) -> Vec<u8> {
    let entry = |key: &str, value: &str| message(13, &[text(1, key), text(2, value)].concat());
    let weights = [
        number(1, count),
        number(2, FLOAT),
        text(8, "weights"),
        entry("location", location),
        entry("offset", offset),
        entry("length", length),
        // TensorProto.data_location: EXTERNAL.
        number(14, 1),
    ]
    .concat();
    let node = [
        text(1, "x"),
        text(1, "weights"),
        text(2, "y"),
        text(4, "Add"),
    ]
    .concat();
    let shape = [Dim::Fixed(count)];
    let graph = [
        message(1, &node),
        text(2, "weights elsewhere"),
        message(5, &weights),
        message(11, &value("x", FLOAT, &shape)),
        message(12, &value("y", FLOAT, &shape)),
    ]
    .concat();
    [number(1, 8), message(7, &graph), message(8, &number(2, 17))].concat()
}

/// `y` has as many columns as `x` has values other than 0.
pub fn with_shape_of_its_data() -> Vec<u8> {
    // AttributeProto: name, i, type INT.
    let to_float = [text(1, "to"), number(3, FLOAT), number(20, 2)].concat();
    let find = [text(1, "x"), text(2, "places"), text(4, "NonZero")].concat();
    let cast = [
        text(1, "places"),
        text(2, "y"),
        text(4, "Cast"),
        message(5, &to_float),
    ]
    .concat();
    let graph = [
        message(1, &find),
        message(1, &cast),
        text(2, "data-dependent"),
        message(11, &value("x", FLOAT, &[Dim::Fixed(4)])),
        message(12, &value("y", FLOAT, &[Dim::Fixed(1), Dim::Open("found")])),
    ]
    .concat();
    [number(1, 8), message(7, &graph), message(8, &number(2, 17))].concat()
}

/// `y = Steal(x)` of an operator set that only a library of somebody's could bring.
pub fn with_custom_operator() -> Vec<u8> {
    let node = [
        text(1, "x"),
        text(2, "y"),
        text(4, "Steal"),
        text(7, "evil"),
    ]
    .concat();
    let shape = [Dim::Fixed(4)];
    let graph = [
        message(1, &node),
        text(2, "custom"),
        message(11, &value("x", FLOAT, &shape)),
        message(12, &value("y", FLOAT, &shape)),
    ]
    .concat();
    let evil = [text(1, "evil"), number(2, 1)].concat();
    [
        number(1, 8),
        message(7, &graph),
        message(8, &number(2, 17)),
        message(8, &evil),
    ]
    .concat()
}

/// A network that is linear in a face and a sound: its output channels are sums of the face's
/// channels (`channels[out][in]`), of the window that it hears (`window`, `[3]` and `hears`) and
/// of `bias`.
///
/// `names` are those of the sound, the face and the output, `batch` is their first dimension.
pub struct Linear<'a> {
    pub size: u64,
    pub batch: Dim,
    pub names: [&'a str; 3],
    pub channels: [[f32; 6]; 3],
    /// Channels, height and width of the sound: 1, 80, 16 is a mel window.
    pub hears: [u64; 3],
    pub window: Vec<f32>,
    pub bias: [f32; 3],
}

/// How the file of a network differs from the plain one.
struct Form<'a> {
    besides: Besides,
    /// Of its inputs and its output; inside it computes with 32-bit floats.
    numbers: u64,
    /// Whether the sizes of its inputs are open.
    is_open: bool,
    /// The file with its weights; in its own where there is none.
    location: Option<&'a str>,
}

const PLAIN: Form = Form {
    besides: Besides::Nothing,
    numbers: FLOAT,
    is_open: false,
    location: None,
};

/// Products of large matrices that a network computes besides, for nothing.
#[derive(Clone, Copy)]
enum Besides {
    Nothing,
    /// Once it is loaded.
    AtLoad(usize),
    InEachRun(usize),
}

/// Rows and columns of these matrices.
const LARGE: i64 = 1200;

/// The weights of an output channel that shows nothing.
pub const NOTHING: [f32; 6] = [0.0; 6];

/// The weights of an output channel that shows the face's channel `channel` alone.
pub fn only(channel: usize) -> [f32; 6] {
    std::array::from_fn(|index| f32::from(u8::from(index == channel)))
}

impl Linear<'_> {
    pub fn bytes(&self) -> Vec<u8> {
        self.form(&PLAIN).0
    }

    /// The same network, which computes nothing more once it is loaded: what it adds are constants,
    /// that many products of large matrices, which ONNX Runtime works out when it loads them.
    pub fn slow_to_load(&self, products: usize) -> Vec<u8> {
        self.with(Besides::AtLoad(products))
    }

    /// The same network, which multiplies that many large matrices in each run, one by one.
    pub fn slow_to_run(&self, products: usize) -> Vec<u8> {
        self.with(Besides::InEachRun(products))
    }

    /// The same network, whose inputs and output are of other numbers.
    pub fn with_numbers(&self, numbers: u64) -> Vec<u8> {
        self.form(&Form { numbers, ..PLAIN }).0
    }

    /// The same network, which takes faces of any height and width and any sound of as many bands.
    pub fn with_open_sizes(&self) -> Vec<u8> {
        let form = Form {
            is_open: true,
            ..PLAIN
        };
        self.form(&form).0
    }

    /// The same network, whose weights lie in the file `location`, and what is in that.
    pub fn with_weights_in(&self, location: &str) -> [Vec<u8>; 2] {
        let (model, data) = self.form(&Form {
            location: Some(location),
            ..PLAIN
        });
        [model, data]
    }

    fn with(&self, besides: Besides) -> Vec<u8> {
        self.form(&Form { besides, ..PLAIN }).0
    }

    /// The network's file, and that with its weights.
    fn form(&self, form: &Form) -> (Vec<u8>, Vec<u8>) {
        let names = self.names;
        let [sound, face, drawn] = match form.numbers {
            FLOAT => names,
            _ => ["sound of floats", "face of floats", "drawn in floats"],
        };
        let besides = form.besides;
        let mut data = Vec::new();
        let mut weights = |name: &str, dims: &[u64], values: &[f32]| match form.location {
            None => tensor(name, dims, values),
            Some(location) => tensor_in(location, &mut data, name, dims, values),
        };
        let casts = match form.numbers {
            FLOAT => Vec::new(),
            numbers => [
                cast(names[0], sound, FLOAT),
                cast(names[1], face, FLOAT),
                cast(drawn, names[2], numbers),
            ]
            .concat(),
        };
        let mut nothing = Vec::new();
        let mut last = drawn.to_owned();
        let (products, first) = match besides {
            Besides::Nothing => (0, Vec::new()),
            Besides::AtLoad(products) => (products, node(&["side"], "matrix 0", "ConstantOfShape")),
            // What depends on the face cannot be worked out before.
            Besides::InEachRun(products) => (
                products,
                [
                    node(&["side"], "zeros", "ConstantOfShape"),
                    node(&[face], "light", "ReduceMean"),
                    node(&["zeros", "light"], "matrix 0", "Mul"),
                ]
                .concat(),
            ),
        };
        if products > 0 {
            last = "drawn so far".into();
            nothing.extend(first);
            for index in 0..products {
                let (from, to) = (format!("matrix {index}"), format!("matrix {}", index + 1));
                nothing.extend(node(&[&from, "matrix 0"], &to, "MatMul"));
            }
            nothing.extend(node(
                &[&format!("matrix {products}")],
                "nothing",
                "ReduceMean",
            ));
            nothing.extend(node(&[&last, "nothing"], drawn, "Add"));
            // GraphProto.initializer: TensorProto with dims, data_type, name and raw_data.
            let side = [LARGE.to_le_bytes(), LARGE.to_le_bytes()].concat();
            let side = [
                number(1, 2),
                number(2, INT64),
                text(8, "side"),
                message(9, &side),
            ];
            nothing.extend(message(5, &side.concat()));
        }
        let size = self.size;
        let [depth, height, width] = self.hears;
        let shape = |[channels, height, width]: [u64; 3], open: [&'static str; 2]| {
            let [height, width] = match form.is_open {
                true => open.map(Dim::Open),
                false => [height, width].map(Dim::Fixed),
            };
            [self.batch, Dim::Fixed(channels), height, width]
        };
        let hears = shape(self.hears, ["bands", "columns"]);
        let sees = shape([6, size, size], ["height", "width"]);
        let draws = shape([3, size, size], ["height", "width"]);
        let graph = [
            node(&[face, "channels", "bias"], "seen", "Conv"),
            node(&[sound, "window"], "heard", "Conv"),
            node(&["seen", "heard"], &last, "Add"),
            nothing,
            casts,
            text(2, "linear"),
            weights("channels", &[3, 6, 1, 1], self.channels.as_flattened()),
            weights("window", &[3, depth, height, width], &self.window),
            weights("bias", &[3], &self.bias),
            message(11, &value(names[0], form.numbers, &hears)),
            message(11, &value(names[1], form.numbers, &sees)),
            message(12, &value(names[2], form.numbers, &draws)),
        ]
        .concat();
        let model = [number(1, 8), message(7, &graph), message(8, &number(2, 17))].concat();
        (model, data)
    }
}

/// An audio encoder of AVE's shape: feature *f* of a window is one value of its mel, band *f*
/// mod 80 of column *f* / 80 mod 16.
pub fn encoder(names: [&str; 2], length: usize) -> Vec<u8> {
    let [mel, features] = names;
    let mut weights = vec![0.0; length * 80 * 16];
    for (feature, kernel) in weights.chunks_exact_mut(80 * 16).enumerate() {
        kernel[feature % 80 * 16 + feature / 80 % 16] = 1.0;
    }
    let batch = Dim::Open("batch");
    let dims = [batch, Dim::Fixed(1), Dim::Fixed(80), Dim::Fixed(16)];
    let graph = [
        node(&[mel, "weights"], "heard", "Conv"),
        node(&["heard"], features, "Flatten"),
        text(2, "encoder"),
        tensor("weights", &[length as u64, 1, 80, 16], &weights),
        message(11, &value(mel, FLOAT, &dims)),
        message(
            12,
            &value(features, FLOAT, &[batch, Dim::Fixed(length as u64)]),
        ),
    ]
    .concat();
    [number(1, 8), message(7, &graph), message(8, &number(2, 17))].concat()
}

/// A streaming encoder as WeNet's is exported: it hears `chunk`, `[1, 1, columns, 80]`, and makes
/// of it `output`, `[1, 4, 1, 1]`: two values of the chunk (`picks`: column and band), its
/// `offset`, an integer, and its `cache`, which becomes half of itself and the first value.
pub fn streaming(columns: u64, picks: [[usize; 2]; 2]) -> Vec<u8> {
    let size = columns as usize * 80;
    let mut kernel = vec![0.0; 2 * size];
    for (kernel, [column, band]) in kernel.chunks_exact_mut(size).zip(picks) {
        kernel[column * 80 + band] = 1.0;
    }
    let to_float = [text(1, "to"), number(3, FLOAT), number(20, 2)].concat();
    let axis = [text(1, "axis"), number(3, 1), number(20, 2)].concat();
    let one = [1; 4].map(Dim::Fixed);
    let attributed = |inputs: &[&str], output: &str, operator: &str, attribute: &[u8]| {
        let inputs: Vec<u8> = inputs.iter().flat_map(|name| text(1, name)).collect();
        let rest = [text(2, output), text(4, operator), message(5, attribute)].concat();
        message(1, &[inputs, rest].concat())
    };
    let graph = [
        node(&["chunk", "kernel"], "picked", "Conv"),
        node(&["chunk", "first"], "news", "Conv"),
        attributed(&["offset"], "where", "Cast", &to_float),
        node(&["where", "ones"], "place", "Mul"),
        node(&["cache", "half"], "kept", "Mul"),
        node(&["kept", "news"], "next", "Add"),
        attributed(&["picked", "place", "cache"], "output", "Concat", &axis),
        text(2, "streaming"),
        tensor("kernel", &[2, 1, columns, 80], &kernel),
        tensor("first", &[1, 1, columns, 80], &kernel[..size]),
        tensor("ones", &[1, 1, 1, 1], &[1.0]),
        tensor("half", &[1, 1, 1, 1], &[0.5]),
        message(
            11,
            &value("chunk", FLOAT, &[1, 1, columns, 80].map(Dim::Fixed)),
        ),
        message(11, &value("offset", INT64, &[Dim::Fixed(1)])),
        message(11, &value("cache", FLOAT, &one)),
        message(12, &value("output", FLOAT, &[1, 4, 1, 1].map(Dim::Fixed))),
        message(12, &value("next", FLOAT, &one)),
    ]
    .concat();
    [number(1, 8), message(7, &graph), message(8, &number(2, 17))].concat()
}

/// A network of EDTalk's shape: red is the face's red and `weight` / 2, green is its green, and
/// blue one value of the mel window, `bias` added.
pub fn edtalk(size: u64, band: usize, column: usize) -> Vec<u8> {
    let channels = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]];
    let mut window = vec![0.0; 3 * 80 * 16];
    window[2 * 80 * 16 + band * 16 + column] = 0.125;
    let face = [1, 3, size, size].map(Dim::Fixed);
    let graph = [
        node(&["target", "channels", "bias"], "seen", "Conv"),
        node(&["source", "window"], "heard", "Conv"),
        node(&["weight", "red"], "weighed", "Mul"),
        node(&["seen", "heard"], "both", "Add"),
        node(&["both", "weighed"], "output", "Add"),
        text(2, "edtalk"),
        tensor("channels", &[3, 3, 1, 1], channels.as_flattened()),
        tensor("window", &[3, 1, 80, 16], &window),
        tensor("bias", &[3], &[0.0, 0.0, 0.5]),
        tensor("red", &[1, 3, 1, 1], &[0.5, 0.0, 0.0]),
        message(11, &value("source", FLOAT, &[1, 1, 80, 16].map(Dim::Fixed))),
        message(11, &value("target", FLOAT, &face)),
        message(11, &value("weight", FLOAT, &[Dim::Fixed(1)])),
        message(12, &value("output", FLOAT, &face)),
    ]
    .concat();
    [number(1, 8), message(7, &graph), message(8, &number(2, 17))].concat()
}

fn node(inputs: &[&str], output: &str, operator: &str) -> Vec<u8> {
    let inputs: Vec<u8> = inputs.iter().flat_map(|name| text(1, name)).collect();
    message(1, &[inputs, text(2, output), text(4, operator)].concat())
}

/// Turns a tensor into one of other numbers.
fn cast(from: &str, to: &str, numbers: u64) -> Vec<u8> {
    // AttributeProto: name, i, type INT.
    let attribute = [text(1, "to"), number(3, numbers), number(20, 2)].concat();
    let node = [
        text(1, from),
        text(2, to),
        text(4, "Cast"),
        message(5, &attribute),
    ];
    message(1, &node.concat())
}

/// The same as `tensor`, whose values are added to `data`, the file `location`.
fn tensor_in(
    location: &str,
    data: &mut Vec<u8>,
    name: &str,
    dims: &[u64],
    values: &[f32],
) -> Vec<u8> {
    let entry = |key: &str, value: &str| message(13, &[text(1, key), text(2, value)].concat());
    let offset = data.len();
    data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    let dims: Vec<u8> = dims.iter().flat_map(|&dim| number(1, dim)).collect();
    let tensor = [
        dims,
        number(2, FLOAT),
        text(8, name),
        entry("location", location),
        entry("offset", &offset.to_string()),
        entry("length", &(data.len() - offset).to_string()),
        // TensorProto.data_location: EXTERNAL.
        number(14, 1),
    ];
    message(5, &tensor.concat())
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
