"""Checkpoints -> models/builtin: audio2mouth.onnx, renderer.onnx, manifest.toml.

    python training/export.py --data DATA --audio2mouth RUN/audio2mouth.pt --renderer RUN/renderer.pt --out models/builtin

The averaged weights are exported, batch normalisation folded, opset 17; each ONNX file is run once against its PyTorch twin.
The motion is calibrated on the way (audio2mouth.Decoder.calibrate and audio2mouth.habit): --mean-share, --opening,
--closing, and the habits of the people trained on, out of --data; out of it too what a glimpse of a mouth tells of its rest (rest.py).
"""

import argparse
import hashlib
import pathlib
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

import audio2mouth
import geometry
import mel
import prepare
import renderer
import rest

OPSET = 17
IR_VERSION = 8


class RendererGraph(nn.Module):
    """The renderer with plain float inputs and outputs."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, crop, source, target):
        flow, alpha, rgb = self.network(crop, source, target)
        return flow, alpha, rgb


def write(network, inputs, outputs, path):
    """Export, tidy, check against PyTorch; returns the sha256."""
    network.eval()
    names = list(inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, tuple(inputs.values()), str(path), dynamo=False, opset_version=OPSET, input_names=names,
            output_names=outputs, dynamic_axes={n: {0: "N"} for n in names + outputs},
        )  # fmt: skip
    model = onnx.load(path)
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = "gst-plugin-lipsync training/export.py", ""
    for node in model.graph.node:
        node.doc_string = ""
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rows = {n: torch.cat([v, v.flip(0) * 0.9]) for n, v in inputs.items()}  # another batch size than traced
    with torch.no_grad():
        wanted = network(*rows.values())
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    got = session.run(outputs, {n: v.numpy() for n, v in rows.items()})
    worst = max(float(np.abs(g - w.numpy()).max()) for g, w in zip(got, wanted))
    print(f"{path.name}: {path.stat().st_size} bytes, largest difference to PyTorch {worst:.1e}")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def wrapped(values, indent="  ", width=118):
    """A TOML array over several lines."""
    lines, line = [], indent
    for v in values:
        item = f"{v}, "
        if len(line) + len(item) > width:
            lines.append(line.rstrip())
            line = indent
        line += item
    return "[\n" + "\n".join(lines + [line.rstrip()]) + "\n]"


def manifest(
    hashes,
    relaxing,
    name="Built-in mouth",
    source="trained by training/ on clips of the GRID corpus (CC BY 4.0), see models/builtin/README.md",
    writer="training/export.py",
    inside="remembered",
):
    """The TOML that the plugin reads."""
    pairs = [f"[{x:.2f}, {y:.2f}]" for x, y in geometry.RIGID_XY]
    weights = [f"{w:.4g}" if w else "0.0" for w in geometry.CLOSE_WEIGHT]
    of_width, of_height = ([f"[{x:.4f}, {y:.4f}]" for x, y in rows] for rows in relaxing.slopes)
    return f"""# Written by {writer}
version = 1
family = "builtin"
name = "{name}"
licence = "MPL-2.0"
source = "{source}"
# what draws the inside of a mouth: "renderer", or "remembered", what the stream has shown of it
inside = "{inside}"

[files]
audio2mouth = {{ path = "audio2mouth.onnx", sha256 = "{hashes["audio2mouth"]}" }}
renderer = {{ path = "renderer.onnx", sha256 = "{hashes["renderer"]}" }}

[sound]
sample-rate = {mel.SAMPLE_RATE}
columns-per-second = {int(mel.COLUMNS_PER_SECOND)}
window = {audio2mouth.COLUMNS}
look-ahead-ms = {round(audio2mouth.LOOK_AHEAD * 1000)}

# Canonical space: pixel centres at integers. Point numbers are those of the 468-point face mesh.
[canonical]
size = {geometry.SIZE}
# points that do not move with speech, and where they lie: the least-squares similarity to these aligns a face
rigid = {wrapped(geometry.RIGID_POINTS)}
rigid-xy = {wrapped(pairs)}
# the points that the networks know, in their order
landmarks = {wrapped(geometry.LANDMARKS)}
lips-outer = {geometry.LIPS_OUTER}
lips-inner = {geometry.LIPS_INNER}

# The closed mouth: y of landmark i += weight[i] * max(0, lower y - upper y) of pair[i]
[closing]
pairs = {[list(p) for p in geometry.CLOSING_PAIRS]}
pair = {wrapped(int(i) for i in geometry.CLOSE_PAIR)}
weight = {wrapped(weights)}

# What a glimpse tells of the mouth at rest: landmark i += width[i] * (distance of the corners along x - mean[0])
# + height[i] * (mean y of the corners - mean[1]), before the lips close; range: least and most of the distance and of the mean y, which
# values beyond are taken for
[rest]
mean = [{relaxing.mean[0]:.3f}, {relaxing.mean[1]:.3f}]
range = [{", ".join(f"[{least:.3f}, {most:.3f}]" for least, most in relaxing.range)}]
width = {wrapped(of_width)}
height = {wrapped(of_height)}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--audio2mouth", type=pathlib.Path, required=True)
    parser.add_argument("--renderer", type=pathlib.Path, required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder that prepare.py wrote")
    parser.add_argument("--mean-share", type=float, default=-0.2, help="how much is kept of the mean displacement")
    parser.add_argument("--opening", type=float, default=1.85, help="multiplies the opening of the mouth")
    parser.add_argument("--closing", type=float, default=0.0, help="pixels by which all openings are reduced")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    saved = torch.load(arguments.audio2mouth, weights_only=False)
    sound = audio2mouth.AudioToMouth(saved["basis"])
    sound.load_state_dict(saved["state"], strict=False)
    sound.eval().settle()
    sound.decoder.calibrate(saved["mean"], arguments.mean_share, arguments.opening, arguments.closing)
    names = prepare.split(p.stem for p in arguments.data.glob("*.npz"))
    people = audio2mouth.load(arguments.data, sorted(names["train"]))
    relaxing = rest.fit(people)
    sound.decoder.habit.copy_(torch.from_numpy(audio2mouth.habit(sound, people, relaxing)))
    drawing = renderer.Renderer()
    drawing.load_state_dict(torch.load(arguments.renderer, weights_only=True)["average"])
    points = torch.rand(1, geometry.COUNT, 2) * 60 + 18
    hashes = dict(
        audio2mouth=write(
            sound, dict(mel=torch.rand(1, 1, 80, audio2mouth.COLUMNS) * 8 - 4), ["coefficients", "displacement"],
            arguments.out / "audio2mouth.onnx",
        ),
        renderer=write(
            RendererGraph(drawing), dict(crop=torch.rand(1, 3, 96, 96), source=points, target=points + torch.randn_like(points)),
            ["flow", "alpha", "rgb"], arguments.out / "renderer.onnx",
        ),
    )  # fmt: skip
    (arguments.out / "manifest.toml").write_text(manifest(hashes, relaxing))


if __name__ == "__main__":
    main()
