"""MuseTalk as ONNX, for the family `musetalk`: the folder OUT becomes a model that the element loads.

    python training/export_musetalk.py OUT --unet models/musetalkV15 --vae models/sd-vae --whisper models/whisper --fp16
    python training/export_musetalk.py OUT --random tiny      seeded random weights of the same architecture; `full`; or `full32`

The first takes your own copies of what MuseTalk publishes: the folder of `unet.pth` and `musetalk.json` (1.0: `pytorch_model.bin`), the
autoencoder sd-vae-ft-mse and Whisper tiny, as diffusers and transformers keep them. It needs torch, onnx and onnxruntime as
`requirements.txt` has them, diffusers (0.42.1 was used) and transformers (5.24.0). The U-Net has 3.4 GB in fp32, and a network and its
weights may have 2 GiB: MuseTalk's own needs --fp16, which is for GPUs. `full32` is `full` but for a U-Net of 7/10 of the width, which fits.

What it writes, opset 17, each of any N and checked against PyTorch:
  whisper.onnx      mel [1, 80, 3000] -> features [1, 1500, 5, 384]: the inputs of the four layers and the normalised output of the last
  vae_encoder.onnx  face [N, 3, 256, 256], R, G, B in -1..1 -> latents [N, 4, 32, 32]: the mode and no sample, times the scaling factor
  unet.onnx         latents [N, 8, 32, 32], features [N, 50, 384] -> drawn [N, 4, 32, 32], at timestep 0
  vae_decoder.onnx  drawn [N, 4, 32, 32] -> face [N, 3, 256, 256], R, G, B in -1..1
  manifest.toml     with their hashes

Opset 17 to 20 and no other: from 21 on PyTorch writes GroupNormalization, which ONNX Runtime computes wrongly for values far from 0.

--reference FOLDER --recording SPEECH.s16le writes what PyTorch makes of known inputs, for the tests.
"""

import argparse
import hashlib
import json
import pathlib
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

OPSET = 17
IR_VERSION = 8
#: sd-vae-ft-mse's own configuration does not say it.
SCALING = 0.18215
LAYERS, ROWS, HEARD = 5, 1500, 10
#: Of what random weights draw, in -1..1.
DEVIATION = 0.06
#: What an ONNX file may have.
LARGEST = 2**31

TINY = dict(
    unet=dict(
        sample_size=8, block_out_channels=(4, 4), layers_per_block=1, norm_num_groups=2, attention_head_dim=2, cross_attention_dim=8,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    ),  # fmt: skip
    vae=dict(block_out_channels=(4, 4, 4, 4), norm_num_groups=2, sample_size=64),
    whisper=dict(d_model=8, encoder_layers=4, encoder_attention_heads=2, encoder_ffn_dim=16),
)
FULL = dict(
    unet=dict(
        sample_size=64, block_out_channels=(320, 640, 1280, 1280), layers_per_block=2, attention_head_dim=8, cross_attention_dim=384,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",), up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    ),  # fmt: skip
    vae=dict(block_out_channels=(128, 256, 512, 512), layers_per_block=2, sample_size=256),
    whisper=dict(d_model=384, encoder_layers=4, encoder_attention_heads=6, encoder_ffn_dim=1536),
)

#: The full one with as large a U-Net as a file may have in fp32.
SIZES = {"tiny": TINY, "full": FULL, "full32": {**FULL, "unet": {**FULL["unet"], "block_out_channels": (224, 448, 896, 896)}}}


class Whisper(nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, mel):
        states = self.encoder(mel, output_hidden_states=True).hidden_states
        return torch.stack(states[-LAYERS:], 2)


class Encoder(nn.Module):
    def __init__(self, vae):
        super().__init__()
        self.vae = vae

    def forward(self, face):
        moments = self.vae.quant_conv(self.vae.encoder(face))
        return moments.chunk(2, 1)[0] * SCALING


class Decoder(nn.Module):
    def __init__(self, vae):
        super().__init__()
        self.vae = vae

    def forward(self, drawn):
        return self.vae.decoder(self.vae.post_quant_conv(drawn / SCALING))


class UNet(nn.Module):
    def __init__(self, unet):
        super().__init__()
        self.unet = unet

    def forward(self, latents, features):
        # Its embedding acts: a constant, not nothing.
        step = torch.zeros(1, dtype=torch.int64)
        return self.unet(latents, step, encoder_hidden_states=features, return_dict=False)[0]


def random(size):
    """The architecture with seeded random weights, every layer of which shows in what comes out."""
    torch.manual_seed(0)
    sizes = SIZES[size]
    unet = UNet2DConditionModel(in_channels=8, out_channels=4, **sizes["unet"])
    vae = AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=4, down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, **sizes["vae"],
    )  # fmt: skip
    whisper = WhisperModel(WhisperConfig(decoder_layers=1, decoder_attention_heads=1, vocab_size=8, pad_token_id=0, bos_token_id=0,
                                         eos_token_id=0, decoder_start_token_id=0, decoder_ffn_dim=8, **sizes["whisper"]))  # fmt: skip
    if size == "tiny":
        with torch.no_grad():
            for layer in whisper.modules():
                if isinstance(layer, nn.Linear):
                    layer.weight.normal_(0, layer.in_features**-0.5)
    # A level of a face more or less is about one of the drawn face, as with trained weights.
    with torch.no_grad():
        side = vae.config.sample_size
        _, encoder, generator, decoder = networks(unet, vae, whisper)
        latents = encoder(torch.from_numpy(pattern(2, 3, side, side))).reshape(1, 8, side // 8, side // 8)
        drawn = decoder(generator(latents, torch.from_numpy(pattern(1, LAYERS * HEARD, whisper.config.d_model))))
        for values in vae.decoder.conv_out.parameters():
            values *= DEVIATION / drawn.std()
    return unet, vae, whisper


def published(arguments):
    folder = pathlib.Path(arguments.unet)
    unet = UNet2DConditionModel(**json.loads((folder / "musetalk.json").read_text()))
    weights = next(folder / name for name in ("unet.pth", "pytorch_model.bin") if (folder / name).is_file())
    unet.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return unet, AutoencoderKL.from_pretrained(arguments.vae), WhisperModel.from_pretrained(arguments.whisper)


def networks(unet, vae, whisper):
    """In the order in which they run."""
    return [network.eval() for network in (Whisper(whisper.encoder), Encoder(vae), UNet(unet), Decoder(vae))]


def write(network, inputs, output, path, fp16, batched=True):
    """Export, tidy, check against PyTorch. Returns the largest difference as a share of the output's deviation."""
    with torch.no_grad():
        expected = network(*inputs.values()).numpy()
    numbers = torch.float16 if fp16 else torch.float32
    example = tuple(value.to(numbers) for value in inputs.values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.to(numbers), example, str(path), dynamo=False, opset_version=OPSET, input_names=list(inputs), output_names=[output],
            dynamic_axes={name: {0: "N"} for name in [*inputs, output]} if batched else None,
        )  # fmt: skip
    network.float()
    model = onnx.load(path)
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = "gst-plugin-lipsync training/export_musetalk.py", ""
    for node in model.graph.node:
        node.doc_string = node.name = ""
    onnx.save(model, path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(None, {name: value.numpy() for name, value in zip(inputs, example)})[0]
    worst = float(np.abs(found.astype(np.float32) - expected).max() / expected.std())
    print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, at most {worst:.1e} of a deviation from PyTorch's", flush=True)
    if worst > (0.1 if fp16 else 1e-3):
        raise SystemExit("that is too far")


def manifest(folder, name, source):
    def line(key, file):
        return f'{key} = {{ path = "{file}", sha256 = "{hashlib.sha256((folder / file).read_bytes()).hexdigest()}" }}\n'

    files = [("generator", "unet.onnx"), ("image-encoder", "vae_encoder.onnx"), ("image-decoder", "vae_decoder.onnx"),
             ("audio-encoder", "whisper.onnx")]  # fmt: skip
    text = f'version = 1\nfamily = "musetalk"\nname = "{name}"\nlicence = "MIT"\nsource = "{source}"\n\n[files]\n'
    (folder / "manifest.toml").write_text(text + "".join(line(*file) for file in files))


def places(tokens, width):
    angles = np.arange(tokens)[:, None] * 10000.0 ** (-(np.arange(width) // 2 * 2) / width)
    return np.where(np.arange(width) % 2 == 0, np.sin(angles), np.cos(angles)).astype(np.float32)


def pattern(*shape):
    """Numbers in -1..1 that a test can make, too."""
    return ((np.arange(np.prod(shape), dtype=np.int64) * 7919 % 1009) / 504 - 1).astype(np.float32).reshape(shape)


def reference(folder, recording, parts, size):
    """What PyTorch makes of a pattern, and of what three frames hear of a recording that is all in every piece."""
    whisper, encoder, unet, decoder = parts
    width = whisper.encoder.config.d_model
    views, heard = pattern(2, 3, size, size), pattern(1, LAYERS * HEARD, width)
    with torch.no_grad():
        latents = encoder(torch.from_numpy(views)).reshape(1, 8, size // 8, size // 8)
        drawn = decoder(unet(latents, torch.from_numpy(heard)))
    drawn.numpy().astype("<f4").tofile(folder / "musetalk_drawn.f32le")

    samples = np.frombuffer(recording.read_bytes(), "<i2").astype(np.float32) / 32768
    past, step = 15000 // 20, 2
    extractor = WhisperFeatureExtractor()
    frames = []
    for milliseconds in (0, 1000, 2960):
        rows = np.zeros((HEARD, LAYERS * width), np.float32)
        for index in range(HEARD):
            row = milliseconds // 20 - 4 + index
            if not 0 <= row < len(samples) // 320:
                continue
            first = row // step * step - past
            sound = np.zeros(480000, np.float32)
            sound[-first * 320 :][: len(samples)] = samples
            mel = extractor(sound, sampling_rate=16000, return_tensors="pt").input_features
            with torch.no_grad():
                rows[index] = whisper(mel)[0, row - first].reshape(-1)
        frames.append(rows.reshape(LAYERS * HEARD, width) + places(LAYERS * HEARD, width))
    np.stack(frames).astype("<f4").tofile(folder / "musetalk_heard.f32le")


def main(given=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--random", choices=SIZES)
    for name in ("unet", "vae", "whisper"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--fp16", action="store_true")
    parser.add_argument("--reference", type=pathlib.Path)
    parser.add_argument("--recording", type=pathlib.Path)
    arguments = parser.parse_args(given)
    if not arguments.random and None in (arguments.unet, arguments.vae, arguments.whisper):
        parser.error("--unet, --vae and --whisper, or --random are expected")
    unet, vae, whisper = random(arguments.random) if arguments.random else published(arguments)
    size = vae.config.sample_size if arguments.random else 256
    parts = networks(unet, vae, whisper)
    weights = sum(parameter.numel() for parameter in unet.parameters()) * (2 if arguments.fp16 else 4)
    if weights > LARGEST:
        raise SystemExit(f"the U-Net has {weights / 2**30:.1f} GiB, 2 at most are loaded: --fp16")
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.reference:
        reference(arguments.reference, arguments.recording, parts, size)

    width, latents = whisper.config.d_model, size // 8
    torch.manual_seed(1)
    inputs = [
        ({"mel": torch.randn(1, 80, 2 * ROWS)}, "features", "whisper", False),
        ({"face": torch.rand(2, 3, size, size) * 2 - 1}, "latents", "vae_encoder", True),
        ({"latents": torch.randn(2, 8, latents, latents), "features": torch.randn(2, LAYERS * HEARD, width)}, "drawn", "unet", True),
        ({"drawn": torch.randn(2, 4, latents, latents)}, "face", "vae_decoder", True),
    ]
    for network, (values, output, name, batched) in zip(parts, inputs):
        write(network, values, output, arguments.out / f"{name}.onnx", arguments.fp16, batched)
    if arguments.random:
        manifest(arguments.out, f"MuseTalk, {arguments.random}, random", "training/export_musetalk.py")
    else:
        manifest(arguments.out, "MuseTalk", "https://github.com/TMElyralab/MuseTalk")


if __name__ == "__main__":
    main()
