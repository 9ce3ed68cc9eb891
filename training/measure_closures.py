"""Are the lips shut in p, b and m? Synthetic voices say when they must be.

    python training/measure_closures.py models/builtin [other folders with an audio2mouth.onnx]

Prints, for each model and voice of flite, how far the network would open the lips at the most closed moment of each p, b and m
(20 ms of tolerance either side), the share of them that it shuts, and how far it opens them in wide vowels. One voice is never
trained on, the sentences are not trained on either (spoken.py draws its own).
"""

import sys

import numpy as np

import audio2mouth
import geometry
import mel
import spoken
from faces import session

HELD_OUT = "kal16"
SENTENCES = (
    "Bob bought a big map and put my puppy by the pump.",
    "Maybe people may complain about the empty ship before noon.",
    "Peter Piper picked a peck of pickled peppers.",
    "My mother remembers a summer of plums and blackberries.",
    "The problem will probably become important tomorrow morning.",
)
SHUT_PHONEMES = {"p", "b", "m"}
WIDE = {"aa", "ae", "ao", "ay", "aw"}
#: In canonical pixels; the mesh sees about so much between real lips that touch.
SHUT = 1.5
TOLERANCE = 0.02
RATE = 100


def openings(network, voice, sentence):
    """Least opening of each p, b and m, greatest of each wide vowel."""
    samples, phonemes = spoken.speak(voice, sentence)
    quiet = np.zeros(mel.SAMPLE_RATE // 2)
    spectrum = mel.melspectrogram(np.concatenate([quiet, 0.5 * samples, quiet]))
    t = np.arange(int((len(samples) / mel.SAMPLE_RATE + 1) * RATE)) / RATE
    heard = network.run(["displacement"], {"mel": audio2mouth.windows(spectrum, t)[:, None]})[0]
    opening, shut, wide = geometry.opening(heard), [], []
    for name, begin, end in phonemes:
        first, last = (begin + 0.5 - TOLERANCE) * RATE, (end + 0.5 + TOLERANCE) * RATE
        around = opening[int(first) : int(last) + 1]
        if name in SHUT_PHONEMES:
            shut.append(around.min())
        elif name in WIDE:
            wide.append(around.max())
    return shut, wide


def main():
    for folder in sys.argv[1:]:
        network = session(f"{folder}/audio2mouth.onnx")
        for voice in (*spoken.VOICES, HELD_OUT):
            found = [openings(network, voice, s) for s in SENTENCES]
            shut, wide = (np.concatenate([f[i] for f in found]) for i in (0, 1))
            print(f"{folder} {voice}{' (never trained on)' if voice == HELD_OUT else ''}: p b m {np.median(shut):.2f} px, "
                  f"{100 * np.mean(shut < SHUT):.0f} % of {len(shut)} shut; wide vowels {np.median(wide):.2f} px")  # fmt: skip


if __name__ == "__main__":
    main()
