"""Checkpoints -> models/builtin: audio2mouth.onnx, renderer.onnx, manifest.toml. A renderer that is exported already is taken as it is.

    python training/export.py --data DATA --audio2mouth RUN/audio2mouth.pt --renderer RUN/renderer.pt --out models/builtin

The averaged weights are exported, batch normalisation folded, opset 17; each ONNX file is run once against its PyTorch twin.
The motion is calibrated on the way (audio2mouth.Decoder.calibrate and audio2mouth.habit): --mean-share, --opening,
--closing, --widening, and the habits of the people trained on, out of --data; out of it too what a glimpse of a mouth tells of its rest (rest.py).
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
import habits
import mel
import renderer
import rest

#: How the motion is calibrated (audio2mouth.Decoder.calibrate).
MEAN_SHARE, OPENING, WIDENING = -0.2, 1.8, 2.5
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
    spread,
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
{"" if spread is None else spreading(spread)}"""


def spreading(spread):
    """What the manifest says of mouths that spread."""
    return f"""
# How a mouth spreads: landmark i += spread[i] * pixels by which the corners are further apart
[articulation]
spread = {wrapped(f"[{x:.4f}, {y:.4f}]" for x, y in spread)}
"""


def calibrated(path, people, relaxing=None, mean_share=MEAN_SHARE, opening=OPENING, closing=0.0, widening=WIDENING):
    """The network of a checkpoint, its motion calibrated by the people it was trained on."""
    saved = torch.load(path, weights_only=False)
    network = audio2mouth.AudioToMouth(saved["basis"])
    network.load_state_dict(saved["state"], strict=False)
    network.eval().settle()
    network.decoder.calibrate(saved["mean"], mean_share, opening, closing, widening, habits.spread(people))
    network.decoder.habit.copy_(torch.from_numpy(audio2mouth.habit(network, people, relaxing or rest.fit(people))))
    return network


def draws(checkpoint, path):
    """Write renderer.onnx; returns its sha256."""
    if checkpoint.suffix == ".onnx":
        if checkpoint.resolve() != path.resolve():
            path.write_bytes(checkpoint.read_bytes())
        return hashlib.sha256(path.read_bytes()).hexdigest()
    network = renderer.Renderer()
    network.load_state_dict(torch.load(checkpoint, weights_only=True)["average"])
    points = torch.rand(1, geometry.COUNT, 2) * 60 + 18
    inputs = dict(crop=torch.rand(1, 3, 96, 96), source=points, target=points + torch.randn_like(points))
    return write(RendererGraph(network), inputs, ["flow", "alpha", "rgb"], path)


def folder(sound, drawing, relaxing, spread, out):
    """A folder that the plugin runs: of an audio2mouth network, and of a renderer's checkpoint or renderer.onnx."""
    out.mkdir(parents=True, exist_ok=True)
    heard = dict(mel=torch.rand(1, 1, 80, audio2mouth.COLUMNS) * 8 - 4)
    hashes = dict(
        audio2mouth=write(sound, heard, ["coefficients", "displacement"], out / "audio2mouth.onnx"),
        renderer=draws(drawing, out / "renderer.onnx"),
    )
    (out / "manifest.toml").write_text(manifest(hashes, relaxing, spread))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--audio2mouth", type=pathlib.Path, required=True)
    parser.add_argument("--renderer", type=pathlib.Path, required=True, help="checkpoint, or renderer.onnx")
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder that prepare.py wrote")
    parser.add_argument("--mean-share", type=float, default=MEAN_SHARE, help="how much is kept of the mean displacement")
    parser.add_argument("--opening", type=float, default=OPENING, help="multiplies the opening of the mouth")
    parser.add_argument("--closing", type=float, default=0.0, help="pixels by which all openings are reduced")
    parser.add_argument("--widening", type=float, default=WIDENING, help="multiplies how far the corners move apart and together")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    people = audio2mouth.load(arguments.data, sorted(p.stem for p in arguments.data.glob("*.npz")))
    relaxing = rest.fit(people)
    sound = calibrated(arguments.audio2mouth, people, relaxing, arguments.mean_share, arguments.opening, arguments.closing, arguments.widening)
    folder(sound, arguments.renderer, relaxing, habits.spread(people), arguments.out)


if __name__ == "__main__":
    main()
