"""Where eyes, nose tip and mouth lie in the box round the face mesh, on real clips: the ground for `docs/models.md`.

    python training/measure_crop.py CLIP...

prints means and deviations over the clips' middle frames, the same shares in the crop of wav2lip-onnx-HQ (its FFHQ points in
the 176 x 132 rows and columns that it cuts out), and the `crop.margins` that bring the mesh's box to that crop.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from faces import FaceTracker

#: Mesh points: corners of both eyes, tip of the nose, corners of the mouth (right before left in the person's own sense).
EYES, NOSE, MOUTH = ((33, 133), (263, 362)), 4, (61, 291)
#: The same five points in wav2lip-onnx-HQ's aligned picture of 256 pixels, and the crop x0, y0, width, height in it.
TEMPLATE = np.array(
    [[192.98138, 239.94708], [318.90277, 240.19366], [256.63416, 314.01935], [201.26117, 371.41043], [313.08905, 371.15118]]
) / 2
CROP = np.array([[62, 65], [132, 176]])


def middle(path):
    video = cv2.VideoCapture(str(path))
    frames = []
    while (read := video.read())[0]:
        frames.append(read[1])
    return frames[len(frames) // 2] if frames else None


def main():
    tracker = FaceTracker(Path(__file__).resolve().parents[1] / "models")
    shares, aspects, margins = [], [], []
    wanted = (TEMPLATE - CROP[0]) / CROP[1]
    for path in sys.argv[1:]:
        frame = middle(path)
        mesh = None if frame is None else tracker.first(frame)
        if mesh is None:
            print(f"{path}: no face")
            continue
        low, high = mesh.min(0), mesh.max(0)
        points = np.array([*(mesh[list(eye)].mean(0) for eye in EYES), mesh[NOSE], *mesh[list(MOUTH)]])
        share = (points - low) / (high - low)
        shares.append(share)
        aspects.append((high - low)[0] / (high - low)[1])
        # share = start + wanted * length, by least squares: the crop in units of the mesh's box.
        lines = [np.polyfit(wanted[:, axis], share[:, axis], 1) for axis in (1, 0)]
        margins.append([side for length, start in lines for side in (-start, start + length - 1)])
    print(f"{len(shares)} faces, width / height {np.mean(aspects):.3f} +- {np.std(aspects):.3f}")
    mean, spread = np.mean(shares, 0), np.std(shares, 0)
    for name, found, deviation, other in zip(("right eye", "left eye", "nose tip", "mouth", "mouth"), mean, spread, wanted):
        here = ", ".join(f"{axis} {found[i]:.3f} +- {deviation[i]:.3f}" for i, axis in enumerate("xy"))
        print(f"{name:10} {here}; wav2lip-onnx-HQ {other[0]:.3f}, {other[1]:.3f}")
    fit = " ".join(f"{a:+.3f} +- {b:.3f}" for a, b in zip(np.mean(margins, 0), np.std(margins, 0)))
    print("margins top, bottom, left, right to that crop:", fit)


if __name__ == "__main__":
    main()
