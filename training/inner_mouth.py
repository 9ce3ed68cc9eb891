"""The inside of one person's mouth, as a clip has shown it: what `cavity` of renderer.py draws by rule for people that nobody knows.

Two pictures, averaged over frames with an open mouth: the upper teeth lie still in canonical space, as the skull does; the lower ones
move with the chin. Colours are kept as shares of the lit skin's, so they follow the light. Where the clip has shown nothing, the rule stays.
"""

import numpy as np
import torch
from torch import nn

import geometry

SIZE = geometry.SIZE
#: Points of the chin, which the lower teeth follow.
CHIN = [geometry.INDEX[p] for p in (199, 175, 152, 148, 377, 176, 400)]
#: A mouth is open from so many canonical pixels on.
OPEN = 2.5
#: Lips are kept out of the pictures by so many pixels.
LIP_MARGIN = 0.8
#: As many frames must have shown a pixel to count as much as the rule.
TRUSTED = 2.0


class InnerMouth(nn.Module):
    """Colours by rule -> this person's: rgb [N, 3, 96, 96], as far as the person's mouth was seen."""

    def __init__(self):
        super().__init__()
        # in both: the sum over frames of a pixel's colour / that of lit skin, and of the weights it was seen with
        self.register_buffer("upper", torch.zeros(1, 4, SIZE, SIZE))
        self.register_buffer("lower", torch.zeros(1, 4, SIZE, SIZE))
        self.register_buffer("chin", torch.zeros(1))  # y of a closed mouth's
        self.register_buffer("axis", torch.arange(SIZE).float(), persistent=False)

    def dropped(self, points):
        """By how many pixels the chin is lower than a closed mouth's: [N, L, 2] -> [N]."""
        return points[:, CHIN, 1].mean(1) - self.chin

    def moved(self, picture, down):
        """A picture moved down by `down` [N] pixels."""
        rows = (1 - (self.axis[:, None] - down[:, None, None] - self.axis).abs()).clamp(min=0)
        return rows[:, None] @ picture

    def shares(self, heights):
        """How much each of the two pictures counts, from lip to lip: two [N, 1, 96, 96] of the inner contours' heights [N, 2, 96]."""
        top, bottom = heights[:, :1, None], heights[:, 1:, None]
        down = ((self.axis[:, None] - top) / (bottom - top).clamp(min=0.5)).clamp(0, 1)
        return (1 - down) ** 2, down**2

    def forward(self, rgb, light, target, heights):
        """light: the colour of lit skin, [N, 3, 1, 1]; target: the wanted landmarks; heights: of its inner contours, [N, 2, 96]."""
        of_upper, of_lower = self.shares(heights)
        seen = self.upper * of_upper + self.moved(self.lower, self.dropped(target)) * of_lower
        return ((light * seen[:, :3] + TRUSTED * rgb) / (seen[:, 3:] + TRUSTED)).clamp(0, 1)

    @torch.no_grad()
    def learn(self, network_geometry, crop, points):
        """Add frames: crop [N, 3, 96, 96] with landmarks [N, L, 2]; `network_geometry` is the renderer's."""
        heights, between = network_geometry.mouths(points[:, None])
        heights = heights[:, 0]
        open_ = ((heights[:, 1] - heights[:, 0]).amax(1) > OPEN).float()[:, None, None, None]
        seen = network_geometry.bands(heights[:, None], -LIP_MARGIN) * between[:, :, None] * open_
        light = network_geometry.lit_skin(network_geometry.colours(crop, points)).mean(2)[..., None, None]
        coloured = torch.cat([crop / light.clamp(min=0.02), torch.ones_like(seen)], 1) * seen
        of_upper, of_lower = self.shares(heights)
        self.upper += (coloured * of_upper).sum(0, keepdim=True)
        self.lower += self.moved(coloured * of_lower, -self.dropped(points)).sum(0, keepdim=True)


def of(takes, network_geometry, margin, most=64):
    """The InnerMouth of a person's takes (person.py), whose crops have a margin of so many pixels."""
    mouth = InnerMouth()
    mouth.chin.fill_(float(np.mean([take.rest[CHIN, 1].mean() for take in takes])))
    for take in takes:
        for first in range(0, len(take.points), most):
            crops = take.crops[first : first + most, margin:-margin, margin:-margin]
            points = torch.from_numpy(take.points[first : first + most]).float()
            mouth.learn(network_geometry, torch.from_numpy(crops.copy()).permute(0, 3, 1, 2).float() / 255, points)
    return mouth
