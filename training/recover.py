"""The weights of an exported network, back in its PyTorch module: models/builtin can be trained on without its checkpoints."""

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from torch import nn

import audio2mouth
import geometry
import mel


def recover(network, path):
    """Load the weights of an exported network back into its module, and check that it computes the same.

    In the file batch normalisation is folded into the convolution before it: here the normalisation becomes the bias alone.
    The decoder of audio2mouth comes as it was calibrated. Returns the largest difference to ONNX Runtime.
    """
    graph = onnx.load(path).graph
    stored = {i.name: torch.from_numpy(numpy_helper.to_array(i).copy()) for i in graph.initializer}
    convolutions = iter([n for n in graph.node if n.op_type == "Conv"])
    linear = iter([n for n in graph.node if n.op_type == "Gemm"])
    open_bias = None
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Linear)):
                node = next(linear if isinstance(module, nn.Linear) else convolutions)
                module.weight.copy_(same_shape(stored[node.input[1]], module.weight, node))
                if module.bias is not None:
                    module.bias.copy_(stored[node.input[2]])
                else:
                    open_bias = stored[node.input[2]]
            elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                module.running_mean.zero_()
                module.running_var.fill_(1 - module.eps)
                module.weight.fill_(1)
                module.bias.copy_(open_bias)
        for name, value in network.named_buffers():
            if name in stored:
                value.copy_(same_shape(stored[name], value, name))
    network.eval()
    random = np.random.default_rng(0)
    points = random.uniform(20, 76, (2, geometry.COUNT, 2))
    ranges = dict(mel=random.uniform(-4, 4, (2, 1, mel.BANDS, audio2mouth.COLUMNS)), crop=random.random((2, 3, 96, 96)),
                  source=points, target=points + random.normal(0, 1, points.shape))  # fmt: skip
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    fed = {i.name: ranges[i.name].astype(np.float32) for i in session.get_inputs()}
    with torch.no_grad():
        wanted = network(*(torch.from_numpy(v) for v in fed.values()))
    worst = max(float(np.abs(a - b.numpy()).max()) for a, b in zip(session.run(None, fed), wanted))
    if worst > 1e-3:
        raise SystemExit(f"{path} is not a network of this version of training/: outputs differ by {worst:.1e}")
    return worst


def same_shape(found, wanted, where):
    if found.shape != wanted.shape:
        raise SystemExit(f"{where}: {tuple(found.shape)} in the file, {tuple(wanted.shape)} in training/")
    return found
