"""How near are real lips in p, b, m and real lower lips to the teeth in f, v, as the face mesh sees them?

    python training/measure_real_lips.py DATA

These are the bounds of `cargo xtask eval` for synthetic voices of other languages. GRID clips whose names tell their words
(s1_bbaf2n: bin blue at f two now) are aligned with the same words of flite, which tells its phonemes' times, by dynamic
time warping of their spectra. Prints, for each person of prepare.py's DATA, quantiles of the least opening in each phoneme,
20 ms of tolerance either side.
"""

import pathlib
import sys

import numpy as np

import geometry
import mel
import spoken

VOICE = "rms"
COMMANDS = {"b": "bin", "l": "lay", "p": "place", "s": "set"}
COLOURS = {"b": "blue", "g": "green", "r": "red", "w": "white"}
PREPOSITIONS = {"a": "at", "b": "by", "i": "in", "w": "with"}
DIGITS = dict(zip("z123456789", "zero one two three four five six seven eight nine".split()))
ADVERBS = {"a": "again", "n": "now", "p": "please", "s": "soon"}
SHUT, TEETH = ("p", "b", "m"), ("f", "v")
TOLERANCE = 0.02
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
MOST_CLIPS = 40


def words(code):
    tables = (COMMANDS, COLOURS, PREPOSITIONS, None, DIGITS, ADVERBS)
    return " ".join(table[c] if table else f"{c.upper()}," for table, c in zip(tables, code))


def cepstra(spectrum):
    """Shape of the spectrum [T, 12] and how it changes, blind to voice and level."""
    bands = np.arange(mel.BANDS)
    basis = np.cos(np.pi * np.outer(np.arange(1, 13), (bands + 0.5) / mel.BANDS))
    shape = (basis @ spectrum).T
    loud = spectrum.mean(0)[:, None]
    shape = np.hstack([shape, 8 * loud])
    shape = (shape - shape.mean(0)) / shape.std(0)
    return np.hstack([shape, 3 * np.gradient(shape, axis=0)])


def warp(a, b):
    """For each column of a the column of b that it matches."""
    distance = np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))
    cost = np.full((len(a) + 1, len(b) + 1), np.inf)
    cost[0, 0] = 0
    for i in range(len(a)):
        for j in range(len(b)):
            cost[i + 1, j + 1] = distance[i, j] + min(cost[i, j], cost[i, j + 1], cost[i + 1, j])
    i, j, matched = len(a), len(b), np.zeros(len(a))
    while i > 0 and j > 0:
        matched[i - 1] = j - 1
        i, j = min(((i - 1, j - 1), (i - 1, j), (i, j - 1)), key=lambda at: cost[at])
    return matched


def least_openings(path):
    """Least opening of each p, b, m and of each f, v of one clip."""
    clip = np.load(path)
    opening = geometry.opening(clip["points"][:, geometry.LANDMARKS])
    samples, phonemes = spoken.speak(VOICE, words(path.stem.split("_")[1]))
    matched = warp(cepstra(mel.melspectrogram(samples)), cepstra(clip["mel"]))
    at = np.arange(len(matched)) / mel.COLUMNS_PER_SECOND
    found = {SHUT: [], TEETH: []}
    for name, begin, end in phonemes:
        for kind in found:
            if name in kind:
                begin, end = (np.interp(t, at, matched) / mel.COLUMNS_PER_SECOND for t in (begin, end))
                first, last = int(np.ceil((begin - TOLERANCE) * clip["fps"])), int((end + TOLERANCE) * clip["fps"])
                found[kind].extend([opening[first : last + 1].min()] if last >= first else [])
    return found


def main():
    data = pathlib.Path(sys.argv[1])
    for person in ("s1", "s4", "s26", "s31"):
        clips = sorted(data.glob(f"{person}_*.npz"))[:MOST_CLIPS]
        found = [least_openings(path) for path in clips]
        openings = [geometry.opening(np.load(p)["points"][:, geometry.LANDMARKS]) for p in clips]
        print(f"{person}: all frames {np.quantile(np.concatenate(openings), QUANTILES).round(1)}")
        for kind in (SHUT, TEETH):
            least = np.concatenate([f[kind] for f in found])
            print(f"    {' '.join(kind)}: {len(least)}, quantiles {QUANTILES}: {np.quantile(least, QUANTILES).round(1)}")


if __name__ == "__main__":
    main()
