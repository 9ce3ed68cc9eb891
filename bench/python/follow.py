"""Finds and follows the face as a Python program would do it with this project's networks: OpenCV cuts, ONNX Runtime runs.

    follower = Follower("wav2lip", threads=2)
    x0, y0, x1, y1 = follower.box(frame)

The same work as the plugin's: the mesh in every frame, in the square that the mesh of the frame before gives, and the detector on
the whole frame every twelfth time. No smoothing, no watch for cuts.
"""

from pathlib import Path

import cv2
import numpy as np

from pipeline import open_session

MODELS = Path(__file__).resolve().parents[2] / "models"
DETECT_INTERVAL = 12
DETECTOR_SIZE, MESH_SIZE = 128, 192
#: The mesh network looks at a square of this many times the face.
MARGIN = 1.5
EYE_CORNERS = [33, 263]
#: Wav2Lip's `pads`: pixels below the face. Points of the mesh where landmarks 1, 31 and 52 are.
BELOW, LEFT, RIGHT, BRIDGE = 10, 127, 356, 195


def session(name, threads, provider):
    network = open_session(MODELS / name, threads, provider)
    image = network.get_inputs()[0].name
    return lambda tensor: network.run(None, {image: tensor})


def anchors():
    grids = []
    for cells, count in [(16, 2), (8, 6)]:
        y, x = np.mgrid[0:cells, 0:cells]
        centres = np.stack([x, y], -1).reshape(-1, 2) + 0.5
        grids.append(np.repeat(centres / cells, count, axis=0))
    return np.concatenate(grids)


def tensor(bgr, scale, bias):
    rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype(np.float32) * scale + bias
    return np.ascontiguousarray(rgb.transpose(2, 0, 1))[None]


def square_round(points):
    """Centre, side and angle of the square round points, turned with the eyes."""
    across = points[EYE_CORNERS[1]] - points[EYE_CORNERS[0]]
    angle = np.arctan2(across[1], across[0])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    turned = points @ turn.T
    low, high = turned.min(0), turned.max(0)
    return (low + high) / 2 @ turn, (high - low).max() * MARGIN, angle


class Follower:
    def __init__(self, family, threads=0, provider="cpu"):
        self.family = family
        self.detect, self.mesh = (session(name, threads, provider) for name in ("face_detector.onnx", "face_mesh.onnx"))
        self.anchors = anchors()
        self.region, self.frames = None, 0

    def box(self, frame):
        """Where the family cuts, in whole pixels of the frame."""
        if self.region is None or self.frames % DETECT_INTERVAL == 0:
            found = self.find(frame)
            if self.region is None:
                # A first look for a better square.
                self.region = square_round(self.look(frame, found))
        self.frames += 1
        points = self.look(frame, self.region)
        self.region = square_round(points)
        (x0, y0), (x1, y1) = points.min(0), points.max(0) + [0, BELOW]
        if self.family == "unet":
            x0, x1, y0 = points[LEFT][0], points[RIGHT][0], points[BRIDGE][1]
            y1 = y0 + x1 - x0
        height, width = frame.shape[:2]
        return [int(min(max(v, 0), most)) for v, most in zip((x0, y0, x1, y1), (width, height, width, height))]

    def find(self, frame):
        """The square round the surest face."""
        height, width = frame.shape[:2]
        scale = DETECTOR_SIZE / max(height, width)
        small = cv2.resize(frame, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
        seen = np.zeros((DETECTOR_SIZE, DETECTOR_SIZE, 3), np.uint8)
        top, left = ((DETECTOR_SIZE - side) // 2 for side in small.shape[:2])
        seen[top : top + small.shape[0], left : left + small.shape[1]] = small
        numbers, scores = self.detect(tensor(seen, 1 / 127.5, -1))
        best = int(scores[0].argmax())
        if scores[0, best] < 0.5:
            raise SystemExit("no face in a frame")
        places = numbers[0, best].reshape(-1, 2)
        centre, right, left_eye = (places[i] + self.anchors[best] * DETECTOR_SIZE for i in (0, 2, 3))
        across = left_eye - right
        side = places[1].max() / scale * MARGIN
        return (centre - [left, top]) / scale, side, np.arctan2(across[1], across[0])

    def look(self, frame, region):
        """The mesh's points `[468, 2]` in the frame."""
        centre, side, angle = region
        a, c = np.cos(angle) * side / MESH_SIZE, np.sin(angle) * side / MESH_SIZE
        linear = np.array([[a, -c], [c, a]])
        to_frame = np.column_stack([linear, centre - linear @ np.full(2, (MESH_SIZE - 1) / 2)])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        seen = cv2.warpAffine(frame, to_frame, (MESH_SIZE, MESH_SIZE), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        points = self.mesh(tensor(seen, 1 / 255, 0))[0][0, :, :2]
        return points @ linear.T + to_frame[:, 2]
