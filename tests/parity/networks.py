"""The reference pipelines of models of several networks with a program of their own: MuseTalk and DINet, with seeded random weights.

    pipeline = Networks("musetalk-tiny.toml")     # or backend="torch": the architectures as diffusers, transformers and PyTorch have them

As `pipeline.Pipeline`, for models that `training/reference_models.py` has made of the exporters' architectures.
"""

import sys
import tomllib
from pathlib import Path

import cv2
import numpy as np
import torch
from pipeline import Step, open_session
from transformers import WhisperFeatureExtractor

import sound

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "training"))

import export_dinet  # noqa: E402
import export_musetalk  # noqa: E402


def in_onnx(path):
    """A function of arrays in the order of the file's inputs."""
    session = open_session(path)
    names = [value.name for value in session.get_inputs()]
    return lambda *arrays: session.run(None, dict(zip(names, arrays)))[0]


def in_torch(network):
    def run(*arrays):
        with torch.no_grad():
            return network(*(torch.from_numpy(array) for array in arrays)).numpy()

    return run


class MuseTalk:
    """Whisper hears pieces in which all of the recording is, where the manifest has them."""

    def __init__(self, folder, files, size, backend, hearing):
        keys = ("audio-encoder", "image-encoder", "generator", "image-decoder")
        if backend == "torch":
            networks = [in_torch(network) for network in export_musetalk.networks(*export_musetalk.random(size))]
        else:
            networks = [in_onnx(folder / files[key]["path"]) for key in keys]
        self.whisper, self.encode, self.draw, self.decode = networks
        self.past, self.step = hearing["past-ms"] // 20, hearing["step-ms"] // 20
        self.side = export_musetalk.SIZES[size]["vae"]["sample_size"]
        self.extract, self.pieces = WhisperFeatureExtractor(), {}

    def listen(self, samples):
        self.samples = samples

    def frames_heard(self):
        return len(self.samples) // 640

    def piece(self, first):
        if first not in self.pieces:
            recording = np.zeros(480000, np.float32)
            recording[-first * 320 :][: len(self.samples)] = self.samples
            mel = self.extract(recording, sampling_rate=16000, return_tensors="np").input_features
            self.pieces[first] = self.whisper(mel)[0]
        return self.pieces[first]

    def window(self, frame):
        rows = []
        for row in range(2 * frame - 4, 2 * frame + 6):
            first = row // self.step * self.step - self.past
            made = self.piece(first)[row - first] if 0 <= row < len(self.samples) // 320 else np.zeros_like(self.piece(-self.past)[0])
            rows.append(made)
        heard = np.concatenate(rows)
        return (heard + export_musetalk.places(*heard.shape))[None].astype(np.float32)

    def frame(self, heard, frame, box):
        x0, y0, x1, y1 = box
        whole = cv2.resize(frame[y0:y1, x0:x1], (self.side, self.side), interpolation=cv2.INTER_LANCZOS4)
        masked = whole.copy()
        masked[self.side // 2 :] = 0
        views = [view[:, :, ::-1].transpose(2, 0, 1) / np.float32(127.5) - 1 for view in (masked, whole)]
        views = np.stack(views).astype(np.float32)
        latents = np.concatenate([self.encode(view[None]) for view in views], 1)
        drawn = self.draw(latents, heard)
        output = self.decode(drawn)
        levels = np.round(np.clip(output[0] / 2 + 0.5, 0, 1) * 255).astype(np.uint8)
        crop = np.ascontiguousarray(levels.transpose(1, 2, 0)[:, :, ::-1])
        finished = frame.copy()
        finished[y0:y1, x0:x1] = cv2.resize(crop, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
        return Step(views.reshape(1, 6, self.side, self.side), heard, output, crop, finished, np.concatenate([latents, drawn], 1))


class DINet:
    """The other frames are the manifest's pictures."""

    def __init__(self, folder, files, size, backend, _hearing):
        dinet, self.deepspeech, mouth = export_dinet.random(size)
        self.run = in_onnx(folder / files["generator"]["path"])
        if backend == "torch":
            dinet.adaAT.in_space = True
            self.run = in_torch(dinet)
        self.mouth, self.size = mouth, (5 * mouth // 4, 13 * mouth // 8)
        others = [cv2.imread(str(folder / file["path"]))[:, :, ::-1] for file in files["others"]]
        self.others = np.concatenate([self.planes(cv2.resize(picture, self.size)) for picture in others])[None]

    @staticmethod
    def planes(picture):
        return (picture.transpose(2, 0, 1) / np.float32(255)).astype(np.float32)

    def listen(self, samples):
        whole = np.trunc(samples * 32768).astype(np.int16)
        self.count = len(export_dinet.rows_of(whole)) // 2
        self.table = export_dinet.heard(self.deepspeech, whole, range(self.count))

    def frames_heard(self):
        return self.count

    def window(self, frame):
        return np.ascontiguousarray(self.table[frame][None])

    def frame(self, heard, frame, box):
        x0, y0, x1, y1 = box
        crop = cv2.resize(frame[y0:y1, x0:x1], self.size)
        image = self.planes(crop[:, :, ::-1])
        row, column = self.mouth // 2, self.mouth // 8
        image[:, row : row + self.mouth, column : column + self.mouth] = 0
        output = self.run(image[None], self.others, heard)
        drawn = np.ascontiguousarray(output[0].transpose(1, 2, 0)) * 255
        height = y1 - y0
        put = cv2.resize(drawn, (x1 - x0, height))[: height * 12 // 13]
        finished = frame.copy()
        finished[y0 : y0 + len(put), x0:x1] = put[:, :, ::-1].astype(np.uint8)
        return Step(np.concatenate([image[None], self.others], 1), heard, output, crop, finished, None)


class Networks:
    FAMILIES = {"musetalk": MuseTalk, "dinet": DINet}

    def __init__(self, manifest, backend="onnxruntime"):
        path = Path(manifest)
        text = tomllib.loads(path.read_text())
        size = path.stem.rpartition("-")[2]
        self.program = self.FAMILIES[text["family"]](path.parent, text["files"], size, backend, text["sound"])
        self.mel, self.starts, self.table = None, None, None

    def listen(self, source, frame_rate=25.0):
        self.program.listen(sound.load(source))

    def frames_heard(self):
        return self.program.frames_heard()

    def window(self, index):
        return self.program.window(index)

    def frame(self, index, frame, box):
        return self.program.frame(self.window(index), frame, box)
