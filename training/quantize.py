"""Makes a static INT8 (QDQ) version of a manifest's network and says what it gains and what it costs.

    python training/quantize.py MODEL.toml --clip CLIP.mkv [--out FOLDER]

Families wav2lip, unet, edtalk and builtin (its renderer; `--network audio2mouth` for the other one). The clip, one speaking face,
goes through the real preprocessing: the face models of `models/`, the reference pipelines of tests/parity/ or, for builtin, those of
training/. Two frames in three give the value ranges, the third ones measure. Weights are 8 bits for each output channel,
activations 8 bits for each tensor. The layer that makes an output stays float: its steps would be visible in the picture.

Prints speed (interleaved calls, medians) and error beside the original: of 255, where an output's range is 255 (of pictures the
manifest's, of other outputs what they cover on the clip). Writes NAME-int8.onnx and the manifest NAME-int8.toml only where INT8
is faster by a tenth and the mean error is at most --max-error (--keep writes it anyway).
"""

import argparse
import hashlib
import re
import sys
import tempfile
import time
import tomllib
import wave
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

import geometry
import mel
import prepare
from faces import FaceTracker

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "parity"))

METHODS = {"minmax": CalibrationMethod.MinMax, "entropy": CalibrationMethod.Entropy, "percentile": CalibrationMethod.Percentile}
#: Below this INT8 is not worth another file.
WORTH = 1.1
#: FaceFusion's ffhq_512, in shares of the square: eyes, tip of the nose, corners of the mouth; and these in the mesh.
FFHQ = np.array([(0.37691676, 0.46864664), (0.62285697, 0.46912813), (0.50123859, 0.61331904),
                 (0.39308822, 0.72541100), (0.61150205, 0.72490465)])  # fmt: skip
FFHQ_POINTS = [(33, 133), (362, 263), (4,), (61,), (291,)]


class Clip:
    """Frames with their meshes; the sound lies in `sound` as a WAVE file."""

    def __init__(self, path, limit, folder):
        self.frames, self.rate = prepare.read_frames(path)
        self.path = path
        meshes = FaceTracker(ROOT / "models").track(self.frames)
        chosen = np.unique(np.linspace(0, len(self.frames) - 1, min(limit, len(self.frames))).astype(int))
        self.meshes = {int(i): meshes[i] for i in chosen if meshes[i] is not None}
        samples = (prepare.read_sound(path) * 32767).astype("<i2")
        self.sound = Path(folder) / "sound.wav"
        with wave.open(str(self.sound), "wb") as file:
            file.setparams((1, 2, mel.SAMPLE_RATE, 0, "NONE", ""))
            file.writeframes(samples.tobytes())


def box(mesh, crop, frame):
    """The manifest's box round a mesh, in whole pixels inside the frame; None where none fits."""
    height, width = frame.shape[:2]
    if isinstance(crop["box"], list):
        x, y, w, h = crop["box"]
        corners = x, y, x + w, y + h
    elif crop["box"] == "s3fd":
        top, bottom, left, right = crop.get("pads", (0, 10, 0, 0))
        (x0, y0), (x1, y1) = mesh.min(0), mesh.max(0)
        corners = max(0, x0 - left), max(0, y0 - top), min(width, x1 + right), min(height, y1 + bottom)
    else:
        x0, y0, x1 = mesh[127, 0], (mesh[5, 1] + mesh[195, 1]) / 2, mesh[356, 0]
        corners = x0, y0, x1, y0 + x1 - x0
    x0, y0, x1, y1 = (int(v) for v in corners)
    return (x0, y0, x1, y1) if 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height else None


def painter_inputs(path, clip):
    """Inputs of a wav2lip or unet network, by name, as the original pipelines make them."""
    from pipeline import Pipeline

    pipeline = Pipeline(path)
    pipeline.listen(str(clip.sound), clip.rate)
    names, per_frame = pipeline.manifest["tensors"], 1.0
    if pipeline.table is not None:
        per_frame = pipeline.hearing["frame-rate"] / clip.rate
    for i, mesh in clip.meshes.items():
        place, at = box(mesh, pipeline.crop, clip.frames[i]), int(i * per_frame)
        if place and at < pipeline.frames_heard():
            image, _ = pipeline.picture(clip.frames[i], place)
            yield {names["image"]: image, names["sound"]: pipeline.window(at)}


def edtalk_inputs(network, clip):
    """Inputs of EDTalk: the aligned face in R G B, Wav2Lip's mel, the middle weight."""
    import sound

    shapes = {tensor.name: tensor.shape for tensor in network.get_inputs()}
    image, heard, weight = (
        next(name for name, shape in shapes.items() if len(shape) == rank and shape[1:2] == channels)
        for rank, channels in ((4, [3]), (4, [1]), (1, []))
    )
    size = shapes[image][2]
    spectrum = sound.mel_spectrum(sound.load(clip.sound))
    starts = sound.wav2lip_starts(spectrum.shape[1], clip.rate)
    for i, mesh in clip.meshes.items():
        points = np.array([mesh[list(numbers)].mean(0) for numbers in FFHQ_POINTS])
        matrix = geometry.fit_similarity(points, FFHQ * size)
        face = cv2.warpAffine(clip.frames[i], matrix, (size, size), borderMode=cv2.BORDER_REPLICATE)[:, :, ::-1]
        if i < len(starts):
            yield {
                image: face.transpose(2, 0, 1)[None].astype(np.float32) / 255,
                heard: sound.windows(spectrum, [starts[i]]),
                weight: np.full(1, 0.5, np.float32),
            }


def builtin_inputs(folder, files, network, clip):
    """Inputs of one of the built-in networks."""
    import audio2mouth

    spectrum = mel.melspectrogram(prepare.read_sound(clip.path))
    times = np.array(list(clip.meshes)) / clip.rate
    windows = audio2mouth.windows(spectrum, times)[:, None]
    if network == "audio2mouth":
        yield from ({"mel": window[None]} for window in windows)
        return
    speech = open_session(folder / files["audio2mouth"]["path"], 1)
    moved = speech.run(["displacement"], {"mel": windows})[0]
    matrices = [geometry.fit_face(mesh) for mesh in clip.meshes.values()]
    points = np.stack([geometry.apply(m, mesh)[geometry.LANDMARKS] for m, mesh in zip(matrices, clip.meshes.values())])
    rest = geometry.rest_mouth(points)
    for i, matrix, source, displacement in zip(clip.meshes, matrices, points, moved):
        crop = prepare.crop(clip.frames[i], matrix, 0).astype(np.float32).transpose(2, 0, 1)[None] / 255
        yield {"crop": crop, "source": source[None].astype(np.float32), "target": (rest + displacement)[None].astype(np.float32)}


class Reader(CalibrationDataReader):
    def __init__(self, inputs):
        self.inputs = iter(inputs)

    def get_next(self):
        return next(self.inputs, None)


def last_layers(model):
    """Names of the layers whose sums become an output, but for what follows without weights (a sigmoid, a split)."""
    makers = {output: node for node in model.graph.node for output in node.output}
    found, waiting = set(), [output.name for output in model.graph.output]
    while waiting:
        node = makers.get(waiting.pop())
        if node is None:
            continue
        if node.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
            found.add(node.name)
        else:
            waiting += node.input
    return sorted(found)


def quantize(source, target, inputs, method):
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        keep = last_layers(onnx.load(str(prepared)))
        quantize_static(
            str(prepared), str(target), Reader(inputs), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, calibrate_method=METHODS[method],
            nodes_to_exclude=keep,
        )  # fmt: skip


def open_session(path, threads):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def speeds(sessions, inputs, rounds):
    """Medians and least of calls in turns, in milliseconds: [sessions, 2]."""
    took = [[] for _ in sessions]
    for i in range(rounds):
        for session, times in zip(sessions, took):
            begin = time.perf_counter()
            session.run(None, inputs[i % len(inputs)])
            times.append(1000 * (time.perf_counter() - begin))
    return np.array([(np.median(times), min(times)) for times in took])


def errors(original, small, inputs, white_minus_black):
    """For each output: (name, largest, mean) difference of 255."""
    found = []
    ran = [[session.run(None, one) for one in inputs] for session in (original, small)]
    for at, output in enumerate(original.get_outputs()):
        before, after = (np.concatenate([run[at] for run in runs]) for runs in ran)
        scale = 255 / (white_minus_black or max(np.ptp(before), 1e-9))
        difference = np.abs(before - after) * scale
        found.append((output.name, difference.max(), difference.mean()))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--clip", type=Path, required=True, help="a video of one speaking face, with its sound")
    parser.add_argument("--network", choices=["renderer", "audio2mouth"], default="renderer", help="for family builtin")
    parser.add_argument("--limit", type=int, default=48, help="frames of the clip to use")
    parser.add_argument("--method", choices=METHODS, default="minmax")
    parser.add_argument("--rounds", type=int, default=30, help="timed calls of each network")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--max-error", type=float, default=1.5, help="mean, of 255")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--out", type=Path, help="folder; that of the manifest if not given")
    args = parser.parse_args()

    text = args.manifest.read_text()
    manifest = tomllib.loads(text)
    family, folder = manifest["family"], args.manifest.parent
    entry = manifest["files"][args.network if family == "builtin" else "generator"]
    source = folder / entry["path"]
    original = open_session(source, args.threads)
    with tempfile.TemporaryDirectory() as scratch:
        clip = Clip(args.clip, args.limit, scratch)
        if family == "builtin":
            inputs = list(builtin_inputs(folder, manifest["files"], args.network, clip))
        elif family == "edtalk":
            inputs = list(edtalk_inputs(original, clip))
        else:
            inputs = list(painter_inputs(args.manifest, clip))
    held_out = inputs[2::3]
    if not held_out:
        parser.error("the clip has fewer than three frames with a face, a box inside the frame and sound")
    out = args.out or folder
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{source.stem}-int8.onnx"
    quantize(source, target, [one for i, one in enumerate(inputs) if i % 3 != 2], args.method)

    small = open_session(target, args.threads)
    ms = speeds((original, small), held_out, args.rounds)
    black, white = manifest.get("image", {}).get("range", (0, 1))
    found = errors(original, small, held_out, None if family == "builtin" else white - black)
    mean = max(mean for _, _, mean in found)
    gain = ms[0, 0] / ms[1, 0]
    print(f"{source.stem}: calibrated on {len(inputs) - len(held_out)} frames, measured on {len(held_out)} others")
    for name, path, (median, least) in zip(("original", "int8"), (source, target), ms):
        print(f"  {name:8} {median:8.2f} ms (least {least:.2f})  {path.stat().st_size / 2**20:7.2f} MiB")
    print(f"  {gain:.2f}x; error of 255: " + ", ".join(f"{name} max {most:.1f} mean {m:.3f}" for name, most, m in found))
    if not args.keep and (gain < WORTH or mean > args.max_error):
        target.unlink()
        print("  not kept: " + (f"INT8 gains less than {WORTH}x" if gain < WORTH else f"mean error above {args.max_error}"))
        return
    hashed = hashlib.sha256(target.read_bytes()).hexdigest()
    text = text.replace(entry["sha256"], hashed) if entry["sha256"] else text
    text = re.sub(rf'(path\s*=\s*)"{re.escape(entry["path"])}"', rf'\1"{target.name}"', text, count=1)
    path = out / f"{args.manifest.stem}-int8.toml"
    path.write_text(f"# INT8 by training/quantize.py from {args.manifest.name}\n{text}")
    tomllib.loads(path.read_text())
    print(f"  {path}")


if __name__ == "__main__":
    main()
