"""What would a better audio2mouth bring? The renderer is driven with the truth, or with parts of it.

    python training/oracle.py --clips CLIPS --data DATA --models models

Measured as evaluate.py measures: correlation and amplitude of the opening, landmark distance / that of the source's mouth, on people
never trained on, each counting once. The true movement is the landmarks minus the clip's own closed rest mouth, known from the whole
clip; the plugin estimates that rest mouth from the frames so far, which for a frozen source is one.
"""

import argparse
import pathlib

import numpy as np

import audio2mouth
import evaluate
import geometry
import prepare
from compose import Mouth
from faces import FaceTracker


def shapes(clip, drawn):
    """Name -> (movement, rest mouth or None where it is estimated) for each frame of the clip."""
    rest = geometry.rest_mouth(clip.points)
    moved = clip.points - rest
    opened = drawn.copy()
    missing = np.maximum(geometry.gaps(moved), 0) - geometry.gaps(drawn)
    opened[..., 1] -= geometry.CLOSE_WEIGHT * missing[:, geometry.CLOSE_PAIR]
    return {
        "network": (drawn, None),
        "network, its opening the true one": (opened, None),
        "network, on the true rest mouth": (drawn, rest),
        "true movement": (moved, None),
        "true landmarks": (moved, rest),
    }


def draw(mouth, clip, order, moved, rest):
    if rest is None:
        return evaluate.rerender(mouth, clip, order, moved)
    return [mouth.draw(clip.frames[j], clip.matrix[j], clip.points[j], rest + m) for j, m in zip(order, moved)]


def figures(tracker, clip, real, frames, order):
    points = evaluate.measure(tracker, frames)
    gap, truth = geometry.opening(points), geometry.opening(real)
    lips = slice(audio2mouth.LIPS)
    distance = np.linalg.norm(points - real, axis=2)[:, lips].mean() / np.linalg.norm(real[order] - real, axis=2)[:, lips].mean()
    return np.corrcoef(gap, truth)[0, 1], gap.std() / truth.std(), distance


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clips", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder that prepare.py wrote")
    parser.add_argument("--models", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    mouth, tracker = Mouth(arguments.models / "builtin"), FaceTracker(arguments.models)
    table = {}
    for name in prepare.split(p.stem for p in arguments.data.glob("*.npz"))["unseen"]:
        clip = evaluate.Clip(arguments.clips, arguments.data, name)
        real = evaluate.measure(tracker, clip.frames)
        drawn = mouth.displacement(audio2mouth.windows(clip.mel, clip.times))
        orders = {"frozen": np.zeros(len(real), int), "shifted": evaluate.shifted_order(clip)}
        for shape, (moved, rest) in shapes(clip, drawn).items():
            for source, order in orders.items():
                found = figures(tracker, clip, real, draw(mouth, clip, order, moved, rest), order)
                table.setdefault((shape, source), {}).setdefault(prepare.speaker(name), []).append(found)
        print(name, flush=True)
    for (shape, source), people in table.items():
        mean = np.mean([np.mean(rows, 0) for rows in people.values()], 0)
        print(f"{shape:36s} {source:8s} correlation {mean[0]:.2f}  amplitude {mean[1]:.2f}  landmark distance {mean[2]:.2f}")


if __name__ == "__main__":
    main()
