"""Apply the renderer to a frame at its own resolution, the way the plugin does (the reference for its pixels).

The canonical crop is cut from the frame, the network runs on it, and its flow, alpha and RGB are carried back to the
frame's own grid. Only flow, alpha and RGB are enlarged; every pixel outside the inner mouth is one of the frame's own, moved.
"""

import pathlib

import cv2
import numpy as np

import geometry
import prepare
import rest
from faces import session


def carried(field, x, y, interpolation):
    """A canonical field [96, 96, C] at canonical coordinates."""
    return cv2.remap(field, x, y, interpolation, borderMode=cv2.BORDER_REPLICATE)


def compose(frame, matrix, flow, alpha, rgb):
    """The BGR frame with its mouth redrawn. flow [2, 96, 96], alpha [1, 96, 96], rgb [3, 96, 96]; matrix: frame -> canonical."""
    back = geometry.invert(matrix)
    last = geometry.SIZE - 1
    corners = geometry.apply(back, np.array([[0, 0], [last, 0], [0, last], [last, last]], float))
    low = np.maximum(np.floor(corners.min(0)).astype(int), 0)
    high = np.minimum(np.ceil(corners.max(0)).astype(int) + 1, frame.shape[1::-1])
    x, y = np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1]))
    at = geometry.apply(matrix, np.stack([x, y], -1).astype(float))
    cx, cy = at[..., 0].astype(np.float32), at[..., 1].astype(np.float32)
    inside = (cx >= 0) & (cx <= last) & (cy >= 0) & (cy <= last)
    moved = carried(flow.transpose(1, 2, 0), cx, cy, cv2.INTER_LINEAR) @ back[:, :2].T.astype(np.float32)
    sx, sy = (x + moved[..., 0]).astype(np.float32), (y + moved[..., 1]).astype(np.float32)
    warped = cv2.remap(frame, sx, sy, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    drawn = carried(rgb[::-1].transpose(1, 2, 0).copy(), cx, cy, cv2.INTER_CUBIC).clip(0, 1) * 255
    cover = carried(alpha.transpose(1, 2, 0).copy(), cx, cy, cv2.INTER_LINEAR).reshape(cx.shape)[..., None]
    result = warped * (1 - cover) + drawn * cover
    still = (np.abs(moved).max(2) < 1e-3) & (cover[..., 0] < 1e-4) | ~inside
    result[still] = frame[low[1] : high[1], low[0] : high[0]][still]
    output = frame.copy()
    output[low[1] : high[1], low[0] : high[0]] = result.round().clip(0, 255).astype(np.uint8)
    return output


class Mouth:
    """The two exported networks, run one frame at a time, and their manifest's rest mouth."""

    def __init__(self, folder):
        folder = pathlib.Path(folder)
        self.audio2mouth = session(folder / "audio2mouth.onnx")
        self.renderer = session(folder / "renderer.onnx")
        self.relaxing = rest.Relaxing.read(folder)

    def displacement(self, windows):
        """[T, 80, W] -> [T, L, 2]."""
        return self.audio2mouth.run(["displacement"], {"mel": windows[:, None]})[0]

    def at_rest(self, points):
        """The rest mouth of one person, as far as the frames so far tell: [T, L, 2] -> [L, 2]."""
        closed = geometry.rest_mouth(points)
        return closed + self.relaxing.shift(closed)

    def draw(self, frame, matrix, source, target):
        """The frame with the mouth `target` in place of the mouth `source` (canonical points)."""
        crop = prepare.crop(frame, matrix, 0).astype(np.float32).transpose(2, 0, 1)[None] / 255
        fed = dict(crop=crop, source=source[None].astype(np.float32), target=target[None].astype(np.float32))
        flow, alpha, rgb = self.renderer.run(["flow", "alpha", "rgb"], fed)
        return compose(frame, matrix, flow[0], alpha[0], rgb[0])
