"""How well a mouth and a sound go together: the exported sync judge at work, and how far it can be trusted.

    python training/judge.py --data DATA [--judge models/judge] [--people s31 x12 ...]

Prints the figures of the judge on real clips of people that neither it nor the generator was trained on: in sync, with the sound
moved by known offsets, with another clip's sound, with a mouth that does not move.

Windows (SyncNet's: 5 frames at 25 a second, 0.2 s of sound)
    `frames [N, 5, 96, 96]`: luma of the canonical lower face (geometry.py), 0..255 or any other scale, frames i-2 .. i+2.
    `mel [N, 1, 80, 16]`: mel.py; the first column is round((i - 2) / 25 * 80).

A judgement (SyncNet's definitions)
    distance    the least, over the offsets -15..15, of the mean L2 distance over the clip's windows (0..2)
    confidence  median over the offsets - that least
    offset      where it is least: frames by which the sound comes late
All offsets are measured on the same windows of the picture, those whose sound lies beside the picture at every offset; SyncNet
pads with zeros instead. tools/src/judge.rs does the same in Rust.
"""

import argparse
import pathlib

import numpy as np

import geometry
import mel
import prepare
from faces import session

FPS = 25
FRAMES = 5
COLUMNS = 16
REACH = 15
LUMA = np.array([0.299, 0.587, 0.114])
#: Windows of the short pieces: half a second of frames.
PIECE = 12


def sound_windows(spectrum, frames):
    """Mel windows [N, 1, 80, 16] round the given frames; outside the clip there is silence."""
    first = np.round((np.asarray(frames) - FRAMES // 2) / FPS * mel.COLUMNS_PER_SECOND).astype(int)
    index = first[:, None] + np.arange(COLUMNS)
    found = spectrum[:, np.clip(index, 0, spectrum.shape[1] - 1)].transpose(1, 0, 2)
    outside = (index < 0) | (index >= spectrum.shape[1])
    return np.where(outside[:, None], -4.0, found).astype(np.float32)[:, None]


class Judge:
    """The two exported networks."""

    def __init__(self, folder):
        folder = pathlib.Path(folder)
        self.mouth, self.sound = session(folder / "mouth.onnx"), session(folder / "sound.onnx")

    def see(self, pictures):
        """Luma [T, 96, 96] -> embeddings [T - 4, E] of frames 2 .. T - 3."""
        windows = np.lib.stride_tricks.sliding_window_view(pictures, FRAMES, 0).transpose(0, 3, 1, 2)
        return self.mouth.run(None, {"frames": windows.astype(np.float32)})[0]

    def hear(self, spectrum, count):
        """Embeddings of the sound beside `count` frames, REACH more on either side: [count - 4 + 2 * REACH, E]."""
        centres = np.arange(FRAMES // 2 - REACH, count - FRAMES // 2 + REACH)
        return self.sound.run(None, {"mel": sound_windows(spectrum, centres)})[0]


def luma(crops):
    """RGB crops [T, 128, 128, 3] with their margin -> [T, 96, 96]."""
    inside = slice(prepare.MARGIN, prepare.MARGIN + geometry.SIZE)
    return crops[:, inside, inside] @ LUMA


def curve(seen, heard):
    """Mean distance at each offset."""
    at = np.arange(REACH, min(len(seen), len(heard) - 2 * REACH) - REACH)
    return np.array([np.linalg.norm(seen[at] - heard[at + shift], axis=1).mean() for shift in range(2 * REACH + 1)])


def judgement(distances):
    """distance, confidence, offset."""
    least = int(distances.argmin())
    return float(distances[least]), float(np.median(distances) - distances[least]), least - REACH


# --- how far it can be trusted ------------------------------------------------------------------------------------


def later(sound, frames):
    """The sound so many frames later, or earlier if negative; silence where there is none."""
    shift = round(frames / FPS * mel.SAMPLE_RATE)
    moved = np.zeros_like(sound)
    if shift >= 0:
        moved[shift:] = sound[: len(sound) - shift]
    else:
        moved[:shift] = sound[-shift:]
    return moved


def area_under_curve(small, large):
    """Share of pairs in which the value of `small` is less than that of `large`; one half is chance."""
    small, large = np.asarray(small)[:, None], np.asarray(large)[None]
    return float((small < large).mean() + 0.5 * (small == large).mean())


def examine(judge, clips):
    """Everything measured on real clips [(name, luma, sound)]: a row for each."""
    seen = [judge.see(pictures) for _, pictures, _ in clips]
    heard = [judge.hear(mel.melspectrogram(sound), len(pictures)) for _, pictures, sound in clips]
    rows = []
    for i, (name, pictures, sound) in enumerate(clips):
        own = curve(seen[i], heard[i])
        still = judge.see(pictures[np.zeros(len(pictures), int)])
        others = [curve(seen[i], heard[j]) for j in range(len(clips)) if j != i]
        missed = []
        for frames in [*range(-10, 0), *range(1, 11)]:
            moved = judge.hear(mel.melspectrogram(later(sound, frames)), len(pictures))
            missed.append(judgement(curve(seen[i], moved))[2] - frames)
        beside, away = [], []
        for first in range(REACH, len(seen[i]) - REACH - PIECE + 1, PIECE // 2):
            at = np.arange(first, first + PIECE)
            apart = {d: np.linalg.norm(seen[i][at] - heard[i][at + REACH + d], axis=1).mean() for d in (-10, -6, 0, 6, 10)}
            beside.append(apart.pop(0))
            away += apart.values()
        rows.append(
            dict(
                name=name, own=own, others=others, still=judgement(curve(still, heard[i])),
                missed=np.abs(missed), beside=beside, away=away,
            )
        )  # fmt: skip
    return rows


def figures(rows):
    """Rows of one person -> figure: value."""
    own = [judgement(r["own"]) for r in rows]
    other = [judgement(c) for r in rows for c in r["others"]]
    missed = np.concatenate([r["missed"] for r in rows])
    zero = [r["own"][REACH] for r in rows]
    zero_of_others = [c[REACH] for r in rows for c in r["others"]]
    return {
        "offset in sync within 1 frame": np.mean([abs(o) <= 1 for _, _, o in own]),
        "offset of 1 to 10 frames found within 1": np.mean(missed <= 1),
        "offset of 1 to 10 frames found exactly": np.mean(missed == 0),
        "distance, own sound": np.mean([d for d, _, _ in own]),
        "distance, another clip's sound": np.mean([d for d, _, _ in other]),
        "distance, frozen mouth": np.mean([r["still"][0] for r in rows]),
        "distance at offset 0, own sound": np.mean(zero),
        "distance at offset 0, another clip's": np.mean(zero_of_others),
        "confidence, own sound": np.mean([c for _, c, _ in own]),
        "confidence, another clip's sound": np.mean([c for _, c, _ in other]),
        "confidence, frozen mouth": np.mean([r["still"][1] for r in rows]),
        "AUC by distance, own against another clip's": area_under_curve([d for d, _, _ in own], [d for d, _, _ in other]),
        "AUC by confidence": area_under_curve([-c for _, c, _ in own], [-c for _, c, _ in other]),
        "AUC by distance at offset 0": area_under_curve(zero, zero_of_others),
        "AUC of half a second: in sync, 6 or 10 off": area_under_curve(
            [v for r in rows for v in r["beside"]], [v for r in rows for v in r["away"]]
        ),
    }


def load(path):
    """A clip that prepare.py wrote: name, luma, sound."""
    with np.load(path) as z:
        if abs(float(z["fps"]) - FPS) > 0.01:
            raise SystemExit(f"{path} has {float(z['fps'])} frames a second, not {FPS}")
        return path.stem, luma(z["crops"]), z["sound"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder that prepare.py wrote")
    parser.add_argument("--judge", type=pathlib.Path, default=pathlib.Path("models/judge"), help="folder of mouth.onnx and sound.onnx")
    parser.add_argument("--people", nargs="+", default=prepare.JUDGED)
    arguments = parser.parse_args()
    names = prepare.split(p.stem for p in arguments.data.glob("*.npz"))["unseen"]
    clips = [load(arguments.data / f"{n}.npz") for n in names if prepare.speaker(n) in arguments.people]
    people = {}
    for row in examine(Judge(arguments.judge), clips):
        people.setdefault(prepare.speaker(row["name"]), []).append(row)
    table = [figures(rows) for rows in people.values()]
    print(f"{'person (clips)':46}" + "".join(f"{f'{p} ({len(r)})':>10}" for p, r in people.items()) + f"{'mean':>10}")
    for figure in table[0]:
        values = [column[figure] for column in table]
        print(f"{figure:46}" + "".join(f"{v:10.3f}" for v in [*values, np.mean(values)]))
    every = [r for rows in people.values() for r in rows]
    found = [judgement(r["own"])[2] for r in every]
    missed = np.concatenate([r["missed"] for r in every])
    print(f"{len(every)} clips: in sync within 1 frame {sum(abs(o) <= 1 for o in found)} of {len(found)} (offsets {' '.join(f'{o:+d}' for o in found)}); "
          f"moved by 1 to 10 frames and found within 1: {np.sum(missed <= 1)} of {len(missed)}")  # fmt: skip


if __name__ == "__main__":
    main()
