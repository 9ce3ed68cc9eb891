"""The networks that people already have, with seeded random weights: exact architectures, free to ship and to test with.

    python training/reference_models.py OUT                          all of them
    python training/reference_models.py OUT unet-328 wav2lip-96      some
    python training/reference_models.py OUT unet-328 --checkpoint 99.pth --encoder-checkpoint audio_visual_encoder.pth

writes, for each, `NAME.onnx` (opset 17, BatchNorm folded, the tensor names of the usual exports), `NAME.pt` (the same weights
for PyTorch) and `NAME.toml` (the manifest). The same seed gives the same bytes. With `--checkpoint` the trained weights of the
original systems are exported instead of random ones: parameters are matched by order and shape, so the names of every fork do.

WeNet's encoder is the exception: a stand-in with its tensors, its first layers and none of its twelve blocks.

The architectures are written from their published descriptions (SyncTalk_2D's and Ultralight-Digital-Human's U-Nets, the
audio encoder AVE, Wav2Lip, its 256-pixel version and Nota's compressed one) and checked by their parameter counts. Random
weights are made so that the output shows both inputs: convolutions see mostly smooth patterns (as trained ones do, so that one
grey level in the input stays about one in the output), BatchNorm statistics are measured on drawn faces and a synthetic voice,
and the last layer is scaled so that its sigmoid stays away from 0 and 1.

Manifest keys (kebab-case; all needed unless marked "optional"):
  version = 1, name, licence, source, family = "unet" | "wav2lip"
  [files.generator], [files.audio-encoder] (where sound.features = "ave" or "wenet")   path (beside the manifest), sha256
  [tensors]    image, sound, output: names in the generator; mel, features: names in the audio encoder
               batch: 1, or "any"
  [image]      size: side of the network's picture. order = "bgr" | "rgb". range = [low, high] of black and white, in and out
               planes: what the six channels hold, in order: "reference" (the picture as it is), "masked"
               mask: [x, y, width, height] in pixels of `size` that are black in the masked picture
  [crop]       box = "s3fd" (face detector's box, pads = [top, bottom, left, right] pixels added) |
               "landmarks-110" (left = point 1, top = point 52, right = point 31, square)
               size: the box is scaled to this many pixels; border: that many are cut off each side before the network
               scale = "linear" | "cubic" | "area" (OpenCV's, on 8 bits)
  [sound]      features = "mel" (the generator hears the window itself) | "ave" | "hubert" | "wenet"
               sample-rate, columns-per-second, window: mel columns (absent where features are not made from mel)
               frame-rate: video frames a second the network was trained with
               rows, rows-before: feature rows in a window, and how many of them lie before the frame (not for "mel")
               shape: the window as the network takes it
               look-ahead-ms: sound after the start of the frame that its window depends on (absent: the feature network's own)
  [blend]      kind = "reference": the whole crop replaces the box, hard edges. scale: as crop.scale, back to the box
"""

import argparse
import hashlib
import importlib
import json
import warnings
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from mel import melspectrogram

# --- U-Nets of SyncTalk_2D and Ultralight-Digital-Human --------------------------------------------------------------


class InvertedResidual(nn.Module):
    """1x1 to twice the channels, 3x3 depthwise, 1x1 to `after` channels; adds its input where the shapes allow it."""

    def __init__(self, before, after, stride=1):
        super().__init__()
        hidden = 2 * before
        self.residual = stride == 1 and before == after
        self.layers = nn.Sequential(
            nn.Conv2d(before, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU(),
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False), nn.BatchNorm2d(hidden), nn.ReLU(),
            nn.Conv2d(hidden, after, 1, bias=False), nn.BatchNorm2d(after),
        )  # fmt: skip

    def forward(self, x):
        return x + self.layers(x) if self.residual else self.layers(x)


def double(before, after, stride=1):
    return nn.Sequential(InvertedResidual(before, after, stride), InvertedResidual(after, after))


class AudioHead(nn.Module):
    """A window of feature rows -> [512, n, n], n the side of the deepest picture."""

    #: widths of the first three layers and the stride of the third
    PLANS = {"ave": (64, 128, 1), "hubert": (64, 128, (2, 2)), "wenet": (256, 256, (1, 2))}

    def __init__(self, kind, channels):
        super().__init__()
        first, second, stride = self.PLANS[kind]
        self.layers = nn.Sequential(
            InvertedResidual(channels, first), InvertedResidual(first, second),
            nn.Conv2d(second, 256, 3, stride, 1), nn.BatchNorm2d(256), nn.ReLU(),
            InvertedResidual(256, 256),
            nn.Conv2d(256, 512, 3, 2, 3), nn.BatchNorm2d(512), nn.ReLU(),
            InvertedResidual(512, 512), InvertedResidual(512, 512),
        )  # fmt: skip

    def forward(self, x):
        return self.layers(x)


class Up(nn.Module):
    """Twice the size, joined with the encoder's picture of that size."""

    def __init__(self, before, after):
        super().__init__()
        self.layers = double(before, after)

    def forward(self, x, skip):
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        down, right = skip.shape[2] - x.shape[2], skip.shape[3] - x.shape[3]
        x = F.pad(x, [right // 2, right - right // 2, down // 2, down - down // 2])
        return self.layers(torch.cat([x, skip], 1))


class UNet(nn.Module):
    """forward(image [N,6,S,S], sound) -> [N,3,S,S] in 0..1; S = 320 has one level more than 160."""

    def __init__(self, levels, head, channels):
        super().__init__()
        widths = [32, 32, 64, 128, 256, 512] if levels == 5 else [32, 64, 128, 256, 512]
        narrow = [128, 64, 32, 32, 16] if levels == 5 else [128, 64, 32, 32]
        self.audio = AudioHead(head, channels)
        self.fuse = nn.Sequential(double(1024, 512), double(512, 256))
        self.down = nn.ModuleList([InvertedResidual(6, 32)])
        self.down += [double(before, after, 2) for before, after in zip(widths, widths[1:])]
        self.up = nn.ModuleList()
        before = 256
        for skip, after in zip(widths[-2::-1], narrow):
            self.up.append(Up(before + skip, after))
            before = after
        self.last = nn.Conv2d(before, 3, 1)

    def forward(self, image, sound):
        skips = []
        for block in self.down:
            image = block(image)
            skips.append(image)
        x = self.fuse(torch.cat([skips.pop(), self.audio(sound)], 1))
        for block in self.up:
            x = block(x, skips.pop())
        return torch.sigmoid(self.last(x))


# --- Wav2Lip and its audio encoder, which is also AVE ----------------------------------------------------------------


class Conv(nn.Module):
    def __init__(self, before, after, kernel=3, stride=1, padding=1, residual=False):
        super().__init__()
        self.residual = residual
        self.layers = nn.Sequential(nn.Conv2d(before, after, kernel, stride, padding), nn.BatchNorm2d(after))

    def forward(self, x):
        return F.relu(self.layers(x) + x if self.residual else self.layers(x))


class Deconv(nn.Module):
    def __init__(self, before, after, kernel=3, stride=2, padding=1, output_padding=1):
        super().__init__()
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(before, after, kernel, stride, padding, output_padding), nn.BatchNorm2d(after)
        )

    def forward(self, x):
        return F.relu(self.layers(x))


def same(width, count):
    return [Conv(width, width, residual=True) for _ in range(count)]


def audio_layers(width, extra):
    """mel [N,1,80,16] -> [N,16*width,1,1]; `extra` residual layers follow the strided ones."""
    w = [width, 2 * width, 4 * width, 8 * width, 16 * width]
    more = [2, 2, 2, 1] if extra else [0, 0, 0, 0]
    return nn.Sequential(
        Conv(1, w[0]), *same(w[0], more[0]),
        Conv(w[0], w[1], stride=(3, 1)), *same(w[1], more[1]),
        Conv(w[1], w[2], stride=3), *same(w[2], more[2]),
        Conv(w[2], w[3], stride=(3, 2)), *same(w[3], more[3]),
        Conv(w[3], w[4], padding=0), Conv(w[4], w[4], 1, padding=0),
    )  # fmt: skip


class AudioEncoder(nn.Module):
    """AVE: forward(mel [N,1,80,16]) -> features [N,512], never negative."""

    def __init__(self):
        super().__init__()
        self.layers = audio_layers(32, extra=True)

    def forward(self, mel):
        return self.layers(mel).flatten(1)


class Wav2Lip(nn.Module):
    """forward(mel [N,1,80,16], face [N,6,S,S]) -> [N,3,S,S] in 0..1. `up` lists (width, residual layers) of each step up."""

    def __init__(self, size, face, audio, up, last):
        super().__init__()
        widths, extra = zip(*face)
        side = size >> (len(face) - 1)
        self.face = nn.ModuleList([nn.Sequential(Conv(6, widths[0], 7, padding=3))])
        for before, after, more in zip(widths, widths[1:], extra[1:]):
            self.face.append(nn.Sequential(Conv(before, after, stride=2), *same(after, more)))
        self.face.append(
            nn.Sequential(Conv(widths[-1], widths[-1], side, padding=0), Conv(widths[-1], widths[-1], 1, padding=0))
        )
        self.audio = audio_layers(*audio)
        deep = 16 * audio[0]
        self.up = nn.ModuleList([nn.Sequential(Conv(deep, deep, 1, padding=0))])
        before = deep + widths[-1]
        for step, ((after, more), skip) in enumerate(zip(up, widths[::-1])):
            grow = Deconv(before, after, side, 1, 0, 0) if step == 0 else Deconv(before, after)
            self.up.append(nn.Sequential(grow, *same(after, more)))
            before = after + skip
        self.output = nn.Sequential(Conv(before, last), nn.Conv2d(last, 3, 1))

    @property
    def last(self):
        return self.output[1]

    def forward(self, mel, face):
        skips = []
        for block in self.face:
            face = block(face)
            skips.append(face)
        x = self.audio(mel)
        for block in self.up:
            x = torch.cat([block(x), skips.pop()], 1)
        return torch.sigmoid(self.output(x))


def wav2lip(size):
    levels = {96: 0, 256: 1}[size]
    face = [(16, 0), (32, 2), (64, 3), (128, 2), (256, 2), (512, 1)] + [(512, 1)] * levels
    up = [(512, 1)] + [(512, 1)] * levels + [(512, 2), (384, 2), (256, 2), (128, 2), (64, 2)]
    return Wav2Lip(size, face, (32, True), up, last=32)


def nota(size=96):
    face = [(width, 0) for width in (4, 8, 16, 32, 64, 128)]
    return Wav2Lip(size, face, (8, False), [(w, 0) for w in (128, 128, 96, 64, 32, 16)], last=8)


class WenetEncoder(nn.Module):
    """chunk [1,1,67,80], offset [1] int64, att_cache [3,8,16,128], cnn_cache [3,1,512,14] -> [1,16,512] and the next caches, as
    Ultralight-Digital-Human's export of WeNet has them. Caches and offset show in the output."""

    CACHES = ((3, 8, 16, 128), (3, 1, 512, 14))

    def __init__(self, width=32):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 3, 2), nn.ReLU(), nn.Conv2d(width, width, 3, 2), nn.ReLU(),
        )  # fmt: skip
        self.last = nn.Linear(19 * width, 512)

    def forward(self, chunk, offset, att_cache, cnn_cache):
        x = self.layers((chunk - 12) / 6)
        x = F.layer_norm(self.last(x.transpose(1, 2).flatten(2)), (512,))
        shown = att_cache.mean() + cnn_cache.mean() + 0.01 * offset.to(x.dtype)
        return x * (1 + 0.1 * torch.sin(shown)), att_cache + x.mean(), cnn_cache + x.mean()

    @classmethod
    def inputs(cls):
        return torch.zeros(1, 1, 67, 80), torch.full((1,), 100), *(torch.zeros(shape) for shape in cls.CACHES)


# --- what there is ---------------------------------------------------------------------------------------------------

MEL = {"sample-rate": 16000, "columns-per-second": 80, "window": 16}


def _unet(size, head, shape, rows):
    side = {320: 5, 160: 4}[size]
    ave = head == "ave"
    crop, blend = (328, "cubic") if size == 320 else (168, "area")
    sound = {"features": head, **(MEL if ave else {}), "frame-rate": 20 if head == "wenet" else 25,
             "rows": rows, "rows-before": rows // 2, "shape": list(shape)}  # fmt: skip
    if ave:
        # The last window starts 6 frames later (0.24 s) and its last column ends (15 * 200 + 400) samples after that.
        sound["look-ahead-ms"] = 452.5
    return dict(
        family="unet", size=size, build=lambda: UNet(side, head, shape[0]), sound_shape=tuple(shape), ave=ave,
        wenet=head == "wenet",
        tensors=dict(image="input", sound="audio", output="output"),
        mask=[5, 5, 310, 305] if size == 320 else [5, 5, 150, 145], planes=["reference", "masked"],
        crop=dict(box="landmarks-110", size=crop, border=4, scale=blend), sound=sound,
        blend="cubic" if size == 320 else "linear",
    )  # fmt: skip


def _hubert(size):
    """Ultralight's, and HuBERT of that size beside it, which hears two seconds before and after each row."""
    model = _unet(160, "hubert", (16, 32, 32), 8)
    return {**model, "hubert": size, "sound": {**model["sound"], "past-ms": 4000, "step-ms": 200, "future-ms": 4000}}


def _wav2lip(size, build):
    return dict(
        family="wav2lip", size=size, build=build, sound_shape=(1, 80, 16), ave=False, wenet=False,
        tensors=dict(image="video_frames", sound="mel_spectrogram", output="predicted_frames"),
        mask=[0, size // 2, size, size - size // 2], planes=["masked", "reference"],
        crop=dict(box="s3fd", pads=[0, 10, 0, 0], size=size, border=0, scale="linear"),
        # Last column centred 15 * 200 samples after the frame, and 400 more.
        sound={"features": "mel", **MEL, "frame-rate": 25, "shape": [1, 80, 16], "look-ahead-ms": 212.5},
        blend="linear",
    )  # fmt: skip


#: name -> (parameters, what to build, title)
MODELS = {
    "unet-328": (12_186_935, _unet(320, "ave", (32, 16, 16), 16), "UNet-328 of SyncTalk_2D with AVE"),
    "synctalk-160": (12_163_591, _unet(160, "hubert", (32, 32, 32), 16), "160-pixel U-Net of SyncTalk_2D, HuBERT"),
    "synctalk-160-ave": (12_163_591, _unet(160, "ave", (32, 16, 16), 16), "160-pixel U-Net of SyncTalk_2D with AVE"),
    "ultralight-160": (12_159_591, _unet(160, "hubert", (16, 32, 32), 8), "Ultralight-Digital-Human, HuBERT"),
    "ultralight-160-wenet": (12_796_359, _unet(160, "wenet", (128, 16, 32), 8), "Ultralight-Digital-Human, WeNet"),
    "ultralight-160-hubert-thin": (12_159_591, _hubert("thin"), "Ultralight-Digital-Human, with a thin HuBERT"),
    "ultralight-160-hubert-large": (12_159_591, _hubert("large"), "Ultralight-Digital-Human, with HuBERT-large"),
    "wav2lip-96": (36_298_035, _wav2lip(96, lambda: wav2lip(96)), "Wav2Lip, 96 pixels"),
    "wav2lip-256": (53_605_683, _wav2lip(256, lambda: wav2lip(256)), "Wav2Lip, 256 pixels"),
    "nota-96": (1_258_143, _wav2lip(96, nota), "Wav2Lip compressed by Nota, 96 pixels"),
}
AVE_PARAMETERS = 2_812_672
#: Models that exporters of their own write: name -> exporter, what it is told, what the manifest has besides.
RECORDING_IN_EACH_PIECE = "past-ms = {}\nstep-ms = 40\nfuture-ms = 4000"
EXPORTED = {
    f"{family}-{size}": (f"export_{family}", size, f'[sound]\n{RECORDING_IN_EACH_PIECE.format(past)}\n[crop]\nbox = "{box}"')
    for family, sizes, past, box in (
        ("musetalk", ("tiny", "full", "full32"), 15000, "nose-bridge"), ("dinet", ("tiny", "full"), 4000, "landmarks-68"),
    )
    for size in sizes
}  # fmt: skip


def parameters(net):
    return sum(p.numel() for p in net.parameters())


# --- calibration material --------------------------------------------------------------------------------------------


def drawn_face(rng, size):
    """A cartoon of a lower face, [3,S,S] in 0..1, B G R: smooth skin, shading, nose, mouth, a little noise."""
    y, x = np.mgrid[0:size, 0:size] / (size - 1)
    skin = rng.uniform([0.25, 0.35, 0.5], [0.6, 0.7, 0.9])
    tilt, light = rng.uniform(-0.15, 0.15, 2)
    shade = 1 + light * (x - 0.5) + tilt * (y - 0.5) - 0.5 * ((x - 0.5) ** 2 + (y - 0.4) ** 2)
    picture = skin[:, None, None] * shade
    face = ((x - 0.5) / 0.47) ** 2 + ((y - 0.35) / 0.6) ** 2 < 1
    picture = np.where(face, picture, rng.uniform(0, 1, 3)[:, None, None])
    wide, open_, mouth_y = rng.uniform(0.13, 0.2), rng.uniform(0.01, 0.09), rng.uniform(0.55, 0.62)
    lips = ((x - 0.5) / wide) ** 2 + ((y - mouth_y) / (open_ + 0.04)) ** 2 < 1
    inside = ((x - 0.5) / (wide * 0.8)) ** 2 + ((y - mouth_y) / open_) ** 2 < 1
    picture = np.where(lips, np.array([0.35, 0.3, 0.65])[:, None, None], picture)
    picture = np.where(inside, np.array([0.1, 0.08, 0.2])[:, None, None], picture)
    picture = picture - 0.25 * np.exp(-(((x - 0.5) / 0.06) ** 2) - ((y - 0.3) / 0.03) ** 2)
    return np.clip(picture + rng.normal(0, 0.02, picture.shape), 0, 1)


def synthetic_voice(rng, seconds):
    """Vowel-like pulses at a gliding pitch, breath and pauses: [samples] at 16 kHz."""
    n = int(seconds * 16000)
    time = np.arange(n) / 16000
    pitch = 120 + 30 * np.sin(2 * np.pi * 0.7 * time) + 20 * np.sin(2 * np.pi * 2.3 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / 16000
    first = 500 + 250 * np.sin(2 * np.pi * 1.9 * time)
    sound = np.zeros(n)
    for k in range(1, 40):
        at = k * pitch
        gain = np.exp(-(((at - first) / 200) ** 2)) + 0.5 * np.exp(-(((at - 3 * first) / 400) ** 2)) + 0.02
        sound += gain * np.sin(k * phase)
    syllables = np.clip(np.sin(2 * np.pi * 3.1 * time) + 0.5 * np.sin(2 * np.pi * 0.9 * time), 0, None)
    return 0.15 * sound * syllables + 0.01 * rng.standard_normal(n) * (1 + syllables)


def mel_windows(rng, count):
    """[count,1,80,16]: a voice that is loud here and quiet there, with noise behind it; every sixth window is digital silence.
    A network with random weights answers what it was not calibrated with by values of any size."""
    voice = synthetic_voice(rng, 0.3 + 0.24 * count)
    window = 19 * 200  # samples from a window to the next
    segments = -(-len(voice) // window)
    levels, noise = 10 ** rng.uniform(-2, 0.5, segments), 10 ** rng.uniform(-4, -1, segments)
    levels[5::6], noise[5::6] = 0, 0
    levels, noise = (np.repeat(v, window)[: len(voice)] for v in (levels, noise))
    mel = melspectrogram(voice * levels + rng.standard_normal(len(voice)) * noise)
    return np.stack([mel[None, :, 19 * i : 19 * i + 16] for i in range(count)])


def coloured_light(rng, size):
    """A smooth field [3,S,S] round 1: what many pictures of different brightness and tint would show, in one."""
    waves = [np.cos(np.pi * k * (np.arange(size) + 0.5) / size) for k in range(4)]
    return np.exp(0.25 * np.einsum("cjk,jy,kx->cyx", rng.standard_normal((3, 4, 4)), waves, waves))


def batch(model, count, seed, features=None, shrink=1, tinted=False):
    """`count` inputs for a generator: (image, sound), float64 tensors. `features`: the audio encoder, where it has one."""
    rng = np.random.RandomState(seed)
    x, y, w, h = (v // shrink for v in model["mask"])
    size = model["size"] // shrink
    faces = np.stack([drawn_face(rng, size) for _ in range(count)])
    if tinted:
        faces = np.clip(faces * np.stack([coloured_light(rng, size) for _ in range(count)]), 0, 1)
    masked = faces.copy()
    masked[:, :, y : y + h, x : x + w] = 0
    image = np.concatenate([masked if p == "masked" else faces for p in model["planes"]], 1)
    if model["family"] == "wav2lip":
        sound = mel_windows(rng, count)
    elif features is not None:
        with torch.no_grad():
            rows = features(torch.tensor(mel_windows(rng, count * 16), dtype=next(features.parameters()).dtype))
        sound = rows.double().numpy().reshape(count, *model["sound_shape"])
    else:
        sound = rng.standard_normal((count, *model["sound_shape"]))
    return torch.from_numpy(np.ascontiguousarray(image)).double(), torch.from_numpy(sound).double()


# --- random weights --------------------------------------------------------------------------------------------------


def randomise(net, seed):
    """Weights from `seed` and the parameter's name alone: smooth kernels in space, independent in the channels."""
    quiet = {id(m.layers[-1].weight) for m in net.modules() if isinstance(m, InvertedResidual) and m.residual}
    for name, p in net.named_parameters():
        rng = np.random.RandomState(zlib.crc32(f"{seed}/{name}".encode()))
        value = rng.standard_normal(tuple(p.shape))
        if p.dim() == 4:
            smooth = np.outer(*(np.exp(-((np.arange(side) - (side - 1) / 2) ** 2) / 0.72) for side in p.shape[2:]))
            smooth = smooth / np.linalg.norm(smooth)
            rough = rng.standard_normal((*p.shape[:2], *p.shape[2:])) / np.sqrt(smooth.size)
            value = (value.mean((2, 3), keepdims=True) * np.sqrt(smooth.size) * smooth + 0.2 * rough) / np.sqrt(p[0].numel())
        elif name.endswith("weight"):
            value = (0.3 if id(p) in quiet else 1) + 0.1 * value
        else:
            value = 0.1 * value
        p.data = torch.from_numpy(value).to(p)


def rounded(value):
    """To 10 bits, so that the last bit of a sum (another processor, another thread count) does not show in the file."""
    mantissa, exponent = np.frexp(value)
    return np.ldexp(np.round(mantissa * 1024) / 1024, exponent)


#: Deviation of the values before the sigmoid.
SPREAD = 0.6
#: Shares of the usual deviation and of the channel's own mean that are added to each BatchNorm's deviation.
QUIET, MEAN = 0.5, 0.5


def pass_through(net, inputs, hooks):
    """One forward pass. Pictures may be smaller than a U-Net's own: then the sound's map is cut to theirs."""
    if isinstance(net, UNet):
        side = inputs[0].shape[2] >> (len(net.down) - 1)
        hooks.append(net.audio.register_forward_hook(lambda module, args, out: out[:, :, :side, :side]))
    with torch.no_grad():
        net(*inputs)
    for hook in hooks:
        hook.remove()


def calibrate(net, inputs):
    """Sets each BatchNorm's statistics from what reaches it, first to last, in one pass in float64."""

    def measure(norm, args):
        x = args[0].transpose(0, 1).flatten(1)
        mean, deviation = x.mean(1), x.std(1)
        usual = deviation.square().mean().sqrt()
        if x.shape[1] < 64:  # too few to tell channels apart
            deviation = usual.expand_as(mean)
        # A channel that is quiet on this material, or a small change on a large mean, must not be blown up on other material.
        deviation = (deviation**2 + (QUIET * usual) ** 2 + (MEAN * mean) ** 2).sqrt()
        deviation = rounded(deviation.numpy() + 1e-6)
        norm.running_var.copy_(torch.from_numpy(rounded(deviation**2)))
        norm.running_mean.copy_(torch.from_numpy(np.round(mean.numpy() / deviation * 256) / 256 * deviation))

    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    pass_through(net, inputs, [m.register_forward_pre_hook(measure) for m in norms])


def calibrate_last(net, inputs):
    """Scales the layer before the sigmoid so that each colour has mean 0 and deviation SPREAD on `inputs`, which should be
    other material than the rest was calibrated on: a random network exaggerates what it has not seen."""

    def scale(conv, args, out):
        x = out.transpose(0, 1).flatten(1)
        gain = torch.from_numpy(rounded(SPREAD / x.std(1).numpy()))
        conv.weight.mul_(gain[:, None, None, None])
        conv.bias.copy_(torch.from_numpy(rounded(((conv.bias - x.mean(1)) * gain).numpy())))

    pass_through(net, inputs, [net.last.register_forward_hook(scale)])


def ordered(model, image, sound):
    return (sound, image) if model["family"] == "wav2lip" else (image, sound)


def build_encoder(seed):
    net = AudioEncoder().double().eval()
    assert parameters(net) == AVE_PARAMETERS, parameters(net)
    randomise(net, seed)
    calibrate(net, [torch.from_numpy(mel_windows(np.random.RandomState(seed), 48)).double()])
    return net.float()


def build_wenet(seed):
    net = WenetEncoder().double().eval()
    randomise(net, seed)
    return net.float()


def build(name, seed=1, encoder=None):
    """The generator `name` with random weights, float32, ready to run."""
    count, model, _ = MODELS[name]
    net = model["build"]().double().eval()
    assert parameters(net) == count, f"{name}: {parameters(net):,} parameters, {count:,} expected"
    randomise(net, seed)
    # Many pictures steady the statistics of the U-Nets' many layers; half the size keeps that quick.
    unet = model["family"] == "unet"
    count, shrink = (8, model["size"] // 160) if unet else (2 if model["size"] > 200 else 6, 1)
    calibrate(net, ordered(model, *batch(model, count, seed, encoder, shrink, tinted=True)))
    calibrate_last(net, ordered(model, *batch(model, (count + 1) // 2, seed + 1000, encoder, shrink)))
    return net.float()


def load_checkpoint(net, path):
    """Weights of the original system into `net`, matched by order; raises ValueError where a shape differs."""
    stored = torch.load(path, map_location="cpu", weights_only=True)
    for key in ("state_dict", "model"):
        stored = stored.get(key, stored)
    own = net.state_dict()
    if [tuple(v.shape) for v in own.values()] != [tuple(v.shape) for v in stored.values()]:
        raise ValueError(f"{path}: {len(stored)} tensors that do not fit this network's {len(own)}")
    net.load_state_dict(dict(zip(own, stored.values())))
    return net


# --- files -----------------------------------------------------------------------------------------------------------


def export(net, path, inputs, inputs_names, outputs_names, any_batch):
    """Writes ONNX; returns its sha256. Everything that names the exporter's version is removed."""
    import onnx  # here, so that who only wants the networks does not wait for it

    names = [*inputs_names, *outputs_names]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net, inputs, str(path), dynamo=False, opset_version=17, input_names=inputs_names, output_names=outputs_names,
            dynamic_axes={name: {0: "batch"} for name in names} if any_batch else None,
        )  # fmt: skip
    stored = onnx.load(str(path))
    stored.producer_name, stored.producer_version = "gst-plugin-lipsync/training/reference_models.py", ""
    onnx.checker.check_model(stored)
    data = stored.SerializeToString(deterministic=True)
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def toml(value):
    """A TOML value; JSON's spelling of strings, numbers and lists is also TOML's."""
    return json.dumps(value)


def manifest(name, model, title, source, licence, files, any_batch):
    tensors = dict(model["tensors"])
    if model["ave"]:
        tensors.update(mel="mel_spectrogram", features="audio_features")
    if model["wenet"]:
        tensors.update(mel="chunk", features="output")
    tensors["batch"] = "any" if any_batch else 1
    tables = {f"files.{key}": dict(path=path, sha256=sha) for key, (path, sha) in files.items()}
    tables["tensors"] = tensors
    tables["image"] = dict(size=model["size"], order="bgr", range=[0, 1], planes=model["planes"], mask=model["mask"])
    tables["crop"], tables["sound"] = model["crop"], model["sound"]
    tables["blend"] = dict(kind="reference", scale=model["blend"])
    lines = ["# Written by training/reference_models.py, which explains every key.", "version = 1"]
    head = dict(name=title, family=model["family"], licence=licence, source=source)
    lines += [f"{key} = {toml(value)}" for key, value in head.items()]
    for table, entries in tables.items():
        lines += ["", f"[{table}]"] + [f"{key} = {toml(value)}" for key, value in entries.items()]
    return "\n".join(lines) + "\n"


def write(name, out, seed=1, any_batch=False, checkpoint=None, encoder_checkpoint=None):
    """Builds `name` and writes its files into the folder `out`; returns the manifest's path."""
    count, model, title = MODELS[name]
    if checkpoint:
        encoder = load_checkpoint(AudioEncoder().eval(), encoder_checkpoint) if model["ave"] else None
        net = load_checkpoint(model["build"]().eval(), checkpoint)
        source, licence = f"exported from {Path(checkpoint).name}", "that of the checkpoint"
    else:
        encoder = build_encoder(seed) if model["ave"] else None
        net = build(name, seed, encoder)
        source, licence = f"training/reference_models.py, seed {seed}: random weights", "MPL-2.0"
    image, sound = (t.float() for t in batch(model, 1, seed + 1, encoder))
    tensors, inputs = model["tensors"], ordered(model, image, sound)
    names = [tensors["image"], tensors["sound"]]
    if model["family"] == "wav2lip":
        names.reverse()
    path = out / f"{name}.onnx"
    files = {"generator": (path.name, export(net, path, inputs, names, [tensors["output"]], any_batch))}
    torch.save(net.state_dict(), path.with_suffix(".pt"))
    if encoder:
        path = out / f"{name}-ave.onnx"
        mel = (torch.zeros(1, 1, 80, 16),)
        files["audio-encoder"] = (path.name, export(encoder, path, mel, ["mel_spectrogram"], ["audio_features"], True))
        torch.save(encoder.state_dict(), path.with_suffix(".pt"))
    if "hubert" in model:
        import export_hubert

        path = out / f"{name}-hubert.onnx"
        export_hubert.main([str(path), "--random", model["hubert"]])
        files["audio-encoder"] = (path.name, hashlib.sha256(path.read_bytes()).hexdigest())
    if model["wenet"] and not checkpoint:
        wenet, path = build_wenet(seed), out / f"{name}-wenet.onnx"
        names = ["chunk", "offset", "att_cache", "cnn_cache"], ["output", "r_att_cache", "r_cnn_cache"]
        files["audio-encoder"] = (path.name, export(wenet, path, WenetEncoder.inputs(), *names, False))
        torch.save(wenet.state_dict(), path.with_suffix(".pt"))
    path = out / f"{name}.toml"
    path.write_text(manifest(name, model, title, source, licence, files, any_batch))
    return path


def write_exported(name, out):
    """The same of EXPORTED."""
    module, size, lines = EXPORTED[name]
    importlib.import_module(module).main([str(out), "--random", size])
    text = (out / "manifest.toml").read_text()
    if module == "export_dinet":
        import cv2

        others = [f"other-{at}.png" for at in range(5)]
        rng = np.random.default_rng(1)
        for other in others:
            cv2.imwrite(str(out / other), rng.integers(0, 256, (13 * 8, 10 * 8, 3), np.uint8).repeat(4, 0).repeat(4, 1)[:, :320])
        text += "others = [" + ", ".join(f'{{ path = "{other}", sha256 = "" }}' for other in others) + "]\n"
    path = out / f"{name}.toml"
    path.write_text(f'{text}\n{lines}\n\n[blend]\nkind = "reference"\n')
    return path


def load(path, name):
    """The network that `write` left in NAME.pt, for PyTorch. `name` is a key of MODELS, "ave" or "wenet"."""
    encoders = {"ave": AudioEncoder, "wenet": WenetEncoder}
    net = encoders[name]() if name in encoders else MODELS[name][1]["build"]()
    net.load_state_dict(torch.load(path, weights_only=True))
    return net.eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder to write into")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MODELS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--any-batch", action="store_true", help="let the first dimension be any size")
    parser.add_argument("--checkpoint", help="trained weights of the original system (one NAME only)")
    parser.add_argument("--encoder-checkpoint", help="trained weights of the audio encoder")
    args = parser.parse_args()
    unknown = set(args.names) - set(MODELS) - set(EXPORTED)
    if unknown:
        parser.error(f"no such network: {', '.join(sorted(unknown))}; there are {', '.join(MODELS)}")
    if args.checkpoint and len(args.names) != 1:
        parser.error("--checkpoint needs exactly one NAME")
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.names or MODELS:
        if name in EXPORTED:
            print(write_exported(name, args.out))
            continue
        path = write(name, args.out, args.seed, args.any_batch, args.checkpoint, args.encoder_checkpoint)
        print(f"{path}  {MODELS[name][0]:,} parameters")


if __name__ == "__main__":
    main()
