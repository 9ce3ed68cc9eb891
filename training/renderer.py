"""The mouth renderer: moves the pixels of a frame's own lower face to a wanted mouth shape, and draws what no pixel shows.

    python training/renderer.py --data DATA --out RUN [--steps 3000] [--resume] [--device cuda]

The network (`Renderer`) gets the canonical crop, the landmarks of the mouth in it (source) and the wanted ones (target); it
gives a backward flow, an alpha and an RGB picture: out(p) = crop(p + flow(p)) (1 - alpha) + rgb alpha.

How it is built
    A flow follows from the landmarks alone, without learning: displacement spread by Gaussians, once for the points of the
    upper lip and what is above, once for the lower lip, chin and jaw, and the two are joined along the line where the lips
    meet. So lips part and close along a sharp line, on any face and in any style of picture. A small U-Net adds a correction.
    The inside of a mouth that the frame does not show is drawn by rule: a plain mouth (teeth, tongue, dark cavity) in this
    face's own colours and light; alpha is confined to the inside of the wanted mouth, and falls to nothing when the frame's own
    open mouth can be used. So there is no fog of all people's teeth, and no tint of theirs: what a network learns of teeth from pairs
    of frames is their mean, which is grey, since a closed mouth does not tell where they show.
    Flow and alpha fade to nothing at the border of the crop.

Training
    Pairs (A, B) of frames of one clip, so that nothing about a person has to be remembered. Loss: the picture, its gradients, the
    warped picture outside the mouth, the flow at the landmarks, smoothness. An exponential average of the weights is what is exported.
"""

import argparse
import pathlib
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import geometry
import prepare

SIZE = geometry.SIZE
COUNT = geometry.COUNT

# Which landmarks drive the flow above and below the line where the lips meet. Corners, cheeks and sides are in both.
_CORNERS = [61, 291, 78, 308]
_SIDES = [57, 287, 212, 432, 214, 434, 216, 436, 186, 410, 206, 426]
_ABOVE = geometry.LIPS_OUTER[11:] + geometry.LIPS_INNER[11:] + [2, 164, 165, 391]
_BELOW = [p for p in geometry.LANDMARKS if p not in set(_CORNERS + _SIDES + _ABOVE)]
ABOVE = [geometry.INDEX[p] for p in _ABOVE + _CORNERS + _SIDES]
BELOW = [geometry.INDEX[p] for p in _BELOW + _CORNERS + _SIDES]
#: One man has 272 of the clips.
CLIPS_A_PERSON = 60
#: The mesh sees about so many pixels between lips that are closed.
CLOSED = 1.0
#: The inside of an open mouth may be stretched by so much before it is drawn anew.
STRETCH = 1.8
#: The correction of the flow has so many times fewer pixels a side.
COARSER = 4
#: Points between which lip skin lies (outer, inner), and points on bare skin near the mouth: where reference colours are taken.
LIP_OUTER_SIDE = [geometry.INDEX[p] for p in geometry.LIPS_OUTER[2:9] + geometry.LIPS_OUTER[12:19]]
LIP_INNER_SIDE = [geometry.INDEX[p] for p in geometry.LIPS_INNER[2:9] + geometry.LIPS_INNER[12:19]]
SKIN = [geometry.INDEX[p] for p in [206, 426, 212, 432, 57, 287, 43, 273]]
#: Inner contours from the right to the left corner.
INNER_UPPER = [geometry.INDEX[p] for p in [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308]]
INNER_LOWER = [geometry.INDEX[p] for p in [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308]]


def border_window(size=SIZE, dead=2.0, fade=9.0):
    """1 inside, 0 on the outermost pixels, a smooth step between: [size, size]."""
    edge = torch.minimum(torch.arange(size), size - 1 - torch.arange(size)).float()
    ramp = ((edge - dead) / fade).clamp(0, 1)
    ramp = ramp * ramp * (3 - 2 * ramp)
    return ramp[:, None] * ramp[None, :]


def conv(i, o, kernel=3, stride=1):
    return nn.Sequential(nn.Conv2d(i, o, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(o), nn.ReLU(True))


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first = conv(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x):
        return F.relu(x + self.second(self.first(x)))


def double(x):
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class Geometry(nn.Module):
    """What the landmarks alone say, as pictures: the flow and the insides of the two mouths. No weights.

    Written for few operations on whole pictures: what can be is stacked, and sums over points are matrix products.
    """

    #: Widths and shares of the Gaussians that spread the flow: a narrow one follows the lips, a faint wide one fills the jaw.
    SPREAD = ((2.6, 1.0), (7.0, 0.1))
    #: Bare, lit skin counts for more than shadow and beard: by this power of its brightness.
    LIT = 4
    #: Brightness of teeth / of lit skin: TEETH_BY_LIPS (lips / skin)^2, within TEETH_BY_SKIN. Measured on wide open mouths of the people
    #: trained on, whose lips are darker than light skin (teeth 0.9, and a little more for the eye's sake) and brighter than dark skin (2.0).
    TEETH_BY_LIPS = 1.45
    TEETH_BY_SKIN = (1.12, 1.9)
    #: Their share of the skin's hue.
    TEETH_HUE = 0.82
    #: Light that has been reflected by lips and tongue again is redder than they are: by this power of their colour.
    REDDER = 0.4

    def __init__(self):
        super().__init__()
        self.register_buffer("axis", torch.arange(SIZE).float(), persistent=False)
        self.split = 2 * len(ABOVE)  # every point twice, once for each Gaussian; first those above
        rows = [(point, *gaussian) for part in (ABOVE, BELOW) for gaussian in self.SPREAD for point in part]
        driving, sigma, share = (torch.tensor(column) for column in zip(*rows))
        self.register_buffer("driving", driving, persistent=False)
        self.register_buffer("narrow", (0.5**0.5 / sigma)[None, :, None], persistent=False)
        self.register_buffer("share", share[None, :, None], persistent=False)
        self.register_buffer("scaled_axis", (self.axis * (0.5**0.5 / sigma)[:, None])[None, :, None], persistent=False)  # 1, l, 1, 96
        self.register_buffer("contours", torch.tensor([INNER_UPPER, INNER_LOWER]), persistent=False)
        # Where colours are taken: half-way between two points each, in the middle of the lips and on skin.
        self.register_buffer("coloured", torch.tensor([LIP_OUTER_SIDE + SKIN, LIP_INNER_SIDE + SKIN]), persistent=False)
        lips, skin = len(LIP_OUTER_SIDE), len(SKIN)
        wide = torch.tensor([1.2] * lips + [2.5] * skin)
        self.register_buffer("colour_scale", (0.5**0.5 / wide)[:, None, None], persistent=False)
        of_lips, of_sides = torch.zeros(lips + skin, 1), torch.zeros(lips + skin, 2)
        of_lips[:lips] = 1 / lips
        of_sides[lips::2, 0] = of_sides[lips + 1 :: 2, 1] = 1  # SKIN goes right, left, right, ...
        self.register_buffer("of_lips", of_lips, persistent=False)
        self.register_buffer("of_sides", of_sides, persistent=False)
        # Rows of teeth, upper and lower: how `cavity` says.
        for name, rows in dict(
            growth=[0.42, 0.35], from_gap=[0.0, 4.0], longest=[5.0, 4.0], reach=[0.86, 0.7], light=[0.98, 0.6], lighter=[0.08, 0.0],
            shade=[0.25, 0.2], away_from_lip=[1.0, -1.0],
        ).items():  # fmt: skip
            self.register_buffer(f"teeth_{name}", torch.tensor(rows)[:, None], persistent=False)
        self.register_buffer("teeth_edges", torch.tensor([[0.0, 7.2, 13.0], [0.0, 4.6, 9.2]])[..., None], persistent=False)
        self.register_buffer("margins", torch.tensor([0.0, 0.0, 0.7, 1.2]).view(1, 4, 1, 1), persistent=False)

    def spread(self, at, move):
        """Displacements of the driving points spread over the picture, above and below: two [N, 2, 96, 96].

        Far from all points the flow falls to 0.
        """
        away = self.scaled_axis - (at * self.narrow)[..., None]  # N, l, 2, 96
        weight = torch.exp(-away * away)
        wx, wy = weight[:, :, 0], (weight[:, :, 1] * self.share).transpose(1, 2)
        moved = torch.cat([move, torch.ones_like(move[..., :1])], 2).transpose(1, 2)[:, :, None]  # N, 3, 1, l
        flows = []
        for part in (slice(0, self.split), slice(self.split, None)):
            total = (wy[:, None, :, part] * moved[..., part]) @ wx[:, None, part]
            flows.append(total[:, :2] / (total[:, 2:] + 0.02))
        return flows

    def mouths(self, points):
        """Inner contours over the columns, upper and lower, and which columns lie between the corners.

        points [N, M, L, 2] of M mouths -> [N, M, 2, 96] and [N, M, 96].
        """
        lips = points[:, :, self.contours]  # N, M, 2, 11, 2
        away = self.axis - lips[..., :1]
        weight = torch.softmax(away * away * (-0.5 / 2.2**2), -2)
        height = (weight * lips[..., 1:]).sum(-2)
        from_left, from_right = away[:, :, 0, 0], away[:, :, 0, -1]
        return height, torch.sigmoid(from_left / 0.8) * torch.sigmoid(from_right / -0.8)

    def bands(self, heights, margin, soft=0.5):
        """Soft masks of what lies between pairs of contours, plus a margin: [N, B, 2, 96] -> [N, B, 96, 96]."""
        y = (self.axis / soft)[:, None]
        low, high = (heights[:, :, :1] - margin) / soft, (heights[:, :, 1:] + margin) / soft
        return torch.sigmoid(y - low) * torch.sigmoid(high - y)

    def inside(self, points):
        """Soft mask of the inside of a mouth, 0 for a closed one: [N, L, 2] -> [N, 1, 96, 96]."""
        heights, between = self.mouths(points[:, None])
        open_ = between * ((heights[:, :, 1] - heights[:, :, 0]) / 1.5).clamp(0, 1)
        return self.bands(heights, 0.0) * open_[:, :, None]

    def colours(self, crop, source):
        """The picture's colours on the lips and on skin: [N, 3, points]."""
        at = source[:, self.coloured].mean(1)
        away = (self.axis - at[..., None]) * self.colour_scale
        weight = torch.exp(-away * away)  # N, P, 2, 96
        weight = weight / (weight.sum(-1, keepdim=True) + 1e-3)
        rows = crop @ weight[:, None, :, 0].transpose(2, 3)  # N, 3, 96, P
        return (rows * weight[:, None, :, 1].transpose(2, 3)).sum(2)

    def lit_skin(self, colours):
        """The colour of bare, lit skin at the right and at the left of the mouth: [N, 3, 2]."""
        lit = colours.mean(1, keepdim=True).clamp(min=0.02) ** self.LIT
        return (colours * lit) @ self.of_sides / (lit @ self.of_sides)

    def palette(self, crop, source):
        """Colours of the inside of this mouth: its lips', and its teeth's at the right and at the left end: [N, 3, 3]; and lit skin's, [N, 3, 2].

        Teeth take light and most of the hue of the skin beside them. A dark face is one in little light, or one of dark skin, whose
        lips are not darker than it; of the latter teeth are brighter.
        """
        colours = self.colours(crop, source)
        lips, sides = colours @ self.of_lips, self.lit_skin(colours)
        level = sides.mean(1, keepdim=True).clamp(min=0.02)
        ratio = lips.mean(1, keepdim=True) / level.mean(2, keepdim=True)
        paler = (self.TEETH_BY_LIPS * ratio * ratio).clamp(*self.TEETH_BY_SKIN)
        deep = lips * (lips / lips.amax(1, keepdim=True).clamp(min=0.02)) ** self.REDDER
        return torch.cat([deep, paler * (self.TEETH_HUE * sides + (1 - self.TEETH_HUE) * level)], 2), sides

    def cavity(self, target, heights):
        """What an open mouth shows, by rule: shares of the palette's three colours, [N, 3, 96, 96].

        Sizes in canonical pixels, of which one is about 1.15 mm. Upper teeth hang from behind the upper lip, which shades them, by 0.42 of the
        gap and at most 5 pixels; they are 7 to 6 pixels wide. From 4 pixels of gap on lower teeth stand up behind the lower lip, by 0.35 of what the
        gap has more and at most 4 pixels; they are smaller and darker. Both are less and darker towards the corners of the mouth. Small
        openings show none. Between them lies the tongue, which catches some light in a wide mouth; lips that touch let light through.
        Measured on the inside of wide open mouths (brightness sorted: 120 at the brightest, 82 median, 54 darkest of 255), and a
        little darker behind the teeth than that: a brighter inside is truer still, but face mesh and eye then take it for lips.
        """
        gap = heights[:, 1:] - heights[:, :1]  # N, 1, 96
        corners = target[:, self.contours[0], 0]
        left, right = corners[:, :1, None], corners[:, -1:, None]
        x = self.axis - 0.5 * (left + right)
        across = x / (0.5 * (right - left)).clamp(min=1)
        off_centre = (across * across).clamp(max=1)
        wide = (gap / 8).clamp(0, 1)

        # Both rows of teeth: how far they cover, and how bright.
        shorter = 1 - 0.3 * off_centre
        length = torch.minimum((self.teeth_growth * (gap - self.teeth_from_gap)).clamp(min=0), self.teeth_longest) * shorter
        there = torch.cat([(gap - 1) / 2, length[:, 1:]], 1).clamp(0, 1)
        within = torch.sigmoid(((self.teeth_reach - across.abs()) / 0.07).clamp(-20, 20)) * there
        from_lip = (self.axis[:, None] - heights[:, :, None]) * self.teeth_away_from_lip[..., None]  # N, 2, 96, 96: behind it
        shown = torch.sigmoid((length[:, :, None] - from_lip) / 0.6) * within[:, :, None]
        edge = (x.abs()[:, None] - self.teeth_edges) / 0.7
        light = (self.teeth_light + self.teeth_lighter * wide) * (1 - 0.6 * off_centre) * (1 - 0.08 * torch.exp(-edge * edge).sum(2))
        behind_lip = from_lip.clamp(min=0)
        bright = light[:, :, None] * (1 - self.teeth_shade[..., None] * torch.exp(-behind_lip * behind_lip)) * shown
        upper, lower = shown[:, :1], shown[:, 1:]
        seen_past = 1 - upper
        teeth = bright[:, :1] + bright[:, 1:] * seen_past

        depth = (from_lip[:, 1:] - length[:, 1:, None]) / (0.3 * gap.clamp(min=2))[:, :, None]
        tongue = (0.7 * wide * (1 - off_centre))[:, :, None] * torch.exp(-depth * depth)
        behind = (0.34 + tongue + (0.4 * (1 - (gap / 2).clamp(0, 1)))[:, :, None]) * seen_past * (1 - lower)
        leftwards = (0.5 + 0.5 * across).clamp(0, 1)[:, :, None]
        return torch.cat([behind, teeth * (1 - leftwards), teeth * leftwards], 1)

    def forward(self, source, target):
        points = torch.stack([target, source], 1)
        driving = points[:, :, self.driving]
        above, below = self.spread(driving[:, 0], driving[:, 1] - driving[:, 0])
        heights, between = self.mouths(points)
        height = heights[:, :1]
        gaps = heights[:, :, 1] - heights[:, :, 0]  # N, 2, 96
        gap = gaps[:, 0]
        middle = 0.5 * (height[:, :, 0] + height[:, :, 1])
        under = torch.sigmoid(self.axis[:, None] / 0.4 - (middle / 0.4)[:, :, None])
        flow = above + (below - above) * under
        # Where something is drawn: inside the wanted mouth, where stretching what is seen between the lips (up to STRETCH
        # times; the tracker sees CLOSED pixels between closed lips) would not fill it; and a line where lips that were open now meet.
        mean = (between * gaps).sum(2) / (between.sum(2) + 0.1)
        wanted, seen = mean[:, 0], (mean[:, 1] - CLOSED).clamp(min=0)
        hollow = ((wanted - STRETCH * seen - 0.5) / 1.5).clamp(0, 1)
        shut = (1.6 - wanted).clamp(0, 1) * (seen / 1.5).clamp(0, 1)
        open_ = (gaps / 1.5).clamp(0, 1)
        strength = between[:, :1] * torch.stack([hollow[:, None] * (gap / 1.2).clamp(0, 1), shut[:, None].expand_as(gap)], 1)
        strength = torch.cat([between * open_, strength], 1)  # N, 4, 96
        masks = self.bands(torch.cat([heights, height, height], 1), self.margins) * strength[:, :, None]
        inside_target, inside_source = masks[:, :1], masks[:, 1:2]
        allowed = torch.maximum(masks[:, 2:3], masks[:, 3:])
        return flow, torch.cat([inside_source, inside_target, under], 1), allowed, height[:, 0]


class Renderer(nn.Module):
    """crop [N, 3, 96, 96], source and target [N, 87, 2] -> flow [N, 2, 96, 96] in pixels, alpha [N, 1, ...], rgb [N, 3, ...]."""

    def __init__(self, widths=(16, 32, 48, 64, 96)):
        # Widths are multiples of 16: ONNX Runtime's fast kernels want that. Nothing is convolved at more than a quarter of the side,
        # where a channel costs 16 times less: a correction of the flow is smooth, and what is sharp comes from the geometry.
        super().__init__()
        self.geometry = Geometry()
        self.inner_mouth = None  # of one person (inner_mouth.py)
        w = widths
        self.enter = conv(3 + 5, w[0], 5, COARSER)
        self.down1 = nn.Sequential(conv(w[0], w[1], 3, 2), Residual(w[1]))
        self.down2 = nn.Sequential(conv(w[1], w[2], 3, 2), Residual(w[2]))
        self.down3 = nn.Sequential(conv(w[2], w[3], 3, 2), Residual(w[3]))
        self.vector = nn.Sequential(nn.Linear(COUNT * 4, 96), nn.ReLU(True), nn.Linear(96, 64))
        self.middle = nn.Sequential(conv(w[3] + 64, w[4]), Residual(w[4]))
        self.up2 = conv(w[4] + w[2], w[2])
        self.up1 = conv(w[2] + w[1], w[1])
        self.reduce = conv(w[1], w[0], 1)
        self.up0 = conv(2 * w[0], w[0])
        self.last = conv(w[0], w[0])
        self.out = nn.Conv2d(w[0], 2, 3, 1, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.register_buffer("window", border_window()[None, None], persistent=False)
        axis = torch.linspace(-1, 1, SIZE)
        # Bilinear or finer, as a matrix: two products of small matrices where a resize would work on padded channels.
        finer = F.interpolate(torch.eye(SIZE // COARSER)[None, None], size=(SIZE, SIZE // COARSER), mode="bicubic", align_corners=False)[0, 0]
        self.register_buffer("finer", finer, persistent=False)
        self.register_buffer("grid", torch.stack(torch.meshgrid(axis, axis, indexing="xy"))[None], persistent=False)

    def warp(self, picture, flow):
        """Backward warp of a full-size picture; flow in pixels."""
        grid = (self.grid + flow * (2 / (SIZE - 1))).permute(0, 2, 3, 1)
        return F.grid_sample(picture, grid, mode="bilinear", padding_mode="border", align_corners=True)

    def decode(self, y, x2, x1, x0):
        """What the picture adds to the geometry: [N, 2, 24, 24]."""
        y = self.up2(torch.cat([double(y), x2], 1))
        y = self.up1(torch.cat([double(y), x1], 1))
        return self.out(self.last(self.up0(torch.cat([double(self.reduce(y)), x0], 1))))

    def forward(self, crop, source, target):
        """flow, alpha, rgb. The geometry is kept out of autocast: pixels need more than bf16."""
        with torch.autocast(crop.device.type, enabled=False):
            flow0, masks, allowed, heights = self.geometry(source.float(), target.float())
            rgb = self.inside(crop.float(), source.float(), target.float(), heights)
        x0 = self.enter(torch.cat([crop * 2 - 1, flow0 / 8, masks], 1))
        x1 = self.down1(x0)
        x2 = self.down2(x1)
        x3 = self.down3(x2)
        shape = torch.cat([(source - 47.5) / 47.5, (source - target) / 8], 2).flatten(1)
        z = self.vector(shape)[:, :, None, None].expand(-1, -1, SIZE // COARSER // 8, SIZE // COARSER // 8)
        y = self.middle(torch.cat([x3, z], 1))
        drawn = self.finer @ self.decode(y, x2, x1, x0).float() @ self.finer.T
        flow = (flow0 + drawn) * self.window
        alpha = allowed * self.window
        return flow, alpha, rgb

    def inside(self, crop, source, target, heights):
        """The colours of the inside of the mouth, by rule or, as far as it was seen, this person's: [N, 3, 96, 96]."""
        (palette, skin), shares = self.geometry.palette(crop, source), self.geometry.cavity(target, heights)
        rgb = (palette @ shares.flatten(2)).clamp(0, 1).view_as(crop)
        if self.inner_mouth is None:
            return rgb
        return self.inner_mouth(rgb, skin.mean(2)[..., None, None], target, heights)


# --- data ---------------------------------------------------------------------------------------------------------


class Pairs:
    """Random pairs of frames of one clip, jittered and recoloured alike; of nobody more than CLIPS_A_PERSON clips."""

    def __init__(self, folder, names, seed=0):
        self.random = np.random.default_rng(seed)
        self.clips, self.people = [], {}
        for name in names:
            if len(self.people.get(prepare.speaker(name), ())) == CLIPS_A_PERSON:
                continue
            with np.load(folder / f"{name}.npz") as z:
                points = z["points"][:, geometry.LANDMARKS]
                self.people.setdefault(prepare.speaker(name), []).append(len(self.clips))
                self.clips.append((z["crops"], points, np.argsort(geometry.opening(points))))
        self.names = sorted(self.people)
        share = np.array([len(self.people[p]) ** 0.4 for p in self.names])
        self.share = share / share.sum()

    def frames(self, order):
        """Two frame numbers: half of the time of very different opening."""
        n, r = len(order), self.random
        a, b = r.integers(n), r.integers(n)
        if r.random() < 0.5:
            a = order[int(n * r.random() ** 2)]  # tends to be closed
            b = order[n - 1 - int(n * r.random() ** 1.5)]  # tends to be open
            if r.random() < 0.4:
                a, b = b, a
        return a, b

    def batch(self, size, jitter=True):
        """crops A, B [N, 3, 96, 96] and their landmarks [N, 87, 2]."""
        r, rows = self.random, []
        for _ in range(size):
            clip = r.choice(self.people[self.names[r.choice(len(self.names), p=self.share)]])
            crops, points, order = self.clips[clip]
            a, b = self.frames(order)
            rows.append((crops[a], crops[b], points[a], points[b]))
        a, b, pa, pb = (np.stack(v) for v in zip(*rows))
        both = torch.from_numpy(np.concatenate([a, b])).permute(0, 3, 1, 2).float() / 255
        points = np.concatenate([pa, pb]).astype(np.float32)
        if jitter:
            both, points = self.move(both, points)
            both = self.recolour(both)
        else:
            m = prepare.MARGIN
            both = both[:, :, m : m + SIZE, m : m + SIZE]
        points = torch.from_numpy(points)
        return both[:size].contiguous(), both[size:].contiguous(), points[:size], points[size:]

    def move(self, both, points):
        """Mirror, scale, turn, stretch and shift both pictures of a pair alike; cut 96 from 128."""
        r, n = self.random, len(both) // 2
        scale = 1 + r.uniform(-0.08, 0.08, n)
        aspect = 1 + r.uniform(-0.05, 0.10, n)  # GRID's pixels are 16:15
        angle = r.normal(0, 4, n).clip(-10, 10) * np.pi / 180
        shift = r.normal(0, 1.5, (n, 2)).clip(-4, 4)
        flip = np.where(r.random(n) < 0.5, -1.0, 1.0)
        c, s = np.cos(angle), np.sin(angle)
        turn = np.stack([np.stack([c, -s], 1), np.stack([s, c], 1)], 1)
        stretch = np.zeros((n, 2, 2))
        stretch[:, 0, 0], stretch[:, 1, 1] = flip * scale * aspect, scale
        forward = np.concatenate([turn @ stretch] * 2)  # new = forward (old - centre) + centre + shift
        shift = np.concatenate([shift] * 2)
        centre = (SIZE - 1) / 2
        moved = (points - centre) @ forward.transpose(0, 2, 1) + centre + shift[:, None]
        mirrored = np.concatenate([flip] * 2) < 0
        moved[mirrored] = moved[mirrored][:, geometry.MIRROR]
        back = np.linalg.inv(forward)
        axis = np.arange(SIZE) - centre
        grid = np.stack(np.meshgrid(axis, axis), -1)[None] - shift[:, None, None]
        grid = np.einsum("nij,nhwj->nhwi", back, grid) / ((prepare.CROP - 1) / 2)
        both = F.grid_sample(both, torch.from_numpy(grid.astype(np.float32)), padding_mode="border", align_corners=True)
        return both, moved.astype(np.float32)

    def recolour(self, both):
        """Other light, other skin, grey pictures, soft and noisy cameras: the same for both pictures of a pair."""
        n = len(both) // 2

        def twice(values):
            return torch.cat([values, values])

        rand = torch.rand
        gain = twice(1 + 0.5 * (rand(n, 1, 1, 1) - 0.5) + 0.4 * (rand(n, 3, 1, 1) - 0.5))
        offset = twice(0.2 * (rand(n, 1, 1, 1) - 0.5))
        gamma = twice(torch.exp(0.5 * (rand(n, 1, 1, 1) - 0.5)))
        grey = twice((rand(n, 1, 1, 1) < 0.08).float() + (rand(n, 1, 1, 1) < 0.4).float() * rand(n, 1, 1, 1) * 0.6).clamp(0, 1)
        both = both.clamp(1e-3, 1) ** gamma * gain + offset
        both = both + grey * (both.mean(1, keepdim=True) - both)
        if self.random.random() < 0.2:
            both = F.avg_pool2d(F.pad(both, (1, 1, 1, 1), mode="replicate"), 3, 1)
        return both.clamp(0, 1)


# --- training -----------------------------------------------------------------------------------------------------


def dx(x):
    return x[..., 1:] - x[..., :-1]


def dy(x):
    return x[..., 1:, :] - x[..., :-1, :]


def sample(field, points):
    """A field [N, C, 96, 96] at points [N, L, 2]: [N, L, C]."""
    grid = (points / (SIZE - 1) * 2 - 1)[:, :, None]
    return F.grid_sample(field, grid, align_corners=True)[..., 0].transpose(1, 2)


def mouth_weight(network, target):
    """1 everywhere, 7 round the wanted mouth: [N, 1, 96, 96]."""
    centre = (target[:, : 40].amax(1) + target[:, : 40].amin(1)) / 2 / (SIZE - 1) * 2 - 1
    reach = torch.tensor([0.40, 0.30], device=target.device).view(1, 2, 1, 1)
    far = ((network.grid - centre[:, :, None, None]) / reach).square().sum(1, keepdim=True)
    return 1 + 6 * torch.exp(-far)


def losses(network, a, b, source, target, truth):
    """The terms of the loss. `truth` are the landmarks of B as measured, `target` what the network is told."""
    with torch.autocast(a.device.type, torch.bfloat16):
        flow, alpha, rgb = network(a.contiguous(memory_format=torch.channels_last), source, target)
    warped = network.warp(a, flow)
    out = warped * (1 - alpha) + rgb * alpha
    with torch.no_grad():
        hidden = network.geometry.inside(truth)
    weight = mouth_weight(network, truth) * network.window
    inside = (truth.sub(47.5).abs() < 38).all(2).float()[..., None]
    return dict(
        picture=((out - b).abs() * weight).mean(),
        gradient=((dx(out) - dx(b)).abs() * weight[..., 1:]).mean() + ((dy(out) - dy(b)).abs() * weight[..., 1:, :]).mean(),
        warped=((warped - b).abs() * weight * (1 - hidden)).mean(),
        points=((sample(flow, target) - (source - target)) * inside).abs().mean(),
        smooth=(dx(flow).abs().mean() + dy(flow).abs().mean()),
    )


WEIGHTS = dict(picture=1.0, gradient=1.0, warped=0.4, points=0.03, smooth=0.01)


def tell(points_a, points_b):
    """What the network is told at training time: noisy landmarks, and now and then closed lips said to be quite closed."""
    source = points_a + 0.25 * torch.randn_like(points_a)
    target = points_b + 0.25 * torch.randn_like(points_b)
    shut = (geometry.opening(points_b) < 1.3) & (torch.rand(len(points_b)) < 0.6)
    if shut.any():
        target[shut] = torch.from_numpy(geometry.close_lips(target[shut].numpy()))
    return source, target


class Average:
    """Exponential moving average of a network's weights and statistics."""

    def __init__(self, network, decay=0.998):
        self.decay, self.count = decay, 0
        self.state = {k: v.detach().clone() for k, v in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network):
        self.count += 1
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        for key, value in network.state_dict().items():
            if value.dtype.is_floating_point:
                self.state[key].lerp_(value, 1 - decay)
            else:
                self.state[key].copy_(value)


@torch.no_grad()
def validate(network, pairs):
    """Mean of mouth-weighted error, the same for the untouched frame, and the flow's error at the landmarks."""
    network.eval()
    error, still, points, count = 0.0, 0.0, 0.0, 0
    for a, b, la, lb in pairs:
        flow, alpha, rgb = network(a, la, lb)
        warped = network.warp(a, flow)
        weight = mouth_weight(network, lb) - 1
        out = warped * (1 - alpha) + rgb * alpha
        error += float(((out - b).abs() * weight).mean())
        still += float(((a - b).abs() * weight).mean())
        points += float((sample(flow, lb) - (la - lb))[:, :40].abs().mean())
        count += 1
    network.train()
    return error / count, still / count, points / count


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder that prepare.py wrote")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for checkpoints")
    parser.add_argument("--steps", type=int, default=3000, help="the learning rate falls over them")
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    arguments.out.mkdir(parents=True, exist_ok=True)
    checkpoint = arguments.out / "renderer.pt"
    names = prepare.split(p.stem for p in arguments.data.glob("*.npz"))
    training = Pairs(arguments.data, names["train"])
    unseen = Pairs(arguments.data, names["unseen"], seed=1)
    device = torch.device(arguments.device)
    fixed = [[v.to(device) for v in unseen.batch(16, jitter=False)] for _ in range(6)]
    network = Renderer().to(device, memory_format=torch.channels_last)
    average, judge = Average(network), Renderer().to(device)
    optimiser = torch.optim.AdamW(network.parameters(), arguments.rate, weight_decay=1e-3)
    step, sums, start = 0, {}, time.time()
    if arguments.resume and checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True, map_location=device)
        network.load_state_dict(saved["raw"])
        optimiser.load_state_dict(saved["optimiser"])
        average.state, average.count, step = saved["average"], saved["step"], saved["step"]
    print(f"{len(training.clips)} clips, {sum(p.numel() for p in network.parameters())} parameters", flush=True)
    while step < arguments.steps:
        for group in optimiser.param_groups:
            group["lr"] = arguments.rate * min(1, (step + 1) / 100) * max(0.03, 1 - step / arguments.steps)
        a, b, la, lb = training.batch(arguments.batch)
        source, target = tell(la, lb)
        terms = losses(network, *(v.to(device) for v in (a, b, source, target, lb)))
        loss = sum(WEIGHTS[k] * v for k, v in terms.items())
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        average.update(network)
        step += 1
        for key, value in terms.items():
            sums[key] = sums.get(key, 0) + value.detach()
        if step % 200 == 0 or step == arguments.steps:
            means = " ".join(f"{k} {v.item() / (step % 200 or 200):.4f}" for k, v in sums.items())
            print(f"{step} {time.time() - start:.0f}s {means}", flush=True)
            sums = {}
            judge.load_state_dict(average.state)
            error, still, points = validate(judge, fixed)
            print(f"  unseen people: error {error:.4f} (untouched {still:.4f}), flow at the lips off by {points:.2f} px", flush=True)
            saved = dict(raw=network.state_dict(), average=average.state, optimiser=optimiser.state_dict(), step=step)
            torch.save(saved, checkpoint)


if __name__ == "__main__":
    main()
