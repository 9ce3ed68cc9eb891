"""What a glimpse of a mouth tells about the same mouth at rest: a mouth pulled wide was smiling or speaking.

From the width of a mouth and the height of its corners follows by ridge regression how far its closed lips lie from the rest mouth
(geometry.rest_mouth). Learnt from people, each counting once; the plugin mirrors `shift` (core/src/families/warp/rest_mouth.rs) and reads
the table from the manifest. What is the same for all mouths is left to audio2mouth.habit: a mouth like the mean one is at rest as it is seen.
"""

import dataclasses
import pathlib
import tomllib

import numpy as np

import geometry

#: Strength of the ridge, in square pixels. People left out are met best by 0.5 to 2, a few hundredths worse by 6 and 20.
RIDGE = 2.0
#: How an open mouth counts beside a closed one: as in the plugin's running estimate.
OPEN_WEIGHT, OPEN_GAP = 0.05, 0.08
#: The share of what was seen that counts as unusual, at either end. A painted mouth, say, may be as small as none of them.
UNUSUAL = 0.05
RIGHT, LEFT = geometry.INDEX[61], geometry.INDEX[291]


def seen(points):
    """Width of the mouth and y of its corners: [..., L, 2] -> [..., 2]."""
    right, left = points[..., RIGHT, :], points[..., LEFT, :]
    return np.stack([left[..., 0] - right[..., 0], (left[..., 1] + right[..., 1]) / 2], -1)


@dataclasses.dataclass
class Relaxing:
    mean: np.ndarray  # [2]
    range: np.ndarray  # [2, 2]: the least and the most; what is seen beyond is taken for these
    slopes: np.ndarray  # [2, L, 2]: pixels by which landmarks move for each that a mouth is wider, or its corners lower

    def shift(self, points):
        """How far the landmarks of a mouth lie from those of the same mouth at rest, beside its open lips: [..., L, 2] -> [..., L, 2]."""
        return np.tensordot(np.clip(seen(points), *self.range.T) - self.mean, self.slopes, 1)

    @staticmethod
    def none():
        return Relaxing(np.zeros(2), np.zeros((2, 2)), np.zeros((2, geometry.COUNT, 2)))

    @staticmethod
    def read(folder):
        """The table of the manifest in `folder`."""
        table = tomllib.loads((pathlib.Path(folder) / "manifest.toml").read_text()).get("rest")
        if table is None:
            return Relaxing.none()
        return Relaxing(np.array(table["mean"]), np.array(table["range"]), np.array([table["width"], table["height"]]))


def fit(clips):
    """The Relaxing of people, from clips of audio2mouth.py."""
    found, missing, weight = [], [], []
    frames = {c.person: 0.0 for c in clips}
    for c in clips:
        points = c.raw + c.rest
        gap = np.maximum(geometry.gaps(points), 0).mean(1) / np.maximum(seen(points)[:, 0], 1)
        counts = OPEN_WEIGHT + (1 - OPEN_WEIGHT) * np.exp(-((gap / OPEN_GAP) ** 2))
        frames[c.person] += counts.sum()
        found.append(seen(points))
        missing.append((c.rest - geometry.close_lips(points)).reshape(len(points), -1))
        weight.append(counts)
    weight = np.concatenate([w / frames[c.person] for w, c in zip(weight, clips)]) / len(frames)
    found, missing = np.concatenate(found).astype(np.float64), np.concatenate(missing).astype(np.float64)
    mean = weight @ found
    x, y = found - mean, missing - weight @ missing
    slopes = np.linalg.solve((x * weight[:, None]).T @ x + RIDGE * np.eye(2), (x * weight[:, None]).T @ y)
    slopes = slopes.reshape(2, geometry.COUNT, 2)
    mirrored = slopes[:, geometry.MIRROR] * (-1, 1)
    slopes = (slopes + mirrored) / 2  # neither side of a face is the wider one
    together = slopes[:, [geometry.UPPER, geometry.LOWER], 1].mean(1)  # lips that touch go on touching
    slopes[:, geometry.UPPER, 1] = slopes[:, geometry.LOWER, 1] = together
    return Relaxing(mean, np.array([usual(values, weight) for values in found.T]), slopes)


def usual(values, weight):
    """The least and the most of values, but for UNUSUAL of their weight at either end."""
    order = np.argsort(values)
    below = np.cumsum(weight[order]) / weight.sum()
    return [values[order][np.searchsorted(below, share)] for share in (UNUSUAL, 1 - UNUSUAL)]
