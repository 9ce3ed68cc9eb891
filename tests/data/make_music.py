"""Writes music.s16le: a second and a half of each of four pieces, on instruments that no network was trained on.

    python training/music.py --out KEPT --kept --each 60
    python tests/data/make_music.py KEPT

Needs numpy.
"""

import sys
from pathlib import Path

import numpy as np

RATE = 16_000
PIECES, SECONDS, LEVEL = (1, 17, 33, 43), 1.5, -18.0


def main() -> None:
    parts = []
    for number in PIECES:
        part = np.load(Path(sys.argv[1]) / f"{number:03}.npy")[RATE:][: int(SECONDS * RATE)]
        parts.append(part / part.std() * 10 ** (LEVEL / 20))
    samples = (np.concatenate(parts).clip(-1, 1) * 32767).round().astype("<i2")
    (Path(__file__).parent / "music.s16le").write_bytes(samples.tobytes())


if __name__ == "__main__":
    main()
