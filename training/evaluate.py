"""The figures of the built-in generator, end to end through the exported ONNX files, on people never trained on.

    python training/evaluate.py --clips CLIPS [MORE] --data DATA --models models --builtin FOLDS/<fold> --people s31 x02 [--sheets FOLDER]

The shipped audio2mouth knows everybody in DATA: the figures are those of strangers if FOLDS/<fold> is the folder of a fold (folds.py) and
the people are the ones whom that fold left out. The renderer does not know prepare.JUDGED.

For every clip of these people, three times: the first frame frozen, the frames shifted by 1.2 s (the mouth says other
words), and the first frame under digital silence. The true sound drives the mouth; the output frames are measured by the
face mesh again, from scratch, and compared with the mesh of the real frames. Every person counts once.

The sync judge (judge.py), which knows neither these people nor the generator, then says for the real frames, for both outputs and
for what went in: how far mouth and sound are apart, how sure that is, and at which offset. Beside them, for scale: the real frames
with another person's sound, and a mouth that does not move.

The plugin's own evaluation (cargo xtask eval) prints the same figures through the real element; this one is the
reference in Python: alignment smoothed over 5 frames, rest mouth = the most closed fifth of the frames so far, closed.
"""

import argparse
import pathlib
import time

import cv2
import numpy as np

import audio2mouth
import geometry
import judge
import prepare
from compose import Mouth
from faces import FaceTracker

SHIFT_SECONDS = 1.2
FACE_WIDTH = 119.0  # canonical pixels between 234 and 454
LIPS = 40
#: An inner-lip gap that counts as open, beyond the same person's closed mouth, in canonical pixels.
OPEN = 1.5


def canonical(meshes):
    """Landmarks in canonical space, aligned frame by frame: [T, L, 2]."""
    return np.stack([geometry.apply(geometry.fit_face(m), m)[geometry.LANDMARKS] for m in meshes])


def sharpness(frame, matrix):
    """Gradient energy of the mouth region at the frame's own resolution."""
    centre = geometry.apply(geometry.invert(matrix), np.array([47.5, 36.0]))
    scale = 1 / np.hypot(matrix[0, 0], matrix[1, 0])
    low = np.maximum((centre - np.array([26, 16]) * scale).astype(int), 0)
    high = (centre + np.array([26, 20]) * scale).astype(int)
    grey = cv2.cvtColor(frame[low[1] : high[1], low[0] : high[0]], cv2.COLOR_BGR2GRAY).astype(np.float32)
    return float(np.mean(np.diff(grey, axis=0)[:, 1:] ** 2 + np.diff(grey, axis=1)[1:] ** 2))


def best_lag(a, b, reach=10):
    """Frames by which a comes after b."""
    scores = []
    for d in range(-reach, reach + 1):
        x, y = (a[d:], b[: len(b) - d]) if d >= 0 else (a[:d], b[-d:])
        scores.append(np.corrcoef(x, y)[0, 1])
    return int(np.argmax(scores)) - reach


class Clip:
    """A clip's frames, its tracked face and its sound."""

    def __init__(self, clips, data, name):
        path = next(p for p in prepare.clips(clips) if p.stem == name)
        self.frames, self.fps = prepare.read_frames(path)
        with np.load(data / f"{name}.npz") as z:
            self.matrix, self.mel = z["matrix"], z["mel"]
            points = z["points"][:, geometry.LANDMARKS]
        self.points = points  # aligned by the smoothed matrix
        meshes = np.stack([geometry.apply(geometry.invert(m), p) for m, p in zip(self.matrix, points)])
        self.meshes = meshes
        self.times = np.arange(len(self.frames)) / self.fps


def rerender(mouth, clip, order, displacement):
    """Output frames: source frame order[i] with the mouth of displacement[i]."""
    output, history = [], []
    for i, j in enumerate(order):
        history.append(clip.points[j])
        rest = mouth.at_rest(np.stack(history[-250:]))
        output.append(mouth.draw(clip.frames[j], clip.matrix[j], clip.points[j], rest + displacement[i]))
    return output


def watch(tracker, frames):
    meshes = tracker.track(frames)
    lost = sum(m is None for m in meshes)
    if lost:
        raise SystemExit(f"the mesh lost the face in {lost} output frames")
    return meshes


def measure(tracker, frames):
    """Landmarks in canonical space, as the mesh sees them."""
    return canonical(watch(tracker, frames))


def lower_faces(tracker, frames):
    """Luma of the lower face, as the judge is shown it: [T, 96, 96]."""
    matrices = prepare.smooth(np.stack([geometry.fit_face(m) for m in watch(tracker, frames)]))
    return np.stack([prepare.crop(f, m, 0) @ judge.LUMA for f, m in zip(frames, matrices)])


def judged(watcher, tracker, clip, outputs, foreign):
    """What the sync judge says of the clip, of the generator's outputs and of what went in: (name of the row, figure) -> value."""
    n = len(clip.frames)
    real = lower_faces(tracker, clip.frames)
    faces = {"real": real, "frozen mouth": real[np.zeros(n, int)], "shifted source": real[shifted_order(clip)]}
    faces |= {f"{name} output": lower_faces(tracker, frames) for name, frames in outputs.items()}
    heard = watcher.hear(clip.mel, n)
    pairs = {name: (watcher.see(face), heard) for name, face in faces.items()}
    pairs["another person's sound"] = (pairs["real"][0], watcher.hear(foreign.mel, n))
    row = {}
    for name, (seen, sound) in pairs.items():
        found = judge.judgement(judge.curve(seen, sound))
        for figure, value in zip(("distance", "confidence", "offset"), found):
            row[f"judge, {name}", figure] = value
        row[f"judge, {name}", "offset beyond 1 frame, %"] = 100.0 * (abs(found[2]) > 1)
    return row


def shifted_order(clip):
    """Frames that say other words: which frame is seen when."""
    n = len(clip.frames)
    return (np.arange(n) + round(SHIFT_SECONDS * clip.fps)) % n


def evaluate_clip(mouth, tracker, clip):
    n = len(clip.frames)
    moved = mouth.displacement(audio2mouth.windows(clip.mel, clip.times))
    real = measure(tracker, clip.frames)
    truth = geometry.opening(real)
    closed = np.quantile(truth, 0.1)
    row, kept = {}, {}
    orders = {"frozen": np.zeros(n, int), "shifted": shifted_order(clip)}
    for name, order in orders.items():
        output = rerender(mouth, clip, order, moved)
        points = measure(tracker, output)
        gap = geometry.opening(points)
        base = real[order]  # the source, untouched
        row[name, "correlation"] = np.corrcoef(gap, truth)[0, 1]
        row[name, "amplitude"] = gap.std() / truth.std()
        row[name, "lag"] = best_lag(gap, truth)
        error = np.linalg.norm(points - real, axis=2)[:, :LIPS].mean() / FACE_WIDTH
        row[name, "distance"] = error / (np.linalg.norm(base - real, axis=2)[:, :LIPS].mean() / FACE_WIDTH)
        row[name, "distance of width"] = error
        row[name, "sharpness"] = np.mean([sharpness(o, clip.matrix[j]) for o, j in zip(output, order)]) / np.mean(
            [sharpness(clip.frames[j], clip.matrix[j]) for j in order]
        )
        row[name, "source correlation"] = np.corrcoef(geometry.opening(base), truth)[0, 1] if name == "shifted" else 0.0
        kept[name] = output
    silent = mouth.displacement(np.full((n, 80, audio2mouth.COLUMNS), -4.0, np.float32))
    output = rerender(mouth, clip, orders["shifted"], silent)
    gap = geometry.opening(measure(tracker, output))
    row["silence", "open %"] = 100 * np.mean(gap > closed + OPEN)
    row["silence", "mean gap - closed"] = gap.mean() - closed
    row["silence", "source open %"] = 100 * np.mean(truth > closed + OPEN)
    return row, kept


def cost(mouth, runs=200):
    """Median milliseconds of each network, one frame, one thread."""
    random = np.random.default_rng(0)
    fed = {
        "audio2mouth": (mouth.audio2mouth, dict(mel=random.uniform(-4, 4, (1, 1, 80, audio2mouth.COLUMNS)))),
        "renderer": (
            mouth.renderer,
            dict(crop=random.random((1, 3, 96, 96)), source=random.uniform(20, 70, (1, geometry.COUNT, 2)),
                 target=random.uniform(20, 70, (1, geometry.COUNT, 2))),
        ),
    }  # fmt: skip
    found = {}
    for name, (network, inputs) in fed.items():
        inputs = {k: v.astype(np.float32) for k, v in inputs.items()}
        times = []
        for _ in range(runs):
            start = time.perf_counter()
            network.run(None, inputs)
            times.append(1000 * (time.perf_counter() - start))
        found[name] = (float(np.median(times)), min(times))
    return found


def sheet(clip, kept, columns=9, side=200):
    """Rows: real, frozen, shifted source, shifted output. Columns: frames over time."""
    pick = np.linspace(8, len(clip.frames) - 8, columns).astype(int)
    n = len(clip.frames)
    order = shifted_order(clip)
    rows = []
    for frames, at in ((clip.frames, np.arange(n)), (kept["frozen"], np.zeros(n, int)),
                       ([clip.frames[j] for j in order], order), (kept["shifted"], order)):  # fmt: skip
        cells = []
        for i in pick:
            inverse = geometry.invert(clip.matrix[at[i]])
            low, high = geometry.apply(inverse, np.array([[0.0, -8], [95, 87]])).astype(int)
            cells.append(cv2.resize(frames[i][low[1] : high[1], low[0] : high[0]], (side, side), interpolation=cv2.INTER_CUBIC))
        rows.append(np.hstack(cells))
    return np.vstack(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clips", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder that prepare.py wrote")
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--builtin", type=pathlib.Path, help="folder of audio2mouth.onnx and renderer.onnx, if elsewhere")
    parser.add_argument("--judge", type=pathlib.Path, help="folder of the sync judge, if elsewhere than in --models")
    parser.add_argument("--people", nargs="+", default=prepare.JUDGED,
                        help="the sync judge does not know the default ones: what it says means something on them only")  # fmt: skip
    parser.add_argument("--each", type=int, default=3, help="at most so many clips of one person")
    parser.add_argument("--sheets", type=pathlib.Path, help="folder for pictures to look at")
    arguments = parser.parse_args()
    mouth = Mouth(arguments.builtin or arguments.models / "builtin")
    tracker = FaceTracker(arguments.models)
    watcher = judge.Judge(arguments.judge or arguments.models / "judge")
    names = prepare.split((p.stem for p in arguments.data.glob("*.npz")), arguments.people)["unseen"]
    people = {}
    for name in names:
        people.setdefault(prepare.speaker(name), []).append(name)
    table = {}
    order = list(people)
    for person, clips in people.items():
        stranger = people[order[order.index(person) - 1]][0]
        for name in clips[: arguments.each]:
            clip, foreign = (Clip(arguments.clips, arguments.data, n) for n in (name, stranger))
            row, kept = evaluate_clip(mouth, tracker, clip)
            row |= judged(watcher, tracker, clip, kept, foreign)
            table.setdefault(person, []).append(row)
            print(f"{name}: " + " ".join(f"{k} {row[k, 'correlation']:.2f}/{row[k, 'amplitude']:.2f}/{row[k, 'lag']:+d}" for k in ("frozen", "shifted"))
                  + f" silence open {row['silence', 'open %']:.0f} %"
                  + " judge " + " ".join(f"{k} {row[f'judge, {k}', 'distance']:.2f}/{row[f'judge, {k}', 'offset']:+d}" for k in ("real", "frozen output", "shifted output")), flush=True)  # fmt: skip
            if arguments.sheets:
                arguments.sheets.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(arguments.sheets / f"{name}.png"), sheet(clip, kept))
    each = {k: np.array([np.mean([r[k] for r in rows]) for rows in table.values()]) for k in next(iter(table.values()))[0]}
    print("\n| figure | mean of people | " + " | ".join(table) + " |\n|" + " --- |" * (len(table) + 2))
    for (part, figure), values in each.items():
        print(f"| {part}: {figure} | {values.mean():.3f} | " + " | ".join(f"{v:.3f}" for v in values) + " |")
    for name, (median, least) in cost(mouth).items():
        print(f"| cost: {name}, ms, one thread | {median:.2f} (least {least:.2f}) |" + " |" * len(table))


if __name__ == "__main__":
    main()
