"""Runs `model.onnx`, which lies beside this file, with ONNX Runtime: for Triton's Python backend.

Inputs, outputs and their shapes come from the network itself. Where config.pbtxt has the parameter `bytes`, pictures
([N, C, S, S] of floats) come and go as UINT8, 0 to 255 for 0 to 1: a quarter of the bytes. Where it has `views` besides, a
picture of six channels comes as three, and the other view, with a black rectangle, is made here: `views` is
"reference,masked" or "masked,reference", `mask` is "wav2lip", "unet" or "X,Y,WIDTH,HEIGHT".
"""

import json
import os
import sys

# Triton's stub does not look at PYTHONPATH.
sys.path[:0] = [folder for folder in os.environ.get("LIPSYNC_PYTHONPATH", "").split(":") if folder]

import numpy
import onnxruntime
import triton_python_backend_utils as triton

NETWORK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "model.onnx")
TYPES = {
    "tensor(float)": "TYPE_FP32",
    "tensor(float16)": "TYPE_FP16",
    "tensor(double)": "TYPE_FP64",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
}


def open_network():
    options = onnxruntime.SessionOptions()
    # One instance, one thread: what runs at once is a matter of instance_group.
    options.intra_op_num_threads = int(os.environ.get("LIPSYNC_THREADS", "1"))
    # As the plugin opens it: the same bytes come out.
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(NETWORK, options, providers=["CPUExecutionProvider"])


def is_picture(tensor):
    """Whether it is [N, C, S, S]: a window of sound is not as high as wide."""
    shape = tensor.shape
    return tensor.type == "tensor(float)" and len(shape) == 4 and shape[1] in (1, 3, 6) and shape[2] == shape[3]


def has_views(tensor):
    return is_picture(tensor) and tensor.shape[1] == 6


def parameter(config, name):
    return config.get("parameters", {}).get(name, {}).get("string_value", "")


def rectangle(mask, side):
    """x, y, width, height of what is black, as the families have it."""
    if mask == "wav2lip":
        return 0, side // 2, side, side - side // 2
    if mask == "unet":
        return 5, 5, side - 10, side - 15
    return tuple(int(number) for number in mask.split(","))


def sizes(shape):
    """-1 for what the network leaves open."""
    return [size if isinstance(size, int) else -1 for size in shape]


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        network = open_network()
        as_bytes = bool(parameter(config.as_dict(), "bytes"))
        one_view = as_bytes and bool(parameter(config.as_dict(), "views"))
        tensors = network.get_inputs() + network.get_outputs()
        is_open = all(not isinstance(tensor.shape[0], int) for tensor in tensors)
        if not is_open:
            config.set_max_batch_size(0)

        def described(tensor):
            is_bytes = as_bytes and is_picture(tensor)
            shape = sizes(tensor.shape)
            if one_view and has_views(tensor):
                shape[1] = 3
            return {
                "name": tensor.name,
                "data_type": "TYPE_UINT8" if is_bytes else TYPES[tensor.type],
                "dims": shape[1:] if is_open else shape,
            }

        for tensor in network.get_inputs():
            config.add_input(described(tensor))
        for tensor in network.get_outputs():
            config.add_output(described(tensor))
        return config

    def initialize(self, args):
        self.network = open_network()
        self.inputs = [tensor.name for tensor in self.network.get_inputs()]
        self.outputs = [tensor.name for tensor in self.network.get_outputs()]
        config = json.loads(args["model_config"])
        tensors = self.network.get_inputs() + self.network.get_outputs()
        pictures = tensors if parameter(config, "bytes") else []
        self.bytes = {tensor.name for tensor in pictures if is_picture(tensor)}
        views = parameter(config, "views")
        self.views = {tensor.name for tensor in pictures if views and has_views(tensor)}
        self.is_masked_first = views.startswith("masked")
        self.mask = parameter(config, "mask")

    def execute(self, requests):
        return [self.draw(request) for request in requests]

    def draw(self, request):
        inputs = {name: self.read(request, name) for name in self.inputs}
        drawn = self.network.run(self.outputs, inputs)
        outputs = [triton.Tensor(name, self.write(name, value)) for name, value in zip(self.outputs, drawn)]
        return triton.InferenceResponse(outputs)

    def read(self, request, name):
        value = triton.get_input_tensor_by_name(request, name).as_numpy()
        if name not in self.bytes:
            return value
        value = value.astype(numpy.float32) / numpy.float32(255)
        return self.both_views(value) if name in self.views else value

    def both_views(self, whole):
        x, y, width, height = rectangle(self.mask, whole.shape[-1])
        masked = whole.copy()
        masked[:, :, y : y + height, x : x + width] = 0
        return numpy.concatenate([masked, whole] if self.is_masked_first else [whole, masked], axis=1)

    def write(self, name, value):
        if name not in self.bytes:
            return value
        return (numpy.clip(value, 0, 1) * 255 + 0.5).astype(numpy.uint8)
