"""Makes a static INT8 (QDQ) version of a manifest's network and says what it gains and what it costs.

    python training/quantize.py MODEL.toml --frames DIR --boxes boxes.json --sound voice.wav [--out FOLDER]

The clip (as tests/parity/reference.py takes it) gives the value ranges: two frames in three calibrate, the third ones measure.
Weights are 8 bits for each output channel, activations 8 bits for each tensor. The layer before the sigmoid stays float: its
steps would be visible in the picture. Prints speed (interleaved calls, medians) and error beside the original, and writes
NAME-int8.onnx and NAME-int8.toml into the folder only where INT8 is faster and the mean error is at most --max-error grey levels
(--keep writes it anyway).
"""

import argparse
import hashlib
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "parity"))

import reference  # noqa: E402
from pipeline import Pipeline  # noqa: E402

METHODS = {"minmax": CalibrationMethod.MinMax, "entropy": CalibrationMethod.Entropy, "percentile": CalibrationMethod.Percentile}


class Clip(CalibrationDataReader):
    def __init__(self, inputs):
        self.inputs = iter(inputs)

    def get_next(self):
        return next(self.inputs, None)


def clip_inputs(pipeline, args):
    """The network's inputs, by name, for each frame that has a box."""
    frames = reference.load_frames(args.frames, args.frame_size)
    boxes = reference.load_boxes(args.boxes, frames[0])
    count = min(len(frames), len(boxes), pipeline.frames_heard())
    chosen = np.unique(np.linspace(0, count - 1, min(args.limit, count)).astype(int))
    names = pipeline.manifest["tensors"]
    return [
        {names["image"]: pipeline.picture(frames[i], boxes[i])[0], names["sound"]: pipeline.window(i)}
        for i in chosen
        if boxes[i]
    ]


def last_convolutions(model):
    """Names of the nodes that make what a Sigmoid takes."""
    makers = {output: node for node in model.graph.node for output in node.output}
    return [makers[node.input[0]].name for node in model.graph.node if node.op_type == "Sigmoid"]


def quantize(source, target, inputs, method):
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        keep = last_convolutions(onnx.load(str(prepared)))
        quantize_static(
            str(prepared), str(target), Clip(inputs), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, calibrate_method=METHODS[method],
            nodes_to_exclude=keep,
        )  # fmt: skip


def open_session(path, threads):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def compare(original, small, inputs, rounds):
    """(milliseconds of each, largest and mean difference of the pictures in grey levels)"""
    outputs = [[session.run(None, one)[0] for one in inputs] for session in (original, small)]
    difference = np.abs(np.concatenate(outputs[0]) - np.concatenate(outputs[1])) * 255
    took = [[], []]
    for i in range(rounds):
        for session, times in zip((original, small), took):
            begin = time.perf_counter()
            session.run(None, inputs[i % len(inputs)])
            times.append(1000 * (time.perf_counter() - begin))
    return np.median(took, axis=1), difference.max(), difference.mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--frame-size", metavar="WIDTHxHEIGHT")
    parser.add_argument("--boxes", required=True)
    parser.add_argument("--sound", required=True)
    parser.add_argument("--frame-rate", type=float, default=25.0)
    parser.add_argument("--limit", type=int, default=48, help="frames of the clip to use")
    parser.add_argument("--method", choices=METHODS, default="minmax")
    parser.add_argument("--rounds", type=int, default=30, help="timed calls of each network")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--max-error", type=float, default=1.5, help="mean, in grey levels of 255")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--out", type=Path, help="folder; that of the manifest if not given")
    args = parser.parse_args()

    pipeline = Pipeline(args.manifest)
    pipeline.listen(args.sound, args.frame_rate)
    inputs = clip_inputs(pipeline, args)
    held_out = inputs[2::3]
    if not held_out:
        parser.error("the clip has fewer than three frames with a box and sound")
    entry = pipeline.manifest["files"]["generator"]
    source = args.manifest.parent / entry["path"]
    out = args.out or args.manifest.parent
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{source.stem}-int8.onnx"
    quantize(source, target, [one for i, one in enumerate(inputs) if i % 3 != 2], args.method)

    ms, worst, mean = compare(open_session(source, args.threads), open_session(target, args.threads), held_out, args.rounds)
    sizes = [path.stat().st_size / 2**20 for path in (source, target)]
    print(f"{args.manifest.stem}: calibrated on {len(inputs) - len(held_out)} frames, measured on {len(held_out)} others")
    print(f"  original {ms[0]:8.2f} ms  {sizes[0]:7.2f} MiB")
    print(f"  int8     {ms[1]:8.2f} ms  {sizes[1]:7.2f} MiB   {ms[0] / ms[1]:.2f}x   error max {worst:.1f} mean {mean:.3f} of 255")
    if not args.keep and (ms[1] >= ms[0] or mean > args.max_error):
        target.unlink()
        print("  not kept: INT8 does not win here" if ms[1] >= ms[0] else f"  not kept: mean error above {args.max_error}")
        return
    text = args.manifest.read_text().replace(entry["sha256"], hashlib.sha256(target.read_bytes()).hexdigest())
    text = text.replace(f'path = "{entry["path"]}"', f'path = "{target.name}"', 1)
    path = out / f"{args.manifest.stem}-int8.toml"
    path.write_text(f"# INT8 by training/quantize.py from {args.manifest.name}\n{text}")
    tomllib.loads(path.read_text())
    print(f"  {path}")


if __name__ == "__main__":
    main()
