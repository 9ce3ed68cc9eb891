"""How often does music open a mouth? Share of frames in which lips are open, by kind of sound and level.

    python training/measure_music.py --music KEPT [--models models/builtin]

KEPT is what `music.py --kept` wrote: pieces on instruments that nothing was trained on. Beside it the sounds that noise.py makes, from other
random numbers than in training. Landmarks alone, as audio2mouth.onnx gives them: the plugin draws nothing below its threshold in addition.
"""

import argparse
import pathlib

import numpy as np
import onnxruntime

import geometry
import learn
import mel
import noise
from audio2mouth import windows

MODELS = pathlib.Path(__file__).resolve().parent.parent / "models" / "builtin"
LEVELS = (-18, -30, -42)  # dBFS
#: Canonical pixels from which on a mouth counts as open: what a mesh sees between lips that touch, and a little.
OPEN = 2.0
STEP = 0.04  # s
#: Sounds of each kind.
EACH = 32


def opened(network, spectrum):
    """Share of the moments of a spectrum in which lips are open."""
    times = np.arange(0, spectrum.shape[1] / mel.COLUMNS_PER_SECOND - 0.2, STEP)
    heard = windows(spectrum, times)[:, None]
    moved = network.run(["displacement"], {"mel": heard})[0]
    return float((geometry.opening(moved) > OPEN).mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--music", type=pathlib.Path, required=True, help="folder that music.py --kept wrote")
    parser.add_argument("--models", type=pathlib.Path, default=MODELS, help="folder with audio2mouth.onnx")
    arguments = parser.parse_args()
    network = onnxruntime.InferenceSession(str(arguments.models / "audio2mouth.onnx"))
    sounds = noise.library(np.random.default_rng(2), [], learn.load_music(arguments.music), EACH)
    print("% of frames open".ljust(20) + "".join(f"{level:>8} dB" for level in LEVELS))
    for kind in noise.MUTE:
        shares = [[opened(network, (s + level / noise.UNIT_DB).clip(-4, 4)) for s in sounds[kind]] for level in LEVELS]
        print(kind.ljust(20) + "".join(f"{100 * np.mean(share):>11.1f}" for share in shares), flush=True)


if __name__ == "__main__":
    main()
