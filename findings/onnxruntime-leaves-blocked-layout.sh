#!/bin/sh
# ONNX Runtime 1.32.0, CPU: PRelu takes a network out of its blocked layout.
#
# On x86-64 convolutions run in a blocked layout of channels (NCHWc), into which a graph is brought once and out of which it comes at the
# end. Valid networks of four convolutions with a PRelu behind each but the last, as networks from TensorFlow Lite have them: the graph
# leaves the layout before each PRelu and enters it again behind. The same function made of Relu, depthwise convolutions of 1x1 and Add
# stays in it, and gives the same numbers. Seen, nodes that change the layout in the optimised graph:
#
#   PRelu                 ReorderInput 4, ReorderOutput 4
#   Relu, 1x1 Conv, Add   ReorderInput 1, ReorderOutput 1
#
# Fails once the counts are others. Needs x86-64, Python 3.11 or newer with venv, and the package index; PYTHON names another interpreter.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q onnxruntime==1.32.0 onnx==1.23.2 numpy==2.3.5
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

CHANNELS, SIDE, DEPTH = 32, 48, 4
folder = pathlib.Path(sys.argv[1])
shape = [1, CHANNELS, SIDE, SIDE]


def network(is_split):
    random = np.random.default_rng(0)
    nodes, weights, last = [], [], "x"

    def weight(name, values):
        weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def node(kind, inputs, out, **attributes):
        nodes.append(helper.make_node(kind, inputs, [out], **attributes))
        return out

    def scaled(value, factors, out):
        factors = weight(f"{out}-factors", np.broadcast_to(factors, (CHANNELS, 1, 1, 1)))
        return node("Conv", [value, factors], out, group=CHANNELS)

    for layer in range(DEPTH):
        kernel = weight(f"kernel{layer}", random.standard_normal((CHANNELS, CHANNELS, 3, 3)) / 17)
        is_last = layer == DEPTH - 1
        conv = node("Conv", [last, kernel], "y" if is_last else f"conv{layer}", pads=[1, 1, 1, 1])
        if is_last:
            break
        slope = random.uniform(0.1, 0.5, (CHANNELS, 1, 1))
        if not is_split:
            last = node("PRelu", [conv, weight(f"slope{layer}", slope)], f"out{layer}")
            continue
        above = node("Relu", [conv], f"above{layer}")
        below = node("Relu", [scaled(conv, -1.0, f"negative{layer}")], f"below{layer}")
        last = node("Add", [above, scaled(below, -slope[..., None], f"sloped{layer}")], f"out{layer}")
    tensor = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "sloped", [tensor("x")], [tensor("y")], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(is_split):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(folder / f"{is_split}.onnx")
    model = network(is_split).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    values = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    kinds = [node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node]
    return [kinds.count(kind) for kind in ("ReorderInput", "ReorderOutput")], session.run(None, {"x": values})[0]


print("onnxruntime", onnxruntime.__version__)
(whole, expected), (split, found) = run(False), run(True)
for name, (enters, leaves) in (("PRelu", whole), ("Relu, 1x1 Conv, Add", split)):
    print(f"{name:20}  ReorderInput {enters}, ReorderOutput {leaves}")
same = np.allclose(expected, found, atol=1e-4)
sys.exit(0 if same and whole == [4, 4] and split == [1, 1] else "it behaves otherwise now")
PYTHON
