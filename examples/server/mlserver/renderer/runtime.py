"""Runs the network that `parameters.uri` of model-settings.json names with ONNX Runtime, for MLServer:

    pip install mlserver onnxruntime
    cd examples/server/mlserver && PYTHONPATH=renderer mlserver start .
"""

import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse
from mlserver.utils import get_model_uri


class Network(MLModel):
    async def load(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = await get_model_uri(self.settings)
        self.network = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.names = [tensor.name for tensor in self.network.get_outputs()]
        return True

    async def predict(self, payload):
        inputs = {tensor.name: NumpyCodec.decode_input(tensor) for tensor in payload.inputs}
        drawn = self.network.run(self.names, inputs)
        outputs = [NumpyCodec.encode_output(name, value) for name, value in zip(self.names, drawn)]
        return InferenceResponse(model_name=self.name, outputs=outputs)
