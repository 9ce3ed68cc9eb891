#!/bin/sh
# ONNX Runtime 1.32.0, CPU: a session goes on reading the file that its weights lie in.
#
# A valid model whose weights are external data, opened by its path. The file is mapped into memory for as long as the session lives, so
# writing other weights over it, in place and of the same size, changes what the session computes. Seen:
#
#   before: 1.0
#   after:  7.0, without opening the model again
#
# Fails once that is otherwise. Needs Python 3.11 or newer with venv, and the package index; PYTHON names another interpreter.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q onnxruntime==1.32.0 onnx==1.23.2 numpy==2.3.5
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import pathlib
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

COUNT = 1 << 16
folder = pathlib.Path(sys.argv[1])
data = folder / "model.onnx.data"
data.write_bytes(np.full(COUNT, 1, np.float32).tobytes())
weights = TensorProto(name="weights", data_type=TensorProto.FLOAT, dims=[COUNT], data_location=TensorProto.EXTERNAL)
for key, value in [("location", data.name), ("offset", "0"), ("length", str(4 * COUNT))]:
    weights.external_data.add(key=key, value=value)
tensor = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [COUNT])
graph = helper.make_graph([helper.make_node("Add", ["x", "weights"], ["y"])], "sum", [tensor("x")], [tensor("y")], [weights])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
(folder / "model.onnx").write_bytes(model.SerializeToString())

session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
run = lambda: float(session.run(None, {"x": np.zeros(COUNT, np.float32)})[0][0])
print("onnxruntime", onnxruntime.__version__)
before = run()
with data.open("r+b") as file:
    file.write(np.full(COUNT, 7, np.float32).tobytes())
after = run()
print("before:", before)
print("after: ", after)
sys.exit(0 if (before, after) == (1, 7) else "it behaves otherwise now")
PYTHON
