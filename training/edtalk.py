"""EDTalk's generator as FaceFusion's export of it looks from outside, with seeded random weights: for timing and for servers.

    python training/edtalk.py OUT

writes edtalk-256.onnx (opset 17) and edtalk-256.toml. In: `source`, mel [1,1,80,16]; `target`, the aligned face [1,3,256,256],
R G B, 0..1; `weight` [1], how far the lips follow the audio. Out: the face, R G B, 0..1.

Written from the published description (Tan et al., 2024, and LIA, Wang et al., 2022, whose generator it is): an encoder of
residual blocks gives a style and a map of features at each size; lips, pose and expression are 20, 6 and 10 orthogonal
directions of the style; StyleGAN2's layers grow the picture, and at each size a flow and a mask take what is visible from the
encoder's map. The expression's own small network is left out.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from reference_models import AudioEncoder, calibrate, export, mel_windows, parameters, randomise


SIZE, STYLE = 256, 512
LIPS, POSE, EXPRESSION = 20, 6, 10
WIDTH = {4: 512, 8: 512, 16: 512, 32: 512, 64: 256, 128: 128, 256: 64}
SIDES = [side for side in WIDTH if side > 4]


def leaky(x):
    return F.leaky_relu(x, 0.2) * 2**0.5


def smooth(x, gain=1.0, pad=(1, 1)):
    """The 4x4 binomial filter, `gain` times: before a picture is halved or after it was doubled."""
    row = torch.tensor([1.0, 3, 3, 1], dtype=x.dtype) / 8
    channels = int(x.shape[1])  # exporting needs numbers
    kernel = (gain * row[:, None] * row).expand(channels, 1, 4, 4).contiguous()
    return F.conv2d(F.pad(x, (pad[0], pad[1]) * 2), kernel, groups=channels)


class Halving(nn.Module):
    """[N,before,S,S] -> [N,after,S/2,S/2], residual."""

    def __init__(self, before, after):
        super().__init__()
        self.first = nn.Conv2d(before, before, 3, padding=1)
        self.second = nn.Conv2d(before, after, 3, stride=2)
        self.skip = nn.Conv2d(before, after, 1, stride=2, bias=False)

    def forward(self, x):
        deep = leaky(self.second(smooth(leaky(self.first(x)), pad=(2, 2))))
        return (deep + self.skip(smooth(x))) / 2**0.5


class Encoder(nn.Module):
    """face [N,3,256,256] -> style [N,512], maps of features from 8x8 to 256x256."""

    def __init__(self):
        super().__init__()
        widths = [WIDTH[side] for side in reversed(WIDTH)]
        self.first = nn.Conv2d(3, widths[0], 1)
        self.blocks = nn.ModuleList(Halving(a, b) for a, b in zip(widths, widths[1:]))
        self.last = nn.Conv2d(STYLE, STYLE, 4, bias=False)

    def forward(self, face):
        maps = [leaky(self.first(face))]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return self.last(maps[-1]).flatten(1), maps[-2::-1]


class Modulated(nn.Module):
    """A convolution whose weights the style scales: here what goes in and what comes out, which is the same and needs no weights of
    their own for each picture."""

    def __init__(self, before, after, kernel, up=False, even=True):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(after, before, kernel, kernel))
        self.style = nn.Linear(STYLE, before)
        self.up, self.even = up, even

    def forward(self, x, style):
        scale = 1 + self.style(style)
        x = x * scale[:, :, None, None]
        if self.up:
            x = smooth(F.conv_transpose2d(x, self.weight.transpose(0, 1), stride=2), 4.0)
        else:
            x = F.conv2d(x, self.weight, padding=self.weight.shape[2] // 2)
        if self.even:
            power = scale.square() @ self.weight.square().sum((2, 3)).T
            x = x * torch.rsqrt(power + 1e-8)[:, :, None, None]
        return x


def doubled(x):
    """Zeros between the pixels, then the filter."""
    n, c, h, w = map(int, x.shape)
    spread = F.pad(x.view(n, c, h, 1, w, 1), (0, 1, 0, 0, 0, 1)).view(n, c, 2 * h, 2 * w)
    return smooth(spread, 4.0, (2, 1))


class Growing(nn.Module):
    """Doubles the picture, and takes what the flow says from the encoder's map."""

    def __init__(self, side):
        super().__init__()
        before, after = WIDTH[side // 2], WIDTH[side]
        self.grow = Modulated(before, after, 3, up=True)
        self.refine = Modulated(after, after, 3)
        self.flow = Modulated(after, 3, 1, even=False)
        self.colour = nn.Conv2d(after, 3, 1)
        at = torch.linspace(-1, 1, side)
        self.register_buffer("here", torch.stack(torch.meshgrid(at, at, indexing="xy"), 2)[None])

    def forward(self, x, style, seen, flow, picture):
        x = leaky(self.refine(leaky(self.grow(x, style)), style))
        own = self.flow(x, style)
        flow = own if flow is None else own + doubled(flow)
        mask = torch.sigmoid(flow[:, 2:])
        where = self.here + 0.1 * torch.tanh(flow[:, :2]).permute(0, 2, 3, 1)
        taken = F.grid_sample(seen, where, align_corners=False) * mask
        own = leaky(self.colour(taken))
        picture = own if picture is None else own + doubled(picture)
        return taken + x * (1 - mask), flow, picture


def linear(*widths):
    return nn.Sequential(*(nn.Linear(a, b) for a, b in zip(widths, widths[1:])))


class EDTalk(nn.Module):
    """forward(mel [1,1,80,16], face [1,3,256,256], weight [1]) -> [1,3,256,256]"""

    def __init__(self):
        super().__init__()
        self.audio = AudioEncoder()
        self.lips_heard = nn.Linear(512, LIPS)
        self.encoder = Encoder()
        self.motion = linear(STYLE, STYLE, STYLE, STYLE, STYLE)
        self.lips, self.pose, self.expression = (linear(STYLE, STYLE, STYLE, n) for n in (LIPS, POSE, EXPRESSION))
        self.start = nn.Parameter(torch.zeros(1, WIDTH[4], 4, 4))
        self.first = Modulated(WIDTH[4], WIDTH[4], 3)
        self.growing = nn.ModuleList(Growing(side) for side in SIDES)
        self.register_buffer("directions", torch.zeros(LIPS + POSE + EXPRESSION, STYLE))

    def forward(self, mel, face, weight):
        style, maps = self.encoder(2 * face - 1)
        motion = self.motion(style)
        seen = self.lips(motion)
        heard = self.lips_heard(self.audio(mel))
        code = torch.cat([seen + weight[:, None] * (heard - seen), self.pose(motion), self.expression(motion)], 1)
        style = style + code @ self.directions
        x, flow, picture = leaky(self.first(self.start, style)), None, None
        for growing, seen in zip(self.growing, maps):
            x, flow, picture = growing(x, style, seen, flow, picture)
        return torch.clamp(picture / 2 + 0.5, 0, 1)


@torch.no_grad()
def build(seed):
    """With weights from `seed`; pictures stay within 0..1 for the most part."""
    net = EDTalk().double().eval()
    randomise(net, seed)
    random = np.random.RandomState(seed)
    for layer in net.modules():
        if isinstance(layer, nn.Linear):  # randomise knows no layers without space
            layer.weight.copy_(torch.from_numpy(random.standard_normal(layer.weight.shape) / layer.in_features**0.5))
            layer.bias.zero_()
    calibrate(net.audio, [torch.from_numpy(mel_windows(np.random.RandomState(seed), 48)).double()])
    basis = np.linalg.qr(random.standard_normal((STYLE, len(net.directions))))[0]
    net.directions.copy_(torch.from_numpy(basis.T))
    return net.float()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder to write into")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    net = build(args.seed)
    inputs = (torch.zeros(1, 1, 80, 16), torch.rand(1, 3, SIZE, SIZE), torch.ones(1))
    path = args.out / "edtalk-256.onnx"
    sha256 = export(net, path, inputs, ["source", "target", "weight"], ["output"], False)
    path.with_suffix(".toml").write_text(
        f'version = 1\nname = "EDTalk, 256 pixels"\nfamily = "edtalk"\nlicence = "MPL-2.0"\n'
        f'source = "training/edtalk.py, seed {args.seed}: random weights"\n\n'
        f'[files.generator]\npath = "{path.name}"\nsha256 = "{sha256}"\n'
    )
    print(f"{path}  {parameters(net):,} parameters")


if __name__ == "__main__":
    main()
