"""Find a face in a picture and follow it: the two ONNX face networks, run the way the plugin runs them.

detect(picture) -> box and points of the best face; FaceTracker.track(pictures) -> 468 mesh points per picture.
Knows nothing about the canonical face (geometry.py) or about training data (prepare.py).
"""

import pathlib

import cv2
import numpy as np
import onnxruntime

DETECTOR_SIZE = 128
MESH_SIZE = 192
ROI_SCALE = 1.5  # the mesh looks at a square of 1.5 times the face (MediaPipe face_landmark_front)
SCORE = 0.5
#: Outer corners of the eyes, which give the roll of the head.
EYE_RIGHT, EYE_LEFT = 33, 263


def session(path, threads=1):
    """An ONNX Runtime session on the CPU with a fixed number of threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def anchors():
    """Centres of BlazeFace's 896 anchors, 0..1: 2 per cell of 16x16, then 6 per cell of 8x8."""
    rows = []
    for cells, count in ((16, 2), (8, 6)):
        y, x = np.mgrid[:cells, :cells]
        centres = np.stack([x.ravel() + 0.5, y.ravel() + 0.5], 1) / cells
        rows.append(centres.repeat(count, 0))
    return np.concatenate(rows).astype(np.float32)


class FaceTracker:
    """Detects once, then follows the mesh from picture to picture; detects again when the mesh is lost."""

    def __init__(self, models):
        models = pathlib.Path(models)
        self.detector = session(models / "face_detector.onnx")
        self.mesh_network = session(models / "face_mesh.onnx")
        self.anchors = anchors()

    def detect(self, picture):
        """Region of the best face in a BGR picture: (centre, side, angle), or None."""
        height, width = picture.shape[:2]
        side = max(height, width)
        top, left = (side - height) // 2, (side - width) // 2
        square = np.zeros((side, side, 3), np.uint8)
        square[top : top + height, left : left + width] = picture
        small = cv2.resize(square, (DETECTOR_SIZE, DETECTOR_SIZE), interpolation=cv2.INTER_AREA)
        image = small[:, :, ::-1].astype(np.float32).transpose(2, 0, 1)[None] / 127.5 - 1
        boxes, scores = self.detector.run(None, {"image": image})
        best = scores[0].argmax()
        if scores[0, best] < SCORE:
            return None
        box = boxes[0, best] / DETECTOR_SIZE
        points = box[4:].reshape(6, 2) + self.anchors[best]
        eyes = (points[1] - points[0]) * side
        centre = (box[:2] + self.anchors[best]) * side - (left, top)
        return centre, max(box[2:4]) * side * ROI_SCALE, float(np.arctan2(eyes[1], eyes[0]))

    def mesh(self, picture, region):
        """468 mesh points in picture pixels and the face's probability."""
        centre, side, angle = region
        cos, sin = np.cos(angle), np.sin(angle)
        affine = np.array([[cos, sin, 0], [-sin, cos, 0]]) * (MESH_SIZE / side)
        affine[:, 2] = (MESH_SIZE - 1) / 2 - affine[:, :2] @ centre
        square = cv2.warpAffine(picture, affine, (MESH_SIZE, MESH_SIZE), flags=cv2.INTER_LINEAR)
        image = square[:, :, ::-1].astype(np.float32).transpose(2, 0, 1)[None] / 255
        points, score = self.mesh_network.run(None, {"image": image})
        inverse = cv2.invertAffineTransform(affine)
        return points[0, :, :2] @ inverse[:, :2].T + inverse[:, 2], float(score[0])

    @staticmethod
    def region(points):
        """Where to look in the next picture: the mesh's bounding square, turned with the eyes."""
        eyes = points[EYE_LEFT] - points[EYE_RIGHT]
        angle = float(np.arctan2(eyes[1], eyes[0]))
        cos, sin = np.cos(angle), np.sin(angle)
        turned = points @ np.array([[cos, -sin], [sin, cos]])  # into the head's own axes
        low, high = turned.min(0), turned.max(0)
        centre = np.array([[cos, -sin], [sin, cos]]) @ ((low + high) / 2)
        return centre, float(max(high - low)) * ROI_SCALE, angle

    def first(self, picture):
        """Mesh of a picture with no history: detect, mesh, and mesh again from the better region. None: no face."""
        region = self.detect(picture)
        if region is None:
            return None
        points, score = self.mesh(picture, region)
        if score < SCORE:
            return None
        points, score = self.mesh(picture, self.region(points))
        return points if score >= SCORE else None

    def track(self, pictures):
        """One [468, 2] array per picture, None where no face was found."""
        found, last = [], None
        for picture in pictures:
            if last is not None:
                last, score = self.mesh(picture, self.region(last))
                if score < SCORE:
                    last = None
            if last is None:
                last = self.first(picture)
            found.append(last)
        return found
