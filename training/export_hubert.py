"""HuBERT as ONNX, for networks of the family `unet` that hear its features: Ultralight-Digital-Human's and SyncTalk_2D's.

    python training/export_hubert.py hubert.onnx --checkpoint facebook/hubert-large-ls960-ft   a folder, or what transformers finds
    python training/export_hubert.py hubert.onnx --checkpoint ... --fp16                        half the size, for GPUs
    python training/export_hubert.py hubert.onnx --checkpoint ... --measure speech.wav          error against look-ahead, see below
    python training/export_hubert.py hubert.onnx --random large                                 seeded random weights; or `tiny`
    python training/export_hubert.py hubert_tiny.onnx --random tiny --reference speech.s16le    also its rows, as hubert_tiny.f32le

It needs torch, onnx and onnxruntime as `requirements.txt` has them, and transformers (5.24.0 was used).

What it writes, opset 17, of any length:
  samples [1, 320 R + 80]   16 kHz, with the mean 0 and the deviation 1 of the recording
  known [1, R]              1 for the rows that there are, 0 for those beyond an end of the recording
  features [1, R, 1024]     the last hidden state; row r is of samples 320 r to 320 r + 399, and of all others

`known` makes the ends exact: a row that is not known is to the others as if the recording ended there. Silence in its place is
another recording (a piece of silence after the sound changes the rows before it several times as much as its end does).
The normalisation of HuBERT-base's first layer goes over all time, where nothing can be left out; it is refused.

--measure cuts a recording of at most 20 s into pieces as the element does (`past-ms`, `step-ms`, `future-ms` of a manifest) and
prints how far their rows are from those of the whole, as a share of how much these change over time (root mean square).
"""

import argparse
import pathlib
import warnings
import wave

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn
from torch.nn.utils import parametrize
from transformers import HubertConfig, HubertModel

OPSET = 17
IR_VERSION = 8
HOP, SPAN = 320, 400
ROW_MS = 20
#: The element's, until it has heard so many samples.
ENOUGH, USUAL = 32000, 0.05
#: Added to what a row beyond an end has to say to another; also an fp16 number, and 0 after the softmax.
UNHEARD = -1e4

#: Sizes with random weights: HuBERT-large's, one that is as wide and no more, and one for tests that is as small as its layers let it be.
SIZES = {
    "large": dict(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096),
    "thin": dict(hidden_size=1024, num_hidden_layers=2, num_attention_heads=16, intermediate_size=64, conv_dim=(16,) * 7),
    "tiny": dict(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, conv_dim=(8,) * 7,
        num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4,
    ),
}  # fmt: skip

#: Pieces of the recording that --measure makes; past, step and future in milliseconds that it tries.
PIECES = 6
PLANS = [(2000, 200, future) for future in (0, 200, 500, 1000, 2000)] + [(past, 200, 500) for past in (500, 1000, 4000)]


class Encoder(nn.Module):
    def __init__(self, hubert):
        super().__init__()
        self.hubert = hubert

    def forward(self, samples, known):
        encoder = self.hubert.encoder
        rows = self.hubert.feature_extractor(samples).transpose(1, 2)
        rows = self.hubert.feature_projection(rows) * known[:, :, None]
        rows = rows + encoder.pos_conv_embed(rows)
        unheard = (1 - known)[:, None, None, :] * UNHEARD
        for layer in encoder.layers:
            rows = layer(rows, attention_mask=unheard)
            # A tuple in older versions.
            rows = rows if torch.is_tensor(rows) else rows[0]
        return encoder.layer_norm(rows)


def random(size):
    """HuBERT's architecture with seeded random weights, with which every layer matters."""
    torch.manual_seed(0)
    config = HubertConfig(feat_extract_norm="layer", conv_bias=True, do_stable_layer_norm=True, **SIZES[size])
    hubert = HubertModel(config)
    if size != "large":
        # transformers' own initial weights are so small that a row hears little but itself.
        with torch.no_grad():
            for layer in hubert.modules():
                if isinstance(layer, nn.Linear):
                    layer.weight.normal_(0, layer.in_features**-0.5)
    return hubert


def load(arguments):
    hubert = random(arguments.random) if arguments.random else HubertModel.from_pretrained(arguments.checkpoint)
    if hubert.config.feat_extract_norm != "layer" or not hubert.config.do_stable_layer_norm:
        raise SystemExit(
            "this HuBERT normalises its first layer over all time, as HuBERT-base does, and cannot be heard in pieces; "
            "facebook/hubert-large-ls960-ft is expected"
        )
    hubert.config._attn_implementation = "eager"
    hubert.set_attn_implementation("eager")
    return hubert.eval()


def normalised(samples):
    """As transformers' feature extractor has it."""
    samples = samples.astype(np.float32)
    return (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)


def whole(hubert, samples):
    """Rows of a recording, by transformers itself."""
    with torch.no_grad():
        return hubert(torch.from_numpy(normalised(samples))[None]).last_hidden_state[0].numpy()


def level(heard):
    """Mean and gain that the element gives what was heard so far: a usual voice stands in for what is missing of two seconds."""
    heard = heard.astype(np.float64)
    missing = max(ENOUGH - len(heard), 0)
    mean = heard.sum() / (len(heard) + missing)
    variance = ((heard**2).sum() + missing * USUAL**2) / (len(heard) + missing) - mean**2
    return mean, 1 / np.sqrt(max(variance, 1e-6) + 1e-7)


def in_pieces(encoder, samples, past, step, future, most, known_level):
    """Rows of a recording as the element makes them, of so many pieces spread over it, and which ones; lengths in rows."""
    count = (len(samples) - SPAN) // HOP + 1
    rows, made, which = past + step + future, [], []
    for number in np.unique(np.linspace(0, count // step - 1, most).astype(int)):
        first = number * step - past
        begin, end = max(first, 0), min(first + rows, count)
        padded = np.zeros((rows - 1) * HOP + SPAN, np.float32)
        known = np.zeros(rows, np.float32)
        known[begin - first : end - first] = 1
        at, length = (begin - first) * HOP, (end - begin - 1) * HOP + SPAN
        mean, gain = level(samples if known_level else samples[: (first + rows - 1) * HOP + SPAN])
        padded[at : at + length] = (samples[begin * HOP :][:length] - mean) * gain
        made.append(encoder(padded[None], known[None])[0, past : past + step])
        which.append(np.arange(number * step, number * step + step))
    return np.concatenate(made), np.concatenate(which)


def share(found, which, expected):
    change = expected - expected.mean(0)
    return float(np.sqrt(((found - expected[which]) ** 2).mean() / (change**2).mean()))


def recording(path):
    """16 kHz mono, 16 bit: a .wav, or samples alone."""
    if path.suffix == ".wav":
        with wave.open(str(path)) as file:
            if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (16000, 1, 2):
                raise SystemExit(f"{path}: 16 kHz, mono, 16 bit are expected")
            data = file.readframes(file.getnframes())
    else:
        data = path.read_bytes()
    return np.frombuffer(data, "<i2").astype(np.float32) / 32768


def export(encoder, path, fp16):
    numbers = torch.float16 if fp16 else torch.float32
    example = (torch.randn(1, HOP * 49 + SPAN, dtype=numbers), torch.ones(1, 50, dtype=numbers))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            encoder.to(numbers), example, str(path), dynamo=False, opset_version=OPSET,
            input_names=["samples", "known"], output_names=["features"],
            dynamic_axes={"samples": {1: "samples"}, "known": {1: "rows"}, "features": {1: "rows"}},
        )  # fmt: skip
    model = onnx.load(path)
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = "gst-plugin-lipsync training/export_hubert.py", ""
    for node in model.graph.node:
        node.doc_string = ""
    onnx.save(model, path)


def check(hubert, path, fp16):
    """The file against transformers, on recordings that begin and end within a piece."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    numbers = np.float16 if fp16 else np.float32
    generator, worst = np.random.default_rng(0), 0
    for rows, begin, end in [(60, 0, 60), (60, 13, 60), (60, 0, 31), (45, 5, 22)]:
        samples = np.zeros((1, (rows - 1) * HOP + SPAN), np.float32)
        known = np.zeros((1, rows), np.float32)
        length = (end - begin - 1) * HOP + SPAN
        part = normalised(generator.standard_normal(length))
        samples[0, begin * HOP : begin * HOP + length], known[0, begin:end] = part, 1
        found = session.run(None, {"samples": samples.astype(numbers), "known": known.astype(numbers)})[0]
        with torch.no_grad():
            expected = hubert(torch.from_numpy(part)[None].float()).last_hidden_state[0].numpy()
        worst = max(worst, np.abs(found[0, begin:end].astype(np.float32) - expected).max() / expected.std())
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, at most {worst:.1e} of a deviation from transformers'")
    if worst > (0.1 if fp16 else 1e-3):
        raise SystemExit("that is too far")


def measure(hubert, encoder, samples):
    expected = whole(hubert, samples)

    def run(samples, known):
        with torch.no_grad():
            return encoder(torch.from_numpy(samples), torch.from_numpy(known)).numpy()

    print(f"{len(samples) / 16000:.1f} s; past-ms, step-ms, future-ms: error, with the level of the whole recording; look-ahead of Ultralight, SyncTalk_2D")
    for plan in PLANS:
        rows = [ms // ROW_MS for ms in plan]
        errors = [share(*in_pieces(run, samples, *rows, PIECES, known), expected) for known in (False, True)]
        waits = plan[1] - 2 * ROW_MS + plan[2]
        print("{:5} {:4} {:5}: {:.3f}, {:.3f}; {} and {} ms".format(*plan, *errors, 165 + waits, 325 + waits), flush=True)


def main(given=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--checkpoint")
    source.add_argument("--random", choices=SIZES)
    parser.add_argument("--fp16", action="store_true")
    parser.add_argument("--measure", type=pathlib.Path, metavar="RECORDING")
    parser.add_argument("--reference", type=pathlib.Path, metavar="RECORDING")
    arguments = parser.parse_args(given)
    hubert = load(arguments)
    if arguments.reference:
        # Before the positional convolution's two weights become one, which is the same to 1e-7.
        whole(hubert, recording(arguments.reference)).astype("<f4").tofile(arguments.out.with_suffix(".f32le"))
    parametrize.remove_parametrizations(hubert.encoder.pos_conv_embed.conv, "weight")
    encoder = Encoder(hubert).eval()
    if arguments.measure:
        measure(hubert, encoder, recording(arguments.measure)[: 20 * 16000])
    export(encoder, arguments.out, arguments.fp16)
    if arguments.fp16:
        hubert.float()
    check(hubert, arguments.out, arguments.fp16)


if __name__ == "__main__":
    main()
