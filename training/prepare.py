"""Turn a folder of talking-head clips into training data: tracked, canonically aligned crops, mesh points, mel.

    python training/prepare.py --clips CLIPS [MORE] --models models --out DATA

Writes one DATA/<clip>.npz for each usable clip and, at the end, DATA/sync.json.

    crops   uint8   [T, 128, 128, 3]  RGB at canonical scale; the canonical picture lies MARGIN pixels inside it
    points  float32 [T, 468, 2]       mesh points in canonical pixels (0..95 is inside)
    matrix  float64 [T, 2, 3]         picture pixels -> canonical pixels, smoothed over 5 frames
    sound   float32 [S]               the clip's sound at 16 kHz
    mel     float32 [80, C]           mel.py of it
    fps     float64                   frames a second; frame i starts at i / fps

A clip is dropped, with a message, if a frame has no face, if the face jumps, or if it has no sound.

sync.json holds for each speaker how much later the sound is than the picture, in seconds, relative to the median speaker:
a ridge regression from mel to lip opening is fitted on all the other speakers, then shifted against this one's mouth.
"""

import argparse
import concurrent.futures
import json
import pathlib
import subprocess

import cv2
import numpy as np

import geometry
import mel
from faces import FaceTracker

MARGIN = 16
CROP = geometry.SIZE + 2 * MARGIN
#: A face whose alignment moves further than this between frames (canonical pixels) was mistracked.
JUMP = 12.0
#: Which names of clips show the same person (seen by eye): each is called as the corpus calls him, where that is known.
SAME_PERSON = {
    "x17": "s2", "x21": "s2", "x16": "s4", "x20": "s26", "x05": "s30", "x07": "s30", "x09": "s30", "x11": "s30", "x19": "s32",
    "x04": "s33", "x08": "s33", "x10": "s33", "id23": "x15",
}
#: People that neither the renderer nor the sync judge is trained on.
JUDGED = ("s31", "x12", "s2", "s32")
#: Of the speakers with many clips every twelfth is held out as well.
HELD_EVERY = 12
SYNC_RANGE = 0.32  # seconds
SYNC_STEP = 0.01


def speaker(name):
    """The person in a clip: `s1_bbaf2n` -> `s1`, `x21` -> `s2`."""
    first = pathlib.Path(name).stem.split("_")[0]
    return SAME_PERSON.get(first, first)


def clips(folders):
    """The clips in the folders, each name once: where two have the same, the one of the earlier folder."""
    found = {p.stem: p for folder in reversed(folders) for p in folder.iterdir() if p.suffix in (".mkv", ".mp4", ".mpg", ".avi", ".mov")}
    return [found[stem] for stem in sorted(found)]


def split(names, left_out=JUDGED):
    """Clip names -> dict of `train`, `held` (known people, other clips) and `unseen` (the people `left_out`)."""
    parts = {"train": [], "held": [], "unseen": []}
    seen = {}
    for name in sorted(names):
        person = speaker(name)
        seen[person] = seen.get(person, 0) + 1
        if person in left_out:
            parts["unseen"].append(name)
        elif person in ("s1", "s4") and seen[person] % HELD_EVERY == 0:
            parts["held"].append(name)
        else:
            parts["train"].append(name)
    return parts


def read_frames(path):
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        ok, frame = capture.read()
        if not ok:
            return frames, capture.get(cv2.CAP_PROP_FPS)
        frames.append(frame)


def read_sound(path):
    """Mono samples at 16 kHz."""
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-ac", "1", "-ar", str(mel.SAMPLE_RATE), "-f", "f32le", "-"]
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.float32)


def smooth(matrices, width=5):
    """Moving average of the alignment over time: the trackers' noise, not the head's motion."""
    half = width // 2
    padded = np.pad(matrices, ((half, half), (0, 0), (0, 0)), "edge")
    return sum(padded[i : i + len(matrices)] for i in range(width)) / width


def crop(frame, matrix, margin=MARGIN):
    """The canonical picture with a margin round it, RGB. Shrinks with an area filter where the frame is larger."""
    size = geometry.SIZE + 2 * margin
    scale = np.hypot(matrix[0, 0], matrix[1, 0])
    shift = np.array([[0, 0, margin], [0, 0, margin]])
    factor = int(1 / scale) if scale < 1 else 1  # whole factor by which the frame is finer
    if factor > 1:
        fine = (matrix + shift) * factor
        fine[:, 2] += (factor - 1) / 2  # centre of the first coarse pixel in fine pixels
        picture = cv2.warpAffine(frame, fine, (size * factor, size * factor), borderMode=cv2.BORDER_REPLICATE)
        picture = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    else:
        picture = cv2.warpAffine(frame, matrix + shift, (size, size), borderMode=cv2.BORDER_REPLICATE)
    return picture[:, :, ::-1]


def prepare(path, tracker):
    """The arrays of one clip, or a string that says why it is dropped."""
    frames, fps = read_frames(path)
    if len(frames) < 25:
        return f"only {len(frames)} frames"
    meshes = tracker.track(frames)
    lost = sum(m is None for m in meshes)
    if lost:
        return f"no face in {lost} of {len(frames)} frames"
    meshes = np.array(meshes)
    matrices = np.array([geometry.fit_face(m) for m in meshes])
    centre = np.array([47.5, 47.5])
    step = [np.linalg.norm(geometry.apply(b, geometry.apply(geometry.invert(a), centre)) - centre)
            for a, b in zip(matrices, matrices[1:])]  # fmt: skip
    if max(step) > JUMP:
        return f"the face jumps by {max(step):.1f} pixels"
    matrices = smooth(matrices)
    sound = read_sound(path)
    if len(sound) < mel.SAMPLE_RATE:
        return "no sound"
    return dict(
        crops=np.stack([crop(f, m) for f, m in zip(frames, matrices)]),
        points=np.stack([geometry.apply(m, p) for m, p in zip(matrices, meshes)]).astype(np.float32),
        matrix=matrices,
        sound=sound,
        mel=mel.melspectrogram(sound),
        fps=fps,
    )


def work(job):
    """Prepare a share of the clips in one process."""
    paths, models, out = job
    cv2.setNumThreads(1)
    tracker = FaceTracker(models)
    for path in paths:
        target = out / f"{path.stem}.npz"
        if target.exists():
            continue
        arrays = prepare(path, tracker)
        if isinstance(arrays, str):
            print(f"dropped {path.name}: {arrays}", flush=True)
        else:
            np.savez(target, **arrays)


# --- sync ---------------------------------------------------------------------------------------------------------


def mel_windows(spectrum, times, columns=24):
    """Mel windows centred on the given times, edges repeated: [T, 80 * columns / 2] (pairs of columns averaged)."""
    first = np.round(np.asarray(times) * mel.COLUMNS_PER_SECOND).astype(int) - columns // 2
    index = np.clip(first[:, None] + np.arange(columns), 0, spectrum.shape[1] - 1)
    windows = spectrum[:, index].transpose(1, 0, 2)
    return windows.reshape(len(times), 80, columns // 2, 2).mean(3).reshape(len(times), -1)


def estimate_sync(folder):
    """How much later than the median speaker's each speaker's sound is, in seconds: speaker -> offset."""
    clips = {}
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as z:
            points = z["points"][:, geometry.LANDMARKS]
            gap = geometry.opening(points)
            times = (np.arange(len(gap)) + 0.5) / float(z["fps"])
            clips.setdefault(speaker(path.stem), []).append((z["mel"], times, (gap - gap.mean()) / (gap.std() + 1e-3)))
    offsets = {s: 0.0 for s in clips}
    if len(clips) < 2:
        return offsets  # nobody to compare with
    shifts = np.arange(-SYNC_RANGE, SYNC_RANGE + 1e-9, SYNC_STEP)
    for _ in range(2):  # the second round fits on corrected speakers
        found = {}
        for s, cs in clips.items():
            others = [(o, c) for o in clips if o != s for c in clips[o][:20]]
            x = np.concatenate([mel_windows(m, t + offsets[o]) for o, (m, t, _) in others])
            y = np.concatenate([g for _, (_, _, g) in others])
            mean = x.mean(0)
            gram = (x - mean).T @ (x - mean)
            weights = np.linalg.solve(gram + 0.2 * len(x) * np.eye(len(gram)), (x - mean).T @ y)
            curve = [
                np.mean([np.corrcoef((mel_windows(m, t + d) - mean) @ weights, g)[0, 1] for m, t, g in cs[:20]])
                for d in shifts
            ]
            found[s] = float(shifts[int(np.argmax(curve))])
            print(f"  {s}: {found[s] * 1000:+.0f} ms, correlation {max(curve):.2f} (unshifted {np.interp(0, shifts, curve):.2f})")
        middle = float(np.median(list(found.values())))
        offsets = {s: round(o - middle, 3) for s, o in found.items()}
        print(f"  median speaker: {middle * 1000:+.0f} ms", flush=True)
    return offsets


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clips", type=pathlib.Path, nargs="+", required=True, help="folders of clips (any container); of two with one name the first counts")
    parser.add_argument("--models", type=pathlib.Path, required=True, help="folder with face_detector.onnx and face_mesh.onnx")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for the .npz files")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    paths = clips(arguments.clips)
    jobs = [(paths[i :: arguments.jobs], arguments.models, arguments.out) for i in range(arguments.jobs)]
    with concurrent.futures.ProcessPoolExecutor(arguments.jobs) as pool:
        list(pool.map(work, jobs))
    done = sorted(arguments.out.glob("*.npz"))
    for part, names in split(p.stem for p in done).items():
        people = sorted({speaker(n) for n in names})
        print(f"{part}: {len(names)} clips of {len(people)} people: {' '.join(people)}")
    (arguments.out / "sync.json").write_text(json.dumps(estimate_sync(arguments.out), indent=1) + "\n")


if __name__ == "__main__":
    main()
