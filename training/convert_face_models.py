"""Convert the two MediaPipe face networks from TensorFlow Lite to ONNX.

What it makes
    models/face_detector.onnx   BlazeFace, short range
    models/face_mesh.onnx       face mesh, 468 points
    and beside each a TOML manifest with hashes, source and tensor contract.

Why an own converter
    The networks use eleven kinds of operation, so a direct translation is short, and it gives the same bytes on
    every run and every machine: no optimiser passes, no generated names, no dates. Weights are stored as fp16 in
    the source and are widened to fp32 (exact).

How
    python training/convert_face_models.py --wheel mediapipe-0.10.21-*.whl --out models
    python training/convert_face_models.py --wheel ... --out models --verify   # compares with LiteRT (ai-edge-litert)

    The wheel is the PyPI package mediapipe==0.10.21 (any platform: the files inside are the same). The hashes of the
    two .tflite files are checked, so a changed wheel stops the conversion.

Layout
    TensorFlow Lite is NHWC, the ONNX files are NCHW throughout. Only where the source reshapes spatial maps to rows
    (the detector's heads) a transpose restores the order that the reshape expects.
"""

import argparse
import hashlib
import io
import pathlib
import zipfile

import numpy as np
import onnx
import tflite
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8  # read by ONNX Runtime 1.10 and later
WHEEL = "mediapipe==0.10.21"
#: Channels that ONNX Runtime's fast convolutions take together.
BLOCK = 16

#: The two networks: where they lie in the wheel, what must come out.
MODELS = {
    "face_detector": dict(
        path="mediapipe/modules/face_detection/face_detection_short_range.tflite",
        sha256="bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
        name="MediaPipe BlazeFace, short range",
        inputs=[("image", [1, 3, 128, 128], "RGB, letterboxed, x / 127.5 - 1 (range -1..1)")],
        outputs=[
            ("boxes", [1, 896, 16], "cx cy w h, then 6 points x y, in pixels of 128 relative to the anchor's centre"),
            ("scores", [1, 896], "probability 0..1 of a face at this anchor"),
        ],
    ),
    "face_mesh": dict(
        path="mediapipe/modules/face_landmark/face_landmark.tflite",
        sha256="1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
        name="MediaPipe face mesh, 468 points",
        inputs=[("image", [1, 3, 192, 192], "RGB 0..1, a rotated square of 1.5 times the face")],
        outputs=[
            ("points", [1, 468, 3], "x y z in pixels of 192"),
            ("score", [1], "probability 0..1 that the square shows a face"),
        ],
    ),
}

OP_NAMES = {v: k for k, v in vars(tflite.BuiltinOperator).items() if isinstance(v, int)}
NUMPY_TYPES = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
}


class Converter:
    """Walks one TensorFlow Lite graph and collects the nodes and weights of its ONNX twin.

    A tensor with index i is called `t<i>` in the ONNX graph: short, and the same on every run.
    """

    def __init__(self, data):
        self.model = tflite.Model.GetRootAsModel(data, 0)
        self.graph = self.model.Subgraphs(0)
        self.nodes = []
        self.weights = []
        self.constants = {}  # tensor index -> array, for dequantised weights
        self.count = 0

    # -- reading the source ------------------------------------------------------------------------------------

    def shape(self, index):
        t = self.graph.Tensors(index)
        return [int(v) for v in t.ShapeAsNumpy()] if t.ShapeLength() else []

    def constant(self, index):
        """The array of a constant tensor as fp32 (or int32), or None if the tensor is computed."""
        if index in self.constants:
            return self.constants[index]
        t = self.graph.Tensors(index)
        raw = self.model.Buffers(t.Buffer()).DataAsNumpy()
        if isinstance(raw, int) or len(raw) == 0:
            return None
        array = np.frombuffer(raw.tobytes(), NUMPY_TYPES[t.Type()]).reshape(self.shape(index))
        return array.astype(np.float32) if array.dtype == np.float16 else array

    @staticmethod
    def options(op, kind):
        found = kind()
        table = op.BuiltinOptions()
        found.Init(table.Bytes, table.Pos)
        return found

    # -- writing the product -----------------------------------------------------------------------------------

    def weight(self, label, array):
        name = f"w{len(self.weights)}_{label}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, kind, inputs, output, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], f"n{len(self.nodes)}_{kind}", **attributes))
        return output

    def temporary(self):
        self.count += 1
        return f"x{self.count}"

    def activation(self, code, source, output):
        if code == tflite.ActivationFunctionType.NONE:
            return
        kind = {tflite.ActivationFunctionType.RELU: "Relu"}.get(code)
        if kind is None:
            raise NotImplementedError(f"fused activation {code}")
        self.node(kind, [source], output)

    @staticmethod
    def same_padding(size, kernel, stride):
        """TensorFlow's SAME: the odd pixel of padding goes to the end."""
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        return total // 2, total - total // 2

    def pads(self, padding, source, kernel, stride):
        if padding == tflite.Padding.VALID:
            return [0, 0, 0, 0]
        _, h, w, _ = self.shape(source)
        top, bottom = self.same_padding(h, kernel[0], stride[0])
        left, right = self.same_padding(w, kernel[1], stride[1])
        return [top, left, bottom, right]

    def windowed(self, emit, options, output):
        """Emit a windowed operation and the activation fused into it."""
        fused = options.FusedActivationFunction()
        if fused == tflite.ActivationFunctionType.NONE:
            emit(output)
        else:
            inner = self.temporary()
            emit(inner)
            self.activation(fused, inner, output)

    def conv(self, op, inputs, output, depthwise):
        options = self.options(op, tflite.DepthwiseConv2DOptions if depthwise else tflite.Conv2DOptions)
        kernel = self.constant(inputs[1])
        bias = self.constant(inputs[2])
        if depthwise:  # [1, h, w, c * multiplier] -> [c * multiplier, 1, h, w]
            group = self.shape(inputs[0])[3]
            array = kernel.transpose(3, 0, 1, 2)
        else:  # [out, h, w, in] -> [out, in, h, w]
            group = 1
            array = kernel.transpose(0, 3, 1, 2)
        size = list(array.shape[2:])
        stride = [options.StrideH(), options.StrideW()]
        names = [f"t{inputs[0]}", self.weight("kernel", array), self.weight("bias", bias)]
        attributes = dict(
            kernel_shape=size,
            strides=stride,
            dilations=[options.DilationHFactor(), options.DilationWFactor()],
            pads=self.pads(options.Padding(), inputs[0], size, stride),
            group=group,
        )
        self.windowed(lambda out: self.node("Conv", names, out, **attributes), options, output)

    def max_pool(self, op, inputs, output):
        options = self.options(op, tflite.Pool2DOptions)
        size = [options.FilterHeight(), options.FilterWidth()]
        stride = [options.StrideH(), options.StrideW()]
        attributes = dict(
            kernel_shape=size, strides=stride, pads=self.pads(options.Padding(), inputs[0], size, stride)
        )
        self.windowed(lambda out: self.node("MaxPool", [f"t{inputs[0]}"], out, **attributes), options, output)

    def pad(self, inputs, output):
        before, after = self.constant(inputs[1])[[0, 3, 1, 2]].T  # NHWC -> NCHW
        channels = self.shape(inputs[0])[3]
        if channels % BLOCK == after[1] % BLOCK == 0 and not before.any() and not np.delete(after, 1).any():
            # More channels, all zero: a convolution, for the reason that `scaled` gives.
            kernel = np.eye(channels + after[1], channels, dtype=np.float32)[..., None, None]
            self.node("Conv", [f"t{inputs[0]}", self.weight("kernel", kernel)], output, kernel_shape=[1, 1])
            return
        amounts = self.weight("pads", np.concatenate([before, after]).astype(np.int64))
        self.node("Pad", [f"t{inputs[0]}", amounts], output)

    def reshape(self, inputs, output, index):
        source = f"t{inputs[0]}"
        if len(self.shape(inputs[0])) == 4:  # rows are counted in NHWC order
            source = self.node("Transpose", [source], self.temporary(), perm=[0, 2, 3, 1])
        self.node("Reshape", [source, self.weight("shape", np.array(self.shape(index), np.int64))], output)

    def scaled(self, x, factors):
        """Each channel times a factor, as a convolution.

        ONNX Runtime's fast convolutions on CPUs lay maps out in blocks of channels, which they, Relu and sums keep. Around any other
        operator maps are laid out anew: with products the mesh took 1.8 ms on one busy core, with convolutions 1.3."""
        kernel = self.weight("factor", factors.astype(np.float32).reshape(-1, 1, 1, 1))
        return self.node("Conv", [x, kernel], self.temporary(), kernel_shape=[1, 1], group=factors.size)

    def prelu(self, x, slope, output):
        """max(x, 0) + slope * min(x, 0), one slope a channel: slope * x + (1 - slope) * max(x, 0).

        Not as ONNX's own operator: the CPU provider of ONNX Runtime 1.31 computes it number by number, in 2.6 of the 4.0 ms
        that the whole network took on one core."""
        if slope.max() <= 1:  # a convolution and Relu are one operation
            above = self.node("Relu", [self.scaled(x, 1 - slope)], self.temporary())
        else:
            above = self.scaled(self.node("Relu", [x], self.temporary()), 1 - slope)
        self.node("Add", [self.scaled(x, slope), above], output)

    def operation(self, op):
        code = self.model.OperatorCodes(op.OpcodeIndex())
        name = OP_NAMES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        inputs = [int(v) for v in op.InputsAsNumpy()]
        index = int(op.OutputsAsNumpy()[0])
        output = f"t{index}"
        if name == "DEQUANTIZE":
            self.constants[index] = self.constant(inputs[0])
        elif name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            self.conv(op, inputs, output, name != "CONV_2D")
        elif name == "MAX_POOL_2D":
            self.max_pool(op, inputs, output)
        elif name == "PRELU":
            self.prelu(f"t{inputs[0]}", self.constant(inputs[1]).reshape(-1, 1, 1), output)
        elif name == "RELU":
            self.node("Relu", [f"t{inputs[0]}"], output)
        elif name == "ADD":
            options = self.options(op, tflite.AddOptions)
            names = [f"t{i}" for i in inputs]
            self.windowed(lambda out: self.node("Add", names, out), options, output)
        elif name == "PAD":
            self.pad(inputs, output)
        elif name == "RESHAPE":
            self.reshape(inputs, output, index)
        elif name == "CONCATENATION":
            options = self.options(op, tflite.ConcatenationOptions)
            self.node("Concat", [f"t{i}" for i in inputs], output, axis=options.Axis())
        else:
            raise NotImplementedError(name)

    def convert(self, spec):
        """The ONNX model, with the inputs and outputs of `spec`."""
        for i in range(self.graph.OperatorsLength()):
            self.operation(self.graph.Operators(i))
        given = f"t{int(self.graph.InputsAsNumpy()[0])}"
        first, second = (f"t{int(v)}" for v in self.graph.OutputsAsNumpy())
        # The source's outputs: geometry first, then logits. Bring both to the shapes of the contract; logits become
        # probabilities. (1404 = 468 x 3 lie on the channel axis of a 1x1 map, so a plain reshape is right.)
        (geometry, shape, _), (score, score_shape, _) = spec["outputs"]
        self.node("Reshape", [first, self.weight("shape", np.array(shape, np.int64))], geometry)
        flat = self.node(
            "Reshape", [second, self.weight("shape", np.array(score_shape, np.int64))], self.temporary()
        )
        self.node("Sigmoid", [flat], score)
        for node in self.nodes:
            node.input[:] = ["image" if n == given else n for n in node.input]
        graph = helper.make_graph(
            self.nodes,
            spec["name"],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s, _ in spec["inputs"]],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s, _ in spec["outputs"]],
            self.weights,
        )
        model = helper.make_model(
            graph,
            producer_name="gst-plugin-lipsync training/convert_face_models.py",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def manifest(spec, file, digest):
    """The TOML that lies beside the network."""
    lines = [
        "# Written by training/convert_face_models.py",
        "version = 1",
        f'name = "{spec["name"]}"',
        f'file = "{file}"',
        f'sha256 = "{digest}"',
        'licence = "Apache-2.0"',
        f'source = "PyPI {WHEEL}, {spec["path"]}"',
        f'source-sha256 = "{spec["sha256"]}"',
    ]
    for kind in ("inputs", "outputs"):
        for name, shape, meaning in spec[kind]:
            lines += ["", f"[[{kind}]]", f'name = "{name}"', 'type = "f32"', f"shape = {shape}", f'meaning = "{meaning}"']
    return "\n".join(lines) + "\n"


def verify(data, model, spec):
    """Largest difference to LiteRT over random pictures: (geometry, probability)."""
    import onnxruntime
    from ai_edge_litert.interpreter import Interpreter

    reference = Interpreter(model_content=data)
    reference.allocate_tensors()
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    low = -1.0 if "boxes" in [o[0] for o in spec["outputs"]] else 0.0
    worst = np.zeros(2)
    for _ in range(10):
        size = spec["inputs"][0][1][2]
        coarse = random.uniform(low, 1, (1, 3, size // 16, size // 16)).repeat(16, 2).repeat(16, 3)
        image = (0.8 * coarse + 0.2 * random.uniform(low, 1, coarse.shape)).astype(np.float32)
        reference.set_tensor(reference.get_input_details()[0]["index"], np.ascontiguousarray(image.transpose(0, 2, 3, 1)))
        reference.invoke()
        wanted = [reference.get_tensor(d["index"]) for d in reference.get_output_details()]
        wanted.sort(key=lambda a: -a.size)
        wanted[1] = 1 / (1 + np.exp(-wanted[1].astype(np.float64)))
        got = session.run(None, {"image": image})
        for i in range(2):
            worst[i] = max(worst[i], np.abs(got[i].ravel() - wanted[i].ravel()).max())
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--wheel", type=pathlib.Path, required=True, help=f"the wheel of {WHEEL}")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for the .onnx and .toml files")
    parser.add_argument("--verify", action="store_true", help="compare with LiteRT (needs ai-edge-litert)")
    arguments = parser.parse_args()
    wheel = zipfile.ZipFile(io.BytesIO(arguments.wheel.read_bytes()))
    for name, spec in MODELS.items():
        data = wheel.read(spec["path"])
        found = hashlib.sha256(data).hexdigest()
        if found != spec["sha256"]:
            raise SystemExit(f"{spec['path']}: sha256 is {found}, wanted {spec['sha256']}")
        model = Converter(data).convert(spec)
        product = model.SerializeToString(deterministic=True)
        digest = hashlib.sha256(product).hexdigest()
        (arguments.out / f"{name}.onnx").write_bytes(product)
        (arguments.out / f"{name}.toml").write_text(manifest(spec, f"{name}.onnx", digest))
        print(f"{name}.onnx  {len(product)} bytes  sha256 {digest}")
        if arguments.verify:
            geometry, probability = verify(data, model, spec)
            print(f"  largest difference to LiteRT: {geometry:.2e} pixels, {probability:.2e} in probability")


if __name__ == "__main__":
    main()
