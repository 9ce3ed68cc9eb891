"""DINet and DeepSpeech as ONNX, for the family `dinet`: the folder OUT becomes a model that the element loads.

    python training/export_dinet.py OUT --checkpoint clip_training_DINet_256mouth.pth [--fp16]
    python training/export_dinet.py OUT --random tiny      seeded random weights of the same architectures, DeepSpeech too; or `full`

The first takes your own copy of what DINet publishes. It needs torch, onnx and onnxruntime as `requirements.txt` has them. DeepSpeech 0.1.0
is a frozen TensorFlow graph (`output_graph.pb`), which another tool converts; put the result into OUT:

    python -m tf2onnx.convert --graphdef output_graph.pb --opset 17 --inputs input_node:0,input_lengths:0 --outputs logits:0 --output OUT/deepspeech.onnx

Tensors are told by their shapes, so that their names do not matter. Any other network will do that takes the same rows and was taught the
same letters: the rows that it makes are what the checkpoint was trained on, and nothing replaces training.

What it writes, opset 17, checked against PyTorch:
  dinet.onnx       face [N, 3, 416, 320], the mouth black; others [N, 15, 416, 320], five other frames; features [N, 29, 5] -> drawn
                   [N, 3, 416, 320]; all R, G, B in 0..1
  deepspeech.onnx  with --random: input_node [1, T, 494], input_lengths [1] -> logits [T, 1, 29]
  manifest.toml    with their hashes

The original samples its features in three dimensions, the channel being the third, at places of which only those across the picture hang
on what is heard. Here neighbouring channels are mixed first and every one is sampled by itself, which is the same and needs no operator
that is new or missing on GPUs.

--reference FOLDER --recording SPEECH.s16le writes what PyTorch makes of known inputs, for the tests.
--measure RECORDING.s16le prints how far rows of DeepSpeech in pieces are from those of the whole, as export_hubert.py does: of
OUT/deepspeech.onnx, or with --random of random weights.
"""

import argparse
import hashlib
import pathlib
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn import functional

OPSET = 17
IR_VERSION = 8
OTHERS, LETTERS, HEARD = 5, 29, 5
CEPSTRA, CONTEXT = 26, 9
NUMBERS = CEPSTRA * (2 * CONTEXT + 1)
#: The mouth's side, the narrowest layer's channels and those of the layers that tell where to look; DeepSpeech's hidden numbers.
SIZES = {"tiny": (32, 2, 4, 8), "full": (256, 64, 128, 2048)}
#: Past, step and future in milliseconds that --measure tries.
PLANS = [(2000, 200, future) for future in (0, 200, 500, 1000, 2000)] + [(past, 200, 500) for past in (500, 1000, 4000)]


def layer(dimensions, channels, made, kernel, stride=1):
    """Names of parts are the checkpoint's."""
    convolution = (nn.Conv1d, nn.Conv2d)[dimensions - 1](channels, made, kernel, stride=stride, padding=kernel // 2)
    norm = (nn.BatchNorm1d, nn.BatchNorm2d)[dimensions - 1](made)
    part = nn.Sequential()
    part.add_module("conv", convolution)
    part.add_module("norm", norm)
    part.add_module("relu", nn.ReLU())
    return part


class Residual(nn.Module):
    """Normalises, rectifies and convolves twice, and adds what it was given."""

    def __init__(self, dimensions, channels):
        super().__init__()
        convolution, norm = ((nn.Conv1d, nn.BatchNorm1d), (nn.Conv2d, nn.BatchNorm2d))[dimensions - 1]
        self.conv1, self.conv2 = (convolution(channels, channels, 3, padding=1) for _ in range(2))
        self.norm1, self.norm2 = norm(channels), norm(channels)

    def forward(self, x):
        inner = self.conv1(functional.relu(self.norm1(x)))
        return x + self.conv2(functional.relu(self.norm2(inner)))


class Doubled(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)

    def forward(self, x):
        return functional.relu(self.norm(self.conv(functional.interpolate(x, scale_factor=2.0))))


class Deformation(nn.Module):
    """Turns, scales and moves each channel of a picture by itself, as a code says."""

    def __init__(self, code, channels):
        super().__init__()
        self.commn_linear = nn.Sequential(nn.Linear(code, code), nn.ReLU())
        self.scale = nn.Sequential(nn.Linear(code, channels), nn.Sigmoid())
        self.rotation = nn.Sequential(nn.Linear(code, channels), nn.Tanh())
        self.translation = nn.Sequential(nn.Linear(code, 2 * channels), nn.Tanh())
        # A place for one kind of corner, read as one for another: half of a neighbour, and at the ends of nothing.
        place = torch.arange(channels) * channels / (channels - 1) - 0.5
        below = place.floor()
        mix = torch.zeros(channels, channels)
        for row in range(channels):
            for column, weight in ((below[row], 1 - (place[row] - below[row])), (below[row] + 1, place[row] - below[row])):
                if 0 <= column < channels:
                    mix[row, int(column)] += weight
        self.register_buffer("mix", mix[:, :, None, None], persistent=False)
        self.in_space = False

    def places(self, code, height, width):
        """[N, channels, height, width, 2]: x and y, -1..1 from edge to edge."""
        code = self.commn_linear(code)
        scale = (self.scale(code) * 2)[:, :, None, None]
        angle = (self.rotation(code) * 3.14159)[:, :, None, None]
        moved = self.translation(code).reshape(code.shape[0], -1, 2)[:, :, None, None]
        x = torch.linspace(-1, 1, width)[None, None, None, :].to(code.dtype)
        y = torch.linspace(-1, 1, height)[None, None, :, None].to(code.dtype)
        turned = (torch.cos(angle) * x - torch.sin(angle) * y, torch.sin(angle) * x + torch.cos(angle) * y)
        return torch.stack([part * scale for part in turned], -1) + moved

    def forward(self, picture, code):
        channels, height, width = picture.shape[1:]
        places = self.places(code, height, width)
        if self.in_space:
            depth = torch.linspace(-1, 1, channels)[None, :, None, None, None].expand(*places.shape[:4], 1)
            return functional.grid_sample(picture[:, None], torch.cat([places, depth], -1), align_corners=False)[:, 0]
        mixed = functional.conv2d(picture, self.mix.to(picture.dtype))
        flat = functional.grid_sample(
            mixed.reshape(-1, 1, height, width), places.reshape(-1, height, width, 2), align_corners=False
        )
        return flat.reshape(-1, channels, height, width)


class DINet(nn.Module):
    def __init__(self, base, code):
        super().__init__()
        wide = 4 * base

        def look(channels):
            return nn.Sequential(layer(2, channels, base, 7), layer(2, base, 2 * base, 3, 2), layer(2, 2 * base, wide, 3, 2))

        self.source_in_conv, self.ref_in_conv = look(3), look(3 * OTHERS)
        kernels = [(3, 1), (11, 1), (11, 1), (3, 2), (7, 1), (7, 1), (3, 2), (3, 1), (3, 2), (3, 1), (3, 2)]
        self.trans_conv = nn.Sequential(
            *(layer(2, code if at else 2 * wide, code, kernel, stride) for at, (kernel, stride) in enumerate(kernels))
        )
        self.audio_encoder = nn.Sequential(
            layer(1, LETTERS, code, 5), Residual(1, code), layer(1, code, code, 3, 2), Residual(1, code),
            layer(1, code, code, 3, 2), layer(1, code, code, 3),
        )  # fmt: skip
        self.appearance_conv_list = nn.ModuleList(nn.Sequential(*(Residual(2, wide) for _ in range(4))) for _ in range(2))
        self.adaAT = Deformation(2 * code, wide)
        self.out_conv = nn.Sequential(
            layer(2, 2 * wide, 2 * base, 3), Doubled(2 * base), Residual(2, 2 * base), Doubled(2 * base),
            nn.Conv2d(2 * base, 3, 7, padding=3), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, face, others, features):
        face, others = self.source_in_conv(face), self.ref_in_conv(others)
        seen = self.trans_conv(torch.cat([face, others], 1)).mean((2, 3))
        heard = self.audio_encoder(features).mean(2)
        near, far = self.appearance_conv_list
        others = far(self.adaAT(near(others), torch.cat([seen, heard], 1)))
        return self.out_conv(torch.cat([face, others], 1))


class DeepSpeech(nn.Module):
    """Version 0.1.0's layers: three, a recurrent one both ways, one, and the letters."""

    def __init__(self, hidden):
        super().__init__()
        self.first = nn.ModuleList([nn.Linear(NUMBERS, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, 2 * hidden)])
        self.both_ways = nn.LSTM(2 * hidden, hidden, bidirectional=True)
        self.last, self.letters = nn.Linear(2 * hidden, hidden), nn.Linear(hidden, LETTERS)

    def forward(self, rows):
        """[T, 494] -> [T, 29]"""
        for dense in self.first:
            rows = dense(rows).clamp(0, 20)
        return self.letters(self.last(self.both_ways(rows[:, None])[0][:, 0]).clamp(0, 20))


def random(size):
    """Both architectures with seeded random weights, every layer of which shows in what comes out; and the mouth's side."""
    torch.manual_seed(0)
    mouth, base, code, hidden = SIZES[size]
    dinet, deepspeech = DINet(base, code), DeepSpeech(hidden)
    height, width = 13 * mouth // 8, 5 * mouth // 4
    with torch.no_grad():
        for part in [*dinet.modules(), *deepspeech.modules()]:
            if isinstance(part, nn.Linear):
                part.weight.normal_(0, (2 / part.in_features) ** 0.5)
        for part in dinet.adaAT.modules():
            if isinstance(part, nn.Linear):
                # Otherwise rounding turns and moves channels about.
                part.weight *= 0.15
        dinet.out_conv[4].weight.normal_(0, 1.5 / (49 * 2 * base) ** 0.5)
        for part in dinet.modules():
            if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
                part.momentum = 1.0
        # Once as in training, so that what the layers pass on has a deviation of 1.
        dinet.train()(pattern(2, 3, height, width) / 2 + 0.5, pattern(2, 15, height, width) / 2 + 0.5, 3 * pattern(2, LETTERS, HEARD))
        # Channels that hardly changed would be nothing but rounding.
        for part in dinet.modules():
            if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
                part.running_var.clamp_(min=float(part.running_var.mean()) / 4)
    return dinet.eval(), deepspeech.eval(), mouth


def published(path):
    dinet = DINet(64, 128)
    weights = torch.load(path, map_location="cpu", weights_only=True)
    weights = weights["state_dict"]["net_g"]
    dinet.load_state_dict({name.removeprefix("module."): value for name, value in weights.items()})
    return dinet.eval(), None, 256


def pattern(*shape):
    """Numbers in -1..1 that a test can make, too."""
    return torch.from_numpy(((np.arange(np.prod(shape), dtype=np.int64) * 7919 % 1009) / 504 - 1).astype(np.float32).reshape(shape))


def tidy(path):
    model = onnx.load(path)
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = "gst-plugin-lipsync training/export_dinet.py", ""
    for node in model.graph.node:
        node.doc_string = node.name = ""
    onnx.save(model, path)


def checked(path, inputs, expected, fp16=False):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(None, inputs)[0].astype(np.float32)
    worst = float(np.abs(found - expected).max() / expected.std())
    print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, at most {worst:.1e} of a deviation ({expected.std():.2e}) from PyTorch's", flush=True)
    if worst > (0.1 if fp16 else 1e-3):
        raise SystemExit("that is too far")


def write_dinet(dinet, mouth, path, fp16):
    height, width = 13 * mouth // 8, 5 * mouth // 4
    torch.manual_seed(1)
    inputs = {
        "face": torch.rand(2, 3, height, width), "others": torch.rand(2, 15, height, width), "features": 4 * torch.randn(2, LETTERS, HEARD),
    }  # fmt: skip
    with torch.no_grad():
        dinet.adaAT.in_space = True
        expected = dinet(*inputs.values()).numpy()
        dinet.adaAT.in_space = False
    numbers = torch.float16 if fp16 else torch.float32
    example = {name: value.to(numbers) for name, value in inputs.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            dinet.to(numbers), tuple(example.values()), str(path), dynamo=False, opset_version=OPSET,
            input_names=list(inputs), output_names=["drawn"], dynamic_axes={name: {0: "N"} for name in [*inputs, "drawn"]},
        )  # fmt: skip
    dinet.float()
    tidy(path)
    checked(path, {name: value.numpy() for name, value in example.items()}, expected, fp16)


def write_deepspeech(deepspeech, path):
    """With the tensors of the frozen graph."""
    weights, nodes = [], []

    def constant(name, value):
        weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(kind, inputs, output, **attributes):
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    low, high = constant("low", np.float32(0)), constant("high", np.float32(20))

    def dense(linear, rows, name):
        weight = constant(f"{name}_weight", linear.weight.detach().numpy().T)
        rows = node("MatMul", [rows, weight], f"{name}_rows")
        return node("Add", [rows, constant(f"{name}_bias", linear.bias.detach().numpy())], f"{name}_sum")

    def rectified(linear, rows, name):
        return node("Clip", [dense(linear, rows, name), low, high], name)

    rows = node("Reshape", ["input_node", constant("flat", np.array([-1, NUMBERS]))], "rows")
    for at, linear in enumerate(deepspeech.first):
        rows = rectified(linear, rows, f"dense{at}")
    rows = node("Unsqueeze", [rows, constant("batch", np.array([1]))], "sequence")
    recurrent, hidden = deepspeech.both_ways, deepspeech.both_ways.hidden_size

    def gates(name):
        """Both directions'; PyTorch has input, forget, cell and output, ONNX input, output, forget and cell."""
        values = [getattr(recurrent, name + end).detach().numpy() for end in ("", "_reverse")]
        return np.stack([np.concatenate([np.split(value, 4)[gate] for gate in (0, 3, 1, 2)]) for value in values])

    bias = np.concatenate([gates("bias_ih_l0"), gates("bias_hh_l0")], 1)
    parameters = [constant("w", gates("weight_ih_l0")), constant("r", gates("weight_hh_l0")), constant("b", bias)]
    rows = node("LSTM", [rows, *parameters, "input_lengths"], "both", hidden_size=hidden, direction="bidirectional")
    rows = node("Transpose", [rows], "turned", perm=[0, 2, 1, 3])
    rows = node("Reshape", [rows, constant("joined", np.array([-1, 2 * hidden]))], "joined_rows")
    rows = dense(deepspeech.letters, rectified(deepspeech.last, rows, "last"), "letters")
    node("Unsqueeze", [rows, "batch"], "logits")
    graph = helper.make_graph(
        nodes, "deepspeech",
        [helper.make_tensor_value_info("input_node", TensorProto.FLOAT, [1, "T", NUMBERS]),
         helper.make_tensor_value_info("input_lengths", TensorProto.INT32, [1])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["T", 1, LETTERS])], weights,
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION), path)
    tidy(path)
    torch.manual_seed(2)
    rows, known = torch.randn(60, NUMBERS), 41
    with torch.no_grad():
        expected = deepspeech(rows[:known]).numpy()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(None, {"input_node": rows[None].numpy(), "input_lengths": np.array([known], np.int32)})[0][:known, 0]
    worst = float(np.abs(found - expected).max() / expected.std())
    print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, at most {worst:.1e} of a deviation from PyTorch's", flush=True)
    if worst > 1e-3:
        raise SystemExit("that is too far")


def cepstra(samples):
    """`mfcc` of python_speech_features 0.6 with 26 numbers, by its definition: int16 -> [F, 26]."""
    emphasised = np.append(samples[0], samples[1:] - 0.97 * samples[:-1])
    count = 1 if len(samples) <= 400 else 1 + -(-(len(samples) - 400) // 160)
    padded = np.concatenate([emphasised, np.zeros(max((count - 1) * 160 + 400 - len(samples), 0))])
    frames = np.stack([padded[160 * at :][:400] for at in range(count)])
    powers = np.abs(np.fft.rfft(frames, 512)) ** 2 / 512
    smallest = np.finfo(float).eps
    energy = powers.sum(1)
    mel = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), CEPSTRA + 2)
    edges = np.floor(513 * 700 * (10 ** (mel / 2595) - 1) / 16000).astype(int)
    bank = np.zeros((CEPSTRA, 257))
    for band in range(CEPSTRA):
        left, peak, right = edges[band : band + 3]
        bank[band, left:peak] = (np.arange(left, peak) - left) / (peak - left)
        bank[band, peak:right] = (right - np.arange(peak, right)) / (right - peak)
    bands = powers @ bank.T
    logarithms = np.log(np.where(bands == 0, smallest, bands))
    number = np.arange(CEPSTRA)
    cosines = np.cos(np.pi * number[:, None] * (2 * number + 1) / (2 * CEPSTRA)) * np.sqrt(np.where(number, 2, 1) / CEPSTRA)[:, None]
    made = logarithms @ cosines.T * (1 + 11 * np.sin(np.pi * number / 22))
    made[:, 0] = np.log(np.where(energy == 0, smallest, energy))
    return made


def rows_of(samples):
    """[T, 494] with the mean 0 and the deviation 1 of the recording, as DINet gives them to DeepSpeech."""
    rows = windows(cepstra(samples)[::2])
    return ((rows - rows.mean()) / rows.std()).astype(np.float32)


def windows(rows):
    padded = np.pad(rows, ((CONTEXT, CONTEXT), (0, 0)))
    return np.stack([padded[at : at + 2 * CONTEXT + 1].reshape(-1) for at in range(len(rows))])


def heard(deepspeech, samples, frames):
    """What the original's frames hear: [frames, 29, 5]."""
    with torch.no_grad():
        table = deepspeech(torch.from_numpy(rows_of(samples))).numpy()[::2]
    padded = np.pad(table, ((2, 2), (0, 0)), mode="edge")
    return np.stack([padded[frame : frame + HEARD].T for frame in frames])


def reference(folder, recording, dinet, deepspeech, mouth):
    height, width = 13 * mouth // 8, 5 * mouth // 4
    seen = pattern(1, 18, height, width) / 2 + 0.5
    with torch.no_grad():
        dinet.adaAT.in_space = True
        drawn = dinet(seen[:, :3], seen[:, 3:], 4 * pattern(1, LETTERS, HEARD))
        dinet.adaAT.in_space = False
    drawn.numpy().astype("<f4").tofile(folder / "dinet_drawn.f32le")
    samples = np.frombuffer(recording.read_bytes(), "<i2")
    heard(deepspeech, samples, (0, 25, 74)).astype("<f4").tofile(folder / "dinet_heard.f32le")


def measure(letters, samples):
    """As export_hubert.py; the level is the whole recording's. `letters` makes logits [T, 29] of rows [T, 494]."""
    rows = rows_of(samples)
    expected = letters(rows)
    change = ((expected - expected.mean(0)) ** 2).mean()
    print(f"{len(samples) / 16000:.1f} s; past-ms, step-ms, future-ms: error; look-ahead")
    for past, step, future in PLANS:
        p, s, f = past // 20, step // 20, future // 20
        errors = []
        for first in range(0, len(rows) - s, 5 * s):
            begin, end = max(first - p, 0), min(first + s + f, len(rows))
            made = letters(rows[begin:end])[first - begin :][:s]
            errors.append((made - expected[first : first + s]) ** 2)
        error = float((np.concatenate(errors).mean() / change) ** 0.5)
        print(f"{past:5} {step:4} {future:5}: {error:.3f}; {205 + 80 + step - 20 + future} ms", flush=True)


def in_pytorch(deepspeech):
    def letters(rows):
        with torch.no_grad():
            return deepspeech(torch.from_numpy(rows)).numpy()

    return letters


def in_onnx(path):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rows_name, length_name = sorted((value.name for value in session.get_inputs()), key=lambda name: "length" in name)

    def letters(rows):
        made = session.run(None, {rows_name: rows[None], length_name: np.array([len(rows)], np.int32)})[0]
        return made.reshape(len(rows), -1)

    return letters


def manifest(folder, name, source):
    def line(key, file):
        path = folder / file
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        return f'{key} = {{ path = "{file}", sha256 = "{sha256}" }}\n'

    text = f'version = 1\nfamily = "dinet"\nname = "{name}"\nlicence = "none stated"\nsource = "{source}"\n\n[files]\n'
    text += line("generator", "dinet.onnx") + line("audio-encoder", "deepspeech.onnx")
    (folder / "manifest.toml").write_text(text)


def main(given=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--checkpoint")
    source.add_argument("--random", choices=SIZES)
    parser.add_argument("--fp16", action="store_true")
    parser.add_argument("--reference", type=pathlib.Path)
    parser.add_argument("--recording", type=pathlib.Path)
    parser.add_argument("--measure", type=pathlib.Path, metavar="RECORDING")
    arguments = parser.parse_args(given)
    if arguments.measure:
        letters = in_pytorch(random(arguments.random)[1]) if arguments.random else in_onnx(arguments.out / "deepspeech.onnx")
        measure(letters, np.frombuffer(arguments.measure.read_bytes(), "<i2"))
        return
    if not arguments.random and not arguments.checkpoint:
        parser.error("--checkpoint or --random is expected")
    dinet, deepspeech, mouth = random(arguments.random) if arguments.random else published(arguments.checkpoint)
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.reference:
        reference(arguments.reference, arguments.recording, dinet, deepspeech, mouth)
    write_dinet(dinet, mouth, arguments.out / "dinet.onnx", arguments.fp16)
    if deepspeech:
        write_deepspeech(deepspeech, arguments.out / "deepspeech.onnx")
        manifest(arguments.out, f"DINet, {arguments.random}, random", "training/export_dinet.py")
    else:
        manifest(arguments.out, "DINet", "https://github.com/MRzzm/DINet")
        if not (arguments.out / "deepspeech.onnx").is_file():
            print("deepspeech.onnx is missing: see above how it is made")


if __name__ == "__main__":
    main()
