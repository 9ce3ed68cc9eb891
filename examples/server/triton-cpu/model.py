"""Runs `model.onnx`, which lies beside this file, with ONNX Runtime: for Triton's Python backend.

Inputs, outputs and their shapes come from the network itself. Parameters of config.pbtxt have them sent in fewer bytes:

- `bytes`: pictures ([N, C, S, S] of floats) come and go as UINT8, 0 to 255 for 0 to 1: a quarter;
- `half`: all other floats come and go as FP16: half;
- `views`: a picture of six channels comes as three, and the other view, with a black rectangle, is made here. It is
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

# Things at once, where config.pbtxt does not say and the network leaves that open.
MAX_BATCH = 8
NETWORK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "model.onnx")
TYPES = {
    "tensor(float)": "TYPE_FP32",
    "tensor(float16)": "TYPE_FP16",
    "tensor(double)": "TYPE_FP64",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
}


def open_network(providers=("CPUExecutionProvider",)):
    options = onnxruntime.SessionOptions()
    # One instance, one thread: what runs at once is a matter of instance_group.
    options.intra_op_num_threads = int(os.environ.get("LIPSYNC_THREADS", "1"))
    # As the plugin opens it: the same bytes come out.
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(NETWORK, options, providers=list(providers))


def is_picture(tensor):
    """Whether it is [N, C, S, S]: a window of sound is not as high as wide."""
    shape = tensor.shape
    return tensor.type == "tensor(float)" and len(shape) == 4 and shape[1] in (1, 3, 6) and shape[2] == shape[3]


def has_views(tensor):
    return is_picture(tensor) and tensor.shape[1] == 6


def is_open(network):
    """Whether it takes any number of things at once."""
    return all(not isinstance(tensor.shape[0], int) for tensor in network.get_inputs() + network.get_outputs())


def parameter(config, name):
    return config.get("parameters", {}).get(name, {}).get("string_value", "")


def sent_as(config, tensor):
    """The numbers that a tensor is sent in."""
    if parameter(config, "bytes") and is_picture(tensor):
        return "TYPE_UINT8"
    if parameter(config, "half") and tensor.type == "tensor(float)":
        return "TYPE_FP16"
    return TYPES[tensor.type]


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


def providers(args):
    """Of the instance: KIND_GPU of instance_group asks for its GPU."""
    if args["model_instance_kind"] != "GPU":
        return ["CPUExecutionProvider"]
    return [("CUDAExecutionProvider", {"device_id": args["model_instance_device_id"]}), "CPUExecutionProvider"]


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        network = open_network()
        given = config.as_dict()
        if is_open(network) and not given["max_batch_size"]:
            config.set_max_batch_size(MAX_BATCH)

        def described(tensor):
            shape = sizes(tensor.shape)
            if parameter(given, "views") and has_views(tensor):
                shape[1] = 3
            dims = shape[1:] if is_open(network) else shape
            return {"name": tensor.name, "data_type": sent_as(given, tensor), "dims": dims}

        for tensor in network.get_inputs():
            config.add_input(described(tensor))
        for tensor in network.get_outputs():
            config.add_output(described(tensor))
        return config

    def initialize(self, args):
        config = json.loads(args["model_config"])
        self.network = open_network(providers(args))
        self.inputs = self.network.get_inputs()
        self.outputs = self.network.get_outputs()
        # What is sent in other numbers than the network's.
        numbers = {tensor.name: sent_as(config, tensor) for tensor in self.inputs + self.outputs}
        own = {tensor.name: TYPES[tensor.type] for tensor in self.inputs + self.outputs}
        self.sent = {name: number for name, number in numbers.items() if number != own[name]}
        views = parameter(config, "views")
        self.views = {tensor.name for tensor in self.inputs if views and has_views(tensor)}
        self.is_masked_first = views.startswith("masked")
        self.mask = parameter(config, "mask")

    def execute(self, requests):
        # With dynamic_batching several come at once.
        if len(requests) > 1 and is_open(self.network):
            return self.draw(requests)
        return [response for request in requests for response in self.draw([request])]

    def draw(self, requests):
        given = [{tensor.name: self.read(request, tensor.name) for tensor in self.inputs} for request in requests]
        together = given[0]
        if len(given) > 1:
            together = {name: numpy.concatenate([each[name] for each in given]) for name in together}
        drawn = self.network.run([tensor.name for tensor in self.outputs], together)
        responses, begin = [], 0
        for each in given:
            end = begin + len(next(iter(each.values())))
            rows = slice(None) if len(given) == 1 else slice(begin, end)
            outputs = [
                triton.Tensor(tensor.name, self.write(tensor.name, value[rows]))
                for tensor, value in zip(self.outputs, drawn)
            ]
            responses.append(triton.InferenceResponse(outputs))
            begin = end
        return responses

    def read(self, request, name):
        value = triton.get_input_tensor_by_name(request, name).as_numpy()
        if self.sent.get(name) == "TYPE_UINT8":
            value = numpy.divide(value, numpy.float32(255), dtype=numpy.float32)
        elif name in self.sent:
            value = value.astype(numpy.float32)
        return self.both_views(value) if name in self.views else value

    def both_views(self, whole):
        x, y, width, height = rectangle(self.mask, whole.shape[-1])
        masked = whole.copy()
        masked[:, :, y : y + height, x : x + width] = 0
        return numpy.concatenate([masked, whole] if self.is_masked_first else [whole, masked], axis=1)

    def write(self, name, value):
        if self.sent.get(name) == "TYPE_UINT8":
            return (numpy.clip(value, 0, 1) * 255 + 0.5).astype(numpy.uint8)
        return value.astype(numpy.float16) if name in self.sent else value
