"""Where points 1, 31 and 52 of the 110 landmarks lie in terms of the face mesh: the ground for `docs/models.md`.

    python training/measure_landmarks.py LANDMARKS... CLIP...

LANDMARKS: files of 110 lines `x y` (SyncTalk_2D's `.lms`), or of 220 numbers (its `mean_face.txt`). CLIP: videos of other people,
whose middle frames are looked at. Both are laid over each other by eyes and mouth: the origin lies between the eyes, x is in
distances between the eyes, y in distances from the eyes to the mouth. Prints where the landmarks and the mesh points lie.
"""

import sys
from pathlib import Path

import numpy as np

from faces import FaceTracker
from measure_crop import middle

#: Corners of the eyes (of each eye two) and of the mouth, among the 110 and in the mesh.
LANDMARK_EYES, LANDMARK_MOUTH = ((66, 70), (82, 78)), (90, 96)
MESH_EYES, MESH_MOUTH = ((33, 133), (362, 263)), (61, 291)
#: What core/src/families/redraw/face_box.rs takes for points 1, 31 and 52, and what else could be taken.
CANDIDATES = {"1, x": (0, 1, [(127,), (234,), (93,)]), "31, x": (0, 31, [(356,), (454,), (323,)]),
              "52, y": (1, 52, [(5, 195), (5,), (195,), (4,)])}  # fmt: skip


def normalised(points, eyes, mouth):
    right, left = (points[list(eye)].mean(0) for eye in eyes)
    origin = (right + left) / 2
    axes = np.stack([left - right, points[list(mouth)].mean(0) - origin], 1)
    return np.linalg.solve(axes, (points - origin).T).T


def main():
    tracker = FaceTracker(Path(__file__).resolve().parents[1] / "models")
    landmarks, meshes = [], []
    for path in sys.argv[1:]:
        if Path(path).suffix in (".lms", ".txt"):
            points = np.array(Path(path).read_text().split(), float).reshape(110, 2)
            landmarks.append(normalised(points, LANDMARK_EYES, LANDMARK_MOUTH))
            continue
        frame = middle(path)
        mesh = None if frame is None else tracker.first(frame)
        if mesh is None:
            print(f"{path}: no face")
        else:
            meshes.append(normalised(mesh, MESH_EYES, MESH_MOUTH))
    landmarks, meshes = np.array(landmarks), np.array(meshes)
    print(f"{len(landmarks)} sets of landmarks, {len(meshes)} meshes")

    def show(name, values):
        print(f"  {name:12} {np.mean(values):+.3f} +- {np.std(values):.3f}")

    for name, (axis, landmark, candidates) in CANDIDATES.items():
        print(f"landmark {name}")
        show("landmarks", landmarks[:, landmark, axis])
        for points in candidates:
            show("mesh " + ", ".join(map(str, points)), meshes[:, points, axis].mean(1))
    print("width of the square")
    show("landmarks", landmarks[:, 31, 0] - landmarks[:, 1, 0])
    for right, left in ((127, 356), (234, 454)):
        show(f"mesh {right}, {left}", meshes[:, left, 0] - meshes[:, right, 0])


if __name__ == "__main__":
    main()
